"""Training: schedule, batches, augmentation, exact resuming, what is kept; and exact evaluation."""

import csv
import dataclasses
import json
import math
import shutil
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys
from toys import BEAT, PERFORMANCE, VOCABULARIES

from melodygru import training
from melodygru.errors import SettingError, TrainingError
from melodygru.events import DURATION, PART, PITCH, SHIFT, TIMES, Vocabulary, encode, layout_of
from melodygru.model import checkpoint
from melodygru.model.architecture import Architecture
from melodygru.model.keras_model import load_model, save
from melodygru.model.products import set_bfloat16
from melodygru.music.notes import DRUMS
from melodygru.training import (
    Pieces,
    Settings,
    Trainer,
    default_epochs,
    evaluate,
    fine_tune_from,
    learning_rate,
    log_likelihoods,
)
from melodygru.training.evaluation import nats_by_style
from melodygru.training.feeding import begun, prefetch
from melodygru.training.optimizer import AveragedAdamW
from melodygru.training.pace import Pace
from melodygru.training.pieces import LONG, UNKNOWN_SHARE
from melodygru.training.progress import Budget, Progress, Timer
from melodygru.training.settings import for_update

STYLES = VOCABULARIES["styles"]
CORPUS = {"name": "toys", "fingerprint": "f00", "pieces": 7, "notes": 109}
SIZES = Architecture(layers=2, units=8, embedding=6, head=7)
SHORT = Settings(epochs=3, batch=3, window=8, learning_rate=0.01, warmup=4, patience=0, seed=5)


# -- schedule and settings


def test_the_rate_warms_up_and_falls_as_half_a_cosine():
    settings = Settings(epochs=1, learning_rate=0.8, warmup=4)
    assert [learning_rate(settings, step, 12) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])
    assert learning_rate(settings, 8, 12) == pytest.approx(0.4)  # half way down
    assert learning_rate(settings, 6, 12) == pytest.approx(0.8 * (1 + math.sqrt(0.5)) / 2)
    assert learning_rate(settings, 12, 12) == pytest.approx(0, abs=1e-12)
    assert learning_rate(settings, 13, 12) == pytest.approx(0, abs=1e-12)
    falling = [learning_rate(settings, step, 12) for step in range(4, 13)]
    assert falling == sorted(falling, reverse=True)


