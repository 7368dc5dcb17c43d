"""Does what a model composes in a style differ from the other styles, as real pieces of that style do?

    python benchmarks/styles.py --model checkpoints/starter.keras

A classifier (multinomial logistic regression) learns the styles from the features of `melodygru judge` on the pieces
that the model was trained on, and is tried on the pieces that were held out from the model. Then it says which style
each composed piece is in. Features are standardised, and those of a histogram or matrix count together as much as a
single value. The one setting, the L2 penalty, is chosen by cross-validation on the training pieces.

    python benchmarks/styles.py --model checkpoints/starter.keras --without pitch_class_histogram \
        --without pitch_class_transitions

leaves the classifier no key: a model trained on transposed pieces composes in other keys than its corpus.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

PENALTIES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
FOLDS = 5
ITERATIONS = 300  # of gradient descent: more change no figure
SHOWN = 6  # features that explain what is placed wrongly


@dataclass(frozen=True)
class Classifier:
    """Linear scores of standardised features: the greatest wins."""

    mean: np.ndarray  # (n_columns,)
    scale: np.ndarray  # (n_columns,), inf for what never changes
    weights: np.ndarray  # (n_columns, n_classes)
    bias: np.ndarray  # (n_classes,)

    @classmethod
    def fit(
        cls, columns: np.ndarray, widths: np.ndarray, classes: np.ndarray, n_classes: int, penalty: float
    ) -> Classifier:
        """Minimise the mean cross-entropy plus half the penalty times the sum of the squared weights.

        Nesterov's accelerated gradient with the step that the greatest curvature allows.

        Parameters
        ----------
        columns : array, shape (n_pieces, n_columns)
        widths : array, shape (n_columns,)
            How many columns the feature of each column has.
        classes : array of int, shape (n_pieces,)
        """
        mean = np.nanmean(columns, axis=0)
        scale = np.nanstd(columns, axis=0)
        scale = np.where(scale > 1e-9, scale * np.sqrt(widths), np.inf)
        z = np.column_stack([_standardised(columns, mean, scale), np.ones(len(columns))])
        wanted = np.eye(n_classes)[classes]
        decay = np.append(np.full(columns.shape[1], penalty), 0.0)[:, None]  # none on the bias
        step = 1 / (0.5 * np.linalg.norm(z, 2) ** 2 / len(z) + penalty)
        weights = ahead = np.zeros((z.shape[1], n_classes))
        speed = 1.0
        for _ in range(ITERATIONS):
            scores = z @ ahead
            p = np.exp(scores - scores.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            moved = ahead - step * (z.T @ (p - wanted) / len(z) + decay * ahead)
            faster = (1 + (1 + 4 * speed**2) ** 0.5) / 2
            ahead = moved + (speed - 1) / faster * (moved - weights)
            weights, speed = moved, faster
        return cls(mean, scale, weights[:-1], weights[-1])

    def standardised(self, columns: np.ndarray) -> np.ndarray:
        return _standardised(columns, self.mean, self.scale)

    def classify(self, columns: np.ndarray) -> np.ndarray:
        """The class of each row."""
        return (self.standardised(columns) @ self.weights + self.bias).argmax(axis=1)


def _standardised(columns: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """A feature that a piece does not have (eight bars before, in a piece of eight) counts as the mean."""
    return np.where(np.isnan(columns), 0.0, (columns - mean) / scale)


def cross_validate(columns: np.ndarray, widths: np.ndarray, classes: np.ndarray, n_classes: int) -> tuple[float, float]:
    """The penalty with the best accuracy on left-out pieces, and that accuracy."""
    fold = np.random.default_rng(0).permutation(len(columns)) % FOLDS
    right = {}
    for penalty in PENALTIES:
        found = np.empty(len(columns), int)
        for k in range(FOLDS):
            known = Classifier.fit(columns[fold != k], widths, classes[fold != k], n_classes, penalty)
            found[fold == k] = known.classify(columns[fold == k])
        right[penalty] = float((found == classes).mean())
    best = max(right, key=lambda penalty: right[penalty])
    return best, right[best]


def reasons(
    classifier: Classifier,
    features: np.ndarray,
    centre: np.ndarray,
    placed: np.ndarray,
    style: int,
    names: Sequence[str],
) -> dict[str, float]:
    """How much each feature, all its classes together, speaks for the style chosen and against the one asked for.

    The score's difference between the two styles, less what it is for the mean real piece of the style asked for; the
    mean over pieces that are placed wrongly. Positive: speaks for the wrong one.
    """
    wrong = placed != style
    if not wrong.any():
        return {}
    z = classifier.standardised(features[wrong]) - classifier.standardised(centre[None])
    share = (z * (classifier.weights[:, placed[wrong]] - classifier.weights[:, [style]]).T).mean(axis=0)
    total: dict[str, float] = {}
    for name, value in zip(names, share, strict=True):
        total[name] = total.get(name, 0.0) + float(value)
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def divided(corpus: Any, card: dict[str, Any]) -> tuple[Any, Any]:
    """The pieces that the model was trained on and those that were held out, as `melodygru train` divided them."""
    from melodygru.corpus import split

    train, held_out = split(corpus, seed=card.get("seed", 0))
    if train.fingerprint != card.get("corpus", {}).get("fingerprint"):
        raise click.ClickException(
            f"the model was not trained on {corpus.report.folder} with a tenth of it held out: no piece of it is known "
            "to be unseen"
        )
    return train, held_out


@click.command(help=__doc__)
@click.option("--model", required=True, type=click.Path(exists=True, path_type=Path), help="Checkpoint.")
@click.option(
    "--corpus",
    "midi_dir",
    default="data/starter",
    show_default=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder that it was trained on.",
)
@click.option(
    "--per-style", default=50, show_default=True, type=click.IntRange(3), help="Pieces composed in each style."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the composed pieces.")
@click.option("--temperature", default=1.0, show_default=True, type=float, help="Of the composed pieces.")
@click.option("--top-p", type=float, help="Likewise.  [default: by the number of parts]")
@click.option("--without", multiple=True, metavar="FEATURE", help="Keep a feature from the classifier; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def main(
    model: Path,
    midi_dir: Path,
    per_style: int,
    seed: int,
    temperature: float,
    top_p: float,
    without: tuple[str, ...],
    as_json: bool,
) -> None:
    from melodygru import generate
    from melodygru.analysis.style import FEATURES, compare, mean_overlapping_area, measure
    from melodygru.corpus import intake
    from melodygru.model import checkpoint

    held = checkpoint.read(model)
    styles = list(held.vocabulary.styles)
    if len(styles) < 2:
        raise click.ClickException(f"{model} knows {len(styles)} styles: expected two or more")
    train, held_out = divided(intake(midi_dir, grid=held.vocabulary.grid), held.card)
    if unknown := set(without) - set(FEATURES):
        raise click.ClickException(f"--without {min(unknown)}: expected one of {', '.join(FEATURES)}")
    used = [name for name in FEATURES if name not in without]
    names = [name for name in used for _ in range(FEATURES[name].width)]
    widths = np.array([FEATURES[name].width for name in names])

    def figures(corpus: Any) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        values = measure(corpus)
        return (
            values,
            np.hstack([values[name] for name in used]),
            np.array([styles.index(p.style) for p in corpus.pieces]),
        )

    train_values, train_rows, train_styles = figures(train)
    held_values, held_rows, held_styles = figures(held_out)
    penalty, validated = cross_validate(train_rows, widths, train_styles, len(styles))
    classifier = Classifier.fit(train_rows, widths, train_styles, len(styles), penalty)
    placed_held = classifier.classify(held_rows)

    found: dict[str, Any] = {}
    for at, style in enumerate(styles):
        click.echo(f"composing {per_style} {style}", err=True)
        composed = generate(model, num_outputs=per_style, style=style, seed=seed, temperature=temperature, top_p=top_p)
        values = measure(composed)
        rows = np.hstack([values[name] for name in used])
        placed = classifier.classify(rows)
        real = {name: value[train_styles == at] for name, value in train_values.items()}
        composed_areas = compare(values, real)
        held_areas = compare({name: value[held_styles == at] for name, value in held_values.items()}, real)
        centre = np.nanmean(train_rows[train_styles == at], axis=0)
        found[style] = {
            "composed_right": float((placed == at).mean()),
            "held_out_right": float((placed_held == at)[held_styles == at].mean()),
            "held_out_pieces": int((held_styles == at).sum()),
            "placed": {other: int((placed == i).sum()) for i, other in enumerate(styles)},
            "held_out_placed": {
                other: int((placed_held == i)[held_styles == at].sum()) for i, other in enumerate(styles)
            },
            "mean_overlapping_area": mean_overlapping_area(composed_areas),
            "held_out_mean_overlapping_area": mean_overlapping_area(held_areas),
            "overlapping_area": {name: c.overlapping_area for name, c in composed_areas.items()},
            "held_out_overlapping_area": {name: c.overlapping_area for name, c in held_areas.items()},
            "reasons": reasons(classifier, rows, centre, placed, at, names),
        }
    report = {
        "model": str(model),
        "per_style": per_style,
        "seed": seed,
        "temperature": temperature,
        "top_p": top_p,
        "without": list(without),
        "training_pieces": len(train),
        "held_out_pieces": len(held_out),
        "penalty": penalty,
        "cross_validated_right": validated,
        "held_out_right": float((placed_held == held_styles).mean()),
        "styles": found,
    }
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        _print(report)


def _print(report: dict[str, Any]) -> None:
    """The report as Markdown tables."""
    found = report["styles"]
    styles = list(found)
    click.echo(
        f"Classifier: {report['training_pieces']} training pieces, penalty {report['penalty']:g}; right: "
        f"{report['cross_validated_right']:.1%} of the training pieces in {FOLDS}-fold cross-validation, "
        f"{report['held_out_right']:.1%} of the {report['held_out_pieces']} held-out pieces.\n"
    )
    click.echo(
        "| style | composed, right | held out, right | mean OA composed | mean OA held out |\n|---|---|---|---|---|"
    )
    for style, one in found.items():
        means = (one[name] for name in ("mean_overlapping_area", "held_out_mean_overlapping_area"))
        areas = " | ".join("-" if mean is None else f"{mean:.3f}" for mean in means)  # a few pieces have none
        click.echo(
            f"| {style} | {one['composed_right']:.0%} of {report['per_style']} | {one['held_out_right']:.0%} of "
            f"{one['held_out_pieces']} | {areas} |"
        )
    head = " | ".join(styles)
    for title, key in (("composed", "placed"), ("held out", "held_out_placed")):
        click.echo(f"\n| {title}, placed in | {head} |\n|---|{'---|' * len(styles)}")
        for style, one in found.items():
            click.echo(f"| {style} | {' | '.join(str(n) for n in one[key].values())} |")
    click.echo(f"\nOverlapping area with the training pieces, composed / held out\n\n| feature | {head} |")
    click.echo(f"|---|{'---|' * len(styles)}")
    for name in next(iter(found.values()))["overlapping_area"]:
        cells = [
            f"{_area(one['overlapping_area'][name])} / {_area(one['held_out_overlapping_area'][name])}"
            for one in found.values()
        ]
        click.echo(f"| {name} | {' | '.join(cells)} |")
    click.echo("\nWhat speaks for the wrong style, in the pieces that are placed wrongly (difference of scores)\n")
    for style, one in found.items():
        top = [f"{name} {value:+.1f}" for name, value in list(one["reasons"].items())[:SHOWN] if value > 0]
        click.echo(f"- {style}: {', '.join(top) or 'nothing is placed wrongly'}")


def _area(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
