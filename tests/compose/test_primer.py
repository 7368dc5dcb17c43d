"""Primers: their bars, the splice, and that nothing is lost or moved there."""

import dataclasses
import hashlib

import numpy as np
import pytest
import toys
from hypothesis import example, given, settings
from hypothesis import strategies as st
from toys import BEAT, PERFORMANCE, VOCABULARIES, sequence_of

from melodygru import midi
from melodygru.compose import Controls, Length, Plan, compose, first_step
from melodygru.compose.composer import generate
from melodygru.compose.primer import Primer, Source, check_bars
from melodygru.errors import MidiError, SettingError
from melodygru.events import representable
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE
from melodygru.music.notes import DRUMS, TEMPO, NoteSequence, canonical, note_array, part_programs
from melodygru.music.quantize import quantize

MANY, SECONDS = VOCABULARIES["many"], VOCABULARIES["performance"]
TICKS = Grid.beats(12)  # three of them are a step of BEAT


def fitted(sequence, bars=None, vocabulary=MANY):
    return Source.from_given(sequence).primer(vocabulary, bars)


# -- bars

FOUR = sequence_of([(16 * bar, 4, 0, 60 + bar, 80 + bar) for bar in range(4)], 64)  # four bars of 4/4


@pytest.mark.parametrize(
    ("bars", "pitches", "splice"),
    [
        (None, [60, 61, 62, 63], 64),
        ("1:4", [60, 61, 62, 63], 64),
        (":", [60, 61, 62, 63], 64),
        ("2:3", [61, 62], 32),
        ("3:", [62, 63], 32),
        (":1", [60], 16),
        ("4", [63], 16),
        (" 4:4 ", [63], 16),
    ],
)
def test_bars_are_counted_from_1_and_both_included(bars, pitches, splice):
    primer = fitted(FOUR, bars)
    assert isinstance(primer, Primer)
    assert primer.sequence.notes["pitch"].tolist() == pitches
    assert primer.sequence.notes["velocity"].tolist() == [pitch + 20 for pitch in pitches]
    assert primer.sequence.notes["onset"].tolist() == [16 * at for at in range(len(pitches))]
    assert (primer.splice, primer.sequence.length, primer.mismatches) == (splice, splice, ())


@pytest.mark.parametrize("bars", ["0:2", "1:5", "5:", "5", "3:2", "0"])
def test_bars_that_are_not_there_are_refused(bars):
    with pytest.raises(SettingError, match=rf"^primer-bars {bars}: the primer has 4 bars, expected A:B in 1\.\.4$"):
        fitted(FOUR, bars)


@pytest.mark.parametrize("bars", ["", "a:b", "1-2", "1:2:3", "-1:2", "1.5", "²:3", "9999999999:"])
def test_bars_are_written_as_numbers(bars):
    with pytest.raises(SettingError, match=r"expected A:B, bars counted from 1 such as 5:8, 5: or :8$"):
        check_bars(bars)


def test_empty_bars_are_refused():
    with pytest.raises(SettingError, match=r"^primer-bars 2: these bars of the primer hold no note; expected music"):
        fitted(sequence_of([(0, 4, 0, 60, 80), (32, 4, 0, 60, 80)]), "2")


def test_a_partial_last_bar_ends_where_the_piece_does():
    piece = sequence_of([(0, 4, 0, 60, 80), (16, 4, 0, 62, 80)], 21)
    for bars in (None, "1:2", "2:2"):
        assert fitted(piece, bars).splice == (21 if bars != "2:2" else 5)


def test_bars_follow_an_upbeat_and_changes_of_metre():
    upbeat = sequence_of(
        [(0, 4, 0, 60, 80), (4, 4, 0, 62, 80), (20, 4, 0, 64, 80)], 32, metres=[(0, 1, 4), (4, 4, 4), (20, 3, 4)]
    )
    primer = fitted(upbeat, "2:3")
    assert primer.sequence.notes["onset"].tolist() == [0, 16]
    assert primer.splice == 28
    assert primer.sequence.metres.tolist() == [(0, 4, 4), (16, 3, 4)]