def test_the_rate_stays_up_while_the_number_of_steps_is_unknown():
    settings = Settings(minutes=1, learning_rate=0.8, warmup=4)
    assert [learning_rate(settings, step, None) for step in (0, 3, 4, 99)] == pytest.approx([0.2, 0.8, 0.8, 0.8])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "^give either epochs or minutes$"),
        ({"epochs": 1, "minutes": 1}, "^give either epochs or minutes$"),
        ({"epochs": 0}, "^epochs 0: expected more than 0"),
        ({"minutes": -1.0}, r"^minutes -1\.0: expected more than 0"),
        ({"minutes": float("nan")}, "^minutes nan: expected more than 0"),
        ({"epochs": 1, "transpose": -1}, r"^transpose -1: expected 0\.\.24 semitones$"),
        ({"epochs": 1, "transpose": 25}, r"^transpose 25: expected 0\.\.24 semitones$"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(SettingError, match=message):
        Settings(**values)
    Settings(epochs=1, transpose=0)
    Settings(minutes=0.1, transpose=24)


# -- pieces and batches


def _line(n, start=60, program=0, grid=BEAT):
    """A line of n notes, one a step."""
    return toys.sequence_of([(i, 1, program, start + i % 5, 80) for i in range(n)], grid=grid)


def _pieces(lengths, **settings):
    corpus = [_line(int(n)) for n in lengths]
    return Pieces(corpus, [None] * len(corpus), VOCABULARIES["one"], Settings(epochs=1, **settings))


@pytest.mark.parametrize("batch", [1, 7, 50, 51, 100])
def test_an_epoch_has_every_piece_once(batch):
    pieces = _pieces(range(1, 51), batch=batch)
    for epoch in range(3):
        plan = pieces.plan(epoch)
        assert sorted(turn.piece for one in plan for turn in one.turns()) == list(range(50))
        assert max(len(one) for one in plan) == min(batch, 50)
        assert len(plan) == -(-50 // batch)


def test_a_batch_holds_pieces_of_similar_lengths():
    lengths = np.arange(40, 240)
    for epoch in range(3):
        for batch in _pieces(lengths, batch=8).plan(epoch):
            inside = lengths[[turn.piece for turn in batch.turns()]]
            # 20% either way are the jitter's; eight pieces in a row differ by a few per cent more.
            assert inside.max() / inside.min() < 1.25 / 0.8


def test_the_plan_follows_from_seed_and_epoch():
    def plan(seed, epoch):
        return _pieces(range(1, 41), batch=6, seed=seed).plan(epoch)

    assert plan(1, 2) == plan(1, 2)
    assert plan(1, 2) != plan(1, 3)
    assert plan(1, 2) != plan(2, 2)


@pytest.mark.parametrize(("lengths", "steps"), [([7], 1), ([8], 2), ([15, 3], 2), ([16, 3], 3)])
def test_windows_reach_to_the_end_event(lengths, steps):
    pieces = _pieces(lengths, batch=2, window=8)  # a piece of n notes has n + 1 events
    assert pieces.steps(0) == steps
    (batch,) = pieces.plan(0)
    windows = list(pieces.batch_windows(0, batch))
    assert len(windows) == steps
    assert sum(int((window["fields"][..., PART] >= 0).sum()) for window, _ in windows) == sum(lengths) + len(lengths)
    rest = list(pieces.batch_windows(0, batch, steps - 1))
    assert len(rest) == 1
    assert all(np.array_equal(rest[0][0][name], windows[-1][0][name]) for name in rest[0][0])


def _end_to_end(seed=0):
    """Pieces that are long for their windows, and the batch that holds them all."""
    pieces = _pieces(
        [8 * LONG, 10 * LONG + 3, 9 * LONG, 6 * LONG + 1, 7 * LONG, 11 * LONG], batch=2, window=8, seed=seed
    )
    (batch,) = pieces.plan(0)
    return pieces, batch


@pytest.mark.parametrize("seed", range(3))
def test_long_pieces_follow_one_another_in_rows_that_end_together(seed):
    pieces, batch = _end_to_end(seed)
    assert sorted(turn.piece for turn in batch.turns()) == list(range(6))
    assert len(batch) == 2 and batch.ends[1] <= batch.ends[0] <= batch.ends[1] * 1.2
    assert len(_pieces([8 * LONG, 9 * LONG], batch=2, window=8).plan(0)[0].turns()) == 2  # a row each
    whole = list(pieces.batch_windows(0, batch, rows=(0, 2)))
    assert len(whole) == batch.windows == pieces.steps(0)
    dealt = [list(pieces.batch_windows(0, batch, rows=(row, row + 1))) for row in range(3)]  # as to workers
    for (inputs, begins), *parts in zip(whole, *dealt, strict=True):
        together = {name: np.concatenate([part[0][name] for part in parts]) for name in inputs}
        assert np.array_equal(np.concatenate([part[1] for part in parts]), [*begins, False])
        assert all(np.array_equal(together[name][:2], inputs[name]) for name in inputs)
        assert (together["fields"][2] == -1).all() and not together["context"][2].any()
    for row, turns in enumerate(batch.rows):
        begins = [window for window, (_, begins) in enumerate(whole) if begins[row]]
        assert begins == [turn.begin for turn in turns]
        fields = np.concatenate([inputs["fields"][row] for inputs, _ in whole])
        for turn in turns:
            events = pieces.encode(turn.piece, 0)
            first = 8 * turn.begin
            assert np.array_equal(fields[first : first + len(events)], events.fields)
            fields[first : first + len(events)] = -1
            at = whole[turn.begin][0]["context"][row]
            assert np.array_equal(at[:9], events.window(0, 8)["context"])
        assert (fields == -1).all()  # all else is padding


@pytest.mark.parametrize("first", [0, 1, LONG, 2 * LONG + 3])
def test_rows_go_on_from_any_window(first):
    pieces, batch = _end_to_end()
    whole, rest = list(pieces.batch_windows(0, batch)), list(pieces.batch_windows(0, batch, first))
    assert len(rest) == len(whole) - first
    for (inputs, begins), (others, too) in zip(whole[first:], rest, strict=True):
        assert np.array_equal(begins, too)
        assert all(np.array_equal(inputs[name], others[name]) for name in inputs)


def test_rows_whose_piece_is_over_go_and_no_event_with_them():
    pieces = _pieces([3, 40, 17, 18], batch=4, window=8)
    (batch,) = pieces.plan(0)
    assert [pieces.lengths(0)[turn.piece] for turn in batch.turns()] == [41, 19, 18, 4]  # only last rows can go
    whole, left = (list(pieces.batch_windows(0, batch, rows=rows)) for rows in ((0, 4), None))
    assert [len(begins) for _, begins in left] == [4, 3, 3, 1, 1, 1]
    for (all_rows, every), (some, begins) in zip(whole, left, strict=True):
        n = len(begins)
        assert np.array_equal(every[:n], begins) and not every[n:].any()
        assert all(np.array_equal(all_rows[name][:n], some[name]) for name in some)
        assert (all_rows["fields"][n:] == -1).all()
    beyond = list(pieces.batch_windows(0, batch, rows=(4, 6)))
    assert all((inputs["fields"] == -1).all() and not begins.any() for inputs, begins in beyond)


def test_a_state_is_nothing_where_a_piece_begins_and_rows_that_are_over_have_none():
    state = [tf.ones([3, 2]), tf.ones([3, 4, 2])]
    found = begun(state, np.array([False, True]))
    assert [part.shape.as_list() for part in found] == [[2, 2], [2, 4, 2]]
    for part in found:
        assert (part[0].numpy() == 1).all() and (part[1].numpy() == 0).all()
    assert all(np.array_equal(a, b) for a, b in zip(begun(state, np.zeros(3, bool)), state, strict=True))


def test_transposition_keeps_each_program_in_its_range_and_drums_where_they_are():
    vocabulary = Vocabulary(BEAT, (0, 40, DRUMS), 3, (80,))
    corpus = [
        toys.sequence_of([(0, 1, 0, 50, 80), (1, 1, 40, 70, 80), (2, 1, DRUMS, 36, 80)]),
        toys.sequence_of([(0, 1, 0, 60, 80), (1, 1, 40, 73, 80), (2, 1, DRUMS, 50, 80)]),
    ]
    pieces = Pieces(corpus, [None, None], vocabulary, Settings(epochs=1, transpose=5))
    pitches = [
        {tuple(pieces.encode(index, epoch).fields[:3, PITCH].tolist()) for epoch in range(80)} for index in range(2)
    ]
    # Program 40 has the range 70..73 in the corpus: the first goes 0..3 up, the second 0..3 down.
    assert pitches[0] == {(50 + n, 70 + n, 36) for n in range(4)}
    assert pitches[1] == {(60 - n, 73 - n, 50) for n in range(4)}
    for transpose in (0, 2):
        pieces = Pieces(corpus, [None, None], vocabulary, Settings(epochs=1, transpose=transpose))
        found = {int(pieces.encode(0, epoch).fields[0, PITCH]) for epoch in range(60)}
        assert found == set(range(50, 51 + transpose))


def test_music_for_drums_alone_is_left_alone():
    vocabulary = Vocabulary(BEAT, (DRUMS,), 0, (80,))
    corpus = [_line(5, 36, DRUMS), _line(5, 50, DRUMS)]
    pieces = Pieces(corpus, [None, None], vocabulary, Settings(epochs=1, transpose=5))
    for epoch in range(10):
        assert pieces.encode(0, epoch).fields[:5, PITCH].tolist() == [36, 37, 38, 39, 40]


@pytest.mark.slow
def test_transposition_ends_with_its_share_of_the_run(tmp_path):
    corpus = [_line(5, 50), _line(5, 60)]
    settings = dataclasses.replace(SHORT, epochs=6, transpose=5, transpose_until=0.5)
    model = training.new_model(VOCABULARIES["one"], SIZES, 0, corpus)
    trainer = Trainer(model, (corpus, [None, None]), corpus[:1], settings, tmp_path / "m.keras")
    trainer.run()
    lowest = [int(trainer.pieces.encode(0, epoch).fields[0, PITCH]) for epoch in range(60)]
    assert set(lowest[:3]) != {50}
    assert set(lowest[3:]) == {50}
    with pytest.raises(SettingError, match="transpose_until 1.1: expected 0..1"):
        Settings(epochs=1, transpose_until=1.1)


def test_only_performances_are_stretched():
    rows = [(i * 50, 40, 0, 60, 80) for i in range(20)]
    ends = {}
    for name, grid in (("one", BEAT), ("performance", PERFORMANCE)):
        pieces = Pieces(
            [toys.sequence_of(rows, grid=grid)], [None], VOCABULARIES[name], Settings(epochs=1, stretch=0.1)
        )
        ends[name] = [int(pieces.encode(0, epoch).fields[:20, SHIFT].sum()) for epoch in range(40)]
    assert set(ends["one"]) == {950}
    assert min(ends["performance"]) >= 950 / 1.1 - 1
    assert max(ends["performance"]) <= 950 * 1.1 + 1
    assert len(set(ends["performance"])) > 20
    assert min(ends["performance"]) < 920
    assert max(ends["performance"]) > 980


def test_conditions_are_hidden_now_and_then_and_augmentation_follows_from_seed_epoch_and_piece():
    corpus = [toys.piece(STYLES, seed, 6) for seed in range(2)]
    pieces = Pieces(corpus, ["airs", "reels"], STYLES, SHORT)
    conditions = np.array([pieces.encode(0, epoch).context[0, :2] for epoch in range(300)])
    assert (conditions == 0).mean(0).tolist() == pytest.approx([UNKNOWN_SHARE] * 2, abs=0.08)
    assert set(conditions[:, 0].tolist()) == {0, layout_of(STYLES).blocks["style"]}
    same = Pieces(corpus, ["airs", "reels"], STYLES, SHORT)
    for epoch in range(4):
        assert np.array_equal(pieces.encode(1, epoch).context, same.encode(1, epoch).context)
    other = Pieces(corpus, ["airs", "reels"], STYLES, dataclasses.replace(SHORT, seed=6))
    assert any(not np.array_equal(pieces.encode(1, e).context, other.encode(1, e).context) for e in range(16))


def test_items_are_made_ahead_in_order_and_an_error_comes_through():
    assert list(prefetch(iter(range(1, 20)), 3)) == list(range(1, 20))

    def broken():
        yield 1
        raise ValueError("worse")

    items = prefetch(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="worse"):
        next(items)


# -- a run


class Watched(Trainer):
    """A trainer that saves after every step, keeps a copy of each save, and stops at a given step."""

    def watch(self, folder, stop_at=None):
        self.folder, self.stop_at = folder, stop_at
        folder.mkdir(exist_ok=True)
        self.known, self.averages, self.weights = {}, {}, {}
        return self

    def save_state(self):
        super().save_state()
        step = self.position.step
        shutil.copy(self.resume_path, self.folder / f"{step}.resume")
        if self.output.exists():
            shutil.copy(self.output, self.folder / f"{step}.keras")
        self.note()
        if step == self.stop_at:
            self.stop()

    def note(self):
        step = self.position.step
        self.known[step] = dataclasses.asdict(self.position)
        self.averages[step] = self.optimizer.averages()
        self.weights[step] = [variable.numpy() for variable in self.model.trainable_variables]


def _corpora():
    train = [toys.piece(STYLES, seed, n) for seed, n in enumerate((10, 11, 14, 18, 22, 25, 9))]
    return (train, ["airs", "reels"] * 3 + [None]), [toys.piece(STYLES, 50 + s, 12) for s in range(2)]


def _trainer(output, settings=SHORT, seed=0, card=None, cls=Watched, sizes=SIZES):
    model = training.new_model(STYLES, sizes, seed)
    return cls(model, *_corpora(), settings, output, {"corpus": CORPUS} if card is None else card)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run that nothing interrupts, with a copy of its state after each step."""
    folder = tmp_path_factory.mktemp("run")
    trainer = _trainer(folder / "out" / "toy.keras").watch(folder / "saves")
    assert trainer.run(save_every_s=-1) is True
    trainer.note()
    return trainer


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """Another trainer of the same run, with other initial weights; traced once for all tests."""
    folder = tmp_path_factory.mktemp("second")
    return _trainer(folder / "toy.keras", seed=9).watch(folder / "saves")


def _same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def _same_end(trainer, undisturbed):
    """Whether a run ended where the undisturbed one did: weights, averages, history and the checkpoint, bit by bit."""
    end = undisturbed.position.step
    trainer.note()
    assert trainer.position.step == end
    assert _same(trainer.weights[end], undisturbed.weights[end])
    assert _same(trainer.averages[end], undisturbed.averages[end])
    ours, theirs = (checkpoint.read(t.output) for t in (trainer, undisturbed))
    assert _same(ours.weights.values(), theirs.weights.values())
    for mine, right in zip(trainer.position.history, undisturbed.position.history, strict=True):
        assert {**mine, "minutes": 0} == {**right, "minutes": 0}


def test_a_run_takes_its_epochs_and_leaves_a_checkpoint(undisturbed):
    assert undisturbed.position.steps == undisturbed.position.step == 3 * undisturbed.pieces.steps(0)
    assert {p.name for p in undisturbed.output.parent.iterdir()} == {"toy.keras", "toy.csv"}
    card = checkpoint.read(undisturbed.output).card
    assert card["corpus"] == CORPUS
    assert card["history"][0].keys() >= {"step", "train_nats_per_note", "validation_nats_per_note", "learning_rate"}
    assert card["recorded"].startswith("20")
    assert card["settings"]["seed"] == 5
    assert len(card["piece_nats"]) == len(checkpoint.read(undisturbed.output).vocabulary.styles) + 1
    with open(undisturbed.output.with_suffix(".csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [row["step"] for row in undisturbed.position.history]


def test_a_run_learns(undisturbed):
    history = undisturbed.position.history
    assert len(history) >= 3
    assert history[-1]["validation_nats_per_note"] < history[0]["validation_nats_per_note"]
    assert not _same(undisturbed.weights[0], undisturbed.weights[undisturbed.position.step])


def test_the_best_averaged_weights_are_kept(undisturbed):
    history = undisturbed.position.history
    best = min(history, key=lambda row: row["validation_nats_per_note"])
    kept = load_model(undisturbed.output)
    weights = [variable.numpy() for variable in kept.trainable_variables]
    assert _same(weights, [average.astype(np.float16) for average in undisturbed.averages[best["step"]]])
    assert not _same(weights, [weight.astype(np.float16) for weight in undisturbed.weights[best["step"]]])
    assert kept.card["validation_nats_per_note"] == best["validation_nats_per_note"]


@pytest.mark.slow
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(undisturbed, second):
    """From a save in the middle of a batch, at a batch's end, at an epoch's end, and after a validation."""
    known = undisturbed.known
    validated = [row["step"] for row in undisturbed.position.history if row["step"] in known]
    steps = {
        next(s for s, at in known.items() if s > 2 and at["window"] > 0),
        next(s for s, at in known.items() if s > 2 and at["window"] == 0 and at["batch"] > 0),
        next(s for s, at in known.items() if at["epoch"] == 1 and at["batch"] == at["window"] == 0),
        validated[len(validated) // 2],
        max(known) - 1,
    }
    for step in sorted(steps):
        shutil.copy(undisturbed.folder / f"{step}.resume", second.resume_path)
        second.output.unlink(missing_ok=True)
        if (undisturbed.folder / f"{step}.keras").exists():
            shutil.copy(undisturbed.folder / f"{step}.keras", second.output)
        second.restore()
        assert second.position.step == step
        assert second.run() is True
        _same_end(second, undisturbed)
        assert not second.resume_path.exists()


@pytest.mark.slow
def test_a_run_that_is_stopped_twice_ends_as_if_it_had_not_been(undisturbed, tmp_path):
    first = _trainer(tmp_path / "toy.keras").watch(tmp_path / "saves", stop_at=2)
    assert first.run(save_every_s=-1) is False
    assert first.position.step == 2
    assert first.resume_path.exists()
    second = _trainer(tmp_path / "toy.keras", seed=4).watch(tmp_path / "saves", stop_at=9)
    second.restore()
    assert second.run(save_every_s=-1) is False
    second._stop.clear()
    second.stop_at = None
    second.restore()
    assert second.run() is True
    _same_end(second, undisturbed)


def test_a_run_can_be_resumed_from_its_first_moment(undisturbed, second):
    """The first save comes before the first step."""
    shutil.copy(undisturbed.folder / "0.resume", second.resume_path)
    second.output.unlink(missing_ok=True)
    second.restore()
    assert second.position.step == 0
    assert _same([v.numpy() for v in second.model.trainable_variables], undisturbed.weights[0])


@pytest.mark.slow
def test_a_run_as_on_a_gpu_ends_in_the_same_weights(undisturbed, second, monkeypatch):
    """Other processes encode, pieces are kept, and an update is handed over before the last one's nats are there."""
    monkeypatch.setattr("melodygru.training.trainer.on_gpu", lambda: True)
    monkeypatch.setattr(second, "_ahead", 1)
    shutil.copy(undisturbed.folder / "3.resume", second.resume_path)
    second.output.unlink(missing_ok=True)
    if (undisturbed.folder / "3.keras").exists():
        shutil.copy(undisturbed.folder / "3.keras", second.output)
    second.restore()
    assert second.run() is True
    _same_end(second, undisturbed)


def test_nothing_to_resume_is_said(second, tmp_path):
    second.resume_path.unlink(missing_ok=True)
    second.output.unlink(missing_ok=True)
    with pytest.raises(TrainingError, match=r"toy\.resume: nothing to resume; train without --resume$"):
        second.restore()
    second.output.write_bytes(b"")
    with pytest.raises(TrainingError, match=r"nothing to resume \(the run is finished: the checkpoint is there\);"):
        second.restore()
    second.output.unlink()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"array_0": lambda a: a.astype(np.float64)}, "array_0: float64 of shape"),
        ({"array_0": lambda a: a[:1]}, "array_0: float32 of shape"),
        ({"array_0": lambda a: np.full_like(a, np.nan)}, "array_0 is not finite"),
        (
            {"state_0": lambda a: np.zeros((len(a) + 1, *a.shape[1:]), a.dtype)},
            "states are not those of its batch's rows",
        ),
        ({f"state_{i}": lambda a: a[:1] for i in range(2)}, "not those of its batch's rows"),
        ({"about": lambda a: _about(a, batch=99)}, "position is beyond the epoch"),
        ({"about": lambda a: _about(a, window=99)}, "position is beyond the epoch"),
        ({"about": lambda a: _about(a, step=-1)}, "position.step -1: expected"),
        ({"about": lambda a: _about(a, best=None)}, "position.best None: expected"),
        ({"about": lambda a: _about(a, seconds=float("inf"))}, "position.seconds inf: expected"),
        ({"about": lambda a: _about(a, recent=[1.0])}, "position.recent a list: expected a list of 2"),
        ({"about": lambda a: _about(a, history=[{"step": "1"}])}, r"position.history\[0\]: minutes is missing"),
        ({"about": lambda a: _about(a, more=1)}, "position: 'more' is unknown"),
    ],
)
def test_every_number_of_a_save_is_checked(undisturbed, second, changes, reason):
    with np.load(undisturbed.folder / "3.resume") as saved:
        arrays = dict(saved)
    for name, change in changes.items():
        arrays[name] = change(arrays[name])
    with open(second.resume_path, "wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(TrainingError, match=rf"toy\.resume: damaged \(.*{reason}.*\); train without --resume$"):
        second.restore()


def test_a_run_whose_batches_were_made_otherwise_is_not_gone_on_with(undisturbed, second):
    with np.load(undisturbed.folder / "3.resume") as saved:
        arrays = dict(saved)
    about = json.loads(arrays["about"].tobytes())
    del about["run"]["batches"]  # as it was saved before they had a number
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with open(second.resume_path, "wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(TrainingError, match=r"toy\.resume: the interrupted run differs in batches; give the same"):
        second.restore()
    second.resume_path.unlink()


@pytest.mark.slow
def test_a_run_in_which_pieces_follow_one_another_is_stopped_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("melodygru.training.pieces.LONG", 1)
    whole = _trainer(tmp_path / "whole" / "toy.keras").watch(tmp_path / "saves")
    assert len(whole.pieces.plan(0)) == 1 < whole.pieces.plan(0)[0].windows
    assert whole.run(save_every_s=-1) is True
    whole.note()
    for stop_at in (2, 5):
        output = tmp_path / str(stop_at) / "toy.keras"
        first = _trainer(output).watch(tmp_path / f"first {stop_at}", stop_at=stop_at)
        assert first.run(save_every_s=-1) is False
        assert first.position.window > 0
        second = _trainer(output, seed=4).watch(tmp_path / f"second {stop_at}")
        second.restore()
        assert second.run() is True
        _same_end(second, whole)


def _about(array, **changes):
    """The description of a run with other values of its position."""
    about = json.loads(array.tobytes())
    about["position"] |= changes
    return np.frombuffer(json.dumps(about).encode(), np.uint8)


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "end", "flip", "npy", "fewer"])
def test_a_damaged_save_is_refused(undisturbed, second, damage):
    data = (undisturbed.folder / "3.resume").read_bytes()
    path = second.resume_path
    reason = {"npy": "not a zip file", "fewer": "run", "empty": "not a zip file"}.get(damage, "")
    if damage == "npy":
        with open(path, "wb") as file:
            np.save(file, np.arange(3))
    elif damage == "fewer":
        with open(path, "wb") as file:
            np.savez(file, about=np.frombuffer(b"{}", np.uint8))
    else:
        flipped = bytearray(data)
        flipped[200:260] = bytes(60)
        path.write_bytes(
            {
                "empty": b"",
                "text": b"not a save",
                "cut": data[: len(data) // 2],
                "end": data[:-1],
                "flip": bytes(flipped),
            }[damage]
        )
    with pytest.raises(TrainingError, match=rf"toy\.resume: damaged \(.*{reason}.*\); train without --resume$"):
        second.restore()
    path.unlink()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"settings": dataclasses.replace(SHORT, seed=6)}, "settings"),
        ({"settings": dataclasses.replace(SHORT, epochs=4)}, "settings"),
        ({"card": {"corpus": "another"}}, "corpus"),
        ({"sizes": dataclasses.replace(SIZES, drop_head=0.4)}, "architecture"),
        ({"card": {"corpus": "another"}, "settings": dataclasses.replace(SHORT, batch=4)}, "settings and corpus"),
    ],
)
def test_another_runs_save_is_refused(undisturbed, tmp_path, changes, what):
    trainer = _trainer(tmp_path / "toy.keras", **changes)
    shutil.copy(undisturbed.folder / "3.resume", trainer.resume_path)
    with pytest.raises(
        TrainingError, match=rf"the interrupted run differs in {what}; give the same folder and options"
    ):
        trainer.restore()


