"""`melodygru studio`: the page on which pieces are heard, edited and composed again; without TensorFlow."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from melodygru.cli import options, screen
from melodygru.errors import SettingError


@click.command(
    epilog="Only this machine reaches the page, and only with its address, which holds a token. Everything is saved as "
    "it is done; Ctrl-C ends the studio. docs/studio.md shows it."
)
@options.model
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("studio"),
    show_default=True,
    metavar="DIR",
    help="Where its pieces lie; made where it is missing.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="N", help="Port of the page.  [default: one that is free]"
)
@click.option("--no-browser", is_flag=True, help="Print the page's address alone.")
@click.option(
    "--soundfont",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE.sf2",
    help="Instruments of what is rendered.  [default: those that pretty_midi carries]",
)
def studio(model: Path | None, folder: Path, port: int | None, no_browser: bool, soundfont: Path | None) -> None:
    """Open the studio: a page in the browser to compose, hear, edit, redo and train.

    \b
    melodygru studio
    melodygru studio --folder songs/ --model checkpoints/mine.keras
    """  # fmt: skip
    from melodygru.studio.project import Held, Project
    from melodygru.studio.server import Server, address

    project = Project(folder)
    try:
        with project.held():
            for problem in project.problems:
                screen.warn(problem)
            server = Server(project, port=port or 0, model=model, soundfont=soundfont)
            screen.result(server.address)
            screen.say("the studio is open; Ctrl-C ends it, everything is saved")
            if not no_browser:
                _show(server.address)
            try:
                signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
                server.serve()
            except KeyboardInterrupt:
                screen.say("the studio is closed; everything is saved")
    except Held as held:
        known = project.address()
        if known is None:
            raise SettingError(
                f"--folder {folder}: another studio has it open (process {held.process}); expected another folder"
            ) from held
        screen.say(f"{screen.name(folder)} is open already, in the studio of process {held.process}")
        screen.result(address(known["port"], known["token"]))
        if not no_browser:
            _show(address(known["port"], known["token"]))


def _show(address: str) -> None:
    """Open the page in the user's browser, if there is one."""
    import threading
    import webbrowser

    # a browser in the terminal would hold the server
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


__all__ = ["studio"]
