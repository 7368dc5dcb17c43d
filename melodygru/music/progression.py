"""A chord progression for a form: the harmony of one piece, laid out over the sections of another."""

from __future__ import annotations

import numpy as np

from melodygru.music.form import Runs, from_runs, returns_of


def laid_out(returns: np.ndarray, form: Runs, progression: Runs) -> np.ndarray:
    """The chords of a piece of one form in the harmony of a piece of another.

    Each row of new bars takes the chords of the other piece from the next of its new bars on, and goes on as that piece
    did; after its last new bar comes its first again. Bars that return have the chords of those that they return to,
    and the last bar, where it is new, has those of the other piece's last.

    Parameters
    ----------
    returns : array of int, shape (n_bars,)
        The bars that the piece returns to, see `form.bar_returns`.
    form : runs of bars, see `form.runs_of`
        That of the other piece.
    progression : runs of half bars, see `form.as_runs`
        The chords of the other piece.

    Returns
    -------
    chords : array of int, shape (2 n_bars,)
    """
    given = from_runs(progression)
    given = given[: 2 * (len(given) // 2)].reshape(-1, 2)
    if not len(given):
        return np.zeros(2 * len(returns), np.int64)
    theirs = returns_of(form)[: len(given)]
    new = np.flatnonzero(theirs < 0).tolist() or [0]
    found = np.zeros((len(returns), 2), np.int64)
    at = 0
    for bar, back in enumerate(returns.tolist()):
        if back >= 0:
            found[bar] = found[back]
            continue
        if bar == 0 or returns[bar - 1] >= 0:
            at = next((one for one in new if one >= at), new[0])
        found[bar] = given[at % len(given)]
        at += 1
    with_chords = np.flatnonzero(given[:, 1])
    if len(returns) > 1 and returns[-1] < 0 and len(with_chords):
        found[-1] = given[with_chords[-1]]
    return found.reshape(-1)


__all__ = ["laid_out"]
