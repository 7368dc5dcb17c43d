"""Notes <-> events: the vocabulary, the context, and what may follow what.

One event is one note, a row of five classes, in the canonical order of the notes (onset, program, pitch):

    column    class range           meaning
    shift     [0, TIMES.size)       steps since the previous onset; 0 inside a chord; the first counts from step 0
    program   [0, n_programs]       0 is END; then the program (see `Vocabulary.program_class`)
    pitch     [0, 128)              MIDI pitch
    duration  [0, TIMES.size)       steps
    velocity  [0, 32)               velocity // 4

The last event of a piece is END, whose shift reaches the end of the piece; it has no pitch, duration or velocity
(-1). A field with one value in the whole corpus has no column's worth of information: it is `unmodelled`, its
head does not exist, and decoding restores the value. The program column always exists, because END is in it.

Times are exact below `TIMES.exact` steps; above, classes widen by 6% and the place inside a class is uniform, at
the price of ln(width) nats, up to `TIMES.maximum`.

Context
-------
All that the model is told about a piece, as integer ids into one embedding table (0 is "nothing"). It follows from
the events so far alone (and from the piece conditions, style and metre):

    previous[t] the fields of event t-1, or the start of the piece
    before[t]   known before event t: what followed the last time that the preceding 3, 6 or 12 events occurred
                in this piece (recall), and what came next a few fixed lags ago (echo), both seen as a shift; and how
                well the last notes agreed with those a lag before them
    context[t]  known once event t's onset is: conditions, place in the bar, the beat, the phrase and the chord,
                the notes that sound or have just ended (who, since when, until when), the recalled event's program,
                pitch and duration where the shift agrees with it, and the note that stood at this place those lags
                ago, with its pitch, its interval to its program's last, and its duration
    voice[t]    known once event t's program is: that program's last two pitches and how long they lasted, and how far
                below and above the last one its lowest and its highest lie
    heard[t]    known before event t: how often each pitch class stood among the last 24 notes, and in the whole piece

A program's last pitch is a point of view: the pitch head sees what sounds and what was heard as intervals from it
as well, and gives logits to intervals beside pitches, so that a transposed phrase looks alike. The duration head sees
the same from the chosen pitch: dissonance is short. Each recalled note and each echo is a pointer to its pitch: it has
a logit of its own, added to that pitch's, as in See et al. (2017), but before the softmax.

Two forms give the same ids, held together by a property test: `encode`, vectorised over a piece (training), and
`Context`, advanced note by note (sampling).

What may follow
---------------
Canonical order and the rule against overlaps make some events impossible; the model gives them no probability:
a pitch that its program still sounds; inside a chord, a program or pitch not above the last; END while a note
sounds on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from melodygru.errors import NoteError
from melodygru.events.times import N_INTERVALS, N_SPANS, TIMES, motion_class, span_class
from melodygru.events.vocabulary import (
    BLOCK,
    DURATION,
    END,
    INPUTS,
    KEY,
    KEY_SHARES,
    LATELY,
    N_BARS,
    N_CHORD_PLACES,
    N_CONDITIONS,
    N_LATELY,
    N_PHRASES,
    N_PLACES_IN_TIME,
    N_POSITIONS,
    N_RECENT,
    OFTEN,
    PHRASE,
    PITCH,
    PROGRAM,
    PROGRAM_HISTORY,
    RANGE,
    RUNS,
    SHIFT,
    VELOCITY,
    VELOCITY_WIDTH,
    Vocabulary,
)
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE, Bars, signatures
from melodygru.music.notes import DRUMS, N_PITCHES, N_PROGRAMS, NOTE, TEMPO, Changes, NoteSequence, canonical


@dataclass(frozen=True)
class Events:
    """A piece as rows for the model; T is its number of events, END included.

    Attributes
    ----------
    fields : array, shape (T, 5), int32
        Classes as in the module's table; -1 where END has none, and for an unmodelled velocity.
    charge : array, shape (T, 5), float32
        ln(width) of the classes of shift and duration: nats for the place inside the class. 0 elsewhere.
    previous : array, shape (T, 5), int32
    before : array, shape (T, vocabulary.n_before), int32
    context : array, shape (T, vocabulary.n_context), int32
    voice : array, shape (T, 6), int32
        Of the event's program: its last pitch and the one before it, the `span_class` that each lasted, and the
        semitones from the last down to the lowest pitch so far and up to the highest, all plus 1; 0 is none.
    heard : array, shape (T, 24), uint8
        Pitch classes among the last N_HEARD notes: 0 not heard, 1 heard, 2 heard often. Then among all notes: 0 not
        heard, 1 heard, 2 in the key, 3 at its centre (see KEY_SHARES).
    taken : array, shape (T, 16), uint8
        Pitches that the event's program cannot strike, bit `pitch % 8` of byte `pitch // 8`.
    limits : array, shape (T, 3), int32
        Whether shift 0 is possible; the lowest possible program class; whether END is possible.
    changes : Changes
        What the vocabulary could not hold.
    """

    fields: np.ndarray
    log_bin_width: np.ndarray
    previous: np.ndarray
    before: np.ndarray
    context: np.ndarray
    program_history: np.ndarray
    pitch_class_levels: np.ndarray
    pitch_mask: np.ndarray
    legality: np.ndarray
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
        inputs = {}
        for name in INPUTS:
            values = getattr(self, name)
            first = start - 1 if name == "context" else start
            rows = values[max(first, 0) : stop]
            before = int(first < 0)
            after = stop - first - before - len(rows)
            if before or after:
                fill = -1 if name == "fields" else 0
                rows = np.pad(rows, [(before, after), (0, 0)], constant_values=fill)
            if before:
                rows[0, :N_CONDITIONS] = self.context[0, :N_CONDITIONS]
            inputs[name] = rows
        return inputs


def representable(sequence: NoteSequence, vocabulary: Vocabulary) -> tuple[NoteSequence, Changes]:
    """The piece as the vocabulary can hold it: its one program, if it has but one, and times within `TIMES`.

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
    notes, changes = sequence.notes, Changes()
    if not vocabulary.models_program and np.any(notes["program"] != vocabulary.programs[0]):
        notes = notes.copy()
        other = int(np.sum(notes["program"] != vocabulary.programs[0]))
        notes["program"] = vocabulary.programs[0]
        notes, changes = canonical(notes)
        changes += Changes(reprogrammed=other)
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
        return NoteSequence(notes, sequence.grid, length, sequence.tempos[:1], metres), changes
    if notes is sequence.notes:
        return sequence, changes
    return dataclasses.replace(sequence, notes=notes), changes


