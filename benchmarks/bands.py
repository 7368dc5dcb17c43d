"""Does the band hold together? Pieces composed after some minutes of training, beside held-out ones of the folder.

    python benchmarks/bands.py FOLDER --minutes 10                 # FOLDER has train/ and valid/
    python benchmarks/bands.py FOLDER --minutes 10 --primer-bars 8 # what follows eight bars of each held-out piece
    python benchmarks/bands.py FOLDER --model MODEL.keras          # no training
    python benchmarks/bands.py POP909 --bar 4                      # bars of four quarters where files name none

Training and composing have default settings, but for what is said here: 20 pieces of 32 bars at temperature 1. Each
figure is of a piece, and the table has the means over the pieces that have it (the number of them behind it where it
isn't all). Places are sixteenths of a quarter-note beat, counted from the bar line; programs are General MIDI's, drums
are one more; a kick is drum 35 or 36, a snare 37 to 40, a hat 42, 44, 46 or a cymbal that is ridden (51, 53, 59).

parts                   lines of one track, channel and program in the piece
programs                how many play in the piece
active in a bar         how many begin a note in a bar
line-up changes         bars in which others begin notes than in the bar before
kick, snare, hat        likeness (F1 of the places of strokes) of a bar to the bar before, over the bars in which either
                        has one; of pieces that strike it in four bars or more
snare on 2 and 4        strokes of the snare on the second or fourth quarter
bass on root            bars in which the bass (programs 32 to 39) strikes at the bar line, and the root of the triad or
                        fifth that the other parts sound most in the bar
clashes                 notes that sound when a bass note begins, a semitone, a major seventh or a tritone from it
gone in the last third  of the programs that play in four bars or more and begin in the first half
pulse                   how near onsets stand to one another's sixteenths: their mean resultant length, 1 for a machine
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pretty_midi

DRUMS = -1
KICK, SNARE, HAT = (35, 36), (37, 38, 39, 40), (42, 44, 46, 51, 53, 59)
BASS = range(32, 40)
DRUM_NOTES = BASS_NOTES = 8  # a piece with fewer has no drums, no bass
STEADY_BARS = 4
FEWEST_NOTES = 8  # of a piece
CLASHES = (1, 6, 11)  # semitones, octaves taken out
SOON = 0.13  # quarter notes: at the bar line
CHORDS = [(root, tones) for root in range(12) for tones in ((0, 4, 7), (0, 3, 7), (0, 7))]


@dataclass(frozen=True)
class Piece:
    """Notes ordered by onset, and where bars begin; all times in quarter notes."""

    onset: np.ndarray
    end: np.ndarray
    program: np.ndarray  # General MIDI's number, or DRUMS
    pitch: np.ndarray
    bar_starts: np.ndarray  # of the bars up to the last onset, and the end of that bar
    parts: int = 1  # lines of one track, channel and program

    @property
    def bars(self) -> int:
        return len(self.bar_starts) - 1

    @property
    def bar(self) -> np.ndarray:
        """The bar in which each note begins."""
        return np.searchsorted(self.bar_starts, self.onset + 1e-6, side="right") - 1

    @property
    def place(self) -> np.ndarray:
        """Sixteenths from the bar line to each note's onset, rounded."""
        return np.round((self.onset - self.bar_starts[self.bar]) * 4).astype(int)

    def select(self, chosen: np.ndarray) -> Piece:
        """The chosen notes alone, in the same bars."""
        return Piece(self.onset[chosen], self.end[chosen], self.program[chosen], self.pitch[chosen], self.bar_starts)