def test_a_note_over_the_end_of_the_bars_sounds_on_and_one_into_them_is_left_out():
    piece = sequence_of([(12, 8, 0, 60, 80), (20, 30, 0, 62, 81), (34, 2, 0, 64, 80)], 64)
    primer = fitted(piece, "2:2")
    assert primer.sequence.notes.tolist() == [(4, 30, 0, 0, 62, 81)]
    assert (primer.splice, primer.sequence.length) == (16, 34)
    assert primer.mismatches == ("1 note left out, sounding on from the bar before",)


def test_bars_of_a_file_are_those_of_its_beats_where_the_model_has_none():
    piece = NoteSequence(
        note_array([(0, 480, 0, 60, 80), (1920, 480, 0, 62, 81), (3840, 480, 0, 64, 82)]),
        Grid.beats(480),
        5760,
        np.array([(0, 500_000), (1920, 1_000_000)], TEMPO),
    )
    primer = fitted(piece, "2:2", SECONDS)  # a bar at 60 qpm: four seconds of 100 steps
    assert primer.sequence.notes.tolist() == [(0, 100, 0, 0, 62, 81)]
    assert primer.splice == 400


def test_music_in_seconds_has_no_bars():
    with pytest.raises(SettingError, match="^primer-bars 1:2: the primer has no bars, its times are in seconds; leave"):
        fitted(sequence_of([(0, 4, 0, 60, 80)], grid=PERFORMANCE), "1:2", SECONDS)


def test_bars_without_a_primer_are_refused(checkpoint_of):
    for setting, name in (({"primer_bars": "1:2"}, "primer-bars"), ({"no_primer": True}, "no-primer")):
        with pytest.raises(SettingError, match=f"^{name}: expected a primer with it$"):
            generate(checkpoint_of("many"), bars=1, **setting)


# -- what of it the model is not given


def test_what_is_given_otherwise_is_counted():
    rows = [(0, 1, 0, 60, 80), (1, 1, 7, 60, 80), (3, 13, DRUMS, 36, 80)]
    piece = sequence_of(rows, 48, TICKS, [(0, 7, 8)])
    assert fitted(piece).mismatches == (
        "1 note of programs that the model was not trained on (7)",
        "1 metre that the model was not trained on (7/8)",
    )
    assert fitted(piece, vocabulary=VOCABULARIES["one"]).mismatches == (
        "1 note merged with another at the same place of the grid",
        "2 notes put on the model's only part, of program 0",
        "1 metre that the model was not trained on (7/8)",
    )
    many = fitted(
        sequence_of([(0, 4, 40, 60 + i, 80) for i in range(6)], parts=range(6)), vocabulary=VOCABULARIES["styles"]
    )
    assert many.mismatches == ("1 note put on other parts, the model tells 5 apart",)
    loud = fitted(sequence_of([(0, 4, DRUMS, 36, 80)]), vocabulary=VOCABULARIES["styles"])
    assert loud.mismatches == ("1 note of programs that the model was not trained on (drums)",)


def test_times_longer_than_the_vocabulary_holds_are_shortened_and_the_splice_goes_along():
    piece = sequence_of([(0, 70_000, 0, 60, 80), (200_000, 4, 0, 62, 81)], 200_016)
    primer = fitted(piece)
    assert primer.sequence.notes.tolist() == [(0, 65_535, 0, 0, 60, 80), (65_535, 4, 0, 0, 62, 81)]
    assert (primer.splice, primer.sequence.length) == (65_551, 65_551)
    assert primer.mismatches == ("2 times shortened to 65,535 steps, the longest possible",)
    (made,) = compose(toys.network("many"), 1, 1, length=Length(notes=3), primer=primer)
    assert made.notes[:2].tolist() == primer.sequence.notes.tolist()
    assert (made.notes["onset"][2:] >= primer.splice).all()


def test_it_is_said_in_one_line(checkpoint_of, caplog):
    generate(checkpoint_of("one"), bars=1, seed=1, primer=sequence_of([(0, 4, 9, 60, 80), (4, 4, 8, 60, 80)]))
    assert [record.getMessage() for record in caplog.records] == [
        "the primer: 2 notes put on the model's only part, of program 0"
    ]


# -- sources


