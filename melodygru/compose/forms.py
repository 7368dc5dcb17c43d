"""The form that is asked for: letters, runs of bars, or that of a piece."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from melodygru.compose.primer import Source
from melodygru.errors import SettingError
from melodygru.events import Vocabulary
from melodygru.midi.formats import READERS
from melodygru.music.form import bar_returns, of_length, parse_form, returns_of, runs_of

_RUN = re.compile(r"(\d{1,5})(?:<(\d{1,5}))?", re.ASCII)
MOST_BARS = 100_000


def form_from(text: str, n_bars: int | None = None) -> np.ndarray:
    """The bars that each bar of a form returns to, see `music.form.bar_returns`.

    Parameters
    ----------
    text : letters such as `AABA` or `A8 B8 A8`; or runs of bars such as `8 8<8`: eight new ones, then eight that return
        to what stood eight bars before
    n_bars : of the whole piece; letters without numbers share them, and a form of another length is cut, or begins anew

    Raises
    ------
    SettingError
        It is no form.
    """
    words = text.split()
    runs = [_RUN.fullmatch(word) for word in words]
    if words and all(runs):
        pairs = tuple((int(run[1]), int(run[2] or 0)) for run in runs if run is not None)
        total = sum(n for n, _ in pairs)
        if not 0 < total <= MOST_BARS:  # before there is an array of so many
            raise SettingError(f"form {text[:40]!r}: {total:,} bars; expected 1..{MOST_BARS:,}")
        found = returns_of(pairs)
    else:
        found = parse_form(text, n_bars)
    return found if n_bars is None else of_length(found, n_bars)


def resolved(form: str, vocabulary: Vocabulary) -> str:
    """A form as text, as `form_from` takes it: that of a piece, where it names a file.

    Raises
    ------
    MidiError, SettingError
        The file can't be read, or has no bars.
    """
    if Path(form).suffix.lower() not in READERS:
        return form
    primer = Source.from_given(form, purpose="take the form of").primer(vocabulary)
    if not primer.sequence.grid.is_metrical:
        raise SettingError(f"form {form}: this model's music has no bars; leave form out")
    return text_of(bar_returns(primer.sequence))


def text_of(returns: np.ndarray) -> str:
    """A form as runs of bars."""
    return " ".join(f"{n}<{back}" if back else str(n) for n, back in runs_of(returns))


__all__ = ["form_from", "resolved", "text_of"]