@pytest.fixture
def anew(undisturbed, second):
    """Begin a run with other settings, on a trainer that is traced already: anew(epochs=2, ...)."""

    def begin(**changes):
        shutil.copy(undisturbed.folder / "0.resume", second.resume_path)
        second.output.unlink(missing_ok=True)
        second.restore()
        second.position.steps = None
        second.settings = dataclasses.replace(SHORT, **changes)
        return second

    yield begin
    second.settings = SHORT
    second.resume_path.unlink(missing_ok=True)


def test_patience_ends_a_run_that_no_longer_learns(anew):
    trainer = anew(epochs=40, learning_rate=1e-30, patience=2)
    assert trainer.run() is True
    # The first validation is the best there is; two more that are no better, and it is over.
    assert len(trainer.position.history) == 3
    assert len({row["validation_nats_per_note"] for row in trainer.position.history}) == 1
    assert trainer.position.step < trainer.position.steps
    assert not trainer.resume_path.exists()
    assert len(checkpoint.read(trainer.output).card["history"]) == 1


class Clock:
    """Seconds that pass only where a trainer takes a step or judges."""

    def __init__(self, trainer, step_s, judging_s=0.0, tracing_s=0.0):
        self.now, self.ends, step, judge = 1000.0, [], trainer._step, trainer._judge

        def slow_step(*inputs):
            self.now += tracing_s if not self.ends else step_s(self.now - 1000)
            self.ends.append(self.now - 1000)
            return step(*inputs)

        def slow_judge(*about):
            self.now += judging_s
            return judge(*about)

        trainer.clock, trainer._step, trainer._judge = self, slow_step, slow_judge

    def __call__(self):
        return self.now


