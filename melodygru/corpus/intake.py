"""Folder in, corpus out: find, read, drop duplicates, choose the grid, quantise, cache."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import unicodedata
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from melodygru import midi
from melodygru.corpus.beats import Beats, align, headers_hold
from melodygru.corpus.cache import Cache, CacheDamaged, CacheUnusable, Parsed, default_folder, logger, version
from melodygru.corpus.grid import choose_grid, sample
from melodygru.corpus.packing import content_digest, digest_of, file_digest, pack
from melodygru.corpus.pieces import Corpus, Piece
from melodygru.corpus.relatives import families, sketch
from melodygru.corpus.report import FileRecord, Report, Tally
from melodygru.corpus.storage import CorpusWriter, open_corpus
from melodygru.errors import CorpusError, MelodyGruError, MidiError, SettingError
from melodygru.music.grid import Grid
from melodygru.music.notes import NoteSequence
from melodygru.music.quantize import quantize
from melodygru.util.processes import cores, start_worker
from melodygru.util.wording import counted

FEW_FILES = 32  # up to here reading in this process is faster than starting others
BATCH = 16  # files read at a time: what an interruption costs
FAR_WORKERS = 32  # of an executor that does not say how many it has in `n_workers`

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Request:
    """What was asked of `intake`, beside the folder and the cache."""

    grid: Grid | None
    metre: tuple[int, int] | None
    workers: int | None
    executor: Executor | None
    progress: Progress | None
    deduplicate: bool

    def count(self, done: int, total: int) -> None:
        """Say that so many units of work are done."""
        if self.progress is not None:
            self.progress(done, total)


def intake(
    folder: Path | str,
    *,
    grid: Grid | None = None,
    metre: tuple[int, int] | None = None,
    cache: Path | str | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
    deduplicate: bool = True,
) -> Corpus:
    """Read a folder of MIDI files into a corpus, or open it from the cache.

    Parameters
    ----------
    folder : Path
        Searched to any depth; its sub-folders are the styles. A single MIDI file is a corpus of one piece.
    grid : Grid, optional
        Without it the corpus's own is found (see `choose_grid`).
    metre : (numerator, denominator), optional
        Of all pieces, whatever the files say. Without it a file is believed where that makes sense; otherwise its
        metre is found from its notes (see `beats`). On a grid of seconds there is none.
    cache : Path, optional
        Where the cache lies: by default `$MELODYGRU_CACHE`, else the user's cache folder. If it can't be
        written, a warning is logged and a temporary folder serves.
    workers : int, optional
        Processes that read files, at least 1; by default one a CPU. Few files are read in this process.
    executor : concurrent.futures.Executor, optional
        Reads the files instead of processes of our own; it is left running. It is sent the files' bytes, so its workers
        may be on other hosts that have melodygru (of the same version) and none of the files. An attribute `n_workers`
        says how many it has. See `scheduler.DaskExecutor`.
    progress : callable, optional
        Called with (done, total) units of work: a file to be read is one, a piece to be put on the grid is one. A
        corpus that lies finished in the cache makes no calls.
    deduplicate : bool
        Keep one of several files with the same notes, length and metres: the first by path.

    Returns
    -------
    Corpus
        Pieces in the order of their paths. It depends on the files, `grid` and `metre` alone, not on the workers.

    Raises
    ------
    CorpusError
        The folder is missing, or holds no MIDI file that can be used; or the executor has failed: what it has read
        stays in the cache, and the same call goes on from there.
    SettingError
        `workers` is below 1, or there is a metre on a grid of seconds.
    """
    if workers is not None and workers < 1:
        raise SettingError(f"{workers} workers: expected at least 1")
    if metre is not None and grid is not None and not grid.is_metrical:
        raise SettingError(f"metre {metre[0]}/{metre[1]} on {grid.describe()}: expected a grid of steps per beat")
    folder = Path(folder)
    files, unlisted = _find(folder)
    cache_folder: Path | None = default_folder() if cache is None else Path(cache)
    request = _Request(grid, metre, workers, executor, progress, deduplicate)
    rebuilt = False
    while True:
        try:
            with Cache(cache_folder) as store:
                return _intake(store, folder, files, unlisted, request)
        except CacheDamaged as error:
            if rebuilt:
                raise CorpusError(f"the cache fails again after it was rebuilt: {error}; check the disk") from error
            logger.warning("the cache is damaged (%s); reading the files again", str(error))
            rebuilt = True
            try:
                with Cache(cache_folder) as store:
                    store.discard_parsed()
            except CacheUnusable:
                cache_folder = None
        except CacheUnusable as error:
            if cache_folder is None:
                raise CorpusError(f"no room for temporary files: {error}; set TMPDIR to a folder with space") from error
            logger.warning("the cache cannot be used (%s); going on without it", str(error))
            cache_folder = None


def _find(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Relative path -> file, in the order of the paths; and folder -> why it can't be listed."""
    if folder.is_file():
        return {folder.name: str(folder)}, {}
    if not folder.is_dir():
        what = "neither a file nor a folder" if folder.exists() else "no such file or folder"
        raise CorpusError(f"{folder}: {what}; give a folder of MIDI files")
    unlisted: dict[str, str] = {}
    files = midi.find_files(folder, unlisted)
    if not files:
        for path, why in unlisted.items():
            raise CorpusError(f"{folder / path}: {why}; allow it to be read, or give another folder")
        raise CorpusError(
            f"{folder} holds no MIDI files ({', '.join(midi.READERS)}), nor do its sub-folders; give a folder that does"
        )
    return files, unlisted


