"""A file that one process holds, until it ends in whatever way."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from melodygru.util.locks import Held, held

HOLDER = """
import pathlib, sys
from melodygru.util.locks import held
with held(pathlib.Path(sys.argv[1])):
    print(flush=True)
    input()
"""


def test_it_is_held_once_and_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for _ in range(2):
        with held(path):
            assert path.read_text() == str(os.getpid())
            with pytest.raises(Held) as caught, held(path):
                pytest.fail("held twice")
            assert caught.value.process == str(os.getpid())
        assert not path.exists()


def test_what_a_killed_process_left_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], **pipes) as holder:
        holder.stdout.readline()
        with pytest.raises(Held) as caught, held(path):
            pytest.fail("held twice")
        assert caught.value.process == str(holder.pid)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert path.read_text() == str(holder.pid)
    with held(path):
        assert path.read_text() == str(os.getpid())


def test_a_folder_that_is_missing_or_full_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError) as caught, held(tmp_path / "no" / "a"):
        pytest.fail("not there")
    assert caught.value.filename == str(tmp_path / "no" / "a")

    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "getpid", full)
    with pytest.raises(OSError, match="No space left") as caught, held(tmp_path / "a"):
        pytest.fail("no space")
    assert caught.value.filename == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
def test_a_file_system_without_locks_is_no_reason_not_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", none)
    with held(tmp_path / "a"), held(tmp_path / "a"):
        pass
