"""Sampling: temperature and filters, lengths, and the generation loop, an iterator of notes."""

from melodygru.sampling.accompanying import accompany
from melodygru.sampling.composing import MAX_NOTES, compose, first_step, notes
from melodygru.sampling.controls import Controls, Filter, keep_min_p, keep_top_k, keep_top_p, weigh
from melodygru.sampling.guards import Action, Guard
from melodygru.sampling.lengths import Length, Plan
from melodygru.sampling.particles import Particles
from melodygru.sampling.sampler import HASTE, NEVER, PLAUSIBLE, Note, Sampler
from melodygru.sampling.varying import vary

__all__ = [
    "HASTE",
    "MAX_NOTES",
    "NEVER",
    "PLAUSIBLE",
    "Action",
    "Controls",
    "Filter",
    "Guard",
    "Length",
    "Note",
    "Particles",
    "Plan",
    "Sampler",
    "accompany",
    "compose",
    "first_step",
    "keep_min_p",
    "keep_top_k",
    "keep_top_p",
    "notes",
    "vary",
    "weigh",
]
