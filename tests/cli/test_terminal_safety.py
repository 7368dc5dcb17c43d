"""Nothing that a stranger named or wrote makes a terminal do anything: all commands, under a pseudo-terminal."""

import dataclasses
import json
import os
import re
import struct
import subprocess
import sys
import zipfile

import pytest
from conftest import tune
from toys import model

from melodygru import midi
from melodygru.model import checkpoint
from melodygru.model.keras_model import save
from melodygru.util.wording import escaped

pty = pytest.importorskip("pty")

# Sets the window's title, clears the screen; the same in one byte (C1); turns the direction of text; a new line; DEL.
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202egnp.\u2066\n\rwarning: forged\x7f"
NAME = EVIL.replace("/", "")
OURS = re.compile(r"\x1b\[[0-9;]*m|\r\n|\r")  # colours, and how a line begins anew
OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def test_what_a_terminal_obeys_is_written_out():
    assert escaped("Für Elise – 月光") == "Für Elise – 月光"
    assert escaped("a\x1b[2J\n\t\x7f\x9b\u202e\u2069\u2028") == "a\\x1b[2J\\x0a\\x09\\x7f\\x9b\\u202e\\u2069\\u2028"


def evil_midi(path, *, stamp=False):
    """A tune whose texts and names are hostile; with `stamp`, a provenance that is, too."""
    melody = tune(60)
    if "names" in {field.name for field in dataclasses.fields(melody)}:
        melody = dataclasses.replace(melody, names=(EVIL,))
    texts = [EVIL]
    if stamp:
        texts.append(
            "melodygru "
            + json.dumps(
                {
                    "stamp": 1,
                    "versions": {"melodygru": EVIL, EVIL: EVIL},
                    "processor": EVIL,
                    "model": EVIL,
                    "settings": {EVIL: 1},
                    "inputs": {},
                    "own": [],
                    "seed": 1,
                    "piece": 1,
                    "of": 1,
                    "notes": EVIL,
                }
            )
        )
    data = midi.to_bytes(melody, texts)
    # A track's name and a marker, whatever the writer makes of texts.
    first = data.index(b"MTrk")
    length = int.from_bytes(data[first + 4 : first + 8], "big")
    extra = b"".join(
        b"\x00\xff" + bytes([kind, len(EVIL.encode())]) + EVIL.encode() for kind in (0x01, 0x03, 0x04, 0x05, 0x06)
    )
    path.write_bytes(data[: first + 4] + struct.pack(">L", length + len(extra)) + extra + data[first + 8 :])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of hostile names: songs in a sub-folder, a stamped song, a broken one, checkpoints."""
    root = tmp_path_factory.mktemp("evil")
    songs = root / f"songs{NAME}"
    (songs / f"style{NAME}").mkdir(parents=True)
    for at in range(3):
        evil_midi(songs / f"style{NAME}" / f"{at}{NAME}.mid")
    midi.write(tune(50), songs / f"other{NAME}.mid")
    (songs / f"broken{NAME}.mid").write_bytes(EVIL.encode())
    evil_midi(root / f"song{NAME}.mid")
    evil_midi(root / f"stamped{NAME}.mid", stamp=True)
    good = root / f"good{NAME}.keras"
    card = {
        "recorded": EVIL,
        "from": EVIL,
        "seed": 1,
        "versions": {EVIL: EVIL},
        "validation": {"from": EVIL, "pieces": 1},
        "corpus": {"name": EVIL, "fingerprint": EVIL[:60], "pieces": 1, "notes": 1, "styles": [EVIL]},
    }
    save(model("styles", 1), good, card)
    with zipfile.ZipFile(good) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["vocabulary"]["styles"] = [f"airs{EVIL}", f"reels{EVIL}"]
    members["config.json"] = json.dumps(config).encode()
    _write(good, members)
    checkpoint.read(good)
    _write(root / f"class{NAME}.keras", {"config.json": json.dumps({"class_name": EVIL, "config": {}})})
    config["config"]["architecture"][EVIL] = EVIL
    _write(root / f"bad{NAME}.keras", {**members, "config.json": json.dumps(config)})
    return root


def _write(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def on_terminal(arguments, cwd, cache):
    """What a command writes to a terminal that is its stdin, stdout and stderr, and its exit code."""
    main, other = pty.openpty()
    environment = {**os.environ, "MELODYGRU_CACHE": str(cache), "PAGER": "cat", "COLUMNS": "100", "LINES": "40"}
    environment["PYTHONIOENCODING"] = "utf-8"
    process = subprocess.Popen(
        [sys.executable, "-m", "melodygru", *arguments],
        cwd=cwd,
        env=environment,
        stdin=other,
        stdout=other,
        stderr=other,
    )
    os.close(other)
    written = b""
    while True:
        try:
            block = os.read(main, 65536)
        except OSError:  # Linux says so at the end
            break
        if not block:
            break
        written += block
    os.close(main)
    return written.decode("utf-8", "replace"), process.wait()


SONG, STAMPED, SONGS = f"song{NAME}.mid", f"stamped{NAME}.mid", f"songs{NAME}"
GOOD, BAD, CLASS = f"good{NAME}.keras", f"bad{NAME}.keras", f"class{NAME}.keras"

COMMANDS = {
    "generate": ("generate", "--model", GOOD, "--bars", "1", "-o", f"out{NAME}", "--show"),
    "generate from a primer": ("generate", "--model", GOOD, "--bars", "2", "--primer", SONG, "-o", f"out{NAME}"),
    "generate in an unknown style": ("generate", "--model", GOOD, "--style", EVIL),
    "generate by a damaged model": ("generate", "--model", BAD),
    "generate by another model": ("generate", "--model", CLASS),
    "generate by no model": ("generate", "--model", f"no{NAME}.keras"),
    "generate with a bad option": ("generate", "--temperature", EVIL),
    "generate with an unknown option": ("generate", f"--{EVIL}"),
    "generate with chords": ("generate", "--model", GOOD, "--chords", EVIL),
    "an unknown command": (EVIL,),
    "replay": ("replay", STAMPED, "-o", f"out{NAME}"),
    "replay without a stamp": ("replay", SONG),
    "redo": ("redo", SONG, "--model", GOOD, "--bars", "1", "-o", f"redone{NAME}"),
    "humanise": ("humanise", SONG, "--model", GOOD, "-o", f"humanised{NAME}"),
    "redo parts that are not there": ("redo", SONG, "--model", GOOD, "--parts", EVIL),
    "evaluate": ("evaluate", SONGS, "--model", GOOD),
    "judge": ("judge", SONGS, "--against", SONGS),
    "originality": ("originality", SONG, "--model", GOOD),
    "play": ("play", SONG, "--wav", f"song{NAME}.wav"),
    "play to a port": ("play", SONG, "--port", EVIL),
    "play with a soundfont": ("play", SONG, "--wav", f"other{NAME}.wav", "--soundfont", f"no{NAME}.sf2"),
    "show": ("show", SONG),
    "show surprise": ("show", SONG, "--surprise", "--model", GOOD),
    "show a picture": ("show", SONG, "--png", f"song{NAME}.png"),
    "show a broken file": ("show", f"{SONGS}/broken{NAME}.mid"),
    "inspect a folder": ("inspect", SONGS),
    "inspect a folder as JSON": ("inspect", SONGS, "--json"),
    "inspect a file": ("inspect", SONG),
    "inspect a model": ("inspect", GOOD),
    "inspect a model as JSON": ("inspect", GOOD, "--json"),
    "inspect a damaged model": ("inspect", BAD),
    "explain": ("explain", SONG, "--model", GOOD),
    "train": ("train", SONGS, "--preset", "tiny", "--epochs", "0.1", "--output", f"new{NAME}.keras", "--threads", "1"),
    "train on nothing": ("train", f"nothing{NAME}"),
    "compare": ("compare", f"nothing{NAME}"),
    "studio with a damaged model": ("studio", "--model", BAD, "--folder", f"studio{NAME}", "--no-browser"),
    "studio in a file's place": ("studio", "--model", GOOD, "--folder", SONG, "--no-browser"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_lets_it_through(folder, tmp_path_factory, name):
    written, code = on_terminal(COMMANDS[name], folder, tmp_path_factory.mktemp("cache"))
    left = OURS.sub("", written)
    assert not OBEYED.search(left.replace("\n", "")), repr(written)
    assert not re.search("^warning: forged", written, re.M), written
    assert "unexpected error" not in written and "Traceback" not in written, written
    assert code in (0, 1, 2), written
    assert "owned" in written or name in ("judge",), written


def test_all_commands_are_tried():
    from melodygru.cli import main

    assert {arguments[0] for arguments in COMMANDS.values()} >= set(main.commands)
