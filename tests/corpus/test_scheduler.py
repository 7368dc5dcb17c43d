"""Reading with the workers of a dask scheduler: the same corpus, whatever dies."""

import os
import signal
import socket
import sys
from concurrent.futures import BrokenExecutor

import numpy as np
import pytest

from melodygru import midi
from melodygru.corpus import DaskExecutor, intake
from melodygru.errors import CorpusError, SettingError
from melodygru.music.grid import Grid
from melodygru.music.notes import NoteSequence, note_array


@pytest.fixture
def many(tmp_path):
    """160 tunes of eight sixteenths, one of them a duplicate and one damaged."""
    root = tmp_path / "many"
    root.mkdir()
    for number in range(160):
        rng = np.random.default_rng(number)
        rows = [(i * 120, 120, 0, int(pitch), 80) for i, pitch in enumerate(rng.integers(40, 90, 8))]
        midi.write(NoteSequence(note_array(rows), Grid.beats(480), 960), root / f"{number:03}.mid")
    (root / "150.mid").write_bytes((root / "000.mid").read_bytes())
    (root / "020.mid").write_bytes(b"broken")
    return root


@pytest.fixture(scope="module")
def cluster():
    """A scheduler on the loopback address with two worker processes."""
    distributed = pytest.importorskip("distributed")
    dask = pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.nanny.environ.PYTHONPATH": os.pathsep.join(sys.path)}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
        ) as cluster,
    ):
        yield cluster


def workers_of(executor):
    """Process id of each worker, by its address."""
    return executor._client.run(os.getpid)


def test_one_of_two_workers_dies_and_nothing_is_lost(many, cluster, tmp_path):
    killed = []

    def kill_one(done, total):
        if not killed:
            killed.append(min(workers_of(executor).values()))
            os.kill(killed[0], signal.SIGKILL)

    with DaskExecutor(cluster.scheduler_address) as executor:
        assert executor.n_workers == 2
        far = intake(many, cache=tmp_path / "far", executor=executor, workers=1, progress=kill_one)
    assert killed
    near = intake(many, cache=tmp_path / "near", workers=1)
    assert len(far) == 158
    assert far.pieces == near.pieces
    assert far.report == near.report
    assert far.fingerprint == near.fingerprint
    assert all(a == b for a, b in zip(far, near, strict=True))


def test_a_folder_that_is_known_needs_no_scheduler(many, tmp_path):
    near = intake(many, cache=tmp_path / "cache", workers=1)
    with DaskExecutor("tcp://127.0.0.1:1") as executor:
        assert intake(many, cache=tmp_path / "cache", executor=executor).pieces == near.pieces


def test_workers_that_all_go_away_end_it_and_what_was_read_is_kept(many, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster:

        def leave(done, total):
            cluster.scale(0)

        with DaskExecutor(cluster.scheduler_address, patience_s=0.5) as executor:
            message = r"has had no worker for 0 seconds\) after \d+ of 159 files; these are kept: run again to go on"
            with pytest.raises(CorpusError, match=message):
                intake(many, cache=tmp_path / "cache", executor=executor, workers=1, progress=leave)
            with pytest.raises(BrokenExecutor, match="has had no worker"):
                executor.submit(int)
    read, real = [], midi.read
    monkeypatch.setattr(midi, "read", lambda path: read.append(path) or real(path))
    assert len(intake(many, cache=tmp_path / "cache", workers=1)) == 158
    assert 0 < len(read) <= 159 - 16


def test_a_result_that_came_before_its_worker_went_away_counts(monkeypatch):
    distributed = pytest.importorskip("distributed")
    real = distributed.Client._gather

    async def gather_and_lose(self, futures, *args, **kwargs):
        results = await real(self, futures, *args, **kwargs)
        for future in futures:
            future._state.lose()  # as dask does when it learns of the worker
        return results

    monkeypatch.setattr(distributed.Client, "_gather", gather_and_lose)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0") as one:
        with DaskExecutor(one.scheduler_address) as executor:
            assert executor.submit(list, "abcd").result(timeout=30) == ["a", "b", "c", "d"]
            with pytest.raises(ValueError, match="invalid literal"):
                executor.submit(int, "x").result(timeout=30)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize("address", [f"tcp://127.0.0.1:{free_port()}", "nonsense", "", "fax://127.0.0.1:1"])
def test_a_scheduler_that_is_not_there_is_one_line(address):
    pytest.importorskip("distributed")
    message = r"scheduler .*: cannot connect \(.*\); expected the address that `dask scheduler` prints, such as tcp://"
    with DaskExecutor(address, connect_s=1) as executor, pytest.raises(SettingError, match=message) as caught:
        executor.submit(int)
    assert "\n" not in str(caught.value)


def test_a_scheduler_without_workers_is_one_line():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as cluster:
        with DaskExecutor(cluster.scheduler_address, connect_s=0.2) as executor:
            with pytest.raises(SettingError, match="has no workers: start some with `dask worker "):
                executor.submit(int)


def test_without_dask_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with DaskExecutor("tcp://127.0.0.1:8786") as executor:
        with pytest.raises(SettingError, match=r"a scheduler needs dask: pip install 'melodygru\[dask\]'"):
            executor.submit(int)


def test_the_command_line_takes_a_scheduler(many, melodygru, tmp_path):
    pytest.importorskip("distributed")
    address = f"tcp://127.0.0.1:{free_port()}"
    process = melodygru("train", many, "--scheduler", address, "--output", "new.keras", cwd=tmp_path)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert stdout == ""
    assert stderr.splitlines() == [
        f"melodygru: scheduler {address}: cannot connect ([Errno 111] Connection refused); expected the address that "
        "`dask scheduler` prints, such as tcp://192.168.0.7:8786"
    ]
