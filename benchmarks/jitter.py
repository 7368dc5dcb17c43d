"""How late MIDI messages are sent against their schedule, while music is composed: an in-process port.

    python benchmarks/jitter.py [--minutes 10] [--model FILE] [--seed 1]

The port notes the time at which it is handed each message. The music is `melodygru play --endless`: it is composed in
the same process, as it plays. A message is due at its second of the music; how late it comes is the figure.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from melodygru import Composer, GenerateSettings
from melodygru.cli import endless
from melodygru.render.audio import LivePort


class Port:
    """Notes when each message is due, and when it comes."""

    def __init__(self) -> None:
        self.due: list[float] = []
        self.sent: list[float] = []
        self._next: float | None = None

    def expect(self, due: float) -> None:
        """The next message is due at this time of `time.perf_counter`."""
        self._next = due

    def send(self, message: Any) -> None:
        """Take a message; those that silence the port at the end have no time at which they are due."""
        if self._next is not None and message.type in ("note_on", "note_off"):
            self.due.append(self._next)
            self.sent.append(time.perf_counter())
            self._next = None


@click.command(help=__doc__)
@click.option("--minutes", default=10.0, show_default=True, help="Of music, played in real time.")
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="Checkpoint; default: play's own choice.")
@click.option("--seed", default=1, show_default=True)
def main(minutes: float, model: Path | None, seed: int) -> None:
    stream = Composer.load(model).stream(GenerateSettings(top_p=0.9, seed=seed))
    port = Port()
    player = LivePort(port, endless.AHEAD_S, on_due=port.expect)
    endless.run(stream, player, seconds=60 * minutes)
    late_ms = 1000 * (np.array(port.sent) - np.array(port.due))
    percentiles = {f"p{p:g}": round(float(np.percentile(late_ms, p)), 3) for p in (50, 90, 99, 99.9, 100)}
    figures = {
        "messages": len(late_ms),
        "minutes": round((port.sent[-1] - port.sent[0]) / 60, 2),
        "late_ms": percentiles,
        "earliest_ms": round(float(late_ms.min()), 3),
        "underruns": player.underruns,
        "load": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "cores": os.cpu_count(),
    }
    click.echo(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
