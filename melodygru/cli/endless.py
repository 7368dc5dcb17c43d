"""Music without an end: one piece after another, composed while it plays, steered by keys."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from melodygru.cli import screen
from melodygru.cli.keyboard import keys
from melodygru.util.wording import clock

if TYPE_CHECKING:
    from melodygru.compose.actions import Action
    from melodygru.compose.stream import Stream
    from melodygru.render.audio import Live

AHEAD_S = 3.0  # of music composed before it sounds: a new temperature sounds after this, and what the guard holds back
TEMPERATURE_STEP, TEMPERATURES = 0.05, (0.05, 3.0)
SPEED_STEP = 2 ** (1 / 12)  # twelve presses double the tempo
KEYS = "+/- temperature, s style, [/] tempo, space pause, q quit"


def press(key: str, stream: Stream, live: Live) -> bool:
    """What a key does; whether the music goes on."""
    from melodygru.render.audio import SPEEDS

    if key in ("+", "=", "-"):
        low, high = TEMPERATURES
        step = -TEMPERATURE_STEP if key == "-" else TEMPERATURE_STEP
        stream.temperature = round(min(max(stream.temperature + step, low), high), 2)
    elif key == "s":
        after = stream.styles.index(stream.style) + 1
        stream.style = stream.styles[after % len(stream.styles)]
    elif key in ("[", "]"):
        speed = live.speed * (SPEED_STEP if key == "]" else 1 / SPEED_STEP)
        live.speed = min(max(speed, SPEEDS[0]), SPEEDS[1])
    elif key == " ":
        live.paused = not live.paused
    return key != "q"


def status(stream: Stream, live: Live) -> str:
    """Where the music is and what it is steered by, in a line."""
    style = stream.style or "any"
    late = f"  late {live.underruns}x" if live.underruns else ""
    paused = "  paused" if live.paused else ""
    return (
        f" {clock(live.position_s)}  temperature {stream.temperature:.2f}  style {style}  "
        f"tempo {live.speed:.0%}{late}{paused}"
    )


def run(stream: Stream, live: Live, seconds: float | None = None) -> None:
    """Compose and play until `q`, a signal, or `seconds` of music."""
    from melodygru.render.audio import Stopped

    failed: list[BaseException] = []
    actions: list[Action] = []
    stream.on_guard = actions.append

    def compose() -> None:
        try:
            first_s = None
            for note in stream:
                first_s = note.onset_s if first_s is None else first_s
                if seconds is not None and note.onset_s - first_s >= seconds:
                    live.notes.finish(first_s + seconds)
                    return
                live.notes.add(note)
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
                while not live.is_over and _obey(read, stream, live):
                    while actions:
                        screen.say(f"guard: {actions.pop(0)}")
                    if read is not None:
                        line.show(lambda: status(stream, live))
                    live.pause_for(0.05)
            finally:
                live.stop()
                thread.join()
            if failed:
                raise failed[0]
            live.check()
    if live.underruns:
        screen.say(f"the music had to wait {live.underruns} times: composing or rendering was too slow")


def _obey(read: object, stream: Stream, live: Live) -> bool:
    """Do what the keys pressed meanwhile say; whether the music goes on."""
    while callable(read) and (key := read()):
        if not press(key, stream, live):
            return False
    return True


def refuse_with(endless: bool, **options: object) -> None:
    """Options that only make sense with `--endless`, or only without it."""
    for name, value in options.items():
        if value is not None:
            needs = "goes with a FILE, not with --endless" if endless else "goes with --endless"
            raise click.UsageError(f"--{name.replace('_', '-')} {needs}.")
