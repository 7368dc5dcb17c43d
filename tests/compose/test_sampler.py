"""Sampling: filters worked by hand, the loop with a model that is none, lengths, primers, and an honest log p."""

import copy
import dataclasses
from collections import Counter

import numpy as np
import pytest
import toys
from toys import BEAT, PERFORMANCE, VOCABULARIES

from melodygru import midi
from melodygru.compose import (
    Controls,
    Length,
    Note,
    Plan,
    Primer,
    Sampler,
    compose,
    composing,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    notes,
    to_weights,
)
from melodygru.compose.places import NEVER, steps_within
from melodygru.compose.settings import GenerateSettings
from melodygru.compose.stream import Stream
from melodygru.errors import SettingError
from melodygru.events import END, FIRST_PART, NEW, TIMES, Vocabulary, decode, encode, layout_of
from melodygru.music.metre import steps_per_bar
from melodygru.music.notes import DRUMS, NOTE, NoteSequence
from melodygru.music.quantize import quantize

P = np.array([[0.1, 0.4, 0.2, 0.3]])
LOGITS = np.log(P).astype(np.float32)


def kept(weights):
    return [np.flatnonzero(row).tolist() for row in weights]


# -- filters


@pytest.mark.parametrize(
    ("k", "classes"), [(1, [1]), (2, [1, 3]), (3, [1, 2, 3]), (4, [0, 1, 2, 3]), (5, [0, 1, 2, 3])]
)
def test_top_k_keeps_the_k_most_probable(k, classes):
    found = keep_top_k(P, k)
    assert kept(found) == [classes]
    np.testing.assert_array_equal(found[0, classes], P[0, classes])


def test_of_equals_the_lower_class_is_kept():
    assert kept(keep_top_k(np.ones((2, 5)), 2)) == [[0, 1], [0, 1]]
    assert kept(keep_top_p(np.ones((1, 4)), 0.4)) == [[0, 1]]


@pytest.mark.parametrize(
    ("p", "classes"),
    [
        (1e-9, [1]),
        (0.39, [1]),
        (0.41, [1, 3]),
        (0.69, [1, 3]),
        (0.71, [1, 2, 3]),
        (0.89, [1, 2, 3]),
        (0.91, [0, 1, 2, 3]),
    ],
)
def test_top_p_keeps_what_together_reaches_p(p, classes):
    assert kept(keep_top_p(P, p)) == [classes]


@pytest.mark.parametrize(
    ("p", "classes"),
    [
        (1e-9, [0, 1, 2, 3]),
        (0.24, [0, 1, 2, 3]),
        (0.26, [1, 2, 3]),
        (0.49, [1, 2, 3]),
        (0.51, [1, 3]),
        (0.76, [1]),
        (0.99, [1]),
    ],
)
def test_min_p_is_relative_to_the_most_probable(p, classes):
    assert kept(keep_min_p(P, p)) == [classes]


def test_filters_treat_each_stream_alone_and_leave_the_impossible_out():
    weights = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    assert kept(keep_top_k(weights, 1)) == [[0], [2]]
    assert kept(keep_top_p(weights, 0.8)) == [[0, 1], [1, 2]]
    assert kept(keep_min_p(weights, 0.2)) == [[0, 1], [1, 2]]
    weights[0, 0] = 0.0
    for found in (keep_top_k(weights, 1), keep_top_p(weights, 0.1), keep_min_p(weights, 0.9)):
        assert kept(found) == [[1], [2]]


def test_weights_hold_far_out():
    np.testing.assert_allclose(to_weights(LOGITS), P / 0.4, atol=1e-6)
    np.testing.assert_array_equal(to_weights(np.array([[1e4, -np.inf, 1e4]])), [[1, 0, 1]])


def _filtered(controls, field="velocity", logits=LOGITS):
    """Probabilities under the controls."""
    kept = to_weights(logits)
    for change in controls.filters(field):
        kept = change(kept)
    weights = np.where(kept > 0, to_weights(logits, controls.temperature_of(field) or None), 0)
    return weights / weights.sum(1, keepdims=True)


def test_temperature_sharpens_and_flattens():
    np.testing.assert_allclose(_filtered(Controls()), P, atol=1e-6)
    np.testing.assert_allclose(_filtered(Controls(0.5)), P**2 / (P**2).sum(), atol=1e-6)
    np.testing.assert_allclose(_filtered(Controls(2.0)), P**0.5 / (P**0.5).sum(), atol=1e-6)
    np.testing.assert_array_equal(_filtered(Controls(0)), [[0, 1, 0, 0]])


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-45, 1e-60, 1e-300, 5e-324])
def test_the_lower_the_temperature_the_surer(temperature):
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(_filtered(Controls(temperature)), [[0, 1, 0, 0]], atol=1e-12)


def test_rhythm_and_pitch_have_temperatures_of_their_own():
    controls = Controls(1.0, rhythm_temperature=0.5, pitch_temperature=0.0)
    sharp = P**2 / (P**2).sum()
    expected = {"shift": sharp, "duration": sharp, "pitch": [[0, 1, 0, 0]], "part": P, "velocity": P}
    for field, right in expected.items():
        np.testing.assert_allclose(_filtered(controls, field), right, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.3, 0.5, 1.0, 3.0])
