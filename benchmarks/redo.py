"""Redo on real music: what is kept, how the seam sounds to the model, how alike what is new is to what stood there.

    python benchmarks/redo.py chorales --data DATA/jsb16/valid --pieces 8
    python benchmarks/redo.py bands --data DATA/bands/valid --pieces 6
    python benchmarks/redo.py add --data data/starter/airs --pieces 6
    python benchmarks/redo.py loops --data DATA/jsb16/valid --pieces 8
    python benchmarks/redo.py large --data DATA/bands/train      # memory: 500 bars of 16 parts

The seed is the piece's number. Nats are those of --judge, a checkpoint trained on other music; without one, those of
the model itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

if TYPE_CHECKING:
    from melodygru.compose.candidates import Candidate
    from melodygru.compose.composer import Composer
    from melodygru.model.trace import Tracer
    from melodygru.music.notes import NoteSequence

BARS = "5:8"
LARGE_BARS, LARGE_PARTS = 500, 16
DRUMS = 128


@click.command(help=__doc__)
@click.argument("kind", type=click.Choice(["chorales", "bands", "add", "loops", "large"]))
@click.option(
    "--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="MIDI files."
)
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="Checkpoint; default: the shipped one.")
@click.option("--judge", type=click.Path(exists=True, path_type=Path), help="Checkpoint that says the nats.")
@click.option("--pieces", default=8, show_default=True, help="How many of them, evenly spread over their names.")
@click.option("--candidates", default=2, show_default=True, help="Of each piece.")
@click.option("--particles", default=16, show_default=True, help="Of each candidate.")
def main(
    kind: str, data: Path, model: Path | None, judge: Path | None, pieces: int, candidates: int, particles: int
) -> None:
    from parts.files import midi_files

    from melodygru.compose.composer import Composer
    from melodygru.model.trace import Tracer

    files = midi_files(data)
    if kind == "large":
        large(files, model, candidates, particles)
        return
    composer = Composer.load(model)
    tracer = Tracer(Composer.load(judge).model if judge else composer.model)
    chosen = [files[at] for at in np.linspace(0, len(files) - 1, min(pieces, len(files))).astype(int)]
    measure = MEASURES[kind]
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for number, path in enumerate(chosen):
        for what, figures in measure(composer, tracer, path, number, candidates, particles):
            found[what].append(figures)
        click.echo(f"{number + 1} of {len(chosen)}", err=True)
    for what, rows in found.items():
        click.echo(f"{what} ({len(rows)})")
        for name in dict.fromkeys(name for row in rows for name in row):
            values = [row[name] for row in rows if name in row]
            whole = name.startswith("n ")
            click.echo(f"  {name}: {sum(values):,.0f}" if whole else f"  {name}: {np.nanmean(values):.4f}")


Measured = Iterator[tuple[str, dict[str, float]]]


def redone(composer: Composer, path: Path, seed: int, n: int, particles: int, **mask: Any) -> list[Candidate]:
    """The candidates of a piece; none where it doesn't have what is asked for."""
    from melodygru.compose.redo_settings import RedoSettings
    from melodygru.errors import SettingError

    try:
        return composer.redo(path, RedoSettings(seed=seed, num_outputs=n, particles=particles, **mask))
    except SettingError as error:
        click.echo(f"{path.name}: {error}", err=True)
        return []


def chorale(composer: Composer, tracer: Tracer, path: Path, seed: int, n: int, particles: int) -> Measured:
    """Bars 5 to 8 of each part, and of all."""
    from melodygru.compose.original import Original
    from melodygru.compose.primer import Source

    original = Original.of(Source.from_given(path), composer.vocabulary)
    old, order = original.editor.reading.sequence, original.part_numbers()
    lines = old.bar_starts()
    if len(lines) < 10 or len(old.part_programs) != 4:
        return
    first, last, after = int(lines[4]), int(lines[8]), int(lines[min(10, len(lines) - 1)])
    for parts in ("1", "2", "3", "4", "1:4"):
        mask = {"bars": BARS} | ({} if parts == "1:4" else {"parts": parts})
        made = redone(composer, path, seed, n, particles, **mask)
        for one in made:
            free = _inside(old, first, last) & (
                np.ones(len(old), bool) if parts == "1:4" else _part(old, order[int(parts) - 1])
            )
            yield (
                parts,
                {
                    "n candidates": 1,
                    "n with all kept notes identical": float(not _rows(old, ~free) - _rows(one)),
                    "nats a note of the two bars after": _nats(tracer, one, last, after),
                    "the same of Bach's": _nats(tracer, old, last, after),
                    "overlap of pitches": _overlap(old, one, first, last, "pitch"),
                    "overlap of durations": _overlap(old, one, first, last, "duration"),
                    "overlap of onsets in the bar": _overlap(old, one, first, last, "onset", int(lines[1])),
                    "parallels": parallels(one, first, last),
                    "parallels of Bach": parallels(old, first, last),
                    "likeness": one.likeness,
                },
            )
        if len(made) > 1:
            pairs = list(combinations([one.data for one in made], 2))
            yield "pairs", {"different": float(np.mean([a != b for a, b in pairs]))}


