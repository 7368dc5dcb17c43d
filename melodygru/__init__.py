"""melodygru: a GRU learns the style of a folder of MIDI files and composes in it.

>>> import melodygru
>>> piece, = melodygru.generate(bars=8)  # doctest: +SKIP
>>> piece.save("new.mid")  # doctest: +SKIP
>>> model = melodygru.load_model("checkpoints/mine.keras")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

from melodygru.util.lazy import offered
from melodygru.version import __version__

if TYPE_CHECKING:
    from melodygru.compose.composer import Composer as Composer
    from melodygru.compose.composer import generate as generate
    from melodygru.compose.composition import Composition as Composition
    from melodygru.compose.replay import Replay as Replay
    from melodygru.compose.replay import replay as replay
    from melodygru.compose.settings import GenerateSettings as GenerateSettings
    from melodygru.errors import MelodyGruError as MelodyGruError
    from melodygru.model.keras_model import MelodyGRU as MelodyGRU
    from melodygru.model.keras_model import load_model as load_model
    from melodygru.music.notes import NoteSequence as NoteSequence
    from melodygru.training.run import train as train

# Loaded when first asked for, so that `import melodygru` is light and TensorFlow is loaded by those alone who train or
# want the Keras model.
_OFFERED = {
    "compose.composer": ("Composer", "generate"),
    "compose.composition": ("Composition",),
    "compose.replay": ("Replay", "replay"),
    "compose.settings": ("GenerateSettings",),
    "errors": ("MelodyGruError",),
    "model.keras_model": ("MelodyGRU", "load_model"),
    "music.notes": ("NoteSequence",),
    "training.run": ("train",),
}

__all__ = ["__version__", *(name for names in _OFFERED.values() for name in names)]

__getattr__, _ = offered(__name__, _OFFERED)


def __dir__() -> list[str]:
    return sorted(__all__)


class _RegisterWithKeras:
    """Import hook: when Keras is imported, so is our model, so that Keras knows its classes by name.

    `keras.models.load_model` finds a class only if it is registered, and importing the model here outright
    would load TensorFlow for everyone. Keras and TensorFlow import each other: the hook waits for both to be whole.
    """

    names = ("keras", "tensorflow")

    def __init__(self) -> None:
        self._finding: set[str] = set()
        self._loading: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in self.names or name in self._finding:
            return None
        self._finding.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._finding.discard(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: Any) -> None:
            self._loading.add(name)
            try:
                execute(module)
            finally:
                self._loading.discard(name)
            if "keras" in sys.modules and not self._loading:
                importlib.import_module("melodygru.model.keras_model")

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


if "keras" in sys.modules:
    importlib.import_module("melodygru.model.keras_model")
else:
    sys.meta_path.insert(0, _RegisterWithKeras())
