"""melodygru explain: a trace is what the model does; what is said of units holds where the answer is known."""

import base64
import dataclasses
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest
import toys
from click.testing import CliRunner
from conftest import rows_of
from toys import VOCABULARIES

from melodygru import midi
from melodygru.analysis.explain import Tracer, explain, follow, half_lives, most_surprising
from melodygru.analysis.explain.following import pitch_profile, positions, profile
from melodygru.analysis.explain.report import Report, drawn_part_of, per_cent, three_digits
from melodygru.cli import main
from melodygru.errors import CorpusError, NoteError
from melodygru.events import END, FIRST_PART, NEW, TIMES
from melodygru.model import checkpoint
from melodygru.model.cells import CELLS
from melodygru.model.cells.cell import gate_sigmoid
from melodygru.model.numpy_model import NumpyModel
from melodygru.model.trace import Trace
from melodygru.music.notes import DRUMS, NOTE
from melodygru.music.quantize import quantize
from melodygru.render import pictures
from melodygru.render.pages import explain as explain_page
from melodygru.render.pictures import explain as drawing

command = sys.modules["melodygru.cli.explain"]  # the name in the package is the command itself
DRAW = explain_page._png
FOLDER = tempfile.TemporaryDirectory()  # of checkpoints


@functools.cache
def saved(name, layers=2, cell="gru"):
    """The checkpoint of `toys.model(...)`."""
    return checkpoint.read(file(name, layers, cell))


@functools.cache
def file(name, layers=2, cell="gru"):
    """A checkpoint's file, there as long as the tests run."""
    from melodygru.model.keras_model import save

    path = Path(FOLDER.name) / f"{name}-{layers}-{cell}.keras"
    save(toys.model(name, layers, cell=cell), path)
    return path


def tracer_of(contents):
    """What traces pieces through a checkpoint's model."""
    return Tracer(NumpyModel(contents))


@functools.cache
def traced(name, layers=2, cell="gru", n=40):
    """A toy piece, traced."""
    return tracer_of(saved(name, layers, cell)).trace(toys.piece(VOCABULARIES[name], 0, n))


def changed(weights, name, layers=2, cell="gru"):
    """The toy checkpoint with other weights."""
    return dataclasses.replace(saved(name, layers, cell), weights={**saved(name, layers, cell).weights, **weights})


