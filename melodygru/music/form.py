"""The form of a piece: to which earlier bar each of its bars returns.

A bar returns to one that is alike: the same notes at the same places, the same lines on other pitches, or the same
rhythm. Notes count for what they tell: a stroke that stands in every bar tells nothing about the form, a turn that
comes twice much. So a piece over one groove shows what changes above it.
"""

from __future__ import annotations

import re
import string
from typing import NamedTuple

import numpy as np

from melodygru.errors import SettingError
from melodygru.music.notes import DRUMS, N_PITCHES, NoteSequence

PLACES_PER_BEAT = 8  # in a quarter note: onsets that agree to a 32nd agree
WINDOW = 512  # bars back that are looked at
ALIKE = 0.45  # likeness at which returning is as good as being new
LEAST_ALIKE = 0.3  # below it a bar is new, though those around it return
SAME_LINES, SAME_RHYTHM = 0.95, 0.9  # what lines on other pitches, and rhythms, count for beside the same notes
JUMP = 0.35  # what it costs, in likeness of a bar, to return elsewhere than the bar before leads to
BEGIN = 0.15  # likewise to be new after a bar that returned
NEAR = np.array([0.0, 0.2, 0.12, 0.12])  # what it costs to return to a bar so close before
UNEVEN = 0.02  # likewise to one that isn't a multiple of four bars before
_BLOCK = 128  # bars compared at a time

SECTION_BARS = 8  # of a section whose length isn't said
LEAST_SECTION = 4  # bars of a section that is told apart from those around it
MOST_BARS = 10_000  # of a form that is asked for
MOST_AMID = 2  # new bars amid such as return that are taken to belong to them
MANY_BARS = 32  # in so long a piece what comes twice in a row is two sections only with SECTION_BARS each
LETTERS = string.ascii_uppercase + string.ascii_lowercase


def bar_returns(sequence: NoteSequence) -> np.ndarray:
    """For each bar the earlier one that it returns to, or -1: it is new. Shape (n_bars,), int64.

    Bars are those of `NoteSequence.bar_starts`; without beats there are none. The returns are those whose likenesses
    are greatest together, where a return that goes on from that of the bar before is free, another costs JUMP, and
    bars close before are a last resort. Of equals the earliest is returned to. No bar returns farther than WINDOW bars.
    """
    if not sequence.grid.is_metrical:
        return np.zeros(0, np.int64)
    starts = sequence.bar_starts()
    returns = np.full(len(starts) - 1, -1, np.int64)
    n_bars = int(np.searchsorted(starts, sequence.notes["onset"][-1], side="right")) if len(sequence) else 0
    contents = [_content(sequence, starts[: n_bars + 1], detail) for detail in range(3)]
    returns[:n_bars] = _best_path(contents, n_bars, min(WINDOW, max(n_bars - 1, 1)))
    return returns


class _Content(NamedTuple):
    """What stands in the bars, in one detail: the bar and the token of each note, no token twice in a bar."""

    bar: np.ndarray  # ascending
    token: np.ndarray
    weight: np.ndarray  # of each token: what it tells, in nats, and a little


def _content(sequence: NoteSequence, starts: np.ndarray, detail: int) -> _Content:
    """The notes of the bars by place and part; with detail 0 also by pitch, with 1 by pitch above the part's first."""
    notes, n_bars = sequence.notes, len(starts) - 1
    assert sequence.grid.steps_per_beat is not None
    bar = np.searchsorted(starts, notes["onset"], side="right") - 1
    place = np.rint((notes["onset"] - starts[bar]) * (PLACES_PER_BEAT / float(sequence.grid.steps_per_beat)))
    part, pitch = notes["part"].astype(np.int64), notes["pitch"].astype(np.int64)
    if detail:
        drums = notes["program"] == DRUMS
        line = bar * (int(part.max(initial=0)) + 1) + part
        _, first, of_line = np.unique(line, return_index=True, return_inverse=True)
        pitch = np.where(drums, pitch, 2 * N_PITCHES + (pitch - pitch[first][of_line] if detail == 1 else 0))
    token = (place.astype(np.int64) << 32) | (part << 10) | pitch
    _, token = np.unique(token, return_inverse=True)
    n_tokens = int(token.max(initial=-1)) + 1
    pairs = np.unique(bar * max(n_tokens, 1) + token)
    bar, token = np.divmod(pairs, max(n_tokens, 1))
    found_in = np.bincount(token, minlength=n_tokens)
    return _Content(bar, token, np.log((n_bars + 1) / np.maximum(found_in, 1)) + 0.1)


