"""Pieces sound as they come: the first while it is composed (if it is no choice among several), the others after."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melodygru.cli import screen
from melodygru.cli.play import live, position
from melodygru.errors import AudioError
from melodygru.util.wording import counted

if TYPE_CHECKING:
    from melodygru.compose.composition import Composition
    from melodygru.compose.drawing import Note
    from melodygru.compose.lengths import Plan
    from melodygru.compose.settings import GenerateSettings
    from melodygru.events import Vocabulary
    from melodygru.render.audio import Live


class Playing:
    """The first piece sounds while it is composed if `start` was called, the others after it. A context manager.

    No device or port is no reason not to compose: `problems` says so, and nothing sounds.
    """

    def __init__(self, port: str | None, soundfont: Path | None) -> None:
        self._port, self._soundfont = port, soundfont
        self._stack = contextlib.ExitStack()
        self._live: Live | None = None
        self._started = False
        self.problems: list[str] = []

    def __enter__(self) -> Playing:
        self._live = self._open()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def _open(self) -> Live | None:
        try:
            return self._stack.enter_context(live(self._port, self._soundfont))
        except AudioError as error:
            self._fail(error)
            return None

    def _fail(self, error: Exception) -> None:
        self.problems.append(screen.one_line(error))
        screen.say(f"melodygru: {self.problems[-1]}")

    def start(self, plan: Plan, vocabulary: Vocabulary, settings: GenerateSettings) -> None:
        """Begin with what the piece begins with."""
        import numpy as np

        from melodygru.compose.primer import Source
        from melodygru.music.notes import NOTE, TEMPO, NoteSequence

        primer = None
        if settings.primer is not None:
            primer = Source.from_given(settings.primer).primer(vocabulary, settings.primer_bars)
        tempos = np.array([(0, round(60e6 / plan.qpm))], TEMPO)
        if primer is not None and settings.qpm is None:
            tempos = primer.sequence.tempos
        self._started = True
        self._clock = NoteSequence(np.array([], NOTE), vocabulary.grid, 0, tempos)
        self._start, self._left_out = plan.start, primer if settings.no_primer else None
        self._begins_s = 0.0
        if primer is not None and not settings.no_primer:
            for onset, duration, part, program, pitch, velocity in primer.sequence.notes.tolist():
                self._add(onset, duration, part, program, pitch, velocity)

    def add(self, note: Note) -> None:
        """A note more of any piece."""
        from melodygru.compose.composing import first_step

        if note.stream != 0:
            return
        if self._left_out is not None:
            begin = first_step(self._left_out.sequence, self._left_out.splice, self._start, note.onset)
            self._begins_s, self._left_out = float(self._clock.step2second(begin)), None
        self._add(note.onset, note.duration, note.part, note.program, note.pitch, note.velocity)

    def _add(self, onset: int, duration: int, part: int, program: int, pitch: int, velocity: int) -> None:
        from melodygru.render.audio import LiveNote, Stopped

        if self._live is None:
            return
        start_s, end_s = (float(self._clock.step2second(step)) - self._begins_s for step in (onset, onset + duration))
        with contextlib.suppress(Stopped):  # the device is gone, which `wait` says; the files are written all the same
            self._live.notes.add(LiveNote(start_s, end_s - start_s, program, pitch, velocity, part))

    def finish(self, end_s: float) -> None:
        """The first piece is composed."""
        if self._live is not None:
            self._live.notes.finish(end_s)

    def wait(self, pieces: Sequence[Composition], paths: Sequence[Path]) -> list[str]:
        """Wait for the first piece, then play the others; what was not possible, in a line each."""
        from melodygru.render.audio import LiveNote

        self.problems = []
        where = "playing" if self._port is None else f"sending to {self._port}:"
        for index, (piece, path) in enumerate(zip(pieces, paths, strict=True)):
            if self._live is None:
                break
            screen.say(f"{where} {screen.name(path.name)}; Ctrl-C stops")
            if index > 0 or not self._started:
                start_s = piece.step2second(piece.notes["onset"])
                length_s = piece.step2second(piece.notes["onset"] + piece.notes["duration"]) - start_s
                rows = zip(start_s.tolist(), length_s.tolist(), piece.notes.tolist(), strict=True)
                for start, length, (_, _, part, program, pitch, velocity) in rows:
                    self._live.notes.add(LiveNote(start, length, program, pitch, velocity, part))
                self._live.notes.finish(piece.seconds)
            try:
                with position(piece.seconds) as on_position:
                    self._live.wait(on_position)
                if self._live.underruns:
                    screen.say(f"the music had to wait {counted(self._live.underruns, 'time')}: composing was too slow")
                self._stack.close()
            except (AudioError, OSError) as error:
                self._fail(error)
                break
            if index + 1 < len(pieces):
                self._live = self._open()
        return self.problems
