"""How fast MIDI files are read, against another state of the code: ratios of CPU time, in turns on one machine.

    git worktree add ../before COMMIT
    python benchmarks/reading.py ../before [--data DATA] [--rounds N]

Each round starts a process for either state, which reads every file `REPEATS` times from memory; the least time counts.
Files are those of the starter corpus, and of DATA's `maestro` and `bands` where there are such folders.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 4
FILES = {"starter": 60, "maestro": 8, "bands": 20}


def measure(folders: list[str]) -> None:
    """Print the CPU seconds of each folder, by whatever melodygru is imported."""
    from melodygru import midi
    from melodygru.midi import bulk

    found = {}
    for folder in folders:
        paths = list(midi.find_files(folder).values())
        n = min(len(paths), FILES.get(Path(folder).name, len(paths)))
        files = [Path(paths[int(at)]).read_bytes() for at in np.linspace(0, len(paths) - 1, n)]
        times = []
        for _ in range(REPEATS):
            begin = time.process_time()
            for data in files:
                bulk.read(data)
            times.append(time.process_time() - begin)
        found[Path(folder).name] = min(times)
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure)
        return
    folders = [str(ROOT / "data" / "starter")]
    folders += [str(args.data / name) for name in ("maestro", "bands") if args.data and (args.data / name).is_dir()]
    times: dict[str, list[dict[str, float]]] = {"before": [], "now": []}
    for _ in range(args.rounds):
        for name, path in (("before", args.before), ("now", ROOT)):
            environment = {**os.environ, "PYTHONPATH": str(path.resolve()), "OMP_NUM_THREADS": "1"}
            command = [sys.executable, __file__, ".", "--measure", *folders]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            times[name].append(json.loads(done.stdout))
    for folder in times["now"][0]:
        before, now = (min(each[folder] for each in times[name]) for name in ("before", "now"))
        print(f"{folder:8s} {before * 1000:7.1f} ms before, {now * 1000:7.1f} ms now: ratio {now / before:.3f}")


if __name__ == "__main__":
    main()
