"""`melodygru generate`: new pieces from a checkpoint, without TensorFlow."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodygru.cli import options, screen
from melodygru.cli.originality import in_short
from melodygru.cli.play import live, position
from melodygru.cli.show import terminal
from melodygru.cli.steering import steering
from melodygru.errors import AudioError, SettingError
from melodygru.util.wording import clock, counted

if TYPE_CHECKING:
    from melodygru.compose import Action, Note, Plan
    from melodygru.compose.composition import Composition
    from melodygru.compose.primer import Primer
    from melodygru.events import Vocabulary
    from melodygru.render.audio import Live

MAX_OUTPUTS = 1000


class Metre(click.ParamType):
    """A time signature such as 3/4."""

    name = "metre"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        numerator, _, denominator = value.partition("/")
        if not (numerator.isdecimal() and denominator.isdecimal()):
            self.fail(f"{value!r}: expected a time signature such as 3/4", param, ctx)
        metre = int(numerator), int(denominator)
        if not 1 <= metre[0] <= 99 or metre[1] not in (1, 2, 4, 8, 16, 32, 64):
            self.fail(f"{value!r}: expected 1..99 over 1, 2, 4, 8, 16, 32 or 64", param, ctx)
        return metre


@click.command(
    epilog="Without --bars, --seconds or --notes the model ends each piece. A missing sound device, port or renderer "
    "is one line; the files are written all the same, and the exit code is 0."
)
@options.model
@click.option(
    "--temperature",
    type=click.FloatRange(0, 10),
    default=1.0,
    show_default=True,
    help="Below 1 safer, above 1 wilder; 0 always takes the most probable.",
)
@click.option(
    "--rhythm-temperature",
    type=click.FloatRange(0, 10),
    help="Likewise, for onsets and durations.  [default: --temperature]",
)
@click.option(
    "--pitch-temperature", type=click.FloatRange(0, 10), help="Likewise, for pitches.  [default: --temperature]"
)
@click.option(
    "--top-k",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Choose among the k most probable values; 0: among all.",
)
@click.option(
    "--top-p",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.95,
    show_default=True,
    help="Choose among the most probable values that reach p together; 1: among all.",
)
@click.option(
    "--min-p",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Choose among values at least p times as probable as the most probable one.",
)
@click.option(
    "--primer",
    type=click.Path(path_type=Path),
    metavar="FILE.mid",
    help="Go on from this piece; it stands at the beginning.",
)
@click.option(
    "--primer-bars",
    metavar="A:B",
    help="Hear only these bars of it, counted from 1, both included; A: and :B are possible.  [default: all]",
)
@click.option("--no-primer", is_flag=True, help="Write what follows the primer without it.")
@click.option(
    "--vary",
    type=click.Path(path_type=Path),
    metavar="FILE.mid",
    help="Give some notes of this piece new pitches; all keep their places.",
)
@click.option("--keep", type=click.FloatRange(0, 1), help="Share of its notes that stay as they are.  [default: 0.7]")
@click.option(
    "--accompany",
    type=click.Path(path_type=Path),
    metavar="FILE.mid",
    help="Add voices to the notes of this file, which all stay.",
)
@click.option(
    "--particles",
    type=click.IntRange(1, 4096),
    help="Versions of each piece that --vary and --accompany try.  [default: 64]",
)
@click.option(
    "--style", metavar="NAME", help="A sub-folder of the training folder; inspect lists those that a model knows."
)
@click.option(
    "--metre",
    "--meter",
    type=Metre(),
    metavar="N/D",
    help="Time signature, 3/4 for instance.  [default: the primer's, else drawn from the corpus's]",
)
@steering
@click.option(
    "-n", "--num-outputs", type=click.IntRange(1, MAX_OUTPUTS), default=1, show_default=True, help="Number of pieces."
)
@click.option("--bars", type=click.IntRange(1, 100_000), help="Length in bars, after the primer.")
@click.option(
    "--seconds", type=click.FloatRange(0, 36_000, min_open=True), help="Length in seconds, to the nearest bar line."
)
@click.option("--notes", type=click.IntRange(1, 20_000), help="Length in notes; the last bar is filled.")
@click.option(
    "--qpm",
    type=click.FloatRange(5, 1000),
    help="Tempo in quarter notes per minute.  [default: the primer's, else the corpus's]",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    help="The same model, options and seed give the same bytes.  [default: a new one, which is said]",
)
@click.option(
    "--guard/--no-guard",
    default=True,
    show_default=True,
    help="Take a piece that collapses (a loop, one pitch, silence, a cluster) back to before it and go on anew.",
)
@click.option(
    "--max-copy",
    type=click.IntRange(7),
    metavar="N",
    help="Take back the note that would make a match with the training corpus longer than N notes, 7 or more.",
)
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(path_type=Path),
    default=Path("generated"),
    show_default=True,
    metavar="DIR",
    help="Where the files go; none that is there is replaced.",
)
@click.option("--wav", is_flag=True, help="Also write the sound of each piece.")
@click.option("--flac", is_flag=True, help="Likewise, compressed without loss.")
@click.option("--png", is_flag=True, help="Also draw each piece as a piano roll.")
@click.option("--svg", is_flag=True, help="Likewise, a picture that can be enlarged.")
@click.option("--show", "show_it", is_flag=True, help="Also show each piece as a piano roll in the terminal.")
@options.score
@click.option(
    "--play", "play_it", is_flag=True, help="Play each piece through the speakers, the first while it is composed."
)
@click.option(
    "--port", metavar="NAME", help="Play each piece to this MIDI port instead; melodygru play --list-ports names them."
)
@click.option(
    "--soundfont",
    type=click.Path(path_type=Path),
    metavar="FILE.sf2",
    help="Instruments of --wav, --flac and --play.  [default: those that pretty_midi carries]",
)
@options.as_json
def generate(
    model: Path | None,
    primer: Path | None,
    num_outputs: int,
    bars: int | None,
    seconds: float | None,
    notes: int | None,
    qpm: float | None,
    seed: int | None,
    output_dir: Path,
    wav: bool,
    flac: bool,
    png: bool,
    svg: bool,
    show_it: bool,
    score_file: Path | None,
    play_it: bool,
    port: str | None,
    soundfont: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Compose new pieces.

    \b
    melodygru generate --bars 16 --wav --play
    melodygru generate --model checkpoints/mine.keras --style jigs -n 5 --temperature 0.9
    melodygru generate --primer opening.mid --seconds 60 --seed 1
    melodygru generate --vary tune.mid --keep 0.5
    melodygru generate --accompany melody.mid --temperature 0.7
    """  # fmt: skip
    from melodygru.analysis import originality
    from melodygru.compose import composition, guards
    from melodygru.compose.primer import Source
    from melodygru.model import checkpoint
    from melodygru.render import score

    if show_it and as_json:
        raise click.UsageError("--show and --json: expected one of the two.")
    if score_file is not None:
        score.check_path(score_file)
    path = checkpoint.find(model)
    if seed is None:
        seed = secrets.randbits(32)
    loaded, index = checkpoint.read(path), originality.read(path)
    vocabulary = loaded.vocabulary
    if score_file is not None:
        score.check_grid(vocabulary.grid)
    screen.say(f"model {screen.name(path)}, seed {seed}")
    if not vocabulary.grid.is_metrical:
        for option, value in (("--metre", settings["metre"]), ("--qpm", qpm)):
            if value is not None:
                screen.warn(f"{option} has no effect: this model's music is in seconds, without a beat")
    elif settings["metre"] is not None and settings["metre"] not in vocabulary.metres:
        screen.warn("{}/{} is a metre that this model was not trained on".format(*settings["metre"]))
    source = None if primer is None else Source.of(primer)
    lengths: dict[str, Any] = {"bars": bars, "seconds": seconds, "notes": notes}
    playing = _Playing(port, soundfont) if play_it or port is not None else None
    actions: list[Action] = []
    with playing or contextlib.nullcontext(), screen.ProgressLine() as line:
        progress = _Progress(line, num_outputs)

        def start(plans: list[Plan]) -> None:
            make_folder(output_dir)
            progress.start(plans)
            if playing is not None:
                heard = None if source is None else source.primer(vocabulary, settings["primer_bars"])
                playing.start(plans[0], vocabulary, heard, settings["no_primer"], qpm)

        def add(note: Note) -> None:
            progress.add(note)
            if playing is not None:
                playing.add(note)

        pieces = composition.generate(
            loaded,
            num_outputs=num_outputs,
            seed=seed,
            primer=source,
            qpm=qpm,
            on_start=start,
            on_note=add,
            on_guard=actions.append,
            **lengths,
            **settings,
        )
        line.clear()
        for done in guards.in_short(actions):
            screen.say(done)
        if playing is not None:
            playing.finish(pieces[0].seconds)
        paths = _write(pieces, output_dir, f"{path.stem}-{seed}")
        made = [_describe(piece, file) for piece, file in zip(pieces, paths, strict=True)]
        for stream, about in enumerate(made):
            about["guard"] = [action.as_dict() for action in actions if action.stream == stream]
        if index is not None:
            for piece, about in zip(pieces, made, strict=True):
                found = index.examine(piece)
                summary = in_short(found, index.baseline)
                about["originality"] = {**found.as_dict(), "held_out": index.baseline, "summary": summary}
        scores = _score_paths(score_file, num_outputs)
        problems = _accompany(
            pieces,
            paths,
            made,
            wav=wav,
            flac=flac,
            png=png,
            svg=svg,
            show_it=show_it,
            scores=scores,
            soundfont=soundfont,
            as_json=as_json,
        )
        if playing is not None:
            problems += playing.problems + playing.wait(pieces, paths)
    if as_json:
        screen.result_json({"model": str(path), "seed": seed, "outputs": made, "problems": problems})


