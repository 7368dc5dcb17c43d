"""What a frame of the studio's piano roll costs with ten thousand notes: processor time, in a browser without a GPU.

    python benchmarks/roll.py [--notes 10000] [--frames 200] [--chromium /usr/bin/chromium]

A studio and a Chromium are started, and a piece of so many notes is brought in. Each frame moves the view by six
pixels, so that everything is drawn again; `playing` moves the line alone. A frame at 60 a second has 16.7 ms. Processor
time and not the clock is measured: the page's main thread by Chromium's own account, and all its processes, which draw
the pixels that a graphics card would, by the system's (Linux).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

BEATS_OF_A_BAR = 4
STEPS = 16  # of a bar
PARTS = ((0, 72), (32, 36), (48, 60), (56, 67))
MOVE = """async ([frames, move]) => {
    const {scroll} = await import("/static/roll.js");
    for (let frame = 0; frame < frames; frame++) {
        if (move) scroll(frame % 40 < 20 ? 6 : -6, 0);
        await new Promise(requestAnimationFrame);
    }
}"""
OPEN = """async (id) => {
    const [{open}, {store}] = await Promise.all([import("/static/api.js"), import("/static/store.js")]);
    await open(id);
    return store.state.piece.notes.length;
}"""


def write(path: Path, count: int) -> None:
    """A piece of `count` notes: sixteenths of four parts, up and down."""
    import pretty_midi

    piece = pretty_midi.PrettyMIDI(initial_tempo=120)
    for at, (program, low) in enumerate(PARTS):
        part = pretty_midi.Instrument(program)
        for step in range(count // len(PARTS)):
            start = step * BEATS_OF_A_BAR / STEPS / 2
            pitch = low + (step * (at + 2)) % 13
            part.notes.append(pretty_midi.Note(40 + step % 80, pitch, start, start + 0.12))
        piece.instruments.append(part)
    piece.write(str(path))


def family(process: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
        except OSError:  # it has just ended
            continue
    found = [process]
    for one in found:
        found += parents.get(one, [])
    return found


def seconds_of(processes: list[int]) -> float:
    """Processor seconds that processes have taken so far."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measured(page: Any, session: Any, frames: int, move: bool) -> tuple[float, float]:
    """Milliseconds of processor time a frame: the page's main thread, all of the browser."""

    def task() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    processes = [one for one in family(os.getpid()) if b"type=" in Path(f"/proc/{one}/cmdline").read_bytes()]
    before, all_before = task(), seconds_of(processes)
    page.evaluate(MOVE, [frames, move])
    return 1000 * (task() - before) / frames, 1000 * (seconds_of(processes) - all_before) / frames


@click.command()
@click.option("--notes", default=10_000, show_default=True, help="Notes of the piece.")
@click.option("--frames", default=200, show_default=True, help="Frames a row.")
@click.option("--chromium", default="/usr/bin/chromium", show_default=True, help="The browser.")
def main(notes: int, frames: int, chromium: str) -> None:
    """Print what a frame costs."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        command = [sys.executable, "-m", "melodygru", "studio", "--no-browser", "--folder", f"{folder}/project"]
        studio = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            address = re.search(r"http://\S+", studio.stdout.readline())[0]
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.set_default_timeout(120_000)
            page.goto(address)
            page.locator("body[data-ready]").wait_for()
            path = Path(folder) / "many.mid"
            write(path, notes)
            piece = page.request.post(
                f"{address.partition('/?')[0]}/api/pieces",
                headers={"X-Melodygru-Token": address.partition("token=")[2]},
                multipart={"file": {"name": path.name, "mimeType": "audio/midi", "buffer": path.read_bytes()}},
            ).json()
            print(f"{page.evaluate(OPEN, piece['id']):,} notes; milliseconds of processor time a frame")
            print(f"{'':28}{'main thread':>12}{'all':>8}")
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            page.locator("#roll").focus()
            for words, key, move in (
                ("eight bars, scrolled", "", True),
                ("all notes", "Shift+Z", True),
                ("eight bars, nothing moves", "", False),
                ("playing", "Space", False),
            ):
                if key == "Space":
                    page.evaluate(OPEN, piece["id"])
                if key:
                    page.keyboard.press(key)
                page.wait_for_timeout(500)
                main_thread, every = measured(page, session, frames, move)
                # The sound costs what it costs, in however many frames.
                print(f"{words:28}{main_thread:12.1f}{'' if key == 'Space' else format(every, '8.1f')}")
            browser.close()
        finally:
            studio.terminate()
            studio.wait()


if __name__ == "__main__":
    main()
