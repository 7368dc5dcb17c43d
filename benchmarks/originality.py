"""The originality index at 10^5, 10^6 and 10^7 notes: bytes a note, time to build, time to look a note up.

    python benchmarks/originality.py [MIDI_DIR] [--notes 1e5 --notes 1e6]

The corpora are resampled: pieces of MIDI_DIR, drawn with replacement, transposed, one note in twelve changed in pitch
or duration. What is looked up, note by note as the sampler does, are other such pieces with one note in four changed.
The last column is the time to sample a note with `--model`, in the same run. Times are the processor's, all threads.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from melodygru.music.notes import NoteSequence

LOOKED_UP = 40  # pieces


@click.command(help=__doc__)
@click.argument("midi_dir", type=click.Path(exists=True, path_type=Path), default=ROOT / "data" / "starter")
@click.option("--notes", type=float, multiple=True, default=(1e5, 1e6, 1e7), show_default=True, help="Corpus sizes.")
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="Checkpoint to time sampling with.")
@click.option("--seed", default=0, show_default=True, help="Of the resampling.")
def main(midi_dir: Path, notes: tuple[float, ...], model: Path | None, seed: int) -> None:
    from melodygru.analysis.originality import Index, Matcher
    from melodygru.corpus import intake

    corpus = list(intake(midi_dir))
    rng = np.random.default_rng(seed)
    queries = [edited(corpus[rng.integers(len(corpus))], 1 / 4, rng) for _ in range(LOOKED_UP)]
    sampling_us = time_of_sampling_us(model)
    click.echo(
        "| notes | notes in lines | stride | bytes a note | build, s | look-up, microseconds a note: median | mean "
        "| 99% | sampling, microseconds a note |\n|---|---|---|---|---|---|---|---|---|"
    )
    for size in notes:
        pieces, n_notes = [], 0
        while n_notes < size:
            piece = edited(corpus[rng.integers(len(corpus))], 1 / 12, rng)
            pieces.append((str(len(pieces)), piece))
            n_notes += len(piece)
        started = time.process_time()
        index = Index.build(pieces)
        build_s = time.process_time() - started
        del pieces
        taken_us = []
        for query in queries:
            matcher = Matcher(index)
            for onset, duration, _, program, pitch, _ in query.notes.tolist():
                started = time.process_time()
                matcher.extend(onset, duration, program, pitch)
                taken_us.append(1e6 * (time.process_time() - started))
        text = index.arrays()["text"].nbytes // 2
        click.echo(
            f"| {n_notes:,} | {text:,} | {index.stride} | {index.nbytes / n_notes:.2f} | {build_s:.1f} "
            f"| {np.median(taken_us):.0f} | {np.mean(taken_us):.0f} | {np.quantile(taken_us, 0.99):.0f} "
            f"| {sampling_us:.0f} |"
        )
        del index


def edited(piece: NoteSequence, share: float, rng: np.random.Generator) -> NoteSequence:
    """A piece transposed by at most a fourth, and a share of its notes changed in pitch or duration."""
    from dataclasses import replace

    from melodygru.music.notes import DRUMS, canonical

    notes = piece.notes.copy()
    pitched = notes["program"] != DRUMS
    changed = pitched & (rng.random(len(notes)) < share / 2)
    moved = notes["pitch"] + rng.integers(-5, 6) + changed * rng.integers(-2, 3, len(notes))
    notes["pitch"] = np.where(pitched, np.clip(moved, 0, 127), notes["pitch"])
    changed = rng.random(len(notes)) < share / 2
    notes["duration"] = np.where(changed, np.maximum(1, notes["duration"] // 2), notes["duration"])
    notes, _ = canonical(notes)
    return replace(piece, notes=notes)


def time_of_sampling_us(model: Path | None) -> float:
    """Microseconds to sample a note of one piece: that of a long piece less that of a short one."""
    from melodygru.compose.composer import generate
    from melodygru.model.checkpoint import find, read

    loaded = read(find(model))
    times = {}
    for n in (100, 100, 1100):  # the first warms up
        started = time.process_time()
        generate(loaded, notes=n, seed=1)
        times[n] = time.process_time() - started
    return 1e6 * (times[1100] - times[100]) / 1000


if __name__ == "__main__":
    main()
