"""Do composed pieces have a form? Their figures beside held-out pieces' and beside what is to be reached.

    python benchmarks/form.py FOLDER --minutes 10                # FOLDER has train/ and valid/
    python benchmarks/form.py FOLDER --model MODEL.keras         # no training
    python benchmarks/form.py FOLDER --model MODEL.keras --best-of 8

Training and composing have default settings: 20 pieces, as long as the model makes them. Means over pieces, as
`melodygru judge` measures them (docs/judge.md); the targets are those after 10 minutes on two cores, and after 60 with
--minutes 60. Then pieces of an asked form and of asked chords, as many again.

last note and length        pieces whose last note has 1.5 quarter notes, and whose length is in the corpus's middle 80%
A parts to each other       mean likeness of bars at the same place of sections that are asked to be the same
A parts to B                likewise of those that are not
accented notes in the chord pitched notes on a quarter note of the metre that are tones of the asked chord; of held-out
                            pieces those in the chord that is found there
longest match, share        with the training music, in the median (docs/originality.md)
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import click
import numpy as np
from bands import melodygru as run
from bands import midi_files, nats, train

sys.path.insert(0, str(Path(__file__).parent.parent))

from melodygru.corpus import intake
from melodygru.music.chords import chord_tones, half_bar_chords
from melodygru.music.form import parse_form
from melodygru.music.grid import Grid
from melodygru.music.harmony import parse_chords
from melodygru.music.notes import DRUMS, NoteSequence
from melodygru.music.traits import traits

FORM, CHORDS = "A8 A8 B8 A8", "C | Am | F | G"
LONG_NOTE = 1.5  # quarter notes
MIDDLE = 0.1, 0.9  # quantiles of the corpus's lengths
LIKENESSES = {f"likeness to {lag} bar{'s' * (lag > 1)} before": f"bar_similarity_{lag}" for lag in (1, 2, 4, 8, 16)}


@dataclass(frozen=True)
class Row:
    """A row of the table: what held-out and composed pieces have, what is to be reached, and whether it is."""

    name: str
    real: float | None
    composed: float | None
    target: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        cells = ["-" if value is None or np.isnan(value) else f"{value:.3g}" for value in (self.real, self.composed)]
        reached = "" if self.met is None else "yes" if self.met else "no"
        return f"| {self.name} | {' | '.join(cells)} | {self.target} | {reached} |"


def within(name: str, real: float, composed: float, off: float) -> Row:
    """A row whose target is a share of the held-out pieces' figure."""
    met = bool(abs(composed - real) <= off * real)
    return Row(name, real, composed, f"within {off:.0%} of real", met)


def read(folder: Path, grid: Grid | None = None) -> list[NoteSequence]:
    """The pieces of a folder, put on the grid of a corpus; copies are kept."""
    return list(intake(folder, grid=grid, deduplicate=False))


def means(pieces: Sequence[NoteSequence]) -> dict[str, float]:
    """The mean of each trait over the pieces that have it."""
    found = [traits(piece) for piece in pieces]
    values = {name: [one[name] for one in found if not np.isnan(one[name])] for name in found[0]}
    return {name: float(np.mean(of)) if of else float("nan") for name, of in values.items()}


def well_ended(pieces: Sequence[NoteSequence], lengths: tuple[float, float]) -> float:
    """Share of the pieces that end on a long note, and whose length in bars lies between two."""
    found = [traits(piece) for piece in pieces]
    return float(
        np.mean([one["last_note"] >= LONG_NOTE and lengths[0] <= one["length"] <= lengths[1] for one in found])
    )


def contents(piece: NoteSequence, n_bars: int) -> list[set[tuple[int, int, int]]]:
    """The notes of each bar: place in 32nds, program, pitch."""
    bars: list[set[tuple[int, int, int]]] = [set() for _ in range(n_bars)]
    inside = piece.bars.at(piece.notes["onset"])
    place = np.rint(inside.position * 8 / float(piece.grid.rate)).astype(int)
    for bar, *note in zip(inside.bar, place, piece.notes["program"], piece.notes["pitch"], strict=True):
        if bar < n_bars:
            bars[bar].add(tuple(map(int, note)))
    return bars