class _Playing:
    """The first piece sounds while it is composed, the others after it. A context manager.

    No device or port is no reason not to compose: `problems` says so, and nothing sounds.
    """

    def __init__(self, port: str | None, soundfont: Path | None) -> None:
        self._port, self._soundfont = port, soundfont
        self._stack = contextlib.ExitStack()
        self._live: Live | None = None
        self.problems: list[str] = []

    def __enter__(self) -> _Playing:
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

    def start(
        self, plan: Plan, vocabulary: Vocabulary, primer: Primer | None, no_primer: bool, qpm: float | None
    ) -> None:
        """Begin with what the piece begins with."""
        import numpy as np

        from melodygru.music.notes import NOTE, TEMPO, NoteSequence

        tempos = np.array([(0, round(60e6 / plan.qpm))], TEMPO)
        if primer is not None and qpm is None:
            tempos = primer.sequence.tempos
        self._clock = NoteSequence(np.array([], NOTE), vocabulary.grid, 0, tempos)
        self._start, self._left_out = plan.start, primer if no_primer else None
        self._begins_s = 0.0
        if primer is not None and not no_primer:
            for onset, duration, program, pitch, velocity in primer.sequence.notes.tolist():
                self._add(onset, duration, program, pitch, velocity)

    def add(self, note: Note) -> None:
        """A note more of any piece."""
        from melodygru.compose import first_step

        if note.stream != 0:
            return
        if self._left_out is not None:
            begin = first_step(self._left_out.sequence, self._left_out.splice, self._start, note.onset)
            self._begins_s, self._left_out = float(self._clock.step2second(begin)), None
        self._add(note.onset, note.duration, note.program, note.pitch, note.velocity)

    def _add(self, onset: int, duration: int, program: int, pitch: int, velocity: int) -> None:
        from melodygru.render.audio import LiveNote, Stopped

        if self._live is None:
            return
        start_s, end_s = (float(self._clock.step2second(step)) - self._begins_s for step in (onset, onset + duration))
        with contextlib.suppress(Stopped):  # the device is gone, which `wait` says; the files are written all the same
            self._live.score.add(LiveNote(start_s, end_s - start_s, program, pitch, velocity))

    def finish(self, end_s: float) -> None:
        """The first piece is composed."""
        if self._live is not None:
            self._live.score.finish(end_s)

    def wait(self, pieces: Sequence[Composition], paths: Sequence[Path]) -> list[str]:
        """Wait for the first piece, then play the others; what was not possible, in a line each."""
        from melodygru.render.audio import LiveNote

        self.problems = []
        where = "playing" if self._port is None else f"sending to {self._port}:"
        for index, (piece, path) in enumerate(zip(pieces, paths, strict=True)):
            if self._live is None:
                break
            screen.say(f"{where} {screen.name(path.name)}; Ctrl-C stops")
            if index > 0:
                start_s = piece.step2second(piece.notes["onset"])
                length_s = piece.step2second(piece.notes["onset"] + piece.notes["duration"]) - start_s
                rows = zip(start_s.tolist(), length_s.tolist(), piece.notes.tolist(), strict=True)
                for start, length, (_, _, program, pitch, velocity) in rows:
                    self._live.score.add(LiveNote(start, length, program, pitch, velocity))
                self._live.score.finish(piece.seconds)
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


