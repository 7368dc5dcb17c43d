"""Ten thousand damaged checkpoints, each read in a process of its own whose memory and time are measured."""

import io
import json
import os
import resource
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from melodygru.analysis.originality import storage
from melodygru.errors import MelodyGruError
from melodygru.model import checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.skipif(sys.platform != "linux", reason="fork")]

FILES = int(os.environ.get("MELODYGRU_FUZZ", 10_000))
MOST_BYTES, MOST_SECONDS = 512 << 20, 5
NUMBERS = [0, -1, 1, 2, 7, 127, 128, 129, 255, 10**3, 10**6, 10**9, 2**31, 2**53, 2**63, 10**30, 0.5, -0.5, 1e-9, 1e300]
ODD = [
    *NUMBERS,
    float("nan"),
    float("inf"),
    -float("inf"),
    True,
    None,
    "",
    "x",
    "1e999999",
    "\x1b",
    [],
    [[]],
    {},
    {"a": 1},
]


# -- ways of damaging a file


def flip(rng, data):
    """A few bytes overwritten, cut out or put in."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at, n = int(rng.integers(0, len(data))), int(rng.integers(1, 9))
        kind = rng.integers(0, 5)
        if kind == 0:
            data[at : at + n] = rng.bytes(n)
        elif kind == 1:
            data[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 2:
            data[at : at + n] = (b"\xff" if rng.random() < 0.5 else b"\0") * n
        elif kind == 3:
            del data[at : at + n]
        else:
            data[at:at] = rng.bytes(n)
        if not data:
            break
    return bytes(data)


def overwrite(rng, data, upto):
    """Numbers of eight, four, two or one bytes in the first bytes, where HDF5 describes what it holds."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        width = int(rng.choice([1, 2, 4, 8]))
        at = int(rng.integers(0, min(upto, len(data) - 8)))
        value = int(rng.choice([0, 1, 2, 3, 16, 255, 2**15, 2**31, 2**62])) if rng.random() < 0.7 else len(data) - 1
        data[at : at + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
    return bytes(data)


def odd_value(rng, document):
    """One value anywhere in a JSON document replaced, removed, doubled or nested."""
    places = []

    def walk(value):
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            places.append((value, key))
            walk(item)

    walk(document)
    for _ in range(int(rng.integers(1, 3))):
        holder, key = places[int(rng.integers(0, len(places)))]
        kind = rng.integers(0, 8)
        if kind == 0 and isinstance(holder, dict):
            holder.pop(key, None)
        elif kind == 1 and isinstance(holder, dict):
            holder[f"{key}x"] = holder.get(key)
        elif kind == 2 and isinstance(holder, list):
            holder.append(ODD[int(rng.integers(0, len(ODD)))])
        elif kind == 3 and isinstance(holder, list):
            holder.clear()
        elif (isinstance(holder, dict) and key in holder) or (isinstance(holder, list) and key < len(holder)):
            holder[key] = ODD[int(rng.integers(0, len(ODD)))]
    return document


def packed(rng, members):
    """The members as an archive: stored or deflated, whole."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED if rng.random() < 0.1 else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def of_directory(rng, data):
    """Odd sizes, methods and flags in the archive's directory, with the end of the archive in its place."""
    data = bytearray(data)
    at = data.find(b"PK\x01\x02", data.rfind(b"PK\x05\x06") - 400)
    field, width = [(8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (42, 4)][int(rng.integers(0, 8))]
    value = int(rng.choice([0, 1, 8, 12, 14, 99, 2**15, 2**16 - 1, 2**31, 2**32 - 1])) & ((1 << 8 * width) - 1)
    data[at + field : at + field + width] = value.to_bytes(width, "little")
    return bytes(data)


def of_arrays(rng, npz):
    """The index of originality with another array, or another description."""
    with np.load(io.BytesIO(npz)) as held:
        arrays = dict(held)
    name = str(rng.choice(sorted(arrays)))
    if name == "about":
        about = odd_value(rng, json.loads(arrays[name].tobytes()))
        arrays[name] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    else:
        array = arrays[name].copy()
        kind = rng.integers(0, 5)
        if kind == 0:
            array = array[: len(array) // 2]
        elif kind == 1:
            array = array.astype(rng.choice(["u2", "f8", "i8", "?"]))
        elif kind == 2:
            array = array.reshape(-1)
        elif array.size:
            array.reshape(-1)[int(rng.integers(0, array.size))] = int(rng.choice([0, 1, 255, 128]))
        arrays[name] = array
    data = io.BytesIO()
    np.savez(data, **arrays)
    return data.getvalue()


def mutated(rng, members):
    """Name of the way, and a damaged archive."""
    members = dict(members)
    way = int(rng.integers(0, 9))
    if way == 0:
        return "bytes of the file", flip(rng, packed(rng, members))
    if way == 1:
        data = packed(rng, members)
        return "cut", data[: int(rng.integers(0, len(data)))]
    if way == 2:
        return "directory", of_directory(rng, packed(rng, members))
    if way in (3, 4):
        config = json.loads(members[checkpoint.CONFIG])
        members[checkpoint.CONFIG] = json.dumps(odd_value(rng, config)).encode()
        return "settings", packed(rng, members)
    if way == 5:
        members[checkpoint.CONFIG] = flip(rng, members[checkpoint.CONFIG])
        return "bytes of the settings", packed(rng, members)
    if way in (6, 7):
        weights = members[checkpoint.WEIGHTS]
        change = overwrite(rng, weights, 6000) if rng.random() < 0.8 else flip(rng, weights)
        members[checkpoint.WEIGHTS] = change
        return "weights", packed(rng, members)
    index = members[storage.MEMBER]
    members[storage.MEMBER] = flip(rng, index) if rng.random() < 0.3 else of_arrays(rng, index)
    return "index", packed(rng, members)


# -- reading it


def use(path):
    """Read a checkpoint and its index, and compose a little with what was accepted."""
    from melodygru.compose.composer import Composer
    from melodygru.compose.settings import GenerateSettings

    held = checkpoint.read(path)
    index = storage.read(path)
    pieces = Composer(held).generate(GenerateSettings(notes=6, seed=1, top_p=1.0))
    if index is not None:
        for piece in pieces:
            index.examine(piece)


def worker(folder, members, first, step, sink):
    """Damage, read and report every `step`-th file from the `first` on; a line of JSON each."""
    path = folder / f"{first}.keras"
    for number in range(first, FILES, step):
        rng = np.random.default_rng([2026, number])
        way, data = mutated(rng, members)
        path.write_bytes(data)
        child = os.fork()
        if child == 0:
            status = 9
            try:
                resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
                resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, 2 << 30))
                try:
                    use(path)
                    status = 0
                except MelodyGruError as error:
                    status = 1 if "\n" not in str(error) else 2
                except BaseException as error:  # noqa: BLE001  what is looked for
                    os.write(sink, json.dumps({"number": number, "error": repr(error)[:300]}).encode() + b"\n")
                    status = 3
            finally:
                os._exit(status)
        _, status, usage = os.wait4(child, 0)
        line = {
            "number": number,
            "way": way,
            "status": os.waitstatus_to_exitcode(status),
            "seconds": usage.ru_utime + usage.ru_stime,
            "bytes": usage.ru_maxrss * 1024,
        }
        os.write(sink, json.dumps(line).encode() + b"\n")


MAKE = """
import sys
from pathlib import Path
import toys
from melodygru.analysis.originality import storage
from melodygru.analysis.originality.index import Index
from melodygru.model.keras_model import save
path = Path(sys.argv[1])
save(toys.model("many", 2, -1.0), path, {"recorded": "2026-05-01T10:00:00+00:00", "seed": 7, "history": [
    {"step": 1, "minutes": 0.1, "validation_nats_per_note": 1.5}]})
v = toys.VOCABULARIES["many"]
index = Index.build(((f"{at}.mid", toys.piece(v, at)) for at in range(3)), v.grid)
storage.attach(path, index.measured_by([toys.piece(v, 9)]))
"""


def test_damaged_checkpoints_are_accepted_or_refused(tmp_path):
    """Each within five seconds and 512 MiB, refusals in one line; what is accepted can be composed with."""
    import subprocess

    # By processes without TensorFlow: what they hold is what reading takes.
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ["PYTHONPATH"]]),
    }
    subprocess.run([sys.executable, "-c", MAKE, tmp_path / "toy.keras"], check=True, env=environment)
    run = [sys.executable, __file__, tmp_path / "toy.keras"]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    print(done.stdout)


