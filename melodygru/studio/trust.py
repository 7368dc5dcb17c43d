"""What of a piece can be checked: how it was made, what surprises the model, what stands in the training music."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from melodygru.analysis.originality.passages import Passage, as_notes, passages
from melodygru.compose import provenance
from melodygru.compose.candidates import note_nats
from melodygru.compose.composer import Composer
from melodygru.compose.original import Original
from melodygru.compose.primer import Source
from melodygru.compose.replay import replay
from melodygru.errors import MelodyGruError, ProvenanceError
from melodygru.music.notes import NoteSequence
from melodygru.studio.composing import MOST_MORE_BARS, longer
from melodygru.studio.jobs import Job
from melodygru.studio.pieces import Piece
from melodygru.studio.refusals import Missing, Refused
from melodygru.studio.views import View, as_page

MOST_MATCHES = 12


def surprise(composer: Composer, piece: Piece) -> list[float]:
    """What each note of a piece costs the model, in nats, by the notes' numbers.

    Raises
    ------
    SettingError
        The model can't hold the piece.
    """
    view = piece.view
    if not len(view.notes):
        return []
    nats = note_nats(composer.model, Original.of(_source(piece.name, view, piece.sha256), composer.vocabulary))
    return [round(one, 4) for one in nats.tolist()]


def originality(composer: Composer, view: View) -> dict[str, Any]:
    """What of a piece stands in the training music, as plain JSON values; bars from 0, both included."""
    index = _index(composer)
    found = index.examine(view.music)
    return {
        "longest": found.longest_notes,
        "share": round(found.share, 4),
        "notes": found.notes,
        "held_out": index.baseline,
        "matches": [
            {
                "bars": [one.first, one.last],
                "file": one.match.file,
                "length": one.match.notes,
                "their_bars": [one.their_first, one.their_last],
                "program": one.match.program,
                "unit": one.match.unit,
            }
            for one in _passages(composer, view)
        ],
    }


def passage(composer: Composer, view: View, number: int) -> dict[str, Any]:
    """A match as it stands in the training music, as a piece without id.

    Raises
    ------
    Missing
        There is no such match.
    """
    found = _passages(composer, view)
    if not 0 <= number < len(found):
        raise Missing("This match is no longer there: look the piece up again.")
    one, index = found[number], _index(composer)
    notes = as_notes(index, one)
    music = view.music
    qpm = music.tempos[:1].copy()
    length = int((notes["onset"] + notes["duration"]).max())
    shown = NoteSequence(
        notes, index.grid, length, qpm, music.metres[:1] if index.grid.is_metrical else music.metres[:0]
    )
    return {"name": one.match.file, **as_page(shown)}


def replaying(piece: Piece) -> Callable[[Job], dict[str, Any]]:
    """Work that composes a piece anew from its provenance, and says whether it came out the same.

    Raises
    ------
    ProvenanceError
        Its file doesn't say how it was made.
    """
    with piece.lock:
        path, view = piece.step_path, piece.view
    how, _ = provenance.read(view.data)

    def work(job: Job) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        if provenance.REDONE in how.inputs:
            source = piece.step_of(how.inputs[provenance.REDONE].get("file", ""))
            if source is None:
                raise ProvenanceError("the piece that this one was made from is no longer in its history")
            inputs["piece"] = source
            if "form_of" in how.inputs:
                inputs["form_of"] = _continued(View(source.read_bytes()), how.inputs["form_of"].get("notes"))
        made = replay(
            path, on_note=None if provenance.REDONE in how.inputs else lambda note: job.progress(None), **inputs
        )
        return {"same": made.identical or made.as_composed, "words": f"Composed anew: {made.verdict}."}

    def named(job: Job) -> dict[str, Any]:
        try:
            return work(job)
        except MelodyGruError as error:  # its first words are a path of the project's
            raise type(error)(str(error).replace(str(path), piece.name)) from error

    return named


def _continued(view: View, notes: str | None) -> NoteSequence:
    """The length that a piece was continued to: of all, the one with the hash that the provenance has."""
    for bars in range(1, MOST_MORE_BARS + 1):
        sequence = longer(view, bars)
        if provenance.notes_hash(sequence) == notes:
            return sequence
    raise ProvenanceError("the piece whose form it took is not in its history")


def _source(name: str, view: View, digest: str) -> Source:
    reading = view.reading
    return Source(name, reading.sequence, reading.lost, digest, reading.has_metre, view.data)


def _index(composer: Composer) -> Any:
    if composer.index is None:
        raise Refused("This model brought no index of the music that it learned: choose another model, or train anew.")
    return composer.index


def _passages(composer: Composer, view: View) -> list[Passage]:
    return passages(_index(composer), view.music, MOST_MATCHES)


__all__ = ["originality", "passage", "replaying", "surprise"]
