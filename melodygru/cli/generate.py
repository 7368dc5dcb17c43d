"""`melodygru generate`: new pieces from a checkpoint, without TensorFlow."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodygru.cli import options, outputs, screen
from melodygru.cli.originality import in_short
from melodygru.cli.playing import Playing
from melodygru.compose.settings import GenerateSettings
from melodygru.util.wording import counted

if TYPE_CHECKING:
    from melodygru.compose.actions import Action
    from melodygru.compose.drawing import Note
    from melodygru.compose.lengths import Plan
    from melodygru.events import Vocabulary


@click.command(
    epilog="Without --bars, --seconds or --notes the model ends each piece. A missing sound device, port or renderer "
    "is one line; the files are written all the same, and the exit code is 0."
)
@options.model
@options.declared(GenerateSettings)
@outputs.folder("generated")
@outputs.kinds
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
    output_dir: Path,
    show_it: bool,
    score_file: Path | None,
    play_it: bool,
    port: str | None,
    soundfont: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Compose new pieces.

    \b
    melodygru generate --bars 16 --wav --play
    melodygru generate --model checkpoints/mine.keras --style jigs -n 5 --temperature 0.9
    melodygru generate --primer opening.mid --seconds 60 --seed 1
    """  # fmt: skip
    from melodygru.compose.actions import action_lines
    from melodygru.compose.composer import Composer
    from melodygru.compose.primer import Source
    from melodygru.model import checkpoint

    kinds = outputs.asked(values, score_file, show_it, as_json)
    path = checkpoint.find(model)
    composer = Composer.load(path)
    index = composer.index
    if score_file is not None:
        from melodygru.render import score

        score.check_grid(composer.vocabulary.grid)
    settings = GenerateSettings(**values)
    if settings.seed is None:
        settings = replace(settings, seed=secrets.randbits(32))
    screen.say(f"model {screen.name(path)}, seed {settings.seed}")
    _warn(settings, composer.vocabulary)
    if settings.primer is not None:
        settings = replace(settings, primer=Source.from_given(settings.primer))
    playing = Playing(port, soundfont) if play_it or port is not None else None
    actions: list[Action] = []
    settled: list[Plan] = []
    with playing or contextlib.nullcontext(), screen.ProgressLine() as line:
        progress = _Progress(line)
        live = playing if settings.best_of == 1 else None  # of candidates none sounds

        def start(plans: list[Plan]) -> None:
            outputs.make_folder(output_dir)
            progress.start(plans)
            settled.extend(plans)
            if live is not None:
                live.start(plans[0], composer.vocabulary, settings)

        def add(note: Note) -> None:
            progress.add(note)
            if live is not None:
                live.add(note)

        pieces = composer.generate(settings, on_start=start, on_note=add, on_guard=actions.append)
        line.clear()
        for done in action_lines(actions):
            screen.say(done)
        if live is not None:
            live.finish(pieces[0].seconds)
        paths = outputs.write_midi(pieces, output_dir, f"{path.stem}-{settings.seed}")
        made = [outputs.described(piece, file) for piece, file in zip(pieces, paths, strict=True)]
        for stream, about in enumerate(made):
            choice = pieces[stream].choice
            about["choice"] = None if choice is None else choice.as_dict()
            plan = stream if choice is None else stream * settings.best_of + choice.candidate - 1
            about["plan"] = settled[plan].as_dict()
            about["guard"] = [action.as_dict() for action in actions if action.stream == stream]
        if index is not None:
            for piece, about in zip(pieces, made, strict=True):
                found = index.examine(piece)
                summary = in_short(found, index.baseline)
                about["originality"] = {**found.as_dict(), "held_out": index.baseline, "summary": summary}
        problems = outputs.write_others(
            pieces,
            paths,
            made,
            kinds=kinds,
            scores=outputs.score_paths(score_file, settings.num_outputs),
            soundfont=soundfont,
            show_it=show_it,
            as_json=as_json,
        )
        if playing is not None:
            problems += playing.problems + playing.wait(pieces, paths)
    if as_json:
        screen.result_json({"model": str(path), "seed": settings.seed, "outputs": made, "problems": problems})
    outputs.end(made, kinds, score_file)


def _warn(settings: GenerateSettings, vocabulary: Vocabulary) -> None:
    """Say what has no effect with this model, or is new to it."""
    if not vocabulary.grid.is_metrical:
        for option, value in (("--metre", settings.metre), ("--qpm", settings.qpm)):
            if value is not None:
                screen.warn(f"{option} has no effect: this model's music is in seconds, without a beat")
    elif settings.metre is not None and settings.metre not in vocabulary.metres:
        screen.warn("{}/{} is a metre that this model was not trained on".format(*settings.metre))


class _Progress:
    """How far a batch of pieces is, from the notes composed so far."""

    def __init__(self, line: screen.ProgressLine) -> None:
        self._line, self._count = line, 0

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
