"""Notes become samples: midirenderer with a SoundFont, or the built-in synthesiser."""

from __future__ import annotations

import importlib.util
import io
from dataclasses import replace
from pathlib import Path

import numpy as np

from melodygru import midi
from melodygru.errors import AudioError
from melodygru.music.notes import NoteSequence
from melodygru.render.audio.files import SAMPLE_RATE, blocks
from melodygru.render.audio.synthesiser import synthesise
from melodygru.util import stderr
from melodygru.util.files import open_regular, read_regular
from melodygru.util.wording import clock

MAX_SECONDS = 1_800  # longest piece rendered: 0.7 GB of samples
PEAK_DBFS = -1.0  # loudest sample of everything rendered
TAIL_S = 10.0  # rendered past the end of the piece, for releases and reverberation
AUDIBLE_DB = -66.0  # relative to the peak; what is quieter at the end counts as silence
REST_S = 0.5  # silence kept after the last audible sample

MAX_SOUNDFONT_BYTES = 1 << 32  # what RIFF can count
_VOLUME = 7  # MIDI controller number


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
    if not has_midirenderer():
        return "the built-in synthesiser (midirenderer is not installed)"
    if soundfont is None:
        return "the built-in synthesiser (no SoundFont found)"
    return f"midirenderer with {soundfont.name}"


def render(sequence: NoteSequence, *, soundfont: Path | None = None, messages: bytes | None = None) -> np.ndarray:
    """Turn notes into sound.

    Parameters
    ----------
    sequence : NoteSequence
        At most `MAX_SECONDS` long.
    soundfont : Path, optional
        A SoundFont 2 file; by default the one that pretty_midi carries.
    messages : bytes, optional
        The piece as a MIDI file with its own bends, controllers and volumes (see `midi.own_messages`), which
        midirenderer then plays instead of the notes.

    Returns
    -------
    samples : array, shape (n_samples, 2), float32
        The loudest sample is at `PEAK_DBFS`; a piece without notes is silence. The sound of the last notes is kept
        until it is `AUDIBLE_DB` below the peak; `REST_S` seconds follow, and later silence is cut.

    Raises
    ------
    AudioError
        The piece is too long, or the SoundFont can't be used.
    """
    if sequence.seconds > MAX_SECONDS:
        raise AudioError(
            f"the piece lasts {clock(sequence.seconds)}: at most {clock(MAX_SECONDS)} can be rendered; "
            "crop it, or send it to a MIDI port"
        )
    if soundfont is not None:
        check_soundfont(soundfont)
    if len(sequence) == 0:
        return np.zeros((round(REST_S * SAMPLE_RATE), 2), np.float32)
    font = soundfont or default_soundfont()
    if font is not None and has_midirenderer():
        samples = _render_soundfont(sequence, font, messages).astype(np.float32)
    else:
        samples = synthesise(sequence)
    return _finish(samples)


def has_midirenderer() -> bool:
    """Whether midirenderer is installed."""
    try:
        import midirenderer  # noqa: F401
    except ImportError:  # there is no wheel for every platform
        return False
    return True


def check_soundfont(path: Path) -> None:
    """Refuse a file that isn't a SoundFont, or one that nothing here can play."""
    try:
        with open_regular(path, MAX_SOUNDFONT_BYTES) as file:
            head = file.read(12)
    except OSError as error:
        raise AudioError(f"SoundFont {path}: {error.strerror or error}; expected a SoundFont 2 file (.sf2)") from error
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise AudioError(f"SoundFont {path}: not a SoundFont 2 file; expected one that ends in .sf2")
    if not has_midirenderer():
        raise AudioError(f"SoundFont {path}: needs midirenderer; pip install midirenderer, or leave the SoundFont out")


def _render_soundfont(sequence: NoteSequence, soundfont: Path, messages: bytes | None = None) -> np.ndarray:
    """Samples from midirenderer, shape (n, 2), int16, at `SAMPLE_RATE`, `TAIL_S` longer than the piece."""
    step_s = float(sequence.step2second(sequence.length + 1)) - sequence.seconds
    tail = int(np.ceil(TAIL_S / step_s))
    if messages is None:
        midi_bytes = midi.to_bytes(replace(sequence, length=sequence.length + tail))
    else:
        midi_bytes = _with_tail(messages, tail)
    return render_unclipped(font_bytes(soundfont), midi_bytes, soundfont)[0]


def font_bytes(soundfont: Path) -> bytes:
    """What is in a SoundFont."""
    return read_regular(soundfont, MAX_SOUNDFONT_BYTES)


def render_unclipped(font_bytes: bytes, midi_bytes: bytes, soundfont: Path) -> tuple[np.ndarray, float]:
    """Samples (n, 2), int16, at `SAMPLE_RATE`, and the factor that they were made quieter by, so as not to clip."""
    samples, quieter = _call_midirenderer(font_bytes, midi_bytes, soundfont), 1.0
    # Its 16 bits clip when many loud notes coincide. The volume controller, 100 when unset, lowers them: the gain is
    # as its square.
    for volume in (50, 25, 12, 6):
        if max(int(samples.max(initial=0)), -int(samples.min(initial=0))) < 32767:
            break
        samples, quieter = (
            _call_midirenderer(font_bytes, _with_volume(midi_bytes, volume), soundfont),
            (volume / 100) ** 2,
        )
    return samples, quieter


def _call_midirenderer(font_bytes: bytes, midi_bytes: bytes, soundfont: Path) -> np.ndarray:
    """One rendering as int16 samples; AudioError where the SoundFont is damaged."""
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


def _with_tail(midi_bytes: bytes, ticks: int) -> bytes:
    """The MIDI file with the end of its first track so many ticks later."""
    import mido

    file = mido.MidiFile(file=io.BytesIO(midi_bytes), charset="latin-1")
    file.tracks[0][-1].time += ticks
    stream = io.BytesIO()
    file.save(file=stream)
    return stream.getvalue()


def _with_volume(midi_bytes: bytes, volume: int) -> bytes:
    """The MIDI file with every channel's volume at so many hundredths of what it is."""
    import mido

    file = mido.MidiFile(file=io.BytesIO(midi_bytes), charset="latin-1")
    for track in file.tracks:
        for message in track:
            if message.type == "control_change" and message.control == _VOLUME:
                message.value = round(message.value * volume / 100)
    controls = [mido.Message("control_change", channel=c, control=_VOLUME, value=volume) for c in range(16)]
    file.tracks[0][:0] = controls
    stream = io.BytesIO()
    file.save(file=stream)
    return stream.getvalue()


def _finish(samples: np.ndarray) -> np.ndarray:
    """Normalise to the peak, cut trailing silence, fade out over the rest; changes the samples in place if it can."""
    peaks = np.array([np.abs(block).max() for block in blocks(samples)])
    rest = round(REST_S * SAMPLE_RATE)
    if peaks.max(initial=0) == 0:
        return np.zeros((rest, 2), np.float32)
    floor = peaks.max() * 10 ** (AUDIBLE_DB / 20)
    start = int(np.flatnonzero(peaks > floor)[-1]) << 16  # as in blocks
    end = start + int(np.flatnonzero(np.abs(samples[start : start + (1 << 16)]).max(axis=1) > floor)[-1]) + 1
    finished = samples[: end + rest]
    if len(finished) < end + rest:
        finished = np.pad(finished, ((0, end + rest - len(finished)), (0, 0)))
    finished *= np.float32(10 ** (PEAK_DBFS / 20) / peaks.max())
    finished[end:] *= np.linspace(1, 0, rest, dtype=np.float32)[:, None]
    return finished
