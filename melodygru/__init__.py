"""melodygru: a GRU learns the style of a folder of MIDI files and composes in it.

>>> import melodygru
>>> piece, = melodygru.generate(bars=8)  # doctest: +SKIP
>>> piece.save("new.mid")  # doctest: +SKIP
>>> model = melodygru.load_model("checkpoints/mine.keras")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from melodygru.compose import Composition as Composition
    from melodygru.compose import generate as generate
    from melodygru.errors import MelodyGruError as MelodyGruError
    from melodygru.model import MelodyGRU as MelodyGRU
    from melodygru.model import load_model as load_model
    from melodygru.notes import NoteSequence as NoteSequence

# What the package offers, and the room that it lives in: imported when first asked for, so that
# `import melodygru` is light and TensorFlow is loaded by those alone who train or want the Keras model.
_OFFERED = {
    "Composition": "compose",
    "generate": "compose",
    "MelodyGruError": "errors",
    "MelodyGRU": "model",
    "load_model": "model",
    "NoteSequence": "notes",
}

__all__ = ["__version__", *_OFFERED]


def __getattr__(name: str) -> Any:
    if name not in _OFFERED:
        raise AttributeError(f"module 'melodygru' has no attribute {name!r}")
    return getattr(importlib.import_module(f"melodygru.{_OFFERED[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
