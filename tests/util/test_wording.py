"""The `wording` room."""

import pytest

from melodygru.util.wording import clock, counted


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
