"""However a command that plays is ended, nothing sounds on: whole processes, and a MIDI port that keeps a log."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import tune

from melodygru import midi

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "checkpoints" / "starter.keras"
# mido's backend in the process: one port, which is lost when it was handed `LOST_AFTER` messages, and for a while then.
BACKEND = textwrap.dedent("""
    import os
    import time

    left = int(os.environ.get("LOST_AFTER", -1))
    away_s = float(os.environ.get("LOST_FOR_S", 0))
    lost = None
    log = open(os.environ["PORT_LOG"], "a", buffering=1)

    def get_devices(**kwargs):
        if lost is not None and time.monotonic() - lost < away_s:
            return []
        return [{"name": "Synth", "is_input": False, "is_output": True}]

    class Output:
        def __init__(self, name, **kwargs):
            print("open", file=log)

        def send(self, message):
            global left, lost
            if left == 0 and lost is None:
                lost = time.monotonic()
                print("lost", file=log)
            left -= 1
            if lost is not None and time.monotonic() - lost < away_s:
                raise OSError("unplugged")
            value = message.control if message.type == "control_change" else getattr(message, "note", "")
            print(message.type, message.channel, value, file=log)

        def close(self):
            print("close", file=log)
""")
SIGNALS = [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)]
COMMANDS = {
    "play": ["play", "song.mid", "--port", "Synth"],
    "endless": ["play", "--endless", "--model", MODEL, "--seed", 1, "--port", "Synth"],
    "generate": ["generate", "--model", MODEL, "--seconds", 300, "--seed", 1, "--port", "Synth", "-o", "out"],
}

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without telling it")


@pytest.fixture
def start(tmp_path):
    """Start a command with the port; gives the process and the path of what the port got."""
    (tmp_path / "writing_down.py").write_text(BACKEND)
    midi.write(tune(60, bars=20), tmp_path / "song.mid")
    log = tmp_path / "port.log"
    log.touch()
    started = []

    def run(command, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "melodygru", *map(str, COMMANDS[command])],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)]),
                "MIDO_BACKEND": "writing_down",
                "PORT_LOG": str(log),
                "MELODYGRU_CACHE": str(tmp_path / "cache"),
                **{name: str(value) for name, value in environment.items()},
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        started.append(process)
        return process, log

    yield run
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def await_line(process, log, begins, times=1):
    """Wait until the port was handed such a message so many times."""
    end = time.monotonic() + 60
    while sum(line.startswith(begins) for line in log.read_text().splitlines()) < times:
        assert process.poll() is None and time.monotonic() < end, process.communicate()[1]
        time.sleep(0.01)


def sounding(lines):
    """What sounds at a synthesiser after these messages, and the channels that were played on."""
    heard, channels = Counter(), set()
    for line in lines:
        kind, *values = line.split()
        if kind == "note_on":
            heard[tuple(values)] += 1
            channels.add(values[0])
        elif kind == "note_off":
            heard[tuple(values)] -= 1
    return +heard, channels


def ended(process, number):
    """Wait for the process; what it said, which must be no traceback."""
    errors = process.communicate(timeout=30)[1]
    assert "Traceback" not in errors
    assert process.returncode in (-number, 128 + number), errors
    return errors


@pytest.mark.parametrize("number", sorted(set(SIGNALS)))
@pytest.mark.parametrize("command", COMMANDS)
def test_signals_silence_every_note(start, command, number):
    process, log = start(command)
    await_line(process, log, "note_on", times=3)
    process.send_signal(number)
    ended(process, number)
    lines = log.read_text().splitlines()
    heard, channels = sounding(lines)
    assert not heard and channels
    for channel in channels:
        for control in (123, 120):
            assert f"control_change {channel} {control}" in lines
    assert lines[-1] == "close"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_port_that_was_lost_is_silenced_first_when_it_is_back(start, command):
    process, log = start(command, LOST_AFTER=6, LOST_FOR_S=0.3)
    await_line(process, log, "open", times=2)
    await_line(process, log, "note_on", times=6)
    process.send_signal(signal.SIGINT)
    ended(process, signal.SIGINT)
    lines = log.read_text().splitlines()
    again = lines.index("open", 1)
    assert lines[lines.index("lost") + 1 : again] == ["close"]  # nothing is sent meanwhile
    silenced = [f"control_change {channel} {control}" for channel in range(16) for control in (123, 120)]
    assert lines[again + 1 : again + 33] == silenced
    assert lines[again + 33].startswith("program_change")
    heard, _ = sounding(lines[again + 33 :])
    assert not heard and lines[-1] == "close"


@pytest.mark.parametrize(("command", "number"), list(zip(COMMANDS, SIGNALS, strict=True)))
def test_a_signal_ends_the_wait_for_a_lost_port(start, command, number):
    process, log = start(command, LOST_AFTER=6, LOST_FOR_S=50)
    await_line(process, log, "lost")
    time.sleep(1)  # it is said a moment later
    process.send_signal(number)
    errors = ended(process, number)
    assert errors.count("MIDI port Synth is lost (unplugged); waiting for it") == 1
