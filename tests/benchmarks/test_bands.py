"""The measures of benchmarks/bands.py, on bars written by hand."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pretty_midi
import pytest

SOURCE = Path(__file__).parents[2] / "benchmarks" / "bands.py"
SPEC = importlib.util.spec_from_file_location("bands", SOURCE)
bands = importlib.util.module_from_spec(SPEC)
sys.modules["bands"] = bands
SPEC.loader.exec_module(bands)


def piece(*notes, bars=4):
    """Notes (onset, duration, program, pitch) in quarter notes, in bars of four."""
    onset, duration, program, pitch = np.array(sorted(notes), float).T
    starts = np.arange(0.0, 4 * bars + 1, 4)
    return bands.Piece(onset, onset + duration, program.astype(int), pitch.astype(int), starts)


def drums(*strokes):
    return [(onset, 0.25, bands.DRUMS, pitch) for onset, pitch in strokes]


def test_a_drum_is_steady_where_its_bars_are_alike():
    same = piece(*drums(*[(4 * bar + beat, 36) for bar in range(4) for beat in (0, 2)]))
    assert bands.measure(same)["kick"] == 1
    # places 0, 8; then 0, 4; then 0, 8; then 0: likeness 1/2, 1/2 and 2/3
    other = piece(*drums(*[(beat, 36) for beat in (0, 2, 4, 5, 8, 10, 12)], (0, 42)))
    assert bands.measure(other)["kick"] == pytest.approx((0.5 + 0.5 + 2 / 3) / 3)
    assert "hat" not in bands.measure(other)  # in one bar only
    assert "kick" not in bands.measure(piece(*drums(*[(beat, 36) for beat in (0, 4, 8, 12)])))  # four notes: no drums


def test_a_snare_on_the_second_and_fourth_quarter():
    found = bands.measure(piece(*drums(*[(beat, 38) for beat in range(1, 8)], (15, 40))))
    assert found["snare on 2 and 4"] == 5 / 8  # beats 1, 3, 5, 7 and 15 of 1 to 7 and 15


def test_the_bass_is_on_the_root_of_what_the_others_sound():
    chord = [(4.0 * bar, 4, 0, pitch) for bar in range(4) for pitch in (60, 64, 67)]
    bass = [(4.0 * bar, 1, 33, 36 if bar else 43) for bar in range(4)]
    passing = [(4 * bar + 2, 1, 33, 41) for bar in range(4)]
    found = bands.measure(piece(*chord, *bass, *passing))
    assert found["bass on root"] == 0.75
    # F under C, E, G: E is a major seventh from it; nothing clashes with C, or with G
    assert found["clashes"] == pytest.approx(4 / 24)
    assert "clashes" not in bands.measure(piece(*chord, *bass))  # four notes: no bass


def test_who_plays():
    long = [(4.0 * bar, 1, 0, 60) for bar in range(12)]
    gone = [(4.0 * bar, 1, 48, 72) for bar in range(5)]
    found = bands.measure(piece(*long, *gone, (46.0, 1, 20, 60), bars=12))
    assert found["programs"] == 3
    assert found["active in a bar"] == pytest.approx((12 + 5 + 1) / 12)
    assert found["line-up changes"] == pytest.approx(2 / 11)
    assert found["gone in the last third"] == 0.5  # of the two that play in four bars


def test_the_pulse_is_that_of_sixteenths_wherever_they_begin():
    assert bands.measure(piece(*[(at / 4 + 0.1, 0.2, 0, 60) for at in range(16)]))["pulse"] == pytest.approx(1)
    assert bands.measure(piece(*[(at * 0.125, 0.1, 0, 60) for at in range(16)]))["pulse"] == pytest.approx(0, abs=1e-9)


def test_a_file_is_read_in_its_own_bars(tmp_path):
    file = pretty_midi.PrettyMIDI(initial_tempo=60)
    file.time_signature_changes.append(pretty_midi.TimeSignature(1, 4, 0))
    for program, is_drum in ((33, False), (0, True)):
        part = pretty_midi.Instrument(program, is_drum)
        part.notes += [pretty_midi.Note(80, 40, at, at + 1) for at in (0.0, 5.0)]
        file.instruments.append(part)
    file.write(str(tmp_path / "a.mid"))
    assert bands.read(tmp_path / "a.mid").bar_starts.tolist() == [0, 1, 2, 3, 4, 5, 6]
    found = bands.read(tmp_path / "a.mid", 4)
    assert found.bar_starts.tolist() == [0, 4, 8]
    assert found.program.tolist() == [bands.DRUMS, 33, bands.DRUMS, 33]
    assert found.place.tolist() == [0, 0, 4, 4]
    assert found.parts == 2


def test_nats_are_summed_by_field_and_ends_count(tmp_path):
    (tmp_path / "n.csv").write_text(
        "file,note,program,pitch,nats_shift,nats_pitch,nats\na,0,0,60,1,2,3\na,1,0,62,1,0,1\na,2,end,,1,0,1\n"
    )
    assert bands.nats(tmp_path / "n.csv") == {"shift": 1.5, "pitch": 1.0}


def test_a_table_says_how_many_pieces_have_a_figure():
    real = [piece(*drums(*[(4 * bar + beat, 36) for bar in range(4) for beat in (0, 2)])), piece((0, 1, 0, 60))]
    lines = list(bands.table(real, []))
    assert lines[0] == "| | real (2) | composed (0) |"
    assert "| programs | 1.0 | - |" in lines
    assert "| kick | 100.0% (1) | - |" in lines


def test_a_primer_has_notes_and_is_not_the_whole_piece():
    notes = piece(*[(at, 1, 0, 60) for at in range(8)])
    assert bands.begins(notes, 2)
    assert not bands.begins(notes, 1)  # four notes
    assert not bands.begins(notes, 4)
    assert not bands.begins(notes, None)