def _intake(cache: Cache, folder: Path, files: dict[str, str], unlisted: dict[str, str], request: _Request) -> Corpus:
    """The corpus of a request: from the cache, or read and written into it."""
    digests, failures = _digests(cache, folder, files)
    failures |= unlisted
    key = digest_of(
        "auto" if request.grid is None else str(request.grid),
        "auto" if request.metre is None else "{}/{}".format(*request.metre),
        "once" if request.deduplicate else "all",
        *(part for path, digest in digests.items() for part in (path, digest)),
        *(part for item in failures.items() for part in item),
    )
    if (corpus := _open(cache, key, folder)) is None:
        # In a call of its own: what it holds of each file is let go before the corpus is opened.
        _write(cache, key, folder, files, digests, failures, request)
        del digests, failures
        corpus = _open(cache, key, folder)
    if corpus is None:
        raise CacheDamaged(f"{cache.corpus_folder(key)} was removed while it was opened")
    return corpus


def _write(
    cache: Cache,
    key: str,
    folder: Path,
    files: dict[str, str],
    digests: dict[str, str],
    failures: dict[str, str],
    request: _Request,
) -> None:
    """Read what the cache does not know, and write the corpus into it."""
    paths = {digest: files[path] for path, digest in digests.items()}
    known = cache.known(list(paths))
    missing = [digest for digest in paths if digest not in known]
    total = len(missing) + len(digests)  # an upper bound until the duplicates are known
    done = 0
    wanted = [(digest, paths[digest]) for digest in missing]
    with contextlib.closing(_read(wanted, request.workers, request.executor)) as batches:
        for rows in batches:
            cache.add(rows)
            known |= {parsed.digest: parsed for parsed, _ in rows}
            done += len(rows)
            request.count(done, total)

    records = _sift(digests, failures, known, request.deduplicate)
    kept = [record.path for record in records if record.kept]
    if not kept:
        first = records[0]
        raise CorpusError(
            f"{folder} holds {counted(len(records), 'MIDI file')} and none can be used (the first, {first.path}: "
            f"{first.reason}); give a folder with readable MIDI files that hold notes"
        )
    total = done + len(kept)
    sampled = [digests[kept[at]] for at in sample(len(kept))]
    header_holds = headers_hold((cache.sequence(digest), known[digest].has_metre) for digest in sampled)

    def aligned(digest: str) -> tuple[NoteSequence, Beats]:
        return align(
            cache.sequence(digest), stated=known[digest].has_metre, metre=request.metre, header_holds=header_holds
        )

    grid, evidence = request.grid, {"decided_by": "given"}
    if grid is None:
        grid, evidence = choose_grid(aligned(digest)[0] for digest in sampled)

    tally, sketches = Tally(), []
    with CorpusWriter(cache, key) as writer:
        for path in kept:
            about = known[digests[path]]
            if grid.is_metrical:
                source, beats = aligned(about.digest)
                tally.add_beats(beats)
            else:
                source = cache.sequence(about.digest)
            piece, changes, error_s = quantize(source, grid)
            style = _style(path)
            lost = (changes.merged, changes.cut, changes.clipped)
            tally.add(source, piece, lost, error_s, style, about.lost, about.oddities or {})
            record = Piece(path, style, len(piece), piece.length, piece.metre, piece.qpm, about.content)
            writer.append(piece, [*record.as_row(), len(piece.tempos), len(piece.metres)])
            sketches.append(sketch(piece))
            done += 1
            request.count(done, total)
        related = families(sketches)
        report = tally.report(str(folder), (), grid, evidence, related)
        kept_about = {"report": report.as_dict(), "families": related.tolist()}
        writer.finish((record.as_row() for record in records), kept_about)


