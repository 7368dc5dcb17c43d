"""`melodygru train`: a folder of MIDI files becomes a checkpoint."""

from __future__ import annotations

import dataclasses
import importlib.util
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodygru.cli import options, screen, tensorflow
from melodygru.cli.originality import index_of
from melodygru.cli.reading import read
from melodygru.errors import SettingError
from melodygru.util.wording import counted

if TYPE_CHECKING:
    from melodygru.corpus import Corpus

MAX_SEED = 1_000_000  # TensorFlow's seeds are 32 bits, and each is a thousandfold of this
SHOWN = 5  # skipped validation files, or pieces that are in both folders
BASELINE = 100  # held-out pieces that show what any music of the kind has in common with the training pieces
# What `training.Settings` has, for the help: importing it would load TensorFlow.
DEFAULTS = {
    "transpose": "5",
    "transpose_until": "1.0, and 0.6 for a corpus in one key without --transpose",
    "stretch": 0.05,
    "batch": 16,
    "learning_rate": 3e-3,
    "patience": 12,
}


def _setting(name: str, **attributes: Any) -> Any:
    """An option that overrides a field of `training.Settings` when it is given."""
    default = str(DEFAULTS[name.removeprefix("--").replace("-", "_")])
    return click.option(name, default=None, show_default=default, **attributes)


