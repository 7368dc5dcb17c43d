"""Metrics: features and comparisons, on notes and numbers that can be checked by hand."""

from math import log, log2, pi, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melodygru.analysis.style import (
    FEATURES,
    Densities,
    compare,
    distances_between,
    distances_within,
    entropy_bits,
    mean_overlapping_area,
    measure,
    piece_features,
    summary,
)
from melodygru.analysis.style.comparison import usual_share
from melodygru.analysis.style.features import INTERVALS, LENGTHS, LENGTHS_S
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE
from melodygru.music.notes import DRUMS, NOTE, NoteSequence, canonical, note_array
from melodygru.music.traits import LAGS, TRAITS, traits

C_MAJOR = (60, 62, 64, 65, 67, 69, 71)


def overlapping_area(first, second):
    return Densities.from_samples(first, second).overlapping_area


def kl_divergence(first, second):
    return Densities.from_samples(first, second).kl_divergence


def piece(*pitches, program=0, duration=1):
    notes = np.zeros(len(pitches), NOTE)
    notes["onset"] = np.arange(len(pitches)) * duration
    notes["duration"], notes["program"], notes["pitch"], notes["velocity"] = duration, program, pitches, 80
    return NoteSequence(notes, Grid.beats(4), len(pitches) * duration)


def score(rows, *, length=None, grid=None, metres=((0, 4, 4),), parts=None):
    """Rows of (onset, duration, program, pitch), 4 steps a beat unless another grid is given."""
    notes, _ = canonical(note_array(((*row, 80) for row in rows), parts))
    end = int((notes["onset"] + notes["duration"]).max(initial=0))
    return NoteSequence(notes, grid or Grid.beats(4), length or end, metres=np.array(list(metres), METRE))


def shares(values, classes):
    """The classes of a histogram that are not empty."""
    return {name: pytest.approx(value) for name, value in zip(classes, values, strict=True) if value}


# Two bars of 4/4, each C4 and E4 in quarters and G4 a half.
ARPEGGIOS = score([(bar + at, d, 0, p) for bar in (0, 16) for at, d, p in ((0, 4, 60), (4, 4, 64), (8, 8, 67))])


