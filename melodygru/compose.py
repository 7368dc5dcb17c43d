"""The Python API for new music: `generate` gives note sequences that save themselves as MIDI, sound or a picture."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from melodygru import audio, checkpoint, midi, plots, sampling, score
from melodygru.checkpoint import Checkpoint
from melodygru.errors import MidiError, SettingError
from melodygru.events import Vocabulary
from melodygru.network import Network
from melodygru.notes import NoteSequence, quantize
from melodygru.sampling import Controls, Length


@dataclass(frozen=True, eq=False)
class Composition(NoteSequence):
    """A note sequence that can be saved.

    Parameters
    ----------
    seed : int
        The seed of the batch that this piece is one of.
    """

    seed: int = 0

    @classmethod
    def of(cls, sequence: NoteSequence, seed: int) -> Composition:
        """The same notes as a composition."""
        return cls(**{f.name: getattr(sequence, f.name) for f in fields(sequence)}, seed=seed)

    def to_pretty_midi(self) -> Any:
        """As a `pretty_midi.PrettyMIDI`."""
        return midi.to_pretty_midi(self)

    def save(self, path: str | Path) -> None:
        """Write a MIDI file (.mid, .midi), sound (.wav), a piano roll (.png, .svg) or MusicXML (.musicxml, .xml).

        The path's suffix decides. Sheet music as a picture: `melodygru.score.write(piece, "a.svg")`.

        Raises
        ------
        SettingError
            Another suffix, or MusicXML of music without a beat.
        MidiError, AudioError
            The file can't be written, or there is no renderer.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix in (".mid", ".midi"):
            midi.write(self, path)
        elif suffix == ".wav":
            audio.write_wav(audio.render(self), path)
        elif suffix in (".png", ".svg"):
            plots.piano_roll(self, path, title=path.stem)
        elif suffix in (".musicxml", ".xml"):
            score.write(self, path, title=path.stem)
        else:
            raise SettingError(f"{path}: expected a name that ends in .mid, .midi, .wav, .png, .svg or .musicxml")


def generate(
    model: str | Path | Checkpoint | None = None,
    *,
    num_outputs: int = 1,
    seed: int | None = None,
    temperature: float = 1.0,
    rhythm_temperature: float | None = None,
    pitch_temperature: float | None = None,
    top_k: int = 0,
    top_p: float = 0.95,
    min_p: float = 0.0,
    bars: int | None = None,
    seconds: float | None = None,
    notes: int | None = None,
    style: str | None = None,
    metre: tuple[int, int] | None = None,
    primer: str | Path | NoteSequence | None = None,
    qpm: float | None = None,
    on_start: Callable[[list[sampling.Plan]], None] | None = None,
    on_note: Callable[[sampling.Note], None] | None = None,
) -> list[Composition]:
    """Compose new pieces with a trained model; TensorFlow is not needed.

    Parameters
    ----------
    model : path of a `.keras` checkpoint, or what `melodygru.checkpoint.read` made of one; default: the newest in
        ./checkpoints, else the one that comes with melodygru
    num_outputs : pieces, composed as one batch
    seed : the same checkpoint, settings and seed give the same pieces; default: a new one
    temperature, rhythm_temperature, pitch_temperature, top_k, top_p, min_p : see `sampling.Controls`
    bars, seconds, notes : at most one, see `sampling.Length`; default: where the model ends the piece
    style : a style that the model was trained on; default: unknown
    metre : time signature, (numerator, denominator); default: the primer's, else drawn for each piece, as frequent as
        among the training pieces of the style
    primer : a MIDI file or note sequence that the pieces begin with
    qpm : tempo, quarter notes per minute
    on_start : called once with what is settled of each piece before the first note, see `sampling.Plan`
    on_note : called with each note as it is composed

    Returns
    -------
    pieces : list of Composition

    Raises
    ------
    CheckpointError, SettingError, MidiError
        What is wrong, and what to do.

    Examples
    --------
    >>> piece, = melodygru.generate(bars=8, seed=1)  # doctest: +SKIP
    >>> piece.save("new.mid")  # doctest: +SKIP
    """
    if not isinstance(model, Checkpoint):
        model = checkpoint.read(checkpoint.find(Path(model) if model is not None else None))
    network = Network(model)
    if seed is None:
        seed = secrets.randbits(32)
    if seed < 0:
        raise SettingError(f"seed {seed}: expected 0 or more")
    heard = None if primer is None else read_primer(primer, network.vocabulary)
    pieces = sampling.compose(
        network,
        num_outputs,
        seed,
        controls=Controls(temperature, rhythm_temperature, pitch_temperature, top_k, top_p, min_p),
        length=Length(bars, seconds, notes),
        style=style,
        metre=metre,
        primer=heard,
        qpm=qpm,
        on_start=on_start,
        on_note=on_note,
    )
    return [Composition.of(piece, seed) for piece in pieces]


def read_primer(primer: str | Path | NoteSequence, vocabulary: Vocabulary) -> NoteSequence:
    """A primer on the vocabulary's grid.

    Raises
    ------
    MidiError
        The file can't be read; the message begins with its name.
    SettingError
        It holds no note.
    """
    if isinstance(primer, NoteSequence):
        name, sequence = "the primer", primer
    else:
        name = str(primer)
        try:
            sequence = midi.read(Path(primer)).sequence
        except MidiError as error:
            raise MidiError(f"{name}: {error}") from error
    if len(sequence) == 0:
        raise SettingError(f"{name} holds no note: expected a piece to go on from")
    return quantize(sequence, vocabulary.grid)[0]


__all__ = ["Composition", "generate", "read_primer"]
