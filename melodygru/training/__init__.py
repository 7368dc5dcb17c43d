"""Training: batches of similar pieces, schedule, validation, resume, fine-tuning; and exact evaluation.

A run is a function of (corpus, settings, seed): the order of pieces, their transposition and stretch follow from
(seed, epoch, piece), dropout from (seed, step). All else that a run depends on (weights, their average, the
optimiser, the carried state, the step) is saved, so that an interrupted run that is resumed ends in the same
weights as an undisturbed one (on one machine, with the same versions and number of threads).
"""

from melodygru.model.keras_model import load_model
from melodygru.training.device import gains_from_float16, is_mixed_precision, set_up_device
from melodygru.training.evaluation import VALIDATION_EVENTS, Evaluation, evaluate, log_likelihoods, nats_per_note
from melodygru.training.models import SAMPLED_EVENTS, begin_from_counts, fine_tune_from, new_model
from melodygru.training.pieces import UNKNOWN_SHARE, Pieces, prefetch, stack
from melodygru.training.progress import TIMED_STEPS, TRACE_STEPS, Progress
from melodygru.training.settings import Settings, default_epochs, default_transpose_until, learning_rate
from melodygru.training.trainer import Trainer
from melodygru.training.workers import WAIT_S, Workers, start_workers

__all__ = [
    "SAMPLED_EVENTS",
    "TIMED_STEPS",
    "TRACE_STEPS",
    "UNKNOWN_SHARE",
    "VALIDATION_EVENTS",
    "WAIT_S",
    "Evaluation",
    "Pieces",
    "Progress",
    "Settings",
    "Trainer",
    "Workers",
    "begin_from_counts",
    "default_epochs",
    "default_transpose_until",
    "evaluate",
    "fine_tune_from",
    "gains_from_float16",
    "is_mixed_precision",
    "learning_rate",
    "load_model",
    "log_likelihoods",
    "nats_per_note",
    "new_model",
    "prefetch",
    "set_up_device",
    "stack",
    "start_workers",
]
