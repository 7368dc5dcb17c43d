"""The frame of the benchmarks: results are merged, judged, shown and drawn."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import bench  # noqa: E402
from parts.row import Row, Setting, in_turns, thread_variables  # noqa: E402

MACHINE = {"processor": "an abacus", "threads": 2}


def row(part="training", ratio=1.6, goal=1.5, at_most=False):
    return Row(part, "a step", 1600.0, "notes/s", "a peer", 1000.0, ratio, goal, at_most)


@pytest.mark.parametrize(
    ("ratio", "at_most", "reached"),
    [(1.5, False, True), (1.499, False, False), (1.5, True, True), (1.501, True, False)],
)
def test_a_goal_is_reached_from_its_own_value_on(ratio, at_most, reached):
    assert row(ratio=ratio, at_most=at_most).reached is reached


def test_a_part_run_again_replaces_its_rows_and_leaves_those_of_others(tmp_path):
    path = tmp_path / "results.json"
    bench.merge(path, "tokens", [row("tokens")], MACHINE)
    bench.merge(path, "training", [row(), row(ratio=2.0)], MACHINE)
    parts = bench.merge(path, "training", [row(ratio=1.7)], {**MACHINE, "threads": 1})
    assert parts == bench.read(path)
    assert list(parts) == ["training", "tokens"]  # in the order of the command line, not of the runs
    assert [parts[name]["machine"]["threads"] for name in parts] == [1, 2]
    assert [found.ratio for found in bench.rows_of(parts)] == [1.7, 1.6]
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_an_interrupted_write_leaves_the_old_results(tmp_path):
    path = tmp_path / "results.json"
    bench.merge(path, "tokens", [row("tokens")], MACHINE)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        bench.merge(path, "training", [row()], {"threads": object()})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_there_are_no_results_before_the_first_run(tmp_path):
    assert bench.read(tmp_path / "results.json") == {}


def test_the_table_names_ours_theirs_the_ratio_and_its_goal():
    lines = bench.table([row(), row(ratio=0.31, goal=0.3, at_most=True)]).splitlines()
    assert lines[2] == "| a step | 1,600 | a peer | 1,000 | notes/s | 1.6 | at least 1.5 | reached |"
    assert lines[3] == "| a step | 1,600 | a peer | 1,000 | notes/s | 0.31 | at most 0.3 | **missed** |"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.012345, "0.0123"), (1.2345, "1.23"), (99.95, "100"), (123.4, "123"), (12345.6, "12,300")],
)
def test_numbers_are_shown_with_three_digits_that_count(value, shown):
    assert bench.rounded(value) == shown


def test_the_plot_is_a_picture_of_all_rows(tmp_path):
    few, many = tmp_path / "few.png", tmp_path / "many.png"
    bench.draw([row()], few)
    bench.draw([row(), row(ratio=120.0, goal=100.0), row(ratio=0.01, goal=0.05, at_most=True)], many)
    heights = [int.from_bytes(path.read_bytes()[20:24], "big") for path in (few, many)]
    assert few.read_bytes()[:4] == b"\x89PNG"
    assert heights[0] < heights[1]


def test_the_machine_is_described_in_plain_values():
    machine = bench.describe_machine(Setting(threads=3))
    assert json.loads(json.dumps(machine)) == machine
    assert machine["threads"] == 3
    assert machine["processor"]
    assert machine["peers"] == {}
    assert set(bench.OURS) <= set(machine)


@pytest.fixture
def peers(tmp_path):
    """Make a Python that says which of the peers it has, as one of a finished or a broken installation would."""

    def make(*installed):
        python = tmp_path / "python"
        lines = "".join(f"echo '{name} 1.0'\n" for name in installed)
        python.write_text(f"#!/bin/sh\n{lines}")
        python.chmod(0o755)
        return python

    return make


@pytest.fixture
def bench_run(tmp_path, monkeypatch):
    """Run bench.py with parts that measure nothing: the peers that each was given, and what was said."""
    given = []

    def measured(name, setting):
        given.append((name, setting.peers))
        return [row(name)]

    monkeypatch.setattr(bench, "measured", measured)
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(bench, "draw", lambda rows, path: None)

    def run(*arguments):
        result = CliRunner().invoke(bench.main, [*map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return given, result.stderr.splitlines()

    return run


@pytest.mark.skipif(os.name == "nt", reason="the peers' Python is a shell script")
def test_without_all_peers_their_rows_are_left_out_and_the_rest_is_measured(peers, bench_run):
    python = peers("torch", "numpy")
    given, said = bench_run("training", "tokens", "intake", "--peers", python)
    why = f"{python} lacks notochord, miditok"
    assert said[0] == f"left out: training against PyTorch, intake against MidiTok; {why}"
    assert said[1:] == ["measuring training", "measuring tokens", "measuring intake"]
    assert given == [("training", None), ("tokens", None), ("intake", None)]
    assert bench.read(bench.RESULTS)["training"]["machine"]["peers"] == {}


@pytest.mark.skipif(os.name == "nt", reason="the peers' Python is a shell script")
def test_with_all_peers_nothing_is_left_out(peers, bench_run):
    python = peers(*bench.THEIRS)
    given, said = bench_run("training", "--peers", python)
    assert given == [("training", python)] and said == ["measuring training"]
    assert bench.read(bench.RESULTS)["training"]["machine"]["peers"] == dict.fromkeys(bench.THEIRS, "1.0")


def test_parts_that_need_no_peers_leave_nothing_out(bench_run):
    assert bench_run("tokens", "--peers", sys.executable)[1] == ["measuring tokens"]


def test_no_environment_for_the_peers_is_a_reason():
    why = bench.unusable(None)
    assert bench.left_out(bench.PARTS, why) == (
        "left out: training against PyTorch, sampling against Notochord, intake against MidiTok; "
        "there is no .venv-peers (make bench installs it)"
    )


def test_a_python_that_cannot_run_has_no_peers(tmp_path):
    assert bench.peer_versions(tmp_path / "python") == {}
    assert "numpy" in bench.peer_versions(Path(sys.executable))


def test_every_library_gets_the_same_number_of_threads():
    variables = thread_variables(3)
    assert variables["OMP_NUM_THREADS"] == variables["TF_NUM_INTRAOP_THREADS"] == "3"


def test_a_peer_runs_with_our_threads_and_without_our_packages(tmp_path, monkeypatch):
    script = tmp_path / "peer.py"
    script.write_text(
        "import json, os, sys\n"
        "print(json.dumps([sys.argv[1:], os.environ['OMP_NUM_THREADS'], os.environ.get('PYTHONPATH')]))\n"
    )
    monkeypatch.setenv("PYTHONPATH", "somewhere")
    monkeypatch.setattr("parts.row.PEERS", tmp_path)
    found = Setting(peers=Path(sys.executable), threads=2).run_peer("peer.py", "base", 64)
    assert found == [["base", "64"], "2", None]


def test_the_products_of_a_step_are_counted_by_hand():
    from parts.training import products_of_step
    from toys import VOCABULARIES

    from melodygru.events import layout_of
    from melodygru.model.architecture import Architecture

    sizes = Architecture(layers=2, units=5, embedding=4, head=3)
    vocabulary = VOCABULARIES["one"]
    products = products_of_step(sizes, vocabulary, batch=2, window=7)
    # For each of the 14 notes: two layers of three gates, from 4 and from 5 inputs, each with a state of 5; four heads
    # of a hidden layer over 5 + 4 features, two of them with a second one; and the logits.
    logits = sum(layout_of(vocabulary).n_outputs(field) for field in vocabulary.fields)
    forward = 14 * (15 * (4 + 5) + 15 * (5 + 5) + 4 * 3 * 9 + 2 * 3 * 3 + 3 * logits)
    assert vocabulary.fields == ("shift", "part", "pitch", "duration")
    assert sum(m * k * n * times for m, k, n, times in products) == 3 * forward


def test_the_peer_is_given_what_the_heads_are_told_and_what_cannot_follow():
    from parts.steps import Step
    from parts.training import peer_inputs
    from toys import VOCABULARIES, new_model, piece

    from melodygru.events import layout_of

    vocabulary = VOCABULARIES["lookbacks"]
    model = new_model(vocabulary)
    pieces = [piece(vocabulary, seed) for seed in range(3)]
    corpus = SimpleNamespace(pieces=pieces, styles=[None] * 3, vocabulary=vocabulary, architecture=model.architecture)
    arrays = peer_inputs(Step(corpus, model), corpus)
    about = json.loads(str(arrays["about"]))
    places = arrays["target_pitch"].shape
    assert list(about["heads"]) == ["shift", "part", "pitch", "duration"]
    layout = layout_of(vocabulary)
    for field in ("shift", "pitch", "duration"):
        pointed = arrays[f"pointed_{field}"]
        assert pointed.shape == (*places, layout.n_pointers(field)) and 0 <= pointed.min() < pointed.max()
        assert pointed.max() <= vocabulary.size(field)
    described = arrays["described"]
    assert described.shape == (*places, vocabulary.parts, len(layout.description_sizes))
    assert 0 <= described.min() < described.max() <= layout.n_descriptions
    assert arrays["to_come"].shape == arrays["others"].shape == (*places, 129)
    assert {arrays[f"target_{field}"].shape for field in about["heads"]} == {places}
    for field, head in about["heads"].items():
        told = arrays.get(f"ids_{field}")
        assert (told is None) == (head["rows"] == 0) == (field == "shift")
        if told is not None:
            assert 0 <= told.min() and told.max() < head["rows"]
    assert arrays["impossible_duration"].shape == (*places, 207)
    assert arrays["impossible_duration"][..., 0].all() and not arrays["impossible_duration"][..., 1:].any()


def test_medians_are_of_runs_in_turns():
    order = []
    times = {"ours": iter([1.0, 9.0, 2.0]), "theirs": iter([4.0, 3.0, 5.0])}

    def timed(name):
        def work():
            order.append(name)
            return next(times[name])

        return work

    assert in_turns({name: timed(name) for name in times}, repeats=3) == {"ours": 2.0, "theirs": 4.0}
    assert order == ["ours", "theirs"] * 3


# -- the parts sampling and start


@pytest.fixture(scope="module")
def untrained():
    from parts import sampling

    from melodygru.model.architecture import Architecture

    sizes = Architecture(layers=2, units=12, embedding=8, head=6)
    return sampling.untrained(sizes, sampling.STARTER / "airs")


def test_the_products_of_a_note_are_all_weights_but_embeddings_and_biases(untrained):
    from parts.sampling import matrices_of

    multiplied = sum(matrix.size for matrix in matrices_of(untrained))
    looked_up = sum(weight.size for name, weight in untrained.weights.items() if name.endswith("bag"))
    biases = sum(weight.size for name, weight in untrained.weights.items() if name.endswith("bias"))
    assert multiplied + looked_up + biases == untrained.n_parameters


def test_an_untrained_model_composes_without_end_at_the_corpus_frequencies(untrained):
    from itertools import islice

    from parts.sampling import composing

    from melodygru.events import TIMES
    from melodygru.model.numpy_model import NumpyModel

    assert {note.stream for note in islice(composing(NumpyModel(untrained), 3), 30)} == {0, 1, 2}
    shifts = np.exp(untrained.weights["head/shift/output/bias"][: TIMES.size])
    assert shifts.sum() == pytest.approx(1, abs=1e-4)
    assert shifts.max() > 0.2  # a few note values are most of the music


def test_sampling_is_measured_without_its_peers_too(untrained, monkeypatch):
    from parts import sampling

    for name, value in {"REPEATS": 1, "TIMED": 16, "UNTIMED": 1, "NOTES": 20, "PREDICTED": 1, "STREAMS": 3}.items():
        monkeypatch.setattr(sampling, name, value)
    monkeypatch.setattr(sampling, "untrained", lambda architecture: untrained)
    rows = sampling.measure(Setting())
    assert [(row.goal, row.at_most) for row in rows] == [(0.6, False), (100, False), (0.5, False), (1.1, True)]
    for row in rows:
        assert row.ratio == pytest.approx(row.ours / row.theirs)


def test_a_cold_start_is_measured_against_tensorflows_import(monkeypatch):
    from parts import start

    ran = []
    monkeypatch.setattr(start, "cold", lambda arguments: ran.append(arguments[:3]) or (0.5 if "-m" in arguments else 2))
    (row,) = start.measure(Setting())
    assert (row.ours, row.theirs, row.ratio, row.reached) == (0.5, 2, 0.25, True)
    assert ran[:2] == [["-m", "melodygru", "generate"], ["-c", "import tensorflow"]]
