"""melodygru judge: its table, its JSON, its page and its pictures."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import tune

from melodygru import midi
from melodygru.analysis.style import FEATURES, Densities, compare, measure
from melodygru.analysis.style.report import USUAL
from melodygru.corpus import intake
from melodygru.music.grid import Grid
from melodygru.music.notes import NOTE, NoteSequence, canonical
from melodygru.music.traits import KITS
from melodygru.render import pictures

ROOT = Path(__file__).parents[2]
LONGER = {"bar_similarity_16", "bar_similarity_32", "bar_returns", *KITS}  # what tunes of ten bars don't have
BARS = {name for name, feature in FEATURES.items() if feature.needs_bars}


@pytest.fixture
def call(command):
    """Run `melodygru judge` in an empty folder."""
    return partial(command, "judge")


@pytest.fixture
def made(tmp_path):
    """generated/: four tunes like those of `tunes`, one file that is none."""
    folder = tmp_path / "generated"
    folder.mkdir()
    for at in range(4):
        midi.write(tune(62 + at, bars=3 + at % 2), folder / f"{at}.mid")
    (folder / "bad.mid").write_bytes(b"no MIDI file")
    return folder


def performances(folder, n, seed=0):
    """A folder of pieces without a beat."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for at in range(n):
        notes = np.zeros(60, NOTE)
        notes["onset"] = np.cumsum(rng.integers(3, 97, 60))
        notes["duration"], notes["velocity"] = rng.integers(5, 150, 60), 80
        notes["pitch"] = rng.integers(50, 80, 60)
        notes, _ = canonical(notes)
        length = int((notes["onset"] + notes["duration"]).max())
        midi.write(NoteSequence(notes, Grid.seconds(100), length), folder / f"{at}.mid")
    return folder


def rows(stdout):
    """Label -> the cells of the table's row."""
    labels = {*(feature.label for feature in FEATURES.values()), USUAL, "mean of all"}
    lines = [(line[:24].strip(), line[24:].strip()) for line in stdout.splitlines()]
    return {label: re.split(r"(?<!±) +(?!±)", cells) for label, cells in lines if label in labels}


class TestTable:
    def test_it_says_what_was_compared(self, call, made, tunes):
        result = call("generated", "--against", tunes)
        assert result.stdout.splitlines()[:4] == [
            "generated  generated: 4 pieces, 1 skipped",
            f"real       {tunes}: 12 pieces",
            "reference  6 of the real pieces against the other 6 (seed 0)",
            "grid       2 steps per beat",
        ]
        (line,) = result.stderr.splitlines()
        assert line.startswith("warning: generated: skipped bad.mid: ")

    def test_it_has_a_row_for_every_feature(self, call, made, tunes):
        found = rows(call("generated", "--against", tunes).stdout)
        assert list(found) == [*(feature.label for feature in FEATURES.values()), USUAL, "mean of all"]
        assert found["note count"][:3] == ["notes", "28.0 ± 4.62", "32.0 ± 0.00"]
        assert found["note density"][1:3] == ["2.00 ± 0.00", "2.00 ± 0.00"]
        assert found["note density"][3:] == ["1.00", "1.00", "0.00", "n/a", "1.00", "0.00"]  # all the same
        assert all(len(cells) == 9 for label, cells in found.items() if label not in (USUAL, "mean of all"))

    def test_lines_fit_a_screen_of_100_columns(self, call, made, tunes):
        lines = call("generated", "--against", tunes).stdout.splitlines()
        assert max(map(len, lines[5 : lines.index("") + len(FEATURES) + 5])) <= 100

    def test_a_reference_of_the_users_own(self, call, made, tunes, tmp_path):
        (tmp_path / "more").mkdir()
        for key in range(3):
            midi.write(tune(70 + key), tmp_path / "more" / f"{key}.mid")
        result = call("generated", "--against", tunes, "--reference", "more")
        assert "reference  more: 3 pieces, against all real pieces" in result.stdout

    def test_without_a_beat_bars_are_absent_and_it_says_so(self, call, tmp_path):
        performances(tmp_path / "a", 4)
        performances(tmp_path / "b", 6, seed=1)
        result = call("a", "--against", "b")
        assert "grid       10 ms per step" in result.stdout
        found = rows(result.stdout)
        for name, feature in FEATURES.items():
            absent = found[feature.label][-8:] == ["n/a"] * 8
            assert absent == (name in BARS), name
        assert found["mean inter-onset time"][0] == "s"
        assert "n/a: bars can't be compared, for a grid of seconds has none" in result.stdout.splitlines()

    def test_generated_music_goes_on_the_real_musics_grid(self, call, made, tmp_path):
        performances(tmp_path / "real", 6)
        assert "grid       10 ms per step" in call("generated", "--against", "real").stdout

    def test_too_few_pieces_for_a_density(self, call, made, tmp_path):
        (tmp_path / "two").mkdir()
        for key in range(2):
            midi.write(tune(60 + key), tmp_path / "two" / f"{key}.mid")
        result = call("generated", "--against", "two")
        assert "n/a: fewer than three generated or real pieces have it (pitch classes, " in result.stdout

    def test_halves_too_small_for_a_reference(self, call, made, tmp_path):
        (tmp_path / "four").mkdir()
        for key in range(4):
            midi.write(tune(60 + key), tmp_path / "four" / f"{key}.mid")
        result = call("generated", "--against", "four")
        assert result.stdout.splitlines()[-1].startswith("n/a in the reference: each half needs three pieces")
        assert rows(result.stdout)["pitch range"][-2:] == ["n/a", "n/a"]


