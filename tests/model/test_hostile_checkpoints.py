"""Checkpoints from strangers: taken or refused in one line, in five seconds and 512 MiB, without another file."""

import io
import json
import os
import resource
import struct
import sys
import zipfile

import h5py
import numpy as np
import pytest
import toys

from melodygru.analysis.originality import storage
from melodygru.analysis.originality.index import Index
from melodygru.errors import CheckpointError
from melodygru.model import checkpoint, hdf5
from melodygru.model.keras_model import save

MOST_BYTES = 512 << 20
MOST_SECONDS = 5
LARGEST = 64 << 20  # of the files that the promise is about
WEIGHTS, CONFIG = checkpoint.WEIGHTS, checkpoint.CONFIG


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A toy checkpoint with an index of originality."""
    path = tmp_path_factory.mktemp("checkpoint") / "toy.keras"
    save(toys.model("many", 2), path, {"recorded": "2026-05-01T10:00:00+00:00", "seed": 7})
    vocabulary = toys.VOCABULARIES["many"]
    storage.attach(path, Index.build(((f"{at}.mid", toys.piece(vocabulary, at)) for at in range(3)), vocabulary.grid))
    return path


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def with_weights(path, saved, change):
    """A copy whose HDF5 file was changed by a function of the open file."""
    members = members_of(saved)
    data = io.BytesIO(members[WEIGHTS])
    with h5py.File(data, "r+") as file:
        change(file)
    return write(path, {**members, WEIGHTS: data.getvalue()})


def with_config(path, saved, change):
    """A copy whose settings were changed by a function of them."""
    members = members_of(saved)
    config = json.loads(members[CONFIG])
    config["config"] = change(config["config"]) or config["config"]
    return write(path, {**members, CONFIG: json.dumps(config)})


def refused(path, read=checkpoint.read):
    """The line with which a file is refused, in a child of its own that stays within the promise."""
    line, seconds, peak = measured(path, read)
    assert seconds < MOST_SECONDS and peak < MOST_BYTES, (seconds, peak >> 20)
    assert line is not None, "accepted"
    assert line.startswith(f"{path}: ") and "\n" not in line
    return line.removeprefix(f"{path}: ")


def measured(path, read):
    """The line of the CheckpointError, None without one; CPU seconds and the peak of resident memory in bytes."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(source)
            before = _peak()
            resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS * 4, MOST_SECONDS * 4))
            try:
                read(path)
                answer = {"line": None}
            except CheckpointError as error:
                answer = {"line": str(error)}
            # This process is a fork of one that holds TensorFlow: what it had before is not the reading's.
            usage = resource.getrusage(resource.RUSAGE_SELF)
            answer |= {"seconds": usage.ru_utime + usage.ru_stime, "peak": _peak() - before + (80 << 20)}
            os.write(sink, json.dumps(answer).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(sink)
    with open(source, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, f"{path}: the reading ended with status {status}"
    found = json.loads(answer)
    return found["line"], found["seconds"], found["peak"]


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _replace(file, path, make):
    del file[path]
    make(file, path)


SECRET = "secret.bin"


@pytest.mark.parametrize(
    "change",
    [
        lambda f: _replace(f, "bag/vars/0", lambda f, p: f.create_dataset(p, (20,), "f4", external=SECRET)),
        lambda f: _replace(f, "bag/vars/0", lambda f, p: f.__setitem__(p, h5py.ExternalLink(SECRET, "/x"))),
        lambda f: _replace(f, "bag/vars/0", lambda f, p: f.__setitem__(p, h5py.SoftLink("/gru_0/cell/vars/0"))),
        lambda f: f.__setitem__("more", h5py.SoftLink("/gru_0")),
        lambda f: f.__setitem__("more", h5py.ExternalLink(SECRET, "/x")),
        lambda f: f.create_dataset("more", (20,), "f4", external=SECRET),
        lambda f: f.create_dataset("more", data=np.zeros((9, 9), "f4"), compression="gzip"),
        lambda f: f.create_dataset("more", (1 << 30,), "f4", chunks=True),
        lambda f: f.create_dataset("more", (1 << 30,), "f4"),
        lambda f: f.create_dataset("more", data=[1, 2]),
        lambda f: f.create_dataset("more", data=np.zeros(2, "f8")),
        lambda f: f.create_dataset("more", data="text"),
        lambda f: f.create_virtual_dataset("more", _virtual()),
    ],
    ids=(
        "external external_link soft_link soft external_more external_array gzip chunks unwritten ints doubles text "
        "virtual"
    ).split(),
)
def test_weights_are_plain_arrays_in_the_file_itself(saved, tmp_path, change):
    (tmp_path / SECRET).write_bytes(bytes(80))
    path = with_weights(tmp_path / "odd.keras", saved, change)
    assert "damaged, or written by another version" in refused(path)


def _virtual():
    layout = h5py.VirtualLayout((20,), "f4")
    layout[:] = h5py.VirtualSource(SECRET, "x", (20,))
    return layout


def test_links_to_one_array_do_not_multiply_it(saved, tmp_path):
    def change(file):
        for at in range(40):
            file[f"again{at}"] = file["bag/vars/0"]

    assert "share their bytes" in refused(with_weights(tmp_path / "aliased.keras", saved, change))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_are_finite(saved, tmp_path, value):
    def change(file):
        file["bag/vars/0"][0, 0] = value

    assert "bag is not finite" in refused(with_weights(tmp_path / "odd.keras", saved, change))


def test_a_group_in_itself_is_not_followed_for_ever(saved, tmp_path):
    def change(file):
        file["bag/more"] = file["/"]

    assert "deep" in refused(with_weights(tmp_path / "odd.keras", saved, change))


def test_every_byte_of_the_weights_may_be_wrong(saved):
    """Whatever stands in an HDF5 file, it is read, or refused by ValueError."""
    data = members_of(saved)[WEIGHTS]
    used = [at for at, byte in enumerate(data[:3000]) if byte][::3]
    for at in used:
        for byte in (0, 255, data[at] ^ 1, data[at] ^ 128):
            broken = bytearray(data)
            broken[at] = byte
            try:
                hdf5.arrays_of(bytes(broken))
            except ValueError as error:
                assert "\n" not in str(error)
    for size in (*range(0, 3000, 7), len(data) - 1):
        with pytest.raises(ValueError):
            hdf5.arrays_of(data[:size])


# -- the archive


def test_compressed_weights_are_refused_before_they_are_unpacked(saved, tmp_path):
    members = members_of(saved) | {WEIGHTS: bytes(200 << 20)}
    path = write(tmp_path / "bomb.keras", members, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    assert "model.weights.h5 is compressed" in refused(path)


@pytest.mark.parametrize(("method", "words"), [(zipfile.ZIP_DEFLATED, "at most"), (zipfile.ZIP_BZIP2, "compressed")])
@pytest.mark.parametrize("name", [CONFIG, storage.MEMBER])
def test_members_that_unpack_to_gigabytes_are_refused(saved, tmp_path, name, method, words):
    size = (200 if method == zipfile.ZIP_DEFLATED else 9) << 20
    path = write(tmp_path / "bomb.keras", members_of(saved) | {name: bytes(size)}, method)
    assert words in refused(path, checkpoint.read if name == CONFIG else storage.read)


def test_a_member_that_unpacks_to_more_than_it_declares_is_refused(saved, tmp_path):
    """The directory says 1000 bytes, the data go on for 256 MiB."""
    path = write(tmp_path / "bomb.keras", members_of(saved) | {CONFIG: bytes(1 << 28)}, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    at = 0
    while (at := data.find(struct.pack("<L", 1 << 28), at)) >= 0:
        data[at : at + 4] = struct.pack("<L", 1000)
    path.write_bytes(data)
    assert "not a readable .keras file" in refused(path)


def test_a_directory_of_a_million_members_is_refused(tmp_path):
    path = tmp_path / "many.keras"
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    n = LARGEST // len(entry)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, n & 0xFFFF, n & 0xFFFF, n * len(entry), 0, 0)
    path.write_bytes(entry * n + end)
    assert "members, expected at most" in refused(path)


def test_two_members_of_one_name_are_refused(saved, tmp_path):
    path = write(tmp_path / "twice.keras", members_of(saved))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(CONFIG, "{}")
    assert "two members of one name" in refused(path)


@pytest.mark.parametrize("unit", ["[],", "{},", '{"a":{}},', "1.5,", '"",', "[[", '{"a":'])
def test_settings_of_any_form_stay_within_bounds(saved, tmp_path, unit):
    text = unit * (checkpoint.MAX_CONFIG_BYTES // len(unit) - 60)
    closed = text.endswith(",")
    config = '{"class_name": "MelodyGRU", "config": {"vocabulary": [' + text + ("0]}}" if closed else "")
    refused(write(tmp_path / "odd.keras", {**members_of(saved), CONFIG: config}))


def test_the_largest_checkpoint_is_read_within_bounds(tmp_path):
    """64 MiB of float16, the worst that can be accepted: all of it becomes float32."""
    from melodygru.model.architecture import Architecture, weights_of

    vocabulary = toys.VOCABULARIES["many"]
    sizes = Architecture(layers=2, units=1450, embedding=512, head=512)
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        for weight in weights_of(vocabulary, sizes).values():
            file.create_dataset(weight.path, data=np.zeros(weight.shape, "f2"))
    config = {
        "class_name": "MelodyGRU",
        "config": checkpoint.as_settings(vocabulary, sizes, {}) | {"format": checkpoint.FORMAT},
    }
    path = write(tmp_path / "large.keras", {CONFIG: json.dumps(config), WEIGHTS: data.getvalue()})
    assert 0.8 * LARGEST < path.stat().st_size < LARGEST
    del data
    line, seconds, peak = measured(path, checkpoint.read)
    assert line is None and seconds < MOST_SECONDS and peak < MOST_BYTES, (line, seconds, peak >> 20)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_a_named_pipe_or_a_device_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.keras")
    (tmp_path / "null.keras").symlink_to("/dev/zero")
    for read in (checkpoint.read, checkpoint.read_settings, storage.read):
        for name, kind in (("pipe", "a named pipe"), ("null", "a device")):
            assert f"{kind}, expected a regular file" in refused(tmp_path / f"{name}.keras", read)


def test_a_sparse_file_of_a_terabyte_costs_nothing(tmp_path, monkeypatch):
    (tmp_path / "checkpoints").mkdir()
    path = tmp_path / "checkpoints" / "sparse.keras"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    for read in (checkpoint.read, checkpoint.read_settings, storage.read):
        assert "more than 1,073,741,824 bytes" in refused(path, read)
    assert checkpoint.find_by_hash("0" * 64) is None
    assert checkpoint.find() == checkpoint.shipped_path()


# -- every number


ODD_SETTINGS = [
    (lambda s: s["architecture"].update(layers=10**9), "architecture.layers 1000000000: expected a whole number, 1"),
    (lambda s: s["architecture"].update(layers=True), "architecture.layers True: expected"),
    (lambda s: s["architecture"].update(units=0), "architecture.units 0: expected"),
    (lambda s: s["architecture"].update(units=10.0), "architecture.units 10.0: expected"),
    (lambda s: s["architecture"].update(drop_head=1.5), "architecture.drop_head 1.5: expected a number, 0..0.99"),
    (lambda s: s["architecture"].update(drop_head=float("nan")), "architecture.drop_head nan: expected"),
    (lambda s: s["architecture"].update(cell=["gru"]), "architecture.cell a list: expected one of gru, lstm"),
    (lambda s: s["architecture"].update(wings=1), "architecture: 'wings' is unknown"),
    (lambda s: s["architecture"].pop("units"), "architecture: units is missing"),
    (lambda s: s["vocabulary"].update(programs=[0, 129]), "vocabulary.programs[1] 129: expected"),
    (lambda s: s["vocabulary"].update(programs=[]), "vocabulary.programs a list: expected a list of 1..129"),
    (lambda s: s["vocabulary"].update(velocities=[1, 2]), "2 velocities: expected 1 or 32"),
    (lambda s: s["vocabulary"].update(metres=[[4, 0]]), "vocabulary.metres[0][1] 0: expected"),
    (lambda s: s["vocabulary"].update(metres=[[4]]), "vocabulary.metres[0] a list: expected a list of 2"),
    (lambda s: s["vocabulary"].update(qpm=0), "vocabulary.qpm 0: expected"),
    (lambda s: s["vocabulary"].update(qpm=float("inf")), "vocabulary.qpm inf: expected"),
    (lambda s: s["vocabulary"].update(style_qpm=[100.0]), "style_qpm has 1 entries: expected 0, or none"),
    (lambda s: s["vocabulary"].update(longest=-1), "vocabulary.longest -1: expected"),
    (lambda s: s["vocabulary"].update(n_sounding=10**12), "vocabulary.n_sounding 1000000000000: expected"),
    (lambda s: s["vocabulary"].update(grid="1e999999999"), "grid '1e999999999': expected"),
    (lambda s: s["vocabulary"].update(grid="0.00001"), "grid 0.00001: expected"),
    (lambda s: s["vocabulary"].update(signatures=[[1] * 11]), "vocabulary.signatures[0] a list: expected"),
    (lambda s: s["card"].update(corpus={"pieces": "many"}), "card.corpus: fingerprint is missing"),
    (lambda s: s["card"].update(history=[{"step": 1, "minutes": 0}]), "card.history[0]: validation_nats"),
    (lambda s: s["card"].update(recorded=5), "card.recorded 5: expected a text"),
    (lambda s: s["card"].update(versions={"numpy": 2}), "card.versions.numpy 2: expected a text"),
    (lambda s: s["card"].update(odd=float("nan")), "card.odd nan: expected a finite number"),
    (lambda s: s.update(seed="7"), "seed '7': expected a whole number"),
    (lambda s: s.update(card=[]), "card a list: expected an object"),
    (lambda s: s.update(format=10**400), "format 1000000000000000000000000000000000000000...: expected"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), ODD_SETTINGS)
def test_every_number_has_a_type_and_a_range(saved, tmp_path, change, words):
    def changed(settings):
        change(settings)

    line = refused(with_config(tmp_path / "odd.keras", saved, changed))
    assert words in line and len(line) < 400


# -- the index


def test_an_index_of_odd_arrays_is_refused(saved, tmp_path):
    with np.load(io.BytesIO(members_of(saved)[storage.MEMBER])) as held:
        arrays = dict(held)
    about = json.loads(arrays["about"].tobytes())

    def index(**changes):
        data = io.BytesIO()
        np.savez(data, **{**arrays, **changes})
        return write(tmp_path / "odd.keras", {**members_of(saved), storage.MEMBER: data.getvalue()})

    def described(**changes):
        return index(about=np.frombuffer(json.dumps({**about, **changes}).encode(), np.uint8))

    assert storage.read(index()).files == ("0.mid", "1.mid", "2.mid")
    for write_it, words in (
        (lambda: index(text=np.zeros(4, np.int64)), "text: int64 of shape (4,), expected uint8"),
        (lambda: index(about=np.zeros((2, 2), np.uint8)), "about: uint8 of shape (2, 2)"),
        (lambda: described(notes="many"), "about.notes 'many': expected"),
        (lambda: described(notes=10**30), "about.notes 1000"),
        (lambda: described(stride=9), "about.stride 9: expected a whole number, 1..4"),
        (lambda: described(files=[1, 2, 3]), "about.files[0] 1: expected a text"),
        (lambda: described(yardstick={"covered": "all"}), "about.yardstick"),
        (lambda: described(yardstick=[]), "about.yardstick a list: expected"),
        (lambda: described(grid="1e99999999"), "grid '1e99999999': expected"),
    ):
        assert words in refused(write_it(), storage.read)


def test_an_index_may_not_unfold_in_memory(saved, tmp_path):
    """Few compressed bytes of marks, each of which stands for eight bars."""
    with np.load(io.BytesIO(members_of(saved)[storage.MEMBER])) as held:
        arrays = dict(held)
    n = 6 << 20
    lines = arrays["lines"].copy()
    lines[-1, 1] = 8 * n
    data = io.BytesIO()
    np.savez_compressed(data, **{**arrays, "marks": np.full(n, 0x80, np.uint8), "lines": lines})
    path = write(tmp_path / "odd.keras", {**members_of(saved), storage.MEMBER: data.getvalue()}, zipfile.ZIP_DEFLATED)
    assert "index of originality" in refused(path, storage.read)
