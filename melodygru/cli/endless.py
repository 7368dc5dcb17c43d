"""Music without an end: one piece after another, composed while it plays, steered by keys."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from melodygru.cli import screen
from melodygru.cli.keyboard import keys
from melodygru.util.wording import clock

if TYPE_CHECKING:
    import numpy as np

    from melodygru.compose import Controls
    from melodygru.model.numpy_model import NumpyModel
    from melodygru.render.audio import Live, LiveNote

AHEAD_S = 3.0  # of music composed before it sounds: a change of temperature is heard after this
LOOKAHEAD = 8  # and these notes, which the guard may still take back
TEMPERATURE_STEP, TEMPERATURES = 0.05, (0.05, 3.0)
SPEED_STEP = 2 ** (1 / 12)  # twelve presses double the tempo
REST_BARS = 1  # between two pieces
REST_S = 2.0  # likewise, of music without bars
LONGEST_S = 600.0  # of a piece that the model does not end
KEYS = "+/- temperature, s style, [/] tempo, space pause, q quit"


class Composer:
    """Composes for ever; what is changed holds from the next note on, another style from the next bar on.

    Attributes
    ----------
    controls : Controls
    style : name, or None for unknown
    taken_back : list of str
        What the guard did, in words, until somebody takes it.
    """

    def __init__(
        self,
        network: NumpyModel,
        rng: np.random.Generator,
        controls: Controls,
        *,
        style: str | None = None,
        qpm: float | None = None,
    ) -> None:
        self._network, self._rng, self._qpm = network, rng, qpm
        self.controls, self.style = controls, style
        self.taken_back: list[str] = []
        self._n_pieces = 0
        self.styles: list[str | None] = [None, *network.vocabulary.styles]
        self._plan(style)  # a style that the model does not know is refused at once

    def notes(self) -> Iterator[LiveNote]:
        """The notes of piece after piece, in the order of their onsets."""
        start_s = 0.0
        while True:
            start_s = yield from self._piece(start_s)

    def _plan(self, style: str | None) -> object:
        from melodygru.compose import Plan

        draws = tuple(self._rng.random(3).tolist())
        return Plan.of(self._network.vocabulary, style=style, qpm=self._qpm, draws=draws)  # type: ignore[arg-type]

    def _piece(self, start_s: float) -> Generator[LiveNote, None, float]:
        """A piece that begins at `start_s`; returns when the next one begins."""
        from melodygru import compose
        from melodygru.render.audio import LiveNote

        style, controls, vocabulary = self.style, self.controls, self._network.vocabulary
        plan: compose.Plan = self._plan(style)  # type: ignore[assignment]
        grid = vocabulary.grid
        if grid.steps_per_beat is not None:
            second_per_step = 60 / plan.qpm / float(grid.steps_per_beat)
        else:
            second_per_step = 1 / float(grid.steps_per_second or 1)
        bar = plan.bar or max(1, round(REST_S / second_per_step))
        limit = plan.limit if plan.limit is not None else max(bar, round(LONGEST_S / second_per_step))
        sampler = compose.Sampler(
            self._network,
            [self._rng],
            controls,
            style=style,
            metres=[plan.metre],
            signatures=[plan.signature],
            due=[plan.due],
        )
        end: int | None = None  # the bar line where another style takes over
        last = 0
        number = self._n_pieces
        self._n_pieces += 1

        def say(action: compose.Action) -> None:
            self.taken_back.append(f"guard: {replace(action, stream=number)}")

        guard = compose.Guard(sampler, [plan.bar], may_shorten=True, lookahead=LOOKAHEAD, on_action=say)
        for note in compose.notes(sampler, [limit], guard=guard):
            if end is None and self.style != style:
                end = -(-max(last, 1) // bar) * bar
            if end is not None and note.onset >= end:
                return start_s + end * second_per_step
            if self.controls is not controls:
                controls = self.controls
                sampler.set_controls(controls)
            last = note.onset
            yield LiveNote(
                start_s + note.onset * second_per_step,
                note.duration * second_per_step,
                note.program,
                note.pitch,
                note.velocity,
            )
        if end is None:
            over = sampler.ends[0] if sampler.ends[0] is not None else limit
            end = (-(-max(over, 1) // bar) + REST_BARS) * bar
        return start_s + end * second_per_step


def press(key: str, composer: Composer, live: Live) -> bool:
    """What a key does; whether the music goes on."""
    from melodygru.render.audio import SPEEDS

    if key in ("+", "=", "-"):
        low, high = TEMPERATURES
        step = -TEMPERATURE_STEP if key == "-" else TEMPERATURE_STEP
        temperature = round(min(max(composer.controls.temperature + step, low), high), 2)
        composer.controls = replace(composer.controls, temperature=temperature)
    elif key == "s":
        after = composer.styles.index(composer.style) + 1
        composer.style = composer.styles[after % len(composer.styles)]
    elif key in ("[", "]"):
        speed = live.speed * (SPEED_STEP if key == "]" else 1 / SPEED_STEP)
        live.speed = min(max(speed, SPEEDS[0]), SPEEDS[1])
    elif key == " ":
        live.paused = not live.paused
    return key != "q"


def status(composer: Composer, live: Live) -> str:
    """Where the music is and what it is steered by, in a line."""
    style = composer.style or "any"
    late = f"  late {live.underruns}x" if live.underruns else ""
    paused = "  paused" if live.paused else ""
    return (
        f" {clock(live.position_s)}  temperature {composer.controls.temperature:.2f}  style {style}  "
        f"tempo {live.speed:.0%}{late}{paused}"
    )


def run(composer: Composer, live: Live, seconds: float | None = None) -> None:
    """Compose and play until `q`, a signal, or `seconds` of music."""
    from melodygru.render.audio import Stopped

    failed: list[BaseException] = []

    def compose() -> None:
        try:
            first_s = None
            for note in composer.notes():
                first_s = note.onset_s if first_s is None else first_s
                if seconds is not None and note.onset_s - first_s >= seconds:
                    live.score.finish(first_s + seconds)
                    return
                live.score.add(note)
        except Stopped:
            pass
        except Exception as error:  # noqa: BLE001  raised again in the main thread
            failed.append(error)
            live.stop()

    with keys() as read:
        screen.say(KEYS if read is not None else "keys are off: stdin is no terminal; Ctrl-C stops")
        with live, screen.ProgressLine(after_s=0.0) as line:
            thread = threading.Thread(target=compose, name="melodygru compose", daemon=True)
            thread.start()
            try:
                while not live.is_over and _obey(read, composer, live):
                    while composer.taken_back:
                        screen.say(composer.taken_back.pop(0))
                    if read is not None:
                        line.show(lambda: status(composer, live))
                    live.pause_for(0.05)
            finally:
                live.stop()
                thread.join()
            if failed:
                raise failed[0]
            live.check()
    if live.underruns:
        screen.say(f"the music had to wait {live.underruns} times: composing or rendering was too slow")


def _obey(read: object, composer: Composer, live: Live) -> bool:
    """Do what the keys pressed meanwhile say; whether the music goes on."""
    while callable(read) and (key := read()):
        if not press(key, composer, live):
            return False
    return True


def refuse_with(endless: bool, **options: object) -> None:
    """Options that only make sense with `--endless`, or only without it."""
    for name, value in options.items():
        if value is not None:
            needs = "goes with a FILE, not with --endless" if endless else "goes with --endless"
            raise click.UsageError(f"--{name.replace('_', '-')} {needs}.")
