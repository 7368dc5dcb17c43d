"""What a checkpoint's recurrent layers do with music: gates, memory, what units follow, and each note's surprise.

reader = Reader(checkpoint.read(path))
heard = reader.hear(sequence)          # gates, outputs, nats and expectations, note by note
account = explain(reader, [sequence])  # half-lives, units that matter, units that follow beat, bar, phrase and key

A unit is named by its layer and its column, both from 0, as in the checkpoint: `1/17` is column 17 of `gru_1`.
"""

from melodygru.analysis.explain.account import Account, Unit, explain
from melodygru.analysis.explain.following import ASPECTS, Following, Profile, follow, profile
from melodygru.analysis.explain.memory import PERCENTILES, half_lives
from melodygru.analysis.explain.surprise import Surprise, most_surprising
from melodygru.model.trace import GATES, Reader, Trace

__all__ = [
    "ASPECTS",
    "GATES",
    "PERCENTILES",
    "Account",
    "Following",
    "Trace",
    "Profile",
    "Reader",
    "Surprise",
    "Unit",
    "explain",
    "follow",
    "half_lives",
    "most_surprising",
    "profile",
]
