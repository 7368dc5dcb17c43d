"""Performances: what `humanise` makes of a score, each a file of its own, the most probable one first.

The score's notes go where the model plays them. Where the tempo may change, a tempo of its own for each beat carries
the curve, so that what stands on a beat in the score still does; what is off it, is off in ticks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from melodygru.compose.composition import Version, fields_of
from melodygru.compose.expression import Played, Player
from melodygru.compose.humanise_settings import HumaniseSettings
from melodygru.compose.lengths import Plan
from melodygru.compose.original import Original
from melodygru.compose.primer import Source
from melodygru.midi import read, to_bytes
from melodygru.midi.editing import Pedal
from melodygru.midi.writing import MAX_TEMPO
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.notes import NoteSequence

FASTEST = 10_000  # microseconds a beat; the slowest is what MIDI can say
PIANOS = range(8)  # programs
FEWEST = 2  # notes that a pedal holds together


@dataclass(frozen=True, eq=False)
class Performance(Version):
    """A piece as a model plays it; `before` is what a note costs in the score."""

    @property
    def reason(self) -> str:
        """Its place among the performances, in words."""
        return f"{self.nats:.2f} nats a note, {self.before:.2f} as it was"


def performances(
    network: NumpyModel,
    source: Source,
    settings: HumaniseSettings,
    seed: int,
    on_progress: Callable[[float], None] | None = None,
) -> list[Performance]:
    """The performances of settings for a score, the most probable first; what is raised says `Composer.humanise`."""
    Plan.from_settings(network.vocabulary, style=settings.style)  # refuses a style that is not known
    original = Original.of(source, network.vocabulary, settings.style)
    player = Player(network, original)
    before = player.nats_as_it_was() / len(player.score)
    if settings.strength == 0:
        data = source.data if source.data is not None else to_bytes(source.sequence)
        fields = {**fields_of(read(data).sequence), "nats": before, "before": before}
        return [Performance(**fields, seed=seed, data=data, rank=at + 1) for at in range(settings.num_outputs)]
    children = np.random.SeedSequence(seed).spawn(settings.num_outputs)
    played = player.play(
        [np.random.default_rng(child) for child in children],
        keep_tempo=settings.keep_tempo,
        temperature=settings.temperature,
        particles=settings.particles,
        style=settings.style,
        on_progress=on_progress,
    )
    found = []
    for rank, one in enumerate(sorted(played, key=lambda one: one.nats)):
        data = _written(original, player, one, settings)
        nats = one.nats / len(player.score)
        fields = {**fields_of(read(data).sequence), "nats": nats, "before": before}
        found.append(Performance(**fields, seed=seed, data=data, rank=rank + 1))
    return found


def _written(original: Original, player: Player, played: Played, settings: HumaniseSettings) -> bytes:
    """The file of a performance."""
    score, share = player.score, settings.strength
    sequence = original.editor.reading.sequence
    old, of = sequence.notes, score.of_note
    notes = old.copy()
    if player.vocabulary.models_velocity:
        change = share * (played.velocity[of] - old["velocity"].astype(np.int64))
        notes["velocity"] = np.clip(np.rint(old["velocity"] + change), 1, 127)
    none = np.zeros(len(old), bool)
    if player.vocabulary.grid.is_metrical:
        return original.editor.exchange(none, notes)
    rate = original.grid.rate
    onset_s, end_s = sequence.step2second(old["onset"]), sequence.step2second(old["onset"] + old["duration"])
    begins_s = onset_s + share * (played.onset - score.onset)[of] / rate
    ends = played.onset + played.duration - score.onset - score.duration
    stops_s = end_s + share * ends[of] / rate
    curve = _Curve(sequence, onset_s, begins_s, kept=settings.keep_tempo)
    notes["onset"] = curve.ticks(begins_s)
    stops = curve.ticks(stops_s)
    notes["duration"] = np.maximum(1, stops - notes["onset"])
    keys = np.clip(curve.ticks(curve.played(end_s)), notes["onset"] + 1, notes["onset"] + notes["duration"])
    notes, pedals = _with_pedals(notes, keys, original)
    return original.editor.exchange(none, notes, pedals=pedals, tempos=curve.tempos)


class _Curve:
    """When what stands at a time of the score is played, and the ticks of times that are played.

    Parameters
    ----------
    sequence : the score, in the file's ticks
    score_s, played_s : arrays, shape (n,): onsets in the score, and as they are played
    kept : whether the tempos stay

    Attributes
    ----------
    tempos : tick, and microseconds per quarter note from there on; None: those of the score
    """

    def __init__(self, sequence: NoteSequence, score_s: np.ndarray, played_s: np.ndarray, kept: bool) -> None:
        order = np.lexsort((played_s, score_s))
        first = np.append(True, np.diff(score_s[order]) > 0)
        self._score_s, self._played_s = score_s[order][first], np.maximum.accumulate(played_s[order][first])
        self.tempos: list[tuple[int, int]] | None = None
        beat = sequence.grid.steps_per_beat
        if kept or beat is None:
            marks = sequence.tempos["step"]
            last = max(sequence.length, int(marks[-1])) + 1
            self._ticks = np.unique(np.append(marks, [0, last]))
            self._ticks_s = sequence.step2second(self._ticks)
            return
        self._ticks = np.arange(0, sequence.length + 2 * int(beat), int(beat))
        wanted_s, at_s = self.played(sequence.step2second(self._ticks)), [0.0]
        self.tempos = []
        for tick, until_s in zip(self._ticks[:-1].tolist(), wanted_s[1:].tolist(), strict=True):
            tempo = min(max(FASTEST, round((until_s - at_s[-1]) * 1e6)), MAX_TEMPO)
            at_s.append(at_s[-1] + tempo / 1e6)
            if not self.tempos or self.tempos[-1][1] != tempo:
                self.tempos.append((tick, tempo))
        self._ticks_s = np.array(at_s)

    def played(self, seconds: np.ndarray) -> np.ndarray:
        """When times of the score are played: between onsets evenly, before and after them as late as the nearest."""
        inside = np.interp(seconds, self._score_s, self._played_s)
        outside = seconds - np.clip(seconds, self._score_s[0], self._score_s[-1])
        return np.maximum(0.0, inside + outside)

    def ticks(self, seconds: np.ndarray) -> np.ndarray:
        """The ticks at which times stand that are played."""
        beyond = np.maximum(0.0, seconds - self._ticks_s[-1])
        rate = (self._ticks[-1] - self._ticks[-2]) / (self._ticks_s[-1] - self._ticks_s[-2])
        ticks = np.interp(seconds, self._ticks_s, self._ticks) + beyond * rate
        return np.rint(ticks).astype(np.int64)


def _with_pedals(notes: np.ndarray, keys: np.ndarray, original: Original) -> tuple[np.ndarray, list[Pedal]]:
    """Notes of pianos with their keys released where the score has it, and the pedals that hold them as long.

    A pedal goes down after the last note that ends before, so that it holds none that ends by itself.

    Parameters
    ----------
    notes : array, shape (n,), dtype NOTE, in ticks
    keys : array, shape (n,): ticks at which the keys are released, after the notes' onsets
    """
    notes, pedals = notes.copy(), []
    channels, pianos = original.editor.channels[notes["part"]], np.isin(notes["program"], list(PIANOS))
    ends = notes["onset"] + notes["duration"]
    for channel in np.unique(channels).tolist():
        own = np.flatnonzero(channels == channel)
        if not pianos[own].all():
            continue
        before = -1
        for end in np.unique(ends[own]).tolist():
            together = own[ends[own] == end]
            released = np.maximum(keys[together], before + 2)
            held = together[released < end]
            if len(together) >= FEWEST and len(held):
                pedals.append(Pedal(int(notes["part"][held[0]]), before + 1, end))
                notes["duration"][held] = released[released < end] - notes["onset"][held]
            before = end
    return notes, pedals


__all__ = ["Performance", "performances"]