class TestJson:
    def test_the_figures_are_those_of_the_library(self, call, made, tunes):
        found = json.loads(call("generated", "--against", tunes, "--json", "--seed", 3).stdout)
        real = intake(tunes)
        generated = intake(made, grid=real.grid, deduplicate=False)
        expected = compare(measure(generated), measure(real), seed=3)
        assert list(found["features"]) == list(FEATURES)
        for name, one in expected.items():
            shown = found["features"][name]
            assert (shown["overlapping_area"], shown["kl_divergence"]) == (one.overlapping_area, one.kl_divergence)
            assert shown["spread"] == one.spread
        assert found["generated"] == {"folder": "generated", "pieces": 4, "skipped": 1}
        assert found["reference"] == {"folder": None, "pieces": 6, "against": 6, "skipped": 0, "seed": 3}
        assert found["grid"] == "2"

    def test_histograms_carry_their_means(self, call, made, tunes):
        found = json.loads(call("generated", "--against", tunes, "--json").stdout)["features"]
        lengths = found["note_length_histogram"]
        assert dict(zip(lengths["classes"], lengths["real"]["mean_shares"], strict=True))["1/8"] == 1
        assert lengths["real"] == {**lengths["real"], "pieces": 12, "mean": 0, "deviation": 0}
        assert found["note_count"]["generated"] == {"pieces": 4, "mean": 28, "deviation": pytest.approx(4.6188, 1e-4)}

    def test_the_same_call_gives_the_same_figures(self, call, made, tunes):
        first, second = (call("generated", "--against", tunes, "--json").stdout for _ in range(2))
        assert first == second


class TestMisses:
    @pytest.fixture
    def halves(self, tmp_path):
        """Tunes that return to their first bars, and tunes of half as many notes that return to nothing."""
        for name, keys in (("real", range(50, 58)), ("new", range(60, 66))):
            (tmp_path / name).mkdir()
            for key in keys:
                pitches = [
                    key + (7 * i * i if name == "new" else i % 8) % 23 for i in range(0, 64, 1 + (name == "new"))
                ]
                notes = np.zeros(len(pitches), NOTE)
                notes["onset"] = np.arange(len(pitches)) * (8 if name == "new" else 4)
                notes["duration"], notes["pitch"], notes["velocity"] = 4, pitches, 80
                midi.write(NoteSequence(notes, Grid.beats(4), 256), tmp_path / name / f"{key}.mid")

    def test_rows_that_miss_are_marked_and_named(self, call, halves):
        result = call("new", "--against", "real", "--html", "page.html")
        found = rows(result.stdout)
        assert found["note count"][3] == "0.50!" and found["alike 2 bars before"][3] == "0.04!"
        assert not any(cell.endswith("!") for cell in found["length"])
        (line,) = [line for line in result.stdout.splitlines() if line.startswith("! ")]
        assert " rows miss: a ratio of means outside 0.6..1.4, or an OA below 0.7 and the reference's (" in line
        assert "note count" in line and ", length" not in line
        page = Path("page.html").read_text("utf-8")
        assert '<td class="missed">0.50!</td>' in page and "misses: mean 0.50 times real" in page

    def test_json_says_which_figures_miss(self, call, halves):
        found = json.loads(call("new", "--against", "real", "--json").stdout)
        assert found["limits"] == {"ratio": [0.6, 1.4], "overlapping_area": 0.7}
        count = found["features"]["note_count"]
        assert count["ratio"] == 0.5 and count["missed"] == ["ratio", "overlapping_area"]
        assert found["features"]["length"]["missed"] == []
        usual = {"generated": 1.0, "real": 1.0, "ratio": 1.0, "missed": False}
        assert found["length_in_middle_80%"] == usual


