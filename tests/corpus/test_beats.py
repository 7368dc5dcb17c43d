"""Beat and bars from the notes: small pieces whose bars are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from melodygru import midi
from melodygru.corpus import accents, beats, intake
from melodygru.corpus.beats import align, find_pulse, headers_hold
from melodygru.errors import SettingError
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE
from melodygru.music.notes import NOTE, TEMPO, NoteSequence, canonical, note_array

TICKS = 480


def piece(rows, metres=((0, 4, 4),), ticks=TICKS, tempos=((0, 500_000),)):
    """A piece from rows of (onset, duration, pitch), in ticks."""
    notes, _ = canonical(note_array((onset, duration, 0, pitch, 80) for onset, duration, pitch in rows))
    end = int((notes["onset"] + notes["duration"]).max())
    return NoteSequence(notes, Grid.beats(ticks), end, np.array(list(tempos), TEMPO), np.array(list(metres), METRE))


# Roots of I vi IV V, two octaves below the chords.
ROOTS = (36, 33, 41, 43)


def accompanied(bars, by=0, ticks=TICKS):
    """Rows of bars of so many beats: a root on the downbeat, a chord on each other beat, a melody that rests on one."""
    rows, at = [], by
    for number, n_beats in enumerate(bars):
        root = ROOTS[number % 4]
        rows.append((at, n_beats * ticks, root))
        for beat in range(1, n_beats):
            rows += [(at + beat * ticks, ticks // 2, root + 24 + third) for third in (0, 4, 7)]
        rows.append((at, 2 * ticks, root + 36))
        rows += [
            (at + beat * ticks + half, ticks // 2, root + 38) for beat in range(2, n_beats) for half in (0, ticks // 2)
        ]
        at += n_beats * ticks
    return rows


def moved_by(rows, ticks):
    return [(onset + ticks, duration, pitch) for onset, duration, pitch in rows]


def test_the_pulse_of_sixteenths_a_seventh_of_a_step_late():
    pulse = find_pulse((np.arange(32) + 1 / 7) / 4)
    assert pulse.steps_per_beat == 4
    assert pulse.offset == pytest.approx(1 / 28)
    assert pulse.strength == pytest.approx(1)
    assert pulse.spread == pytest.approx(0)
    assert pulse.steady
    assert pulse.is_beside(4)


def test_the_pulse_of_triplets_that_come_early():
    pulse = find_pulse(np.arange(1, 33) / 3 - 0.05)
    assert (pulse.steps_per_beat, pulse.offset) == (3, pytest.approx(-0.05))


def test_a_fine_grid_is_placed_by_the_coarse_one_in_it():
    """Sixteenths and a few thirty-seconds, all an eighth of a beat late: the step that most stand on is a sixteenth."""
    onsets = np.sort(np.concatenate([np.arange(32) / 4, np.arange(8) + 1 / 8])) + 1 / 8 + 0.03
    pulse = find_pulse(onsets)
    assert pulse.offset % 0.25 == pytest.approx((1 / 8 + 0.03) % 0.25, abs=0.02)


def test_fifteen_onsets_are_too_few_and_sixteen_are_not():
    assert not find_pulse(np.arange(15) / 4).steady
    assert find_pulse(np.arange(16) / 4).steady


def test_chance_is_no_pulse():
    pulse = find_pulse(np.sort(np.random.default_rng(0).uniform(0, 100, 400)))
    assert pulse.strength < 0.2
    assert not pulse.steady


def test_jitter_shortens_the_vector_and_does_not_turn_it():
    """A normal deviation of s beats leaves exp(-(2 pi 4 s)**2 / 2) of the mean vector: 0.88 at 0.02."""
    onsets = np.arange(2000) / 4 + 0.1 + np.random.default_rng(1).normal(0, 0.02, 2000)
    pulse = find_pulse(onsets)
    assert pulse.strength == pytest.approx(0.88, abs=0.02)
    assert pulse.offset == pytest.approx(0.1, abs=0.003)


def test_a_waltz_without_time_signature():
    waltz = piece(accompanied([3] * 16))
    aligned, found = align(waltz, stated=False)
    assert aligned.metres.tolist() == [(0, 3, 4)]
    assert np.array_equal(aligned.notes, waltz.notes)
    assert (found.metre_from, found.moved, found.origin) == ("notes", False, 0)
    assert found.confidence > 0.9


def test_a_time_signature_that_makes_sense_is_believed():
    """Three beats a bar and a header that says 4/4: nobody knows better than the file."""
    waltz = piece(accompanied([3] * 16))
    aligned, found = align(waltz)
    assert aligned is waltz
    assert (found.metre_from, found.confidence) == ("file", 1)


def test_common_time_without_time_signature_comes_out_as_it_went_in():
    song = piece(accompanied([4] * 16))
    assert align(song, stated=False)[0] is song


def test_an_upbeat_with_a_time_signature_of_its_own_is_believed():
    song = [(0, TICKS, 60), *moved_by(accompanied([4] * 16), TICKS)]
    marked = piece(song, metres=[(0, 1, 4), (TICKS, 4, 4)])
    assert align(marked)[0] is marked


def test_short_bars_make_no_sense_from_more_than_half_of_a_piece_on():
    song = accompanied([4] * 16)
    half = 8 * 4 * TICKS
    assert beats.is_sensible(piece(song, metres=[(0, 1, 4), (half, 4, 4)]))
    assert not beats.is_sensible(piece(song, metres=[(0, 1, 4), (half + 1, 4, 4)]))
    assert beats.is_sensible(piece(song, metres=[(0, 1, 2)]))


@pytest.mark.parametrize("metre", [(1, 4), (1, 8), (2, 8)])
def test_a_bar_of_one_beat_is_nonsense(metre):
    aligned, found = align(piece(accompanied([4] * 16), metres=[(0, *metre)]))
    assert aligned.metres.tolist() == [(0, 4, 4)]
    assert found.metre_from == "notes"


def test_an_offset_is_taken_away():
    """A seventh of a sixteenth late is 17 ticks: less than a twentieth of a beat, and exact."""
    song = accompanied([4] * 16)
    aligned, found = align(piece(moved_by(song, 17)))
    assert found.moved
    assert found.pulse.offset == pytest.approx(17 / TICKS)
    assert aligned == piece(song)
    assert found.origin == 17


def test_an_offset_within_the_jitter_is_not():
    rng = np.random.default_rng(2)
    song = [
        (max(0, onset + round(rng.normal(15, 12))), length, pitch) for onset, length, pitch in accompanied([4] * 16)
    ]
    late = piece(song)
    assert align(late)[0] is late


def test_an_upbeat_stands_at_the_end_of_the_first_bar():
    """Two eighths before the first bar, everything 1/28 beat late: three beats of rest and the upbeat fill a bar."""
    song = moved_by(accompanied([4] * 16), TICKS)
    upbeat = [(0, 240, 60), (240, 240, 62)]
    aligned, found = align(piece(moved_by(upbeat + song, 17)))
    assert aligned.metres.tolist() == [(0, 4, 4)]
    assert aligned.notes["onset"][:3].tolist() == [3 * TICKS, 3 * TICKS + 240, 4 * TICKS]
    assert found.origin == 17 - 3 * TICKS


def test_bars_of_silence_stay_but_for_the_one_that_the_beginning_cuts():
    aligned, _ = align(piece(moved_by(accompanied([4] * 16), 5 * TICKS + 17)))
    assert aligned.notes["onset"][0] == 4 * TICKS


def test_a_bar_of_two_beats_does_not_move_the_bars_after_it():
    aligned, found = align(piece(moved_by(accompanied([4] * 24 + [2] + [4] * 24), 17)))
    assert found.metre_from == "notes"
    odd = 24 * 4 * TICKS
    assert aligned.metres.tolist() == [(0, 4, 4), (odd, 2, 4), (odd + 2 * TICKS, 4, 4)]


def test_marks_of_tempo_go_with_the_notes():
    song = piece(
        moved_by(accompanied([4] * 16), 17), tempos=[(0, 400_000), (10, 500_000), (1937, 600_000), (9000, 700_000)]
    )
    aligned, _ = align(song)
    assert aligned.tempos.tolist() == [(0, 500_000), (1920, 600_000), (8983, 700_000)]
    assert aligned.length == song.length - 17


def test_several_time_signatures_stay_when_the_notes_stand_beside_the_grid():
    marks = [(0, 4, 4), (8 * 4 * TICKS, 3, 4)]
    aligned, found = align(piece(moved_by(accompanied([4] * 8 + [3] * 8), 30), metres=marks))
    assert aligned.metres.tolist() == marks
    assert aligned.notes["onset"][0] == 0
    assert (found.moved, found.metre_from) == (True, "file")


def test_music_without_a_beat_is_left_alone():
    rng = np.random.default_rng(3)
    ticks, pitches = rng.integers(0, 60_000, 300), rng.integers(40, 80, 300)
    rows = [(int(tick), 200, int(pitch)) for tick, pitch in zip(ticks, pitches, strict=True)]
    performance = piece(rows)
    aligned, found = align(performance)
    assert aligned is performance
    assert found.metre_from == "none"
    nonsense = replace(performance, metres=np.array([(0, 1, 4)], METRE))
    assert align(nonsense)[0] == performance


def test_a_metre_that_is_asked_for_overrules_the_file():
    waltz = piece(accompanied([3] * 16))
    aligned, found = align(waltz, metre=(3, 4))
    assert aligned.metres.tolist() == [(0, 3, 4)]
    assert found.metre_from == "asked"
    few, found = align(piece([(0, 480, 60), (480, 480, 62)]), metre=(5, 8))
    assert few.metres.tolist() == [(0, 5, 8)]
    assert found.metre_from == "asked"


def test_headers_hold_where_half_of_them_do():
    right, wrong = piece(accompanied([4] * 8)), piece(accompanied([4] * 8), metres=[(0, 1, 4)])
    late = piece(moved_by(accompanied([4] * 8), 30))
    rubato = piece([(tick * tick, 100, 60) for tick in range(30)])
    assert headers_hold([(right, True), (wrong, True), (rubato, True)])
    assert headers_hold([(right, False), (late, True)])
    assert not headers_hold([(right, True), (wrong, True), (late, False)])
    assert headers_hold([(rubato, True)])
    assert headers_hold([])


def test_where_headers_do_not_hold_the_notes_are_asked():
    """Bars begin a beat late and the file says 4/4: alone it is believed, among others like it it isn't."""
    late = piece(moved_by(accompanied([4] * 16), TICKS))
    assert align(late)[0] is late
    aligned, found = align(late, header_holds=False)
    assert found.origin == TICKS
    assert aligned == piece(accompanied([4] * 16))


