"""Plan a large corpus: the sizes, times and costs of docs/scale.md, computed from measured rates.

Usage: python benchmarks/plan.py [--files N] [--gpus N] ... ; --help lists all rates, each with its unit and default.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import click

HOUR_S = 3600
GB = 1e9


@dataclass(frozen=True)
class Rates:
    """What is measured, or assumed until it is.

    Attributes
    ----------
    files, notes_per_file, bytes_per_file : the corpus
    intake_notes_per_s : of a core, reading and caching
    cache_bytes_per_note : on disk, all of the cache together
    table_bytes_per_file : in the memory of each worker, for a file of the corpus
    cores : that read, on all hosts
    training_notes_per_s : of a GPU
    gpus, gpus_per_host : that train
    epochs : passes over the corpus
    parameters : of the model
    network_bytes_per_s : of a host, each way
    step_notes : notes of a step and GPU
    core_cost_per_hour, gpu_cost_per_hour, disk_cost_per_gb_month : in one currency
    """

    files: int = 10_000_000
    notes_per_file: int = 3_000
    bytes_per_file: int = 25_000
    intake_notes_per_s: float = 420_000
    cache_bytes_per_note: float = 30
    table_bytes_per_file: float = 1_200
    cores: int = 128
    training_notes_per_s: float = 200_000
    gpus: int = 100
    gpus_per_host: int = 8
    epochs: float = 1
    parameters: int = 10_000_000
    network_bytes_per_s: float = 3e9
    step_notes: int = 64 * 128
    core_cost_per_hour: float = 0.05
    gpu_cost_per_hour: float = 3.0
    disk_cost_per_gb_month: float = 0.1

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not value > 0:
                raise click.UsageError(f"--{name.replace('_', '-')} {value}: expected more than 0")


def plan(rates: Rates) -> list[tuple[str, float, str, str]]:
    """Rows of (what, figure, unit, how it is computed)."""
    r = rates
    notes = r.files * r.notes_per_file
    core_hours = notes / r.intake_notes_per_s / HOUR_S
    cache_gb = notes * r.cache_bytes_per_note / GB
    step_s = r.step_notes / r.training_notes_per_s
    hosts = -(-r.gpus // r.gpus_per_host)
    # A ring sends the gradients, float32, nearly twice through each host's network.
    exchange_s = 2 * (hosts - 1) / hosts * r.parameters * 4 / r.network_bytes_per_s
    share = step_s / (step_s + exchange_s)  # the exchange begins when the step's gradients are there
    rate = r.gpus * r.training_notes_per_s * share
    gpu_hours = r.gpus * r.epochs * notes / rate / HOUR_S
    return [
        ("notes in the corpus", notes / 1e9, "billion", "files x notes per file"),
        ("MIDI files on disk", r.files * r.bytes_per_file / GB, "GB", "files x bytes per file"),
        ("cache on disk", cache_gb, "GB", "notes x bytes per note in the cache"),
        ("a worker's table of pieces", r.files * r.table_bytes_per_file / GB, "GB", "files x bytes per file in memory"),
        ("intake, in all", core_hours, "core hours", "notes / notes per second of a core"),
        ("intake, elapsed", core_hours / r.cores, "hours", "core hours / cores"),
        ("intake, cost", core_hours * r.core_cost_per_hour, "", "core hours x cost of one"),
        ("hosts", hosts, "", "GPUs / GPUs per host"),
        ("a step without exchange", 1e3 * step_s, "ms", "notes of a step and GPU / notes per second of a GPU"),
        ("exchange of gradients", 1e3 * exchange_s, "ms", "2 (hosts - 1) / hosts x 4 bytes x parameters / network"),
        ("share of a step that computes", 100 * share, "%", "step / (step + exchange)"),
        ("training", rate / 1e6, "million notes/s", "GPUs x notes per second of a GPU x that share"),
        ("training, elapsed", gpu_hours / r.gpus, "hours", "epochs x notes / notes per second of all"),
        ("training, cost", gpu_hours * r.gpu_cost_per_hour, "", "GPU hours x cost of one"),
        ("cache, cost of a month", cache_gb * r.disk_cost_per_gb_month, "", "GB x cost of one"),
    ]


def table(rates: Rates) -> str:
    """The plan as a Markdown table."""
    lines = ["| what | figure | computed as |", "|---|---:|---|"]
    for what, figure, unit, how in plan(rates):
        digits = 0 if figure >= 100 or figure == int(figure) else 1 if figure >= 10 else 2
        lines.append(f"| {what} | {figure:,.{digits}f}{' ' + unit if unit else ''} | {how} |")
    return "\n".join(lines)


@click.command()
def main(**rates: float) -> None:
    """Compute the plan of docs/scale.md from rates."""
    click.echo(table(Rates(**rates)))


for _field in dataclasses.fields(Rates):
    main = click.option(
        f"--{_field.name.replace('_', '-')}",
        type=int if _field.type == "int" else float,
        default=_field.default,
        show_default=True,
        help=_field.name.replace("_", " ") + ".",
    )(main)

if __name__ == "__main__":
    main()
