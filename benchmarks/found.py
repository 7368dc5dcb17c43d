"""What is found in pieces, chords and form, against what is known of them.

    python benchmarks/found.py DATA [--json FILE]

Chords: DATA/nottingham/valid has tunes with chords in close position beneath, as one track. A half bar's chord is
known where at least half of it sounds one that is spelled in full, by the notes beneath the tune alone or with it. It
is estimated from all notes, from the tune alone (a lower bound: a tune fits many chords), and with the chords broken,
one tone an eighth. DATA/pop909/chords/NNN.txt, if there, are POP909's own labels of songs (its chord_midi.txt). Of half
bars whose chord is known: share with the right root; with root and third; with quality and all.

Form: pieces are made of the bars of real ones, AABA of 8 bars each from 16 bars in a row of which none returns to
another, and the last 8 are less than half like the first. Found is the share of the last A's bars that return to their
place in an A, and of B's that return to no A. Then of real pieces: bars that return, their likeness (F1 of place, part,
pitch) to the bar that they return to, and to the one 4 before.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from melodygru import midi
from melodygru.corpus.beats import align
from melodygru.midi.reading import load
from melodygru.music.chords import N_QUALITIES, half_bar_chords, half_bar_edges
from melodygru.music.form import bar_returns
from melodygru.music.harmony import parse_chord
from melodygru.music.notes import NoteSequence, canonical

TONES = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 10), (0, 4, 7, 11), (0, 3, 7, 10), (0, 3, 6), (0, 3, 6, 10), (0, 5, 7))
SPELLED = {
    frozenset((root + tone) % 12 for tone in tones): 1 + root * N_QUALITIES + quality
    for quality, tones in reversed(list(enumerate(TONES)))
    for root in range(12)
}
LABELS = {"maj": 0, "min": 1, "7": 2, "maj7": 3, "min7": 4, "dim": 5, "dim7": 5, "hdim7": 6, "sus4": 7, "": 0}


def pieces(folder: Path, limit: int) -> Iterator[tuple[str, NoteSequence]]:
    for path in sorted(folder.glob("*.mid"))[:limit]:
        reading = midi.read(load(path))
        yield path.stem, align(reading.sequence, stated=reading.has_metre)[0]


def majority(spans: list[tuple[float, float, int]], edges: np.ndarray) -> np.ndarray:
    """The code that holds at least half of each half bar; -1 where none does."""
    known = np.full(len(edges) - 1, -1)
    best = np.diff(edges) / 2.0
    held = [dict[int, float]() for _ in known]
    for start, end, code in spans:
        first = max(int(np.searchsorted(edges, start, side="right")) - 1, 0)
        for half in range(first, len(known)):
            if edges[half] >= end:
                break
            overlap = min(end, edges[half + 1]) - max(start, edges[half])
            held[half][code] = held[half].get(code, 0.0) + overlap
    for half, codes in enumerate(held):
        for code, time in codes.items():
            if code >= 0 and time >= best[half] - 1e-6:
                known[half] = code
    return known


def beneath(piece: NoteSequence) -> tuple[np.ndarray, list[tuple[float, float, int]]]:
    """Which notes belong to the chords beneath a tune, and the chords: start, end, code or -1."""
    notes = piece.notes
    onset, end = notes["onset"], notes["onset"] + notes["duration"]
    times = np.unique(np.concatenate([onset, end]))
    low = np.zeros(len(notes), bool)
    spans: list[tuple[float, float, int]] = []
    for start, stop in zip(times[:-1], times[1:], strict=True):
        here = np.flatnonzero((onset <= start) & (end > start))
        if len(here) < 3:
            continue
        here = here[np.argsort(notes["pitch"][here])]
        under, every = (frozenset((notes["pitch"][some] % 12).tolist()) for some in (here[:-1], here))
        code = SPELLED.get(under, SPELLED.get(every, -1))
        low[here[:-1]] = True
        spans.append((float(start), float(stop), code))
    return low, spans


def arpeggiated(piece: NoteSequence, low: np.ndarray) -> NoteSequence:
    """The piece with the notes beneath its tune played one an eighth, in turn from the lowest."""
    notes = piece.notes
    eighth = int(piece.grid.rate) // 2
    rows = [notes[~low]]
    for onset in np.unique(notes["onset"][low]):
        chord = notes[low & (notes["onset"] == onset)]
        chord = chord[np.argsort(chord["pitch"])]
        longest = int(chord["duration"].max())
        turns = chord[np.arange(max(1, longest // eighth)) % len(chord)].copy()
        turns["onset"] += np.arange(len(turns)) * eighth
        turns["duration"] = eighth
        rows.append(turns)
    return replace(piece, notes=canonical(np.concatenate(rows))[0], length=piece.length + 8 * eighth)


def score(found: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Of half bars whose chord is known: how many, and how many right in root, in root and third, in all."""
    n = min(len(found), len(known))
    found, known = found[:n].astype(int), known[:n]
    here = known > 0
    (root, quality), (right_root, right_quality) = (divmod(codes[here] - 1, N_QUALITIES) for codes in (found, known))
    of_third = np.array([4, 3, 4, 4, 3, 3, 3, 5])
    roots = (root == right_root) & (found[here] > 0)
    thirds = roots & (of_third[quality] == of_third[right_quality])
    return np.array([here.sum(), roots.sum(), thirds.sum(), (roots & (quality == right_quality)).sum()])


