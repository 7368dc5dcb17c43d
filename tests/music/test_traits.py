"""Form, line-up, groove, harmony and endings, on small pieces that are worked out by hand."""

import numpy as np
import pytest

from melodygru.music.grid import Grid
from melodygru.music.metre import METRE
from melodygru.music.notes import DRUMS, NoteSequence, canonical, note_array
from melodygru.music.traits import LAGS, TRAITS, traits


def score(rows, *, length=None, grid=None, metres=((0, 4, 4),), parts=None):
    """Rows of (onset, duration, program, pitch), 4 steps a beat unless another grid is given."""
    notes, _ = canonical(note_array(((*row, 80) for row in rows), parts))
    end = int((notes["onset"] + notes["duration"]).max(initial=0))
    return NoteSequence(notes, grid or Grid.beats(4), length or end, metres=np.array(list(metres), METRE))


def bars(*pitches, program=0):
    """A piece with one note at each bar line, or none."""
    return score([(16 * bar, 4, program, pitch) for bar, pitch in enumerate(pitches) if pitch is not None])


class TestForm:
    def test_likeness_is_f1_of_place_program_and_pitch(self):
        # bars of (C at 0, D at 1), (C at 0, D at 2), (C at 0): 2 of 4, then 2 of 3
        rows = [(0, 4, 0, 60), (4, 4, 0, 62), (16, 4, 0, 60), (24, 4, 0, 62), (32, 4, 0, 60)]
        found = traits(score(rows))
        assert found["bar_similarity_1"] == pytest.approx((2 / 4 + 2 / 3) / 2)
        assert found["self_similarity"] == pytest.approx((2 / 4 + 2 / 3 + 2 / 3) / 3)
        other = [(*row[:2], 1, row[3]) if row[0] >= 16 else row for row in rows]
        assert traits(score(other))["bar_similarity_1"] == pytest.approx((0 + 2 / 3) / 2)

    @pytest.mark.parametrize("lag", LAGS)
    def test_likeness_is_with_the_bar_so_many_before(self, lag):
        found = traits(bars(*(60 + bar % lag for bar in range(34))))
        assert {n: found[f"bar_similarity_{n}"] for n in LAGS} == {n: float(n % lag == 0) for n in LAGS}

    def test_two_pairs_of_bars_are_wanted(self):
        assert np.isnan(traits(bars(60, 60))["bar_similarity_1"])
        found = traits(bars(60, 60, 60))
        assert found["bar_similarity_1"] == 1 and np.isnan(found["bar_similarity_2"])

    def test_two_empty_bars_are_not_compared(self):
        found = traits(bars(60, None, None, 60))
        assert found["bar_similarity_1"] == 0 and found["self_similarity"] == pytest.approx(1 / 5)

    def test_places_are_32nds_and_the_same_note_of_two_parts_is_one(self):
        grid = Grid.beats(48)  # a 32nd is six steps
        rows = [(0, 6, 0, 60), (192 + 2, 6, 0, 60), (384 + 4, 6, 0, 60)]
        assert traits(score(rows, grid=grid))["bar_similarity_1"] == 0.5
        rows = [(0, 4, 0, 60), (0, 4, 0, 60), (16, 4, 0, 60), (32, 4, 0, 60)]
        assert traits(score(rows, parts=[0, 1, 0, 0]))["bar_similarity_1"] == 1

    def test_an_onset_at_a_bars_end_is_none_at_the_next_ones_start(self):
        # 3/4, then 4/4: step 12 of a bar of 16 is no step of one of 12
        rows = [(0, 1, 0, 60), (24, 1, 0, 60), (28, 1, 0, 72)]
        assert traits(score(rows, metres=((0, 3, 4), (12, 4, 4))))["bar_similarity_1"] == 0

    def test_bars_that_return(self):
        # of bars 8 to 15: 8 is bar 0, 9 is bar 6 (three before, too near), 10 is bar 6; all others are new
        pitches = [*range(40, 48), 40, 46, 46, *range(60, 65)]
        assert traits(bars(*pitches))["bar_returns"] == 2 / 8
        assert np.isnan(traits(bars(*pitches[:15]))["bar_returns"])

    def test_four_of_five_notes_are_a_return_and_three_are_none(self):
        def piece(kept):
            rows = [(16 * bar + 2 * i, 1, 0, 30 + 5 * bar + i) for bar in range(15) for i in range(5)]
            rows += [(240 + 2 * i, 1, 0, 30 + i if i < kept else 120) for i in range(5)]
            return traits(score(rows))["bar_returns"]

        assert (piece(4), piece(3)) == (1 / 8, 0)