class TestWarnings:
    def test_copies_are_named(self, call, tunes, tmp_path):
        (tmp_path / "copies").mkdir()
        midi.write(tune(48), tmp_path / "copies" / "a.mid")
        midi.write(tune(80), tmp_path / "copies" / "b.mid")
        result = call("copies", "--against", tunes)
        assert result.stderr == (
            f"warning: 1 of the 2 pieces of copies stand note for note in {tunes}; they are copies: "
            "a.mid = low/00.mid\n"
        )

    def test_duplicates_among_the_generated_pieces_count(self, call, tunes, tmp_path):
        (tmp_path / "twice").mkdir()
        for name in "ab":
            midi.write(tune(80), tmp_path / "twice" / f"{name}.mid")
        assert "generated  twice: 2 pieces" in call("twice", "--against", tunes).stdout


class TestErrors:
    @pytest.mark.parametrize("side", ["generated", "real", "reference"])
    def test_fewer_than_two_pieces(self, call, made, tunes, tmp_path, side):
        (tmp_path / "one").mkdir()
        midi.write(tune(60), tmp_path / "one" / "a.mid")
        folders = {"generated": made, "real": tunes, "reference": tunes, side: "one"}
        result = call(folders["generated"], "--against", folders["real"], "--reference", folders["reference"], code=1)
        message = "melodygru: one holds 1 usable piece, expected at least 2: add more MIDI files"
        assert result.stderr.splitlines()[-1] == message

    def test_a_folder_that_is_missing(self, call, tunes):
        result = call("nowhere", "--against", tunes, code=1)
        assert result.stderr == "melodygru: nowhere: no such file or folder; give a folder of MIDI files\n"

    def test_a_page_of_another_kind(self, call, made, tunes):
        result = call("generated", "--against", tunes, "--html", "page.pdf", code=1)
        assert result.stderr == "melodygru: --html page.pdf: expected a name that ends in .html\n"

    def test_a_page_that_cant_be_written(self, call, made, tunes):
        result = call("generated", "--against", tunes, "--html", Path("missing") / "page.html", code=1)
        assert result.stderr.splitlines()[-1] == (
            f"melodygru: --html: cannot write {Path('missing') / 'page.html'}: No such file or directory; "
            "choose another place"
        )

    def test_the_help_shows_an_example(self, call):
        assert "  melodygru judge generated/ --against midi_dir/\n" in call("--help").stdout


class TestPage:
    @pytest.fixture
    def page(self, call, made, tunes):
        result = call("generated", "--against", tunes, "--html", "page.html")
        assert result.stdout.splitlines()[-1] == "page       page.html"
        return result, Path("page.html").read_text("utf-8")

    def test_it_has_the_tables_cells(self, page):
        result, text = page
        for label, cells in rows(result.stdout).items():
            if label not in (USUAL, "mean of all"):
                marks = [' class="missed"' if cell.endswith("!") else "" for cell in cells]
                shown = "".join(f"<td{mark}>{cell}</td>" for mark, cell in zip(marks, cells, strict=True))
                assert f"<tr><td>{label}</td>{shown}</tr>" in text

    def test_it_has_a_picture_of_every_feature_and_needs_no_network(self, page):
        _, text = page
        drawn = re.findall(r'<svg viewBox="[^"]+" role="img" aria-label="([^"]+)">(.*?)</svg>', text)
        assert [label for label, _ in drawn] == [
            feature.label
            for name, feature in FEATURES.items()
            if not name.endswith(("_4", "_8", "_16", "_32", "_returns"))  # no piece has five bars
            and name not in KITS
        ]
        for _, svg in drawn:
            xml.etree.ElementTree.fromstring(f"<svg>{svg}</svg>")
        assert not re.search(r"https?:|<script|<link|url\((?!#)|src=", text)

    def test_names_of_folders_are_text(self, call, made, tunes, tmp_path):
        made.rename(tmp_path / "<b>&")
        call("<b>&", "--against", tunes, "--html", "page.html")
        assert "<dd>&lt;b&gt;&amp;: 4 pieces, 1 skipped</dd>" in Path("page.html").read_text("utf-8")

    @pytest.mark.slow
    def test_the_same_call_gives_the_same_bytes(self, call, tmp_path):
        performances(tmp_path / "a", 3)
        pages = []
        for _ in range(2):
            call("a", "--against", "a", "--html", "page.html")
            pages.append(Path("page.html").read_bytes())
        assert pages[0] == pages[1]


