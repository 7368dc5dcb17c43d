"""How all pictures look, whatever the user's matplotlib is set to; and a matplotlib Figure as the bytes of a file."""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from melodygru.errors import MelodyGruError, SettingError
from melodygru.util.atomic import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

COLOURS = (
    "#2a6fbb #d1495b #3f9b5b #e08a1e #7b5ea7 #1b9aaa #a65628 #d667a8 #6b7a1f "
    "#e4572e #5c80bc #8fb339 #b5838d #9b2226 #005f73"
).split()
INK, MUTED = "#22252b", "#6d7380"  # text
_DPI = 150
_TURN = threading.RLock()  # matplotlib's settings are those of the process


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Within, figures are made and drawn by matplotlib's own defaults, one thread at a time; as a decorator, too.

    What the user has set, in a file, a style or the process, holds again afterwards.

    Raises
    ------
    SettingError
        Whatever matplotlib raises: it is the user's, with his settings, fonts and backends.
    """
    with _TURN:
        try:
            from matplotlib import style

            with style.context("default"), warnings.catch_warnings():
                # of a title in a script that the font lacks
                warnings.filterwarnings("ignore", message="Glyph .* missing")
                yield
        except MelodyGruError:
            raise
        except Exception as error:
            raise SettingError(f"no picture could be drawn: {error or type(error).__name__}") from error


def shorten(text: Text, width: float) -> None:
    """Cut a text at its end until it is `width` pixels wide."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = text.get_figure()
    assert figure is not None
    renderer = FigureCanvasAgg(figure).get_renderer()
    whole = text.get_text()
    kept = len(whole)
    while kept and (wide := text.get_window_extent(renderer).width) > width:
        kept = min(kept - 1, int(kept * width / wide))
        text.set_text(whole[:kept].rstrip() + "…")


def plain(axes: Axes) -> None:
    """Axes with a line below alone."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#a9b1bd")
    axes.tick_params(labelsize=7, colors=MUTED, length=2)


def legend_above(axes: Axes) -> None:
    """The legend, right above the axes, real before generated."""
    handles, labels = axes.get_legend_handles_labels()
    shown = sorted(zip(labels, handles, strict=True), key=lambda entry: entry[0], reverse=True)
    axes.legend(
        [handle for _, handle in shown], [label for label, _ in shown],
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, fontsize=7.5, borderaxespad=0.1,
        labelcolor=INK,
    )  # fmt: skip


def plain_log(axes: Axes) -> None:
    """Ticks of a logarithmic axis as plain numbers: 0.1, 0.2, 0.5, 1."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


@drawing()
def picture(figure: Figure, suffix: str, *, keep_text: bool = False) -> bytes:
    """A figure as the bytes of a `.png` or `.svg` file: the same bytes for the same figure.

    `keep_text`: text of an SVG stays text, in the font that its reader has, instead of outlines.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    # Without these, files carry the date or the library's version, and SVG's ids are random.
    metadata = {"Date": None, "Creator": None} if suffix == ".svg" else {"Software": None}
    settings = {"svg.hashsalt": "melodygru", "svg.fonttype": "none" if keep_text else "path"}
    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    with matplotlib.rc_context(settings):
        figure.savefig(stream, format=suffix[1:], dpi=_DPI, metadata=metadata)
    return stream.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Draw a figure into a file that ends in .png or .svg; it appears whole or not at all.

    Raises
    ------
    SettingError
        Another suffix, or the file can't be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".png", ".svg"):
        raise SettingError(f"picture {path.name}: expected a name that ends in .png or .svg")
    drawn = picture(figure, suffix)
    with atomic_write(path, SettingError) as aside:
        aside.write_bytes(drawn)
