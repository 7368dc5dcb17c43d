"""Pictures: piano rolls, training curves, and what analysis found."""

from melodygru.render.pictures.roll import (
    comparison,
    comparison_figure,
    following_figure,
    gates_figure,
    memory_figure,
    page_units,
    piano_roll,
    piano_roll_figure,
    picture,
    profiles_figure,
    style_figure,
    surprise,
    surprise_figure,
    training_curves,
    training_figure,
)

__all__ = [
    "comparison",
    "comparison_figure",
    "following_figure",
    "gates_figure",
    "memory_figure",
    "page_units",
    "piano_roll",
    "piano_roll_figure",
    "picture",
    "profiles_figure",
    "style_figure",
    "surprise",
    "surprise_figure",
    "training_curves",
    "training_figure",
]
