"""Pieces encoded ahead by other processes, and kept on disk for later epochs that ask for the same.

A GPU learns faster than one thread encodes. What is learned does not depend on any of this: a piece is encoded as
`Pieces.encode` does it, wherever that happens, and whether it was kept.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import mmap
import multiprocessing
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np

from melodygru.corpus.cache import default_folder
from melodygru.events import FIELDS, INPUTS, Events, Vocabulary, layout_of
from melodygru.events.features.feature import ARRAYS
from melodygru.music.notes import Changes, NoteSequence
from melodygru.training.batches import Batch
from melodygru.training.pieces import Draw, Pieces
from melodygru.util.processes import cores, start_worker

logger = logging.getLogger(__name__)

KEPT_BYTES = 8 << 30  # on disk, at most, and a tenth of what is free there; about a kilobyte a note
BATCHES_AHEAD, EVENTS_AHEAD = 4, 200_000  # encoded before they are asked for, about: whichever is less
MOST_PROCESSES = 32
TOGETHER = 8  # pieces that a process is given at once

Packed = tuple[int, bytes]  # events of a piece, and its arrays end to end


class Encoders:
    """Processes that encode the pieces of a run; a context manager, which ends them.

    Parameters
    ----------
    pieces : Pieces
    processes : how many; 0 encodes in this one
    folder : on whose disk encoded pieces are kept, in a file without a name; None keeps none
    kept_bytes : how much, at most
    """

    def __init__(
        self, pieces: Pieces, processes: int, folder: Path | None = None, kept_bytes: int = KEPT_BYTES
    ) -> None:
        self.pieces, self.kept = pieces, Kept(folder, kept_bytes) if folder is not None else None
        widths = {"fields": len(FIELDS), **layout_of(pieces.vocabulary).widths}
        self._forms = [(name, {"fields": np.int32, **ARRAYS}[name], widths[name]) for name in INPUTS]
        self._pool = None
        if processes:
            # spawn: a forked child of a process with threads (TensorFlow's) may hang
            fresh = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(processes, fresh, initializer=_start, initargs=(pieces.vocabulary,))

    def __enter__(self) -> Encoders:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        if self.kept is not None:
            self.kept.close()

    @classmethod
    def for_device(cls, pieces: Pieces, gpu: bool) -> Encoders:
        """Those that suit the device: beside a CPU's training a thread encodes fast enough, a GPU waits for one."""
        return cls(pieces, min(cores(), MOST_PROCESSES), default_folder()) if gpu else cls(pieces, 0)

    def windows(
        self, epoch: int, batch: int, window: int, rows: Callable[[int], tuple[int, int] | None]
    ) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """The windows of a run from a position on, for ever, as `Pieces.batch_windows` gives them.

        Parameters
        ----------
        epoch, batch, window : the position
        rows : which rows of a batch of so many are wanted; None: those alone that are not over
        """

        def batches() -> Iterator[tuple[int, Batch, int]]:
            first = window
            for at in itertools.count(epoch):
                for one in self.pieces.plan(at)[batch if at == epoch else 0 :]:
                    yield at, one, first
                    first = 0

        now, ahead = itertools.tee(batches())
        turns = ((at, turn.piece) for at, one, first in ahead for turn in one.turns(first, rows(len(one))))
        encoded = self.encoded(turns)
        for at, one, first in now:
            yield from self.pieces.batch_windows(at, one, first, rows(len(one)), encoded)

    def encoded(self, asked: Iterator[tuple[int, int]]) -> Iterator[Events]:
        """One piece after another, encoded ahead.

        Parameters
        ----------
        asked : (epoch, index) of each piece
        """
        ahead: deque[_Awaited] = deque()
        events_ahead = 0
        while True:
            while len(ahead) < TOGETHER or (
                len(ahead) < BATCHES_AHEAD * self.pieces.settings.batch and events_ahead < EVENTS_AHEAD
            ):
                together = [self._awaited(*one) for one in itertools.islice(asked, TOGETHER)]
                if not together:
                    break
                self._ask(together)
                ahead.extend(together)
                events_ahead += sum(one.events for one in together)
            if not ahead:
                return
            one = ahead.popleft()
            events_ahead -= one.events
            yield self._taken(one)

    def _awaited(self, epoch: int, index: int) -> _Awaited:
        draw = self.pieces.draw(index, epoch)
        key = draw.key(self.pieces.vocabulary)
        events = int(self.pieces.lengths(epoch)[index])
        return _Awaited(index, epoch, draw, (index, *key) if key is not None else None, events)

    def _ask(self, together: list[_Awaited]) -> None:
        """Let pieces be encoded that are not kept."""
        missing = [one for one in together if self.kept is None or one.key not in self.kept]
        if missing:
            future = self._submit([(one.draw, self.pieces.piece(one.index, one.epoch)) for one in missing])
            for place, one in enumerate(missing):
                one.future, one.place = future, place

    def _submit(self, work: list[tuple[Draw, NoteSequence]]) -> Future[list[Packed]] | None:
        if self._pool is None:
            return None
        try:
            return self._pool.submit(_encode, work)
        except BrokenProcessPool as error:
            self._gone(error)
            return None

    def _taken(self, one: _Awaited) -> Events:
        """A piece, as soon as it is encoded; of processes that have ended this one does the work."""
        if self.kept is not None and one.key is not None and one.key in self.kept:
            return self._unpacked(*self.kept[one.key])
        packed = None
        if one.future is not None:
            try:
                packed = one.future.result()[one.place]
            except BrokenProcessPool as error:
                self._gone(error)
        if packed is None:
            packed = _pack(one.draw.encode(self.pieces.piece(one.index, one.epoch), self.pieces.vocabulary))
        if self.kept is not None and one.key is not None:
            self.kept.add(one.key, packed)
        return self._unpacked(*packed)

    def _unpacked(self, n: int, content: bytes | memoryview) -> Events:
        """The inverse of `_pack`, for training, which asks for nothing but windows; no array is copied."""
        arrays, start = {}, 0
        for name, dtype, width in self._forms:
            arrays[name] = np.frombuffer(content, dtype, n * width, start).reshape(n, width)
            start += _aligned(arrays[name].nbytes)
        return Events(changes=Changes(), **arrays)

    def _gone(self, error: Exception) -> None:
        if self._pool is not None:
            logger.warning(
                "the processes that encode pieces have ended (%s); going on in this one, more slowly (a script that "
                "calls melodygru needs `if __name__ == '__main__':` around the call to use several)",
                str(error).rstrip("."),
            )
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


