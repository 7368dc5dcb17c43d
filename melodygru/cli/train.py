"""`melodygru train`: a folder of MIDI files becomes a checkpoint."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from melodygru.cli import options, screen
from melodygru.errors import SettingError
from melodygru.training.settings import TrainSettings
from melodygru.util.wording import counted


@click.command(
    epilog="Ctrl-C and SIGTERM save the run; the same command with --resume goes on and ends in the same model."
)
@options.midi_dir
@options.declared(TrainSettings)
@options.as_json
@click.pass_context
def train(ctx: click.Context, midi_dir: Path, as_json: bool, **values: Any) -> None:
    """Learn the style of a folder of MIDI files.

    Sub-folders of MIDI_DIR are styles, which generate --style can ask for. Several GPUs share the batches; so do
    several hosts, when the same command runs on each with its TF_CONFIG.

    \b
    melodygru train midi_dir/ --minutes 10
    melodygru train midi_dir/ --validation other_dir/ --preset base --epochs 40
    """  # fmt: skip
    from melodygru import training

    try:
        settings = TrainSettings(**values)
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    with screen.ProgressLines() as lines:
        result = training.train(
            midi_dir,
            settings,
            on_progress=lines.show,
            on_message=screen.say_lines,
            started=ctx.meta["melodygru.started"],
        )
    if result.interrupted_by is not None:
        arguments = [text for text in ctx.meta["melodygru.arguments"] if text not in ("--resume", "--force")]
        saved = screen.name(result.checkpoint.with_suffix(".resume"))
        command = shlex.join(["melodygru", *arguments, "--resume"])
        screen.say(f"melodygru: interrupted, and saved in {saved}; go on with: {command}")
        ctx.exit(128 + result.interrupted_by)
    found = result.held_out
    if found is None:  # the chief says it
        return
    if as_json:
        screen.result_json(result.as_dict())
        return
    n_held_out = result.card["validation"]["pieces"]
    sample = "" if found.pieces == n_held_out else f" of {n_held_out:,}"
    screen.result(
        f"held out    {found.nats_per_note:.4f} nats per note, {found.nats_per_step:.4f} per step "
        f"({counted(found.pieces, 'piece')}{sample}, {counted(found.notes, 'note')})"
    )
    for label, path in result.paths.items():
        screen.result(f"{label:<12}{screen.name(path)}")
    screen.result(f"next        melodygru generate --model {shlex.quote(screen.name(result.checkpoint))} --wav --play")
