"""How a piece was made, written into its MIDI file, so that it can be replayed.

The provenance is one text event at the beginning of the file: `melodygru ` and a JSON object in ASCII. It names what
the piece follows from by hashes (SHA-256, in hexadecimal), and holds no path, no time, and no name of a machine or
person.

    stamp      1, the version of this form
    versions   of melodygru, numpy, python, and of mido, which writes the bytes
    processor  its kind, the extensions that NumPy uses of it, and NumPy's BLAS
    model      hash of the checkpoint's file; null: it was given as an object of no file
    settings   the fields of `GenerateSettings`, `RedoSettings` or `HumaniseSettings` by name; one that is None, and so
               by default, is left out; numbers are exact, a tuple is a list
    inputs     of each setting that is a piece: {"file": hash of the file}, or {"notes": `notes_hash`} of a sequence;
               "piece" is the one that was redone or humanised, and stands there for `redo` and `humanise` alone
    own        names of the settings whose values JSON can't hold: the piece can't be replayed from the file alone
    seed, piece, of   which of how many, from 1, composed together with this seed
    notes      `notes_hash` of the piece as it was composed: a file that was changed since is known by it
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from melodygru import midi
from melodygru.compose.humanise_settings import HUMANISE_SETTINGS, HumaniseSettings
from melodygru.compose.primer import Source
from melodygru.compose.redo_settings import RedoSettings
from melodygru.compose.settings import LONGEST_TEXT, OF_BATCH, GenerateSettings
from melodygru.errors import MidiError, ProvenanceError
from melodygru.music.notes import NoteSequence
from melodygru.util.files import sha256_of
from melodygru.util.settings import declared_by
from melodygru.version import __version__

FORM = 1
MARK = "melodygru "
REDONE = "piece"  # of the inputs
OF_HUMANISE = HUMANISE_SETTINGS["strength"].name  # of the settings, where it has a value always
MOST = 200  # entries of a list or an object in a provenance


@dataclass(frozen=True)
class Provenance:
    """How a piece was made; see the module's description. `text` is it as one line."""

    versions: dict[str, str]
    processor: str
    model: str | None
    settings: dict[str, Any]
    inputs: dict[str, dict[str, str]]
    own: list[str]
    seed: int
    piece: int
    of: int
    notes: str

    @property
    def text(self) -> str:
        """The text event."""
        return MARK + json.dumps({"stamp": FORM, **asdict(self)}, separators=(", ", ": "))

    @property
    def owner(self) -> type[GenerateSettings | RedoSettings | HumaniseSettings]:
        """Whose fields the settings are: these of a piece that was composed, redone or humanised."""
        if REDONE not in self.inputs:
            return GenerateSettings
        return HumaniseSettings if OF_HUMANISE in self.settings else RedoSettings

    @property
    def arguments(self) -> dict[str, Any]:
        """The settings as `GenerateSettings` takes them: a list is a tuple."""
        return {name: _revived(value) for name, value in self.settings.items()}


def provenances(
    given: GenerateSettings | RedoSettings | HumaniseSettings,
    model: str | None,
    seed: int,
    pieces: Sequence[NoteSequence],
    redone: Source | None = None,
) -> list[Provenance]:
    """The provenance of each piece of a batch.

    Parameters
    ----------
    given : the settings that it was composed with
    redone : the piece that was redone or humanised
    model : hash of the checkpoint's file, if it came from one
    seed : the batch's
    pieces : what was composed
    """
    settings: dict[str, Any] = {}
    inputs: dict[str, dict[str, str]] = {} if redone is None else {REDONE: _input(redone)}
    own: list[str] = []
    owner: type = type(given)
    for name, known in declared_by(owner).items():
        value = getattr(given, name)
        if OF_BATCH in known.about.marks or (value is None and known.default is None):
            continue
        if issubclass(known.type, Path):
            inputs[name] = _input(value)
            continue
        try:
            settings[name] = _plain(value)
        except TypeError:
            own.append(name)
    if model is None:
        own.append("model")
    batch = (_versions(), _processor(), model, settings, inputs, own, int(seed))
    return [
        Provenance(*batch, piece=index + 1, of=len(pieces), notes=notes_hash(piece))
        for index, piece in enumerate(pieces)
    ]


def read(source: Path | str | bytes) -> tuple[Provenance, str]:
    """The provenance of a MIDI file, and the line that it stands in.

    Raises
    ------
    MidiError
        It is no MIDI file.
    ProvenanceError
        It has none, or one that is damaged or of another form.
    """
    texts = midi.read_texts(source)
    lines = list(dict.fromkeys(text for text in texts if text.startswith(MARK + "{")))
    if not lines:
        if any(text.startswith(MARK) and ", model sha256 " in text for text in texts):
            raise ProvenanceError(
                "its provenance is in the words of an earlier melodygru, which replay doesn't read: expected JSON; the "
                "first texts of the file name the settings and the seed, generate takes them as options"
            )
        raise ProvenanceError(
            "no provenance: expected a file that melodygru generate wrote, or Composition.save; other software may "
            "have removed the text event"
        )
    if len(lines) > 1:
        raise ProvenanceError(f"{len(lines)} provenances: expected one; the file was joined from several pieces")
    return _parse(lines[0]), lines[0]


