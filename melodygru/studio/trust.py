"""What says how a piece was made, and what of it stands in the training music."""

from __future__ import annotations

from typing import Any

from melodygru.compose import provenance
from melodygru.errors import MelodyGruError


def provenance_of(data: bytes) -> dict[str, Any] | None:
    """How a MIDI file says that it was made, as plain JSON values; None if it doesn't."""
    try:
        found, _ = provenance.read(data)
    except MelodyGruError:
        return None
    return {
        "redone": found.of_redo,
        "settings": found.settings,
        "seed": found.seed,
        "piece": found.piece,
        "of": found.of,
        "model": found.model,
        "versions": found.versions,
    }


__all__ = ["provenance_of"]