def test_pieces_in_seconds_and_without_notes_are_left_alone():
    timed = replace(piece(accompanied([4] * 8)), grid=Grid.seconds(960), tempos=np.array([(0, 500_000)], TEMPO))
    assert align(timed)[0] is timed
    empty = NoteSequence(np.zeros(0, NOTE), Grid.beats(TICKS), 0)
    assert align(empty)[0] is empty


@pytest.mark.parametrize(
    ("metre", "expected"),
    [
        ((3, 4), [0, 3, 2, 3, 2, 3]),
        ((4, 4), [0, 3, 2, 3, 1, 3, 2, 3]),
        ((6, 8), [0, 3, 3, 1, 3, 3]),
        ((9, 8), [0, 3, 3, 2, 3, 3, 2, 3, 3]),
        ((2, 4), [0, 3, 1, 3]),
    ],
)
def test_levels_of_the_eighths_of_a_bar(metre, expected):
    assert accents.levels(metre, 2).tolist() == expected


def test_ticks_of_a_bar():
    assert accents.bar_ticks((6, 8), 4) == 12
    assert accents.bar_ticks((5, 8), 3) == 0  # seven and a half


def test_accents_of_two_notes_and_a_chord():
    """A half note, a quarter after it, a chord: on the second beat of the bar nothing begins."""
    sequence = piece([(0, 960, 48), (960, 480, 50), (1440, 480, 53), (1440, 480, 57)])
    onsets = sequence.notes["onset"] / TICKS
    found = accents.accents(sequence.notes, onsets, onsets + sequence.notes["duration"] / TICKS, 1)
    by_kind = dict(zip(accents.KINDS, found.signals, strict=True))
    assert (found.first, found.last) == (0, 3)
    assert (by_kind["long"] / by_kind["long"][2])[:4].tolist() == [2, 0, 1, 1]
    assert (by_kind["notes"] / by_kind["notes"][0])[:4] == pytest.approx([1, 0, 1, 2**0.5])
    assert (by_kind["bass_change"] > 0)[:4].tolist() == [True, False, True, True]
    assert not by_kind["kick"].any()
    assert all(signal.mean() == pytest.approx(1) for signal in found.signals if signal.any())