class TestPitchFeatures:
    found = piece_features(ARPEGGIOS)

    def test_histograms_by_hand(self):
        pitch_classes = FEATURES["pitch_class_histogram"].classes(Grid.beats(4))
        assert shares(self.found["pitch_class_histogram"], pitch_classes) == {"C": 1 / 3, "E": 1 / 3, "G": 1 / 3}
        assert shares(self.found["interval_histogram"], INTERVALS) == {"+4": 0.4, "+3": 0.4, "-7": 0.2}

    def test_transitions_are_rows_from_and_columns_to(self):
        matrix = self.found["pitch_class_transitions"].reshape(12, 12)
        assert {tuple(at): matrix[tuple(at)] for at in np.argwhere(matrix)} == {(0, 4): 0.4, (4, 7): 0.4, (7, 0): 0.2}

    @pytest.mark.parametrize(
        ("name", "value"),
        [("mean_interval", 4.2), ("pitches_used", 3), ("pitch_range", 7), ("scale_consistency", 1), ("polyphony", 1)],
    )
    def test_values_by_hand(self, name, value):
        assert self.found[name] == pytest.approx([value])

    def test_a_transposed_piece_differs_in_its_pitch_classes_alone(self):
        scale, higher = (piece_features(piece(*(p + by for p in C_MAJOR))) for by in (0, 2))
        assert np.array_equal(np.roll(scale["pitch_class_histogram"], 2), higher["pitch_class_histogram"])
        for name in set(FEATURES) - {"pitch_class_histogram", "pitch_class_transitions"}:
            assert np.array_equal(scale[name], higher[name], equal_nan=True), name

    def test_seven_of_twelve_chromatic_notes_lie_in_a_scale(self):
        assert piece_features(piece(*range(60, 72)))["scale_consistency"] == pytest.approx([7 / 12])

    def test_intervals_beyond_an_octave_share_the_outermost_classes(self):
        found = piece_features(piece(60, 72, 85, 72, 60, 30))
        expected = {"+12": 0.2, "> +12": 0.2, "< -12": 0.4, "-12": 0.2}
        assert shares(found["interval_histogram"], INTERVALS) == expected

    def test_a_line_is_the_highest_note_of_each_onset_of_a_program(self):
        found = piece_features(score([(0, 4, 0, 60), (0, 4, 0, 64), (4, 4, 0, 65), (0, 4, 40, 40), (4, 4, 40, 38)]))
        assert shares(found["interval_histogram"], INTERVALS) == {"+1": 0.5, "-2": 0.5}

    def test_two_parts_of_one_program_are_two_lines(self):
        rows = [(0, 4, 0, 60), (0, 4, 0, 40), (4, 4, 0, 62), (4, 4, 0, 41)]
        one, two = score(rows), score(rows, parts=[0, 1, 0, 1])
        assert shares(piece_features(one)["interval_histogram"], INTERVALS) == {"+2": 1.0}
        assert shares(piece_features(two)["interval_histogram"], INTERVALS) == {"+1": 0.5, "+2": 0.5}

    def test_drums_have_rhythm_and_no_pitch(self):
        with_drums = piece_features(score([(0, 4, 0, 60), (4, 4, 0, 62), (2, 1, DRUMS, 36)]))
        without = piece_features(score([(0, 4, 0, 60), (4, 4, 0, 62)]))
        for name in (
            "pitch_class_histogram",
            "interval_histogram",
            "pitch_range",
            "polyphony",
            "note_length_histogram",
        ):
            assert np.array_equal(with_drums[name], without[name]), name
        assert with_drums["note_count"] == 3 and with_drums["mean_inter_onset"] == 0.5

    def test_polyphony_is_a_mean_over_the_time_in_which_something_sounds(self):
        found = piece_features(score([(0, 8, 0, 60), (2, 2, 0, 64), (6, 4, 0, 67)], length=40))
        assert found["polyphony"] == pytest.approx([14 / 10])
        assert found["rest_share"] == pytest.approx([30 / 40])


class TestRhythmFeatures:
    found = piece_features(ARPEGGIOS)

    def test_histograms_by_hand(self):
        assert shares(self.found["note_length_histogram"], LENGTHS) == {"1/4": 2 / 3, "1/2": 1 / 3}
        assert shares(self.found["inter_onset_histogram"], LENGTHS) == {"1/4": 0.8, "1/2": 0.2}
        matrix = self.found["note_length_transitions"].reshape(12, 12)
        named = {(LENGTHS[i], LENGTHS[j]): matrix[i, j] for i, j in np.argwhere(matrix)}
        assert named == {("1/4", "1/4"): 0.4, ("1/4", "1/2"): 0.4, ("1/2", "1/4"): 0.2}

    @pytest.mark.parametrize(
        ("name", "value"),
        [("mean_inter_onset", 1.2), ("note_density", 0.75), ("note_count", 6), ("notes_per_bar", 3), ("rest_share", 0)],
    )
    def test_values_by_hand(self, name, value):
        assert self.found[name] == pytest.approx([value])

    @pytest.mark.parametrize(
        ("steps", "name"),
        [(1, "1/16"), (6, "1/16"), (7, "1/8t"), (8, "1/8t"), (9, "1/16."), (12, "1/8"), (96, "1/1"), (960, "1/1")],
    )
    def test_a_length_is_of_the_class_nearest_in_ratio(self, steps, name):
        found = piece_features(score([(0, steps, 0, 60)], grid=Grid.beats(24)))
        assert shares(found["note_length_histogram"], LENGTHS) == {name: 1}

    def test_without_a_beat_lengths_are_seconds_and_bars_are_absent(self):
        grid = Grid.seconds(100)
        found = piece_features(score([(0, 50, 0, 60), (50, 50, 0, 62)], grid=grid, length=200))
        assert shares(found["note_length_histogram"], LENGTHS_S) == {"0.5 s": 1}
        assert found["mean_inter_onset"] == 0.5 and found["note_density"] == 1
        assert {name for name in FEATURES if np.isnan(found[name]).any()} == {
            name for name, feature in FEATURES.items() if feature.needs_bars
        }
        assert FEATURES["note_density"].unit_on(grid) == "notes/s"
        assert FEATURES["note_density"].unit_on(Grid.beats(4)) == "notes/beat"


