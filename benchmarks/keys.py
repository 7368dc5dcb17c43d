"""The key signature that is estimated from a piece's notes, against the one that it is written in.

    python benchmarks/keys.py [--json FILE]
    python benchmarks/keys.py --fit            # the weights in melodygru/music/keys.py

Pieces are those of the corpus that comes with music21 (`pip install music21`), as MusicXML and ABC, with one signature
throughout. Only their pitches and times are given to the estimate; of transposing instruments the sounding ones.
What is compared is the number of sharps or flats, six of the one being six of the other.

scores      works in MusicXML, in major and minor keys as they are written today
tunes       fiddle tunes and songs in ABC; their books write many a Dorian tune as minor
modal       chorales by Bach whose signature is that of a church mode, as was the habit then: the last bass note is
            neither that signature's major nor its minor tonic. D minor in Dorian notation has no flat; today it has one
white keys  what was done before: the signature whose seven pitch classes hold most of the time
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import sys
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from melodygru.music import keys
from melodygru.music.notes import NOTE

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
UNITS = 960  # in a quarter note
LEFT_OUT = ("trecento", "monteverdi", "ciconia", "lusitano", "palestrina", "josquin", "luca", "webern", "schoenberg")
# before there were keys, after there were any; then what is no music, and folk songs whose keys say G for G minor, too
LEFT_OUT += ("demos", "theoryExercises", "essenFolksong")
TUNES = 60  # of a book in ABC, evenly spaced
MODES = {"": 0, "maj": 0, "ion": 0, "m": -3, "min": -3, "aeo": -3, "dor": -2, "phr": -4, "lyd": 1, "mix": -1, "loc": -5}

Row = tuple[int, int, int]  # onset, duration in UNITS; pitch
Piece = tuple[str, str, list[Row], int]  # collection, name, notes, sharps


def music_xml(path: Path) -> Iterator[tuple[list[Row], set[int]]]:
    """The notes of a score, and the numbers of sharps of its parts that aren't transposed."""
    if path.suffix == ".mxl":
        with zipfile.ZipFile(path) as packed:
            names = [name for name in packed.namelist() if name.endswith("xml") and not name.startswith("META")]
            root = ET.fromstring(packed.read(names[0]))
    else:
        root = ET.parse(path).getroot()
    rows: list[Row] = []
    signatures: set[int] = set()
    for part in root.findall("part"):
        bar, divisions, transposed = Fraction(0), 1, 0
        tied: dict[int, int] = {}
        for measure in part.findall("measure"):
            now = end = onset = bar
            for item in measure:
                length = Fraction(item.findtext("duration") or 0) / divisions
                if item.tag == "attributes":
                    divisions = int(item.findtext("divisions") or divisions)
                    transposed = int(item.findtext("transpose/chromatic") or transposed)
                    if not transposed % 12:
                        signatures |= {int(fifths.text or 0) for fifths in item.findall("key/fifths")}
                elif item.tag in ("backup", "forward"):
                    now += length if item.tag == "forward" else -length
                elif item.tag == "note" and item.find("grace") is None:
                    if item.find("chord") is None:
                        onset, now = now, now + length
                    if (name := item.findtext("pitch/step")) and length:
                        alter = round(float(item.findtext("pitch/alter") or 0))
                        octave = int(item.findtext("pitch/octave") or 0)
                        row = (
                            int(onset * UNITS),
                            int(length * UNITS),
                            LETTERS[name] + alter + 12 * octave + 12 + transposed,
                        )
                        at = tied.get(row[2])
                        if (
                            item.find("tie[@type='stop']") is not None
                            and at is not None
                            and sum(rows[at][:2]) == row[0]
                        ):
                            rows[at] = rows[at][0], rows[at][1] + row[1], row[2]
                        else:
                            tied[row[2]] = len(rows)
                            rows.append(row)
                end = max(end, now)
            bar = end
    yield rows, signatures


ABC_NOTE = re.compile(r"""\||"[^"]*"|\[[A-Za-z]:[^\]]*\]|![^!]*!|\{[^}]*\}|([_^=]*)([A-Ga-gzx])([,']*)(\d*)(/*\d*)""")


