"""Sheet music: notes to MusicXML, and a picture of it."""

from melodygru.render.score.write import (
    MOST_BARS,
    check_grid,
    check_path,
    spell,
    to_musicxml,
    to_svg,
    write,
)

__all__ = [
    "MOST_BARS",
    "check_grid",
    "check_path",
    "spell",
    "to_musicxml",
    "to_svg",
    "write",
]
