"""Options that steer what is composed: one decorator, whose values `compose.generate` takes under the same names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--key",
        metavar="TONIC:SCALE",
        help="Only pitches of this key, such as C:maj, Bb:minor, D:dorian, E:blues; drums are free.",
    ),
    click.option("--scale", metavar="CLASSES", help='Only these pitch classes, such as "C D E G A" or 0,2,4,7,9.'),
    click.option(
        "--range", metavar="LOW:HIGH", help="Only pitches from LOW to HIGH, names (C4 is 60) or 0..127; drums are free."
    ),
    click.option(
        "--programs",
        metavar="LIST",
        help="Only these instruments of the model's, by number 0..127, General MIDI's name, or drums; with commas.",
    ),
    click.option("--max-polyphony", type=click.IntRange(1), help="At most so many notes sound together."),
    click.option(
        "--density",
        type=click.FloatRange(0, 100, min_open=True),
        help="About so many notes a beat, on the average; a second, where the music has no beat.",
    ),
    click.option(
        "--chords",
        metavar="BARS",
        help='Favour the tones of these chords, such as "C | Am | F G | C", again and again; %: as before, N.C.: none.',
    ),
    click.option(
        "--chord-bias",
        type=click.FloatRange(0, 100),
        help="By how many nats a chord's tones are favoured.  [default: 3]",
    ),
    click.option("--chords-only", is_flag=True, help="Nothing but tones of the chords."),
)


def steering(command: Command) -> Command:
    """The options key, scale, range, programs, max_polyphony, density, chords, chord_bias and chords_only."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