def _parse(line: str) -> Provenance:
    """The provenance in a text event."""
    try:
        values = json.loads(line[len(MARK) :])
    except (ValueError, RecursionError) as error:
        raise ProvenanceError(
            f"the provenance is damaged, it is no JSON ({error}): expected it as generate wrote it"
        ) from error
    form = values.pop("stamp", None)
    if type(form) is int and FORM < form < 1_000_000:
        raise ProvenanceError(f"provenance of form {form}: this melodygru reads form {FORM}; install a newer one")
    known = fields(Provenance)
    missing = [item.name for item in known if item.name not in values]
    wrong = [item.name for item in known if item.name in values and not _LOOKS[str(item.type)](values[item.name])]
    if type(form) is not int or form != FORM or missing or wrong:
        what = ", ".join([*(["stamp"] if form != FORM else []), *missing, *wrong])
        raise ProvenanceError(f"the provenance is damaged ({what}): expected it as generate wrote it")
    provenance = Provenance(**{item.name: values[item.name] for item in known})
    if not 1 <= provenance.piece <= provenance.of:
        raise ProvenanceError(
            f"the provenance is damaged (piece {provenance.piece} of {provenance.of}): expected it as generate wrote it"
        )
    return provenance


def _texts(value: Any) -> bool:
    return isinstance(value, dict) and len(value) <= MOST and all(_text(text) for text in (*value, *value.values()))


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_TEXT


def _list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MOST and all(_text(text) for text in value)


# What a value of each type of a field looks like in JSON.
_LOOKS: dict[str, Callable[[Any], bool]] = {
    "dict[str, str]": _texts,
    "dict[str, dict[str, str]]": lambda value: (
        isinstance(value, dict) and len(value) <= MOST and all(_texts(one) and len(one) == 1 for one in value.values())
    ),
    "dict[str, Any]": lambda value: isinstance(value, dict) and len(value) <= MOST and all(map(_text, value)),
    "list[str]": _list_of_texts,
    "str": _text,
    "str | None": lambda value: value is None or _text(value),
    "int": lambda value: type(value) is int and 0 <= value < 1 << 128,
}


def mismatches(provenance: Provenance) -> list[str]:
    """What of versions and processor is not as the provenance says, in a few words each."""
    here = {**_versions(), "processor": _processor()}
    there = {**provenance.versions, "processor": provenance.processor}
    return [
        f"{name} {here.get(name, 'none')} (the file says {there.get(name, 'none')})"
        for name in {**there, **here}
        if here.get(name) != there.get(name)
    ]


def notes_hash(piece: NoteSequence) -> str:
    """SHA-256 of a piece's grid, length and notes, in hexadecimal; MIDI keeps all three."""
    content = hashlib.sha256(f"{piece.grid} {piece.length}\n".encode())
    for name in ("onset", "duration", "part", "program", "pitch", "velocity"):
        content.update(piece.notes[name].astype("<i8").tobytes())
    return content.hexdigest()


def file_hash(path: Path | str) -> str:
    """SHA-256 of a file of music, in hexadecimal. Raises OSError, also for what is no regular file or too large."""
    return sha256_of(path, midi.MAX_FILE_BYTES)


def _input(value: Any) -> dict[str, str]:
    """What is noted of a piece that was given."""
    if isinstance(value, Source):
        if value.sha256 is not None:
            return {"file": value.sha256}
        value = value.sequence
    if isinstance(value, NoteSequence):
        return {"notes": notes_hash(value)}
    try:
        return {"file": file_hash(value)}
    except OSError as error:
        raise MidiError(f"{value}: {error.strerror or error}; it was there when the piece was begun") from error


def _plain(value: Any) -> Any:
    """A value as JSON holds it without loss; TypeError if it can't."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(item) for key, item in value.items()}
    raise TypeError(type(value).__name__)


def _revived(value: Any) -> Any:
    """The inverse of `_plain`, with tuples for lists."""
    if isinstance(value, list):
        return tuple(_revived(item) for item in value)
    if isinstance(value, dict):
        return {key: _revived(item) for key, item in value.items()}
    return value


@functools.cache
def _versions() -> dict[str, str]:
    """Versions that the bytes may depend on."""
    return {
        "melodygru": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "mido": importlib.metadata.version("mido"),
    }


@functools.cache
def _processor() -> str:
    """The processor's kind and NumPy's BLAS: other ones may round otherwise, which a choice can depend on."""
    config: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment, call-overload]
    extensions = config.get("SIMD Extensions", {})
    blas = config.get("Build Dependencies", {}).get("blas", {})
    used = [*extensions.get("baseline", []), *extensions.get("found", [])]
    return " ".join([platform.machine(), *used]) + f"; {blas.get('name', 'no BLAS')} {blas.get('version', '')}".rstrip()


__all__ = ["Provenance", "file_hash", "notes_hash", "read", "provenances", "mismatches"]
