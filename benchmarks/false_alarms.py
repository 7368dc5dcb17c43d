"""How many real pieces, and how many composed ones, each detector of the guard flags.

    python benchmarks/false_alarms.py TRAIN [HELD_OUT ...] [--model MODEL]

The limits are those that `melodygru train` would learn from TRAIN, or with `--usual` those of a checkpoint without any.
Each fold of TRAIN is judged by the limits of the others, and HELD_OUT by those of all. With `--model` pieces are
composed, unguarded, and judged by TRAIN's limits where the grids agree, else by the model's own; both the usual limits
and those learned are counted on the same pieces. Last come degenerate pieces made by hand.
"""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

sys.path.insert(0, str(Path(__file__).parent.parent))

if TYPE_CHECKING:
    from melodygru.compose.degeneration import Thresholds
    from melodygru.events import Vocabulary
    from melodygru.music.grid import Grid
    from melodygru.music.notes import NoteSequence

N_FOLDS = 5


@click.command(help=__doc__)
@click.argument("train", type=click.Path(exists=True, path_type=Path))
@click.argument("held_out", type=click.Path(exists=True, path_type=Path), nargs=-1)
@click.option("--model", type=click.Path(path_type=Path))
@click.option("--outputs", type=click.IntRange(1), default=100, show_default=True, help="Pieces at each temperature.")
@click.option("--temperatures", default="0.8,1.0", show_default=True)
@click.option("--bars", type=click.IntRange(1), help="Length of the pieces.  [default: where the model ends them]")
@click.option("--style", help="Style of the composed pieces, and of the limits that judge them.")
@click.option("--usual", is_flag=True, help="Leave out what is learned of the corpus.")
def main(
    train: Path,
    held_out: tuple[Path, ...],
    model: Path | None,
    outputs: int,
    temperatures: str,
    bars: int | None,
    style: str | None,
    usual: bool,
) -> None:
    from melodygru.compose import Controls, Length, compose
    from melodygru.compose.degeneration import Thresholds
    from melodygru.corpus import intake
    from melodygru.events.fitting import fit_vocabulary
    from melodygru.model import checkpoint
    from melodygru.model.numpy_model import NumpyModel

    corpus = intake(train)
    pieces = [
        (piece, style)
        for piece, style in zip(corpus, (about.style for about in corpus.pieces), strict=True)
        if len(piece)
    ]
    grid = corpus.grid

    def learned(some: Iterable[tuple[NoteSequence, str | None]]) -> Vocabulary:
        vocabulary = fit_vocabulary(some, grid)
        return without(vocabulary) if usual else vocabulary

    whole = learned(pieces)
    folds = [learned(pair for at, pair in enumerate(pieces) if at % N_FOLDS != n) for n in range(N_FOLDS)]
    say("TRAIN itself", [(piece, Thresholds.from_vocabulary(whole, of)) for piece, of in pieces])
    by_fold = [(piece, Thresholds.from_vocabulary(folds[at % N_FOLDS], of)) for at, (piece, of) in enumerate(pieces)]
    say(f"TRAIN, {N_FOLDS} folds", by_fold)
    for folder in held_out:
        other = intake(folder, grid=grid)
        judged = [
            (p, Thresholds.from_vocabulary(whole, s))
            for p, s in zip(other, (about.style for about in other.pieces), strict=True)
            if len(p)
        ]
        say(f"held out: {folder.name}", judged)
    if model is not None:
        network = NumpyModel(checkpoint.read(checkpoint.find(model)))
        own = network.vocabulary.grid
        vocabulary = whole if own == grid else network.vocabulary
        limits, usual_limits = (Thresholds.from_vocabulary(v, style) for v in (vocabulary, without(vocabulary)))
        click.echo(f"limits of {'TRAIN' if own == grid else 'the model'}: {limits}", err=True)
        for temperature in map(float, temperatures.split(",")):
            composed = compose(
                network,
                outputs,
                0,
                controls=Controls(temperature, top_p=None),
                length=Length(bars),
                style=style,
                guard=False,
            )
            for name, of in (("usual", usual_limits), ("learned", limits)):
                say(f"composed, temperature {temperature:g}, {name} limits", [(p, of) for p in composed if len(p)])
    for name, piece in by_hand(grid).items():
        say(name, [(piece, Thresholds.from_vocabulary(whole))])


def without(vocabulary: Vocabulary) -> Vocabulary:
    """The vocabulary of a checkpoint that knows no extremes, but the fewest trigrams."""
    from melodygru.music.extremes import MARGIN

    counted = vocabulary.statistics
    if not counted.extremes:
        return vocabulary
    counted = dataclasses.replace(counted, extremes=(), diversity=round(counted.extremes[-1][-1] * MARGIN))
    return dataclasses.replace(vocabulary, statistics=counted)


def say(name: str, judged: Sequence[tuple[NoteSequence, Thresholds]]) -> None:
    """A line: how many of the pieces are flagged, and by what."""
    from melodygru.compose.degeneration import find_degeneration

    kinds: Counter[str] = Counter()
    for piece, thresholds in judged:
        if (found := find_degeneration(piece, thresholds)) is not None:
            kinds[" ".join(word for word in found.why.split() if not word.isdecimal())] += 1
    about = ", ".join(f"{why} {n}" for why, n in kinds.most_common())
    n = sum(kinds.values())
    click.echo(f"{name}: {n} of {len(judged):,} ({n / max(1, len(judged)):.1%})" + (f": {about}" if about else ""))


def by_hand(grid: Grid) -> dict[str, NoteSequence]:
    """Degenerate pieces of two minutes or so, by what is wrong with them."""
    import numpy as np

    from melodygru.music.notes import DRUMS, NOTE, NoteSequence, canonical

    beat = round(float(grid.steps_per_beat or float(grid.steps_per_second or 0) / 2))
    half, rng = max(1, beat // 2), np.random.default_rng(0)

    def piece(notes: list[tuple[int, int, int, int]], length: int = 0) -> NoteSequence:
        array = np.zeros(len(notes), NOTE)
        for name, values in zip(("onset", "duration", "program", "pitch"), zip(*notes, strict=True), strict=True):
            array[name] = values
        array["velocity"] = 80
        array, *_ = canonical(array)
        return NoteSequence(array, grid, length=max(length, int((array["onset"] + array["duration"]).max())))

    two_bars = [
        (at * half, half, program, int(rng.integers(low, low + 30)))
        for at in range(16)
        for program, low in ((0, 60), (33, 30), (48, 50))
    ] + [(at * half, half, DRUMS, 36 + 6 * (at % 2)) for at in range(16)]
    tune = [(at * half, half, 0, int(pitch)) for at, pitch in enumerate(rng.integers(48, 84, 64))]
    return {
        "by hand: one pitch for ever": piece([(at * half, half, 0, 60) for at in range(480)]),
        "by hand: silence": piece(tune, 400 * beat),
        "by hand: a cluster without end": piece([(at * half, 480 * beat, 0, 20 + at) for at in range(100)]),
        "by hand: two bars of a tune, 30 times": piece(
            [(onset + 8 * beat * n, *rest) for n in range(30) for onset, *rest in tune[:16]]
        ),
        "by hand: two bars of a band, 16 times": piece(
            [(onset + 8 * beat * n, *rest) for n in range(16) for onset, *rest in two_bars]
        ),
    }


if __name__ == "__main__":
    main()
