"""What tests of the studio's server share: a server in a thread, asked over HTTP."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

from melodygru.studio.project import Project
from melodygru.studio.server import Server

ROOT = Path(__file__).parent.parent
STARTER = ROOT / "checkpoints" / "starter.keras"
QUICK = {"particles": 2, "num_outputs": 2}  # of a redo


class Served:
    """A studio that is asked over HTTP."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.project = Project(folder)
        self._held = self.project.held()
        self._held.__enter__()
        self.server = Server(self.project, model=STARTER, **options)
        self.token = self.server.address.partition("token=")[2]
        self._thread = self.server.start()

    def close(self) -> None:
        self.server.close()
        self._thread.join(20)
        self._held.__exit__(None, None, None)

    def raw(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        token: bool = True,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer; with the token unless told otherwise."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        sent = {"X-Melodygru-Token": self.token} if token else {}
        try:
            connection.request(method, path, body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        data = None if body is None else json.dumps(body).encode()
        status, _, content = self.raw(method, path, data, {"Content-Type": "application/json"})
        return status, json.loads(content)

    def get(self, path: str) -> Any:
        """The JSON of an answer that is no refusal."""
        return self._well(*self.ask("GET", path))

    def post(self, path: str, body: Any = None) -> Any:
        return self._well(*self.ask("POST", path, body or {}))

    def change(self, piece: dict[str, Any], what: str, **body: Any) -> dict[str, Any]:
        """The piece after a change at its revision."""
        return self.post(f"/api/pieces/{piece['id']}/{what}", {"revision": piece["revision"], **body})

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and sentence of a refusal."""
        status, answer = self.ask(method, path, body)
        assert status >= 400, answer
        assert answer["error"] and "\n" not in answer["error"] and "Traceback" not in answer["error"]
        return status, answer["error"]

    @staticmethod
    def _well(status: int, answer: Any) -> Any:
        assert status == 200, answer
        return answer

    def events(self, path: str) -> list[tuple[str, Any]]:
        """The events of a stream until it ends."""
        _, headers, content = self.raw("GET", path)
        assert headers["content-type"].startswith("text/event-stream")
        blocks = [block.split("\n") for block in content.decode().split("\n\n") if block.startswith("event: ")]
        return [(block[0].removeprefix("event: "), json.loads(block[1].removeprefix("data: "))) for block in blocks]

    def done(self, job: dict[str, Any]) -> dict[str, Any]:
        """What a job's last event says."""
        name, values = self.events(f"/api/jobs/{job['job']}/events")[-1]
        assert name == "done", values
        return values

    def upload(self, name: str, data: bytes) -> tuple[int, Any]:
        """Status and JSON of bringing a file."""
        edge = "edge-of-a-part"
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = head.encode() + data + f"\r\n--{edge}--\r\n".encode()
        status, _, content = self.raw(
            "POST", "/api/pieces", body, {"Content-Type": f"multipart/form-data; boundary={edge}"}
        )
        return status, json.loads(content)

    def bring(self, data: bytes, name: str = "tune.mid") -> dict[str, Any]:
        """The whole piece that a MIDI file becomes."""
        status, summary = self.upload(name, data)
        assert status == 200, summary
        return self.get(f"/api/pieces/{summary['id']}")


def tune(bars: int = 4) -> bytes:
    """A melody in quarters (Flute, part 0) over a bass in halves (Fingered Bass, part 1): C, 4/4, 480 ticks a beat."""
    import numpy as np

    from melodygru import midi
    from melodygru.music.grid import Grid
    from melodygru.music.notes import NoteSequence, canonical, note_array

    rows = [(480 * at, 480, 73, 60 + (0, 2, 4, 7)[at % 4], 80) for at in range(4 * bars)]
    rows += [(960 * at, 960, 33, (36, 43)[at % 2], 90) for at in range(2 * bars)]
    notes, _ = canonical(note_array(sorted(rows), None))
    assert np.all(notes["duration"] > 0)
    return midi.to_bytes(NoteSequence(notes, Grid.beats(480), 1920 * bars))
