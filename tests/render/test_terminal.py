import io
import os
import re
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from melodygru import midi
from melodygru.analysis.explain import Tracer
from melodygru.cli import main
from melodygru.cli import show as show_room
from melodygru.model import checkpoint
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE
from melodygru.music.notes import DRUMS, NoteSequence, canonical, note_array
from melodygru.music.quantize import quantize
from melodygru.render import terminal

STARTER = Path(__file__).resolve().parents[2] / "checkpoints" / "starter.keras"
ESCAPE = re.compile("\x1b\\[[0-9;]*m")


def piece(rows, *, grid=None, length=None, parts=None, **marks):
    """Rows of (onset, duration, program, pitch, velocity), 4 steps a beat unless another grid is given."""
    notes, _ = canonical(note_array(rows, parts))
    end = int((notes["onset"] + notes["duration"]).max()) if len(notes) else 0
    return NoteSequence(notes, grid or Grid.beats(4), end if length is None else length, **marks)


def rows(sequence, width=80, **options):
    """The lines of the systems by their labels, without what is left of the bars: {label: text}."""
    found = {}
    for line in terminal.lines(sequence, width, **options):
        label, line_drawn, text = line.partition("|" if options.get("blocks") is False else "│")
        if line_drawn:
            found.setdefault(label.strip(), text)
    return found


class TestNotes:
    def test_a_row_is_two_pitches(self):
        drawn = rows(piece([(0, 4, 0, 60, 90), (4, 4, 0, 61, 90), (9, 4, 0, 60, 90), (9, 4, 0, 61, 90)], length=16))
        assert drawn["C4"] == "▄▄▄▄▀▀▀▀ ████   │"

    def test_without_blocks_it_is_ascii(self):
        sequence = piece([(0, 4, 0, 60, 90), (4, 4, 5, 61, 90), (9, 4, 0, 60, 90), (9, 4, 5, 61, 90)], length=16)
        assert rows(sequence, blocks=False)["C4"] == "....'''' ::::   |"
        assert all(line.isascii() for line in terminal.lines(sequence, blocks=False, nats=np.ones(4)))

    def test_every_row_is_named_and_there_is_an_octave_at_least(self):
        drawn = rows(piece([(0, 16, 0, 64, 90)]))
        assert list(drawn) == ["B", "A", "G", "E F", "D", "C4"]
        assert drawn["E F"] == "▄" * 16 + "│"

    @pytest.mark.parametrize(("pitch", "names", "row"), [(0, "B A G E F D C-1", "C-1"), (127, "G E F D C9 B A", "G")])
    def test_the_ends_of_the_keyboard(self, pitch, names, row):
        drawn = rows(piece([(0, 4, 0, pitch, 90)]))
        assert " ".join(drawn) == names
        assert drawn[row][0] == ("▀" if pitch % 2 else "▄")

    def test_a_repeated_note_is_set_off_and_a_single_column_is_kept(self):
        drawn = rows(piece([(0, 4, 0, 60, 90), (4, 1, 0, 60, 90), (5, 1, 0, 60, 90), (6, 4, 0, 60, 90)], length=16))
        assert drawn["C4"] == "▄▄▄ ▄▄▄▄▄▄      │"

    def test_a_note_across_a_bar_line_covers_it(self):
        drawn = rows(piece([(12, 8, 0, 60, 90)], length=32))
        assert drawn["C4"] == " " * 12 + "▄" * 9 + " " * 12 + "│"
        assert drawn["D"] == (" " * 16 + "│") * 2

    def test_a_note_across_two_systems_is_in_both(self):
        lines = [line for line in terminal.lines(piece([(12, 8, 0, 60, 90)], length=32), 24) if line.startswith(" C4")]
        assert lines == [" C4│            ▄▄▄▄▄", " C4│▄▄▄▄            │"]

    def test_drums_are_strokes_in_rows_of_their_own(self):
        drawn = rows(piece([(0, 8, DRUMS, 36, 90), (4, 1, DRUMS, 38, 90), (8, 1, DRUMS, 99, 90)], length=16))
        assert list(drawn) == ["key 99", "Snare", "Kick"]
        assert drawn["Kick"] == "▄" + " " * 15 + "│"
        assert drawn["key 99"] == " " * 8 + "▄" + " " * 7 + "│"

    def test_no_notes_are_said_in_words(self):
        lines = list(terminal.lines(piece([]), title="Nothing"))
        assert lines[0] == "Nothing" and "no notes" in lines

    def test_the_heading(self):
        sequence = piece([(0, 4, 40, 60, 90), (0, 4, 41, 55, 90)], length=16)
        assert list(terminal.lines(sequence, title="A\nb\x1b[31m"))[:3] == [
            "A b?[31m", "4/4  ·  120 qpm  ·  0:02  ·  2 notes", "Violin, Viola",
        ]  # fmt: skip


