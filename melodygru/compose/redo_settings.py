"""The settings of `redo`: what of a piece is composed again, and how. Those of choosing are those of `generate`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from melodygru.compose.settings import SETTINGS, Constraints, Piece, check_chords, normalise_style
from melodygru.errors import SettingError
from melodygru.util.settings import check, declared_by, described, same, setting

PARTICLES = 16  # versions of a piece that go on side by side
FIELDS = ("pitch", "duration", "velocity")  # what of a note can be composed again in its place
_BARS = re.compile(r"(\d{1,9})?(:)?(\d{1,9})?", re.ASCII)


def _mask(default: Any, help: str, **about: Any) -> Any:
    return setting(default, help, section="mask", **about)


def _as_in_generate(name: str) -> Any:
    return same(SETTINGS[name])


@described
@dataclass(frozen=True, kw_only=True)
class RedoSettings:
    """What of a piece is composed again, and how; all else stays as it is.

    Raises SettingError for a value that is out of range, or goes only with another one.
    """

    SECTIONS: ClassVar[tuple[str, ...]] = ("mask", "choice", "style", "constraint", "length", "piece")

    bars: str | None = _mask(
        None,
        "These bars, from A to B, counted from 1, both included; A: and :B are possible, and several with commas.",
        default_words="all",
        metavar="A:B",
    )
    parts: str | None = _mask(
        None,
        "These parts, by number in the file's order, name, program's name, family (bass, strings, ...) or drums; "
        "with commas.",
        default_words="all",
        metavar="LIST",
    )
    lock: str | None = _mask(None, "All parts but these.", metavar="LIST")
    fields: str | None = _mask(
        None,
        f"Leave the notes in their places and give them these anew: {', '.join(FIELDS)}; with commas.",
        default_words="the notes themselves come and go",
        metavar="LIST",
    )
    keep: float | None = _mask(
        None, "Share of the notes that stay all the same; the others get new pitches, or --fields.", low=0, high=1
    )
    surprising: float | None = _mask(
        None,
        "Of these only so many percent, the notes that cost the model most; they get new pitches, or --fields.",
        above=0,
        high=100,
        unit="percent",
        metavar="PERCENT",
    )
    add: str | None = _mask(
        None,
        "Add parts that play these, and change no other part: programs 0..127, names, families or drums; with commas.",
        metavar="LIST",
    )
    form_of: Piece | None = _mask(
        None,
        "With bars A: at the end: make the piece as many bars long as this file, and let its bars return as they do "
        "there.",
        metavar="FILE.mid",
    )
    loop: bool = _mask(
        False, "The end leads back to the beginning; without other choices the last bar is composed again."
    )
    num_outputs: int = _as_in_generate("num_outputs")
    temperature: float = _as_in_generate("temperature")
    rhythm_temperature: float | None = _as_in_generate("rhythm_temperature")
    pitch_temperature: float | None = _as_in_generate("pitch_temperature")
    top_k: int = _as_in_generate("top_k")
    top_p: float | None = _as_in_generate("top_p")
    min_p: float = _as_in_generate("min_p")
    style: str | None = _as_in_generate("style")
    particles: int | None = setting(
        None,
        "Versions of each candidate that are tried.",
        section="piece",
        low=1,
        high=4096,
        in_words="1..4096",
        fallback=PARTICLES,
    )
    seed: int | None = _as_in_generate("seed")
    key: str | None = _as_in_generate("key")
    scale: str | None = _as_in_generate("scale")
    range: str | None = _as_in_generate("range")
    max_polyphony: int | None = _as_in_generate("max_polyphony")
    density: float | None = _as_in_generate("density")
    chords: str | None = _as_in_generate("chords")
    chord_bias: float | None = _as_in_generate("chord_bias")
    chords_only: bool = _as_in_generate("chords_only")
    constraints: Constraints | None = _as_in_generate("constraints")

    def __post_init__(self) -> None:
        check(self, as_options=True)
        normalise_style(self)
        if self.parts is not None and self.lock is not None:
            raise SettingError("parts and lock given: expected at most one of them")
        if self.keep is not None and self.surprising is not None:
            raise SettingError("keep and surprising given: expected at most one of them")
        for name in self.chosen_fields or ():
            if name not in FIELDS:
                raise SettingError(f"fields {name!r}: expected {', '.join(FIELDS)}, with commas between them")
        in_place = next((name for name in ("fields", "keep", "surprising") if getattr(self, name) is not None), None)
        if self.add is not None and in_place is not None:
            raise SettingError(f"add and {in_place} given: expected at most one of them; added notes have no place yet")
        if self.form_of is not None and (self.bars is None or not self.bars.strip().endswith(":")):
            raise SettingError("form-of: expected bars A: with it, which are open at the end")
        if self.form_of is not None and (in_place is not None or self.loop):
            raise SettingError(f"form-of goes without {in_place or 'loop'}: leave one out")
        check_chords(self)
        if self.bars is not None:
            bars_of(self.bars, 1)

    @property
    def chosen_fields(self) -> tuple[str, ...] | None:
        """What of the notes is composed again in their places; None: the notes themselves come and go."""
        if self.fields is not None:
            return tuple(dict.fromkeys(name.strip().lower() for name in self.fields.split(",")))
        return ("pitch",) if self.keep is not None or self.surprising is not None else None

    def value(self, name: str) -> Any:
        """A setting's value, or what it falls back to."""
        value = getattr(self, name)
        return REDO_SETTINGS[name].about.fallback if value is None else value


def bars_of(text: str, n_bars: int) -> list[tuple[int, int]]:
    """First and last bar of each run in `9:12,15`, of `n_bars`; SettingError if it is none."""
    found = []
    for run in text.split(","):
        match = _BARS.fullmatch(run.strip())
        if match is None or not match[0]:
            raise SettingError(f"bars {text!r}: expected A:B, bars counted from 1 such as 5:8, 5:, :8 or 2,5:8")
        first, colon, last = match.groups()
        found.append((int(first or 1), int(last or (n_bars if colon else first))))
    return found


REDO_SETTINGS = declared_by(RedoSettings)

__all__ = ["FIELDS", "PARTICLES", "REDO_SETTINGS", "RedoSettings", "bars_of"]
