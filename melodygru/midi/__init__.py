"""MIDI files to note sequences and back: the only wing that knows MIDI bytes, and the only one that meets damage.

This docstring is the rule of reading. `read_reference` is the rule in plain Python, `read` the same function
vectorised; a property test holds them equal in every note and every count.

The file
--------
A file of more than 4 MiB is refused. The header is looked for in the first 4,096 bytes (a RIFF wrapper or other
preamble is skipped). Chunks that are not tracks are skipped, and every track is read, up to 65,535 of them, whatever
number the header claims. Bytes between chunks that belong to none are passed over up to the next ``MTrk``. Tracks of
type 0 and 1 run in parallel; the patterns of type 2 follow one another, each starting where the one before ended.

A track is read up to its end_of_track. It counts as **broken** when there is none: the bytes end, or a delta time
has more than four bytes, a data byte exceeds 127, a status byte is missing, a length points beyond the chunk, or
a system common or real-time message (F1..F6, F8..FE) stands in it. What was read before stays, and the
last event is the track's end. Running status outlives meta events and system exclusive messages.

Ticks are clamped to `tick_limit`: 2**27, or 2**20 beats where those are fewer ticks. A note-on at that tick or later
is dropped (**beyond_limit**).

Notes
-----
The key of a note is (track, channel, pitch). A note-on of velocity 0 is a note-off. Events of a track are taken in
file order, with one exception: where a key sounds from an earlier tick, the first note-off of a tick comes first,
so that a note repeated without a gap may write its note-on before the note-off.

- A note-off ends the sounding note. Without one it counts among **stray_note_offs** and does nothing.
- A note-on while its key sounds ends the sounding note at that tick, as a synthesiser would (**restruck**).
- A note that never ends, ends with its track (**hanging**).
- A note that ends at the tick at which it began is dropped (**zero_length**).

The program of a note is the last program change on its channel before it in its own track; else the last one at or
before its tick on its channel in any track; else 0. Channel 10 is DRUMS, whatever the program.

The sustain pedal of a channel is controller 64 (64 and more is down; controller 121 lifts it) in any track; of
several values in one tick the last in (track, file order) holds. A note that a note-off ends while, after that tick,
its channel's pedal is down goes on until the pedal is up, or the end of its track if it stays down, or until its
program strikes the pitch again, whichever is first (**pedalled**). Drums have no pedal. Controllers 120 and 123
(all sound off, all notes off) end every note of their channel that began before them (**silenced**).

Last, `melodygru.music.notes.canonical` over all programs: same onset, program and pitch are one note (**merged**), and
a note that still sounds when its program strikes the pitch again is **cut**.

Time
----
Steps are ticks: `Grid.beats(ticks per quarter note)`, or `Grid.seconds(frames per second x ticks per frame)` for
SMPTE division (29 means 30000/1001). The length is the latest end of a track. Tempo and metre come from any track,
ordered by (tick, track, file order), the last of a tick holding. A tempo of 0, a numerator of 0, a denominator
above 128, a mark of the wrong size or at the tick limit is ignored (**bad_marks**). Before the first mark MIDI's
defaults hold, 120 quarter notes a minute and 4/4. On a grid of seconds the first tempo alone is kept: it says
nothing about time.
"""

from melodygru.midi.files import find_files
from melodygru.midi.formats import READERS, read
from melodygru.midi.reading import (
    MAX_BEATS,
    MAX_FILE_BYTES,
    MAX_TICKS,
    Oddities,
    Reading,
    load,
    read_reference,
    read_texts,
    tick_limit,
    why_not_opened,
)
from melodygru.midi.writing import from_pretty_midi, to_bytes, to_pretty_midi, write

__all__ = [
    "MAX_BEATS",
    "MAX_TICKS",
    "READERS",
    "Oddities",
    "Reading",
    "find_files",
    "from_pretty_midi",
    "load",
    "read",
    "read_reference",
    "MAX_FILE_BYTES",
    "why_not_opened",
    "read_texts",
    "tick_limit",
    "to_bytes",
    "to_pretty_midi",
    "write",
]
