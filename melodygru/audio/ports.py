"""Notes to a MIDI port, in time, by mido and python-rtmidi."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from melodygru import midi, stderr
from melodygru.errors import AudioError
from melodygru.notes import NoteSequence

_POSITION_S = 0.1  # between two calls of on_position
_SPIN_S = 0.002  # before each message to a port: sleep is late by up to about this much
_ALL_SOUND_OFF, _ALL_NOTES_OFF = 120, 123  # MIDI controller numbers


def list_ports() -> list[str]:
    """Names of the MIDI output ports.

    Raises
    ------
    AudioError
        python-rtmidi is missing, or the system's MIDI can't be reached.
    """
    import mido

    try:
        with stderr.diverted():
            return list(mido.get_output_names())
    except ImportError as error:
        raise AudioError("MIDI ports need python-rtmidi: pip install 'melodygru[midi-ports]'") from error
    except OSError as error:  # RtMidiError is one
        raise AudioError(f"no MIDI ports: {error}; is the system's MIDI sequencer running?") from error


def send(sequence: NoteSequence, port: Any, *, on_position: Callable[[float], None] | None = None) -> None:
    """Send a piece to a MIDI port in time, and return at its end.

    Parameters
    ----------
    sequence : NoteSequence
    port : str, or an object with a method `send(mido.Message)`
        A name from `list_ports`, or a part of one that fits no other. An open port stays open.
    on_position : callable, optional
        Called about ten times a second with the position in seconds.

    Raises
    ------
    AudioError
        No such port, or no MIDI at all.
    KeyboardInterrupt, SystemExit
        Ctrl-C or SIGTERM, after every sounding note was silenced. So is it whatever else goes wrong.
    """
    if isinstance(port, str):
        with _open_port(port) as opened:
            _send(_schedule(sequence), sequence.seconds, opened, on_position)
    else:
        _send(_schedule(sequence), sequence.seconds, port, on_position)


def _open_port(name: str) -> Any:
    """The open mido port of that name."""
    import mido

    known = list_ports()
    matches = [port for port in known if port == name] or [port for port in known if name.lower() in port.lower()]
    if len(matches) != 1:
        listed = ", ".join(repr(port) for port in known) or "none; start a synthesiser first"
        raise AudioError(f"MIDI port {name!r}: {'more than one fits' if matches else 'not found'}; known: {listed}")
    try:
        return mido.open_output(matches[0])
    except OSError as error:
        raise AudioError(f"MIDI port {matches[0]!r}: {error}; another program may hold it") from error


def _schedule(sequence: NoteSequence) -> list[tuple[float, Any]]:
    """(second, mido message) in order; of what falls together note-offs come first, so that no note ends its repeat."""
    import mido

    now, timed = 0.0, []
    for message in mido.MidiFile(file=io.BytesIO(midi.to_bytes(sequence))):
        now += message.time
        if message.is_meta:
            continue
        if message.type == "note_on" and message.velocity == 0:
            message = mido.Message("note_off", channel=message.channel, note=message.note)
        timed.append((now, message))
    # The rest keeps its order: where programs share a channel, each note-on stands right after its program change.
    return sorted(timed, key=lambda entry: (entry[0], entry[1].type != "note_off"))


def _send(
    timed: list[tuple[float, Any]], seconds: float, port: Any, on_position: Callable[[float], None] | None
) -> None:
    """Send messages at their seconds from now; note what sounds, and silence it however this ends."""
    sounding: Counter[tuple[int, int]] = Counter()  # more than once where programs share a channel
    channels: dict[int, None] = {}
    completed = False
    with _sigterm_raises():
        start = time.perf_counter()
        report = _throttled(on_position, start)
        try:
            for second, message in timed:
                _wait_until(start + second, report)
                channels[message.channel] = None
                if message.type == "note_on":
                    sounding[message.channel, message.note] += 1  # before sending: it may be interrupted inside
                port.send(message)
                if message.type == "note_off":
                    sounding[message.channel, message.note] -= 1
            _wait_until(start + seconds, report)
            completed = True
        finally:
            with _interrupts_ignored():
                _silence(port, sounding, channels, abruptly=not completed)


def _wait_until(target: float, report: Callable[[float], None]) -> None:
    """Sleep, then spin, until perf_counter reaches `target`; schedules are absolute, so lateness doesn't add up."""
    while (left := target - time.perf_counter()) > 0:
        if left > _SPIN_S:
            report(target - left)
            time.sleep(min(left - _SPIN_S, _POSITION_S))


def _throttled(on_position: Callable[[float], None] | None, start: float) -> Callable[[float], None]:
    """A function of perf_counter's time that passes the seconds since `start` on, ten times a second at most."""
    latest = -_POSITION_S

    def report(now: float) -> None:
        nonlocal latest
        if on_position is not None and now - start - latest >= _POSITION_S:
            latest = now - start
            on_position(latest)

    return report


def _silence(port: Any, sounding: Counter[tuple[int, int]], channels: dict[int, None], *, abruptly: bool) -> None:
    """Note-offs for what sounds, then all notes off; `abruptly` also cuts the releases."""
    import mido

    messages = [mido.Message("note_off", channel=channel, note=note) for channel, note in sounding.elements()]
    controls = (_ALL_NOTES_OFF, _ALL_SOUND_OFF) if abruptly else (_ALL_NOTES_OFF,)
    messages += [mido.Message("control_change", channel=c, control=n) for c in channels for n in controls]
    for message in messages:
        # One that can't be sent must keep neither the others from going out nor the first error from being seen.
        with contextlib.suppress(Exception):
            port.send(message)


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Make SIGTERM an exception, so that `finally` runs; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: object) -> None:
        raise SystemExit(128 + signum)

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Let an impatient second Ctrl-C not leave notes hanging; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
