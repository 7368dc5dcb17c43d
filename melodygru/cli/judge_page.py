"""The page that `melodygru judge --html` writes: the table, and a picture of every feature, in one file."""

from __future__ import annotations

import base64
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melodygru.cli.judge import ABSENT, HEADINGS, described, notes_on, rows
from melodygru.errors import SettingError
from melodygru.files import written_aside

if TYPE_CHECKING:
    from melodygru.metrics import Comparison
    from melodygru.notes import Grid

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #22252b; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
.wide { overflow-x: auto }
th, td { padding: .15rem .6rem; text-align: right; white-space: nowrap }
th:first-child, td:first-child, td:nth-child(2) { text-align: left }
thead th { border-bottom: 1px solid #a9b1bd; font-weight: 600 }
tbody tr:nth-child(even) { background: #f4f6f8 }
tbody tr:last-child td { border-top: 1px solid #a9b1bd }
td:nth-child(5), td:nth-child(8), th.part { border-left: 1px solid #d5dae1 }
dt { float: left; width: 6rem; color: #6d7380 } dd { margin: 0 0 0 6rem }
img { display: block; width: 100%; height: auto; margin: .5rem 0 }
p.note { color: #6d7380 }
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
    yardstick: dict[str, Comparison],
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
    facts = "".join(f"<dt>{escape(label)}</dt><dd>{escape(text)}</dd>" for label, text in described(sets, grid))
    head = "".join(f"<th>{escape(text)}</th>" for text in HEADINGS)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows(found, yardstick, grid)
    )
    notes = "".join(f'<p class="note">{escape(text)}</p>' for text in notes_on(found, yardstick, grid))
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>melodygru judge</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Generated against real music</h1>
<dl>{facts}</dl>
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
{_pictures(found, grid, progress)}
</body>
</html>
"""
    with written_aside(path, SettingError) as aside:
        aside.write_text(page, "utf-8")


def _pictures(found: dict[str, Comparison], grid: Grid, progress: Callable[[int, int], None]) -> str:
    """The pictures of all features that both sets have."""
    from melodygru.plots import picture, style_figure

    shown = {name: c for name, c in found.items() if len(c.real) > 1 and len(c.generated) > 1}
    pictures = []
    for at, comparison in enumerate(shown.values()):
        drawn = base64.b64encode(picture(style_figure(comparison, grid), ".svg")).decode("ascii")
        label = escape(comparison.feature.label)
        pictures.append(f'<img alt="{label}" src="data:image/svg+xml;base64,{drawn}">')
        progress(at + 1, len(shown))
    return "\n".join(pictures) or f"<p>{ABSENT}</p>"