def _shared(content: _Content, first: int, last: int, window: int) -> np.ndarray:
    """The weight of what bars [first, last) share with those from `window` before them; shape (bars, earlier ones)."""
    low = max(0, first - window)
    at, here, stop = np.searchsorted(content.bar, (low, first, last))
    there, of_there = content.bar[at:stop] - low, content.token[at:stop]
    tokens = np.unique(of_there[here - at :])
    column = np.minimum(np.searchsorted(tokens, of_there), max(len(tokens) - 1, 0))
    matrix = np.zeros((last - low, len(tokens)), np.float32)
    held = tokens[column] == of_there if len(tokens) else np.zeros(0, bool)
    matrix[there[held], column[held]] = np.sqrt(content.weight[of_there[held]])
    return matrix[first - low :] @ matrix.T


def _likeness(contents: list[_Content], totals: np.ndarray, first: int, last: int, window: int) -> np.ndarray:
    """The likeness, 0..1, of bars [first, last) to those from `window` before them; two silent bars are ALIKE.

    It is the share of the weight that is shared; a detail that tells less than the notes do counts for less.
    """
    low = max(0, first - window)
    best = np.zeros((last - first, last - low), np.float32)
    whole = totals[0, first:last, None] + totals[0, low:last]
    for content, total, worth in zip(contents, totals, (1.0, SAME_LINES, SAME_RHYTHM), strict=True):
        own = total[first:last, None] + total[low:last]
        shared = _shared(content, first, last, window)
        best = np.maximum(best, worth * 2 * shared / np.sqrt(np.maximum(own * whole, 1e-9)))
    return np.where(whole > 0, best, ALIKE)


def _best_path(contents: list[_Content], n_bars: int, window: int) -> np.ndarray:
    """The returns with the best score together, found by dynamic programming."""
    totals = np.array([np.bincount(of.bar, of.weight[of.token], minlength=n_bars) for of in contents])
    # Column c of bar j is the bar j - window + c; the last column is "new".
    goes_on = np.zeros((n_bars, window + 1), bool)
    jumped_from = np.zeros(n_bars, np.int64)
    alike = np.zeros((n_bars, window), np.float32)
    distance = np.arange(window, 0, -1)
    cost = np.append(NEAR, np.zeros(window))[distance] + UNEVEN * (distance % 4 > 0) + 1e-4 * (1 - distance / window)
    score = np.full(window + 1, -np.inf)
    score[-1] = 0.0
    for first in range(0, n_bars, _BLOCK):
        last = min(first + _BLOCK, n_bars)
        likeness = _likeness(contents, totals, first, last, window)
        low = max(0, first - window)
        for bar in range(first, last):
            earlier = likeness[bar - first, max(0, bar - window) - low : bar - low]
            n = len(earlier)
            gain = np.full(window + 1, -np.inf)
            if n:
                alike[bar, -n:] = earlier
                gain[-n - 1 : -1] = np.maximum(earlier - ALIKE, -0.3) - cost[-n:]
            gain[-1] = 0.0
            best = int(np.argmax(score))
            jump = np.full(window + 1, score[best] - JUMP)
            jump[-1] = score[best] - BEGIN
            goes_on[bar] = score >= jump  # the same column is the next bar, one bar later
            jumped_from[bar] = best
            score = np.maximum(score, jump) + gain
    returns = np.full(n_bars, -1, np.int64)
    column = int(np.argmax(score)) if n_bars else window
    for bar in range(n_bars - 1, -1, -1):
        if column < window and alike[bar, column] >= LEAST_ALIKE and totals[0, bar] > 0:
            returns[bar] = bar - window + column
        if not goes_on[bar, column]:
            column = jumped_from[bar]
    return returns


