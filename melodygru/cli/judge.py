"""`melodygru judge`: how alike generated and real music are, measured feature by feature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodygru.cli import options, page, screen
from melodygru.cli.reading import read
from melodygru.util.wording import counted

if TYPE_CHECKING:
    from melodygru.analysis.style import Comparison
    from melodygru.corpus import Corpus
    from melodygru.music.notes import Grid

SHOWN = 5  # real files that are skipped, or pieces that two folders have in common
ABSENT = "n/a"


@click.command(
    epilog="OA is the overlapping area of two densities, that of the distances between real pieces and that of the "
    "distances from real to generated ones: 1 at best. KL is their Kullback-Leibler divergence in nats: 0 at best. "
    "Spread is the mean distance between generated pieces over that between real ones: below 1, the generated pieces "
    "are more alike than the real ones. The columns on the right say how well real music does, for no generated music "
    "can be expected to do better. What each feature is: docs/judge.md."
)
@click.argument("generated_dir", type=click.Path(path_type=Path))
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="MIDI_DIR",
    required=True,
    help="The real music to compare with.",
)
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Other real music, to show how alike real music is.  [default: one half of MIDI_DIR against the other]",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="The halves, and the sample of pairs where sets are large, follow from it.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Write a page with the table and a picture of every feature; it needs no network.",
)
@options.as_json
def judge(
    generated_dir: Path, against: Path, reference: Path | None, seed: int, html: Path | None, as_json: bool
) -> None:
    """Compare generated music with real music: pitches, rhythm, texture and form.

    \b
    melodygru judge generated/ --against midi_dir/
    melodygru judge generated/ --against midi_dir/ --reference valid_dir/ --html judge.html
    """  # fmt: skip
    from melodygru.analysis.style import compare, measure
    from melodygru.corpus import require_pieces

    page.require_name(html)
    real = read(against, deduplicate=True, warnings=SHOWN)  # duplicates are no news
    require_pieces(real, 2)
    generated = read(generated_dir, real.grid)
    require_pieces(generated, 2)
    _warn_of_common(generated, real, "they are copies")
    other = None
    if reference is not None:
        other = read(reference, real.grid)
        require_pieces(other, 2)
        _warn_of_common(other, real, "they make the reference too good")

    with screen.ProgressLine() as line:
        line.show("comparing")
        real_features = measure(real)
        found = compare(measure(generated), real_features, seed)
        baseline, described = _reference(real, real_features, other, seed)
    sets = {
        "generated": _set(generated, generated_dir),
        "real": _set(real, against),
        "reference": described,
    }
    if html is not None:
        from melodygru.cli.judge_page import write

        with screen.ProgressLine() as line:
            write(html, found, baseline, sets, real.grid, line.count("drawing"))
    if as_json:
        screen.result_json({**sets, "grid": str(real.grid), **_figures(found, baseline, real.grid)})
        return
    for text in _table(found, baseline, sets, real.grid):
        screen.result(text)
    if html is not None:
        screen.result(f"{'page':<11}{screen.name(html)}")


def _warn_of_common(pieces: Corpus, real: Corpus, verdict: str) -> None:
    """Say which pieces stand note for note in the real music."""
    from melodygru.corpus import overlap

    common = overlap(real, pieces)
    if common:
        names = ", ".join(f"{screen.name(path)} = {screen.name(other)}" for path, other in common[:SHOWN])
        screen.warn(
            f"{len(common):,} of the {len(pieces):,} pieces of {screen.name(pieces.report.folder)} stand note for note "
            f"in {screen.name(real.report.folder)}; {verdict}: {names}" + (", ..." if len(common) > SHOWN else "")
        )


def _set(corpus: Corpus, folder: Path) -> dict[str, Any]:
    """What is said of a set of pieces."""
    return {"folder": str(folder), "pieces": len(corpus), "skipped": len(corpus.report.skipped)}


def _reference(
    real: Corpus, features: Mapping[str, Any], other: Corpus | None, seed: int
) -> tuple[dict[str, Comparison], dict[str, Any]]:
    """Real music against real music, and what it was."""
    from melodygru.analysis.style import compare, measure
    from melodygru.corpus import split

    if other is not None:
        found = compare(measure(other), features, seed)
        return found, {**_set(other, Path(other.report.folder)), "against": len(real)}
    first, second = split(real, 0.5, seed)
    found = compare(measure(first), measure(second), seed)
    return found, {"folder": None, "pieces": len(first), "against": len(second), "skipped": 0, "seed": seed}


def _figures(found: dict[str, Comparison], baseline: dict[str, Comparison], grid: Grid) -> dict[str, Any]:
    """All figures, ready for JSON."""
    from melodygru.analysis.style import mean_overlapping_area

    features = {}
    for name, comparison in found.items():
        feature = comparison.feature
        features[name] = {
            "kind": feature.kind,
            "unit": feature.unit_on(grid) if feature.kind == "value" else "bits",
            "classes": list(feature.classes(grid)),
            "generated": _set_figures(comparison, "generated"),
            "real": _set_figures(comparison, "real"),
            "overlapping_area": comparison.overlapping_area,
            "kl_divergence": comparison.kl_divergence,
            "spread": comparison.spread,
            "reference": {
                "overlapping_area": baseline[name].overlapping_area,
                "kl_divergence": baseline[name].kl_divergence,
                "spread": baseline[name].spread,
            },
        }
    return {
        "mean_overlapping_area": mean_overlapping_area(found),
        "reference_mean_overlapping_area": mean_overlapping_area(baseline),
        "features": features,
    }


def _set_figures(comparison: Comparison, which: str) -> dict[str, Any]:
    """A feature of one set: pieces that have it, mean and deviation of the value or the entropy, mean shares."""
    from melodygru.analysis.style import summary

    values = getattr(comparison, which)
    mean, deviation = summary(comparison, which) or (None, None)
    figures = {"pieces": len(values), "mean": mean, "deviation": deviation}
    if comparison.feature.kind != "value":
        figures["mean_shares"] = values.mean(axis=0).tolist() if len(values) else None
    return figures


HEADINGS = ("", "", "generated", "real", "OA", "KL", "spread", "OA", "KL")


def rows(found: dict[str, Comparison], baseline: dict[str, Comparison], grid: Grid) -> Iterator[tuple[str, ...]]:
    """The table's rows as text, in the columns of HEADINGS; the last two are the reference."""
    from melodygru.analysis.style import mean_overlapping_area, summary

    for name, comparison in found.items():
        feature = comparison.feature
        unit = feature.unit_on(grid) if feature.kind == "value" else "bits"
        cells = []
        for which in ("generated", "real"):
            about = summary(comparison, which)
            cells.append(f"{_number(about[0])} ± {_number(about[1])}" if about else ABSENT)
        cells += [_share(comparison.overlapping_area), _nats(comparison.kl_divergence), _share(comparison.spread, 2)]
        real = baseline[name]
        yield feature.label, unit, *cells, _share(real.overlapping_area), _nats(real.kl_divergence)
    means = [_share(mean_overlapping_area(one)) for one in (found, baseline)]
    yield "mean of all", "", "", "", means[0], "", "", means[1], ""


