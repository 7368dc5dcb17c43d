"""How fast melodygru is, as ratios against peers and against the machine's limits, part by part.

    python benchmarks/bench.py [PART ...] [--data DATA] [--peers PYTHON] [--threads N]

Each part runs in a process of its own. Its rows go into `results.json` with the machine's description, in place of
those of its last run; parts that are not run keep theirs. Where the peers are not installed, rows against them are
left out, and named. Prints all rows as a Markdown table, draws `results.png`.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import importlib
import importlib.metadata
import json
import multiprocessing
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
from parts.row import Row, Setting, thread_variables

from melodygru.util.atomic import atomic_write

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PEERS_PYTHON = HERE.parent / ".venv-peers" / "bin" / "python"  # as `make bench` makes it
AGAINST_PEERS = {"training": "PyTorch", "sampling": "Notochord", "intake": "MidiTok"}  # part -> whom its rows need
PARTS = ("training", "pipeline", "tokens", "sampling", "start", "intake", "growth")  # modules of the folder `parts`
OURS = ("tensorflow", "keras", "numpy", "mido")
THEIRS = ("torch", "notochord", "miditok", "numpy")  # in the peers' environment


def measured(name: str, setting: Setting) -> list[Row]:
    """The rows of a part, from a fresh process: its libraries, threads and caches are its own."""
    os.environ.update(thread_variables(setting.threads))
    fresh = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=fresh) as process:
        return process.submit(_measure, name, setting).result()


def _measure(name: str, setting: Setting) -> list[Row]:
    return importlib.import_module(f"parts.{name}").measure(setting)


def peer_versions(python: Path) -> dict[str, str]:
    """The versions of the peers that an environment has, by name; an installation that broke off leaves some out."""
    code = (
        "from importlib.metadata import distributions\n"
        f"print(*{{f'{{d.name}} {{d.version}}' for d in distributions() if d.name in {THEIRS}}}, sep='\\n')"
    )
    try:
        run = subprocess.run([python, "-I", "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    except (OSError, subprocess.CalledProcessError):
        return {}
    found = dict(line.split() for line in run.stdout.splitlines() if line)
    return {name: found[name] for name in THEIRS if name in found}


def unusable(peers: Path | None) -> str | None:
    """Why nothing can be measured against the peers of an environment; None if all are there."""
    if peers is None:
        return "there is no .venv-peers (make bench installs it)"
    versions = peer_versions(peers)
    missing = [name for name in THEIRS if name not in versions]
    return f"{peers} lacks {', '.join(missing)}" if missing else None


def left_out(names: Sequence[str], why: str) -> str | None:
    """One line that says which rows of the parts `names` are left out without peers; None if they need none."""
    rows = [f"{name} against {AGAINST_PEERS[name]}" for name in names if name in AGAINST_PEERS]
    return f"left out: {', '.join(rows)}; {why}" if rows else None


def describe_machine(setting: Setting) -> dict[str, Any]:
    """Processor, cores, threads used, memory, and versions, as plain values."""
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    theirs = peer_versions(setting.peers) if setting.peers is not None else {}
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": setting.threads,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in OURS},
        "numpy_blas": f"{blas['name']} {blas['version']}",
        "peers": theirs,
    }


def _processor() -> str:
    """The processor's name; Linux keeps it in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def read(path: Path) -> dict[str, Any]:
    """Part name -> its machine, time and rows, as plain values; empty before the first run."""
    return json.loads(path.read_text())["parts"] if path.exists() else {}


def merge(path: Path, name: str, rows: list[Row], machine: dict[str, Any]) -> dict[str, Any]:
    """Put a part's rows in the place of those it had, leave the other parts' as they are, write; returns all parts."""
    recorded = datetime.now(timezone.utc).isoformat(timespec="seconds")
    new = {"recorded": recorded, "machine": machine, "rows": [dataclasses.asdict(row) for row in rows]}
    parts = {**read(path), name: new}
    parts = {part: parts[part] for part in PARTS if part in parts}
    with atomic_write(path) as aside:
        aside.write_text(json.dumps({"parts": parts}, indent=2) + "\n")
    return parts


def rows_of(parts: dict[str, Any]) -> list[Row]:
    """The rows of all parts, in the order of PARTS."""
    return [Row(**row) for part in parts.values() for row in part["rows"]]


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| what | ours | against | theirs | unit | ratio | goal | |", "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        goal = f"at {'most' if row.at_most else 'least'} {row.goal:g}"
        cells = [row.what, rounded(row.ours), row.against, rounded(row.theirs), row.unit, rounded(row.ratio), goal]
        lines.append("| " + " | ".join([*cells, "reached" if row.reached else "**missed**"]) + " |")
    return "\n".join(lines)


def rounded(value: float) -> str:
    """Three digits that count, thousands separated: 0.0123, 1.23, 123, 12,300."""
    if value == 0:
        return "0"
    rounded_value = float(f"{value:.3g}")
    return f"{rounded_value:,.0f}" if abs(rounded_value) >= 100 else f"{rounded_value:g}"


def draw(rows: list[Row], path: Path) -> None:
    """A bar for each ratio on a log scale, from 1 (as fast as what it is measured against), its goal a black mark."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 1.2 + 0.52 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    reached, missed = "#2a9d6f", "#d9822b"
    values = [value for row in rows for value in (row.ratio, row.goal)]
    for y, row in enumerate(rows):
        axes.barh(y, row.ratio - 1, left=1, height=0.6, color=reached if row.reached else missed)
        axes.plot([row.goal] * 2, [y - 0.42, y + 0.42], color="black", linewidth=2.5, solid_capstyle="butt")
        sign = "≤" if row.at_most else "≥"
        end = max(row.ratio, row.goal, 1)
        axes.annotate(
            f"{rounded(row.ratio)}  ({sign} {row.goal:g})", (end, y), (6, 0), textcoords="offset points", va="center"
        )
    axes.set_xscale("log")
    axes.set_xlim(min([0.5, *values]) / 1.5, max([2, *values]) * 6)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [f"{row.what}\nagainst {row.against}" for row in rows], fontsize=8)
    axes.set_xlabel("ours against theirs, log scale; black mark: the goal; green: reached, orange: missed")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    with atomic_write(path) as aside:
        figure.savefig(aside, dpi=150)


@click.command(help=__doc__)
@click.argument("names", metavar="[PART]...", nargs=-1, type=click.Choice(PARTS))
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of corpora, DATA/<corpus>/train and DATA/<corpus>/valid.",
)
@click.option(
    "--peers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=PEERS_PYTHON if PEERS_PYTHON.exists() else None,
    help="Python of the environment in which the peers are installed.  [default: that of .venv-peers]",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    default=os.cpu_count(),
    help="CPU threads, for ours and theirs alike.  [default: one a core]",
)
def main(names: tuple[str, ...], data: Path | None, peers: Path | None, threads: int) -> None:
    peers = peers.absolute() if peers else None  # not resolved: a link into an environment is that environment
    if why := unusable(peers):
        peers = None
        if line := left_out(names or PARTS, why):
            click.echo(line, err=True)
    setting = Setting(data.resolve() if data else None, peers, threads)
    machine = describe_machine(setting)
    parts = read(RESULTS)
    for name in names or PARTS:
        click.echo(f"measuring {name}", err=True)
        rows = measured(name, setting)
        if rows:
            parts = merge(RESULTS, name, rows, machine)
    rows = rows_of(parts)
    if rows:
        click.echo(table(rows))
        draw(rows, RESULTS.with_suffix(".png"))


if __name__ == "__main__":
    main()
