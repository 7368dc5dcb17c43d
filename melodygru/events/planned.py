"""The plan of a piece, as far as features are given it: tempo, length, form, chords, each known or not."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from melodygru.music.chords import N_CHORDS, N_QUALITIES, half_bar_chords
from melodygru.music.form import bar_returns
from melodygru.music.notes import NoteSequence

ENTRIES = ("qpm", "n_bars", "returns", "chords")


@dataclass(frozen=True, eq=False)
class Planned:
    """What is known of a piece before its first note; of each entry, None is "unknown".

    Parameters
    ----------
    qpm : float
        Tempo, quarter notes per minute.
    n_bars : int
        Bars of the piece.
    returns : array of int, shape (n_bars,)
        For each bar the earlier bar that it returns to, or -1: it is new; see `music.form.bar_returns`.
    chords : array of int, shape (2 n_bars,)
        The chord of each half bar, 0 for none; see `music.chords.half_bar_chords`.
    """

    qpm: float | None = None
    n_bars: int | None = None
    returns: np.ndarray | None = None
    chords: np.ndarray | None = None

    @classmethod
    def of(cls, sequence: NoteSequence) -> Planned:
        """All of a piece's plan, found in it; nothing is known without a beat."""
        if not sequence.grid.is_metrical:
            return UNPLANNED
        returns = bar_returns(sequence)
        return cls(sequence.qpm, len(returns), returns, half_bar_chords(sequence).astype(np.int64))

    @property
    def known(self) -> tuple[bool, ...]:
        """Of each of ENTRIES whether it is known."""
        return tuple(getattr(self, name) is not None for name in ENTRIES)

    def knowing(self, known: tuple[bool, ...]) -> Planned:
        """The same with an entry for each of ENTRIES left in it or hidden."""
        return Planned(
            **{name: getattr(self, name) if known_ else None for name, known_ in zip(ENTRIES, known, strict=True)}
        )

    def tempo_alone(self) -> Planned:
        """No more than the tempo, where bars aren't known."""
        return UNPLANNED if self.qpm is None else Planned(self.qpm)

    def transposed(self, semitones: int) -> Planned:
        """The plan of the piece with all but its drums moved."""
        if self.chords is None or semitones % 12 == 0:
            return self
        return dataclasses.replace(self, chords=transposed_chords(self.chords, semitones))


UNPLANNED = Planned()


def root_of(chords: np.ndarray) -> np.ndarray:
    """The roots of chords that are some, 0..11 semitones above C."""
    return (chords.astype(np.int64) - 1) // N_QUALITIES


def transposed_chords(chords: np.ndarray, semitones: int) -> np.ndarray:
    """Chords with their roots moved."""
    quality = (chords.astype(np.int64) - 1) % N_QUALITIES
    moved: np.ndarray = np.where(chords > 0, 1 + (root_of(chords) + semitones) % 12 * N_QUALITIES + quality, 0)
    return moved


__all__ = ["ENTRIES", "N_CHORDS", "UNPLANNED", "Planned", "root_of", "transposed_chords"]
