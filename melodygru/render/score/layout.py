"""How a piece is laid out in sheet music: parts, staves, clefs, voices, beams, tempo and dynamic marks."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from melodygru.music.keys import KeySignature, estimate_key
from melodygru.music.notes import DRUMS, NoteSequence
from melodygru.render.score.rhythm import (
    FLAGS,
    Bar,
    Metre,
    Tuplet,
    cut,
    cut_in_tuplet,
    note_fits,
    rest_fits,
    tuplet_value,
    tuplets_of,
    value_of,
)

N_VOICES = 4  # of a staff
_LOW_PROGRAMS = (*range(32, 40), 42, 43, 57, 58, 67, 70)  # basses, cello, trombone and so on: read in the bass clef
_DYNAMICS = {"ppp": 16, "pp": 33, "p": 49, "mp": 64, "mf": 80, "f": 96, "ff": 112, "fff": 126}  # velocities
_LEAST_VARIATION = 10  # of the bars' mean velocities, from which dynamics are written


@dataclass
class Note:
    """A note of the piece; times in units."""

    onset: int
    end: int
    pitch: int
    staff: int = 0
    voice: int = 0


@dataclass
class Event:
    """A value that is written: a note, a chord, or a rest. `start` counts from the bar's start."""

    start: int
    length: int
    notes: list[Note]
    value: tuple[str, int]
    voice: int
    tuplet: Tuplet | None = None
    whole_bar: bool = False
    beams: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Staff:
    """A staff: its clef (sign, line, octaves), and for each bar the events of its voices, voice by voice."""

    clef: tuple[str, int, int]
    two_lines: bool
    bars: list[list[Event]]


@dataclass(frozen=True)
class Part:
    """A part's staves."""

    number: int  # in the piece
    program: int
    pitches: list[int]  # that occur, ascending
    staves: list[_Staff]


def lay_out(sequence: NoteSequence, number: int, bars: list[Bar], quarter: int, step: int) -> Part:
    """How the notes of a part are written."""
    found = sequence.notes[sequence.notes["part"] == number]
    program = int(found["program"][0]) if len(found) else 0
    notes = [
        Note(onset * step, (onset + duration) * step, pitch)
        for onset, duration, pitch in zip(
            found["onset"].tolist(), found["duration"].tolist(), found["pitch"].tolist(), strict=True
        )
    ]
    n_staves = 2 if program != DRUMS and _is_wide(notes, program) else 1
    if n_staves == 2:
        _choose_staves(notes)
    staves = []
    for at in range(n_staves):
        inside = [note for note in notes if note.staff == at]
        two_lines = _choose_voices(inside)
        clef = _clef([note.pitch for note in inside], program) if n_staves == 1 else (("G", 2, 0), ("F", 4, 0))[at]
        staves.append(_Staff(clef, two_lines, _staff_bars(inside, bars, quarter)))
    return Part(number, program, sorted({note.pitch for note in notes}), staves)


def _clef(pitches: list[int], program: int) -> tuple[str, int, int]:
    """Sign, line and octaves for a single staff."""
    if program == DRUMS:
        return "percussion", 2, 0
    middle = float(np.median(pitches)) if pitches else 60.0
    if middle >= (67 if program in _LOW_PROGRAMS else 58):
        return "G", 2, int(middle > 88)
    return "F", 4, -int(middle < 33)


def _polyphony(notes: Sequence[Note]) -> dict[int, int]:
    """For how long (units) how many notes sound at once."""
    changes = sorted([(note.onset, 1) for note in notes] + [(note.end, -1) for note in notes])
    share: dict[int, int] = {}
    sounding, since = 0, 0
    for position, change in changes:
        if position > since and sounding:
            share[sounding] = share.get(sounding, 0) + position - since
        sounding, since = sounding + change, position
    return share


def _is_wide(notes: Sequence[Note], program: int) -> bool:
    """Whether a part needs two staves: it reaches below the one clef and above the other, in chords or on keys."""
    pitches = np.array([note.pitch for note in notes] or [60])
    share = _polyphony(notes)
    together, in_chords = (
        sum(length for n, length in share.items() if n > least) / max(1, sum(share.values())) for least in (1, 2)
    )
    has_keys = program < 24 or program == 46  # pianos, mallets, organs; the harp
    if np.mean(pitches < 55) >= 0.05 and np.mean(pitches > 64) >= 0.05:
        return has_keys or together > 0.15
    return has_keys and in_chords > 0.5 and np.ptp(pitches) >= 24  # a tune over chords around middle C


