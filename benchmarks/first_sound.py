"""How soon it sounds: from the start of a cold process to the first sample or message that is handed to a stand-in.

    python benchmarks/first_sound.py [--repeats 5] [--model FILE] [--seconds 60]

Each command runs as a process of its own, in turns with the others, and is ended by Ctrl-C at its first sound. The
stand-ins for the sound device and the MIDI port take what they are given in real time and note when it came. A real
device opens more slowly, and sounds up to its buffer of 0.3 s after it was given the samples. The first sample counts
that is above -60 dBFS, so silence before the music counts as waiting. `python -c pass` is what Python itself takes.
Beside the wall time stands the time of the process alone, since other programs slow the first one down.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

# As miniaudio, which is loaded too, for that takes its time; 10 ms of samples are taken every 10 ms.
SPEAKERS = """
import enum, importlib, os, sys, threading, time, types

this = sys.modules.pop(__name__)
sys.path.remove(os.path.dirname(__file__))
try:
    importlib.import_module("miniaudio")
except ImportError:
    pass
sys.modules[__name__] = this

Backend = enum.Enum("Backend", "ALSA CUSTOM NULL")
SampleFormat = types.SimpleNamespace(FLOAT32="float32")
MiniaudioError = type("MiniaudioError", (Exception,), {})

class PlaybackDevice:
    backend = "stand-in"

    def __init__(self, sample_rate, buffersize_msec, **settings):
        self.buffersize_msec, self._n, self._closed = buffersize_msec, sample_rate // 100, False

    def start(self, generator):
        def take():
            heard, due = False, time.monotonic()
            while not self._closed:
                try:
                    chunk = generator.send(self._n)
                except StopIteration:
                    return
                if not heard and len(chunk) and abs(chunk).max() > 1e-3:
                    heard = True
                    print(time.monotonic(), time.process_time(), file=open(os.environ["HEARD"], "w"), flush=True)
                due += 0.01
                time.sleep(max(0.0, due - time.monotonic()))
        threading.Thread(target=take, daemon=True).start()

    def close(self):
        self._closed = True
"""
PORT = """
import os, time

def get_devices(**settings):
    return [{"name": "Stand-in", "is_input": False, "is_output": True}]

class Output:
    def __init__(self, name, **settings):
        self.heard = False

    def send(self, message):
        if message.type == "note_on" and not self.heard:
            self.heard = True
            print(time.monotonic(), time.process_time(), file=open(os.environ["HEARD"], "w"), flush=True)

    def close(self):
        pass
"""
PATIENCE_S = 60.0


def first_sound(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Seconds from the start of the process until it sounds, and those of them that it had a core."""
    heard = folder / "heard"
    heard.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder / "fakes"), os.getcwd(), os.environ.get("PYTHONPATH", "")]),
        "MIDO_BACKEND": "stand_in_port",
        "HEARD": str(heard),
    }
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "melodygru", *arguments], env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while not heard.exists() or not (text := heard.read_text()).endswith("\n"):
            if process.poll() is not None or time.monotonic() - started > PATIENCE_S:
                process.kill()
                raise click.ClickException(f"{' '.join(arguments)}: nothing sounded: {process.communicate()[1]}")
            time.sleep(0.005)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
            process.communicate()
    heard_at, own = map(float, text.split())
    return heard_at - started, own


def bare() -> tuple[float, float]:
    """Seconds that Python takes to start and end, twice."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return (time.monotonic() - started,) * 2


@click.command(help=__doc__)
@click.option("--repeats", default=5, show_default=True)
@click.option(
    "--model", type=click.Path(exists=True, path_type=Path), help="Checkpoint; default: generate's own choice."
)
@click.option("--seconds", default=60.0, show_default=True, help="Of music that generate composes.")
@click.option("--seed", default=1, show_default=True, help="The pieces: this one and those that follow.")
def main(repeats: int, model: Path | None, seconds: float, seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "fakes").mkdir()
        (folder / "fakes" / "miniaudio.py").write_text(SPEAKERS)
        (folder / "fakes" / "stand_in_port.py").write_text(PORT)
        chosen = [] if model is None else ["--model", str(model)]
        generate = ["generate", "--seconds", str(seconds), "-o", str(folder / "out"), *chosen]
        commands = {
            "generate --play": [*generate, "--play"],
            "generate --port": [*generate, "--port", "Stand-in"],
            "play --endless": ["play", "--endless", *chosen],
            "play --endless --port": ["play", "--endless", "--port", "Stand-in", *chosen],
        }
        took: dict[str, list[tuple[float, float]]] = {command: [] for command in (*commands, "python -c pass")}
        for repeat in range(repeats):
            for command, arguments in commands.items():
                took[command].append(first_sound([*arguments, "--seed", str(seed + repeat)], folder))
            took["python -c pass"].append(bare())
    figures = {
        "first_sound_s": {
            command: {
                "median": round(statistics.median(wall), 3),
                "most": round(max(wall), 3),
                "median_own_cpu": round(statistics.median(own), 3),
            }
            for command, (wall, own) in ((command, zip(*each, strict=True)) for command, each in took.items())
        },
        "repeats": repeats,
        "load": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "cores": os.cpu_count(),
    }
    click.echo(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
