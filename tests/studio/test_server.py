"""The server over HTTP: what each route answers, what it refuses, and many at once."""

import contextlib
import dataclasses
import http.client
import io
import json
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from serving import QUICK, ROOT, Served, tune

from melodygru import midi
from melodygru.compose.settings import SETTINGS
from melodygru.errors import SettingError
from melodygru.midi.editing import Editor
from melodygru.music.notes import note_array
from melodygru.studio import composing


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    one = Served(tmp_path_factory.mktemp("server") / "project")
    yield one
    one.close()


@pytest.fixture
def piece(served):
    """A melody over a bass, of this test's own."""
    return served.bring(tune())


# -- what there is


def test_the_status_says_all_that_the_page_needs(served, piece):
    status = served.get("/api/status")
    assert {setting["name"] for setting in status["settings"]} >= {"bars", "temperature", "style", "metre", "chords"}
    assert not {"primer", "primer_bars", "no_primer", "constraints", "num_outputs"} & {
        setting["name"] for setting in status["settings"]
    }
    assert {setting["name"] for setting in status["redo_settings"]} >= {
        "bars",
        "parts",
        "lock",
        "fields",
        "keep",
        "add",
    }
    bars = next(setting for setting in status["settings"] if setting["name"] == "bars")
    assert (bars["type"], bars["low"], bars["high"], bars["help"]) == ("int", 1, 100_000, SETTINGS["bars"].about.help)
    top_p = next(setting for setting in status["settings"] if setting["name"] == "top_p")
    assert (top_p["low"], top_p["low_open"], top_p["high"], top_p["high_open"]) == (0, True, 1, False)
    style = next(setting for setting in status["settings"] if setting["name"] == "style")
    assert style["choices"] == status["model"]["styles"] == ["airs", "bands", *style["choices"][2:]]
    assert len(status["model"]["programs"]) == 129
    assert status["pieces"][0]["id"] == piece["id"]
    assert set(status["formats"]) == {"mid", "wav", "flac", "png", "svg", "musicxml", "html", "stems"}


def test_a_piece_as_the_page_shows_it(piece):
    assert piece["ticks_per_beat"] == 480 and piece["length"] == 4 * 1920
    assert piece["bars"] == [0, 1920, 3840, 5760, 7680]
    assert piece["beats"] == list(range(0, 7680, 480))
    assert piece["tempos"] == [[0, 120.0]] and piece["metres"] == [[0, 4, 4]] and piece["key"] == "C major"
    assert [(part["name"], part["program"], part["family"], part["locked"]) for part in piece["parts"]] == [
        ("Fingered Bass", 33, "bass", False),
        ("Flute", 73, "winds", False),
    ]
    assert piece["notes"][:3] == [[0, 0, 960, 36, 90], [1, 0, 480, 60, 80], [1, 480, 480, 62, 80]]
    assert piece["form"] == ["A"] * 4 and piece["chords"][0][0] == 0
    assert all(tick % 960 == 0 and isinstance(name, str) for tick, name in piece["chords"])
    assert (piece["can_undo"], piece["can_redo"], piece["composed"], piece["provenance"]) == (False, False, False, None)


def test_the_page_and_its_files(served):
    status, headers, body = served.raw("GET", "/")
    assert status == 200 and headers["content-type"].startswith("text/html") and b"<script" in body
    status, headers, _ = served.raw("GET", "/static/store.js")
    assert headers["content-type"].startswith("text/javascript") and headers["cache-control"] == "no-cache"
    assert served.raw("GET", "/static/store.js", headers={"If-None-Match": headers["etag"]})[0] == 304


# -- edits


def test_notes_go_and_come(served, piece):
    after = served.change(piece, "edit", remove=[1, 2], add=[[1, 100, 50, 70, 99], [0, 0, 10, 50, 1]])
    assert [1, 100, 50, 70, 99] in after["notes"] and [0, 0, 10, 50, 1] in after["notes"]
    assert len(after["notes"]) == len(piece["notes"])
    assert [1, 0, 480, 60, 80] not in after["notes"]
    back = served.change(after, "history", step=-1)
    assert back["notes"] == piece["notes"] and back["can_redo"]
    assert served.change(back, "history", step=1)["notes"] == after["notes"]


def test_what_is_edited_is_in_the_file(served, piece):
    served.change(piece, "edit", remove=list(range(len(piece["notes"]) - 1)))
    _, _, data = served.raw("GET", f"/api/pieces/{piece['id']}/export?format=mid")
    assert len(midi.read(data).sequence) == 1


