"""A composed MIDI file replayed: composed anew from its provenance, and what differs.

>>> import melodygru
>>> made = melodygru.replay("generated/starter-5-7.mid")  # doctest: +SKIP
>>> made.identical  # doctest: +SKIP
True
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from melodygru import midi
from melodygru.compose.composer import Composer
from melodygru.compose.composition import Composition
from melodygru.compose.drawing import Note
from melodygru.compose.humanise_settings import HumaniseSettings
from melodygru.compose.lengths import Plan
from melodygru.compose.primer import Source
from melodygru.compose.provenance import REDONE, Provenance, mismatches, notes_hash, read
from melodygru.compose.redo_settings import RedoSettings
from melodygru.compose.settings import GenerateSettings, check_written
from melodygru.errors import CheckpointError, MidiError, ProvenanceError, SettingError
from melodygru.events import Vocabulary
from melodygru.model import checkpoint
from melodygru.model.checkpoint import Checkpoint
from melodygru.music.notes import DRUMS, NoteSequence
from melodygru.music.quantize import quantize
from melodygru.util.atomic import atomic_write
from melodygru.util.settings import declared_by
from melodygru.util.wording import counted
from melodygru.version import __version__

SHOWN = 12  # digits of a hash in a message


@dataclass(frozen=True)
class Difference:
    """Where two pieces first differ.

    Attributes
    ----------
    note : number of the note, from 1; one more than a piece has if that piece is over; None if all notes are the same
    bar : bar that it stands in, from 1; None without bars
    made, found : what was made now, and what the file holds, in words
    """

    note: int | None
    bar: int | None
    made: str
    found: str

    def __str__(self) -> str:
        where = "" if self.note is None else f"at note {self.note:,}"
        where += "" if self.bar is None else f" (bar {self.bar:,})"
        return f"{where}: {self.made}; in the file {self.found}".removeprefix(": ")


@dataclass(frozen=True)
class Replay:
    """What came of a replay.

    Attributes
    ----------
    piece : Composition
    provenance : what the file says
    model : checkpoint that it was made with; None: one without a file
    data : the bytes of its MIDI file; with the file's own provenance, if the notes are those that it was composed with
    identical : whether these are the bytes of the file
    as_composed : whether the notes are those that it was composed with
    edited : whether the file's notes are no longer those that it was composed with
    difference : where the file's music first differs from the piece's, or None
    mismatches : what of versions and processor is not as the provenance says, in a few words each
    """

    piece: Composition
    provenance: Provenance
    model: Path | None
    data: bytes
    identical: bool
    as_composed: bool
    edited: bool
    difference: Difference | None
    mismatches: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """What came of it, in a line."""
        if self.identical:
            return "the same, byte for byte"
        if self.as_composed and self.edited:
            return f"as it was composed; the file was changed since, first {self.difference}"
        if self.as_composed and self.difference is not None:
            return f"the notes are the same; the file was changed otherwise since: {self.difference}"
        if self.as_composed:
            return "the same music in other bytes: the file was written anew by other software"
        cause = (
            "with other versions or another processor" if self.mismatches else "with the same versions and processor"
        )
        if self.difference is None:
            return f"another piece than the provenance names, {cause}, but the file's music: the provenance was changed"
        return f"another piece, {cause}: it first differs {self.difference}"

    def save(self, path: str | Path) -> None:
        """Write the MIDI file.

        Raises
        ------
        MidiError
            The path can't be written.
        """
        with atomic_write(path, MidiError) as aside:
            aside.write_bytes(self.data)


def replay(
    path: str | Path,
    *,
    model: str | Path | Checkpoint | None = None,
    primer: str | Path | NoteSequence | None = None,
    on_start: Callable[[list[Plan]], None] | None = None,
    on_note: Callable[[Note], None] | None = None,
    **inputs: str | Path | NoteSequence | None,
) -> Replay:
    """Compose a piece anew from the provenance in its MIDI file, with the whole batch that it is one of.

    Parameters
    ----------
    path : a MIDI file that `melodygru generate` or `Composition.save` wrote
    model : the checkpoint; default: the one in ./checkpoints with the hash in the file, or the one that comes with
        melodygru if it has it
    primer : the same primer, if it was made with one; of a redone or humanised piece `piece` is the one that was
    on_start, on_note : as in `Composer.generate`
    **inputs : other pieces that it was made with, under the names of the settings

    Returns
    -------
    Replay
        Byte for byte the file, if versions and processor are the same; else it says what differs.

    Raises
    ------
    ProvenanceError
        The file has none, a damaged one, or was made with what it can't hold.
    CheckpointError
        There is no checkpoint with the file's hash, or the one given has another.
    SettingError
        An input is missing, superfluous, or not the one that the file names.
    MidiError
        A file can't be read.
    """
    name = str(path)
    try:
        content = midi.load(Path(path))
        provenance, line = read(content)
    except (MidiError, ProvenanceError) as error:
        raise type(error)(f"{name}: {error}") from error
    _check(name, provenance)
    composer = _composer(name, provenance, model)
    given = _inputs(name, provenance, {"primer": primer, **inputs}, composer.vocabulary)
    values = {"num_outputs": provenance.of, "seed": provenance.seed, **provenance.arguments, **given}
    if provenance.owner is GenerateSettings:
        values.setdefault("best_of", 1)  # files from before there were candidates
    pieces: Sequence[Composition]
    try:
        if provenance.owner is RedoSettings:
            pieces = composer.redo(values.pop(REDONE), RedoSettings(**values))
        elif provenance.owner is HumaniseSettings:
            pieces = composer.humanise(values.pop(REDONE), HumaniseSettings(**values))
        else:
            pieces = composer.generate(GenerateSettings(**values), on_start=on_start, on_note=on_note)
    except SettingError as error:
        raise ProvenanceError(f"{name}: its settings can't be followed here: {error}") from error
    except TypeError as error:  # the text was changed: ranges are checked, types are not
        raise ProvenanceError(f"{name}: the provenance is damaged, a setting is of a wrong type ({error})") from error
    model_path = None if isinstance(model, Checkpoint) else composer.checkpoint.path
    return _compare(pieces[provenance.piece - 1], provenance, line, content, model_path)


def _check(name: str, provenance: Provenance) -> None:
    """Refuse a provenance that can't be followed."""
    own = [argument for argument in provenance.own if argument != "model"]
    if own:
        raise ProvenanceError(
            f"{name}: made in Python with objects for {', '.join(own)}, which provenance can't hold; call "
            f"melodygru.generate with the same objects and seed {provenance.seed}"
        )
    owner: type = provenance.owner
    known = declared_by(owner)
    unknown = sorted({*provenance.settings, *provenance.inputs} - {*known, REDONE})
    if unknown:
        raise ProvenanceError(
            f"{name}: made with {', '.join(unknown)}, which melodygru {__version__} doesn't have; the file says "
            f"melodygru {provenance.versions.get('melodygru', 'unknown')}"
        )
    pieces = [name for name in provenance.inputs if name != REDONE and not issubclass(known[name].type, Path)]
    if pieces:
        raise ProvenanceError(f"{name}: the provenance is damaged ({pieces[0]} is no piece)")
    try:
        for argument, value in provenance.arguments.items():
            check_written(known[argument], value)
        most = known["num_outputs"].about.typed_high
        if most is not None and provenance.of > most:
            raise SettingError(f"{provenance.of:,} pieces: expected at most {most:,}")
    except SettingError as error:
        raise ProvenanceError(f"{name}: its settings can't be followed here: {error}") from error