class TestTime:
    def numbers(self, sequence, width=80):
        """The lines of bar numbers: what is right above a system."""
        lines = list(terminal.lines(sequence, width))
        return [after for line, after in zip(lines, lines[1:], strict=False) if not line]

    def test_bars_are_numbered_and_systems_hold_whole_ones(self):
        numbers = self.numbers(piece([(0, 4, 0, 60, 90)], length=16 * 5))  # 4 bars of 17 columns in 76
        assert numbers == ["    1                2                3                4", "    5"]

    def test_a_wider_terminal_holds_more(self):
        assert len(self.numbers(piece([(0, 4, 0, 60, 90)], length=16 * 8), 140)) == 1

    def test_triplets_get_columns_of_their_own(self):
        sequence = piece([(8 * i, 8, 0, 60 + 2 * i, 90) for i in range(6)], grid=Grid.beats(24), length=96)
        assert rows(sequence)["C4"] == "▄▄" + " " * 22 + "│"  # 6 columns a quarter

    def test_bars_wider_than_the_terminal_are_made_narrower(self):
        metres = np.array([(0, 32, 4)], METRE)
        drawn = rows(piece([(0, 4, 0, 60, 90)], length=128, metres=metres), 80)
        assert drawn["C4"] == "▄▄" + " " * 62 + "│"

    def test_numbers_that_do_not_fit_are_left_out(self):
        sequence = piece([(0, 1, 0, 60, 90)], length=12, metres=np.array([(0, 1, 16)], METRE))  # two columns a bar
        assert self.numbers(sequence) == ["    1 2 3 4 5 6 7 8 9 10  12"]

    def test_seconds_on_a_grid_of_seconds(self):
        sequence = piece([(100, 50, 0, 60, 90)], grid=Grid.seconds(100), length=300)
        assert rows(sequence)["C4"] == " " * 8 + "│▄▄▄▄    │" + " " * 8 + "│"
        assert self.numbers(sequence)[0].split() == ["0:00", "0:01", "0:02"]

    @pytest.mark.parametrize("width", [0, 24, 40, 79, 200])
    @pytest.mark.parametrize("colour", [False, True])
    def test_no_line_is_wider_than_the_terminal(self, width, colour):
        rng = np.random.default_rng(0)
        many = [(int(rng.integers(200)), 3, int(rng.integers(129)), int(rng.integers(128)), 90) for _ in range(99)]
        sequence = piece(many, length=240)
        for line in terminal.lines(sequence, width, title="W" * 300, colour=colour, nats=np.ones(len(sequence))):
            assert len(ESCAPE.sub("", line)) <= max(width, terminal.LEAST_WIDTH), line

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(
        st.lists(st.tuples(st.integers(0, 90), st.integers(1, 40), st.just(0), st.integers(0, 127), st.just(90))),
        st.integers(24, 160),
    )
    def test_every_note_is_seen(self, found, width):
        sequence = piece(found)
        drawn = "".join(line for line in terminal.lines(sequence, width) if "│" in line)
        assert bool(len(sequence)) == bool(set("▀▄█") & set(drawn))


