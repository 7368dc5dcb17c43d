"""Pages of HTML that need nothing but themselves: what those of `judge`, `explain` and `inspect` have in common.

A page has no scripts and fetches nothing. It follows the reader's choice of light or dark, and what is wider than the
window is moved sideways by itself.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from melodygru.cli import screen
from melodygru.errors import SettingError
from melodygru.util.atomic import atomic_write

STYLE = """
:root { color-scheme: light dark; --ink: #22252b; --muted: #6d7380; --line: #8d95a1; --faint: #d5dae1; --paper: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #dfe3e9; --muted: #9aa2ae; --line: #6d7380; --faint: #353a42; --paper: #17191d }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 66rem;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.4rem } h2 { font-size: 1.15rem; margin-top: 2.4rem }
p { max-width: 48rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem }
dt { color: var(--muted) } dd { margin: 0 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .8rem 0; overflow-wrap: normal }
th, td { padding: .15rem .7rem .15rem 0; text-align: left; white-space: nowrap; vertical-align: top }
td.number, th.number { text-align: right }
thead th { border-bottom: 1px solid var(--line); font-weight: 600 }
img { display: block; width: 100%; height: auto; background: #fff; border-radius: .4rem }
figure { margin: 1rem 0 } figcaption { color: var(--muted); max-width: 48rem }
"""
# What a reader would not see, and what would turn the text around it: control characters and marks of direction. Half a
# character can't be written at all.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_HALVES = re.compile("[\ud800-\udfff]")


def require_name(path: Path | None) -> None:
    """Raise SettingError where a page would go to a file of another kind."""
    if path is not None and path.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"--html {screen.name(path)}: expected a name that ends in .html")


def text(words: str) -> str:
    """Any text as HTML: markup escaped, invisible characters as `\\n` or `\\u202e`, bytes that are no text replaced."""
    seen = _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], _HALVES.sub("\ufffd", words))
    return escape(seen)


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """A list of labels and what is said of them; both are text."""
    return "<dl>" + "".join(f"<dt>{text(label)}</dt><dd>{text(said)}</dd>" for label, said in rows) + "</dl>"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> str:
    """A table of texts; the columns in `numbers` stand at the right."""
    right = set(numbers)

    def cells(row: Sequence[str], tag: str) -> str:
        kinds = [' class="number"' if at in right else "" for at in range(len(row))]
        return "".join(f"<{tag}{kind}>{text(cell)}</{tag}>" for kind, cell in zip(kinds, row, strict=True))

    head = f"<thead><tr>{cells(headings, 'th')}</tr></thead>"
    body = "".join(f"<tr>{cells(row, 'td')}</tr>\n" for row in rows)
    return f'<div class="wide"><table>{head}\n<tbody>{body}</tbody></table></div>'


def image(content: bytes, kind: str, alt: str) -> str:
    """A picture in the page; `kind` is `png` or `svg+xml`."""
    return f'<img alt="{text(alt)}" src="data:image/{kind};base64,{base64.b64encode(content).decode("ascii")}">'


def document(title: str, body: str, *, style: str = "", head: str = "") -> str:
    """A whole page.

    Parameters
    ----------
    title : str
        Text.
    body, head : str
        HTML.
    style : str
        CSS beside STYLE.
    """
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{head}<title>{text(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def write(path: Path, html: str) -> None:
    """Write a page, whole or not at all.

    Raises
    ------
    SettingError
        The file can't be written.
    """
    with atomic_write(path, SettingError) as aside:
        aside.write_text(html, "utf-8")
