"""The plan's form, tempo and ending in composing."""

import dataclasses

import numpy as np
import pytest
import toys

from melodygru.compose.composing import compose
from melodygru.compose.constraints import Chords
from melodygru.compose.forms import form_from, resolved, text_of
from melodygru.compose.lengths import FORM_BIAS, Length, Plan
from melodygru.compose.plan_rules import ROOT_BIAS, Cadence, ChordBias
from melodygru.compose.rules import Event
from melodygru.compose.settings import SETTINGS, check_written
from melodygru.errors import SettingError
from melodygru.events import FIRST_PART, NEW, Context, CorpusStatistics, Vocabulary
from melodygru.events.features.form import due_parts
from melodygru.events.planned import Planned, transposed_chords
from melodygru.music.chords import chord_code, chord_tones
from melodygru.music.grid import Grid
from melodygru.music.harmony import parse_chord
from melodygru.music.keys import estimate_key
from melodygru.music.notes import DRUMS, N_PITCHES

PLANS = toys.with_statistics(
    Vocabulary(Grid.beats(4), (0, 40, DRUMS), 7, (80,), metres=((4, 4), (3, 4)), plans=True),
    forms=(((0, ((2, 0), (2, 2))), (0, ((4, 0),)), (1, ((3, 0), (1, 3)))),),
    tempos=((60.0, 90.0, 140.0),),
    longest=16 * 20,
)

NETWORK = toys.network_of(toys.new_model(PLANS, end_bias=-2.0))


def drawn(of_form, of_tempo=0.0, **settings):
    return Plan.from_settings(PLANS, draws=(0.0, 0.5, 0.0, 0.5, of_tempo, of_form), **settings)


def test_a_plan_has_the_form_the_length_and_the_tempo_of_a_piece_of_the_corpus():
    plans = [drawn(0.0, 0.0), drawn(0.9, 0.9), drawn(0.5, 0.5, metre=(3, 4))]
    assert [plan.planned.returns.tolist() for plan in plans] == [[-1, -1, 0, 1], [-1] * 4, [-1, -1, -1, 0]]
    assert [plan.qpm for plan in plans] == [60.0, 140.0, 90.0] == [plan.planned.qpm for plan in plans]
    assert [(plan.planned.n_bars, plan.steps) for plan in plans] == [(4, 64), (4, 64), (4, 48)]


def test_a_length_that_is_asked_for_cuts_a_form_or_begins_it_again():
    assert drawn(0.0, length=Length(bars=3)).planned.returns.tolist() == [-1, -1, 0]
    assert drawn(0.0, length=Length(bars=6)).planned.returns.tolist() == [-1, -1, 0, 1, 0, 1]
    unknown = Plan.from_settings(PLANS, metre=(5, 4))  # no piece of the corpus is in it
    assert unknown.planned.returns is None and unknown.steps is None


def test_a_form_is_pressed_for_that_is_asked_for_or_stands_out_in_its_style(monkeypatch):
    assert (drawn(0.0).form_bias, drawn(0.0, form="ABAB").form_bias) == (0, FORM_BIAS)
    monkeypatch.setattr(CorpusStatistics, "form_stands_out", lambda statistics, style: style is None)
    assert drawn(0.0).form_bias == FORM_BIAS
    assert Plan.from_settings(PLANS, metre=(5, 4)).form_bias == 0  # there is none to draw


def test_a_form_is_asked_for_in_letters_in_runs_or_as_that_of_a_piece(tmp_path):
    assert form_from("AABA", 8).tolist() == [-1, -1, 0, 1, -1, -1, 0, 1]
    assert form_from("2 2<2 1").tolist() == [-1, -1, 0, 1, -1] == form_from(text_of(form_from("2 2<2 1"))).tolist()
    assert drawn(0.9, form="A1 B1 A1").planned.returns.tolist() == [-1, -1, 0]
    bar = [(0, 4, 0, 60, 80), (4, 4, 0, 64, 80), (8, 8, 0, 67, 80)]
    other = [(0, 8, 0, 50, 80), (8, 2, 0, 41, 80), (10, 6, 0, 43, 80)]
    rows = [(16 * at + onset, *rest) for at, one in enumerate((bar, other, bar, other)) for onset, *rest in one]
    path = tmp_path / "song.mid"
    from melodygru import midi

    midi.write(toys.sequence_of(rows, 64), path)
    assert form_from(resolved(str(path), PLANS)).tolist() == [-1, -1, 0, 1]
    assert resolved("AABA", PLANS) == "AABA"


@pytest.mark.parametrize("text", ["", "?", "8<", "A0"])
def test_what_is_no_form_is_refused(text):
    with pytest.raises(SettingError, match="form"):
        form_from(text)


def test_no_file_is_read_for_a_form_that_a_stranger_s_file_claims():
    with pytest.raises(SettingError, match="expected sections or runs of bars"):
        check_written(SETTINGS["form"], "/etc/song.mid")
    check_written(SETTINGS["form"], "8 8<8")


