"""The likelihood table: train each corpus's models and evaluate them exactly, by the command line's own defaults.

    python benchmarks/likelihood.py DATA
    python benchmarks/likelihood.py DATA --corpus jsb_quarter --minutes 20
    python benchmarks/likelihood.py DATA --corpus maestro_v3 --minutes 240 --threads 2   # 8 core-hours

Without --corpus it is all but maestro_v3, which takes hours.

DATA holds `<corpus>/train` and `<corpus>/valid`. Models go to benchmarks/models/; one that is there is evaluated and
not trained again, and an interrupted training is resumed. The figures go to benchmarks/likelihood.json, corpus by
corpus, and all that is known is printed as a table.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np

HERE = Path(__file__).parent
RESULTS = HERE / "likelihood.json"
MODELS = HERE / "models"
# Of each corpus: seeds, its published figures' unit, the figure that has it, and what it is divided by.
CORPORA: dict[str, tuple[int, str, str, float]] = {
    "jsb16": (3, "nats per grid note", "nats_per_step", 4.0),
    "jsb_quarter": (1, "nats per frame", "nats_per_step", 1.0),
    "nottingham": (1, "nats per frame", "nats_per_step", 1.0),
    "maestro": (1, "nats per note", "nats_per_note", 1.0),
    "maestro_v3": (1, "nats per performance event", "nats_per_performance_event", 1.0),
}
LONG = ("maestro_v3",)  # trained for hours, only where they are asked for; how they went on is shown


def melodygru(*arguments: str | Path) -> dict[str, Any]:
    """What a command of the command line reports as JSON."""
    command = [sys.executable, "-m", "melodygru", *map(str, arguments), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:  # it has said why
        raise click.ClickException(f"melodygru {arguments[0]} ended with exit code {done.returncode}")
    return json.loads(done.stdout)


def train(data: Path, corpus: str, seed: int, options: list[str]) -> Path:
    """The trained model of a corpus and a seed."""
    output = MODELS / (f"{corpus}.keras" if seed == 0 else f"{corpus}-{seed}.keras")
    if output.with_suffix(".resume").exists():
        options = [*options, "--resume"]
    elif output.exists():
        return output
    folder = data / corpus
    melodygru(
        "train", folder / "train", "--validation", folder / "valid", "--seed", str(seed), "--output", output, *options
    )
    return output


def measure(data: Path, corpus: str, model: Path) -> dict[str, Any]:
    """The exact figures of a model on the validation pieces, and what its training was."""
    from melodygru.model import checkpoint

    _, unit, name, divisor = CORPORA[corpus]
    found = melodygru("evaluate", data / corpus / "valid", "--model", model)
    read = checkpoint.read(model)
    history = read.card["history"]
    return {
        "model": model.name,
        "figure": found[name] / divisor,
        "unit": unit,
        "nats_per_note": found["nats_per_note"],
        "nats_per_second": found["nats"] / found["seconds"],
        "parameters": read.n_parameters,
        "minutes_to_this_checkpoint": history[-1]["minutes"],
        "settings": read.card["settings"],
        "lossy_notes": found["lossy_notes"],
        "unmodelled": found["unmodelled"],
        "nats_per_performance_event": found.get("nats_per_performance_event"),
        "history": [[row["minutes"], row["validation_nats_per_note"]] for row in history],
    }


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """All figures as Markdown."""
    lines = [
        "| corpus | unit | seeds | held out | parameters | minutes to the best checkpoint |",
        "|---|---|---|---|---|---|",
    ]
    for corpus, runs in results.items():
        figures = [run["figure"] for run in runs]
        shown = f"{np.mean(figures):.4f}"
        if len(figures) > 1:
            each = ", ".join(f"{figure:.4f}" for figure in figures)
            shown += f" ± {np.std(figures, ddof=1):.4f} ({each})"
        minutes = ", ".join(f"{run['minutes_to_this_checkpoint']:.1f}" for run in runs)
        unit, parameters = runs[0]["unit"], runs[0]["parameters"]
        lines.append(f"| {corpus} | {unit} | {len(runs)} | {shown} | {parameters:,} | {minutes} |")
    for corpus in LONG:
        for run in results.get(corpus, ()):
            lines += ["", f"{corpus}, {run['model']}:", "", "| minutes | nats per note, held out |", "|---|---|"]
            lines += [f"| {minutes:.1f} | {nats:.3f} |" for minutes, nats in thinned(run["history"])]
    return "\n".join(lines)


def thinned(rows: list[list[float]], n: int = 8) -> list[list[float]]:
    """At most n rows, of evenly spaced minutes, the last among them."""
    minutes = np.array([row[0] for row in rows])
    wanted = np.linspace(minutes[-1] / n, minutes[-1], n)
    return [rows[index] for index in sorted({int(np.abs(minutes - one).argmin()) for one in wanted})]


@click.command(help=__doc__)
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--corpus", "chosen", multiple=True, type=click.Choice(list(CORPORA)), help="Only this one; repeatable.")
@click.option("--minutes", type=float, help="Minutes for each model.  [default: what train chooses]")
@click.option("--threads", type=int, help="CPU threads.")
def main(data: Path, chosen: tuple[str, ...], minutes: float | None, threads: int | None) -> None:
    options = [] if minutes is None else ["--minutes", str(minutes)]
    options += [] if threads is None else ["--threads", str(threads)]
    for corpus in chosen or [name for name in CORPORA if name not in LONG]:
        seeds = CORPORA[corpus][0]
        measured = [measure(data, corpus, train(data, corpus, seed, options)) for seed in range(seeds)]
        # Read again: another corpus may have been measured meanwhile.
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results[corpus] = measured
        RESULTS.write_text(json.dumps({name: results[name] for name in CORPORA if name in results}, indent=1) + "\n")
    click.echo(table(json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
