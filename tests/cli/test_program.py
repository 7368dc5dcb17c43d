"""What a command leaves behind in the process that runs it, and how it says what is wrong to a script."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

Command = Callable[..., Result]


def test_a_command_leaves_the_environment_and_the_log_as_they_were(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from melodygru.cli import main

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
        (("play", "song.mid", "--wav", "song.mid"), "--wav song.mid: that file is FILE of this command"),
        (("play", "song.mid", "--wav", "link.wav"), "--wav link.wav: that file is FILE of this command"),
        (("evaluate", ".", "--model", "m.keras", "--per-note", "m.keras"), "--per-note m.keras: that file is --model"),
    ],
)
def test_nothing_that_is_read_is_written_over(command: Command, arguments: tuple[str, ...], message: str) -> None:
    for name in ("song.mid", "m.keras"):
        Path(name).write_bytes(b"precious")
    Path("link.wav").symlink_to("song.mid")
    assert message in command(*arguments, code=1).stderr
    assert Path("song.mid").read_bytes() == Path("m.keras").read_bytes() == b"precious"


def test_an_empty_name_is_a_usage_error(command: Command) -> None:
    assert "expected the name of a file" in command("play", "song.mid", "--wav", "", code=2).stderr