class _Progress:
    """How far a batch of pieces is, from the notes composed so far."""

    def __init__(self, line: screen.ProgressLine, n: int) -> None:
        self._line, self._count = line, 0
        self._onsets = [0] * n

    def start(self, plans: list[Plan]) -> None:
        """Begin."""
        self._plans = plans
        self._onsets = [plan.start for plan in plans]

    def add(self, note: Note) -> None:
        """A note more."""
        self._count += 1
        self._onsets[note.stream] = note.onset
        self._line.show(self._text)

    def _text(self) -> str:
        plans, n, share = self._plans, len(self._plans), None
        if plans[0].length.notes is not None:
            share = self._count / (plans[0].length.notes * n)
        elif plans[0].steps is not None:
            done = (
                (onset - plan.start) / plan.steps for onset, plan in zip(self._onsets, plans, strict=True) if plan.steps
            )
            share = sum(min(max(0.0, part), 1.0) for part in done) / n
        text = f"composing: {counted(self._count, 'note')}"
        if share:
            text += f", {share:.0%}, {screen.left(self._line.elapsed_s * (1 / share - 1))}"
        return text


def make_folder(folder: Path) -> None:
    """Make the folder for the files, or refuse it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"--output-dir {screen.name(folder)}: {error.strerror or error}; expected a folder, or a name for a new one"
        ) from error


def _write(pieces: Sequence[Composition], folder: Path, stem: str) -> list[Path]:
    """Write the MIDI files under names that are free, or that hold the very same music already."""
    from melodygru import midi

    contents = [midi.to_bytes(piece, piece.texts) for piece in pieces]
    take = 1
    while True:
        suffix = "" if take == 1 else f"-take{take}"
        paths = [folder / f"{stem}{suffix}-{index + 1}.mid" for index in range(len(pieces))]
        if all(not path.exists() or path.read_bytes() == data for path, data in zip(paths, contents, strict=True)):
            break
        take += 1
    for piece, path in zip(pieces, paths, strict=True):
        midi.write(piece, path, piece.texts)
    return paths


def _score_paths(file: Path | None, n: int) -> list[Path | None]:
    """A name for each piece's score: the file's own, or numbered ones for several pieces."""
    if file is None or n == 1:
        return [file] * n
    return [file.with_name(f"{file.stem}-{number + 1}{file.suffix}") for number in range(n)]


def _describe(piece: Composition, path: Path) -> dict[str, Any]:
    """A piece's JSON: its files and its size."""
    bars = len(piece.bar_starts()) - 1 if piece.grid.is_metrical else None
    return {
        "midi": str(path),
        "wav": None,
        "flac": None,
        "png": None,
        "svg": None,
        "score": None,
        "originality": None,
        "notes": len(piece),
        "bars": bars,
        "seconds": round(piece.seconds, 3),
        "qpm": round(piece.qpm, 3),
        "metre": "{}/{}".format(*piece.metre),
    }


