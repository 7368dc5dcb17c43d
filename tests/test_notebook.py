"""The notebook of the docs runs, its pieces play, its training is one line; and all of it needs no network."""

import json
import re
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from conftest import tune

from melodygru.compose.composition import Composition
from melodygru.errors import AudioError, SettingError
from melodygru.render import audio, pictures
from melodygru.util.notebook import moving_line

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"


@pytest.fixture
def piece():
    return Composition.from_notes(tune(60, 2), seed=7)


def assert_complete(page):
    """The page shows a picture and a player and names no address."""
    assert re.search(r'<img alt="piano roll" src="data:image/png;base64,iVBORw0KGgo', page)
    assert re.search(r'<audio controls [^>]*src="data:audio/mpeg;base64,[A-Za-z0-9+/]{2000,}=*"></audio>', page)
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)


def test_a_piece_shows_its_roll_its_figures_and_a_player(piece):
    page = piece._repr_html_()
    assert_complete(page)
    (facts,) = re.findall("<figcaption>(.*)</figcaption>", page)
    assert facts == "Acoustic Grand Piano · 4/4 · 120 qpm · 0:04 · 16 notes · 2 bars · seed 7"
    assert page == piece._repr_html_()


def test_the_player_plays_the_piece(piece, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    samples = audio.render(piece)
    (tmp_path / "a.mp3").write_bytes(audio.as_mp3(samples))
    found, rate = soundfile.read(tmp_path / "a.mp3")
    assert rate == 48_000 and abs(len(found) - len(samples)) < 4800
    n = min(len(found), len(samples)) // 480 * 480
    envelopes = [np.abs(sound[:n, 0]).reshape(-1, 480).mean(1) for sound in (found, samples)]
    assert np.corrcoef(envelopes)[0, 1] > 0.9


def test_what_fails_is_said_in_its_place(piece, monkeypatch):
    def no_sound(*_, **__):
        raise AudioError("no <sound>")

    def no_picture(*_, **__):
        raise SettingError("no picture")

    monkeypatch.setattr(audio, "render", no_sound)
    assert "<p>no player: no &lt;sound&gt;</p>" in piece._repr_html_()
    monkeypatch.setattr(pictures, "picture", no_picture)
    assert "<p>no picture</p>" in piece._repr_html_()
    long = Composition.from_notes(tune(60, 400), seed=7)
    assert "longer than 10 minutes" in long._repr_html_()


def test_outside_a_notebook_no_line_moves():
    assert moving_line() is None


def test_one_line_is_written_anew_and_not_too_often(monkeypatch):
    shown, now = [], [0.0]

    class Handle:
        def update(self, content, raw):
            shown.append(("update", content["text/plain"]))

    def display(content, raw, display_id):
        shown.append(("display", content["text/plain"]))
        return Handle()

    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    line = moving_line(lambda: now[0])
    for at, text in ((0.0, 1), (0.4, 2), (0.5, 3), (0.6, "a text is always shown"), (0.7, 4)):
        now[0] = at
        line(text)
    assert shown == [("display", "1"), ("update", "3"), ("update", "a text is always shown")]
    shell.kernel = None  # IPython in a terminal
    assert moving_line() is None


def executed(source, folder):
    """The notebook's cells with their outputs, run by a kernel in a folder."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.from_dict(source) if isinstance(source, dict) else nbformat.read(source, as_version=4)
    client = NotebookClient(
        notebook, timeout=1500, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    return client.execute().cells


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_notebook_runs(tunes, tmp_path):
    shutil.copytree(tunes, tmp_path / "midi_dir")
    cells = [cell for cell in executed(NOTEBOOK, tmp_path) if cell.cell_type == "code"]
    shown = {cell.source.splitlines()[-1]: cell.outputs for cell in cells}
    for name in ("piece", "mine"):
        (output,) = shown[name]
        assert_complete(output.data["text/html"])
    (training,) = [cell.outputs for cell in cells if "melodygru.train" in cell.source]
    line, result = training  # one line, written anew in its place, and the cell's own value
    said = re.fullmatch(r"trained mine\.keras: held out (\d+\.\d{3}) nats per note", line.data["text/plain"])
    assert float(result.data["text/plain"]) == pytest.approx(float(said[1]), abs=0.006)
    assert (tmp_path / "piece.mid").exists()


def test_the_notebook_is_committed_without_outputs():
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    for cell in notebook["cells"]:
        assert not cell.get("outputs") and cell.get("execution_count") is None