def _split_pitch(notes: Sequence[Note]) -> int:
    """The pitch from 55 to 65 that best divides high from low notes, by the time they sound (Otsu's criterion)."""
    pitches = np.array([note.pitch for note in notes])
    lengths = np.array([note.end - note.onset for note in notes], float)

    def apart(split: int) -> float:
        low, high = pitches < split, pitches >= split
        if not low.any() or not high.any():
            return 0.0
        means = [np.average(pitches[side], weights=lengths[side]) for side in (low, high)]
        return float(lengths[low].sum() * lengths[high].sum() * (means[1] - means[0]) ** 2)

    return max(sorted(range(55, 66), key=lambda split: abs(split - 60)), key=apart)


def _is_four_lines(notes: Sequence[Note]) -> bool:
    """Whether a part is in four lines, as a chorale is, and no melody over close chords, which one hand plays."""
    share = _polyphony(notes)
    if max(share) != 4 or share[4] <= 0.5 * sum(share.values()):
        return False
    spans: list[int] = []
    sounding: list[Note] = []
    for note in notes:
        sounding = [other for other in sounding if other.end > note.onset] + [note]
        if len(sounding) == 4:
            low, _, third, _ = sorted(other.pitch for other in sounding)
            spans.append(third - low)
    return float(np.mean(spans)) > 12


def _choose_staves(notes: Sequence[Note]) -> None:
    """Upper (0) or lower (1) staff for each note: by a pitch near middle C, two lines each where there are four."""
    split = _split_pitch(notes)
    four_lines = _is_four_lines(notes)
    last: list[float | None] = [None, None]  # the mean pitch of what each staff had last
    held: list[Note] = []
    at = 0
    while at < len(notes):
        onset = notes[at].onset
        end = at
        while end < len(notes) and notes[end].onset == onset:
            end += 1
        new = sorted(notes[at:end], key=lambda note: note.pitch)
        held = [note for note in held if note.end > onset]
        best, chosen = math.inf, 0
        for n_lower in range(len(new) + 1):
            lower = [note.pitch for note in new[:n_lower]]
            upper = [note.pitch for note in new[n_lower:]]
            cost = 1.0 * sum(max(0, split - p) for p in upper) + sum(max(0, p - split + 1) for p in lower)
            for pitches, before in ((upper, last[0]), (lower, last[1])):
                if pitches:
                    cost += 2 * max(0, max(pitches) - min(pitches) - 14)
                    cost += 0.3 * abs(sum(pitches) / len(pitches) - before) if before is not None else 0
            for note in held:  # the hands do not cross
                cost += sum(3 for p in lower if note.staff == 0 and p > note.pitch)
                cost += sum(3 for p in upper if note.staff == 1 and p < note.pitch)
            if four_lines:
                n_upper = len(upper) + sum(note.staff == 0 for note in held)
                all_lower = len(lower) + sum(note.staff == 1 for note in held)
                cost += 12 * (max(0, n_upper - 2) + max(0, all_lower - 2))
            if cost < best:
                best, chosen = cost, n_lower
        for rank, note in enumerate(new):
            note.staff = int(rank < chosen)
        for staff, pitches in enumerate(([n.pitch for n in new[chosen:]], [n.pitch for n in new[:chosen]])):
            if pitches:
                last[staff] = sum(pitches) / len(pitches)
        held += new
        at = end


_INSTEAD = ((0, 2, 3, 1), (1, 3, 2, 0), (2, 3, 1, 0))  # the wanted voice, then the others as they come into question


