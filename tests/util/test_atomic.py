"""A file appears whole or not at all."""

import os
import re
from pathlib import Path

import pytest

from melodygru.errors import AudioError, SettingError
from melodygru.util.atomic import atomic_write, refused


def test_the_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "song.b.mid"
    path.write_bytes(b"old")
    with atomic_write(str(path)) as aside:
        assert aside.parent == tmp_path and re.fullmatch(r"\.melodygru\.[0-9a-f]{16}\.mid", aside.name)
        aside.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["song.b.mid"]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert path.read_bytes() == b"first"  # its context ends last
    assert os.listdir(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), ValueError("odd"), AudioError("no sound")])
def test_what_is_raised_within_leaves_the_old_file(tmp_path: Path, raised: BaseException) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")
    with pytest.raises(type(raised)) as caught, atomic_write(path, SettingError) as aside:
        aside.write_bytes(b"half")
        raise raised
    assert caught.value is raised
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_a_system_error_becomes_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    message = re.escape(f"cannot write {path}: No space left on device; free some space there, or choose another place")
    with pytest.raises(AudioError, match=f"^{message}$"), atomic_write(path, AudioError) as aside:
        aside.write_bytes(b"new")
    with pytest.raises(OSError, match="No space left on device"), atomic_write(path) as aside:
        aside.write_bytes(b"new")
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_is_refused_under_the_name_that_was_given_or_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.csv"
    with pytest.raises(FileNotFoundError) as caught, atomic_write(path) as aside:
        aside.write_bytes(b"new")
    assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == []
    with atomic_write(path, make_folder=True) as aside:
        aside.write_bytes(b"new")
    assert path.read_bytes() == b"new"


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    path = tmp_path / "a" / "b.csv"
    with pytest.raises(SettingError, match=f"^cannot write {re.escape(str(path))}: .*; choose another place$"):
        with atomic_write(path, SettingError, make_folder=True):
            pytest.fail("nothing can be written there")


def test_what_must_be_new_replaces_nothing_that_another_has_written_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    with pytest.raises(FileExistsError), atomic_write(path, SettingError, replace=False) as aside:
        aside.write_bytes(b"late")
        path.write_bytes(b"first")
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["a.mid"]


@pytest.mark.parametrize("links", [True, False])
def test_what_must_be_new_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    with atomic_write(tmp_path / "a.mid", replace=False) as aside:
        aside.write_bytes(b"new")
    assert (tmp_path / "a.mid").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.mid"]


@pytest.mark.skipif(os.name == "nt", reason="needs a right there")
def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.mid"
    link.symlink_to(tmp_path / "real" / "a.mid")
    with atomic_write(link) as aside:
        aside.write_bytes(b"new")
    assert link.is_symlink() and (tmp_path / "real" / "a.mid").read_bytes() == b"new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_stays_a_pipe_and_gets_the_bytes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with atomic_write(pipe) as aside:
        aside.write_bytes(b"sound")
    assert os.read(reader, 100) == b"sound"
    os.close(reader)
    assert pipe.is_fifo() and os.listdir(tmp_path) == ["pipe.wav"]


@pytest.mark.parametrize("name", ["a" * 251 + ".mid", "a." + "b" * 253])
def test_a_name_of_255_bytes(tmp_path: Path, name: str) -> None:
    with atomic_write(tmp_path / name) as aside:
        aside.write_bytes(b"new")
    assert os.listdir(tmp_path) == [name]


def test_a_folder_is_looked_at_before_there_is_anything_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused(tmp_path / "no" / "a.csv") == "No such file or directory"
    assert refused(tmp_path / "a.csv") is None
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    assert refused(tmp_path / "a.csv") == "Permission denied"
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert refused(tmp_path / "pipe") is None
