"""The settings of `humanise`: how much of the expression a model plays with a score is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from melodygru.compose.settings import SETTINGS, normalise_style
from melodygru.util.settings import check, declared_by, described, same, setting


@described
@dataclass(frozen=True, kw_only=True)
class HumaniseSettings:
    """How a score is played.

    Raises SettingError for a value that is out of range.
    """

    SECTIONS: ClassVar[tuple[str, ...]] = ("expression", "style", "length", "piece")

    strength: float = setting(
        1.0,
        "How far times and velocities go from the score's to the model's; 0 leaves the file as it is.",
        section="expression",
        low=0,
        high=1,
    )
    keep_tempo: bool = setting(
        False, "Keep the beats where they are: no tempo curve, only timing around them.", section="expression"
    )
    temperature: float = setting(
        0.2,
        "The lower, the more the playing is what is most usual; 1 is as the model learned it.",
        section="expression",
        low=0,
        high=10,
    )
    particles: int = setting(
        4,
        "Versions of each performance that are tried, of which those go on that make the notes to come likely.",
        section="expression",
        low=1,
        high=1024,
    )
    num_outputs: int = same(SETTINGS["num_outputs"])
    style: str | None = same(SETTINGS["style"])
    seed: int | None = same(SETTINGS["seed"])

    def __post_init__(self) -> None:
        check(self, as_options=True)
        normalise_style(self)


HUMANISE_SETTINGS = declared_by(HumaniseSettings)

__all__ = ["HUMANISE_SETTINGS", "HumaniseSettings"]
