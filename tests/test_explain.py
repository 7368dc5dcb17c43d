"""melodygru explain: what is heard is what the model hears; what is said of units holds where the answer is known."""

import dataclasses
import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import toys
from toys import VOCABULARIES

from melodygru import checkpoint
from melodygru.errors import CorpusError, NoteError
from melodygru.explain import GATES, Reader, explain, follow, half_lives
from melodygru.explain import reader as reading
from melodygru.explain.following import pitch_profile, places, profile
from melodygru.notes import DRUMS, NOTE


@functools.cache
def saved(name, layers=2, cell="gru"):
    """The checkpoint of `toys.model(...)`."""
    from melodygru.model import save

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "toy.keras"
        save(toys.model(name, layers, cell=cell), path)
        return checkpoint.read(path)


@functools.cache
def heard(name, layers=2, cell="gru", n=40):
    """A toy piece, heard."""
    return Reader(saved(name, layers, cell)).hear(toys.piece(VOCABULARIES[name], 0, n))


def changed(weights, name, layers=2, cell="gru"):
    """The toy checkpoint with other weights."""
    return dataclasses.replace(saved(name, layers, cell), weights={**saved(name, layers, cell).weights, **weights})


class TestReader:
    @pytest.mark.parametrize("cell", ["gru", "lstm"])
    @pytest.mark.parametrize(("name", "layers"), [("many", 2), ("performance", 2)])
    def test_outputs_are_the_states_of_the_network(self, name, layers, cell):
        network, found = toys.network(name, layers, cell=cell), heard(name, layers, cell)
        inputs = toys.batch([found.events])
        state = network.initial_state(1)
        for t in range(len(found)):
            step = network.step(inputs["previous"][:, t], inputs["before"][:, t], inputs["context"][:, t], state)
            state = step.state
            expected = np.stack(state[:: network.architecture.states], 1)[0]
            np.testing.assert_allclose(found.outputs[t], expected, atol=1e-5)
        assert found.outputs.std() > 0.1
        assert tuple(found.gates) == GATES[cell]

    @pytest.mark.parametrize(
        ("name", "cell"), [("one_loud", "gru"), ("many", "gru"), ("many", "lstm"), ("styles", "gru")]
    )
    def test_nats_are_those_of_the_keras_model(self, name, cell):
        found, model = heard(name, 2, cell), toys.model(name, 2, cell=cell)
        log_p, _ = model.log_likelihood(toys.batch([found.events]), model.initial_state(1))
        np.testing.assert_allclose(found.nats, -log_p.numpy()[0], rtol=1e-4, atol=1e-4)
        assert found.nats.sum() == pytest.approx(-float(log_p.numpy().sum()), rel=1e-5)

    def test_nats_together_are_those_of_evaluate(self):
        from melodygru import training

        pieces = [toys.piece(VOCABULARIES["performance"], seed, 30) for seed in range(2)]
        total = training.evaluate(toys.model("performance", 2), pieces).nats
        reader = Reader(saved("performance"))
        assert sum(reader.hear(piece).nats.sum() for piece in pieces) == pytest.approx(total, rel=1e-5)

    def test_probabilities_sum_to_one_and_what_cannot_follow_has_none(self):
        found = heard("many")
        for field, log_p in found.log_p.items():
            rows = len(found) if field in ("shift", "program") else len(found) - 1
            np.testing.assert_allclose(np.exp(log_p[:rows]).sum(1), 1, rtol=1e-5, err_msg=field)
        assert np.isneginf(found.log_p["duration"][:, 0]).all()

    def test_a_gru_keeps_the_share_of_its_update_gate(self):
        found = heard("many", 1)
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
        reader = Reader(changed({**nothing, "gru/0/bias": bias}, "one", 1))
        found = reader.hear(toys.piece(VOCABULARIES["one"], 0, 20))
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
        expected = Reader(changed(weights, "many")).hear(heard("many").sequence).nats
        reader = Reader(saved("many"))
        for stop in (len(expected), 7):
            nats = reader.nats_without(heard("many"), layer, np.array([5, unit]), np.array([0.1, value]), stop)
            assert nats[1] == pytest.approx(expected[:stop].sum(), rel=1e-5)
            assert abs(nats[0] - nats[1]) > 1e-3 < abs(nats[1] - heard("many").nats[:stop].sum())

    @pytest.mark.parametrize("cell", ["gru", "lstm"])
    def test_a_memory_that_begins_later_is_the_model_started_there(self, cell):
        model, found = toys.model("many", 2, cell=cell), heard("many", 2, cell)
        steps = np.array([4, 20]) + np.arange(9)[:, None]
        nats = Reader(saved("many", 2, cell)).nats_since(found, steps)
        for stream, start in enumerate((4, 20)):
            inputs = toys.batch([found.events], start, start + 9)
            log_p, _ = model.log_likelihood(inputs, model.initial_state(1))
            np.testing.assert_allclose(nats[:, stream], -log_p.numpy()[0].sum(1), rtol=1e-4)

    def test_another_grid_is_refused(self):
        with pytest.raises(NoteError, match="this vocabulary needs 10 ms per step"):
            Reader(saved("performance")).hear(toys.piece(VOCABULARIES["one"]))

    def test_a_closed_gate_has_a_logarithm(self):
        assert reading._sigmoid(np.float32([-500, 0, 500])).tolist() == [pytest.approx(np.exp(-80)), 0.5, 1.0]