def encode(
    sequence: NoteSequence, vocabulary: Vocabulary, style: str | None = None, *, metre_known: bool = True
) -> Events:
    """Encode a piece for the model, without a Python step per note.

    Parameters
    ----------
    sequence : NoteSequence on the vocabulary's grid
    style : str or None
        None is "unknown", as is a style that the vocabulary does not have.
    metre_known : bool
        False hides the metre, and with it the position in the bar, where the vocabulary has several metres.
    """
    sequence, changes = representable(sequence, vocabulary)
    notes = sequence.notes
    n = len(notes)
    onset, end = notes["onset"], notes["onset"] + notes["duration"]
    at = np.append(onset, sequence.length)  # onset of every event
    program = vocabulary.program_class(notes["program"])
    place = vocabulary.program_slots[program]
    pitch = notes["pitch"].astype(np.int64)

    fields = np.full((n + 1, 5), -1, np.int32)
    shift = np.diff(at, prepend=0)
    fields[:, SHIFT] = TIMES.encode(shift)
    fields[:, PROGRAM] = np.append(program, END)
    fields[:-1, PITCH] = pitch
    fields[:-1, DURATION] = TIMES.encode(notes["duration"])
    if vocabulary.models_velocity:
        fields[:-1, VELOCITY] = notes["velocity"] // VELOCITY_WIDTH
    log_bin_width = np.zeros((n + 1, 5), np.float32)
    log_bin_width[:, SHIFT] = TIMES.log_width[fields[:, SHIFT]]
    log_bin_width[:-1, DURATION] = TIMES.log_width[fields[:-1, DURATION]]

    # Place of each event in its chord: how many notes stand at its onset already.
    index = np.arange(n + 1)
    begins = np.append(True, shift[1:] > 0)
    chord = index - np.maximum.accumulate(np.where(begins, index, 0))

    blocks = vocabulary.blocks
    context = np.zeros((n + 1, vocabulary.n_context), np.int32)
    metre_known = metre_known or len(vocabulary.metres) == 1
    metres = _metres_in_force(sequence.metres, vocabulary)
    first_metre = signatures(metres)[0] if metre_known else None
    context[:, 0], context[:, 1] = vocabulary.condition_ids(style, first_metre)
    if vocabulary.grid.is_metrical:
        context[:, 3] = blocks["phase"] + at % vocabulary.n_phases
        if metre_known:
            position, bar = _bar_positions(at, metres, vocabulary.grid)
            context[:, 2] = blocks["position"] + position
            context[:, 4] = blocks["bar"] + bar % N_BARS
            context[:, 5] = blocks["phrase"] + np.minimum(bar // PHRASE, N_PHRASES - 1)
    context[:, 6] = blocks["chord"] + np.minimum(chord, N_CHORD_PLACES - 1)

    # Sounding notes: the most recent `slots` in front, and what their programs can't strike again.
    all_program = np.append(program, END)
    pitch_mask = np.zeros((n + 1, N_PITCHES), bool)
    sounding = (blocks["sounding"] + (place * N_PITCHES + pitch) * 2).astype(np.int32)
    remaining, age = (blocks[name] + place * N_SPANS for name in ("remaining", "age"))
    for event, rank, note in _active_pairs(end, at):
        now = at[event]
        left = end[note] - now
        same = np.flatnonzero((left > 0) & (all_program[event] == program[note]))
        pitch_mask.reshape(-1)[event[same] * N_PITCHES + pitch[note[same]]] = True
        keep = np.flatnonzero(rank < vocabulary.n_sounding)
        e, j, left = event[keep], note[keep], left[keep]
        flat = context.reshape(-1)  # a view
        cell = e * vocabulary.n_context + N_PLACES_IN_TIME + 3 * rank[keep]
        flat[cell] = sounding[j] + (left > 0)
        flat[cell + 1] = remaining[j] + span_class(left)
        flat[cell + 2] = age[j] + span_class(now[keep] - onset[j])

    # Recall.
    before = np.zeros((n + 1, vocabulary.n_before), np.int32)
    codes = _event_codes(fields, vocabulary)
    for level, order in enumerate(vocabulary.ngram_orders):
        recalled = _last_occurrence(codes, order)  # (n + 1,): the event that followed then, or -1
        has = np.flatnonzero(recalled >= 0)
        source = recalled[has]
        before[has, level] = blocks["ngram_shift"] + level * N_SPANS + span_class(shift[source])
        agree = shift[source] == shift[has]
        has, source = has[agree], source[agree]
        column = N_PLACES_IN_TIME + 3 * vocabulary.n_sounding + 2 * level
        context[has, column] = (
            blocks["ngram_note"] + (level * vocabulary.n_program_slots + place[source]) * N_PITCHES + pitch[source]
        )
        context[has, column + 1] = blocks["ngram_duration"] + level * N_SPANS + span_class(notes["duration"][source])

    # Echo: the note that stood a lag before this one's place, and how long after the last note's place it came.
    program_history = _voice(program, pitch, span_class(notes["duration"]))
    pitch_class_levels = _heard(pitch, notes["program"] != DRUMS)
    if not vocabulary.key:
        program_history[:, RANGE] = 0
        pitch_class_levels[:, KEY] = 0
    place_key = _place_keys(onset, program)
    next_place = np.append(0, place_key + 1)  # after the note before
    new_place = np.where(shift > 0, at.astype(np.int64) * _PLACES_AT_ONSET, next_place)
    for level, lag in enumerate(vocabulary.lags(first_metre)):
        if not lag:
            continue
        has = 1 + np.flatnonzero(onset >= lag)
        source = np.searchsorted(place_key, next_place[has] - lag * _PLACES_AT_ONSET)
        before[has, len(vocabulary.ngram_orders) + level] = (
            blocks["lookback_shift"] + level * N_SPANS + span_class(onset[source] - onset[has - 1] + lag)
        )
        has = 1 + np.flatnonzero(at[1:] >= lag)
        source = np.searchsorted(place_key, new_place[has] - lag * _PLACES_AT_ONSET)
        there = onset[np.minimum(source, n - 1)] == at[has] - lag
        has, source = has[there], source[there]
        column = N_PLACES_IN_TIME + 3 * vocabulary.n_sounding + 2 * len(vocabulary.ngram_orders) + 3 * level
        context[has, column] = (
            blocks["lookback_note"] + (level * vocabulary.n_program_slots + place[source]) * N_PITCHES + pitch[source]
        )
        motion = motion_class(pitch[source], program_history[source, 0])
        context[has, column + 1] = np.where(motion > 0, blocks["lookback_motion"] + level * N_INTERVALS + motion - 1, 0)
        context[has, column + 2] = blocks["lookback_duration"] + level * N_SPANS + span_class(notes["duration"][source])
        if vocabulary.lookback_runs:
            wanted = place_key - lag * _PLACES_AT_ONSET
            source = np.minimum(np.searchsorted(place_key, wanted), n - 1)
            run = _run_class((place_key[source] == wanted) & (pitch[source] == pitch))
            first = blocks["lookback_run"] + level * len(RUNS) * N_LATELY
            before[1:, len(vocabulary.ngram_orders) + vocabulary.n_lookbacks + level] = first + run

    # What may follow.
    in_chord = np.append(False, shift[1:] == 0)
    below = in_chord[:-1] & np.append(False, program[1:] == program[:-1]) if n else np.zeros(0, bool)
    rows = np.flatnonzero(below)
    pitch_mask[rows] |= np.arange(N_PITCHES) <= pitch[rows - 1, None]
    legality = np.zeros((n + 1, 3), np.int32)
    top = vocabulary.size("program") - 1
    # The last note's program has a pitch left above it unless those are all taken: then only a higher program may
    # follow inside the chord.
    full = _nothing_above(onset, end, program, pitch, active_counts(end, at))
    legality[0, 0] = 1
    legality[1:, 0] = ~(full & (program == top))
    legality[:, 1] = 1
    legality[1:, 1] = np.where(in_chord[1:], program + full, 1)
    latest_end = np.append(0, np.maximum.accumulate(end)) if n else np.zeros(1, np.int64)
    legality[:, 2] = at >= latest_end

    return Events(
        fields=fields,
        log_bin_width=log_bin_width,
        previous=vocabulary.previous_ids(
            np.concatenate([np.full((1, 5), -1, np.int32), fields[:-1]]), np.append(0, program_history[:-1, 0])
        ),
        before=before,
        context=context,
        program_history=program_history,
        pitch_class_levels=pitch_class_levels,
        pitch_mask=np.packbits(pitch_mask, axis=1, bitorder="little"),
        legality=legality,
        changes=changes,
    )


def _metres_in_force(metres: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """The piece's metres, or the vocabulary's only one."""
    if len(vocabulary.metres) == 1:
        return np.array([(0, *vocabulary.metres[0])], METRE)
    return metres


def _bar_positions(steps: np.ndarray, metres: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Position in the bar (class below N_POSITIONS) and number of the bar of each step."""
    bar, position, size = Bars(grid, metres).at(steps)
    return np.where(size > N_POSITIONS, position * N_POSITIONS // size, position), bar


def active_counts(end: np.ndarray, at: np.ndarray) -> np.ndarray:
    """For each event, how many earlier notes sound or end at its onset; `end` of the notes, `at` of the events."""
    begun = np.minimum(np.arange(len(at)), len(end))
    ended = np.bincount(events_begun(at, end), minlength=len(at) + 1)[: len(at)]
    return begun - np.cumsum(ended)


def events_begun(at: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """How many events, at `at` (ascending), begin at or before each of `steps`, which is 0 or more."""
    latest = int(steps.max(initial=0))
    if latest > 16 * len(at):  # mostly rests
        return np.searchsorted(at, steps, side="right")
    count = np.bincount(at[: np.searchsorted(at, latest, side="right")], minlength=latest + 1)
    return np.cumsum(count)[steps]


def _active_pairs(end: np.ndarray, at: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs of an event and an earlier note that sounds or ends at the event's onset.

    They come in blocks of events, so that a file full of hanging notes takes time but not memory.

    Yields
    ------
    event, rank, note : arrays, shape (n_pairs,)
        `rank` counts an event's notes from 0, the most recent one.
    """
    first = np.arange(1, len(end) + 1)
    last = events_begun(at, end)  # one past the last event at which a note is active
    for start in range(0, len(at), BLOCK):
        stop = start + BLOCK
        active = np.flatnonzero((first < stop) & (last > start))[::-1]  # the most recent one first
        begin = np.maximum(first[active], start)
        spans = np.minimum(last[active], stop) - begin
        note = np.repeat(active, spans)
        event = np.arange(len(note)) + np.repeat(begin - np.cumsum(spans) + spans, spans)
        order = np.argsort((event - start).astype(np.uint16), kind="stable")  # 16 bits: by radix
        event, note = event[order], note[order]
        counts = np.bincount(event - start, minlength=1)
        yield event, np.arange(len(event)) - np.repeat(np.cumsum(counts) - counts, counts), note


def _nothing_above(
    onset: np.ndarray, end: np.ndarray, program: np.ndarray, pitch: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Whether no pitch above each note is left to its program at its onset; `counts` as from `active_counts`."""
    full = np.zeros(len(onset), bool)
    for j in np.flatnonzero(N_PITCHES - 1 - pitch <= counts[:-1]):  # rare: the very top of the keyboard
        above = (program[:j] == program[j]) & (end[:j] > onset[j]) & (pitch[:j] > pitch[j])
        full[j] = above.sum() == N_PITCHES - 1 - pitch[j]
    return full


_MIX = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def _event_codes(fields: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """A 64-bit code of each note for recall; without a beat, times never repeat and only who plays what counts."""
    values = fields[:-1].astype(np.uint64)
    code = values[:, PROGRAM] * np.uint64(N_PITCHES) + values[:, PITCH]
    if vocabulary.grid.is_metrical:
        code = (code * np.uint64(TIMES.size) + values[:, SHIFT]) * np.uint64(TIMES.size) + values[:, DURATION]
    with np.errstate(over="ignore"):
        code = (code + np.uint64(1)) * np.uint64(_MIX)
        return code ^ (code >> np.uint64(29))


def _last_occurrence(codes: np.ndarray, order: int) -> np.ndarray:
    """For each t in 0..n, the latest earlier t' with the same `order` codes before it, or -1.

    Shape (n + 1,). Sequences are compared by a 64-bit polynomial hash.
    """
    n = len(codes)
    found = np.full(n + 1, -1, np.int64)
    if n <= order:
        return found
    with np.errstate(over="ignore"):
        hashes = np.zeros(n - order + 1, np.uint64)
        for i in range(order):
            hashes = hashes * np.uint64(_MIX) + codes[i : n - order + 1 + i]
    ranked = _ranked(hashes)
    ordered = hashes[ranked]
    same = ordered[1:] == ordered[:-1]
    found[ranked[1:][same] + order] = ranked[:-1][same] + order
    return found


def _ranked(hashes: np.ndarray) -> np.ndarray:
    """An order that puts equal hashes together, each group in the order of its places."""
    # Sorting numbers is several times faster than a stable order of them: their low bits give way to the place.
    places = np.uint64((1 << len(hashes).bit_length()) - 1)
    sorted_hashes = np.sort((hashes & ~places) | np.arange(len(hashes), dtype=np.uint64))
    ranked = (sorted_hashes & places).astype(np.int64)
    ordered, high = hashes[ranked], sorted_hashes & ~places
    if np.any((high[1:] == high[:-1]) & (ordered[1:] != ordered[:-1])):  # rare: they differ in those bits alone
        return np.argsort(hashes, kind="stable")
    return ranked


_PLACES_AT_ONSET = (N_PROGRAMS + 1) * (N_PITCHES + 1)  # a program class, and a number of notes


def _place_keys(onset: np.ndarray, program: np.ndarray) -> np.ndarray:
    """Each note's onset, program class and rank among its program's notes there, as one number that sorts alike."""
    key = onset.astype(np.int64) * _PLACES_AT_ONSET + program * (N_PITCHES + 1)
    index = np.arange(len(key))
    begins = np.append(True, key[1:] != key[:-1])[: len(key)]
    return key + index - np.maximum.accumulate(np.where(begins, index, 0))


def _run_class(agrees: np.ndarray) -> np.ndarray:
    """After each note, how many in a row agreed, and how many of the last LATELY, as one class; shape (n,)."""
    index = np.arange(1, len(agrees) + 1)
    run = index - np.maximum.accumulate(np.where(agrees, 0, index))
    total = np.append(0, np.cumsum(agrees))
    lately = total[1:] - total[np.maximum(index - LATELY, 0)]
    return (np.searchsorted(RUNS, run, side="right") - 1) * N_LATELY + _lately_class(lately)


def _lately_class(count: Any) -> Any:
    """Class of how many of the last LATELY notes agree."""
    return (count * (N_LATELY - 1) + LATELY - 1) // LATELY


def _voice(program: np.ndarray, pitch: np.ndarray, span: np.ndarray) -> np.ndarray:
    """For each event what its program played (see `Events.voice`); zeros for END. Shape (n + 1, 6)."""
    n = len(program)
    program_history = np.zeros((n + 1, len(PROGRAM_HISTORY)), np.int32)
    order = np.argsort(program, kind="stable")
    for lag in (1, 2):
        same = program[order][lag:] == program[order][:-lag]
        program_history[order[lag:][same], lag - 1] = pitch[order[:-lag][same]] + 1
        program_history[order[lag:][same], lag + 1] = span[order[:-lag][same]] + 1
    for chosen in np.unique(program):
        own = np.flatnonzero(program == chosen)
        last = pitch[own][:-1]
        program_history[own[1:], 4] = last - np.minimum.accumulate(last) + 1
        program_history[own[1:], 5] = np.maximum.accumulate(last) - last + 1
    return program_history


def _heard(pitch: np.ndarray, pitched: np.ndarray) -> np.ndarray:
    """For each event how the pitch classes stand among the notes before it (see `Events.heard`). Shape (n + 1, 24)."""
    n = len(pitch)
    count = np.zeros((12, n + 1), np.int32)  # a row for each class: these are summed along
    np.cumsum(np.where(pitched, pitch % 12, 12) == np.arange(12)[:, None], axis=1, out=count[:, 1:])
    lately = count.copy()
    lately[:, N_RECENT:] -= count[:, : max(0, n + 1 - N_RECENT)]
    return np.concatenate([_often(lately), _in_key(count)]).T.copy()


def _often(count: np.ndarray) -> np.ndarray:
    """0 for what was not heard, 1 for what was, 2 for what was heard often."""
    return (count > 0).astype(np.uint8) + (count >= OFTEN)


def _in_key(count: np.ndarray) -> np.ndarray:
    """0 for what was not heard, then 1 more for each of KEY_SHARES that it reaches; `count` of shape (12, ...)."""
    total = count.sum(0)
    # count * share >= total, for what was heard
    least = [np.maximum(1, -(-total // share)) for share in KEY_SHARES]
    return sum(((count >= floor).view(np.uint8) for floor in least), (count > 0).view(np.uint8))


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
    rows : (shift steps, program class, pitch, duration steps, velocity class) of each note, END left out
    length : int, optional
        Steps to the end of the piece; default: the end of the last note.
    qpm, metre : tempo and time signature to write; default: the vocabulary's for the style, and 4/4
    """
    notes = np.zeros(len(rows), NOTE)
    if len(rows):
        values = np.array(rows, np.int64)
        notes["onset"] = np.cumsum(values[:, SHIFT])
        notes["program"] = values[:, PROGRAM] - 1 if vocabulary.models_program else vocabulary.programs[0]
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
