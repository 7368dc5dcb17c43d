"""The beat and the bars of a file whose notes know of them and whose header does not.

Many files have a beat and hide it: every onset stands a constant fraction of a beat beside the grid, the time signature
is missing, or it says 1/4. Here the notes themselves are asked.

1. **Pulse.** Onsets, in beats of the file's tempo map, are wrapped around a circle whose turn is a step of 1/n beat,
   for sixteenths, triplets and finer steps. The length of their mean vector (the mean resultant length; Mardia & Jupp,
   *Directional Statistics*, 2000, chapter 2) is 1 when all stand on one grid, wherever that grid lies, and about 0
   for music without a beat; its angle is the offset from the file's beats. Rounding and light jitter shorten the
   vector and don't turn it. Ellis (2007) finds beats of unknown tempo in audio; a file's tempo map says the tempo.
2. **Bars.** A file is believed where its time signatures make sense (see `is_sensible`) and its notes stand on its
   grid: it comes out as it went in. Otherwise every metre of `accents.METRES` and every place of its bar line are
   compared by where accents fall (see `accents`). Then bars are traced through the piece, so that a bar cut to half or
   half as long again does not move all bar lines after it.
3. **Alignment.** The piece is moved so that it begins with the bar line at or before its first note: an upbeat stands
   at the end of the first bar, after rests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from melodygru.corpus.accents import METRES, accents, bar_ticks, bars_from, scores
from melodygru.music.metre import DEFAULT_METRE, METRE
from melodygru.music.notes import NoteSequence, tidy_marks, unchecked

STEADY = 0.5  # of the mean resultant length; performances without a beat reach 0.11, songs with ornaments fall to 0.6
NEARLY = 0.06  # a coarser grid is preferred to a finer one that is no clearer than this
SUBDIVISIONS = (4, 3, 6, 8, 12)  # steps per beat on which a pulse is looked for, most common first
MIN_ONSETS = 16  # fewer agree by chance
MIN_OFFSET = 0.02  # beats; nearer to the grid than this is on it: half of the finest grid's step
MAX_BEATS = 2048  # of a piece that are looked at for bar lines
SURE = 0.5  # confidence from which on another metre than MIDI's default is taken for notes that stand on the grid
AS_WRITTEN = 3.0  # log-odds that bars begin where the file does, if its notes stand on its grid
AS_NAMED = 1.0  # log-odds of a metre that the file names, if they don't


@dataclass(frozen=True)
class Pulse:
    """Where the onsets of a piece stand against the beats of its tempo map.

    Attributes
    ----------
    strength : float
        Mean resultant length, 0 (anywhere) .. 1 (all on one grid).
    steps_per_beat : int
        Of the grid on which they stand.
    offset : float
        Of that grid from the file's beats, in beats.
    spread : float
        Median distance of an onset from that grid, in beats.
    n_onsets : int
    """

    strength: float
    steps_per_beat: int
    offset: float
    spread: float
    n_onsets: int

    @property
    def steady(self) -> bool:
        """Whether there is a beat."""
        return self.strength >= STEADY and self.n_onsets >= MIN_ONSETS

    def is_beside(self, steps_per_beat: int) -> bool:
        """Whether the onsets stand beside the steps of the file's own grid of so many a beat, by more than jitter."""
        return float(_distance(np.array(self.offset), steps_per_beat)) > max(MIN_OFFSET, 3 * self.spread)


@dataclass(frozen=True)
class Beats:
    """What is known of the beat and the bars of a file.

    Attributes
    ----------
    pulse : Pulse
    moved : bool
        Whether the offset was taken away.
    origin : int
        File tick at which the aligned piece begins; below 0 when rests were put before it.
    metre_from : str
        "file", "notes" (found), "asked", or "none" where there is no steady beat.
    confidence : float
        Probability of the metre and of its bar line, 0 .. 1; 1 where they are not from the notes.
    """

    pulse: Pulse
    moved: bool = False
    origin: int = 0
    metre_from: str = "file"
    confidence: float = 1.0


