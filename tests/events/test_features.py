"""Each feature: its two forms agree, for every registered one; and what it says of pieces small enough to check."""

import dataclasses
import pkgutil

import numpy as np
import pytest
import toys
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import sequence_of

from melodygru.events import N_INTERVALS, Context, Vocabulary, encode, features, layout_of, representable
from melodygru.events.features import REGISTRY, sounding
from melodygru.events.features.lookback_runs import N_RECENT_CLASSES, RUNS
from melodygru.events.features.metric_position import N_PHRASES
from melodygru.events.features.ngram_lookup import _ranked
from melodygru.music.grid import Grid
from melodygru.music.notes import DRUMS

GRID = Grid.beats(4)

VOCABULARIES = {
    **toys.VOCABULARIES,
    "all": Vocabulary(
        GRID, (0, 40, DRUMS), (80, 90), ("a", "b"), ((4, 4), (3, 4)),
        n_sounding=5, lookback_steps=(1, 3, 8), lookback_bars=(1, 2), lookback_runs=True, pointers=True,
    ),
    "without key": Vocabulary(GRID, (40, 41), (80, 90), lookback_steps=(3,), key=False),
    "without any lookup": Vocabulary(GRID, (0,), (80,), ngram_orders=(), metres=((4, 4), (3, 4))),
    "a grid that divides no beat": Vocabulary(Grid.parse("3/2"), (0,), (80,)),
}  # fmt: skip


def check(piece, vocabulary, style=None, metre_known=True):
    """Advance a Context through a piece and compare each feature's columns with those of `encode`, at every event.

    Of each event a copy is made, which must go on as if it were the first.
    """
    piece, _ = representable(piece, vocabulary)
    encoded, layout = encode(piece, vocabulary, style, metre_known=metre_known), layout_of(vocabulary)
    context = Context(vocabulary, style, piece.metre if metre_known else None, metres=piece.metres)
    masks = np.unpackbits(encoded.pitch_mask, axis=1, bitorder="little").astype(bool)
    velocities = encoded.fields[:, 4].tolist()
    assert context.start() == encoded.window(0, 1)["context"][0].tolist()

    def same(found, array, t):
        expected = getattr(encoded, array)[t].tolist()
        assert len(found) == layout.widths[array] == len(expected)
        for feature, region in layout.regions.items():
            if array in region.columns:
                own = slice(region.columns[array], region.columns[array] + feature.columns(vocabulary)[array])
                assert list(found[own]) == expected[own], f"{feature.__name__}, {array} of event {t}"

    shifts = np.diff(np.append(piece.notes["onset"], piece.length), prepend=0).tolist()
    for t, (shift, fields) in enumerate(zip(shifts, encoded.fields.tolist(), strict=True)):
        same(context.previous(velocities[t - 1] if t else -1), "previous", t)
        context, left_behind = context.copy(), context
        same(context.before(), "before", t)
        legality = [context.may_join_chord()]
        context.move(shift)
        same(context.row(), "context", t)
        same([*legality, context.program_floor(), context.may_end()], "legality", t)
        same(context.pitch_class_levels(), "pitch_class_levels", t)
        same(context.program_history(fields[1]), "program_history", t) if fields[1] else None
        if t == len(piece):
            break
        assert np.array_equal(context.pitch_mask(fields[1]), masks[t])
        assert not masks[t, fields[2]] and fields[1] >= context.program_floor()  # what happens is possible
        note = (fields[1], fields[2], int(piece.notes["duration"][t]))
        left_behind.move(shift)
        left_behind.add(*note)  # which must not reach the copy
        assert len(context.past.notes) == t
        context.add(*note)


@pytest.mark.parametrize("name", VOCABULARIES)
@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from([None, "b", "unknown"]), st.booleans())
def test_both_forms_of_every_feature_agree(name, data, style, metre_known):
    vocabulary = VOCABULARIES[name]
    check(data.draw(toys.pieces(vocabulary.grid, vocabulary.programs)), vocabulary, style, metre_known)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_both_forms_agree_on_long_pieces(name):
    check(toys.piece(VOCABULARIES[name], 5, 400), VOCABULARIES[name])


def test_every_module_of_a_feature_is_registered_and_compared():
    modules = {module.name for module in pkgutil.iter_modules(features.__path__)} - {"feature", "piece"}
    assert modules == {feature.__module__.rpartition(".")[2] for feature in REGISTRY}
    assert set(REGISTRY) == set().union(*(layout_of(vocabulary).regions for vocabulary in VOCABULARIES.values()))


