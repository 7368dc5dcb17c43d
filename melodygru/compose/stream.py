"""Music without an end: one piece after another, steered while it is composed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace

import numpy as np

from melodygru.analysis.originality import Index
from melodygru.compose.actions import Action
from melodygru.compose.composing import ATTEMPTS, chords_asked, line_up_asked, notes, sampler_for
from melodygru.compose.constraints import Constraint
from melodygru.compose.controls import Controls
from melodygru.compose.guards import Guard, check_copy, guarded
from melodygru.compose.lengths import N_DRAWS, Plan
from melodygru.compose.sampler import Sampler
from melodygru.compose.settings import GenerateSettings
from melodygru.errors import SettingError
from melodygru.model.numpy_model import NumpyModel
from melodygru.render.audio import LiveNote

LOOKAHEAD = 8  # notes that the guard may still take back: they are not given out yet
REST_BARS = 1  # between two pieces
REST_S = 2.0  # likewise, of music without bars
LONGEST_S = 600.0  # of a piece that the model does not end


class Stream(Iterator[LiveNote]):
    """The notes of piece after piece, in the order of their onsets. `Composer.stream` makes one.

    Any thread may change temperature, style and speed while another one takes the notes.

    Parameters
    ----------
    model : NumpyModel
    settings : GenerateSettings, with a seed
    controls, constraints : those of the settings
    index : what `max_copy` looks up
    on_guard : called with each action of the guard

    Attributes
    ----------
    temperature : float
        Holds from the next note on.
    style : str or None
        Holds from the next bar on, with a new piece; None is unknown.
    speed : float
        Times the tempo of the piece; holds from the next note on.
    styles : list
        What `style` can be.
    """

    def __init__(
        self,
        model: NumpyModel,
        settings: GenerateSettings,
        controls: Controls,
        *,
        constraints: Sequence[Constraint] = (),
        index: Index | None = None,
        on_guard: Callable[[Action], None] | None = None,
    ) -> None:
        self._model, self._settings, self._controls = model, settings, controls
        self._constraints, self._index, self.on_guard = constraints, index, on_guard
        self._rng = np.random.default_rng(settings.seed)
        self.styles: list[str | None] = [None, *model.vocabulary.styles]
        self._style, self.speed = settings.style, 1.0
        self._plan(settings.style)  # what the model does not know is refused at once
        check_copy(settings.max_copy, index)
        self._notes = self._pieces()

    @property
    def temperature(self) -> float:
        return self._controls.temperature

    @temperature.setter
    def temperature(self, temperature: float) -> None:
        self._controls = replace(self._controls, temperature=temperature)

    @property
    def style(self) -> str | None:
        return self._style

    @style.setter
    def style(self, style: str | None) -> None:
        if style not in self.styles:
            raise SettingError(f"style {style!r}: this model knows {', '.join(map(str, self.styles[1:])) or 'none'}")
        self._style = style

    def __next__(self) -> LiveNote:
        return next(self._notes)

    def _pieces(self) -> Iterator[LiveNote]:
        start_s = 0.0
        empty = 0  # pieces without a note, one after another
        for number in range(1 << 62):
            before_s, start_s = start_s, (yield from self._piece(number, start_s))
            empty = empty + 1 if start_s == before_s else 0
            if empty == ATTEMPTS:
                raise SettingError(f"{ATTEMPTS} pieces without a note: choose another style or temperature")

    def _plan(self, style: str | None) -> Plan:
        of, vocabulary = self._settings, self._model.vocabulary
        return Plan.from_settings(
            vocabulary,
            style=style,
            metre=of.metre,
            qpm=of.qpm,
            line_up=line_up_asked(self._constraints, vocabulary, style),
            chords=chords_asked(self._constraints),
            tonal=any(constraint.tonal for constraint in self._constraints),
            draws=self._rng.random(N_DRAWS).tolist(),
        )

    def _piece(self, number: int, start_s: float) -> Generator[LiveNote, None, float]:
        """A piece that begins at `start_s`; returns when the next one begins: there, if it has no note."""
        style, controls, vocabulary = self.style, self._controls, self._model.vocabulary
        plan, grid = self._plan(style), vocabulary.grid
        if grid.steps_per_beat is not None:
            second_per_step = 60 / plan.qpm / float(grid.steps_per_beat)
        else:
            second_per_step = 1 / grid.rate
        bar = plan.bar or max(1, round(REST_S / second_per_step))
        limit = plan.limit if plan.limit is not None else max(bar, round(LONGEST_S / second_per_step))
        clock = _Clock(start_s, second_per_step, self.speed)
        sampler = sampler_for(self._model, [plan], [self._rng], controls, style=style, constraints=self._constraints)
        end: int | None = None  # the bar line where another style takes over
        last = -1
        for note in notes(sampler, [limit], guard=self._guard(sampler, plan, number)):
            if end is None and self.style != style:
                end = -(-max(last, 1) // bar) * bar
            if end is not None and note.onset >= end:
                return clock.second(end)
            if self._controls is not controls:
                controls = self._controls
                sampler.set_controls(controls)
            clock.change(max(last, 0), self.speed)
            last = note.onset
            onset_s, duration_s = clock.second(note.onset), clock.length_s(note.duration)
            yield LiveNote(onset_s, duration_s, note.program, note.pitch, note.velocity, note.part)
        if last < 0:
            return start_s
        if end is None:
            over = sampler.ends[0] if sampler.ends[0] is not None else limit
            end = (-(-max(over, 1) // bar) + REST_BARS) * bar
        return clock.second(end)

    def _guard(self, sampler: Sampler, plan: Plan, number: int) -> Guard | None:
        """What takes notes of a piece back."""
        of = self._settings

        def say(action: Action) -> None:
            if self.on_guard is not None:
                self.on_guard(replace(action, stream=number))

        return guarded(
            sampler,
            [plan.bar],
            watch=of.guard,
            index=self._index,
            max_copy=of.max_copy,
            may_shorten=True,
            style=self._style,
            lookahead=LOOKAHEAD,
            on_action=say,
        )


class _Clock:
    """The second at which a step of a piece sounds, at a speed that changes."""

    def __init__(self, start_s: float, second_per_step: float, speed: float) -> None:
        self._start_s, self._step, self._second_per_step, self._speed = start_s, 0, second_per_step, speed

    def change(self, step: int, speed: float) -> None:
        """Go on at another speed from a step on."""
        if speed != self._speed:
            self._start_s, self._step, self._speed = self.second(step), step, speed

    def second(self, step: int) -> float:
        """When a step sounds, in seconds from the beginning of the stream."""
        return self._start_s + self.length_s(step - self._step)

    def length_s(self, steps: int) -> float:
        """How long so many steps last, in seconds."""
        return steps * self._second_per_step / self._speed


__all__ = ["Stream"]
