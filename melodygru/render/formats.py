"""A piece becomes a file of any kind: one table, from the suffix of its name to the function that writes it.

Another format is a function of an `Output` and a path, and a line of `WRITERS`. Each imports what draws or renders when
it is called: to compose and write MIDI needs none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from melodygru import midi
from melodygru.errors import SettingError
from melodygru.music.notes import NoteSequence


class Output:
    """A piece on its way into files; what several of them share is made once.

    Parameters
    ----------
    piece : NoteSequence
    title : str, optional
        Written above a picture or a score; default: the file's name without its suffix.
    texts : sequence of str
        Text events of a MIDI file.
    soundfont : Path, optional
        Instruments of the sound; default: those that pretty_midi carries.
    """

    def __init__(
        self,
        piece: NoteSequence,
        *,
        title: str | None = None,
        texts: Sequence[str] = (),
        soundfont: Path | None = None,
    ) -> None:
        self.piece, self.title, self.texts, self.soundfont = piece, title, texts, soundfont

    @cached_property
    def samples(self) -> np.ndarray:
        """Its sound, shape (n_samples, 2), see `audio.render`."""
        from melodygru.render import audio

        return audio.render(self.piece, soundfont=self.soundfont)

    def save(self, path: str | Path) -> None:
        """Write the file; the suffix of its name decides what it is, see `WRITERS`.

        Raises
        ------
        SettingError
            A suffix that nothing is written as, or MusicXML of music without a beat.
        MidiError, AudioError
            The file can't be written, or there is no renderer.
        """
        path = Path(path)
        writer = WRITERS.get(path.suffix.lower())
        if writer is None:
            *others, last = (suffix for suffix in WRITERS if suffix not in ALIASES)
            raise SettingError(f"{path}: expected a name that ends in {', '.join(others)} or {last}")
        writer(self, path)

    def titled(self, path: Path) -> str:
        """What stands above the picture or score at a path."""
        return path.stem if self.title is None else self.title


def _midi(output: Output, path: Path) -> None:
    midi.write(output.piece, path, output.texts)


def _wav(output: Output, path: Path) -> None:
    from melodygru.render import audio

    audio.write_wav(output.samples, path)


def _flac(output: Output, path: Path) -> None:
    from melodygru.render import audio

    audio.write_flac(output.samples, path)


def _piano_roll(output: Output, path: Path) -> None:
    from melodygru.render import pictures

    pictures.save(pictures.piano_roll_figure(output.piece, title=output.titled(path)), path)


def _musicxml(output: Output, path: Path) -> None:
    from melodygru.render import score

    score.write(output.piece, path, title=output.titled(path))


Writer = Callable[[Output, Path], None]

# Sheet music as a picture is no format of a piece by its suffix: `melodygru.render.score.write(piece, "a.svg")`.
WRITERS: dict[str, Writer] = {
    ".mid": _midi,
    ".midi": _midi,
    ".wav": _wav,
    ".flac": _flac,
    ".png": _piano_roll,
    ".svg": _piano_roll,
    ".musicxml": _musicxml,
    ".xml": _musicxml,
}
ALIASES = (".xml",)  # understood, but not named to a user

__all__ = ["WRITERS", "Output", "Writer"]
