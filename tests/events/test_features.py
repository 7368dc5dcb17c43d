"""Each feature: its two forms agree, for every registered one; and what it says of pieces small enough to check."""

import dataclasses
import pkgutil

import numpy as np
import pytest
import toys
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import sequence_of

from melodygru.events import (
    END,
    N_INTERVALS,
    NEW,
    PART,
    PITCH,
    TIMES,
    VELOCITY,
    Context,
    Vocabulary,
    encode,
    features,
    layout_of,
    possible_parts,
    representable,
)
from melodygru.events.features import REGISTRY, sounding
from melodygru.events.features.alignment import Alignment
from melodygru.events.features.common_end import CommonEnd
from melodygru.events.features.feature import ARRAYS
from melodygru.events.features.form import Form
from melodygru.events.features.kept_notes import N_CLASSES, N_NEAREST, KeptNotes
from melodygru.events.features.line_up import LineUp
from melodygru.events.features.lookback_runs import N_RECENT_CLASSES, RUNS
from melodygru.events.features.metric_position import N_PHRASES
from melodygru.events.features.near_velocities import N_LATEST, NearVelocities
from melodygru.events.features.part_descriptions import FAR, description_sizes
from melodygru.events.features.recent_tempo import RecentTempo
from melodygru.events.kept import Kept
from melodygru.events.planned import N_CHORDS, UNPLANNED, Planned
from melodygru.events.times import N_SPANS
from melodygru.music.grid import Grid
from melodygru.music.notes import DRUMS, ONSET_KEYS, canonical, note_keys
from melodygru.training.gaps import with_gaps

GRID = Grid.beats(4)
HARMONY = 3  # columns of `context` of its references, the last ones
BEATS = 3  # pointers to a bar line, a beat and half of one, the first ones

VOCABULARIES = {
    **toys.VOCABULARIES,
    "all": Vocabulary(
        GRID, (0, 40, DRUMS), 5, (80, 90), ("a", "b"), ((4, 4), (3, 4)),
        n_sounding=5, lookback_steps=(1, 3, 8), lookback_bars=(1, 2), lookback_runs=True, kept=True,
    ),
    "kept notes of one part": Vocabulary(GRID, (0,), 0, (80,), kept=True),
    "kept notes in seconds": Vocabulary(Grid.seconds(10), (0, 40, DRUMS), 5, (80, 90), kept=True),
    "exact ends": Vocabulary(Grid.seconds(10), (0, 40, DRUMS), 5, (80, 90), exact_ends=True),
    "planned": Vocabulary(
        GRID, (0, 40, DRUMS), 7, (80, 90), metres=((4, 4), (3, 4)), n_sounding=5, lookback_bars=(1,), plans=True
    ),
    "one part that follows a beat": Vocabulary(GRID, (0,), 0, (80,), alignment_orders=(3,)),
    "planned, one part": Vocabulary(GRID, (0,), 0, (80,), ngram_orders=(), plans=True),
    "without key": Vocabulary(GRID, (40, 41), 48, (80, 90), lookback_steps=(3,), key=False),
    "parts without any lookup": Vocabulary(GRID, (0, 40), 3, (80,), ngram_orders=()),
    "without any lookup": Vocabulary(GRID, (0,), 0, (80,), ngram_orders=(), metres=((4, 4), (3, 4))),
    "a grid that divides no beat": Vocabulary(Grid.parse("3/2"), (0,), 0, (80,)),
}  # fmt: skip


def a_plan(piece, vocabulary):
    """A plan for a piece, in a vocabulary with plans: any form and chords, known in part, for more or fewer bars."""
    if not vocabulary.plans:
        return UNPLANNED
    rng = np.random.default_rng(len(piece))
    n_bars = max(1, len(piece.bar_starts()) - 1 + int(rng.integers(-2, 3)))
    returns = np.array([int(rng.integers(-1, bar)) if bar else -1 for bar in range(n_bars)])
    chords = rng.integers(0, N_CHORDS, 2 * n_bars)
    return Planned(float(rng.uniform(20, 400)), n_bars, returns, chords).knowing(tuple(rng.random(4) < 0.8))


