"""What libraries write to standard error past Python."""

import os
import subprocess
import sys
import tempfile

import pytest

from melodygru.util import stderr


def test_what_is_written_is_lost_and_comes_again_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(2, b"before ")
    with stderr.diverted():
        os.write(2, b"within ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_what_is_written_is_kept_in_a_file(capfd: pytest.CaptureFixture[str]) -> None:
    with tempfile.TemporaryFile() as kept:
        with stderr.diverted(kept):
            os.write(2, b"within")
        kept.seek(0)
        assert kept.read() == b"within"
    assert capfd.readouterr().err == ""


def test_an_error_ends_it(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), stderr.diverted():
        raise KeyboardInterrupt
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_no_file_stays_open() -> None:
    before = os.dup(2)
    os.close(before)
    for _ in range(3):
        with stderr.diverted():
            pass
    after = os.dup(2)
    os.close(after)
    assert after == before  # the lowest number that is free


def test_a_closed_standard_error_is_no_error() -> None:
    code = "import os\nfrom melodygru.util import stderr\nos.close(2)\nwith stderr.diverted():\n    print('went on')"
    run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert (run.returncode, run.stdout) == (0, "went on\n")
