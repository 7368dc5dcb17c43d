"""A piece to go on from: read like the corpus, cut to the bars that are asked for, put on the model's grid.

The **splice** is the step from which on a continuation is composed: where the piece ends, or the last bar asked for.
Notes that begin before it are the primer's, also where they sound on beyond it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from melodygru import midi
from melodygru.corpus.beats import align
from melodygru.errors import MidiError, SettingError
from melodygru.events import TIMES, Vocabulary, representable
from melodygru.music.grid import Grid
from melodygru.music.metre import signatures
from melodygru.music.notes import DRUMS, Changes, NoteSequence, canonical
from melodygru.music.quantize import quantize
from melodygru.util.wording import counted


@dataclass(frozen=True)
class Primer:
    """A piece fitted to a vocabulary, so that a model can go on from it.

    Parameters
    ----------
    sequence : NoteSequence
        On the vocabulary's grid, and as the vocabulary can hold it; it is as long as its notes, at least the splice.
    splice : int
        Step from which on is composed, later than every onset.
    mismatches : tuple of str
        What of it is other than it was given, or unknown to the model, in a few words each.
    """

    sequence: NoteSequence
    splice: int
    mismatches: tuple[str, ...] = ()

    @classmethod
    def fit(cls, sequence: NoteSequence, vocabulary: Vocabulary, splice: int | None = None) -> Primer:
        """The primer that a piece on the vocabulary's grid is; the splice is its end by default.

        Raises
        ------
        NoteError
            The piece is on another grid.
        """
        held, _ = representable(sequence, vocabulary)
        return cls(held, held.length if splice is None else splice)


@dataclass(frozen=True)
class Source:
    """A piece that was given, read once.

    Parameters
    ----------
    name : str
        For messages.
    sequence : NoteSequence
        On the grid that it came with, a file's ticks for instance.
    lost : int
        Notes that were dropped, merged or cut in the reading.
    sha256 : str, optional
        Hash of the file, in hexadecimal.
    has_metre : bool
        Whether it has a time signature of its own.
    data : bytes, optional
        The file, if it is a MIDI file.
    """

    name: str
    sequence: NoteSequence
    lost: int = 0
    sha256: str | None = None
    has_metre: bool = True
    data: bytes | None = None

    @classmethod
    def from_given(
        cls, given: str | Path | NoteSequence | Source, name: str = "the primer", purpose: str = "go on from"
    ) -> Source:
        """A file or sequence; `name` is a sequence's, and `purpose` is said where it holds no note.

        Raises
        ------
        MidiError
            The file can't be read; the message begins with its name.
        SettingError
            It holds no note.
        """
        if isinstance(given, Source):
            return given
        if isinstance(given, NoteSequence):
            source = cls(name, given)
        else:
            name = str(given)
            try:
                content = midi.load(Path(given))
                reading = midi.read(content, Path(given).suffix)
            except MidiError as error:
                raise MidiError(f"{name}: {error}") from error
            digest = hashlib.sha256(content).hexdigest()
            data = content if midi.header_start(content) >= 0 else None
            source = cls(name, reading.sequence, reading.lost, digest, reading.has_metre, data)
        if len(source.sequence) == 0:
            raise SettingError(f"{source.name} holds no note: expected a piece to {purpose}")
        return source

    def primer(self, vocabulary: Vocabulary, bars: str | None = None) -> Primer:
        """The piece, or some bars of it, fitted to a vocabulary; a file first stands on its beats, as in a corpus.

        Parameters
        ----------
        vocabulary : Vocabulary
        bars : `A:B`, bars from A to B, counted from 1, both included; `A:`, `:B` and `A` are possible; default: all.
            Bars are those of the model's grid, or, where that is of seconds, those of the piece as it was given. A note
            that sounds on from an earlier bar is left out.

        Raises
        ------
        SettingError
            The bars are none of the piece's, or hold no note, or there are no bars.
        """
        sequence, grid = self.sequence, vocabulary.grid
        hanging, splice = 0, None
        if self.sha256 is not None:  # where a file's tracks end is not where its music does
            if grid.is_metrical:
                sequence, _ = align(sequence, stated=self.has_metre)
            sequence = sequence.trimmed()
        if bars is not None and not grid.is_metrical:
            sequence, end, hanging = self._cut(sequence, bars)
            splice = _convert(sequence, end, grid)
        sequence, changes, _ = quantize(sequence, grid)
        if bars is not None and grid.is_metrical:
            sequence, splice, hanging = self._cut(sequence, bars)
        held, more = representable(sequence, vocabulary)
        # Where a rest was shortened, the splice moves with the last note.
        last, now = int(sequence.notes["onset"][-1]), int(held.notes["onset"][-1])
        splice = held.length if splice is None else now + min(max(splice - last, 0), TIMES.maximum)
        if held.length < splice:
            held = replace(held, length=splice)
        mismatches = [*_changed(self.lost, hanging, changes, more, vocabulary), *_unknown(held, vocabulary)]
        return Primer(held, splice, tuple(mismatches))

    def _cut(self, sequence: NoteSequence, bars: str) -> tuple[NoteSequence, int, int]:
        """The notes that begin in these bars, where the last one ends, and how many sound on into the first."""
        if not sequence.grid.is_metrical:
            raise SettingError(f"primer-bars {bars}: {self.name} has no bars, its times are in seconds; leave it out")
        starts = sequence.bar_starts()
        n_bars = len(starts) - 1
        first, last = _parse(bars, n_bars)
        if not 1 <= first <= last <= n_bars:
            raise SettingError(
                f"primer-bars {bars}: {self.name} has {counted(n_bars, 'bar')}, expected A:B in 1..{n_bars}"
            )
        start, end = int(starts[first - 1]), min(int(starts[last]), sequence.length)
        notes = sequence.notes
        ends = notes["onset"] + notes["duration"]
        hanging = int(np.sum((notes["onset"] < start) & (ends > start)))
        inside = (notes["onset"] >= start) & (notes["onset"] < end)
        if not inside.any():
            raise SettingError(
                f"primer-bars {bars}: these bars of {self.name} hold no note; expected music to go on from"
            )
        longest = max(end, int(ends[inside].max()))
        return (
            replace(sequence.crop(start, end), notes=canonical(_from(notes[inside], start))[0], length=longest - start),
            end - start,
            hanging,
        )


_BARS = re.compile(r"(\d{0,9}):(\d{0,9})|(\d{1,9})", re.ASCII)


def _parse(bars: str, n_bars: int) -> tuple[int, int]:
    """The first and the last bar of `A:B`; SettingError if it is none."""
    match = _BARS.fullmatch(bars.strip())
    if match is None:
        raise SettingError(f"primer-bars {bars!r}: expected A:B, bars counted from 1 such as 5:8, 5: or :8")
    first, last, one = match.groups()
    if one is not None:
        return int(one), int(one)
    return int(first or 1), int(last or n_bars)


def check_bars(bars: str) -> None:
    """Raise the SettingError of bars that are not written as `A:B`."""
    _parse(bars, 1)


def _from(notes: np.ndarray, start: int) -> np.ndarray:
    """Notes `start` steps earlier."""
    moved = notes.copy()
    moved["onset"] -= start
    return moved


def _convert(sequence: NoteSequence, step: int, grid: Grid) -> int:
    """A step of a sequence on another grid, as `quantize` moves it."""
    before = replace(sequence, notes=sequence.notes[:0], length=step)
    return quantize(before, grid)[0].length


def _changed(lost: int, hanging: int, quantized: Changes, held: Changes, vocabulary: Vocabulary) -> Iterator[str]:
    """What of a piece the model is given otherwise than it was, or not at all."""
    merged, cut = quantized.merged + held.merged, quantized.cut + held.cut
    if lost:
        yield f"{counted(lost, 'note')} of the file dropped, merged or cut in reading"
    if hanging:
        yield f"{counted(hanging, 'note')} left out, sounding on from the bar before"
    if merged:
        yield f"{counted(merged, 'note')} merged with another at the same place of the grid"
    if cut:
        yield f"{counted(cut, 'note')} cut where the pitch is struck again"
    if held.reprogrammed and vocabulary.models_part:
        yield f"{counted(held.reprogrammed, 'note')} put on other parts, the model tells {vocabulary.parts} apart"
    elif held.reprogrammed:
        yield f"{counted(held.reprogrammed, 'note')} put on the model's only part, of program {vocabulary.programs[0]}"
    if held.clipped:
        yield f"{counted(held.clipped, 'time')} shortened to {TIMES.maximum:,} steps, the longest possible"


def _unknown(held: NoteSequence, vocabulary: Vocabulary) -> Iterator[str]:
    """What of a piece was in no training piece."""
    known = np.isin(held.notes["program"], vocabulary.programs)
    if not known.all():
        programs = sorted(set(held.notes["program"][~known].tolist()))
        names = ", ".join("drums" if program == DRUMS else str(program) for program in programs)
        yield f"{counted(int(np.sum(~known)), 'note')} of programs that the model was not trained on ({names})"
    if held.grid.is_metrical:
        metres = signatures(held.metres)
        untrained = dict.fromkeys("{}/{}".format(*metre) for metre in metres if metre not in vocabulary.metres)
        if untrained:
            yield f"{counted(len(untrained), 'metre')} that the model was not trained on ({', '.join(untrained)})"


__all__ = ["Primer", "Source", "check_bars"]
