"""Events: classes, round trips, the two forms of the context, and what may follow what."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melodygru.errors import NoteError
from melodygru.events import (
    DURATION,
    N_INTERVALS,
    TIMES,
    VELOCITY_WIDTH,
    Context,
    CorpusStatistics,
    Vocabulary,
    decode,
    encode,
    encoding,
    fit_vocabulary,
    representable,
    span_class,
)
from melodygru.events.encoding import _ranked
from melodygru.events.fitting import N_LENGTHS
from melodygru.events.times import N_SPANS, span_of
from melodygru.events.vocabulary import MAX_PROGRAM_SLOTS, N_LATELY, N_PHRASES, RUNS
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE, steps_per_bar
from melodygru.music.notes import DRUMS, NOTE, NoteSequence, canonical

GRID = Grid.beats(4)


def sequence_of(rows, length=None, grid=GRID, metres=None):
    notes, _ = canonical(np.array(rows, NOTE))
    end = int((notes["onset"] + notes["duration"]).max()) if len(notes) else 0
    extra = {} if metres is None else {"metres": metres}
    return NoteSequence(notes, grid, max(end, length or 0), **extra)


@st.composite
def pieces(draw, grid=GRID, programs=(0, 40, DRUMS)):
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
    metres = np.array(draw(st.sampled_from([[(0, 4, 4)], [(0, 3, 4)], [(0, 3, 4), (9, 2, 4), (30, 6, 8)]])), METRE)
    return sequence_of(rows, draw(st.integers(0, 500)), grid, metres if grid.is_metrical else None)


def test_time_classes_are_exact_below_96_and_cover_all_up_to_the_maximum():
    assert TIMES.encode(np.array([0, 1, 95])).tolist() == [0, 1, 95]
    assert TIMES.width[:96].max() == 1
    assert TIMES.low[0] == 0
    assert TIMES.low[-1] + TIMES.width[-1] == TIMES.maximum + 1
    assert (TIMES.low[1:] == TIMES.low[:-1] + TIMES.width[:-1]).all()  # no gap, no overlap
    assert (TIMES.width[96:] <= np.ceil(TIMES.low[96:] * 0.06) + 1).all()


@given(st.integers(0, TIMES.maximum))
def test_a_time_lies_in_its_class(steps):
    time_class = TIMES.encode(np.array([steps]))[0]
    inside = steps - TIMES.low[time_class]
    place = (inside + 0.5) / TIMES.width[time_class]
    assert TIMES.decode(np.array([time_class]), np.array([place]))[0] == steps


def test_span_classes_hold_at_their_edges():
    assert span_class(np.array([0, 15, 16, 18, 19, 32])).tolist() == [0, 15, 16, 16, 16, 20]
    assert span_class(np.array([10**9])).tolist() == [N_SPANS - 1]
    assert [span_of(s) for s in (0, 2047, 2048, 10**9)] == [
        int(c) for c in span_class(np.array([0, 2047, 2048, 10**9]))
    ]


def test_a_chord_and_its_end_as_rows():
    piece = sequence_of([(2, 4, 40, 72, 80), (2, 4, 43, 48, 80), (6, 100, 40, 74, 80)], length=110)
    vocabulary = Vocabulary(GRID, (40, 43), (80,))
    encoded = encode(piece, vocabulary)
    assert encoded.fields.tolist() == [
        [2, 41, 72, 4, -1],
        [0, 44, 48, 4, -1],
        [4, 41, 74, int(TIMES.encode(np.array([100]))[0]), -1],
        [int(TIMES.encode(np.array([104]))[0]), 0, -1, -1, -1],
    ]
    assert vocabulary.unmodelled == ["velocity"]
    np.testing.assert_allclose(encoded.log_bin_width[2, DURATION], np.log(6))
    assert encoded.legality.tolist() == [[1, 1, 1], [1, 41, 0], [1, 1, 1], [1, 1, 1]]
    none = [0] * 6
    assert encoded.program_history.tolist() == [none, none, [73, 0, 5, 0, 1, 1], none]


def test_one_program_and_one_velocity_are_unmodelled_and_restored():
    piece = sequence_of([(0, 4, 40, 72, 64), (4, 4, 40, 74, 64)])
    vocabulary = fit_vocabulary([(piece, None)], GRID)
    assert vocabulary.unmodelled == ["program", "velocity"]
    assert vocabulary.fields == ("shift", "program", "pitch", "duration")
    assert vocabulary.size("program") == 2
    restored = decode([(0, 1, 72, 4, -1), (4, 1, 74, 4, -1)], vocabulary)
    assert np.array_equal(restored.notes, piece.notes)


def test_another_program_than_the_only_one_counts_as_changed():
    vocabulary = Vocabulary(GRID, (0,), (80,))
    piece = sequence_of([(0, 4, 5, 60, 80), (0, 8, 6, 60, 80), (4, 4, 0, 62, 80)])
    changed, changes = representable(piece, vocabulary)
    assert changed.programs == [0]
    assert (changes.reprogrammed, changes.merged) == (2, 1)


def test_times_beyond_the_maximum_are_clipped_and_counted():
    vocabulary = Vocabulary(GRID, (0,), (80,))
    longest = TIMES.maximum
    exact = sequence_of([(longest, longest, 0, 60, 80)], length=2 * longest)
    assert representable(exact, vocabulary)[1].total == 0
    beyond = sequence_of([(longest + 1, longest + 1, 0, 60, 80)])
    clipped, changes = representable(beyond, vocabulary)
    assert changes.clipped == 2  # the note, and the end of the piece
    assert clipped.notes[["onset", "duration"]].tolist() == [(longest, longest)]


def test_another_grid_is_refused():
    with pytest.raises(NoteError, match="1 step per beat: this vocabulary needs 4 steps per beat"):
        encode(sequence_of([(0, 1, 0, 60, 80)], grid=Grid.beats(1)), Vocabulary(GRID, (0,), (80,)))


@settings(max_examples=150, deadline=None)
@given(pieces())
def test_events_and_notes_determine_each_other(piece):
    vocabulary = fit_vocabulary([(piece, "a"), (piece, "b")], GRID)
    encoded = encode(piece, vocabulary)
    at = np.append(piece.notes["onset"], piece.length)
    places = (np.diff(at, prepend=0) - TIMES.low[encoded.fields[:, 0]] + 0.5) / TIMES.width[encoded.fields[:, 0]]
    shift = TIMES.decode(encoded.fields[:, 0], places)
    duration_class = encoded.fields[:-1, 3]
    inside = (piece.notes["duration"] - TIMES.low[duration_class] + 0.5) / TIMES.width[duration_class]
    duration = TIMES.decode(duration_class, inside)
    rows = np.column_stack([shift[:-1], encoded.fields[:-1, 1:3], duration, encoded.fields[:-1, 4]])
    restored = decode([tuple(row) for row in rows.tolist()], vocabulary, length=int(shift.sum()))
    assert restored.length == piece.length
    for name in ("onset", "duration", "program", "pitch"):
        assert np.array_equal(restored.notes[name], piece.notes[name])
    assert np.abs(restored.notes["velocity"] - piece.notes["velocity"]).max() < VELOCITY_WIDTH


@settings(max_examples=150, deadline=None)
@given(
    pieces(),
    st.sampled_from([None, "b", "unheard"]),
    st.booleans(),
    st.sampled_from([(0, 40, DRUMS), (40, 41), (0,)]),
    st.sampled_from([((4, 4),), ((4, 4), (3, 4))]),
    st.integers(4, 6),
    st.sampled_from([(), (1, 3, 8)]),
    st.sampled_from([(), (1, 2)]),
    st.booleans(),
    st.booleans(),
)
def test_both_forms_of_the_context_agree(
    piece, style, metre_known, programs, metres, slots, lookback_steps, bars, key, runs
):
    vocabulary = Vocabulary(
        GRID, programs, (80, 90), ("a", "b"), metres,
        n_sounding=slots, lookback_steps=lookback_steps, lookback_bars=bars, key=key, lookback_runs=runs,
    )  # fmt: skip
    check_context(piece, vocabulary, style, metre_known)


@settings(max_examples=50, deadline=None)
@given(pieces(grid=Grid.seconds(100), programs=(0,)))
def test_both_forms_agree_on_a_grid_of_seconds(piece):
    check_context(piece, Vocabulary(Grid.seconds(100), (0,), (80, 90)), None, True)


@pytest.mark.parametrize("grid", ["1/2", "3/2"])
def test_both_forms_agree_on_a_grid_that_divides_no_beat(grid):
    grid = Grid.parse(grid)
    vocabulary = Vocabulary(grid, (0,), (80,))
    assert vocabulary.blocks["bar"] - vocabulary.blocks["phase"] == 1  # every onset has the same phase
    check_context(sequence_of([(0, 1, 0, 60, 80), (3, 2, 0, 62, 80)], 7, grid), vocabulary, None, True)


def check_context(piece, vocabulary, style, metre_known):
    piece, _ = representable(piece, vocabulary)
    encoded = encode(piece, vocabulary, style, metre_known=metre_known)
    context = Context(vocabulary, style, piece.metre if metre_known else None, metres=piece.metres)
    pitch_mask = np.unpackbits(encoded.pitch_mask, axis=1, bitorder="little").astype(bool)
    at = np.append(piece.notes["onset"], piece.length)
    shifts = np.diff(at, prepend=0)
    assert context.start() == encoded.window(0, 1)["context"][0].tolist()
    for t, (shift, fields) in enumerate(zip(shifts.tolist(), encoded.fields.tolist(), strict=True)):
        assert context.before() == encoded.before[t].tolist()
        assert context.may_join_chord() == encoded.legality[t, 0]
        context.move(shift)
        assert context.row() == encoded.context[t].tolist()
        assert context.program_floor() == encoded.legality[t, 1]
        assert context.may_end() == encoded.legality[t, 2]
        if t == len(piece):
            break
        program_class = fields[1]
        assert np.array_equal(context.pitch_mask(program_class), pitch_mask[t])
        assert not pitch_mask[t, fields[2]]  # what happens is possible
        assert program_class >= encoded.legality[t, 1]
        assert context.program_history(program_class) == tuple(encoded.program_history[t])
        assert context.pitch_class_levels() == encoded.pitch_class_levels[t].tolist()
        previous = vocabulary.previous_ids(encoded.fields[t], np.int64(context.program_history(program_class)[0]))
        assert previous.tolist() == encoded.previous[t + 1].tolist()
        context.add(program_class, fields[2], int(piece.notes["duration"][t]))


def test_blocks_of_events_make_no_difference(monkeypatch):
    rng = np.random.default_rng(1)
    rows = [(int(o), int(d), 0, int(p), 80) for o, d, p in rng.integers((0, 1, 40), (99, 60, 70), (80, 3))]
    vocabulary = Vocabulary(GRID, (0,), (80,), n_sounding=5)
    whole = encode(sequence_of(rows), vocabulary)
    monkeypatch.setattr(encoding, "BLOCK", 7)
    blocks = encode(sequence_of(rows), vocabulary)
    for name in ("context", "pitch_mask", "legality"):
        assert np.array_equal(getattr(whole, name), getattr(blocks, name))
    check_context(sequence_of(rows), vocabulary, None, True)


def test_the_programs_with_most_notes_have_a_place_of_their_own():
    rows = [(step, 1, program, 60, 80) for program in range(30) for step in range(1 + program)]
    vocabulary = fit_vocabulary([(sequence_of(rows), None)], GRID)
    assert vocabulary.programs == tuple(range(29, -1, -1))
    assert vocabulary.n_program_slots == MAX_PROGRAM_SLOTS + 1
    assert vocabulary.program_slots[1:31].tolist() == [MAX_PROGRAM_SLOTS] * 6 + list(range(23, -1, -1))
    check_context(sequence_of(rows), vocabulary, None, True)


def test_recall_finds_what_followed_the_same_events():
    theme = [(0, 2, 0, 60, 80), (2, 2, 0, 62, 80), (4, 2, 0, 64, 80), (6, 4, 0, 65, 80)]
    again = [(onset + 16, *rest) for onset, *rest in theme]
    piece = sequence_of([*theme, *again])
    vocabulary = Vocabulary(GRID, (0,), (80,), ngram_orders=(2,))
    encoded = encode(piece, vocabulary)
    first = vocabulary.blocks["ngram_shift"]
    # The repeated notes 5 and 6 (62, 64) recall events 3 and so on; note 4's own shift (10) differs from note 0's.
    assert encoded.before[:, 0].tolist() == [0, 0, 0, 0, 0, 0, 0, first + 2, first + 10]
    ngram_note = encoded.context[7, -2] - vocabulary.blocks["ngram_note"]
    assert ngram_note == 65


def test_echo_tells_what_stood_a_lag_before():
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
    shift = vocabulary.blocks["lookback_shift"]
    # Heard before each event: how far what came next stood then. After the chord's first note, its second (0).
    assert encoded.before[:, 0].tolist() == [0, 0, 0, 0, shift + 0, shift + 2, shift + 6, shift + 1]
    note, motion, duration = encoded.context[:, -3], encoded.context[:, -2], encoded.context[:, -1]
    stood = np.array([60, 64, 65])
    assert note.tolist() == [
        0,
        0,
        0,
        *(vocabulary.blocks["lookback_note"] + stood),
        0,
        vocabulary.blocks["lookback_note"] + 60,
    ]
    middle = vocabulary.blocks["lookback_motion"] + N_INTERVALS // 2
    assert motion.tolist() == [0, 0, 0, 0, middle + 4, middle + 1, 0, middle - 5]  # the first note had none before it
    assert duration[3:6].tolist() == [vocabulary.blocks["lookback_duration"] + steps for steps in (2, 2, 6)]


def test_runs_tell_how_well_the_last_notes_agreed_with_those_a_lag_before():
    pitches = [60, 62, 64, 65] * 6
    pitches[18] = 71  # the 19th note is another
    piece = sequence_of([(2 * at, 1, 0, pitch, 80) for at, pitch in enumerate(pitches)])
    vocabulary = Vocabulary(GRID, (0,), (80,), ngram_orders=(), lookback_steps=(8,), lookback_runs=True)
    told = encode(piece, vocabulary).before[:, 1]
    assert told[0] == 0
    run, lately = np.divmod(told[1:] - vocabulary.blocks["lookback_run"], N_LATELY)
    in_a_row = [0, 0, 0, 0, *range(1, 15), 0, 1, 2, 3, 0, 1]  # what follows the other note by a lag differs, too
    assert np.array(RUNS)[run].tolist() == [max(r for r in RUNS if r <= n) for n in in_a_row]
    assert lately.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 3 + [4] * 3 + [4, 4]


def test_pointers_point_to_what_is_recalled_and_echoed():
    notes = [(0, 1, 0, 60, 80), (2, 1, 40, 60, 80), (4, 1, 0, 64, 80), (8, 1, 0, 60, 80), (10, 1, 40, 60, 80)]
    vocabulary = Vocabulary(GRID, (0, 40), (80,), ngram_orders=(1,), lookback_steps=(4, 8), pointers=True)
    told = encode(sequence_of(notes, 12), vocabulary).context
    # The last note is as that at 2: 60 of program 40, two steps later. Then 64 came after two steps, now the end does.
    assert vocabulary.pointed(told).tolist() == [
        [-1, -1, -1],
        [-1, -1, -1],
        [-1, 60, -1],
        [-1, 64, 60],
        [-1, -1, 60],
        [64, 60, 64],
    ]
    assert vocabulary.n_outputs("pitch") == 128 + 255 + 3
    without = dataclasses.replace(vocabulary, pointers=False)
    assert without.n_outputs("pitch") == 128 + 255 and without.pointed(told).shape == (6, 0)


def test_the_lags_of_a_corpus_are_those_at_which_it_repeats_itself():
    random = np.random.default_rng(0)
    pieces = []
    for _ in range(20):
        theme = [(int(at), 1, 0, int(random.integers(30, 100)), 80) for at in range(0, 24, 2)]
        again = [(onset + 24, *rest) for onset, *rest in theme]
        pieces.append((sequence_of([*theme, *again]), None))
    assert fit_vocabulary(pieces, GRID).lookback_steps[-1] == 24
    other = [(sequence_of([(0, 1, 0, 60, 80)], grid=Grid.seconds(100)), None)]
    assert fit_vocabulary(other, Grid.seconds(100)).lookback_steps == ()


def test_a_lag_in_bars_is_one_of_the_piece_s_own_bars_and_nothing_without_a_metre():
    vocabulary = Vocabulary(GRID, (0,), (80,), metres=((4, 4), (3, 4)), ngram_orders=(), lookback_bars=(2,))
    for metre, steps in (((4, 4), 32), ((3, 4), 24)):
        notes = [(at, 1, 0, 60 + at, 80) for at in (0, 24, 32)]
        piece = sequence_of(notes, 33, metres=np.array([(0, *metre)], METRE))
        again = 1 + (24, 32).index(steps)
        note = encode(piece, vocabulary).context[:, -3]
        assert note[again] == vocabulary.blocks["lookback_note"] + 60 and np.count_nonzero(note) == 1
        assert not encode(piece, vocabulary, metre_known=False).context[:, -3].any()


def test_lags_in_bars_are_found_where_a_corpus_has_several_metres():
    def tunes(metres):
        random = np.random.default_rng(0)
        for index in range(60):
            metre = metres[index % len(metres)]
            bars = 4 * steps_per_bar(GRID, metre)
            theme = [(at, 1, 0, int(random.integers(30, 100)), 80) for at in range(0, bars, 2)]
            again = [(at + bars, *rest) for at, *rest in theme]
            yield sequence_of([*theme, *again], metres=np.array([(0, *metre)], METRE)), None

    assert fit_vocabulary(tunes([(4, 4), (3, 4), (6, 8)]), GRID).lookback_bars == (4,)
    one = fit_vocabulary(tunes([(4, 4)]), GRID)
    assert (one.lookback_steps, one.lookback_bars) == ((4 * steps_per_bar(GRID, (4, 4)),), ())


def test_a_program_s_range_is_told_from_its_last_pitch():
    piece = sequence_of([(at, 1, 0, pitch, 80) for at, pitch in enumerate((60, 72, 65, 50))])
    encoded = encode(piece, Vocabulary(GRID, (0,), (80,)))
    assert encoded.program_history[:, 4:].tolist() == [[0, 0], [1, 1], [13, 1], [6, 8], [0, 0]]


def test_pitch_classes_heard_lately_and_in_the_whole_piece():
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
    assert pitch_class_levels[34, [6, 18]].tolist() == [1, 1]  # 1 of 34: heard, and not in the key
    assert pitch_class_levels[24, [0, 12]].tolist() == [2, 3]


def test_a_corpus_in_one_key_is_not_told_of_keys_and_ranges():
    in_c = sequence_of([(at, 1, 0, 60 + step, 80) for at, step in enumerate((0, 2, 4, 5, 7, 9, 11))])
    in_d = sequence_of([(at, 1, 0, 62 + step, 80) for at, step in enumerate((0, 2, 4, 5, 7, 9, 11))])
    several = fit_vocabulary([(in_c, None)] * 9 + [(in_d, None)] * 11, GRID)
    one = fit_vocabulary([(in_c, None)] * 3, GRID)
    assert [several.key, one.key] == [False, False]  # 11 of 20 is more than ONE_KEY
    keys = [sequence_of([(at, 1, 0, 60 + up + step, 80) for at, step in enumerate((0, 4, 5, 11))]) for up in range(3)]
    spread = fit_vocabulary([(piece, None) for piece in keys], GRID)
    assert spread.key
    assert encode(in_c, spread).pitch_class_levels[:, 12:].any() and encode(in_c, spread).program_history[:, 4:].any()
    assert not encode(in_c, one).pitch_class_levels[:, 12:].any() and not encode(in_c, one).program_history[:, 4:].any()


def test_a_style_has_its_own_metre_and_tempo():
    waltz = sequence_of([(0, 4, 0, 60, 80)], metres=np.array([(0, 3, 4)], METRE))
    march = sequence_of([(0, 4, 0, 60, 80)])
    pieces = [(waltz, "b"), (march, "a"), (march, "a"), (waltz, "b"), (march, "b")]
    statistics = fit_vocabulary(pieces, GRID).statistics
    assert [statistics.metre_of(style) for style in ("a", "b", None, "unheard")] == [
        (4, 4),
        (3, 4),
        (4, 4),
        (4, 4),
    ]
    draws = (0.0, 0.66, 0.67, 0.999)  # two of the three pieces of b are waltzes
    assert [statistics.metre_of("b", draw) for draw in draws] == [(3, 4), (3, 4), (4, 4), (4, 4)]
    assert {statistics.metre_of("a", draw) for draw in draws} == {(4, 4)}


def test_lengths_are_remembered_by_style_and_metre_in_equal_shares():
    pieces = [(sequence_of([(0, 1, 0, 60, 80)], length), "a") for length in range(100, 200)]
    waltz = sequence_of([(0, 4, 0, 60, 80)], 48, metres=np.array([(0, 3, 4)], METRE))
    vocabulary = fit_vocabulary([*pieces, (waltz, "b")], GRID)
    assert vocabulary.metres == ((4, 4), (3, 4))
    (in_four, in_three), b, whole = vocabulary.statistics.lengths
    assert len(in_four) == N_LENGTHS and abs(np.mean(in_four) - 149.5) < 1
    assert (in_three, b, whole) == ((), ((), (48,)), (in_four, (48,)))
    assert vocabulary.statistics.longest == 199


def test_a_style_has_its_own_programs():
    pieces = [(sequence_of([(0, 1, program, 60, 80)]), style) for program, style in ((0, "a"), (40, "b"), (0, "b"))]
    vocabulary = fit_vocabulary(pieces, GRID)
    found = [
        np.flatnonzero(vocabulary.program_mask(vocabulary.statistics.programs_of(style))).tolist()
        for style in ("a", "b", None)
    ]
    assert found == [[1], [1, 41], [1, 41]]


def test_phrases_of_four_bars_are_counted_from_the_beginning():
    piece = sequence_of([(step, 1, 0, 60, 80) for step in (0, 16 * 4 - 1, 16 * 4, 16 * 4 * 40)])
    vocabulary = Vocabulary(GRID, (0,), (80,))
    phrase = encode(piece, vocabulary).context[:, 5] - vocabulary.blocks["phrase"]
    assert phrase.tolist() == [0, 0, 1, N_PHRASES - 1, N_PHRASES - 1]


def test_a_vocabulary_survives_json():
    import json

    styles, metres = ("x", "y"), ((4, 4), (6, 8))
    statistics = CorpusStatistics(qpm=99.5, style_qpm=(90.0, 80.0), lengths=((), (), ((), (7, 9))), longest=9)
    vocabulary = Vocabulary(Grid.parse("10ms"), (0, 40), tuple(range(32)), styles, metres, statistics=statistics)
    assert Vocabulary.from_dict(json.loads(json.dumps(vocabulary.as_dict()))) == vocabulary


def test_no_note_no_vocabulary():
    with pytest.raises(NoteError, match="no note in the corpus"):
        fit_vocabulary([], GRID)


def test_equal_hashes_stand_together_even_where_others_differ_in_their_lowest_bits_alone():
    hashes = np.array([9 << 40, (9 << 40) + 1, 9 << 40, 3, (9 << 40) + 1], np.uint64)  # places take the low three bits
    assert _ranked(hashes).tolist() == [3, 0, 2, 1, 4]
    assert _ranked(hashes[[0, 2, 3]]).tolist() == [2, 0, 1]
