"""Firefox and WebKitGTK, Safari's engine, by what is installed with them: the commands of W3C's WebDriver, which
Firefox takes from a socket ("Marionette") and WebKitGTK over HTTP."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

START_S = 60
# of Firefox: files are saved in browser.download.dir; the page has the focus, whatever window has it
PREFERENCES = {"browser.download.folderList": 2, "focusmanager.testmode": True}
PATHS = {"NewSession": "", "Navigate": "/url", "ExecuteScript": "/execute/sync", "PerformActions": "/actions"}


class Driver:
    """A browser in a folder of its own, its home; it takes commands at a port."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.folder = folder
        with (folder / "log").open("w") as log:
            home = {**os.environ, "HOME": str(folder)}
            self.process = subprocess.Popen(command, env=home, stdout=log, stderr=log, start_new_session=True)

    def reach(self, port: int) -> socket.socket:
        end = time.monotonic() + START_S
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), START_S)
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    self.close()
                    raise
                time.sleep(0.1)

    def close(self) -> None:
        for ending in (signal.SIGTERM, signal.SIGKILL):  # all that it has started is of its group
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self.process.pid, ending)
                self.process.wait(timeout=10)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


class Firefox(Driver):
    NEEDS = ("firefox-esr", "firefox")  # one of them

    def __init__(self, folder: Path, binary: str) -> None:
        port = free_port()
        chosen = {**PREFERENCES, "marionette.port": port, "browser.download.dir": str(folder)}
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in chosen.items()]
        (folder / "user.js").write_text("".join(lines))
        super().__init__(folder, binary, "--headless", "--marionette", "--no-remote", "--profile", str(folder))
        self.stream = self.reach(port).makefile("rwb")
        self.read()  # its greeting
        self.send("NewSession")

    def read(self) -> Any:
        size = b""
        while (byte := self.stream.read(1)) not in (b":", b""):
            size += byte
        return json.loads(self.stream.read(int(size)))

    def send(self, command: str, **values: Any) -> Any:
        text = json.dumps([0, 1, f"WebDriver:{command}", values])  # ASCII
        self.stream.write(f"{len(text)}:{text}".encode())
        self.stream.flush()
        _, _, error, value = self.read()
        if error:
            raise RuntimeError(f"{command}: {error['message']}")
        return value.get("value")


class WebKitGTK(Driver):
    NEEDS = ("WebKitWebDriver",)

    def __init__(self, folder: Path, binary: str) -> None:
        port = free_port()
        super().__init__(folder, "xvfb-run", "-a", binary, f"--port={port}")
        self.reach(port).close()
        self.base = f"http://127.0.0.1:{port}/session"
        self.base += "/" + self.send("NewSession", capabilities={})["sessionId"]

    def send(self, command: str, **values: Any) -> Any:
        request = urllib.request.Request(self.base + PATHS[command], json.dumps(values).encode())
        try:
            with urllib.request.urlopen(request, timeout=START_S) as answer:
                return json.loads(answer.read())["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from error