def test_the_search_looks_at_triplets_where_the_pulse_has_them():
    assert beats.search_rate(find_pulse(np.arange(32) / 3)) == 3
    assert beats.search_rate(find_pulse(np.arange(32) / 8)) == 4


# In a corpus


@pytest.fixture
def hidden(tmp_path):
    """A folder of three songs, each late by an amount of its own, whose header says 1/4."""
    folder = tmp_path / "songs"
    folder.mkdir()
    for number, late in enumerate((17, 31, 44)):
        rows = moved_by(accompanied([4] * (12 + number)), late)
        midi.write(piece(rows, metres=[(0, 1, 4)]), folder / f"{number}.mid")
    return folder


def test_a_folder_stands_on_the_grid_of_its_beats(hidden, tmp_path):
    corpus = intake(hidden, cache=tmp_path / "cache")
    assert corpus.grid == Grid.beats(2)
    assert [piece.metre for piece in corpus.pieces] == [(4, 4)] * 3
    assert [sequence.notes["onset"][0] for sequence in corpus] == [0, 0, 0]
    found = corpus.report.grid_evidence["beats"]
    assert {name: found[name] for name in ("pieces", "steady", "moved", "bars_found")} == {
        "pieces": 3,
        "steady": 3,
        "moved": 3,
        "bars_found": 3,
    }
    assert 0.9 < found["confidence"] <= 1
    lines = " ".join(corpus.report.table().split())
    assert "bars 3 of 3 pieces with a steady beat; 3 stood beside the grid and were moved" in lines
    assert (
        f"of 3 the metre and the bar lines were found from the notes, on average {found['confidence']:.0%} sure"
        in lines
    )