def test_a_file_is_read_once_and_known_by_its_hash(tmp_path):
    midi.write(FOUR, tmp_path / "a.mid")
    source = Source.from_given(tmp_path / "a.mid")
    assert source.sha256 == hashlib.sha256((tmp_path / "a.mid").read_bytes()).hexdigest()
    assert source.name == str(tmp_path / "a.mid")
    (tmp_path / "a.mid").write_bytes(b"")
    assert Source.from_given(source) is source
    assert source.primer(MANY).sequence == FOUR
    with pytest.raises(MidiError, match=r"a\.mid: the file is empty$"):
        Source.from_given(tmp_path / "a.mid")


# -- the splice


@pytest.fixture(scope="module")
def checkpoint_of(tmp_path_factory):
    """Toy checkpoints by name."""
    from melodygru.model import checkpoint
    from melodygru.model.keras_model import save

    folder, made = tmp_path_factory.mktemp("primer"), {}

    def of(name):
        if name not in made:
            save(toys.model(name), folder / f"{name}.keras")
            made[name] = checkpoint.read(folder / f"{name}.keras")
        return made[name]

    return of


def bar_lines(piece):
    """Every bar line up to the first at or after the end, by walking from one to the next."""
    lines, at = [0], 0
    while at < piece.length:
        _, numerator, denominator = piece.metres[piece.metres["step"] <= at][-1].tolist()
        later = piece.metres["step"][piece.metres["step"] > at]
        at += max(1, round(float(piece.grid.steps_per_beat) * 4 * numerator / denominator))
        if len(later):
            at = min(at, int(later[0]))
        lines.append(at)
    return lines


@st.composite
def pieces(draw):
    """A piece in ticks: any programs, drums, changes of metre and tempo, upbeats, notes across bar lines."""
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 200),
                st.integers(1, 120),
                st.sampled_from([0, 5, 40, 99, DRUMS]),
                st.integers(58, 63),
                st.integers(1, 127),
            ),
            min_size=1,
            max_size=14,
        )
    )
    parts = [2 * program + draw(st.integers(0, 1)) for _, _, program, _, _ in rows]
    notes, _ = canonical(note_array(rows, parts))
    length = int((notes["onset"] + notes["duration"]).max()) + draw(st.integers(0, 50))
    at = st.integers(1, length)
    metre = st.sampled_from([(4, 4), (3, 4), (6, 8), (7, 16), (1, 4), (5, 1)])
    changes = draw(st.dictionaries(at, metre, max_size=3))
    metres = [(0, *draw(metre))] + [(step, *changes[step]) for step in sorted(changes)]
    tempi = draw(st.dictionaries(at, st.integers(200_000, 2_000_000), max_size=3))
    tempos = [(0, draw(st.integers(200_000, 2_000_000)))] + sorted(tempi.items())
    return NoteSequence(notes, TICKS, length, np.array(tempos, TEMPO), np.array(metres, METRE))


HELD = sequence_of([(0, 12, 0, 60, 80), (40, 100, 40, 61, 3), (46, 4, DRUMS, 60, 127)], 141, TICKS)