class TestGroove:
    def test_onsets_by_hand(self):
        assert piece_features(ARPEGGIOS)["groove_consistency"] == 1
        # onsets differ at steps 4 and 8 of 16
        found = piece_features(score([(0, 4, 0, 60), (4, 4, 0, 62), (16, 4, 0, 60), (24, 4, 0, 62)], length=32))
        assert found["groove_consistency"] == pytest.approx([1 - 2 / 16])

    def test_bars_of_unlike_length_have_no_groove_in_common(self):
        found = piece_features(score([(0, 4, 0, 60), (16, 4, 0, 60)], length=28, metres=((0, 4, 4), (16, 3, 4))))
        assert np.isnan(found["groove_consistency"]).all()

    def test_further_features_are_the_traits(self):
        piece = score([(16 * bar, 4, 0, 60) for bar in range(5)])
        found = piece_features(piece)
        assert {name: found[name][0] for name in TRAITS} == pytest.approx(traits(piece), nan_ok=True)


class TestMisses:
    def comparison(self, ours, theirs):
        generated, real = (measure([piece(*range(60, 60 + n)) for n in counts]) for counts in (ours, theirs))
        return compare(generated, real)["note_count"]

    @pytest.mark.parametrize(("ours", "missed"), [(14, ()), (15, ("ratio",)), (6, ()), (5, ("ratio",))])
    def test_a_ratio_beyond_40_percent(self, ours, missed):
        found = self.comparison([ours] * 2, [10] * 3)
        assert found.ratio == ours / 10 and found.misses() == missed

    def test_an_area_below_the_level_and_the_baseline(self):
        found = self.comparison([40, 44, 48], [10, 20, 30])
        area = found.overlapping_area
        assert 0.05 < area < 0.7 and "overlapping_area" in found.misses()
        assert "overlapping_area" in found.misses(area + 0.01) and "overlapping_area" not in found.misses(area - 0.01)

    def test_lengths_in_the_middle_of_the_real_ones(self):
        real = measure([piece(*[60] * 16 * bars) for bars in range(1, 12)])  # the middle 80%: 2..10 bars
        generated = measure([piece(*[60] * 16 * bars) for bars in (1, 2, 10, 11)])
        lengths = compare(generated, real)["length"]
        assert usual_share(lengths, "generated") == 0.5
        assert usual_share(lengths, "real") == pytest.approx(9 / 11)


