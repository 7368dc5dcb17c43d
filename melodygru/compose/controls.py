"""From a field's logits to the weights that a class is drawn by: temperature and filters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from melodygru.compose.settings import check_setting

RHYTHM = ("shift", "duration")
TOP_P_OF_ONE, TOP_P_OF_SEVERAL = 0.95, 0.93  # parts

Filter = Callable[[np.ndarray], np.ndarray]  # (streams, classes) weights, in proportion to probability -> weights


@dataclass(frozen=True)
class Controls:
    """How probabilities become choices.

    Parameters
    ----------
    temperature : divides the logits; 0 takes the most probable class
    rhythm_temperature, pitch_temperature : the same for shift and duration, and for pitch; default: `temperature`
    top_k : only the k most probable classes; 0 is all
    top_p : only the most probable classes that together reach p, in (0, 1]; None: as many as the parts ask for, see
        `usual_top_p`
    min_p : only classes at least min_p times as probable as the most probable one, in [0, 1)
    """

    temperature: float = 1.0
    rhythm_temperature: float | None = None
    pitch_temperature: float | None = None
    top_k: int = 0
    top_p: float | None = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        for item in fields(self):
            check_setting(item.name, getattr(self, item.name))

    def temperature_of(self, field: str, beats: bool = True) -> float:
        """The temperature of a field; in music without beats that of times is 1 where nobody asks for another.

        There a length of time is one of very many: what is long is spread over classes that have little each, and to
        sharpen that, or to filter it, leaves the short ones, so that the music hurries (see benchmarks).
        """
        temperature = None
        if field in RHYTHM:
            temperature = self.rhythm_temperature
            if temperature is None and not beats and self.temperature > 0:
                temperature = 1.0
        elif field == "pitch":
            temperature = self.pitch_temperature
        return self.temperature if temperature is None else temperature

    def filters(self, field: str, parts: np.ndarray | int = 1, beats: bool = True) -> list[Filter]:
        """What is left of the model's own weights of a field, in order; the temperature sharpens or flattens that.

        Parameters
        ----------
        parts : how many parts the piece has, or the piece of each stream, shape (streams,)
        beats : whether the music has them: without, nothing is taken from times, see `temperature_of`
        """
        if self.temperature_of(field, beats) == 0:
            return [lambda weights: keep_top_k(weights, 1)]
        if field in RHYTHM and not beats:
            return []
        chain: list[Filter] = []
        if self.top_k:
            chain.append(lambda weights: keep_top_k(weights, self.top_k))
        top_p = usual_top_p(parts) if self.top_p is None else self.top_p
        if np.min(top_p) < 1:
            chain.append(lambda weights: keep_top_p(weights, top_p))
        if self.min_p > 0:
            chain.append(lambda weights: keep_min_p(weights, self.min_p))
        return chain


def usual_top_p(parts: np.ndarray | int) -> Any:
    """The top-p for a piece of so many parts; for each stream of several, shape (streams, 1).

    Several parts are many notes that have to agree, with each other and with the bars before: what one has to spare
    for surprise is too much for seven. Both are chosen by how near to real pieces composed ones are (see benchmarks).
    """
    found = np.where(np.asarray(parts) > 1, TOP_P_OF_SEVERAL, TOP_P_OF_ONE)
    return found[:, None] if found.ndim else float(found)


def to_weights(logits: np.ndarray, temperature: float | np.ndarray | None = None) -> np.ndarray:
    """Weights, float64, in proportion to probability: 1 for the most probable class of each row."""
    below = below_best(logits)
    if temperature is not None:
        with np.errstate(over="ignore"):  # to -inf: no probability
            below /= temperature
    return np.exp(below, below)


def below_best(logits: np.ndarray) -> np.ndarray:
    """Logits minus the greatest of each row, float64; 0 in a row where nothing can follow, whose stream is over."""
    best = np.maximum.reduce(logits, 1, keepdims=True)
    if np.min(best) == -np.inf:
        logits = np.where(best == -np.inf, 0.0, logits)
        best = np.maximum.reduce(logits, 1, keepdims=True)
    return np.subtract(logits, best, dtype=np.float64)


def keep_top_k(weights: np.ndarray, k: int) -> np.ndarray:
    """Weights with all but the k greatest of each row at 0; the lower class wins a tie."""
    if k >= weights.shape[1]:
        return weights
    best = np.argsort(-weights, axis=1, kind="stable")[:, :k]
    kept = np.zeros_like(weights)
    np.put_along_axis(kept, best, np.take_along_axis(weights, best, 1), 1)
    return kept


def keep_top_p(weights: np.ndarray, p: Any) -> np.ndarray:
    """Weights with all but the most probable classes that together reach `p` at 0; at least one is kept.

    The lower class wins a tie.
    """
    ranked = np.sort(weights, 1)  # many times faster than to sort the classes themselves
    up_to = np.add.accumulate(ranked, 1)
    beyond = (1 - p) * up_to[:, -1:]
    up_to[:, -1] = np.inf  # the most probable one is kept, however small `p`
    first = (up_to > beyond).argmax(1)  # kept from here on
    kept = weights >= ranked[np.arange(len(first)), first][:, None]
    if np.count_nonzero(kept) == weights.size - first.sum():
        return weights * kept
    order = np.argsort(-weights, axis=1, kind="stable")
    ranks = np.argsort(order, axis=1)
    return np.where(ranks < weights.shape[1] - first[:, None], weights, 0.0)


def keep_min_p(weights: np.ndarray, p: float) -> np.ndarray:
    """Weights of classes less probable than `p` times the most probable one at 0."""
    return weights * (weights >= p * weights.max(1, keepdims=True))
