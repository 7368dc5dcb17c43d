"""A checkpoint ready to compose: whole pieces, or music without an end; TensorFlow is not needed."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from melodygru.analysis import originality
from melodygru.analysis.originality import Index
from melodygru.compose.actions import Action
from melodygru.compose.candidates import Candidate, candidates
from melodygru.compose.choosing import Choice, Chooser
from melodygru.compose.composing import compose
from melodygru.compose.composition import Composition, Version
from melodygru.compose.constraints import of_settings
from melodygru.compose.controls import Controls
from melodygru.compose.drawing import Note
from melodygru.compose.forms import resolved
from melodygru.compose.humanise_settings import HumaniseSettings
from melodygru.compose.humanising import Performance, performances
from melodygru.compose.lengths import Length, Plan
from melodygru.compose.primer import Source, check_bars
from melodygru.compose.provenance import provenances
from melodygru.compose.redo_settings import RedoSettings
from melodygru.compose.settings import GenerateSettings
from melodygru.events import Vocabulary
from melodygru.model import checkpoint
from melodygru.model.checkpoint import Checkpoint
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.notes import NoteSequence
from melodygru.util.settings import takes_settings

if TYPE_CHECKING:
    from melodygru.compose.stream import Stream

Settings = ParamSpec("Settings")
Made = TypeVar("Made", bound=Version)

logger = logging.getLogger("melodygru")

# Checkpoints that were read: of each path the size and time of its file, and its composer.
_loaded: dict[Path, tuple[tuple[int, int], Composer]] = {}
_loading = threading.Lock()


class Composer:
    """A model that is ready to compose.

    Nothing in it changes while it composes: any number of threads may use one composer at the same time, and each gets
    what it would get alone.

    Parameters
    ----------
    model : Checkpoint
        What `melodygru.model.checkpoint.read` gives; `Composer.load` takes a path.

    Examples
    --------
    >>> composer = Composer.load("checkpoints/mine.keras")  # doctest: +SKIP
    >>> piece, = composer.generate(GenerateSettings(bars=8, seed=1))  # doctest: +SKIP
    >>> for note in composer.stream():  # doctest: +SKIP
    ...     print(note.onset_s, note.pitch)
    """

    def __init__(self, model: Checkpoint) -> None:
        self.checkpoint = model
        self.model = NumpyModel(model)

    @classmethod
    def load(cls, path: str | Path | None = None) -> Composer:
        """The composer of a checkpoint's file, which is read once a process, or when it has changed.

        Parameters
        ----------
        path : a `.keras` file; default: the newest in ./checkpoints, else the one that comes with melodygru

        Raises
        ------
        CheckpointError
            There is none, or it is damaged.
        """
        found = checkpoint.find(None if path is None else Path(path))
        key, state = found.absolute(), found.stat()
        version = state.st_size, state.st_mtime_ns
        with _loading:
            if key not in _loaded or _loaded[key][0] != version:
                _loaded[key] = version, cls(checkpoint.read(found))
            return _loaded[key][1]

    @property
    def vocabulary(self) -> Vocabulary:
        """The alphabet of its model, which names the styles, programs and metres that it knows."""
        return self.model.vocabulary

    @cached_property
    def index(self) -> Index | None:
        """The index of the music that the model was trained on; None without one."""
        return None if self.checkpoint.path is None else originality.read(self.checkpoint.path)

    def generate(
        self,
        settings: GenerateSettings | None = None,
        *,
        on_start: Callable[[list[Plan]], None] | None = None,
        on_note: Callable[[Note], None] | None = None,
        on_guard: Callable[[Action], None] | None = None,
    ) -> list[Composition]:
        """Compose pieces, all as one batch.

        Parameters
        ----------
        settings : GenerateSettings
        on_start : called once with the plan of each piece, before the first note; with `best_of`, of each candidate,
            those of the first piece first
        on_note : called with each note of a piece in order, when it is certain to stay; with `best_of`, of a candidate
        on_guard : called with each action of the guard and of `max_copy`, in pieces that are given

        Raises
        ------
        SettingError, MidiError, CheckpointError
            What is wrong, and what to do.
        """
        settings = settings or GenerateSettings()
        seed = secrets.randbits(32) if settings.seed is None else settings.seed
        several = settings.best_of > 1
        chooser = Chooser(self.checkpoint, self.model, self.index, settings) if several else None
        actions: list[Action] = []
        watch = actions.append if several else on_guard
        settings, pieces = self._new(settings, seed, on_start=on_start, on_note=on_note, on_guard=watch)
        choices: list[Choice] = []
        if chooser is not None:
            of_each = [pieces[at : at + settings.best_of] for at in range(0, len(pieces), settings.best_of)]
            choices = [chooser.choose([chooser.measure(one) for one in candidates]) for candidates in of_each]
            pieces = [of[choice.candidate - 1] for of, choice in zip(of_each, choices, strict=True)]
            kept = {at * settings.best_of + choice.candidate - 1: at for at, choice in enumerate(choices)}
            for action in actions:
                if on_guard is not None and action.stream in kept:
                    on_guard(replace(action, stream=kept[action.stream]))
        made = provenances(settings, self.checkpoint.sha256, seed, pieces)
        return [
            Composition.from_notes(piece, seed, how, choices[at] if choices else None)
            for at, (piece, how) in enumerate(zip(pieces, made, strict=True))
        ]

    def redo(
        self,
        piece: str | Path | NoteSequence | Source,
        settings: RedoSettings | None = None,
        *,
        on_progress: Callable[[float], None] | None = None,
    ) -> list[Candidate]:
        """Compose a part of a piece again; all else of it stays as it is.

        Parameters
        ----------
        piece : a MIDI file, or a note sequence
        settings : RedoSettings
        on_progress : called now and then with the share that is done, 0..1

        Returns
        -------
        candidates : the one that the model finds most probable first, each with its figures

        Raises
        ------
        SettingError, MidiError
            What is wrong, and what to do.
        """
        settings = settings or RedoSettings()
        seed = secrets.randbits(32) if settings.seed is None else settings.seed
        source = Source.from_given(piece, "the piece that is given", "compose again")
        if settings.form_of is not None:
            settings = replace(settings, form_of=Source.from_given(settings.form_of, "form-of", "take the form of"))
        made = candidates(self.model, source, settings, seed, _controls(settings), self.index, on_progress)
        return self._with_provenance(made, settings, seed, source)

    def humanise(
        self,
        piece: str | Path | NoteSequence | Source,
        settings: HumaniseSettings | None = None,
        *,
        on_progress: Callable[[float], None] | None = None,
    ) -> list[Performance]:
        """Play a score: its notes in their order, with velocities, timing, lengths, tempo and pedal of the model.

        Parameters
        ----------
        piece : a MIDI file, or a note sequence
        settings : HumaniseSettings
        on_progress : called now and then with the share that is done, 0..1

        Returns
        -------
        performances : the one that the model finds most probable first, each with its figures; with `strength` 0 the
            file as it is, which then says nothing of how it was made

        Raises
        ------
        SettingError, MidiError
            What is wrong, and what to do.
        """
        settings = settings or HumaniseSettings()
        seed = secrets.randbits(32) if settings.seed is None else settings.seed
        source = Source.from_given(piece, "the piece that is given", "play")
        made = performances(self.model, source, settings, seed, on_progress)
        if not settings.strength:
            return made
        return self._with_provenance(made, settings, seed, source)

    def stream(
        self, settings: GenerateSettings | None = None, *, on_guard: Callable[[Action], None] | None = None
    ) -> Stream:
        """Music without an end: an iterator of notes, see `Stream`.

        Parameters
        ----------
        settings : GenerateSettings
            To begin with; without lengths and given pieces.
        on_guard : called with each action of the guard; its stream is the number of the piece, from 0

        Raises
        ------
        SettingError
            A style that the model doesn't know, or a setting that a stream can't have.
        """
        from melodygru.compose.stream import Stream  # with all that plays

        settings = settings or GenerateSettings()
        settings.check_for_stream()
        if settings.seed is None:
            settings = replace(settings, seed=secrets.randbits(32))
        index = None if settings.max_copy is None else self.index
        return Stream(
            self.model,
            settings,
            _controls(settings),
            constraints=of_settings(settings),
            index=index,
            on_guard=on_guard,
        )

    def _with_provenance(
        self, made: Sequence[Made], settings: RedoSettings | HumaniseSettings, seed: int, source: Source
    ) -> list[Made]:
        """What was made of a piece, each with how."""
        how = provenances(settings, self.checkpoint.sha256, seed, made, source)
        return [replace(one, provenance=provenance) for one, provenance in zip(made, how, strict=True)]

    def _new(
        self, settings: GenerateSettings, seed: int, **callbacks: Any
    ) -> tuple[GenerateSettings, list[NoteSequence]]:
        """New pieces, and the settings with the primer as it was read."""
        if settings.primer_bars is not None:
            check_bars(settings.primer_bars)
        primer = None
        if settings.form is not None:
            settings = replace(settings, form=resolved(settings.form, self.vocabulary))
        if settings.primer is not None:
            source = Source.from_given(settings.primer)
            settings = replace(settings, primer=source)
            primer = source.primer(self.vocabulary, settings.primer_bars)
            _warn(source.name, primer.mismatches)
        pieces = compose(
            self.model,
            settings.num_outputs * settings.best_of,
            seed,
            controls=_controls(settings),
            length=Length(settings.bars, settings.seconds, settings.notes),
            style=settings.style,
            metre=settings.metre,
            primer=primer,
            no_primer=settings.no_primer,
            qpm=settings.qpm,
            form=settings.form,
            ending=settings.ending,
            guard=settings.guard,
            max_copy=settings.max_copy,
            index=None if settings.max_copy is None else self.index,
            constraints=of_settings(settings),
            **callbacks,
        )
        return settings, pieces


def _warn(name: str, mismatches: tuple[str, ...]) -> None:
    """Log what of a piece the model is not given as it is."""
    if mismatches:
        logger.warning("%s: %s", name, "; ".join(mismatches))


def _controls(settings: GenerateSettings | RedoSettings) -> Controls:
    """How probabilities become choices."""
    return Controls(
        settings.temperature,
        settings.rhythm_temperature,
        settings.pitch_temperature,
        settings.top_k,
        settings.top_p,
        settings.min_p,
    )


class _Generate(Protocol[Settings]):
    """What type checkers and editors see of `generate`: every setting, with its type."""

    def __call__(
        self,
        model: str | Path | Checkpoint | Composer | None = None,
        on_start: Callable[[list[Plan]], None] | None = None,
        on_note: Callable[[Note], None] | None = None,
        on_guard: Callable[[Action], None] | None = None,
        *no_more: Settings.args,
        **settings: Settings.kwargs,
    ) -> list[Composition]: ...


def _with_settings_of(_: Callable[Settings, GenerateSettings]) -> Callable[[Any], _Generate[Settings]]:
    return takes_settings(GenerateSettings)


@_with_settings_of(GenerateSettings)
def generate(
    model: str | Path | Checkpoint | Composer | None = None,
    *,
    on_start: Callable[[list[Plan]], None] | None = None,
    on_note: Callable[[Note], None] | None = None,
    on_guard: Callable[[Action], None] | None = None,
    **settings: Any,
) -> list[Composition]:
    """Compose new pieces with a trained model; TensorFlow is not needed.

    Parameters
    ----------
    model : path of a `.keras` checkpoint, what `melodygru.model.checkpoint.read` made of one, or a Composer
        Default: the newest in ./checkpoints, else the one that comes with melodygru.
    SETTINGS
    on_start, on_note, on_guard : see `Composer.generate`

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
    chosen = GenerateSettings(**settings)
    if isinstance(model, Checkpoint):
        model = Composer(model)
    composer = model if isinstance(model, Composer) else Composer.load(model)
    return composer.generate(chosen, on_start=on_start, on_note=on_note, on_guard=on_guard)


__all__ = ["Composer", "generate"]