class TestSmallPieces:
    def test_a_piece_without_notes_has_no_features(self):
        assert all(np.isnan(values).all() for values in piece_features(score([], length=16)).values())

    def test_a_single_note_has_no_intervals(self):
        found = piece_features(score([(0, 4, 0, 60)]))
        absent = {name for name, values in found.items() if np.isnan(values).any()}
        assert absent == {
            "pitch_class_transitions", "interval_histogram", "mean_interval", "note_length_transitions",
            "inter_onset_histogram", "mean_inter_onset", "groove_consistency", "self_similarity",
            *(f"bar_similarity_{lag}" for lag in LAGS), "bar_returns", "line_up_changes", "kick", "snare", "hat",
            "harmony_at_bars",
        }  # fmt: skip

    def test_drums_alone_have_onsets_and_bars(self):
        found = piece_features(score([(0, 1, DRUMS, 36), (16, 1, DRUMS, 36)], length=32))
        assert np.isnan(found["pitch_range"]).all() and np.isnan(found["polyphony"]).all()
        assert found["note_count"] == 2 and found["groove_consistency"] == 1

    def test_measure_stacks_pieces(self):
        found = measure([ARPEGGIOS, score([(0, 4, 0, 60)])])
        assert list(found) == list(FEATURES)
        assert {name: values.shape for name, values in found.items()} == {
            name: (2, feature.width) for name, feature in FEATURES.items()
        }
        assert found["note_count"][:, 0].tolist() == [6, 1]
        assert measure([])["interval_histogram"].shape == (0, 27)

    @given(
        st.lists(
            st.tuples(st.integers(0, 70), st.integers(1, 20), st.sampled_from([0, 40, DRUMS]), st.integers(0, 127)),
            min_size=1,
        ),
        st.sampled_from([Grid.beats(4), Grid.beats(1), Grid.seconds(100)]),
    )
    def test_shares_are_shares(self, rows, grid):
        found = piece_features(score(rows, grid=grid))
        for name, feature in FEATURES.items():
            values = found[name]
            assert values.shape == (feature.width,)
            if np.isnan(values).any():
                assert np.isnan(values).all()
            elif feature.kind != "value":
                assert (values >= 0).all() and values.sum() == pytest.approx(1)
            elif feature.unit == "share":
                assert -1e-12 <= values[0] <= 1 + 1e-12

    def test_a_histogram_has_as_many_classes_as_it_is_wide(self):
        for feature in FEATURES.values():
            for grid in (Grid.beats(4), Grid.seconds(100)):
                side = {"value": 0, "histogram": feature.width, "transitions": round(sqrt(feature.width))}
                assert len(feature.classes(grid)) == side[feature.kind], feature.name


class TestEntropy:
    def test_entropy_is_in_bits(self):
        found = entropy_bits(np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.25, 0.25, 0], [np.nan] * 4]))
        assert found[:3].tolist() == [2, 0, 1.5] and np.isnan(found[3])


class TestDistances:
    def test_every_pair_once(self, rng):
        assert distances_within(np.array([[0.0], [1.0], [3.0]]), rng).tolist() == [1, 3, 2]
        assert distances_within(np.array([[0.0, 0.0], [3.0, 4.0]]), rng).tolist() == [5]
        assert distances_within(np.zeros((1, 3)), rng).shape == (0,)

    def test_every_pair_between(self, rng):
        found = distances_between(np.array([[0.0], [1.0]]), np.array([[0.0], [5.0], [7.0]]), rng)
        assert found.tolist() == [0, 5, 7, 1, 4, 6]
        assert distances_between(np.zeros((0, 1)), np.zeros((2, 1)), rng).shape == (0,)

    def test_more_pairs_than_the_limit_are_sampled_without_replacement(self):
        values = 2.0 ** np.arange(40)[:, None]  # no two distances are the same
        every = set(distances_within(values, np.random.default_rng(0)).tolist())
        assert len(every) == 780
        some = [distances_within(values, np.random.default_rng(seed), 100).tolist() for seed in (1, 1, 2)]
        assert len(set(some[0])) == 100 and set(some[0]) < every
        assert some[0] == some[1] != some[2]
        first, second = np.arange(40.0)[:, None], 10_000 + 100 * np.arange(40.0)[:, None]
        between = distances_between(first, second, np.random.default_rng(0), 1599)
        assert len(set(between.tolist())) == 1599

    @pytest.mark.parametrize("n", [2, 3, 50, 317])
    def test_the_numbering_of_pairs_holds(self, rng, n):
        values = np.arange(n, dtype=float)[:, None]
        counts = np.bincount(distances_within(values, rng, 10**6).astype(int), minlength=n)
        assert counts.tolist() == [0, *range(n - 1, 0, -1)]


def gaussian(mean, deviation, n=4001):
    """A sample as even as can be, and the deviation of its density: kernels add the bandwidth's variance."""
    sample = np.array([NormalDist(mean, deviation).inv_cdf((i + 0.5) / n) for i in range(n)])
    bandwidth = sample.std(ddof=1) * n**-0.2
    return sample, sqrt(deviation**2 + bandwidth**2)


