"""How many events a performance has in the public encoding, by which figures on MAESTRO are published.

Source: I. Simon and S. Oore, Performance RNN (2017), and C.-Z. A. Huang et al., Music Transformer (2019).
"""

from __future__ import annotations

import numpy as np

from melodygru.music.grid import Grid
from melodygru.music.notes import N_PITCHES, NoteSequence

GRID = Grid.seconds(100)
LONGEST_SHIFT = 100  # steps; a longer wait takes several events
VELOCITY_WIDTH = 4  # velocities of one of the 32 bins


def count_performance_events(sequence: NoteSequence) -> int:
    """The events of a piece on the GRID of the public encoding, 10 ms a step, in that encoding.

    A note has a note-on and a note-off. Between the steps at which something begins or ends stand time shifts of at
    most 1 s each, the first counted from step 0. Before a note-on stands a velocity, where its bin of 32 is another
    than that of the note before; notes that begin together come in ascending pitch. Nothing marks the end. Reading a
    file has applied the sustain pedal to the ends of the notes.
    """
    notes = sequence.notes
    stops = np.unique(np.concatenate([notes["onset"], notes["onset"] + notes["duration"]]))
    shifts = -(-np.diff(stops, prepend=0) // LONGEST_SHIFT)
    order = np.argsort(notes["onset"] * N_PITCHES + notes["pitch"], kind="stable")
    bins = notes["velocity"][order] // VELOCITY_WIDTH
    return 2 * len(notes) + int(shifts.sum()) + int(np.count_nonzero(np.diff(bins, prepend=-1)))


__all__ = ["GRID", "count_performance_events"]
