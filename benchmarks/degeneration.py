"""How often pieces degenerate, guarded and not, and whether the guard costs style.

    python benchmarks/degeneration.py [MODEL] [--outputs 1000] [--temperatures 0.6,0.8,1.0,1.2,1.4]

Pieces are composed in batches of 64, guarded and unguarded with the same seeds, to where the model ends them. Two
judges look at the finished pieces. The first is the guard's own, `find_degeneration`, on the notes as they were
written. The second knows nothing of it: some stretch of 128 notes, written as intervals, times from onset to onset
and durations, is packed by zlib into fewer bytes than any stretch of 99.9% of the real pieces (`--train`). Style is
the mean overlapping area with held-out pieces, as `melodygru judge` has it. Real pieces stand in the first row: what
the judges find there are false alarms.
"""

from __future__ import annotations

import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from melodygru.compose.degeneration import Thresholds
    from melodygru.music.notes import NoteSequence

BATCH = 64
WINDOW, HOP = 128, 16  # notes
RARE = 0.001  # share of the real pieces that the second judge calls degenerate


@click.command(help=__doc__)
@click.argument("model", type=click.Path(path_type=Path), required=False)
@click.option("--outputs", type=click.IntRange(2), default=1000, show_default=True, help="Pieces at each temperature.")
@click.option("--temperatures", default="0.6,0.8,1.0,1.2,1.4", show_default=True)
@click.option("--bars", type=click.IntRange(1), help="Length of the pieces.  [default: where the model ends them]")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Likewise, for music without bars.")
@click.option("--notes", type=click.IntRange(1), help="Likewise.")
@click.option("--train", type=click.Path(exists=True, path_type=Path), default=ROOT / "data" / "starter")
@click.option("--valid", type=click.Path(exists=True, path_type=Path), help="Held-out pieces.  [default: of --train]")
@click.option("--seed", default=0, show_default=True)
def main(
    model: Path | None,
    outputs: int,
    temperatures: str,
    bars: int | None,
    seconds: float | None,
    notes: int | None,
    train: Path,
    valid: Path | None,
    seed: int,
) -> None:
    from melodygru.analysis.style import compare, mean_overlapping_area, measure
    from melodygru.compose import Action, Controls, Length, compose
    from melodygru.compose.degeneration import Thresholds, find_degeneration
    from melodygru.corpus import intake, split
    from melodygru.model import checkpoint
    from melodygru.model.numpy_model import NumpyModel

    network = NumpyModel(checkpoint.read(checkpoint.find(model)))
    grid = network.vocabulary.grid
    corpus = intake(train, grid=grid)
    held_out = intake(valid, grid=grid) if valid is not None else split(corpus)[1]
    real, thresholds = list(corpus), Thresholds.from_vocabulary(network.vocabulary)
    floor = float(np.quantile([packed(piece) for piece in real], RARE, method="lower"))
    judges: dict[str, Callable[[NoteSequence], bool]] = {
        "detectors": lambda piece: find_degeneration(piece, thresholds) is not None,
        "zlib": lambda piece: packed(piece) < floor,
    }
    style = measure(held_out)
    click.echo("| | pieces | notes | degenerate: detectors | zlib | either | overlapping area | taken back |")
    click.echo("|---|---|---|---|---|---|---|---|")
    click.echo(row("real pieces", real, judges, mean_overlapping_area(compare(measure(real), style, seed)), ""))
    for temperature in map(float, temperatures.split(",")):
        for guard in (False, True):
            actions: list[Action] = []
            pieces: list[NoteSequence] = []
            while len(pieces) < outputs:
                pieces += compose(
                    network,
                    min(BATCH, outputs - len(pieces)),
                    seed + len(pieces),
                    controls=Controls(temperature, top_p=None),
                    length=Length(bars, seconds, notes),
                    guard=guard,
                    on_guard=actions.append,
                )
            pieces = [piece for piece in pieces if len(piece)]
            area = mean_overlapping_area(compare(measure(pieces), style, seed))
            taken = sum(action.taken for action in actions) / max(1, sum(map(len, pieces)))
            acted = Counter(action.outcome for action in actions)
            about = f"{taken:.2%} of the notes ({acted['ended']} ended, {acted['let be']} let be)" if guard else ""
            name = f"temperature {temperature:g}, {'guarded' if guard else 'unguarded'}"
            click.echo(row(name, pieces, judges, area, about))
            kinds = Counter(why for why in (kind(piece, thresholds) for piece in pieces) if why)
            if kinds:
                click.echo(f"  {name}: {', '.join(f'{why} {n}' for why, n in kinds.most_common())}", err=True)


def row(
    name: str,
    pieces: Sequence[NoteSequence],
    judges: dict[str, Callable[[NoteSequence], bool]],
    area: float | None,
    about: str,
) -> str:
    """A row of the table."""
    found = np.array([[judge(piece) for judge in judges.values()] for piece in pieces])
    shares = [*found.mean(0), found.any(1).mean()]
    cells = [name, f"{len(pieces):,}", f"{sum(map(len, pieces)):,}", *(f"{share:.2%}" for share in shares)]
    return "| " + " | ".join([*cells, "-" if area is None else f"{area:.3f}", about]) + " |"


def kind(piece: NoteSequence, thresholds: Thresholds) -> str | None:
    """What a piece degenerated into by the detectors, numbers left out."""
    from melodygru.compose.degeneration import find_degeneration

    found = find_degeneration(piece, thresholds)
    return None if found is None else " ".join(word for word in found.why.split() if not word.isdecimal())


def packed(piece: NoteSequence) -> int:
    """Bytes that zlib packs the piece's least varied WINDOW notes into; of a shorter piece more than it ever does."""
    notes = piece.notes
    if len(notes) < WINDOW:
        return 4 * WINDOW
    steps = (
        np.diff(notes["onset"], prepend=notes["onset"][:1]),
        np.diff(notes["pitch"], prepend=60),
        notes["duration"],
    )
    text = np.stack([np.clip(values, -128, 127) for values in steps], 1).astype(np.int8)
    return min(len(zlib.compress(text[start : start + WINDOW].tobytes(), 9)) for start in _starts(len(notes)))


def _starts(n: int) -> Iterable[int]:
    """Where the stretches of `n` notes begin."""
    return range(0, n - WINDOW + 1, HOP)


if __name__ == "__main__":
    main()