@pytest.fixture
def timed(anew):
    """A run of minutes, whose steps and validations take the seconds given: its trainer, clock and learning rates."""
    trainer = anew(epochs=None, minutes=10)

    def run(step_s, *clock, before_s=0.0, reserve_s=0.0):
        begun = Clock(trainer, step_s, *clock)
        trainer.budget = Budget(10, begun.now - before_s, begun)
        trainer.budget.reserve_s = reserve_s
        reports = []
        assert trainer.run(reports.append, save_every_s=1e9) is True
        return trainer.position, begun, reports

    yield run
    trainer.budget, trainer.clock = None, time.perf_counter
    del trainer._judge


@pytest.mark.parametrize(
    ("step_s", "clock", "before_s", "reserve_s"),
    [
        (lambda _: 4, (), 0, 0),
        (lambda _: 4, (8, 40), 0, 0),  # validations and tracing take time, too
        (lambda _: 4, (8, 40), 120, 60),  # and what came before, and what follows
        (lambda now: 2 if now < 150 else 10, (8, 40), 60, 30),  # the machine has other things to do
        (lambda now: 10 if now < 300 else 2, (8, 40), 60, 30),
    ],
)
def test_minutes_hold_from_beginning_to_end_however_fast_the_steps(timed, step_s, clock, before_s, reserve_s):
    position, begun, reports = timed(step_s, *clock, before_s=before_s, reserve_s=reserve_s)
    assert 600 * 0.95 < before_s + begun.now - 1000 + reserve_s < 600 * 1.02
    assert position.step == position.steps == len(begun.ends)
    rates = [row["learning_rate"] for row in position.history]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0.005 and rates[-1] < 0.001  # of 0.01
    assert 2 <= len(rates) <= 25
    assert reports[-1].step == position.step
    assert reports[-1].minutes_left == pytest.approx(reserve_s / 60, abs=0.4)
    assert all(one.minutes_left <= 10 for one in reports if one.minutes_left is not None)


