"""Training as a function: a folder of MIDI files becomes a checkpoint. `melodygru train` is its command line."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melodygru.corpus import HELD_OUT, DaskExecutor, intake, overlap, require_pieces, split
from melodygru.corpus.grid import parse_grid
from melodygru.errors import SettingError
from melodygru.events import representable
from melodygru.model import checkpoint
from melodygru.model.backend import require_tensorflow
from melodygru.music.grid import Grid
from melodygru.music.notes import NoteSequence
from melodygru.training import models
from melodygru.training.cluster import read_cluster
from melodygru.training.progress import Budget, Count, OnProgress
from melodygru.training.settings import Settings, TrainSettings, suited
from melodygru.training.startup import join_workers, start_tensorflow
from melodygru.util.atomic import remedy
from melodygru.util.locks import Held, held
from melodygru.util.notebook import moving_line
from melodygru.util.settings import takes_settings
from melodygru.util.wording import clock, counted, name, one_line

if TYPE_CHECKING:
    from melodygru.analysis.originality import Index
    from melodygru.corpus import Corpus
    from melodygru.corpus.report import Report
    from melodygru.model.architecture import Architecture
    from melodygru.model.keras_model import MelodyGRU
    from melodygru.training.evaluation import Evaluation
    from melodygru.training.trainer import Trainer

SHOWN = 5  # skipped validation files, or pieces that are in both folders
REHEARSED = 1.5  # time kept back for what follows training over that of its rehearsal
BASELINE = 100  # held-out pieces that show what any music of the kind has in common with the training pieces

OnMessage = Callable[[str], None]


@dataclass(frozen=True)
class Corpora:
    """What a model learns and what it is judged by.

    Attributes
    ----------
    train, held_out : Corpus, on one grid
    held_out_from : where the second came from, in words
    """

    train: Corpus
    held_out: Corpus
    held_out_from: str


@dataclass(frozen=True)
class TrainResult:
    """What became of a training run.

    Attributes
    ----------
    checkpoint : the best model, a `.keras` file; its history (.csv) and, where it could be drawn, their picture (.png)
        lie beside it
    report : of the folder's intake
    settings : what the run was made with
    architecture : sizes of the model
    card : what the checkpoint says of its training
    history : a row for each validation: step, minutes, train_nats_per_note, validation_nats_per_note, learning_rate
    held_out : the best model's exact likelihood of the held-out pieces, as in its row of the history: all, or as many
        as the minutes asked for left time for; None of an interrupted run, and where another
        process of the cluster is the chief, who alone writes files
    interrupted_by : the signal that stopped the run, which is saved beside the checkpoint; None of a finished one
    """

    checkpoint: Path
    report: Report
    settings: Settings
    architecture: Architecture
    card: dict[str, Any]
    history: list[dict[str, float]]
    held_out: Evaluation | None = None
    interrupted_by: int | None = None

    @property
    def paths(self) -> dict[str, Path]:
        """The files: checkpoint, history, and picture if there is one."""
        suffixes = {"history": ".csv", "picture": ".png"}
        beside = {kind: self.checkpoint.with_suffix(suffix) for kind, suffix in suffixes.items()}
        if not beside["picture"].exists():
            del beside["picture"]
        return {"checkpoint": self.checkpoint, **beside}

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "report": self.report.as_dict(),
            "settings": dataclasses.asdict(self.settings),
            "architecture": dataclasses.asdict(self.architecture),
            "card": self.card,
            "history": self.history,
            "held_out": self.held_out.as_dict() if self.held_out else None,
            "paths": {"picture": None, **{kind: str(path) for kind, path in self.paths.items()}},
        }


@takes_settings(TrainSettings)
def train(
    folder: str | Path,
    settings: TrainSettings | None = None,
    *,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
    started: float | None = None,
    **values: Any,
) -> TrainResult:
    """Learn the style of a folder of MIDI files; sub-folders are styles.

    Ctrl-C and SIGTERM save the run and end it early; the same call with resume=True goes on and ends in the same model.

    Parameters
    ----------
    folder : str or Path
    settings : TrainSettings, optional
        In place of the keyword arguments below.
    SETTINGS
    on_progress : called with a `Progress` every half second of training, and with a `Count` before and after; both
        are readable as text. Default: in a notebook a line that moves, else nothing
    on_message : called with what a person wants to know: the intake's report, warnings, what was chosen
    started : when the minutes asked for began, as `time.perf_counter` has it; default: now

    Raises
    ------
    MidiError, CorpusError, SettingError, CheckpointError, TrainingError
        What is wrong, and what to do.

    Examples
    --------
    >>> result = melodygru.train("midi_dir", minutes=10, on_progress=print)  # doctest: +SKIP
    >>> result.held_out.nats_per_note  # doctest: +SKIP
    """
    require_tensorflow()
    line = moving_line() if on_progress is None else None
    with contextlib.ExitStack() as stack:
        result = _train(Path(folder), settings, values, stack, on_progress or line, on_message or _ignore, started)
    if line is not None and result.held_out is not None:
        line(f"trained {name(result.checkpoint)}: held out {result.held_out.nats_per_note:.3f} nats per note")
    return result


def _train(
    folder: Path,
    settings: TrainSettings | None,
    values: dict[str, Any],
    stack: contextlib.ExitStack,
    on_progress: OnProgress | None,
    say: OnMessage,
    started: float | None,
) -> TrainResult:
    """As `train`; what is held until its end goes on the stack."""
    if settings is None:
        settings = TrainSettings(**values)
    elif values:
        raise SettingError(f"{', '.join(values)}: expected settings or keyword arguments, not both")
    if settings.log_dir is not None and importlib.util.find_spec("tensorboard") is None:
        raise SettingError("--log-dir needs TensorBoard: pip install 'melodygru[tensorboard]'")
    budget = Budget(settings.minutes, started) if settings.minutes is not None else None
    output = settings.output or Path("checkpoints") / f"{folder.resolve().name}.keras"
    cluster = read_cluster()
    if cluster is None:
        stack.enter_context(claimed(output, settings))
        corpora = _corpora(folder, settings, on_progress, say)
        device = start_tensorflow(settings.threads, settings.mixed_precision, say)
        workers = join_workers(None)
    else:
        # First the others: then none waits for one that failed while it read.
        device = start_tensorflow(settings.threads, settings.mixed_precision, say)
        workers = join_workers(cluster, say)
        if cluster.is_chief:  # who alone writes
            stack.enter_context(claimed(output, settings))
        corpora = _corpora(folder, settings, on_progress, say)
    say(device)
    with workers.strategy.scope():
        trainer = _trainer(corpora, output, settings, say, budget)
    if settings.resume:
        trainer.restore()
        position = trainer.position
        say(f"resuming at step {position.step:,}, {position.seconds / 60:.1f} minutes trained")
    result = TrainResult(
        output,
        corpora.train.report,
        trainer.settings,
        trainer.model.architecture,
        trainer.card,
        trainer.position.history,
    )
    # What the weights have no part in is done before training, where it takes its time from the minutes asked for.
    index = _index(corpora, on_progress) if workers.is_chief else None
    if budget is not None and index is not None:
        _keep_back(budget, trainer.model, index, say)
    if not trainer.run(on_progress, on_judging=_counting("judging held-out notes", on_progress)):
        return dataclasses.replace(result, interrupted_by=trainer.stopped_by or 2)
    if index is None:
        return result
    _finish(output, result.history, index, say)
    return dataclasses.replace(result, held_out=trainer.held_out)


def _ignore(_: object) -> None:
    """For callbacks that nobody gave."""


@contextlib.contextmanager
def claimed(output: Path, settings: TrainSettings) -> Iterator[None]:
    """Within, this run alone writes its output; nothing is touched there yet.

    Raises
    ------
    SettingError
        Another run is writing it, it can't be written, something of value lies there, or nothing to go on with.
    """
    _check_name(output)
    made = [folder for folder in (output.parent, settings.log_dir) if folder is not None and not folder.is_dir()]
    lock = output.with_name(f".{output.stem}.lock")
    with contextlib.ExitStack() as stack:
        stack.callback(_remove_empty, made)
        try:
            for folder in made:
                folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(lock))
        except Held as error:
            raise SettingError(
                f"--output {output}: process {error.process} is training it; wait for it, stop it, or choose another "
                "--output"
            ) from error
        except OSError as error:
            path = settings.log_dir if error.filename == str(settings.log_dir) else output
            error.filename = str(path)
            raise SettingError(f"cannot write {path}: {error.strerror or error}; {remedy(error)}") from error
        _check_free(output, settings.resume, settings.force)
        yield


def _remove_empty(folders: list[Path]) -> None:
    """Remove those that nothing was written into."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _check_name(output: Path) -> None:
    """Raise SettingError for an output that names no checkpoint."""
    if output.suffix != ".keras":
        raise SettingError(f"--output {output}: expected a name that ends in .keras")
    if output.is_dir():
        raise SettingError(f"--output {output}: is a folder, expected a file name")