def test_chords_that_are_asked_for_are_in_the_plan():
    plan = drawn(0.0, chords=Chords.parse("C | Am F"), length=Length(bars=3))
    codes = [chord_code(parse_chord(name)) for name in ("C", "Am", "F")]
    assert plan.planned.chords.tolist() == [codes[0], codes[0], codes[1], codes[2], codes[0], codes[0]]


@pytest.mark.parametrize("bars", [2, 5])
def test_the_last_bar_holds_one_chord_that_sounds_on(bars):
    for piece in compose(NETWORK, 4, 1, length=Length(bars=bars), metre=(4, 4)):
        last = piece.notes[piece.notes["onset"] >= 16 * (bars - 1)]
        assert len(last) and piece.length == 16 * bars
        assert set(last["onset"].tolist()) == {16 * (bars - 1)}
        assert (last["duration"][last["program"] != DRUMS] >= 8).all()
    cut = compose(NETWORK, 4, 1, length=Length(bars=bars), metre=(4, 4), ending=False)
    lasts = [piece.notes[piece.notes["onset"] >= 16 * (bars - 1)]["onset"].tolist() for piece in cut]
    assert any(set(onsets) != {16 * (bars - 1)} for onsets in lasts)


def test_a_form_without_bars_is_refused():
    live = toys.VOCABULARIES["performance"]
    with pytest.raises(SettingError, match="form"):
        Plan.from_settings(live, form="AABA")
    assert dataclasses.asdict(drawn(0.0))["steps"] == 64
    assert np.array_equal(drawn(0.0).as_dict()["form"], "2 2<2")


def test_what_the_form_points_to_is_more_probable():
    def share_returned(strength, monkeypatch):
        monkeypatch.setattr("melodygru.compose.lengths.FORM_BIAS", strength)
        pieces = compose(NETWORK, 6, 3, length=Length(bars=8), metre=(4, 4), form="A4 A4", ending=False)
        alike = []
        for piece in pieces:
            keys = {(int(note["onset"]), int(note["part"]), int(note["pitch"])) for note in piece.notes}
            second = [key for key in keys if key[0] >= 64]
            alike += [(onset - 64, part, pitch) in keys for onset, part, pitch in second]
        return np.mean(alike)

    with pytest.MonkeyPatch.context() as monkeypatch:
        assert share_returned(8.0, monkeypatch) > 0.3 > 0.1 > share_returned(0.0, monkeypatch)


def test_the_parts_that_are_due_are_those_of_the_form_s_notes_here_that_come_after_the_last():
    rows = [(0, 4, 0, 60, 80), (0, 4, 40, 48, 80), (4, 4, 40, 50, 80)]
    piece = toys.sequence_of(rows, 32)
    context = Context(PLANS, None, (4, 4), piece.metres, planned=Planned(returns=np.array([-1, 0])))
    assert due_parts(context.past) == []
    for shift, part_class, pitch in ((0, NEW, 60), (0, NEW + 40, 48), (4, FIRST_PART + 1, 50)):
        context.before()
        context.move(shift)
        context.add(part_class, pitch, 4)
    context.before()
    context.move(12)
    assert due_parts(context.past) == [0, 1]
    context.add(FIRST_PART, 60, 4)
    context.before()
    context.move(0)
    assert due_parts(context.past) == [1]


def test_a_form_is_asked_of_a_model_of_one_part():
    vocabulary = toys.with_statistics(Vocabulary(Grid.beats(4), (0,), 0, (80,), plans=True), longest=320)
    network = toys.network_of(toys.new_model(vocabulary, end_bias=-2.0))
    pieces = compose(network, 2, 3, length=Length(bars=8), metre=(4, 4), form="A4 A4")
    assert [piece.length for piece in pieces] == [128, 128]


def test_the_last_bar_is_new_where_the_music_is_to_end():
    assert drawn(0.0, ending=True).planned.returns.tolist() == [-1, -1, 0, -1]


def test_a_form_beyond_all_bounds_takes_no_memory():
    with pytest.raises(SettingError, match="bars; expected 1"):
        form_from(" ".join(["99999"] * 1000))


C, F, G, A_MINOR = (chord_code(parse_chord(name)) for name in ("C", "F", "G", "Am"))
HARMONIES = toys.with_statistics(
    PLANS,
    forms=(((0, ((2, 0), (2, 2))), (0, ((4, 0),)), (1, ((3, 0), (1, 3)))),),
    progressions=((((4, C), (4, F)), ((2, A_MINOR), (2, F), (2, C), (2, G)), ((8, G),)),),
    signatures=((0, 0, 1, *[0] * 9),),
    longest=16 * 20,
)

MODEL = toys.new_model(HARMONIES, end_bias=-2.0)


def harmony_of(plan):
    codes = plan.planned.chords
    return None if codes is None else transposed_chords(codes, -2).reshape(-1, 2)[:, 0].tolist()