def test_quantise_and_transpose(served, piece):
    moved = served.change(piece, "edit", remove=[1], add=[[1, 37, 480, 60, 80]])
    number = moved["notes"].index([1, 37, 480, 60, 80])
    after = served.change(moved, "edit", op="quantise", notes=[number], steps_per_beat=4)
    assert [1, 0, 480, 60, 80] in after["notes"]
    number = after["notes"].index([1, 0, 480, 60, 80])
    higher = served.change(after, "edit", op="transpose", notes=[number], semitones=12)
    assert [1, 0, 480, 72, 80] in higher["notes"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"remove": [10_000]}, "no longer there"),
        ({"remove": [-1]}, "no longer there"),
        ({"remove": ["0"]}, "numbers of notes"),
        ({"remove": 0}, "numbers of notes"),
        ({"add": [[0, 0, 0, 60, 80]]}, "duration 0 of a note: expected 1.."),
        ({"add": [[0, -1, 1, 60, 80]]}, "onset -1"),
        ({"add": [[0, 0, 1, 128, 80]]}, "pitch 128 of a note: expected 0..127"),
        ({"add": [[0, 0, 1, 60, 0]]}, "velocity 0 of a note: expected 1..127"),
        ({"add": [[7, 0, 1, 60, 80]]}, "The part of a note is no longer there"),
        ({"add": [[0, 0, 1.5, 60, 80]]}, "not as the studio reads it"),
        ({"add": [[0, 0, True, 60, 80]]}, "not as the studio reads it"),
        ({"add": [[0, 2**39, 1, 60, 80]]}, "expected less than"),
        ({"add": "notes"}, "at most 100,000 notes"),
        ({"op": "fly", "notes": []}, "'fly' is no edit"),
        ({"op": "transpose", "notes": [0], "semitones": 100}, "outside 0..127"),
        ({"op": "transpose", "notes": [0], "semitones": 0.5}, "whole semitones"),
        ({"op": "quantise", "notes": [0], "steps_per_beat": 0}, "1 to 64 steps"),
    ],
)
def test_what_no_edit_can_be(served, piece, body, words):
    status, error = served.refused("POST", f"/api/pieces/{piece['id']}/edit", {"revision": piece["revision"], **body})
    assert status == 400 and words in error
    assert served.get(f"/api/pieces/{piece['id']}")["revision"] == piece["revision"]


def test_parts_come_change_and_stay_when_they_are_emptied(served, piece):
    more = served.change(piece, "parts", program=128)
    assert [part["name"] for part in more["parts"]] == ["Fingered Bass", "Flute", "Drums"]
    played = served.change(more, "edit", add=[[2, 0, 120, 38, 100]])
    assert played["parts"][2]["drums"] and [2, 0, 120, 38, 100] in played["notes"]
    other = served.change(played, "part", part=1, program=40, name="Tune", locked=True)
    assert other["parts"][1] == {
        **{"index": 1, "name": "Tune", "program": 40, "drums": False, "family": "strings", "locked": True}
    }
    empty = served.change(other, "edit", remove=[at for at, note in enumerate(other["notes"]) if note[0] == 0])
    assert [part["name"] for part in empty["parts"]] == ["Fingered Bass", "Tune", "Drums"]
    again = served.change(empty, "edit", add=[[0, 0, 480, 40, 80]])
    assert [0, 0, 480, 40, 80] in again["notes"]
    _, _, data = served.raw("GET", f"/api/pieces/{piece['id']}/export?format=mid")
    assert sorted(set(midi.read(data).sequence.notes["program"].tolist())) == [33, 40, 128]


@pytest.mark.parametrize("program", [0, 127])
def test_a_part_gets_another_program_and_keeps_its_notes(served, piece, program):
    after = served.change(piece, "part", part=0, program=program)
    assert sorted(after["notes"]) == sorted(piece["notes"])  # of one tick the lower program comes first
    assert [part["program"] for part in after["parts"]] == [program, 73]
    as_drums = served.change(after, "part", part=0, program=128)
    assert sorted(as_drums["notes"]) == sorted(piece["notes"]) and as_drums["parts"][0]["drums"]
    melodic = served.change(as_drums, "part", part=0, program=5)
    assert sorted(melodic["notes"]) == sorted(piece["notes"]) and melodic["parts"][0]["program"] == 5


