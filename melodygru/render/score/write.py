"""Sheet music into files: MusicXML, and through verovio one SVG picture of all pages."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from melodygru.errors import SettingError
from melodygru.music.notes import NoteSequence
from melodygru.render.score.musicxml import to_musicxml
from melodygru.util.atomic import atomic_write
from melodygru.util.stderr import diverted

SUFFIXES = (".svg", ".musicxml", ".xml")

_PAGE_WIDTH = 2100  # tenths of a millimetre, as A4
_PAGE_HEIGHT = 60_000  # likewise; verovio's limit


def to_svg(sequence: NoteSequence, *, title: str | None = None) -> bytes:
    """A piece as one SVG picture, as wide as a sheet of A4 and as high as the music needs.

    Parameters, and what else is raised, as for `to_musicxml`.

    Raises
    ------
    SettingError
        verovio is missing.
    """
    verovio = _verovio()
    document = to_musicxml(sequence, title=title, tempo_in_words=True).decode()
    options = {
        "pageWidth": _PAGE_WIDTH,
        "pageHeight": _PAGE_HEIGHT,
        "pageMarginLeft": 150,  # a wider font than verovio reckons with leaves the parts' names whole
        "adjustPageHeight": True,
        "breaks": "auto",
        "scale": 50,
        "footer": "none",
        "header": "auto" if title else "none",
        "svgViewBox": True,
        "xmlIdSeed": 1,  # else its ids are random
    }
    with diverted():  # it reports on standard error what it makes of the document
        toolkit = verovio.toolkit(False)
        # Where its fonts are it knows by itself in the thread that imported it alone.
        toolkit.setResourcePath(str(Path(verovio.__file__).parent / "data"))
        toolkit.setOptions(options)
        if not toolkit.loadData(document):
            raise SettingError("verovio cannot read the score; write it as .musicxml instead, and open that elsewhere")
        pages = [toolkit.renderToSVG(number + 1) for number in range(toolkit.getPageCount())]
    return _stack(pages)


def write(sequence: NoteSequence, path: str | Path, *, title: str | None = None) -> None:
    """Write a piece as a score.

    Parameters
    ----------
    sequence : NoteSequence
        On a metrical grid.
    path : str or Path
        Ends in .svg (a picture; needs verovio), .musicxml or .xml (MusicXML); the file appears whole or not at all.
    title : str, optional

    Raises
    ------
    SettingError
        Another suffix, verovio is missing, the piece can't be written as a score, or the file can't be written.
    """
    path = Path(path)
    check_path(path)
    data = (to_svg if path.suffix.lower() == ".svg" else to_musicxml)(sequence, title=title)
    with atomic_write(path, SettingError) as aside:
        aside.write_bytes(data)


def check_path(path: Path) -> None:
    """Refuse, before any work, a name that `write` can't write to: `SettingError`."""
    if path.suffix.lower() not in SUFFIXES:
        raise SettingError(f"score {path.name}: expected a name that ends in .svg, .musicxml or .xml")
    if path.suffix.lower() == ".svg":
        _verovio()


def _verovio() -> Any:
    """The package, or what to install."""
    try:
        import verovio
    except ImportError as error:
        raise SettingError(
            'a score as .svg needs verovio: pip install "melodygru[score]"; .musicxml is written without it'
        ) from error
    return verovio


def _stack(pages: Sequence[str]) -> bytes:
    """Pages beneath each other as one picture."""
    if len(pages) == 1:
        return pages[0].encode()
    roots = [ET.fromstring(page) for page in pages]
    boxes = [[float(value) for value in root.attrib["viewBox"].split()] for root in roots]
    width, height = max(box[2] for box in boxes), sum(box[3] for box in boxes)
    ET.register_namespace("", "http://www.w3.org/2000/svg")
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    whole = ET.Element("{http://www.w3.org/2000/svg}svg", viewBox=f"0 0 {width:g} {height:g}", version="1.1")
    top = 0.0
    for root, box in zip(roots, boxes, strict=True):
        root.attrib.update(x="0", y=f"{top:g}", width=f"{box[2]:g}", height=f"{box[3]:g}")
        whole.append(root)
        top += box[3]
    return ET.tostring(whole, "utf-8")


# ---- parts, staves, voices ------------------------------------------------------------------------------------
# ---- MusicXML -------------------------------------------------------------------------------------------------
