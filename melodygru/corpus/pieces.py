"""The corpus itself: pieces on one grid, their notes memory-mapped; splitting and comparing corpora."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from melodygru.corpus.packing import digest_of
from melodygru.corpus.report import Report
from melodygru.corpus.storage import CHECKED_BYTES, checksum_of
from melodygru.errors import CorpusError, SettingError
from melodygru.music.grid import Grid
from melodygru.music.notes import NoteSequence, unchecked
from melodygru.util.schema import Integer, Number, Optional, Row, Text
from melodygru.util.wording import counted

HELD_OUT = 0.1  # share of the pieces that training holds out, when no other music is given to judge by


@dataclass(frozen=True, slots=True)
class Piece:
    """What a corpus knows of a piece without touching its notes."""

    path: str  # relative to the corpus's folder, with /
    style: str | None  # the first sub-folder, None for a file that lies in none
    n_notes: int
    length: int  # steps
    metre: tuple[int, int]  # the first one
    qpm: float  # the first one
    digest: str  # the same for the same notes, length and metres, whatever the file's encoding or tempo

    def as_row(self) -> list[Any]:
        """Its values in order, ready for JSON."""
        return [self.path, self.style, self.n_notes, self.length, list(self.metre), self.qpm, self.digest]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Piece:
        """The inverse of `as_row`; ValueError where a value is none that it gives."""
        return cls(*_ROW.read(row, "a piece"))


_METRE = Row(Integer(1, 32_767), Integer(1, 32_767))
_NAME = Text(100_000)
_ROW = Row(_NAME, Optional(_NAME), Integer(), Integer(), _METRE, Number(0, 1e9), Text(64))  # as `Piece.as_row` gives it


class Corpus:
    """Pieces of music on one grid. Indexing gives a note sequence whose notes are a slice of a memory-mapped file.

    Made by `intake`.

    Attributes
    ----------
    pieces : list of Piece
    grid : Grid
    report : Report
        Of the whole intake, also in a subset.
    families : array of int, shape (n_pieces,)
        The same number for takes and transpositions of one piece (see `relatives`).
    """

    def __init__(
        self,
        pieces: list[Piece],
        spans: np.ndarray,
        checksums: np.ndarray,
        arrays: dict[str, np.ndarray],
        grid: Grid,
        report: Report,
        families: np.ndarray,
        keep: object = None,
    ) -> None:
        self.pieces = pieces
        self.grid = grid
        self.report = report
        self.families = families
        self._spans = spans  # (n_pieces, 3, 2): start and stop of notes, tempos, metres
        self._checksums = checksums  # of each piece's notes, tempos and metres
        self._arrays = arrays
        self._keep = keep  # a temporary folder lives as long as the corpora that map its files

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, index: int) -> NoteSequence:
        spans = self._spans[index]
        notes, tempos, metres = (
            self._arrays[name][start:stop]
            for name, (start, stop) in zip(("notes", "tempos", "metres"), spans, strict=True)
        )
        # what was checked as a whole when it was opened need not be checked piece by piece
        if self._arrays["notes"].nbytes > CHECKED_BYTES:
            if checksum_of(notes, tempos, metres) != self._checksums[index]:
                raise CorpusError(
                    f"{self.pieces[index].path}: its notes in the cache are damaged; delete the cache's folder "
                    "(MELODYGRU_CACHE names it) and run again"
                )
        return unchecked(notes, self.grid, self.pieces[index].length, tempos, metres)

    def __iter__(self) -> Iterator[NoteSequence]:
        return (self[index] for index in range(len(self)))

    @property
    def fingerprint(self) -> str:
        """Names the music: the same for the same pieces on the same grid, whatever their files are called."""
        return digest_of(str(self.grid), *sorted(piece.digest for piece in self.pieces))

    @property
    def styles(self) -> list[str]:
        """The styles that occur, ascending."""
        return sorted({piece.style for piece in self.pieces if piece.style is not None})

    def subset(self, indices: Sequence[int] | np.ndarray) -> Corpus:
        """The pieces at `indices`, in that order, over the same memory map."""
        where = np.asarray(indices, np.int64)
        pieces = [self.pieces[index] for index in where]
        spans, checksums, families = self._spans[where], self._checksums[where], self.families[where]
        return Corpus(pieces, spans, checksums, self._arrays, self.grid, self.report, families, self._keep)


def require_pieces(corpus: Corpus, n: int) -> None:
    """Raise `CorpusError` when the corpus holds fewer than `n` pieces."""
    if len(corpus) < n:
        skipped = corpus.report.skipped
        reason = f" ({len(skipped)} skipped; the first, {skipped[0].path}: {skipped[0].reason})" if skipped else ""
        raise CorpusError(
            f"{corpus.report.folder} holds {counted(len(corpus), 'usable piece')}{reason}, "
            f"expected at least {n}: add more MIDI files"
        )


def split(corpus: Corpus, fraction: float = HELD_OUT, seed: int = 0) -> tuple[Corpus, Corpus]:
    """Divide a corpus by piece into a training and a validation part.

    Each style gives its share, by largest remainders, and keeps at least one piece for training. Within a style the
    pieces are drawn by a hash of (seed, content): the same whatever the files are called, and hardly changed by
    pieces added later. Takes and transpositions of one piece stay on one side, unless they are more than half of all.

    Parameters
    ----------
    corpus : Corpus
        At least two pieces.
    fraction : float
        Of the pieces that go to validation, above 0 and below 1. At least one, and at least one stays.
    seed : int

    Returns
    -------
    train, validation : Corpus
        In the order of the corpus.

    Raises
    ------
    CorpusError
        Fewer than two pieces.
    SettingError
        `fraction` is outside (0, 1).
    """
    if not 0 < fraction < 1:
        raise SettingError(f"a validation fraction of {fraction}: expected a number above 0 and below 1")
    require_pieces(corpus, 2)
    n_validation = min(max(1, round(fraction * len(corpus))), len(corpus) - 1)
    validation = _drawn(corpus, fraction, seed, n_validation, corpus.families)
    if not validation:  # all have many relatives
        validation = _drawn(corpus, fraction, seed, n_validation, np.arange(len(corpus)))
    return (
        corpus.subset([index for index in range(len(corpus)) if index not in validation]),
        corpus.subset(sorted(validation)),
    )


def _drawn(corpus: Corpus, fraction: float, seed: int, n: int, families: np.ndarray) -> set[int]:
    """At most `n` pieces to be held out, family by family; of larger families the smallest, or none at all."""
    styles = [piece.style or "" for piece in corpus.pieces]
    left = Counter(styles)  # pieces for training
    by_style: dict[str, list[int]] = defaultdict(list)
    by_family: dict[int, list[int]] = defaultdict(list)
    for index, family in enumerate(families.tolist()):
        by_style[styles[index]].append(index)
        by_family[family].append(index)

    def rank(index: int) -> str:
        piece = corpus.pieces[index]
        return digest_of(str(seed), piece.digest) + piece.path

    taken: set[int] = set()

    def take(index: int, room: int, may_empty: bool = False) -> None:
        """Take a piece with its relatives, if there is room for them, and each style keeps a piece."""
        family = by_family[families[index]]
        if index in taken or len(family) > room:
            return
        asked = Counter(styles[one] for one in family)
        if may_empty or all(n < left[style] for style, n in asked.items()):
            taken.update(family)
            left.subtract(asked)

    for style, members in by_style.items():
        members.sort(key=rank)
        for index in members:
            take(index, int(fraction * len(members)) - (len(members) - left[style]))
    spare: list[tuple[float, str, int]] = []  # the next pieces of each style, most deserving first
    for members in by_style.values():
        rest = [index for index in members if index not in taken]
        # one more than its share is worth less for each
        over = len(members) - len(rest) - fraction * len(members)
        spare += [(over + at, rank(index), index) for at, index in enumerate(rest, 1)]
    for may_empty in (False, True):  # a style's last piece comes after all others
        for _, _, index in sorted(spare):
            take(index, n - len(taken), may_empty)
    if not taken:
        smallest = min(by_family.values(), key=lambda family: (len(family), rank(family[0])))
        taken.update(smallest if 2 * len(smallest) <= len(corpus) else ())
    return taken


def overlap(train: Corpus, validation: Corpus) -> list[tuple[str, str]]:
    """Pieces of `validation` that `train` holds too (same notes, length and metres): (validation path, train path)."""
    paths: dict[str, str] = {}
    for piece in train.pieces:
        paths.setdefault(piece.digest, piece.path)
    return [(piece.path, paths[piece.digest]) for piece in validation.pieces if piece.digest in paths]
