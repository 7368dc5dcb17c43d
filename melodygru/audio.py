"""Notes become sound: a WAV file, the speakers, or a MIDI port.

Conventions
-----------
Samples are float32 of shape (n_samples, 2), left and right, in -1..1. Two renderers make them: `midirenderer`
with a SoundFont (the one that pretty_midi carries, unless another is given), and, where that library or a
SoundFont is missing, a small additive synthesiser in NumPy. Positions are seconds from the start of the piece.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import signal
import threading
import time
import wave
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from melodygru import midi, stderr
from melodygru.errors import AudioError
from melodygru.files import written_aside
from melodygru.notes import DRUMS, N_PITCHES, NoteSequence
from melodygru.wording import clock

SAMPLE_RATE = 44_100  # samples a second, unless another is asked for
SAMPLE_RATES = (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000)
MAX_SECONDS = 1_800  # longest piece rendered: 0.6 GB of samples at 44,100 Hz, 1.1 GB on the way there
PEAK_DBFS = -1.0  # loudest sample of everything rendered
TAIL_S = 10.0  # rendered past the end of the piece, for releases and reverberation
AUDIBLE_DB = -66.0  # relative to the peak; what is quieter at the end counts as silence
REST_S = 0.5  # silence kept after the last audible sample

_RENDERED_RATE = 48_000  # midirenderer's output, which has no option for it
_POSITION_S = 0.1  # between two calls of on_position
_STALL_S = 5.0  # without a request for samples, after which a sound device counts as gone
_SPIN_S = 0.002  # before each message to a port: sleep is late by up to about this much
_VOLUME, _ALL_SOUND_OFF, _ALL_NOTES_OFF = 7, 120, 123  # MIDI controller numbers


def default_soundfont() -> Path | None:
    """The SoundFont inside the installed pretty_midi, or None; found without the cost of importing it."""
    spec = importlib.util.find_spec("pretty_midi")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "TimGM6mb.sf2"
        if path.is_file():
            return path
    return None


def renderer_name(soundfont: Path | None = None) -> str:
    """What `render` uses with this SoundFont, in words: `midirenderer with TimGM6mb.sf2`, for example."""
    soundfont = soundfont or default_soundfont()
    if not _has_midirenderer():
        return "the built-in synthesiser (midirenderer is not installed)"
    if soundfont is None:
        return "the built-in synthesiser (no SoundFont found)"
    return f"midirenderer with {soundfont.name}"


def render(sequence: NoteSequence, *, soundfont: Path | None = None, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Turn notes into sound.

    Parameters
    ----------
    sequence : NoteSequence
        At most `MAX_SECONDS` long.
    soundfont : Path, optional
        A SoundFont 2 file; by default the one that pretty_midi carries.
    sample_rate : int
        Samples a second, one of `SAMPLE_RATES`.

    Returns
    -------
    samples : array, shape (n_samples, 2), float32
        The loudest sample is at `PEAK_DBFS`; a piece without notes is silence. The sound of the last notes is kept
        until it is `AUDIBLE_DB` below the peak; `REST_S` seconds follow, and later silence is cut.

    Raises
    ------
    AudioError
        The piece is too long, the rate is not among `SAMPLE_RATES`, or the SoundFont can't be used.
    """
    if sample_rate not in SAMPLE_RATES:
        known = ", ".join(str(rate) for rate in SAMPLE_RATES)
        raise AudioError(f"sample rate {sample_rate}: expected one of {known}")
    if sequence.seconds > MAX_SECONDS:
        raise AudioError(
            f"the piece lasts {clock(sequence.seconds)}: at most {clock(MAX_SECONDS)} can be rendered; "
            "crop it, or send it to a MIDI port"
        )
    if soundfont is not None:
        _check_soundfont(soundfont)
    if len(sequence) == 0:
        return np.zeros((round(REST_S * sample_rate), 2), np.float32)
    font = soundfont or default_soundfont()
    if font is not None and _has_midirenderer():
        samples = _resample(_render_soundfont(sequence, font), sample_rate)
    else:
        samples = _synthesise(sequence, sample_rate)
    return _finish(samples, sample_rate)