def test_ids_lie_in_their_own_blocks_and_no_two_features_share_a_column():
    for vocabulary in VOCABULARIES.values():
        layout = layout_of(vocabulary)
        blocks = [(name, first) for feature in REGISTRY for name, first in _blocks(feature, layout)]
        assert blocks == list(layout.blocks.items())[:-1]
        for array, width in layout.widths.items():
            columns = [
                region.columns[array] + column
                for feature, region in layout.regions.items()
                for column in range(feature.columns(vocabulary).get(array, 0))
            ]
            assert columns == list(range(width))


def _blocks(feature, layout):
    return [(name, layout.blocks[name]) for name in feature.blocks(layout.vocabulary)]


def test_blocks_of_events_make_no_difference(monkeypatch):
    rng = np.random.default_rng(1)
    rows = [(int(o), int(d), 0, int(p), 80) for o, d, p in rng.integers((0, 1, 40), (99, 60, 70), (80, 3))]
    vocabulary = Vocabulary(GRID, (0,), (80,), n_sounding=5)
    whole = encode(sequence_of(rows), vocabulary)
    monkeypatch.setattr(sounding, "BLOCK", 7)
    blocks = encode(sequence_of(rows), vocabulary)
    for name in ("context", "pitch_mask", "legality"):
        assert np.array_equal(getattr(whole, name), getattr(blocks, name))
    check(sequence_of(rows), vocabulary)


def test_n_gram_lookup_finds_what_followed_the_same_events():
    theme = [(0, 2, 0, 60, 80), (2, 2, 0, 62, 80), (4, 2, 0, 64, 80), (6, 4, 0, 65, 80)]
    repeat = [(onset + 16, *rest) for onset, *rest in theme]
    piece = sequence_of([*theme, *repeat])
    vocabulary = Vocabulary(GRID, (0,), (80,), ngram_orders=(2,))
    encoded = encode(piece, vocabulary)
    first = layout_of(vocabulary).blocks["ngram_shift"]
    # Notes 5 and 6 (62, 64) repeat 1 and 2, which event 3 followed; note 4's own shift (10) differs from note 0's.
    assert encoded.before[:, 0].tolist() == [0, 0, 0, 0, 0, 0, 0, first + 2, first + 10]
    ngram_note = encoded.context[7, -2] - layout_of(vocabulary).blocks["ngram_note"]
    assert ngram_note == 65


def test_a_lookback_is_what_stood_a_lag_before():
    piece = sequence_of(
        [
            (0, 2, 0, 60, 80),
            (0, 2, 0, 64, 80),
            (2, 6, 0, 65, 80),
            (8, 2, 0, 60, 80),  # a lag of 8 after the chord of 60 and 64
            (8, 2, 0, 67, 80),
            (10, 3, 0, 65, 80),
            (15, 1, 0, 72, 80),  # nothing began at 7
        ],
        length=16,
    )
    vocabulary = Vocabulary(GRID, (0,), (80,), ngram_orders=(), lookback_steps=(8,))
    encoded = encode(piece, vocabulary)
    shift = layout_of(vocabulary).blocks["lookback_shift"]
    # Known before each event: how far what came next stood then. After the chord's first note, its second (0).
    assert encoded.before[:, 0].tolist() == [0, 0, 0, 0, shift + 0, shift + 2, shift + 6, shift + 1]
    note, motion, duration = encoded.context[:, -3], encoded.context[:, -2], encoded.context[:, -1]
    stood = np.array([60, 64, 65])
    assert note.tolist() == [
        0,
        0,
        0,
        *(layout_of(vocabulary).blocks["lookback_note"] + stood),
        0,
        layout_of(vocabulary).blocks["lookback_note"] + 60,
    ]
    middle = layout_of(vocabulary).blocks["lookback_motion"] + N_INTERVALS // 2
    assert motion.tolist() == [0, 0, 0, 0, middle + 4, middle + 1, 0, middle - 5]  # the first note had none before it
    assert duration[3:6].tolist() == [layout_of(vocabulary).blocks["lookback_duration"] + steps for steps in (2, 2, 6)]


def test_runs_count_how_well_the_last_notes_agreed_with_those_a_lag_before():
    pitches = [60, 62, 64, 65] * 6
    pitches[18] = 71  # the 19th note is another
    piece = sequence_of([(2 * at, 1, 0, pitch, 80) for at, pitch in enumerate(pitches)])
    vocabulary = Vocabulary(GRID, (0,), (80,), ngram_orders=(), lookback_steps=(8,), lookback_runs=True)
    found = encode(piece, vocabulary).before[:, 1]
    assert found[0] == 0
    run, lately = np.divmod(found[1:] - layout_of(vocabulary).blocks["lookback_run"], N_RECENT_CLASSES)
    in_a_row = [0, 0, 0, 0, *range(1, 15), 0, 1, 2, 3, 0, 1]  # what follows the other note by a lag differs, too
    assert np.array(RUNS)[run].tolist() == [max(r for r in RUNS if r <= n) for n in in_a_row]
    assert lately.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 3 + [4] * 3 + [4, 4]


