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
    from melodygru.compose.humanise_settings import HumaniseSettings as HumaniseSettings
    from melodygru.compose.redo_settings import RedoSettings as RedoSettings
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
    "compose.humanise_settings": ("HumaniseSettings",),
    "compose.redo_settings": ("RedoSettings",),
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


class _ModelForKeras:
    """What Keras knows our model by until one is opened, for TensorFlow is loaded no earlier."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The model of a configuration; its module registers its own classes with Keras, in place of this one."""
        return importlib.import_module("melodygru.model.keras_model").MelodyGRU.from_config(config)


def _register(keras: Any) -> None:
    """Let `keras.models.load_model` find our model, which it asks for by this name."""
    keras.saving.get_custom_objects().setdefault("melodygru>MelodyGRU", _ModelForKeras)


class _RegisterWithKeras:
    """Import hook: when Keras is imported, it gets to know our model's name."""

    def __init__(self) -> None:
        self._finding = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "keras" or self._finding:
            return None
        self._finding = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._finding = False
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: Any) -> None:
            execute(module)
            _register(module)

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


if hasattr(sys.modules.get("keras"), "saving"):
    _register(sys.modules["keras"])
else:
    sys.meta_path.insert(0, _RegisterWithKeras())