def _choose_voices(notes: Sequence[Note]) -> bool:
    """Voices 0..3 for the notes of a staff, ordered by onset; returns whether they are two lines."""
    share = _polyphony(notes)
    more = sum(length for n, length in share.items() if n > 2)
    two_lines = share.get(2, 0) > 0.5 * sum(share.values()) and more <= 0.1 * sum(share.values())
    chords: dict[tuple[int, ...], list[Note]] = {}
    for rank, note in enumerate(notes):
        chords.setdefault((note.onset, -note.pitch, rank) if two_lines else (note.onset, note.end), []).append(note)
    groups = sorted(chords.values(), key=lambda chord: (chord[0].onset, -max(note.pitch for note in chord)))
    above, below = _neighbours(groups)
    free = [0] * N_VOICES  # when each voice's last note ends
    line: list[int | None] = [None, None]  # the pitch that each of two lines had last
    for at, chord in enumerate(groups):
        onset, end = chord[0].onset, chord[0].end
        wanted = (2 if below[at] else 1) if above[at] else 0
        if two_lines and not above[at] and not below[at] and line[0] is not None and line[1] is not None:
            wanted = int(abs(chord[0].pitch - line[1]) < abs(chord[0].pitch - line[0]))
        voice = next((voice for voice in _INSTEAD[wanted] if free[voice] <= onset), wanted)
        free[voice] = max(free[voice], end)
        if voice < 2:
            line[voice] = chord[0].pitch
        for note in chord:
            note.voice = voice
    return two_lines


def _neighbours(chords: Sequence[Sequence[Note]]) -> tuple[list[bool], list[bool]]:
    """Whether a chord, ordered by onset, overlaps with one that lies above it; with one that lies below it."""
    above, below = [False] * len(chords), [False] * len(chords)
    sounding: list[int] = []
    means = [sum(note.pitch for note in chord) / len(chord) for chord in chords]
    for at, chord in enumerate(chords):
        sounding = [other for other in sounding if chords[other][0].end > chord[0].onset]
        for other in sounding:
            low, high = (at, other) if (means[at], -at) < (means[other], -other) else (other, at)
            above[low] = below[high] = True
        sounding.append(at)
    return above, below


def _staff_bars(notes: Sequence[Note], bars: list[Bar], quarter: int) -> list[list[Event]]:
    """The events of a staff, bar by bar, voice by voice."""
    inside: list[list[Note]] = [[] for _ in bars]
    starts = [bar.start for bar in bars]
    for note in notes:
        for at in range(bisect_right(starts, note.onset) - 1, bisect_right(starts, note.end - 1)):
            inside[at].append(note)
    metres: dict[tuple[int, tuple[int, int]], Metre] = {}
    events = []
    for bar, sounding in zip(bars, inside, strict=True):
        metre = metres.setdefault((bar.length, bar.metre), Metre(bar, quarter))
        voices = sorted({note.voice for note in sounding})
        if voices:
            found = [_voice_bar([n for n in sounding if n.voice == voice], bar, metre, voice) for voice in voices]
            events.append([event for voice in found for event in voice])
        elif bar.is_whole(quarter):
            events.append([Event(0, bar.length, [], ("whole", 0), 0, whole_bar=True)])
        else:  # some readers take a rest of the whole bar for as long as the metre says
            events.append(_voice_bar([], bar, metre, 0))
    return events


def _voice_bar(notes: Sequence[Note], bar: Bar, metre: Metre, voice: int) -> list[Event]:
    """The events of one voice in one bar: they fill it."""
    clipped = [(max(0, n.onset - bar.start), min(bar.length, n.end - bar.start), n) for n in notes]
    positions = {0, bar.length} | {position for start, end, _ in clipped for position in (start, end)}
    tuplets = tuplets_of(metre, positions)
    edges = sorted(positions | {edge for t in tuplets for edge in (t.start, t.end)})  # no value crosses a bracket's end
    events: list[Event] = []
    spans: list[tuple[int, int, list[Note], Tuplet | None]] = []
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        sounding = [note for a, b, note in clipped if a <= start and b >= end]
        tuplet = next((t for t in tuplets if t.start <= start < t.end), None)
        spans.append((start, end, sounding, tuplet))
    for start, end, sounding, tuplet in spans:
        if tuplet is None:
            starts = cut(metre, start, end, note_fits if sounding else rest_fits)
        else:
            starts = cut_in_tuplet(tuplet, start, end, metre.quarter)
        for a, b in zip(starts, [*starts[1:], end], strict=True):
            value = tuplet_value(tuplet, b - a, metre.quarter) if tuplet else value_of(b - a, metre.quarter)
            assert value is not None
            events.append(Event(a, b - a, sorted(sounding, key=lambda n: n.pitch), value, voice, tuplet))
    _beam(events, metre)
    return events