def made(outputs, onsets, grid=toys.BEAT, metres=((0, 4, 4),), pitch=60, gate=0.5, program=0):
    """What would be heard if the units gave out `outputs`, shape (n, units), after notes at `onsets`."""
    rows = np.zeros(len(onsets), NOTE)
    rows["onset"], rows["duration"], rows["velocity"], rows["program"] = onsets, 1, 80, program
    rows["pitch"] = pitch
    sequence = toys.sequence_of(rows.tolist(), grid=grid, metres=metres)
    assert len(sequence) == len(onsets)
    outputs = np.concatenate([np.zeros((1, outputs.shape[1])), outputs]).astype(np.float32)[:, None]
    gates = {"update": np.full(outputs.shape, gate, np.float32)}
    return reading.Heard(sequence, np.zeros(len(outputs)), outputs, gates, np.zeros((len(outputs), 5)), {})


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
    def test_places(self):
        at = places(made(np.ones((6, 1)), [0, 5, 15, 16, 31, 37], metres=((0, 4, 4), (24, 6, 8))).sequence)
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
        reader = Reader(saved("many"))
        found = explain(reader, [heard("many"), heard("many", n=20)])
        assert found.notes == len(heard("many")) + len(heard("many", n=20)) - 2
        assert found.half_life.shape == found.half_life_notes.shape == (2, 10)
        assert len(found.units) == 20  # all ten of each layer
        costs = [unit.nats_per_note for unit in found.units]
        assert costs == sorted(costs, reverse=True) and costs[0] > 0
        assert found.units[0].name == f"{found.units[0].layer}.{found.units[0].unit}"
        assert found.tried_on == found.notes
        assert len(found.forgetting) == len(heard("many")) // 2
        assert found.forgetting[0] > found.forgetting[-1]

    def test_a_unit_that_nobody_hears_costs_nothing(self):
        weights = {"gru/1/recurrent": saved("many").weights["gru/1/recurrent"].copy()}
        weights["gru/1/recurrent"][7] = 0
        for field in VOCABULARIES["many"].fields:
            name = f"head/{field}/hidden/kernel"
            weights[name] = saved("many").weights[name].copy()
            weights[name][7] = 0
        reader = Reader(changed(weights, "many"))
        assert reader.influence(1)[7] == 0 < reader.influence(1)[6]
        found = explain(reader, [reader.hear(heard("many").sequence)])
        costs = {unit.name: unit.nats_per_note for unit in found.units}
        assert costs["1.7"] == pytest.approx(0, abs=1e-6) and abs(costs["1.6"]) > 1e-4

    def test_the_same_seed_gives_the_same_account(self):
        reader, pieces = Reader(saved("many")), [heard("many")]
        first, second, third = explain(reader, pieces), explain(reader, pieces), explain(reader, pieces, seed=1)
        assert first.following["bar"].control == second.following["bar"].control != third.following["bar"].control

    def test_too_little_music(self):
        reader = Reader(saved("one", 1))
        with pytest.raises(CorpusError, match="15 notes: expected 16 or more, at several onsets; give more music"):
            explain(reader, [reader.hear(toys.sequence_of([(i, 1, 0, 60, 80) for i in range(15)]))])
        explain(reader, [reader.hear(toys.sequence_of([(i, 1, 0, 60, 80) for i in range(16)]))])
        with pytest.raises(CorpusError, match="at several onsets"):
            explain(reader, [reader.hear(toys.sequence_of([(0, 1, 0, 40 + i, 80) for i in range(16)]))])