def band(composer: Composer, tracer: Tracer, path: Path, seed: int, n: int, particles: int) -> Measured:
    """Drums, bass and the highest part in turn, in bars 9 to 16; figures of the whole piece."""
    import tempfile

    import bands

    from melodygru.compose.original import Original
    from melodygru.compose.primer import Source

    original = Original.of(Source.from_given(path), composer.vocabulary)
    old = original.editor.reading.sequence
    programs, order = old.part_programs.tolist(), original.part_numbers()
    pitches = {p: old.notes["pitch"][old.notes["part"] == p].mean() for p in order if programs[p] != DRUMS}
    lines = np.maximum(original.sequence.bar_starts() + original.origin, 0)  # the bars that redo finds
    if len(lines) < 19 or not pitches:
        return
    found = {
        "drums": next((p for p in order if programs[p] == DRUMS), None),
        "bass": next((p for p in order if 32 <= programs[p] < 40), None),
        "melody": max(pitches, key=pitches.__getitem__),
    }
    real = bands.measure(bands.read(path))
    last, steps = int(lines[16]), original.bar_lines()
    # In steps: a note beside the grid is in the bar that it is nearest to.
    inside = (original.onset >= steps[8]) & (original.onset < steps[16])
    for what, part in found.items():
        if part is None or not (_part(old, part) & inside).any():
            continue
        for one in redone(composer, path, seed, n, particles, bars="9:16", parts=str(order.index(part) + 1)):
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "one.mid"
                one.save(file)
                new = bands.measure(bands.read(file))
            free = _part(old, part) & inside
            figures = {f"{name}, over the real one's": new[name] / real[name] for name in new if real.get(name)}
            new_notes = (_rows(one) - _rows(old)).total()
            yield (
                what,
                {
                    "n candidates": 1,
                    "n with all kept notes identical": float(not _rows(old, ~free) - _rows(one)),
                    "nats a note of two bars after the seam over those of two later": _nats(
                        tracer, one, last, _at(lines, 18)
                    )
                    / _nats(tracer, one, _at(lines, 18), _at(lines, 20)),
                    "the same of the real piece": _nats(tracer, old, last, _at(lines, 18))
                    / _nats(tracer, old, _at(lines, 18), _at(lines, 20)),
                    "notes that aren't in the real one, over its own": new_notes / max(1, free.sum()),
                    **figures,
                },
            )


def added(composer: Composer, tracer: Tracer, path: Path, seed: int, n: int, particles: int) -> Measured:
    """Piano, bass and strings to a melody, bars 1 to 8."""
    from melodygru import midi

    old = midi.read(path).sequence
    for one in redone(composer, path, seed, n, particles, add="piano,bass,strings", bars="1:8"):
        new = Counter(one.part_programs.tolist()) - Counter(old.part_programs.tolist())
        yield (
            "added",
            {
                "n candidates": 1,
                "n with all given notes identical": float(not _rows(old) - _rows(one)),
                "n with a program that was not asked for": float(DRUMS in new or new.total() > 3),
                "parts that play, of three": new.total(),
                "notes added": one.composed,
            },
        )


def loop(composer: Composer, tracer: Tracer, path: Path, seed: int, n: int, particles: int) -> Measured:
    """The last bar again, so that the first may follow."""
    from melodygru import midi
    from melodygru.music.form import bar_returns

    old = midi.read(path).sequence.trimmed()
    lines, returns = old.bar_starts(), bar_returns(old)
    # The first bars of repeats inside the piece, which a bar leads to that led elsewhere before.
    goes_on = (returns[:-1] >= 0) & (returns[1:] == returns[:-1] + 1)
    again = (1 + np.flatnonzero((returns[1:] >= 0) & ~goes_on)).tolist()
    inside = [_nats(tracer, old, int(lines[bar]), int(lines[bar + 1])) for bar in again]
    for one in redone(composer, path, seed, n, particles, loop=True):
        begin, bar = old.length, int(lines[1])
        own = _nats(tracer, old.join(old), begin, begin + bar)
        led = _nats(tracer, _long(one, old.length).join(old), begin, begin + bar)
        figures = {"nats a note of bar 1 after the last, over those after the file's own last bar": led / own}
        if inside:
            figures["over those of a bar that begins a repeat inside the piece"] = led / float(np.mean(inside))
        yield "loops", figures