@click.command(
    epilog="Ctrl-C and SIGTERM save the run; the same command with --resume goes on and ends in the same model."
)
@options.midi_dir
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE.keras",
    help="Where the model goes; its .csv and .png lie beside it.  [default: checkpoints/<folder>.keras]",
)
@click.option(
    "--validation",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Judge by these MIDI files, all of them.  [default: a tenth of the pieces, held out]",
)
@click.option(
    "--preset",
    type=click.Choice(["tiny", "small", "base", "large"]),
    show_default="small",
    help="Size of the model; a larger one learns more and takes longer.",
)
@click.option(
    "--cell",
    type=click.Choice(["gru", "lstm"]),
    show_default="gru",
    help="Recurrent cell; melodygru compare measures which one suits your music.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, 100_000, min_open=True),
    help="Minutes of training, instead of --epochs.",
)
@click.option(
    "--epochs",
    type=click.FloatRange(0, 1_000_000, min_open=True),
    show_default="as suits the size of the corpus",
    help="Times that every piece is heard.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, MAX_SEED),
    default=0,
    show_default=True,
    help="Order, transpositions, dropout and held-out pieces follow from it.",
)
@click.option(
    "--grid",
    default="auto",
    show_default=True,
    metavar="auto|N|10ms",
    help="Steps per beat, or milliseconds per step; auto finds it in the corpus.",
)
@_setting("--transpose", type=click.IntRange(0, 24), help="Move pieces at random by up to so many semitones.")
@_setting(
    "--transpose-until",
    type=click.FloatRange(0, 1),
    help="From this share of the run on, pieces are heard in their own keys, and composing keeps to those.",
)
@_setting(
    "--stretch",
    type=click.FloatRange(0, 0.5),
    help="Stretch or squeeze performances (a grid of milliseconds) at random by up to this share.",
)
@click.option("--resume", is_flag=True, help="Go on with the interrupted run; give the same folder and options.")
@click.option(
    "--from",
    "start_from",
    type=click.Path(path_type=Path),
    metavar="FILE.keras",
    help="Fine-tune this checkpoint; it brings its size and grid.",
)
@click.option("--force", is_flag=True, help="Replace an existing model or interrupted run.")
@click.option("--log-dir", type=click.Path(path_type=Path), metavar="DIR", help="Write TensorBoard logs here.")
@click.option(
    "--mixed-precision/--no-mixed-precision",
    default=None,
    show_default="where the GPUs gain from it",
    help="Compute in float16 on a GPU.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    show_default="all cores",
    help="CPU threads; the same number gives the same model again.",
)
@_setting("--batch", type=click.IntRange(1, 4096), help="Pieces heard at once.")
@_setting("--learning-rate", type=click.FloatRange(0, 1, min_open=True), help="At its height.")
@_setting("--patience", type=click.IntRange(0), help="Validations without improvement before stopping early; 0: never.")
@options.scheduler
@options.as_json
@click.pass_context
def train(
    ctx: click.Context,
    midi_dir: Path,
    output: Path | None,
    validation: Path | None,
    preset: str | None,
    cell: str | None,
    minutes: float | None,
    epochs: float | None,
    seed: int,
    grid: str,
    resume: bool,
    start_from: Path | None,
    force: bool,
    log_dir: Path | None,
    mixed_precision: bool | None,
    threads: int | None,
    scheduler: str | None,
    as_json: bool,
    **overrides: float | None,
) -> None:
    """Learn the style of a folder of MIDI files.

    Sub-folders of MIDI_DIR are styles, which generate --style can ask for. Several GPUs share the batches; so do
    several hosts, when the same command runs on each with its TF_CONFIG.

    \b
    melodygru train midi_dir/ --minutes 10
    melodygru train midi_dir/ --validation other_dir/ --preset base --epochs 40
    """  # fmt: skip
    if minutes is not None and epochs is not None:
        raise click.UsageError("--minutes and --epochs: give one of them")
    if start_from is not None and preset is not None:
        raise click.UsageError("--preset and --from: the checkpoint brings its size, leave --preset out")
    if start_from is not None and cell is not None:
        raise click.UsageError("--cell and --from: the checkpoint brings its cell, leave --cell out")
    if log_dir is not None and importlib.util.find_spec("tensorboard") is None:
        raise SettingError("--log-dir needs TensorBoard: pip install 'melodygru[tensorboard]'")
    output = output or Path("checkpoints") / f"{midi_dir.resolve().name}.keras"
    cluster = tensorflow.cluster()
    if cluster is None:
        _check_output(output, resume, force)
        training_part, held_out, held_out_from = read_corpora(
            midi_dir, validation, _grid(grid, start_from), seed, scheduler
        )
        training, device = tensorflow.start(threads, mixed_precision)
        workers = tensorflow.join(training, None)
    else:
        # First the others: then none waits for one that failed while it read.
        training, device = tensorflow.start(threads, mixed_precision)
        workers = tensorflow.join(training, cluster)
        if cluster.is_chief:  # who alone writes
            _check_output(output, resume, force)
        training_part, held_out, held_out_from = read_corpora(
            midi_dir, validation, _grid(grid, start_from), seed, scheduler
        )
    screen.say(device)
    with workers.strategy.scope():
        trainer = _trainer(
            training,
            (training_part, held_out, held_out_from),
            output,
            start_from,
            (preset, cell),
            seed,
            log_dir,
            {"epochs": epochs, "minutes": minutes, **overrides},
        )
    if resume:
        trainer.restore()
        screen.say(f"resuming at step {trainer.position.step:,}, {trainer.position.seconds / 60:.1f} minutes trained")
    if not _run(trainer):
        number = trainer.stopped_by or 2
        command = shlex.join(["melodygru", *_without(ctx.meta["melodygru.arguments"], "--resume", "--force")])
        saved = screen.name(trainer.resume_path)
        screen.say(f"melodygru: interrupted, and saved in {saved}; go on with: {command} --resume")
        ctx.exit(128 + number)
    if workers.is_chief:
        _finish(training, trainer, output, held_out, training_part, as_json)


