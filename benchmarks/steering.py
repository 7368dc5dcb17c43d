"""What the options that steer do: pieces of one model with and without each, measured; and what they cost.

    python benchmarks/steering.py [--model FILE.keras] [--style NAME] [--pieces 20] [--bars 32]

Prints Markdown tables. Shares leave drums out. Speed is notes composed a second against the same without constraints,
in turns, the median of several.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from melodygru.compose import Chords, Constraint, Controls, Length, Plan, compose, of_settings
from melodygru.compose.settings import GenerateSettings
from melodygru.model import checkpoint
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.notes import DRUMS, NoteSequence

CHORDS = "C | Am | F G | C"
CONTROLS = Controls(top_p=None)


def polyphony(piece: NoteSequence) -> int:
    """The most notes that sound together."""
    notes = piece.notes
    ends = notes["onset"] + notes["duration"]
    return max((int(((notes["onset"] <= onset) & (ends > onset)).sum()) for onset in notes["onset"]), default=0)


def in_key(pieces: list[NoteSequence]) -> float:
    """Share of the notes whose pitch class is one of C major."""
    notes = _pitched(pieces)
    return float(np.isin(notes["pitch"] % 12, [0, 2, 4, 5, 7, 9, 11]).mean())


def in_range(pieces: list[NoteSequence]) -> float:
    """Share of the notes from C4 to C5."""
    notes = _pitched(pieces)
    return float(((notes["pitch"] >= 60) & (notes["pitch"] <= 72)).mean())


def in_chord(pieces: list[NoteSequence], plan: Plan) -> float:
    """Share of the notes that are tones of the chord that they begin in."""
    chords = Chords.parse(CHORDS)
    notes = _pitched(pieces)
    pairs = zip(notes["onset"].tolist(), notes["pitch"].tolist(), strict=True)
    return float(np.mean([pitch % 12 in chords.chord_at(onset, plan).tones for onset, pitch in pairs]))


def density(pieces: list[NoteSequence]) -> float:
    """Notes a beat."""
    return sum(map(len, pieces)) / sum(piece.length / float(piece.grid.steps_per_beat or 1) for piece in pieces)


def _pitched(pieces: list[NoteSequence]) -> np.ndarray:
    notes = np.concatenate([piece.notes for piece in pieces])
    return notes[notes["program"] != DRUMS]


def main() -> None:
    """Compose, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--style")
    parser.add_argument("--pieces", type=int, default=20)
    parser.add_argument("--bars", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5, help="of each speed")
    args = parser.parse_args()
    network = NumpyModel(checkpoint.read(checkpoint.find(args.model)))
    plan = Plan.from_settings(network.vocabulary, Length(bars=args.bars), style=args.style, metre=(4, 4))

    def composed(n: int, bars: int, constraints: list[Constraint]) -> list[NoteSequence]:
        length = Length(bars=bars)
        return compose(
            network,
            n,
            1,
            controls=CONTROLS,
            length=length,
            style=args.style,
            metre=(4, 4),
            constraints=constraints,
        )

    def steered(**settings: object) -> list[NoteSequence]:
        return composed(args.pieces, args.bars, of_settings(GenerateSettings(**settings)))  # type: ignore[arg-type]

    free = composed(args.pieces, args.bars, [])
    program = int(np.bincount(np.concatenate([piece.notes["program"] for piece in free])).argmax())
    name = "drums" if program == DRUMS else str(program)
    rows: list[tuple[str, str, float, float]] = [
        ("`--key C:maj`", "notes in C major", in_key(free), in_key(steered(key="C:maj"))),
        ("`--range C4:C5`", "notes in it", in_range(free), in_range(steered(range="C4:C5"))),
        (
            f"`--programs {name}`",
            "notes of it",
            float(np.mean(np.concatenate([piece.notes["program"] for piece in free]) == program)),
            float(np.mean(np.concatenate([p.notes["program"] for p in steered(programs=name)]) == program)),
        ),
        (
            "`--max-polyphony 2`",
            "most notes at once",
            max(map(polyphony, free)),
            max(map(polyphony, steered(max_polyphony=2))),
        ),
    ]
    for bias in (1, 2, 3, 4, 6):
        found = in_chord(steered(chords=CHORDS, chord_bias=bias), plan)
        rows.append((f'`--chords "{CHORDS}" --chord-bias {bias}`', "chord tones", in_chord(free, plan), found))
    only = in_chord(steered(chords=CHORDS, chords_only=True), plan)
    rows.append((f'`--chords "{CHORDS}" --chords-only`', "chord tones", in_chord(free, plan), only))
    for wish in (1, 2, 3, 4, 6):
        rows.append((f"`--density {wish}`", "notes a beat", density(free), density(steered(density=wish))))
    print(f"| option ({args.pieces} pieces of {args.bars} bars) | what | without | with |\n|---|---|---|---|")
    for option, what, without, wished in rows:
        option = option.replace("|", r"\|")
        print(f"| {option} | {what} | {without:.3g} | {wished:.3g} |")

    costly = {
        "key": {"key": "C:maj"},
        "key, range, polyphony": {"key": "C:maj", "range": "C3:C6", "max_polyphony": 4},
        "chords": {"chords": CHORDS},
        "density": {"density": density(free)},
    }
    print("\n| notes a second, against none | 1 stream | 16 streams |\n|---|---|---|")
    of_streams = {n: _speeds(lambda c, n=n: composed(n, 16, c), costly, args.repeats) for n in (1, 16)}
    for what in costly:
        print(f"| {what} | {of_streams[1][what]:.2f} | {of_streams[16][what]:.2f} |")


def _speeds(composed, cases, repeats: int) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """Notes a second with each of the cases' constraints, as a multiple of that without, in turns."""

    def speed(constraints: list[Constraint]) -> float:
        start = time.perf_counter()
        n = sum(map(len, composed(constraints)))
        return n / (time.perf_counter() - start)

    ratios: dict[str, list[float]] = {what: [] for what in cases}
    for _ in range(repeats):
        free = speed([])
        for what, settings in cases.items():
            ratios[what].append(speed(of_settings(GenerateSettings(**settings))) / free)
    return {what: statistics.median(values) for what, values in ratios.items()}


if __name__ == "__main__":
    main()