def large(files: list[Path], model: Path | None, n: int, particles: int) -> None:
    """What `melodygru redo` takes of bars and of a part of the first piece with as many parts, which is repeated."""
    import tempfile

    from melodygru import midi

    pieces = (midi.read(path).sequence for path in files)
    piece = next((one for one in pieces if len(one.part_programs) >= LARGE_PARTS), None)
    if piece is None:
        raise click.ClickException(f"no file there has {LARGE_PARTS} parts")
    whole = piece
    while len(whole.bar_starts()) - 1 < LARGE_BARS:
        whole = whole.join(piece)
    whole = whole.crop(0, int(whole.bar_starts()[LARGE_BARS]))
    click.echo(f"{len(whole):,} notes of {len(whole.part_programs)} parts in {len(whole.bar_starts()) - 1} bars")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.mid"
        midi.write(whole, file)
        for name, mask in {
            "four bars of all parts": ("--bars", "249:252"),
            "one part from end to end": ("--parts", "2"),
        }.items():
            output = Path(folder) / name.replace(" ", "_")
            options = ["-n", n, "--seed", 1, "--particles", particles, *mask, "-o", output]
            options += ["--model", model] if model else []
            command = [sys.executable, "-m", "melodygru", "redo", file, *options]
            began = time.monotonic()
            child = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode:
                raise click.ClickException(f"melodygru redo of {name} ended with status {child.returncode}")
            gigabytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
            click.echo(f"{name}: {gigabytes:.2f} GB at most, {time.monotonic() - began:.0f} s")


# -- figures


def _rows(piece: NoteSequence, which: np.ndarray | None = None) -> Counter[tuple[int, ...]]:
    names = ["onset", "duration", "program", "pitch", "velocity"]
    notes = piece.notes if which is None else piece.notes[which]
    return Counter(map(tuple, notes[names].tolist()))


def _long(piece: NoteSequence, length: int) -> NoteSequence:
    from dataclasses import replace

    from melodygru.music.notes import NoteSequence as Plain

    plain = Plain(piece.notes, piece.grid, piece.length, piece.tempos, piece.metres)
    return replace(plain, length=max(length, plain.music_end))


def _at(lines: np.ndarray, bar: int) -> int:
    return int(lines[min(bar, len(lines) - 1)])


def _inside(piece: NoteSequence, first: int, last: int) -> np.ndarray:
    return (piece.notes["onset"] >= first) & (piece.notes["onset"] < last)


def _part(piece: NoteSequence, part: int) -> np.ndarray:
    return piece.notes["part"] == part


def _nats(tracer: Tracer, piece: NoteSequence, first: int, last: int) -> float:
    """Mean nats of the notes that begin in [first, last), in the piece's own steps."""
    from melodygru.music.quantize import converter, quantize

    convert, _ = converter(piece, tracer.vocabulary.grid)
    held = quantize(piece, tracer.vocabulary.grid)[0]
    trace = tracer.trace(held.crop(0, max(1, int(convert(np.array(last))))))
    onset = trace.sequence.notes["onset"]
    nats = trace.nats[:-1].sum(1)[onset >= convert(np.array(first))]
    return float(nats.mean()) if len(nats) else float("nan")


def _overlap(old: NoteSequence, new: NoteSequence, first: int, last: int, name: str, turn: int = 0) -> float:
    """The overlapping area of the histograms of a field in some bars."""
    shares = []
    for piece in (old, new):
        values = piece.notes[name][_inside(piece, first, last)].astype(np.int64)
        counts = Counter((values % turn if turn else values).tolist())
        shares.append({value: n / max(1, len(values)) for value, n in counts.items()})
    return float(sum(min(share, shares[1].get(value, 0.0)) for value, share in shares[0].items()))


def parallels(piece: NoteSequence, first: int, last: int) -> float:
    """Parallel fifths, octaves and primes between two parts in some bars, a change of chord."""
    onsets = np.unique(piece.notes["onset"][_inside(piece, first, last)])
    notes, n = piece.notes, 0
    chords: list[dict[int, int]] = []
    for onset in onsets:
        sounding = notes[(notes["onset"] <= onset) & (notes["onset"] + notes["duration"] > onset)]
        chords.append(dict(zip(sounding["part"].tolist(), sounding["pitch"].tolist(), strict=True)))
    for one, other in pairwise(chords):
        for a, b in combinations(sorted(one.keys() & other.keys()), 2):
            moved = one[a] != other[a] and one[b] != other[b]
            n += moved and (one[a] - one[b]) % 12 == (other[a] - other[b]) % 12 and (one[a] - one[b]) % 12 in (0, 7)
    return n / max(1, len(onsets) - 1)


MEASURES: dict[str, Callable[..., Measured]] = {"chorales": chorale, "bands": band, "add": added, "loops": loop}

if __name__ == "__main__":
    main()