def main(path):
    """Read FILES damaged copies of a checkpoint with several processes; exit code 1 if one broke the promise."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    use(Path(path))  # imports what is needed, before the processes are forked
    n = max(1, len(os.sched_getaffinity(0)))
    source, sink = os.pipe()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for first in range(n):
            if os.fork() == 0:
                os.close(source)
                worker(Path(folder), members, first, n, sink)
                os._exit(0)
        os.close(sink)
        with open(source, encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        for _ in range(n):
            os.wait()
    errors = [row for row in rows if "error" in row]
    rows = [row for row in rows if "status" in row]
    ways = {}
    for row in rows:
        counts = ways.setdefault(row["way"], [0, 0, 0])
        counts[row["status"] if row["status"] in (0, 1) else 2] += 1
    bad = [
        row for row in rows if row["status"] not in (0, 1) or row["seconds"] > MOST_SECONDS or row["bytes"] > MOST_BYTES
    ]
    print(f"{len(rows):,} files in {time.monotonic() - started:.0f} s: way, accepted, refused, broken")
    for way, counts in sorted(ways.items()):
        print(f"  {way:<22}", *counts)
    print(f"  most: {max(r['seconds'] for r in rows):.2f} s, {max(r['bytes'] for r in rows) / 2**20:.0f} MiB")
    for row in [*bad, *errors][:40]:
        print(row, file=sys.stderr)
    return int(bool(bad) or len(rows) != FILES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