def test_filters_act_on_the_model_s_own_probabilities_whatever_the_temperature(temperature):
    # Squared, 0.4 has 16/30 of the whole: after a temperature of 0.5, top-p 0.5 would keep it alone.
    fake = Fake(
        ONE, shift={4: 1.0}, part={NEW: 1.0}, pitch=dict(zip((60, 61, 62, 63), P[0], strict=True)), duration={4: 1.0}
    )
    (piece,) = compose(fake, controls=Controls(temperature, top_p=0.5), length=Length(notes=300))
    kept = [60 + int(at) for at in np.flatnonzero(_filtered(Controls(top_p=0.5))[0])]
    assert kept == [61, 63] and set(piece.notes["pitch"].tolist()) == set(kept)
    share = float(_filtered(Controls(temperature, top_p=0.5))[0, 1])
    assert abs(np.mean(piece.notes["pitch"] == 61) - share) < 0.1
    assert (_filtered(Controls(1.0, top_p=0.5)) > 0).tolist() == [[False, True, False, True]]
    np.testing.assert_allclose(_filtered(Controls(top_k=2)), [[0, 4 / 7, 0, 3 / 7]], atol=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": -0.1}, r"^temperature -0\.1: expected 0\.\.10$"),
        ({"temperature": 10.1}, r"^temperature 10\.1: expected 0\.\.10$"),
        ({"temperature": float("nan")}, r"^temperature nan: expected 0\.\.10$"),
        ({"rhythm_temperature": -1}, r"^rhythm-temperature -1: expected 0\.\.10$"),
        ({"pitch_temperature": 11}, r"^pitch-temperature 11: expected 0\.\.10$"),
        ({"top_k": -1}, r"^top-k -1: expected 0 \(all classes\) or more$"),
        ({"top_p": 0}, r"^top-p 0: expected more than 0, at most 1$"),
        ({"top_p": 1.001}, r"^top-p 1\.001: expected more than 0, at most 1$"),
        ({"top_p": float("nan")}, r"^top-p nan: expected more than 0, at most 1$"),
        ({"min_p": -0.01}, r"^min-p -0\.01: expected at least 0, less than 1$"),
        ({"min_p": 1}, r"^min-p 1: expected at least 0, less than 1$"),
    ],
)
def test_values_out_of_range_are_refused(values, message):
    with pytest.raises(SettingError, match=message):
        Controls(**values)


def test_the_edges_of_the_ranges_are_allowed():
    Controls(0, 0, 0, 0, 1, 0)
    Controls(10, 10, 10, 10**6, 1e-9, 0.999)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bars": 0}, "^bars 0: expected more than 0"),
        ({"notes": -3}, "^notes -3: expected more than 0"),
        ({"bars": 1.5}, r"^bars 1\.5: expected a whole number$"),
        ({"notes": 2.0}, r"^notes 2\.0: expected a whole number$"),
        ({"seconds": 0.0}, r"^seconds 0\.0: expected more than 0"),
        ({"seconds": float("nan")}, "^seconds nan: expected more than 0"),
        ({"seconds": float("inf")}, "^seconds inf: expected more than 0"),
        ({"bars": 4, "seconds": 3}, "^bars and seconds given: expected at most one of bars, seconds and notes"),
        ({"bars": 4, "seconds": 3, "notes": 2}, "^bars and seconds and notes given"),
    ],
)
def test_lengths_out_of_range_are_refused(values, message):
    with pytest.raises(SettingError, match=message):
        Length(**values)


# -- the loop, with a network that is none


class Fake:
    """A network that wants one thing: `wishes[field]` maps classes to probabilities; all else has 1e-30.

    A new part is wished for as a part of its program that has played is.
    """

    def __init__(self, vocabulary, **wishes):
        self.vocabulary, self.wishes = vocabulary, wishes
        self.fed = []

    def initial_state(self, streams):
        return [np.zeros((streams, 1), np.float32)]

    def step(self, previous, before, context, state, arrived=None):
        self.fed.append((previous.copy(), before.copy(), context.copy()))
        return FakeStep(self, len(previous), state)


class FakeStep:
    def __init__(self, network, streams, state):
        self.network, self.streams, self.state, self.gain = network, streams, state, None

    def arrive(self, context, pitch_class_levels, part_descriptions, line_up):
        assert len(context) == len(pitch_class_levels) == len(line_up) == self.streams
        columns = len(layout_of(self.network.vocabulary).description_sizes)
        self.programs = part_descriptions[:, ::columns] if columns else None

    def logits(self, field, chosen=None, pointers=None):
        v = self.network.vocabulary
        logits = np.full((self.streams, v.size(field)), np.log(1e-30), np.float32)
        for value, p in self.network.wishes[field].items():
            logits[:, value] = np.log(p)
            if field == "part" and v.models_part and value != END:  # so are those of its program that have played
                logits[:, FIRST_PART:][self.programs == value - NEW + 1] = np.log(p)
        return logits


ONE = VOCABULARIES["one"]
BEATS = {"shift": {4: 1.0}, "part": {NEW: 1.0}, "pitch": {60: 0.5, 62: 0.5}, "duration": {4: 1.0}}


def test_the_loop_writes_what_the_network_wants():
    (piece,) = compose(Fake(ONE, **BEATS), length=Length(bars=2), qpm=90)
    assert piece.notes["onset"].tolist() == [4, 8, 12, 16, 20, 24, 28]
    assert set(piece.notes["pitch"].tolist()) <= {60, 62}
    assert set(piece.notes["duration"].tolist()) == {4}
    assert set(piece.notes["velocity"].tolist()) == {80}
    assert (piece.length, piece.metre, piece.grid) == (32, (4, 4), BEAT)
    assert piece.qpm == pytest.approx(90, rel=1e-6)


@pytest.mark.parametrize(
    ("length", "often_empty"),
    [(Length(bars=4), {"shift": {4: 0.3, 80: 0.7}}), (Length(), {"part": {NEW: 0.3, END: 0.7}})],
)
def test_a_piece_without_a_note_is_composed_again(length, often_empty):
    fake = Fake(ONE, **BEATS | often_empty)
    heard = Counter()
    pieces = compose(fake, 30, seed=1, length=length, on_note=lambda note: heard.update([note.stream]))
    assert [heard[stream] for stream in range(30)] == [len(piece) for piece in pieces] and min(heard.values()) > 0
    again = compose(fake, 30, seed=1, length=length)
    assert [piece.notes.tolist() for piece in again] == [piece.notes.tolist() for piece in pieces]
    # Each goes on with numbers of its own, and what was not empty is as it would be alone.
    alone = compose(fake, 2, seed=1, length=length)
    assert [piece.notes.tolist() for piece in alone] == [piece.notes.tolist() for piece in pieces[:2]]


