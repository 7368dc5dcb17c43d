"""Sampling: temperature and filters, lengths, and the generation loop, an iterator of notes."""

from melodygru.compose.accompanying import accompany
from melodygru.compose.composing import MAX_NOTES, compose, first_step, notes
from melodygru.compose.constraints import (
    CHORD_BIAS,
    Chords,
    Constraint,
    Density,
    MaxPolyphony,
    Moment,
    PitchClasses,
    Programs,
    Range,
    Steering,
    of_settings,
)
from melodygru.compose.controls import Controls, Filter, keep_min_p, keep_top_k, keep_top_p, to_weights
from melodygru.compose.guards import Action, Guard
from melodygru.compose.lengths import Length, Plan
from melodygru.compose.particles import Particles
from melodygru.compose.sampler import END_DECAY, NEVER, PLAUSIBLE, Note, Sampler
from melodygru.compose.varying import vary

__all__ = [
    "CHORD_BIAS",
    "END_DECAY",
    "MAX_NOTES",
    "NEVER",
    "PLAUSIBLE",
    "Action",
    "Chords",
    "Constraint",
    "Controls",
    "Density",
    "Filter",
    "Guard",
    "Length",
    "MaxPolyphony",
    "Moment",
    "Note",
    "Particles",
    "PitchClasses",
    "Plan",
    "Programs",
    "Range",
    "Sampler",
    "Steering",
    "accompany",
    "compose",
    "first_step",
    "keep_min_p",
    "keep_top_k",
    "keep_top_p",
    "notes",
    "of_settings",
    "vary",
    "to_weights",
]
