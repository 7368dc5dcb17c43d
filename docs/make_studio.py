"""Draws docs/studio/*.png, the studio as a browser shows it, with the model that comes along.

python docs/make_studio.py      (needs playwright and Chromium)
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "checkpoints" / "starter.keras"
FOLDER = ROOT / "docs" / "studio"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

IMPORT = """async () => {
    const names = ["store", "api", "player", "panels/settings"];
    window.studio = Object.assign({}, ...(await Promise.all(names.map((name) => import(`/static/${name}.js`)))));
}"""


@contextmanager
def studio(folder: Path) -> Iterator[str]:
    """The address of a studio that runs meanwhile."""
    command = [
        sys.executable,
        "-m",
        "melodygru",
        "studio",
        "--no-browser",
        "--folder",
        str(folder),
        "--model",
        str(MODEL),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+/\?token=[\w-]+", line):
                yield found[0]
                return
        raise SystemExit("the studio said no address")
    finally:
        process.terminate()
        process.wait()


def compose(page: Page, **settings: Any) -> None:
    """Compose a piece that is the same every time, and show all of it."""
    page.evaluate("studio.steering.clear()")
    page.evaluate(
        "values => Object.entries(values).forEach(([name, value]) => studio.steering.set(name, value))", settings
    )
    before = page.evaluate("studio.store.state.piece?.id ?? null")
    page.evaluate("import('/static/panels/compose.js').then(({compose}) => void compose())")
    until(page, f"studio.store.state.piece && studio.store.state.piece.id !== {before!r}".replace("None", "null"))
    page.evaluate("studio.stop()")
    page.locator("#zoom-fit").click()


def until(page: Page, expression: str) -> None:
    """Wait for an expression to hold, for a minute and a half at most."""
    for _ in range(1800):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise SystemExit(f"the page never came to {expression}; it says {page.evaluate('studio.store.state.error')}")


def draw(page: Page, name: str) -> None:
    """A picture of the page as it is, once its messages are gone."""
    page.evaluate("studio.store.set({notice: null, error: null})")
    page.wait_for_timeout(4000)
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path)
    Image.open(path).convert("RGB").save(path, optimize=True)


def main() -> None:
    """Draw all."""
    browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser_path is None:
        raise SystemExit(f"none of {', '.join(BROWSERS)} is installed")
    with (
        tempfile.TemporaryDirectory() as folder,
        studio(Path(folder) / "studio") as address,
        sync_playwright() as started,
    ):
        browser = started.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--mute-audio"])
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(address)
        page.locator("body[data-ready]").wait_for()
        page.evaluate(IMPORT)
        draw_page(page)
        draw_redo(page)
        draw_trust(page)
        browser.close()


def draw_page(page: Page) -> None:
    """A piece for several instruments while it plays, beside the panel that composes."""
    compose(page, style="bands", bars=16, programs="keys, guitar, bass, drums", seed=1)
    page.evaluate("studio.store.set({panel: 'compose'})")
    page.evaluate("studio.play(studio.store.state.piece.bars[6])")
    draw(page, "page")
    page.evaluate("studio.stop()")


def draw_redo(page: Page) -> None:
    """Two bars of a part redone, the second of four candidates in its place."""
    compose(page, style="chorales", bars=8, seed=1)
    page.evaluate("import('/static/panels/redo.js').then(({choose}) => choose('again'))")
    page.evaluate("studio.select({bars: [2, 3], parts: new Set([1])})")
    page.evaluate("import('/static/panels/redo.js').then(({redo}) => void redo())")
    until(page, "studio.store.state.candidates !== null")
    page.evaluate("studio.store.set({candidate: 2}); studio.stop()")
    draw(page, "redo")
    page.evaluate("studio.store.set({candidates: null, candidate: 0}); studio.select()")


def draw_trust(page: Page) -> None:
    """A new jig, and the bars of it that stand in the training music."""
    compose(page, style="jigs", bars=16, seed=2)
    page.evaluate("studio.store.set({panel: 'trust'})")
    until(page, "studio.store.state.originality !== null")
    page.evaluate("studio.store.set({match: 0})")
    draw(page, "trust")


if __name__ == "__main__":
    main()