def _accompany(
    pieces: Sequence[Composition],
    paths: Sequence[Path],
    made: list[dict[str, Any]],
    *,
    wav: bool,
    png: bool,
    svg: bool,
    show_it: bool,
    flac: bool,
    scores: Sequence[Path | None],
    soundfont: Path | None,
    as_json: bool,
) -> list[str]:
    """Sound and picture of every piece; gives back what was not possible, in a line each."""
    from melodygru.render import audio, pictures, score

    problems: list[str] = []

    def note(error: AudioError | SettingError) -> None:
        problems.append(screen.one_line(error))
        screen.say(f"melodygru: {problems[-1]}")

    with screen.ProgressLine() as line:
        progress = line.count("writing sound and pictures")
        for index, (piece, path, sheet, about) in enumerate(zip(pieces, paths, scores, made, strict=True)):
            progress(index, len(pieces))
            if wav or flac:
                try:
                    samples = audio.render(piece, soundfont=soundfont)
                    for wanted, kind, write in ((wav, "wav", audio.write_wav), (flac, "flac", audio.write_flac)):
                        if wanted:
                            write(samples, path.with_suffix(f".{kind}"))
                            about[kind] = str(path.with_suffix(f".{kind}"))
                except AudioError as error:
                    note(error)
            for wanted, kind in ((png, "png"), (svg, "svg")):
                if wanted:
                    picture = path.with_suffix(f".{kind}")
                    pictures.piano_roll(piece, picture, title=path.stem)
                    about[kind] = str(picture)
            if sheet is not None:
                try:
                    score.write(piece, sheet, title=path.stem)
                    about["score"] = str(sheet)
                except SettingError as error:  # a pitch that no score has, or a place that can't be written to
                    note(error)
            if not as_json:
                _print(about)
                if show_it:
                    screen.result("")
                    terminal(piece, path.stem)
                    screen.result("")
    return problems


def _print(about: dict[str, Any]) -> None:
    bars = "" if about["bars"] is None else f"{counted(about['bars'], 'bar')}, "
    screen.result(f"{screen.name(about['midi'])}  {counted(about['notes'], 'note')}, {bars}{clock(about['seconds'])}")
    if about["originality"] is not None:
        screen.result(f"  {about['originality']['summary']}")
    for kind in ("wav", "flac", "png", "svg", "score"):
        if about[kind] is not None:
            screen.result(screen.name(about[kind]))