@settings(max_examples=40)
@given(
    piece=pieces(),
    name=st.sampled_from(["one", "one_loud", "many", "performance", "ensemble"]),
    first=st.integers(1, 9),
    span=st.integers(0, 3),
    whole=st.booleans(),
    seed=st.integers(0, 3),
)
@example(piece=HELD, name="many", first=1, span=0, whole=False, seed=0)
@example(piece=HELD, name="performance", first=1, span=0, whole=False, seed=0)
@example(piece=HELD, name="many", first=1, span=0, whole=True, seed=1)
def test_no_note_is_lost_at_the_splice_and_no_step_off(piece, name, first, span, whole, seed):
    network = toys.network(name, 1, -3.0)
    v = network.vocabulary
    on_grid, changes, _ = quantize(piece, v.grid)
    lines = bar_lines(on_grid if v.grid.is_metrical else piece)
    bars = None if whole else f"{min(first, len(lines) - 1)}:{min(first + span, len(lines) - 1)}"
    try:
        primer = fitted(piece, bars, v)
    except SettingError as error:
        assert "hold no note" in str(error)
        return
    ours, splice = primer.sequence, primer.splice

    # What the model is given: every note of the bars, where it stands, as loud as it was.
    if v.grid.is_metrical:
        start, end = (
            (0, on_grid.length)
            if whole
            else (lines[min(first, len(lines) - 1) - 1], lines[min(first + span, len(lines) - 1)])
        )
        inside = on_grid.notes[(on_grid.notes["onset"] >= start) & (on_grid.notes["onset"] < end)].copy()
        inside["onset"] -= start
        assert splice == min(end, on_grid.length) - start
        if v.models_part:
            inside, _ = canonical(inside)
            if len(part_programs(inside)) <= v.parts:
                assert ours.notes.tolist() == inside.tolist()
        else:
            assert set(ours.notes["onset"].tolist()) == set(inside["onset"].tolist())
    elif whole and v.models_part:
        assert ours.notes.tolist() == representable(on_grid, v)[0].notes.tolist()
        assert splice == on_grid.length
    assert splice <= ours.length
    assert (ours.notes["onset"] <= splice).all()

    length = Length(notes=4)
    # Short steps, so that notes are composed in the primer's last bar and while its notes sound.
    given = {"length": length, "primer": Primer(ours, splice), "controls": Controls(rhythm_temperature=0.2)}
    (full,) = compose(network, 1, seed, **given)
    (alone,) = compose(network, 1, seed, **given, no_primer=True)
    n = len(ours)
    assert full.notes[:n].tolist() == ours.notes.tolist()
    assert len(full) == n + 4
    assert (full.notes["onset"][n:] >= splice).all()
    if v.grid.is_metrical:
        assert np.array_equal(full.tempos, ours.tempos)
        assert np.array_equal(full.metres, ours.metres)

    # The continuation alone: the same notes, later by as much as a bar line of the whole.
    assert len(alone) == 4
    begin = int(full.notes["onset"][n] - alone.notes["onset"][0])
    moved = alone.notes.copy()
    moved["onset"] += begin
    assert moved.tolist() == canonical(full.notes[n:])[0].tolist()
    assert alone.length == full.length - begin
    if not v.grid.is_metrical:
        assert begin == splice
        return
    whole_lines = bar_lines(full)
    assert begin in whole_lines
    assert begin <= full.notes["onset"][n]
    after = min(line for line in whole_lines if line >= splice)
    assert begin == (after if full.notes["onset"][n] >= after else max(line for line in whole_lines if line <= splice))
    for what in ("tempos", "metres"):
        marks = getattr(full, what)
        in_force = marks[marks["step"] <= begin][-1].tolist()
        assert getattr(alone, what)[0].tolist()[1:] == in_force[1:]
    assert [line + begin for line in bar_lines(alone)] == [line for line in whole_lines if line >= begin]


def test_notes_are_composed_from_the_splice_on_while_the_primers_last_note_sounds():
    primer = fitted(sequence_of([(0, 4, 0, 60, 80), (12, 300, 40, 62, 81)], 312), "1:1")
    assert (primer.splice, primer.sequence.length) == (16, 312)
    (piece,) = compose(toys.network("many", 1, -3.0), 1, 1, length=Length(bars=2), primer=primer)
    composed = piece.notes[2:]
    assert len(composed) and (composed["onset"] >= 16).all()
    assert piece.length == 48  # two bars from the splice on, where the long note is cut
    assert piece.notes[1].tolist() == (12, 36, 1, 40, 62, 81)


def test_a_primers_parts_stay_in_their_order_with_their_names():
    rows = [(0, 4, 40, 60, 7), (0, 4, 40, 72, 120), (4, 4, 40, 74, 3), (4, 4, 0, 50, 81), (8, 8, 40, 62, 80)]
    piece = dataclasses.replace(sequence_of(rows, 16, parts=[0, 1, 1, 2, 0]), names=("Second", "First", "Left hand"))
    for bars, names in ((None, piece.names), ("1:1", piece.names)):
        for made in compose(toys.network("many", 1), 3, 1, length=Length(bars=2), primer=fitted(piece, bars)):
            assert made.part_names[:3] == names
            assert made.notes[:5].tolist() == piece.notes.tolist()
            assert not any(made.part_names[3:])
    # The second bar alone has one part, which keeps its name.
    later = dataclasses.replace(
        sequence_of([*rows, (17, 4, 0, 52, 80)], 32, parts=[0, 1, 1, 2, 0, 2]), names=piece.names
    )
    assert fitted(later, "2:2").sequence.part_names == ("Left hand",)
    made, *_ = compose(toys.network("many", 1), 1, 1, length=Length(notes=4), primer=fitted(piece), no_primer=True)
    assert len(made.part_names) == len(made.part_programs)


