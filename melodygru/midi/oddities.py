"""What was odd in a file: how often each case of the rule came up, and the words that people read for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields


def _oddity(words: str) -> int:
    """A count of `Oddities`, and what people call it."""
    return field(default=0, metadata={"words": words})


@dataclass(frozen=True)
class Oddities:
    """How often each odd case of the rule (see the package's docstring) came up in one file."""

    zero_length: int = _oddity("notes without length dropped")
    strokes: int = _oddity("drum strokes without length kept")
    beyond_limit: int = _oddity("notes beyond the longest time dropped")
    merged: int = _oddity("notes dropped that their part strikes twice at once")
    cut: int = _oddity("notes cut where their part strikes the pitch again")
    restruck: int = _oddity("notes ended by the next of their pitch")
    hanging: int = _oddity("notes without an end")
    stray_note_offs: int = _oddity("ends without a note")
    pedalled: int = _oddity("notes held by the pedal")
    silenced: int = _oddity("notes ended by all-notes-off")
    doubled: int = _oddity("notes left out that repeat the music for a simpler synthesiser")
    clipped: int = _oddity("messages with a value above 127")
    system: int = _oddity("system messages passed over")
    bad_marks: int = _oddity("tempos, metres and keys that mean nothing")
    broken_tracks: int = _oddity("tracks that break off")
    misstated_lengths: int = _oddity("tracks of another length than they claim")
    miscounted_tracks: int = _oddity("tracks more or fewer than the header says")
    unknown_type: int = _oddity("files of an unknown type, read as type 1")

    @property
    def lost(self) -> int:
        """Notes that are not in the sequence as the file has them: dropped, merged or cut."""
        return self.zero_length + self.beyond_limit + self.merged + self.cut

    def as_dict(self) -> dict[str, int]:
        """The counts above zero by name, for reports."""
        counts = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: count for name, count in counts.items() if count}


DAMAGE = ("broken_tracks", "misstated_lengths", "miscounted_tracks", "clipped")


def oddity_words(name: str) -> str:
    """What people call a count of `Oddities`."""
    return next((item.metadata["words"] for item in fields(Oddities) if item.name == name), name.replace("_", " "))


def in_words(oddities: Mapping[str, int]) -> str:
    """Counts of `Oddities` by name as people read them, the greatest first: `notes without an end (3), ...`."""
    order = sorted(oddities.items(), key=lambda item: -item[1])
    return ", ".join(f"{oddity_words(name)} ({count:,})" for name, count in order)


def damage(oddities: Mapping[str, int]) -> dict[str, int]:
    """Those counts that only a damaged file has."""
    return {name: oddities[name] for name in DAMAGE if name in oddities}