class TestTracer:
    @pytest.mark.parametrize("cell", ["gru", "lstm"])
    @pytest.mark.parametrize(("name", "layers"), [("many", 2), ("performance", 2)])
    def test_outputs_are_the_states_of_the_network(self, name, layers, cell):
        network, found = toys.network(name, layers, cell=cell), traced(name, layers, cell)
        inputs = toys.batch([found.events])
        state = network.initial_state(1)
        for t in range(len(found)):
            step = network.step(inputs["previous"][:, t], inputs["before"][:, t], inputs["context"][:, t], state)
            state = step.state
            expected = np.stack(state[:: network.cell.states], 1)[0]
            np.testing.assert_allclose(found.outputs[t], expected, atol=1e-5)
        assert found.outputs.std() > 0.1
        assert list(found.gates) == list(CELLS[cell].gates)

    @pytest.mark.parametrize(
        ("name", "cell"), [("one_loud", "gru"), ("many", "gru"), ("many", "lstm"), ("styles", "gru")]
    )
    def test_nats_are_those_of_the_keras_model(self, name, cell):
        found, model = traced(name, 2, cell), toys.model(name, 2, cell=cell)
        log_p, _ = model.log_likelihood(toys.batch([found.events]), model.initial_state(1))
        np.testing.assert_allclose(found.nats, -log_p.numpy()[0], rtol=1e-4, atol=1e-4)
        assert found.nats.sum() == pytest.approx(-float(log_p.numpy().sum()), rel=1e-5)

    @pytest.mark.slow
    def test_nats_together_are_those_of_evaluate(self):
        from melodygru import training

        pieces = [toys.piece(VOCABULARIES["performance"], seed, 30) for seed in range(2)]
        total = training.evaluate(toys.model("performance", 1), pieces).nats
        tracer = tracer_of(saved("performance", 1))
        assert sum(tracer.trace(piece).nats.sum() for piece in pieces) == pytest.approx(total, rel=1e-5)

    def test_probabilities_sum_to_one_and_what_cannot_follow_has_none(self):
        found = traced("many")
        for field, log_p in found.log_p.items():
            rows = len(found) if field in ("shift", "part") else len(found) - 1
            np.testing.assert_allclose(np.exp(log_p[:rows]).sum(1), 1, rtol=1e-5, err_msg=field)
        assert np.isneginf(found.log_p["duration"][:, 0]).all()

    def test_a_gru_keeps_the_share_of_its_update_gate(self):
        found = traced("many", 1)
        z, h = found.gates["update"][1:, 0], found.outputs[:, 0]
        candidate = (h[1:] - z * h[:-1]) / (1 - z)
        assert (np.abs(candidate) <= 1 + 1e-4).all() and np.abs(candidate).max() > 0.5
        assert z.min() > 0 and z.max() < 1

    def test_gates_of_weights_worked_by_hand(self):
        shape = saved("one", 1).weights["gru/0/bias"].shape
        bias = np.zeros(shape, np.float32)
        bias[0, :10] = np.log(3)  # z = 3/4
        bias[1, 10:20] = -np.log(4)  # r = 1/5
        nothing = {f"gru/0/{part}": 0 * saved("one", 1).weights[f"gru/0/{part}"] for part in ("kernel", "recurrent")}
        tracer = tracer_of(changed({**nothing, "gru/0/bias": bias}, "one", 1))
        found = tracer.trace(toys.piece(VOCABULARIES["one"], 0, 20))
        np.testing.assert_allclose(found.gates["update"], 0.75, rtol=1e-6)
        np.testing.assert_allclose(found.gates["reset"], 0.2, rtol=1e-6)
        notes, _ = half_lives([found], "update")
        np.testing.assert_allclose(notes, np.log(0.5) / np.log(0.75), rtol=1e-5)  # 2.41

    @pytest.mark.parametrize("layer", [0, 1])
    def test_silencing_is_what_the_weights_of_a_constant_unit_do(self, layer):
        unit, value = 3, 0.4
        weights = {name: w.copy() for name, w in saved("many").weights.items() if name.startswith(f"gru/{layer}/")}
        for gate in (0, 10, 20):
            weights[f"gru/{layer}/kernel"][:, gate + unit] = 0
            weights[f"gru/{layer}/recurrent"][:, gate + unit] = 0
            weights[f"gru/{layer}/bias"][:, gate + unit] = 0
        weights[f"gru/{layer}/bias"][0, unit] = -60  # z = 0
        weights[f"gru/{layer}/bias"][0, 20 + unit] = np.arctanh(value)
        expected = tracer_of(changed(weights, "many")).trace(traced("many").sequence).nats
        tracer = tracer_of(saved("many"))
        for stop in (len(expected), 7):
            nats = tracer.nats_without(traced("many"), layer, np.array([5, unit]), np.array([0.1, value]), stop)
            assert nats[1] == pytest.approx(expected[:stop].sum(), rel=1e-5)
            assert abs(nats[0] - nats[1]) > 1e-3 < abs(nats[1] - traced("many").nats[:stop].sum())

    @pytest.mark.parametrize("cell", ["gru", "lstm"])
    def test_a_memory_that_begins_later_is_the_model_started_there(self, cell):
        model, found = toys.model("many", 2, cell=cell), traced("many", 2, cell)
        steps = np.array([4, 20]) + np.arange(9)[:, None]
        nats = tracer_of(saved("many", 2, cell)).nats_since(found, steps)
        for stream, start in enumerate((4, 20)):
            inputs = toys.batch([found.events], start, start + 9)
            log_p, _ = model.log_likelihood(inputs, model.initial_state(1))
            np.testing.assert_allclose(nats[:, stream], -log_p.numpy()[0].sum(1), rtol=1e-4)

    def test_another_grid_is_refused(self):
        with pytest.raises(NoteError, match="this vocabulary needs 10 ms per step"):
            tracer_of(saved("performance")).trace(toys.piece(VOCABULARIES["one"]))

    def test_a_closed_gate_has_a_logarithm(self):
        assert gate_sigmoid(np.float32([-500, 0, 500])).tolist() == [pytest.approx(np.exp(-80)), 0.5, 1.0]


