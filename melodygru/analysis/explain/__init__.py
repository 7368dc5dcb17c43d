"""What a checkpoint's recurrent layers do with music: gates, memory, what units follow, and each note's surprise.

tracer = Tracer(NumpyModel(checkpoint.read(path)))
trace = tracer.trace(sequence)      # gates, outputs, nats and expectations, note by note
account = explain(tracer, [trace])  # half-lives, units that matter, units that follow beat, bar, phrase and key

A unit is named by its layer and its column, both from 0, as in the checkpoint: `1/17` is column 17 of `gru_1`.
"""

from melodygru.analysis.explain.account import Account, Unit, explain
from melodygru.analysis.explain.following import ASPECTS, Following, Profile, follow, profile
from melodygru.analysis.explain.memory import PERCENTILES, half_lives
from melodygru.analysis.explain.surprise import Surprise, most_surprising
from melodygru.model.trace import Trace, Tracer

__all__ = [
    "ASPECTS",
    "PERCENTILES",
    "Account",
    "Following",
    "Profile",
    "Surprise",
    "Trace",
    "Tracer",
    "Unit",
    "explain",
    "follow",
    "half_lives",
    "most_surprising",
    "profile",
]
