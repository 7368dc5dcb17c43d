"""Notes become sound: a WAV or FLAC file, the speakers, or a MIDI port; whole pieces, or music as it is composed.

Conventions
-----------
Samples are float32 of shape (n_samples, 2), left and right, in -1..1, `SAMPLE_RATE` a second. Two renderers
make them: `midirenderer` with a SoundFont (the one that pretty_midi carries, unless another is given), and, where that
library or a SoundFont is missing, a small additive synthesiser in NumPy. Positions are seconds from the start of the
piece.
"""

from melodygru.errors import AudioError
from melodygru.render.audio.files import SAMPLE_RATE, as_mp3, write_flac, write_wav
from melodygru.render.audio.live import SPEEDS, Live
from melodygru.render.audio.live_port import LivePort
from melodygru.render.audio.live_speakers import LiveSpeakers
from melodygru.render.audio.ports import list_ports, send
from melodygru.render.audio.position import position_line
from melodygru.render.audio.queue import LiveNote, NoteQueue, Stopped
from melodygru.render.audio.rendering import (
    AUDIBLE_DB,
    MAX_SECONDS,
    PEAK_DBFS,
    REST_S,
    TAIL_S,
    default_soundfont,
    render,
    renderer_name,
)
from melodygru.render.audio.speakers import play

__all__ = [
    "AUDIBLE_DB",
    "MAX_SECONDS",
    "PEAK_DBFS",
    "REST_S",
    "SAMPLE_RATE",
    "SPEEDS",
    "TAIL_S",
    "AudioError",
    "Live",
    "LiveNote",
    "LivePort",
    "LiveSpeakers",
    "NoteQueue",
    "Stopped",
    "as_mp3",
    "default_soundfont",
    "list_ports",
    "play",
    "position_line",
    "render",
    "renderer_name",
    "send",
    "write_flac",
    "write_wav",
]