def read(path: Path, bar: float | None = None) -> Piece:
    """A MIDI file; `bar` is the length of bars, in quarter notes, where a file names none of two quarters or more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of marks outside the first track, which it reads all the same
        file = pretty_midi.PrettyMIDI(str(path))
    rows = sorted(
        (
            file.time_to_tick(note.start) / file.resolution,
            file.time_to_tick(note.end) / file.resolution,
            DRUMS if instrument.is_drum else instrument.program,
            note.pitch,
        )
        for instrument in file.instruments
        for note in instrument.notes
    )
    onset, end, program, pitch = np.array(rows, float).reshape(-1, 4).T
    metres = [
        (file.time_to_tick(mark.time) / file.resolution, 4 * mark.numerator / mark.denominator)
        for mark in file.time_signature_changes
    ]
    if bar is not None and all(length < 2 for _, length in metres):
        metres = [(0.0, bar)]
    starts, length = [0.0], 4.0
    while starts[-1] <= max(onset, default=0.0):
        length = next((quarters for at, quarters in reversed(metres) if at <= starts[-1] + 1e-6), length)
        starts.append(starts[-1] + length)
    parts = sum(bool(instrument.notes) for instrument in file.instruments)
    return Piece(onset, end, program.astype(int), pitch.astype(int), np.array(starts), parts)


def likeness(one: set[int], other: set[int]) -> float:
    """F1 of two sets, of which one at least is not empty."""
    return 2 * len(one & other) / (len(one) + len(other))


def steadiness(piece: Piece, drums: Sequence[int]) -> float | None:
    """Mean likeness of the places of some drums in a bar to those in the bar before."""
    strokes = piece.select((piece.program == DRUMS) & np.isin(piece.pitch, drums))
    patterns: list[set[int]] = [set() for _ in range(piece.bars)]
    for bar, place in zip(strokes.bar, strokes.place, strict=True):
        patterns[bar].add(place)
    if sum(map(bool, patterns)) < STEADY_BARS:
        return None
    pairs = [(one, other) for one, other in zip(patterns, patterns[1:], strict=False) if one or other]
    return float(np.mean([likeness(*pair) for pair in pairs]))


def sounding(piece: Piece, start: float, end: float) -> np.ndarray:
    """Quarter notes for which each pitch class sounds between two times."""
    lasts = np.minimum(piece.end, end) - np.maximum(piece.onset, start)
    heard = lasts > 0
    return np.bincount(piece.pitch[heard] % 12, lasts[heard], minlength=12)


def root_of(heard: np.ndarray) -> int:
    """The root of the triad or fifth whose tones sound most; a little weight on the root decides between equals."""
    return max(
        (heard[[(root + tone) % 12 for tone in tones]].sum() / np.sqrt(len(tones)) + 0.02 * heard[root], root)
        for root, tones in CHORDS
    )[1]


def bass_on_root(piece: Piece, bass: Piece, others: Piece) -> float | None:
    """Share of the bars whose first bass note, at the bar line, is the root of what the others sound."""
    right = []
    for start, end in zip(piece.bar_starts, piece.bar_starts[1:], strict=False):
        first = np.flatnonzero((bass.onset >= start - 1e-6) & (bass.onset < start + SOON))
        heard = sounding(others, start, end)
        if len(first) and heard.sum() > 0:
            right.append(bass.pitch[first[0]] % 12 == root_of(heard))
    return float(np.mean(right)) if len(right) >= STEADY_BARS else None


def clashes(bass: Piece, others: Piece) -> float | None:
    """Share of the notes sounding when a bass note begins that clash with it."""
    intervals = [
        (others.pitch[(others.onset <= onset + 0.05) & (others.end > onset + 0.1)] - pitch) % 12
        for onset, pitch in zip(bass.onset, bass.pitch, strict=True)
    ]
    together = np.concatenate(intervals)
    return float(np.isin(together, CLASHES).mean()) if len(together) else None


def measure(piece: Piece) -> dict[str, float]:
    """The figures of one piece; one that it doesn't have is not there."""
    found: dict[str, float | None] = {}
    line_ups: list[set[int]] = [set() for _ in range(piece.bars)]
    for bar, program in zip(piece.bar, piece.program, strict=True):
        line_ups[bar].add(program)
    found["parts"] = piece.parts
    found["programs"] = len(np.unique(piece.program))
    found["active in a bar"] = float(np.mean([len(line_up) for line_up in line_ups]))
    changes = [one != other for one, other in zip(line_ups, line_ups[1:], strict=False)]
    found["line-up changes"] = float(np.mean(changes)) if changes else None
    if np.sum(piece.program == DRUMS) >= DRUM_NOTES:
        for name, drums in (("kick", KICK), ("snare", SNARE), ("hat", HAT)):
            found[name] = steadiness(piece, drums)
        snare = piece.select((piece.program == DRUMS) & np.isin(piece.pitch, SNARE))
        if len(snare.onset):
            found["snare on 2 and 4"] = float(np.isin(snare.place % 16, (4, 12)).mean())
    bass = piece.select(np.isin(piece.program, BASS))
    others = piece.select((piece.program != DRUMS) & ~np.isin(piece.program, BASS))
    if len(bass.onset) >= BASS_NOTES and len(others.onset):
        found["bass on root"] = bass_on_root(piece, bass, others)
        found["clashes"] = clashes(bass, others)
    gone = []
    for program in np.unique(piece.program):
        bars = piece.bar[piece.program == program]
        if len(np.unique(bars)) >= STEADY_BARS and bars.min() < piece.bars / 2:
            gone.append(bars.max() < 0.66 * piece.bars)
    found["gone in the last third"] = float(np.mean(gone)) if gone else None
    found["pulse"] = float(np.abs(np.exp(2j * np.pi * piece.onset * 4).mean()))
    return {name: float(value) for name, value in found.items() if value is not None}


ROWS = (
    "parts",
    "programs",
    "active in a bar",
    "line-up changes",
    "kick",
    "snare",
    "hat",
    "snare on 2 and 4",
    "bass on root",
    "clashes",
    "gone in the last third",
    "pulse",
)
COUNTS = ("parts", "programs", "active in a bar")  # the others are shares


def means(pieces: Iterable[Piece]) -> dict[str, tuple[float, int]]:
    """Mean of each figure, and of how many pieces."""
    found = [measure(piece) for piece in pieces]
    values = {name: [figures[name] for figures in found if name in figures] for name in ROWS}
    return {name: (float(np.mean(each)), len(each)) for name, each in values.items() if each}


