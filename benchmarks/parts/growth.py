"""How reading and training grow with the number of files: time, memory, and an interruption.

    PYTHONPATH=. python benchmarks/parts/growth.py 100 1000 10000 100000

measures other sizes than `bench.py` does. Either writes growth.json and growth.png beside `bench.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SIZES = (100, 1_000, 10_000)
MINUTES = 0.2  # of training; its memory is at its height after the first few steps of the longest pieces


def measure(setting: Any) -> list[Any]:
    """A row for the time, for the memory of reading and of training, and for an interruption."""
    return rows(series(SIZES))


def rows(found: list[dict[str, float]]) -> list[Any]:
    from parts.row import Row

    few, many = found[0], found[-1]
    middle = found[-2]
    small, large = (f"{int(size['files']):,}" for size in (few, many))
    each = [1e3 * size["seconds"] / size["files"] for size in (many, middle)]
    made = [
        Row(
            "growth", f"intake of {large} files, one process", each[0], "ms a file", f"{int(middle['files']):,} files",
            each[1], each[0] / each[1], 1.2, at_most=True,
        ),
        Row(
            "growth", f"files read when an intake of {large} is killed half-way and run again", many["read"], "files",
            "reading each once", many["files"], many["read"] / many["files"], 1.01, at_most=True,
        ),
    ]  # fmt: skip
    for key, what in (("mib", "intake"), ("training_mib", "training, preset tiny,")):
        made.append(
            Row(
                "growth", f"peak memory of {what} of {large} files", many[key], "MiB", f"{small} files",
                few[key], many[key] / few[key], 1.5, at_most=True,
            )
        )  # fmt: skip
    return made


def series(sizes: tuple[int, ...]) -> list[dict[str, float]]:
    """What was measured at each size; written as it goes."""
    found = []
    for n_files in sizes:
        print(f"growth: {n_files:,} files", file=sys.stderr)
        found.append(at(n_files, interrupted=n_files == sizes[-1]))
        (HERE.parent / "growth.json").write_text(json.dumps(found, indent=2) + "\n")
    draw(found, HERE.parent / "growth.png")
    return found


def at(n_files: int, interrupted: bool) -> dict[str, float]:
    """Reading, and a short training, of so many files, each in a process of its own; at last with an interruption."""
    from parts import copies

    with tempfile.TemporaryDirectory(prefix="melodygru-growth-") as name:
        folder, cache = Path(name) / "files", Path(name) / "cache"
        copies.make(folder, n_files)
        reading = child("read", folder, cache)
        training = child("train", folder, cache)
        found = {
            "files": n_files,
            "notes": reading["notes"],
            **{key: reading[key] for key in ("seconds", "mib", "anonymous_mib")},
            **{f"training_{key}": training[key] for key in ("mib", "anonymous_mib")},
            "steps": training["steps"],
        }
        if interrupted:
            again = Path(name) / "again"
            done = child("read", folder, again, kill_after=n_files // 2)["done"]
            lost = 16  # at most: a batch was begun when the process was killed
            found["read"] = done + lost + child("read", folder, again)["read"]
        return found


def child(what: str, folder: Path, cache: Path, kill_after: int | None = None) -> dict[str, Any]:
    """What a process of its own finds; or how far it was when it was killed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])}
    command = [sys.executable, __file__, what, folder, cache]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found: dict[str, Any] = {}
        for line in process.stdout:
            found = json.loads(line)
            if kill_after is not None and found.get("done", 0) >= kill_after:
                process.kill()
                break
    if kill_after is None and process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return found


def memory() -> dict[str, float]:
    """Peak memory of this process in MiB: all of it, and without the pages of mapped files (sampled by `watch`)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return {"mib": int(line.split()[1]) / 1024, "anonymous_mib": max(anonymous) / 1024}
    raise OSError("no VmHWM in /proc/self/status: this needs Linux")


anonymous: list[int] = [0]


def watch() -> None:
    """Keep the highest RssAnon in `anonymous`; pages of mapped files are the system's to take back."""
    import threading
    import time

    def sample() -> None:
        while True:
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("RssAnon"):
                    anonymous[0] = max(anonymous[0], int(line.split()[1]))
            time.sleep(0.02)

    threading.Thread(target=sample, daemon=True).start()


def read(folder: Path, cache: Path) -> None:
    """Read a folder in this process; prints how far it is, and at last what it took."""
    import time

    from melodygru import midi
    from melodygru.corpus import intake

    counted, real = [0], midi.read

    def counting(source: Any) -> Any:
        counted[0] += 1
        return real(source)

    midi.read = counting  # type: ignore[assignment]
    began = time.perf_counter()
    corpus = intake(
        folder, cache=cache, workers=1, progress=lambda done, _: print(json.dumps({"done": done}), flush=True)
    )
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "notes": corpus.report.notes, "read": counted[0], **memory()}))


def train(folder: Path, cache: Path) -> None:
    """A short training on a folder that has been read."""
    from melodygru.corpus import intake, split
    from melodygru.training import Settings, Trainer, fit, new_model

    training, held_out = split(intake(folder, cache=cache, workers=1))
    styles = [piece.style for piece in training.pieces]
    model = new_model(*fit(training, "tiny"), 1, training)
    settings = Settings(minutes=MINUTES, seed=1)
    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(model, (training, styles), held_out, settings, Path(output) / "tiny.keras")
        trainer.run(lambda progress: None)
    print(json.dumps({"steps": trainer.position.step, **memory()}))


def draw(found: list[dict[str, float]], path: Path) -> None:
    """Time, and memory, against the number of files."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    files = [size["files"] for size in found]
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.loglog(files, [size["seconds"] for size in found], "o-", color="#2a6f9d", label="intake, one process")
    start = found[-1]["seconds"] / files[-1]
    left.loglog(files, [start * n for n in files], "--", color="grey", linewidth=1, label="linear")
    left.set_ylabel("seconds")
    left.set_title("Time")
    for key, label, colour in (("training_", "training, preset tiny", "#d9822b"), ("", "intake", "#2a6f9d")):
        right.semilogx(files, [size[f"{key}mib"] for size in found], "o-", color=colour, label=label)
        right.semilogx(
            files, [size[f"{key}anonymous_mib"] for size in found], "o:", color=colour, label="without mapped files"
        )
    right.set_ylim(0, 1.5 * max(size["training_mib"] for size in found))  # room for the legend
    right.set_ylabel("MiB at the peak")
    right.set_title("Memory")
    for axes in (left, right):
        axes.set_xlabel("files")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    left.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "benchmarks"))
    if sys.argv[1:2] in (["read"], ["train"]):
        watch()
        {"read": read, "train": train}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        for row in rows(series(tuple(map(int, sys.argv[1:])) or SIZES)):
            print(f"{row.what}: {row.ours:.4g} {row.unit}, {row.against} {row.theirs:.4g}, ratio {row.ratio:.3g}")
