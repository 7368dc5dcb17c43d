"""A piece becomes a file of any kind, by the suffix of its name."""

import numpy as np
import pytest
import toys

from melodygru.errors import SettingError
from melodygru.render import audio, formats

PIECE = toys.sequence_of([(0, 4, 0, 60, 82), (4, 4, 40, 64, 82)], 16)
BEGINNINGS = {".mid": b"MThd", ".midi": b"MThd", ".wav": b"RIFF", ".flac": b"fLaC", ".png": b"\x89PNG"}


@pytest.fixture
def rendered(monkeypatch):
    """How often a piece was rendered; its sound is silence."""
    calls = []

    def render(piece, soundfont=None):
        calls.append(soundfont)
        return np.zeros((100, 2), np.float32)

    monkeypatch.setattr(audio, "render", render)
    return calls


def test_every_suffix_is_written(tmp_path, rendered):
    output = formats.Output(PIECE, title="a title", texts=["made by hand"], soundfont=tmp_path / "s.sf2")
    for suffix in formats.WRITERS:
        output.save(tmp_path / f"a{suffix.upper()}")
        data = (tmp_path / f"a{suffix.upper()}").read_bytes()
        assert data.startswith(BEGINNINGS.get(suffix, b"<?xml")), suffix
    assert b"made by hand" in (tmp_path / "a.MID").read_bytes()
    assert b"a title" in (tmp_path / "a.MUSICXML").read_bytes()
    assert rendered == [tmp_path / "s.sf2"]  # once for WAV and FLAC


def test_another_suffix_is_refused(tmp_path):
    expected = r"a\.mp3: expected a name that ends in \.mid, \.midi, \.wav, \.flac, \.png, \.svg or \.musicxml$"
    with pytest.raises(SettingError, match=expected):
        formats.Output(PIECE).save(tmp_path / "a.mp3")