def _open(cache: Cache, key: str, folder: Path) -> Corpus | None:
    """A corpus from what the cache holds, None where there is none; its report names the folder that was asked for."""
    checksums: list[int] = []
    sizes: list[tuple[int, int, int]] = []  # notes, tempos and metres of each piece, which lie one after another

    def piece(row: list[Any]) -> Piece:
        *about, n_tempos, n_metres, checksum = row
        made = Piece.from_row(about)
        sizes.append((made.n_notes, n_tempos, n_metres))
        checksums.append(checksum)
        return made

    opened = open_corpus(cache, key, {"pieces": piece, "files": FileRecord.from_row})
    if opened is None:
        return None
    arrays, rows, about = opened
    of_pieces = np.array(sizes, np.int64).reshape(-1, 3)
    stops = np.cumsum(of_pieces, axis=0)
    spans = np.stack([stops - of_pieces, stops], axis=2)
    report = replace(Report.from_dict(about["report"]), folder=str(folder), files=tuple(rows["files"]))
    related = np.array(about["families"], np.int64)
    made, sums = rows["pieces"], np.array(checksums, np.int64)
    return Corpus(made, spans, sums, arrays, Grid.parse(report.grid), report, related, cache.keep)


def _digests(cache: Cache, folder: Path, files: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Hash of each file's bytes, from memory where size and time are as they were; and files that can't be opened."""
    before = cache.load_listing(folder)
    now: dict[str, tuple[int, int, str]] = {}
    failures: dict[str, str] = {}
    for path, file in files.items():
        try:
            stat = os.stat(file)
            size, mtime, digest = before.get(path, (-1, -1, ""))
            if (size, mtime) != (stat.st_size, stat.st_mtime_ns):
                digest = file_digest(Path(file))
            now[path] = (stat.st_size, stat.st_mtime_ns, digest)
        except OSError as error:
            failures[path] = midi.why_not_opened(error)
    if now != before:
        cache.save_listing(folder, now)
    return {path: digest for path, (_, _, digest) in now.items()}, failures


def _sift(
    digests: dict[str, str], failures: dict[str, str], known: dict[str, Parsed], deduplicate: bool
) -> list[FileRecord]:
    """Which files are kept, in the order of their paths."""
    records = [FileRecord(path, False, reason) for path, reason in failures.items()]
    first: dict[str, str] = {}
    for path, digest in digests.items():
        parsed = known[digest]
        if parsed.error is not None:
            records.append(FileRecord(path, False, parsed.error))
        elif parsed.n_notes == 0:
            damage = midi.in_words(midi.damage(parsed.oddities or {}))
            records.append(FileRecord(path, False, f"damaged, no notes left: {damage}" if damage else "no notes"))
        elif deduplicate and parsed.content in first:
            records.append(FileRecord(path, False, f"duplicate of {first[parsed.content]}", parsed.n_notes))
        else:
            first.setdefault(parsed.content, path)
            records.append(FileRecord(path, True, None, parsed.n_notes))
    return sorted(records, key=lambda record: record.path)


def _style(path: str) -> str | None:
    """The first sub-folder, if the file lies in one; in NFC, for macOS hands out names in NFD."""
    first, slash, _ = path.partition("/")
    return unicodedata.normalize("NFC", first) if slash else None


def read_files(batch: Sequence[tuple[str, str]]) -> list[tuple[Parsed, bytes]]:
    """Read files: (hash, path) of each gives what is known of it and its packed notes.

    Public at module level because worker processes import it by name.
    """
    return [_row(digest, Path(path)) for digest, path in batch]


def read_far(batch: Sequence[tuple[str, str, bytes]], rule: str) -> list[tuple[Parsed, bytes]]:
    """As `read_files`, in a worker that may be on another host: (hash, suffix, content) of each file.

    It must read by the same rule (see `cache.version`).
    """
    if version() != rule:
        raise CorpusError(
            f"a worker reads by the rule {version()}, expected {rule}: install the same melodygru on all hosts"
        )
    return [_row(digest, content, suffix) for digest, suffix, content in batch]


def _row(digest: str, *source: Any) -> tuple[Parsed, bytes]:
    """What is known of a file, given as to `midi.read`, and its packed notes; of one that can't be read, why."""
    try:
        reading = midi.read(*source)
        sequence = reading.sequence
        content = content_digest(sequence)
        oddities = reading.oddities.as_dict()
        about = Parsed(digest, None, content, len(sequence), reading.lost, oddities, reading.has_metre)
        return about, pack(sequence)
    except MelodyGruError as error:
        return Parsed(digest, str(error)), b""


Files = list[tuple[str, str]]  # (hash, path) of each
Rows = list[tuple[Parsed, bytes]]


def _read(files: Files, workers: int | None, executor: Executor | None) -> Generator[Rows, None, None]:
    """Read all files, batch by batch in any order."""
    batches = [files[start : start + BATCH] for start in range(0, len(files), BATCH)]
    if executor is not None:
        if batches:
            yield from _read_far(executor, batches, workers)
        return
    if workers is None:
        workers = cores()
    # daemonic processes can't have children
    if workers == 1 or len(files) < FEW_FILES or multiprocessing.current_process().daemon:
        yield from map(read_files, batches)
        return
    # spawn: a forked child of a process with threads (TensorFlow's) may hang
    context = multiprocessing.get_context("spawn")
    workers = min(workers, len(batches))
    own = ProcessPoolExecutor(workers, context, initializer=start_worker)
    pending: dict[Future[Rows], Files] = {}
    waiting = list(reversed(batches))
    try:
        # Ctrl-C may come before `start_worker` does; should they die at once, the handler below knows what to do
        with _interrupts_held_back(), contextlib.suppress(BrokenExecutor):
            for _ in range(workers):
                own.submit(int)
        yield from _keep_busy(lambda batch: own.submit(read_files, batch), pending, waiting, 2 * workers)
    except BrokenExecutor as error:
        logger.warning(
            "the processes that read files have ended (%s); going on in this one (a script that calls melodygru "
            "needs `if __name__ == '__main__':` around the call to use several)",
            str(error).rstrip("."),
        )
        yield from map(read_files, [*pending.values(), *reversed(waiting)])
    finally:
        with _interrupts_held_back():  # a second Ctrl-C amid it would leave processes waiting for ever
            own.shutdown(wait=True, cancel_futures=True)


def _read_far(executor: Executor, batches: list[Files], workers: int | None) -> Generator[Rows, None, None]:
    """Read with an executor that was given: it gets the bytes, since its workers may see other disks than we do."""
    rule, here = version(), []  # here: what can't even be opened

    def submit(batch: Files) -> Future[Rows]:
        contents = []
        for digest, path in batch:
            try:
                contents.append((digest, Path(path).suffix, midi.load(Path(path))))
            except MidiError as error:
                here.append((Parsed(digest, str(error)), b""))
        return executor.submit(read_far, contents, rule)

    n_workers: Any = getattr(executor, "n_workers", FAR_WORKERS) if workers is None else workers
    n_files, n_read = sum(map(len, batches)), 0
    try:
        for rows in _keep_busy(submit, {}, list(reversed(batches)), 2 * n_workers):
            rows, here = rows + here, []
            n_read += len(rows)
            yield rows
    except MelodyGruError:
        raise
    except Exception as error:  # anything, from whatever library and host the executor is of
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CorpusError(
            f"the executor that reads the files has failed ({reason.rstrip('.')}) after {n_read:,} of "
            f"{counted(n_files, 'file')}; these are kept: run again to go on with the others"
        ) from error


def _keep_busy(
    submit: Callable[[Files], Future[Rows]], pending: dict[Future[Rows], Files], waiting: list[Files], in_flight: int
) -> Generator[Rows, None, None]:
    """Keep `in_flight` of the batches in `waiting`, last first, under way, and give what each comes to.

    When one fails, `pending` and `waiting` hold what is not done.
    """
    try:
        while waiting or pending:
            while waiting and len(pending) < in_flight:
                pending[submit(waiting[-1])] = waiting[-1]
                waiting.pop()
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in sorted(finished, key=_failed):  # what was read before the failure that ends it
                rows = future.result()
                del pending[future]
                yield rows
    finally:
        for future in pending:
            future.cancel()


def _failed(future: Future[Rows]) -> bool:
    return future.cancelled() or future.exception() is not None


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let Ctrl-C wait until the end of the block; processes started in it inherit that they don't receive it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
