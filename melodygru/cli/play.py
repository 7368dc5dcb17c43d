"""`melodygru play`: a MIDI file, or music without an end, through the speakers or to a MIDI port, or into a file."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodygru.cli import options, screen
from melodygru.compose.settings import GenerateSettings

if TYPE_CHECKING:
    import numpy as np

    from melodygru.music.notes import NoteSequence
    from melodygru.render.audio import Live


@click.command(epilog="Ctrl-C, SIGTERM and SIGHUP stop; on a MIDI port every sounding note is silenced first.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--port", metavar="NAME", help="Send to this MIDI port, in time, instead of the speakers.")
@click.option("--list-ports", is_flag=True, help="List the MIDI ports and exit.")
@click.option(
    "--wav",
    type=options.Written(".wav", ""),
    metavar="OUT.wav",
    help="Write the sound to a file instead of playing it.",
)
@click.option(
    "--flac",
    type=options.Written(".flac", ""),
    metavar="OUT.flac",
    help="Likewise, compressed without loss, 16 bit.",
)
@click.option(
    "--soundfont",
    type=click.Path(path_type=Path),
    metavar="FILE.sf2",
    help="Instruments.  [default: those that pretty_midi carries]",
)
@click.option(
    "--endless", is_flag=True, help="Compose for ever; keys steer it: +/- temperature, s style, [/] tempo, space, q."
)
@options.model
@options.alike(GenerateSettings, "temperature", "With --endless, to begin with.  [default: 1.0]")
@options.alike(GenerateSettings, "style", "With --endless, to begin with.  [default: any]")
@options.alike(GenerateSettings, "qpm", "With --endless: quarter notes per minute to begin with.")
@options.alike(GenerateSettings, "seconds", "With --endless: stop after so much music.", typed_high=None)
@options.alike(GenerateSettings, "seed", "With --endless.  [default: a new one, which is printed]")
def play(
    file: Path | None,
    port: str | None,
    list_ports: bool,
    wav: Path | None,
    flac: Path | None,
    soundfont: Path | None,
    endless: bool,
    model: Path | None,
    seconds: float | None,
    **settings: Any,
) -> None:
    """Play a MIDI file, or music without an end.

    \b
    melodygru play generated/starter-1-1.mid
    melodygru play song.mid --wav song.wav
    melodygru play song.mid --port FLUID
    melodygru play --endless --model checkpoints/mine.keras
    """  # fmt: skip
    from melodygru import midi
    from melodygru.cli.endless import refuse_with
    from melodygru.render import audio

    if list_ports:
        ports = audio.list_ports()
        for name in ports:
            screen.result(name)
        if not ports:
            screen.say("no MIDI ports: start a synthesiser first")
        return
    if endless:
        refuse_with(True, wav=wav, flac=flac)
        if file is not None:
            raise click.UsageError("a FILE and --endless: expected one of the two.")
        without_end(port, soundfont, model, seconds, settings)
        return
    refuse_with(False, model=model, seconds=seconds, **settings)
    if file is None:
        raise click.UsageError("Missing argument 'FILE': a MIDI file (or --list-ports, or --endless).")
    with options.naming(file):
        data = midi.load(file)
        reading = midi.read(data, file.suffix)
    sequence, messages = screen.trimmed(reading.sequence), midi.own_messages(data, reading)
    if wav is not None or flac is not None or port is None:
        screen.say(f"sound: {audio.renderer_name(soundfont)}")
        samples = audio.render(sequence, soundfont=soundfont, messages=messages)
        if wav is not None:
            audio.write_wav(samples, wav)
            screen.result(screen.name(wav))
        if flac is not None:
            audio.write_flac(samples, flac)
            screen.result(screen.name(flac))
        if wav is None and flac is None:
            sound(samples, file.name)
    if port is not None:
        to_port(sequence, port, file.name, messages)


def without_end(
    port: str | None, soundfont: Path | None, model: Path | None, seconds: float | None, settings: dict[str, Any]
) -> None:
    """Compose and play until a key or a signal ends it, or so many seconds of music."""
    import secrets

    from melodygru.cli import endless
    from melodygru.compose.composer import Composer
    from melodygru.model import checkpoint

    path = checkpoint.find(model)
    given = {name: value for name, value in settings.items() if value is not None}
    given.setdefault("seed", secrets.randbits(32))
    stream = Composer.load(path).stream(GenerateSettings(**given))
    screen.say(f"model {screen.name(path)}, seed {given['seed']}")
    endless.run(stream, live(port, soundfont, endless.AHEAD_S), seconds)


def live(port: str | None, soundfont: Path | None, ahead_s: float = math.inf) -> Live:
    """What plays notes as they come, into the port if one is named."""
    from melodygru.render import audio

    if port is not None:
        return audio.LivePort(port, ahead_s, on_change=screen.say)
    return audio.LiveSpeakers(soundfont, ahead_s)


def sound(samples: np.ndarray, title: str) -> None:
    """Play samples through the speakers with a moving position line."""
    from melodygru.render import audio

    screen.say(f"playing {screen.name(title)}; Ctrl-C stops")
    with position(len(samples) / audio.SAMPLE_RATE) as on_position:
        audio.play(samples, on_position=on_position)


def to_port(sequence: NoteSequence, port: str, title: str, messages: bytes | None = None) -> None:
    """Send a piece to a MIDI port with a moving position line."""
    from melodygru.render import audio

    screen.say(f"sending {screen.name(title)} to {port}; Ctrl-C stops")
    with position(sequence.seconds) as on_position:
        audio.send(sequence, port, messages=messages, on_position=on_position, on_change=screen.say)


@contextmanager
def position(total_s: float) -> Iterator[Callable[[float], None] | None]:
    """A line that moves with the music; none where there is no terminal to rewrite it on."""
    from melodygru.render import audio

    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    width = shutil.get_terminal_size().columns - 1
    try:
        yield lambda second: screen.rewritten(audio.position_line(second, total_s, width))
    finally:
        screen.say("")
