"""`melodygru play`: a MIDI file through the speakers, to a MIDI port, or into a WAV file."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from melodygru.cli import options, screen

if TYPE_CHECKING:
    import numpy as np

    from melodygru.notes import NoteSequence


@click.command(epilog="Ctrl-C stops; on a MIDI port every sounding note is silenced first.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--port", metavar="NAME", help="Send to this MIDI port, in time, instead of the speakers.")
@click.option("--list-ports", is_flag=True, help="List the MIDI ports and exit.")
@click.option(
    "--wav", type=click.Path(path_type=Path), metavar="OUT.wav", help="Write the sound to a file instead of playing it."
)
@click.option(
    "--soundfont",
    type=click.Path(path_type=Path),
    metavar="FILE.sf2",
    help="Instruments.  [default: those that pretty_midi carries]",
)
def play(file: Path | None, port: str | None, list_ports: bool, wav: Path | None, soundfont: Path | None) -> None:
    """Play a MIDI file.

    \b
    melodygru play generated/starter-1-1.mid
    melodygru play song.mid --wav song.wav
    melodygru play song.mid --port FLUID
    """  # fmt: skip
    from melodygru import audio, midi

    if list_ports:
        ports = audio.list_ports()
        for name in ports:
            screen.result(name)
        if not ports:
            screen.say("no MIDI ports: start a synthesiser first")
        return
    if file is None:
        raise click.UsageError("Missing argument 'FILE': a MIDI file (or --list-ports).")
    with options.naming(file):
        sequence = midi.read(file).sequence
    if wav is not None or port is None:
        screen.say(f"sound: {audio.renderer_name(soundfont)}")
        samples = audio.render(sequence, soundfont=soundfont)
        if wav is not None:
            audio.write_wav(samples, wav)
            screen.result(screen.name(wav))
        else:
            sound(samples, file.name)
    if port is not None:
        to_port(sequence, port, file.name)


def sound(samples: np.ndarray, title: str) -> None:
    """Play samples through the speakers with a moving position line."""
    from melodygru import audio

    screen.say(f"playing {screen.name(title)}; Ctrl-C stops")
    with _position(len(samples) / audio.SAMPLE_RATE) as on_position:
        audio.play(samples, on_position=on_position)


def to_port(sequence: NoteSequence, port: str, title: str) -> None:
    """Send a piece to a MIDI port with a moving position line."""
    from melodygru import audio

    screen.say(f"sending {screen.name(title)} to {port}; Ctrl-C stops")
    with _position(sequence.seconds) as on_position:
        audio.send(sequence, port, on_position=on_position)


@contextmanager
def _position(total_s: float) -> Iterator[Callable[[float], None] | None]:
    """A line that moves with the music; none where there is no terminal to rewrite it on."""
    from melodygru import audio

    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    width = shutil.get_terminal_size().columns - 1
    try:
        yield lambda second: click.echo("\r" + audio.position_line(second, total_s, width), err=True, nl=False)
    finally:
        click.echo(err=True)