def test_a_run_whose_time_is_over_before_it_begins_takes_one_step_and_is_judged(timed):
    position, begun, _ = timed(lambda _: 4, 8, 40, before_s=700)
    assert (position.step, position.steps, begun.now) == (1, 1, 1048)
    assert len(position.history) == 1


def test_what_was_used_before_an_interruption_counts(anew):
    trainer = anew(epochs=None, minutes=10)
    clock = Clock(trainer, lambda _: 4)
    trainer.position.spent_s = 300
    assert trainer.run(save_every_s=1e9) is True
    assert 280 < clock.now - 1000 < 310
    trainer.budget, trainer.clock = None, time.perf_counter
    del trainer._judge


def _plan(step_s, events, minutes=10.0, judged=0):
    """What a pace says after 20 steps of a batch of 2 windows of 50 events."""
    clock, timer = iter(np.arange(100) * 0.0 + 20 * step_s), Timer()
    for step in range(20):
        timer.add(step * step_s, 100)
    budget = Budget(minutes, 0.0, clock.__next__)
    settings = Settings(minutes=minutes, batch=2, window=50)
    return Pace(budget, settings, np.array(events)).after(20, timer, 20 * step_s, 0.0, judged)


def test_held_out_pieces_are_left_out_where_a_validation_would_take_too_long():
    # An event takes 10 ms to learn, 5 ms to judge at most; a validation may take 30 seconds, or 6,000 events.
    assert _plan(1.0, [1500] * 4)[1] == 4
    assert _plan(1.0, [1501] * 4)[1] == 2
    assert _plan(1.0, [1501] * 4, minutes=20)[1] == 4
    assert _plan(1.0, [90_000] * 4)[1] == 1
    assert _plan(1.0, [1501] * 4, judged=4)[1] == 4  # settled before