def find_pulse(beats: np.ndarray) -> Pulse:
    """The pulse of distinct onsets.

    Parameters
    ----------
    beats : array, shape (n,)
        Onsets in beats, at least one.
    """
    turn = np.exp(2j * np.pi * beats)
    turns = {3: turn * turn * turn}
    turns |= {4: turns[3] * turn, 6: turns[3] * turns[3]}
    turns |= {8: turns[4] * turns[4], 12: turns[6] * turns[6]}
    means = {n: complex(turns[n].mean()) for n in SUBDIVISIONS}
    clearest = max(map(abs, means.values()))
    steps = next(n for n in SUBDIVISIONS if abs(means[n]) >= clearest - NEARLY)
    offset = float(np.angle(means[steps]) / (2 * np.pi * steps))
    if steps > 4 and clearest >= STEADY:
        # A fine grid has a coarser one in it; which of its steps carry that one shows by where most onsets stand.
        shifts = np.arange(steps) / steps
        shifts = np.where(shifts > 0.5, shifts - 1, shifts)
        off = beats[:, None] - offset - shifts
        on_coarse = np.minimum(_distance(off, 4), _distance(off, 3)) < 0.4 / steps
        share = on_coarse.mean(axis=0)
        best = int(share.argmax())
        if share[best] > share[0] + 0.1:
            offset += float(shifts[best])
    spread = float(np.median(_distance(beats - offset, steps)))
    return Pulse(abs(means[steps]), steps, offset, spread, len(beats))


def search_rate(pulse: Pulse) -> int:
    """Ticks per beat among which bar lines are looked for: sixteenths, or triplets where the pulse has those."""
    return pulse.steps_per_beat if pulse.steps_per_beat in (3, 6) else 4


def _distance(beats: np.ndarray, steps: int) -> np.ndarray:
    """Distance to the nearest of so many steps per beat, in beats."""
    return np.abs(beats - np.round(beats * steps) / steps)


def is_sensible(sequence: NoteSequence) -> bool:
    """Whether a piece's time signatures can be its own: bars of a quarter note or less fill no more than half of it.

    A short upbeat may well have a time signature such as 1/4.
    """
    metres = sequence.metres
    spans = np.diff(np.append(metres["step"], max(sequence.length, int(metres["step"][-1]))))
    short = 4 * metres["numerator"] <= metres["denominator"]
    return float(spans[short].sum()) <= spans.sum() / 2


def headers_hold(pieces: Iterable[tuple[NoteSequence, bool]]) -> bool:
    """Whether the bars of a folder's files are to be believed: most stand on their grid and have a sensible metre.

    Parameters
    ----------
    pieces : iterable of (sequence in file ticks, whether the file has a time signature)
        Those without a steady beat don't count; with none left, the headers hold.
    """
    votes = []
    for sequence, stated in pieces:
        rate = sequence.grid.steps_per_beat
        if len(sequence) and rate is not None:
            pulse = find_pulse(np.unique(sequence.notes["onset"]) / float(rate))
            if pulse.steady:
                votes.append(not pulse.is_beside(pulse.steps_per_beat) and not (stated and not is_sensible(sequence)))
    return not votes or float(np.mean(votes)) >= 0.5


def align(
    sequence: NoteSequence, *, stated: bool = True, metre: tuple[int, int] | None = None, header_holds: bool = True
) -> tuple[NoteSequence, Beats]:
    """Move a piece onto the grid of its beats, with bars where its notes have them.

    Parameters
    ----------
    sequence : NoteSequence
        In file ticks, as read.
    stated : bool
        Whether the file has a time signature at all.
    metre : (numerator, denominator), optional
        The metre of the whole piece, whatever the file says; where its bars begin is still found.
    header_holds : bool
        Whether time signatures and the beginnings of bars are to be believed (see `headers_hold`).

    Returns
    -------
    sequence : NoteSequence
        On the same grid. The same object where nothing had to be changed.
    beats : Beats
    """
    rate = sequence.grid.steps_per_beat
    if len(sequence) == 0 or rate is None:
        return sequence, Beats(Pulse(0.0, 1, 0.0, 0.0, 0), metre_from="none")
    pulse = find_pulse(np.unique(sequence.notes["onset"]) / float(rate))
    if not pulse.steady:
        if metre is not None or not is_sensible(sequence):
            sequence = replace(sequence, metres=np.array([(0, *(metre or DEFAULT_METRE))], METRE))
        return sequence, Beats(pulse, metre_from="none" if metre is None else "asked")
    named = sequence.metre if stated and is_sensible(sequence) else None
    believed = header_holds and named is not None
    # Where the file's bars are believed, which steps of a fine grid are its beats is no question.
    moved = pulse.is_beside(pulse.steps_per_beat if believed else 1)
    if metre is None and believed:
        if not moved:
            return sequence, Beats(pulse)
        if len(sequence.metres) > 1:  # its marks show that bars were thought of; only the notes stand beside them
            origin = min(round(pulse.offset * float(rate)), int(sequence.notes["onset"][0]))
            return _shifted(sequence, origin, None), Beats(pulse, moved, origin)
    if not moved:
        pulse = replace(pulse, offset=0.0)
    metres: Sequence[tuple[int, int]] = METRES if metre is None else (metre,)
    as_written = header_holds and not moved
    found, lines, confidence = _find_bars(sequence, pulse, metres, as_written, named)
    beats = Beats(pulse, moved, 0, "notes" if metre is None else "asked", confidence)
    if as_written and metre is None and confidence < SURE:
        return sequence, replace(beats, metre_from="file")
    origin, marks = _marks(found, lines, sequence, pulse.offset)
    aligned = _shifted(sequence, origin, marks)
    return (sequence if aligned == sequence else aligned), replace(beats, origin=origin)


