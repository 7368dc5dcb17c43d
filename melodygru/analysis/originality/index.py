"""The index: all lines of a corpus as one text of codes, and its offsets sorted by what stands before them.

All voices of every piece, then the program lines of pieces with several programs, are written one after the other as
codes of two bytes: 0 for a line's first note, else the rank of the note's key (see `codes`) among the corpus's keys.
The text is kept backwards, so that what ends with a given note begins with it, and its offsets are sorted (a suffix
array): the longest match that ends with a note is found by halving, and every match is compared code by code, so none
is false. In a corpus with more than 65,534 keys the rarest are written as 0 and match nothing.

At most MAX_BYTES_PER_NOTE bytes a note, in memory and on disk, names of files aside: where many pieces have several
programs, only every second (third, fourth) offset is sorted. A match may then end up to three notes after a sorted
one: it is looked for from there, among those that go on as the notes did. That finds the same matches, for the
N_GRAM - 1 codes of the shortest are more than three.
"""

from __future__ import annotations

import functools
import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from melodygru.analysis.originality.checks import FORMS, check, width_of
from melodygru.analysis.originality.codes import N_GRAM, START, keys, lines, time_edges
from melodygru.analysis.originality.report import SPREAD_FORM, Match, Originality, Part, spread
from melodygru.errors import CheckpointError, CorpusError, NoteError
from melodygru.music.grid import GRID_FORM, Grid
from melodygru.music.notes import NoteSequence
from melodygru.music.quantize import quantize
from melodygru.util import archives
from melodygru.util.schema import Integer, Optional, Record, Rows, Text

VERSION = 1  # of what `arrays` gives
MAX_BYTES_PER_NOTE = 8
SHORTEST = N_GRAM - 1  # codes of the shortest match: its first note's code looks back beyond it
MAX_CODES = 0xFFFE  # 1..MAX_CODES are keys
UNSEEN = 0xFFFF  # a key that the corpus lacks, or the first note of a line that is looked up
_UNSEEN = UNSEEN.to_bytes(2, "big")
_NEAR = 8  # offsets looked at one by one before NumPy looks at many
_CHUNK = 1 << 16
_TABLE = np.dtype([("start", np.uint32), ("mark", np.uint32), ("piece", np.uint32)])
_BASELINE = "yardstick"  # as checkpoints have it
MAX_ABOUT_BYTES = 1 << 24  # names of a quarter of a million files
_ABOUT = Record(
    {
        "version": Integer(),
        "grid": GRID_FORM,
        "files": Rows(Text(4096), 1),
        "notes": Integer(1),
        "stride": Integer(1, 4),
        _BASELINE: Optional(SPREAD_FORM),
    }
)


class Run(NamedTuple):
    """The longest match that ends with the last note of a line, and what is needed to go on. Immutable.

    Attributes
    ----------
    matched : int
        Codes that match, 0 if fewer than SHORTEST.
    offset : int
        Where they stand in the text, which runs backwards: the offset of the last note.
    recent : bytes
        The codes that a match of the next note could have, the last first; two bytes each, big-endian.
    slots : tuple of int or None
        Where the codes up to the last note, the one before, ... belong among the sorted offsets, as far as the next
        note needs it; None where it is not known yet.
    """

    matched: int = 0
    offset: int = -1
    recent: bytes = b""
    slots: tuple[int | None, ...] = ()

    @property
    def notes(self) -> int:
        """Notes of the match, 0 or N_GRAM and more."""
        return self.matched + 1 if self.matched else 0


