"""Parts of a page that are made of the same things: paragraphs, pictures, tables, lists that open with a click."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from melodygru.render.pages import html

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Chart:
    """A picture with its title."""

    title: str
    svg: Markup


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes
    ----------
    headings, rows : texts
    numbers : columns that stand at the right
    cut : which rows these are, where they are not all
    folded : what stands for the table until a click opens it; "" for a table in the open
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Iterable[int] = ()
    cut: str = ""
    folded: str = ""


@dataclass(frozen=True)
class Folded:
    """A list that opens with a click: `more` items follow those shown; short lists are open."""

    summary: str
    items: Sequence[Markup]
    more: int
    is_open: bool


@dataclass
class Section:
    """A part of the page: what is said, pictures, tables, lists."""

    paragraphs: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    lists: list[Folded] = field(default_factory=list)
    title: str = ""
    id: str = ""

    def say(self, *sentences: str) -> None:
        """Add a paragraph of those that are not empty."""
        if text := " ".join(filter(None, sentences)):
            self.paragraphs.append(text)

    def draw(self, title: str, figure: Figure, alt: str) -> None:
        """Add a picture; `alt` is for who does not see it."""
        self.charts.append(Chart(title, html.inline(figure, alt)))