def check(piece, vocabulary, style=None, metre_known=True, line_up_known=False, gaps=None, planned=None):
    """Advance a Context through a piece and compare each feature's columns with those of `encode`, at every event.

    Of each event a copy is made, which must go on as if it were the first.
    """
    piece, _ = representable(piece, vocabulary)
    kept = None if gaps is None else with_gaps(piece, np.random.default_rng(gaps))
    planned = planned or a_plan(piece, vocabulary)
    encoded = encode(
        piece,
        vocabulary,
        style,
        metre_known=metre_known,
        line_up_known=line_up_known,
        kept=kept,
        planned=planned,
    )
    layout = layout_of(vocabulary)
    metre, line_up = piece.metre if metre_known else None, piece.part_programs.tolist() if line_up_known else None
    context = Context(vocabulary, style, metre, piece.metres, line_up, kept, planned)
    assert context.start() == encoded.window(0, 1)["context"][0].tolist()
    compared = set()

    def same(found, array, t):
        expected = getattr(encoded, array)[t].tolist()
        assert len(found) == layout.widths[array] == len(expected)
        compared.add(array)
        for feature, region in layout.regions.items():
            if array in region.columns:
                own = slice(region.columns[array], region.columns[array] + feature.columns(vocabulary)[array])
                assert list(found[own]) == expected[own], f"{feature.__name__}, {array} of event {t}"

    shifts = np.diff(np.append(piece.notes["onset"], piece.length), prepend=0).tolist()
    velocity = -1
    for t, (shift, fields) in enumerate(zip(shifts, encoded.fields.tolist(), strict=True)):
        same(context.previous(velocity), "previous", t)
        context, left_behind = context.copy(), context
        same(context.before(), "before", t)
        same(context.shift_pointers(), "shift_pointers", t)
        legality = [context.may_join_chord()]
        context.move(shift)
        same(context.row(), "context", t)
        same(context.part_descriptions(), "part_descriptions", t)
        same(context.line_up(), "line_up", t)
        same([*legality, *context.legality()], "legality", t)
        same(context.pitch_class_levels(), "pitch_class_levels", t)
        part_class, pitch, velocity = fields[PART], fields[PITCH], fields[VELOCITY]
        assert possible_parts(vocabulary, encoded.legality[t : t + 1])[0, part_class]  # what happens is possible
        if part_class == END:
            break
        part = context.part_of(part_class)
        assert (part, context.program_of(part_class)) == tuple(piece.notes[["part", "program"]][t])
        same(context.part_history(part_class), "part_history", t)
        mask = context.pitch_mask(part)
        same(np.packbits(mask, bitorder="little"), "pitch_mask", t)
        assert not mask[pitch]
        same(context.pitch_pointers(part), "pitch_pointers", t)
        durations, velocities = context.note_pointers(part, pitch)
        same(durations, "duration_pointers", t)
        same(velocities, "velocity_pointers", t)
        duration = int(piece.notes["duration"][t])
        same([context.common_end() == duration] if vocabulary.exact_ends else [], "at_common_end", t)
        note = (part_class, pitch, duration, velocity)
        left_behind.move(shift)
        left_behind.add(*note)  # which must not reach the copy
        assert len(context.past.notes) == t
        context.add(*note)
        context.past.given[part] = part
    assert t == len(piece) and (not len(piece) or compared == set(ARRAYS))


def drawn_pieces(vocabulary):
    """A strategy of pieces for a vocabulary, with more parts than it has among them."""
    return toys.pieces(vocabulary.grid, vocabulary.programs, 3 if vocabulary.models_part else None)


@pytest.mark.parametrize("name", VOCABULARIES)
@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from([None, "b", "unknown"]), st.booleans(), st.booleans(), st.none() | st.integers(0, 99))
def test_both_forms_of_every_feature_agree(name, data, style, metre_known, line_up_known, gaps):
    vocabulary = VOCABULARIES[name]
    check(data.draw(drawn_pieces(vocabulary)), vocabulary, style, metre_known, line_up_known, gaps)


@pytest.mark.parametrize("name", VOCABULARIES)
@pytest.mark.parametrize("line_up_known", [False, True])
def test_both_forms_agree_on_long_pieces(name, line_up_known):
    for gaps in (None, 1, 2):
        check(toys.piece(VOCABULARIES[name], 5, 400), VOCABULARIES[name], line_up_known=line_up_known, gaps=gaps)


