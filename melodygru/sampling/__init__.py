"""Sampling: temperature and filters, lengths, and the generation loop, an iterator of notes."""

from melodygru.sampling.composing import MAX_NOTES, compose, notes
from melodygru.sampling.controls import Controls, Filter, keep_min_p, keep_top_k, keep_top_p, weigh
from melodygru.sampling.lengths import Length, Plan
from melodygru.sampling.sampler import HASTE, NEVER, PLAUSIBLE, Note, Sampler

__all__ = [
    "HASTE",
    "MAX_NOTES",
    "NEVER",
    "PLAUSIBLE",
    "Controls",
    "Filter",
    "Length",
    "Note",
    "Plan",
    "Sampler",
    "compose",
    "keep_min_p",
    "keep_top_k",
    "keep_top_p",
    "notes",
    "weigh",
]