def of_form(piece: NoteSequence, text: str) -> tuple[float, float]:
    """Mean likeness of bars of sections that are asked to be the same, and of those at the same place of others."""
    parts, start = [], 0
    for section in text.split():
        parts.append((section[0], range(start, start := start + int(section[1:]))))
    assert len(parse_form(text)) == start
    bars = contents(piece, start)
    same, other = [], []
    for (one, first), (two, second) in combinations(parts, 2):
        for a, b in zip(first, second, strict=False):
            if bars[a] or bars[b]:
                likeness = 2 * len(bars[a] & bars[b]) / (len(bars[a]) + len(bars[b]))
                (same if one == two else other).append(likeness)
    return float(np.mean(same or [0])), float(np.mean(other or [0]))


def in_chord(piece: NoteSequence, tones: Callable[[int, float], frozenset[int]]) -> float:
    """Share of the pitched notes on a quarter note that are tones of their chord.

    Parameters
    ----------
    tones : of the chord at a bar and a share of it, 0 up to 1; empty where there is none
    """
    inside = piece.bars.at(piece.notes["onset"])
    on_beat = (inside.position % float(piece.grid.rate) == 0) & (piece.notes["program"] != DRUMS)
    right = []
    for bar, share, pitch in zip(
        inside.bar[on_beat], (inside.position / inside.size)[on_beat], piece.notes["pitch"][on_beat], strict=True
    ):
        if chord := tones(int(bar), float(share)):
            right.append(int(pitch) % 12 in chord)
    return float(np.mean(right)) if right else float("nan")


def in_found_chords(piece: NoteSequence) -> float:
    """`in_chord` of the chords that are found in the piece."""
    codes = half_bar_chords(piece).tolist()

    def tones(bar: int, share: float) -> frozenset[int]:
        return frozenset(chord_tones(codes[min(2 * bar + int(2 * share), len(codes) - 1)]))

    return in_chord(piece, tones)


def in_asked_chords(piece: NoteSequence, text: str) -> float:
    """`in_chord` of chords that come over and over."""
    bars = parse_chords(text)

    def tones(bar: int, share: float) -> frozenset[int]:
        chords = bars[bar % len(bars)]
        return chords[int(share * len(chords))].tones

    return in_chord(piece, tones)


def rows(
    real: Sequence[NoteSequence], composed: Sequence[NoteSequence], lengths: tuple[float, float], long: bool
) -> Iterator[Row]:
    """The rows of pieces that were composed with default settings; `long`: what 60 minutes are to reach."""
    theirs, ours = means(real), means(composed)
    for label, name in LIKENESSES.items():
        yield within(label, theirs[name], ours[name], 0.3 if long else 0.4)
    returns = theirs["bar_returns"], ours["bar_returns"]
    if long:
        yield within("bars that return", *returns, 0.3)
    else:
        yield Row("bars that return", *returns, "0.2 to 0.7", bool(0.2 <= returns[1] <= 0.7))
    least = 1.8 if long else 1.6
    harmony = theirs["harmony_at_bars"], ours["harmony_at_bars"]
    yield Row("harmony at bar lines against inside", *harmony, f"{least} or more", bool(harmony[1] >= least))
    yield Row("last note, quarter notes", theirs["last_note"], ours["last_note"])
    yield Row("length, bars", theirs["length"], ours["length"])
    least = 0.9 if long else 0.8
    ends = well_ended(real, lengths), well_ended(composed, lengths)
    yield Row("last note and length", *ends, f"{least} or more", bool(ends[1] >= least))


def of_asked_form(pieces: Sequence[NoteSequence]) -> Iterator[Row]:
    """The rows of pieces that were asked to have FORM."""
    same, other = np.mean([of_form(piece, FORM) for piece in pieces], axis=0).tolist()
    yield Row(f"asked form {FORM}: A parts to each other", None, same, "0.6 or more", same >= 0.6)
    yield Row("A parts to B", None, other, "at most half of that", other <= same / 2)


def of_asked_chords(real: Sequence[NoteSequence], pieces: Sequence[NoteSequence]) -> Iterator[Row]:
    """The row of pieces that were asked to have CHORDS."""
    theirs = float(np.nanmean([in_found_chords(piece) for piece in real]))
    ours = float(np.nanmean([in_asked_chords(piece, CHORDS) for piece in pieces]))
    yield Row("asked chords: accented notes in the chord", theirs, ours, "at least real's", ours >= theirs)


