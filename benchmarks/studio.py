"""The studio as its user waits for it: from the command to the page, to the first note, to candidates; and its memory.

    python benchmarks/studio.py [--requests 1000] [--model FILE.keras]

Each row has the seconds that passed, and those that the server's processor worked: on a busy machine only the second
says anything. A usable page is the page, all its files and /api/status, asked as a browser asks.

    page        from the command, Python's start included
    note        from a press of Compose to the first note that can be heard
    piece       likewise to the end of a piece of eight bars
    redo        four candidates for four bars of one part of it
    requests    N of them: the piece, an edit and its undoing, the status, by turns; memory before and after
    eight       compositions at once, each compared with the same alone
"""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "melodygru" / "studio" / "static"


class Client:
    """Asks the studio of an address."""

    def __init__(self, address: str, process: int) -> None:
        self._port, self._token = re.findall(r":(\d+)/\?token=(\S+)", address)[0]
        self.process = process

    def ask(self, method: str, path: str, body: Any = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", int(self._port), timeout=600)
        headers = {"X-Melodygru-Token": self._token, "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        return answer

    def json(self, method: str, path: str, body: Any = None) -> Any:
        return json.loads(self.ask(method, path, body).read())

    def events(self, job: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The events of a job, as they come."""
        name = ""
        for line in self.ask("GET", f"/api/jobs/{job}/events"):
            text = line.decode().rstrip("\n")
            if text.startswith("event: "):
                name = text.removeprefix("event: ")
            elif text.startswith("data: "):
                yield name, json.loads(text.removeprefix("data: "))

    def done(self, job: str) -> dict[str, Any]:
        """What a job's last event says."""
        *_, (name, values) = self.events(job)
        assert name == "done", values
        return values

    @property
    def worked_s(self) -> float:
        """Seconds that the server's processor has worked."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def mebibytes(self) -> float:
        """Memory of the server."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


@contextmanager
def row(name: str, client: Client | None = None) -> Iterator[None]:
    """Within, time passes that a row tells."""
    began, worked = time.perf_counter(), 0.0 if client is None else client.worked_s
    yield
    passed = time.perf_counter() - began
    click.echo(f"{name:<10}{passed:8.2f} s" + ("" if client is None else f"{client.worked_s - worked:8.2f} s of CPU"))


@click.command(help=__doc__)
@click.option("--requests", default=1000, show_default=True)
@click.option("--model", type=click.Path(exists=True, path_type=Path), default=ROOT / "checkpoints" / "starter.keras")
def main(requests: int, model: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "melodygru", "studio", "--no-browser", "--model", str(model)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        began = time.perf_counter()
        studio = subprocess.Popen(
            [*command, "--folder", f"{folder}/project"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert studio.stdout is not None
            client = Client(studio.stdout.readline(), studio.pid)
            client.ask("GET", "/").read()
            for path in sorted(STATIC.rglob("*.*")):
                if path.suffix in (".js", ".css", ".svg"):
                    client.ask("GET", f"/static/{path.relative_to(STATIC).as_posix()}").read()
            client.ask("GET", "/api/status").read()
            passed = time.perf_counter() - began
            click.echo(f"{'page':<10}{passed:8.2f} s{client.worked_s:8.2f} s of CPU, {client.mebibytes:.0f} MiB")
            measure(client, requests)
        finally:
            studio.terminate()
            studio.wait()


def measure(client: Client, requests: int) -> None:
    """The rows after the first."""
    settings = {"bars": 8, "seed": 1, "style": "bands"}
    with row("note", client):
        job = client.json("POST", "/api/compose", {"settings": settings})["job"]
        events = client.events(job)
        next(values for name, values in events if name == "progress" and values["notes"])
    *_, (_, values) = events
    with row("piece", client):
        values = client.done(client.json("POST", "/api/compose", {"settings": {**settings, "seed": 2}})["job"])
    piece = client.json("GET", f"/api/pieces/{values['pieces'][0]['id']}")
    path = f"/api/pieces/{piece['id']}"
    with row("redo", client):
        body = {"revision": piece["revision"], "settings": {"bars": "3:6", "parts": "1", "seed": 1}}
        assert len(client.done(client.json("POST", f"{path}/redo", body)["job"])["candidates"]) == 4
    before = client.mebibytes
    with row("requests", client):
        for at in range(requests):
            if at % 4 == 0:
                piece = client.json("GET", path)
            elif at % 4 == 3:
                client.json("GET", "/api/status")
            else:
                change = {"step": -1} if piece["can_undo"] else {"remove": [0]}
                what = "history" if piece["can_undo"] else "edit"
                piece = client.json("POST", f"{path}/{what}", {"revision": piece["revision"], **change})
    threads = len(os.listdir(f"/proc/{client.process}/task"))
    click.echo(f"{'memory':<10}{before:8.0f} MiB before, {client.mebibytes:.0f} MiB after; {threads} threads")

    def composed(seed: int) -> list[list[int]]:
        body = {"settings": {"bars": 4, "seed": seed, "style": "chorales"}}
        made = client.done(client.json("POST", "/api/compose", body)["job"])["pieces"][0]["id"]
        notes: list[list[int]] = client.json("GET", f"/api/pieces/{made}")["notes"]
        return notes

    with row("eight", client), ThreadPoolExecutor(8) as pool:
        together = list(pool.map(composed, range(8)))
    assert together == [composed(seed) for seed in range(8)], "eight at once are not what each is alone"
    assert threading.active_count() == 1


if __name__ == "__main__":
    main()
