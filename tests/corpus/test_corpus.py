"""melodygru.corpus: grid, intake, cache, split."""

import ast
import itertools
import json
import logging
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import unicodedata
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import tune

import melodygru
from melodygru import midi
from melodygru.compose.settings import GenerateSettings
from melodygru.corpus import cache as cache_module
from melodygru.corpus import choose_grid, intake, overlap, packing, require_pieces, split
from melodygru.corpus.grid import PERFORMANCE_GRID, SAMPLE, sample
from melodygru.corpus.report import WIDTH, Tally, _polyphony
from melodygru.errors import CorpusError, SettingError
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE
from melodygru.music.notes import NOTE, TEMPO, NoteSequence, canonical, note_array
from melodygru.music.quantize import quantize

intake_module = sys.modules["melodygru.corpus.intake"]
ROOT = Path(__file__).resolve().parents[2]
TICKS = 480


def piece(*rows, ticks=TICKS, length=None, metre=(4, 4), tempo=500_000):
    """A sequence from rows of (onset, duration, pitch), in ticks."""
    notes = note_array((onset, duration, 0, pitch, 80) for onset, duration, pitch in rows)
    notes, _ = canonical(notes)
    end = int((notes["onset"] + notes["duration"]).max(initial=0))
    return NoteSequence(
        notes,
        Grid.beats(ticks),
        end if length is None else length,
        np.array([(0, tempo)], TEMPO),
        np.array([(0, *metre)], METRE),
    )