def _check_free(output: Path, resume: bool, force: bool) -> None:
    """Raise SettingError for an output where something of value lies, or, to resume, nothing."""
    further = f"to train its model further, give --from {output} and another --output"
    saved = output.with_suffix(".resume")
    if resume and not saved.exists() and output.exists():
        raise SettingError(f"{saved}: nothing to resume, the run is finished; {further}")
    if not resume and not force:
        if saved.exists():
            raise SettingError(
                f"{saved}: an interrupted run lies there; go on with --resume, choose another --output, or begin anew "
                "with --force"
            )
        if output.exists():
            raise SettingError(f"{output} exists: {further}; or choose another --output, or replace it with --force")


def _corpora(folder: Path, settings: TrainSettings, on_progress: OnProgress | None, say: OnMessage) -> Corpora:
    """The music of a run, on the grid asked for, else on that of the checkpoint to start from."""
    grid = parse_grid(settings.grid)
    if grid is None and settings.start_from is not None:
        grid = checkpoint.read_vocabulary(settings.start_from).grid
    return read_corpora(
        folder,
        settings.validation,
        grid,
        settings.seed,
        settings.scheduler,
        metre=settings.metre,
        on_progress=on_progress,
        on_message=say,
    )


def read_corpora(
    folder: Path,
    validation: Path | None = None,
    grid: Grid | None = None,
    seed: int = 0,
    scheduler: str | None = None,
    *,
    metre: tuple[int, int] | None = None,
    on_progress: OnProgress | None = None,
    on_message: OnMessage | None = None,
) -> Corpora:
    """The corpus to learn and the corpus to be judged by: a folder's, else a share of the first held out.

    Parameters
    ----------
    scheduler : address of a dask scheduler whose workers read the files; default: processes of our own
    metre : of all pieces, whatever their files say (see `intake`)
    """
    say = on_message or _ignore

    def read(folder: Path, grid: Grid | None, deduplicate: bool) -> Corpus:
        with contextlib.ExitStack() as stack:
            executor = stack.enter_context(DaskExecutor(scheduler)) if scheduler is not None else None
            progress = _counting(f"reading {name(folder)}", on_progress)
            progress(0, 0)  # it begins now
            return intake(folder, grid=grid, metre=metre, deduplicate=deduplicate, progress=progress, executor=executor)

    corpus = read(folder, grid, True)
    say(corpus.report.table())
    require_pieces(corpus, 2)
    if validation is None:
        return Corpora(*split(corpus, HELD_OUT, seed), f"a tenth of the pieces, seed {seed}")
    held_out = read(validation, corpus.grid, False)
    for file in held_out.report.skipped[:SHOWN]:
        say(one_line(f"warning: {name(validation)}: skipped {name(file.path)}: {file.reason}"))
    common = overlap(corpus, held_out)
    if common:
        pairs = ", ".join(f"{name(path)} = {name(other)}" for path, other in common[:SHOWN])
        say(
            f"warning: {len(common):,} of the {len(held_out):,} validation pieces are in the training folder too, and "
            f"make the held-out figure too good: {pairs}" + (", ..." if len(common) > SHOWN else "")
        )
    return Corpora(corpus, held_out, f"--validation {validation.resolve().name}")


