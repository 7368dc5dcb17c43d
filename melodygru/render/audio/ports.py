"""Notes to a MIDI port, in time, by mido and python-rtmidi."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from melodygru import midi
from melodygru.errors import AudioError
from melodygru.music.notes import NoteSequence
from melodygru.util import stderr

_POSITION_S = 0.1  # between two calls of on_position
SPIN_S = 0.002  # before each message to a port: sleep is late by up to about this much
_ALL_SOUND_OFF, _RESET_CONTROLLERS, _ALL_NOTES_OFF = 120, 121, 123  # MIDI controller numbers
_RETRY_S = 0.5  # between two attempts to open a lost port
_GIVE_UP_S = 60.0  # after which a lost port counts as gone
_ENDING = (signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))  # Windows has no SIGHUP


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


def send(
    sequence: NoteSequence,
    port: Any,
    *,
    messages: bytes | None = None,
    on_position: Callable[[float], None] | None = None,
    on_change: Callable[[str], None] | None = None,
) -> None:
    """Send a piece to a MIDI port in time, and return at its end.

    Parameters
    ----------
    sequence : NoteSequence
    port : str, or an object with a method `send(mido.Message)`
        A name from `list_ports`, or a part of one that fits no other. An open port stays open.
    messages : bytes, optional
        The piece as a MIDI file with its own bends, controllers and volumes (see `midi.own_messages`), which is sent
        instead of the notes.
    on_position : callable, optional
        Called about ten times a second with the position in seconds.
    on_change : callable, optional
        Called with a line of text when a port given by name is lost (the music waits) and when it is there again.

    Raises
    ------
    AudioError
        No such port, no MIDI at all, or a lost port that does not come back within a minute.
    KeyboardInterrupt, SystemExit
        Ctrl-C, or SIGTERM or SIGHUP, after every sounding note was silenced. So is it whatever else goes wrong.
    """
    timed = _schedule(midi.to_bytes(sequence) if messages is None else messages)
    if isinstance(port, str):
        with Reconnecting(port, on_change) as opened:
            _send(timed, sequence.seconds, opened, on_position)
    else:
        _send(timed, sequence.seconds, port, on_position)


def open_port(name: str) -> Any:
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


class Reconnecting:
    """A MIDI port that is opened again when it is lost; then every channel is silenced and has its program again.

    Parameters
    ----------
    name : str
        As for `send`; when the port was lost, the same port under another number counts too.
    on_change : callable, optional
        Called with a line of text when the port is lost and when it is there again.

    Attributes
    ----------
    lost_s : float
        Seconds that were spent without it so far.
    """

    def __init__(self, name: str, on_change: Callable[[str], None] | None = None) -> None:
        self.name, self.lost_s = name, 0.0
        self._say = on_change or (lambda text: None)
        self._programs: dict[int, Any] = {}
        self._port = open_port(name)
        self._cancelled = threading.Event()

    def send(self, message: Any) -> None:
        """Send a message; where the port is lost, wait for it at most `_GIVE_UP_S`.

        A note-on that the lost port did not take is not sent again: its time has passed.

        Raises
        ------
        AudioError
            The port did not come back.
        """
        if message.type == "program_change":
            self._programs[message.channel] = message
        try:
            self._port.send(message)
        except OSError as error:  # RtMidiError is one
            self._reconnect(error)

    def _reconnect(self, error: OSError) -> None:
        import mido

        if self._cancelled.is_set():
            return
        lost = time.perf_counter()
        self._say(f"MIDI port {self.name} is lost ({error}); waiting for it")
        with contextlib.suppress(OSError):
            self._port.close()
        while not self._cancelled.is_set():
            if time.perf_counter() - lost > _GIVE_UP_S:
                raise AudioError(f"MIDI port {self.name!r}: lost ({error}), and not back after {_GIVE_UP_S:.0f} s")
            try:
                self._port = open_port(self.name)
                for channel in range(16):
                    for control in (_ALL_NOTES_OFF, _ALL_SOUND_OFF):
                        self._port.send(mido.Message("control_change", channel=channel, control=control))
                for message in self._programs.values():
                    self._port.send(message)
                self._say(f"MIDI port {self.name} is back")
                break
            except (OSError, AudioError):  # not there yet
                self._cancelled.wait(_RETRY_S)
        self.lost_s += time.perf_counter() - lost

    def cancel(self) -> None:
        """Wait no longer for a lost port: what it does not take is not sent."""
        self._cancelled.set()

    def close(self) -> None:
        """Close the port."""
        with contextlib.suppress(OSError):
            self._port.close()

    def __enter__(self) -> Reconnecting:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _schedule(messages: bytes) -> list[tuple[float, Any]]:
    """(second, mido message) of a file in order; note-offs come first, or they would end new notes of their pitch."""
    import mido

    now, timed = 0.0, []
    for message in mido.MidiFile(file=io.BytesIO(messages), charset="latin-1"):
        now += message.time
        if message.is_meta or message.type == "sysex":
            continue
        if message.type == "note_on" and message.velocity == 0:
            message = mido.Message("note_off", channel=message.channel, note=message.note)
        timed.append((now, message))
    # The rest keeps its order: where programs share a channel, each note-on stands right after its program change.
    return sorted(timed, key=lambda entry: (entry[0], entry[1].type != "note_off"))


def _send(
    timed: list[tuple[float, Any]], seconds: float, port: Any, on_position: Callable[[float], None] | None
) -> None:
    """Send messages at their seconds from now; what sounds at the end, or at an exception, is silenced."""
    sounding: Counter[tuple[int, int]] = Counter()  # more than once where programs share a channel
    channels: dict[int, None] = {}
    controlled: dict[int, None] = {}
    completed = False
    with signals_raise():
        start = time.perf_counter()
        report = _throttled(on_position, start)
        try:
            for second, message in timed:
                _wait_until(start + second, report)
                channels[message.channel] = None
                if message.type in ("control_change", "pitchwheel"):
                    controlled[message.channel] = None
                if message.type == "note_on":
                    sounding[message.channel, message.note] += 1  # before sending: it may be interrupted inside
                lost_s = getattr(port, "lost_s", 0.0)
                port.send(message)
                start += getattr(port, "lost_s", 0.0) - lost_s  # the music waited for a lost port
                if message.type == "note_off":
                    sounding[message.channel, message.note] -= 1
            _wait_until(start + seconds, report)
            completed = True
        finally:
            with interrupts_ignored():
                if not completed and isinstance(port, Reconnecting):
                    port.cancel()
                silence(port, sounding, channels, controlled=controlled, abruptly=not completed)


def _wait_until(target: float, report: Callable[[float], None]) -> None:
    """Sleep, then spin, until perf_counter reaches `target`; schedules are absolute, so lateness doesn't add up."""
    while (left := target - time.perf_counter()) > 0:
        if left > SPIN_S:
            report(target - left)
            time.sleep(min(left - SPIN_S, _POSITION_S))


