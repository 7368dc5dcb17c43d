"""The page of `melodygru judge --html`: the table, and a picture of every feature, in one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from melodygru.analysis.style.report import ABSENT, HEADINGS, MISSED, Report
from melodygru.render.pages import html


def write(path: Path, report: Report, progress: Callable[[int, int], None]) -> None:
    """Write the page; it appears whole or not at all.

    Parameters
    ----------
    path : Path
    report : Report
    progress : called with (done, total) pictures

    Raises
    ------
    SettingError
        The file can't be written.
    """
    from melodygru.render.pictures import style_figure

    shown = [name for name, one in report.found.items() if len(one.real) > 1 and len(one.generated) > 1]
    pictures = []
    for at, name in enumerate(shown):
        comparison = report.found[name]
        figure = style_figure(comparison, report.grid, report.missed(name))
        pictures.append(html.inline(figure, comparison.feature.label))
        progress(at + 1, len(shown))
    values = {"title": "melodygru judge", "report": report, "headings": HEADINGS, "absent": ABSENT, "missed": MISSED}
    html.write(path, html.render("judge.html", **values, pictures=pictures))