def made(outputs, onsets, grid=toys.BEAT, metres=((0, 4, 4),), pitch=60, gate=0.5, program=0):
    """A trace as it would be if the units gave out `outputs`, shape (n, units), after notes at `onsets`."""
    rows = np.zeros(len(onsets), NOTE)
    rows["onset"], rows["duration"], rows["velocity"], rows["program"] = onsets, 1, 80, program
    rows["pitch"] = pitch
    sequence = toys.sequence_of(rows_of(rows), grid=grid, metres=metres)
    assert len(sequence) == len(onsets)
    outputs = np.concatenate([np.zeros((1, outputs.shape[1])), outputs]).astype(np.float32)[:, None]
    gates = {"update": np.full(outputs.shape, gate, np.float32)}
    return Trace(sequence, np.zeros(len(outputs)), outputs, gates, np.zeros((len(outputs), 5)), {})


class TestHalfLives:
    def test_half_is_left_after_a_note_where_the_gate_is_a_half(self):
        notes, beats = half_lives([made(np.ones((5, 2)), [0, 4, 8, 12, 16])], "update")
        assert notes.shape == (1, 2)
        np.testing.assert_allclose(notes, 1)
        np.testing.assert_allclose(beats, 1)  # a note a beat

    @pytest.mark.parametrize(("gate", "n"), [(0.25, 0.5), (0.5**0.5, 2.0), (1.0, np.inf)])
    def test_other_gates(self, gate, n):
        found = made(np.ones((9, 1)), np.arange(9) * 2, gate=gate)
        notes, beats = half_lives([found, found], "update")
        np.testing.assert_allclose(notes, n, rtol=1e-5)
        np.testing.assert_allclose(beats, n / 2, rtol=1e-5)  # two notes a beat

    def test_seconds_on_a_grid_of_seconds(self):
        _, seconds = half_lives([made(np.ones((5, 1)), np.arange(5) * 25, grid=toys.PERFORMANCE)], "update")
        np.testing.assert_allclose(seconds, 0.25)


def slow(rng, n, units, keep=0.95):
    """Units that wander: each output is mostly the one before it."""
    noise = rng.normal(size=(n, units))
    for t in range(1, n):
        noise[t] += keep * noise[t - 1]
    return noise


