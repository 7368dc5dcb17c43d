"""The Python API for new music: `generate` gives note sequences that save themselves as MIDI, sound or a picture."""

from __future__ import annotations

import inspect
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from melodygru import compose, midi
from melodygru.analysis import originality
from melodygru.compose import Controls, Length
from melodygru.compose.primer import Source, check_bars
from melodygru.compose.provenance import Provenance, provenances
from melodygru.errors import SettingError
from melodygru.events import Vocabulary
from melodygru.model import checkpoint
from melodygru.model.checkpoint import Checkpoint
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.names import PROGRAM_NAMES
from melodygru.music.notes import NoteSequence, quantize
from melodygru.render import formats
from melodygru.util.wording import counted

logger = logging.getLogger("melodygru")

KEEP = 0.7  # share of the notes of a piece that is varied


@dataclass(frozen=True, eq=False)
class Composition(NoteSequence):
    """A note sequence that can be saved.

    Parameters
    ----------
    seed : int
        The seed of the batch that this piece is one of.
    stamp : Stamp, optional
        How it was made, which its MIDI file says too: `melodygru.replay` makes it again.
    """

    seed: int = 0
    provenance: Provenance | None = None

    @classmethod
    def of(cls, sequence: NoteSequence, seed: int, provenance: Provenance | None = None) -> Composition:
        """The same notes as a composition."""
        return cls(
            **{f.name: getattr(sequence, f.name) for f in fields(NoteSequence)}, seed=seed, provenance=provenance
        )

    @property
    def texts(self) -> list[str]:
        """The text events of its MIDI file: the stamp."""
        return [] if self.provenance is None else [self.provenance.text]

    def to_pretty_midi(self) -> Any:
        """As a `pretty_midi.PrettyMIDI`."""
        return midi.to_pretty_midi(self)

    def save(self, path: str | Path) -> None:
        """Write a file; the suffix of its name decides what it is.

        MIDI (.mid, .midi), sound (.wav, .flac), a piano roll (.png, .svg) or MusicXML (.musicxml, .xml). Sheet music
        as a picture: `melodygru.render.score.write(piece, "a.svg")`.

        Raises
        ------
        SettingError
            Another suffix, or MusicXML of music without a beat.
        MidiError, AudioError
            The file can't be written, or there is no renderer.
        """
        formats.Output(self, texts=self.texts).save(path)


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
    primer: str | Path | NoteSequence | Source | None = None,
    primer_bars: str | None = None,
    no_primer: bool = False,
    vary: str | Path | NoteSequence | Source | None = None,
    keep: float | None = None,
    accompany: str | Path | NoteSequence | Source | None = None,
    particles: int | None = None,
    qpm: float | None = None,
    guard: bool = True,
    max_copy: int | None = None,
    key: str | None = None,
    scale: str | None = None,
    range: str | None = None,
    programs: str | None = None,
    max_polyphony: int | None = None,
    density: float | None = None,
    chords: str | None = None,
    chord_bias: float | None = None,
    chords_only: bool = False,
    constraints: Sequence[compose.Constraint] | None = None,
    on_start: Callable[[list[compose.Plan]], None] | None = None,
    on_note: Callable[[compose.Note], None] | None = None,
    on_guard: Callable[[compose.Action], None] | None = None,
) -> list[Composition]:
    """Compose new pieces with a trained model; TensorFlow is not needed.

    Parameters
    ----------
    model : path of a `.keras` checkpoint, or what `melodygru.model.checkpoint.read` made of one; default: the newest in
        ./checkpoints, else the one that comes with melodygru
    num_outputs : pieces, composed as one batch
    seed : the same checkpoint, settings and seed give the same pieces; default: a new one
    temperature, rhythm_temperature, pitch_temperature, top_k, top_p, min_p : see `compose.Controls`
    bars, seconds, notes : at most one, see `compose.Length`; default: where the model ends the piece
    style : a style that the model was trained on; default: unknown
    metre : time signature, (numerator, denominator); default: the primer's, else drawn for each piece, as frequent as
        among the training pieces of the style
    primer : a MIDI file or note sequence that the pieces begin with; what of it the model can't hear is logged
    primer_bars : the bars of it that are heard, `A:B` counted from 1, both included, or `A:`, `:B`; default: all
    no_primer : leave the primer out of the pieces: they begin at the bar line where the first note was composed after,
        or with the first whole bar; a note that sounds on from the primer is the primer's
    vary : a MIDI file or note sequence whose notes stay in their places while some get new pitches, see `compose.vary`
    keep : share of its notes that stay as they are, 0..1; default: 0.7
    accompany : a MIDI file or note sequence that other voices are added to, see `compose.accompany`
    particles : versions of each piece that go on side by side where `vary` or `accompany` is given; the most probable
        one is written; default: 64
    qpm : tempo, quarter notes per minute
    guard : whether a piece that collapses (a loop of notes, one pitch, silence, a cluster without end) is taken back to
        before it and goes on anew
    max_copy : notes of the longest match with the training corpus that a piece may hold, 7 or more; needs the index
        that training leaves in the checkpoint. What the primer itself matches stays
    key, scale : only pitches of a key such as `C:maj`, or of a list such as `C D E G A`; drums are free of both
    range : only pitches from `LOW:HIGH`, both included, names (C4 is 60) or numbers; drums are free
    programs : only these of the model's programs, numbers 0..127, General MIDI's names or drums, such as `0,violin`
    max_polyphony : notes that sound together, at most
    density : notes a beat, on the average; a second, where the music has no beat
    chords : bars of chords such as `C | Am | F G | C`, which come again and again; each favours its tones
    chord_bias : by how many nats; default: `compose.CHORD_BIAS`
    chords_only : nothing but the chords' tones
    constraints : your own, beside these, see `compose.Constraint`
    on_start : called once with what is settled of each piece before the first note, see `compose.Plan`
    on_note : called with each note of a piece in order, when it is certain to stay
    on_guard : called with each `compose.Action` of guard and max_copy

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
    arguments = dict(locals())  # by name, for the stamp: all of them, and nothing else is here yet
    if not isinstance(model, Checkpoint):
        model = checkpoint.read(checkpoint.find(Path(model) if model is not None else None))
    network = NumpyModel(model)
    if seed is None:
        seed = secrets.randbits(32)
    if seed < 0:
        raise SettingError(f"seed {seed}: expected 0 or more")
    if vary is not None or accompany is not None:
        arguments, pieces = _from_piece(network, arguments, seed)
        made = provenances(generate, arguments, model.sha256, seed, pieces)
        return [Composition.of(piece, seed, provenance) for piece, provenance in zip(pieces, made, strict=True)]
    for name, value, beside in (("keep", keep, "vary"), ("particles", particles, "vary or accompany")):
        if value is not None:
            raise SettingError(f"{name} {value}: expected {beside} with it")
    if primer is None and (primer_bars is not None or no_primer):
        raise SettingError(f"{'primer-bars' if primer_bars is not None else 'no-primer'}: expected a primer with it")
    if primer_bars is not None:
        check_bars(primer_bars)
    arguments["primer"] = source = None if primer is None else Source.of(primer)
    heard = None if source is None else source.primer(network.vocabulary, primer_bars)
    if source is not None and heard is not None and heard.mismatches:
        logger.warning("%s: %s", source.name, "; ".join(heard.mismatches))
    wishes = compose.of_settings(
        key=key,
        scale=scale,
        range=range,
        programs=programs,
        max_polyphony=max_polyphony,
        density=density,
        chords=chords,
        chord_bias=chord_bias,
        chords_only=chords_only,
        names=PROGRAM_NAMES,
    )
    index = None
    if max_copy is not None and model.path is not None:
        index = originality.read(model.path)
    pieces = compose.compose(
        network,
        num_outputs,
        seed,
        controls=Controls(temperature, rhythm_temperature, pitch_temperature, top_k, top_p, min_p),
        length=Length(bars, seconds, notes),
        style=style,
        metre=metre,
        primer=None if heard is None else heard.sequence,
        splice=None if heard is None else heard.splice,
        no_primer=no_primer,
        qpm=qpm,
        guard=guard,
        max_copy=max_copy,
        index=index,
        constraints=[*wishes, *(constraints or ())],
        on_start=on_start,
        on_note=on_note,
        on_guard=on_guard,
    )
    made = provenances(generate, arguments, model.sha256, seed, pieces)
    return [Composition.of(piece, seed, provenance) for piece, provenance in zip(pieces, made, strict=True)]


# What `vary` and `accompany` can have beside them; the guard acts on what is composed alone.
_CONTROLS = ("temperature", "rhythm_temperature", "pitch_temperature", "top_k", "top_p", "min_p")
_BESIDE = ("model", "num_outputs", "seed", "style", "qpm", "guard", "keep", "particles", *_CONTROLS)


def _from_piece(network: NumpyModel, arguments: dict[str, Any], seed: int) -> tuple[dict[str, Any], list[NoteSequence]]:
    """What `generate` makes of `vary` or `accompany`: the arguments, with the piece as it was read, and the pieces."""
    how = "vary" if arguments["vary"] is not None else "accompany"
    parameters = inspect.signature(generate).parameters
    beside = [name for name in parameters if name not in (how, *_BESIDE) and not name.startswith("on_")]
    if how == "accompany":
        beside.append("keep")
    beside = [name.replace("_", "-") for name in beside if arguments[name] != parameters[name].default]
    if beside:
        raise SettingError(f"{how} goes without {', '.join(beside)}: leave one out")
    given = arguments[how]
    source = Source.of(given, "the piece that is given", how)
    heard = source.primer(network.vocabulary)
    if heard.mismatches:
        logger.warning("%s: %s", source.name, "; ".join(heard.mismatches))
    settings = {name: arguments[name] for name in ("style", "qpm", "on_start", "on_note")}
    if arguments["particles"] is not None:
        settings["particles"] = arguments["particles"]
    settings["controls"] = Controls(*(arguments[name] for name in _CONTROLS))
    n = arguments["num_outputs"]
    if how == "accompany":
        pieces = compose.accompany(network, heard.sequence, n, seed, **settings)
        alone = sum(len(piece) == len(heard.sequence) for piece in pieces)
        if alone:
            logger.warning(
                "%s: nothing was added in %s; if the model knows these programs from music in which they play alone, "
                "name a style with more voices",
                source.name,
                counted(alone, "piece"),
            )
    else:
        keep = KEEP if arguments["keep"] is None else arguments["keep"]
        pieces = compose.vary(network, heard.sequence, keep, n, seed, **settings)
    return {**arguments, how: source}, pieces


def read_primer(primer: str | Path | NoteSequence, vocabulary: Vocabulary) -> NoteSequence:
    """A primer on the vocabulary's grid.

    Raises
    ------
    MidiError
        The file can't be read; the message begins with its name.
    SettingError
        It holds no note.
    """
    return quantize(Source.of(primer).sequence, vocabulary.grid)[0]


__all__ = ["Composition", "generate", "read_primer"]
