"""Beat and bars that are found from the notes, against what is known of them.

    python benchmarks/beats.py DATA [-n PIECES] [--json FILE]
    python benchmarks/beats.py DATA --fit              # the weights in melodygru/corpus/accents.py

DATA holds the folders `pop909` (with `beats/`: a text file a song, a line a beat: seconds, then two columns that are 1
where a group of two beats or of a bar begins), `bands`, `nottingham`, `jsb16` and `maestro`, each with `train` and
`valid`. The starter corpus is the project's own. For each folder:

files       that were read, and of these in percent
steady      with a beat
offset      that stood beside the grid and were moved
changed     that came out otherwise than they went in; 0 where all files have a beat and a metre and stand on the grid
metre       whose metre is right, when it is hidden from the search
bars        whose metre and bar line are right, when they are hidden
moved bars  likewise, when the piece is moved first by an odd number of beats and a seventh
beats       F-measure against the marks, within 70 ms (the tolerance of MIREX's audio beat tracking; Davies et al. 2009)
downbeats   likewise of the bar lines
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from melodygru import midi
from melodygru.corpus import accents, beats
from melodygru.corpus.grid import choose_grid
from melodygru.music.metre import METRE
from melodygru.music.notes import NoteSequence

TOLERANCE_S = 0.07
STARTER = Path(__file__).resolve().parents[1] / "data" / "starter"
FOLDERS = (
    "pop909/train",
    "pop909/valid",
    "bands/train",
    "bands/valid",
    "nottingham/valid",
    "jsb16/valid",
    "maestro/train",
)
KNOWN = ("bands", "starter")  # whose metres are the music's


def sequences(folder: Path, n_pieces: int | None) -> Iterator[tuple[Path, midi.Reading]]:
    """At most so many of a folder's pieces, evenly spaced."""
    files = [Path(file) for file in midi.find_files(folder).values()]
    keep = range(len(files)) if n_pieces is None else np.linspace(0, len(files) - 1, min(n_pieces, len(files)))
    for index in keep:
        yield files[int(index)], midi.read(files[int(index)])


def second2beat(sequence: NoteSequence, seconds: np.ndarray) -> np.ndarray:
    """Beats of the file's tempo map at times."""
    rate = float(sequence.grid.steps_per_beat or 1)
    starts = sequence.step2second(sequence.tempos["step"])
    mark = np.maximum(0, np.searchsorted(starts, seconds, side="right") - 1)
    return sequence.tempos["step"][mark] / rate + (seconds - starts[mark]) / sequence.tempos["tempo"][mark] * 1e6


def f_measure(found: np.ndarray, marks: np.ndarray) -> float:
    """F-measure of times in seconds against marks that are further apart than twice the tolerance."""
    if not len(found) or not len(marks):
        return 0.0
    near = np.abs(found[:, None] - marks) <= TOLERANCE_S
    precision, recall = near.any(axis=1).mean(), near.any(axis=0).mean()
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def against_marks(reading: midi.Reading, marks: Path, header_holds: bool) -> dict[str, float]:
    """How beats and bars of a song agree with the marks that its data set has of it."""
    seconds, pairs, bars = np.loadtxt(marks).T
    # the second column marks every other beat, or every third in a metre of three
    in_bar = 4 if np.median(np.diff(np.flatnonzero(pairs))) == 2 else 3
    lines = seconds[bars > 0] if in_bar == 4 else seconds[pairs > 0]
    sequence = reading.sequence
    aligned, found = beats.align(sequence, stated=reading.has_metre, header_holds=header_holds)
    rate = int(aligned.grid.steps_per_beat or 1)
    known = found.metre_from != "none"
    quarter = sequence.step2second(np.arange(0, aligned.length, rate) + found.origin)
    downbeats = sequence.step2second(aligned.bar_starts() + found.origin)
    inside = (-TOLERANCE_S, sequence.seconds)
    quarter, downbeats = (at[(at >= inside[0]) & (at <= inside[1])] for at in (quarter, downbeats))
    return {
        "metre": float(known and aligned.metre[0] * 4 / aligned.metre[1] == in_bar),
        "beats": f_measure(quarter, seconds) if known else 0.0,
        "downbeats": f_measure(downbeats, lines) if known else 0.0,
    }


def main_metre(sequence: NoteSequence) -> tuple[tuple[int, int], int]:
    """The metre that holds longest, and the step at which it begins."""
    spans = np.diff(np.append(sequence.metres["step"], sequence.length))
    mark = sequence.metres[spans.argmax()]
    return (int(mark["numerator"]), int(mark["denominator"])), int(mark["step"])


def bar_like(metre: tuple[int, int]) -> tuple[int, int]:
    """The metre of `accents.METRES` by which one is judged: duple metres are not told apart."""
    return (4, 4) if metre in ((2, 4), (2, 2), (4, 2)) else metre


def hidden(sequence: NoteSequence, by: int) -> tuple[bool, bool]:
    """Whether metre, and metre and bar line, of a piece moved by so many ticks are found without its marks."""
    metre, start = main_metre(sequence)
    moved = sequence.notes.copy()
    moved["onset"] += by
    nothing = np.array([(0, 4, 4)], METRE)
    plain = replace(sequence, notes=moved, length=sequence.length + by, metres=nothing)
    aligned, found = beats.align(plain, stated=False)
    got, at = main_metre(aligned)
    rate = float(sequence.grid.steps_per_beat or 1)
    right = found.metre_from != "none" and bar_like(got) == bar_like(metre)
    bar = rate * 4 * got[0] / got[1]
    apart = (at + found.origin - start - by + bar / 2) % bar - bar / 2
    return right, right and abs(apart) <= 0.05 * rate