def test_settings_that_allow_no_note_are_refused(monkeypatch):
    monkeypatch.setattr("melodygru.compose.rules.FirstNote.weigh", lambda *_: None)
    none = (
        "^no note was composed in a piece in 20 attempts: nothing can begin within its length; ask for more, or leave"
    )
    with pytest.raises(SettingError, match=none):
        compose(Fake(ONE, **BEATS | {"shift": {80: 1.0}}), 3, length=Length(bars=4))


@pytest.mark.parametrize("controls", [Controls(), Controls(0.0)])
def test_what_the_model_finds_least_probable_is_a_note_too(controls):
    for length, wishes in ((Length(bars=4), {"shift": {80: 1.0}}), (Length(), {"part": {END: 1.0}})):
        assert all(len(piece) for piece in compose(Fake(ONE, **BEATS | wishes), 3, controls=controls, length=length))


@pytest.mark.parametrize(("bars", "first"), [(1, 0), (3, 0), (4, 12)])
def test_a_piece_too_short_for_an_upbeat_begins_in_the_first_half_of_its_first_bar(bars, first):
    pieces = compose(Fake(ONE, **BEATS | {"shift": {12: 0.9, 0: 0.1}}), 8, seed=1, length=Length(bars=bars))
    assert max(int(piece.notes["onset"][0]) for piece in pieces) == first


def test_an_endless_stream_of_empty_pieces_ends():
    def stream(**wishes):
        return Stream(Fake(ONE, **BEATS | wishes), GenerateSettings(seed=1, guard=False), Controls())

    with pytest.raises(SettingError, match="^20 pieces without a note: choose another style or temperature$"):
        next(stream(part={END: 1.0}))
    assert next(stream(part={NEW: 0.1, END: 0.9})).onset_s == 0.5  # the empty ones take no time


def test_a_stream_that_is_over_warns_of_nothing():
    with np.errstate(all="raise"):
        weights = to_weights(np.array([[0.0, -np.inf], [-np.inf, -np.inf]]))
    assert weights.tolist() == [[1.0, 0.0], [1.0, 1.0]]


def test_choices_come_as_often_as_they_are_probable():
    fake = Fake(ONE, **{**BEATS, "pitch": {60: 0.7, 62: 0.2, 64: 0.1}})
    pieces = compose(fake, 8, seed=1, length=Length(notes=250))
    count = Counter(np.concatenate([piece.notes["pitch"] for piece in pieces]).tolist())
    for pitch, p in ((60, 0.7), (62, 0.2), (64, 0.1)):
        assert count[pitch] / 2000 == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 2000))


def test_the_place_in_a_wide_class_is_uniform():
    time_class = int(TIMES.encode(np.array([150]))[0])
    low, width = int(TIMES.low[time_class]), int(TIMES.width[time_class])
    assert width > 4
    (piece,) = compose(Fake(ONE, **{**BEATS, "shift": {time_class: 1.0}}), seed=2, length=Length(notes=2000))
    count = Counter(np.diff(piece.notes["onset"]).tolist())
    assert sorted(count) == list(range(low, low + width))
    assert min(count.values()) > 0.6 * 2000 / width


@pytest.mark.parametrize("place", [0.0, 0.5, 1 - 2**-53])
def test_steps_of_a_few_are_those_of_many(place):
    classes, places = np.arange(TIMES.size), np.full(TIMES.size, place)
    steps = [steps_within([(0, NEVER)], *one) for one in zip(classes.tolist(), places.tolist(), strict=True)]
    assert steps == TIMES.decode(classes, places).tolist()


def test_a_wish_for_what_cannot_follow_is_not_granted():
    wishes = {"shift": {0: 1.0}, "part": {NEW: 1.0, END: 1.0}, "pitch": {60: 1.0}, "duration": {0: 1.0}}
    (piece,) = compose(Fake(ONE, **wishes), length=Length(notes=60))
    # One chord, ever higher, each note once and a step long at least; from the top of the keyboard time goes on.
    first = piece.notes[piece.notes["onset"] == piece.notes["onset"][0]]
    assert first["pitch"][0] == 60
    assert (np.diff(first["pitch"]) > 0).all()
    assert (piece.notes["duration"] >= 1).all()


def test_the_end_is_the_models_unless_a_length_is_given():
    fake = Fake(ONE, **{**BEATS, "part": {END: 1.0}})
    (piece,) = compose(fake)
    assert (len(piece), piece.length) == (1, 8)
    (piece,) = compose(fake, length=Length(bars=1))
    assert (len(piece), piece.length) == (3, 16)
    (piece,) = compose(fake, length=Length(notes=2))
    assert (len(piece), piece.length) == (2, 16)


def test_nothing_ends_while_a_note_sounds():
    wishes = {**BEATS, "shift": {4: 0.7, 12: 0.3}, "part": {END: 0.7, NEW: 0.3}, "duration": {9: 1.0}}
    pieces = compose(Fake(ONE, **wishes), 40, seed=3)
    assert sum(len(piece) for piece in pieces) > 20
    for piece in pieces:
        gap = piece.length - int(piece.notes["onset"].max(initial=-12))
        assert gap >= 12  # after the last note's 9 steps, and never 4 or 8 after its onset
        assert all(onset + duration <= piece.length for onset, duration in piece.notes[["onset", "duration"]].tolist())


