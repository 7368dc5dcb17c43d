"""A piece as events and back: classes, features, and what may follow what.

One event is one note, a row of five classes, in the canonical order of the notes (onset, part, pitch):

    column    class range           meaning
    shift     [0, TIMES.size)       steps since the previous onset; 0 inside a chord; the first counts from step 0
    part      [0, 130 + n_parts)    0 is END; then a part that comes in, by its program; then those that have played
    pitch     [0, 128)              MIDI pitch
    duration  [0, TIMES.size)       steps
    velocity  [0, 32)               velocity // 4

The last event of a piece is END, whose shift reaches the end of the piece; it has no pitch, duration or velocity
(-1). A field with one value in the whole corpus has no column's worth of information: it is `unmodelled`, its
head does not exist, and decoding restores the value. The part column always exists, because END is in it.

A **part** is chosen by a pointer: the state is matched with a description of each part that has played, so that no part
has a fixed class and the model learns who plays next in this band. A new one pays for a program, once.

Times are exact below `TIMES.exact` steps; above, classes widen by 6% and the position inside a class is uniform, at
the price of ln(width) nats, up to `TIMES.maximum`.

Features
--------
What the model is conditioned on follows from the piece's conditions and the events so far alone. `features` has one
module for each feature; most of them are integer ids into one embedding table, in which 0 is "nothing". By when they
are known:

    previous[t]            the fields of event t-1, or the start of the piece
    before[t]              before event t: how many parts may still join the chord; the shift that followed the last
                           time that the preceding 3, 6 or 12 events stood in the piece (n-gram lookup), and the shift
                           that followed a few fixed lags earlier (lookback); and how well the last notes agreed with
                           those a lag before them; without a beat, how fast the last chords came
    context[t]             once its onset is: the conditions; where it lies in its bar, beat, phrase and chord; the
                           notes that sound or have just ended (who, since when, until when); the event that the n-gram
                           lookup found, its program, pitch and duration, where its shift agrees; the note that stood
                           each lag earlier, with its pitch, its interval from its part's last, its duration; how many
                           parts of the line-up have still to come in; the lowest note that sounds, and that was
                           struck since the bar line; what the plan knows; and inside a gap the next notes that stay,
                           see `kept_notes`
    part_descriptions[t]   at the onset: for each part that has played its program, how long ago it did, what it did
                           here already, its register, and what it did where the n-gram lookup and the lookbacks look
    line_up[t]             the programs of the parts that have still to come in, where the line-up is known
    part_history[t]        once event t's part is: its program, its last two pitches, how long they lasted, and how far
                           below and above the last one its lowest and its highest lie
    pitch_class_levels[t]  before event t: how often each pitch class stood among the last 24 notes, and in the piece

A **plan** may be known before the first note, each entry on its own (`planned`): the tempo; the length, as bars left
and the share behind; the form, which is a lookback with a lag of its own in every bar, to the bar that it returns to;
the chords, as this half bar's, the next other one and when it comes. In training each is hidden at random, so that
"unknown" is learned, and likelihoods are given with nothing known.

The pitch head is also given what sounds and the pitch class levels relative to the part's last pitch, and it gives
logits to intervals beside pitches, so that a transposed phrase looks alike, and to pitch classes: by their levels, and
above each of the two lowest notes and the plan's root, so that a chord looks alike on any root. The duration head is
given the same relative to the chosen pitch: dissonance is short.

Every field has **pointers**: a class that may come again has a logit of its own, added to that class's, as in See et
al. (2017), but before the softmax. They point to what n-gram lookup and lookbacks found; a shift also to the last
note's duration; both of them to the next bar line and beat; a duration also to the ends of the notes that sound; a
duration and a velocity also to those of the part's last note, and of its last note of this pitch. In music without a
beat a velocity points to the last notes near in pitch, a shift to what is left of the last waits from chord to chord,
and a duration to the end that most sounding notes share, where the pedal is lifted.

Two forms give the same ids, held together by a property test: `encode`, vectorised over a piece (training), and
`Context`, advanced note by note (composing).

What may follow
---------------
Canonical order and the rule against overlaps make some events impossible; the model gives them no probability:
a pitch that its part still sounds; inside a chord, a part or pitch not above the last; parts that come in at one onset
in another order than that of their programs; END while a note sounds on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melodygru.errors import NoteError
from melodygru.events.features.conditions import N_CONDITIONS
from melodygru.events.features.feature import ARRAYS
from melodygru.events.features.piece import Piece
from melodygru.events.kept import Kept
from melodygru.events.layout import layout_of
from melodygru.events.planned import UNPLANNED, Planned
from melodygru.events.times import TIMES
from melodygru.events.vocabulary import DURATION, FIRST_PART, NEW, PART, PITCH, SHIFT, VELOCITY, Vocabulary
from melodygru.music.metre import METRE
from melodygru.music.notes import NOTE, TEMPO, Changes, NoteSequence, canonical, part_programs

INPUTS = ("fields", *ARRAYS)  # what the model is given of a window of events, see `Events.window`


@dataclass(frozen=True)
class Events:
    """A piece as rows for the model; T is its number of events, END included.

    Attributes
    ----------
    fields : array, shape (T, 5), int32
        Classes as in the module's table; -1 where END has none, and for an unmodelled velocity.
    previous, before, context : arrays, int32
        Ids; as many columns as `Layout.widths` says.
    part_descriptions : array, shape (T, parts * columns), uint8
        See `features.part_descriptions`; 0 is nothing.
    line_up : array, shape (T, 17), uint8
        Bits, see `features.line_up`.
    part_history : array, shape (T, 7), int32
        Of the event's part, see `features.part_history`; 0 is none.
    pitch_class_levels : array, shape (T, 24), uint8
        Among the last notes, then in the whole piece, see `features.pitch_class_levels`; 0 is absent.
    pitch_mask : array, shape (T, 16), uint8
        Pitches that the event's part cannot strike, bit `pitch % 8` of byte `pitch // 8`.
    legality : array, shape (T, 5), int32
        See `features.legality`.
    shift_pointers, pitch_pointers, duration_pointers, velocity_pointers : arrays, shape (T, k), int16
        The class, plus 1, that each pointer points to; 0 is none.
    at_common_end : array, shape (T, 1), uint8
        Whether the note ends to the step where most sounding notes do; no column without `exact_ends`.
    changes : Changes
        What the vocabulary could not hold.
    """

    fields: np.ndarray
    previous: np.ndarray
    before: np.ndarray
    context: np.ndarray
    part_descriptions: np.ndarray
    line_up: np.ndarray
    part_history: np.ndarray
    pitch_class_levels: np.ndarray
    pitch_mask: np.ndarray
    legality: np.ndarray
    shift_pointers: np.ndarray
    pitch_pointers: np.ndarray
    duration_pointers: np.ndarray
    velocity_pointers: np.ndarray
    at_common_end: np.ndarray
    changes: Changes

    def __len__(self) -> int:
        return len(self.fields)

    def window(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """What the model is given of events [start, stop), padded at the end where the piece is over.

        Returns
        -------
        inputs : dict of arrays, one for each of INPUTS, first axis stop - start
            `context` has one row more: its first is that of event start - 1, and before the first event it holds the
            conditions alone. Padding is -1 in `fields`, else 0.
        """
        return {name: values[0] for name, values in windows([self], start, stop - start).items()}


def windows(pieces: Sequence[Events], starts: int | Sequence[int], size: int) -> dict[str, np.ndarray]:
    """A window of each piece, as `Events.window` gives it; first axis the batch.

    Parameters
    ----------
    pieces : one or more
    starts : where each piece's window begins, or all do; a window beyond its piece is padding
    size : events of a window
    """
    inputs = {}
    for name in INPUTS:
        earlier = int(name == "context")
        like = getattr(pieces[0], name)
        batch = np.full((len(pieces), size + earlier, like.shape[1]), -1 if name == "fields" else 0, like.dtype)
        for row, events, start in zip(batch, pieces, np.broadcast_to(starts, len(pieces)).tolist(), strict=True):
            first = start - earlier
            values = getattr(events, name)[max(first, 0) : start + size]
            row[max(-first, 0) : max(-first, 0) + len(values)] = values
            if first < 0:
                row[0, :N_CONDITIONS] = events.context[0, :N_CONDITIONS]
        inputs[name] = batch
    return inputs


def representable(sequence: NoteSequence, vocabulary: Vocabulary) -> tuple[NoteSequence, Changes]:
    """The piece as the vocabulary can hold it: with no more parts than it has, and times within `TIMES`.

    Raises
    ------
    NoteError
        The sequence is on another grid.
    """
    if sequence.grid != vocabulary.grid:
        raise NoteError(
            f"a piece on a grid of {sequence.grid.describe()}: this vocabulary needs {vocabulary.grid.describe()}; "
            "use music.quantize"
        )
    notes, changes = _with_parts(sequence.notes, vocabulary)
    shifts = np.diff(notes["onset"], prepend=0, append=sequence.length)
    too_long = notes["duration"] > TIMES.maximum
    too_far = shifts > TIMES.maximum
    if too_long.any() or too_far.any():
        notes = notes.copy()
        notes["duration"] = np.minimum(notes["duration"], TIMES.maximum)
        onsets = np.cumsum(np.minimum(shifts, TIMES.maximum))
        notes["onset"] = onsets[:-1]
        changes += Changes(clipped=int(np.sum(too_long | too_far[:-1]) + too_far[-1]))
        notes, more = canonical(notes)
        changes += more
        end = int((notes["onset"] + notes["duration"]).max()) if len(notes) else 0
        length = max(int(onsets[-1]), end)
        metres = sequence.metres[sequence.metres["step"] <= length]
        keys = sequence.keys[sequence.keys["step"] <= length]
        return NoteSequence(notes, sequence.grid, length, sequence.tempos[:1], metres, sequence.names, keys), changes
    if notes is sequence.notes:
        return sequence, changes
    return dataclasses.replace(sequence, notes=notes), changes


def encode(
    sequence: NoteSequence,
    vocabulary: Vocabulary,
    style: str | None = None,
    *,
    metre_known: bool = True,
    line_up_known: bool = False,
    kept: Kept | None = None,
    planned: Planned = UNPLANNED,
) -> Events:
    """Encode a piece for the model, without a Python step per note.

    Parameters
    ----------
    sequence : NoteSequence on the vocabulary's grid
    style : str or None
        None is "unknown", as is a style that the vocabulary does not have.
    metre_known : bool
        False hides the metre, and with it the position in the bar, where the vocabulary has several metres.
    line_up_known : bool
        True shows the programs of the parts from the start.
    kept : Kept, optional
        Shows, inside its gaps, the notes that stay; its lines are the parts.
    planned : Planned
        What of the plan is shown from the start; default: nothing.
    """
    sequence, changes = representable(sequence, vocabulary)
    piece = Piece(sequence, vocabulary, style, metre_known, line_up_known, kept, planned)
    layout = layout_of(vocabulary)
    n = len(piece.fields)
    arrays = {name: np.zeros((n, layout.widths[name]), dtype) for name, dtype in ARRAYS.items()}
    for feature, region in layout.regions.items():
        feature.encode(piece, region, arrays)
    return Events(fields=piece.fields, changes=changes, **arrays)


def _with_parts(notes: np.ndarray, vocabulary: Vocabulary) -> tuple[np.ndarray, Changes]:
    """Notes with no more parts than a vocabulary has.

    Where there are more, a part joins the first of its program, or else the last that is left. Where parts are not
    modelled, all are the first of the vocabulary's program.
    """
    programs = part_programs(notes)
    if not vocabulary.models_part:
        only = vocabulary.programs[0]
        if len(programs) <= 1 and np.all(programs == only):
            return notes, Changes()
        joined = np.zeros(len(programs), np.int64)
        changed = notes["part"] != (programs.tolist().index(only) if only in programs else -1)
    else:
        if len(programs) <= vocabulary.parts:
            return notes, Changes()
        joined = np.array(joined_parts(programs.tolist(), vocabulary))
        changed = notes["part"] >= vocabulary.parts
    notes = notes.copy()
    notes["part"] = joined[notes["part"]]
    notes["program"] = programs[notes["part"]] if vocabulary.models_part else vocabulary.programs[0]
    notes, changes = canonical(notes)
    return notes, changes + Changes(reprogrammed=int(np.sum(changed)))


def joined_parts(programs: Sequence[int], vocabulary: Vocabulary) -> list[int]:
    """Where parts are modelled, the part that each part of a piece is, by their programs: itself, or what it joins."""
    most = vocabulary.parts
    joined = list(range(min(len(programs), most)))
    for program in programs[most:]:
        joined.append(programs.index(program) if program in programs[:most] else most - 1)
    return joined


def parts_of(part_classes: np.ndarray, vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """The part and the program of each note, by the part classes of a piece's notes, shape (n,)."""
    if not vocabulary.models_part:
        return np.zeros(len(part_classes), np.int64), np.full(len(part_classes), vocabulary.programs[0])
    new = part_classes < FIRST_PART
    part = np.where(new, np.cumsum(new) - 1, part_classes - FIRST_PART)
    return part, (part_classes[new] - NEW)[part]


