"""MIDI files to note sequences and back: the only wing that knows MIDI bytes, and the only one that meets damage.

This docstring is the rule of reading. `read_reference` is the rule in plain Python, `read` the same function
vectorised; a property test holds them equal in every note and every count.

The file
--------
A file of more than 4 MiB is refused. The header is looked for in the data chunk of a RIFF file, else in the first
4,096 bytes. Another type than 0, 1 and 2 is read as 1 (**unknown_type**). Every track is read, up to 65,535 of them;
the header's number only counts (**miscounted_tracks**: by how many it is wrong). Chunks that are not tracks are
skipped, and bytes that belong to no chunk passed over up to the next ``MTrk``. Tracks of type 0 and 1 run in parallel;
the patterns of type 2 follow one another, each starting where the one before ended.

The length of a track's chunk is believed if the file ends there or a chunk begins, and no track begins inside.
Otherwise the track goes to its end_of_track, or to the ``MTrk`` that stands where an event would, or, where its bytes
make no sense, to the next ``MTrk`` (**misstated_lengths**, where that is not what the chunk says).

A track is read up to its end_of_track. It counts as **broken_tracks** when there is none: the bytes end, or a delta
time has more than four bytes, a status byte is missing, or a length points beyond the track. What was read before
stays, and the last event is the track's end. Data bytes above 127 of a channel's messages are 127 (**clipped**).
System messages (F1..F6, F8..FE) are passed over by their length (**system**). Running status outlives all but a
channel's own messages.

Ticks are clamped to `tick_limit`: 2**27, or 2**20 beats where those are fewer ticks. A note-on at that tick or later
is dropped (**beyond_limit**).

Notes
-----
A port meta event (type 33) says which port a track plays on from there; the channels of two ports are different ones.
The key of a note is (track, channel, pitch). A note-on of velocity 0 is a note-off. Events of a track are taken in
file order, with one exception: where a key sounds from an earlier tick, the first note-off of a tick comes first,
so that a note repeated without a gap may write its note-on before the note-off.

- Note-offs end the notes of their key in the order in which they began; but after the last moment at which the key
  is silent, where note-offs are missing, each ends the latest. One without a note counts among **stray_note_offs**.
- A note also ends where the next one of its key begins, as on a synthesiser (**restruck**): of notes that overlap
  every attack is kept, and the later one its length.
- A note that never ends, ends with its track (**hanging**).
- A note that ends at the tick at which it began is dropped (**zero_length**); of drums it is a stroke of one tick
  (**strokes**).

The program of a note is the last program change on its channel before it in its own track; else the last one at or
before its tick on its channel in any track; else 0. Notes on channel 10 are DRUMS, whatever the program, and other
channels are what the messages of GS, XG and GM2 say by then (see `rhythm`). In a file that is marked as written twice,
for extended synthesisers on channels 1 to 10 and for simpler ones on 13 to 16, the latter are left out (**doubled**).

The sustain pedal of a channel is controller 64 (64 and more is down; controller 121 lifts it) in any track, in the
order (tick, track, file order), which decides within a tick, too. A note whose note-off comes while its channel's pedal
is down goes on until the pedal is up, or the last note of the file ends if it stays down, or until its part strikes
the pitch again, whichever is first (**pedalled**). Drums have no pedal. Controllers 120 and 123 (all sound off, all
notes off) end every note of their channel that began at an earlier tick (**silenced**).

A part is the notes of one (track, channel, program); more than 32,768 are refused. Its name is its track's (meta
type 3), else its instrument's (type 4). Where several parts share a track, a name after a channel prefix (type 32) is
that of the channel's part, if there is only one. Names are UTF-8, else Latin-1; what can't be printed is a space, and
the name that a part without one would be written with (General MIDI's of its program) is none.

Last, `melodygru.music.notes.canonical` over all parts: same onset, part and pitch are one note (**merged**), and
a note that still sounds when its part strikes the pitch again is **cut**.

Time
----
Steps are ticks: `Grid.beats(ticks per quarter note)`, or `Grid.seconds(frames per second x ticks per frame)` for
SMPTE division (29 means 30000/1001). The length is the latest end of a track. Tempo and metre come from any track,
ordered by (tick, track, file order), the last of a tick holding. So do key signatures, but of a tick the first holds:
files repeat them in every track, and a track of drums or of a transposing instrument has another. A tempo of 0, a
numerator of 0, a denominator above 128, more than seven sharps or flats, a mark of the wrong size or at the tick
limit is ignored (**bad_marks**). Before the first mark MIDI's defaults hold, 120 quarter notes a minute and 4/4; a
key has none. On a grid of seconds the first tempo alone is kept: it says nothing about time.

`Oddities` counts what is set in bold, and `oddity_words` are the words that people read for each.
"""

from melodygru.midi.chunks import MAX_BEATS, MAX_TICKS, header_start, tick_limit
from melodygru.midi.files import find_files
from melodygru.midi.formats import READERS, read
from melodygru.midi.oddities import Oddities, damage, in_words, oddity_words
from melodygru.midi.playing import left_out, own_messages
from melodygru.midi.reading import (
    MAX_FILE_BYTES,
    Reading,
    load,
    read_reference,
    read_texts,
    why_not_opened,
)
from melodygru.midi.writing import from_pretty_midi, to_bytes, to_pretty_midi, write

__all__ = [
    "MAX_BEATS",
    "MAX_TICKS",
    "READERS",
    "Oddities",
    "Reading",
    "damage",
    "find_files",
    "from_pretty_midi",
    "header_start",
    "in_words",
    "left_out",
    "load",
    "oddity_words",
    "own_messages",
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
