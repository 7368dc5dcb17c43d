"""The cache under bit flips: what is believed is what was written."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import tune

from melodygru import midi
from melodygru.corpus import cache as cache_module
from melodygru.corpus import intake, storage
from melodygru.corpus import pieces as pieces_module
from melodygru.corpus.cache import Cache, CacheDamaged, CacheUnusable, Parsed, sealed, unsealed
from melodygru.errors import CorpusError

FLIPS = int(os.environ.get("MELODYGRU_FUZZ", 10_000))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder of music and the cache of its intake; a damaged file among them."""
    folder, store = tmp_path_factory.mktemp("music"), tmp_path_factory.mktemp("cache")
    for at in range(8):
        midi.write(tune(48 + at), folder / f"{at}.mid")
    (folder / "broken.mid").write_bytes(b"MThd")
    intake(folder, cache=store)
    for path in folder.iterdir():
        os.utime(path, ns=(1_700_000_000_000_000_000 + len(path.name),) * 2)
    intake(folder, cache=store)
    return folder, store


def believed(root):
    """What a cache says of every content that it knows, and their notes; None where it says that it is damaged."""
    with Cache(root) as store:
        try:
            digests = [row[0] for row in store.database.execute("SELECT digest FROM parsed NOT INDEXED")]
        except Exception:  # noqa: BLE001  the test's own look into it
            return {}
        try:
            known = store.known([digest for digest in digests if isinstance(digest, str)])
            return {
                digest: (parsed, None if parsed.error else store.sequence(digest).notes.tobytes())
                for digest, parsed in known.items()
            }
        except (CacheDamaged, CacheUnusable):
            return {}


@pytest.mark.parametrize("flips", [200, pytest.param(FLIPS, marks=pytest.mark.slow)])
def test_of_flipped_bits_none_is_believed(filled, tmp_path, flips):
    _, store = filled
    written = believed(store)
    assert len(written) == 9
    shutil.copytree(store, tmp_path / "cache")
    path = tmp_path / "cache" / cache_module.version() / "parsed.sqlite"
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    noticed = 0
    for at in rng.integers(0, 8 * len(data), flips).tolist():
        broken = bytearray(data)
        broken[at // 8] ^= 1 << at % 8
        path.write_bytes(broken)
        found = believed(tmp_path / "cache")
        assert found.items() <= written.items(), at
        noticed += found != written
    assert noticed > flips / 10  # the others lie in what SQLite does not use


@pytest.mark.parametrize("flips", [100, pytest.param(FLIPS, marks=pytest.mark.slow)])
def test_the_memory_of_a_folder_is_whole_or_nothing(filled, tmp_path, flips):
    folder, store = filled
    shutil.copytree(store, tmp_path / "cache")
    with Cache(tmp_path / "cache") as cache:
        path = cache.listing_file(folder)
        data, written = path.read_bytes(), cache.load_listing(folder)
        assert len(written) == 9
        for at in np.random.default_rng(1).integers(0, 8 * len(data), flips).tolist():
            broken = bytearray(data)
            broken[at // 8] ^= 1 << at % 8
            path.write_bytes(broken)
            assert cache.load_listing(folder) == {}, at


def test_a_large_corpus_is_checked_piece_by_piece(filled, tmp_path, monkeypatch):
    folder, store = filled
    shutil.copytree(store, tmp_path / "cache")
    monkeypatch.setattr(pieces_module, "CHECKED_BYTES", 0)
    monkeypatch.setattr("melodygru.corpus.storage.CHECKED_BYTES", 0)
    assert len(list(intake(folder, cache=tmp_path / "cache"))) == 8
    (path,) = (tmp_path / "cache").rglob("notes.bin")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    corpus = intake(folder, cache=tmp_path / "cache")
    assert len(corpus[0]) == 32
    with pytest.raises(CorpusError, match=r"^7.mid: its notes in the cache are damaged; delete the cache's folder"):
        corpus[7]


def test_a_row_that_does_not_look_as_declared_is_refused():
    row = ("d" * 32, None, "c" * 32, 3, 0, "{}", 1)
    for changed in ((*row[:3], -1, *row[4:]), (*row[:3], 1.5, *row[4:]), (*row[:5], '{"merged": -1}', 1)):
        checksum = cache_module._row_checksum(changed, b"1234")
        with pytest.raises(ValueError, match=r"^a row\.(n_notes|oddities\.merged)"):
            cache_module._checked((*changed, b"1234", checksum))
    checksum = cache_module._row_checksum(row, b"1234")
    assert cache_module._checked((*row, b"1234", checksum)) == Parsed("d" * 32, None, "c" * 32, 3)
    for wrong in ((*row, b"1235", checksum), (*row, None, checksum), (*row, b"1234", checksum ^ 1)):
        with pytest.raises(ValueError, match="a row does not agree with its checksum"):
            cache_module._checked(wrong)


def test_a_seal_holds_for_every_bit():
    data = sealed(b"[1, 2]")
    assert unsealed(data) == b"[1, 2]"
    for at in range(8 * len(data)):
        broken = bytearray(data)
        broken[at // 8] ^= 1 << at % 8
        with pytest.raises(ValueError, match="checksum"):
            unsealed(bytes(broken))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
@pytest.mark.parametrize("name", storage.ARRAYS)
def test_a_disk_that_is_full_when_a_corpus_is_finished_has_a_remedy(filled, tmp_path, monkeypatch, name):
    """What waits in a buffer meets the full disk once when it is finished, and again when it is let go."""
    place = storage._file
    monkeypatch.setattr(storage, "_file", lambda folder, of: Path("/dev/full") if of == name else place(folder, of))
    with pytest.raises(CorpusError, match=r"No space left on device; set TMPDIR to a folder with space$"):
        intake(filled[0], cache=tmp_path)