def _counting(stage: str, on_progress: OnProgress | None) -> Callable[[int, int], None]:
    """A function of (done, total) that reports them as the progress of a stage."""
    report = on_progress or _ignore
    return lambda done, total: report(Count(stage, done, total))


def _counting_notes(stage: str, corpus: Corpus, on_progress: OnProgress | None) -> Callable[..., None]:
    """A function of (index, piece, ...) that reports how many of a corpus's notes it was called with."""
    total, done = sum(piece.n_notes for piece in corpus.pieces), 0
    count = _counting(stage, on_progress)
    count(0, 0)  # it begins now

    def on_piece(_index: int, piece: NoteSequence, *_: object) -> None:
        nonlocal done
        done += len(piece)
        count(done, total)

    return on_piece


def _trainer(
    corpora: Corpora, output: Path, asked: TrainSettings, say: OnMessage, budget: Budget | None = None
) -> Trainer:
    """The run of a model, new or to be fine-tuned, with the settings asked for and what suits the corpus beside."""
    from melodygru.model.where import on_gpu
    from melodygru.training.device import is_mixed_precision
    from melodygru.training.trainer import Trainer

    corpus, held_out = corpora.train, corpora.held_out
    model = _model(corpus, asked, say)
    given = suited(corpus, model.vocabulary, asked.overrides, gpu=on_gpu())
    until = given.get("transpose_until", 1)
    if "transpose_until" not in asked.overrides and until < 1:
        say(
            f"most pieces stand in one key: they are transposed in the first {until:.0%} of the "
            "run only (--transpose 5 does it to the end, --transpose 0 never)"
        )
    if "epochs" in given and "epochs" not in asked.overrides:
        say(f"training for {given['epochs']:g} epochs, as suits the size of the corpus (or give --epochs or --minutes)")
    if on_gpu() or given["window"] != Settings.window:
        say(
            f"an update learns from {given['window']} events of {given['batch']} pieces; learning rate "
            f"{given['learning_rate']:.4g} after {given['warmup']} updates (--batch and --learning-rate set them)"
        )
    settings = Settings(seed=asked.seed, mixed_precision=is_mixed_precision(), **given)
    trainer = Trainer(
        model,
        (corpus, [piece.style for piece in corpus.pieces]),
        held_out,
        settings,
        output,
        _card(corpora, asked),
        asked.log_dir,
        budget,
    )
    say(
        f"{model.count_params():,} parameters; {counted(len(corpus), 'piece')} to learn, "
        f"{len(held_out):,} held out ({corpora.held_out_from})"
    )
    return trainer


