"""The whole way as a user goes it, each command a process: a folder of MIDI in, new music out."""

import csv
import json
import os
import signal
import subprocess
import time
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import TRAIN, Trained, tune

from melodygru import midi
from melodygru.analysis import originality
from melodygru.model import checkpoint
from melodygru.music.quantize import quantize

Start = Callable[..., subprocess.Popen]


def run(process: subprocess.Popen, code: int = 0) -> tuple[str, str]:
    """Both outputs of a process that ends with `code`, and shows no traceback."""
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == code, stderr
    assert "Traceback" not in stdout + stderr
    return stdout, stderr


def test_train_reports_and_leaves_a_checkpoint_its_history_and_a_picture(trained: Trained) -> None:
    report = trained.report
    assert set(report) == {"report", "settings", "architecture", "card", "history", "held_out", "paths"}
    assert report["report"]["kept"] == 12 and report["report"]["styles"] == {"high": 6, "low": 6}
    assert report["report"]["grid"] == "2"
    assert report["settings"]["epochs"] == 16 and report["settings"]["seed"] == 3
    # a tenth of 12 pieces is one
    assert report["card"]["corpus"]["pieces"] == 11 and report["card"]["validation"]["pieces"] == 1
    assert report["held_out"]["pieces"] == 1 and report["held_out"]["notes"] == 32
    assert report["history"][-1]["step"] == 16
    assert report["history"][-1]["validation_nats_per_note"] < report["history"][0]["validation_nats_per_note"]
    assert report["paths"] == {"checkpoint": "tunes.keras", "history": "tunes.csv", "picture": "tunes.png"}
    for name in report["paths"].values():
        assert (trained.path.parent / name).stat().st_size > 0
    index = originality.read(trained.path)
    assert index is not None and len(index.files) == 11 and index.baseline["pieces"] == 1
    assert not trained.path.with_suffix(".resume").exists()
    assert "training on" in trained.stderr and "Traceback" not in trained.stderr
    assert "grid        2 steps per beat" in trained.stderr