def test_a_piece_that_never_ends_stops(monkeypatch):
    monkeypatch.setattr(composing, "MAX_NOTES", 37)
    pieces = compose(Fake(ONE, **BEATS), 2)
    assert [len(piece) for piece in pieces] == [37, 37]
    assert [piece.length % 16 for piece in pieces] == [0, 0]
    primer = toys.sequence_of([(4 * i, 4, 0, 60, 80) for i in range(50)])
    (piece,) = compose(Fake(ONE, **BEATS), primer=Primer.fit(primer, ONE))
    assert len(piece) == 50 + 37  # the primer's do not count


def test_a_piece_that_the_model_does_not_end_is_no_longer_than_the_longest_of_its_training():
    (piece,) = compose(Fake(toys.with_statistics(ONE, longest=40), **BEATS))
    assert piece.notes["onset"].tolist() == list(range(4, 48, 4))
    assert piece.length == 48  # the bar line after 40 steps
    early = {**BEATS, "shift": {8: 1.0}, "part": {END: 1.0}}
    (piece,) = compose(Fake(toys.with_statistics(ONE, longest=40), **early))
    assert (len(piece), piece.length) == (1, 16)


def test_a_given_length_is_filled_however_many_notes_it_takes(monkeypatch):
    monkeypatch.setattr(composing, "MAX_NOTES", 37)
    (piece,) = compose(Fake(ONE, **BEATS), length=Length(bars=10))
    assert (len(piece), piece.length) == (39, 160)  # one a beat from step 4 on
    (piece,) = compose(Fake(ONE, **BEATS), length=Length(notes=38))
    assert len(piece) == 38


def test_pitch_stands_still_when_only_rhythm_is_free():
    fake = Fake(ONE, shift={2: 0.5, 4: 0.5}, part={NEW: 1.0}, pitch={60: 0.4, 62: 0.6}, duration={1: 0.5, 2: 0.5})
    (piece,) = compose(fake, seed=1, controls=Controls(1.0, pitch_temperature=0), length=Length(notes=60))
    assert set(piece.notes["pitch"].tolist()) == {62}
    assert len(set(np.diff(piece.notes["onset"]).tolist())) == 2
    (piece,) = compose(fake, seed=1, controls=Controls(1.0, rhythm_temperature=0), length=Length(notes=60))
    assert len(set(np.diff(piece.notes["onset"]).tolist())) == 1
    assert len(set(piece.notes["pitch"].tolist())) == 2


def test_programs_that_were_in_no_training_piece_are_not_chosen():
    vocabulary = Vocabulary(BEAT, (0, 40), 4, (80,))
    parts = {NEW + 2: 1.0, NEW + 40: 0.1, NEW: 0.1}
    wishes = {**BEATS, "shift": {0: 0.9, 4: 0.1}, "part": parts, "pitch": {127: 1.0, 3: 0.01}}
    pieces = compose(Fake(vocabulary, **wishes), 20, seed=0, length=Length(notes=40))
    assert {program for piece in pieces for program in piece.programs} == {0, 40}
    assert any((piece.notes["pitch"] == 127).any() for piece in pieces)


def test_a_primers_program_may_go_on():
    vocabulary = Vocabulary(BEAT, (0, 40), 4, (80,))
    primer = toys.sequence_of([(0, 4, 2, 60, 80)])
    fake = Fake(vocabulary, **{**BEATS, "part": {NEW + 2: 1.0}})
    (piece,) = compose(fake, length=Length(bars=2), primer=Primer.fit(primer, vocabulary))
    assert piece.programs == [2]


def notes_given(given, stream):
    """The rows of NOTE that the notes of a stream are."""
    return [(n.onset, n.duration, n.part, n.program, n.pitch, n.velocity) for n in given if n.stream == stream]


def test_on_note_is_given_every_note_as_it_is_composed():
    given = []
    fake = Fake(ONE, **{**BEATS, "duration": {3: 0.5, 9: 0.5}})  # the last note may reach beyond the end
    pieces = compose(fake, 3, 1, length=Length(bars=2), on_note=given.append)
    for stream, piece in enumerate(pieces):
        assert notes_given(given, stream) == piece.notes.tolist()
    of_parts = []
    pieces = compose(toys.network("duet"), 3, 7, length=Length(bars=4), on_note=of_parts.append)
    for stream, piece in enumerate(pieces):
        assert notes_given(of_parts, stream) == piece.notes.tolist()
    assert max(note.part for note in of_parts) > 0
    assert len(given) > 10


def test_the_plan_is_given_before_the_first_note():
    given = []
    compose(Fake(ONE, **BEATS), 2, length=Length(bars=2), on_start=given.append, on_note=given.append)
    assert given[0] == [Plan((4, 4), 120, 0, 16, Length(bars=2), 32, None, 32)] * 2
    assert [type(each) for each in given[1:]] == [Note] * 2 * 7  # onsets 4, 8, ..., 28 in two pieces


def test_a_plan_by_hand():
    assert Plan.from_settings(ONE) == Plan((4, 4), 120, 0, 16, Length(), None, None, None)
    longest = toys.with_statistics(ONE, longest=33)  # two bars and a step: three bars
    assert Plan.from_settings(longest) == Plan((4, 4), 120, 0, 16, Length(), None, None, 48)
    counted = Plan.from_settings(longest, Length(notes=9), metre=(3, 4), qpm=90)
    assert counted == Plan((3, 4), 90, 0, 12, Length(notes=9), None, None, None)
    # a primer of 20 steps: the length counts from the bar line at 32, the tempo is the primer's
    primer = toys.sequence_of([(16, 4, 0, 60, 80)])
    assert Plan.from_settings(longest, Length(bars=2), primer=Primer.fit(primer, longest)) == Plan(
        (4, 4), 120, 32, 16, Length(bars=2), 32, None, 64
    )
    live = Plan.from_settings(VOCABULARIES["performance"], Length(seconds=1.5))
    assert (live.start, live.bar, live.steps, live.limit) == (0, None, 150, 150)


