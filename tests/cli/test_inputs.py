"""Files that are none, and files of a terabyte, cost nothing: every command refuses or skips them with the reason."""

import json
import os
import subprocess
import sys

import pytest
from conftest import tune
from toys import model

from melodygru import midi
from melodygru.model.keras_model import save

PIPE, SPARSE = "a named pipe, expected a regular file", "more than 4,194,304 bytes: expected a MIDI file of one piece"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("inputs")
    (root / "songs").mkdir()
    midi.write(tune(60), root / "songs" / "good.mid")
    os.mkfifo(root / "songs" / "pipe.mid")
    (root / "songs" / "zero.mid").symlink_to("/dev/zero")
    for name in ("songs/sparse.mid", "sparse.keras", "sparse.sf2"):
        with (root / name).open("wb") as file:
            file.truncate(1 << 40)
    os.mkfifo(root / "pipe.keras")
    os.mkfifo(root / "pipe.sf2")
    save(model("one", 1), root / "good.keras")
    return root


def test_a_folder_is_read_without_them(folder, command):
    report = json.loads(command("inspect", folder / "songs", "--json").stdout)
    assert {file["path"]: file["reason"] for file in report["files"] if not file["kept"]} == {
        "pipe.mid": f"cannot open the file: {PIPE}",
        "sparse.mid": SPARSE,
        "zero.mid": "cannot open the file: a device, expected a regular file",
    }


GOOD = "songs/good.mid"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("inspect", "songs/pipe.mid"), PIPE),
        (("inspect", "songs/sparse.mid"), SPARSE),
        (("inspect", "pipe.keras"), PIPE),
        (("inspect", "sparse.keras"), "more than 1,073,741,824 bytes"),
        (("show", "songs/pipe.mid"), PIPE),
        (("play", "songs/sparse.mid", "--wav", "x.wav"), SPARSE),
        (("play", GOOD, "--wav", "x.wav", "--soundfont", "pipe.sf2"), PIPE),
        (("play", GOOD, "--wav", "x.wav", "--soundfont", "sparse.sf2"), "bytes"),
        (("generate", "--model", "pipe.keras"), PIPE),
        (("generate", "--model", "sparse.keras"), "more than 1,073,741,824 bytes"),
        (("generate", "--model", "good.keras", "--primer", "songs/pipe.mid"), PIPE),
        (("generate", "--model", "good.keras", "--primer", "songs/sparse.mid"), SPARSE),
        (("generate", "--model", "good.keras", "--primer", "songs/zero.mid"), "a device, expected a regular file"),
        (("replay", "songs/pipe.mid"), PIPE),
        (("replay", "songs/sparse.mid"), SPARSE),
        (("originality", "songs/pipe.mid", "--model", "good.keras"), "melodygru: "),
        (("explain", "songs/pipe.mid", "--model", "good.keras"), "melodygru: "),
        (("evaluate", "songs/pipe.mid", "--model", "good.keras"), "melodygru: "),
        (("judge", "songs/pipe.mid", "--against", "songs"), "melodygru: "),
        (("train", "songs/pipe.mid"), "melodygru: "),
    ],
)
def test_every_command_refuses_them_in_one_line(folder, tmp_path, arguments, words):
    done = subprocess.run(
        [sys.executable, "-m", "melodygru", *arguments], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode in (1, 2) and words in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) <= 4 and "unexpected error" not in done.stderr, done.stderr
