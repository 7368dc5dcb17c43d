"""What is read is a regular file, and its size is looked at before its contents."""

import os
import socket

import pytest

from melodygru.util import files


@pytest.fixture
def odd(tmp_path):
    """A named pipe, a socket, a device, a folder and a sparse file of a terabyte."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        before = os.getcwd()
        os.chdir(tmp_path)  # a socket's address is short
        try:
            made.bind("socket")
        finally:
            os.chdir(before)
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pipe", "a named pipe, expected a regular file"),
        ("socket", "a socket, expected a regular file"),
        ("device", "a device, expected a regular file"),
        ("folder", "Is a directory"),
        ("sparse", "more than 100 bytes"),
        ("gone", "No such file or directory"),
    ],
)
def test_what_is_no_regular_file_or_too_large_is_not_read(odd, name, words):
    for read in (files.open_regular, files.read_regular, files.sha256_of):
        with pytest.raises(OSError) as caught:
            read(odd / name, 100)
        assert caught.value.strerror == words
    assert not files.holds(odd / name, b"")


def test_the_size_is_a_limit_at_both_its_edges(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert files.read_regular(path, 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        files.read_regular(path, 4)
    assert files.holds(path, b"12345") and not files.holds(path, b"12346") and not files.holds(path, b"1234")
    assert files.sha256_of(path).startswith("5994471abb01112afcc18159f6cc74b4")
    with pytest.raises(OSError, match="bytes"):
        files.read_regular("/proc/self/status", 10)  # of size 0, the system says
