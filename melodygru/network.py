"""The model's step in NumPy: the same function as `melodygru.model`, one event at a time, for many streams at once.

A stream is one piece being heard or written; arrays have one row a stream. A parity test holds the logits to those
of the Keras model.

    step = network.step(previous, before, context, state)    # hear the last event
    step.logits("shift")                                     # what may come, given nothing else
    step.arrive(context at the new onset, pitch classes heard)
    step.logits("program", [classes of shift]) ...
"""

from __future__ import annotations

from typing import Any

import numpy as np

from melodygru.checkpoint import DEEP, Checkpoint
from melodygru.events import VOICE, motion_class
from melodygru.notes import N_PITCHES


class Network:
    """The weights of a checkpoint, arranged for stepping.

    Parameters
    ----------
    checkpoint : Checkpoint
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.vocabulary = checkpoint.vocabulary
        self.architecture = checkpoint.architecture
        weights, fields = checkpoint.weights, checkpoint.vocabulary.fields
        units = self.architecture.units
        self.table = weights["bag"].copy()
        self.table[0] = 0.0  # id 0 adds nothing
        self.load_body(weights)
        hidden = [weights[f"head/{field}/hidden/kernel"] for field in fields]
        # All heads' hidden layers are one product with the state, and one with the context at the onset.
        self.from_state = np.ascontiguousarray(np.concatenate([kernel[:units] for kernel in hidden], 1))
        self.bias = np.concatenate([weights[f"head/{field}/hidden/bias"] for field in fields])
        self.from_input = np.ascontiguousarray(hidden[0][units:])
        self.from_context = np.ascontiguousarray(np.concatenate([kernel[units:] for kernel in hidden[1:]], 1))
        self.outputs = {
            field: (weights[f"head/{field}/output/kernel"], weights[f"head/{field}/output/bias"]) for field in fields
        }
        deep = DEEP if self.architecture.deep else ()
        self.second = {
            field: (weights[f"head/{field}/second/kernel"], weights[f"head/{field}/second/bias"]) for field in deep
        }
        self.chosen = {field: weights[f"head/{field}/bag"].copy() for field in fields[1:]}
        for table in self.chosen.values():
            table[0] = 0.0
        chosen = {*fields, *VOICE, "motion"}
        self.blocks = {
            field: {name: first for name, first in self.vocabulary.head_blocks(field).items() if name in chosen}
            for field in fields
        }

    def load_body(self, weights: dict[str, np.ndarray]) -> None:
        """Arrange the weights of what stands between embeddings and heads."""
        a = self.architecture
        self.layers: list[Any] = [
            tuple(weights[f"{a.cell}/{layer}/{part}"] for part in ("kernel", "recurrent", "bias"))
            for layer in range(a.layers)
        ]

    def initial_state(self, streams: int) -> list[Any]:
        """The state before the first event: (streams, units) for each layer; an LSTM has two, state and memory."""
        a = self.architecture
        return [np.zeros((streams, a.units), np.float32)] * (a.layers * a.states)

    def bag(self, ids: np.ndarray) -> np.ndarray:
        """Sums of embeddings, (streams, embedding), of ids (streams, k)."""
        return self.table[ids].sum(1)

    def step(self, previous: np.ndarray, before: np.ndarray, context: np.ndarray, state: list[Any]) -> Step:
        """Hear an event.

        Parameters
        ----------
        previous : array, shape (streams, 5): ids of the event (see `Vocabulary.previous_ids`)
        before : array, shape (streams, n_before): ids known before the next event
        context : array, shape (streams, n_context): ids at the onset of the event, or `Context.start`
        state : list of arrays, shape (streams, units), see `initial_state`
        """
        before_bag = self.bag(before)
        x = self.bag(previous) + before_bag + self.bag(context)
        h, new_state = self.body(x, state)
        return Step(self, x, h, before_bag, new_state)

    def body(self, x: np.ndarray, state: list[Any]) -> tuple[np.ndarray, list[Any]]:
        """What the heads are given, (streams, units), of inputs (streams, embedding), and the state after them."""
        h, new_state, n = x, [], self.architecture.states
        cell = lstm_step if self.architecture.cell == "lstm" else gru_step
        for index, weights in enumerate(self.layers):
            after = cell(h, state[n * index : n * (index + 1)], *weights)
            h = after[0]
            new_state += after
        return h, new_state


def gru_step(
    x: np.ndarray, state: list[np.ndarray], kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray
) -> list[np.ndarray]:
    """A GRU layer's state, [(streams, units)], after inputs `x`; gates in the order z, r, candidate."""
    (last,), units = state, len(recurrent)
    gates = x @ kernel + bias[0]
    inner = last @ recurrent + bias[1]
    zr = _sigmoid(gates[:, : 2 * units] + inner[:, : 2 * units])
    z, r = zr[:, :units], zr[:, units:]
    candidate = np.tanh(gates[:, 2 * units :] + r * inner[:, 2 * units :])
    return [candidate + z * (last - candidate)]