def shown_texts(figure):
    """Every text of a figure that is drawn, with its box in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    hidden = set()
    for axes in figure.axes:
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, sorted(axes.get_ylim()))):
            for tick in axis.get_major_ticks():
                hidden |= {id(tick.label2)} | ({id(tick.label1)} if not low <= tick.get_loc() <= high else set())
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible() and id(text) not in hidden]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts]


def assert_legible(figure):
    """Every text lies on the page, and no two touch."""
    texts = shown_texts(figure)
    for text, box in texts:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text
    for at, (text, box) in enumerate(texts):
        for other, there in texts[:at]:
            assert not box.overlaps(there), (text, other)


@pytest.fixture(scope="module")
def found():
    """Random tunes of ten bars against others; the number of notes is always the same."""
    rng = np.random.default_rng(0)

    def some(n, pitches):
        pieces = []
        for _ in range(n):
            notes = np.zeros(80, NOTE)
            notes["onset"] = 2 * np.arange(80)
            notes["duration"] = rng.integers(1, 3, 80)
            notes["pitch"], notes["velocity"] = rng.choice(pitches, 80), 80
            pieces.append(NoteSequence(notes, Grid.beats(4), 160))
        return measure(pieces)

    return compare(some(6, [60, 62, 64, 65, 67]), some(8, np.arange(36, 97)))


class TestPictures:
    @pytest.mark.parametrize("grid", [Grid.beats(4), Grid.seconds(100)], ids=["beats", "seconds"])
    @pytest.mark.parametrize("name", [name for name in FEATURES if name not in LONGER])
    def test_texts_lie_on_the_page_and_apart(self, found, name, grid):
        assert_legible(pictures.style_figure(found[name], grid, ("ratio", "overlapping_area")))

    def test_the_curves_are_the_densities_of_the_three_kinds_of_distances(self, found):
        one = found["mean_interval"]
        axes = pictures.style_figure(one, Grid.beats(4)).axes[0]
        assert [line.get_label() for line in axes.lines] == ["real", "generated", "real to generated"]
        for line, sample in zip(axes.lines, (one.within_real, one.within_generated, one.between), strict=True):
            density = Densities.from_samples(sample, sample)
            assert np.array_equal(line.get_ydata(), density.first[density.grid >= 0])
        assert len({(line.get_color(), str(line.get_linestyle())) for line in axes.lines}) == 3

    def test_distances_that_are_all_the_same_are_an_upright_line(self, found):
        axes = pictures.style_figure(found["note_count"], Grid.beats(4)).axes[0]
        assert [np.unique(line.get_xdata()).tolist() for line in axes.lines] == [[0]] * 3

    def test_bars_are_the_mean_shares(self, found):
        one = found["interval_histogram"]
        axes = pictures.style_figure(one, Grid.beats(4)).axes[1]
        real, generated = axes.containers
        assert [bar.get_height() for bar in real] == pytest.approx(one.real.mean(axis=0))
        assert [bar.get_height() for bar in generated] == pytest.approx(one.generated.mean(axis=0))
        assert generated[0].get_hatch() and not real[0].get_hatch()  # they differ without colour
        named = {label.get_text(): at for at, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)}
        assert named == {f"{s:+d}" if s else "0": s + 13 for s in range(-12, 13, 3)}

    def test_matrices_share_a_scale(self, found):
        one = found["pitch_class_transitions"]
        _, real, generated, _ = pictures.style_figure(one, Grid.beats(4)).axes
        assert np.asarray(real.images[0].get_array()).reshape(-1) == pytest.approx(one.real.mean(axis=0))
        assert np.asarray(generated.images[0].get_array()).reshape(-1) == pytest.approx(one.generated.mean(axis=0))
        assert real.images[0].get_clim() == generated.images[0].get_clim()

    @pytest.mark.parametrize("suffix", [".png", ".svg"])
    def test_a_picture_is_the_same_bytes_each_time(self, found, suffix):
        drawn = [pictures.picture(pictures.style_figure(found["polyphony"], Grid.beats(4)), suffix) for _ in range(2)]
        assert drawn[0] == drawn[1]
        assert drawn[0].startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")


def test_judge_loads_neither_tensorflow_nor_matplotlib_without_need(made, tunes, tmp_path):
    code = f"""
import sys
from melodygru.cli import main
try:
    main(["judge", "generated", "--against", {str(tunes)!r}])
except SystemExit as stop:
    assert not stop.code
assert not {{"tensorflow", "keras", "matplotlib"}} & set(sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MELODYGRU_CACHE": str(tmp_path / "cache")}
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