def test_parts_that_there_are_not(served, piece):
    path = f"/api/pieces/{piece['id']}"
    for number in (2, -1, "0", None):
        body = {"revision": piece["revision"], "part": number, "program": 1}
        assert served.refused("POST", f"{path}/part", body)[1].startswith("This part is no longer there")
    for program in (-1, 129, "piano", True):
        body = {"revision": piece["revision"], "part": 0, "program": program}
        assert "instrument from the list" in served.refused("POST", f"{path}/part", body)[1]


def test_a_second_tab_is_told(served, piece):
    served.change(piece, "edit", remove=[0])
    for what, body in (
        *(("edit", {"remove": [1]}), ("history", {"step": -1}), ("part", {"part": 0, "program": 1})),
        *(("parts", {"program": 1}), ("redo", {"settings": {}}), ("continue", {"bars": 1})),
    ):
        status, answer = served.ask(
            "POST", f"/api/pieces/{piece['id']}/{what}", {"revision": piece["revision"], **body}
        )
        assert status == 409 and "Another tab changed this piece" in answer["error"], what
        assert len(answer["piece"]["notes"]) == len(piece["notes"]) - 1


def test_settings_of_two_tabs(served):
    kept = served.get("/api/settings")
    new = served.post("/api/settings", {"revision": kept["revision"], "settings": {"bars": 4}})
    assert new == {"revision": kept["revision"] + 1, "settings": {"bars": 4}}
    status, answer = served.ask("POST", "/api/settings", {"revision": kept["revision"], "settings": {"bars": 9}})
    assert status == 409 and {name: answer[name] for name in new} == new


def test_pieces_are_renamed_copied_deleted_and_brought_back(served, piece):
    path = f"/api/pieces/{piece['id']}"
    assert served.post(f"{path}/rename", {"name": "Another\nname"})["name"] == "Another name"
    copy = served.post(f"{path}/copy")
    assert copy["id"] != piece["id"] and served.get(f"/api/pieces/{copy['id']}")["notes"] == piece["notes"]
    assert served.ask("DELETE", path, {})[0] == 200
    assert served.refused("GET", path) == (404, "This piece is no longer there: choose another one from the list.")
    assert served.post("/api/undelete")["id"] == piece["id"]
    assert "Give the piece a name" in served.refused("POST", f"{path}/rename", {"name": " "})[1]


# -- jobs


def test_compose_streams_notes_and_ends_with_a_piece(served):
    job = served.post("/api/compose", {"settings": {"bars": 2, "seed": 1, "style": "chorales", "metre": "4/4"}})
    events = served.events(f"/api/jobs/{job['job']}/events")
    assert [name for name, _ in events[:-1]] == ["progress"] * (len(events) - 1)
    notes = [note for name, values in events if name == "progress" for note in values["notes"]]
    shown = [values["piece"] for name, values in events if "piece" in values]
    (summary,) = events[-1][1]["pieces"]
    made = served.get(f"/api/pieces/{summary['id']}")
    order = {part["program"]: part["index"] for part in made["parts"]}
    assert shown[-1]["bars"] == made["bars"] == [0, 1920, 3840]
    assert shown[-1]["tempos"] == made["tempos"] and shown[-1]["metres"] == made["metres"]
    assert sorted(note[1:] for note in notes) == sorted(note[1:] for note in made["notes"])
    assert order and made["composed"] and made["provenance"]["seed"] == 1 and summary["origin"] == "composed"
    assert served.events(f"/api/jobs/{job['job']}/events")[-1] == events[-1]  # after a lost connection


def test_of_several_candidates_nothing_is_shown_before_one_is_chosen(served):
    composer = served.server.studio.composer

    class Choosing:
        """Composes and doesn't choose: not every model knows what is typical."""

        vocabulary = composer.vocabulary

        def generate(self, settings, **callbacks):
            return composer.generate(dataclasses.replace(settings, best_of=1), **callbacks)

    settings = {"bars": 1, "seed": 1, "best_of": 2}
    work = composing.composing(Choosing(), served.project, settings)
    job = served.server.studio.jobs.start(work).id
    *progress, (name, values) = served.events(f"/api/jobs/{job}/events")
    assert name == "done" and len(values["pieces"]) == 1
    assert all("piece" not in values and not values["notes"] for _, values in progress)