def lstm_step(
    x: np.ndarray, state: list[np.ndarray], kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray
) -> list[np.ndarray]:
    """An LSTM layer's state and memory, each (streams, units), after inputs `x`; gates i, f, candidate, o."""
    (last, memory), units = state, len(recurrent)
    gates = x @ kernel + last @ recurrent + bias
    i_f = _sigmoid(gates[:, : 2 * units])
    candidate = np.tanh(gates[:, 2 * units : 3 * units])
    memory = i_f[:, units:] * memory + i_f[:, :units] * candidate
    return [_sigmoid(gates[:, 3 * units :]) * np.tanh(memory), memory]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    """By way of tanh, which never overflows."""
    return np.tanh(0.5 * x) * 0.5 + 0.5


class Step:
    """What the model expects of one event of every stream; logits are asked for in the order of the fields."""

    def __init__(self, network: Network, x: np.ndarray, h: np.ndarray, before: np.ndarray, state: list[Any]) -> None:
        self.state = state
        self._network = network
        self._before = before
        width = network.architecture.head
        hidden = h @ network.from_state + network.bias
        self._hidden = {
            field: hidden[:, i * width : (i + 1) * width] for i, field in enumerate(network.vocabulary.fields)
        }
        self._hidden["shift"] = self._hidden["shift"] + x @ network.from_input

    def arrive(self, context: np.ndarray, heard: np.ndarray) -> None:
        """Tell the context at the new onset.

        Parameters
        ----------
        context : array, shape (streams, n_context): ids
        heard : array, shape (streams, 24): see `Events.heard`
        """
        network = self._network
        self._sounding, self._heard = context[:, network.vocabulary.sounding_columns], heard
        width = network.architecture.head
        added = (self._before + network.bag(context)) @ network.from_context
        for i, field in enumerate(network.vocabulary.fields[1:]):
            self._hidden[field] = self._hidden[field] + added[:, i * width : (i + 1) * width]

    def logits(self, field: str, chosen: dict[str, np.ndarray] | None = None) -> np.ndarray:
        """Logits of a field, shape (streams, classes), before what cannot follow is left out.

        Parameters
        ----------
        chosen : for every field but shift, the (streams,) classes chosen before it, by name, and those of VOICE once
            the program is chosen (`Context.voice`; 0 is none)
        """
        network = self._network
        hidden = self._hidden[field]
        if chosen is not None and network.blocks[field]:
            table = network.chosen[field]
            hidden = hidden.copy()
            ids = []
            for name, first in network.blocks[field].items():
                if name in network.vocabulary.fields:
                    ids.append((first + chosen[name])[:, None])
                else:
                    known = chosen[name] if name in VOICE else motion_class(chosen["pitch"], chosen["voice_1"])
                    ids.append(np.where(known > 0, first + known, 0)[:, None])
            if field in ("pitch", "duration"):
                seen_from = chosen["voice_1"] if field == "pitch" else chosen["pitch"] + 1
                ids.append(network.vocabulary.relative_ids(field, self._sounding, self._heard, seen_from))
            hidden += table[np.concatenate(ids, 1)].sum(1)
        hidden = np.maximum(hidden, 0.0)
        if field in network.second:
            kernel, bias = network.second[field]
            hidden = hidden + np.maximum(hidden @ kernel + bias, 0.0)
        kernel, bias = network.outputs[field]
        logits = hidden @ kernel + bias
        if field == "pitch" and chosen is not None:
            return _both_views(logits, chosen["voice_1"])
        return logits


def _both_views(logits: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Pitch logits from those of pitches and those of intervals from the program's `last` pitch (plus 1; 0 is none)."""
    pitches = logits[:, :N_PITCHES].copy()
    for stream in np.flatnonzero(last):
        first = N_PITCHES + N_PITCHES - int(last[stream])
        pitches[stream] += logits[stream, first : first + N_PITCHES]
    return pitches
