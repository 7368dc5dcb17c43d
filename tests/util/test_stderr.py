"""What libraries write to standard error past Python."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator

import pytest

from melodygru.util import stderr


@pytest.fixture(autouse=True)
def _as_a_program() -> Iterator[None]:
    with stderr.owned():
        yield


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
    code = "import os\nfrom melodygru.util import stderr\nos.close(2)\n"
    code += "with stderr.owned(), stderr.diverted():\n    print('went on')"
    run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert (run.returncode, run.stdout) == (0, "went on\n")


def test_in_somebody_elses_process_nothing_is_diverted() -> None:
    code = (
        "import os\nfrom melodygru.util import stderr\nwith stderr.owned():\n    pass\n"
        "with stderr.diverted():\n    os.write(2, b'the log of a server')"
    )
    run = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=True)
    assert run.stderr == "the log of a server"


def test_threads_that_divert_it_at_once_leave_it_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    def divert() -> None:
        for _ in range(200):
            with stderr.diverted():
                os.write(2, b"within")

    before = os.fstat(2)
    threads = [threading.Thread(target=divert) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.path.samestat(os.fstat(2), before)
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_one_diversion_in_another(capfd: pytest.CaptureFixture[str]) -> None:
    with stderr.diverted():
        with stderr.diverted():
            os.write(2, b"within")
        os.write(2, b"within")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"