def _find_bars(
    sequence: NoteSequence,
    pulse: Pulse,
    metres: Sequence[tuple[int, int]],
    as_written: bool,
    named: tuple[int, int] | None,
) -> tuple[tuple[int, int], np.ndarray, float]:
    """The metre, the bar lines in beats from the pulse's offset, and the probability of both."""
    ticks_per_beat = search_rate(pulse)
    file_rate = float(sequence.grid.steps_per_beat or 1)
    notes = sequence.notes[sequence.notes["onset"] <= sequence.notes["onset"][0] + MAX_BEATS * file_rate]
    # Counted from a whole beat before the first note, so that a note just before its step is not below 0.
    start = np.floor(notes["onset"][0] / file_rate - pulse.offset) - 1
    onsets = notes["onset"] / file_rate - pulse.offset - start
    found = accents(notes, onsets, onsets + notes["duration"] / file_rate, ticks_per_beat)
    table = scores(found, metres)
    for score in table.values():
        size = len(score)
        if as_written:
            score[round(-start * ticks_per_beat) % size] += AS_WRITTEN
        elif named is not None and size == bar_ticks(named, ticks_per_beat):
            score += AS_NAMED
    if not table:  # a bar that is no whole number of ticks, such as 5/8 among triplets
        return metres[0], np.array([0.0]), 1.0
    best = max(table, key=lambda metre: table[metre].max())
    at = int(table[best].argmax())
    total = np.concatenate(list(table.values()))
    confidence = float(1 / np.exp(total - table[best][at]).sum())
    lines = bars_from(found, best, at, odd_bars=not as_written) / ticks_per_beat + start
    # Whole bars of silence stay, but for the one that the piece's beginning cuts.
    silence = np.arange((lines[0] + pulse.offset) // (size_beats := 4 * best[0] / best[1]), 0, -1)
    return best, np.concatenate([lines[0] - silence * size_beats, lines]), confidence


def _marks(metre: tuple[int, int], lines: np.ndarray, sequence: NoteSequence, offset: float) -> tuple[int, np.ndarray]:
    """File tick at which the first bar begins, and marks of metre from there on, for bar lines in beats."""
    rate = float(sequence.grid.steps_per_beat or 1)
    ticks = np.floor((lines + offset) * rate + 0.5).astype(np.int64)
    full = 4 * metre[0] / metre[1]
    marks = [(0, *metre)]
    for tick, length in zip(ticks - ticks[0], np.diff(lines), strict=False):
        # a bar of other length is counted in quarter notes, or in eighths where those don't fit
        here = metre if length == full else (int(length), 4) if length % 1 == 0 else (int(2 * length), 8)
        if here != marks[-1][1:]:
            marks.append((int(tick), *here))
    # a note may stand a little before its step
    return min(int(ticks[0]), int(sequence.notes["onset"][0])), np.array(marks, METRE)


def _shifted(sequence: NoteSequence, origin: int, metres: np.ndarray | None) -> NoteSequence:
    """The piece from tick `origin` on, which may be below 0 and is not after any onset; with other metres if given."""
    notes = sequence.notes.copy()
    notes["onset"] -= origin
    tempos = sequence.tempos.copy()
    tempos["step"] = np.maximum(0, tempos["step"] - origin)
    tempos["step"][0] = 0
    tempos = tempos[np.append(tempos["step"][1:] > tempos["step"][:-1], True)]
    length = max(sequence.length - origin, int((notes["onset"] + notes["duration"]).max()))
    keys = sequence.keys
    if metres is not None:  # else the file's bars stay, and its keys with them
        keys = keys.copy()
        keys["step"] = np.maximum(0, keys["step"] - origin)
        keys = tidy_marks(keys)
    metres = sequence.metres if metres is None else metres
    return unchecked(notes, sequence.grid, length, tempos, metres, sequence.names, keys)