def test_the_same_seed_is_the_same_piece(served):
    settings = {"settings": {"bars": 2, "seed": 7}}
    first, second = (served.done(served.post("/api/compose", settings))["pieces"][0]["id"] for _ in range(2))
    notes = [served.get(f"/api/pieces/{id}")["notes"] for id in (first, second)]
    assert notes[0] == notes[1] and first != second


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bars": 0}, "bars 0: expected more than 0"),
        ({"bars": 10**7}, "at most 100,000"),
        ({"bars": "4"}, "bars: expected a number"),
        ({"bars": True}, "bars: expected a number"),
        ({"bars": 1.5}, "expected a whole number"),
        ({"style": 3}, "style: expected a text"),
        ({"guard": 1}, "guard: expected yes or no"),
        ({"metre": "four"}, "four"),
        ({"primer": "/etc/passwd"}, "'primer' is no setting that the page can give"),
        ({"form": "/music/song.mid"}, "form: expected sections such as AABA"),
        ({"constraints": []}, "'constraints' is no setting"),
        ({"nothing": 1}, "'nothing' is no setting"),
        ({"bars": 2, "notes": 2}, "at most one of bars, seconds and notes"),
        ({"num_outputs": 17}, "at most 16 pieces"),
        ([], "reload the page"),
    ],
)
def test_settings_that_are_refused(served, settings, words):
    status, error = served.refused("POST", "/api/compose", {"settings": settings})
    assert status == 400 and words in error


def test_what_only_the_model_can_refuse_is_said_by_the_job(served):
    job = served.post("/api/compose", {"settings": {"style": "tango"}})
    name, values = served.events(f"/api/jobs/{job['job']}/events")[-1]
    assert name == "failed" and "style 'tango': this model knows airs" in values["error"]


def test_a_job_is_cancelled(served):
    job = served.post("/api/compose", {"settings": {"notes": 20_000, "style": "chorales"}})["job"]
    served.post(f"/api/jobs/{job}/cancel")
    name, values = served.events(f"/api/jobs/{job}/events")[-1]
    assert name == "failed" and values["cancelled"] and values["error"] == ""
    assert served.refused("GET", "/api/jobs/nothing/events")[0] == 404


def test_redo_candidates_are_heard_kept_and_undone(served, piece):
    job = served.change(piece, "redo", settings={"bars": "2:3", "parts": "2", "seed": 1, **QUICK})
    found = served.done(job)["candidates"]
    assert [one["number"] for one in found] == [one["rank"] for one in found] == [1, 2]
    for one in found:
        assert {piece["notes"][number][0] for number in one["remove"]} <= {1} >= {note[0] for note in one["add"]}
        assert all(1920 <= piece["notes"][number][1] < 5760 for number in one["remove"])
        assert all(1920 <= note[1] < 5760 for note in one["add"])
    kept = served.change(piece, "keep", job=job["job"], number=2)
    gone = set(found[1]["remove"])
    expected = [note for at, note in enumerate(piece["notes"]) if at not in gone] + found[1]["add"]
    assert sorted(kept["notes"]) == sorted(expected)
    assert kept["composed"] and kept["provenance"]["redone"] and kept["provenance"]["settings"]["bars"] == "2:3"
    status, answer = served.ask(
        "POST", f"/api/pieces/{piece['id']}/keep", {"revision": kept["revision"], "job": job["job"], "number": 1}
    )
    assert status == 409 and "has changed since these candidates" in answer["error"]
    back = served.change(kept, "history", step=-1)
    assert served.change(back, "keep", job=job["job"], number=1)["notes"] != kept["notes"]
    for number in (0, 3, "1", None):
        body = {"revision": back["revision"] + 1, "job": job["job"], "number": number}
        assert "expected 1..2" in served.refused("POST", f"/api/pieces/{piece['id']}/keep", body)[1]


def test_locked_parts_stay(served, piece):
    locked = served.change(piece, "part", part=0, locked=True)
    (one, _) = served.done(served.change(locked, "redo", settings={"seed": 1, **QUICK}))["candidates"]
    assert {note[0] for note in one["add"]} == {1} == {piece["notes"][number][0] for number in one["remove"]}
    for settings in ({"parts": "1"}, {"parts": "1, 1"}):
        body = {"revision": locked["revision"], "settings": settings}
        assert "are locked" in served.refused("POST", f"/api/pieces/{piece['id']}/redo", body)[1]
    both = served.change(locked, "part", part=1, locked=True)
    body = {"revision": both["revision"], "settings": {}}
    assert served.refused("POST", f"/api/pieces/{piece['id']}/redo", body)[1] == "All parts are locked: unlock one."