class TestDensities:
    def test_a_density_is_the_sum_of_its_kernels(self):
        sample = np.array([0.0, 1.0, 1.5, 4.0])
        found = Densities.from_samples(sample, sample + 1)
        width = sample.std(ddof=1) * 4**-0.2
        direct = np.exp(-0.5 * ((found.grid[:, None] - sample) / width) ** 2).mean(axis=1) / width / sqrt(2 * pi)
        assert found.first == pytest.approx(direct, abs=2e-3 * direct.max())
        assert found.first.sum() * found.step == pytest.approx(1)
        assert found.second.sum() * found.step == pytest.approx(1)

    @pytest.mark.parametrize("apart", [0, 0.5, 1, 2, 4])
    def test_the_overlap_of_two_gaussians(self, apart):
        (first, deviation), (second, _) = gaussian(0, 1), gaussian(apart, 1)
        expected = 2 * NormalDist().cdf(-apart / 2 / deviation)
        assert overlapping_area(first, second) == pytest.approx(expected, abs=0.003)

    @pytest.mark.parametrize(("mean", "deviation"), [(0, 1), (1, 1), (0, 2), (2, 3), (-1, 1.5)])
    def test_the_divergence_of_two_gaussians(self, mean, deviation):
        # the second is wide enough to have points wherever the first is: beyond its points a density of kernels falls
        # faster than the Gaussian that they were drawn from
        (first, s), (second, t) = gaussian(0, 1), gaussian(mean, deviation)
        expected = log(t / s) + (s**2 + mean**2) / (2 * t**2) - 0.5
        assert kl_divergence(first, second) == pytest.approx(expected, rel=0.05, abs=0.003)

    def test_both_densities_of_a_divergence_stand_on_one_grid(self):
        (first, _), (second, _) = gaussian(0, 1), gaussian(10, 1)  # alike, if each has a grid of its own
        assert kl_divergence(first, second) > 48
        assert kl_divergence(first, 10 - first) == pytest.approx(kl_divergence(second, first), rel=1e-3)

    def test_the_same_sample_twice(self, rng):
        sample = rng.gamma(2, size=300)
        assert overlapping_area(sample, sample) == pytest.approx(1)
        assert kl_divergence(sample, sample) == pytest.approx(0, abs=1e-12)

    def test_nothing_in_common(self, rng):
        sample = rng.gamma(2, size=300)
        assert overlapping_area(sample, sample + 1000) == pytest.approx(0, abs=1e-9)
        assert 600 < kl_divergence(sample, sample + 1000) < 709

    def test_a_narrow_and_a_wide_sample(self):
        (narrow, _), (wide, deviation) = gaussian(0, 0.001), gaussian(0, 1)
        assert overlapping_area(narrow, wide) == pytest.approx(0.0037, abs=0.001)
        expected = log(deviation / 0.001) - 0.5
        assert kl_divergence(narrow, wide) == pytest.approx(expected, rel=0.01)

    def test_samples_without_spread_are_compared_by_their_values(self):
        ones = np.ones(3)
        assert (overlapping_area(ones, ones), kl_divergence(ones, ones)) == (1, 0)
        assert overlapping_area(ones, 2 * ones) == 0
        assert kl_divergence(ones, 2 * ones) == pytest.approx(708, abs=1)
        mixed = np.array([1.0, 1, 1, 5])
        assert overlapping_area(ones, mixed) == overlapping_area(mixed, ones) == 0.75
        assert kl_divergence(ones, mixed) == pytest.approx(log(4 / 3))

    def test_noise_in_the_last_digits_is_no_spread(self):
        assert Densities.from_samples(np.array([0.3, 0.1 + 0.2]), np.array([0.3, 0.3])).overlapping_area == 1


