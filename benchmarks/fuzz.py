"""MIDI files that are damaged at random: none may break the readers, and the fast one should read most of them.

    python benchmarks/fuzz.py [-n FILES] [--folder DATA] [--seed N] [--json FILE]

FILES (10,000) are made from small ones of the starter corpus (or of a folder): a few bytes set to random values, bits
flipped, bytes cut out, put in or repeated, the end cut off. Each is read; whatever isn't a `MidiError` is a failure.
Of one in `EVERY` the slow reader's notes and counts are compared with the fast one's.

readable    files that are read, damaged or not
fast        of these, in the vectorised reader (`midi.bulk.read_undamaged`); the others are read event by event
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np

from melodygru import midi
from melodygru.errors import MidiError
from melodygru.midi.bulk import read, read_undamaged
from melodygru.midi.chunks import parse_chunks

STARTER = Path(__file__).resolve().parents[1] / "data" / "starter"
MOST_BYTES = 4096
SOURCES = 60
EVERY = 10


def damaged(data: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """A file with one kind of damage, and the kind."""
    kind = ("set", "flip", "cut out", "put in", "repeat", "truncate")[rng.integers(6)]
    at = int(rng.integers(len(data)))
    size = int(rng.integers(1, 9))
    if kind == "set":
        changed = bytearray(data)
        for place in rng.integers(0, len(data), size):
            changed[place] = rng.integers(256)
        return kind, bytes(changed)
    if kind == "flip":
        changed = bytearray(data)
        for place in rng.integers(0, len(data), size):
            changed[place] ^= 1 << int(rng.integers(8))
        return kind, bytes(changed)
    if kind == "cut out":
        return kind, data[:at] + data[at + size :]
    if kind == "put in":
        return kind, data[:at] + rng.bytes(size) + data[at:]
    if kind == "repeat":
        return kind, data[:at] + data[at : at + size] * 2 + data[at + size :]
    return kind, data[:at]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, default=STARTER)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    files = [Path(path) for path in midi.find_files(args.folder).values()]
    files = [path for path in files if path.stat().st_size <= MOST_BYTES]
    sources = [path.read_bytes() for path in np.array(files)[np.linspace(0, len(files) - 1, SOURCES).astype(int)]]
    counts: Counter[str] = Counter()
    failures: list[str] = []
    slowest = 0.0
    for number in range(args.n):
        kind, data = damaged(sources[rng.integers(len(sources))], rng)
        counts["files"] += 1
        begin = time.process_time()
        try:
            header = parse_chunks(data)
            fast = read_undamaged(data, header)
            reading = read(data) if fast is None else fast
        except MidiError:
            counts["refused"] += 1
            continue
        except Exception as error:  # noqa: BLE001 - a failure of ours, whatever it is
            failures.append(f"{number} ({kind}): {error!r}")
            continue
        slowest = max(slowest, time.process_time() - begin)
        counts["readable"] += 1
        counts["fast"] += fast is not None
        counts["with oddities"] += bool(reading.oddities.as_dict())
        if fast is not None and number % EVERY == 0:
            slow = midi.read_reference(data)
            counts["compared"] += 1
            if slow.sequence != fast.sequence or slow.oddities != fast.oddities:
                failures.append(f"{number} ({kind}): the two readers differ")
    print(", ".join(f"{name} {count:,}" for name, count in counts.items()))
    print(f"in the vectorised reader {counts['fast'] / max(1, counts['readable']):.1%} of the readable ones")
    print(f"slowest {slowest:.3f} s of CPU time; failures {len(failures)}")
    print(*failures, sep="\n")
    if args.json:
        args.json.write_text(json.dumps({**counts, "failures": failures}, indent=1) + "\n")
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