def test_a_candidate_may_add_a_part(served, piece):
    (one, _) = served.done(served.change(piece, "redo", settings={"add": "violin", "seed": 2, **QUICK}))["candidates"]
    assert one["remove"] == [] and {note[0] for note in one["add"]} == {2}
    assert [(part["index"], part["program"]) for part in one["parts"]] == [(2, 40)]


def test_a_piece_goes_on_and_is_replayed(served, piece):
    job = served.change(piece, "continue", bars=2, settings={"seed": 3, **QUICK})
    (one, _) = served.done(job)["candidates"]
    assert one["remove"] == [] and all(note[1] >= 7680 for note in one["add"]) and one["length"] == 7680 + 2 * 1920
    kept = served.change(piece, "keep", job=job["job"], number=1)
    assert len(kept["bars"]) == 7
    replayed = served.done(served.post(f"/api/pieces/{piece['id']}/replay"))
    assert replayed["same"] and "byte for byte" in replayed["words"]
    fewer = served.change(kept, "edit", remove=[0])
    replayed = served.done(served.post(f"/api/pieces/{piece['id']}/replay"))
    assert replayed["same"] and "the file was changed since" in replayed["words"] and fewer["can_undo"]
    for bars in (0, -1, 1.5, "2", 10**6):
        body = {"revision": fewer["revision"], "bars": bars}
        served.refused("POST", f"/api/pieces/{piece['id']}/continue", body)


def test_a_piece_without_provenance_is_not_replayed(served, piece):
    assert "no provenance" in served.refused("POST", f"/api/pieces/{piece['id']}/replay", {})[1]


# -- trust


def test_surprise_is_in_the_order_of_the_notes(served, piece):
    answer = served.get(f"/api/pieces/{piece['id']}/surprise")
    assert answer["revision"] == piece["revision"] and len(answer["nats"]) == len(piece["notes"])
    odd = served.change(piece, "edit", remove=[6], add=[[1, *piece["notes"][6][1:3], 106, 80]])
    number = next(at for at, note in enumerate(odd["notes"]) if note[3] == 106)
    nats = served.get(f"/api/pieces/{piece['id']}/surprise")["nats"]
    assert nats[number] > np.median(nats)


def test_what_was_learned_is_found_and_can_be_heard(served):
    path = next((ROOT / "data" / "starter" / "chorales").rglob("*.mid"))
    brought = served.bring(path.read_bytes(), "copied.mid")
    found = served.get(f"/api/pieces/{brought['id']}/originality")
    assert found["share"] > 0.9 and found["longest"] > 20
    match = found["matches"][0]
    assert match["length"] == found["longest"] and 0 <= match["bars"][0] <= match["bars"][1] < len(brought["bars"]) - 1
    source = served.get(f"/api/pieces/{brought['id']}/source?match=0")
    assert len(source["notes"]) == match["length"] and source["name"] == match["file"]
    music = midi.read(path.read_bytes()).sequence
    ticks, ours = music.grid.rate, source["ticks_per_beat"]
    first = brought["notes"]
    pitches = [note[3] for note in source["notes"]]
    assert any(pitches == [note[3] for note in first[at : at + len(pitches)]] for at in range(len(first)))
    assert source["notes"][1][2] / ours == pytest.approx(first[1][2] / ticks, abs=0.3)
    for number in ("999", "-1", "x"):
        assert served.refused("GET", f"/api/pieces/{brought['id']}/source?match={number}")[0] == 404


# -- bring and take


def test_each_format(served, piece):
    path = f"/api/pieces/{piece['id']}/export?format="
    begins = {
        **{"mid": b"MThd", "wav": b"RIFF", "flac": b"fLaC", "png": b"\x89PNG", "svg": b"<?xml", "musicxml": b"<?xml"},
        **{"html": b"<!doctype html>", "stems": b"PK"},
    }
    for kind in served.get("/api/status")["formats"]:
        status, headers, data = served.raw("GET", path + kind)
        assert status == 200 and data.startswith(begins[kind]), kind
        assert headers["content-disposition"].startswith('attachment; filename="tune'), kind


