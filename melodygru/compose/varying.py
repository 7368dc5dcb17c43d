"""Variations of a piece: its rhythm stays, some of its notes stay, and the others get new pitches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from melodygru.compose.controls import Controls
from melodygru.compose.drawing import Note, Row
from melodygru.compose.lengths import Plan
from melodygru.compose.particles import Guide, Particles, Span, compose_given
from melodygru.compose.settings import PARTICLES, check_setting
from melodygru.errors import SettingError
from melodygru.events import END, PITCH, VELOCITY_WIDTH, Context, Vocabulary, encode_parts
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.notes import N_PITCHES, NoteSequence

STRETCH = 16  # notes that are chosen anew together, where there are no bars


def kept(piece: NoteSequence, keep: float, rng: np.random.Generator) -> np.ndarray:
    """Which notes of a piece stay.

    Whole bars, drawn at random, are chosen anew, the last of them in part; without a metrical grid, stretches of
    STRETCH notes. Notes that one part strikes together stay or go together, so that a few more than asked for may
    stay.

    Parameters
    ----------
    keep : share of the notes, 0..1

    Returns
    -------
    stays : array, shape (n_notes,), bool
        The share `keep` or more of them; all go at 0.
    """
    notes = piece.notes
    stretches = np.arange(len(notes)) // STRETCH
    if piece.grid.is_metrical:
        stretches = np.searchsorted(piece.bar_starts(), notes["onset"], side="right")
    rank = rng.permutation(int(stretches.max(initial=0)) + 1)
    begins = np.append(True, (notes["onset"][1:] != notes["onset"][:-1]) | (notes["part"][1:] != notes["part"][:-1]))
    chord = np.cumsum(begins[: len(notes)]) - 1
    first = np.flatnonzero(begins)
    order = np.argsort(rank[stretches[first]], kind="stable")
    n_new = len(notes) - round(keep * len(notes))
    chosen = order[np.cumsum(np.bincount(chord)[order]) <= n_new]
    return ~np.isin(chord, chosen)


class SameRhythm(Guide):
    """The guide of a variation: each note where it was, with its pitch if it stays.

    Parameters
    ----------
    vocabulary : Vocabulary
    piece : NoteSequence as the vocabulary holds it
    stays : array, shape (n_notes,), bool: notes that keep their pitch

    Attributes
    ----------
    at : the note that is due, `n` for the end
    n : notes of the piece
    """

    def __init__(self, vocabulary: Vocabulary, piece: NoteSequence, stays: np.ndarray) -> None:
        notes = piece.notes
        self.at, self.n = 0, len(notes)
        self._velocities = vocabulary.models_velocity
        self._onsets = np.append(notes["onset"], piece.length).tolist()
        self._ends = (notes["onset"] + notes["duration"]).tolist()
        self._parts = notes["part"].tolist()
        self._part_classes = np.append(encode_parts(notes, vocabulary), END).tolist()
        self._pitches, self._bins = notes["pitch"].tolist(), (notes["velocity"] // VELOCITY_WIDTH).tolist()
        self._stays = stays.tolist()
        self._classes = np.arange(vocabulary.size("part"))

    def shift(self, context: Context) -> Span:
        """To the note's onset."""
        return _exactly(self._onsets[self.at] - context.onset)

    def parts(self, context: Context) -> np.ndarray:
        """The note's."""
        return self._classes == self._part_classes[self.at]

    def pitches(self, context: Context, part_class: int) -> np.ndarray:
        """The note's if it stays; else those that leave room for the notes of its chord and for those that stay."""
        if self._stays[self.at]:
            return np.arange(N_PITCHES) == self._pitches[self.at]
        below, part, last = N_PITCHES, self._parts[self.at], self.at
        free = ~context.pitch_mask(part)
        while last + 1 < self.n and self._onsets[last + 1] == context.onset and self._parts[last + 1] == part:
            last += 1
        for note in range(last, self.at, -1):
            below = int(np.flatnonzero((free & self._open(note))[:below]).max(initial=-1))
        allowed = free & self._open(self.at)
        allowed[max(0, below) :] = False
        if not allowed.any():
            raise SettingError(
                f"note {self.at} of the piece has no pitch left beside those that its part sounds: keep more notes"
            )
        return allowed

    def _open(self, at: int) -> np.ndarray:
        """Pitches that no note that stays strikes while a note, of the same part, sounds."""
        allowed = np.ones(N_PITCHES, bool)
        later = at + 1
        while later < self.n and self._onsets[later] < self._ends[at]:
            if self._stays[later] and self._parts[later] == self._parts[at]:
                allowed[self._pitches[later]] = False
            later += 1
        return allowed

    def duration(self, context: Context, part_class: int, pitch: int) -> Span:
        """The note's."""
        return _exactly(self._ends[self.at] - context.onset)

    def velocity(self, context: Context, part_class: int, pitch: int) -> int:
        """The note's."""
        return self._bins[self.at] if self._velocities else -1


def _exactly(steps: int) -> Span:
    return steps, steps + 1


def fill_in(particles: Particles, guide: SameRhythm) -> Iterator[None]:
    """Extend particles to the end of the piece; yields after each note."""
    for at in range(guide.n + 1):
        guide.at = at
        particles.extend(guide)
        yield


def vary(
    network: NumpyModel,
    piece: NoteSequence,
    keep: float,
    n: int = 1,
    seed: int = 0,
    *,
    particles: int = PARTICLES,
    controls: Controls | None = None,
    style: str | None = None,
    qpm: float | None = None,
    on_start: Callable[[list[Plan]], None] | None = None,
    on_note: Callable[[Note], None] | None = None,
) -> list[NoteSequence]:
    """Vary a piece `n` times; the i-th variation's randomness is the i-th child of `seed`.

    Every note keeps its onset, duration, part and velocity. The share `keep` of them keep their pitch too
    (see `kept`); the others are given pitches by the model.

    Parameters
    ----------
    piece : NoteSequence as the vocabulary can hold it (see `Primer`); the variations have its length, metres and,
        without `qpm`, its tempos
    keep : share of the notes that stay, 0..1; at 1 the variation is the piece
    particles : versions that go on side by side; with one, pitches follow from what went before alone, with several
        also from the notes that stay and are still to come
    style : one of the vocabulary's styles, or None for unknown
    qpm : tempo to write
    on_start, on_note : see `particles.compose_given`

    Returns
    -------
    pieces : list of NoteSequence
        Of each variation's particles the most probable one.

    Raises
    ------
    SettingError
        There is no note; a style that the model was not trained on; a value out of range.
    """
    v = network.vocabulary
    check_setting("keep", keep)
    if len(piece) == 0:
        raise SettingError("nothing to vary: expected a piece with notes")

    def written(rows: list[Row], _: dict[int, int]) -> NoteSequence:
        notes = piece.notes.copy()
        notes["pitch"] = [row[PITCH] for row in rows]
        return NoteSequence(notes, v.grid, piece.length, names=piece.names)

    return compose_given(
        network,
        piece,
        n,
        seed,
        lambda cloud: fill_in(cloud, SameRhythm(v, piece, kept(piece, keep, cloud.rng))),
        written,
        line_up=lambda _: tuple(sorted(piece.part_programs.tolist())) if v.models_part else None,
        particles=particles,
        controls=controls,
        style=style,
        qpm=qpm,
        on_start=on_start,
        on_note=on_note,
    )