class TestLineUp:
    def test_programs_and_bars_in_which_others_play(self):
        rows = [(0, 4, 0, 60), (16, 4, 0, 62), (16, 4, 33, 40), (32, 4, 33, 40), (32, 4, 0, 60), (48, 4, DRUMS, 36)]
        found = traits(score(rows))
        assert found["programs"] == 3 and found["line_up_changes"] == 2 / 3


class TestGroove:
    def beat(self, *patterns, drum=36):
        """A drum at some sixteenths of each bar, and a hat in every bar."""
        strokes = [(16 * bar + at, 1, DRUMS, drum) for bar, pattern in enumerate(patterns) for at in pattern]
        return score([*strokes, *((16 * bar, 1, DRUMS, 42) for bar in range(len(patterns)))])

    def test_a_drum_as_in_the_bar_before(self):
        found = traits(self.beat((0, 8), (0, 8), (0, 6), (0,)))
        assert found["kick"] == pytest.approx((1 + 1 / 2 + 2 / 3) / 3)
        assert found["hat"] == 1 and np.isnan(found["snare"])

    def test_bars_without_a_stroke_count_beside_one_with(self):
        found = traits(self.beat((0,), (0,), (), (), (0,), (0,), drum=38))
        assert found["snare"] == pytest.approx((1 + 0 + 0 + 1) / 4)

    def test_a_drum_of_three_bars_and_seven_strokes_in_all_are_no_groove(self):
        assert np.isnan(traits(self.beat((0,), (0,), (0,), (), ()))["kick"])
        assert np.isnan(traits(self.beat((0,), (0,), (0,), ()))["hat"])  # 7 strokes
        assert traits(self.beat((0,), (0,), (0,), (0,)))["hat"] == 1


class TestHarmony:
    def test_changes_at_bar_lines_over_those_inside(self):
        # C for a bar and G for a bar: all change is at the bar line; a D in the second half of each makes some inside
        halves = [
            (16 * bar + half, 8, 0, pitch + half // 4) for bar, pitch in enumerate((60, 67, 60)) for half in (0, 8)
        ]
        found = traits(score(halves))
        # changes of 1 at 2 bar lines (of 2), and of 1 at 3 of the 9 quarters inside
        assert found["harmony_at_bars"] == pytest.approx(1 / (3 / 9), rel=1e-2)

    def test_the_cosine_of_what_sounds(self):
        # quarters of C, C, C+E, C: cosines of 1, 1/sqrt(2), 1/sqrt(2), and a bar line with 0
        rows = [(0, 16, 0, 60), (8, 4, 0, 64), (16, 16, 0, 62)]
        inside = (2 * (1 - 2**-0.5)) / 6
        assert traits(score(rows))["harmony_at_bars"] == pytest.approx(1 / inside, rel=1e-2)

    def test_harmony_that_never_changes_inside_bars_has_no_ratio(self):
        assert np.isnan(traits(score([(0, 16, 0, 60), (16, 16, 0, 62)]))["harmony_at_bars"])


class TestEnding:
    def test_the_last_note_is_the_longest_of_the_last_onset(self):
        assert traits(score([(0, 60, 0, 40), (16, 2, 0, 60), (16, 6, 0, 64)]))["last_note"] == 1.5

    def test_a_last_stroke_of_drums_is_no_ending(self):
        assert np.isnan(traits(score([(0, 4, 0, 60), (16, 1, DRUMS, 36)]))["last_note"])

    def test_length_counts_bars_up_to_the_last_note(self):
        assert traits(score([(0, 4, 0, 60), (16, 40, 0, 60)], length=160))["length"] == 2


class TestSmallPieces:
    def test_without_notes_nothing_is_there(self):
        found = traits(score([], length=16))
        assert list(found) == list(TRAITS) and all(np.isnan(value) for value in found.values())

    def test_without_a_beat_there_is_no_bar(self):
        found = traits(score([(0, 50, 0, 60), (50, 150, 0, 62)], grid=Grid.seconds(100)))
        there = {name: value for name, value in found.items() if not np.isnan(value)}
        assert there == {"programs": 1, "last_note": 1.5, "length": 2}
