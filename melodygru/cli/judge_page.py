"""The page that `melodygru judge --html` writes: the table, and a picture of every feature, in one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melodygru.cli import page
from melodygru.cli.judge import ABSENT, HEADINGS, described, notes_on, rows

if TYPE_CHECKING:
    from melodygru.analysis.style import Comparison
    from melodygru.music.notes import Grid

STYLE = """
body { max-width: 62rem }
td:not(:first-child, :nth-child(2)), th:not(:first-child) { text-align: right }
tbody tr:nth-child(even) { background: color-mix(in srgb, var(--muted) 9%, transparent) }
tbody tr:last-child td { border-top: 1px solid var(--line) }
th, td { padding-left: .6rem } td:nth-child(5), td:nth-child(8), th.part { border-left: 1px solid var(--faint) }
img { margin: .5rem 0 } p.note { color: var(--muted) }
"""
EXPLAINED = """
OA is the overlapping area of two densities, that of the distances between real pieces and that of the distances from
real to generated ones: 1 at best. KL is their Kullback-Leibler divergence in nats: 0 at best. Spread is the mean
distance between generated pieces over that between real ones: below 1, the generated pieces are more alike than the
real ones. The reference is real music in the place of the generated: no generated music can be expected to do better.
Histograms and transitions show their entropy, in bits, in the columns of means.
"""
PICTURES = """
Left, how far pieces are apart: real from real, generated from generated, and real from generated. Where the dotted
line follows the solid one, the generated pieces lie among the real ones. Right, what the sets are like.
"""


def write(
    path: Path,
    found: dict[str, Comparison],
    baseline: dict[str, Comparison],
    sets: dict[str, Any],
    grid: Grid,
    progress: Callable[[int, int], None],
) -> None:
    """Write the page; it appears whole or not at all.

    Parameters
    ----------
    found, yardstick : the comparisons of the generated set and of the reference
    sets : what is said of the sets
    progress : called with (done, total) pictures

    Raises
    ------
    SettingError
        The file can't be written.
    """
    head = "".join(f"<th>{page.text(heading)}</th>" for heading in HEADINGS)
    body = "".join(
        "<tr>" + "".join(f"<td>{page.text(cell)}</td>" for cell in row) + "</tr>\n"
        for row in rows(found, baseline, grid)
    )
    notes = "".join(f'<p class="note">{page.text(note)}</p>' for note in notes_on(found, baseline, grid))
    content = f"""<h1>Generated against real music</h1>
{page.facts(described(sets, grid))}
<div class="wide"><table>
<thead>
<tr><th colspan="4"></th><th class="part" colspan="3">generated</th><th class="part" colspan="2">reference</th></tr>
<tr>{head}</tr>
</thead>
<tbody>
{body}</tbody>
</table></div>
{notes}
<p>{EXPLAINED}</p>
<h2>Feature by feature</h2>
<p>{PICTURES}</p>
{_pictures(found, grid, progress)}"""
    page.write(path, page.document("melodygru judge", content, style=STYLE))


def _pictures(found: dict[str, Comparison], grid: Grid, progress: Callable[[int, int], None]) -> str:
    """The pictures of all features that both sets have."""
    from melodygru.render.pictures import picture, style_figure

    shown = {name: c for name, c in found.items() if len(c.real) > 1 and len(c.generated) > 1}
    pictures = []
    for at, comparison in enumerate(shown.values()):
        drawn = picture(style_figure(comparison, grid), ".svg")
        pictures.append(page.image(drawn, "svg+xml", comparison.feature.label))
        progress(at + 1, len(shown))
    return "\n".join(pictures) or f"<p>{ABSENT}</p>"
