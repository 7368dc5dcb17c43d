"""Trainings are processes of their own: found again by their files, paused, resumed; a studio may end meanwhile."""

import json
import os
import time

import pytest
from serving import Served, tune

from melodygru.studio.trainings import Trainings
from melodygru.util.locks import held


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    one = Served(tmp_path_factory.mktemp("trainings") / "project")
    yield one
    one.close()


@pytest.fixture
def trainings(tmp_path):
    return Trainings(tmp_path)


def run_of(trainings, number=1, **progress):
    """A training's folder as its process left it."""
    folder = trainings._folder / f"{number:04d}"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"folder": "/music", "options": {"epochs": 3}}))
    if progress:
        (folder / "progress.json").write_text(json.dumps(progress))
    return folder


@pytest.mark.parametrize(
    ("said", "expected"),
    [("running", "paused"), ("paused", "paused"), ("done", "done"), ("failed", "failed")],
)
def test_a_training_whose_process_is_gone(trainings, said, expected):
    run_of(trainings, state=said, words="so it is", curve=[[1, 3.0, 3.5]], epoch=2, epochs=3, seconds_left=9.0)
    state = trainings.state("0001")
    assert (state["state"], state["words"], state["curve"]) == (expected, "so it is", [[1, 3.0, 3.5]])
    assert state["seconds_left"] is None and state["model"] is None and state["folder"] == "/music"


def test_a_training_whose_process_runs(trainings):
    folder = run_of(trainings, state="running", words="step 1", seconds_left=9.0)
    with held(folder / ".running"):
        assert trainings.state("0001")["state"] == "running"
        assert trainings.state("0001")["seconds_left"] == 9.0
    assert trainings.state("0001")["state"] == "paused"


def test_a_stopped_one_is_stopped_until_it_goes_on(trainings, monkeypatch):
    folder = run_of(trainings, state="paused", words="saved")
    assert trainings.pause("0001", stopped=True)["state"] == "stopped"
    started = []
    monkeypatch.setattr(trainings, "_run", lambda run: started.append(run))
    assert trainings.resume("0001")["state"] == "paused"  # the process that is started says that it runs
    assert started == [folder]


def test_damaged_files_of_a_training_are_no_error(trainings):
    folder = run_of(trainings)
    (folder / "progress.json").write_text("{")
    (trainings._folder / "other").mkdir()
    assert [one["state"] for one in trainings.all()] == ["failed"]
    (folder / "run.json").write_text("[]")
    assert trainings.all()[0]["folder"] == ""


def test_events_end_with_the_training(trainings):
    run_of(trainings, state="failed", words="no file can be used")
    name, values = list(trainings.events("0001"))[-1]
    assert name == "failed" and values["error"] == "The training ended: no file can be used"
    run_of(trainings, 2, state="done", words="trained")
    assert [name for name, _ in trainings.events("0002")] == ["progress", "done"]


def test_what_cannot_be_trained_is_refused_at_once(served, tmp_path):
    for folder in (None, "", 3, str(tmp_path / "nowhere"), "a\0b"):
        for method, path, body in (
            ("POST", "/api/trainings", {"folder": folder}),
            (
                "GET",
                "/api/intake" + (f"?folder={folder}" if isinstance(folder, str) and "\0" not in folder else ""),
                None,
            ),
        ):
            assert served.refused(method, path, body)[0] == 400
    for options, words in (
        ({"epochs": 0}, "epochs 0: expected more than 0"),
        ({"output": "/etc/model.keras"}, "is no option"),
        ({"start_from": "x.keras"}, "is no option"),
        ({"preset": "huge"}, "expected one of"),
        ([], "reload the page"),
    ):
        assert words in served.refused("POST", "/api/trainings", {"folder": str(tmp_path), "options": options})[1]
    assert served.get("/api/trainings") == []
    for path in ("/api/trainings/0001/pause", "/api/trainings/..%2f..%2f/stop", "/api/trainings/0001/delete"):
        assert served.raw("POST", path, b"{}")[0] == 404


def test_the_report_of_a_folder_is_in_sentences(served, tmp_path):
    for style in ("slow", "fast"):
        (tmp_path / style).mkdir()
        (tmp_path / style / "tune.mid").write_bytes(tune(2 if style == "slow" else 3))
    (tmp_path / "broken.mid").write_bytes(b"no music")
    report = served.get(f"/api/intake?folder={tmp_path}")
    assert report["pieces"] == 2 and sorted(report["styles"]) == ["fast", "slow"] and report["notes"] == 30
    assert report["lines"][0].startswith("2 pieces of 3 files can be learned from: 30 notes")
    assert any(line.startswith("Left out: broken.mid, ") for line in report["lines"])
    (tmp_path / "empty").mkdir()
    assert "empty" in served.refused("GET", f"/api/intake?folder={tmp_path / 'empty'}")[1]


@pytest.mark.slow
def test_a_training_outlives_the_studio_and_its_model_composes(tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    for bars in range(4, 16):
        (music / f"{bars}.mid").write_bytes(tune(bars))
    first = Served(tmp_path / "project")
    options = {"epochs": 4000, "seed": 1, "preset": "small"}
    id = first.post("/api/trainings", {"folder": str(music), "options": options})["id"]
    assert first.get("/api/trainings")[0]["state"] == "running"
    _until(lambda: (first.project.folder / "trainings" / id / "model.resume").exists())
    assert first.post(f"/api/trainings/{id}/pause")["options"] == options
    _until(lambda: first.get("/api/trainings")[0]["state"] == "paused")
    first.close()

    second = Served(tmp_path / "project")
    assert second.get("/api/trainings")[0]["state"] == "paused"
    assert second.post(f"/api/trainings/{id}/resume")["state"] == "running"
    _until(lambda: second.get("/api/trainings")[0]["epoch"] > 0)
    second.close()

    third = Served(tmp_path / "project")
    try:
        # Until its process has loaded TensorFlow, a studio that didn't start it can't know that it lives.
        _until(lambda: third.get("/api/trainings")[0]["state"] == "running")
        third.post(f"/api/trainings/{id}/stop")
        _until(lambda: third.get("/api/trainings")[0]["state"] == "stopped")
        run = third.project.folder / "trainings" / id
        about = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps({**about, "options": {**about["options"], "epochs": 2}}))
        (run / "model.resume").unlink()
        third.post(f"/api/trainings/{id}/resume")
        events = third.events(f"/api/trainings/{id}/events")
        assert events[-1][0] == "done" and events[-1][1]["state"] == "done" and events[-1][1]["curve"]
        model = events[-1][1]["model"]
        assert model in [one["path"] for one in third.get("/api/models")]
        assert third.post("/api/model", {"path": model})["model"]["path"] == model
        job = third.post("/api/compose", {"settings": {"bars": 1, "seed": 1}})
        assert third.done(job)["pieces"][0]["notes"] > 0
        assert os.path.exists(run / "log.txt")
    finally:
        third.close()


def _until(holds, seconds=300):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)