# -- seeds


def test_the_same_seed_gives_the_same_pieces_and_another_seed_others():
    network = toys.network("many", 2)
    first, again, other = (compose(network, 3, seed, length=Length(notes=30)) for seed in (5, 5, 6))
    assert first == again
    assert not any(a == b for a in first for b in other)
    assert len({piece.notes.tobytes() for piece in first}) == 3


def test_a_stream_is_what_it_would_be_in_any_batch():
    """The i-th piece's randomness is the i-th child of the seed, however many streams there are, and whoever ends."""
    network = toys.network("many", 1, -2.0)
    three, six = compose(network, 3, 11), compose(network, 6, 11)
    assert len({len(piece) for piece in six}) > 2
    assert three == six[:3]


# -- lengths


@pytest.mark.parametrize("name", ["one", "many", "styles"])
@pytest.mark.parametrize("bars", [1, 3])
def test_bars_are_exact_and_nothing_hangs(name, bars):
    vocabulary = VOCABULARIES[name]
    for metre, bar in (((4, 4), 16), ((3, 4), 12), ((6, 8), 12), ((7, 8), 14)):
        for piece in compose(toys.network(name), 3, 1, length=Length(bars=bars), metre=metre):
            assert piece.length == bars * bar
            assert piece.metre == metre
            assert piece.length in piece.bar_starts()
            assert ((piece.notes["onset"] + piece.notes["duration"]) <= piece.length).all()
            assert set(piece.programs) <= set(vocabulary.programs)


@pytest.mark.parametrize(("seconds", "bars"), [(0.1, 1), (2.0, 1), (2.9, 1), (3.1, 2), (60, 30)])
def test_seconds_go_to_the_nearest_bar_line(seconds, bars):
    # 4/4 at 120 qpm: a bar lasts two seconds.
    (piece,) = compose(Fake(ONE, **BEATS), length=Length(seconds=seconds), qpm=120)
    assert piece.length == 16 * bars
    assert piece.seconds == pytest.approx(2 * bars)


def test_seconds_without_bars_are_exact():
    for seconds, steps in ((0.001, 1), (0.126, 13), (20, 2000)):
        for piece in compose(toys.network("performance"), 2, 1, length=Length(seconds=seconds)):
            assert piece.length == steps
            assert ((piece.notes["onset"] + piece.notes["duration"]) <= steps).all()


@pytest.mark.parametrize("n", [1, 2, 33])
@pytest.mark.parametrize("name", ["many", "performance"])
def test_notes_are_counted(name, n):
    for piece in compose(toys.network(name), 3, 1, length=Length(notes=n)):
        assert len(piece) == n
        if VOCABULARIES[name].grid.is_metrical:
            bar = steps_per_bar(piece.grid, piece.metre)
            assert piece.length % bar == 0
            assert piece.length - int((piece.notes["onset"] + piece.notes["duration"]).max()) < bar
        else:
            assert piece.length == (piece.notes["onset"] + piece.notes["duration"]).max()


def test_bars_need_bars():
    with pytest.raises(SettingError, match="^bars: this model's music has no bars; give seconds or notes$"):
        compose(toys.network("performance"), length=Length(bars=2))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n": 0}, "^num-outputs 0: expected 1 or more$"),
        ({"style": "polka"}, "^style 'polka': this model knows airs, reels$"),
        ({"qpm": 4.9}, r"^qpm 4\.9: expected 5\.\.1000 quarter notes per minute$"),
        ({"qpm": 1001}, r"^qpm 1001: expected 5\.\.1000 quarter notes per minute$"),
        ({"qpm": float("nan")}, r"^qpm nan: expected 5\.\.1000"),
        ({"metre": (3, 0)}, "^metre 3/0: expected two numbers above 0$"),
    ],
)
def test_wrong_settings_are_named(values, message):
    with pytest.raises(SettingError, match=message):
        compose(toys.network("styles"), length=Length(notes=1), **values)


def test_a_model_without_styles_says_so():
    with pytest.raises(SettingError, match="^style 'airs': this model knows none$"):
        compose(toys.network("one"), style="airs")


def test_a_styles_tempo_metres_and_programs_are_its_own():
    network = toys.network("styles")
    own = toys.with_statistics(network.vocabulary, style_metres=((0, 1), (3, 1)), style_programs=((43,), (40, 43)))
    network = copy.copy(network)
    network.vocabulary = own
    for style, qpm, metres in (("airs", 80, {(6, 8)}), ("reels", 120, {(4, 4), (6, 8)}), (None, 100, {(4, 4), (6, 8)})):
        pieces = compose(network, 12, length=Length(notes=2), style=style)
        assert {piece.metre for piece in pieces} == metres
        assert all(piece.qpm == pytest.approx(qpm) for piece in pieces)
        if style == "airs":
            assert {int(program) for piece in pieces for program in piece.notes["program"]} == {43}
    (piece,) = compose(network, length=Length(bars=1), style="airs", qpm=5, metre=(6, 8))
    assert (piece.qpm, piece.metre, piece.length) == (5, (6, 8), 12)
    (piece,) = compose(toys.network("one_loud"), length=Length(bars=1))
    assert (piece.metre, piece.length) == ((3, 4), 12)