EDGES = {
    "empty": ([], []),
    "an end far away": ([], [], 200_000),
    "drums alone": ([(at // 2, 3, DRUMS, 36 + at % 2 * 2, 80) for at in range(20)], None),
    "sixty parts": ([(at // 40, 3, at % 3 * 40, 40 + at % 60, 80) for at in range(180)], [*range(60)] * 3),
    "all come in at once": ([(0, 9, 0, 60, 80)] * 60 + [(9, 1, 0, 60, 80)] * 60, [*range(60), *range(60)]),
    "times too long": ([(0, 100_000, 0, 60, 80), (70_000, 1, 40, 60, 80), (140_000, 66_000, 0, 62, 80)], None, 300_000),
    "the longest times": ([(65_535, 65_535, 0, 60, 80), (131_070, 65_535, 40, 60, 80)], None, 262_140),
    "every key": ([*((0, 8, 0, pitch, 80) for pitch in range(128)), (4, 8, 40, 0, 80), (8, 1, 0, 127, 80)], None),
}  # fmt: skip


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("name", VOCABULARIES)
def test_both_forms_agree_at_the_edges(name, edge):
    rows, parts, *length = EDGES[edge]
    vocabulary = VOCABULARIES[name]
    for line_up_known in (False, True):
        piece = sequence_of(rows, *length, grid=vocabulary.grid, parts=parts)
        check(piece, vocabulary, line_up_known=line_up_known, gaps=int(line_up_known) or None)


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
    vocabulary = Vocabulary(GRID, (0,), 0, (80,), n_sounding=5)
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
    vocabulary = Vocabulary(GRID, (0,), 0, (80,), ngram_orders=(2,))
    encoded = encode(piece, vocabulary)
    first = layout_of(vocabulary).blocks["ngram_shift"]
    # Notes 5 and 6 (62, 64) repeat 1 and 2, which event 3 followed; note 4's own shift (10) differs from note 0's.
    assert encoded.before[:, 0].tolist() == [0, 0, 0, 0, 0, 0, 0, first + 2, first + 10]
    ngram_note = encoded.context[7, -2 - HARMONY] - layout_of(vocabulary).blocks["ngram_pitch"]
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
    vocabulary = Vocabulary(GRID, (0,), 0, (80,), ngram_orders=(), lookback_steps=(8,))
    encoded = encode(piece, vocabulary)
    shift = layout_of(vocabulary).blocks["lookback_shift"]
    # Known before each event: how far what came next stood then. After the chord's first note, its second (0).
    assert encoded.before[:, 0].tolist() == [0, 0, 0, 0, shift + 0, shift + 2, shift + 6, shift + 1]
    note, motion, duration = (encoded.context[:, -column - HARMONY] for column in (3, 2, 1))
    stood = np.array([60, 64, 65])
    assert note.tolist() == [
        0,
        0,
        0,
        *(layout_of(vocabulary).blocks["lookback_pitch"] + stood),
        0,
        layout_of(vocabulary).blocks["lookback_pitch"] + 60,
    ]
    middle = layout_of(vocabulary).blocks["lookback_motion"] + N_INTERVALS // 2
    assert motion.tolist() == [0, 0, 0, 0, middle + 4, middle + 1, 0, middle - 5]  # the first note had none before it
    assert duration[3:6].tolist() == [layout_of(vocabulary).blocks["lookback_duration"] + steps for steps in (2, 2, 6)]


def test_runs_count_how_well_the_last_notes_agreed_with_those_a_lag_before():
    pitches = [60, 62, 64, 65] * 6
    pitches[18] = 71  # the 19th note is another
    piece = sequence_of([(2 * at, 1, 0, pitch, 80) for at, pitch in enumerate(pitches)])
    vocabulary = Vocabulary(GRID, (0,), 0, (80,), ngram_orders=(), lookback_steps=(8,), lookback_runs=True)
    found = encode(piece, vocabulary).before[:, 1]
    assert found[0] == 0
    run, lately = np.divmod(found[1:] - layout_of(vocabulary).blocks["lookback_run"], N_RECENT_CLASSES)
    in_a_row = [0, 0, 0, 0, *range(1, 15), 0, 1, 2, 3, 0, 1]  # what follows the other note by a lag differs, too
    assert np.array(RUNS)[run].tolist() == [max(r for r in RUNS if r <= n) for n in in_a_row]
    assert lately.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 3 + [4] * 3 + [4, 4]


def test_pointers_point_to_what_n_gram_lookup_lookbacks_and_the_part_s_last_notes_had():
    notes = [(0, 0, 60), (2, 40, 60), (4, 0, 64), (8, 0, 60), (10, 40, 60), (12, 0, 64)]
    piece = sequence_of([(onset, 1, program, pitch, 80) for onset, program, pitch in notes], 16)
    vocabulary = Vocabulary(GRID, (0, 40), 2, (80,), ngram_orders=(1,), lookback_steps=(4, 8), n_sounding=1)
    found = encode(piece, vocabulary)
    # All are classes plus 1. The n-gram lookup: after the note at 10, which is as that at 2, what followed that one.
    assert found.pitch_pointers.tolist() == [  # by n-gram, and lags of 4 and 8
        [0, 0, 0],
        [0, 0, 0],
        [0, 61, 0],
        [0, 65, 61],
        [0, 0, 61],
        [65, 61, 65],
        [0, 0, 0],
    ]
    assert found.shift_pointers[
        :, BEATS:
    ].tolist() == [  # n-gram, the last note's duration, how long the next note was then
        [0, 0, 0, 0],
        [0, 2, 0, 0],
        [0, 2, 0, 0],
        [0, 2, 3, 0],
        [0, 2, 5, 3],
        [3, 2, 3, 3],
        [5, 2, 3, 5],
    ]
    # What sounds; n-gram; for each lag the same pitch, or else the part's note there; the part's last note, and its
    # last one of this pitch.
    assert found.duration_pointers[:, BEATS:].tolist() == [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 2, 0, 0, 2, 0],
        [0, 0, 0, 2, 2, 0, 2, 2],
        [0, 0, 0, 0, 2, 0, 2, 2],
        [0, 2, 0, 2, 2, 0, 2, 2],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
    layout = layout_of(vocabulary)
    assert layout.n_outputs("pitch") == 128 + 255 + 12 + 36 + 3
    assert [layout.n_outputs(field) - TIMES.size for field in ("shift", "duration")] == [BEATS + 4, BEATS + 8]


def test_a_duration_points_to_the_ends_of_the_notes_that_sound_and_a_velocity_to_the_part_s_last():
    piece = sequence_of([(0, 9, 0, 60, 80), (2, 4, 40, 64, 12), (6, 1, 40, 67, 16), (6, 1, 40, 72, 16)])
    found = encode(piece, Vocabulary(GRID, (0, 40), 2, toys.BINS, ngram_orders=(), n_sounding=3))
    # The latest first; what ends at the onset is none of them.
    assert found.duration_pointers[:, BEATS : BEATS + 3].tolist() == [
        [0, 0, 0],
        [8, 0, 0],
        [0, 4, 0],
        [2, 0, 4],
        [0, 0, 0],
    ]
    assert found.velocity_pointers.tolist() == [[0, 0], [0, 0], [4, 0], [5, 0], [0, 0]]


def test_a_part_is_described_by_what_it_did_last_and_here_and_where_the_lookups_look():
    rows = [(0, 4, 40, 60, 80), (4, 6, 40, 72, 80), (4, 1, DRUMS, 36, 80), (8, 1, DRUMS, 38, 80), (8, 1, DRUMS, 40, 80)]
    piece = sequence_of(rows, 12)
    vocabulary = Vocabulary(GRID, (40, DRUMS), 3, (80,), ngram_orders=(1,), lookback_steps=(4,))
    found = encode(piece, vocabulary).part_descriptions.reshape(6, 3, 9)
    assert description_sizes(vocabulary) == (129, 40, 40, 8, 16, 6, 1, 2 * FAR, 2)
    none, due, done, first = [0] * 9, 2, 1, 1 + FAR
    # Program plus 1; steps since its last onset, and to its last end, plus 1; 1 + its notes here, + 4 if the last was
    # its; its register plus 1; 1 + the class of how many of the last events were its; n-gram; its place in the order
    # from the chord's last part, or at a new onset from the first; lag.
    violin = [
        none,
        [41, 5, 1, 5, 60 // 8 + 1, 2, 0, first, due],
        [41, 1, 7, 6, 72 // 8 + 1, 3, 0, 1, done],  # it has struck here as well
        [41, 5, 3, 1, 72 // 8 + 1, 3, 0, first, due],
        [41, 5, 3, 1, 72 // 8 + 1, 3, 0, 0, due],
        [41, 9, 1, 1, 72 // 8 + 1, 3, 0, first, 0],
    ]
    drums = [
        none,
        none,
        none,
        [129, 5, 1, 5, 36 // 8 + 1, 2, 0, first + 1, due],
        [129, 1, 2, 6, 38 // 8 + 1, 3, 0, 1, done],
        [129, 5, 1, 5, 40 // 8 + 1, 3, 0, first + 1, due],
    ]
    assert found[:, 0].tolist() == violin and found[:, 1].tolist() == drums
    assert not found[:, 2].any()


def test_a_line_up_is_the_parts_that_have_still_to_come_in():
    piece = sequence_of([(0, 1, 40, 60, 80), (1, 1, 40, 60, 80), (2, 1, DRUMS, 36, 80)], parts=[0, 1, 2])
    vocabulary = Vocabulary(GRID, (40, DRUMS), 3, (80,))
    found, first = encode(piece, vocabulary, line_up_known=True), layout_of(vocabulary).blocks["line_up"]
    bits = np.unpackbits(found.line_up, axis=1, bitorder="little")
    assert [np.flatnonzero(row).tolist() for row in bits] == [[40, 128, 129], [40, 128, 129], [128, 129], [129]]
    column = layout_of(vocabulary).regions[LineUp].columns["context"]
    assert (found.context[:, column] - first).tolist() == [3, 2, 1, 0]
    unknown = encode(piece, vocabulary)
    assert not unknown.line_up.any() and not unknown.context[:, column].any()


def test_a_line_up_with_a_copy_of_a_context_goes_on_by_itself():
    vocabulary = Vocabulary(GRID, (40, DRUMS), 3, (80,))
    context = Context(vocabulary, line_up=(40, DRUMS))
    copy = context.copy()
    copy.add(NEW + 40, 60, 1)
    assert context.line_up() == Context(vocabulary, line_up=(40, DRUMS)).line_up()
    assert copy.line_up() == Context(vocabulary, line_up=(DRUMS,)).line_up()


def test_a_lag_in_bars_is_one_of_the_piece_s_own_bars_and_nothing_without_a_metre():
    vocabulary = Vocabulary(GRID, (0,), 0, (80,), metres=((4, 4), (3, 4)), ngram_orders=(), lookback_bars=(2,))
    for metre, steps in (((4, 4), 32), ((3, 4), 24)):
        notes = [(at, 1, 0, 60 + at, 80) for at in (0, 24, 32)]
        piece = sequence_of(notes, 33, metres=[(0, *metre)])
        repeat = 1 + (24, 32).index(steps)
        note = encode(piece, vocabulary).context[:, -3 - HARMONY]
        assert note[repeat] == layout_of(vocabulary).blocks["lookback_pitch"] + 60 and np.count_nonzero(note) == 1
        assert not encode(piece, vocabulary, metre_known=False).context[:, -3 - HARMONY].any()


def test_a_part_s_range_is_counted_from_its_last_pitch():
    piece = sequence_of([(at, 1, 0, pitch, 80) for at, pitch in enumerate((60, 72, 65, 50))])
    encoded = encode(piece, Vocabulary(GRID, (0,), 0, (80,)))
    assert encoded.part_history[:, 5:].tolist() == [[0, 0], [1, 1], [13, 1], [6, 8], [0, 0]]


def test_levels_of_pitch_classes_among_the_last_notes_and_in_the_whole_piece():
    pitches = [60] * 30 + [62] * 3 + [66]
    piece = sequence_of([(at, 1, 0, pitch, 80) for at, pitch in enumerate(pitches)])
    pitch_class_levels = encode(piece, Vocabulary(GRID, (0,), 0, (80,))).pitch_class_levels
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
    vocabulary = Vocabulary(GRID, (0,), 0, (80,))
    phrase = encode(piece, vocabulary).context[:, 6] - layout_of(vocabulary).blocks["phrase"]
    assert phrase.tolist() == [0, 0, 1, N_PHRASES - 1, N_PHRASES - 1]


def test_a_shift_and_a_duration_point_to_the_next_bar_line_beat_and_half_of_one():
    piece = sequence_of([(0, 1, 0, 60, 80), (3, 1, 0, 60, 80), (12, 1, 0, 60, 80)], metres=[(0, 3, 4)], length=13)
    vocabulary = Vocabulary(GRID, (0,), 0, (80,), metres=((3, 4), (4, 4)), ngram_orders=())
    left = [[12, 4, 2], [9, 1, 1], [12, 4, 2]]  # from each onset; a class plus 1 is a step more
    found = encode(piece, vocabulary)
    assert found.duration_pointers[:3, :BEATS].tolist() == (np.array(left) + 1).tolist()
    assert found.shift_pointers[:, :BEATS].tolist() == [[0, 0, 0], *(np.array(left) + 1).tolist()]
    unknown = encode(piece, vocabulary, metre_known=False)
    assert not unknown.shift_pointers[:, 0].any() and unknown.shift_pointers[1:, 1:BEATS].all()
    coarse = Vocabulary(Grid.beats(1), (0,), 0, (80,), ngram_orders=())
    assert features.MetricPosition.columns(coarse)["shift_pointers"] == 1  # a beat is a step, and has no half


def test_references_to_the_harmony_are_the_lowest_that_sounds_and_the_lowest_of_the_bar():
    rows = [(0, 20, 0, 64, 80), (0, 2, 0, 67, 80), (2, 1, DRUMS, 36, 80), (4, 2, 0, 48, 80), (8, 1, 0, 72, 80)]
    piece = sequence_of([*rows, (16, 1, 0, 70, 80), (17, 1, 0, 71, 80)], 32)
    vocabulary = Vocabulary(GRID, (0, DRUMS), 2, (80,), metres=((4, 4), (3, 4)))
    first = [layout_of(vocabulary).blocks[name] for name in ("lowest_sounding", "lowest_in_bar")]
    found = encode(piece, vocabulary).context[:, -HARMONY:-1]
    pitches = np.where(found > 0, found - first, 0).tolist()
    assert pitches == [[0, 0], [64, 64], [64, 64], [64, 64], [64, 48], [64, 0], [64, 70], [0, 0]]
    assert not encode(piece, vocabulary, metre_known=False).context[:, -2].any()


def test_the_form_points_to_the_bar_that_this_one_returns_to():
    bar = [(0, 4, 0, 60, 80), (4, 2, 0, 64, 80), (12, 4, 0, 67, 80)]
    rows = [*bar, (16, 8, 0, 72, 80), *[(48 + onset, *note) for onset, *note in bar]]
    piece = sequence_of(rows, 64)
    vocabulary = Vocabulary(GRID, (0,), 0, (80,), ngram_orders=(), plans=True)
    events = encode(piece, vocabulary, planned=Planned(returns=np.array([-1, -1, -1, 0])))
    region = layout_of(vocabulary).regions[Form]
    pitch = events.context[:, region.columns["context"]] - region.blocks["form_pitch"]
    assert pitch[4:].tolist() == [60, 64, 67, -region.blocks["form_pitch"]]
    pointer = region.columns["pitch_pointers"]
    assert events.pitch_pointers[:, pointer].tolist() == [0, 0, 0, 0, 61, 65, 68, 0]
    # The last note before it is a bar and a half away: only a note of its own bar or of the next is pointed to.
    assert events.shift_pointers[4:, region.columns["shift_pointers"]].tolist() == [0, 5, 9, 0]
    unknown = encode(piece, vocabulary)
    assert not unknown.context[:, region.columns["context"] :].any()


def test_no_feature_sees_a_note_that_is_still_to_come():
    vocabulary = VOCABULARIES["planned"]
    for seed in range(20):
        piece = toys.piece(vocabulary, seed, 60)
        planned, n = a_plan(piece, vocabulary), 20 + seed
        begun = dataclasses.replace(piece, notes=piece.notes[:n])
        whole, first = (encode(one, vocabulary, planned=planned) for one in (piece, begun))
        for name in ARRAYS:
            assert np.array_equal(getattr(whole, name)[:n], getattr(first, name)[:n]), name


def test_open_parts_are_those_after_the_last_note_s_that_do_not_sound():
    rows = [(0, 8, 0, 60, 80), (0, 4, 40, 48, 80), (0, 2, 41, 40, 80), (4, 1, 0, 72, 80), (6, 1, 40, 50, 80)]
    vocabulary = Vocabulary(GRID, (0, 40, 41), 3, (80,), ngram_orders=())
    found = encode(sequence_of(rows), vocabulary).before[:, -1]
    assert found[0] == 0 and (found[1:] - layout_of(vocabulary).blocks["open_parts"]).tolist() == [0, 0, 0, 2, 1]


# -- music without a beat


def of_performance(rows):
    """The arrays of a performance, and where the feature's columns lie."""
    vocabulary = toys.VOCABULARIES["performance"]
    layout = layout_of(vocabulary)
    return encode(sequence_of(rows, grid=vocabulary.grid), vocabulary), layout


def columns_of(feature, layout, array):
    first = layout.regions[feature].columns[array]
    return slice(first, first + feature.columns(layout.vocabulary)[array])


def test_velocities_point_to_the_last_notes_near_in_pitch():
    rows = [(0, 5, 0, 60, 8), (10, 5, 0, 64, 16), (20, 5, 0, 72, 24), (30, 5, 0, 59, 32), (40, 5, 0, 61, 40)]
    events, layout = of_performance(rows)
    found = events.velocity_pointers[:, columns_of(NearVelocities, layout, "velocity_pointers")].tolist()
    # At 61: 59 lies within 2 semitones, later than 60 does; 64 3..7 above, 72 8 and more above.
    assert found[4] == [8 + 1, 4 + 1, 0, 6 + 1, 0]
    assert found[3] == [2 + 1, 4 + 1, 0, 6 + 1, 0]
    assert found[2] == [0, 0, 0, 0, 4 + 1]  # 64 and 60 lie 8 and more below, 64 came later
    assert found[0] == found[5] == [0] * 5  # none before; the end has no velocity


def test_only_a_few_notes_are_looked_through():
    rows = [(0, 5, 0, 60, 8), *((10 * at, 5, 0, 90, 80) for at in range(1, N_LATEST)), (5000, 5, 0, 60, 8)]
    events, layout = of_performance(rows)
    assert events.velocity_pointers[-2, columns_of(NearVelocities, layout, "velocity_pointers")].tolist()[0] == 3
    rows.insert(1, (5, 5, 0, 90, 80))
    events, layout = of_performance(rows)
    assert events.velocity_pointers[-2, columns_of(NearVelocities, layout, "velocity_pointers")].tolist()[0] == 0


def test_waits_from_chord_to_chord_are_to_the_step():
    # Chords at 0, 50 (its second note at 53, within 35 ms) and 120; 4 steps later begins another.
    rows = [(0, 5, 0, 60, 8), (50, 5, 0, 60, 8), (53, 5, 0, 64, 8), (120, 5, 0, 60, 8), (124, 5, 0, 64, 8)]
    events, layout = of_performance(rows)
    region = layout.regions[RecentTempo]
    ids = events.before[:, columns_of(RecentTempo, layout, "before")]
    since = (ids[:, 0] - region.blocks["since"]).tolist()
    assert ids[0].tolist() == [0] * 4
    assert since[1:] == [0, 0, 3, 0, 0]
    size = layout.blocks["since"] - layout.blocks["waits"]
    origins = region.blocks["waits"] + size // 3 * np.arange(3)
    waits = [(row - origins)[row > 0].tolist() for row in ids[:, 1:].astype(int)]
    assert waits == [[], [], [50], [50], [70, 50], [4, 70, 50]]
    pointers = events.shift_pointers[:, columns_of(RecentTempo, layout, "shift_pointers")].tolist()
    assert pointers[3] == [47 + 1, 0, 0]  # of 50 steps 3 have gone
    assert pointers[5] == [4 + 1, 70 + 1, 50 + 1]


def test_the_end_that_most_notes_share_is_pointed_to():
    rows = [(0, 100, 0, 60, 8), (10, 90, 0, 64, 8), (20, 10, 0, 67, 8), (25, 40, 0, 70, 8), (40, 5, 0, 71, 8)]
    events, layout = of_performance(rows)
    region = layout.regions[CommonEnd]
    ids = events.context[:, columns_of(CommonEnd, layout, "context")].astype(int)
    names = ("n_sounding", "sharing", "common_end")
    found = ids - [region.blocks[name] for name in names]
    assert found[4].tolist() == [3 - 1, 2 - 1, 60]  # 60 and 64 end at 100; 67 is over
    assert found[1].tolist() == [1 - 1, 1 - 1, 90]
    assert ids[0].tolist() == ids[5].tolist() == [0, 0, 0]
    pointers = events.duration_pointers[:, columns_of(CommonEnd, layout, "duration_pointers")].ravel().tolist()
    assert pointers == [0, 91, 81, 76, 61, 0]


def test_music_with_a_beat_has_none_of_these():
    for name in ("one_loud", "many"):
        assert not {NearVelocities, RecentTempo, CommonEnd} & set(layout_of(toys.VOCABULARIES[name]).regions)


def test_inside_a_gap_the_next_notes_that_stay_are_shown():
    rows = [(0, 4, 0, 60, 80), (0, 4, 40, 48, 80), (4, 4, 0, 62, 80), (6, 2, 40, 50, 80), (8, 8, 0, 64, 80)]
    vocabulary = VOCABULARIES["all"]
    piece = sequence_of(rows)  # of bars of 16 steps; its second note of part 0 is open, in steps 4 to 8
    columns = np.array([(0, 0, 60), (0, 1, 48), (6, 1, 50), (8, 0, 64)]).T
    kept = Kept(*columns, np.ones(4, bool), ((4, 8),), frozenset({0}))
    encoded, hidden = encode(piece, vocabulary, kept=kept), encode(piece, vocabulary)
    layout = layout_of(vocabulary)
    blocks, region = layout.blocks, layout.regions[KeptNotes]
    before = encoded.before[:, region.columns["before"] :][:, :2] - (blocks["kept_wait"], blocks["kept_end"])
    # Events 2 to 4 lie in the gap or may: the notes of steps 6, 6 and 8 are the next ones that stay.
    assert before[2:5].tolist() == [[6, 8], [2, 4], [2, 2]]
    context = encoded.context[:, region.columns["context"] :][:, : 1 + N_NEAREST + N_CLASSES]
    wait = 2 * 128  # ids a class of waits, those of drums among them
    notes = [blocks["kept_note"] + wait * 1 + 50, blocks["kept_note"] + wait * 2 + 64]  # within half a beat, and one
    classes = [blocks["kept_class"] + 12 * 1 + 2, blocks["kept_class"] + 12 * 1 + 4]  # D and E, in the beat from D on
    nothing = [0] * (N_NEAREST - 2), [0] * (N_CLASSES - 2)
    assert context[2].tolist() == [blocks["kept_end"] + 4, *notes, *nothing[0], *classes, *nothing[1]]
    pointers = encoded.pitch_pointers[:, region.columns["pitch_pointers"] :]
    assert pointers[2].tolist() == [64 + 1, 0] and pointers[3].tolist() == [50 + 1, 0]
    assert encoded.duration_pointers[2, region.columns["duration_pointers"]] == TIMES.encode(np.array(4)) + 1
    descriptions = encoded.part_descriptions[2].reshape(vocabulary.parts, -1)[:, -1].tolist()
    assert descriptions[:3] == [1 + 4 + N_SPANS + 1, 1 + 2, 0]  # part 0 is open
    for name in ("before", "context", "part_descriptions", "pitch_pointers", "duration_pointers", "shift_pointers"):
        shown = np.flatnonzero(np.any(getattr(encoded, name) != getattr(hidden, name), 1))
        assert set(shown) <= ({2, 3, 4} if name in ("before", "shift_pointers") else {2, 3})


@pytest.mark.parametrize("seed", range(8))
def test_of_what_is_open_nothing_is_shown(seed):
    vocabulary, rng = VOCABULARIES["all"], np.random.default_rng(seed)
    piece, _ = representable(toys.piece(vocabulary, seed, 200), vocabulary)
    kept = with_gaps(piece, rng)
    goes = ~np.isin(note_keys(piece.notes), kept.onset * ONSET_KEYS + kept.line * 128 + kept.pitch)
    at = rng.choice(np.flatnonzero(goes))
    notes = piece.notes.copy()
    notes["duration"][at] += 1
    notes["velocity"][at:][goes[at:]] = 1
    changed, _ = representable(dataclasses.replace(piece, notes=canonical(notes)[0]), vocabulary)
    one, other = (encode(of, vocabulary, kept=kept) for of in (piece, changed))
    for name in ARRAYS:
        assert np.array_equal(getattr(one, name)[: at + 1], getattr(other, name)[: at + 1]), name


# -- the passage that a performance goes along with


def aligned(pitches, onsets=None):
    """The feature's columns of a piece of such pitches, by array, and its region."""
    vocabulary = toys.VOCABULARIES["pedal"]
    onsets = onsets or [20 * at for at in range(len(pitches))]
    rows = [
        (onset, 5 + at, 0, pitch, 4 * at + 8) for at, (onset, pitch) in enumerate(zip(onsets, pitches, strict=True))
    ]
    piece = sequence_of(rows, grid=vocabulary.grid)
    vocabulary = dataclasses.replace(vocabulary, alignment_orders=(5,))
    events, layout = encode(piece, vocabulary), layout_of(vocabulary)
    arrays = Alignment.columns(vocabulary)
    return {array: getattr(events, array)[:, columns_of(Alignment, layout, array)].astype(int) for array in arrays}, (
        layout.regions[Alignment].blocks
    )


def test_what_comes_next_in_a_passage_is_pointed_to_at_another_pitch():
    tune = [60, 64, 67, 65, 62, 71, 80, 59, 50]
    found, blocks = aligned([*tune, *(pitch + 5 for pitch in tune)])
    pitches = found["pitch_pointers"].tolist()
    assert not any(map(any, pitches[:14]))  # nothing stood twice yet
    assert pitches[14] == [71 + 5 + 1, 80 + 5 + 1, 59 + 5 + 1, 50 + 5 + 1]
    assert pitches[17] == [50 + 5 + 1, 65 + 5 + 1, 69 + 5 + 1, 72 + 5 + 1]
    # What is struck had this duration and this velocity then.
    assert found["duration_pointers"][14:18].ravel().tolist() == [5 + 5 + 1, 5 + 6 + 1, 5 + 7 + 1, 5 + 8 + 1]
    assert found["velocity_pointers"][14].tolist() == [(4 * 5 + 8) // 4 + 1]
    # It comes after as long as then; before it 0, 1, 2, 3 notes were expected in a row.
    assert found["shift_pointers"][14:18].ravel().tolist() == [21] * 4
    agreed = found["before"][14:18, 0] - blocks["aligned"]
    assert agreed.tolist() == [0, 1, 1 * 4 + 2, 1 * 4 + 3]
    assert (found["context"][14, :2] - blocks["aligned_due"]).tolist() == [1, 3 + 2]  # due, and later


def test_the_notes_of_a_chord_may_come_in_any_order_and_others_between():
    first = [60, 64, 67, 72, 76, 48, 52, 55, 43, 41]
    # The chord from above, then one note of its own, then the next chord in another order.
    found, _ = aligned([*first, 30, *(pitch + 2 for pitch in [76, 72, 67, 64, 60, 90, 52, 48, 43])])
    pitches = found["pitch_pointers"].tolist()
    assert pitches[16] == pitches[17] == [48 + 3, 52 + 3, 55 + 3, 43 + 3]
    assert pitches[18] == [48 + 3, 55 + 3, 43 + 3, 41 + 3]  # the low one is still awaited
    assert pitches[19] == [55 + 3, 43 + 3, 41 + 3, 30 + 3]


def test_a_passage_that_is_left_is_given_up():
    first = [60, 64, 67, 72, 76, 48, 52, 55, 43, 41]
    found, _ = aligned([*first, *first[:5], 80, 91, 83, 99, 86, 81, 97, 88, 84, 90])
    there = [any(row) for row in found["pitch_pointers"].tolist()]
    assert there[15:] == [True] * 5 + [False] * (len(there) - 20)


def test_steps_that_have_gone_by_count_where_another_note_came_between():
    first = [60, 64, 67, 72, 76, 48, 52, 55]
    onsets = [*range(0, 160, 20), *range(200, 300, 20), 287, 300]
    found, _ = aligned([*first, *first[:5], 99, 48], onsets)
    assert found["shift_pointers"][13:15].ravel().tolist() == [20 + 1, 13 + 1]


def test_pitches_beyond_the_keyboard_are_no_pointers():
    first = [20, 24, 27, 22, 26, 2, 9]
    found, _ = aligned([*first, *(pitch - 9 for pitch in first[:5]), 99])
    assert found["pitch_pointers"][12].tolist() == [0, 9 - 9 + 1, 20 - 18 + 1, 24 - 18 + 1]


def test_only_one_part_is_aligned():
    with pytest.raises(ValueError, match="alignment of several parts: expected 0 parts"):
        Vocabulary(Grid.seconds(10), (0, 40), 4, (80,), alignment_orders=(5,))