def melody(number, n_notes=8, step=TICKS // 4):
    """A tune of sixteenths that no other number shares."""
    rng = np.random.default_rng(number)
    pitches = rng.integers(40, 90, n_notes)
    return piece(*[(i * step, step, int(pitch)) for i, pitch in enumerate(pitches)])


def timed(onsets, durations=None, ticks=TICKS):
    """A sequence with these onsets (ticks) on pitches that never collide."""
    onsets = np.sort(np.asarray(onsets))
    if durations is None:
        durations = np.full(len(onsets), ticks)
    rows = zip(onsets.tolist(), np.asarray(durations).tolist(), np.arange(len(onsets)) % 128, strict=True)
    return piece(*rows, ticks=ticks)


@pytest.fixture
def store(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    """Six tunes in two styles, a duplicate, a damaged and an empty file, and something else."""
    root = tmp_path / "music"
    for name in ("airs/a.mid", "airs/b.MID", "airs/c.mid", "reels/d.mid", "reels/deep/e.midi", "reels/f.kar"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        midi.write(melody(ord(Path(name).stem)), root / name)
    midi.write(melody(ord("a")), root / "reels" / "z.mid")
    (root / "airs" / "bad.mid").write_bytes(b"RIFFnothing")
    midi.write(piece(length=960), root / "airs" / "silent.mid")
    (root / "readme.txt").write_text("no music")
    settle(root)
    return root


def settle(root):
    """Make the files a minute old: a file younger than two seconds is read again."""
    then = time.time_ns() - 60_000_000_000
    for path in root.rglob("*"):
        os.utime(path, ns=(then, then))


def never(*_, **__):
    raise AssertionError("must not be called")


# --- the grid ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 6, 8, 12, 16, 24])
@pytest.mark.parametrize("ticks", [480, 96, 100])
def test_music_on_a_grid_is_found_there(steps, ticks):
    # every step of ten bars of four beats, so that no coarser grid has them all
    onsets = [int(i * ticks / steps + 0.5) for i in range(40 * steps)]
    grid, evidence = choose_grid([timed(onsets, ticks=ticks)])
    assert grid == Grid.beats(steps)
    assert evidence["decided_by"] == "onsets"


def test_low_resolution_files_stand_on_their_ticks():
    grid, _ = choose_grid([timed(range(0, 40), ticks=4, durations=[1] * 40)])
    assert grid == Grid.beats(4)


def test_rare_sixteenths_count_and_rarer_ornaments_do_not():
    eighths = list(range(0, 1000 * 240, 240))
    ten = [240 * i + 120 for i in range(0, 100, 10)]  # 10 of 1010 onsets: 1%
    assert choose_grid([timed(eighths + ten)])[0] == Grid.beats(4)
    assert choose_grid([timed(eighths + ten[:2])])[0] == Grid.beats(2)  # 0.2%


def test_swing_and_triplets():
    swung = [beat * 480 + at for beat in range(64) for at in (0, 320)]
    assert choose_grid([timed(swung)])[0] == Grid.beats(3)
    straight = [beat * 480 + at for beat in range(64) for at in (0, 240)]
    assert choose_grid([timed(swung), timed(straight)])[0] == Grid.beats(6)
    sixteenths = [i * 120 for i in range(128)]
    assert choose_grid([timed(swung), timed(sixteenths)])[0] == Grid.beats(12)


def test_unquantised_durations_leave_it_to_the_onsets():
    rng = np.random.default_rng(0)
    onsets = np.arange(400) * 120
    assert choose_grid([timed(onsets, rng.integers(40, 110, 400))])[0] == Grid.beats(4)
    assert choose_grid([timed(onsets, np.full(400, 108))])[0] == Grid.beats(4)  # each note at 90%


def test_ends_can_ask_for_a_finer_grid():
    beats = np.arange(100) * 480
    grid, evidence = choose_grid([timed(beats, np.tile([480, 240], 50))])
    assert grid == Grid.beats(2)
    assert evidence["decided_by"] == "ends"


def test_ends_far_finer_than_the_onsets_are_articulation():
    eighths = np.arange(100) * 240
    assert choose_grid([timed(eighths, np.full(100, 210))])[0] == Grid.beats(2)  # ends at 1/16 of a beat before


@pytest.mark.parametrize("jitter", [0.002, 0.005, 0.01, 0.015])
def test_a_small_jitter_does_not_hide_the_grid(jitter):
    rng = np.random.default_rng(1)
    pieces = []
    for _ in range(10):
        onsets = rng.choice(800, 300, replace=False) * 120
        pieces.append(timed(np.maximum(0, onsets + np.round(rng.normal(0, jitter * 480, 300)).astype(int))))
    assert choose_grid(pieces)[0] == Grid.beats(4)


@pytest.mark.parametrize(
    ("on", "thirds", "grid"),
    [
        (0.90, 0.0, Grid.beats(4)),
        (0.80, 0.0, PERFORMANCE_GRID),
        (0.89, 0.01, Grid.beats(4)),  # a finer grid misses 10 onsets in a hundred, this one 11
        (0.70, 0.20, Grid.beats(12)),  # here this one would miss 30
    ],
)
def test_ornaments_beside_the_beat_leave_a_grid_of_beats(on, thirds, grid):
    """A share of the onsets on sixteenths, one on thirds of beats, and the rest anywhere."""
    rng = np.random.default_rng(4)
    pieces = []
    for _ in range(6):
        n_on, n_thirds = round(1000 * on), round(1000 * thirds)
        kinds = [rng.integers(0, 4000, n_on) * 120, rng.integers(0, 3000, n_thirds) * 160 + 480_000]
        pieces.append(timed(np.concatenate([*kinds, rng.integers(0, 480_000, 1000 - n_on - n_thirds)])))
    assert choose_grid(pieces)[0] == grid


def live(rng, n_notes=300):
    return timed(rng.choice(n_notes * 200, n_notes, replace=False), rng.integers(20, 900, n_notes))


def test_played_music_gets_ten_milliseconds():
    rng = np.random.default_rng(2)
    for pieces in ([live(rng) for _ in range(10)], [live(rng)]):
        grid, evidence = choose_grid(pieces)
        assert grid == PERFORMANCE_GRID == Grid.parse("10ms")
        assert evidence["decided_by"] == "no beat"
        assert evidence["metrical_pieces"] == 0
        assert max(evidence["onsets"].values()) < 0.1


def test_a_third_of_live_recordings_has_no_vote():
    rng = np.random.default_rng(3)
    scores = [melody(number, 32) for number in range(20)]
    grid, evidence = choose_grid(scores + [live(rng) for _ in range(10)])
    assert grid == Grid.beats(4)
    assert evidence["metrical_pieces"] == 20
    assert choose_grid(scores + [live(rng) for _ in range(11)])[0] == PERFORMANCE_GRID


def test_seconds_take_their_beat_from_the_first_tempo():
    at_100_qpm = NoteSequence(
        piece(*[(i * 600, 600, 60) for i in range(50)]).notes,  # 0.6 s apart
        Grid.seconds(1000),
        30_000,
        np.array([(0, 600_000)], TEMPO),
    )
    assert choose_grid([at_100_qpm])[0] == Grid.beats(1)


def test_no_notes_at_all():
    grid, evidence = choose_grid([piece(length=100)])
    assert grid == Grid.beats(4)
    assert evidence["decided_by"] == "no notes"


def test_the_sample_is_even_and_bounded():
    assert sample(3).tolist() == [0, 1, 2]
    assert sample(0).tolist() == []
    many = sample(10 * SAMPLE)
    assert len(many) == SAMPLE and many[0] == 0 and many[-1] == 10 * SAMPLE - 1


# --- intake -----------------------------------------------------------------------------------------------------


def test_a_folder_becomes_a_corpus(folder, store):
    corpus = intake(folder, cache=store)
    assert [p.path for p in corpus.pieces] == [
        "airs/a.mid",
        "airs/b.MID",
        "airs/c.mid",
        "reels/d.mid",
        "reels/deep/e.midi",
        "reels/f.kar",
    ]
    assert [p.style for p in corpus.pieces] == ["airs"] * 3 + ["reels"] * 3
    assert corpus.styles == ["airs", "reels"]
    assert corpus.grid == Grid.beats(4)
    assert len(corpus) == 6
    for record, sequence in zip(corpus.pieces, corpus, strict=True):
        expected, _, _ = quantize(melody(ord(Path(record.path).stem)), Grid.beats(4))
        assert sequence == expected
        assert (record.n_notes, record.length, record.metre, record.qpm) == (8, 8, (4, 4), 120.0)
    report = corpus.report
    assert (report.notes, report.steps, report.beats, report.seconds) == (48, 48, 12.0, 6.0)
    assert {f.path: f.reason for f in report.skipped} == {
        "airs/bad.mid": "not a MIDI file: begins with b'RIFF', expected b'MThd'",
        "airs/silent.mid": "no notes",
        "reels/z.mid": "duplicate of airs/a.mid",
    }
    assert report.styles == {"airs": 3, "reels": 3}
    assert report.lost == 0


def test_notes_are_slices_of_one_memory_map(folder, store):
    corpus = intake(folder, cache=store)
    notes = [sequence.notes for sequence in corpus]
    assert all(not array.flags.owndata and not array.flags.writeable for array in notes)
    base = notes[0].__array_interface__["data"][0]
    assert [array.__array_interface__["data"][0] - base for array in notes] == [8 * i * NOTE.itemsize for i in range(6)]
    (path,) = store.rglob("notes.bin")
    assert np.array_equal(np.fromfile(path, NOTE), np.concatenate(notes))
    part = corpus.subset([4, 1])
    assert [p.path for p in part.pieces] == ["reels/deep/e.midi", "airs/b.MID"]
    assert part[0].notes.__array_interface__ == notes[4].__array_interface__
    assert part[-1] == corpus[1]
    with pytest.raises(IndexError):
        corpus[6]


def test_no_subfolders_no_style_and_a_single_file(folder, store):
    flat = intake(folder / "airs", cache=store)
    assert {p.style for p in flat.pieces} == {None}
    assert flat.styles == []
    assert flat.report.styles == {"": 3}
    single = intake(folder / "airs" / "a.mid", cache=store)
    assert [p.path for p in single.pieces] == ["a.mid"]
    assert single[0] == flat[0]


def test_a_style_is_one_in_whatever_form_its_name_is_written(tmp_path, store):
    for at, form in enumerate(("NFC", "NFD")):
        style = tmp_path / "music" / unicodedata.normalize(form, "Bjärnö")
        style.mkdir(parents=True, exist_ok=True)
        midi.write(tune(60 + at), style / f"{at}.mid")
    corpus = intake(tmp_path / "music", cache=store)
    assert corpus.styles == [unicodedata.normalize("NFC", "Bjärnö")] and corpus.report.styles == {corpus.styles[0]: 2}
    assert GenerateSettings(style=unicodedata.normalize("NFD", "Bjärnö")).style == corpus.styles[0]


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path, store, monkeypatch):
    music = tmp_path / "music"
    (music / "locked").mkdir(parents=True)
    midi.write(tune(60), music / "a.mid")
    midi.write(tune(61), music / "locked" / "b.mid")
    scandir = os.scandir

    def refuse(path):
        if str(path) in refused:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    refused = [str(music / "locked")]
    report = intake(music, cache=store).report
    why = "cannot list the folder: Permission denied"
    assert [(record.path, record.reason) for record in report.skipped] == [("locked/", why)]
    assert "locked/" in report.table() and why in report.table()
    refused = [str(music)]
    expected = re.escape(f"{music}: {why}; allow it to be read, or give another folder")
    with pytest.raises(CorpusError, match=f"^{expected}$"):
        intake(music, cache=store)
    refused = []
    assert intake(music, cache=store).report.kept == 2


def test_every_file_counts_without_deduplication(folder, store):
    assert len(intake(folder, cache=store)) == 6
    everything = intake(folder, cache=store, deduplicate=False)
    assert [p.path for p in everything.pieces][-1] == "reels/z.mid"
    assert len(everything) == 7
    assert everything.pieces[0].digest == everything.pieces[-1].digest


def test_a_reencoded_file_is_a_duplicate(tmp_path, store):
    root = tmp_path / "music"
    root.mkdir()
    midi.write(melody(1), root / "a.mid")
    coarser, _, _ = quantize(melody(1), Grid.beats(96))
    midi.write(coarser, root / "b.mid", text=["made by another program"])
    faster = piece(*[tuple(row)[:2] + (row["pitch"],) for row in melody(1).notes], tempo=400_000)
    midi.write(faster, root / "c.mid")
    for name, kwargs in (("d", {"metre": (3, 4)}), ("e", {"length": 9999})):
        rows = [tuple(row)[:2] + (row["pitch"],) for row in melody(1).notes]
        midi.write(piece(*rows, **kwargs), root / f"{name}.mid")
    assert len({p.read_bytes() for p in root.iterdir()}) == 5
    corpus = intake(root, cache=store)
    assert [p.path for p in corpus.pieces] == ["a.mid", "d.mid", "e.mid"]
    assert [f.reason for f in corpus.report.skipped] == ["duplicate of a.mid"] * 2


def test_the_grid_can_be_given(folder, store):
    corpus = intake(folder, cache=store, grid=Grid.beats(2))
    assert corpus.grid == Grid.beats(2)
    assert corpus.report.grid_evidence == {"decided_by": "given"}
    report = corpus.report
    # half of the sixteenths lie between eighths: 62.5 ms at 120 qpm is half an eighth's half
    assert (report.moved, report.error_max_ms) == (24, 125.0)
    assert report.error_mean_ms == pytest.approx(62.5)
    assert report.error_p99_ms == pytest.approx(125.0)
    ten_ms = intake(folder, cache=store, grid=Grid.parse("10ms"))
    assert ten_ms.grid == Grid.seconds(100)
    assert ten_ms.report.error_max_ms == pytest.approx(5.0)  # sixteenths at 125 ms
    assert ten_ms.report.moved == 24


def test_notes_lost_are_counted(tmp_path, store):
    root = tmp_path / "music"
    root.mkdir()
    # the second C falls on the first; the third is far enough away
    midi.write(piece((0, 100, 60), (120, 100, 60), (480, 480, 60), (0, 960, 64)), root / "a.mid")
    # fmt: off
    (root / "b.mid").write_bytes(b"MThd" + bytes([0, 0, 0, 6, 0, 0, 0, 1, 0, 96]) + b"MTrk" + bytes([
        0, 0, 0, 20,
        0x00, 0x90, 60, 64,  # note_on
        0x00, 0x80, 60, 64,  # note_off in the same tick: a note of no length
        0x00, 0x90, 64, 64,
        0x60, 0x80, 64, 64,  # one beat later
        0x00, 0xFF, 0x2F, 0,  # end_of_track
    ]))
    # fmt: on
    report = intake(root, cache=store, grid=Grid.beats(1)).report
    assert (report.notes, report.merged, report.cut, report.clipped, report.lost_reading) == (4, 1, 0, 0, 1)
    assert report.lost == 2
    assert report.oddities == {"zero_length": 1}
    assert "notes lost  2: 1 in reading; by the grid 1 merged, 0 cut short, 0 clipped" in report.table()


def test_odd_files_never_stop_an_intake(folder, store, monkeypatch):
    (folder / "airs" / "empty.mid").write_bytes(b"")
    (folder / "airs" / "cut.mid").write_bytes((folder / "airs" / "a.mid").read_bytes()[:30])
    (folder / "airs" / "folder.mid").mkdir()
    (folder / "airs" / "gone.mid").symlink_to(folder / "nowhere.mid")
    odd = folder / "airs" / os.fsdecode(b"\xff\xfe.mid")
    midi.write(melody(990), odd)
    corpus = intake(folder, cache=store)
    assert len(corpus) == 7
    assert odd.name in {Path(p.path).name for p in corpus.pieces}
    again = intake(folder, cache=store)
    assert again.pieces == corpus.pieces
    json.dumps(again.report.as_dict())
    (folder / "airs" / os.fsdecode(b"\xff\xfd.mid")).write_bytes(b"")
    intake(folder, cache=store).report.table().encode("utf-8")

    def denied(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(intake_module, "file_digest", denied)
    os.utime(folder / "airs" / "b.MID", ns=(1, 1))
    skipped = {f.path: f.reason for f in intake(folder, cache=store).report.skipped}
    assert skipped["airs/b.MID"] == "cannot open the file: Permission denied"


def test_nothing_to_work_with(tmp_path, store):
    with pytest.raises(CorpusError, match="nowhere: no such file or folder; give a folder of MIDI files"):
        intake(tmp_path / "nowhere", cache=store)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "song.txt").write_text("la")
    with pytest.raises(CorpusError, match=r"empty holds no MIDI files \(.mid, .midi, .kar, .smf, .rmi\)"):
        intake(empty, cache=store)
    (empty / "x.mid").write_bytes(b"nope")
    with pytest.raises(CorpusError, match=r"holds 1 MIDI file and none can be used \(the first, x.mid: not a MIDI"):
        intake(empty, cache=store)
    with pytest.raises(CorpusError, match=r"holds 1 MIDI file and none can be used"):
        intake(empty / "x.mid", cache=store)
    with pytest.raises(SettingError, match="0 workers: expected at least 1"):
        intake(empty, cache=store, workers=0)


# --- the report -------------------------------------------------------------------------------------------------


def test_the_report_survives_json(folder, store):
    report = intake(folder, cache=store).report
    text = json.dumps(report.as_dict())
    assert type(report).from_dict(json.loads(text)) == report
    values = json.loads(text)
    assert (values["kept"], values["lost"], len(values["files"])) == (6, 0, 9)
    assert values["files"][0] == {"path": "airs/a.mid", "kept": True, "reason": None, "n_notes": 8}


def test_a_file_that_damage_has_emptied_is_called_damaged(folder, store):
    song = midi.to_bytes(melody(0))
    (folder / "cut.mid").write_bytes(song[:45])  # its second track is gone
    (folder / "off.mid").write_bytes(song[:60])  # and here all but its beginning
    settle(folder)
    skipped = {f.path: f.reason for f in intake(folder, cache=store).report.skipped}
    assert skipped["cut.mid"] == "damaged, no notes left: tracks more or fewer than the header says (1)"
    assert skipped["off.mid"] == "damaged, no notes left: tracks that break off (1)"
    assert skipped["airs/silent.mid"] == "no notes"


def test_the_table_names_what_was_skipped(folder, store):
    for number in range(30):
        (folder / "airs" / f"bad-{'long-name-' * 9}{number:02}.mid").write_bytes(b"")
    table = intake(folder, cache=store).report.table()
    lines = table.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert "files       39: 6 kept, 33 skipped" in lines
    assert any(line.startswith("grid        4 steps per beat (found; onsets") for line in lines)
    assert "styles      airs (3), reels (3)" in lines
    assert "notes lost  0" in lines
    assert sum(line.startswith("skipped") for line in lines) == 20
    assert lines[-1] == "            and 13 more"


def test_polyphony_does_not_count_a_note_that_ends_as_another_begins():
    notes = piece((0, 10, 60), (10, 10, 60), (5, 10, 64), (12, 1, 67)).notes
    assert _polyphony(notes) == 3
    assert _polyphony(piece((0, 10, 60), (10, 10, 62)).notes) == 1


def test_the_percentile_is_the_99th():
    tally = Tally()
    source = timed(np.arange(200) * 480)
    on_grid, _, _ = quantize(source, Grid.beats(1))
    errors = np.zeros(200)
    errors[:2] = 0.5  # the worst 1%
    tally.add(source, on_grid, (0, 0, 0), errors, None, 0, {})
    report = tally.report("x", (), Grid.beats(1), {}, np.arange(1))
    assert (report.error_p99_ms, report.error_max_ms, report.error_mean_ms) == (0.0, 500.0, 5.0)
    errors[2] = 0.01
    tally.add(source, on_grid, (0, 0, 0), errors, None, 0, {})
    assert tally.report("x", (), Grid.beats(1), {}, np.arange(1)).error_p99_ms == pytest.approx(10.0)


# --- the cache --------------------------------------------------------------------------------------------------


def test_a_second_run_opens_no_file(folder, store, monkeypatch):
    first = intake(folder, cache=store)
    monkeypatch.setattr(intake_module.midi, "read", never)
    monkeypatch.setattr(intake_module, "file_digest", never)
    monkeypatch.setattr(intake_module, "quantize", never)
    second = intake(folder, cache=store, progress=never)
    assert second.pieces == first.pieces
    assert second.report == first.report
    assert second.fingerprint == first.fingerprint
    assert all(a == b for a, b in zip(first, second, strict=True))


def test_a_copied_folder_is_recognised_by_content(folder, store, tmp_path, monkeypatch):
    first = intake(folder, cache=store)
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)
    for path in copy.rglob("*"):
        os.utime(path, ns=(5, 5))
    monkeypatch.setattr(intake_module.midi, "read", never)
    monkeypatch.setattr(intake_module, "quantize", never)
    second = intake(copy, cache=store)
    assert second.pieces == first.pieces
    assert second.report.folder == str(copy)
    assert first.report.folder == str(folder)


def test_only_new_files_are_read(folder, store, monkeypatch):
    intake(folder, cache=store)
    midi.write(melody(1000), folder / "airs" / "new.mid")
    (folder / "airs" / "b.MID").rename(folder / "airs" / "renamed.mid")
    read, real = [], midi.read
    monkeypatch.setattr(intake_module.midi, "read", lambda path: read.append(path.name) or real(path))
    corpus = intake(folder, cache=store)
    assert read == ["new.mid"]
    assert len(corpus) == 7
    assert "airs/renamed.mid" in [p.path for p in corpus.pieces]


def test_a_changed_file_of_the_same_size_is_noticed(tmp_path, store):
    root = tmp_path / "music"
    root.mkdir()
    for number in (1, 2):
        midi.write(melody(number), root / f"{number}.mid")
    assert (root / "1.mid").stat().st_size == (root / "2.mid").stat().st_size
    before = intake(root, cache=store)
    stat = (root / "1.mid").stat()
    (root / "1.mid").write_bytes((root / "2.mid").read_bytes())
    os.utime(root / "1.mid", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as if within one tick of the clock
    after = intake(root, cache=store)
    assert (len(before), len(after)) == (2, 1)


def test_another_grid_needs_no_reading(folder, store, monkeypatch):
    intake(folder, cache=store)
    monkeypatch.setattr(intake_module.midi, "read", never)
    assert intake(folder, cache=store, grid=Grid.beats(8)).grid == Grid.beats(8)


def test_an_interrupted_intake_goes_on_where_it_stopped(tmp_path, store, monkeypatch):
    root = tmp_path / "music"
    root.mkdir()
    for number in range(40):
        midi.write(melody(number), root / f"{number:02}.mid")
    real, read = midi.read, []

    def interrupted(path):
        if path.name == "35.mid":
            raise KeyboardInterrupt
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(intake_module.midi, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        intake(root, cache=store, workers=1)
    assert not list(store.rglob("notes.bin"))
    monkeypatch.setattr(intake_module.midi, "read", lambda path: read.append(path.name) or real(path))
    calls = []
    corpus = intake(root, cache=store, workers=1, progress=lambda done, total: calls.append((done, total)))
    assert len(corpus) == 40
    assert read[35:] == [f"{n:02}.mid" for n in range(32, 40)]  # two batches of 16 were safe
    assert calls[-1] == (48, 48)
    assert calls == sorted(calls)


def test_an_interruption_while_writing_leaves_nothing_half_made(folder, store, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(intake_module, "quantize", interrupted)
        with pytest.raises(KeyboardInterrupt):
            intake(folder, cache=store)
    assert not list((store / cache_module.version() / "corpora").iterdir())
    assert len(intake(folder, cache=store)) == 6


@pytest.mark.parametrize("name", ["notes.bin", "tempos.bin", "pieces.jsonl", "files.jsonl", "corpus.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "empty"])
def test_a_damaged_corpus_is_made_again(folder, store, name, damage, caplog):
    first = intake(folder, cache=store)
    expected = [sequence.notes.copy() for sequence in first]
    (path,) = store.rglob(name)
    data = bytearray(path.read_bytes())
    path.unlink()
    data[-4] ^= 1
    if damage != "delete":
        path.write_bytes({"flip": data, "truncate": data[:-3], "empty": b""}[damage])
    with caplog.at_level(logging.WARNING, logger="melodygru"):
        again = intake(folder, cache=store)
    assert [r.message for r in caplog.records if "is damaged" in r.message and "making it again" in r.message]
    assert all(np.array_equal(a, b.notes) for a, b in zip(expected, again, strict=True))
    assert len(list((store / cache_module.version() / "corpora").iterdir())) == 1


@pytest.mark.parametrize("damage", ["text", "blob", "meta"])
def test_a_damaged_store_of_read_files_is_made_again(folder, store, damage, caplog):
    intake(folder, cache=store)
    (path,) = store.rglob("parsed.sqlite")
    if damage == "text":
        path.write_bytes(b"this is no database " * 500)
    else:
        with sqlite3.connect(path) as database:
            column, value = {"blob": ("music", b"garbage"), "meta": ("oddities", "{")}[damage]
            database.execute(f"UPDATE parsed SET {column} = ?", (value,))
        database.close()
    with caplog.at_level(logging.WARNING, logger="melodygru"):
        corpus = intake(folder, cache=store, grid=Grid.beats(8))
    assert len(corpus) == 6
    assert len(caplog.records) == 1
    assert "the cache is damaged" in caplog.text


def test_a_damaged_memory_of_folders_is_forgotten(folder, store):
    intake(folder, cache=store)
    for path in (store / cache_module.version() / "folders").iterdir():
        path.write_text('[["airs/a.mid", 1]]')
    assert len(intake(folder, cache=store)) == 6


def test_a_cache_that_cannot_be_written_is_done_without(folder, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with caplog.at_level(logging.WARNING, logger="melodygru"):
        corpus = intake(folder, cache=blocked / "cache")
    assert len(caplog.records) == 1
    assert "the cache cannot be used" in caplog.text and "Not a directory" in caplog.text
    part = corpus.subset([0])
    temporary = Path(corpus._keep.name)
    assert temporary.is_dir()
    del corpus
    assert part[0].notes["onset"].tolist() == list(range(8))
    del part
    assert not temporary.exists()


def test_a_new_reading_rule_makes_old_caches_invisible(folder, store, monkeypatch):
    intake(folder, cache=store)
    monkeypatch.setattr(intake_module.midi, "read", never)
    monkeypatch.setattr(cache_module, "version", lambda: "v0-other")
    with pytest.raises(AssertionError, match="must not be called"):
        intake(folder, cache=store)


def test_the_version_follows_every_module_that_decides_what_is_cached(tmp_path, monkeypatch):
    """It hashes whole wings; what `melodygru.corpus` imports, at any depth, stands in these."""
    package = Path(melodygru.__file__).parent
    imported = {package / "corpus" / "__init__.py"}
    while new := {file for path in imported for file in imports_of(path, package)} - imported:
        imported |= new
    folders = {path.relative_to(package).parts[0] for path in imported}
    assert {"midi", "music", "corpus"} < folders <= {*cache_module.WINGS, "errors.py"}

    for name in ("corpus/cache.py", "music/grid.py", "midi/deep/new.py", "render/page.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(cache_module, "__file__", str(tmp_path / "corpus" / "cache.py"))
    version = cache_module.version.__wrapped__
    versions = [version()]
    for change in ("music/grid.py", "midi/deep/new.py", "corpus/cache.py"):
        (tmp_path / change).write_text("changed = True")
        versions.append(version())
    (tmp_path / "music" / "grid.py").rename(tmp_path / "music" / "other.py")
    versions.append(version())
    assert len(set(versions)) == 5
    (tmp_path / "render" / "page.py").write_text("changed = True")
    assert version() == versions[-1]


def imports_of(path: Path, package: Path) -> set[Path]:
    """The modules of the package that a module imports, at its top or anywhere inside; the package itself left out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "melodygru":
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("melodygru.")]
        else:
            continue
        for name in names:
            base = package.joinpath(*name.split(".")[1:])
            found |= {file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()}
    return found - {package / "__init__.py"}


def test_a_file_is_known_by_its_content_and_by_what_reads_it(tmp_path, monkeypatch):
    for name in ("a.mid", "b.KAR", "c.txt", "d.bin"):
        (tmp_path / name).write_bytes(b"the same")
    monkeypatch.setitem(midi.READERS, ".txt", never)
    digests = [packing.file_digest(tmp_path / name) for name in ("a.mid", "b.KAR", "d.bin", "c.txt")]
    assert digests[0] == digests[1] == digests[2] != digests[3]


def test_the_cache_lies_where_the_environment_says(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MELODYGRU_CACHE", str(tmp_path / "named"))
    intake(folder)
    assert list((tmp_path / "named").rglob("notes.bin"))
    monkeypatch.delenv("MELODYGRU_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache_module.default_folder() == tmp_path / "xdg" / "melodygru"


def test_several_intakes_share_a_cache_at_once(many, folder, store):
    jobs = [many, folder, many, folder, many]
    with ThreadPoolExecutor(len(jobs)) as threads:
        corpora = list(threads.map(lambda job: intake(job, cache=store, workers=1), jobs))
    assert [len(corpus) for corpus in corpora] == [39, 6, 39, 6, 39]
    assert corpora[0].pieces == corpora[2].pieces == corpora[4].pieces
    assert len(list((store / cache_module.version() / "corpora").iterdir())) == 2


def test_what_nobody_opens_is_swept_away(folder, store):
    intake(folder, cache=store)
    here = store / cache_module.version()
    (used,) = (here / "corpora").iterdir()
    older = store / "v1-0123456789ab"
    (older / "corpora").mkdir(parents=True)
    young, old = here / "corpora" / "young", here / "corpora" / "old"
    left, leaving = here / "corpora" / ".new-left", here / "corpora" / ".new-leaving"
    theirs = store / "v1-notes"
    for path in (young, old, left, leaving, theirs):
        path.mkdir()
    day = 86_400
    for path, age in ((older, 61), (young, 59), (old, 61), (left, 1.1), (leaving, 0.9), (theirs, 99), (here, 99)):
        os.utime(path, (time.time() - age * day,) * 2)
    os.utime(used, (time.time() - 59 * day,) * 2)
    intake(folder, cache=store)
    assert [path for path in (older, old, left) if path.exists()] == []
    assert all(path.exists() for path in (young, leaving, theirs, here, used))
    assert time.time() - used.stat().st_mtime < day  # opened just now


def test_packing_keeps_every_value():
    sequences = [
        melody(5),
        piece(length=7),
        NoteSequence(
            melody(1).notes,
            Grid.seconds(25),
            100_000,
            np.array([(0, 400_000)], TEMPO),
            np.array([(0, 3, 4), (77, 6, 8)], METRE),
        ),
    ]
    for sequence in sequences:
        assert packing.unpack(packing.pack(sequence)) == sequence


# --- processes --------------------------------------------------------------------------------------------------


@pytest.fixture
def many(tmp_path):
    root = tmp_path / "many"
    root.mkdir()
    for number in range(40):
        midi.write(melody(number), root / f"{number:02}.mid")
    (root / "20.mid").write_bytes(b"broken")
    return root


def test_processes_and_executors_give_the_same_corpus(many, tmp_path):
    alone = intake(many, cache=tmp_path / "1", workers=1)
    together = intake(many, cache=tmp_path / "2", workers=2)
    with ThreadPoolExecutor(3) as executor:
        threads = intake(many, cache=tmp_path / "3", executor=executor)
        assert executor.submit(int, "7").result() == 7  # left running
    assert alone.pieces == together.pieces == threads.pieces
    assert alone.report == together.report == threads.report
    assert all(a == b == c for a, b, c in zip(alone, together, threads, strict=True))


def test_few_files_start_no_processes(folder, store, monkeypatch):
    monkeypatch.setattr(intake_module, "ProcessPoolExecutor", never)
    assert len(intake(folder, cache=store, workers=4)) == 6


class Dying(ThreadPoolExecutor):
    """Runs `lives` jobs, and then its processes are gone."""

    n_workers = 0.5  # one batch at a time

    def __init__(self, lives=0):
        super().__init__(1)
        self.lives = lives

    def submit(self, *job):
        if self.lives:
            self.lives -= 1
            return super().submit(*job)
        future = Future()
        future.set_exception(BrokenExecutor("A process was terminated."))
        return future


def test_dead_processes_are_done_without(many, store, caplog, monkeypatch):
    monkeypatch.setattr(intake_module, "ProcessPoolExecutor", lambda *_, **__: Dying())
    with caplog.at_level(logging.WARNING, logger="melodygru"):
        corpus = intake(many, cache=store, workers=2)
    assert len(corpus) == 39
    assert "the processes that read files have ended (A process was terminated)" in caplog.text


def test_what_an_executor_read_before_it_failed_is_kept(many, store, monkeypatch):
    message = (
        r"the executor that reads the files has failed \(A process was terminated\) after 16 of 40 files; these are "
        "kept: run again to go on with the others"
    )
    with pytest.raises(CorpusError, match=message):
        intake(many, cache=store, executor=Dying(1))
    read, real = [], midi.read
    monkeypatch.setattr(intake_module.midi, "read", lambda path: read.append(path) or real(path))
    assert len(intake(many, cache=store, workers=1)) == 39
    assert len(read) == 40 - 16


def test_an_executor_that_takes_no_more_is_named(many, store):
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(CorpusError, match=r"has failed \(cannot schedule new futures after shutdown\) after 0 of 40"):
        intake(many, cache=store, executor=executor)


def test_an_executor_is_sent_bytes_and_not_paths(many, store):
    class Elsewhere(ThreadPoolExecutor):
        n_workers = 1
        most = 0

        def submit(self, fn, batch, *arguments):
            assert all(isinstance(content, bytes) and suffix == ".mid" for _, suffix, content in batch)
            self.most = max(self.most, self._work_queue.qsize() + 1)
            return super().submit(fn, batch, *arguments)

    with Elsewhere(1) as executor:
        assert len(intake(many, cache=store, executor=executor)) == 39
    assert executor.most <= 2  # twice the workers


def test_a_file_that_goes_away_is_a_line_in_the_report(many, store):
    class Slow(ThreadPoolExecutor):
        n_workers = 0.5  # one batch at a time

        def submit(self, *job):
            (many / "39.mid").unlink(missing_ok=True)
            return super().submit(*job)

    with Slow(1) as executor:
        report = intake(many, cache=store, executor=executor).report
    assert report.skipped[-1].path == "39.mid"
    assert report.skipped[-1].reason == "cannot open the file: No such file or directory"


def test_workers_of_another_version_are_refused(many, store, monkeypatch):
    monkeypatch.setattr(cache_module, "version", lambda: "v1-here")
    monkeypatch.setattr(intake_module, "version", itertools.chain(["v1-here"], itertools.repeat("v1-there")).__next__)
    with ThreadPoolExecutor(1) as executor:
        message = "a worker reads by the rule v1-there, expected v1-here: install the same melodygru on all hosts"
        with pytest.raises(CorpusError, match=message):
            intake(many, cache=store, executor=executor, workers=1)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_intake_leaves_no_processes(many, store, how):
    # the files are a group of their own, as a terminal's Ctrl-C would find them
    script = (
        "import sys, time\n"
        "from melodygru.corpus import intake\n"
        "def stop(done, total):\n"
        "    print('reading', flush=True)\n"
        "    time.sleep(30)\n"
        "if __name__ == '__main__':\n"
        "    intake(sys.argv[1], cache=sys.argv[2], workers=2, progress=stop)\n"
    )
    path = many.parent / "script.py"
    path.write_text(script)
    process = subprocess.Popen(
        [sys.executable, path, many, store],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    assert process.stdout.readline() == b"reading\n"
    if how == signal.SIGINT:
        os.killpg(process.pid, how)
    else:
        process.kill()
    process.wait(timeout=20)
    process.stdout.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail("a process outlived the intake")
    assert len(intake(many, cache=store, workers=1)) == 39


# --- split ------------------------------------------------------------------------------------------------------


def make(tmp_path, styles):
    """A corpus with so many pieces of each style."""
    root = tmp_path / "split"
    number = 0
    for style, count in styles.items():
        (root / style).mkdir(parents=True, exist_ok=True)
        for _ in range(count):
            midi.write(melody(number), root / style / f"{number:03}.mid")
            number += 1
    return intake(root, cache=tmp_path / "cache", workers=1)


def styles_of(corpus):
    found = [p.style for p in corpus.pieces]
    return {style: found.count(style) for style in sorted(set(found))}


def test_split_takes_its_share_of_every_style(tmp_path):
    corpus = make(tmp_path, {"a": 20, "b": 10, "c": 1})
    train, validation = split(corpus, 0.1, seed=0)
    assert styles_of(validation) == {"a": 2, "b": 1}
    assert styles_of(train) == {"a": 18, "b": 9, "c": 1}
    paths = [p.path for p in corpus.pieces]
    assert sorted(p.path for part in (train, validation) for p in part.pieces) == paths
    for part in (train, validation):
        assert [p.path for p in part.pieces] == sorted(p.path for p in part.pieces)
        for record, sequence in zip(part.pieces, part, strict=True):
            assert sequence == corpus[paths.index(record.path)]
    assert overlap(train, validation) == []


def test_split_follows_from_the_seed_and_the_music(tmp_path):
    corpus = make(tmp_path, {"a": 30})
    chosen = [p.digest for p in split(corpus, 0.2, seed=1)[1].pieces]
    assert len(chosen) == 6
    assert [p.digest for p in split(corpus, 0.2, seed=1)[1].pieces] == chosen
    assert [p.digest for p in split(corpus, 0.2, seed=2)[1].pieces] != chosen
    for number, path in enumerate(sorted((tmp_path / "split" / "a").iterdir(), reverse=True)):
        path.rename(path.with_name(f"renamed-{number:02}.mid"))
    renamed = intake(tmp_path / "split", cache=tmp_path / "cache")
    assert {p.digest for p in split(renamed, 0.2, seed=1)[1].pieces} == set(chosen)
    assert renamed.fingerprint == corpus.fingerprint


def test_split_at_its_edges(tmp_path):
    corpus = make(tmp_path, {"a": 1, "b": 1, "c": 1})
    assert [len(part) for part in split(corpus, 0.01)] == [2, 1]
    assert [len(part) for part in split(corpus, 0.99)] == [1, 2]
    pair = corpus.subset([0, 1])
    assert [len(part) for part in split(pair, 0.5)] == [1, 1]
    with pytest.raises(CorpusError, match="split holds 1 usable piece, expected at least 2: add more MIDI files"):
        split(corpus.subset([0]))
    for fraction in (0.0, 1.0, float("nan")):
        with pytest.raises(SettingError, match="expected a number above 0 and below 1"):
            split(corpus, fraction)


def test_a_lone_piece_is_refused_with_the_reason(tmp_path, store):
    root = tmp_path / "one"
    root.mkdir()
    midi.write(melody(1), root / "a.mid")
    (root / "b.mid").write_bytes(b"")
    corpus = intake(root, cache=store)
    require_pieces(corpus, 1)
    with pytest.raises(CorpusError, match=r"1 usable piece \(1 skipped; the first, b.mid: the file is empty\)"):
        require_pieces(corpus, 2)


def test_fingerprints_tell_corpora_apart(folder, store):
    corpus = intake(folder, cache=store)
    prints = {
        corpus.fingerprint,
        corpus.subset([0, 1]).fingerprint,
        intake(folder, cache=store, grid=Grid.beats(8)).fingerprint,
        intake(folder, cache=store, deduplicate=False).fingerprint,
    }
    assert len(prints) == 4
    assert corpus.subset([1, 0]).fingerprint == corpus.subset([0, 1]).fingerprint


def test_overlap_names_both_files(folder, tmp_path, store):
    other = tmp_path / "validation"
    other.mkdir()
    coarser, _, _ = quantize(melody(ord("d")), Grid.beats(96))
    midi.write(coarser, other / "again.mid")
    midi.write(melody(77), other / "fresh.mid")
    pairs = overlap(intake(folder, cache=store), intake(other, cache=store))
    assert pairs == [("again.mid", "reels/d.mid")]
