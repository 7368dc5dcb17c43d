"""The intake report: what a folder held, what was kept, and what keeping it on a grid cost."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from melodygru.corpus.beats import Beats
from melodygru.midi import in_words
from melodygru.music.grid import Grid
from melodygru.music.notes import DRUMS, NoteSequence
from melodygru.util.schema import Flag, Integer, Optional, Row, Text
from melodygru.util.wording import counted

WIDTH = 100  # columns of the table
SHOWN = 20  # skipped files listed on screen; the JSON form lists all


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of the folder: kept, or skipped and why."""

    path: str  # relative to the folder, with /
    kept: bool
    reason: str | None = None  # why it was skipped
    n_notes: int = 0  # as read, before the grid

    def as_row(self) -> list[Any]:
        """Its values in order, ready for JSON."""
        return [self.path, self.kept, self.reason, self.n_notes]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> FileRecord:
        """The inverse of `as_row`; ValueError where a value is none that it gives."""
        return cls(*_ROW.read(row, "a file"))


_ROW = Row(Text(100_000), Flag(), Optional(Text(100_000)), Integer())  # as `FileRecord.as_row` gives it


@dataclass(frozen=True)
class Report:
    """What an intake found. Every field is JSON-ready.

    Errors of quantising are in milliseconds; `error_p99_ms` is exact to `BIN_MS`. Counts of `styles` and `metres` are
    pieces (the first metre of each file; no style is ""), those of `programs` pieces in which it plays,
    those of `parts` pieces of so many.
    """

    folder: str
    files: tuple[FileRecord, ...]
    grid: str
    grid_evidence: dict[str, Any]  # of `choose_grid`; {"decided_by": "given"} when it was given; see `Tally.add_beats`
    notes: int
    steps: int
    seconds: float
    beats: float
    styles: dict[str, int]
    metres: dict[str, int]
    programs: dict[str, int]
    parts: dict[str, int]
    pitch_low: int
    pitch_high: int
    polyphony_mean: float  # notes sounding at once, averaged over all steps
    polyphony_max: int
    error_mean_ms: float
    error_p99_ms: float
    error_max_ms: float
    moved: int  # onsets that the grid moved
    lost_reading: int  # notes dropped, merged or cut while reading (see `midi`)
    merged: int  # by the grid: notes dropped because they fell on one another
    cut: int  # by the grid: notes shortened by the next of their pitch
    clipped: int
    relatives: int  # pieces of which there are other takes or transpositions (see `relatives`)
    families: int  # the pieces of music that those are
    oddities: dict[str, int] = field(default_factory=dict)  # of `midi`, summed over the files kept

    @property
    def kept(self) -> int:
        """Number of files that are pieces of the corpus."""
        return sum(file.kept for file in self.files)

    @property
    def skipped(self) -> list[FileRecord]:
        """The files that are none, by path."""
        return [file for file in self.files if not file.kept]

    @property
    def lost(self) -> int:
        """Notes that the corpus does not hold as the files have them."""
        return self.lost_reading + self.merged + self.cut + self.clipped

    def beat_rows(self) -> list[str]:
        """What was done about beat and bars, in words; nothing where all files have both."""
        about = self.grid_evidence.get("beats")
        if not about:
            return []
        beside = f"{about['moved']:,} stood beside the grid and were moved"
        rows = [f"{about['steady']:,} of {counted(about['pieces'], 'piece')} with a steady beat; {beside}"]
        if about["bars_found"]:
            sure = f"on average {about['confidence']:.0%} sure"
            rows.append(f"of {about['bars_found']:,} the metre and the bar lines were found from the notes, {sure}")
        return rows

    def relatives_row(self) -> str:
        """How many pieces are the same music, in words."""
        of = counted(self.families, "piece")
        return f"{self.relatives:,} pieces are takes or transpositions of {of}; those of one are held out together"

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        files = [{name: getattr(file, name) for name in FileRecord.__slots__} for file in self.files]
        return asdict(replace(self, files=())) | {"files": files, "kept": self.kept, "lost": self.lost}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """The inverse of `as_dict`."""
        known = {item.name: values[item.name] for item in fields(cls)}
        return cls(**known | {"files": tuple(FileRecord(**file) for file in values["files"])})

    def table(self) -> str:
        """For the screen: at most `WIDTH` columns, skipped files listed and kept ones counted."""
        grid = Grid.parse(self.grid)
        skipped = self.skipped
        share = self.moved / max(1, self.notes + self.merged)
        rows = [
            ("folder", self.folder),
            ("files", f"{len(self.files):,}: {self.kept:,} kept, {len(skipped):,} skipped"),
            ("notes", f"{self.notes:,} in {_clock(self.seconds)} (h:mm:ss), {counted(round(self.beats), 'beat')}"),
            ("grid", f"{grid.describe()} ({_evidence(self.grid_evidence)})"),
            ("steps", f"{self.steps:,}"),
            *(("bars", text) for text in self.beat_rows()),
            (
                "rounding",
                f"{share:.1%} of onsets moved; mean {self.error_mean_ms:.2f} ms, 99% within {self.error_p99_ms:.2f} ms,"
                f" at most {self.error_max_ms:.2f} ms",
            ),
            (
                "notes lost",
                f"{self.lost:,}"
                if self.lost == 0
                else f"{self.lost:,}: {self.lost_reading:,} in reading; by the grid {self.merged:,} merged, "
                f"{self.cut:,} cut short, {self.clipped:,} clipped",
            ),
            *([("relatives", self.relatives_row())] if self.relatives else []),
            ("styles", _counts({name or "(none)": n for name, n in self.styles.items()})),
            ("metres", _counts(self.metres)),
            ("programs", _counts(self.programs)),
            ("parts", _counts(self.parts)),
            ("pitches", f"{self.pitch_low}..{self.pitch_high}"),
            ("polyphony", f"mean {self.polyphony_mean:.2f}, at most {self.polyphony_max}"),
        ]
        if self.oddities:
            rows.append(("oddities", in_words(self.oddities)))
        lines = [line for name, text in rows for line in _row(name, text)]
        for file in skipped[:SHOWN]:
            lines += _row("skipped", f"{file.path}: {file.reason}")
        if len(skipped) > SHOWN:
            lines += _row("", f"and {len(skipped) - SHOWN:,} more")
        # a file name may hold bytes that are no text
        return "\n".join(lines).encode("utf-8", "replace").decode()


