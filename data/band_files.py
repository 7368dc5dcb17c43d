"""Multi-track MIDI for the starter corpus: what its files keep of a band, and where Freedoom's pieces lie.

Freedoom (https://freedoom.github.io, modified BSD licence, see starter/bands/LICENSE.txt) is a game whose music
stands as MIDI lumps in two WAD files. A WAD begins with its kind, the number of lumps and the place of their
directory; an entry there is the lump's place, size and name (8 bytes, padded with zeros), all little-endian.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import mido

VERSION = "0.12.1"
# The WAD files of that version and their SHA-256.
WADS = {
    "freedoom1.wad": "84c3a912f2973892a8025d09d65f5053b1ee2304968a5a172526d683a185b885",
    "freedoom2.wad": "c72de2af7e2d0c17f6213e751a167e2f1913278aaf37ae6957854fe3cd6588ca",
}
# Pieces that once were MUS files, which play 140 ticks a second. Their converter calls 89 of them a beat at whatever
# tempo; this is the tempo (quarter notes a minute) at which their onsets lie on sixteenths.
MUS_TICKS_PER_SECOND = 140
MUS_QPM = {
    "D_INTRO": 140,
    "D_INTROA": 120,
    "D_DM2TTL": 150,
    "D_DM2INT": 125,
    "D_THE_DA": 125,
    "D_SHAWN": 90,
    "D_DEAD": 100,
    "D_SHAWN2": 140,
    "D_THEDA3": 90,
    "D_OPENIN": 150,
}
NO_BEAT = {"D_BUNNY"}  # played by hand at a tempo that the file doesn't know; has a copyright note of its own
TICKS_PER_BEAT = 480

Timed = tuple[int, mido.Message | mido.MetaMessage]  # the tick, from the start of the piece


def write_tracks(
    conductor: Sequence[Timed], tracks: Sequence[Sequence[Timed]], ticks_per_beat: int, end: int, text: Sequence[str]
) -> bytes:
    """A type-1 MIDI file of messages in order: `text` and the conductor's track first; every track ends at `end`."""
    file = mido.MidiFile(type=1, ticks_per_beat=ticks_per_beat, charset="utf-8")
    words = [(0, mido.MetaMessage("text", text=line)) for line in text]
    for messages in ([*words, *conductor], *tracks):
        track, last = mido.MidiTrack(), 0
        for tick, message in [*messages, (end, mido.MetaMessage("end_of_track"))]:
            track.append(message.copy(time=tick - last))
            last = tick
        file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def clean(data: bytes, mus_qpm: int | None = None, text: Sequence[str] = ()) -> bytes:
    """A MIDI file with its notes, programs, tempos, metres and parts' names, and nothing else.

    A track that plays nothing is left out; its programs, tempos and metres are kept.

    Parameters
    ----------
    data : bytes
    mus_qpm : int, optional
        The tempo of a piece that was a MUS file; its ticks become 480ths of a beat. (See `MUS_QPM`.)
    text : sequence of str
        Text events at the beginning.
    """
    file = mido.MidiFile(file=io.BytesIO(data))
    scale, ticks_per_beat = Fraction(1), file.ticks_per_beat
    conductor: list[Timed] = []
    if mus_qpm is not None:
        scale, ticks_per_beat = Fraction(TICKS_PER_BEAT * mus_qpm, 60 * MUS_TICKS_PER_SECOND), TICKS_PER_BEAT
        conductor.append((0, mido.MetaMessage("set_tempo", tempo=round(60e6 / mus_qpm))))
    tracks: list[list[Timed]] = []
    end = 0
    for track in file.tracks:
        tick, kept = 0, []
        for message in track:
            tick += message.time
            now = round(tick * scale)
            if message.type == "note_off":  # as a note-on without velocity: one status byte for the whole track
                message = mido.Message("note_on", channel=message.channel, note=message.note, velocity=0)
            if message.type in ("note_on", "program_change", "track_name"):
                kept.append((now, message))
            elif message.type == "time_signature" or (message.type == "set_tempo" and mus_qpm is None):
                conductor.append((now, message))
            end = max(end, now)
        if any(message.type == "note_on" for _, message in kept):
            tracks.append(kept)
        else:
            conductor += [item for item in kept if item[1].type == "program_change"]
    conductor.sort(key=lambda item: item[0])
    told: dict[str, bytes] = {}  # tempos and metres that say what holds already are left out
    marks = []
    for tick, message in conductor:
        if not message.is_meta or told.get(message.type) != message.bin():
            marks.append((tick, message))
        told[message.type] = message.bin()
    return write_tracks(marks, tracks, ticks_per_beat, end, text)


def strokes(data: bytes) -> int:
    """The number of notes that a MIDI file strikes."""
    file = mido.MidiFile(file=io.BytesIO(data))
    return sum(message.type == "note_on" and message.velocity > 0 for track in file.tracks for message in track)


def title_of(data: bytes, lump: str) -> str:
    """The title that a numbered first track has for a name ("5. Flood the City"), else the lump's name."""
    name = mido.MidiFile(file=io.BytesIO(data)).tracks[0].name
    number, _, title = name.partition(". ")
    return title if number.isdigit() and title else lump.removeprefix("D_")


def lumps(wad: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of each lump of music (`D_*`) of a WAD file, in its order."""
    _, count, directory = struct.unpack_from("<4sii", wad)
    for at in range(count):
        start, size, name = struct.unpack_from("<ii8s", wad, directory + 16 * at)
        word = name.rstrip(b"\0").decode("ascii", "replace")
        if word.startswith("D_"):
            yield word, wad[start : start + size]


def find_wads(folder: Path) -> dict[str, bytes]:
    """The two WAD files, from a folder or one below it.

    Raises
    ------
    SystemExit
        One isn't there, or is of another version, whose pieces differ.
    """
    found = {}
    for name, digest in WADS.items():
        path = next(iter(sorted(folder.rglob(name))), None)
        if path is None:
            raise SystemExit(f"{folder} holds no {name}; give the folder of Freedoom {VERSION}'s WAD files")
        found[name] = path.read_bytes()
        if hashlib.sha256(found[name]).hexdigest() != digest:
            raise SystemExit(f"{path} is not Freedoom {VERSION}'s; that version makes the corpus")
    return found


def fetch(folder: Path) -> None:
    """Get Debian's package `freedoom` through apt and unpack it below `folder`; nothing is installed.

    Raises
    ------
    SystemExit
        apt can't get it.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise SystemExit(f"no apt here: get Freedoom {VERSION} and name the folder of its WAD files with --freedoom")
    try:
        subprocess.run(["apt-get", "download", "freedoom"], cwd=folder, check=True, capture_output=True, text=True)
        package = next(folder.glob("freedoom_*.deb"))
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        why = error.stderr.strip().split("\n")[-1]
        raise SystemExit(f"apt cannot get freedoom ({why}); name the folder of its WAD files with --freedoom") from None