def measure(folder: Path, n_pieces: int | None) -> dict[str, float | str]:
    """The figures of a folder."""
    rows: list[dict[str, float]] = []
    aligned = []
    rng = np.random.default_rng(0)
    known = any(name in folder.parts for name in KNOWN)
    readings = list(sequences(folder, n_pieces))
    holds = beats.headers_hold((reading.sequence, reading.has_metre) for _, reading in readings)
    for path, reading in readings:
        sequence = reading.sequence
        out, found = beats.align(sequence, stated=reading.has_metre, header_holds=holds)
        aligned.append(out)
        row: dict[str, float] = {"steady": found.pulse.steady, "offset": found.moved, "changed": out != sequence}
        marks = folder.parent / "beats" / f"{path.stem}.txt"
        if marks.is_file():
            row |= against_marks(reading, marks, holds)
        if known and reading.has_metre:
            rate = int(sequence.grid.steps_per_beat or 1)
            row["metre"], row["bars"] = hidden(sequence, 0)
            _, row["moved bars"] = hidden(sequence, rate * int(rng.integers(16)) + rate // 7)
        rows.append(row)
    figures: dict[str, float | str] = {"files": len(rows)}
    for name in COLUMNS:
        if values := [row[name] for row in rows if name in row]:
            figures[name] = round(100 * float(np.mean(values)), 1)
    grid, why = choose_grid(aligned)
    return figures | {"grid": f"{grid} ({why['decided_by']})"}


COLUMNS = ("files", "steady", "offset", "changed", "metre", "bars", "moved bars", "beats", "downbeats", "grid")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("-n", type=int, help="pieces of each folder; default all")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    if options.fit:
        fit(options.data)
        return
    print("folder".ljust(18), *(name.rjust(10) for name in COLUMNS), flush=True)
    table = {}
    for name in (*FOLDERS, "starter"):
        folder = STARTER if name == "starter" else options.data / name
        if not folder.is_dir():
            print(name.ljust(18), "no such folder", file=sys.stderr)
            continue
        table[name] = measure(folder, options.n)
        cells = (str(table[name].get(column, "")).rjust(10) for column in COLUMNS)
        print(name.ljust(18), *cells, flush=True)
    if options.json:
        options.json.write_text(json.dumps(table, indent=1))


# Fitting


def examples(data: Path) -> Iterator[tuple[np.ndarray, int]]:
    """Of each piece that may be learned from: evidence for each metre and bar line, and the number of the right one."""
    readings = [reading for _, reading in sequences(STARTER, 600)]
    readings += [r for path, r in sequences(data / "bands" / "train", None) if path.stem.startswith("doom_")]
    for reading in readings:
        if not reading.has_metre:
            continue
        sequence = reading.sequence
        metre, start = main_metre(sequence)
        metre = bar_like(metre)
        rate = float(sequence.grid.steps_per_beat or 1)
        pulse = beats.find_pulse(np.unique(sequence.notes["onset"]) / rate)
        found = accents.accents(
            sequence.notes,
            sequence.notes["onset"] / rate,
            (sequence.notes["onset"] + sequence.notes["duration"]) / rate,
            beats.search_rate(pulse),
        )
        if not pulse.steady or metre not in accents.METRES or not accents.bar_ticks(metre, found.rate):
            continue
        rows: list[np.ndarray] = []
        right = -1
        for number, candidate in enumerate(accents.METRES):
            if size := accents.bar_ticks(candidate, found.rate):
                if candidate == metre:
                    right = sum(len(row) for row in rows) + round(start / rate * found.rate) % size
                folded, edges, repeats = accents.evidence(found, candidate)
                parts = (folded.reshape(size, -1), edges.reshape(size, -1), np.tile(repeats, (size, 1)))
                rows.append(np.hstack([*parts, np.tile(np.eye(len(accents.METRES))[number], (size, 1))]))
        yield np.vstack(rows), right


def fit(data: Path, penalty: float = 1e-3, steps: int = 500, rate: float = 0.05) -> None:
    """Print the weights of the conditional logit: mean log-likelihood less `penalty` times their squares, by Adam."""
    pieces = list(examples(data))
    weights = np.zeros(pieces[0][0].shape[1])
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, steps + 1):
        slope = 2 * penalty * weights
        for rows, right in pieces:
            score = rows @ weights
            share = np.exp(score - score.max())
            slope += (share / share.sum() @ rows - rows[right]) / len(pieces)
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        weights -= rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    print(f"# fitted to {len(pieces)} pieces")
    n_levels = len(accents.LEVELS)
    at = 0
    for name, table in (("WEIGHTS", accents.WEIGHTS), ("EDGES", accents.EDGES)):
        print(f"{name} = {{")
        for kind in table:
            print(f'    "{kind}": ({", ".join(f"{value:.2f}" for value in weights[at : at + n_levels] + 0.0)}),')
            at += n_levels
        print("}")
    for name, keys in (("REPEATS", list(accents.REPEATS)), ("BIASES", list(accents.METRES))):
        print(f"{name} = {dict(zip(keys, weights[at : at + len(keys)].round(2).tolist(), strict=True))}")
        at += len(keys)


if __name__ == "__main__":
    main()