def _number(value: float) -> str:
    """Three digits of a figure that may be hundreds or hundredths."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _share(value: float | None, digits: int = 3) -> str:
    return ABSENT if value is None else f"{value:.{digits}f}"


def _nats(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.0f}" if value >= 100 else f"{value:.3f}"


def described(sets: dict[str, Any], grid: Grid) -> Iterator[tuple[str, str]]:
    """What was compared: label and text."""
    for which in ("generated", "real"):
        about = sets[which]
        yield which, f"{screen.name(about['folder'])}: {_pieces(about)}"
    about = sets["reference"]
    if about["folder"] is None:
        halves = f"{about['pieces']:,} of the real pieces against the other {about['against']:,}"
        text = f"{halves} (seed {about['seed']})"
    else:
        text = f"{screen.name(about['folder'])}: {_pieces(about)}, against all real pieces"
    yield "reference", text
    yield "grid", grid.describe()


def _pieces(about: dict[str, Any]) -> str:
    text = counted(about["pieces"], "piece")
    return text + (f", {about['skipped']:,} skipped" if about["skipped"] else "")


def notes_on(found: dict[str, Comparison], baseline: dict[str, Comparison], grid: Grid) -> Iterator[str]:
    """Why figures are absent."""
    if not grid.is_metrical:
        yield f"{ABSENT}: bars can't be compared, for a grid of seconds has none"
    absent = [
        comparison.feature.label
        for comparison in found.values()
        if comparison.overlapping_area is None and (grid.is_metrical or not comparison.feature.needs_bars)
    ]
    if absent:
        yield f"{ABSENT}: fewer than three generated or real pieces have it ({', '.join(absent)})"
    if any(comparison.spread is None and comparison.overlapping_area is not None for comparison in found.values()):
        yield f"{ABSENT} as spread: the real pieces are all the same in it"
    if any(baseline[name].overlapping_area is None and found[name].overlapping_area is not None for name in found):
        yield f"{ABSENT} in the reference: each half needs three pieces with the feature; --reference names other music"


def _table(
    found: dict[str, Comparison], baseline: dict[str, Comparison], sets: dict[str, Any], grid: Grid
) -> Iterator[str]:
    """The result for the screen."""
    for label, text in described(sets, grid):
        yield f"{label:<11}{text}"
    yield ""
    yield f"{'':<64}{'generated against real':>22}{'reference':>14}"
    for label, unit, *cells in [HEADINGS, *rows(found, baseline, grid)]:
        ours, theirs, *rest = cells
        yield (f"{label:<26}{unit:<11}{ours:>14}{theirs:>14}" + "".join(f"{cell:>7}" for cell in rest)).rstrip()
    for text in notes_on(found, baseline, grid):
        yield text
