"""A piece on its way out: MIDI, sound, scores, pictures, stems and a page, of all parts and bars or of some."""

from __future__ import annotations

import io
import re
import tempfile
import threading
import unicodedata
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from melodygru import midi
from melodygru.compose.redo_settings import bars_of
from melodygru.corpus.grid import choose_grid
from melodygru.errors import MidiError
from melodygru.midi.editing import Editor
from melodygru.music.names import own_names
from melodygru.music.notes import NoteSequence, canonical, renamed
from melodygru.music.tuplets import for_score
from melodygru.render.formats import Output
from melodygru.studio.refusals import Refused
from melodygru.studio.views import View

TYPES = {
    "mid": "audio/midi",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "musicxml": "application/vnd.recordare.musicxml+xml",
    "png": "image/png",
    "svg": "image/svg+xml",
    "html": "text/html; charset=utf-8",
    "stems": "application/zip",
}
_drawing = threading.Lock()  # matplotlib and verovio are for one thread at a time
_sounding = threading.Semaphore(2)  # a minute of sound takes 20 MB


def exported(view: View, kind: str, title: str, parts: str | None, bars: str | None, soundfont: Path | None) -> bytes:
    """The file of a piece.

    Parameters
    ----------
    kind : one of TYPES
    title : above pictures and scores
    parts : numbers of parts, from 1, with commas; default: all
    bars : `A:B`, from 1, both included, see `RedoSettings`; default: all

    Raises
    ------
    Refused, MelodyGruError
        A kind, part or bar that there isn't, or what can't be written so.
    """
    if kind not in TYPES:
        raise Refused(f"{kind[:20]!r} is no format that the studio writes: expected {', '.join(TYPES)}.")
    chosen, span = parts_of(view, parts), span_of(view, bars)
    if kind == "mid":
        return as_midi(view, chosen, span)
    if kind == "stems":
        return _stems(view, chosen, span)
    sequence = cropped(view, chosen, span)
    if kind == "html":
        from melodygru.render.pages.shared import page

        return page(sequence, title).encode()
    if kind == "musicxml":
        sequence = _for_score(sequence)
    with _sounding if kind in ("wav", "flac") else _drawing:
        return written(sequence, f".{kind}", title, soundfont)


def written(sequence: NoteSequence, suffix: str, title: str, soundfont: Path | None = None) -> bytes:
    """What `render.formats` writes of notes as a file of a suffix."""
    with tempfile.TemporaryDirectory(prefix="melodygru-") as folder:
        path = Path(folder) / f"piece{suffix}"
        Output(sequence, title=title, soundfont=soundfont).save(path)
        return path.read_bytes()


def score(view: View, title: str) -> bytes:
    """The sheet music of a piece as one tall SVG."""
    from melodygru.render.score.write import to_svg

    with _drawing:
        return to_svg(_for_score(view.music), title=title)


def _for_score(sequence: NoteSequence) -> NoteSequence:
    """A piece as a score can write it: on the grid of its notes."""
    grid, _ = choose_grid([sequence])
    if grid.is_metrical and sequence.grid.is_metrical and len(sequence):
        return for_score(sequence, grid)[0]
    raise Refused("This piece has no beat: there is no sheet music of it.")


def sound(view: View, parts: str | None, soundfont: Path | None) -> bytes:
    """A piece as a WAV file; with the instruments of a SoundFont."""
    with _sounding:
        return written(cropped(view, parts_of(view, parts), None), ".wav", "", soundfont)


def file_name(title: str, kind: str, parts: str | None = None, bars: str | None = None) -> str:
    """What a download is called: ASCII letters, as every system takes them."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    words = [plain, *([f"part {parts}"] if parts else []), *([f"bars {bars}"] if bars else [])]
    stem = re.sub(r"[^A-Za-z0-9 ()_,-]+", "-", " ".join(words)).strip(" -.") or "piece"
    return f"{stem[:100]}{'-stems.zip' if kind == 'stems' else f'.{kind}'}"


# -- what of the piece


def parts_of(view: View, text: str | None) -> list[int]:
    """Numbers of parts, from 0, of a list of those from 1; all by default."""
    if not text:
        return list(range(len(view.parts)))
    found = []
    for item in text.split(","):
        if not re.fullmatch(r"\s*\d{1,5}\s*", item) or not 1 <= int(item) <= len(view.parts):
            raise Refused(f"part {item.strip()[:20]!r}: expected numbers from 1 to {len(view.parts)}, with commas.")
        found.append(int(item) - 1)
    return sorted(set(found))


def span_of(view: View, text: str | None) -> tuple[int, int] | None:
    """The ticks of bars `A:B`, from 1; None for all."""
    if not text:
        return None
    n_bars = len(view.bars) - 1
    runs = bars_of(text, n_bars)
    first, last = min(run[0] for run in runs), max(run[1] for run in runs)
    if not 1 <= first <= last <= n_bars:
        raise Refused(f"bars {text[:20]}: the piece has {n_bars} bars, expected A:B in 1..{n_bars}.")
    return int(view.bars[first - 1]), int(view.bars[last])


def cropped(view: View, parts: list[int], span: tuple[int, int] | None) -> NoteSequence:
    """The notes of some parts, and of some bars, which then begin at 0."""
    sequence = view.reading.sequence
    names = list(sequence.part_names)
    for part in view.parts:
        if part.line is not None and part.name:
            names[view.editor.lines.index(part.line)] = part.name
    sequence = _with(sequence, own_names(sequence.part_programs.tolist(), names), view, parts)
    return sequence if span is None else sequence.crop(span[0], max(span[1], span[0] + 1))


def _with(sequence: NoteSequence, names: tuple[str, ...], view: View, numbers: list[int]) -> NoteSequence:
    """The notes of some parts, with the parts' names."""
    notes = sequence.notes[np.isin(view.part, numbers)]
    length = max(int(view.bars[-1]), sequence.music_end)
    return replace(sequence, notes=canonical(notes)[0], names=renamed(names, notes), length=length)


def as_midi(view: View, parts: list[int], span: tuple[int, int] | None) -> bytes:
    """A piece as a MIDI file: its own, but for the notes of other parts; of some bars the notes alone."""
    if span is not None:
        return midi.to_bytes(cropped(view, parts, span))
    if len(parts) == len(view.parts):
        return view.data
    editor = Editor(view.data)
    return editor.exchange(np.isin(view.part, parts), view.notes[:0])


def _stems(view: View, parts: list[int], span: tuple[int, int] | None) -> bytes:
    """A zip of one MIDI file a part."""
    if not parts:
        raise MidiError("the piece has no part yet")
    buffer, labels = io.BytesIO(), view.labels
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in parts:
            if view.parts[number].line is not None:
                archive.writestr(file_name(f"{number + 1:02d} {labels[number]}", "mid"), as_midi(view, [number], span))
    return buffer.getvalue()


__all__ = ["TYPES", "as_midi", "exported", "file_name", "score", "sound", "written"]