def test_chords_are_drawn_from_another_piece_in_the_key_and_the_form_of_this_one():
    def plan(draw, **settings):
        return Plan.from_settings(HARMONIES, draws=(0.0, 0.5, 0.0, 0.5, 0.5, 0.0, draw), **settings)

    assert plan(0.0).signature == 2
    assert harmony_of(plan(0.0)) == [A_MINOR, F, A_MINOR, F] == harmony_of(plan(0.9))
    assert harmony_of(plan(0.0, ending=True)) == [A_MINOR, F, A_MINOR, G]  # the last bar is new, and ends as that piece
    assert harmony_of(plan(0.0, form="A2 B2")) in ([A_MINOR, F, C, G], [C, C, F, F])
    assert plan(0.0, metre=(3, 4)).planned.chords is not None
    assert plan(0.0).as_dict()["chords"][:4] == ["Bm", "Bm", "G", "G"]


def test_no_chords_are_drawn_where_pitches_are_asked_for_otherwise_or_the_corpus_knows_none():
    assert Plan.from_settings(HARMONIES, tonal=True).planned.chords is None
    assert Plan.from_settings(PLANS).planned.chords is None


def test_the_tones_of_drawn_chords_are_more_probable_and_drums_are_free():
    rule = ChordBias([2.0, 0.0, 2.0])
    contexts = [Context(HARMONIES, None, (4, 4), planned=Planned(chords=np.array([C, F]))) for _ in range(3)]
    for context, shift in zip(contexts, (0, 0, 8), strict=True):
        context.before()
        context.move(shift)

    def found(programs):
        event = Event(contexts, [0] * 3, np.ones(3, bool), [0] * 3, logits=np.zeros((3, N_PITCHES)), programs=programs)
        assert rule.weigh("duration", event) is None
        return rule.weigh("pitch", event)

    one, other, later = found([0, 0, 40])
    assert set(np.flatnonzero(one) % 12) == {0, 4, 7} and set(one.tolist()) == {0.0, 2.0}
    assert not other.any()
    assert set(np.flatnonzero(later) % 12) == {5, 9, 0}  # the second half of the bar
    assert found([DRUMS] * 3) is None

    bass, _, bass_later = found([33] * 3)
    assert set(np.flatnonzero(bass == 2.0 + ROOT_BIAS) % 12) == {0} and set(np.flatnonzero(bass) % 12) == {0, 4, 7}
    assert set(np.flatnonzero(bass_later == 2.0 + ROOT_BIAS) % 12) == {5}
    contexts[0].before()
    contexts[0].move(2)
    assert set(found([33] * 3)[0].tolist()) == {0.0, 2.0}  # inside a half bar the bass may walk


def test_chords_that_are_drawn_are_heard_and_those_that_are_asked_for_have_a_bias_of_their_own():
    def share_in_chord(strength, monkeypatch):
        monkeypatch.setattr("melodygru.compose.lengths.DRAWN_BIAS", strength)
        plans = []
        pieces = compose(toys.network_of(MODEL), 6, 3, length=Length(bars=8), metre=(4, 4), on_start=plans.extend)
        return np.mean(
            [
                int(note["pitch"]) % 12 in chord_tones(int(plan.planned.chords[note["onset"] // 8]))
                for piece, plan in zip(pieces, plans, strict=True)
                for note in piece.notes[piece.notes["program"] != DRUMS]
            ]
        )

    with pytest.MonkeyPatch.context() as monkeypatch:
        assert share_in_chord(8.0, monkeypatch) > 0.9 > 0.6 > share_in_chord(0.0, monkeypatch)
    assert drawn(0.0, chords=Chords.parse("C")).chord_bias == 0


def test_a_piece_ends_on_its_tonic_chord_and_where_chords_are_planned_on_theirs():
    context = Context(PLANS, None, (4, 4))
    for shift, pitch in ((0, 67), (4, 71), (4, 74), (4, 66), (4, 67)):  # G major
        context.before()
        context.move(shift)
        context.add(NEW if shift == 0 else FIRST_PART, pitch, 4)

    def found(last_bar, program=0):
        event = Event([context], [5], np.ones(1, bool), [0], logits=np.zeros((1, N_PITCHES)), programs=[program])
        assert Cadence([last_bar]).weigh("part", event) is None
        return Cadence([last_bar]).weigh("pitch", event)

    gained = found((16, 32))[0]
    assert set(np.flatnonzero(gained) % 12) == {7, 11, 2} and set(np.flatnonzero(gained == gained.max()) % 12) == {7}
    assert found((32, 48)) is None and found(None) is None and found((16, 32), DRUMS) is None


def test_the_last_chord_is_heard_as_that_of_the_tonic():
    def share_of_tonic(bias, monkeypatch):
        monkeypatch.setattr("melodygru.compose.plan_rules.ROOT_BIAS", bias)
        ends = []
        for piece in compose(NETWORK, 8, 3, length=Length(bars=4), metre=(4, 4)):
            notes = piece.notes[piece.notes["program"] != DRUMS]
            key = estimate_key(notes[notes["onset"] < 48])
            tonic = 7 * (key.fifths + 3 * key.minor) % 12
            ends += [int(pitch) % 12 == tonic for pitch in notes["pitch"][notes["onset"] == 48]]
        return np.mean(ends)

    with pytest.MonkeyPatch.context() as monkeypatch:
        assert share_of_tonic(30.0, monkeypatch) > 0.9 > 0.6 > share_of_tonic(0.0, monkeypatch)