def test_a_piece_ends_at_a_plausible_place_once_it_is_as_long_as_those_of_the_corpus():
    lengths = (((64, 128),), ((64, 128),))
    vocabulary = toys.with_statistics(dataclasses.replace(ONE, styles=("airs",)), lengths=lengths)
    assert [vocabulary.statistics.length_of("airs", (4, 4), draw) for draw in (0.0, 0.49, 0.5, 0.99)] == [
        64,
        64,
        128,
        128,
    ]
    assert vocabulary.statistics.length_of(None, (3, 4), 0.5) is None
    assert Plan.from_settings(vocabulary, draws=(0.0, 0.4, 0.0, 0.5, 0.5, 0.5)).due == 64
    wishes = {"shift": {4: 1.0}, "pitch": {60: 1.0}, "duration": {4: 1.0}}
    # What is plausible halves 20 times until the piece is twice as long: to 0.042 in 4 steps of 64, to 1e-7 in 64.
    for p_end, lengths in ((0.11, {64, 128}), (0.09, {68, 132}), (1e-7, {128, 256}), (1e-15, {216, 428})):
        fake = Fake(toys.with_statistics(vocabulary, longest=512), **wishes, part={NEW: 1 - p_end, END: p_end})
        pieces = compose(fake, 8, controls=Controls(top_p=0.5))  # the filter alone would never let it end
        assert {piece.length for piece in pieces} == lengths
    fake = Fake(toys.with_statistics(vocabulary, longest=192), **wishes, part={NEW: 1.0})
    assert {piece.length for piece in compose(fake, 8)} == {192}


# -- whatever an untrained network wants, it is music


@pytest.mark.parametrize("name", list(VOCABULARIES))
@pytest.mark.parametrize(
    "controls", [Controls(2.0), Controls(0.7, top_p=0.9), Controls(0.0), Controls(10.0, min_p=0.01)]
)
def test_every_piece_is_canonical_and_in_range(name, controls):
    vocabulary = VOCABULARIES[name]
    network = toys.network(name)
    pieces = compose(network, 6, 3, controls=controls, length=Length(notes=80))
    pieces += compose(network, 6, 4, controls=controls, length=Length(seconds=20))
    assert len(pieces) == 12  # each was validated when it was made: order, overlaps, pitches 0..127
    for piece in pieces:
        assert set(piece.programs) <= set(vocabulary.programs)
        assert set(piece.notes["velocity"].tolist()) <= set(vocabulary.velocities)
        assert piece.grid == vocabulary.grid
        if not vocabulary.grid.is_metrical:
            assert piece.metre == (4, 4)


def test_dense_music_stays_canonical():
    """Chords of a dozen notes held long, all over the keyboard: much is impossible, nothing impossible is written."""
    vocabulary = Vocabulary(BEAT, (0, 40, DRUMS), 5, (80,))
    wishes = {
        "shift": {0: 0.95, 1: 0.05},
        "part": {NEW: 0.4, NEW + 40: 0.3, NEW + DRUMS: 0.3},
        "pitch": dict.fromkeys(range(100, 128), 1.0),
        "duration": {1: 0.1, 90: 0.5, 100: 0.4},
    }
    for seed in range(3):
        for piece in compose(Fake(vocabulary, **wishes), 4, seed, length=Length(notes=150)):
            assert len(piece) == 150
            assert set(piece.programs) <= {0, 40, DRUMS}


# -- primers


def _primer(name, seed=4):
    return toys.piece(VOCABULARIES[name], seed, 30)


@pytest.mark.parametrize("name", list(VOCABULARIES))
def test_a_primer_comes_out_unchanged_and_the_new_begins_after_it(name):
    primer = _primer(name)
    for length in (Length(notes=10), Length(seconds=20)):
        for piece in compose(toys.network(name, 2), 3, 1, length=length, primer=Primer.fit(primer, VOCABULARIES[name])):
            assert piece.notes[: len(primer)].tolist() == primer.notes.tolist()
            assert (piece.notes["onset"][len(primer) :] >= primer.length).all()
            if length.notes:
                assert len(piece) == len(primer) + 10


def test_a_primers_velocities_are_kept_as_they_are():
    primer = toys.sequence_of([(0, 4, 0, 60, 81), (4, 4, 0, 62, 127), (8, 8, 0, 64, 1)])
    for name in ("one", "many"):
        (piece,) = compose(toys.network(name), length=Length(bars=2), primer=Primer.fit(primer, VOCABULARIES[name]))
        assert piece.notes[:3].tolist() == primer.notes.tolist()


def test_a_primer_of_another_program_is_played_by_the_only_one():
    primer = toys.sequence_of([(0, 4, 5, 60, 80), (0, 8, 6, 60, 80), (4, 4, 5, 62, 80)])
    for piece in compose(
        toys.network("one"), 2, length=Length(notes=5), primer=Primer.fit(primer, VOCABULARIES["one"])
    ):
        assert len(piece) == 2 + 5  # two of the primer's notes became one
        assert piece.programs == [0]


@pytest.mark.parametrize(("length", "bar_line"), [(16, 16), (17, 32), (31, 32), (32, 32)])
def test_bars_count_from_the_first_bar_line_after_the_primer(length, bar_line):
    primer = toys.sequence_of([(0, 4, 0, 60, 80), (12, 4, 0, 64, 80)], length)
    (piece,) = compose(toys.network("one"), length=Length(bars=2), primer=Primer.fit(primer, VOCABULARIES["one"]))
    assert piece.length == bar_line + 32
    assert piece.notes[:2].tolist() == primer.notes.tolist()


def test_bar_lines_follow_the_primers_changes_of_metre():
    # A bar of 3/4 (12 steps), then 4/4: bar lines at 0, 12, 28, 44.
    primer = toys.sequence_of([(0, 4, 0, 60, 80), (24, 4, 0, 64, 80)], 30, metres=[(0, 3, 4), (12, 4, 4)])
    (piece,) = compose(toys.network("many"), length=Length(bars=2), primer=Primer.fit(primer, VOCABULARIES["many"]))
    assert piece.bar_starts().tolist() == [0, 12, 28, 44, 60, 76]
    assert piece.length == 76
    (piece,) = compose(toys.network("many"), length=Length(notes=3), primer=Primer.fit(primer, VOCABULARIES["many"]))
    assert piece.length in piece.bar_starts()