def table(real: Sequence[Piece], composed: Sequence[Piece]) -> Iterable[str]:
    """The lines of the table, in Markdown."""
    columns = [(means(pieces), len(pieces)) for pieces in (real, composed)]
    yield f"| | real ({len(real)}) | composed ({len(composed)}) |"
    yield "|---|---:|---:|"
    for name in ROWS:
        cells = []
        for figures, count in columns:
            mean, of = figures.get(name, (np.nan, 0))
            text = "-" if not of else f"{mean:.1f}" if name in COUNTS else f"{mean:.1%}"
            cells.append(text if of in (0, count) else f"{text} ({of})")
        yield f"| {name} | {' | '.join(cells)} |"


def nats(per_note: Path) -> dict[str, float]:
    """Nats per note of each field, from what `melodygru evaluate --per-note` writes; the ends of pieces count."""
    with per_note.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    notes = sum(row["pitch"] != "" for row in rows)
    fields = [name for name in rows[0] if name.startswith("nats_")]
    return {name.removeprefix("nats_"): sum(float(row[name]) for row in rows) / notes for name in fields}


def melodygru(*arguments: object) -> str:
    """What a command prints on stdout; talk goes to stderr as it is."""
    command = [sys.executable, "-m", "melodygru", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"melodygru {arguments[0]} ended with status {done.returncode}")
    return done.stdout


def train(folder: Path, minutes: float, seed: int, output: Path) -> None:
    """Train a model on a folder's train/ for some minutes, judged by its valid/."""
    budget = ("--minutes", minutes, "--seed", seed)
    melodygru("train", folder / "train", "--validation", folder / "valid", *budget, "--output", output, "--force")


def measurable(paths: Iterable[Path], bar: float | None) -> list[Piece]:
    """The pieces with enough notes to measure."""
    pieces = [read(path, bar) for path in paths]
    return [piece for piece in pieces if len(piece.onset) >= FEWEST_NOTES]


def begins(piece: Piece, bars: int | None) -> bool:
    """Whether the first bars of a piece have enough notes to go on from, and others follow."""
    if bars is None or piece.bars <= bars:
        return False
    return int(np.sum(piece.onset < piece.bar_starts[bars])) >= FEWEST_NOTES


def midi_files(folder: Path) -> list[Path]:
    """The MIDI files of a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mid", ".midi"))


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--minutes", default=10.0, show_default=True, help="Of training.")
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="A checkpoint; nothing is trained.")
@click.option("-n", "number", default=20, show_default=True, type=click.IntRange(1), help="Pieces composed.")
@click.option("--bars", default=32, show_default=True, type=click.IntRange(1), help="Of each, after a primer.")
@click.option("--temperature", default=1.0, show_default=True)
@click.option("--top-p", type=float, help="As of generate.  [default: generate's]")
@click.option("--primer-bars", type=click.IntRange(1), help="Continue so many first bars of each held-out piece.")
@click.option("--bar", type=float, help="Quarter notes in a bar of files that have no metre.")
@click.option("--seed", default=0, show_default=True, help="Of training; that of composing is one more.")
@click.option("--real", is_flag=True, help="Measure the held-out pieces alone.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Where model and pieces stay.")
def main(
    folder: Path,
    minutes: float,
    model: Path | None,
    number: int,
    bars: int,
    temperature: float,
    top_p: float | None,
    primer_bars: int | None,
    bar: float | None,
    seed: int,
    real: bool,
    keep: Path | None,
) -> None:
    valid = folder / "valid"
    held_out = midi_files(valid)
    if not held_out:
        raise click.ClickException(f"{valid} holds no MIDI files: expected {folder} to have train/ and valid/")
    originals = measurable(held_out, bar)
    if real:
        click.echo("\n".join(table(originals, [])))
        return
    with tempfile.TemporaryDirectory() as scratch:
        work = keep or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        output = work / (f"after-{primer_bars}-bars" if primer_bars else "composed")
        if output.exists():
            raise click.ClickException(
                f"{output} is there already: its pieces would be measured, too; name another --keep"
            )
        if model is None:
            model = work / "model.keras"
            train(folder, minutes, seed, model)
        melodygru("evaluate", valid, "--model", model, "--per-note", work / "nats.csv", "--json")
        options: list[object] = ["--model", model, "--bars", bars, "--temperature", temperature, "--seed", seed + 1]
        options += [] if top_p is None else ["--top-p", top_p]
        if primer_bars is None:
            melodygru("generate", "-n", number, *options, "-o", output)
        for path in [path for path in held_out if begins(read(path, bar), primer_bars)][:number]:
            primer = ("--primer", path, "--primer-bars", f"1:{primer_bars}", "--no-primer")
            melodygru("generate", *primer, *options, "-o", output / path.stem)
        composed = measurable(midi_files(output), bar)
        fields = nats(work / "nats.csv")
    click.echo("\n".join(table(originals, composed)))
    costs = ", ".join(f"{name} {value:.2f}" for name, value in fields.items())
    click.echo(f"\nnats a note on {valid.name}: {sum(fields.values()):.3f} ({costs})")
    click.echo(json.dumps({"nats": fields} | {name: mean for name, (mean, _) in means(composed).items()}), err=True)


if __name__ == "__main__":
    main()
