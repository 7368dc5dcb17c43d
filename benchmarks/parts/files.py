"""The MIDI files of a folder, in one order."""

from __future__ import annotations

from pathlib import Path


def midi_files(folder: Path) -> list[Path]:
    """Every MIDI file below a folder, sorted by path."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mid", ".midi"))
