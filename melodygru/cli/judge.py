"""`melodygru judge`: how alike generated and real music are, measured feature by feature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodygru.cli import options, screen
from melodygru.cli.reading import read

if TYPE_CHECKING:
    from melodygru.analysis.style import Comparison
    from melodygru.analysis.style.report import Report
    from melodygru.corpus import Corpus

WIDTHS = (13, 14, 7, 6, 6, 7, 7, 6)  # of the table's columns of figures
SHOWN = 5  # real files that are skipped, or pieces that two folders have in common


@click.command(
    epilog="Ratio is the generated mean over the real one. OA is the overlapping area of two densities, "
    "that of the distances between real pieces and that of the distances from real to generated ones: 1 at best. KL is "
    "their Kullback-Leibler divergence in nats: 0 at best. Spread is the mean distance between generated pieces over "
    "that between real ones: below 1, the generated pieces are more alike than the real ones. A figure with ! is far "
    "from real music's. The columns on the right say how well real music does, for no generated music can be expected "
    "to do better. What each feature is: docs/judge.md."
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
    type=options.PAGE,
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
    from melodygru.analysis.style.report import Report
    from melodygru.corpus import require_pieces

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
    report = Report(found, baseline, sets, real.grid)
    if html is not None:
        from melodygru.render.pages.judge import write

        with screen.ProgressLine() as line:
            write(html, report, line.count("drawing"))
    if as_json:
        screen.result_json(report.as_dict())
        return
    for text in _table(report):
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


def _table(report: Report) -> Iterator[str]:
    """The result for the screen."""
    from melodygru.analysis.style.report import HEADINGS

    for label, text in report.about():
        yield f"{label:<11}{text}"
    yield ""
    yield f"{'generated against real':>87}{'reference':>13}"
    for label, unit, *cells in [HEADINGS, *report.rows()]:
        texts = [f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True)]
        yield f"{label:<24}{unit:<10}{''.join(texts)}".rstrip()
    yield from report.remarks()
