"""A server that composes for several clients at once, for a few seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[2] / "benchmarks" / "server.py"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="its memory is read from /proc")
def test_eight_clients_at_once_get_what_one_would_get() -> None:
    command = [sys.executable, SERVER, "--threads", "8", "--minutes", "0.3", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert (done.returncode, found["errors"], found["problems"]) == (0, 0, {}), done.stderr
    assert found["requests"] > 32 and found["refused"] >= 1  # each has each kind of file first
    before, after = found["states"]["before"], found["states"]["after"]
    assert after["threads"] == before["threads"]
    assert after["files"] <= before["files"] + 32  # fonts that Matplotlib keeps for each thread
