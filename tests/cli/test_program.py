"""What a command leaves behind in the process that runs it, and how it says what is wrong to a script."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import pytest
from click.testing import Result
from conftest import tune

from melodygru import midi
from melodygru.cli import main
from melodygru.cli.options import Written
from melodygru.cli.outputs import write_new
from melodygru.errors import SettingError

Command = Callable[..., Result]


def test_a_command_leaves_the_environment_and_the_log_as_they_were(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    @click.command()
    def look() -> None:
        seen.extend([os.environ["KERAS_BACKEND"], os.environ["MPLBACKEND"]])
        os.environ["OMP_NUM_THREADS"] = "7"
        os.environ["A_NEW_ONE"] = "1"
        del os.environ["ONE_TO_LOSE"]

    monkeypatch.setitem(main.commands, "look", look)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("ONE_TO_LOSE", "here")
    monkeypatch.delenv("MPLBACKEND")
    logger = logging.getLogger("melodygru")
    before = dict(os.environ), logger.propagate, list(logger.handlers)
    command("look")
    assert seen == ["tensorflow", "Agg"]
    assert (dict(os.environ), logger.propagate, list(logger.handlers)) == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("inspect", "missing.mid"), 1, "missing.mid: "),
        (("inspect", "a.mid", "--grid"), 2, "Option '--grid' requires an argument."),
        (("generate", "--show"), 2, "--show and --json: expected one of the two."),
    ],
)
def test_an_error_is_an_object_too(command: Command, arguments: tuple[str, ...], code: int, message: str) -> None:
    options = list(arguments)
    options.insert(1, "--json")
    result = command(*options, code=code)
    error = json.loads(result.stdout)["error"]
    assert error["message"].startswith(message) and error["exit_code"] == code
    assert error["message"] in result.stderr


def test_without_json_an_error_is_on_stderr_alone(command: Command) -> None:
    assert command("inspect", "missing.mid", code=1).stdout == ""


@pytest.mark.parametrize(
    "code",
    [
        "import melodygru; melodygru.load_model('x.keras')",
        "import melodygru; melodygru.train('.')",
        "import melodygru, keras; keras.saving.registered['melodygru>MelodyGRU'].from_config({})",
        "import keras, melodygru; keras.saving.registered['melodygru>MelodyGRU'].from_config({})",
    ],
)
def test_another_backend_of_keras_is_one_clear_line(code: str, tmp_path: Path) -> None:
    """A Keras without TensorFlow, as far as `import melodygru, keras` and our check of it go."""
    package = tmp_path / "keras"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from keras import saving\nfrom keras import config\nclass layers:\n    Layer = GRU = LSTM = object\n"
        "import sys\nassert 'tensorflow' not in sys.modules\n"
    )
    (package / "config.py").write_text("def backend():\n    return 'jax'\n")
    (package / "saving.py").write_text(
        "registered = {}\ndef get_custom_objects():\n    return registered\n"
        "def register_keras_serializable(package):\n    return lambda cls: cls\n"
    )
    (tmp_path / "tensorflow.py").write_text("")
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    environment["PYTHONPATH"] = os.pathsep.join((str(tmp_path), environment["PYTHONPATH"]))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        "melodygru.errors.SettingError: Keras runs on jax, and melodygru's Keras model needs TensorFlow: set "
        "KERAS_BACKEND=tensorflow before Keras is imported (composing with melodygru.generate needs neither)"
    )


def test_keras_alone_loads_no_tensorflow_through_us(tmp_path: Path) -> None:
    package = tmp_path / "keras"
    package.mkdir()
    (package / "__init__.py").write_text("from keras import saving\n")
    (package / "saving.py").write_text("registered = {}\ndef get_custom_objects():\n    return registered\n")
    code = "import sys, melodygru, keras; print('tensorflow' in sys.modules, *keras.saving.registered)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), os.environ["PYTHONPATH"]))}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert run.stdout.split() == ["False", "melodygru>MelodyGRU"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("play", "song.mid", "--wav", "song.mid"), "--wav song.mid: expected a name that ends in .wav"),
        (("play", "song.mid", "--wav", "link.wav"), "--wav link.wav: that file is FILE of this command"),
        (
            ("evaluate", ".", "--model", "m.keras", "--per-note", "m.keras"),
            "--per-note m.keras: expected a name that ends in .csv",
        ),
    ],
)
def test_nothing_that_is_read_is_written_over(command: Command, arguments: tuple[str, ...], message: str) -> None:
    for name in ("song.mid", "m.keras"):
        Path(name).write_bytes(b"precious")
    Path("link.wav").symlink_to("song.mid")
    assert message in command(*arguments, code=1).stderr
    assert Path("song.mid").read_bytes() == Path("m.keras").read_bytes() == b"precious"


def test_four_at_once_leave_four_pieces_of_music_each_whole(tmp_path: Path) -> None:
    start = threading.Barrier(4)

    def write(music: bytes) -> list[Path]:
        start.wait()
        return write_new([music + b"1", music + b"2"], lambda take: [tmp_path / f"a{take}-{n}.mid" for n in (1, 2)])

    with ThreadPoolExecutor(4) as pool:
        for at in range(20):
            music = [bytes([at, writer]) for writer in range(4)]
            for begins, paths in zip(music, pool.map(write, music), strict=True):
                assert [path.read_bytes() for path in paths] == [begins + b"1", begins + b"2"]
    assert len(list(tmp_path.iterdir())) == 160


def test_an_empty_name_is_a_usage_error(command: Command) -> None:
    assert "expected the name of a file" in command("play", "song.mid", "--wav", "", code=2).stderr


FULL = "No space left on device; free some space there, or choose another place"


def _full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("arguments", "option", "file"),
    [
        (("show", "a.mid", "--png", "b.png"), "--png", "b.png"),
        (("inspect", "a.mid", "--score", "b.musicxml", "--json"), "--score", "b.musicxml"),
        (("play", "a.mid", "--wav", "b.wav"), "--wav", "b.wav"),
    ],
)
def test_a_full_disk_names_option_file_and_remedy(
    command: Command, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], option: str, file: str
) -> None:
    midi.write(tune(60), "a.mid")
    monkeypatch.setattr("melodygru.util.atomic.os.replace", _full)
    result = command(*arguments, code=1)
    line = f"{option}: cannot write {file}: {FULL}"
    assert result.stderr.splitlines()[-1] == f"melodygru: {line}"
    if "--json" in arguments:
        assert json.loads(result.stdout)["error"]["message"] == line


def test_a_full_disk_names_the_option_of_a_folder_and_of_each_kind(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    piece = ("generate", "--notes", 4, "--seed", 1, "-o", "out", "--json")
    with monkeypatch.context() as patch:
        patch.setattr("melodygru.util.atomic.os.link", _full)
        patch.setattr("melodygru.util.atomic.os.replace", _full)
        message = json.loads(command(*piece, code=1).stdout)["error"]["message"]
        assert not list(Path("out").iterdir())
        assert message == f"--output-dir: cannot write out/starter-1-1.mid: {FULL}"
    command(*piece)
    monkeypatch.setattr("melodygru.util.atomic.os.replace", _full)
    problems = json.loads(command(*piece, "--svg", "--score", "s.musicxml", code=1).stdout)["problems"]
    assert problems == [
        f"--svg: cannot write out/starter-1-1.svg: {FULL}",
        f"--score: cannot write s.musicxml: {FULL}",
    ]


def test_a_full_disk_under_the_output_itself(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    midi.write(tune(60), "a.mid")
    echo = click.echo
    monkeypatch.setattr(click, "echo", lambda text, err=False, **_: echo(text, err=True) if err else _full())
    result = command("inspect", "a.mid", code=1)
    assert result.stderr == f"melodygru: cannot write standard output: {FULL}\n"


def test_a_missing_right_has_a_remedy(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "a.mid")

    monkeypatch.setattr("melodygru.midi.reading.load", refuse)
    midi.write(tune(60), "a.mid")
    message = "a.mid: Permission denied; allow it, or choose another"
    assert json.loads(command("inspect", "a.mid", "--json", code=1).stdout)["error"]["message"] == message


def test_without_room_for_temporary_files(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    midi.write(tune(60), "a.mid")
    Path("full").touch()
    monkeypatch.setenv("MELODYGRU_CACHE", "full")
    monkeypatch.setattr("tempfile.TemporaryDirectory", none)
    line = command("judge", "a.mid", "--against", ".", code=1).stderr.splitlines()[-1]
    assert line.startswith("melodygru: no room for temporary files: a temporary folder: No usable temporary directory")
    assert line.endswith("; set TMPDIR to a folder with space")


def test_the_suffix_says_what_a_file_is() -> None:
    options = [
        (command, param)
        for command in main.commands.values()
        for param in command.params
        if isinstance(param.type, Written)
    ]
    assert len(options) >= 10
    for command, param in options:
        with click.Context(command) as ctx, pytest.raises(SettingError, match=r"x\.mp3: expected a name that ends in"):
            param.type.convert("x.mp3", param, ctx)


@pytest.mark.parametrize(
    "settings",
    [
        {"PYTHONIOENCODING": "cp437"},
        {"PYTHONIOENCODING": "cp1252"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TERM": "dumb", "COLUMNS": "1"},
        {"TERM": "", "COLUMNS": "0"},
    ],
)
def test_any_code_page_and_any_terminal_will_do(settings: dict[str, str]) -> None:
    midi.write(tune(60), "\xfc \u266d.mid")
    for arguments in (["show", "\xfc \u266d.mid"], ["inspect", "\xfc \u266d.mid"], ["show", "\xfc \u266e.mid"]):
        command = [sys.executable, "-m", "melodygru", *arguments]
        done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, check=False)
        assert b"Traceback" not in done.stderr and b"Error" not in done.stderr
        assert done.returncode == (1 if "\u266e" in arguments[1] else 0), done.stderr
        assert (done.stderr.count(b"\n"), bool(done.stdout)) == ((1, False) if done.returncode else (0, True))


@pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX")
def test_closed_streams_are_no_error() -> None:
    midi.write(tune(60), "a.mid")
    for command, code in (("show a.mid >&-", 0), ("inspect a.mid >&- 2>&- <&-", 0), ("inspect no.mid >&- 2>&-", 1)):
        done = subprocess.run(f"'{sys.executable}' -m melodygru {command}", shell=True, stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (code, b""), command