# -- sections


class Section(NamedTuple):
    """Bars in a row that belong together: those of one letter are alike."""

    letter: str
    start: int  # number of the first bar, from 0
    n_bars: int


def sections(returns: np.ndarray) -> list[Section]:
    """The sections of a form, in order, without gaps; each is LEAST_SECTION bars long where the piece is so long.

    A row of new bars is a section, and so is a part of it to which later bars return; what returns to a section has its
    letter. A section that comes twice in a row is two, if it is long enough. Of more than 52 the last share a letter.
    """
    home = _homes(returns)
    n_bars = len(home)
    # Where new sections begin: each row of new bars, and where others that return begin and end in it.
    cuts = {0}
    row_starts = [bar for bar in range(n_bars) if home[bar] == bar and (bar == 0 or home[bar - 1] != bar - 1)]
    turns = [bar for bar in range(1, n_bars) if home[bar] != home[bar - 1] + 1]
    ends = [*turns[1:], n_bars]
    long = [(a, b) for a, b in zip(turns, ends, strict=False) if home[a] < a and b - a >= LEAST_SECTION]
    for cut in (*(home[a] for a, _ in long), *row_starts, *(home[b - 1] + 1 for _, b in long)):
        row_goes_on = cut < n_bars and home[cut] == cut
        if row_goes_on and all(abs(cut - other) >= LEAST_SECTION for other in cuts):
            cuts.add(int(cut))
    begins = np.array(sorted(cuts))
    section_of = np.searchsorted(begins, home, side="right") - 1 if n_bars else home
    least_repeated = LEAST_SECTION if n_bars < MANY_BARS else SECTION_BARS
    parts: list[Section] = []
    letters: dict[int, str] = {}
    for bar, section in enumerate(section_of.tolist()):
        letter = letters.setdefault(section, LETTERS[min(len(letters), len(LETTERS) - 1)])
        same = bool(parts) and parts[-1].letter == letter
        again = home[bar] == begins[section] and same and parts[-1].n_bars >= least_repeated
        if same and not again:
            parts[-1] = parts[-1]._replace(n_bars=parts[-1].n_bars + 1)
        else:
            parts.append(Section(letter, bar, 1))
    return _without_short(parts)


def _homes(returns: np.ndarray) -> np.ndarray:
    """For each bar the new one that it goes back to, by way of others; a bar or two amid what returns go with it."""
    home = np.arange(len(returns))
    goal = -1  # the bar after the one that the last bar returned to
    since = 0  # bars since then that are new
    for bar, returned in enumerate(returns.tolist()):
        if returned >= 0:
            if since and returned == goal + since:
                home[bar - since : bar] = home[goal:returned]
            home[bar] = home[returned]
            goal, since = returned + 1, 0
        else:
            since = since + 1 if goal >= 0 and since < MOST_AMID else 0
            goal = goal if since else -1
    return home


def _without_short(parts: list[Section]) -> list[Section]:
    """Sections, each shorter than LEAST_SECTION joined to the one before; the first to the one after."""
    found: list[Section] = []
    for part in parts:
        if found and (part.n_bars < LEAST_SECTION or found[-1].n_bars < LEAST_SECTION):
            letter = found[-1].letter if part.n_bars < LEAST_SECTION else part.letter
            part = Section(letter, found[-1].start, found.pop().n_bars + part.n_bars)
        found.append(part)
    names: dict[str, str] = {}
    for part in found:
        names.setdefault(part.letter, LETTERS[min(len(names), len(LETTERS) - 1)])
    return [part._replace(letter=names[part.letter]) for part in found]


def form_letters(returns: np.ndarray) -> list[str]:
    """The letter of each bar's section, see `sections`."""
    return [section.letter for section in sections(returns) for _ in range(section.n_bars)]


def form_name(returns: np.ndarray) -> str:
    """A form in letters and bars as `parse_form` reads it, such as `A8 A8 B8 A8`."""
    return " ".join(f"{section.letter}{section.n_bars}" for section in sections(returns))