def pieces_of(rng, n, pitches=C_MAJOR, grid=None):
    """Random tunes of 32 notes."""
    return [
        score([(4 * at, 4, 0, int(rng.choice(pitches))) for at in range(32)], grid=grid) for _ in range(n)
    ]  # fmt: skip


class TestCompare:
    def test_music_from_one_source_overlaps_more_than_music_from_two(self, rng):
        real, alike, other = (measure(pieces_of(rng, 30, p)) for p in (C_MAJOR, C_MAJOR, (61, 63, 80)))
        good, bad = compare(alike, real), compare(other, real)
        for name in ("pitch_class_histogram", "interval_histogram", "pitch_class_transitions", "pitch_range"):
            assert good[name].overlapping_area > 0.85 > 0.3 > bad[name].overlapping_area, name
            assert good[name].kl_divergence < 0.1 < 1 < bad[name].kl_divergence, name
        assert mean_overlapping_area(good) > mean_overlapping_area(bad)

    def test_the_divergence_is_that_of_between_from_within_the_real_set(self, rng):
        real, generated = measure(pieces_of(rng, 8)), measure(pieces_of(rng, 9, (60, 61, 62)))
        one = compare(generated, real)["pitch_range"]
        assert len(one.within_real) == 28 and len(one.within_generated) == 36 and len(one.between) == 72
        assert one.kl_divergence == kl_divergence(one.within_real, one.between)
        assert one.overlapping_area == overlapping_area(one.within_real, one.between)

    def test_spread_says_when_generated_pieces_are_too_alike(self, rng):
        real = pieces_of(rng, 8)
        twins = [real[0]] * 4
        found = compare(measure(twins), measure(real))
        assert found["interval_histogram"].spread == 0
        assert compare(measure(real), measure(real))["interval_histogram"].spread == 1
        assert found["note_count"].spread is None  # all real pieces have 32

    def test_pieces_without_a_feature_are_left_out(self, rng):
        real = pieces_of(rng, 4)
        found = compare(measure([*real, score([(0, 4, 0, 60)])]), measure(real))
        assert found["mean_interval"].generated.shape == (4, 1) and found["note_count"].generated.shape == (5, 1)

    def test_two_pieces_are_too_few_for_a_density(self, rng):
        real = pieces_of(rng, 3)
        assert compare(measure(real[:2]), measure(real))["pitch_range"].overlapping_area is None
        assert compare(measure(real), measure(real[:2]))["pitch_range"].kl_divergence is None
        assert compare(measure(real), measure(real))["pitch_range"].overlapping_area is not None
        assert mean_overlapping_area(compare(measure(real[:2]), measure(real))) is None

    def test_on_a_grid_of_seconds_bars_are_absent(self, rng):
        real = measure(pieces_of(rng, 4, grid=Grid.seconds(100)))
        found = compare(real, real)
        assert {name for name, one in found.items() if one.overlapping_area is None} == {
            name for name, feature in FEATURES.items() if feature.needs_bars
        }
        assert summary(found["self_similarity"], "real") is None

    def test_the_seed_decides_the_sample(self, rng):
        real, generated = measure(pieces_of(rng, 20)), measure(pieces_of(rng, 20))
        found = [compare(generated, real, seed, max_pairs=50)["mean_interval"] for seed in (1, 1, 2)]
        assert found[0].overlapping_area == found[1].overlapping_area != found[2].overlapping_area
        assert len(found[0].within_real) == len(found[0].between) == 50

    def test_summaries_are_means_and_deviations_over_pieces(self):
        found = compare(measure([piece(60, 62), piece(60, 66)]), measure([piece(60, 60), *[piece(60, 61)] * 3]))
        assert summary(found["pitch_range"], "generated") == pytest.approx((4, sqrt(8)))
        assert summary(found["pitch_class_histogram"], "real") == pytest.approx((0.75, 0.5))  # entropies 0, 1, 1, 1
        one = compare(measure([piece(*C_MAJOR)]), measure([piece(60)]))
        assert summary(one["pitch_class_histogram"], "generated") == (pytest.approx(log2(7)), 0)