def test_generate_gives_the_same_bytes_for_the_same_seed(melodygru: Start, trained: Trained, tmp_path: Path) -> None:
    options = ("generate", "--model", trained.path, "-n", 3, "--bars", 4, "--seed", 5)
    stdout, stderr = run(melodygru(*options, "--wav", "--png", "-o", "first", cwd=tmp_path))
    assert f"model {trained.path}, seed 5" in stderr
    run(melodygru(*options, "-o", "second", cwd=tmp_path))
    names = [f"tunes-5-{index}" for index in (1, 2, 3)]
    written = {path.name for path in (tmp_path / "first").iterdir()}
    assert written == {name + suffix for name in names for suffix in (".mid", ".wav", ".png")}
    assert [line.split()[0] for line in stdout.splitlines() if ".mid" in line] == [f"first/{n}.mid" for n in names]
    contents = [(tmp_path / "first" / f"{name}.mid").read_bytes() for name in names]
    assert contents == [(tmp_path / "second" / f"{name}.mid").read_bytes() for name in names]
    assert len(set(contents)) == 3
    for name in names:
        piece = midi.read(tmp_path / "first" / f"{name}.mid").sequence
        assert piece.beats == 16 and piece.metre == (4, 4)
        with wave.open(str(tmp_path / "first" / f"{name}.wav")) as sound:
            assert sound.getnchannels() == 2 and sound.getnframes() > 0
        assert (tmp_path / "first" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_generate_says_what_of_an_output_stands_in_the_training_music(
    melodygru: Start, trained: Trained, tmp_path: Path
) -> None:
    options = ("generate", "--model", trained.path, "--bars", 4, "--seed", 5, "-o", ".")
    plain, _ = run(melodygru(*options, cwd=tmp_path))
    (output,) = json.loads(run(melodygru(*options, "--json", cwd=tmp_path))[0])["outputs"]
    found = output["originality"]
    assert plain.splitlines()[1] == "  " + found["summary"] and "held-out music: " in found["summary"]
    index = originality.read(trained.path)
    assert index is not None
    again = index.examine(midi.read(tmp_path / "tunes-5-1.mid").sequence)
    assert {**again.as_dict(), "held_out": index.baseline, "summary": found["summary"]} == found
    # what the model learned from is found again, whole
    midi.write(tune(50), tmp_path / "copy.mid")
    copied, _ = run(melodygru("originality", "copy.mid", "--model", trained.path, "--json", cwd=tmp_path))
    assert json.loads(copied)["files"][0]["share"] == 1.0


@pytest.mark.slow
def test_evaluate_measures_every_file_and_lists_every_note(melodygru: Start, trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "judge"
    folder.mkdir()
    midi.write(tune(50), folder / "a.mid")
    midi.write(tune(50), folder / "again.mid")  # a duplicate counts here
    midi.write(tune(55, bars=2), folder / "b.mid")
    (folder / "broken.mid").write_bytes(b"nonsense")
    command = ("evaluate", folder, "--model", trained.path, "--per-note", "notes.csv", "--json")
    stdout, stderr = run(melodygru(*command, cwd=tmp_path))
    figures = json.loads(stdout)
    assert list(figures) == [
        "pieces", "skipped", "notes", "events", "nats", "nats_per_note", "steps", "nats_per_step", "beats", "seconds",
        "lossy_notes", "unmodelled",
    ]  # fmt: skip
    assert figures["pieces"] == 3 and figures["skipped"] == 1
    assert figures["notes"] == 32 + 32 + 16 and figures["events"] == 80 + 3
    assert figures["steps"] == 80 and figures["beats"] == 40 and figures["seconds"] == 20
    assert figures["lossy_notes"] == 0 and figures["unmodelled"] == ["part", "velocity"]
    assert np.isclose(figures["nats_per_note"], figures["nats"] / 80)
    assert "skipped broken.mid" in stderr

    with open(tmp_path / "notes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 83
    assert np.isclose(sum(float(row["nats"]) for row in rows), figures["nats"], rtol=1e-5)
    short = [row for row in rows if row["file"] == "b.mid"]
    first, end = short[0], short[-1]
    assert (first["note"], first["onset_step"], first["part"], first["program"]) == ("0", "0", "0", "0")
    assert (first["pitch"], first["velocity"]) == ("55", "80")
    assert (end["note"], end["onset_step"], end["part"], end["program"]) == ("16", "16", "end", "")
    fields = ("shift", "part", "pitch", "duration", "velocity")
    assert np.isclose(sum(float(first[f"nats_{field}"]) for field in fields), float(first["nats"]), rtol=1e-5)
    assert float(end["nats_pitch"]) == 0
    # twins cost the same
    cost = {name: [row["nats"] for row in rows if row["file"] == name] for name in ("a.mid", "again.mid")}
    assert np.allclose(np.array(cost["a.mid"], float), np.array(cost["again.mid"], float), atol=1e-4)


def test_a_primer_stands_at_the_beginning(melodygru: Start, trained: Trained, tmp_path: Path) -> None:
    primer = tune(52, bars=2)
    midi.write(primer, tmp_path / "primer.mid")
    options = ("--model", trained.path, "--primer", "primer.mid", "--bars", 3, "--seed", 1, "-o", ".")
    run(melodygru("generate", *options, cwd=tmp_path))
    piece = quantize(midi.read(tmp_path / "tunes-1-1.mid").sequence, primer.grid)[0]
    assert np.array_equal(piece.notes[:16], primer.notes)
    assert piece.length == (2 + 3) * 8


def interrupt_at_first_step(process: subprocess.Popen, number: signal.Signals) -> str:
    """Send a signal when the process has trained a step; gives back what it said until then."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith("step "):
            process.send_signal(number)
            break
    return said


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_two_trainings_never_write_one_output(melodygru: Start, tunes: Path, tmp_path: Path) -> None:
    command = ("train", tunes, "--output", "one.keras", *TRAIN)
    first = melodygru(*command, cwd=tmp_path)
    while not (tmp_path / ".one.lock").exists() or not (tmp_path / ".one.lock").read_text():
        assert first.poll() is None, first.communicate()
        time.sleep(0.02)
    first.send_signal(signal.SIGSTOP)
    (tmp_path / "one.resume").touch()  # as the first will leave it after its first step
    for options in ((), ("--resume",), ("--force",)):
        _, stderr = run(melodygru(*command, *options, cwd=tmp_path), code=1)
        assert stderr.startswith(f"melodygru: --output one.keras: process {first.pid} is training it; wait for it")
    first.kill()
    run(first, code=-signal.SIGKILL)
    _, stderr = run(melodygru(*command, cwd=tmp_path), code=1)
    assert "one.resume: an interrupted run lies there; go on with --resume" in stderr


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights(
    melodygru: Start, trained: Trained, tunes: Path, tmp_path: Path
) -> None:
    command = ("train", tunes, "--output", "cut.keras", *TRAIN)
    process = melodygru(*command, cwd=tmp_path)
    interrupt_at_first_step(process, signal.SIGINT)
    _, stderr = run(process, code=130)
    assert f"go on with: melodygru train {tunes} --output cut.keras {' '.join(TRAIN)} --resume" in stderr
    assert (tmp_path / "cut.resume").exists()

    process = melodygru(*command, cwd=tmp_path)  # without --resume: what is there is not thrown away
    assert "cut.resume: an interrupted run lies there; go on with --resume" in run(process, code=1)[1]

    process = melodygru(*command, "--resume", cwd=tmp_path)
    said = interrupt_at_first_step(process, signal.SIGKILL)
    run(process, code=-signal.SIGKILL)
    resumed = int(said.split("resuming at step ")[1].split(",")[0])
    assert 0 < resumed < 16

    stdout, stderr = run(melodygru(*command, "--resume", cwd=tmp_path))
    assert f"resuming at step {resumed}," in stderr
    assert "checkpoint  cut.keras" in stdout and "melodygru generate --model cut.keras" in stdout
    assert not (tmp_path / "cut.resume").exists()
    undisturbed, cut = checkpoint.read(trained.path), checkpoint.read(tmp_path / "cut.keras")
    assert undisturbed.weights.keys() == cut.weights.keys()
    for name, weight in undisturbed.weights.items():
        assert np.array_equal(weight, cut.weights[name]), name
    figures = [[row["validation_nats_per_note"] for row in c.card["history"]] for c in (undisturbed, cut)]
    assert figures[0] == figures[1]