def abc(path: Path) -> Iterator[tuple[list[Row], set[int]]]:
    """Tunes of a book in ABC: their notes, without chords and ornaments, and the sharps of their key."""
    tunes = re.split(r"(?m)^(?=X:)", path.read_text("latin-1"))[1:]
    for tune in tunes if len(tunes) <= TUNES else [tunes[at * len(tunes) // TUNES] for at in range(TUNES)]:
        fields = re.findall(r"(?m)^K:[ \t]*([A-G])([#b]?)[ \t]*([A-Za-z]*)", tune)
        modes = {(letter, sign, MODES.get(mode.lower()[:3])) for letter, sign, mode in fields}
        sharps = {
            "FCGDAEB".index(a) - 1 + 7 * ((b == "#") - (b == "b")) + mode for a, b, mode in modes if mode is not None
        }
        if len(sharps) != 1 or len(modes) != len(sharps):
            continue
        of_key = {letter: (min(sharps) - 1 - at) // 7 + 1 for at, letter in enumerate("FCGDAEB")}
        altered: dict[str, int] = {}
        rows, now = [], 0
        body = "\n".join(line for line in tune.splitlines() if not re.match(r"[A-Za-z]:|%", line))
        for found in ABC_NOTE.finditer(body):
            signs, letter, octaves, times, over = found.groups()
            if found[0] == "|":
                altered.clear()
            if letter is None:
                continue
            halved = int(over.strip("/") or 2 ** over.count("/")) if over else 1
            length = UNITS // 2 * int(times or 1) // halved
            if letter not in "zx":
                name = letter + octaves
                if signs:
                    altered[name] = signs.count("^") - signs.count("_")
                octave = 5 + letter.islower() + octaves.count("'") - octaves.count(",")
                pitch = LETTERS[letter.upper()] + altered.get(name, of_key[letter.upper()]) + 12 * octave
                rows.append((now, length, pitch))
            now += length
        yield rows, sharps


def pieces(folder: Path) -> Iterator[Piece]:
    """Every piece below the folder that has one signature and twenty notes."""
    for path in sorted(folder.rglob("*")):
        read = {".mxl": music_xml, ".xml": music_xml, ".musicxml": music_xml, ".abc": abc}.get(path.suffix)
        collection = path.relative_to(folder).parts[0]
        if read is None or collection in LEFT_OUT:
            continue
        for number, (rows, signatures) in enumerate(read(path)):
            if len(signatures) == 1 and len(rows) >= 20 and min(row[1] for row in rows) > 0:
                yield collection, f"{path.relative_to(folder)}#{number}", rows, min(signatures)


def as_notes(rows: list[Row]) -> np.ndarray:
    """Rows as notes."""
    notes = np.zeros(len(rows), NOTE)
    for name, column in zip(("onset", "duration", "pitch"), zip(*rows, strict=True), strict=True):
        notes[name] = column
    return notes


def fit(found: np.ndarray, tonics: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weights of the regression, shape (4, 12), by gradient descent; `found` (n, 4, 12), `tonics` 0..11 (n,)."""
    rotated = np.stack([np.roll(found, -tonic, axis=2).reshape(len(found), -1) for tonic in range(12)], 1)
    shrink = np.repeat([1e-4, 1e-4, 1e-3, 1e-3], 12)
    theta, mean, square = np.zeros(48), np.zeros(48), np.zeros(48)
    share = weights / weights.sum()
    for step in range(1, 401):
        scores = rotated @ theta
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(len(p)), tonics] -= 1
        gradient = np.einsum("nk,nkf->f", p * share[:, None], rotated) + shrink * theta
        mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
        theta -= 0.1 * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    return theta.reshape(4, 12)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--fit", action="store_true", help="fit the weights, and judge them by five-fold cross-validation"
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    package = importlib.util.find_spec("music21")
    if package is None or package.origin is None:
        sys.exit("the pieces are music21's: pip install music21")
    every = list(pieces(Path(package.origin).parent / "corpus"))
    names = np.array([piece[0] for piece in every])
    tonics = np.array([7 * piece[3] % 12 for piece in every])
    notes = [as_notes(piece[2]) for piece in every]
    found = np.stack([keys._pitch_classes(each) for each in notes])
    before = np.array(
        [
            np.argmax([each[0][(keys.DIATONIC + k) % 12] @ each[0][(keys.DIATONIC + k) % 12] for k in range(12)])
            for each in found
        ]
    )
    degree = (found[:, 2].argmax(axis=1) - tonics) % 12
    modal = (names == "bach") & ~np.isin(degree, (0, 9))
    tunes = np.array([".abc#" in piece[1] for piece in every])
    now = np.array([7 * keys.estimate_key(each).fifths % 12 for each in notes])
    if args.fit:
        kept = ~(modal & (degree == 2))
        weights = np.array([1 / np.sqrt(np.sum(names == name)) for name in names])  # tunes and chorales are many
        print(np.round(fit(found[kept], tonics[kept], weights[kept]), 1).tolist())
        fold = np.random.default_rng(1).integers(0, 5, len(every))
        for at in range(5):
            theta = fit(found[kept & (fold != at)], tonics[kept & (fold != at)], weights[kept & (fold != at)])
            scores = [np.sum(theta * np.roll(found[fold == at], -k, axis=2), axis=(1, 2)) for k in range(12)]
            now[fold == at] = np.argmax(scores, axis=0)
    table = {}
    groups = {name: (names == name) & ~modal for name in sorted(set(names.tolist()))}
    for name, of in {**groups, "scores": ~modal & ~tunes, "tunes": tunes, "modal": modal, "all": modal | True}.items():
        right, old = int((now == tonics)[of].sum()), int((before == tonics)[of].sum())
        table[name] = {"pieces": int(of.sum()), "right": right, "white_keys": old}
        print(f"{name:22s} {of.sum():5d} pieces   {right / of.sum():6.1%} right   white keys {old / of.sum():6.1%}")
    for piece, estimated, known in zip(every, now, tonics, strict=True):
        if estimated != known:
            print(f"  {piece[1]}: {piece[3]} written, {(7 * estimated + 5) % 12 - 5} estimated", file=sys.stderr)
    if args.json:
        args.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
