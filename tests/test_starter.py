"""The starter corpus: every file against its catalogue, and the script's rules on bars written by hand."""

from __future__ import annotations

import csv
import io
import struct
from collections import Counter
from fractions import Fraction
from pathlib import Path

import band_files
import make_starter
import mido
import numpy as np
import pytest

from melodygru import midi
from melodygru.music.grid import Grid
from melodygru.music.notes import NoteSequence, note_array
from melodygru.music.quantize import quantize

DATA = Path(__file__).parent.parent / "data"
STARTER = DATA / "starter"
BAR = Fraction(4)
SCORES = ("chorales", "reels", "jigs", "hornpipes", "airs", "quartets")  # written from scores; bands are played


def catalogue() -> list[dict[str, str]]:
    with (STARTER / "catalogue.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def pieces() -> list[tuple[dict[str, str], NoteSequence]]:
    return [(row, midi.read(STARTER / row["file"]).sequence) for row in catalogue()]


@pytest.fixture(scope="module")
def scores(pieces) -> list[tuple[dict[str, str], NoteSequence]]:
    return [(row, sequence) for row, sequence in pieces if row["style"] in SCORES]


def test_catalogue_lists_exactly_the_files() -> None:
    listed = [row["file"] for row in catalogue()]
    assert len(listed) == len(set(listed))
    assert set(listed) == {path.relative_to(STARTER).as_posix() for path in STARTER.rglob("*.mid")}
    assert all(row["file"].split("/")[0] == row["style"] for row in catalogue())
    assert all(row["file"].isascii() for row in catalogue())


def test_counts_and_size() -> None:
    counts = Counter(row["style"] for row in catalogue())
    tunes = {"reels": 421, "jigs": 439, "hornpipes": 307, "airs": 357}
    assert counts == {"chorales": 340, **tunes, "quartets": 25, "bands": 65}
    assert sum(path.stat().st_size for path in STARTER.rglob("*") if path.is_file()) < 6_000_000


@pytest.mark.slow
def test_files_hold_what_the_catalogue_says(pieces) -> None:
    for row, sequence in pieces:
        assert band_files.strokes((STARTER / row["file"]).read_bytes()) == int(row["notes"]), row["file"]
        assert len(sequence) == int(row["notes"]) or row["style"] in ("quartets", "bands"), row["file"]
        assert "{}/{}".format(*sequence.metre) == row["metre"], row["file"]
        assert f"{sequence.qpm:.0f}" == row["qpm"], row["file"]
        assert f"{sequence.seconds:.1f}" == row["seconds"], row["file"]
        assert set(sequence.notes["velocity"]) == {80} or row["style"] == "bands", row["file"]


def test_chorales_have_four_voices_and_tunes_one(scores) -> None:
    for row, sequence in scores:
        if row["style"] != "quartets":
            assert sequence.programs == ([40, 41, 42, 43] if row["style"] == "chorales" else [110]), row["file"]


@pytest.mark.slow
def test_bands_and_quartets_keep_the_names_of_their_parts() -> None:
    named = Counter()
    for row in catalogue():
        if row["style"] in ("quartets", "bands"):
            tracks = mido.MidiFile(STARTER / row["file"], charset="utf-8").tracks
            playing = [track for track in tracks if any(message.type == "note_on" for message in track)]
            assert len(playing) >= 2, row["file"]
            if row["style"] == "quartets":
                assert [track.name for track in playing] == ["Violin I", "Violin II", "Viola", "Cello"], row["file"]
            assert len({sum(message.time for message in track) for track in tracks}) == 1, f"{row['file']}: ends"
            named[row["style"]] += sum(track.name != "" for track in playing)
    assert named == {"quartets": 100, "bands": 465}


def test_voices_are_single_lines(scores) -> None:
    for row, sequence in scores:
        if row["style"] == "quartets":
            continue
        for program in sequence.programs:
            voice = sequence.notes[sequence.notes["program"] == program]
            assert np.all(voice["onset"][:-1] + voice["duration"][:-1] <= voice["onset"][1:]), row["file"]


def test_scores_lie_on_twelve_steps_per_beat_and_quartets_on_twenty_four(scores) -> None:
    for row, sequence in scores:
        quantized, changes, _ = quantize(sequence, Grid.beats(24 if row["style"] == "quartets" else 12))
        assert changes.total == 0, row["file"]
        back, _, _ = quantize(quantized, sequence.grid)
        assert back == sequence, row["file"]


def test_bar_lines_carry_the_music(scores) -> None:
    """Notes begin on bar lines and seldom sound across them; moved by an eighth or a beat, every style would fail."""
    struck: dict[str, list[float]] = {}
    for row, sequence in scores:
        notes, starts = sequence.notes, sequence.bar_starts()
        inside = starts[(starts >= notes["onset"][0]) & (starts < sequence.length)]
        share = np.isin(inside, notes["onset"]).mean()
        assert share > 0.5, f"{row['file']}: notes begin on {share:.0%} of the bar lines"
        last = notes["onset"] + notes["duration"] - 1
        across = np.searchsorted(starts, notes["onset"], side="right") != np.searchsorted(starts, last, side="right")
        assert across.mean() < 0.12, f"{row['file']}: {across.mean():.0%} of the notes sound across a bar line"
        struck.setdefault(row["style"], []).append(share)
    for style, shares in struck.items():
        assert np.mean(shares) > 0.99, style


def test_no_two_files_are_alike(pieces) -> None:
    seen: dict[bytes, str] = {}
    for row, sequence in pieces:
        notes = sequence.notes.copy()
        notes["pitch"] -= notes["pitch"][0]
        assert notes.tobytes() not in seen, f"{row['file']} repeats {seen[notes.tobytes()]}"
        seen[notes.tobytes()] = row["file"]


def bar(length: float = 4, *, opens=False, closes=False, divides=False, endings=(), metre=None, notes=()):
    return make_starter.Bar(Fraction(length), metre, (tuple(notes),), opens, closes, divides, tuple(endings))


def test_repeat_without_an_opening_sign_goes_back_to_the_sign_or_double_bar_before_it() -> None:
    bars = [bar(), bar(closes=True), bar(), bar(divides=True), bar(), bar(closes=True)]
    assert make_starter.play_order(bars) == [0, 1, 0, 1, 2, 3, 4, 5, 4, 5]


def test_a_double_bar_inside_an_opened_repeat_does_not_move_its_start() -> None:
    bars = [bar(), bar(opens=True), bar(divides=True), bar(closes=True), bar()]
    assert make_starter.play_order(bars) == [0, 1, 2, 3, 1, 2, 3, 4]


def test_endings_are_played_by_pass_and_a_second_one_is_as_long_as_the_first() -> None:
    bars = [bar(), bar(endings=[1]), bar(endings=[1], closes=True), bar(endings=[2]), bar(closes=True), bar()]
    assert make_starter.play_order(bars) == [0, 1, 2, 0, 3, 4, 5]


@pytest.mark.parametrize(
    "bars",
    [
        [bar(), bar(endings=[1]), bar()],  # never goes back
        [bar(), bar(endings=[1], closes=True), bar()],  # no second ending
        [bar(), bar(endings=[2])],  # no first ending
        [bar(), bar(endings=[1], closes=True), bar(endings=[3])],
    ],
)
def test_incomplete_endings_are_dropped(bars) -> None:
    with pytest.raises(make_starter.Dropped, match="endings that are not a first and a second"):
        make_starter.play_order(bars)


def test_an_upbeat_gets_rests_and_completes_the_short_bar_at_a_repeat() -> None:
    upbeat = bar(1, metre=(4, 4), notes=[(Fraction(0), Fraction(1), 67, False)])
    full = bar(4, notes=[(Fraction(0), Fraction(4), 72, False)])
    short = bar(3, notes=[(Fraction(0), Fraction(3), 60, False)])
    layout = make_starter.lay_out([upbeat, full, short, upbeat, full, short])
    assert [(int(onset), int(duration), pitch) for onset, duration, _, pitch in layout.notes] == [
        (3, 1, 67),
        (4, 4, 72),
        (8, 3, 60),
        (11, 1, 67),
        (12, 4, 72),
        (16, 3, 60),
    ]
    assert layout.bar_lines == [0, 4, 8, 12, 16]
    assert layout.length == 19


def test_bars_that_do_not_add_up_are_dropped() -> None:
    for lengths in ([4, 3, 4], [4, 5], [4, 3, 2], [4, 0, 4]):
        bars = [bar(lengths[0], metre=(4, 4)), *(bar(length) for length in lengths[1:])]
        with pytest.raises(make_starter.Dropped, match="bars that do not add up"):
            make_starter.lay_out(bars)
    assert make_starter.lay_out([bar(4, metre=(4, 4)), bar(3), bar(1), bar(4)]).length == 12


def test_metre_changes_at_bar_lines_only() -> None:
    layout = make_starter.lay_out([bar(4, metre=(4, 4)), bar(3, metre=(3, 4)), bar(3)])
    assert layout.metres == [(0, 4, 4), (4, 3, 4)]
    assert layout.bar_lines == [0, 4, 7, 10]
    with pytest.raises(make_starter.Dropped, match="a change of metre inside a bar"):
        make_starter.lay_out([bar(4, metre=(4, 4)), bar(1), bar(3, metre=(3, 4))])
    with pytest.raises(make_starter.Dropped, match="no time signature"):
        make_starter.lay_out([bar()])


@pytest.mark.parametrize(
    ("style", "metres", "expected", "steps", "qpm"),
    [
        ("reels", [(2, 4)], [(0, 2, 2)], 12, 208),
        ("reels", [(2, 2)], [(0, 2, 2)], 6, 208),
        ("airs", [(2, 4)], [(0, 2, 4)], 6, 66),
        ("hornpipes", [(2, 4)], [(0, 2, 2)], 12, 168),
        ("reels", [(2, 4), (3, 4)], [(0, 2, 4), (384, 3, 4)], 6, 104),  # one that changes its metre keeps it
    ],
)
def test_reels_and_hornpipes_are_in_one_notation(style, metres, expected, steps, qpm) -> None:
    bars = []
    for metre in metres:
        notes = [(Fraction(at, 2), Fraction(1, 2), 60 + at, False) for at in range(4 * metre[0] // metre[1] * 2)]
        length = Fraction(4 * metre[0], metre[1])
        bars += [bar(length, metre=metre, notes=notes), *[bar(length, notes=notes)] * 15]
    sequence = make_starter.to_sequence(style, bars, list(range(len(bars))), None)
    assert [tuple(mark) for mark in sequence.metres.tolist()] == expected
    assert sequence.notes["onset"][1] == steps == sequence.notes["duration"][0]
    assert round(sequence.qpm) == qpm


def test_tied_notes_are_one_and_a_tie_to_another_pitch_is_none() -> None:
    tied = bar(4, metre=(4, 4), notes=[(Fraction(0), BAR, 60, True)])
    same = bar(4, notes=[(Fraction(0), Fraction(2), 60, False), (Fraction(2), Fraction(2), 60, False)])
    other = bar(4, notes=[(Fraction(0), BAR, 62, False)])
    assert make_starter.lay_out([tied, same]).notes == [(0, 6, 0, 60), (6, 2, 0, 60)]
    assert make_starter.lay_out([tied, other]).notes == [(0, 4, 0, 60), (4, 4, 0, 62)]


def _piece(pitches: list[int], metre: tuple[int, int], step: int) -> object:
    notes = note_array((at * step, step, 110, pitch, 80) for at, pitch in enumerate(pitches))
    metres = np.array([(0, *metre)], make_starter.METRE)
    return make_starter.Piece(None, NoteSequence(notes, Grid.beats(4), len(pitches) * step, metres=metres), 0)


def test_duplicates_are_found_through_transposition_and_notation_and_small_changes() -> None:
    tune = [60, 62, 64, 65, 67, 65, 64, 62, 60, 62]
    first = _piece(tune, (4, 4), 2)
    higher_in_sixteenths = _piece([pitch + 5 for pitch in tune], (2, 4), 1)
    one_note_differs = _piece([*tune[:-1], 64], (4, 4), 2)
    two_notes_differ = _piece([*tune[:-2], 64, 65], (4, 4), 2)
    kept, left_out = make_starter.without_duplicates([first, higher_in_sixteenths, one_note_differs, two_notes_differ])
    assert [piece is first or piece is two_notes_differ for piece in kept] == [True, True]
    assert left_out == 2


def test_titles() -> None:
    assert make_starter.tidy_title("BAG OF MEAL., THE -- REEL.") == "The Bag Of Meal"
    assert make_starter.tidy_title("O'CONNELL'S WELCOME -- JIG") == "O'Connell's Welcome"
    assert make_starter.tidy_title("Eileen Alanna - Reel") == "Eileen Alanna"
    assert make_starter.slug("Wie schön leuchtet, der Morgenstern") == "wie-schon-leuchtet-der-morgenstern"


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.mid").write_bytes(b"mine")
    with pytest.raises(SystemExit, match=r"holds mine\.mid, which is not in its catalogue\.csv"):
        make_starter.write_corpus([], tmp_path)
    assert (tmp_path / "mine.mid").read_bytes() == b"mine"


def test_rebuilt_pieces_are_the_same_music(tmp_path: Path) -> None:
    music21 = pytest.importorskip("music21")
    corpus = Path(music21.__file__).parent / "corpus"
    keys = {"bwv101-7-nimm-von-uns-herr-du-treuer-gott", "ryan-bully-for-you", "oneill-1712-nelsons-victory"}
    keys.add("mozart-k80-3")
    candidates = [*make_starter.chorales(corpus), *make_starter.tunes(corpus), *make_starter.quartets(corpus)]
    built = [make_starter.build(candidate) for candidate in candidates if candidate.key in keys]
    assert {piece.candidate.key for piece in built} == keys
    make_starter.write_corpus(built, tmp_path)
    for path in tmp_path.rglob("*.mid"):
        assert midi.read(path).sequence == midi.read(STARTER / path.relative_to(tmp_path)).sequence


def track(*messages: mido.Message | mido.MetaMessage) -> mido.MidiTrack:
    return mido.MidiTrack(messages)


def test_a_cleaned_band_is_what_it_was_to_the_reader() -> None:
    tempo, metre = mido.MetaMessage("set_tempo", tempo=400_000), mido.MetaMessage("time_signature", numerator=3)
    file = mido.MidiFile(type=1, ticks_per_beat=96)
    file.tracks.append(track(mido.MetaMessage("track_name", name="3. Title"), tempo, metre, tempo.copy(time=96)))
    bass = [
        mido.MetaMessage("track_name", name="Bass"),
        mido.Message("program_change", channel=2, program=33),
        mido.Message("control_change", channel=2, control=7, value=100),
        mido.Message("note_on", channel=2, note=40, velocity=90, time=24),
        mido.Message("pitchwheel", channel=2, pitch=99, time=24),
        mido.Message("note_off", channel=2, note=40, time=24),
    ]
    drums = [mido.Message("note_on", channel=9, note=36, velocity=velocity, time=48) for velocity in (100, 0)]
    file.tracks += [track(*bass), track(mido.MetaMessage("track_name", name="by a friend")), track(*drums)]
    buffer = io.BytesIO()
    file.save(file=buffer)
    cleaned = band_files.clean(buffer.getvalue(), text=("Title", "source"))
    assert midi.read(cleaned).sequence == midi.read(buffer.getvalue()).sequence
    tracks = mido.MidiFile(file=io.BytesIO(cleaned)).tracks
    assert [track.name for track in tracks] == ["", "Bass", ""]
    assert Counter(message.type for track in tracks for message in track) == {
        "text": 2,
        "set_tempo": 1,
        "time_signature": 1,
        "track_name": 1,
        "program_change": 1,
        "note_on": 4,
        "end_of_track": 3,
    }
    assert band_files.strokes(cleaned) == 2
    assert band_files.title_of(buffer.getvalue(), "D_E1M1") == "Title"
    assert band_files.title_of(cleaned, "D_E1M1") == "E1M1"


def test_a_piece_that_was_a_mus_file_gets_its_beat() -> None:
    file = mido.MidiFile(type=1, ticks_per_beat=89)
    onsets = [70 * beat for beat in range(4)]  # half a second at 140 ticks a second: 120 quarter notes a minute
    notes = [(at, mido.Message("note_on", note=60, velocity=64 * (at in onsets))) for at in sorted([*onsets, 20, 230])]
    before = [0, *(at for at, _ in notes)]
    messages = [message.copy(time=at - last) for (at, message), last in zip(notes, before, strict=False)]
    file.tracks.append(track(mido.MetaMessage("set_tempo", tempo=631_578), *messages))
    buffer = io.BytesIO()
    file.save(file=buffer)
    sequence = midi.read(band_files.clean(buffer.getvalue(), mus_qpm=120)).sequence
    assert sequence.qpm == 120
    assert sequence.notes["onset"].tolist() == [0, 480, 960, 1440]


def test_lumps_of_music_are_found_in_a_wad(tmp_path: Path) -> None:
    content = [(b"PLAYPAL", b"colours"), (b"D_E1M1", b"MThd one"), (b"D_RUNNIN", b"MThd two")]
    directory, at = b"", 12
    for name, data in content:
        directory += struct.pack("<ii8s", at, len(data), name)
        at += len(data)
    wad = struct.pack("<4sii", b"IWAD", len(content), at) + b"".join(data for _, data in content) + directory
    assert list(band_files.lumps(wad)) == [("D_E1M1", b"MThd one"), ("D_RUNNIN", b"MThd two")]
    with pytest.raises(SystemExit, match=r"holds no freedoom1\.wad; give the folder"):
        band_files.find_wads(tmp_path)
    (tmp_path / "freedoom1.wad").write_bytes(wad)
    with pytest.raises(SystemExit, match=r"freedoom1\.wad is not Freedoom 0\.12\.1's"):
        band_files.find_wads(tmp_path)


def test_a_quartet_is_played_once_and_keeps_its_chords_and_late_rests() -> None:
    def four(length, first, **marks):
        rest = ((Fraction(0), Fraction(4), 48, False),)
        return make_starter.Bar(Fraction(length), marks.pop("metre", None), (tuple(first), rest, rest, rest), **marks)

    plain = {"opens": False, "closes": False, "divides": False}
    double_stop = [(Fraction(0), Fraction(4), pitch, True) for pitch in (60, 64)]
    end = [(Fraction(0), Fraction(4), 64, False), *[(Fraction(0), Fraction(beats), 72, False) for beats in (4, 2)]]
    bars = [
        four(4, double_stop, metre=(4, 4), endings=(), **plain),
        four(4, double_stop, endings=(1,), opens=False, closes=True, divides=False),
        four(4, end, endings=(2,), **plain),
    ]
    data = make_starter.to_quartet(bars, 120, ("title", "source"))
    violin = [message for message in mido.MidiFile(file=io.BytesIO(data)).tracks[1] if message.type == "note_on"]
    assert [(message.note, message.velocity, message.time) for message in violin] == [
        (60, 80, 0),
        (64, 80, 0),
        (60, 0, 384),
        (72, 80, 0),  # two stems, the longer counts
        (64, 0, 384),
        (72, 0, 0),
    ]
