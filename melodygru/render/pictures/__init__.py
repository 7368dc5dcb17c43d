"""Pictures: piano rolls, training curves, sets of pieces compared, and what a model does with a piece.

Conventions
-----------
Figures are built with matplotlib's objects alone (no pyplot, no state shared with the caller's own plots) and in its
own defaults, whatever the user has set, and drawn by Agg or as SVG by the file's suffix. The same input gives the same
bytes, in any thread. Where matplotlib fails, SettingError is raised. Sizes are in inches:

    save(piano_roll_figure(piece), Path("a.png"))
"""

from melodygru.render.pictures.explain import (
    following_figure,
    gates_figure,
    memory_figure,
    profiles_figure,
    surprise_figure,
)
from melodygru.render.pictures.judge import style_figure
from melodygru.render.pictures.roll import page_units, piano_roll_figure
from melodygru.render.pictures.style import picture, save
from melodygru.render.pictures.training import rivals_figure, training_figure

__all__ = [
    "following_figure",
    "gates_figure",
    "memory_figure",
    "page_units",
    "piano_roll_figure",
    "picture",
    "profiles_figure",
    "rivals_figure",
    "save",
    "style_figure",
    "surprise_figure",
    "training_figure",
]
