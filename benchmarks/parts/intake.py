"""Reading: MAESTRO to encoded events against MidiTok, and a folder that has not changed against its first time."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from parts import copies
from parts.row import Row, Setting

REPEATS = 5
N_FILES = 10_000


def measure(setting: Setting) -> list[Row]:
    return [*against_miditok(setting), again()]


def against_miditok(setting: Setting) -> list[Row]:
    """Notes per second from MIDI files to events: cached notes on the grid, then the model's whole input of each piece.

    MidiTok gives ids alone; ours has the grid found, duplicates sought and a report made as well. One process, one
    thread each. Both count the notes that they read.
    """
    if setting.peers is None:
        return []
    folder, name = copies.STARTER, "the starter corpus"
    if setting.data is not None and (setting.data / "maestro" / "train").is_dir():
        folder, name = setting.data / "maestro" / "train", "MAESTRO"
    else:
        print("intake: no MAESTRO (--data), so the starter corpus is read", file=sys.stderr)
    ours: list[float] = []
    theirs: dict[str, list[float]] = {"REMI": [], "TSD": []}
    for _ in range(REPEATS):  # in turns
        seconds, n_notes = read_and_encode(folder)
        ours.append(n_notes / seconds)
        found = setting.run_peer("intake.py", folder)
        for kind, rates in theirs.items():
            rates.append(found["notes"] / found[kind])
    rate = statistics.median(ours)
    return [
        Row(
            part="intake",
            what=f"{name} read and encoded to events, one process",
            ours=rate,
            unit="notes/s",
            against=f"MidiTok, {kind}",
            theirs=statistics.median(rates),
            ratio=rate / statistics.median(rates),
            goal=5,
        )
        for kind, rates in theirs.items()
    ]


def read_and_encode(folder: Path) -> tuple[float, int]:
    """Seconds, with an empty cache, and the notes read."""
    from melodygru.corpus import intake
    from melodygru.events import encode
    from melodygru.training import fit

    with tempfile.TemporaryDirectory() as cache:
        began = time.perf_counter()
        corpus = intake(folder, cache=cache, workers=1, deduplicate=False)
        vocabulary, _ = fit(corpus)
        for sequence, piece in zip(corpus, corpus.pieces, strict=True):
            encode(sequence, vocabulary, piece.style)
        seconds = time.perf_counter() - began
        return seconds, sum(file.n_notes for file in corpus.report.files)


def again() -> Row:
    """A folder of many files, when nothing has changed."""
    from melodygru.corpus import intake

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        copies.make(Path(folder), N_FILES)
        seconds = []
        for _ in range(1 + REPEATS):
            began = time.perf_counter()
            intake(folder, cache=cache, workers=1)
            seconds.append(time.perf_counter() - began)
    first, later = seconds[0], statistics.median(seconds[1:])
    return Row(
        part="intake",
        what=f"intake of {N_FILES:,} unchanged files, second time",
        ours=later,
        unit="s",
        against="first time",
        theirs=first,
        ratio=later / first,
        goal=0.05,
        at_most=True,
    )