class TestColours:
    def test_each_voice_has_its_own_and_the_lower_pitch_is_the_ground(self):
        sequence = piece([(0, 16, 0, 61, 90), (0, 16, 40, 60, 90)])
        line = next(line for line in terminal.lines(sequence, colour=True) if "▀" in line)
        assert line.split("│", 1)[1] == "\x1b[0m\x1b[36;43m" + "▀" * 16 + "\x1b[0m\x1b[2m│\x1b[0m"

    def test_parts_of_one_program_have_their_own_and_drums_that_of_drums(self):
        rows = [(0, 16, DRUMS, 36, 90), (1, 16, 0, 61, 90), (2, 16, 0, 60, 90)]
        text = "\n".join(terminal.lines(piece(rows, parts=[0, 1, 2]), colour=True))
        names = ("37", "Drums"), ("36", "Acoustic Grand Piano"), ("33", "Acoustic Grand Piano 2")
        assert "  ".join(f"\x1b[{code}m■\x1b[0m {name}" for code, name in names) in text

    def test_the_lines_of_one_program_too(self):
        sequence = piece([(0, 16, 0, 72, 90), (0, 16, 0, 60, 90)])
        text = "\n".join(terminal.lines(sequence, colour=True))
        assert "\x1b[36m■\x1b[0m voice 1  \x1b[33m■\x1b[0m voice 2" in text

    def test_without_colour_there_is_no_escape(self):
        sequence = piece([(0, 16, 0, 61, 90), (0, 16, 40, 60, 90)])
        assert "\x1b" not in "\n".join(terminal.lines(sequence, nats=np.ones(2)))

    def test_with_and_without_the_notes_are_in_the_same_places(self):
        sequence = piece([(0, 8, 0, 64, 90), (4, 16, 40, 60, 90), (8, 4, DRUMS, 36, 90)])
        plain = [line.rstrip() for line in terminal.lines(sequence)]
        shown = [ESCAPE.sub("", line).rstrip() for line in terminal.lines(sequence, colour=True)]
        assert [line for line in plain if "│" in line] == [line for line in shown if "│" in line]

    @pytest.mark.parametrize(
        ("environment", "tty", "wanted"),
        [({}, True, True), ({}, False, False), ({"NO_COLOR": "1"}, True, False), ({"NO_COLOR": ""}, True, True),
         ({"TERM": "dumb"}, True, False)],
    )  # fmt: skip
    def test_where_there_are_colours(self, monkeypatch, environment, tty, wanted):
        for name in ("NO_COLOR", "TERM"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        stream = io.StringIO()
        stream.isatty = lambda: tty
        assert show_room.has_colour(stream) is wanted

    def test_no_stream_has_no_colours(self):
        assert not show_room.has_colour(None)

    @pytest.mark.parametrize(("encoding", "has"), [("utf-8", True), ("ascii", False), ("latin-1", False), ("x", False)])
    def test_encodings(self, encoding, has):
        class Stream:
            pass

        stream = Stream()
        stream.encoding = encoding
        assert show_room.has_blocks(stream) is has


class TestSurprise:
    sequence = piece([(0, 4, 0, 60, 90), (4, 4, 0, 60, 90), (4, 4, 0, 64, 90), (8, 4, 0, 60, 90)], length=16)

    def test_each_column_shows_its_most_surprising_note(self):
        drawn = rows(self.sequence, nats=np.array([0.0, 0.0, 1.0, 8.0]), blocks=False)
        top = np.quantile([0, 0, 1, 8], 0.98)
        assert drawn["nats"] == f"0   {int(10 / top)}   9"

    def test_the_scale_is_said(self):
        line = "surprise of a note in nats: ▁ 0, █ 2.0 and more"
        assert line in list(terminal.lines(self.sequence, nats=np.zeros(4)))
        assert rows(self.sequence, nats=np.zeros(4))["nats"] == "▁   ▁   ▁"

    def test_a_note_that_sounds_on_in_the_next_system_surprises_once(self):
        sequence = piece([(0, 32, 0, 60, 90)])
        lines = [line for line in terminal.lines(sequence, 24, nats=np.array([5.0])) if "nats│" in line]
        assert lines == ["nats│█", "nats│"]


class TestShow:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "song.mid"
        midi.write(piece([(0, 4, 40, 60, 90), (4, 4, 40, 64, 90), (8, 8, 40, 67, 90)]), path)
        return path

    def test_in_the_terminal(self, file):
        run = CliRunner().invoke(main, ["show", str(file)], env={"COLUMNS": "60"})
        assert run.exit_code == 0, run.output
        lines = run.stdout.splitlines()
        assert lines[:2] == ["song", "Violin  ·  4/4  ·  120 qpm  ·  0:02  ·  3 notes"]
        assert " C4│▄▄▄▄            │" in lines
        assert max(map(len, lines)) < 60

    def test_in_another_encoding(self, file):
        run = CliRunner(charset="ascii").invoke(main, ["show", str(file)])
        assert " C4|....            |" in run.stdout.splitlines()

    def test_as_pictures(self, file, tmp_path):
        png, svg = tmp_path / "a.png", tmp_path / "a.svg"
        run = CliRunner().invoke(main, ["show", str(file), "--png", str(png), "--svg", str(svg)])
        assert run.stdout.splitlines() == [str(png), str(svg)]
        assert png.read_bytes().startswith(b"\x89PNG") and b"</svg>" in svg.read_bytes()

    @pytest.mark.parametrize(
        ("options", "code", "message"),
        [
            (["--png", "a.svg"], 1, "--png a.svg: expected a name that ends in .png"),
            (["--svg", "a"], 1, "--svg a: expected a name that ends in .svg"),
            (["--model", "a.keras"], 2, "--model is for --surprise."),
        ],
    )
    def test_what_is_refused(self, file, options, code, message):
        run = CliRunner().invoke(main, ["show", str(file), *options])
        assert run.exit_code == code and message in run.stderr

    def test_a_file_that_is_none_is_named(self, tmp_path):
        run = CliRunner().invoke(main, ["show", str(tmp_path / "none.mid")])
        assert run.exit_code == 1 and "none.mid" in run.stderr and len(run.stderr.splitlines()) == 1

    def test_surprise_is_what_the_model_was_surprised_by(self, file, tmp_path):
        tracer = Tracer(NumpyModel(checkpoint.read(STARTER)))
        trace = tracer.trace(quantize(midi.read(file).sequence, tracer.vocabulary.grid)[0])
        options = ["show", str(file), "--surprise", "--model", str(STARTER)]
        run = CliRunner().invoke(main, options)
        assert run.exit_code == 0, run.output
        lines = run.stdout.splitlines()
        assert lines[0] == f"{trace.nats.sum() / 3:.2f} nats per note: song"
        expected = rows(trace.sequence, nats=trace.nats[:-1].sum(1))["nats"]
        assert next(line for line in lines if line.startswith("nats│")) == f"nats│{expected}"
        run = CliRunner().invoke(main, [*options, "--png", str(tmp_path / "a.png")])
        assert run.stdout.splitlines() == [str(tmp_path / "a.png")] and (tmp_path / "a.png").exists()

    def test_a_model_of_other_music_is_warned_about(self, tmp_path):
        rng = np.random.default_rng(0)
        onset = np.cumsum(rng.integers(20, 300, 60))
        performance = piece([(int(at), 70, 0, int(rng.integers(40, 80)), 90) for at in onset], grid=Grid.seconds(1000))
        midi.write(performance, tmp_path / "a.mid")
        run = CliRunner().invoke(main, ["show", str(tmp_path / "a.mid"), "--surprise", "--model", str(STARTER)])
        assert run.exit_code == 0, run.output
        assert "warning: the model knows music with a beat, and this is music without a beat" in run.stderr

    def test_generate_shows_and_draws_too(self, tmp_path):
        options = ["generate", "--model", str(STARTER), "--bars", "2", "--seed", "1", "-o", str(tmp_path), "--svg"]
        run = CliRunner().invoke(main, [*options, "--show"])
        assert run.exit_code == 0, run.output
        (file,) = tmp_path.glob("*.mid")
        assert file.with_suffix(".svg").exists() and str(file.with_suffix(".svg")) in run.stdout.splitlines()
        shown = CliRunner().invoke(main, ["show", str(file)]).stdout
        assert shown.splitlines()[2] in run.stdout and "│" in run.stdout
        run = CliRunner().invoke(main, [*options, "--show", "--json"])
        assert run.exit_code == 2 and "--show and --json: expected one of the two." in run.stderr

    def test_a_longer_piece_goes_through_the_pager_and_loses_nothing(self, monkeypatch, capsys):
        shown = []
        monkeypatch.setattr(show_room, "_is_terminal", lambda stream: True)
        monkeypatch.setattr(show_room.shutil, "get_terminal_size", lambda: os.terminal_size((60, 10)))
        monkeypatch.setattr(show_room, "has_colour", lambda stream: False)
        monkeypatch.setattr(show_room, "has_blocks", lambda stream: True)
        monkeypatch.setattr(click, "echo_via_pager", lambda text, color: shown.append("".join(text)))
        short, long = piece([(0, 4, DRUMS, 36, 90)]), piece([(0, 4, 0, 60, 90)], length=160)
        show_room.terminal(short, "short", pager=True)
        assert shown == [] and "short" in capsys.readouterr().out
        show_room.terminal(long, "long", pager=True)
        assert shown[0].splitlines() == list(terminal.lines(long, 59, title="long"))

    @pytest.mark.parametrize(("before", "within"), [(None, "-R"), ("FX", "FX -R")])
    def test_the_pager_less_is_told_of_colours(self, monkeypatch, before, within):
        monkeypatch.delenv("LESS", raising=False)
        if before is not None:
            monkeypatch.setenv("LESS", before)
        with show_room._less_shows_colours():
            assert os.environ["LESS"] == within
        assert os.environ.get("LESS") == before
