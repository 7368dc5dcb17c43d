"""The line-up of a piece: what comes in is what was asked for, or what a real piece has, each part once."""

from collections import Counter

import numpy as np
import pytest
import toys
from toys import BEAT, sequence_of

from melodygru.compose import (
    Chords,
    Controls,
    Length,
    MaxPolyphony,
    PitchClasses,
    Plan,
    Primer,
    Programs,
    Range,
    Sampler,
    Steering,
    compose,
)
from melodygru.compose.composing import sampler_for
from melodygru.compose.rules import Arrivals, Event, programs_of
from melodygru.errors import SettingError
from melodygru.events import FIRST_PART, NEW, Context, CorpusStatistics, Vocabulary
from melodygru.music.notes import DRUMS

LINE_UPS = ((0,), (0, 33, DRUMS), (40, 40, 41, 42))
BAND = Vocabulary(
    BEAT, (0, 33, 40, 41, 42, DRUMS), 8, (80,), ("bands", "quartets"), lookback_steps=(4, 16),
    statistics=CorpusStatistics(
        style_programs=((0, 33, DRUMS), (40, 41, 42)), line_ups=(LINE_UPS[:2], LINE_UPS[2:], LINE_UPS)
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def network():
    """A network with random weights, to which each part that may come in is as probable as one that has played."""
    found = toys.network_of(toys.new_model(BAND, seed=2))
    found.outputs["part"][1][NEW:FIRST_PART] += 1.0
    return found


def line_ups(pieces):
    """The sorted programs of the parts of each piece."""
    return [tuple(sorted(piece.part_programs.tolist())) for piece in pieces]


@pytest.mark.parametrize("asked", [(0,), (33, DRUMS), (0, 0, 40), (40, 40, 41, 42), (77,)])
def test_exactly_the_parts_that_are_asked_for_come_in_each_once(network, asked):
    if 77 in asked:
        with pytest.raises(SettingError, match="^programs 77: expected some that this model was trained on, of 0, 33"):
            compose(network, constraints=[Programs(asked)])
        return
    for controls in (Controls(), Controls(0.0), Controls(3.0)):
        plans = []
        pieces = compose(
            network,
            3,
            1,
            length=Length(notes=60),
            controls=controls,
            constraints=[Programs(asked)],
            on_start=plans.extend,
        )
        assert [plan.line_up for plan in plans[:3]] == [asked] * 3
        assert all(Counter(found) <= Counter(asked) for found in line_ups(pieces))
        if controls.temperature:
            assert line_ups(pieces) == [asked] * 3


def test_a_line_up_is_drawn_from_the_pieces_of_the_style(network):
    for style, expected in ((None, LINE_UPS), ("bands", LINE_UPS[:2]), ("quartets", LINE_UPS[2:])):
        plans = []
        pieces = compose(network, 12, 5, length=Length(notes=50), style=style, on_start=plans.extend)
        assert {plan.line_up for plan in plans} == set(expected)
        for piece, plan in zip(pieces, plans, strict=True):
            assert line_ups([piece]) == [plan.line_up]


def test_a_primers_parts_are_among_the_line_up(network):
    primer = Primer.fit(sequence_of([(0, 4, 33, 40, 80), (0, 4, 7, 60, 80)], 16), BAND)
    plans = []
    pieces = compose(network, 4, 2, length=Length(notes=80), primer=primer, on_start=plans.extend)
    # The nearest to them with them in it: the program that the corpus does not have stays, and none of it comes in.
    assert {plan.line_up for plan in plans} == {(0, 7, 33, DRUMS)}
    assert line_ups(pieces) == [(0, 7, 33, DRUMS)] * 4
    # What is asked for counts the primer's: its bass is the bass.
    asked = [Programs((33, 40))]
    pieces = compose(network, 4, 2, length=Length(notes=80), primer=primer, constraints=asked, on_start=plans.extend)
    assert plans[-1].line_up == (33, 40)
    assert line_ups(pieces) == [(7, 33, 40)] * 4
    assert all((piece.notes["program"][2:] != 7).all() for piece in pieces)  # whose part falls silent


WISHES = {
    "key": PitchClasses.key("D:dorian"),
    "range": Range(48, 60),
    "polyphony": MaxPolyphony(3),
    "chords": Chords.parse("C | Am7 | F G", float("inf")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WISHES)
def test_several_parts_are_steered_together(network, name):
    wishes = [WISHES[name], Programs((0, 40, 40, DRUMS))]
    plan = Plan.from_settings(BAND, Length(bars=12), metre=(4, 4))
    pieces = compose(network, 3, 1, length=Length(notes=80), metre=(4, 4), constraints=wishes)
    assert line_ups(pieces) == [(0, 40, 40, DRUMS)] * 3
    for piece in pieces:
        pitched = piece.notes[piece.notes["program"] != DRUMS]
        assert len(set(pitched["part"].tolist())) == 3
        if name == "key":
            assert set((pitched["pitch"] % 12).tolist()) <= {0, 2, 4, 5, 7, 9, 11}
        elif name == "range":
            assert 48 <= pitched["pitch"].min() and pitched["pitch"].max() <= 60
        elif name == "chords":
            for onset, pitch in pitched[["onset", "pitch"]].tolist():
                assert pitch % 12 in WISHES[name].chord_at(onset, plan).tones
        else:
            ends = piece.notes["onset"] + piece.notes["duration"]
            for onset in piece.notes["onset"]:
                assert ((piece.notes["onset"] <= onset) & (ends > onset)).sum() <= 3


def test_what_leaves_a_line_up_nothing_is_refused_by_name(network):
    with pytest.raises(SettingError, match="^key C:maj with range C#4:C#4: no program has a pitch left; widen"):
        compose(network, constraints=[Programs((0, 40)), PitchClasses.key("C:maj"), Range(61, 61)])
    # Drums are free of both.
    (piece,) = compose(
        network, length=Length(notes=20), constraints=[Programs((0, DRUMS)), PitchClasses.key("C:maj"), Range(61, 61)]
    )
    assert line_ups([piece]) == [(DRUMS,)]


def test_a_stream_is_what_it_would_be_in_any_batch(network):
    for constraints in ((), [Programs((0, 33, 40, 40)), PitchClasses.key("C")]):
        two, five = (compose(network, n, 9, length=Length(notes=50), constraints=constraints) for n in (2, 5))
        assert two == five[:2]


def compared(context):
    """What a context says of its next event."""
    context = context.copy()
    said = [context.before(), context.shift_pointers(), context.may_join_chord()]
    context.move(3)
    said += [context.row(), context.part_descriptions(), context.line_up(), context.legality(), context.programs[:]]
    for part in range(len(context.programs)):
        said += [context.part_history(FIRST_PART + part), context.pitch_pointers(part), context.note_pointers(part, 60)]
    return said


def test_after_rewinding_contexts_are_those_of_the_piece_so_far(network):
    plans = [Plan.from_settings(BAND, line_up=(0, 33, 40, 40)), Plan.from_settings(BAND, line_up=(40, 40, 41, 42))]
    wishes = [PitchClasses.key("C")]
    sampler = sampler_for(network, plans, [np.random.default_rng(seed) for seed in range(2)], constraints=wishes)
    for n in (40, 3, 25, 0, 11):
        for _ in range(50):
            sampler.step(may_end=False)
        sampler.rewind(0, n)
        for stream, plan in enumerate(plans):
            context = Context(BAND, None, plan.metre, None, plan.line_up)
            for shift, *note in sampler.rows[stream]:
                context.before()
                context.move(shift)
                context.add(*note)
            assert compared(context) == compared(sampler.contexts[stream])
            programs = [row[1] - NEW for row in sampler.rows[stream] if row[1] < FIRST_PART]
            assert Counter(programs) <= Counter(plan.line_up)


def test_without_a_line_up_a_part_of_any_program_of_the_style_may_come_in(network):
    v = toys.with_statistics(BAND, line_ups=())
    sampler = Sampler(network, [np.random.default_rng(seed) for seed in range(3)], style="quartets")
    steered = Sampler(
        network, [np.random.default_rng(seed) for seed in range(3)], style="quartets",
        steering=Steering([Range(0, 100)], v, [Plan.from_settings(v)] * 3, programs=programs_of(v, "quartets")),
    )  # fmt: skip
    for one in (sampler, steered):
        for _ in range(120):
            one.step(may_end=False)
        found = {row[1] - NEW for rows in one.rows for row in rows if row[1] < FIRST_PART}
        assert found == {40, 41, 42}
        assert max(len(context.programs) for context in one.contexts) == BAND.parts


def test_a_part_that_is_rarely_due_comes_in_whatever_is_filtered(network):
    """A part comes in once in hundreds of notes: a filter by rank would keep it out for ever."""
    late = toys.network_of(toys.new_model(BAND, seed=2))
    late.outputs["part"][1][NEW:FIRST_PART] -= 2.0
    played = {
        controls: line_ups(
            compose(late, 6, 3, length=Length(notes=300), controls=controls, constraints=[Programs((0, 33, DRUMS))])
        )
        for controls in (Controls(), Controls(top_p=0.5), Controls(top_k=1))
    }
    assert all(found.count((0, 33, DRUMS)) >= 3 for found in played.values()), played


def test_parts_come_in_sooner_the_shorter_a_piece_is_than_its_style_s():
    vocabulary = toys.with_statistics(BAND, lengths=((), (), ((256, 512, 600),)))
    haste = [Plan.from_settings(vocabulary, Length(bars=bars)).haste for bars in (32, 16, 64)]
    assert haste == [0.0, pytest.approx(np.log(2)), 0.0]
    assert Plan.from_settings(vocabulary).haste == Plan.from_settings(vocabulary, Length(notes=5)).haste == 0.0

    contexts = [Context(vocabulary, line_up=line_up) for line_up in ((0, 33), None, (0,), (0, 33))]
    contexts[2].add(NEW, 60, 4)
    contexts[3].add(NEW, 60, 4)
    contexts[3].move(30)  # three eighths of the way: half a part might be missing, and one is
    event = Event(contexts, [0] * 4, np.ones(4, bool), [0] * 4, logits=np.zeros((4, vocabulary.size("part"))))
    weights = Arrivals([1.5] * 4, [80] * 4).weigh("part", event)
    assert weights[:, NEW].tolist() == weights[:, FIRST_PART - 1].tolist() == [1.5, 0.0, 0.0, 2.0]
    assert not weights[:, :NEW].any() and not weights[:, FIRST_PART:].any()
    assert Arrivals([0.0] * 4, [None] * 4).weigh("part", event) is None
    assert Arrivals([1.0] * 4, [80] * 4).weigh("pitch", event) is None


def test_a_filter_spares_the_times_that_something_points_to(network):
    pointers = np.array([[3, 0], [1, 7]])
    event = Event([Context(BAND)] * 2, [0] * 2, np.ones(2, bool), [0] * 2, pointers={"shift": pointers})
    unfiltered = np.full((2, 10), 0.1)
    for field, expected in (("shift", [[2], [0, 6]]), ("pitch", [[], []])):
        weights = np.zeros((2, 10))
        Sampler._spare(field, event, weights, unfiltered)
        assert [np.flatnonzero(row).tolist() for row in weights] == expected