class Index:
    """What outputs are compared with. Made by `Index.build`, or from what `arrays` gave by `Index.from_arrays`.

    Attributes
    ----------
    grid : Grid
        Of the corpus; what is looked up is put on it.
    files : tuple of str
        Names of the pieces.
    n_notes : int
        Notes of the corpus.
    stride : int
        Every `stride`-th offset of the text is sorted.
    baseline : dict or None
        `spread` of real pieces that the corpus lacks (see `measured_by`).
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
        """For `build` and `from_arrays`, which see to it that all fits together."""
        self.grid = Grid.parse(about["grid"])
        self.files = tuple(about["files"])
        self.n_notes = int(about["notes"])
        self.stride = int(about["stride"])
        self.baseline: dict[str, Any] | None = about[_BASELINE]
        # bytes: slices of them compare as fast as Python can
        self._text = arrays["text"].tobytes()
        self._sorted = arrays["sorted"].tobytes()
        self._n_sorted, self._width = arrays["sorted"].shape
        self._marks = arrays["marks"]
        self._dictionary = arrays["dictionary"]
        self._lines = np.ascontiguousarray(arrays["lines"]).view(_TABLE).reshape(-1)

    @classmethod
    def build(
        cls, pieces: Iterable[tuple[str, NoteSequence]], grid: Grid | None = None, stride: int | None = None
    ) -> Index:
        """Index a corpus.

        Parameters
        ----------
        pieces : iterable of (name of the file, piece)
        grid : Grid, optional
            Pieces on another grid are put on it. Without it, all must have the first one's.
        stride : 1..4, optional
            Every so many offsets are sorted; by default the fewest that keep within MAX_BYTES_PER_NOTE.

        Raises
        ------
        CorpusError
            There are no notes.
        NoteError
            Without `grid`: a piece has another grid than the first.
        """
        files: list[str] = []
        voices: list[_Written] = []
        by_program: list[_Written] = []
        n_notes = 0
        for name, sequence in pieces:
            if grid is None:
                grid = sequence.grid
            elif sequence.grid != grid:
                sequence, _, _ = quantize(sequence, grid)
            if len(sequence) == 0:
                continue
            piece = len(files)
            files.append(name)
            n_notes += len(sequence)
            bars = bars_of(sequence, sequence.notes)
            voices.append(_Written(piece, keys(sequence.notes, grid), bars))
            for notes in lines(sequence.notes).values():
                if len(notes) >= N_GRAM:
                    by_program.append(_Written(piece, keys(notes, grid), bars_of(sequence, notes)))
        if grid is None or not files:
            raise CorpusError("no notes to index: expected one piece with a note, at least")
        arrays = _arrays([*voices, *by_program], n_notes, stride)
        about = {"grid": str(grid), "files": files, "notes": n_notes, _BASELINE: None}
        return cls(arrays, {**about, "stride": arrays.pop("stride")})

    def arrays(self) -> dict[str, np.ndarray]:
        """The index as arrays of plain numbers, for `np.savez` and `from_arrays`."""
        about = {
            "version": VERSION,
            "grid": str(self.grid),
            "files": list(self.files),
            "notes": self.n_notes,
            "stride": self.stride,
            _BASELINE: self.baseline,
        }
        return {
            "text": np.frombuffer(self._text, np.uint8),
            "sorted": np.frombuffer(self._sorted, np.uint8).reshape(-1, self._width),
            "marks": self._marks,
            "dictionary": self._dictionary,
            "lines": self._lines.view(np.uint32).reshape(-1, 3),
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Index:
        """The inverse of `arrays`.

        Raises
        ------
        CheckpointError
            An array is missing or does not fit the others.
        """
        try:
            held = {name: np.asarray(arrays[name]) for name in FORMS}
            if held["about"].nbytes > MAX_ABOUT_BYTES:
                raise ValueError(f"about of {held['about'].nbytes:,} bytes, expected at most {MAX_ABOUT_BYTES:,}")
            about = archives.parsed(held["about"].tobytes())
            version = about.get("version")
            if version != VERSION:
                raise CheckpointError(
                    f"an index of originality of version {str(version)[:9]}, expected {VERSION}; "
                    "train again, or use the melodygru that wrote it"
                )
            about = _ABOUT.read(about, "about")
            check(held, about)
            return cls(held, about)
        except (KeyError, TypeError, ValueError, AttributeError, NoteError) as error:
            raise CheckpointError(f"the index of originality is damaged ({error}); train again") from error

    @property
    def nbytes(self) -> int:
        """Bytes of the index, in memory and on disk, names of files aside."""
        return sum(array.nbytes for name, array in self.arrays().items() if name != "about")

    def measured_by(self, pieces: Iterable[NoteSequence]) -> Index:
        """The same index with real pieces that it does not hold as the baseline; without any, it has none."""
        found = [self.examine(piece) for piece in pieces]
        baseline = spread(found) if found else None
        about = {"grid": str(self.grid), "files": self.files, "notes": self.n_notes, "stride": self.stride}
        return Index(self.arrays(), {**about, _BASELINE: baseline})

    def examine(self, sequence: NoteSequence) -> Originality:
        """What of a piece stands in the corpus.

        Parameters
        ----------
        sequence : NoteSequence
            On any grid; it is put on that of the index.
        """
        if sequence.grid != self.grid:
            sequence, _, _ = quantize(sequence, self.grid)
        longest, covered = self._follow(sequence, sequence.notes, None)
        voices = Part(longest, covered)
        by_program = lines(sequence.notes)
        if not by_program:
            return Originality(len(sequence), voices, voices)
        found = [self._follow(sequence, notes, program) for program, notes in by_program.items()]
        best = max((match for match, _ in found if match is not None), key=lambda match: match.notes, default=None)
        return Originality(len(sequence), voices, Part(best, sum(covered for _, covered in found)))

    def _follow(self, sequence: NoteSequence, notes: np.ndarray, program: int | None) -> tuple[Match | None, int]:
        """The longest match of a line, and how many of its notes lie in matches."""
        run = best = Run()
        end = covered = 0
        until = -1  # the last note that was counted as covered
        for at, code in enumerate(self.codes(keys(notes, self.grid))):
            run = self.advance(run, code)
            if run.matched:
                covered += at - max(until, at - run.notes)
                until = at
            if run.matched > best.matched:
                best, end = run, at
        if not best.matched:
            return None, 0
        at = int(bars_of(sequence, notes[end + 1 - best.notes :][:1])[0])
        return self.match(best, at, program), covered

    def match(self, run: Run, at: int, program: int | None) -> Match:
        """The Match that reports a run which begins in an output's bar, or second, `at`."""
        start, line = int(self.bars_of_run(run)[0]), self._line_of(run)
        counted_from = 1 if self.grid.is_metrical else 0
        unit = "bar" if self.grid.is_metrical else "second"
        file = self.files[int(self._lines["piece"][line])]
        return Match(run.notes, file, start + counted_from, at + counted_from, program, unit)

    def bars_of_run(self, run: Run) -> np.ndarray:
        """The bar, or on a grid of seconds the second, of each note of a run in its file, from 0."""
        line = self._line_of(run)
        begin, end = int(self._lines["mark"][line]), int(self._lines["mark"][line + 1])
        bits = np.unpackbits(self._marks[begin // 8 : -(-end // 8)])[begin % 8 : begin % 8 + end - begin]
        notes = self._first_of(run) - int(self._lines["start"][line]) + np.arange(run.notes)
        return np.flatnonzero(bits)[notes] - notes

    def keys_of_run(self, run: Run) -> np.ndarray:
        """The key of each note of a run, as the corpus has it, shape (n,), int64; 0 for the first note of a line."""
        codes = np.frombuffer(self._text, ">u2", run.notes, 2 * run.offset)[::-1].astype(np.int64)
        return np.append(0, self._dictionary.astype(np.int64))[codes]

    def _first_of(self, run: Run) -> int:
        """The number of a run's first note in the text, forwards, as the lines are counted."""
        return len(self._text) // 2 - 1 - run.offset - run.matched

    def _line_of(self, run: Run) -> int:
        return int(np.searchsorted(self._lines["start"], self._first_of(run), "right")) - 1

    def codes(self, found: np.ndarray) -> list[bytes]:
        """The code of each key, two bytes."""
        at = np.searchsorted(self._dictionary, found)
        known = np.append(self._dictionary, START)[at] == found
        codes = np.where(known & (found != START), at + 1, UNSEEN).astype(">u2").tobytes()
        return [codes[start : start + 2] for start in range(0, len(codes), 2)]

    def code(self, key: int) -> bytes:
        """The code of one key; for START, or a key that the corpus lacks, one that matches nothing."""
        at = bisect_left(self._dictionary, key)
        known = at < len(self._dictionary) and self._dictionary[at] == key
        return (at + 1).to_bytes(2, "big") if known else _UNSEEN

    @functools.cached_property
    def edges(self) -> list[int]:
        """`codes.time_edges` of the grid, for one note at a time."""
        return time_edges(self.grid).tolist()

    def advance(self, run: Run, code: bytes) -> Run:
        """The longest match that ends with the next note of a line, given that of the note before and its code.

        O(log n) comparisons; one, where the match goes on as before.
        """
        if code == _UNSEEN:
            return Run()
        recent = code + run.recent[: 2 * max(run.matched, SHORTEST - 1)]
        if run.matched and run.offset and self._text[2 * run.offset - 2 : 2 * run.offset] == code:
            return Run(run.matched + 1, run.offset - 1, recent, (None, *run.slots)[: self.stride - 1])
        if len(recent) < 2 * SHORTEST:
            return Run(recent=recent)
        slots = (self._slot(recent), *run.slots)
        matched, offset = SHORTEST - 1, -1
        for skip in range(self.stride):
            slot = slots[skip] if skip < len(slots) else None
            if slot is None:
                slot = self._slot(recent[2 * skip :])
            matched, offset = self._search(recent, skip, slot, matched, offset)
        slots = slots[: self.stride - 1]
        return Run(0, -1, recent, slots) if offset < 0 else Run(matched, offset, recent, slots)

    def _search(self, recent: bytes, skip: int, slot: int, best: int, best_offset: int) -> tuple[int, int]:
        """The longest match that ends `skip` notes after a sorted offset, if longer than `best` codes."""
        head, target = recent[: 2 * skip], recent[2 * skip :]
        text = self._text
        for first, step in ((slot, 1), (slot - 1, -1)):
            # outwards from where the target belongs, what the offsets have in common with it gets shorter
            for at in range(first, first + step * _NEAR, step):
                if not 0 <= at < self._n_sorted:
                    break
                offset = self._sorted_offset(at)
                matched = skip + _common(target, text[2 * offset : 2 * offset + len(target)])
                if matched <= best:
                    break
                if text[2 * (offset - skip) : 2 * offset] == head:
                    best, best_offset = matched, offset - skip
                    break
            else:
                best, best_offset = self._search_far(head, target, first + step * _NEAR, step, best, best_offset)
        return best, best_offset

    def _search_far(
        self, head: bytes, target: bytes, first: int, step: int, best: int, best_offset: int
    ) -> tuple[int, int]:
        """`_search` in one direction, from the slot `first` on: many slots at a time."""
        skip = len(head) // 2
        least = target[: 2 * (best + 1 - skip)]
        stop = self._slot(least + _UNSEEN) if step > 0 else self._slot(least) - 1  # no code in the text is UNSEEN
        text = np.frombuffer(self._text, ">u2")
        packed = np.frombuffer(self._sorted, np.uint8).reshape(-1, self._width)
        codes = np.frombuffer(head, ">u2")
        while (stop - first) * step > 0:
            last = min(first + _CHUNK, stop) if step > 0 else max(first - _CHUNK, stop)
            slots = np.arange(first, last, step)
            offsets = (packed[slots] @ (1 << 8 * np.arange(self._width))) * self.stride
            offsets = offsets[offsets >= skip]
            fits = np.ones(len(offsets), bool)
            for back, code in enumerate(codes):
                fits &= text[offsets - skip + back] == code
            if fits.any():
                offset = int(offsets[np.argmax(fits)])
                return skip + _common(target, self._text[2 * offset : 2 * offset + len(target)]), offset - skip
            first = last
        return best, best_offset

    def _slot(self, target: bytes) -> int:
        """How many sorted offsets come before the target."""
        text, size, width, packed = self._text, len(target), self._width, self._sorted
        scale = 2 * self.stride

        def what_follows(slot: int) -> bytes:
            start = int.from_bytes(packed[slot * width : (slot + 1) * width], "little") * scale
            return text[start : start + size]

        return bisect_left(range(self._n_sorted), target, key=what_follows)

    def _sorted_offset(self, slot: int) -> int:
        packed = self._sorted[slot * self._width : (slot + 1) * self._width]
        return int.from_bytes(packed, "little") * self.stride


@dataclass(frozen=True)
class _Written:
    """A line of the corpus: its piece, the keys of its notes, and the bar or second of each, from 0."""

    piece: int
    keys: np.ndarray
    bars: np.ndarray


def bars_of(sequence: NoteSequence, notes: np.ndarray) -> np.ndarray:
    """The bar in which each note begins, or on a grid of seconds the second; from 0."""
    if not sequence.grid.is_metrical:
        return np.floor(notes["onset"] / sequence.grid.rate).astype(np.int64)
    return np.searchsorted(sequence.bar_starts(), notes["onset"], "right") - 1


def _common(first: bytes, second: bytes) -> int:
    """Codes that two runs of codes have in common from their start on."""
    if first == second:
        return len(first) // 2
    size = min(len(first), len(second))
    differ = int.from_bytes(first[:size], "big") ^ int.from_bytes(second[:size], "big")
    return (8 * size - differ.bit_length()) // 16


def _arrays(written: list[_Written], n_notes: int, stride: int | None) -> dict[str, Any]:
    """What an index holds: its arrays, and the stride."""
    from melodygru.analysis.originality.suffixes import sort_suffixes

    dictionary, codes = _dictionary(np.concatenate([line.keys for line in written]))
    text = codes[::-1]
    bars = np.concatenate([line.bars for line in written])
    sizes = [len(line.keys) for line in written]
    table = np.zeros(len(written) + 1, _TABLE)
    table["piece"][:-1] = [line.piece for line in written]
    starts = np.concatenate([[0], np.cumsum(sizes)])

    # A bit for each bar that begins (0) and for each note (1), so that bars cost little and notes almost nothing.
    advance = np.diff(bars, prepend=0)
    advance[starts[:-1]] = bars[starts[:-1]]
    ones = np.cumsum(advance) + np.arange(len(bars))
    if ones[-1] >= 1 << 32:
        raise CorpusError(f"{len(bars):,} notes in lines: too many for one index; give a smaller corpus")
    marks = np.zeros(int(ones[-1]) + 1, bool)
    marks[ones] = True
    table["start"] = starts
    table["mark"] = np.concatenate([[0], ones[starts[1:] - 1] + 1])

    found: dict[str, Any] = {
        "text": np.frombuffer(text.astype(">u2").tobytes(), np.uint8),
        "marks": np.packbits(marks),
        "dictionary": dictionary,
        "lines": table.view(np.uint32).reshape(-1, 3),
    }
    if stride is None:
        left = MAX_BYTES_PER_NOTE * n_notes - sum(array.nbytes for array in found.values())
        stride = next((one for one in (1, 2, 3) if _sorted_bytes(len(text), one) <= left), 4)
    order = sort_suffixes(text, stride)
    width = width_of(len(order))
    packed = np.ascontiguousarray(order.astype("<u4")).view(np.uint8).reshape(-1, 4)[:, :width]
    return {**found, "sorted": np.ascontiguousarray(packed), "stride": stride}


def _dictionary(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The keys that have a code, ascending, and the code of every note (uint16; 0 for START and what has none)."""
    known, inverse, counts = np.unique(found, return_inverse=True, return_counts=True)
    kept = known != START
    if kept.sum() > MAX_CODES:
        rarest_first = np.argsort(np.where(kept, counts, 0), kind="stable")
        kept[rarest_first[:-MAX_CODES]] = False
    codes = np.where(kept, np.cumsum(kept), 0).astype(np.uint16)
    return known[kept], codes[inverse.reshape(-1)]


def _sorted_bytes(n: int, stride: int) -> int:
    n_sorted = -(-n // stride)
    return n_sorted * width_of(n_sorted)