def _model(corpus: Corpus, asked: TrainSettings, say: OnMessage) -> MelodyGRU:
    """A new model for the corpus, or the one to fine-tune."""
    if asked.start_from is None:
        return models.new_model(*models.fit(corpus, asked.preset, asked.cell), asked.seed, corpus)
    model = models.fine_tune_from(asked.start_from, corpus.grid)
    changed = sum(representable(sequence, model.vocabulary)[1].total for sequence in corpus)
    if changed:
        say(
            f"warning: {changed:,} of {corpus.report.notes:,} notes are not as {name(asked.start_from)} can hold them "
            "(more parts or another program than it has, or times beyond its longest), and are changed"
        )
    return model


def _card(corpora: Corpora, asked: TrainSettings) -> dict[str, Any]:
    """What the checkpoint says of its training, beside the history and the settings."""
    corpus, report = corpora.train, corpora.train.report
    return {
        "corpus": {
            "name": Path(report.folder).resolve().name,
            "fingerprint": corpus.fingerprint,
            "validation_fingerprint": corpora.held_out.fingerprint,
            "pieces": len(corpus),
            "notes": sum(piece.n_notes for piece in corpus.pieces),
            "styles": corpus.styles,
        },
        "validation": {"from": corpora.held_out_from, "pieces": len(corpora.held_out)},
        "grid_error_ms": {"mean": report.error_mean_ms, "p99": report.error_p99_ms, "max": report.error_max_ms},
        "from": asked.start_from.name if asked.start_from else None,
        "seed": asked.seed,
    }


def _index(corpora: Corpora, on_progress: OnProgress | None) -> Index:
    """The index of the music to learn, in which matches are looked up, with held-out pieces as its baseline."""
    from melodygru.analysis.originality import Index

    train, held_out = corpora.train, corpora.held_out
    indexed = _counting_notes("indexing notes", train, on_progress)

    def pieces() -> Iterator[tuple[str, NoteSequence]]:
        for at, (piece, sequence) in enumerate(zip(train.pieces, train, strict=True)):
            yield piece.path, sequence
            indexed(at, sequence)

    index = Index.build(pieces(), train.grid)
    return index.measured_by(held_out[i] for i in range(min(len(held_out), BASELINE)))


def _finish(path: Path, history: list[dict[str, float]], index: Index, say: OnMessage) -> None:
    """Give a checkpoint the index of its music, and draw the history beside it, if that is possible."""
    from melodygru.analysis import originality
    from melodygru.render import pictures

    originality.attach(path, index)
    try:
        pictures.save(pictures.training_figure(history), path.with_suffix(".png"))
    except SettingError as error:
        say(one_line(f"warning: {name(path.with_suffix('.png'))} could not be drawn ({error}); all else is there"))


def _keep_back(budget: Budget, model: MelodyGRU, index: Index, say: OnMessage) -> None:
    """Keep the time back that saving and finishing take, which are rehearsed, and say how the minutes are used."""
    from melodygru.model.keras_model import save

    before_s = budget.used_s
    with tempfile.TemporaryDirectory() as folder:
        save(model, path := Path(folder) / "model.keras", float16=True)
        _finish(path, [], index, _ignore)
    budget.reserve_s = REHEARSED * (budget.used_s - before_s)
    of, used, kept = (clock(math.ceil(s)) for s in (budget.minutes * 60, budget.used_s, budget.reserve_s))
    say(f"of {of}, {used} went into reading and preparing; {kept} and a last judgement follow training")
    if budget.left_s < budget.minutes * 30:
        say("warning: less than half of the minutes asked for is left to train; give more for better music")
