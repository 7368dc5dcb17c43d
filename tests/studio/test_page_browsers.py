"""The other browsers: the same short tour of the page in Firefox and in WebKitGTK, where they are installed."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import WAIT_S

from studio.webdrivers import Driver, Firefox, WebKitGTK

KEYS = {"Enter": "\ue007", "Tab": "\ue004", "ArrowUp": "\ue013", "Control": "\ue009", "Space": " "}
WATCH = """
const {dataset} = document.documentElement;
const keep = (words) => (dataset.mistakes = `${dataset.mistakes ?? ""}${words}; `);
addEventListener("error", (event) => keep(event.message));
addEventListener("unhandledrejection", (event) => keep(event.reason));
document.addEventListener("securitypolicyviolation", (event) => keep(`${event.violatedDirective} ${event.blockedURI}`));
"""
PLACE = """
const box = document.querySelector(arguments[0]).getBoundingClientRect();
return [box.x, box.y, box.width, box.height];
"""


class Page:
    """The studio's page as a person has it: it is looked at, clicked, and typed into."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    def look(self, script: str, *values: Any) -> Any:
        return self.driver.send("ExecuteScript", script=script, args=list(values))

    def text(self, selector: str) -> str:
        return self.look("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def press(self, *chords: str) -> None:
        for chord in chords:
            keys = [KEYS.get(key, key) for key in chord.split("+")]
            actions = [{"type": "keyDown", "value": key} for key in keys]
            actions += [{"type": "keyUp", "value": key} for key in reversed(keys)]
            self.driver.send("PerformActions", actions=[{"type": "key", "id": "keys", "actions": actions}])

    def click(self, selector: str, at: tuple[int, int] | None = None, times: int = 1) -> None:
        """Click in the middle of an element, or at a place from its upper left."""
        x, y, width, height = self.look(PLACE, selector)
        right, down = at or (width / 2, height / 2)
        actions = [{"type": "pointerMove", "x": int(x + right), "y": int(y + down), "duration": 0}]
        actions += times * [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self.driver.send("PerformActions", actions=[{"type": "pointer", "id": "mouse", "actions": actions}])


def wait(page: Page, what: str, holds: Callable[[], Any]) -> Any:
    end = time.monotonic() + WAIT_S
    while not (value := holds()):
        said = [page.text("#error"), page.text("#notice")]
        assert time.monotonic() < end, f"{what} did not come true; the page says {said}"
        time.sleep(0.05)
    return value


@pytest.fixture(params=[Firefox, WebKitGTK], ids=lambda browser: browser.__name__)
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Page]:
    browser = request.param
    binary = next(filter(None, map(shutil.which, browser.NEEDS)), None)
    if binary is None:
        pytest.skip(f"{' or '.join(browser.NEEDS)} isn't installed")
    if browser is WebKitGTK and shutil.which("xvfb-run") is None:
        pytest.skip("WebKitGTK needs a display: xvfb isn't installed")
    folder = tmp_path / "home"
    folder.mkdir()
    driver = browser(folder, binary)
    yield Page(driver)
    driver.close()


@pytest.mark.slow
def test_a_tour_in_another_browser(page, start_studio):
    studio = start_studio()
    page.driver.send("Navigate", url=studio.address)
    page.look(WATCH)
    wait(page, "the page", lambda: page.look("return document.body.dataset.ready !== undefined"))

    # compose and play
    page.click("#panel-compose [data-setting=bars]")
    page.press("8", "Tab")
    page.click("#compose")
    name = wait(page, "a piece", lambda: studio.ask("GET", "/api/status")["pieces"])[0]["id"]
    wait(page, "composing", lambda: page.text("#notice").startswith("Composed: "))
    assert page.look("return document.querySelector('#play').getAttribute('aria-label')") == "Stop"
    # Firefox's clock of sound doesn't run without a sound device, and the page says so.
    wait(page, "the line", lambda: page.text("#where b") != "1.1" or "no sound" in page.text("#error"))
    page.press("Space")
    wait(page, "an end of playing", lambda: page.text("#where b") == "1.1")

    # edit and undo
    def notes() -> list:
        return studio.ask("GET", f"/api/pieces/{name}")["notes"]

    before = notes()
    page.look("document.querySelector('#roll').focus()")
    page.press(".", "ArrowUp")
    wait(page, "an edit", lambda: notes() != before)
    page.press("Control+z")
    wait(page, "its undoing", lambda: notes() == before)

    # a candidate for the third bar
    page.click("#roll", (280, 8), times=2)
    assert page.text("#chosen").startswith("Bar ")
    page.press("r")
    wait(page, "candidates", lambda: page.look("return document.querySelectorAll('.candidate').length") >= 4)
    page.press("2", "Enter")
    wait(page, "a candidate kept", lambda: page.text("#notice").startswith("Candidate 2 is kept."))
    assert notes() != before

    # a file
    page.click("#tab-files")
    page.look("document.querySelector('#take').scrollIntoView()")
    page.click("#take")
    saved = wait(page, "a file", lambda: next(page.driver.folder.rglob("*.mid"), None))
    assert saved.read_bytes()[:4] == b"MThd"
    assert page.look("return document.documentElement.dataset.mistakes ?? ''") == ""
