"""What is fitted to a corpus: lags, keys, and the counts that new pieces are drawn from."""

import numpy as np
import pytest
from toys import sequence_of

from melodygru.errors import NoteError
from melodygru.events import NEW, CorpusStatistics, encode, fit_vocabulary
from melodygru.events.fitting import N_LENGTHS
from melodygru.music.grid import Grid
from melodygru.music.metre import steps_per_bar
from melodygru.music.traits import TRAITS

GRID = Grid.beats(4)


def test_the_lags_of_a_corpus_are_those_at_which_it_repeats_itself():
    random = np.random.default_rng(0)
    pieces = []
    for _ in range(20):
        theme = [(int(at), 1, 0, int(random.integers(30, 100)), 80) for at in range(0, 24, 2)]
        repeat = [(onset + 24, *rest) for onset, *rest in theme]
        pieces.append((sequence_of([*theme, *repeat]), None))
    assert fit_vocabulary(pieces, GRID).lookback_steps[-1] == 24
    other = [(sequence_of([(0, 1, 0, 60, 80)], grid=Grid.seconds(100)), None)]
    assert fit_vocabulary(other, Grid.seconds(100)).lookback_steps == ()


def test_lags_in_bars_are_found_where_a_corpus_has_several_metres():
    def tunes(metres):
        random = np.random.default_rng(0)
        for index in range(60):
            metre = metres[index % len(metres)]
            bars = 4 * steps_per_bar(GRID, metre)
            theme = [(at, 1, 0, int(random.integers(30, 100)), 80) for at in range(0, bars, 2)]
            repeat = [(at + bars, *rest) for at, *rest in theme]
            yield sequence_of([*theme, *repeat], metres=[(0, *metre)]), None

    assert fit_vocabulary(tunes([(4, 4), (3, 4), (6, 8)]), GRID).lookback_bars == (4,)
    one = fit_vocabulary(tunes([(4, 4)]), GRID)
    assert (one.lookback_steps, one.lookback_bars) == ((4 * steps_per_bar(GRID, (4, 4)),), ())


def test_a_corpus_in_one_key_has_no_features_of_keys_and_ranges():
    in_c = sequence_of([(at, 1, 0, 60 + step, 80) for at, step in enumerate((0, 2, 4, 5, 7, 9, 11))])
    in_d = sequence_of([(at, 1, 0, 62 + step, 80) for at, step in enumerate((0, 2, 4, 5, 7, 9, 11))])
    several = fit_vocabulary([(in_c, None)] * 9 + [(in_d, None)] * 11, GRID)
    one = fit_vocabulary([(in_c, None)] * 3, GRID)
    assert [several.key, one.key] == [False, False]  # 11 of 20 is more than ONE_KEY
    keys = [sequence_of([(at, 1, 0, 60 + up + step, 80) for at, step in enumerate((0, 4, 5, 11))]) for up in range(3)]
    spread = fit_vocabulary([(piece, None) for piece in keys], GRID)
    assert spread.key
    assert encode(in_c, spread).pitch_class_levels[:, 12:].any() and encode(in_c, spread).part_history[:, 5:].any()
    assert not encode(in_c, one).pitch_class_levels[:, 12:].any() and not encode(in_c, one).part_history[:, 5:].any()


def test_a_style_has_its_own_metre_and_tempo():
    waltz = sequence_of([(0, 4, 0, 60, 80)], metres=[(0, 3, 4)])
    march = sequence_of([(0, 4, 0, 60, 80)])
    pieces = [(waltz, "b"), (march, "a"), (march, "a"), (waltz, "b"), (march, "b")]
    statistics = fit_vocabulary(pieces, GRID).statistics
    assert [statistics.metre_of(style) for style in ("a", "b", None, "unknown")] == [
        (4, 4),
        (3, 4),
        (4, 4),
        (4, 4),
    ]
    draws = (0.0, 0.66, 0.67, 0.999)  # two of the three pieces of b are waltzes
    assert [statistics.metre_of("b", draw) for draw in draws] == [(3, 4), (3, 4), (4, 4), (4, 4)]
    assert {statistics.metre_of("a", draw) for draw in draws} == {(4, 4)}