def test_one_figure_is_told_during_training_and_after(undisturbed):
    best = min(row["validation_nats_per_note"] for row in undisturbed.position.history)
    again = evaluate(load_model(undisturbed.output), _corpora()[1])
    assert undisturbed.held_out == again
    assert again.nats_per_note == best == undisturbed.position.best


def test_a_likelihood_that_is_none_ends_the_run(anew):
    trainer = anew(epochs=1)
    trainer.model.bag.table.assign(trainer.model.bag.table.numpy() * np.nan)
    with pytest.raises(TrainingError, match=r"^the likelihood became nan at step 0: try a lower --learning-rate$"):
        trainer.run()
    assert not trainer.output.exists()


# -- evaluation


def test_nats_of_pieces_have_a_mean_and_a_spread_for_each_style_and_for_all():
    pieces = [("a", 1.0), ("a", 2.0), ("a", 3.0), ("b", 6.0)]
    # the outermost count as the first and ninth tenth: 1.2, 2, 2.8; and 1.3, 2, 3, 5.1
    assert nats_by_style(pieces, ("a", "b")) == [(2.0, 0.6532), None, (2.85, 1.43265)]
    assert nats_by_style(pieces[:2], ()) == [None]


def test_evaluation_is_the_sum_by_hand():
    model = toys.model("many", 1)
    piece = toys.sequence_of([(2, 4, 0, 60, 81), (2, 150, 40, 48, 10), (9, 1, 0, 127, 127)], 400)
    events = encode(piece, model.vocabulary, metre_known=False)
    logits, _ = model.logits(toys.batch([events]), model.initial_state(1))
    log_p = {}
    for column, field in enumerate(model.vocabulary.fields):
        values = np.asarray(logits[field][0], np.float64)
        values -= (
            np.log(np.exp(values - values.max(-1, keepdims=True)).sum(-1, keepdims=True)) + values.max(-1)[:, None]
        )
        for t in range(4):
            if t < 3 or column < 2:
                log_p[t, column] = values[t, events.fields[t, column]]
    width = {(t, c): TIMES.width[events.fields[t, c]] for t, c in log_p if c in (SHIFT, DURATION)}
    assert width[1, DURATION] > 1
    assert width[3, SHIFT] > 1
    by_hand = -sum(log_p.values()) + sum(math.log(w) for w in width.values())
    measured = []
    found = evaluate(model, [piece], on_piece=lambda *found: measured.append(found))
    assert found.nats == pytest.approx(by_hand, rel=1e-5)
    assert (found.pieces, found.notes, found.events, found.steps, found.lossy_notes) == (1, 3, 4, 400, 0)
    assert (found.beats, found.seconds) == (100, 50)
    assert found.nats_per_note == pytest.approx(by_hand / 3, rel=1e-5)
    assert found.nats_per_step == pytest.approx(by_hand / 400, rel=1e-5)
    assert found.unmodelled == []
    assert found.as_dict()["nats_per_note"] == found.nats_per_note
    ((index, sequence, events, values),) = measured
    assert (index, sequence == piece, len(events), values.shape) == (0, True, 4, (4, 5))


