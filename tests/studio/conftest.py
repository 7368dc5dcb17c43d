"""A studio that runs as a process, and a browser that looks at it."""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import WAIT_S, write_tune

START_S = 60  # for the server to say its address, on a busy machine
MODULES = """async () => {
    const modules = await Promise.all(["store", "api", "player"].map((name) => import(`/static/${name}.js`)));
    window.studio = Object.assign({}, ...modules);
}"""
MODEL = Path(__file__).parents[2] / "checkpoints" / "starter.keras"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIZE = {"width": 1280, "height": 720}


@dataclasses.dataclass
class Studio:
    """A running studio: where its page is, where its pieces lie, and what a test asks of its server."""

    address: str
    folder: Path
    process: subprocess.Popen

    @property
    def token(self) -> str:
        return self.address.partition("token=")[2]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer; a refusal raises urllib.error.HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-Melodygru-Token": self.token, "Content-Type": "application/json"}
        url = self.address.partition("/?")[0] + path
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def bring(self, path: Path) -> dict:
        """The piece that a MIDI file becomes."""
        edge = "edge-of-a-part"
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
        data = head.encode() + path.read_bytes() + f"\r\n--{edge}--\r\n".encode()
        headers = {"X-Melodygru-Token": self.token, "Content-Type": f"multipart/form-data; boundary={edge}"}
        url = self.address.partition("/?")[0] + "/api/pieces"
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
            return json.loads(answer.read())

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=15)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="session")
def start_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Studio]]:
    """Start a studio with a project folder and options; all are stopped in the end."""
    started = []
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHONUNBUFFERED": "1",
        "MELODYGRU_CACHE": str(tmp_path_factory.mktemp("cache")),
        "OMP_NUM_THREADS": "1",
    }

    def start(*options: object, folder: Path | None = None) -> Studio:
        folder = folder or tmp_path_factory.mktemp("studio") / "project"
        command = [sys.executable, "-m", "melodygru", "studio", "--no-browser", "--folder", folder]
        command += ["--model", MODEL, *options]  # of two `--model` the latter counts
        process = subprocess.Popen(
            list(map(str, command)),
            env=environment,
            cwd=folder.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        found, lines = threading.Event(), []

        def read() -> None:  # to the end, so that the server never waits for a full pipe
            for line in process.stdout:
                lines.append(line)
                if re.search(r"http://127\.0\.0\.1:\d+/\?token=", line):
                    found.set()
            found.set()

        threading.Thread(target=read, daemon=True).start()
        found.wait(START_S)
        address = re.search(r"http://127\.0\.0\.1:\d+/\?token=[\w-]+", "".join(lines))
        if address is None:
            process.kill()
            pytest.fail(f"the studio said no address: {''.join(lines)}")
        started.append(Studio(address[0], folder, process))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture(scope="session")
def studio(start_studio: Callable[..., Studio]) -> Studio:
    """The studio that the tests of the page share; each brings a piece of its own."""
    return start_studio()


class _Browser:
    """Chromium, while tests of pages run: Playwright's event loop would be in the way of other tests'."""

    playwright: Any = None
    browser: Any = None

    def open(self) -> Any:
        if self.browser is None:
            sync_api = pytest.importorskip("playwright.sync_api", reason="pages are tested with playwright")
            path = next(filter(None, map(shutil.which, BROWSERS)), None)
            if path is None:
                pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
            self.playwright = sync_api.sync_playwright().start()
            self.browser = self.playwright.chromium.launch(
                executable_path=path,
                args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"],
            )
        return self.browser

    def close(self) -> None:
        if self.browser is not None:
            self.browser.close()
            self.playwright.stop()
            self.browser = self.playwright = None


_CHROMIUM = _Browser()


@pytest.hookimpl(trylast=True)  # once the pages are closed
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if nextitem is None or nextitem.path.parent != item.path.parent:
        _CHROMIUM.close()


@pytest.fixture
def new_page(studio: Studio) -> Iterator[Callable[..., Any]]:
    """Open the studio's page, in a browser's window of its own; nothing may be asked of another host, and no script
    may fail.

    new_page(piece=None, panel=None, at=studio, **options of the context) -> Playwright's page, ready.
    """
    browser = _CHROMIUM.open()
    contexts, mistakes = [], []

    def start(piece: str | None = None, panel: str | None = None, at: Studio = studio, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": SIZE, "accept_downloads": True, **options})
        contexts.append(context)
        context.set_default_timeout(1000 * WAIT_S)
        page = context.new_page()
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.on("console", lambda message: message.type == "error" and mistakes.append(message.text))
        page.on("request", lambda request: _is_ours(request.url, at) or mistakes.append(f"asked {request.url}"))
        page.goto(at.address)
        ready(page)
        if piece is not None:
            page.evaluate("id => studio.open(id)", piece)
        if panel is not None:
            page.evaluate("panel => studio.store.set({panel})", panel)
        return page

    start.mistakes = mistakes
    yield start
    for context in contexts:
        context.close()
    # That a request was refused or lost is what some tests are about; the page's sentence is looked at there.
    assert [one for one in mistakes if not one.startswith("Failed to load resource")] == []


def ready(page: Any) -> None:
    """Wait for a page that was opened or loaded anew, and give its modules to the test as `studio`."""
    page.locator("body[data-ready]").wait_for()
    page.evaluate(MODULES)


def _is_ours(url: str, at: Studio) -> bool:
    return url.startswith((at.address.partition("/?")[0], "data:", "blob:"))


@pytest.fixture
def tune(studio: Studio, tmp_path: Path) -> dict:
    """A piece of this test's own: four bars of two parts, a melody over a bass, as /api/pieces tells of it."""
    return studio.bring(write_tune(tmp_path / "two parts.mid"))
