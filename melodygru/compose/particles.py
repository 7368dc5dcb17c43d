"""Particles: many versions of one piece, of which those that fit what is kept go on (sequential Monte Carlo).

A guide, which is a rule, says of each event what may come. Each particle chooses among that, in proportion to the
model's probability p^(1/temperature); its weight is what all that may come has together, so that a choice that is
forced weighs what the model thinks of it. With temperature 1 and nothing filtered the weighted particles follow the
model's distribution of pieces, given that the guide is kept to (Doucet & Johansen, A Tutorial on Particle Filtering and
Smoothing, 2009).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np

from melodygru.compose.controls import Controls, below_best
from melodygru.compose.drawing import DRAWS, Row, Streams
from melodygru.compose.plan_rules import FormBias
from melodygru.compose.redo_settings import REDO_SETTINGS
from melodygru.compose.rules import Event, Rule
from melodygru.errors import SettingError
from melodygru.events import Context
from melodygru.model.numpy_model import NumpyModel
from melodygru.util.settings import check_value

COLDEST = 1e-6  # temperature: below, weights would leave the range of numbers


class Particles(Streams):
    """Versions of pieces in one batch, with their weights: as many of each piece, beside one another.

    Parameters
    ----------
    network : NumpyModel
    context : that of a piece without notes, from which all begin
    rngs : for each piece all its randomness
    controls : Controls
    n : number of particles of each piece

    Attributes
    ----------
    rows : for each particle its events since they went apart
    placed : array, shape (pieces * n,): how many of what is kept has its place in each; a guide counts them
    log_p : array of the same shape: log-probability, in nats, of each under the model itself (temperature 1, nothing
        filtered), ends included
    log_weights : array of the same shape: since the last resampling
    log_z : array, shape (pieces,): the estimate of the log-probability, in nats, that what the model composes keeps to
        the guide, up to the last resampling (see `evidence`)
    form_bias : what the form points to gains, in nats, see `plan_rules.FormBias`
    """

    def __init__(
        self,
        network: NumpyModel,
        context: Context,
        rngs: Sequence[np.random.Generator],
        controls: Controls | None = None,
        n: int = 1,
    ) -> None:
        check_value(REDO_SETTINGS["particles"], n)
        total = n * len(rngs)
        super().__init__(network, [context] * total)
        self._choose_by(controls or Controls(), context.n_parts)
        self.rngs, self.n = rngs, n
        self.log_p, self.log_weights, self.log_z = np.zeros(total), np.zeros(total), np.zeros(len(rngs))
        self.placed = np.zeros(total, np.int64)
        self.form_bias = 0.0

    def branch(self, n: int, rngs: Sequence[np.random.Generator]) -> Particles:
        """Particles that go on from the first one here, which stays as it is; with randomness of their own."""
        check_value(REDO_SETTINGS["particles"], n)
        total = n * len(rngs)
        other, first = copy.copy(self), np.zeros(total, np.int64)
        other.contexts = [self.contexts[0].copy()] * total
        other.rows, other.rngs, other.n = [[] for _ in range(total)], rngs, n
        other._previous, other._last = [self._previous[0]] * total, None
        other._state, other._context = [part[first] for part in self._state], self._context[first]
        other.log_p, other.log_weights, other.log_z = np.zeros(total), np.zeros(total), np.zeros(len(rngs))
        other.placed = self.placed[first]
        return other

    def __len__(self) -> int:
        return len(self.rows)

    def extend(self, guide: Rule, which: np.ndarray | None = None) -> list[Row | None]:
        """Give each of the particles `which` (default: all; in order) an event that the guide allows.

        Of those that went on alike so far, and share a context, all or none are among them.

        Returns
        -------
        rows : for each of these particles its event; None is the end of the piece
        """
        at = np.arange(len(self)) if which is None else which
        n = len(at)
        of_pieces = np.bincount(at // self.n, minlength=len(self.rngs)).tolist()
        u = np.concatenate([rng.random((k, DRAWS)) for rng, k in zip(self.rngs, of_pieces, strict=True)])
        contexts = [self.contexts[i] for i in at]
        rules = [guide, FormBias(self.vocabulary, [self.form_bias] * n)] if self.form_bias else [guide]
        event = Event(contexts, [0] * n, np.ones(n, bool), [0] * n, at=at)
        drawn = self.draw(u, rules, event)
        self.log_p[at] += event.log_places["shift"]
        if "duration" in event.log_places:
            self.log_p[at] += np.where(event.live, event.log_places["duration"], 0.0)
        return drawn

    def _choose(self, field: str, event: Event, u: np.ndarray) -> np.ndarray:
        """Choose a class for each particle; what all that may come weighs together is the particle's weight."""
        log_p = below_best(event.logits)
        log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))
        temperature = self._temperatures[field]
        scaled = log_p if temperature in (0, 1) else log_p / max(temperature, COLDEST)
        if event.log_weights is not None:
            scaled = scaled + event.log_weights
        if event.mask is not None:
            scaled = np.where(event.mask, scaled, -np.inf)
        share = None if event.spans is None else event.places.share_of_classes(event.spans)
        if share is not None:
            scaled = np.where(share > 0, scaled, -np.inf)
        best = scaled.max(1, keepdims=True)
        if not np.isfinite(best).all():
            raise SettingError(f"no {field} is left that can follow; a constraint must leave one where nothing sounds")
        weights = np.exp(scaled - best)
        if share is not None:
            weights *= share
        kept = weights if temperature in (0, 1) else np.where(weights > 0, np.exp(log_p), 0.0)
        several = np.flatnonzero(np.count_nonzero(kept, 1) > 1)  # what is alone has nothing to lose
        if self._filters[field] and len(several):
            left = kept[several]
            for change in self._filters[field]:
                left = change(left)
            kept = kept.copy()
            kept[several] = left
        if kept is not weights:
            weights = np.where(kept > 0, weights, 0.0)
        cumulative = np.cumsum(weights, 1)
        mass = cumulative[:, -1]
        chosen = (cumulative > (u * mass)[:, None]).argmax(1)
        assert event.at is not None
        of_live = np.flatnonzero(event.live)
        live, of_chosen = event.at[of_live], chosen[of_live]
        self.log_weights[live] += (best[:, 0] + np.log(mass))[of_live]
        self.log_p[live] += log_p[of_live, of_chosen]
        return chosen

    @property
    def evidence(self) -> np.ndarray:
        """For each piece the log-probability, estimated, in nats, that what the model composes keeps to the guide."""
        return self.log_z + _log_mean(self._of_pieces(self.log_weights))

    def effective(self) -> np.ndarray:
        """For each piece how many particles of equal weight would serve as well, in 1..n: the effective sample size."""
        weights = self._of_pieces(self.log_weights)
        weights = np.exp(weights - weights.max(1, keepdims=True))
        return weights.sum(1) ** 2 / (weights**2).sum(1)

    def resample(self, below: float = math.inf) -> None:
        """Let each particle go on as often as its weight says (systematic resampling); then all weigh the same.

        Parameters
        ----------
        below : the effective number from which on a piece's particles stay as they are
        """
        pieces = np.flatnonzero(self.effective() < below)
        if not len(pieces):
            return
        parents, log_weights = np.arange(len(self)), self._of_pieces(self.log_weights)
        for piece in pieces.tolist():
            weights = np.exp(log_weights[piece] - log_weights[piece].max())
            edges = np.cumsum(weights)
            marks = (np.arange(self.n) + self.rngs[piece].random()) / self.n * edges[-1]
            chosen = np.minimum(np.searchsorted(edges, marks, side="right"), self.n - 1)
            parents[piece * self.n : (piece + 1) * self.n] = piece * self.n + chosen
        self.log_z[pieces] += _log_mean(log_weights[pieces])
        log_weights[pieces] = 0.0
        self.log_p, self.placed = self.log_p[parents], self.placed[parents]
        self.pick(parents)

    def drawn(self, piece: int) -> list[int]:
        """The particles of a piece in an order in which they are drawn, each in proportion to its weight."""
        own = np.arange(piece * self.n, (piece + 1) * self.n)
        order = np.argsort(-(self.log_weights[own] + self.rngs[piece].gumbel(size=self.n)), kind="stable")
        return own[order].tolist()

    def _of_pieces(self, values: np.ndarray) -> np.ndarray:
        """Values of particles as a view, shape (pieces, n)."""
        return values.reshape(len(self.rngs), self.n)


def _log_mean(values: np.ndarray) -> np.ndarray:
    """Logarithm of the mean of each row of what has these logarithms."""
    greatest = values.max(1)
    return greatest + np.log(np.exp(values - greatest[:, None]).mean(1))


__all__ = ["Particles"]