def test_lengths_are_kept_by_style_and_metre_in_equal_shares():
    pieces = [(sequence_of([(0, 1, 0, 60, 80)], length), "a") for length in range(100, 200)]
    waltz = sequence_of([(0, 4, 0, 60, 80)], 48, metres=[(0, 3, 4)])
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
        sorted(vocabulary.program_class(np.array(vocabulary.statistics.programs_of(style))).tolist())
        for style in ("a", "b", None)
    ]
    assert found == [[NEW], [NEW, NEW + 40], [NEW, NEW + 40]]


def test_no_note_no_vocabulary():
    with pytest.raises(NoteError, match="no note in the corpus"):
        fit_vocabulary([], GRID)


def test_a_style_may_have_no_lengths():
    statistics = CorpusStatistics(styles=("a",), metres=((4, 4),), lengths=((), ((64,),)))
    assert statistics.length_of("a", (4, 4), 0.5) is None and statistics.length_of(None, (4, 4), 0.5) == 64


@pytest.mark.parametrize(
    ("form", "stands_out"),
    [([*range(8), *range(8)], True), (range(16), False), ([0] * 8 + [1] * 8, False)],
)
def test_a_form_stands_out_where_bars_return_and_differ_from_those_beside_them(form, stands_out):
    rng = np.random.default_rng(0)
    bars = [[(at, 1, 0, 60 + rng.integers(12), 80) for at in np.flatnonzero(rng.random(16) < 0.5)] for _ in range(16)]
    piece = sequence_of([(16 * n + at, *rest) for n, bar in enumerate(form) for at, *rest in bars[bar]])
    statistics = fit_vocabulary([(piece, "a")] * 3, GRID).statistics
    assert statistics.form_stands_out("a") == statistics.form_stands_out(None) == stands_out
    assert not CorpusStatistics().form_stands_out(None)


def test_what_is_typical_is_kept_by_style_and_for_the_corpus():
    def piece(bars):
        return sequence_of([(16 * bar, 4, 0, 60 + bar, 80) for bar in range(bars)])

    pieces = [(piece(bars), style) for bars, style in ((2, "a"), (4, "a"), (6, "a"), (12, "b"), (16, "b"))]
    statistics = fit_vocabulary(pieces, GRID).statistics
    assert [len(row) for row in statistics.typical] == [len(TRAITS)] * 3
    # the outermost count as the first and ninth tenth: 2.4, 4, 5.6; and 2.8, 4, 6, 12, 14.4
    assert statistics.typical_of("a")["length"] == (4, pytest.approx(1.6 * (2 / 3) ** 0.5, abs=1e-5))
    assert statistics.typical_of("b")["length"] == statistics.typical_of(None)["length"] == (7.84, 4.55789)
    assert "kick" not in statistics.typical_of(None)  # nor what two pieces have
    assert "bar_similarity_8" not in statistics.typical_of("b") and "bar_similarity_2" in statistics.typical_of("b")
    assert CorpusStatistics().typical_of(None) == {}


def test_the_traits_of_a_large_corpus_are_those_of_a_sample(monkeypatch):
    monkeypatch.setattr("melodygru.events.fitting.N_MEASURED", 4)
    measured = []
    from melodygru.events.fitting import _Measured

    kept = _Measured(lambda piece: measured.append(len(piece)) or {})
    for notes in range(1, 41):
        kept.add(sequence_of([(16 * note, 4, 0, 60, 80) for note in range(notes)]), "a")
    assert 4 <= len(kept.of("a")) < 8 and len(measured) < 24


def test_passages_that_return_are_followed_in_performances_by_one_instrument():
    def orders(grid, n_parts, n_notes):
        rows = [(4 * at, 2, 40 + part, 60 + at % 12, 80) for part in range(n_parts) for at in range(n_notes)]
        return fit_vocabulary([(sequence_of(rows, grid=grid), None)], grid).alignment_orders

    beat, seconds = Grid.beats(4), Grid.seconds(10)
    assert orders(seconds, 1, 20) == (5, 12)
    assert orders(seconds, 2, 20) == orders(beat, 1, 20) == orders(beat, 2, 300) == ()