def _throttled(on_position: Callable[[float], None] | None, start: float) -> Callable[[float], None]:
    """A function of perf_counter's time that passes the seconds since `start` on, ten times a second at most."""
    latest = -_POSITION_S

    def report(now: float) -> None:
        nonlocal latest
        if on_position is not None and now - start - latest >= _POSITION_S:
            latest = now - start
            on_position(latest)

    return report


def silence(
    port: Any,
    sounding: Counter[tuple[int, int]],
    channels: dict[int, None],
    *,
    controlled: Iterable[int] = (),
    abruptly: bool,
) -> None:
    """Note-offs for what sounds, then all notes off; `abruptly` also cuts the releases.

    On the channels that were `controlled`, pedals and bends are set back.
    """
    import mido

    messages = [mido.Message("note_off", channel=channel, note=note) for channel, note in sounding.elements()]
    controls = (_ALL_NOTES_OFF, _ALL_SOUND_OFF) if abruptly else (_ALL_NOTES_OFF,)
    messages += [mido.Message("control_change", channel=c, control=_RESET_CONTROLLERS) for c in controlled]
    messages += [mido.Message("control_change", channel=c, control=n) for c in channels for n in controls]
    for message in messages:
        # One that can't be sent must neither keep the others from going out nor hide the first error.
        with contextlib.suppress(Exception):
            port.send(message)


@contextlib.contextmanager
def signals_raise() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP (a closed terminal) raise SystemExit, so that `finally` runs; main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: object) -> None:
        raise SystemExit(128 + signum)

    previous = {number: signal.signal(number, stop) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Within, Ctrl-C does nothing, lest an impatient second one leave notes hanging; main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *_ENDING)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