def _trainer(
    training: Any,
    corpora: tuple[Corpus, Corpus, str],
    output: Path,
    start_from: Path | None,
    sizes: tuple[str | None, str | None],
    seed: int,
    log_dir: Path | None,
    asked: dict[str, float | None],
) -> Any:
    """The run of a model, new or to be fine-tuned, with the settings asked for and what suits the corpus beside."""
    training_part, held_out, held_out_from = corpora
    preset, cell = sizes
    model = _model(training, training_part, preset or "small", cell or "gru", start_from, seed)
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if "transpose" not in given and "transpose_until" not in given:
        given["transpose_until"] = training.default_transpose_until(model.vocabulary)
        if given["transpose_until"] < 1:
            screen.say(
                f"most pieces stand in one key: they are transposed in the first {given['transpose_until']:.0%} of the "
                "run only (--transpose 5 does it to the end, --transpose 0 never)"
            )
    if "minutes" not in given and "epochs" not in given:
        given["epochs"] = epochs = training.default_epochs(training_part)
        screen.say(f"training for {epochs:g} epochs, as suits the size of the corpus (or give --epochs or --minutes)")
    settings = training.Settings(seed=seed, mixed_precision=training.is_mixed_precision(), **given)
    trainer = training.Trainer(
        model,
        (training_part, [piece.style for piece in training_part.pieces]),
        held_out,
        settings,
        output,
        _card(training_part, held_out, held_out_from, start_from, seed),
        log_dir,
    )
    screen.say(
        f"{model.count_params():,} parameters; {counted(len(training_part), 'piece')} to learn, "
        f"{len(held_out):,} held out ({held_out_from})"
    )
    return trainer


def _check_output(output: Path, resume: bool, force: bool) -> None:
    """Refuse an output where something of value lies."""
    if output.suffix != ".keras":
        raise SettingError(f"--output {output}: expected a name that ends in .keras")
    if output.is_dir():
        raise SettingError(f"--output {output}: is a folder, expected a file name")
    if not resume and not force:
        if output.with_suffix(".resume").exists():
            raise SettingError(
                f"{output.with_suffix('.resume')}: an interrupted run lies there; go on with --resume, begin anew with "
                "--force, or choose another --output"
            )
        if output.exists():
            raise SettingError(f"{output} exists: choose another --output, or replace it with --force")


def _grid(text: str, start_from: Path | None) -> Any:
    """The grid asked for; with a checkpoint to start from, its own."""
    from melodygru.model import checkpoint

    grid = options.parse_grid(text)
    if grid is None and start_from is not None:
        grid = checkpoint.read_vocabulary(start_from).grid
    return grid


def read_corpora(
    midi_dir: Path, validation: Path | None, grid: Any, seed: int, scheduler: str | None = None
) -> tuple[Corpus, Corpus, str]:
    """The corpus to learn, the corpus to be judged by, and where that came from."""
    from melodygru.corpus import HELD_OUT, overlap, require_pieces, split

    # the table says which files were skipped
    corpus = read(midi_dir, grid, deduplicate=True, warnings=0, scheduler=scheduler)
    screen.say(corpus.report.table())
    require_pieces(corpus, 2)
    if validation is None:
        train, held_out = split(corpus, HELD_OUT, seed)
        return train, held_out, f"a tenth of the pieces, seed {seed}"
    held_out = read(validation, corpus.grid, warnings=SHOWN, scheduler=scheduler)
    common = overlap(corpus, held_out)
    if common:
        screen.warn(
            f"{len(common):,} of the {len(held_out):,} validation pieces are in the training folder too, and make the "
            "held-out figure too good: "
            + ", ".join(f"{screen.name(path)} = {screen.name(other)}" for path, other in common[:SHOWN])
            + (", ..." if len(common) > SHOWN else "")
        )
    return corpus, held_out, f"--validation {validation.resolve().name}"


def _model(training: Any, corpus: Corpus, preset: str, cell: str, start_from: Path | None, seed: int) -> Any:
    """A new model for the corpus, or the one to fine-tune."""
    from melodygru.events import fit_vocabulary, representable
    from melodygru.model.architecture import Architecture

    if start_from is not None:
        model = training.fine_tune_from(start_from, corpus.grid)
        changed = sum(representable(sequence, model.vocabulary)[1].total for sequence in corpus)
        if changed:
            screen.warn(
                f"{changed:,} of {corpus.report.notes:,} notes are not as {screen.name(start_from)} can hold them "
                "(another program than its only one, or times beyond its longest), and are changed"
            )
        return model
    styles = [piece.style for piece in corpus.pieces]
    vocabulary = fit_vocabulary(zip(corpus, styles, strict=True), corpus.grid)
    sizes = dataclasses.replace(Architecture.preset(preset), cell=cell)
    architecture = sizes.for_corpus(sum(piece.n_notes for piece in corpus.pieces))
    return training.new_model(vocabulary, architecture, seed, corpus)


