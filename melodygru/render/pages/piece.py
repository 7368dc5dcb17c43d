"""A piece as a notebook shows it: its piano roll, its figures and a player, in one part of a page without a network."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from melodygru.errors import AudioError, SettingError
from melodygru.music.names import facts
from melodygru.music.notes import NoteSequence
from melodygru.render.pages import html

MOST_S = 600.0  # seconds that a player is given: a minute takes about a megabyte


def shown(piece: NoteSequence, more: Sequence[str] = ()) -> str:
    """The HTML, complete by itself; what can't be drawn or sounded is said in its place.

    `more` stands after the piece's own facts.
    """
    from melodygru.render import pictures

    try:
        roll = pictures.picture(pictures.piano_roll_figure(piece), ".png")
        picture = html.image(roll, "piano roll")
    except SettingError as error:
        picture = html.markup("<p>{}</p>", str(error))
    sound, silence = sound_of(piece, "; save it as sound instead")
    return html.render("piece.html", picture=picture, facts=[*facts(piece), *more], sound=sound, silence=silence)


def sound_of(piece: NoteSequence, instead: str = "") -> tuple[str, str]:
    """The sound of a piece as the URL of an MP3 that holds it, and why there is none; one of them is empty.

    `instead` is what to do about a piece that is too long for one.
    """
    from melodygru.render import audio

    if piece.seconds > MOST_S:
        return "", f"the piece is longer than {MOST_S / 60:.0f} minutes{instead}"
    try:
        return "data:audio/mpeg;base64," + base64.b64encode(audio.as_mp3(audio.render(piece))).decode("ascii"), ""
    except AudioError as error:
        return "", str(error)
