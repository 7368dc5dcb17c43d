"""Templates into pages: text is escaped, pictures are part of the page, the file appears whole or not at all."""

from __future__ import annotations

import base64
import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melodygru.errors import SettingError
from melodygru.util.atomic import atomic_write

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup
    from matplotlib.figure import Figure

# What a reader would not see, and what would turn the text around it: control characters and marks of direction. Half a
# character can't be written at all.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_HALVES = re.compile("[\ud800-\udfff]")

# Colours of pictures that follow the page, light or dark, and its names for them.
_COLOURS = {
    "#22252b": "ink", "#6d7380": "muted", "#a9b1bd": "line", "#e3e6eb": "faint", "#ffffff": "paper", "#2a6fbb": "bar",
}  # fmt: skip


def visible(text: str) -> str:
    """A text with invisible characters as `\\n` or `\\u202e`, and bytes that are no text replaced."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], _HALVES.sub("\ufffd", text))


@functools.cache
def _environment() -> Environment:
    """jinja2, set up to escape every value and to raise an error for a missing one."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: Any) -> Any:
        return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    return Environment(
        autoescape=True, finalize=shown, loader=PackageLoader("melodygru.render.pages"), lstrip_blocks=True,
        trim_blocks=True, undefined=StrictUndefined,
    )  # fmt: skip


def render(template: str, **values: Any) -> str:
    """Fill in a template of `templates/`: values that are strings count as text, Markup as HTML."""
    return _environment().get_template(template).render(values)


def markup(form: str, *texts: str) -> Markup:
    """A piece of HTML with texts in it: `markup("<b>{}</b>", name)`."""
    from markupsafe import Markup

    return Markup(form).format(*map(visible, texts))


def image(content: bytes, alt: str) -> Markup:
    """A PNG in the page."""
    return markup('<img alt="{}" src="data:image/png;base64,{}">', alt, base64.b64encode(content).decode("ascii"))


def inline(figure: Figure, alt: str) -> Markup:
    """A figure as SVG in the page's own text, fonts and colours.

    A part of it that has a `gid` of `title: ...` says that to a reader who points at it.
    """
    from markupsafe import Markup

    from melodygru.render.pictures import picture

    svg = picture(figure, ".svg", keep_text=True).decode()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'<g id="title: ([^"]*)">', r"<g><title>\1</title>", svg)
    svg = re.sub(r'<g id="[^"]*"/>', "", svg)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)  # the same names in every figure
    svg = re.sub(r"font-family: [^;]*; |\s+transform=\"rotate\(-?0 [^\"]*\"", "", svg)  # the page has its own font
    svg = re.sub(r"font: ([^;']*px) '[^;]*", r"font: \1 system-ui, sans-serif", svg)  # as older matplotlib writes it
    for colour, name in _COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    (box,) = re.findall(r'viewBox="([^"]*)"', svg[: svg.index(">")])
    body = svg[svg.index(">") + 1 :].replace("xlink:href", "href").replace("\n", "")
    return markup('<svg viewBox="{}" role="img" aria-label="{}">', box, alt) + Markup(re.sub(r"> +<", "><", body))


def write(path: Path, html: str) -> None:
    """Write a page, whole or not at all.

    Raises
    ------
    SettingError
        The file can't be written.
    """
    with atomic_write(path, SettingError) as aside:
        aside.write_text(html, "utf-8")