def _composer(name: str, provenance: Provenance, model: str | Path | Checkpoint | None) -> Composer:
    """The checkpoint with the provenance's hash, ready to compose."""
    wanted = provenance.model
    if isinstance(model, Checkpoint):
        if wanted is not None and model.sha256 != wanted:
            raise CheckpointError(f"{name}: the model given is not the one that the file names, {_short(wanted)}")
        return Composer(model)
    if wanted is None:
        raise ProvenanceError(
            f"{name}: made in Python with a model that came from no file; give melodygru.replay that model itself"
        )
    path = checkpoint.find_by_hash(wanted) if model is None else Path(model)
    if path is None:
        raise CheckpointError(
            f"{name}: no checkpoint in ./checkpoints, nor the one that comes with melodygru, has the "
            f"file's SHA-256, {_short(wanted)}; name it with --model FILE.keras"
        )
    composer = Composer.load(path)
    found = composer.checkpoint.sha256 or ""
    if found != wanted:
        raise CheckpointError(
            f"{path}: SHA-256 {_short(found)}, but {name} was made with {_short(wanted)}; "
            "give that checkpoint, or leave --model out to look for it in ./checkpoints"
        )
    return composer


def _inputs(name: str, provenance: Provenance, given: dict[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    """The pieces that were given, each the one that the provenance names."""
    inputs = {}
    for argument in dict.fromkeys([*provenance.inputs, *given]):
        piece, noted = given.get(argument), provenance.inputs.get(argument)
        option = "--" + argument.replace("_", "-")
        if piece is None and noted is None:
            continue
        if noted is None:
            raise SettingError(f"{option}: {name} was made without one; leave it out")
        ((kind, wanted),) = noted.items()
        what = "of notes given in Python, " if kind == "notes" else ""
        if piece is None:
            raise SettingError(
                f"{name}: made with a file for {option} ({what}SHA-256 {_short(wanted)}); name it with {option} FILE"
            )
        source = Source.from_given(piece)
        hashes = [source.sha256] if source.sha256 is not None and kind == "file" else []
        if kind == "notes" or source.sha256 is None:
            hashes = [notes_hash(source.sequence), notes_hash(quantize(source.sequence, vocabulary.grid)[0])]
        if wanted not in hashes:
            raise SettingError(
                f"{option}: {source.name} is not the one that {name} was made with: SHA-256 {_short(hashes[0])}, "
                f"the file says {_short(wanted)}"
            )
        inputs[argument] = source
    return inputs


def _compare(piece: Composition, provenance: Provenance, line: str, content: bytes, model: Path | None) -> Replay:
    """What was made, beside the file."""
    made = piece.midi()
    as_composed = notes_hash(piece) == provenance.notes
    if as_composed:
        # The file's own provenance, so that the same music is the same bytes, whatever version replays it.
        made = piece.midi(line)
    # Through the same bytes, for MIDI keeps no tempo of music without a beat.
    found, ours = (quantize(midi.read(data).sequence, piece.grid)[0] for data in (content, made))
    return Replay(
        piece,
        provenance,
        model,
        made,
        identical=made == content,
        as_composed=as_composed,
        edited=notes_hash(found) != provenance.notes,
        difference=None if made == content else _difference(ours, found),
        mismatches=tuple(mismatches(provenance)),
    )


def _difference(made: NoteSequence, found: NoteSequence) -> Difference | None:
    """Where two pieces on one grid first differ; None if nowhere."""
    n = min(len(made), len(found))
    other = np.flatnonzero(made.notes[:n] != found.notes[:n])
    at = int(other[0]) if len(other) else n
    if at < max(len(made), len(found)):
        onset = min(int(piece.notes["onset"][at]) for piece in (made, found) if at < len(piece))
        bar = None
        if made.grid.is_metrical:
            bar = int(np.searchsorted(made.bar_starts(), onset, side="right"))
        return Difference(at + 1, bar, _words(made, at), _words(found, at))
    if made.length != found.length:
        return Difference(None, None, f"it ends at step {made.length:,}", f"at step {found.length:,}")
    for what in ("tempos", "metres"):
        ours, theirs = getattr(made, what), getattr(found, what)
        if not np.array_equal(ours, theirs):
            return Difference(None, None, f"its {what} are {_marks(ours)}", _marks(theirs))
    return None


def _words(piece: NoteSequence, at: int) -> str:
    """A note in words."""
    if at >= len(piece):
        return "the piece is over"
    onset, duration, part, program, pitch, velocity = piece.notes[at].tolist()
    played = "drums" if program == DRUMS else f"program {program}"
    lasts = counted(duration, "step")
    return f"pitch {pitch} of part {part + 1} ({played}) from step {onset:,} for {lasts}, velocity {velocity}"


def _marks(marks: np.ndarray) -> str:
    """Tempi (microseconds per quarter note) or metres, each with its step."""
    return ", ".join(f"{'/'.join(map(str, values))} at step {step}" for step, *values in marks.tolist())


def _short(sha256: str) -> str:
    return sha256[:SHOWN] + "..."


__all__ = ["Difference", "Replay", "replay"]
