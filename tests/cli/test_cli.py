"""The command line: what each command prints, and every error as one line with its exit code."""

import dataclasses
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mido
import numpy as np
import pytest
import toys
from click.testing import CliRunner, Result
from conftest import Trained, tune

from melodygru import __version__, compose, midi
from melodygru.cli import main, screen
from melodygru.cli import play as play_module  # noqa: F401  the module is patched by its name
from melodygru.compose.composer import Composer
from melodygru.model import checkpoint
from melodygru.model.architecture import PRESETS
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE
from melodygru.music.notes import KEY, NoteSequence, canonical, note_array
from melodygru.music.quantize import quantize
from melodygru.render import audio
from melodygru.training import startup
from melodygru.training.progress import Progress
from melodygru.util.locks import held

ROOT = Path(__file__).parents[2]
TINY = ("--preset", "tiny", "--epochs", "2", "--threads", "1")


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command line in this process, in an empty folder, and check that nothing shows a traceback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MELODYGRU_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MELODYGRU_DEBUG", raising=False)

    def run(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="melodygru")
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return run


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """song.mid, a tune of 32 notes."""
    midi.write(tune(60), tmp_path / "song.mid")
    return tmp_path / "song.mid"


def complaint(result: Result) -> str:
    """The one line that an error prints, after the talk before it."""
    said = [line.startswith("melodygru: ") for line in result.stderr.splitlines()]
    assert said[-1] and sum(said) == 1
    return result.stderr.splitlines()[-1].removeprefix("melodygru: ")


# -- the program


def test_version(call: Callable[..., Result]) -> None:
    assert call("--version").stdout == f"melodygru {__version__}\n"


@pytest.mark.parametrize("command", ["train", "generate", "evaluate", "play", "inspect"])
def test_every_command_shows_an_example(call: Callable[..., Result], command: str) -> None:
    assert f"  melodygru {command} " in call(command, "--help").stdout


def test_python_m_melodygru_is_the_program(melodygru: Callable[..., subprocess.Popen], tmp_path: Path) -> None:
    assert melodygru("--version", cwd=tmp_path).communicate()[0] == f"melodygru {__version__}\n"


def test_only_train_and_evaluate_load_tensorflow(trained: Trained, song: Path, tmp_path: Path) -> None:
    code = f"""
import sys
from melodygru.cli import main
for line in {[
        ["--help"], ["train", "--help"], ["inspect", "song.mid"], ["inspect", str(trained.path)],
        ["generate", "--model", str(trained.path), "--bars", "2", "--wav", "--png", "--primer", "song.mid"],
        ["play", "song.mid", "--wav", "song.wav"],
    ]}:
    try:
        main(line)
    except SystemExit as stop:
        assert not stop.code, line
    assert not {{"tensorflow", "keras"}} & set(sys.modules), line
"""  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (
            OSError(28, "No space left on device", "x.mid"),
            "cannot write x.mid: No space left on device; free some space there, or choose another place",
            1,
        ),
        (OSError("odd"), "odd", 1),
        (KeyboardInterrupt(), "interrupted", 130),
        (
            ZeroDivisionError("division\nby zero"),
            "unexpected error (ZeroDivisionError: division by zero); this is a defect of melodygru, please report it "
            "with what MELODYGRU_DEBUG=1 melodygru ... prints",
            1,
        ),
    ],
)
def test_any_error_is_one_line(
    call: Callable[..., Result], song: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, line: str, code: int
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(midi, "read", fail)
    assert complaint(call("play", song, code=code)) == line


def test_debug_shows_the_traceback(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(midi, "read", fail)
    monkeypatch.setenv("MELODYGRU_DEBUG", "1")
    assert isinstance(CliRunner().invoke(main, ["play", str(song)]).exception, ZeroDivisionError)


def test_a_reader_that_has_gone_is_no_error(song: Path) -> None:
    command = f"{sys.executable} -m melodygru inspect {song} --json | true; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True)
    assert "Traceback" not in run.stderr and "melodygru:" not in run.stderr


def test_warnings_of_the_package_are_lines_of_talk(
    call: Callable[..., Result], song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = midi.read

    def warn(source: Any, *more: Any) -> Any:
        logging.getLogger("melodygru").warning("careful:\n%s", "hot")
        return read(source, *more)

    monkeypatch.setattr(midi, "read", warn)
    assert "warning: careful: hot\n" in call("play", song, "--wav", "x.wav").stderr


# -- progress


def test_progress_waits_then_adds_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    with screen.ProgressLine() as line:
        count = line.count("reading")
        for second, done in ((1.9, 1), (2.0, 10), (11.9, 20), (12.0, 30)):
            now[0] = 100 + second
            count(done, 40)
    assert capsys.readouterr().err == "reading: 10 of 40, 0:06 left\nreading: 30 of 40, 0:04 left\n"


def test_progress_is_rewritten_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "9")
    with screen.ProgressLine(after_s=-10) as line:
        line.show("123456789")  # a column is left free: in the last one some terminals break the line
        screen.say("talk")
    assert capsys.readouterr().err == "\r12345678" + "\r" + " " * 8 + "\r" + "talk\n"


# -- train


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["missing"], "missing: no such file or folder; give a folder of MIDI files"),
        (["empty"], "empty holds no MIDI files"),
        (["broken"], "broken holds 1 MIDI file and none can be used (the first, x.mid: the file is empty)"),
        (["one"], "one holds 1 usable piece, expected at least 2: add more MIDI files"),
        (["one", "--output", "x.h5"], "--output x.h5: expected a name that ends in .keras"),
        (
            ["one", "--output", "there.keras"],
            "there.keras exists: to train its model further, give --from there.keras and another --output; or choose "
            "another --output, or replace it with --force",
        ),
        (
            ["one", "--output", "there.keras", "--resume", "--epochs", "8"],
            "there.resume: nothing to resume, the run is finished; to train its model further, give --from "
            "there.keras and another --output",
        ),
        (
            ["one", "--output", "cut.keras"],
            "cut.resume: an interrupted run lies there; go on with --resume, choose another --output, or begin anew "
            "with --force",
        ),
        (["one", "--output", "no.mid/a.keras"], "--output: cannot write no.mid/a.keras: File exists; choose"),
        (["missing", "--log-dir", "no.mid"], "--log-dir: cannot write no.mid: File exists; choose another place"),
        (["one", "--output", "folder.keras"], "--output folder.keras: is a folder, expected a file name"),
        (["one", "--grid", "odd"], "grid 'odd': expected a number of steps per beat such as 4"),
        (["one", "--from", "missing.keras"], "missing.keras: no such checkpoint"),
    ],
)
def test_what_train_refuses(call: Callable[..., Result], tmp_path: Path, options: list[str], line: str) -> None:
    for folder in ("empty", "broken", "one", "folder.keras"):
        (tmp_path / folder).mkdir()
    (tmp_path / "broken" / "x.mid").touch()
    (tmp_path / "there.keras").touch()
    (tmp_path / "cut.resume").touch()
    (tmp_path / "no.mid").touch()
    midi.write(tune(60), tmp_path / "one" / "a.mid")
    assert complaint(call("train", *options, code=1)).startswith(line)