def of_originality(outputs: Sequence[dict[str, Any]]) -> Iterator[Row]:
    """The rows of what is copied, from the JSON of `generate`."""
    found = [output["originality"] for output in outputs if output["originality"] is not None]
    if not found:
        return
    held_out = found[0]["held_out"]
    for name, key, values in (
        ("longest match, notes", "longest", [one["longest"]["notes"] if one["longest"] else 0 for one in found]),
        ("share in the training music", "share", [one["share"] for one in found]),
    ):
        median = float(np.median(values))
        usual = held_out[key]["median"] if held_out else float("nan")
        yield Row(name, usual, median, "no more than real's", median <= usual)


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--minutes", default=10.0, show_default=True, help="Of training; from 60 on, what 60 are to reach.")
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="A checkpoint; nothing is trained.")
@click.option("-n", "number", default=20, show_default=True, type=click.IntRange(2), help="Pieces composed.")
@click.option("--temperature", default=1.0, show_default=True)
@click.option("--top-p", type=float, help="As of generate.  [default: generate's]")
@click.option("--best-of", type=click.IntRange(1), help="Candidates of each piece.  [default: generate's]")
@click.option("--seed", default=0, show_default=True, help="Of training; that of composing is one more.")
@click.option("--parts", default="free,form,chords,nats", show_default=True, help="What is composed and measured.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Where model and pieces stay.")
def main(
    folder: Path,
    minutes: float,
    model: Path | None,
    number: int,
    temperature: float,
    top_p: float | None,
    best_of: int | None,
    seed: int,
    parts: str,
    keep: Path | None,
) -> None:
    if not midi_files(folder / "valid"):
        raise click.ClickException(
            f"{folder / 'valid'} holds no MIDI files: expected {folder} to have train/ and valid/"
        )
    asked = parts.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        work = keep or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        if model is None:
            model = work / "model.keras"
            train(folder, minutes, seed, model)
        corpus = intake(folder / "train")
        lengths = np.quantile([traits(piece)["length"] for piece in corpus], MIDDLE).tolist()
        real = read(folder / "valid", corpus.grid)
        options: list[object] = ["--model", model, "-n", number, "--temperature", temperature, "--seed", seed + 1]
        options += [] if best_of is None else ["--best-of", best_of]
        options += [] if top_p is None else ["--top-p", top_p]

        def compose(name: str, *more: object) -> tuple[list[NoteSequence], list[dict[str, Any]]]:
            output = work / name
            if output.exists():
                raise click.ClickException(f"{output} is there already: name another --keep")
            found = json.loads(run("generate", *options, *more, "-o", output, "--json"))
            return read(output, corpus.grid), found["outputs"]

        click.echo(f"| {folder.name} | real ({len(real)}) | composed ({number}) | to reach | reached |")
        click.echo("|---|---:|---:|---|---|")
        table: list[Row] = []

        def show(some: Iterator[Row]) -> None:
            for row in some:
                table.append(row)
                click.echo(str(row))

        if "free" in asked:
            pieces, outputs = compose("free")
            show(rows(real, pieces, lengths, minutes >= 60))
            show(of_originality(outputs))
        if "form" in asked:
            if "--form " in run("generate", "--help"):
                show(of_asked_form(compose("form", "--form", FORM)[0]))
            else:
                click.echo("this melodygru has no --form", err=True)
        if "chords" in asked:
            show(of_asked_chords(real, compose("chords", "--chords", CHORDS, "--bars", 32)[0]))
        if "nats" in asked:
            run("evaluate", folder / "valid", "--model", model, "--per-note", work / "nats.csv", "--json")
            fields = nats(work / "nats.csv")
            click.echo(f"| nats a note, nothing of the plan known | | {sum(fields.values()):.3f} | | |")
    missed = [row.name for row in table if row.met is False]
    targets = sum(row.met is not None for row in table)
    click.echo(f"\n{len(missed)} of {targets} targets missed: {', '.join(missed) or 'none'}")


if __name__ == "__main__":
    main()
