"""A small HTTP server that composes, under several clients at once: requests, errors, memory before and after.

    python benchmarks/server.py [--threads 8] [--minutes 5] [--model FILE] [--json]

The server is the standard library's, with as many threads as clients, over one `Composer`; it is a process of its own:

    GET /piece.mid?seed=1&bars=2&style=airs     also .wav, .png, .svg: what `Composition.save` writes
    GET /state                                  its memory, threads and open files

Each client asks without a pause, every seventh time for a style that nobody knows, which must be refused with 400. An
error is any other answer, a broken connection, a file whose bytes are not those of the same request before, and a line
of the server's log on standard error that is missing. Memory before is taken when each client has had each kind of
file: Matplotlib keeps fonts for each thread.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import click

KINDS = (".mid", ".wav", ".mid", ".png", ".mid", ".svg")  # in turns
SEEDS = 25  # so that the same is asked for again and again
REFUSED_EVERY = 7
UNKNOWN = "nobody knows this one"


def serve(model: Path | None, threads: int) -> None:
    """Answer for ever; the port is printed."""
    from melodygru import Composer, GenerateSettings
    from melodygru.errors import MelodyGruError

    composer = Composer.load(model)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/state":
                self.answer(200, json.dumps(state()).encode())
                return
            asked = dict(parse_qsl(url.query))
            try:
                settings = GenerateSettings(
                    bars=int(asked.get("bars", 2)), seed=int(asked.get("seed", 0)), style=asked.get("style")
                )
                (piece,) = composer.generate(settings)
                with tempfile.TemporaryDirectory() as folder:
                    piece.save(file := Path(folder) / Path(url.path).name)
                    self.answer(200, file.read_bytes())
            except (MelodyGruError, ValueError) as error:
                self.answer(400, str(error).encode())

        def answer(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    pool = ThreadPoolExecutor(threads)

    class Server(ThreadingHTTPServer):
        def process_request(self, *request: Any) -> None:
            pool.submit(self.process_request_thread, *request)

    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


def state() -> dict[str, int]:
    """Resident memory in bytes, threads and open files of this process; from /proc, so on Linux alone."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "memory_bytes": int(status["VmRSS"].split()[0]) * 1024,
        "threads": int(status["Threads"]),
        "files": len(os.listdir("/proc/self/fd")),
    }


class Clients:
    """Threads that ask for pieces until their time is up."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._seen: dict[str, str] = {}  # path -> SHA-256 of what came
        self.counts: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()
        self.seconds: list[float] = []

    def ask(self, path: str, expected: int = 200) -> bytes:
        """Ask once; what is not as expected is a problem."""
        started = time.perf_counter()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
            connection.request("GET", path)
            answer = connection.getresponse()
            body, code = answer.read(), answer.status
            connection.close()
        except (OSError, http.client.HTTPException) as error:
            body, code = b"", 0
            self.note(f"{type(error).__name__}: {error}")
        with self._lock:
            self.counts["requests"] += 1
            self.counts["refused"] += code == 400
            self.seconds.append(time.perf_counter() - started)
            found = self._seen.setdefault(path, hashlib.sha256(body).hexdigest())
        if code and code != expected:
            self.note(f"{code} for {path}: {body[:200]!r}")
        elif path != "/state" and found != hashlib.sha256(body).hexdigest():
            self.note(f"other bytes than before for {path}")
        return body

    def note(self, problem: str) -> None:
        """Count a problem."""
        with self._lock:
            self.problems[problem] += 1

    def run(self, number: int, until: float) -> None:
        """What one client does."""
        at = number
        while time.monotonic() < until:
            at += 1
            if at % REFUSED_EVERY == 0:
                self.ask(f"/piece.mid?style={UNKNOWN.replace(' ', '+')}", 400)
            else:
                self.ask(f"/piece{KINDS[at % len(KINDS)]}?seed={at % SEEDS}")


def measure(threads: int, seconds: float, model: Path | None) -> dict[str, Any]:
    """Start the server, let the clients run, and say what came of it."""
    command = [
        sys.executable,
        __file__,
        "--serve",
        "--threads",
        str(threads),
        *(["--model", str(model)] if model else []),
    ]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert server.stdout is not None
            clients = Clients(int(server.stdout.readline()))
            with ThreadPoolExecutor(threads) as pool:
                for kind in sorted(set(KINDS)) * threads:
                    pool.submit(clients.ask, f"/piece{kind}?seed=0")
            states = [json.loads(clients.ask("/state"))]
            for _ in range(2):  # what grew in the first half as in the second is a leak
                until = time.monotonic() + seconds / 2
                with ThreadPoolExecutor(threads) as pool:
                    for number in range(threads):
                        pool.submit(clients.run, number, until)
                states.append(json.loads(clients.ask("/state")))
        finally:
            server.terminate()
            server.wait()
        log.seek(0)
        lines = [line for line in log.read().decode().splitlines() if '"GET /' in line]
    if len(lines) != clients.counts["requests"]:
        clients.note(f"{len(lines)} lines in the log")
    spread = statistics.quantiles(clients.seconds, n=20)
    return {
        "threads": threads,
        "seconds": seconds,
        "requests": clients.counts["requests"],
        "refused": clients.counts["refused"],
        "errors": clients.problems.total(),
        "problems": dict(clients.problems.most_common(5)),
        "median_s": round(spread[9], 3),
        "slowest_twentieth_s": round(spread[18], 3),
        "states": dict(zip(("before", "halfway", "after"), states, strict=True)),
    }


@click.command()
@click.option("--threads", type=click.IntRange(1), default=8, show_default=True, help="Clients at once.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=5.0, show_default=True)
@click.option("--model", type=click.Path(path_type=Path), metavar="FILE.keras")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--serve", "as_server", is_flag=True, hidden=True)
def main(threads: int, minutes: float, model: Path | None, as_json: bool, as_server: bool) -> None:
    """Measure a server that composes under several clients at once."""
    if as_server:
        serve(model, threads)
        return
    found = measure(threads, minutes * 60, model)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print(
            f"{found['requests']:,} requests of {threads} clients in {minutes:g} minutes, {found['refused']:,} refused"
        )
        print(f"{found['median_s']:.3f} s in the median, 95% within {found['slowest_twentieth_s']:.3f} s")
        print(f"{found['errors']:,} errors {found['problems'] or ''}")
        for when, now in found["states"].items():
            mib = now["memory_bytes"] / (1 << 20)
            print(f"{when:<8} {mib:.1f} MiB, {now['threads']} threads, {now['files']} open files")
    sys.exit(found["errors"] > 0)


if __name__ == "__main__":
    main()
