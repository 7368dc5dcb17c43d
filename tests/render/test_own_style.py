"""Pictures and the user's matplotlib: neither changes the other, and a failure is one clear error."""

import hashlib
import os
import subprocess
import sys
import threading
import warnings

import pytest

from melodygru.errors import SettingError
from melodygru.music.grid import Grid
from melodygru.music.notes import NoteSequence, canonical, note_array
from melodygru.render import pictures

# A piece with a title that no font has, and curves, as PNG and as SVG; their hashes go to stdout.
DRAW = """
import hashlib, sys
import numpy as np
from melodygru.music.grid import Grid
from melodygru.music.notes import NoteSequence, canonical, note_array
from melodygru.render import pictures
notes, _ = canonical(note_array([(2 * n, 2, 0, 60 + n % 7, 90) for n in range(40)]))
piece = NoteSequence(notes, Grid.beats(4), 80)
history = [dict(step=n, minutes=n, train_nats_per_note=9 / n, validation_nats_per_note=9.5 / n) for n in range(1, 9)]
for suffix in (".png", ".svg"):
    for figure in (pictures.piano_roll_figure(piece, title="日本"), pictures.training_figure(history)):
        print(hashlib.sha256(pictures.picture(figure, suffix)).hexdigest())
"""

USERS = """
font.size: 31
font.family: monospace
axes.facecolor: black
axes.linewidth: 9
lines.linewidth: 7
lines.antialiased: False
savefig.facecolor: red
savefig.bbox: tight
savefig.dpi: 11
figure.dpi: 300
figure.autolayout: True
svg.fonttype: none
text.parse_math: False
path.sketch: 1, 100, 2
axes.formatter.use_locale: True
text.usetex: True
xtick.direction: in
legend.frameon: True
"""


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_pictures_look_the_same_under_any_settings_style_and_backend(tmp_path):
    (tmp_path / "matplotlibrc").write_text(USERS)
    expected = run(DRAW, MPLBACKEND="agg")
    assert len(expected.stdout.split()) == 4, expected.stderr
    style = "import matplotlib, matplotlib.style; matplotlib.style.use(['dark_background', 'ggplot'])\n"
    style += "import matplotlib.pyplot as plt; plt.figure(); before = dict(matplotlib.rcParams)\n"
    after = "assert dict(matplotlib.rcParams) == before and matplotlib.rcParams['backend'].lower() == 'svg'\n"
    for code, environment in (
        (DRAW, {"MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "MPLBACKEND": "pdf"}),
        (style + DRAW + after, {"MATPLOTLIBRC": str(tmp_path), "MPLBACKEND": "svg"}),
    ):
        found = run(code, **environment)
        assert found.stdout == expected.stdout, found.stderr


def test_a_backend_that_is_none_is_one_clear_error():
    code = "from melodygru.render import pictures\npictures.training_figure([])"
    found = run(code, MPLBACKEND="nonsense")
    assert "melodygru.errors.SettingError: no picture could be drawn: " in found.stderr
    assert "nonsense" in found.stderr.splitlines()[-1]


def piece(key):
    notes, _ = canonical(note_array([(2 * n, 2, 0, key + n % 7, 90) for n in range(40)]))
    return NoteSequence(notes, Grid.beats(4), 80)


def drawn(key, suffix):
    return hashlib.sha256(pictures.picture(pictures.piano_roll_figure(piece(key), title="日本"), suffix)).digest()


def test_threads_draw_at_once_what_one_draws_alone_and_leave_nothing_behind():
    import matplotlib

    todo = [(key, suffix) for key in (40, 50, 60, 70) for suffix in (".png", ".svg")]
    expected = [drawn(*one) for one in todo]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        matplotlib.rcParams["font.size"] = 17.0
        before, filters = dict(matplotlib.rcParams), list(warnings.filters)
        found: dict = {}
        start = threading.Barrier(len(todo))

        def work(index):
            start.wait()
            found[index] = drawn(*todo[index])

        threads = [threading.Thread(target=work, args=(index,)) for index in range(len(todo))]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert dict(matplotlib.rcParams) == before and warnings.filters == filters
        finally:
            matplotlib.rcParams["font.size"] = matplotlib.rcParamsDefault["font.size"]
    assert [found.get(index) for index in range(len(todo))] == expected


def test_a_failure_is_one_clear_error_and_leaves_nothing_behind(monkeypatch):
    import matplotlib
    from matplotlib.figure import Figure

    def fail(*_, **__):
        raise RuntimeError("no font")

    monkeypatch.setattr(Figure, "savefig", fail)
    before, filters = dict(matplotlib.rcParams), list(warnings.filters)
    figure = pictures.training_figure([])
    with pytest.raises(SettingError, match="^no picture could be drawn: no font$"):
        pictures.picture(figure, ".svg")
    assert dict(matplotlib.rcParams) == before and warnings.filters == filters


def test_a_failed_picture_costs_a_training_and_a_comparison_nothing_else(monkeypatch, tmp_path, capsys):
    from melodygru.analysis import originality
    from melodygru.cli import compare
    from melodygru.training import run as training_run

    def fail(*_, **__):
        raise SettingError("no picture could be drawn: no font")

    monkeypatch.setattr(pictures, "training_figure", fail)
    monkeypatch.setattr(pictures, "rivals_figure", fail)
    attached, said = [], []
    monkeypatch.setattr(originality, "attach", lambda *given: attached.append(given))
    training_run._finish(tmp_path / "a.keras", [], "index", said.append)
    assert attached == [(tmp_path / "a.keras", "index")]
    problem = f"{tmp_path / 'a.png'} could not be drawn (no picture could be drawn: no font); all else is there"
    assert said == [f"warning: {problem}"]
    result = training_run.TrainResult(tmp_path / "a.keras", None, None, None, {}, [])
    assert set(result.paths) == {"checkpoint", "history"}

    assert compare._draw([], tmp_path / "b.png") is False
    assert "no picture could be drawn: no font" in capsys.readouterr().err