def write_wav(samples: np.ndarray, path: Path, sample_rate: int = SAMPLE_RATE) -> None:
    """Write samples as a WAV file, 16 bit PCM; the file appears whole or not at all.

    Parameters
    ----------
    samples : array, shape (n_samples, n_channels), float
        In -1..1; what lies outside is clipped.
    path : Path
    sample_rate : int
        Samples a second.

    Raises
    ------
    AudioError
        The samples have another shape, or the file can't be written.
    """
    if samples.ndim != 2:
        raise AudioError(f"samples of shape {samples.shape}: expected (n_samples, n_channels)")
    with written_aside(path, AudioError) as aside, aside.open("wb") as stream, wave.open(stream, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        for block in _blocks(samples):
            file.writeframesraw(np.rint(np.clip(block, -1, 1) * 32767).astype("<i2").tobytes())


# ---- rendering ------------------------------------------------------------------------------------------------


def _has_midirenderer() -> bool:
    try:
        import midirenderer  # noqa: F401
    except ImportError:  # there is no wheel for every platform
        return False
    return True


def _check_soundfont(path: Path) -> None:
    """Refuse a file that isn't a SoundFont, or one that nothing here can play."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise AudioError(f"SoundFont {path}: {error.strerror or error}; expected a SoundFont 2 file (.sf2)") from error
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise AudioError(f"SoundFont {path}: not a SoundFont 2 file; expected one that ends in .sf2")
    if not _has_midirenderer():
        raise AudioError(f"SoundFont {path}: needs midirenderer; pip install midirenderer, or leave the SoundFont out")


def _render_soundfont(sequence: NoteSequence, soundfont: Path) -> np.ndarray:
    """Samples from midirenderer, shape (n, 2), int16, at `_RENDERED_RATE`, `TAIL_S` longer than the piece."""
    step_s = float(sequence.step2second(sequence.length + 1)) - sequence.seconds
    tail = int(np.ceil(TAIL_S / step_s))
    midi_bytes = midi.to_bytes(replace(sequence, length=sequence.length + tail))
    font_bytes = soundfont.read_bytes()
    samples = _call_midirenderer(font_bytes, midi_bytes, soundfont)
    # Its 16 bits clip when many loud notes coincide. The volume controller, 100 when unset, makes room: the gain is
    # as its square.
    for volume in (50, 25, 12, 6):
        if max(int(samples.max(initial=0)), -int(samples.min(initial=0))) < 32767:
            break
        samples = _call_midirenderer(font_bytes, _with_volume(midi_bytes, volume), soundfont)
    return samples


def _call_midirenderer(font_bytes: bytes, midi_bytes: bytes, soundfont: Path) -> np.ndarray:
    """One rendering as int16 samples; its failures on a damaged SoundFont as AudioError."""
    import midirenderer

    try:
        with stderr.diverted():  # a Rust panic prints its backtrace
            rendered = midirenderer.render_wave_from(font_bytes, midi_bytes)
    except BaseException as error:
        # A damaged SoundFont makes the Rust code panic, and PyO3's PanicException is no subclass of Exception.
        if not isinstance(error, (RuntimeError, ValueError)) and type(error).__name__ != "PanicException":
            raise
        raise AudioError(f"SoundFont {soundfont}: {error}; the file may be damaged, try another") from error
    data = rendered.index(b"data") + 8  # the samples run to the end of the file
    return np.frombuffer(rendered, "<i2", offset=data).reshape(-1, 2)


def _with_volume(midi_bytes: bytes, volume: int) -> bytes:
    """The MIDI file with every channel's volume set at its start."""
    import mido

    file = mido.MidiFile(file=io.BytesIO(midi_bytes))
    controls = [mido.Message("control_change", channel=c, control=_VOLUME, value=volume) for c in range(16)]
    file.tracks[0][:0] = controls
    stream = io.BytesIO()
    file.save(file=stream)
    return stream.getvalue()


def _resample(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Samples (n, 2) int16 at `_RENDERED_RATE` as float32 at `sample_rate`, by a Kaiser-windowed sinc.

    At a ratio of up/down, outputs repeat their positions between the inputs every `up` samples, so that one matrix
    of filters turns each stretch of `down` inputs, with its surroundings, into `up` outputs.
    """
    ratio = Fraction(sample_rate, _RENDERED_RATE)
    up, down = ratio.numerator, ratio.denominator
    if up == down:
        return samples.astype(np.float32) / 32768
    n_out = len(samples) * up // down
    cutoff = 0.94 * min(1.0, up / down)  # of the input's Nyquist frequency
    reach = int(np.ceil(24 / cutoff))  # inputs on each side of an output
    distance = np.arange(-reach, down + reach)[:, None] - np.arange(up) * down / up
    window = np.i0(9.0 * np.sqrt(np.clip(1 - (distance / reach) ** 2, 0, None))) / np.i0(9.0)
    filters = (cutoff * np.sinc(cutoff * distance) * window * (np.abs(distance) < reach) / 32768).astype(np.float32)

    n_frames = -(-n_out // up)
    out = np.empty((n_frames * up, 2), np.float32)
    frames_at_once = max(1, 400_000 // down)
    for first in range(0, n_frames, frames_at_once):
        last = min(n_frames, first + frames_at_once)
        low, high = first * down - reach, last * down + reach
        piece = samples[max(0, low) : high]
        padding = ((max(0, -low), high - max(0, low) - len(piece)), (0, 0))
        piece = np.pad(piece, padding).astype(np.float32)
        for channel in (0, 1):
            frames = np.lib.stride_tricks.sliding_window_view(piece[:, channel], down + 2 * reach)[::down]
            out[first * up : last * up, channel] = (frames @ filters).reshape(-1)
    return out[:n_out]


def _blocks(samples: np.ndarray) -> Iterator[np.ndarray]:
    """Views of a second or so each: whole-array temporaries would double the memory."""
    for start in range(0, len(samples), 1 << 16):
        yield samples[start : start + (1 << 16)]


def _finish(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Normalise to the peak, cut trailing silence, fade what is left of the sound over the rest; in place if it can."""
    peaks = np.array([np.abs(block).max() for block in _blocks(samples)])
    rest = round(REST_S * sample_rate)
    if peaks.max(initial=0) == 0:
        return np.zeros((rest, 2), np.float32)
    floor = peaks.max() * 10 ** (AUDIBLE_DB / 20)
    start = int(np.flatnonzero(peaks > floor)[-1]) << 16  # as in _blocks
    end = start + int(np.flatnonzero(np.abs(samples[start : start + (1 << 16)]).max(axis=1) > floor)[-1]) + 1
    finished = samples[: end + rest]
    if len(finished) < end + rest:
        finished = np.pad(finished, ((0, end + rest - len(finished)), (0, 0)))
    finished *= np.float32(10 ** (PEAK_DBFS / 20) / peaks.max())
    finished[end:] *= np.linspace(1, 0, rest, dtype=np.float32)[:, None]
    return finished


# ---- the built-in synthesiser ---------------------------------------------------------------------------------

_LONGEST_TONE_S = 60.0  # a longer note has died away by then
_RELEASE_S = 0.1  # from note-off to silence
_STRUCK = frozenset([*range(16), *range(24, 40), 45, 46, 47, *range(104, 120)])  # plucked or struck: they die away


def _synthesise(sequence: NoteSequence, sample_rate: int) -> np.ndarray:
    """Additive synthesis, shape (n, 2): one tone for each program and pitch, cut to the length of each note."""
    notes = sequence.notes
    onset_s = sequence.step2second(notes["onset"])
    length_s = np.minimum(sequence.step2second(notes["onset"] + notes["duration"]) - onset_s, _LONGEST_TONE_S)
    start = np.rint(onset_s * sample_rate).astype(np.int64)
    release = round(_RELEASE_S * sample_rate)
    n_held = np.rint(length_s * sample_rate).astype(np.int64)
    loudness = ((notes["velocity"] / 127) ** 1.5).astype(np.float32)
    fade = np.linspace(1, 0, release, dtype=np.float32)

    key = notes["program"].astype(np.int64) * N_PITCHES + notes["pitch"]
    order = np.argsort(key, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(key[order])) + 1)
    longest = int((start + n_held).max()) + 2 * sample_rate
    out = np.zeros((2, longest), np.float32)
    for group in groups:
        program, pitch = int(notes["program"][group[0]]), int(notes["pitch"][group[0]])
        drum = program == DRUMS
        tone = _drum(pitch, sample_rate) if drum else _tone(program, pitch, n_held[group].max() + release, sample_rate)
        right = np.float32(0.5 + 0.3 * (pitch - 64) / 64)  # as at a piano: low notes left, high notes right
        for at in group:
            sound = tone if drum else tone[: n_held[at] + release].copy()
            if not drum:
                sound[-release:] *= fade
            place = slice(start[at], start[at] + len(sound))
            out[0, place] += sound * (loudness[at] * (1 - right))
            out[1, place] += sound * (loudness[at] * right)
    return np.ascontiguousarray(out.T)


def _tone(program: int, pitch: int, n: int, sample_rate: int) -> np.ndarray:
    """n samples of a pitch as it sounds while held: harmonics below the Nyquist frequency, attack and decay."""
    t = np.arange(n) / sample_rate
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    struck = program in _STRUCK
    tone = np.zeros(n)
    for harmonic in range(1, 7):
        if harmonic * frequency >= sample_rate / 2:
            break
        per_second = (1.0 + 0.7 * harmonic) * (frequency / 262) ** 0.5 if struck else 0.05
        weight = harmonic**-1.6 if struck else harmonic**-1.3
        tone += weight * np.exp(-per_second * t) * np.sin(2 * np.pi * ((harmonic * frequency * t) % 1.0))
    attack = max(1, round((0.004 if struck else 0.03) * sample_rate))
    tone[:attack] *= np.linspace(0, 1, attack)[:n]
    return tone.astype(np.float32)


def _drum(pitch: int, sample_rate: int) -> np.ndarray:
    """A burst of noise: long for cymbals, short for closed hi-hats, with a falling tone for kick, toms and snare."""
    length_s = {42: 0.08, 44: 0.08, 46: 0.5, 49: 1.5, 51: 1.0, 52: 1.5, 55: 1.0, 57: 1.5, 59: 1.0}.get(pitch, 0.3)
    t = np.arange(round(length_s * sample_rate)) / sample_rate
    noise = np.random.default_rng(pitch).standard_normal(len(t))
    skins = {35: 60.0, 36: 65.0, 38: 180.0, 40: 190.0, 41: 90.0, 43: 105.0, 45: 125.0, 47: 145.0, 48: 165.0, 50: 190.0}
    if pitch in skins:
        swoop = np.cumsum(skins[pitch] * (1 + np.exp(-t * 40))) / sample_rate
        sound = np.sin(2 * np.pi * swoop) + (0.5 if pitch in (38, 40) else 0.08) * noise
    else:
        sound = 0.3 * np.diff(noise, prepend=0.0)  # the difference takes the lows out
    return (sound * np.exp(-t * 5 / length_s)).astype(np.float32)


# ---- speakers -------------------------------------------------------------------------------------------------


def play(
    samples: np.ndarray, sample_rate: int = SAMPLE_RATE, on_position: Callable[[float], None] | None = None
) -> None:
    """Play samples through the speakers and return when they have sounded.

    Parameters
    ----------
    samples : array, shape (n_samples, 2), float32
    sample_rate : int
        Samples a second.
    on_position : callable, optional
        Called about ten times a second with the position in seconds, from the calling thread.

    Raises
    ------
    AudioError
        There is no sound device, or it stopped taking samples.
    KeyboardInterrupt
        Ctrl-C, after the device has been stopped.
    """
    if samples.ndim != 2 or samples.shape[1] != 2:
        raise AudioError(f"samples of shape {samples.shape}: expected (n_samples, 2)")
    samples = np.ascontiguousarray(samples, np.float32)
    taken, finished = 0, threading.Event()

    def feed() -> Generator[np.ndarray, int, None]:
        nonlocal taken
        wanted = yield samples[:0]
        while taken < len(samples):
            chunk = samples[taken : taken + wanted]
            taken += len(chunk)
            wanted = yield chunk
        finished.set()

    device = _open_device(sample_rate)
    buffer_s = device.buffersize_msec / 1000
    try:
        feeder = feed()
        next(feeder)
        device.start(feeder)
        last_taken, last_change = 0, time.monotonic()
        while not finished.wait(_POSITION_S):
            if taken != last_taken:
                last_taken, last_change = taken, time.monotonic()
            elif time.monotonic() - last_change > _STALL_S:
                raise AudioError(f"the sound device stopped after {clock(taken / sample_rate)}; is it still connected?")
            if on_position is not None:
                on_position(max(0.0, taken / sample_rate - buffer_s))
        time.sleep(buffer_s)  # the last chunk is still in the device's buffer
        if on_position is not None:
            on_position(len(samples) / sample_rate)
    finally:
        device.close()


def _open_device(sample_rate: int) -> Any:
    """An open miniaudio.PlaybackDevice for float32 stereo that is not the silent one."""
    hint = "the files are still written; connect or unmute a device, or play the WAV file elsewhere"
    try:
        import miniaudio
    except (ImportError, OSError) as error:
        raise AudioError(f"no sound: miniaudio can't be loaded ({error}); pip install miniaudio") from error
    # Its default list ends in the Null backend, which plays to nobody without an error.
    silent = (miniaudio.Backend.NULL, miniaudio.Backend.CUSTOM)
    try:
        with stderr.diverted():  # ALSA prints a page about each device that it doesn't find
            device = miniaudio.PlaybackDevice(
                output_format=miniaudio.SampleFormat.FLOAT32,
                nchannels=2,
                sample_rate=sample_rate,
                backends=[backend for backend in miniaudio.Backend if backend not in silent],
                app_name="melodygru",
            )
    except miniaudio.MiniaudioError as error:
        raise AudioError(f"no sound device found ({': '.join(map(str, error.args))}); {hint}") from error
    if device.backend == "Null":
        device.close()
        raise AudioError(f"no sound device found (only miniaudio's Null backend); {hint}")
    return device


# ---- MIDI port ------------------------------------------------------------------------------------------------


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


# ---- position -------------------------------------------------------------------------------------------------


def position_line(position_s: float, total_s: float, width: int) -> str:
    """One line of exactly `width` characters: ` 0:12 / 1:03 [=====>      ]`; without the bar where it doesn't fit."""
    position_s = min(max(position_s, 0.0), total_s)
    total = clock(total_s)
    text = f" {clock(position_s):>{len(total)}} / {total}"
    room = width - len(text) - len(" []")
    if room < 4:
        return text[:width].ljust(width)
    done = int(room * position_s / total_s) if total_s > 0 else room
    bar = "=" * room if done >= room else "=" * done + ">"
    return f"{text} [{bar:<{room}}]"