def decode(
    rows: Sequence[tuple[int, int, int, int, int]],
    vocabulary: Vocabulary,
    *,
    length: int | None = None,
    qpm: float | None = None,
    metre: tuple[int, int] | None = None,
    style: str | None = None,
) -> NoteSequence:
    """A note sequence from events in steps.

    Parameters
    ----------
    rows : (shift steps, part class, pitch, duration steps, velocity class) of each note, END left out
    length : int, optional
        Steps to the end of the piece; default: the end of the last note.
    qpm, metre : tempo and time signature to write; default: the vocabulary's for the style, and 4/4
    """
    notes = np.zeros(len(rows), NOTE)
    if len(rows):
        values = np.array(rows, np.int64)
        notes["onset"] = np.cumsum(values[:, SHIFT])
        notes["part"], notes["program"] = parts_of(values[:, PART], vocabulary)
        notes["pitch"] = values[:, PITCH]
        notes["duration"] = values[:, DURATION]
        notes["velocity"] = (
            np.array(vocabulary.velocities)[values[:, VELOCITY]]
            if vocabulary.models_velocity
            else vocabulary.velocities[0]
        )
    end = int((notes["onset"] + notes["duration"]).max()) if len(notes) else 0
    tempos = np.array([(0, round(60e6 / (qpm or vocabulary.statistics.tempo_of(style))))], TEMPO)
    if not vocabulary.grid.is_metrical:
        return NoteSequence(notes, vocabulary.grid, max(end, length or 0))
    metres = np.array([(0, *(metre or vocabulary.metres[0]))], METRE)
    return NoteSequence(notes, vocabulary.grid, max(end, length or 0), tempos, metres)