def test_the_metre_of_a_folder_can_be_asked_for(hidden, tmp_path):
    found = intake(hidden, cache=tmp_path / "cache")
    asked = intake(hidden, cache=tmp_path / "cache", metre=(3, 4))
    assert [piece.metre for piece in asked.pieces] == [(3, 4)] * 3
    assert asked.grid == found.grid
    assert asked.report.grid_evidence["beats"] == {
        "pieces": 3,
        "steady": 3,
        "moved": 3,
        "bars_found": 0,
        "confidence": 0.0,
    }
    assert [piece.metre for piece in intake(hidden, cache=tmp_path / "cache").pieces] == [(4, 4)] * 3


def test_a_metre_needs_bars(hidden, tmp_path):
    with pytest.raises(SettingError, match=r"^metre 3/4 on 10 ms per step: expected a grid of steps per beat$"):
        intake(hidden, cache=tmp_path / "cache", grid=Grid.seconds(100), metre=(3, 4))


def test_a_folder_that_needs_nothing_says_nothing(tmp_path):
    for number in range(3):
        midi.write(piece(accompanied([4] * (8 + number))), tmp_path / f"{number}.mid")
    report = intake(tmp_path, cache=tmp_path / "cache").report
    assert "beats" not in report.grid_evidence
    assert "bars" not in [line[:12].strip() for line in report.table().splitlines()]


def test_on_a_grid_of_seconds_nothing_is_moved(hidden, tmp_path):
    corpus = intake(hidden, cache=tmp_path / "cache", grid=Grid.seconds(1000))
    assert corpus[0].notes["onset"][0] == round(17 / TICKS * 500)
    assert "beats" not in corpus.report.grid_evidence


def test_a_reading_knows_whether_a_file_has_a_time_signature():
    # fmt: off
    head = b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1, 0, 96]) + b"MTrk"
    note = [0, 0x90, 60, 64, 96, 0x80, 60, 64, 0, 0xFF, 0x2F, 0]
    mark = [0, 0xFF, 0x58, 4, 4, 2, 24, 8]  # 4/4
    # fmt: on
    for track, has_metre in ((note, False), (mark + note, True)):
        reading = midi.read(head + bytes([0, 0, 0, len(track), *track]))
        assert reading.has_metre is has_metre
        assert reading.sequence.metre == (4, 4)