def _card(corpus: Corpus, held_out: Corpus, held_out_from: str, start_from: Path | None, seed: int) -> dict[str, Any]:
    """What the checkpoint says of its training, beside the history and the settings."""
    report = corpus.report
    return {
        "corpus": {
            "name": Path(report.folder).resolve().name,
            "fingerprint": corpus.fingerprint,
            "validation_fingerprint": held_out.fingerprint,
            "pieces": len(corpus),
            "notes": sum(piece.n_notes for piece in corpus.pieces),
            "styles": corpus.styles,
        },
        "validation": {"from": held_out_from, "pieces": len(held_out)},
        "grid_error_ms": {"mean": report.error_mean_ms, "p99": report.error_p99_ms, "max": report.error_max_ms},
        "from": start_from.name if start_from else None,
        "seed": seed,
    }


def _run(trainer: Any) -> bool:
    """Train, with a line that says how it goes; False when it was interrupted."""
    with screen.ProgressLine(after_s=0) as line:

        def show(progress: Any) -> None:
            line.show(lambda: describe(progress, trainer.position.epoch))

        return trainer.run(show)


def describe(progress: Any, epoch: int) -> str:
    """`step 120/900, 3:20 left, train 2.311, held out 2.412 nats per note, 5,300 notes/s, epoch 3`.

    What matters most comes first: a narrow terminal cuts the rest.
    """
    parts = [
        f"step {progress.step:,}" + (f"/{progress.steps:,}" if progress.steps else ""),
        "time left unknown" if progress.minutes_left is None else screen.left(progress.minutes_left * 60),
        f"train {progress.train_nats_per_note:.3f}",
    ]
    if progress.validation_nats_per_note is not None:
        parts.append(f"held out {progress.validation_nats_per_note:.3f}")
    parts[-1] += " nats per note"
    parts += [f"{progress.notes_per_second:,.0f} notes/s", f"epoch {epoch + 1}"]
    return ", ".join(parts)


def _without(arguments: list[str], *flags: str) -> list[str]:
    return [argument for argument in arguments if argument not in flags]


def _finish(training: Any, trainer: Any, output: Path, held_out: Corpus, corpus: Corpus, as_json: bool) -> None:
    """Judge the best checkpoint by all that is held out, give it an index of what it heard, and say where all is."""
    from melodygru.analysis import originality
    from melodygru.render import pictures

    history = trainer.position.history
    best = training.load_model(output)
    with screen.ProgressLine() as line:
        found = training.evaluate(best, held_out, on_piece=line.count_notes("judging all held-out notes", held_out))
    some = (held_out[i] for i in range(min(len(held_out), BASELINE)))
    originality.attach(output, index_of(corpus).measured_by(some))
    picture = output.with_suffix(".png")
    pictures.training_curves(history, picture)
    paths = {"checkpoint": str(output), "history": str(output.with_suffix(".csv")), "picture": str(picture)}
    if as_json:
        screen.result_json(
            {
                "report": corpus.report.as_dict(),
                "settings": dataclasses.asdict(trainer.settings),
                "architecture": dataclasses.asdict(best.architecture),
                "card": trainer.card,
                "history": history,
                "held_out": found.as_dict(),
                "paths": paths,
            }
        )
        return
    screen.result(
        f"held out    {found.nats_per_note:.4f} nats per note, {found.nats_per_step:.4f} per step "
        f"({counted(found.pieces, 'piece')}, {counted(found.notes, 'note')})"
    )
    for label, path in paths.items():
        screen.result(f"{label:<12}{screen.name(path)}")
    screen.result(f"next        melodygru generate --model {shlex.quote(screen.name(output))} --wav --play")