def test_a_page_to_share_asks_no_other_host(served, piece):
    _, _, data = served.raw("GET", f"/api/pieces/{piece['id']}/export?format=html")
    text = data.decode()
    assert "http" not in text.replace("http://www.w3.org", "") and "data:audio/mpeg" in text and "Flute" in text


def test_parts_and_bars_go_out_alone(served, piece):
    path = f"/api/pieces/{piece['id']}/export?format=mid"
    (_, _, bass), (_, _, bars) = served.raw("GET", f"{path}&parts=1"), served.raw("GET", f"{path}&bars=2:3&parts=2")
    assert set(midi.read(bass).sequence.notes["program"].tolist()) == {33}
    cut = midi.read(bars).sequence
    assert set(cut.notes["program"].tolist()) == {73} and cut.notes["onset"].tolist() == list(range(0, 3840, 480))
    _, _, stems = served.raw("GET", f"/api/pieces/{piece['id']}/export?format=stems")
    names = zipfile.ZipFile(io.BytesIO(stems)).namelist()
    assert names == ["01 Fingered Bass.mid", "02 Flute.mid"]


@pytest.mark.parametrize(
    "query", ["format=exe", "format=mid&parts=3", "format=mid&parts=x", "format=mid&bars=9", "format=mid&bars=0:1"]
)
def test_what_does_not_go_out(served, piece, query):
    assert served.refused("GET", f"/api/pieces/{piece['id']}/export?{query}")[0] == 400


def test_sound_can_be_sought_in(served, piece):
    path = f"/api/pieces/{piece['id']}/sound"
    status, headers, data = served.raw("GET", path, headers={"Range": "bytes=100-199"})
    assert status == 206 and len(data) == 100 and headers["content-range"].startswith("bytes 100-199/")


CASES = {
    "type 2": b"MThd\0\0\0\6\0\2\0\2\0\x60" + 2 * b"MTrk\0\0\0\x0c\0\x90\x3c\x40\x60\x80\x3c\x40\0\xff\x2f\0",
    "SMPTE": b"MThd\0\0\0\6\0\0\0\1\xe7\x28MTrk\0\0\0\x0c\0\x90\x3c\x40\x60\x80\x3c\x40\0\xff\x2f\0",
    "type 0": b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\x0c\0\x90\x3c\x40\x60\x80\x3c\x40\0\xff\x2f\0",
    "no end of track": b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\x08\0\x90\x3c\x40\x60\x80\x3c\x40",
    "length beyond the file": b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\xff\0\x0c\0\x90\x3c\x40\x60\x80\x3c\x40\0\xff\x2f\0",
}


@pytest.mark.parametrize("name", CASES)
def test_odd_files_become_pieces_that_can_be_worked_on(served, name):
    piece = served.bring(CASES[name], f"{name}.mid")
    after = served.change(piece, "edit", add=[[0, 10, 20, 72, 64]])
    assert len(after["notes"]) == len(piece["notes"]) + 1


def test_a_file_inside_another_goes_out_as_midi(served):
    riff = (
        b"RIFF" + (len(tune(1)) + 12).to_bytes(4, "little") + b"RMIDdata" + len(tune(1)).to_bytes(4, "little") + tune(1)
    )
    piece = served.bring(riff, "song.rmi")
    _, _, data = served.raw("GET", f"/api/pieces/{piece['id']}/export?format=mid")
    assert data.startswith(b"MThd") and midi.read(data).sequence == midi.read(tune(1)).sequence


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("song.mp3", b"ID3", "expected a name that ends in .mid"),
        ("song", tune(1), "expected a name that ends in .mid"),
        (".mid", tune(1), "expected a name that ends in .mid"),
        ("song.mid", b"", "song.mid: "),
        ("song.mid", b"<html>", "song.mid: "),
        ("song.mid", b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0", "it holds no note"),
        ("song.mid", bytes(4 * 1024 * 1024 + 1), "more than 4,194,304 bytes"),
    ],
)
def test_files_that_are_refused(served, name, data, words):
    before = len(served.get("/api/status")["pieces"])
    status, answer = served.upload(name, data)
    assert status == 400 and words in answer["error"]
    assert len(served.get("/api/status")["pieces"]) == before


