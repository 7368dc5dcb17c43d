"""What a training run depends on beside corpus and model, and what is chosen when nothing is asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melodygru.errors import SettingError
from melodygru.model.architecture import PRESETS
from melodygru.model.cells import CELLS
from melodygru.music.metre import parse_metre
from melodygru.util.settings import check, described, optional, setting

if TYPE_CHECKING:
    from typing import TypeAlias

    from melodygru.corpus import Corpus
    from melodygru.events import Vocabulary
    from melodygru.training.pieces import Music

    Metre: TypeAlias = tuple[int, int]  # numerator, denominator
else:
    Metre = tuple  # at run time a setting's type is a class

PRESET, CELL = "small", "gru"  # of a new model
EPOCHS = 40  # of a corpus; from LARGE notes on they fall with the notes' number to the power of FALL
LARGE, FALL = 400_000, 0.35
ONE_KEY_FROM = 0.6  # share of the run after which pieces of a corpus in one key are no longer transposed
FEWEST_STEPS = 200  # of a run whose length follows from the corpus
LARGE_BATCH = 32  # pieces, of a corpus of LARGE notes or more on a CPU: an update learns from more kinds of music
PERFORMED_RATE, PERFORMED_DECAY = 6e-3, 0.1  # there, of performances: they take long to be learned by heart
PERFORMED_BATCH, PERFORMED_LARGE = 64, 2_000_000  # pieces, from so many performed notes on: long rows of all of them
GPU_BATCH = 64  # pieces: many short windows keep a GPU busier than few long ones, and teach as much
LEAST_WINDOW = 8  # events: of larger batches than leave it so many, an update learns from more
GPU_STEPS = 4000  # updates that a run on a GPU keeps when more is learned from at once
GPU_DOUBLINGS = 4  # of the events of an update, at most: to 32,768
MAX_SEED = 1_000_000  # TensorFlow's seeds are 32 bits, and each is a thousandfold of this


@described
@dataclass(frozen=True)
class Settings:
    """All that a run depends on beside the corpus and the model; epochs or minutes are given, one of them."""

    epochs: float | None = setting(
        None,
        "Passes over all pieces.",
        above=0,
        high=1_000_000,
        default_words="as suits the size of the corpus",
    )
    minutes: float | None = setting(
        None, "Minutes from beginning to end, whatever the machine does, instead of epochs.", above=0, high=100_000
    )
    batch: int = setting(
        16,
        "Pieces learned from at once; more of them have shorter windows.",
        low=1,
        high=4096,
        default_words="16, 32 from 400,000 notes on, 64 from 2,000,000 performed ones on; on a GPU 64 to 256",
    )
    window: int = setting(128, "Events between two updates; the state is carried over.", low=1)
    learning_rate: float = setting(
        3e-3,
        "At its height; it rises in a line, then falls as half a cosine.",
        above=0,
        high=1,
        default_words="0.003, and 0.006 from 400,000 performed notes on; on a GPU up to 0.012, as suits the run",
    )
    warmup: int = setting(50, "Updates in which the learning rate rises.", low=0)
    weight_decay: float = setting(0.6, "AdamW's, on matrices.", low=0)
    clip: float = setting(1.0, "Bound of the gradients' common norm.", above=0)
    average: float = setting(
        0.03, "Share of the run that the moving average of the weights reaches back.", low=0, high=1
    )
    transpose: int = setting(5, "Move pieces at random by up to so many semitones.", low=0, high=24, unit="semitones")
    transpose_until: float = setting(
        1.0,
        "From this share of the run on, pieces stand in their own keys, and composing keeps to those.",
        low=0,
        high=1,
        default_words="1.0, and 0.6 for a corpus in one key without --transpose",
    )
    stretch: float = setting(
        0.05,
        "Stretch or squeeze performances (a grid of milliseconds) at random by up to this share.",
        low=0,
        high=0.5,
    )
    patience: int = setting(12, "Validations without improvement before stopping early; 0: never.", low=0)
    seed: int = 0
    mixed_precision: bool = False  # float16 on a GPU, bfloat16 in a CPU's large products, where they are fast at it

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.minutes is None):
            raise SettingError("give either epochs or minutes")
        check(self)


@described
@dataclass(frozen=True)
class TrainSettings:
    """What `melodygru.train` and `melodygru train` can be asked for; of None the default follows from the corpus."""

    output: Path | None = setting(
        None,
        "Where the model goes; its .csv and .png lie beside it.",
        metavar="FILE.keras",
        default_words="checkpoints/<folder>.keras",
        marks=("written",),
    )
    validation: Path | None = setting(
        None,
        "Judge by these MIDI files, all of them where --minutes leave time for it.",
        metavar="DIR",
        default_words="a tenth of the pieces, held out",
    )
    preset: str | None = setting(
        None,
        "Size of the model; a larger one learns more and takes longer.",
        choices=tuple(PRESETS),
        default_words=PRESET,
    )
    cell: str | None = setting(
        None,
        "Recurrent cell; melodygru compare measures which one suits your music.",
        choices=tuple(CELLS),
        default_words=CELL,
    )
    minutes: float | None = optional(Settings, "minutes")
    epochs: float | None = optional(Settings, "epochs")
    seed: int = setting(
        0, "First weights, order, transpositions, dropout and held-out pieces follow from it.", low=0, high=MAX_SEED
    )
    grid: str = setting(
        "auto",
        "Steps per beat, or milliseconds per step; auto finds it in the corpus.",
        metavar="auto|N|10ms",
    )
    metre: Metre | None = setting(
        None,
        "Metre of all pieces, whatever their files say.",
        parse=parse_metre,
        metavar="N/D",
        default_words="each file's, else found from its notes",
    )
    transpose: int | None = optional(Settings, "transpose")
    transpose_until: float | None = optional(Settings, "transpose_until")
    stretch: float | None = optional(Settings, "stretch")
    resume: bool = setting(False, "Go on with the interrupted run; give the same folder and options.")
    start_from: Path | None = setting(
        None,
        "Fine-tune this checkpoint; it brings its size and grid.",
        metavar="FILE.keras",
        flags=("--from",),
    )
    force: bool = setting(False, "Replace an existing model or interrupted run.")
    log_dir: Path | None = setting(None, "Write TensorBoard logs here.", metavar="DIR", marks=("written",))
    mixed_precision: bool | None = setting(
        None,
        "Compute in float16 on a GPU, and large products in bfloat16 on a CPU.",
        default_words="where they gain from it",
    )
    threads: int | None = setting(
        None,
        "CPU threads; the same number gives the same model.",
        low=1,
        high=1024,
        default_words="all cores",
    )
    batch: int | None = optional(Settings, "batch")
    learning_rate: float | None = optional(Settings, "learning_rate")
    patience: int | None = optional(Settings, "patience")
    scheduler: str | None = setting(
        None,
        "Read files with the workers of this dask scheduler (pip install 'melodygru[dask]').",
        metavar="tcp://HOST:PORT",
        default_words="all cores",
    )

    def __post_init__(self) -> None:
        for name in ("output", "validation", "start_from", "log_dir"):
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, Path(value))
        check(self)
        if self.minutes is not None and self.epochs is not None:
            raise SettingError("--minutes and --epochs: give one of them")
        if self.start_from is not None:
            for name, brings in (("preset", "size"), ("cell", "cell")):
                if getattr(self, name) is not None:
                    raise SettingError(f"--{name} and --from: the checkpoint brings its {brings}, leave --{name} out")

    @property
    def overrides(self) -> dict[str, float]:
        """Those fields of `Settings` that were asked for."""
        names = ("epochs", "minutes", "transpose", "transpose_until", "stretch", "batch", "learning_rate", "patience")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def default_transpose_until(vocabulary: Vocabulary) -> float:
    """Share of the run in which pieces are transposed: all of it, unless the corpus is in one key.

    Someone transposed it already: the model learns much from all keys, and then that one.
    """
    return Settings.transpose_until if vocabulary.key else ONE_KEY_FROM


def default_epochs(corpus: Music) -> float:
    """Passes over a corpus when no length is asked for: fewer the larger it is, more if it is tiny."""
    notes = [len(corpus[i].notes) for i in range(len(corpus))]
    total = sum(notes)
    steps = -(-len(notes) // Settings.batch) * max(1.0, total / len(notes) / Settings.window)  # of an epoch, about
    return round(max(EPOCHS * min(1.0, (LARGE / max(1, total)) ** FALL), FEWEST_STEPS / steps), 1)


def for_update(
    notes: int, epochs: float, batch: int | None = None, *, gpu: bool, performed: bool = False
) -> dict[str, float]:
    """Batch, window, learning rate, warm-up and weight decay that suit each other, as fields of `Settings`.

    An update learns from as many events whatever the batch, the defaults' batch x window: from more pieces with a
    shorter window each, whose state is carried over. On a GPU, in a run that is long enough, these events double, up to
    16-fold, as long as GPU_STEPS updates are left. With k times the events the learning rate, the updates in which it
    rises and the weight decay are the defaults times the square root of k (Malladi et al., 2022, of Adam).

    Parameters
    ----------
    notes : of the corpus
    epochs : passes over it; where minutes are asked for, those that suit the corpus
    batch : as asked for; default on a GPU: the least from GPU_BATCH on whose window is no longer than the default's;
        on a CPU LARGE_BATCH in a large corpus
    gpu : whether GPUs train
    performed : whether the corpus has no beat; on a CPU learning rate and weight decay of a large one are others
    """
    events = Settings.batch * Settings.window
    doublings = 0
    while gpu and doublings < GPU_DOUBLINGS and notes * epochs / (events << (doublings + 1)) >= GPU_STEPS:
        doublings += 1
    events <<= doublings
    large = notes >= LARGE and not gpu
    rate, decay = Settings.learning_rate, Settings.weight_decay
    usual = GPU_BATCH if gpu else LARGE_BATCH if large else Settings.batch
    if large and performed:
        rate, decay = PERFORMED_RATE, PERFORMED_DECAY
        usual = PERFORMED_BATCH if notes >= PERFORMED_LARGE else usual
    window = max(LEAST_WINDOW, min(Settings.window, events // (batch or usual)))
    batch = batch or events // window
    scale = math.sqrt(max(1.0, batch * window / (Settings.batch * Settings.window)))
    return {
        "batch": batch,
        "window": window,
        "learning_rate": rate * scale,
        "warmup": round(Settings.warmup * scale),
        "weight_decay": decay * scale,
    }


def suited(corpus: Corpus, vocabulary: Vocabulary, given: Mapping[str, Any], *, gpu: bool) -> dict[str, Any]:
    """Fields of `Settings`: those that are given, and of the others those that follow from the corpus."""
    chosen = dict(given)
    if "transpose" not in given:
        chosen.setdefault("transpose_until", default_transpose_until(vocabulary))
    if "minutes" not in given:
        chosen.setdefault("epochs", default_epochs(corpus))
    notes, epochs = sum(piece.n_notes for piece in corpus.pieces), chosen.get("epochs") or default_epochs(corpus)
    performed = not corpus.grid.is_metrical
    return for_update(notes, epochs, given.get("batch"), gpu=gpu, performed=performed) | chosen


def learning_rate(settings: Settings, step: int, steps: int | None) -> float:
    """Linear warm-up, then a half cosine that reaches 0 at the last step."""
    rate = settings.learning_rate * min(1.0, (step + 1) / settings.warmup)
    if steps is None or steps <= settings.warmup:
        return rate
    done = min(1.0, max(0.0, (step - settings.warmup) / (steps - settings.warmup)))
    return rate * 0.5 * (1 + math.cos(math.pi * done))
