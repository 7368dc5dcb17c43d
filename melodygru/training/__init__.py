"""Training: batches of similar pieces, schedule, validation, resume, fine-tuning; and exact evaluation.

A run is a function of (corpus, settings, seed): the order of pieces, their transposition and stretch follow from
(seed, epoch, piece), dropout from (seed, step). All else that a run depends on (weights, their average, the
optimiser, the carried state, the step) is saved, so that an interrupted run that is resumed ends in the same
weights as an undisturbed one (on one machine, with the same versions and number of threads).

What is named here is imported when first asked for: settings and defaults are there without TensorFlow.
"""

from __future__ import annotations

from melodygru.util.lazy import offered

_OFFERED = {
    "cluster": ("Cluster", "read_cluster"),
    "device": ("gains_from_float16", "is_mixed_precision", "set_up_device"),
    "evaluation": ("Evaluation", "evaluate", "log_likelihoods"),
    "models": ("begin_from_counts", "fine_tune_from", "fit", "new_model"),
    "pieces": ("Pieces",),
    "progress": ("Budget", "Count", "Progress"),
    "run": ("TrainResult", "read_corpora", "train"),
    "settings": ("Settings", "TrainSettings", "default_epochs", "default_transpose_until", "learning_rate"),
    "startup": ("join_workers", "start_tensorflow"),
    "trainer": ("Trainer",),
    "workers": ("Workers", "start_workers"),
}

__all__ = [name for names in _OFFERED.values() for name in names]

__getattr__, __dir__ = offered(__name__, _OFFERED)