def test_a_primers_metre_and_tempi_are_kept():
    primer = _primer("many", 1)
    assert primer.metre == (3, 4)
    (piece,) = compose(toys.network("many"), length=Length(bars=1), primer=Primer.fit(primer, VOCABULARIES["many"]))
    assert np.array_equal(piece.metres, primer.metres)
    assert np.array_equal(piece.tempos, primer.tempos)
    (piece,) = compose(
        toys.network("many"), length=Length(bars=1), primer=Primer.fit(primer, VOCABULARIES["many"]), qpm=77
    )
    assert piece.qpm == pytest.approx(77, rel=1e-5)


def test_a_primers_metre_cannot_be_replaced():
    primer = _primer("many", 1)
    (piece,) = compose(
        toys.network("many"), length=Length(bars=1), primer=Primer.fit(primer, VOCABULARIES["many"]), metre=(3, 4)
    )
    assert piece.metre == (3, 4)
    with pytest.raises(SettingError, match="^metre 4/4: the primer's 3/4 goes on, leave metre out$"):
        compose(
            toys.network("many"), length=Length(bars=1), primer=Primer.fit(primer, VOCABULARIES["many"]), metre=(4, 4)
        )
    (piece,) = compose(
        toys.network("performance"),
        length=Length(notes=1),
        primer=Primer.fit(_primer("performance"), VOCABULARIES["performance"]),
        metre=(3, 4),
    )
    assert piece.metre == (4, 4)  # without a beat there is no metre


def test_a_primer_is_fed():
    """The network is given the same ids for a primer's notes as in training."""
    vocabulary = VOCABULARIES["many"]
    primer = _primer("many")
    wishes = {"shift": {4: 1.0}, "part": {END: 1.0}, "pitch": {60: 1.0}, "duration": {4: 1.0}, "velocity": {20: 1.0}}
    fake = Fake(vocabulary, **wishes)
    compose(fake, 2, primer=Primer.fit(primer, vocabulary))
    events = encode(primer, vocabulary)
    assert len(fake.fed) >= len(primer) + 1
    for t, (previous, before, context) in enumerate(fake.fed[: len(primer) + 1]):
        for row in (0, 1):
            assert previous[row].tolist() == events.previous[t].tolist()
            assert before[row].tolist() == events.before[t].tolist()
            assert context[row].tolist() == events.window(t, t + 1)["context"][0].tolist()


def test_a_primer_on_another_grid_is_refused():
    primer = toys.sequence_of([(0, 4, 0, 60, 80)], grid=PERFORMANCE)
    with pytest.raises(Exception, match="use music.quantize"):
        compose(toys.network("one"), primer=Primer.fit(primer, VOCABULARIES["one"]))


# -- honesty (b): the sampler's own log p is what evaluate finds in the file


def test_times_without_beats_are_the_models_own_unless_they_are_asked_for():
    controls = Controls(temperature=0.5, top_k=1, top_p=0.5, min_p=0.5)
    for field in ("shift", "duration"):
        assert controls.temperature_of(field, beats=False) == 1 and not controls.filters(field, beats=False)
        assert controls.temperature_of(field) == 0.5 and len(controls.filters(field)) == 3
        assert Controls(0.5, rhythm_temperature=0.7).temperature_of(field, beats=False) == 0.7
        assert len(Controls(0).filters(field, beats=False)) == 1  # the most probable one, as everywhere
    for field in ("part", "pitch", "velocity"):
        assert controls.temperature_of(field, beats=False) == 0.5 and len(controls.filters(field, beats=False)) == 3


def test_a_low_temperature_does_not_make_music_without_beats_hurry():
    long = dict.fromkeys(range(20, 80), 0.01)  # most waits are long, and none of these is likely
    wishes = {**BEATS, "shift": {1: 0.2, 5: 0.2, **long}, "velocity": {20: 1.0}}
    for name, hurries in (("performance", False), ("one", True)):
        pieces = compose(
            Fake(VOCABULARIES[name], **wishes),
            4,
            1,
            controls=Controls(0.3, top_p=0.5),
            length=Length(notes=60),
            guard=None,
        )
        waits = np.concatenate([np.diff(piece.notes["onset"]) for piece in pieces])
        assert (np.mean(waits >= 20) < 0.1) == hurries


@pytest.mark.slow
@pytest.mark.parametrize("name", list(VOCABULARIES))
@pytest.mark.parametrize("seed", [0, 1])
def test_the_samplers_log_p_is_evaluates_on_the_file_it_wrote(name, seed, tmp_path):
    from melodygru.training import evaluate

    vocabulary = VOCABULARIES[name]
    model, network = toys.model(name, 2, -1.5), toys.network(name, 2, -1.5)
    rngs = [np.random.default_rng([seed, stream]) for stream in range(6)]
    sampler = Sampler(network, rngs)
    for _ in notes(sampler, [None] * len(rngs)):
        pass
    assert all(sampler.done)
    assert max(len(rows) for rows in sampler.rows) >= 5
    read = []
    for stream, (rows, end) in enumerate(zip(sampler.rows, sampler.ends, strict=True)):
        assert end is not None
        path = tmp_path / f"{stream}.mid"
        midi.write(decode(rows, vocabulary, length=end), path)
        sequence, changes, _ = quantize(midi.read(path).sequence, vocabulary.grid)
        assert changes.total == 0
        assert (len(sequence), sequence.length) == (len(rows), end)
        read.append(sequence)
    nats = {}
    found = evaluate(model, read, on_piece=lambda i, s, e, log_p: nats.update({i: -log_p.sum(dtype=np.float64)}))
    for stream, log_p in enumerate(sampler.log_p.tolist()):
        assert nats[stream] == pytest.approx(-log_p, rel=1e-4)
    assert found.nats == pytest.approx(-sampler.log_p.sum(), rel=1e-4)
    assert len(set(nats.values())) > 1


