"""One change, its figure: train with some settings replaced, and print held-out nats per note, also of each field.

    python benchmarks/ablate.py TRAIN_DIR VALIDATION_DIR --epochs 25 --vocabulary '{"ngram_orders": []}'
    python benchmarks/ablate.py TRAIN_DIR VALIDATION_DIR --epochs 1.5 --without CommonEnd

Options take JSON objects whose names are the fields of `Settings` (melodygru.training), `Architecture`
(melodygru.model) and `Vocabulary` (melodygru.events); all else is as `melodygru train` chooses it. The last line
is one JSON object.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def ablate(
    train: Any,
    validation: Any,
    *,
    preset: str = "small",
    settings: dict[str, Any] | None = None,
    architecture: dict[str, Any] | None = None,
    vocabulary: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train on a corpus with some values replaced, and judge by another; both as `corpus.intake` gives them."""
    from melodygru.events import FIELDS
    from melodygru.model.keras_model import load_model
    from melodygru.model.where import on_gpu
    from melodygru.training import (
        Settings,
        Trainer,
        evaluate,
        fit,
        is_mixed_precision,
        new_model,
    )
    from melodygru.training.settings import suited

    fitted, sizes = fit(train, preset)
    changes = {name: tuple(v) if isinstance(v, list) else v for name, v in (vocabulary or {}).items()}
    chosen = dataclasses.replace(fitted, **changes)
    sizes = dataclasses.replace(sizes, **(architecture or {}))
    given = suited(train, chosen, settings or {}, gpu=on_gpu())
    run = Settings(**{"mixed_precision": is_mixed_precision(), **given})
    model = new_model(chosen, sizes, run.seed, train)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "model.keras"
        trainer = Trainer(model, (train, [piece.style for piece in train.pieces]), validation, run, output)
        started = time.perf_counter()
        trainer.run(lambda p: click.echo(f"\r{p.step}/{p.steps} {p.validation_nats_per_note}", nl=False, err=True))
        click.echo(err=True)
        by_field = np.zeros(len(FIELDS))

        def on_piece(_index: int, _piece: object, _events: object, log_p: np.ndarray) -> None:
            by_field[:] -= log_p.sum(0, dtype=np.float64)

        result = evaluate(load_model(output), validation, on_piece=on_piece)
    return {
        "preset": preset,
        "changes": {"settings": settings, "architecture": architecture, "vocabulary": vocabulary},
        "epochs": run.epochs,
        "minutes": (time.perf_counter() - started) / 60,
        "parameters": model.count_params(),
        "nats_per_note": result.nats_per_note,
        "nats_per_step": result.nats_per_step,
        "nats_per_note_of": dict(zip(FIELDS, (by_field / result.notes).round(4).tolist(), strict=True)),
    }


def silence(names: Sequence[str]) -> None:
    """Let features of events say nothing, as if nothing that they tell of ever occurred; in this process alone."""
    from melodygru.events.features import REGISTRY

    features = {feature.__name__: feature for feature in REGISTRY}
    for name in names:
        if name not in features:
            raise click.BadParameter(f"{name}: expected one of {', '.join(features)}")
        features[name].encode = staticmethod(_nothing)  # type: ignore[method-assign, assignment]


def _nothing(*_: Any) -> None:
    """As `Feature.encode`."""


@click.command(help=__doc__)
@click.argument("train_dir", type=FOLDER)
@click.argument("validation_dir", type=FOLDER)
@click.option("--preset", default="small", show_default=True, help="Preset whose sizes are the starting point.")
@click.option("--epochs", type=float, help="Length of the run in epochs.  [default: by the size of the corpus]")
@click.option("--minutes", type=float, help="Length of the run in minutes.")
@click.option("--threads", type=int, help="CPU threads.")
@click.option("--without", multiple=True, metavar="CLASS", help="A feature that stays silent; repeatable.")
@click.option("--settings", default="{}", help="Fields of Settings to replace, as JSON.")
@click.option("--architecture", default="{}", help="Fields of Architecture to replace, as JSON.")
@click.option("--vocabulary", default="{}", help="Fields of Vocabulary to replace, as JSON.")
def main(
    train_dir: Path,
    validation_dir: Path,
    preset: str,
    epochs: float | None,
    minutes: float | None,
    threads: int | None,
    without: tuple[str, ...],
    settings: str,
    architecture: str,
    vocabulary: str,
) -> None:
    from melodygru.corpus import intake
    from melodygru.training import start_tensorflow

    silence(without)
    start_tensorflow(threads, mixed_precision=None)
    train = intake(train_dir)
    validation = intake(validation_dir, grid=train.grid, deduplicate=False)
    length = {name: value for name, value in (("epochs", epochs), ("minutes", minutes)) if value is not None}
    report = ablate(
        train,
        validation,
        preset=preset,
        settings={**length, **json.loads(settings)},
        architecture=json.loads(architecture),
        vocabulary=json.loads(vocabulary),
    )
    click.echo(json.dumps({"corpus": train_dir.parent.name, "without": without, **report}))


if __name__ == "__main__":
    main()
