"""Tiny vocabularies, pieces and models that several test files share; each is made once."""

import dataclasses
import functools
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from melodygru.errors import NoteError
from melodygru.events import END, TIMES, CorpusStatistics, Vocabulary
from melodygru.model import checkpoint
from melodygru.model.architecture import Architecture
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE
from melodygru.music.notes import DRUMS, NOTE, NoteSequence, canonical, note_array

BEAT = Grid.beats(4)
PERFORMANCE = Grid.seconds(100)
BINS = tuple(range(2, 128, 4))  # what each velocity bin decodes to

VOCABULARIES = {
    "one": Vocabulary(BEAT, (0,), 0, (80,)),
    "one_loud": Vocabulary(BEAT, (5,), 0, BINS, metres=((3, 4),)),
    "many": Vocabulary(BEAT, (0, 40, DRUMS), 7, BINS, metres=((4, 4), (3, 4)), n_sounding=4),
    "duet": Vocabulary(BEAT, (0,), 3, (80,), lookback_steps=(4,)),
    "styles": Vocabulary(
        BEAT,
        (40, 43),
        5,
        (64,),
        ("airs", "reels"),
        ((4, 4), (6, 8)),
        statistics=CorpusStatistics(qpm=100.0, style_qpm=(80.0, 120.0)),
    ),
    "lookbacks": Vocabulary(
        BEAT,
        (0, 40),
        4,
        (64,),
        metres=((4, 4), (3, 4)),
        lookback_steps=(2, 8),
        lookback_bars=(1,),
        lookback_runs=True,
    ),
    "performance": Vocabulary(PERFORMANCE, (0,), 0, BINS),
    "ensemble": Vocabulary(PERFORMANCE, (0, 40), 4, (80,), ("a", "b")),
    "pedal": Vocabulary(PERFORMANCE, (0,), 0, BINS, exact_ends=True, alignment_orders=(5, 8)),
}


def with_statistics(vocabulary, **counts):
    """The vocabulary with other statistics of its corpus."""
    return dataclasses.replace(vocabulary, statistics=dataclasses.replace(vocabulary.statistics, **counts))


def sequence_of(rows, length=0, grid=BEAT, metres=((0, 4, 4),), parts=None):
    """A sequence from (onset, duration, program, pitch, velocity) rows in any order; a part for each program."""
    notes, _ = canonical(note_array(rows, parts))
    end = int((notes["onset"] + notes["duration"]).max()) if len(notes) else 0
    return NoteSequence(notes, grid, max(end, length), metres=np.array(list(metres), METRE))


def piece(vocabulary, seed=0, n=24):
    """A random piece that the vocabulary holds: chords, long notes, repeated figures, a rest before the end."""
    rng = np.random.default_rng([seed, 99])
    onset = np.cumsum(rng.choice([0, 0, 1, 2, 4, 130], n, p=[0.3, 0.1, 0.2, 0.2, 0.17, 0.03]))
    figure = rng.integers(55, 75, 5)
    rows = [
        (
            int(onset[i]),
            int(rng.choice([1, 2, 4, 9, 200], p=[0.3, 0.3, 0.25, 0.1, 0.05])),
            int(rng.choice(vocabulary.programs)),
            int(figure[i % 5]) if rng.random() < 0.8 else int(rng.integers(0, 128)),
            int(vocabulary.velocities[rng.integers(len(vocabulary.velocities))]),
        )
        for i in range(n)
    ]
    metre = vocabulary.metres[seed % len(vocabulary.metres)] if vocabulary.grid.is_metrical else (4, 4)
    longest = max(row[0] + row[1] for row in rows)
    length = longest + int(rng.integers(0, 9))
    second = rng.random(n) < (0.3 if vocabulary.models_part else 0)  # on a second part of the program
    parts = 2 * np.array([row[2] for row in rows]) + second
    return sequence_of(rows, length, vocabulary.grid, [(0, *metre)], parts)


@st.composite
def pieces(draw, grid=BEAT, programs=(0, 40, DRUMS), players=None):
    """Pieces of any sort for hypothesis: chords, rests, hanging notes, the top of the keyboard, changes of metre.

    Each program has up to `players` parts; default: three where there are several programs, else one.
    """
    rows = draw(
        st.lists(
            st.tuples(
                st.one_of(st.integers(0, 20), st.integers(0, 400)),
                st.one_of(st.integers(1, 6), st.integers(1, 300)),
                st.sampled_from(programs),
                st.one_of(st.integers(58, 66), st.integers(112, 127), st.integers(0, 127)),
                st.integers(1, 127),
            ),
            min_size=1,
            max_size=40,
        )
    )
    metres = draw(st.sampled_from([[(0, 4, 4)], [(0, 3, 4)], [(0, 3, 4), (9, 2, 4), (30, 6, 8)]]))
    player = st.integers(0, (players or (3 if len(programs) > 1 else 1)) - 1)
    parts = [3 * program + draw(player) for _, _, program, _, _ in rows]
    return sequence_of(rows, draw(st.integers(0, 500)), grid, metres, parts)


def new_model(vocabulary, layers=1, seed=0, units=10, end_bias=None, scale=0.3, cell="gru"):
    """A model with random weights, biases too; `end_bias` is added to that of END, and makes times short."""
    from melodygru import training

    sizes = Architecture(layers=layers, units=units, embedding=8, head=9, cell=cell)
    model = training.new_model(vocabulary, sizes, seed)
    rng = np.random.default_rng([seed, layers])
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, scale, variable.shape).astype(np.float32))
    if end_bias is not None:
        bias = model.head_part.output_layer.bias
        values = bias.numpy()
        values[END] += end_bias
        bias.assign(values)
        for head in (model.head_shift, model.head_duration):
            bias = head.output_layer.bias
            values = bias.numpy()
            values[: TIMES.size] -= 0.05 * np.arange(TIMES.size, dtype=np.float32)  # pointers follow
            bias.assign(values)
    return model


@functools.cache
def model(name, layers=1, end_bias=None, cell="gru"):
    """The model of one of VOCABULARIES; shared, so leave its weights as they are."""
    return new_model(VOCABULARIES[name], layers, seed=layers, end_bias=end_bias, cell=cell)


def network_of(keras_model):
    """The NumPy network of a Keras model, by way of a checkpoint."""
    from melodygru.model.keras_model import save

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "toy.keras"
        save(keras_model, path)
        return NumpyModel(checkpoint.read(path))


@functools.cache
def network(name, layers=1, end_bias=None, cell="gru"):
    """The NumPy network of `model(...)`."""
    return network_of(model(name, layers, end_bias, cell))


def batch(encoded, start=0, stop=None):
    """The model's input for pieces of events, padded to the longest."""
    from melodygru.events import windows

    stop = stop or max(len(events) for events in encoded)
    return windows(encoded, start, stop - start)


def follows(prefix, note, grid):
    """Whether a note (a NOTE row) may follow the notes of `prefix` in canonical order; the rule itself, not a mask."""
    notes = np.append(prefix, np.array([note], NOTE))
    try:
        NoteSequence(notes, grid, 1 << 40)
    except NoteError:
        return False
    return True


def representative(time_class):
    """A number of steps within a class of TIMES: its last."""
    return int(TIMES.low[time_class] + TIMES.width[time_class] - 1)
