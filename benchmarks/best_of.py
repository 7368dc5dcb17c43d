"""What the best of several candidates is worth: the figures of pieces kept out of 1, 2, 4, 8 and 16.

    python benchmarks/best_of.py FOLDER --model MODEL.keras            # FOLDER has valid/, real pieces to compare with
    python benchmarks/best_of.py FOLDER --model MODEL.keras --bars 32 --style jigs

Candidates are composed once, as `melodygru generate` does; then, 400 times, N of them are drawn and one is
chosen as `--best-of N` chooses. Means over what is chosen, by `music.traits`; 1 is any candidate. The last row is the
processor's time for N candidates of a piece, measuring them included, over that for one.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from melodygru.compose.choosing import Chooser
from melodygru.compose.composer import Composer
from melodygru.compose.settings import GenerateSettings
from melodygru.corpus import intake
from melodygru.model.trace import Tracer
from melodygru.music.traits import TRAITS, traits

COUNTS = (1, 2, 4, 8, 16)
RESAMPLED = 400
BATCH = 32  # candidates composed at a time


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", required=True, type=click.Path(exists=True, path_type=Path), help="A checkpoint.")
@click.option("-n", "number", default=128, show_default=True, type=click.IntRange(16), help="Candidates composed.")
@click.option("--bars", type=click.IntRange(1), help="Of each.  [default: the model ends it]")
@click.option("--style", help="Of the candidates; the real pieces are those of valid/STYLE.")
@click.option("--seed", default=1, show_default=True)
@click.option("--cost/--no-cost", default=True, show_default=True, help="Whether time is measured, too.")
def main(folder: Path, model: Path, number: int, bars: int | None, style: str | None, seed: int, cost: bool) -> None:
    composer = Composer.load(model)
    settings = GenerateSettings(bars=bars, style=style)
    chooser = Chooser(composer.checkpoint, composer.model, composer.index, settings)
    tracer = Tracer(composer.model)
    valid = folder / "valid" / (style or "")
    real = [
        {**traits(piece), "nats": float(tracer.trace(piece).nats.sum()) / max(1, len(piece)), "copies": np.nan}
        for piece in intake(valid, grid=composer.vocabulary.grid, deduplicate=False)
    ]
    candidates, measured = [], []
    for first in range(0, number, BATCH):
        count = min(BATCH, number - first)
        some = composer.generate(GenerateSettings(num_outputs=count, bars=bars, style=style, seed=seed + first))
        for piece in some:
            one = chooser.measure(piece)
            measured.append(one)
            candidates.append({**traits(piece), "nats": one.figures.get("nats_a_note", np.nan), "copies": one.copies})
        click.echo(f"composed {len(candidates)} of {number}", err=True)
    rng = np.random.default_rng(seed)
    chosen = {}
    for count in COUNTS:
        drawn = [rng.choice(number, count, replace=False) for _ in range(RESAMPLED)]
        chosen[count] = [candidates[at[chooser.choose([measured[i] for i in at]).candidate - 1]] for at in drawn]
    chosen[1] = candidates
    click.echo(f"| {folder.name} | real ({len(real)}) | {' | '.join(f'best of {n}' for n in COUNTS)} |")
    click.echo(f"|---|---:|{'---:|' * len(COUNTS)}")
    for name in (*TRAITS, "nats", "copies"):
        cells = []
        for pieces in (real, *chosen.values()):
            values = [piece[name] for piece in pieces if not np.isnan(piece[name])]
            cells.append(f"{np.mean(values):.3g}" if values else "-")
        click.echo(f"| {name} | {' | '.join(cells)} |")
    if cost:
        taken = [time_of(composer, settings, count) for count in COUNTS]
        click.echo(f"| time | | {' | '.join(f'{one / taken[0]:.2g}' for one in taken)} |")


def time_of(composer: Composer, settings: GenerateSettings, count: int) -> float:
    """The processor's seconds for a piece that is the best of some."""
    started = time.process_time()
    composer.generate(GenerateSettings(bars=settings.bars, style=settings.style, best_of=count, seed=0))
    return time.process_time() - started


if __name__ == "__main__":
    main()