class _Awaited:
    """A piece that was asked for: its length, under which key it is kept, and where it comes from unless it is."""

    def __init__(self, index: int, epoch: int, draw: Draw, key: tuple[Any, ...] | None, events: int) -> None:
        self.index, self.epoch, self.draw, self.key, self.events = index, epoch, draw, key, events
        self.future: Future[list[Packed]] | None = None
        self.place = 0


class Kept:
    """Packed pieces by key, in a file of a folder that has no name and ends with the process.

    What finds no room is not kept. They are read through a memory map: what memory is left holds them, and no more.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._places: dict[tuple[Any, ...], tuple[int, int, int]] = {}  # events, first byte, last
        self._file, self._size, self._end = None, 0, 0
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            self._size = min(most, shutil.disk_usage(folder).free // 10) // mmap.PAGESIZE * mmap.PAGESIZE
            if self._size:
                self._file = tempfile.TemporaryFile(dir=folder)
                self._file.truncate(self._size)  # takes no room before it is written to
                self._map = memoryview(mmap.mmap(self._file.fileno(), self._size, access=mmap.ACCESS_READ))

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __getitem__(self, key: tuple[Any, ...]) -> tuple[int, memoryview]:
        n, start, stop = self._places[key]
        return n, self._map[start:stop]

    def add(self, key: tuple[Any, ...], packed: Packed) -> None:
        """Keep a piece, if there is room for it."""
        n, content = packed
        stop = self._end + len(content)
        if self._file is None or stop > self._size or key in self._places:
            return
        try:  # written, not mapped: a disk that is full is an error then, and not the end
            written = os.pwrite(self._file.fileno(), content, self._end)
        except OSError:
            written = 0
        if written < len(content):
            self._size = 0  # no more
            return
        self._places[key] = n, self._end, stop
        self._end = stop

    def close(self) -> None:
        """Give the room back."""
        self._places.clear()
        if self._file is not None:
            self._file.close()


_vocabulary: Vocabulary | None = None  # of a process that encodes


def _start(vocabulary: Vocabulary) -> None:
    global _vocabulary
    _vocabulary = vocabulary
    start_worker()


def _encode(work: list[tuple[Draw, NoteSequence]]) -> list[Packed]:
    """In a process of its own: pieces, encoded."""
    assert _vocabulary is not None
    return [_pack(draw.encode(sequence, _vocabulary)) for draw, sequence in work]


def _pack(events: Events) -> Packed:
    arrays = [getattr(events, name) for name in INPUTS]
    return len(events), b"".join(array.tobytes().ljust(_aligned(array.nbytes), b"\0") for array in arrays)


def _aligned(size: int) -> int:
    return -(-size // 8) * 8
