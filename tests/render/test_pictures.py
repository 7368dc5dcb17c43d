import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from melodygru.errors import SettingError
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE
from melodygru.music.notes import DRUMS, NoteSequence, canonical, note_array
from melodygru.render import pictures
from melodygru.render.pictures import roll


def piece(rows, *, grid=None, length=None, parts=None, **marks):
    """Rows of (onset, duration, program, pitch, velocity), 4 steps a beat unless another grid is given."""
    notes, _ = canonical(note_array(rows, parts))
    end = int((notes["onset"] + notes["duration"]).max()) if len(notes) else 0
    return NoteSequence(notes, grid or Grid.beats(4), end if length is None else length, **marks)


def draw(sequence, path, title=None):
    pictures.save(pictures.piano_roll_figure(sequence, title=title), path)


def collection(axes, gid):
    return next((c for c in axes.collections if c.get_gid() == gid), None)


def boxes(axes):
    """Left, right, bottom, top of every note drawn, shape (n, 4)."""
    notes = collection(axes, "notes")
    corners = [path.vertices for path in notes.get_paths()] if notes else []
    return np.array([(*c[:, 0][[0, 2]], c[:, 1].min(), c[:, 1].max()) for c in corners]).reshape(-1, 4)


def pixels(path):
    from matplotlib.image import imread

    return imread(path)[:, :, :3]


def texts(figure):
    return [text.get_text() for text in figure.texts]