def _row(name: str, text: str) -> list[str]:
    indent = " " * 12
    return textwrap.wrap(text, WIDTH, initial_indent=name.ljust(12), subsequent_indent=indent) or [name]


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _counts(counts: Mapping[str, int], shown: int = 20) -> str:
    """`4/4 (200), 3/4 (29)`, most frequent first."""
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    text = ", ".join(f"{name} ({n:,})" for name, n in order[:shown])
    return text + (f" and {len(order) - shown:,} more" if len(order) > shown else "")


def _evidence(evidence: Mapping[str, Any]) -> str:
    """Why this grid, in a line."""
    decided = evidence["decided_by"]
    if decided == "given":
        return "as asked"
    if decided == "no beat":
        return f"found; {evidence['metrical_pieces']:,} of {counted(evidence['pieces'], 'piece')} with a steady beat"
    shares = ", ".join(f"{n}: {share:.1%}" for n, share in evidence["onsets"].items() if int(n) <= 12)
    ends = "; the ends of notes ask for it" if decided == "ends" else ""
    return f"found; onsets on n steps per beat, chance taken out: {shares}{ends}"


BIN_MS = 0.05  # resolution of the 99th percentile
_BINS = 20_000  # up to one second


class Tally:
    """Gathers a report piece by piece, in constant memory."""

    def __init__(self) -> None:
        self._bins = np.zeros(_BINS + 1, np.int64)
        self._error_sum_s = 0.0
        self._error_max_s = 0.0
        self._onsets = 0
        self._sounding_steps = 0
        self._counts: dict[str, dict[str, int]] = {
            "styles": {}, "metres": {}, "programs": {}, "parts": {}, "oddities": {}
        }  # fmt: skip
        self._sums = dict.fromkeys(("notes", "steps", "moved", "lost_reading", "merged", "cut", "clipped"), 0)
        self._seconds = self._beats = 0.0
        self._pitches = (127, 0)
        self._polyphony = 0
        self._aligned = dict.fromkeys(("pieces", "steady", "moved", "bars_found"), 0)
        self._confidence = 0.0

    def add_beats(self, beats: Beats) -> None:
        """What is known of the beat and the bars of a piece; the report has it where one isn't as its file says.

        Its grid evidence then has `beats`: counts of `pieces`, of those with a `steady` beat, those `moved` because
        they stood beside it, and those with `bars_found` from their notes; the mean `confidence` of the latter, 0 .. 1.
        """
        found = beats.metre_from == "notes"
        for name, value in zip(self._aligned, (True, beats.pulse.steady, beats.moved, found), strict=True):
            self._aligned[name] += value
        self._confidence += beats.confidence if found else 0.0

    def add(
        self,
        source: NoteSequence,
        piece: NoteSequence,
        changes: tuple[int, int, int],
        error_s: np.ndarray,
        style: str | None,
        lost: int,
        oddities: Mapping[str, int],
    ) -> None:
        """A piece as read (`source`) and on its grid; `changes` are notes merged, cut and clipped."""
        self._bins += np.bincount(np.minimum(np.ceil(error_s * 1000 / BIN_MS), _BINS).astype(np.int64), None, _BINS + 1)
        self._error_sum_s += float(error_s.sum())
        self._error_max_s = max(self._error_max_s, float(error_s.max(initial=0.0)))
        self._onsets += len(error_s)
        sums = (len(piece), piece.length, _count_moved(source, piece.grid, error_s), lost, *changes)
        for name, value in zip(self._sums, sums, strict=True):
            self._sums[name] += value
        self._seconds += source.seconds
        self._beats += source.beats
        self._count("styles", style or "")
        self._count("metres", "{}/{}".format(*source.metre))
        self._count("parts", str(len(piece.part_programs)))
        for program in piece.programs:
            self._count("programs", "drums" if program == DRUMS else str(program))
        for name, count in oddities.items():
            self._count("oddities", name, count)
        pitches = piece.notes["pitch"]
        self._pitches = (min(self._pitches[0], int(pitches.min())), max(self._pitches[1], int(pitches.max())))
        self._sounding_steps += int(piece.notes["duration"].sum())
        self._polyphony = max(self._polyphony, _polyphony(piece.notes))

    def _count(self, kind: str, name: str, by: int = 1) -> None:
        self._counts[kind][name] = self._counts[kind].get(name, 0) + by

    def report(
        self, folder: str, files: tuple[FileRecord, ...], grid: Grid, evidence: dict[str, Any], families: np.ndarray
    ) -> Report:
        """The report of the pieces added; `evidence` is why this grid (see `choose_grid`)."""
        sizes = np.unique(families, return_counts=True)[1]
        p99_bin = int(np.searchsorted(np.cumsum(self._bins), 0.99 * self._onsets))
        max_ms = self._error_max_s * 1000
        if self._aligned["moved"] or self._aligned["bars_found"]:
            confidence = self._confidence / max(1, self._aligned["bars_found"])
            evidence = evidence | {"beats": self._aligned | {"confidence": round(confidence, 3)}}
        counted: dict[str, Any] = self._sums | self._counts
        return Report(
            folder=folder,
            files=files,
            grid=str(grid),
            grid_evidence=evidence,
            seconds=self._seconds,
            beats=self._beats,
            pitch_low=self._pitches[0],
            pitch_high=self._pitches[1],
            polyphony_mean=self._sounding_steps / max(1, self._sums["steps"]),
            polyphony_max=self._polyphony,
            error_mean_ms=self._error_sum_s * 1000 / max(1, self._onsets),
            error_p99_ms=min(p99_bin * BIN_MS, max_ms) if p99_bin < _BINS else max_ms,
            error_max_ms=max_ms,
            relatives=int(sizes[sizes > 1].sum()),
            families=int((sizes > 1).sum()),
            **counted,
        )


def _count_moved(source: NoteSequence, grid: Grid, error_s: np.ndarray) -> int:
    """Onsets that are not on the grid: exactly so in beats, by more than a microsecond in seconds."""
    if grid.steps_per_beat is None or source.grid.steps_per_beat is None:
        return int((error_s > 1e-6).sum())
    ratio = grid.steps_per_beat / source.grid.steps_per_beat
    return int((source.notes["onset"] * ratio.numerator % ratio.denominator != 0).sum())


def _polyphony(notes: np.ndarray) -> int:
    """The greatest number of notes sounding at once; one that ends as another begins does not count with it."""
    onsets = notes["onset"]  # in order
    ends = np.sort(notes["onset"] + notes["duration"])
    return int((np.arange(1, len(onsets) + 1) - np.searchsorted(ends, onsets, side="right")).max(initial=0))