def test_the_step_at_which_a_continuation_begins():
    piece = sequence_of([(0, 4, 0, 60, 80)], 40, metres=[(0, 3, 4), (12, 4, 4)])  # bar lines 0, 12, 28, 44
    for splice, start, onset, step in ((20, 28, None, 28), (20, 28, 28, 28), (20, 28, 27, 12), (28, 28, 30, 28)):
        assert first_step(piece, splice, start, onset) == step
    assert first_step(sequence_of([(0, 4, 0, 60, 80)], grid=PERFORMANCE), 7, 7, 9) == 7


@pytest.mark.parametrize("alone", [False, True])
def test_what_would_end_with_its_primer_has_a_note_more(alone):
    network = toys.network("many", 1, 50.0)  # ends at once
    primer = fitted(sequence_of([(0, 4, 0, 60, 80)], 20))
    for made in compose(network, 3, primer=primer, no_primer=alone):
        assert len(made) >= 2 - alone
        assert midi.read(midi.to_bytes(made)).sequence.beats * 4 == made.length


def test_a_continuation_in_which_nothing_can_be_composed_is_refused(monkeypatch):
    monkeypatch.setattr("melodygru.compose.rules.FirstNote.weigh", lambda *_: None)
    message = (
        r"^no note was composed after the primer in 20 attempts: it ends at once; ask for a length \(bars, "
        r"seconds or notes\), or begin with less of the primer \(primer-bars\), or leave a constraint out$"
    )
    with pytest.raises(SettingError, match=message):
        compose(toys.network("many", 1, 50.0), primer=fitted(sequence_of([(0, 4, 0, 60, 80)], 20)))


def test_seconds_are_those_of_the_tempo_at_the_splice():
    piece = NoteSequence(
        note_array([(0, 4, 0, 60, 80), (16, 16, 0, 62, 80)]),
        BEAT,
        32,
        np.array([(0, 500_000), (16, 1_000_000)], TEMPO),
    )
    primer = Primer.fit(piece, MANY)
    assert Plan.from_settings(MANY, Length(seconds=8), primer=primer).steps == 32  # two bars of four seconds
    assert Plan.from_settings(MANY, Length(seconds=8), primer=primer, qpm=120).steps == 64
    (made,) = compose(toys.network("many"), 1, 1, length=Length(seconds=8), primer=primer, no_primer=True)
    assert made.seconds == 8
    assert made.qpm == 60


def test_a_metre_that_the_model_does_not_know_goes_on(checkpoint_of, caplog):
    piece = sequence_of([(0, 14, 0, 60, 80)], 14, metres=[(0, 7, 8)])
    (made,) = generate(checkpoint_of("many"), bars=2, seed=1, primer=piece)
    assert (made.metre, made.length) == ((7, 8), 42)
    assert "1 metre that the model was not trained on (7/8)" in caplog.text


def test_a_file_stands_on_the_grid_of_its_beats_and_a_sequence_where_it_is(tmp_path):
    """Eighths on four bars, 30 of 480 ticks late; a model's step is 120 ticks."""
    notes = note_array([(30 + 240 * at, 240, 0, 60 + at % 8, 80) for at in range(32)])
    late = NoteSequence(notes, Grid.beats(480), 7710)
    midi.write(late, tmp_path / "late.mid")
    from_file = Source.from_given(tmp_path / "late.mid").primer(MANY).sequence
    assert (from_file.notes["onset"] % 2).tolist() == [0] * 32
    as_given = quantize(late, MANY.grid)[0].notes["onset"]
    assert fitted(late).sequence.notes["onset"].tolist() == as_given.tolist()