@pytest.mark.parametrize("options", [[], ["--output", "checkpoints/missing.keras"]])
def test_train_finds_a_full_disk_before_it_reads(
    call: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("melodygru.util.locks.os.getpid", full)
    assert complaint(call("train", "missing", *options, code=1)) == (
        "--output: cannot write checkpoints/missing.keras: No space left on device; free some space there, or choose "
        "another place"
    )
    assert list(tmp_path.iterdir()) == []


def test_two_trainings_with_one_output(call: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "a.resume").touch()
    with held(tmp_path / ".a.lock"):
        for options in ([], ["--resume"], ["--force"]):
            assert complaint(call("train", "missing", "--output", "a.keras", *options, code=1)) == (
                f"--output a.keras: process {os.getpid()} is training it; wait for it, stop it, or choose another "
                "--output"
            )
        assert complaint(call("train", "missing", "--output", "b.keras", code=1)).startswith("missing: no such file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.resume"]


def test_a_piece_and_its_duplicate_are_one_piece(call: Callable[..., Result], tmp_path: Path) -> None:
    for name in ("a.mid", "b.mid"):
        midi.write(tune(60), tmp_path / name)
    line = complaint(call("train", ".", code=1))
    assert line.startswith(". holds 1 usable piece (1 skipped; the first, b.mid: duplicate of a.mid)")


@pytest.mark.parametrize(
    "options",
    [
        ["--minutes", "1", "--epochs", "1"],
        ["--from", "x.keras", "--preset", "tiny"],
        ["--minutes", "0"],
        ["--epochs", "-1"],
        ["--preset", "huge"],
        ["--transpose", "25"],
        ["--transpose-until", "1.1"],
        ["--seed", "-1"],
        ["--threads", "0"],
    ],
)
def test_options_of_train_out_of_range(call: Callable[..., Result], options: list[str]) -> None:
    assert "Error: " in call("train", ".", *options, code=2).stderr


def test_train_without_tensorboard(call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    line = complaint(call("train", ".", "--log-dir", "logs", code=1))
    assert line == "--log-dir needs TensorBoard: pip install 'melodygru[tensorboard]'"


@pytest.mark.slow
def test_validation_folder_is_used_whole_and_its_overlap_is_said(
    call: Callable[..., Result], tunes: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "judge"
    folder.mkdir()
    midi.write(tune(48), folder / "known.mid")
    midi.write(tune(48), folder / "twice.mid")
    midi.write(tune(66), folder / "new.mid")
    (folder / "bad.mid").touch()
    result = call("train", tunes / "low", "--validation", folder, *TINY, "--output", "x.keras")
    assert "files       6: 6 kept, 0 skipped" in result.stderr.splitlines()
    assert "6 pieces to learn, 3 held out (--validation judge)" in result.stderr
    assert "2 of the 3 validation pieces are in the training folder too" in result.stderr
    assert "known.mid = 00.mid, twice.mid = 00.mid" in result.stderr
    assert "skipped bad.mid: the file is empty" in result.stderr
    held_out, *places = result.stdout.splitlines()
    assert held_out.startswith("held out ") and held_out.endswith("(3 pieces, 96 notes)")
    assert [line.split()[0] for line in places] == ["checkpoint", "history", "picture", "next"]
    card = checkpoint.read(tmp_path / "x.keras").card
    assert card["corpus"]["name"] == "low" and card["corpus"]["pieces"] == 6 and card["corpus"]["notes"] == 6 * 32
    assert str(tmp_path) not in json.dumps(card)  # a checkpoint is given away: no path of its maker's


@pytest.mark.slow
def test_fine_tuning_takes_grid_and_size_from_the_checkpoint(
    call: Callable[..., Result], trained: Trained, tunes: Path, tmp_path: Path
) -> None:
    options = ("--from", trained.path, "--epochs", 1, "--threads", 1, "--output", "tuned.keras", "--json")
    document = json.loads(call("train", tunes / "high", *options).stdout)
    assert document["report"]["grid_evidence"] == {"decided_by": "given"} and document["report"]["grid"] == "2"
    assert document["card"]["from"] == "tunes.keras"
    assert document["architecture"]["units"] == PRESETS["tiny"].units
    before, after = checkpoint.read(trained.path), checkpoint.read(tmp_path / "tuned.keras")
    assert after.vocabulary == before.vocabulary
    assert any(not np.array_equal(before.weights[name], after.weights[name]) for name in before.weights)

    other = tmp_path / "other"
    other.mkdir()
    for path in sorted((tunes / "high").rglob("*.mid")):
        sequence = midi.read(path).sequence
        notes = sequence.notes.copy()
        notes["program"] = 9
        midi.write(dataclasses.replace(sequence, notes=notes), other / path.name)
    options = ("--from", trained.path, "--epochs", 1, "--threads", 1, "--grid", "2", "--output", "z.keras")
    assert not before.vocabulary.models_part
    assert "notes are not as" in call("train", other, *options).stderr

    line = complaint(call("train", tunes, "--from", trained.path, "--grid", "4", "--output", "y.keras", code=1))
    assert "was trained on a grid of 2 steps per beat, this music is on 4 steps per beat: give --grid 2" in line


@pytest.mark.slow
def test_sigterm_saves_the_run_and_says_how_to_go_on(
    call: Callable[..., Result], tunes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: Progress) -> str:
        signal.raise_signal(signal.SIGTERM)
        return "stopping"

    monkeypatch.setattr(Progress, "__str__", stop)
    options = ("train", tunes, "--preset", "tiny", "--epochs", 50, "--output", "x.keras", "--force")
    line = complaint(call(*options, code=143))
    assert line == (
        f"interrupted, and saved in x.resume; go on with: melodygru train {tunes} --preset tiny --epochs 50 "
        "--output x.keras --resume"
    )
    assert (tmp_path / "x.resume").exists()
    line = complaint(call("train", tunes, "--preset", "tiny", "--epochs", 9, "--output", "x.keras", "--resume", code=1))
    assert "x.resume: the interrupted run differs in settings; give the same" in line


def test_nothing_to_resume(call: Callable[..., Result], tunes: Path) -> None:
    line = complaint(call("train", tunes, *TINY, "--output", "x.keras", "--resume", code=1))
    assert line == "x.resume: nothing to resume; train without --resume"


# -- generate


def test_the_newest_checkpoint_is_used_and_named(call: Callable[..., Result], trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "a.keras").write_bytes(trained.path.read_bytes())
    document = json.loads(call("generate", "--notes", 5, "--json").stdout)
    assert document["model"] == "checkpoints/a.keras" and document["problems"] == []
    (made,) = document["outputs"]
    assert made["midi"] == f"generated/a-{document['seed']}-1.mid"
    assert made["wav"] is None and made["png"] is None and made["metre"] == "4/4" and made["notes"] >= 5
    again = call("generate", "--notes", 5, "--seed", document["seed"], "-o", "again")
    assert f"model checkpoints/a.keras, seed {document['seed']}\n" in again.stderr
    name = Path(made["midi"]).name
    assert (tmp_path / "again" / name).read_bytes() == (tmp_path / made["midi"]).read_bytes()


def test_no_file_is_replaced_by_other_music(call: Callable[..., Result], trained: Trained, tmp_path: Path) -> None:
    options = ("generate", "--model", trained.path, "--bars", 2, "--seed", 1, "-o", ".")
    first = call(*options).stdout
    kept = (tmp_path / "tunes-1-1.mid").read_bytes()
    assert call(*options).stdout == first  # the same music keeps its name
    assert call(*options, "--temperature", 2).stdout.startswith("tunes-1-take2-1.mid ")
    assert (tmp_path / "tunes-1-1.mid").read_bytes() == kept


def test_every_file_says_how_it_was_made(call: Callable[..., Result], trained: Trained, tmp_path: Path) -> None:
    call("generate", "--model", trained.path, "--bars", 2, "--seed", 1, "-n", 2, "--metre", "3/4", "-o", ".")
    (text,) = [m.text for m in mido.MidiFile(tmp_path / "tunes-1-2.mid").tracks[0] if m.type == "text"]
    said = json.loads(text.removeprefix("melodygru "))
    assert said["versions"]["melodygru"] == __version__
    assert (said["seed"], said["piece"], said["of"]) == (1, 2, 2)
    assert (said["settings"]["temperature"], said["settings"]["bars"], said["settings"]["metre"]) == (1.0, 2, [3, 4])
    assert str(tmp_path) not in text and trained.path.name not in text


def test_a_file_names_the_model_and_primer_that_were_read(
    call: Callable[..., Result], trained: Trained, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "live.keras"
    path.write_bytes(trained.path.read_bytes())
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (path, song)]
    composed = Composer.generate

    def replaced_meanwhile(*arguments: Any, **settings: Any) -> Any:
        for file in (path, song):
            file.write_bytes(b"another")
        return composed(*arguments, **settings)

    monkeypatch.setattr(Composer, "generate", replaced_meanwhile)
    call("generate", "--model", path, "--primer", song, "--bars", 1, "--seed", 1, "-o", ".")
    (text,) = [m.text for m in mido.MidiFile(tmp_path / "live-1-1.mid").tracks[0] if m.type == "text"]
    said = json.loads(text.removeprefix("melodygru "))
    assert (said["model"], said["inputs"]) == (digests[0], {"primer": {"file": digests[1]}})


def test_metre_tempo_and_style(call: Callable[..., Result], trained: Trained, tmp_path: Path) -> None:
    options = ("--bars", 2, "--seed", 1, "--metre", "3/4", "--qpm", 90, "--style", "low", "-o", ".")
    result = call("generate", "--model", trained.path, *options)
    assert "warning: 3/4 is a metre that this model was not trained on" in result.stderr
    piece = midi.read(tmp_path / "tunes-1-1.mid").sequence
    assert piece.metre == (3, 4) and piece.beats == 6 and round(piece.qpm) == 90
    assert result.stdout.splitlines()[0].split(" notes, ")[1] == "2 bars, 0:04"


def test_music_without_a_beat_has_no_metre_and_no_tempo(call: Callable[..., Result], tmp_path: Path) -> None:
    from melodygru.model import keras_model

    keras_model.save(toys.model("performance"), tmp_path / "live.keras")
    options = ("--model", "live.keras", "--notes", 3, "--seed", 1, "-o", ".")
    plain = call("generate", *options)
    assert "warning" not in plain.stderr
    result = call("generate", *options, "--metre", "3/4", "--qpm", 90)
    for option in ("--metre", "--qpm"):
        assert f"warning: {option} has no effect: this model's music is in seconds, without a beat" in result.stderr


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--model", "missing.keras"], "missing.keras: no such checkpoint"),
        (["--model", "song.mid"], "song.mid: not a readable .keras file"),
        (["--bars", "1", "--notes", "1"], "bars and notes given: expected at most one of bars, seconds and notes"),
        (["--style", "polka"], "style 'polka': this model knows high, low"),
        (["--primer", "missing.mid"], "missing.mid: cannot open the file: No such file or directory"),
        (["--primer", "text.mid"], "text.mid: not a MIDI file"),
        (["--primer", "silent.mid"], "silent.mid holds no note: expected a piece to go on from"),
        (
            ["--bars", "1", "-o", "song.mid"],
            "--output-dir song.mid: File exists; expected a folder, or a name for a new one",
        ),
        (["--bars", "1", "-o", "song.mid/new"], "--output-dir song.mid/new: Not a directory; expected a folder"),
        (["--temperature", "nan"], "temperature nan: expected 0..10"),
    ],
)
def test_what_generate_refuses_before_it_composes(
    call: Callable[..., Result],
    trained: Trained,
    song: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    line: str,
) -> None:
    (tmp_path / "text.mid").write_text("no music")
    mido.MidiFile(tracks=[mido.MidiTrack()]).save(tmp_path / "silent.mid")
    monkeypatch.setattr(compose.Sampler, "step", lambda *_: pytest.fail("composing has begun"))
    model = [] if "--model" in options else ["--model", str(trained.path)]
    assert complaint(call("generate", *model, *options, code=1)).startswith(line)
    assert not (tmp_path / "generated").exists()


def test_generate_without_any_checkpoint(call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "shipped_path", lambda: None)
    line = complaint(call("generate", code=1))
    assert line == "no checkpoint in ./checkpoints, and none came with melodygru: run melodygru train first"


@pytest.mark.parametrize(
    "options",
    [
        ["--temperature", "10.1"],
        ["--temperature", "-0.1"],
        ["--top-p", "0"],
        ["--top-p", "1.1"],
        ["--min-p", "1"],
        ["--top-k", "-1"],
        ["--bars", "0"],
        ["--seconds", "0"],
        ["--seconds", "inf"],
        ["--notes", "0"],
        ["-n", "0"],
        ["--qpm", "4.9"],
        ["--seed", "-1"],
        ["--metre", "3"],
        ["--metre", "3/5"],
        ["--metre", "0/4"],
        ["--metre", "100/4"],
    ],
)
def test_options_of_generate_out_of_range(call: Callable[..., Result], options: list[str]) -> None:
    assert "Error: " in call("generate", *options, code=2).stderr


def test_without_a_sound_device_the_files_are_written(
    call: Callable[..., Result], trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_device(*_: Any, **__: Any) -> None:
        raise audio.AudioError("no sound device found")

    monkeypatch.setattr(audio.speakers, "open_device", no_device)
    result = call("generate", "--model", trained.path, "--bars", 1, "-n", 2, "--seed", 1, "--wav", "--play", "--json")
    document = json.loads(result.stdout)
    assert complaint(result) == "no sound device found"  # once, not for each piece
    assert document["problems"] == ["no sound device found"]
    for made in document["outputs"]:
        assert Path(made["midi"]).exists() and Path(made["wav"]).exists()


def test_without_a_renderer_the_midi_files_are_written(
    call: Callable[..., Result], trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_long(*_: Any, **__: Any) -> None:
        raise audio.AudioError("the piece lasts 40:00")

    monkeypatch.setattr(audio, "render", too_long)
    result = call("generate", "--model", trained.path, "--bars", 1, "--seed", 1, "--wav", "--json", code=1)
    (made,) = json.loads(result.stdout)["outputs"]
    assert complaint(result) == "the piece lasts 40:00"
    assert Path(made["midi"]).exists() and made["wav"] is None


def test_composing_shows_its_progress(
    call: Callable[..., Result], trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "SHOWN_AFTER_S", -1.0)
    monkeypatch.setattr(screen.ProgressLine.__init__, "__defaults__", (-1.0,))
    assert "composing: 1 note, 10%" in call("generate", "--model", trained.path, "--notes", 10).stderr
    assert "composing: 1 note, " in call("generate", "--model", trained.path, "--seed", 1).stderr


def test_progress_by_hand() -> None:
    from melodygru.cli.generate import _Progress

    shown: list[str] = []
    line: Any = SimpleNamespace(show=lambda text: shown.append(text()), elapsed_s=3.0)
    for length, steps in ((compose.Length(bars=4), 64), (compose.Length(notes=4), None), (compose.Length(), None)):
        progress = _Progress(line)
        progress.start([compose.Plan((4, 4), 120.0, 32, 16, length, steps, None, None)] * 2)
        for stream, onset in ((0, 48), (1, 64)):
            progress.add(compose.Note(stream, onset, 4, 0, 60, 80))
    assert shown == [
        "composing: 1 note, 12%, 0:21 left",  # a quarter of one piece of two, after 3 s
        "composing: 2 notes, 38%, 0:05 left",
        "composing: 1 note, 12%, 0:21 left",  # one note of eight
        "composing: 2 notes, 25%, 0:09 left",
        "composing: 1 note",
        "composing: 2 notes",
    ]


# -- evaluate


def test_lossy_notes_are_counted(call: Callable[..., Result], trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    track = mido.MidiTrack()
    for channel in (0, 1):  # the same note in two parts, of which the model has one, is one note
        track.append(mido.Message("note_on", channel=channel, note=60, velocity=80))
    for channel in (0, 1):
        track.append(mido.Message("note_off", channel=channel, note=60, time=240 * (1 - channel)))
    track.append(mido.Message("program_change", channel=2, program=5))  # the model has one program, 0
    track.append(mido.Message("note_on", channel=2, note=64, velocity=80))
    track.append(mido.Message("note_off", channel=2, note=64, time=240))
    mido.MidiFile(tracks=[track]).save(folder / "odd.mid")
    mido.MidiFile(tracks=[mido.MidiTrack()]).save(folder / "silent.mid")
    result = call("evaluate", folder, "--model", trained.path, "--json")
    figures = json.loads(result.stdout)
    assert figures["pieces"] == 1 and figures["skipped"] == 1 and figures["notes"] == 2 and figures["steps"] == 2
    assert figures["lossy_notes"] == 2 + 1  # given another part and merged, and given another program
    assert f"warning: {folder}: skipped silent.mid: no notes\n" in result.stderr


def test_evaluate_prints_a_table(call: Callable[..., Result], trained: Trained, song: Path, tmp_path: Path) -> None:
    result = call("evaluate", song, "--model", trained.path, "--per-note", "x.csv")
    rows = dict(line.split(maxsplit=1) for line in result.stdout.splitlines() if not line.startswith(("nats ", "per ")))
    assert rows["pieces"] == "1" and rows["unmodelled"] == "part, velocity"
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 1 + 33
    assert [path.name for path in tmp_path.glob(".*")] == []


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["missing", "--model", "{model}"], "missing: no such file or folder"),
        ([".", "--model", "missing.keras"], "missing.keras: no such checkpoint"),
        (
            ["song.mid", "--model", "{model}", "--per-note", "no/x.csv"],
            "--per-note: cannot write no/x.csv: No such file or directory",
        ),
    ],
)
def test_what_evaluate_refuses_before_it_loads_tensorflow(
    call: Callable[..., Result],
    trained: Trained,
    song: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    line: str,
) -> None:
    monkeypatch.setattr(startup, "start_tensorflow", None)
    options = [option.format(model=trained.path) for option in options]
    assert complaint(call("evaluate", *options, code=1)).startswith(line)


# -- play


def test_play_sounds_what_render_gives(
    call: Callable[..., Result], song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = []
    monkeypatch.setattr(audio, "render", lambda sequence, soundfont, **_: np.full((len(sequence), 2), 0.5, np.float32))
    monkeypatch.setattr(audio, "play", lambda samples, on_position: heard.append(samples))
    call("play", song)
    assert heard[0].shape == (32, 2)


def test_play_writes_a_wav_file_instead(
    call: Callable[..., Result], song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "play", lambda *_, **__: pytest.fail("played"))
    assert call("play", song, "--wav", "out.wav").stdout == "out.wav\n"
    assert (tmp_path / "out.wav").read_bytes().startswith(b"RIFF")


def test_play_to_a_port(call: Callable[..., Result], song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.setattr(audio, "send", lambda sequence, port, on_position, **_: sent.append((len(sequence), port)))
    monkeypatch.setattr(audio, "render", lambda *_, **__: pytest.fail("rendered"))
    result = call("play", song, "--port", "FLUID")
    assert sent == [(32, "FLUID")] and "sending song.mid to FLUID" in result.stderr


def test_ports_are_listed(call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "list_ports", lambda: ["A", "B"])
    assert call("play", "--list-ports").stdout == "A\nB\n"
    monkeypatch.setattr(audio, "list_ports", list)
    result = call("play", "--list-ports")
    assert result.stdout == "" and result.stderr == "no MIDI ports: start a synthesiser first\n"


def test_the_position_moves_on_a_terminal(
    call: Callable[..., Result], song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal:
        @staticmethod
        def isatty() -> bool:
            return True

    monkeypatch.setattr("melodygru.cli.play.sys", type("sys", (), {"stderr": Terminal}))
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(audio, "send", lambda sequence, port, on_position, **_: on_position(4.0))
    assert "\r 0:04 / 0:08 [=======>      ]" in call("play", song, "--port", "x").stderr


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["missing.mid"], "missing.mid: cannot open the file: No such file or directory"),
        (["text.mid"], "text.mid: not a MIDI file"),
        (["song.mid", "--wav", "no/x.wav"], "--wav: cannot write no/x.wav: No such file or directory; choose another"),
        (["song.mid", "--wav", "x.mp3"], "--wav x.mp3: expected a name that ends in .wav"),
        (["song.mid", "--flac", "x.wav"], "--flac x.wav: expected a name that ends in .flac"),
        (["song.mid", "--soundfont", "text.mid", "--wav", "x.wav"], "SoundFont text.mid: not a SoundFont 2 file"),
    ],
)
def test_what_play_refuses(
    call: Callable[..., Result], song: Path, tmp_path: Path, options: list[str], line: str
) -> None:
    (tmp_path / "text.mid").write_text("no music")
    assert complaint(call("play", *options, code=1)).startswith(line)


def test_play_needs_a_file(call: Callable[..., Result]) -> None:
    assert "Missing argument 'FILE'" in call("play", code=2).stderr


# -- inspect


def test_inspect_a_midi_file(call: Callable[..., Result], song: Path) -> None:
    rows = dict(line.split("  ", 1) for line in call("inspect", song).stdout.splitlines())
    assert {name: text.strip() for name, text in rows.items()} == {
        "MIDI file": f"{song}, type 1, 2 tracks, 480 ticks per beat",
        "notes": "32",
        "length": "0:08, 16.0 beats",
        "tempo": "120.0 quarter notes per minute",
        "metre": "4/4",
        "key": "C major by the notes",
        "form": "A4 (letters are sections, numbers their bars)",
        "chords of A": "Dm7 | Dm7 | C | Fmaj7 Dm7",
        "part": "0 Acoustic Grand Piano: 32 notes",
        "pitches": "60..67 (C4..G4)",
        "grid": "train would choose 2 steps per beat for this piece alone",
    }
    about = json.loads(call("inspect", song, "--json").stdout)
    assert about["kind"] == "midi" and about["tracks"] == 2 and about["notes"] == 32 and about["grid"] == "2"
    assert about["oddities"] == {}
    assert about["parts"] == [{"name": "Acoustic Grand Piano", "program": 0, "notes": 32}]


def test_silence_after_the_music_is_left_out(call: Callable[..., Result], tmp_path: Path) -> None:
    """A file whose tracks end nineteen hours after its last note."""
    far = dataclasses.replace(tune(60, 1), length=2 * 60 * 2 * 60 * 19)
    midi.write(far, tmp_path / "far.mid")
    shown = call("show", "far.mid")
    assert "the file ends 18:59:58 after its last note: that silence is left out" in shown.output
    assert len(shown.output.splitlines()) < 30
    call("show", "far.mid", "--png", "far.png")
    assert "19:00:00, 136,800.0 beats; its last note ends at 0:02" in call("inspect", "far.mid").output
    assert "left out" not in call("show", "far.mid", "--png", "far.png").stdout


def test_inspect_lists_parts_by_their_names(call: Callable[..., Result], tmp_path: Path) -> None:
    notes = note_array([(at, 1, program, 60, 80) for at, program in enumerate((0, 0, 0, 128))], [0, 1, 2, 3])
    names = ("Right hand", "", "Acoustic Grand Piano, left")
    midi.write(NoteSequence(notes, Grid.beats(4), 8, names=names), tmp_path / "x.mid")
    rows = [line.split("  ", 1)[1].strip() for line in call("inspect", "x.mid").stdout.splitlines() if "part " in line]
    assert rows == [
        "Right hand, 0 Acoustic Grand Piano: 1 note",
        "0 Acoustic Grand Piano: 1 note",
        "Acoustic Grand Piano, left, 0 Acoustic Grand Piano: 1 note",
        "128 Drums: 1 note",
    ]


def test_inspect_shows_oddities_and_changes(call: Callable[..., Result], tmp_path: Path) -> None:
    track = mido.MidiTrack([mido.Message("note_on", note=60, velocity=80)])
    track += [
        mido.MetaMessage("set_tempo", tempo=400_000, time=480),
        mido.MetaMessage("set_tempo", tempo=600_000, time=480),
    ]
    track += [mido.MetaMessage("time_signature", numerator=3, denominator=4), mido.Message("note_off", note=60)]
    track += [mido.Message("note_on", note=61), mido.Message("note_off", note=61), mido.Message("note_off", note=62)]
    mido.MidiFile(tracks=[track]).save(tmp_path / "x.mid")
    rows = [line.split("  ", 1) for line in call("inspect", "x.mid").stdout.splitlines()]
    rows = [(name, text.strip()) for name, text in rows]
    assert ("tempo", "120.0 quarter notes per minute, 2 changes later") in rows
    assert ("metre", "4/4, 1 change later") in rows
    assert ("notes", "1") in rows
    oddities = [text for name, text in rows if name == "oddity"]
    assert oddities == ["notes without length dropped: 1", "ends without a note: 1"]
    assert ("notes lost", "1 dropped, merged or cut in reading") in rows


def test_inspect_shows_key_form_and_chords(call: Callable[..., Result], tmp_path: Path) -> None:
    """A of four whole chords, B of four that are struck twice: AABA."""
    a = [(48, 64, 67), (45, 60, 64), (41, 60, 69), (43, 62, 71)]
    b = [(50, 65, 69), (40, 64, 68), (50, 65, 69), (40, 64, 68)]
    bars = [*((chord, 16) for chord in a + a), *((chord, 8) for chord in b), *((chord, 16) for chord in a)]
    struck = [(bar, at, size, chord) for bar, (chord, size) in enumerate(bars) for at in range(0, 16, size)]
    notes = note_array([(16 * bar + at, size, 0, pitch, 80) for bar, at, size, chord in struck for pitch in chord])
    keys = np.array([(0, 0, 0)], KEY)
    midi.write(NoteSequence(canonical(notes)[0], Grid.beats(4), 256, keys=keys), tmp_path / "x.mid")
    found = dict(line.split("  ", 1) for line in call("inspect", "x.mid", "--grid", 4).stdout.splitlines())
    assert found["key"].strip() == "C major; A minor by the notes"
    assert found["form"].strip() == "A4 A4 B4 A4 (letters are sections, numbers their bars)"
    assert found["chords of A"].strip() == "C | Am | F | G"
    assert found["chords of B"].strip() == "Dm | E | Dm | E"
    about = json.loads(call("inspect", "x.mid", "--grid", 4, "--json").stdout)
    assert (about["key"], about["key_found"], about["form"]) == ("C major", "A minor", "A4 A4 B4 A4")
    assert about["returns"][:5] == [-1, -1, -1, -1, 0] and about["chords"][:4] == ["C", "C", "Am", "Am"]


def test_inspect_a_folder(call: Callable[..., Result], tunes: Path) -> None:
    text = call("inspect", tunes).stdout
    assert "files       12: 12 kept, 0 skipped" in text and "styles      high (6), low (6)" in text
    about = json.loads(call("inspect", tunes, "--json").stdout)
    assert about["kind"] == "folder" and about["kept"] == 12 and about["notes"] == 12 * 32


@pytest.fixture
def late(tmp_path: Path) -> Path:
    """Twelve bars of a waltz, all 30 of 480 ticks late, whose header says 1/4."""
    rows = []
    for bar in range(12):
        root, at = (36, 41, 43)[bar % 3], 30 + bar * 1440
        rows += [(at, 1440, 0, root, 80), (at, 960, 0, root + 36, 80)]
        rows += [(at + beat * 480, 240, 0, root + 24 + third, 60) for beat in (1, 2) for third in (0, 4, 7)]
    notes, _ = canonical(note_array(rows))
    (tmp_path / "late").mkdir()
    path = tmp_path / "late" / "waltz.mid"
    midi.write(NoteSequence(notes, Grid.beats(480), 12 * 1440 + 30, metres=np.array([(0, 1, 4)], METRE)), path)
    return path


def test_inspect_says_what_beat_and_bars_were_found(call: Callable[..., Result], late: Path) -> None:
    lines = call("inspect", late).stdout.splitlines()
    assert "beat          notes stand +0.062 beats beside the file's; train would move them" in lines
    assert any(line.startswith("bars          train would take 3/4 (from the notes, ") for line in lines)
    assert "metre         1/4" in lines
    about = json.loads(call("inspect", late, "--json").stdout)["grid_evidence"]["beats"]
    assert about["offset_beats"] == pytest.approx(30 / 480)
    assert (about["metre"], about["metres"], about["metre_from"]) == ("3/4", 1, "notes")
    folder = json.loads(call("inspect", late.parent, "--json").stdout)
    assert folder["metres"] == {"3/4": 1}
    assert folder["grid_evidence"]["beats"]["moved"] == 1


def test_inspect_tries_a_grid_and_a_metre(call: Callable[..., Result], late: Path) -> None:
    lines = call("inspect", late, "--grid", 6, "--metre", "4/4").stdout.splitlines()
    assert "grid          6 steps per beat" in lines
    assert "bars          train would take 4/4 (as asked)" in lines
    folder = call("inspect", late.parent, "--grid", 6, "--metre", "4/4").stdout
    assert "grid        6 steps per beat (as asked)" in folder
    assert "metres      4/4 (1)" in folder
    assert "expected a time signature such as 3/4" in call("inspect", late, "--metre", "three", code=2).stderr


def test_a_checkpoint_has_its_grid(call: Callable[..., Result], trained: Trained) -> None:
    line = complaint(call("inspect", trained.path, "--metre", "3/4", code=1))
    assert line == f"{trained.path} is a checkpoint: --grid and --metre go with MIDI files"


def test_inspect_a_checkpoint(call: Callable[..., Result], trained: Trained) -> None:
    rows = dict(line.split("  ", 1) for line in call("inspect", trained.path).stdout.splitlines())
    rows = {name: text.strip() for name, text in rows.items()}
    assert (
        rows["grid"] == "2 steps per beat" and rows["styles"] == "high, low" and rows["unmodelled"] == "part, velocity"
    )
    assert rows["model"].startswith("1 GRU layer of 128 units, ") and "11 pieces, 352 notes" in rows["trained on"]
    assert rows["seed"] == "3" and f"melodygru {__version__}" in rows["versions"]
    about = json.loads(call("inspect", trained.path, "--json").stdout)
    assert about["kind"] == "checkpoint" and about["architecture"]["units"] == 128
    assert about["parameters"] == sum(weight.size for weight in checkpoint.read(trained.path).weights.values())
    assert len(about["card"]["history"]) >= 1


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("missing", "missing: cannot open the file: No such file or directory"),
        ("x.keras", "x.keras: not a readable .keras file"),
        ("text.mid", "text.mid: not a MIDI file"),
        ("empty", "empty holds no MIDI files"),
    ],
)
def test_what_inspect_refuses(call: Callable[..., Result], tmp_path: Path, path: str, line: str) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("x.keras", "text.mid"):
        (tmp_path / name).write_text("no music")
    assert complaint(call("inspect", path, code=1)).startswith(line)


def test_a_tune_of_the_tests_is_what_it_says() -> None:
    piece = quantize(tune(60, bars=1), tune(60).grid)[0]
    assert piece.notes["pitch"].tolist() == [60, 62, 64, 65, 67, 65, 64, 62] and piece.length == 8