def test_log_p_is_the_models_own_whatever_is_filtered():
    fake = Fake(ONE, **{**BEATS, "shift": {4: 0.25, 8: 0.75}, "pitch": {60: 0.9, 62: 0.1}})
    for controls in (Controls(0.0), Controls(5.0, top_k=1), Controls(top_p=0.1)):
        sampler = Sampler(fake, [np.random.default_rng(0)], controls)
        sampler.step()
        assert sampler.rows[0][0][:3] == (8, 1, 60)
        assert sampler.log_p[0] == pytest.approx(np.log(0.75 * 0.9), abs=1e-5)


def test_a_stream_that_is_over_counts_no_more():
    fake = Fake(ONE, **{**BEATS, "part": {END: 0.5, NEW: 0.5}})
    sampler = Sampler(fake, [np.random.default_rng(i) for i in range(8)])
    sampler.step()
    over = np.array(sampler.done)
    assert over.any()
    assert not over.all()
    before = sampler.log_p.copy()
    notes = sampler.step()
    assert all(note is None for note, done in zip(notes, over, strict=True) if done)
    np.testing.assert_array_equal(sampler.log_p[over], before[over])
    assert (sampler.log_p[~over] < before[~over]).all()


def test_an_empty_piece_has_a_likelihood_too():
    from melodygru.training import evaluate

    found = evaluate(toys.model("one", 1), [NoteSequence(np.zeros(0, NOTE), BEAT, 8)])
    assert (found.notes, found.events, found.steps) == (0, 1, 8)
    assert found.nats > 0


# -- the key that a piece opens in


def _in_several_keys():
    """A vocabulary of two styles: one in D, one in F or C."""
    none = [0] * 12
    d, mixed = [*none], [*none]
    d[2], mixed[5], mixed[0] = 3, 2, 2
    signatures = (tuple(d), tuple(mixed), (2, 0, 3, 0, 0, 2, *none[:6]))
    return toys.with_statistics(dataclasses.replace(ONE, styles=("a", "b")), signatures=signatures)


def test_a_key_signature_is_as_frequent_as_in_the_corpus():
    v = _in_several_keys()
    draws = np.arange(70) / 70
    assert {v.statistics.signature_of("a", draw) for draw in draws} == {2}
    assert Counter(v.statistics.signature_of("b", draw) for draw in draws) == {0: 35, 5: 35}
    assert Counter(v.statistics.signature_of(None, draw) for draw in draws) == {0: 20, 2: 30, 5: 20}
    assert ONE.statistics.signature_of(None, 0.5) is None
    assert toys.with_statistics(ONE, signatures=((0,) * 12,)).statistics.signature_of(None, 0.5) is None
    assert Plan.from_settings(v, style="b", draws=(0.0, 0.5, 0.9, 0.5, 0.5, 0.5)).signature == 5
    primer = toys.sequence_of([(0, 4, 0, 61, 80)], 16)
    assert Plan.from_settings(v, style="b", primer=Primer.fit(primer, v)).signature is None


def test_the_opening_keeps_to_the_key_and_what_follows_need_not():
    network = toys.network("one")
    rngs = [np.random.default_rng(seed) for seed in range(4)]
    sampler = Sampler(network, rngs, signatures=[2, None, 6, 2])
    for _ in range(60):
        sampler.step(may_end=False)
    scales = {2: {2, 4, 6, 7, 9, 11, 1}, 6: {6, 8, 10, 11, 1, 3, 5}}
    for stream, signature in enumerate([2, None, 6, 2]):
        classes = [row[2] % 12 for row in sampler.rows[stream]]
        if signature is None:
            assert len(set(classes[:16])) > 7
        else:
            assert set(classes[:16]) <= scales[signature]
            assert not set(classes[16:]) <= scales[signature]


def test_a_wish_for_pitch_classes_is_stronger_than_the_key_of_the_corpus():
    from melodygru.compose import constraints

    network = copy.copy(toys.network("one"))
    network.vocabulary = toys.with_statistics(network.vocabulary, signatures=((0, 0, 3, *[0] * 9),))
    free = compose(network, 3, 1, length=Length(notes=16))
    assert all(set(piece.notes["pitch"] % 12) <= {2, 4, 6, 7, 9, 11, 1} for piece in free)
    wished = constraints.PitchClasses.key("Ab:maj")
    for piece in compose(network, 3, 1, length=Length(notes=16), constraints=[wished]):
        assert set(piece.notes["pitch"] % 12) <= {8, 10, 0, 1, 3, 5, 7}
        assert not set(piece.notes["pitch"] % 12) <= {0, 1, 7}


def test_the_usual_top_p_is_less_for_several_parts():
    band = dataclasses.replace(VOCABULARIES["many"], parts=4)
    wishes = {"shift": {4: 1.0}, "duration": {4: 1.0}, "velocity": {20: 1.0}, "pitch": {60: 0.94, 61: 0.06}}
    fake = Fake(band, **wishes, part={NEW + program: 1.0 for program in band.programs})
    rngs = [np.random.default_rng(seed) for seed in range(2)]
    alone, together = (band.programs[0],), band.programs[:2]
    sampler = Sampler(fake, rngs, Controls(top_p=None), line_ups=[alone, together])
    for _ in range(200):
        sampler.step(may_end=False)
    assert [{row[2] for row in rows} for rows in sampler.rows] == [{60, 61}, {60}]