def test_pointers_point_to_the_notes_of_n_gram_lookup_and_lookbacks():
    notes = [(0, 1, 0, 60, 80), (2, 1, 40, 60, 80), (4, 1, 0, 64, 80), (8, 1, 0, 60, 80), (10, 1, 40, 60, 80)]
    vocabulary = Vocabulary(GRID, (0, 40), (80,), ngram_orders=(1,), lookback_steps=(4, 8), pointers=True)
    found = encode(sequence_of(notes, 12), vocabulary).context
    # The last note is as that at 2: 60 of program 40, two steps later. Then 64 came after two steps, now the end does.
    assert layout_of(vocabulary).pointed(found).tolist() == [
        [-1, -1, -1],
        [-1, -1, -1],
        [-1, 60, -1],
        [-1, 64, 60],
        [-1, -1, 60],
        [64, 60, 64],
    ]
    assert layout_of(vocabulary).n_outputs("pitch") == 128 + 255 + 3
    without = dataclasses.replace(vocabulary, pointers=False)
    assert layout_of(without).n_outputs("pitch") == 128 + 255 and layout_of(without).pointed(found).shape == (6, 0)


def test_a_lag_in_bars_is_one_of_the_piece_s_own_bars_and_nothing_without_a_metre():
    vocabulary = Vocabulary(GRID, (0,), (80,), metres=((4, 4), (3, 4)), ngram_orders=(), lookback_bars=(2,))
    for metre, steps in (((4, 4), 32), ((3, 4), 24)):
        notes = [(at, 1, 0, 60 + at, 80) for at in (0, 24, 32)]
        piece = sequence_of(notes, 33, metres=[(0, *metre)])
        repeat = 1 + (24, 32).index(steps)
        note = encode(piece, vocabulary).context[:, -3]
        assert note[repeat] == layout_of(vocabulary).blocks["lookback_note"] + 60 and np.count_nonzero(note) == 1
        assert not encode(piece, vocabulary, metre_known=False).context[:, -3].any()


def test_a_program_s_range_is_counted_from_its_last_pitch():
    piece = sequence_of([(at, 1, 0, pitch, 80) for at, pitch in enumerate((60, 72, 65, 50))])
    encoded = encode(piece, Vocabulary(GRID, (0,), (80,)))
    assert encoded.program_history[:, 4:].tolist() == [[0, 0], [1, 1], [13, 1], [6, 8], [0, 0]]


def test_levels_of_pitch_classes_among_the_last_notes_and_in_the_whole_piece():
    pitches = [60] * 30 + [62] * 3 + [66]
    piece = sequence_of([(at, 1, 0, pitch, 80) for at, pitch in enumerate(pitches)])
    pitch_class_levels = encode(piece, Vocabulary(GRID, (0,), (80,))).pitch_class_levels
    assert not pitch_class_levels[0].any()
    assert pitch_class_levels[33, [0, 2, 12, 14]].tolist() == [
        2,
        2,
        3,
        2,
    ]  # 3 of 33 notes: in the key, not at its centre
    assert pitch_class_levels[34, [6, 18]].tolist() == [1, 1]  # 1 of 34: present, and not in the key
    assert pitch_class_levels[24, [0, 12]].tolist() == [2, 3]


def test_phrases_of_four_bars_are_counted_from_the_beginning():
    piece = sequence_of([(step, 1, 0, 60, 80) for step in (0, 16 * 4 - 1, 16 * 4, 16 * 4 * 40)])
    vocabulary = Vocabulary(GRID, (0,), (80,))
    phrase = encode(piece, vocabulary).context[:, 5] - layout_of(vocabulary).blocks["phrase"]
    assert phrase.tolist() == [0, 0, 1, N_PHRASES - 1, N_PHRASES - 1]


def test_equal_hashes_stand_together_even_where_others_differ_in_their_lowest_bits_alone():
    hashes = np.array([9 << 40, (9 << 40) + 1, 9 << 40, 3, (9 << 40) + 1], np.uint64)  # indices take the low three bits
    assert _ranked(hashes).tolist() == [3, 0, 2, 1, 4]
    assert _ranked(hashes[[0, 2, 3]]).tolist() == [2, 0, 1]
