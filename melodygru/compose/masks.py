"""A mask: which bars, parts and fields of a piece are composed again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from melodygru.compose.constraints import Programs
from melodygru.compose.lengths import Plan
from melodygru.compose.original import Original
from melodygru.compose.redo_settings import RedoSettings, bars_of
from melodygru.errors import SettingError
from melodygru.events import Vocabulary
from melodygru.music.form import bar_returns
from melodygru.music.names import FAMILIES, program_name, programs_called
from melodygru.util.wording import counted

STRETCH = 16  # notes that are chosen anew together, where there are no bars


@dataclass(frozen=True)
class Mask:
    """What is composed again.

    Attributes
    ----------
    spans : steps from which on, and before which, notes are composed anew, in order
    lines : the lines that are, those that are added among them
    added : programs of the lines that are added, numbered on from those of the piece
    free : array, shape (n,), bool: notes of the piece that are composed again
    fields : what of them is, in their places; None: notes come and go
    length : steps of the piece that comes of it
    returns : array, shape (bars,): the form that it shall have, see `music.form.bar_returns`; None is unknown
    """

    spans: tuple[tuple[int, int], ...]
    lines: frozenset[int]
    added: tuple[int, ...]
    free: np.ndarray
    fields: tuple[str, ...] | None
    length: int
    returns: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        settings: RedoSettings,
        original: Original,
        vocabulary: Vocabulary,
        *,
        other: Original | None = None,
        nats: np.ndarray | None = None,
        rng: np.random.Generator | None = None,
    ) -> Mask:
        """The mask of settings.

        Parameters
        ----------
        other : the piece whose form is asked for
        nats : array, shape (n,): what each note costs the model, where the surprising ones are asked for
        rng : chooses what stays, where a share is to

        Raises
        ------
        SettingError
            Bars or parts that the piece doesn't have, or nothing to compose again; the message lists what there is.
        """
        lines_at = original.bar_lines()
        length = original.length
        if other is not None:
            length = _length_like(original, other, lines_at)
            lines_at = np.append(lines_at[lines_at < length], length) if length < original.length else lines_at
            if length > original.length:
                bar = int(lines_at[-1] - lines_at[-2])
                lines_at = np.append(lines_at, np.arange(int(lines_at[-1]) + bar, length + bar, bar))
        spans = _spans(settings, original, lines_at, length)
        added = () if settings.add is None else added_programs(settings.add, original, vocabulary, settings.style)
        parts = _parts(settings, original)
        lines = {int(line) for line in original.line[np.isin(original.editor.reading.sequence.notes["part"], parts)]}
        first = len(original.programs)
        of_part = np.isin(original.editor.reading.sequence.notes["part"], parts)
        inside = np.zeros(len(of_part), bool)
        for begin, after in spans:
            inside |= (original.onset >= begin) & (original.onset < after)
        if other is not None:
            inside |= original.onset >= length
        free = of_part & inside
        in_place = settings.chosen_fields
        if in_place is not None:
            if settings.keep is not None and rng is not None:
                free &= ~_stays(original, free, settings.keep, lines_at, rng)
            if nats is not None and settings.surprising is not None:
                free &= _most_surprising(original, free, nats, settings.surprising)
            if not free.any():
                raise SettingError(f"{original.name}: no note is left to compose again; {_what_there_is(original)}")
        elif not parts and not added:
            raise SettingError(f"{original.name}: no part is left to compose again; {_what_there_is(original)}")
        new = frozenset({*lines, *range(first, first + len(added))})
        returns = None if other is None else bar_returns(other.sequence)
        return cls(tuple(spans), new, added, free, in_place, length, returns)


def _spans(settings: RedoSettings, original: Original, lines_at: np.ndarray, length: int) -> list[tuple[int, int]]:
    """The steps that are composed again."""
    n_bars, name = len(lines_at) - 1, original.name
    text = settings.bars
    only = all(getattr(settings, one) is None for one in ("parts", "lock", "fields", "keep", "surprising", "add"))
    if text is None and settings.loop and only and n_bars > 0:
        # From the last bar on in which a note begins: what sounds on in the end is none to compose again.
        last = int(np.searchsorted(lines_at, original.onset.max(initial=0), side="right"))
        text = f"{min(last, n_bars)}:"
    if text is None:
        return [(0, length)]
    if n_bars < 1:
        raise SettingError(f"bars {text}: {name} has no bars, its times are in seconds; leave bars out")
    spans: list[tuple[int, int]] = []
    for first, last in sorted(bars_of(text, n_bars)):
        if not 1 <= first <= last <= n_bars:
            raise SettingError(f"bars {text}: {name} has {counted(n_bars, 'bar')}, expected A:B in 1..{n_bars}")
        begin, after = int(lines_at[first - 1]), min(length, int(lines_at[last]))
        if spans and begin <= spans[-1][1]:
            begin, after = spans[-1][0], max(after, spans.pop()[1])
        spans.append((begin, after))
    return spans


def _length_like(original: Original, other: Original, lines_at: np.ndarray) -> int:
    """The steps of a piece with as many bars as another one."""
    n_bars = len(other.bar_lines()) - 1
    if n_bars < 1 or len(lines_at) < 2:
        raise SettingError(f"form-of {other.name}: expected files with bars; times are in seconds")
    if n_bars < len(lines_at):
        return int(lines_at[n_bars])
    return int(lines_at[-1] + (lines_at[-1] - lines_at[-2]) * (n_bars - len(lines_at) + 1))


def _what_there_is(original: Original) -> str:
    """The parts of a piece, as they can be named."""
    sequence, labels = original.editor.reading.sequence, original.labels()
    programs = sequence.part_programs.tolist()
    named = []
    for number, part in enumerate(original.part_numbers()):
        of_program = program_name(programs[part])
        beside = "" if labels[part].startswith(of_program) else f" ({of_program})"
        named.append(f"{number + 1} {labels[part]}{beside}")
    return f"its parts are {', '.join(named) or 'none'}"


def _parts(settings: RedoSettings, original: Original) -> list[int]:
    """The parts of the file that are composed again."""
    everything = list(range(len(original.editor.reading.sequence.part_programs)))
    if settings.parts is not None:
        return named_parts("parts", settings.parts, original)
    if settings.lock is not None:
        locked = named_parts("lock", settings.lock, original)
        return [part for part in everything if part not in locked]
    return everything if settings.add is None else []


def named_parts(option: str, text: str, original: Original) -> list[int]:
    """The parts that a list names, ascending; SettingError if it names one that is not there."""
    sequence = original.editor.reading.sequence
    programs, labels, order = sequence.part_programs.tolist(), original.labels(), original.part_numbers()
    found: set[int] = set()
    for item in text.split(","):
        name = item.strip().lower()
        if name.isascii() and name.isdecimal():
            these = [order[int(name) - 1]] if 1 <= int(name) <= len(order) else []
        else:
            these = [part for part in order if labels[part].lower() == name]
            these = these or [part for part in order if program_name(programs[part]).lower() == name]
            these = these or [part for part in order if programs[part] in FAMILIES.get(name, ())]
            these = these or [part for part in order if name in labels[part].lower().split()]
            these = these or [part for part in order if programs[part] in programs_called(name)]
        if not these:
            raise SettingError(
                f"{option} {item.strip()!r}: {original.name} has no such part; {_what_there_is(original)}"
            )
        found.update(these)
    return sorted(found)


def added_programs(text: str, original: Original, vocabulary: Vocabulary, style: str | None) -> tuple[int, ...]:
    """The programs of the parts that are added, in the order in which they are named.

    Raises
    ------
    SettingError
        One is no program, or none that the model knows, or there would be more parts than it tells apart.
    """
    if not vocabulary.models_part:
        raise SettingError("add: this model's music is one part alone; expected a model of music in several parts")
    programs: list[int] = []
    for item in text.split(","):
        asked, known = Programs.parse(item), vocabulary.statistics.programs_of(style)
        asked.check(vocabulary, Plan.from_settings(vocabulary, style=style))
        of_family = [one for one in known for family in asked.families if one in programs_called(family)]
        programs += list(asked.programs) or of_family[:1] or list(asked.line_up(vocabulary, style))
    most = vocabulary.parts - len(original.programs)
    if len(programs) > most:
        raise SettingError(
            f"add {text}: {counted(len(programs), 'part')} beside the file's {len(original.programs)}; this model "
            f"tells {vocabulary.parts} apart, expected at most {max(0, most)}"
        )
    return tuple(programs)


def _groups(original: Original) -> np.ndarray:
    """A number for each note, the same for those that a line strikes together, rising."""
    _, groups = np.unique(original.onset * (len(original.programs) + 1) + original.line, return_inverse=True)
    return groups


def _stays(
    original: Original, free: np.ndarray, keep: float, lines_at: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Which notes stay, of those that are free.

    Whole bars, drawn at random, are composed again, the last of them in part; where there are none, stretches of
    STRETCH notes. Notes that a line strikes together stay or go together, so that a few more may stay.
    """
    at = np.flatnonzero(free)
    stretches = np.arange(len(at)) // STRETCH
    if len(lines_at) > 1:
        stretches = np.searchsorted(lines_at, original.onset[at], side="right")
    rank = rng.permutation(int(stretches.max(initial=0)) + 1)
    groups = _groups(original)[at]
    order = np.lexsort((groups, rank[stretches]))
    n_new = len(at) - round(keep * len(at))
    goes: set[int] = set()
    n, sizes = 0, dict(zip(*np.unique(groups, return_counts=True), strict=True))
    for group in dict.fromkeys(groups[order].tolist()):
        if n + sizes[group] > n_new:
            break
        n += sizes[group]
        goes.add(group)
    return ~np.isin(_groups(original), list(goes))


def _most_surprising(original: Original, free: np.ndarray, nats: np.ndarray, percent: float) -> np.ndarray:
    """The notes that cost most, and those that their lines strike with them."""
    at = np.flatnonzero(free)
    n = max(1, round(len(at) * percent / 100)) if len(at) else 0
    groups = _groups(original)
    return np.isin(groups, groups[at[np.argsort(-nats[at], kind="stable")[:n]]])


__all__ = ["STRETCH", "Mask", "added_programs", "named_parts"]