class TestFollowing:
    def test_positions(self):
        at = positions(made(np.ones((6, 1)), [0, 5, 15, 16, 31, 37], metres=((0, 4, 4), (24, 6, 8))).sequence)
        assert at.position.tolist() == [0, 5, 15, 0, 7, 1]  # in 6/8 a bar has 12 steps, and begins at 24, 36
        assert at.bar.tolist() == [16, 16, 16, 16, 12, 12]
        assert at.bar_number.tolist() == [0, 0, 0, 1, 2, 3]
        assert at.beat.tolist() == [4, 4, 4, 4, 6, 6]
        assert at.step.tolist() == [0, 1, 3, 0, 1, 1]
        assert at.beat_number.tolist() == [0, 1, 3, 4, 9, 10]

    def test_the_profile_is_of_the_last_24_notes_without_drums(self):
        pitches = [60] * 20 + [62] * 12
        shares = pitch_profile(made(np.ones((32, 1)), range(32), pitch=pitches).sequence)
        assert shares[0].tolist() == [1] + [0] * 11
        np.testing.assert_allclose(shares[31, [0, 2]], [0.5, 0.5])
        assert not pitch_profile(made(np.ones((3, 1)), range(3), program=DRUMS).sequence).any()

    def test_each_unit_follows_what_it_was_made_to_follow_and_the_slow_ones_nothing(self, rng):
        n = 32 * 16
        onsets = np.flatnonzero(rng.random(n) < 0.6)
        pitch = 60 + 3 * (onsets // 70 % 3)  # keys change every 70 steps, which is no bar
        units = slow(rng, len(onsets), 8) / 3
        units[:, 0] = rng.normal(size=len(onsets)) + (onsets % 4 == 0)
        units[:, 1] = rng.normal(size=len(onsets)) + (onsets % 16 == 0) * 3
        units[:, 2] = rng.normal(size=len(onsets)) + (onsets // 16 % 4 == 3) * 3
        units[:, 3] = rng.normal(size=len(onsets)) * 0.3 + pitch
        found = follow([made(units, onsets, pitch=pitch)], rng)
        assert {aspect: np.flatnonzero(one.beyond[0]).tolist() for aspect, one in found.items()} == {
            "beat": [0, 1],  # the first step of a bar is the first of a beat
            "bar": [1],
            "phrase": [2],
            "key": [3],
        }
        assert found["key"].scores[0, 3] > 0.5

    def test_by_chance_no_unit_follows(self, rng):
        onsets = np.flatnonzero(rng.random(600) < 0.5)
        named = 0
        for _ in range(10):
            found = follow([made(slow(rng, len(onsets), 30), onsets, pitch=60 + onsets % 5)], rng, 40)
            named += sum(one.beyond.any() for one in found.values())
        assert named <= 6  # of 40 tests at 5%

    def test_differences_between_pieces_and_drifts_are_no_following(self, rng):
        pieces = []
        for key in range(3):
            units = np.stack([np.full(64, float(key)), np.arange(64.0)], 1)
            pieces.append(made(units, np.arange(64), pitch=60 + key))
        found = follow(pieces, rng, 10)
        for one in found.values():
            np.testing.assert_allclose(one.scores, 0, atol=1e-6)
            assert not one.beyond.any()

    def test_without_beats_there_is_the_key_alone(self, rng):
        found = follow([made(rng.normal(size=(40, 2)), np.arange(40) * 9, grid=toys.PERFORMANCE)], rng, 5)
        assert list(found) == ["key"]

    def test_what_a_unit_does_at_each_place(self):
        onsets = np.arange(0, 64, 2)
        found = made((onsets % 8 == 0)[:, None].astype(float), onsets, metres=((0, 2, 4),))
        one = profile([found], "bar", 0, 0)
        assert one.at.tolist() == [0, 0.5, 1, 1.5]  # beats
        assert one.mean[0] - one.mean[1] == pytest.approx(1, abs=0.02)
        assert profile([found], "beat", 0, 0).at.tolist() == [0, 0.5]
        assert profile([found], "phrase", 0, 0).at.tolist() == [1, 2, 3, 4]
        assert profile([found], "key", 0, 0).mean.shape == (12,)


class TestAccount:
    def test_what_is_found(self):
        tracer = tracer_of(saved("many"))
        found = explain(tracer, [traced("many"), traced("many", n=20)])
        assert found.notes == len(traced("many")) + len(traced("many", n=20)) - 2
        assert found.half_life.shape == found.half_life_notes.shape == (2, 10)
        assert len(found.units) == 20  # all ten of each layer
        costs = [unit.nats_per_note for unit in found.units]
        assert costs == sorted(costs, reverse=True) and costs[0] > 0
        assert found.units[0].name == f"{found.units[0].layer}/{found.units[0].unit}"
        assert found.tried_on == found.notes
        assert len(found.forgetting) == len(traced("many")) // 2
        assert abs(found.forgetting[0]) > abs(found.forgetting[-1])  # a model that learned nothing may gain

    def test_a_unit_that_nobody_hears_costs_nothing(self):
        weights = {"gru/1/recurrent": saved("many").weights["gru/1/recurrent"].copy()}
        weights["gru/1/recurrent"][7] = 0
        for field in VOCABULARIES["many"].fields:
            name = f"head/{field}/hidden/kernel"
            weights[name] = saved("many").weights[name].copy()
            weights[name][7] = 0
        tracer = tracer_of(changed(weights, "many"))
        assert tracer.influence(1)[7] == 0 < tracer.influence(1)[6]
        found = explain(tracer, [tracer.trace(traced("many").sequence)])
        costs = {unit.name: unit.nats_per_note for unit in found.units}
        assert costs["1/7"] == pytest.approx(0, abs=1e-6) and abs(costs["1/6"]) > 1e-4

    def test_the_same_seed_gives_the_same_account(self):
        tracer, pieces = tracer_of(saved("many")), [traced("many")]
        first, second, third = explain(tracer, pieces), explain(tracer, pieces), explain(tracer, pieces, seed=1)
        of = [[found.control for found in account.following.values()] for account in (first, second, third)]
        assert of[0] == of[1] != of[2]

    def test_too_little_music(self):
        tracer = tracer_of(saved("one", 1))
        with pytest.raises(CorpusError, match="15 notes: expected 16 or more, at several onsets; give more music"):
            explain(tracer, [tracer.trace(toys.sequence_of([(i, 1, 0, 60, 80) for i in range(15)]))])
        explain(tracer, [tracer.trace(toys.sequence_of([(i, 1, 0, 60, 80) for i in range(16)]))])
        with pytest.raises(CorpusError, match="at several onsets"):
            explain(tracer, [tracer.trace(toys.sequence_of([(0, 1, 0, 40 + i, 80) for i in range(16)]))])


class TestSurprise:
    def test_the_costliest_field_and_what_else_was_likely(self):
        found = traced("many")
        surprises = most_surprising(found, 5)
        totals = found.nats.sum(1)
        assert [one.nats for one in surprises] == pytest.approx(sorted(totals, reverse=True)[:5])
        for one in surprises:
            column = found.nats[one.note].argmax()
            p = np.exp(found.log_p[one.field][one.note])
            assert one.field_nats == found.nats[one.note, column]
            assert one.probability == pytest.approx(p[one.came], rel=1e-5)
            assert one.came == found.events.fields[one.note, column]
            assert one.came not in [value for value, _ in one.alternatives]
            rest = np.delete(p, [one.came, *(value for value, _ in one.alternatives)])
            assert min(probability for _, probability in one.alternatives) >= rest.max() * (1 - 1e-5)

    def test_no_more_than_there_are(self):
        assert len(most_surprising(traced("many", n=7), 99)) == len(traced("many", n=7))


def assert_nothing_cut_or_overlapping(figure):
    """Every text lies on the page, and no two texts touch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    undrawn = set()
    for axes in figure.axes:
        for axis, (low, high), at in ((axes.xaxis, axes.get_xlim(), 0), (axes.yaxis, sorted(axes.get_ylim()), 1)):
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                if not low <= tick.label1.get_position()[at] <= high:
                    undrawn.add(tick.label1)
    texts = [t for t in figure.findobj(Text) if t.get_text() and t.get_visible() and t not in undrawn]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
    assert len(boxes) > 5
    for text, box in zip(texts, boxes, strict=True):
        assert box.x0 >= 0 and box.y0 >= 0, text
        assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text
    for i, box in enumerate(boxes):
        for other, text in zip(boxes[:i], texts[:i], strict=True):
            apart = box.x1 <= other.x0 or other.x1 <= box.x0 or box.y1 <= other.y0 or other.y1 <= box.y0
            assert apart, (texts[i], text)


class TestPictures:
    def test_columns_share_an_onsets_time(self):
        assert drawing._columns(np.array([0.0, 0, 4]), 8.0).tolist() == [0, 2, 4, 8]
        assert drawing._columns(np.array([3.0]), 5.0).tolist() == [3, 5]
        assert drawing._columns(np.zeros(0), 5.0).tolist() == [5]

    @pytest.mark.parametrize("name", ["many", "performance", "one"])
    def test_nothing_is_cut_or_overlaps(self, name, rng):
        sequence = traced(name, 1).sequence
        n = len(sequence)
        nats = rng.exponential(1, (n, 3))
        figure = pictures.surprise_figure(sequence, nats, ("shift", "pitch", "duration"), "W" * 300)
        assert_nothing_cut_or_overlapping(figure)
        rows = [(f"0/{unit}", "12.34 b") for unit in range(12)]
        gates = [("Update gate: open keeps what the unit held, shut replaces it", rng.random((n, 12)))] * 2
        assert_nothing_cut_or_overlapping(pictures.gates_figure(sequence, gates, rows, "W" * 300))

    @pytest.mark.parametrize("layers", [1, 4])
    def test_nothing_is_cut_or_overlaps_in_figures_of_units(self, layers, rng):
        half_life = np.exp(rng.normal(size=(layers, 50)))
        half_life[0, 0] = np.inf
        marks = [(1.0, "beat"), (4.0, "bar of 4/4"), (1e9, "never")]
        assert_nothing_cut_or_overlapping(
            pictures.memory_figure(half_life, "beats", marks, 0.3 * np.exp(-np.arange(32) / 6))
        )
        aspects = ("beat", "bar", "phrase", "key")
        scores = {aspect: (rng.random((layers, 50)) * 0.4, 0.05) for aspect in aspects}
        assert_nothing_cut_or_overlapping(pictures.following_figure(half_life, "beats", scores))
        assert_nothing_cut_or_overlapping(pictures.following_figure(half_life, "seconds", {"key": scores["key"]}))
        crowded = np.array([0, 3, 6, 9, 12, 14, 15, 16]) / 12  # of a jig's beat
        for beat in (np.arange(4) / 4, crowded):
            at = (beat, np.arange(16) / 4, np.arange(1, 5), np.arange(12))
            profiles = [
                (aspect, f"{aspect}: unit 1/23, score 0.12", where, rng.normal(size=len(where)), np.ones(len(where)))
                for aspect, where in zip(aspects, at, strict=True)
            ]
            assert_nothing_cut_or_overlapping(pictures.profiles_figure(profiles))
        nothing = [(aspect, aspect, *[np.zeros(0)] * 3) for aspect in aspects]
        assert_nothing_cut_or_overlapping(pictures.profiles_figure(nothing))

    def test_bars_stand_as_high_as_their_nats(self):
        sequence = toys.sequence_of([(0, 4, 0, 60, 80), (0, 4, 0, 64, 80), (8, 4, 0, 67, 80)])
        nats = np.array([[1.0, 2.0], [0.5, 0.5], [3.0, 0.0]])
        figure = pictures.surprise_figure(sequence, nats, ("shift", "pitch"), "x")
        bars = [bar for bar in figure.axes[1].patches if bar.get_height()]
        assert [(bar.get_x(), bar.get_y(), bar.get_height()) for bar in bars] == [
            (0, 0, 1.5), (8, 0, 3.0), (0, 1.5, 2.5),
        ]  # fmt: skip


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Run `melodygru explain` in a folder with a.mid, songs/ of three pieces, and a toy model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MELODYGRU_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MELODYGRU_DEBUG", raising=False)
    monkeypatch.setattr(explain_page, "_png", lambda name, _: name.encode())  # drawing takes seconds
    midi.write(toys.piece(VOCABULARIES["many"], 0, 60), Path("a.mid"))
    Path("songs").mkdir()
    for seed in range(3):
        midi.write(toys.piece(VOCABULARIES["many"], seed, 40), Path(f"songs/{seed}.mid"))

    def run(*arguments, model="many", cell="gru", code=0):
        chosen = () if model is None else ("--model", file(model, 2, cell))
        result = CliRunner().invoke(main, ["explain", *map(str, (*arguments, *chosen))], prog_name="melodygru")
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return run


def tree(page):
    """The page's elements."""
    closed = re.sub(r"<(meta|img)([^>]*)>", r"<\1\2/>", page.replace("<!doctype html>", ""))
    return xml.etree.ElementTree.fromstring(closed)


class TestCommand:
    def test_the_page_needs_nothing_but_itself(self, call, monkeypatch):
        monkeypatch.setattr(explain_page, "_png", DRAW)
        call("a.mid", "-o", "out")
        page = Path("out/explain.html").read_text("utf-8")
        pictures = tree(page).findall(".//img")
        files = sorted(path.name for path in Path("out").iterdir())
        assert files == ["explain.html", "following.png", "gates.png", "memory.png", "profiles.png", "surprise.png"]
        contents = [base64.b64decode(one.get("src").removeprefix("data:image/png;base64,")) for one in pictures]
        assert sorted(contents) == sorted(path.read_bytes() for path in Path("out").glob("*.png"))
        assert all(len(one.get("alt")) > 20 for one in pictures)
        assert not re.search(r"https?:|<script|<link|url\(", re.sub(r'src="data:[^"]*"', "", page))
        headings = [element.text for element in tree(page).iter("h2")]
        assert headings == ["Surprise", "Gates", "Memory", "What units follow"]

    def test_figures(self, call):
        result = call("a.mid", "songs", "--json", "-o", "out")
        found = json.loads(result.stdout)
        assert found["files"] == ["a.mid", *(str(Path("songs") / f"{seed}.mid") for seed in range(3))]
        assert found["nats"] / found["notes"] == pytest.approx(sum(found["nats_per_note"].values()))
        tracer = tracer_of(saved("many"))
        pieces = [midi.read(Path(name)) for name in found["files"]]
        grid = VOCABULARIES["many"].grid
        assert found["nats"] == pytest.approx(
            sum(tracer.trace(quantize(p.sequence, grid)[0]).nats.sum() for p in pieces)
        )
        assert len(found["half_life"]["layers"]) == 2 and found["half_life"]["unit"] == "beats"
        assert set(found["following"]) == {"beat", "bar", "phrase", "key"}
        assert len(found["units"]) == 20 and {"update_gate", "reset_gate"} <= set(found["units"][0])
        assert len(found["surprises"]) == 12 and len(found["written"]) == 6
        assert all(one["needed"] >= max(0.05, one["control"]) for one in found["following"].values())

    def test_an_lstm(self, call):
        found = json.loads(call("a.mid", "--json", "-o", "out", cell="lstm").stdout)
        assert {"forget_gate", "input_gate", "output_gate"} <= set(found["units"][0])
        assert "by its forget gate alone" in Path("out/explain.html").read_text("utf-8")

    def test_music_without_beats(self, call):
        result = call("a.mid", "-o", "out", model="performance")
        assert "seconds in the median" in result.stdout and "\nbar " not in result.stdout
        page = Path("out/explain.html").read_text("utf-8")
        assert "This music has neither beats nor bars to follow." in page
        assert re.search(r"<td>\d+\.\d\d s</td>", page)

    def test_a_file_given_twice_counts_once(self, call):
        twice = json.loads(call("songs/0.mid", "songs", "songs/0.mid", "--json").stdout)
        once = json.loads(call("songs", "--json").stdout)
        assert twice["files"] == once["files"]

    def test_earlier_output_is_replaced_by_the_same_and_nothing_else_is_touched(self, call):
        Path("out").mkdir()
        Path("out/notes.txt").write_text("mine")
        call("a.mid", "-o", "out")
        before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
        call("a.mid", "-o", "out")
        assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before
        call("a.mid", "-o", "out", "--seed", "1")
        assert Path("out/explain.html").read_bytes() != before["explain.html"]
        assert Path("out/notes.txt").read_text() == "mine"

    @pytest.mark.parametrize("name", ["explain.html", "gates.png"])
    def test_files_of_others_stay(self, call, name):
        Path("out").mkdir()
        Path("out", name).write_text("mine")
        result = call("a.mid", "-o", "out", code=1)
        expected = f"--output-dir out: holds {name} that melodygru explain did not write; choose another folder"
        assert result.stderr.splitlines()[-1] == f"melodygru: {expected}"
        assert [path.name for path in Path("out").iterdir()] == [name]
        assert Path("out", name).read_text() == "mine"

    def test_a_folder_that_is_a_file(self, call):
        result = call("a.mid", "-o", "a.mid", code=1)
        assert "--output-dir a.mid: File exists; expected a folder, or a name for a new one" in result.stderr

    def test_too_short(self, call):
        midi.write(toys.sequence_of([(0, 1, 0, 60, 80)]), Path("short.mid"))
        result = call("short.mid", code=1)
        assert result.stderr.splitlines()[-1] == (
            "melodygru: 1 note: expected 16 or more, at several onsets; give more music"
        )

    def test_what_is_missing(self, call):
        assert "none.mid" in call("none.mid", code=1).stderr.splitlines()[-1]
        assert "none.keras: no such checkpoint" in call("a.mid", "--model", "none.keras", model=None, code=1).stderr

    def test_much_music_is_left_out(self, call, monkeypatch):
        monkeypatch.setattr(command, "MAX_NOTES", 130)
        result = call("a.mid", "songs", "--json")
        assert len(json.loads(result.stdout)["files"]) == 2
        assert "2 of the 4 pieces used: 130 notes are enough" in result.stderr
        assert "2 pieces more: these notes are enough" in Path("explained/explain.html").read_text("utf-8")

    def test_tensorflow_is_not_loaded(self, call):
        code = (
            "import sys\nfrom melodygru.cli import main\nfrom melodygru.render.pages import explain as explain_page\n"
            "explain_page._png = lambda name, _: name.encode()\n"
            f"main(['explain', 'a.mid', '--model', {str(file('many'))!r}], standalone_mode=False)\n"
            "assert not {'tensorflow', 'keras'} & set(sys.modules)"
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert run.returncode == 0, run.stderr


def found(name="many", **changes):
    """What was found out with a toy piece."""
    one = traced(name)
    values = {
        "model": "m", "names": ["a.mid"], "left_out": 0, "gates": tuple(CELLS["gru"].gates), "traces": [one],
        "account": explain(tracer_of(saved(name)), [one]), "surprises": [], "vocabulary": VOCABULARIES[name],
    }  # fmt: skip
    return Report(**{**values, **changes})


class TestWords:
    @pytest.mark.parametrize(
        ("field", "value", "text"),
        [
            ("pitch", 61, "C#4"),
            ("part", END, "the end"),
            ("part", NEW + 40, "Violin comes in"),
            ("part", NEW + DRUMS, "Drums come in"),
            ("part", FIRST_PART, "Fiddle goes on"),
            ("part", FIRST_PART + 1, "Violin goes on"),
            ("part", FIRST_PART + 2, "Violin 2 goes on"),
            ("part", FIRST_PART + 3, "Drums go on"),
            ("velocity", 31, "124 to 127"),
            ("shift", 0, "with the note before"),
            ("shift", 4, "1 beat on"),
            ("shift", 6, "1.5 beats on"),
            ("duration", 4, "1 beat"),
            ("duration", 1, "0.25 beats"),
            ("duration", int(TIMES.encode(np.array(400))), None),
        ],
    )
    def test_values(self, field, value, text):
        if text is None:
            low, wide = TIMES.low[value], TIMES.width[value]
            text = f"{low / 4:g} to {(low + wide - 1) / 4:g} beats"
        rows = [(at, 1, program, 60, 80) for at, program in enumerate((40, 40, 40, DRUMS))]
        band = dataclasses.replace(toys.sequence_of(rows, parts=range(4)), names=("Fiddle",))
        one = found(traces=[dataclasses.replace(traced("many"), sequence=band)])
        assert one.class_name(field, value) == text
        assert one.note_name(2) == "C4 for 0.25 beats, Violin 2"

    def test_seconds(self):
        assert found("performance").class_name("shift", 25) == "0.25 s on"

    def test_one_part_alone_goes_on(self):
        assert found("one_loud").class_name("part", NEW) == "Electric Piano 2 goes on"

    def test_positions(self):
        sequence = toys.sequence_of([(i, 1, 0, 60, 80) for i in (0, 5, 16, 28)], metres=((0, 4, 4), (16, 6, 8)))
        one = found(traces=[dataclasses.replace(traced("many"), sequence=sequence)])
        assert [one.where(note) for note in range(5)] == [
            "bar 1, beat 1",
            "bar 1, beat 2.25",
            "bar 2, beat 1",
            "bar 3, beat 1",
            "the end",
        ]
        assert one.note_name(0) == "C4 for 0.25 beats"
        assert one.note_name(4) == "end of the piece"

    def test_a_long_piece_is_drawn_to_a_bar_line(self):
        sequence = toys.sequence_of([(16 * i, 16, 0, 60, 80) for i in range(45)])
        drawn, part = drawn_part_of(sequence)
        assert (len(drawn), drawn.length, part) == (40, 640, "the first 40 bars of 45")
        drawn, part = drawn_part_of(sequence.crop(0, 640))
        assert (len(drawn), part) == (40, "the whole piece")
        drawn, part = drawn_part_of(toys.sequence_of([(0, 1, 0, 60, 80)], 9000, toys.PERFORMANCE))
        assert (drawn.length, part) == (8000, "the first 80 seconds of 90")

    @pytest.mark.parametrize(
        ("p", "text"),
        [(0.974, "97%"), (0.1, "10%"), (0.0271, "2.7%"), (0.00065, "0.065%"), (1e-4, "0.01%"), (9e-5, "under 0.01%")],
    )
    def test_shares(self, p, text):
        assert per_cent(p) == text

    @pytest.mark.parametrize(
        ("value", "text"), [(0.17345, "0.173"), (12.3456, "12.3"), (1234.5, "1,234"), (np.inf, "inf")]
    )
    def test_lengths(self, value, text):
        assert three_digits(value) == text