def assert_nothing_cut_or_overlapping(figure):
    """Every text lies on the page, and no two texts touch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    shown = [t for t in figure.texts if t.get_text()]
    for axes in figure.axes:
        low, high = axes.get_xlim()
        shown += [t for at, t in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True) if low <= at <= high]
        shown += [t for t in axes.get_yticklabels() if t.get_text()]
        shown += [t for t in axes.texts if t.get_text()]
    extents = [text.get_window_extent(renderer) for text in shown]
    for text, box in zip(shown, extents, strict=True):
        assert box.x0 >= 0 and box.y0 >= 0, text
        assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, text
    left, right = np.array([b.x0 for b in extents]), np.array([b.x1 for b in extents])
    bottom, top = np.array([b.y0 for b in extents]), np.array([b.y1 for b in extents])
    touch = (left[:, None] < right) & (left < right[:, None]) & (bottom[:, None] < top) & (bottom < top[:, None])
    np.fill_diagonal(touch, False)
    assert not touch.any(), [(shown[a].get_text(), shown[b].get_text()) for a, b in np.argwhere(touch)]


class TestNotes:
    def test_a_note_is_a_rectangle_at_its_time_and_pitch(self):
        figure = pictures.piano_roll_figure(piece([(0, 4, 0, 60, 90), (4, 8, 0, 64, 90)]))
        (axes,) = figure.axes
        drawn = boxes(axes)
        assert drawn[:, 0].tolist() == [0, 4]
        assert drawn[:, 1] == pytest.approx([4, 12], abs=0.1)
        assert (drawn[:, 1] < [4, 12]).all()  # a little short, so that a repeated note shows
        assert drawn[:, 2:].mean(axis=1).tolist() == [60, 64]

    def test_velocity_is_strength(self):
        figure = pictures.piano_roll_figure(piece([(0, 4, 0, 60, 1), (4, 4, 0, 60, 64), (8, 4, 0, 60, 127)]))
        alpha = collection(figure.axes[0], "notes").get_facecolor()[:, 3]
        assert alpha == pytest.approx([0.4 + 0.6 / 127, 0.4 + 0.6 * 64 / 127, 1.0])

    def test_programs_have_colours_of_their_own_and_a_legend(self):
        sequence = piece([(0, 4, program, 60 + program, 90) for program in (0, 5, 40)])
        figure = pictures.piano_roll_figure(sequence)
        colours = collection(figure.axes[0], "notes").get_facecolor()[:, :3]
        assert len(np.unique(colours, axis=0)) == 3
        legend = [text.get_text() for text in figure.texts if text.get_gid() == "legend"]
        assert legend == ["Acoustic Grand Piano", "Electric Piano 2", "Violin"]

    def test_two_parts_of_one_program_have_two_colours_and_their_names(self):
        rows = [(0, 4, 0, 60, 90), (0, 4, DRUMS, 36, 90), (0, 4, 0, 64, 90), (0, 4, DRUMS, 38, 90)]
        sequence = piece(rows, parts=[0, 3, 1, 2], names=("left", "right"))
        figure = pictures.piano_roll_figure(sequence)
        colours = collection(figure.axes[0], "notes").get_facecolor()[:, :3]
        assert len(np.unique(colours, axis=0)) == 3  # drums share theirs
        legend = [text.get_text() for text in figure.texts if text.get_gid() == "legend"]
        assert legend == ["left", "right", "Drums", "Drums 2"]

    def test_one_program_needs_no_legend_and_is_named_in_the_heading(self):
        figure = pictures.piano_roll_figure(piece([(0, 4, 40, 60, 90)], length=16))
        assert not [text for text in figure.texts if text.get_gid() == "legend"]
        assert "Violin  ·  4/4  ·  120 qpm  ·  0:02  ·  1 note" in texts(figure)

    @pytest.mark.parametrize("n_programs", [14, 15, 20, 129])
    def test_colours_differ_however_many_programs_there_are(self, n_programs):
        colours = roll._colours(list(range(129 - n_programs, 129)))
        assert len(set(colours)) == n_programs

    def test_drums_have_lanes_beneath_the_pitches(self):
        figure = pictures.piano_roll_figure(piece([(0, 4, 0, 60, 90), (0, 4, DRUMS, 36, 90), (0, 4, DRUMS, 42, 90)]))
        (axes,) = figure.axes
        melodic, kick, hat = boxes(axes)
        assert kick[3] < hat[2] and hat[3] < melodic[2]
        labels = {text.get_text(): at for text, at in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)}
        assert kick[2] < labels["Kick"] < kick[3]
        assert hat[2] < labels["Closed Hi-hat"] < hat[3]
        assert labels["C4"] == 60

    def test_a_drum_key_without_a_name_shows_its_number(self):
        figure = pictures.piano_roll_figure(piece([(0, 4, DRUMS, 3, 90)]))
        assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["key 3"]

    def test_a_very_short_note_can_still_be_seen(self):
        figure = pictures.piano_roll_figure(piece([(0, 1, 0, 60, 90)], grid=Grid.seconds(1000), length=20_000))
        (axes,) = figure.axes
        left, right, *_ = boxes(axes)[0]
        width_inches = (right - left) / np.diff(axes.get_xlim())[0] * axes.get_position().width * figure.get_figwidth()
        assert width_inches == pytest.approx(0.012)

    @pytest.mark.parametrize("pitch", [0, 1, 126, 127])
    def test_the_ends_of_the_keyboard(self, pitch):
        low, high = roll.pitch_range(piece([(0, 4, 0, pitch, 90)]))
        assert 0 <= low <= pitch <= high <= 127
        assert high - low == 18


def song(*bars, **marks):
    """Bars of 16 steps: chords, tuples of pitches, each as long as the next leaves it."""
    rows = [
        (16 * number + place * 16 // len(chords), 16 // len(chords), 0, pitch, 80)
        for number, chords in enumerate(bars)
        for place, chord in enumerate(chords)
        for pitch in chord
    ]
    return piece(rows, **marks)


class TestPlan:
    C, AM, F, G = (48, 64, 67, 72), (45, 60, 64, 69), (41, 60, 65, 69), (43, 59, 62, 67)
    A, B = ((C,), (AM,), (F, G), (C,)), ((F,), (F, C), (G,), (F, G, F, G))

    @staticmethod
    def drawn(figure, gid):
        """Where each text of this kind stands, in steps, and what it says."""
        return [(t.get_position()[0], t.get_text()) for axes in figure.axes for t in axes.texts if t.get_gid() == gid]

    def test_chords_stand_where_they_change(self):
        figure = pictures.piano_roll_figure(song(*self.A))
        assert self.drawn(figure, "chord") == [(0, "C"), (16, "Am"), (32, "F"), (40, "G"), (48, "C")]
        assert_nothing_cut_or_overlapping(figure)

    def test_letters_stand_where_sections_begin_and_muted_where_a_system_does(self):
        figure = pictures.piano_roll_figure(song(*self.A, *self.A, *self.B, *self.A))
        letters = [t for axes in figure.axes for t in axes.texts if t.get_gid() == "letter"]
        begun = [(round(t.get_position()[0]) // 64, t.get_text()) for t in letters if t.get_fontweight() == "bold"]
        assert begun == [(0, "A"), (1, "A"), (2, "B"), (3, "A")]
        assert [t.get_text() for t in letters if t.get_fontweight() != "bold"] == []
        assert_nothing_cut_or_overlapping(figure)

    def test_neither_without_bars_nor_in_a_few_of_them(self):
        for sequence in (song(*self.A, grid=Grid.seconds(4)), song(*self.A[:3])):
            assert not pictures.piano_roll_figure(sequence).axes[0].texts

    def test_no_chords_where_most_have_no_place(self):
        figure = pictures.piano_roll_figure(song(*[(self.C, self.F), (self.G, self.AM)] * 250))
        assert len(figure.axes) == 8
        assert not self.drawn(figure, "chord")
        assert_nothing_cut_or_overlapping(figure)


class TestVoices:
    def test_each_has_a_colour_and_a_name_in_the_legend(self):
        figure = pictures.piano_roll_figure(piece([(0, 4, 0, 72, 90), (0, 4, 0, 60, 90)], length=16))
        colours = collection(figure.axes[0], "notes").get_facecolor()[:, :3]
        assert len(np.unique(colours, axis=0)) == 2
        legend = [text.get_text() for text in figure.texts if text.get_gid() == "legend"]
        assert legend == ["voice 1", "voice 2"]


class TestTime:
    def lines(self, axes):
        """Times of the vertical lines: weak ones, strong ones."""
        from matplotlib.collections import LineCollection

        groups = [c for c in axes.collections if isinstance(c, LineCollection)]
        return [[segment[0][0] for segment in group.get_segments()] for group in groups]

    def test_bars_and_beats(self):
        figure = pictures.piano_roll_figure(piece([(0, 32, 0, 60, 90)]))
        beats, bars = self.lines(figure.axes[0])
        assert beats == [0, 4, 8, 12, 16, 20, 24, 28, 32]
        assert bars == [0, 16, 32]
        assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["1", "2"]

    def test_compound_metres_go_in_threes_and_changes_are_followed(self):
        metres = np.array([(0, 6, 8), (12, 3, 4)], METRE)
        figure = pictures.piano_roll_figure(piece([(0, 24, 0, 60, 90)], metres=metres))
        beats, bars = self.lines(figure.axes[0])
        assert bars == [0, 12, 24]
        assert beats == [0, 6, 12, 16, 20, 24]

    def test_where_bars_are_too_close_only_the_numbered_ones_have_lines(self):
        figure = pictures.piano_roll_figure(piece([(0, 32, 0, 60, 90)], length=16 * 2400))  # 300 bars a system
        (bars,) = self.lines(figure.axes[0])
        assert bars == [16 * bar for bar in range(0, 300, 16)]
        assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == [str(b) for b in range(1, 301, 16)]

    def test_seconds_on_a_grid_of_seconds(self):
        figure = pictures.piano_roll_figure(piece([(0, 700, 0, 60, 90)], grid=Grid.seconds(100)))
        (axes,) = figure.axes
        assert axes.get_xlim() == (0, 700)
        assert [text.get_text() for text in axes.get_xticklabels()] == [f"0:0{second}" for second in range(8)]
        assert axes.get_xticks().tolist() == [100 * second for second in range(8)]

    def test_a_short_piece_is_one_system_and_a_long_one_several(self):
        assert len(pictures.piano_roll_figure(piece([(0, 4, 0, 60, 90)], length=160)).axes) == 1  # 40 beats
        assert len(pictures.piano_roll_figure(piece([(0, 4, 0, 60, 90)], length=16 * 24)).axes) == 3  # 96 beats

    @pytest.mark.parametrize("n_bars", [1, 7, 10, 11, 13, 29, 80, 81, 999])
    def test_systems_hold_whole_bars_and_lose_nothing(self, n_bars):
        systems, _ = roll.cut_into_systems(piece([(0, 4, 0, 60, 90)], length=16 * n_bars))
        assert systems[0][0] == 0 and systems[-1][1] == 16 * n_bars
        assert [end for _, end in systems[:-1]] == [start for start, _ in systems[1:]]
        assert all(start % 16 == end % 16 == 0 for start, end in systems)
        assert len(systems) <= 8

    @pytest.mark.parametrize("seconds", [0.01, 1, 20, 25, 26, 160, 161, 5000])
    def test_systems_of_seconds(self, seconds):
        systems, _ = roll.cut_into_systems(
            piece([(0, 1, 0, 60, 90)], grid=Grid.parse("10ms"), length=round(seconds * 100))
        )
        assert systems[0][0] == 0 and systems[-1][1] >= seconds * 100
        assert len(systems) <= 8

    def test_a_note_across_two_systems_is_drawn_in_both(self):
        figure = pictures.piano_roll_figure(piece([(120, 16, 0, 60, 90)], length=16 * 24))  # 8 bars in each: 128 steps
        first, second, third = figure.axes
        assert boxes(first)[0, :2] == pytest.approx([120, 128], abs=0.3)
        assert boxes(second)[0, :2] == pytest.approx([128, 136], abs=0.3)
        assert len(boxes(third)) == 0

    def test_all_systems_have_one_scale(self):
        figure = pictures.piano_roll_figure(piece([(0, 4, 0, 60, 90)], length=16 * 23))
        assert len({round(np.diff(axes.get_xlim())[0]) for axes in figure.axes}) == 1


def many_programs(n_programs):
    rng = np.random.default_rng(0)
    rows = [
        (int(rng.integers(60)), int(rng.integers(1, 8)), p, int(rng.integers(36, 96)), int(rng.integers(1, 128)))
        for p in range(129 - n_programs, 129)
        for _ in range(5)
    ]
    return piece(rows, length=80)


class TestLayout:
    @pytest.mark.parametrize(
        "sequence",
        [
            piece([], length=0),
            piece([], length=64),
            piece([(0, 4, 0, 60, 90)], length=16),
            piece([(0, 4, 0, 0, 90), (0, 4, 0, 127, 90)], length=1600),
            piece([(0, 1, 0, 60, 90)], length=16 * 3000),
            piece([(0, 1, 0, 60, 90)], length=16 * 9, metres=np.array([(0, 1, 16)], METRE)),
            piece([(0, 10, 0, 60, 90)], grid=Grid.seconds(100), length=100 * 1700),
            piece([(0, 10, 0, 60, 90)], grid=Grid.seconds(100), length=100 * 86_000),
            many_programs(2),
            many_programs(20),
            many_programs(129),
            piece([(0, 4, DRUMS, pitch, 90) for pitch in range(128)], length=3200),
        ],
        ids=[
            "none",
            "rests",
            "one",
            "range",
            "long",
            "tiny-bars",
            "performance",
            "day",
            "two",
            "twenty",
            "all",
            "drums",
        ],
    )
    def test_nothing_is_cut_or_overlaps(self, sequence):
        assert_nothing_cut_or_overlapping(pictures.piano_roll_figure(sequence, title="W" * 300))

    def test_a_page_stays_a_page(self):
        long = pictures.piano_roll_figure(piece([(0, 4, 0, 20, 90), (0, 4, 0, 110, 90)], length=16 * 3000))
        assert long.get_figwidth() == 12 and long.get_figheight() < 25
        short = pictures.piano_roll_figure(piece([(0, 4, 0, 60, 90)], length=16))
        assert short.get_figwidth() == 6.5 and short.get_figheight() < 4

    def test_dollars_in_a_title_are_only_dollars(self, tmp_path):
        path = tmp_path / "a.png"
        draw(piece([(0, 4, 0, 60, 90)]), path, title=r"$\frac{ $5 {")
        assert path.exists()

    def test_no_notes_are_said_in_words(self):
        (axes,) = pictures.piano_roll_figure(piece([])).axes
        assert [text.get_text() for text in axes.texts] == ["no notes"]


class TestFiles:
    sequence = piece([(0, 8, 0, 60, 127), (8, 8, 40, 67, 127)])

    def test_the_colours_of_the_notes_are_in_the_picture(self, tmp_path):
        draw(self.sequence, tmp_path / "a.png")
        image = pixels(tmp_path / "a.png")
        assert image.shape[:2] == (round(image.shape[0]), 975)  # 6.5 inches at 150 dots
        for colour in ("#2a6fbb", "#d1495b"):
            rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
            at = np.argwhere(np.abs(image - rgb).max(axis=2) < 0.01)
            assert len(at) > 1000  # a note, and a square in the legend
        assert (image.min(axis=2) > 0.99).mean() > 0.4  # white ground

    def test_the_higher_note_is_drawn_higher_and_the_later_to_the_right(self, tmp_path):
        draw(piece([(0, 8, 0, 60, 127), (8, 8, 40, 67, 127)]), tmp_path / "a.png")
        image = pixels(tmp_path / "a.png")
        image = image[: image.shape[0] * 2 // 3]  # without the legend
        places = []
        for colour in ("#2a6fbb", "#d1495b"):
            rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
            places.append(np.argwhere(np.abs(image - rgb).max(axis=2) < 0.01).mean(axis=0))
        (low_y, early_x), (high_y, late_x) = places
        assert high_y < low_y and early_x < late_x

    @pytest.mark.parametrize("suffix", [".png", ".svg", ".PNG"])
    def test_the_same_piece_gives_the_same_bytes(self, tmp_path, suffix):
        first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
        draw(self.sequence, first, title="A title")
        draw(self.sequence, second, title="A title")
        assert first.read_bytes() == second.read_bytes()
        head = b"<?xml" if suffix == ".svg" else b"\x89PNG"
        assert first.read_bytes().startswith(head)
        assert b"matplotlib v" not in first.read_bytes().lower() and b"<dc:date>" not in first.read_bytes()

    @pytest.mark.parametrize("name", ["a.gif", "a", "a.png.txt"])
    def test_another_suffix_is_refused(self, tmp_path, name):
        with pytest.raises(SettingError, match=f"picture {name}: expected a name that ends in .png or .svg"):
            draw(self.sequence, tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    def test_a_missing_folder_is_named(self, tmp_path):
        with pytest.raises(SettingError, match=r"cannot write .*a\.png: No such file or directory; choose another"):
            draw(self.sequence, tmp_path / "none" / "a.png")

    def test_a_failure_leaves_the_old_picture_and_nothing_else(self, tmp_path, monkeypatch):
        path = tmp_path / "a.png"
        path.write_bytes(b"old")

        def full(*args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(SettingError, match="No space left on device"):
            draw(self.sequence, path)
        assert path.read_bytes() == b"old"
        assert [p.name for p in tmp_path.iterdir()] == ["a.png"]

    def test_a_title_that_the_font_lacks_warns_nobody(self, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            draw(self.sequence, tmp_path / "a.png", title="日本")

    def test_the_callers_plots_and_settings_are_left_alone(self, tmp_path):
        code = (
            "import sys; from melodygru.render import pictures; assert 'matplotlib' not in sys.modules\n"
            "import matplotlib as m; before = dict(m.rcParams)\n"
            f"pictures.save(pictures.training_figure([]), {str(tmp_path / 'a.svg')!r})\n"
            "assert dict(m.rcParams) == before; assert 'matplotlib.pyplot' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


def row(step, minutes, train, validation=None):
    return {
        "step": step, "minutes": minutes, "train_nats_per_note": train, "validation_nats_per_note": validation,
        "learning_rate": 1e-3,
    }  # fmt: skip


class TestSurprise:
    def test_it_is_written_as_a_picture(self, tmp_path):
        sequence = piece([(0, 4, 0, 60, 90), (4, 4, 0, 64, 90)], length=16)
        nats = np.array([[1.0, 0.5], [0.0, 6.0]])
        for name, head in (("a.png", b"\x89PNG"), ("a.svg", b"<?xml")):
            pictures.save(pictures.surprise_figure(sequence, nats, ("pitch", "duration"), "A"), tmp_path / name)
            assert (tmp_path / name).read_bytes().startswith(head)
        with pytest.raises(SettingError, match="picture a.gif"):
            pictures.save(pictures.surprise_figure(sequence, nats, ("pitch", "duration")), tmp_path / "a.gif")

    def test_without_notes_the_fields_have_their_colours_still(self):
        figure = pictures.surprise_figure(piece([]), np.zeros((0, 2)), ("shift", "pitch"), "A")
        assert [text.get_text() for text in figure.axes[0].texts] == ["no notes"]
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == ["shift", "pitch"]
        assert len({patch.get_facecolor() for patch in legend.get_patches()}) == 2


class TestTrainingCurves:
    history = [row(0, 0, 9.0), row(10, 1, 4.0, 5.0), row(20, 2, 3.0, 3.5), row(30, 3, 2.5), row(40, 4, 2.0, 3.75)]

    def lines(self, figure):
        return {line.get_label(): line for line in figure.axes[0].lines}

    def test_both_curves_against_minutes(self):
        lines = self.lines(pictures.training_figure(self.history))
        assert lines["training"].get_xydata().tolist() == [[0, 9], [1, 4], [2, 3], [3, 2.5], [4, 2]]
        assert lines["held out"].get_xydata().tolist() == [[1, 5], [2, 3.5], [4, 3.75]]

    def test_the_best_is_marked(self):
        figure = pictures.training_figure(self.history)
        best = next(line for line in figure.axes[0].lines if line.get_gid() == "best")
        assert best.get_xydata().tolist() == [[2, 3.5]]
        assert best.get_label() == "best: 3.500 at 2.0 min (step 20)"

    def test_the_plunge_at_the_start_does_not_flatten_the_rest(self):
        low, high = pictures.training_figure(self.history).axes[0].get_ylim()
        assert low < 2 and 5 < high < 9

    def test_rows_without_the_key_or_not_finite_are_left_out(self):
        history = [{"step": 1, "minutes": 0.5, "train_nats_per_note": 3.0}, row(2, 1, float("nan"), float("inf"))]
        lines = self.lines(pictures.training_figure(history))
        assert lines["training"].get_xydata().tolist() == [[0.5, 3.0]]
        assert "held out" not in lines

    @pytest.mark.parametrize("history", [[], [row(0, 0, None)], [row(0, 0, 3.0, 3.0)], [row(0, 0, 0.0, 0.0)]])
    def test_short_histories_are_pictures_too(self, tmp_path, history):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pictures.save(pictures.training_figure(history), tmp_path / "a.png")
        image = pixels(tmp_path / "a.png")
        assert image.shape == (675, 1200, 3) and image.std() > 0.01

    def test_the_labels_stand_above_the_curves_and_nothing_is_cut(self):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        history = [row(10**6 * i, 1e5 * i, 12345.678 / i, 1000.0 + 111 * i) for i in range(1, 9)]  # worse and worse
        figure = pictures.training_figure(history)
        FigureCanvasAgg(figure).draw()
        (axes,) = figure.axes
        legend, title = axes.get_legend().get_window_extent(), axes._left_title.get_window_extent()
        assert axes.bbox.y1 <= legend.y0 and legend.y1 <= title.y0 and title.y1 <= figure.bbox.y1
        assert figure.bbox.x0 <= legend.x0 and legend.x1 <= figure.bbox.x1
        assert axes.yaxis.get_tightbbox().x0 >= 0 and axes.xaxis.get_tightbbox().y0 >= 0

    def test_nothing_trained_is_said_in_words(self):
        axes = pictures.training_figure([]).axes[0]
        assert [text.get_text() for text in axes.texts] == ["nothing trained yet"]