def _beam(events: list[Event], metre: Metre) -> None:
    """Join the flags of neighbouring notes of one group."""
    run: list[Event] = []
    for event in [*events, None]:
        flagged = event is not None and bool(event.notes) and event.value[0] in FLAGS
        if run and not (flagged and event is not None and metre.group_of(event.start) == metre.group_of(run[0].start)):
            _beam_run(run, metre)
            run = []
        if flagged and event is not None:
            run.append(event)


def _beam_run(run: Sequence[Event], metre: Metre) -> None:
    """Beams over neighbouring notes, level by level; a beam of one note is a hook."""
    if len(run) < 2:
        return
    flags = [FLAGS[event.value[0]] for event in run]
    for level in range(1, max(flags) + 1):
        has = [n >= level for n in flags]
        for at, event in enumerate(run):
            if not has[at]:
                continue
            before = at > 0 and has[at - 1]
            after = at + 1 < len(run) and has[at + 1]
            if before and after:
                event.beams.append("continue")
            elif before or after:
                event.beams.append("end" if before else "begin")
            else:
                weak = metre.level(event.start) > metre.level(event.start + event.length)
                backward = at == len(run) - 1 or (at > 0 and weak)
                event.beams.append("backward hook" if backward else "forward hook")


def bar_keys(sequence: NoteSequence, bars: list[Bar], step: int) -> list[KeySignature]:
    """The key signature of each bar: a change stands at the nearest bar line.

    Where the piece names none, it is that of the notes up to the first that it names.
    """
    starts = np.array([bar.start for bar in bars])
    edges = (starts[1:] + starts[:-1]) / 2  # nearer to which bar line a step lies
    at = np.searchsorted(edges, sequence.keys["step"] * step, side="right")
    inside = sequence.keys["step"] * step < bars[-1].end
    named = {
        bar: KeySignature(fifths, bool(minor))
        for bar, (_, fifths, minor) in zip(at[inside].tolist(), sequence.keys[inside].tolist(), strict=True)
    }
    first = min(named, default=len(bars))
    if first:
        before = sequence.notes["onset"] * step < (bars[first].start if first < len(bars) else bars[-1].end)
        named[0] = estimate_key(sequence.notes[before])
    keys: list[KeySignature] = []
    for number in range(len(bars)):
        keys.append(named.get(number) or keys[-1])
    return keys


def tempo_marks(sequence: NoteSequence, bars: list[Bar], step: int) -> dict[int, float]:
    """Bar number: quarter notes per minute, at the first bar and where it differs by a twentieth from the last one."""
    marks: dict[int, float] = {}
    steps = sequence.tempos["step"] * step
    qpm = 60e6 / sequence.tempos["tempo"]
    for number, bar in enumerate(bars):
        now = float(qpm[np.searchsorted(steps, bar.start, side="right") - 1])
        if not marks or abs(now / list(marks.values())[-1] - 1) >= 0.05:
            marks[number] = now
    return marks


def dynamic_marks(sequence: NoteSequence, part: int, bars: list[Bar], step: int) -> dict[int, str]:
    """Bar number: a part's dynamic, where it changes; none where the bars' mean velocities hardly differ."""
    notes = sequence.notes[sequence.notes["part"] == part]
    number = np.searchsorted([bar.start for bar in bars], notes["onset"] * step, side="right") - 1
    total = np.bincount(number, weights=notes["velocity"], minlength=len(bars))
    count = np.bincount(number, minlength=len(bars))
    means = {at: total[at] / count[at] for at in np.flatnonzero(count).tolist()}
    if not means or max(means.values()) - min(means.values()) < _LEAST_VARIATION:
        return {}
    marks: dict[int, str] = {}
    current: str | None = None
    for at, mean in means.items():
        nearest = min(_DYNAMICS, key=lambda name: abs(_DYNAMICS[name] - mean))
        nearer = 0 if current is None else abs(_DYNAMICS[current] - mean) - abs(_DYNAMICS[nearest] - mean)
        if current is None or nearer > 6:  # clearly nearer, or every other bar would have a mark
            marks[at] = current = nearest
    return marks