def parse_form(text: str, n_bars: int | None = None) -> np.ndarray:
    """The returns of a form such as `AABA`, `A8 B8 A8` or `Intro4 Verse8 Chorus8 Verse8`.

    Parameters
    ----------
    text : str
        Sections, each a letter or a name and how many bars it has; of capitals in a row each is a section.
    n_bars : int, optional
        Of the whole piece: sections without a number share equally what the others leave of it. Without it they have
        SECTION_BARS.

    Returns
    -------
    returns : array, shape (n_bars,), int64
        As of `bar_returns`: each bar of a section returns to that of its first namesake that has one there.

    Raises
    ------
    SettingError
        The text is no form, or it doesn't fit the number of bars.
    """
    named = _named_sections(text)
    n_open = sum(bars is None for _, bars in named)
    said = sum(bars or 0 for _, bars in named)
    each = SECTION_BARS
    if n_bars is not None:
        each, odd = divmod(n_bars - said, max(n_open, 1))
        if odd or (each < 1 if n_open else each):
            rest = f"a multiple of {n_open}{' more' if said else ' bars'}"
            expected = " and ".join(([f"{said} bars"] if said else []) + ([rest] if n_open else []))
            raise SettingError(
                f"form {text!r} in {n_bars} bars: expected {expected}; name the bars of each, as in A8 B4"
            )
    if said + each * n_open > MOST_BARS:
        raise SettingError(f"form {text!r}: expected at most {MOST_BARS:,} bars")
    first: dict[tuple[str, int], int] = {}
    returns: list[int] = []
    for name, bars in named:
        for place in range(bars or each):
            bar = first.setdefault((name, place), len(returns))
            returns.append(bar if bar < len(returns) else -1)
    return np.array(returns, np.int64)


def _named_sections(text: str) -> list[tuple[str, int | None]]:
    """The sections of a form: name and bars, None where no number says them. SettingError for what is no form."""
    words = re.sub(r"[\s,;|-]+", " ", text).strip()
    if not re.fullmatch(r"(?: ?[A-Za-z]+\d{0,5})+", words):
        raise SettingError(f"form {text!r}: expected sections such as AABA, A8 B8 A8 or Intro4 A8 B8 A8")
    named: list[tuple[str, int | None]] = []
    for name, number in re.findall(r"([A-Za-z]+)(\d*)", words):
        bars = int(number) if number else None
        if bars == 0:
            raise SettingError(f"form {text!r}: {name}0 has no bars; expected 1 or more")
        named += [(letter, bars) for letter in (name if name.isupper() or set(name) <= set("abcdefgh") else [name])]
    return named


Runs = tuple[tuple[int, int], ...]


def as_runs(values: np.ndarray) -> Runs:
    """Whole numbers as runs: how many alike stand in a row, and which."""
    begins = np.flatnonzero(np.append(True, values[1:] != values[:-1])[: len(values)])
    n = np.diff(np.append(begins, len(values)))
    return tuple(zip(n.tolist(), values[begins].tolist(), strict=True))


def from_runs(runs: Runs) -> np.ndarray:
    """The inverse of `as_runs`. Shape (n,), int64."""
    return np.repeat([value for _, value in runs], [n for n, _ in runs]).astype(np.int64)


def runs_of(returns: np.ndarray) -> Runs:
    """A form as runs of bars: how many, and how many bars back they return to; 0 is new."""
    return as_runs(np.where(returns >= 0, np.arange(len(returns)) - returns, 0))


def returns_of(runs: Runs) -> np.ndarray:
    """The inverse of `runs_of`; what returns to before the beginning is new. Shape (n_bars,)."""
    back = from_runs(runs)
    bar = np.arange(len(back))
    return np.where((back > 0) & (back <= bar), bar - back, -1)


def of_length(returns: np.ndarray, n_bars: int) -> np.ndarray:
    """A form of so many bars: its beginning, or one that begins again after its end. Shape (n_bars,)."""
    return np.append(returns[:n_bars], np.arange(max(0, n_bars - len(returns))))