def nottingham(folder: Path, limit: int) -> dict[str, np.ndarray]:
    names = ("tune and chords", "tune and broken chords", "tune alone", "chords alone")
    table = {f"nottingham: {name}": np.zeros(4) for name in names}
    for _, piece in pieces(folder, limit):
        low, spans = beneath(piece)
        if not low.any() or low.all():
            continue
        known = majority(spans, half_bar_edges(piece))
        versions = (
            piece,
            arpeggiated(piece, low),
            replace(piece, notes=piece.notes[~low]),
            replace(piece, notes=piece.notes[low]),
        )
        for row, version in zip(table, versions, strict=True):
            table[row] += score(half_bar_chords(version), known)
    return table


def labelled(folder: Path) -> dict[str, np.ndarray]:
    """Songs whose chords were labelled in seconds."""
    total = np.zeros(4)
    for path in sorted((folder / "chords").glob("*.txt")):
        midi_file = next(folder.glob(f"*/{path.stem}.mid"))
        reading = midi.read(load(midi_file))
        piece = align(reading.sequence, stated=reading.has_metre)[0]
        edges = half_bar_edges(piece)
        seconds = piece.step2second(edges)
        offset = float(reading.sequence.step2second(int(reading.sequence.notes["onset"][0])))
        seconds = seconds - float(piece.step2second(int(piece.notes["onset"][0]))) + offset
        spans = []
        for line in path.read_text().splitlines():
            start, end, label = line.split()
            spans.append((float(start), float(end), code_of(label)))
        total += score(half_bar_chords(piece), majority(spans, seconds))
    return {"POP909: songs with labels": total} if total[0] else {}


def code_of(label: str) -> int:
    """The code of a label such as `C#:min7/b7`; -1 where none has its quality, or for no chord."""
    root, _, quality = label.partition("/")[0].partition(":")
    if root == "N" or quality not in LABELS:
        return -1
    pitch_class = parse_chord(root).root
    assert pitch_class is not None
    return 1 + pitch_class * N_QUALITIES + LABELS[quality]


# -- form


def bar_sets(piece: NoteSequence) -> list[set[tuple[int, int, int]]]:
    starts = piece.bar_starts()
    bar = np.searchsorted(starts, piece.notes["onset"], side="right") - 1
    place = np.rint((piece.notes["onset"] - starts[bar]) * 8 / piece.grid.rate).astype(int)
    sets: list[set[tuple[int, int, int]]] = [set() for _ in range(len(starts) - 1)]
    for note, at, where in zip(piece.notes, bar.tolist(), place.tolist(), strict=True):
        sets[at].add((where, int(note["part"]), int(note["pitch"])))
    return sets


def likeness(one: set[tuple[int, int, int]], other: set[tuple[int, int, int]]) -> float:
    return 2 * len(one & other) / max(len(one) + len(other), 1)


def planted(piece: NoteSequence) -> np.ndarray | None:
    """Of an AABA from a piece's bars: bars of the last A and of B, and how many are found."""
    starts, returns = piece.bar_starts(), bar_returns(piece)
    sets = bar_sets(piece)
    for first in range(len(returns) - 15):
        inside = returns[first : first + 16]
        alone = (inside < first).all() and all(sets[first : first + 16])
        unlike = alone and all(
            likeness(sets[at], sets[other]) < 0.5
            for at in range(first + 8, first + 16)
            for other in range(first, first + 8)
        )
        if unlike and len(set(np.diff(starts[first : first + 17]).tolist())) == 1:
            break
    else:
        return None
    a, b = (piece.crop(int(starts[at]), int(starts[at + 8])) for at in (first, first + 8))
    found = bar_returns(a.join(a).join(b).join(a))
    if len(found) != 32:
        return None
    last = np.isin(found[24:] - np.arange(8), (0, 8))
    return np.array([8, last.sum(), 8, ((found[16:24] < 0) | (found[16:24] >= 16)).sum()])


def forms(folder: Path, limit: int) -> list[float]:
    made, shares, returned, four = np.zeros(4), [], [], []
    for _, piece in pieces(folder, limit):
        if not piece.grid.is_metrical or not len(piece):
            continue
        result = planted(piece)
        made += 0 if result is None else result
        returns, sets = bar_returns(piece), bar_sets(piece)
        shares.append(float(np.mean(returns >= 0)))
        back = np.flatnonzero(returns >= 0)
        if len(back):
            returned.append(np.mean([likeness(sets[bar], sets[returns[bar]]) for bar in back]))
            four.append(np.mean([likeness(sets[bar], sets[bar - 4]) for bar in back if bar >= 4] or [0]))
    a, b = made[1] / max(made[0], 1), made[3] / max(made[2], 1)
    return [made[0] / 8, a, b, float(np.mean(shares)), float(np.mean(returned)), float(np.mean(four))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="valid", help="of each corpus: valid (default) or train")
    parser.add_argument("--limit", type=int, default=10_000, help="pieces of each corpus")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    table = nottingham(arguments.data / "nottingham" / arguments.split, arguments.limit)
    table |= labelled(arguments.data / "pop909")
    print("| chords | half bars | root | root and third | all |\n|---|---:|---:|---:|---:|")
    for row, (n, *right) in table.items():
        print(f"| {row} | {n:,.0f} | " + " | ".join(f"{100 * share / max(n, 1):.1f}%" for share in right) + " |")
    print("\n| form | AABA made | A found | B not in A | bars that return | likeness to theirs | to 4 before |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    found = {}
    for corpus in ("bands", "pop909", "nottingham", "jsb16"):
        n, a, b, share, theirs, four = found[corpus] = forms(arguments.data / corpus / arguments.split, arguments.limit)
        print(f"| {corpus} | {n:.0f} | {a:.0%} | {b:.0%} | {share:.0%} | {theirs:.2f} | {four:.2f} |")
    if arguments.json:
        rows = {row: values.tolist() for row, values in table.items()}
        arguments.json.write_text(json.dumps({"chords": rows, "form": found}, indent=1))


if __name__ == "__main__":
    main()
