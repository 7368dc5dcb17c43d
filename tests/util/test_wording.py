"""Numbers, times and names in words."""

import pytest

from melodygru.util.wording import clock, counted, left, name, one_line


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 notes"), (1, "1 note"), (2, "2 notes"), (999, "999 notes"), (1000, "1,000 notes")]
)
def test_only_one_is_singular(n: int, text: str) -> None:
    assert counted(n, "note") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.99, "0:59"), (60, "1:00"), (3599, "59:59"), (3600, "1:00:00"), (3723, "1:02:03")],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00 left"), (59.6, "1:00 left"), (3723, "1:02:03 left")])
def test_time_left(seconds: float, text: str) -> None:
    assert left(seconds) == text


def test_a_name_that_is_no_text_is_shown_all_the_same() -> None:
    assert name("tune-\udcff.mid") == "tune-\ufffd.mid" and name("läuft.mid") == "läuft.mid"


def test_a_text_of_lines_becomes_one() -> None:
    assert one_line("a\n  b\r\nc ") == "a b c"