def test_a_recording_is_a_piece(served):
    notes = [[0.0, 0.5, 60, 100], [0.25, 0.5, 64, 80], [0.5, 0.01, 60, 1]]
    made = served.post("/api/recordings", {"qpm": 60, "program": 40, "notes": notes, "name": "Played"})
    piece = served.get(f"/api/pieces/{made['id']}")
    assert piece["notes"] == [[0, 0, 240, 60, 100], [0, 120, 240, 64, 80], [0, 240, 5, 60, 1]]
    assert piece["tempos"] == [[0, 60.0]] and piece["parts"][0]["program"] == 40 and made["origin"] == "recorded"
    for wrong in (
        [],
        [[0, 1, 128, 80]],
        [[0, 1, 60, 0]],
        [[-1, 1, 60, 80]],
        [[0, 1e9, 60, 80]],
        [[0, 1, 60]],
        "x",
        None,
    ):
        served.refused("POST", "/api/recordings", {"notes": wrong})
    served.refused("POST", "/api/recordings", {"notes": notes, "qpm": 0})


# -- models


def test_models_are_listed_and_chosen(served):
    models = served.get("/api/models")
    assert [model["name"] for model in models if model["current"]] == ["starter"]
    assert served.post("/api/model", {"path": models[0]["path"]})["model"]["name"] == "starter"
    assert "no such checkpoint" in served.refused("POST", "/api/model", {"path": "/nowhere.keras"})[1]
    served.refused("POST", "/api/model", {"path": 3})
    assert served.get("/api/status")["model"]["name"] == "starter"


# -- many at once


def test_eight_at_once_get_what_each_would_get_alone(served):
    def composed(seed):
        done = served.done(served.post("/api/compose", {"settings": {"bars": 2, "seed": seed}}))
        return served.get(f"/api/pieces/{done['pieces'][0]['id']}")["notes"]

    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(composed, [1, 2, 3, 4] * 2))
    assert together[:4] == together[4:]
    assert together[:2] == [composed(1), composed(2)]


def test_of_eight_changes_at_one_revision_one_is_made(served, piece):
    def edit(pitch):
        body = {"revision": piece["revision"], "add": [[0, 0, 1, pitch, 1]]}
        return served.ask("POST", f"/api/pieces/{piece['id']}/edit", body)[0]

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(edit, range(100, 108)))
    assert sorted(statuses) == [200] + 7 * [409]
    assert len(served.get(f"/api/pieces/{piece['id']}")["notes"]) == len(piece["notes"]) + 1


def test_a_reader_who_goes_away_stops_nothing(served):
    job = served.post("/api/compose", {"settings": {"bars": 4, "seed": 1}})["job"]
    connection = http.client.HTTPConnection("127.0.0.1", served.server.port, timeout=60)
    connection.request("GET", f"/api/jobs/{job}/events?token={served.token}")
    connection.getresponse().read(20)
    connection.close()
    assert served.done({"job": job})["pieces"]


def test_readers_do_not_wait_for_each_other(served):
    job = served.post("/api/compose", {"settings": {"bars": 8, "seed": 1}})["job"]
    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(lambda _: served.events(f"/api/jobs/{job}/events"), range(12)))
    assert len({json.dumps(events[-1]) for events in found}) == 1
    for events in found:
        assert sum(len(values["notes"]) for name, values in events if name == "progress") == events[-2][1]["count"]


# -- an end


def test_a_studio_that_is_started_again_has_the_same_address(tmp_path):
    first = Served(tmp_path / "project")
    piece = first.bring(tune())
    address = first.server.address
    first.close()
    second = Served(tmp_path / "project")
    try:
        assert second.server.address == address
        assert second.get(f"/api/pieces/{piece['id']}") == piece
    finally:
        second.close()


def test_a_port_that_is_taken_is_said(served, tmp_path):
    with pytest.raises(SettingError, match=f"--port {served.server.port}: .*leave it out, or choose another"):
        Served(tmp_path / "project", port=served.server.port)


def test_threads_and_connections_end(served):
    before = threading.active_count()
    for _ in range(20):
        served.get("/api/status")
    with contextlib.suppress(OSError):
        time.sleep(0.2)
    assert threading.active_count() <= before + 4


def test_the_editor_names_a_track_and_exchanges_a_program():
    data = tune(1)
    renamed = Editor(data).with_name(0, "Tiefe Töne")
    assert "Tiefe Töne" in midi.read(renamed).sequence.part_names
    other = Editor(data).with_program(0, 12)
    assert sorted(line[2] for line in Editor(other).lines) == [12, 73]
    assert note_array([]).dtype == midi.read(other).sequence.notes.dtype
