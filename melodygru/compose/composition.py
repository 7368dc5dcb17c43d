"""A composed piece: a note sequence that saves itself as MIDI, sound, a picture or a score."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from melodygru import midi
from melodygru.compose.choosing import Choice
from melodygru.compose.provenance import MARK, Provenance
from melodygru.errors import MidiError
from melodygru.midi.editing import Editor
from melodygru.music.names import part_labels
from melodygru.music.notes import NoteSequence
from melodygru.render import formats
from melodygru.util.atomic import atomic_write
from melodygru.util.wording import counted


@dataclass(frozen=True, eq=False)
class Composition(NoteSequence):
    """A note sequence that can be saved.

    Parameters
    ----------
    seed : int
        The seed of the batch that this piece is one of.
    provenance : Provenance, optional
        How it was made, which its MIDI file says too: `melodygru.replay` composes it anew.
    data : bytes, optional
        Its MIDI file but for the provenance, where that holds more than the notes; default: it is made from them.
    choice : Choice, optional
        Why it was chosen, where it is the best of several.
    """

    seed: int = 0
    provenance: Provenance | None = None
    data: bytes | None = None
    choice: Choice | None = None

    @classmethod
    def from_notes(
        cls, sequence: NoteSequence, seed: int, provenance: Provenance | None = None, choice: Choice | None = None
    ) -> Composition:
        """The same notes as a composition."""
        return cls(**fields_of(sequence), seed=seed, provenance=provenance, choice=choice)

    def midi(self, text: str | None = None) -> bytes:
        """The bytes of its MIDI file, with its provenance or another one's text."""
        text = text if text is not None or self.provenance is None else self.provenance.text
        if self.data is None:
            return midi.to_bytes(self, [] if text is None else [text])
        return self.data if text is None else Editor(self.data).with_text(text, MARK + "{")

    @property
    def texts(self) -> list[str]:
        """The text events of its MIDI file: its provenance."""
        return [] if self.provenance is None else [self.provenance.text]

    def to_pretty_midi(self) -> Any:
        """As a `pretty_midi.PrettyMIDI`."""
        return midi.to_pretty_midi(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: a piano roll, a player and the piece's figures, complete without a network."""
        from melodygru.render.pages import piece

        bars = [counted(len(self.bar_starts()) - 1, "bar")] if self.grid.is_metrical else []
        parts = part_labels(self) if len(self.part_programs) > 1 else []  # one is among the facts
        return piece.shown(self, [*bars, *parts, f"seed {self.seed}"])

    def save(self, path: str | Path) -> None:
        """Write a file; the suffix of its name decides what it is, see `melodygru.render.formats.WRITERS`.

        MIDI (.mid, .midi), sound (.wav, .flac), a piano roll (.png, .svg) or MusicXML (.musicxml, .xml). Sheet music
        as a picture: `melodygru.render.score.write(piece, "a.svg")`.

        Raises
        ------
        SettingError
            Another suffix, or MusicXML of music without a beat.
        MidiError, AudioError
            The file can't be written, or there is no renderer.
        """
        if self.data is not None and Path(path).suffix.lower() in (".mid", ".midi"):
            with atomic_write(path, MidiError) as aside:
                aside.write_bytes(self.midi())
            return
        formats.Output(self, texts=self.texts).save(path)


@dataclass(frozen=True, eq=False)
class Version(Composition):
    """A piece that was made anew, one of several versions; its notes are in ticks, those of its file.

    Parameters
    ----------
    rank : int
        From 1, by `nats`.
    nats, before : float
        What a note costs the model, on average, and what it did before; nan where nothing was there.
    """

    rank: int = 1
    nats: float = 0.0
    before: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Its figures, as plain JSON values."""
        return {
            "rank": self.rank,
            "nats_a_note": round(self.nats, 4),
            "nats_a_note_before": None if math.isnan(self.before) else round(self.before, 4),
        }


def fields_of(sequence: NoteSequence) -> dict[str, Any]:
    """The fields of a note sequence by name."""
    return {f.name: getattr(sequence, f.name) for f in fields(NoteSequence)}


__all__ = ["Composition", "Version", "fields_of"]