def test_performances_are_measured_by_the_public_events_too():
    model = toys.model("performance", 1)
    piece = toys.sequence_of([(50, 50, 0, 60, 64), (100, 10, 0, 64, 67)], grid=toys.PERFORMANCE)
    found = evaluate(model, [piece, piece])
    assert found.performance_events == 2 * 8  # shift, velocity, on; shift, off; on; shift, off
    assert found.nats_per_performance_event == found.as_dict()["nats_per_performance_event"] == found.nats / 16
    metrical = evaluate(toys.model("one", 1), [toys.sequence_of([(0, 4, 0, 60, 80)])])
    assert metrical.performance_events is metrical.nats_per_performance_event is None


@pytest.mark.parametrize("name", ["many", "performance"])
def test_nats_depend_on_neither_batch_nor_window(name):
    vocabulary, model = VOCABULARIES[name], toys.model(name, 2)
    pieces = [encode(toys.piece(vocabulary, seed, n), vocabulary) for seed, n in enumerate((3, 40, 17, 16, 33))]
    lengths = [len(piece) - 1 for piece in pieces]
    sums = {}
    for batch, window in ((1, 256), (32, 256), (2, 8), (5, 16), (3, 1)):
        found = {
            i: (log_p, e)
            for i, e, log_p in log_likelihoods(model, lengths, pieces.__getitem__, batch=batch, window=window)
        }
        assert sorted(found) == [0, 1, 2, 3, 4]
        assert all(found[i][1] is pieces[i] and found[i][0].shape == (len(pieces[i]), 5) for i in found)
        sums[batch, window] = [float(found[i][0].sum(dtype=np.float64)) for i in range(5)]
    for values in sums.values():
        np.testing.assert_allclose(values, sums[1, 256], rtol=1e-4)


def test_carried_state_matters():
    """Windows without the state before them would give other numbers: so the test above can fail."""
    model = toys.model("many", 2)
    events = encode(toys.piece(model.vocabulary, 1, 40), model.vocabulary)
    whole, _ = model.log_likelihood(toys.batch([events]), model.initial_state(1))
    first, state = model.log_likelihood(toys.batch([events], 0, 16), model.initial_state(1))
    second, _ = model.log_likelihood(toys.batch([events], 16, len(events)), state)
    fresh, _ = model.log_likelihood(toys.batch([events], 16, len(events)), model.initial_state(1))
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, atol=1e-5)
    assert np.abs(fresh - second).max() > 1e-3


def test_what_the_vocabulary_cannot_hold_is_counted():
    model = toys.model("one", 1)
    piece = toys.sequence_of([(0, 4, 5, 60, 80), (4, 4, 0, 62, 99)])
    found = evaluate(model, [piece])
    assert found.lossy_notes == 1  # another program; the velocity is unmodelled, and said so
    assert found.unmodelled == ["part", "velocity"]


# -- fine-tuning and devices


def test_fine_tuning_needs_the_same_grid(tmp_path):
    path = tmp_path / "toy.keras"
    model = toys.model("styles", 1)
    save(model, path)
    tuned = fine_tune_from(path, BEAT)
    assert tuned.vocabulary == model.vocabulary
    assert _same(tuned.get_weights(), model.get_weights())
    with pytest.raises(
        TrainingError,
        match="was trained on a grid of 4 steps per beat, this music is on 10 ms per step: give --grid 4$",
    ):
        fine_tune_from(path, VOCABULARIES["performance"].grid)


@pytest.mark.parametrize(
    ("gpus", "gains"),
    [
        ([], False),
        ([(6, 1)], False),
        ([(7, 0)], True),
        ([(9, 0), (7, 5)], True),
        ([(9, 0), (6, 1)], False),
        ([None], False),  # TensorFlow does not know
    ],
)
def test_float16_is_for_gpus_with_tensor_cores(gpus, gains):
    details = [{"compute_capability": gpu} if gpu else {} for gpu in gpus]
    assert training.gains_from_float16(details) is gains


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_a_run_in_mixed_precision_learns_much_the_same(kind, tmp_path):
    """On a CPU, which is slow at the one and may be at the other."""
    curves = []
    for mixed in (False, True):
        keras.mixed_precision.set_dtype_policy("mixed_float16" if mixed and kind == "float16" else "float32")
        set_bfloat16(mixed and kind == "bfloat16")
        try:
            assert training.is_mixed_precision() is mixed
            settings = dataclasses.replace(SHORT, epochs=1, mixed_precision=mixed)
            sizes = dataclasses.replace(SIZES, drop_input=0, drop_layer=0, drop_head=0)
            trainer = _trainer(tmp_path / f"{mixed}.keras", settings, cls=Trainer, sizes=sizes)
            assert trainer.run()
        finally:
            keras.mixed_precision.set_dtype_policy("float32")
            set_bfloat16(False)
        assert all(v.numpy().dtype == np.float32 for v in trainer.model.trainable_variables)
        curves.append([row["validation_nats_per_note"] for row in trainer.position.history])
    assert curves[1] != curves[0]
    assert curves[1] == pytest.approx(curves[0], rel=0.01)


def test_an_update_is_that_of_adamw_and_its_average_follows():
    shapes = {"kernel": (2, 3), "bias": (3,), "table": (4, 2)}
    ours, theirs = ([keras.Variable(np.full(s, 0.5, np.float32), name=n) for n, s in shapes.items()] for _ in range(2))
    optimizer = AveragedAdamW(ours, 0.2)
    peer = keras.optimizers.AdamW(0.1, beta_2=0.99, weight_decay=0.2, epsilon=1e-8)
    peer.exclude_from_weight_decay(var_list=[theirs[1]])
    rng = np.random.default_rng(1)
    average = [v.numpy() for v in ours]
    for step, (rate, decay) in enumerate(((0.1, 0.5), (0.05, 0.9), (0.2, 0.8))):
        gradients = [tf.constant(rng.normal(size=shape), tf.float32) for shape in shapes.values()]
        optimizer.apply(optimizer.join(gradients), *map(tf.constant, (step, rate, decay)))
        peer.learning_rate.assign(rate)
        peer.apply(gradients, theirs)
        average = [decay * a + (1 - decay) * v.numpy() for a, v in zip(average, theirs, strict=True)]
    for mine, other, its_average, found in zip(ours, theirs, average, optimizer.averages(), strict=True):
        assert np.abs(mine.numpy() - 0.5).min() > 1e-3
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-5)
        np.testing.assert_allclose(found, its_average, rtol=1e-5)


def test_a_step_is_traced_once(undisturbed):
    assert undisturbed._step.experimental_get_tracing_count() == 1


def test_windows_are_counted_by_the_corpus_even_where_notes_merge():
    """A vocabulary of one program makes two notes one: the piece is a window shorter, the plan stays."""
    rows = [(i, 1, program, 60, 80) for i in range(8) for program in (0, 1)]
    pieces = Pieces([toys.sequence_of(rows)], [None], VOCABULARIES["one"], Settings(epochs=1, window=8, transpose=0))
    assert len(pieces.encode(0, 0)) == 9 and pieces.lengths(0)[0] == 17
    (batch,) = pieces.plan(0)
    windows = list(pieces.batch_windows(0, batch))
    assert len(windows) == batch.windows == 3
    assert (windows[2][0]["fields"] == -1).all()


def test_the_device_is_named():
    try:
        line = training.set_up_device(mixed_precision=True)
        assert line.startswith("training on ")
        assert "mixed precision" in line
        assert training.set_up_device().startswith("training on ")
        assert (
            keras.mixed_precision.global_policy().name == "float32"
            if hasattr(keras.mixed_precision, "global_policy")
            else keras.mixed_precision.dtype_policy().name == "float32"
        )
    finally:
        training.set_up_device()


@pytest.mark.parametrize(("there", "asked", "gains"), [(True, None, True), (True, False, False), (False, True, False)])
def test_a_cpu_takes_products_in_bfloat16_where_it_is_fast_at_it(there, asked, gains, monkeypatch):
    monkeypatch.setattr("melodygru.training.device.gains_from_bfloat16", lambda: there)
    try:
        line = training.set_up_device(mixed_precision=asked)
        assert training.is_mixed_precision() is gains
        assert line.endswith(", mixed precision") is gains
        assert ("is off" in line) is bool(asked)
    finally:
        training.set_up_device()
    assert not training.is_mixed_precision()


@pytest.mark.parametrize(
    ("pieces", "notes", "epochs"),
    [
        (300, 150, 40),  # 45,000 notes
        (8000, 500, 40 * 0.1**0.35),  # ten times 400,000
        (16, 64, 200),  # one update an epoch: 200 of them
    ],
)
def test_a_larger_corpus_has_fewer_epochs_and_a_tiny_one_more(pieces, notes, epochs):
    piece = toys.sequence_of([(at, 1, 0, 60, 80) for at in range(notes)])
    assert default_epochs([piece] * pieces) == pytest.approx(epochs, abs=0.05)


@pytest.mark.parametrize(
    ("updates", "found"),
    [  # of as many events as on a CPU
        (1, (64, 32, 0.003, 50, 0.6)),
        (7999, (64, 32, 0.003, 50, 0.6)),
        (8000, (64, 64, 0.003 * 2**0.5, 71, 0.6 * 2**0.5)),
        (16_000, (64, 128, 0.006, 100, 1.2)),
        (32_000, (128, 128, 0.006 * 2**0.5, 141, 1.2 * 2**0.5)),
        (64_000, (256, 128, 0.012, 200, 2.4)),
        (10**9, (256, 128, 0.012, 200, 2.4)),
    ],
)
def test_a_long_run_on_a_gpu_learns_from_more_at_once(updates, found):
    suited = for_update(2048 * 100, updates / 100, gpu=True)
    assert tuple(suited.values()) == pytest.approx(found)
    Settings(epochs=1, **suited)


@pytest.mark.parametrize(
    ("batch", "found"),
    [
        (4, (4, 128, 0.003, 50, 0.6)),
        (16, (16, 128, 0.003, 50, 0.6)),
        (64, (64, 32, 0.003, 50, 0.6)),
        (256, (256, 8, 0.003, 50, 0.6)),
        (1024, (1024, 8, 0.006, 100, 1.2)),  # no shorter windows: four times the events
    ],
)
def test_more_pieces_at_once_have_shorter_windows_whatever_the_corpus(batch, found):
    assert tuple(for_update(10**9, 1, batch, gpu=False).values()) == pytest.approx(found)
    assert for_update(1, 1, batch, gpu=True) == for_update(1, 1, batch, gpu=False)


def test_a_large_corpus_has_more_pieces_at_once_on_a_cpu():
    small, large = (for_update(notes, 10, gpu=False) for notes in (399_999, 400_000))
    assert small.items() <= dataclasses.asdict(Settings(epochs=1)).items()
    assert (large["batch"], large["window"]) == (32, 64)
    performed = for_update(400_000, 10, gpu=False, performed=True)
    assert performed == {**large, "learning_rate": 0.006, "weight_decay": 0.1}
    assert for_update(399_999, 10, gpu=False, performed=True) == small
    assert for_update(2_000_000, 10, gpu=False, performed=True) == {**performed, "batch": 64, "window": 32}
    assert {name: small[name] for name in small if name not in ("batch", "window")} == {
        name: large[name] for name in large if name not in ("batch", "window")
    }


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"step": 120, "steps": 1900, "minutes_left": 63.5, "validation_nats_per_note": 2.4125},
            "step 120/1,900, 1:03:30 left, train 2.312, held out 2.413 nats per note, 5,300 notes/s, epoch 3",
        ),
        (
            {"step": 1, "steps": None, "minutes_left": None, "validation_nats_per_note": None},
            "step 1, time left unknown, train 2.312 nats per note, 5,300 notes/s, epoch 3",
        ),
    ],
)
def test_progress_is_a_line_of_text(values, text):
    progress = Progress(epoch=2, minutes=1.0, train_nats_per_note=2.3119, notes_per_second=5300.4, **values)
    assert str(progress) == text
