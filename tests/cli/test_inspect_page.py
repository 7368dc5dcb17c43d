"""melodygru inspect --html: what the page of a folder says, that any name is safe on it, and that it stays small."""

import json
import os
import re
import sys
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import numpy as np
import pytest
from conftest import tune
from hypothesis import given
from hypothesis import strategies as st

from melodygru import midi
from melodygru.analysis.style import survey
from melodygru.analysis.style.surveys import polyphony
from melodygru.corpus import FileRecord, intake
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE
from melodygru.music.notes import DRUMS, NOTE, TEMPO, NoteSequence, canonical, note_array
from melodygru.render.pages import corpus as page
from melodygru.render.pages import corpus_files, html
from melodygru.render.pictures import corpus as pictures

VOID = {"meta", "img"}  # tags that HTML never closes


class Reader(HTMLParser):
    """Holds a page to balanced tags, and gathers its texts, the words of its pictures and its sections."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.texts, self.alts, self.sections = [], [], [], [], {}
        self._heading = None
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "svg":
            self.alts.append(dict(attributes)["aria-label"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        assert "svg" in self.open  # HTML has none

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"style", "svg"} & set(self.open) or not data.strip():
            return
        if "h2" in self.open:
            self._heading = data
        elif "nav" not in self.open:
            self.texts.append(data)
            self.sections.setdefault(self._heading, []).append(data)

    def said(self, section):
        return " ".join(" ".join(self.sections.get(section, [])).split())


@pytest.fixture
def call(command):
    """Run `melodygru inspect` in an empty folder."""
    return partial(command, "inspect")


@pytest.fixture
def read(call):
    """The page of a folder."""

    def write(folder):
        call(folder, "--html", "page.html")
        return Reader(Path("page.html").read_text("utf-8"))

    return write


def piece(notes, grid=None, length=None, **marks):
    """A piece of (onset, duration, program, pitch, velocity)."""
    array, _ = canonical(note_array(notes))
    end = int((array["onset"] + array["duration"]).max(initial=1))
    return NoteSequence(array, grid or Grid.beats(2), length or end, **marks)


def save(sequence, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    midi.write(sequence, path)


def performances(folder, n):
    """Pieces without a beat, in C major."""
    rng = np.random.default_rng(0)
    for at in range(n):
        notes = np.zeros(60, NOTE)
        notes["onset"] = np.cumsum(rng.integers(3, 97, 60))
        notes["duration"], notes["velocity"] = rng.integers(5, 150, 60), 80
        notes["pitch"] = rng.choice([60, 62, 64, 65, 67, 69, 71], 60)
        save(piece(notes, Grid.seconds(100)), folder / f"{at}.mid")


class TestSurvey:
    def test_worked_by_hand(self):
        first = piece([(0, 2, 0, 60, 80), (1, 2, 0, 64, 90), (6, 1, DRUMS, 38, 80)], length=8)
        second = piece(
            [(0, 4, 40, 67, 80)],
            metres=np.array([(0, 3, 4), (6, 4, 4)], METRE),
            tempos=np.array([(0, 500_000), (2, 1_000_000)], TEMPO),
            length=14,
        )
        found = survey([first, second])
        assert found.signatures.tolist() == [0, 7]  # C and E are of C major; G alone is the last bass note
        assert found.in_key.tolist() == [1.0, 1.0]
        assert found.seconds.tolist() == [2.0, 0.5 + 6.0]
        assert found.bars.tolist() == [1, 2]
        assert (found.tempo_changes, found.metre_changes) == (1, 1)
        assert {(p, n): int(found.pitches[p, n]) for p, n in np.argwhere(found.pitches)} == {
            (0, 60): 1, (0, 64): 1, (40, 67): 1, (DRUMS, 38): 1,
        }  # fmt: skip
        assert {int(p): int(found.pieces_of[p]) for p in np.flatnonzero(found.pieces_of)} == {0: 1, 40: 1, DRUMS: 1}
        # the first: 0..1 one, 1..2 two, 2..3 one, 3..6 none, 6..7 one, 7..8 none; the second: four of one, ten of none
        assert found.polyphony.tolist() == [4 + 10, 3 + 4, 1]
        assert dict(zip(found.length_names, found.lengths.tolist(), strict=True))["1/4"] == 2
        assert found.lengths.sum() == 3 and found.lengths[9] == 1  # a half; drums have no length
        assert found.velocities[80] == 3 and found.velocities[90] == 1

    def test_drums_have_no_key(self):
        found = survey([piece([(0, 1, DRUMS, 38, 80)])])
        assert found.signatures.tolist() == [-1] and np.isnan(found.in_key).all() and found.lengths.sum() == 0

    def test_seconds_have_no_bars(self):
        found = survey([piece([(0, 25, 0, 60, 80)], Grid.seconds(100))])
        assert found.bars.tolist() == [0] and found.length_names[5] == "0.25 s" and found.lengths[5] == 1

    def test_a_note_that_ends_as_another_begins_does_not_sound_with_it(self):
        assert polyphony(piece([(0, 2, 0, 60, 80), (2, 2, 0, 62, 80)], length=5)).tolist() == [1, 4]

    def test_no_pieces(self):
        assert survey([]).polyphony.tolist() == [] and survey([]).seconds.shape == (0,)


class TestPage:
    def test_it_says_what_the_folder_holds(self, read, tunes):
        found = read(tunes)
        facts = found.sections[None]
        pairs = dict(zip(facts[-16::2], facts[-15::2], strict=True))
        assert pairs == {
            "folder": str(tunes), "files": "12: 12 kept, 0 skipped", "music": "384 notes, 1:36, 48 bars",
            "grid": "2 steps per beat", "notes lost": "0 of 384", "pitches": "48..66 (C3..F#4)",
            "polyphony": "mean 1.00, at most 1", "velocity": "80 everywhere: there is nothing in it to learn",
        }  # fmt: skip
        assert "All 12 pieces looked at keep a steady beat. 2 steps per beat" in found.said("Grid")
        assert "Every onset lies on it. No note was lost or shortened." in found.said("Grid")
        assert "All pieces are in 4/4. The tempo is 120.0" in found.said("Keys, metres, tempos")
        assert "high 6 192 0:48" in found.said("Styles") and "low 6 192 0:48" in found.said("Styles")
        assert "learns 11 of the pieces and is judged by 1 piece" in found.said("Held out")
        assert "Every file could be read" in found.said("Skipped") and "No two files" in found.said("Duplicates")
        assert found.said("Pieces").startswith(
            "12 pieces file key metre tempo bars length notes high/06.mid F#/d# 4/4 120"
        )

    def test_pictures_have_words(self, read, tunes):
        found = read(tunes)
        assert len(found.alts) == found.tags.count("figure") == found.tags.count("figcaption") == 6
        assert "Key signatures: " in found.alts[1] and "Acoustic Grand Piano: C3 to F#4" in found.alts[2]
        assert found.alts[4:] == [
            "Share of time by notes that sound at once: 0: 0%, 1: 100%", "Note lengths: 1/8: 100%",
        ]  # fmt: skip

    def test_it_needs_no_network_and_no_script(self, call, tunes):
        result = call(tunes, "--html", "page.html")
        assert result.stdout.splitlines()[-1] == "page        page.html"
        text = Path("page.html").read_text("utf-8")
        assert not re.search(r"https?:|<script|<link|url\((?!#)|@import|src=", text)
        assert "prefers-color-scheme: dark" in text and "width=device-width" in text
        before = Path("page.html").read_bytes()
        assert json.loads(call(tunes, "--html", "page.html", "--json").stdout)["kept"] == 12
        assert Path("page.html").read_bytes() == before

    def test_split_as_train_does_it(self, read, tunes, call):
        from melodygru.corpus import split

        held_out = [one.path for one in split(intake(tunes))[1].pieces]
        assert read(tunes).said("Held out").endswith(f"1 piece held out {held_out[0]}")

    def test_metres_tempos_and_lengths_that_differ(self, read, tmp_path):
        for at, (metre, tempo) in enumerate([((3, 4), 500_000), ((3, 4), 500_000), ((6, 8), 400_000)]):
            marks = {"metres": np.array([(0, *metre)], METRE), "tempos": np.array([(0, tempo)], TEMPO)}
            save(
                piece([(n, 1, 0, 60 + n % 12 + at, 80) for n in range(24 * (at + 1))], **marks),
                tmp_path / f"in/{at}.mid",
            )
        found = read("in")
        assert "Tempos go from 120.0 to 150.0 quarter notes per minute, 120.0 in the median." in found.said(
            "Keys, metres, tempos"
        )
        assert "Metres: 3/4 2, 6/8 1 pieces, by the first metre" in found.alts
        assert any(alt.startswith("Lengths, in time (m:ss), classes of 0:01: ") for alt in found.alts)
        assert "time 0:06 0:12 0:14" in found.said("Lengths") and "bars 4 8 12" in found.said("Lengths")

    def test_what_the_grid_costs(self, read, tmp_path):
        notes = [(48 * n, 24, 0, 60 + n % 12, 80) for n in range(400)]
        notes[7] = (48 * 7 + 5, 24, 0, 67, 80)
        save(piece(notes, Grid.beats(48)), tmp_path / "in/a.mid")
        assert "It moves 0.2% of the onsets: 0.13 ms in the mean over all" in read("in").said("Grid")

    def test_performances(self, read, tmp_path):
        performances(tmp_path / "in", 3)
        found = read("in")
        assert (
            "None of the 3 pieces looked at keep a steady beat; two thirds would have to. So time is counted in "
            in (found.said("Grid"))
        )
        assert "Without a steady beat there are no bars" in found.said("Keys, metres, tempos")
        assert "that of C major or A minor: 100% of the pieces" in found.said("Keys, metres, tempos")
        assert "file key length notes 0.mid C/a 0:" in found.said("Pieces")

    def test_drums_alone(self, read, tmp_path):
        save(piece([(n, 1, DRUMS, 36 + n % 2, 80) for n in range(32)]), tmp_path / "in/a.mid")
        found = read("in")
        assert "There are drums only: no keys." in found.said("Keys, metres, tempos")
        assert "Drums: Kick 16, Side Stick 16 notes" in found.alts
        assert "Drums have no meaningful length." in found.said("Texture and rhythm")
        assert "pitches" not in found.sections[None]

    def test_one_file(self, read, tmp_path, call):
        save(tune(60), tmp_path / "a.mid")
        found = read("a.mid")
        assert "By its notes the piece is in C major or A minor." in found.said("Keys, metres, tempos")
        assert "The piece lasts 0:08, 4 bars, 32 notes." in found.said("Lengths")
        assert "needs two pieces at least" in found.said("Held out") and "no styles" in found.said("Styles")
        assert found.sections[None][2] == "file"
        assert call("a.mid", "--html", "page.html").stdout.splitlines()[-1] == "page          page.html"

    def test_every_program_has_its_range(self, read, tmp_path):
        notes = [(n, 1, program, 20 + program % 60, 80) for program in range(30) for n in range(30 - program)]
        save(piece(notes), tmp_path / "in/a.mid")
        found = read("in")
        assert "Ranges, the 24 with most notes" in found.texts
        assert "Acoustic Grand Piano 0 1 30 G#0 G#0 G#0 G#0 G#0" in found.said("Programs")
        assert "Overdriven Guitar 29 1 1 " in found.said("Programs")


class TestSkipped:
    def test_grouped_by_reason_with_what_differs(self, read, tmp_path):
        save(tune(60), tmp_path / "in/good.mid")
        for at in range(7):
            (tmp_path / f"in/bad{at}.mid").write_bytes(bytes([65 + at]) * 9)
        (tmp_path / "in/empty.mid").write_bytes(b"")
        found = read("in")
        said = found.said("Skipped")
        assert said.startswith(
            "7 files: not a MIDI file: begins with …, expected b'MThd' bad0.mid : not a MIDI file: begins"
        )
        assert said.endswith("1 file: the file is empty empty.mid")

    def test_duplicates_name_what_is_kept(self, read, tmp_path):
        for name in ("a/one.mid", "a/same.mid", "b/same.mid"):
            save(tune(60), tmp_path / "in" / name)
        save(tune(61), tmp_path / "in/b/two.mid")
        found = read("in")
        said = found.said("Duplicates")
        assert said.endswith(
            "2 duplicates of 1 piece; 1 of them in another sub-folder than the one that is kept "
            "a/one.mid is kept; the same: a/same.mid , b/same.mid"
        )
        assert "Every file could be read" in found.said("Skipped")
        assert "4: 2 kept, 2 skipped (2 duplicates)" in found.sections[None]

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
    def test_names_are_text(self, read, tmp_path):
        names = ["<script>x.mid", "a&amp;'b.mid", '"quoted".mid', "line\nbreak.mid", "\u202egnp.mid", "שלום.mid"]
        for name in ("<i>", '"'):
            save(tune(60 if name == '"' else 61), tmp_path / "in" / name / "good.mid")
        for name in names:
            (tmp_path / "in" / name).write_bytes(b"")
        if sys.platform == "linux":
            Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/\xff.mid")).write_bytes(b"")
            names.append("\ufffd.mid")
        found = read("in")
        shown = {"line\nbreak.mid": r"line\nbreak.mid", "\u202egnp.mid": r"\u202egnp.mid"}
        assert {shown.get(name, name) for name in names} <= set(found.texts)
        assert found.tags.count("script") == found.tags.count("i") == 0
        assert "<i> 1 32 0:08" in found.said("Styles")

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
    def test_a_folder_that_is_markup(self, read, tmp_path):
        save(tune(60), tmp_path / "<b>&/a.mid")
        assert "What <b>& holds" in read("<b>&").texts


class TestLarge:
    def records(self, tunes, files):
        corpus = intake(tunes)
        corpus.report = replace(corpus.report, files=tuple(files))
        return page.document(corpus, survey(corpus))

    def test_every_skipped_file_of_ten_thousand_is_named(self, tunes):
        files = [FileRecord(f"folder/{at:05}.mid", False, "the file is empty") for at in range(10_000)]
        html = self.records(tunes, files)
        assert len(html) < 2_000_000 and html.count("<bdi>folder/") == 10_000 and "more: " not in html
        Reader(html)

    def test_longer_names_are_cut_with_a_count(self, tunes):
        files = [FileRecord("&" * 300 + str(at), False, f"duplicate of {at}") for at in range(10_000)]
        html = self.records(tunes, files)
        assert len(html) < 2_000_000
        more = re.search(r"<li>and ([\d,]+) more: melodygru inspect --json lists all</li>", html)
        assert int(more[1].replace(",", "")) + html.count(" is kept; the same: ") == 10_000
        Reader(html)

    def test_more_reasons_than_are_told_apart(self, tunes):
        files = [FileRecord(f"{at}.mid", False, "reason " + "x" * at) for at in range(50)]
        found = Reader(self.records(tunes, files))
        assert "10 files for other reasons" in found.said("Skipped")
        assert {f"{at}.mid" for at in range(50)} <= set(found.texts)

    def test_more_pieces_than_a_table_shows(self, tunes, monkeypatch):
        monkeypatch.setattr(corpus_files, "PIECES", 5)
        corpus = intake(tunes)
        found = Reader(page.document(corpus, survey(corpus)))
        assert found.said("Pieces").endswith("high/10.mid Bb/g 4/4 120 4 0:08 32 The first 5 of 12 pieces.")


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "line"),
        [
            (("in", "--html", "page.pdf"), "--html page.pdf: expected a name that ends in .html"),
            (
                ("in", "--html", "missing/page.html"),
                "--html: cannot write missing/page.html: No such file or directory; choose",
            ),
            (("empty", "--html", "page.html"), "empty holds no MIDI files"),
            (("bad", "--html", "page.html"), "bad holds 1 MIDI file and none can be used (the first, a.mid: "),
            (
                ("x.keras", "--html", "page.html"),
                "--html page.html: x.keras is a checkpoint; expected a folder of MIDI",
            ),
        ],
    )
    def test_what_it_refuses(self, call, tmp_path, arguments, line):
        save(tune(60), tmp_path / "in/a.mid")
        (tmp_path / "empty").mkdir()
        (tmp_path / "bad").mkdir()
        for name in ("bad/a.mid", "x.keras", "page.html"):
            (tmp_path / name).write_text("old")
        result = call(*map(str, map(Path, arguments)), code=1)
        assert result.stderr.splitlines()[-1].startswith(
            f"melodygru: {line}".replace("missing/page", str(Path("missing/page")))
        )
        assert Path("page.html").read_text() == "old" and result.stdout == ""

    def test_the_help_shows_an_example(self, call):
        assert "  melodygru inspect midi_dir/ --html midi_dir.html\n" in call("--help").stdout


class TestText:
    @given(st.text())
    def test_any_text_is_one_text(self, words):
        shown = html.markup("<p>x{}x</p>", words)
        shown.encode("utf-8")
        found = Reader(shown)
        assert found.tags == ["p"]
        assert "".join(found.texts).isprintable() or any(c.isspace() or ord(c) > 127 for c in words)

    @pytest.mark.parametrize(
        ("words", "escaped"),
        [
            ("a<b>&\"'", "a&lt;b&gt;&amp;&#34;&#39;"),
            ("a\nb\x00", r"a\nb\x00"),
            ("\u202ea\u2066b\u200e", r"\u202ea\u2066b\u200e"),
            ("\udcff\ud800", "\ufffd\ufffd"),
            ("\u200d é 音", "\u200d é 音"),  # what joins characters is part of a script
        ],
    )
    def test_what_is_escaped(self, words, escaped):
        assert html.markup("{}", words) == escaped
        assert f"<title>{escaped}</title>" in html.render("base.html", title=words)

    def test_a_value_that_is_missing_is_an_error(self):
        with pytest.raises(jinja2.UndefinedError, match="title"):
            html.render("base.html")


class TestCharts:
    @pytest.mark.parametrize(
        ("top", "unit", "ticks"),
        [
            (0, "", ["0", "1"]), (1, "", ["0", "1"]), (3, "", ["0", "1", "2", "3"]), (5, "", ["0", "2", "4", "6"]),
            (10, "", ["0", "5", "10"]), (9, "%", ["0%", "2.5%", "5%", "7.5%", "10%"]),
            (20_000, "", ["0", "5,000", "10k", "15k", "20k"]),
        ],
    )  # fmt: skip
    def test_round_numbers(self, top, unit, ticks):
        (axes,) = pictures.columns_figure(["a"], [("", [top])], "x", f"{unit} of notes").axes
        assert [label.get_text() for label in axes.get_yticklabels()] == ticks

    @pytest.mark.parametrize(
        ("value", "text"), [(0, "0"), (2.5, "2.5"), (999, "999"), (5000, "5,000"), (20_000, "20k"), (1.5e6, "1.5M")]
    )
    def test_numbers_in_a_few_characters(self, value, text):
        assert pictures._short(value) == text

    def test_columns_are_as_high_as_their_values_and_say_them(self):
        figure = pictures.columns_figure(["a", "b", "c"], [("", [10, 5, 0])], "x", "pieces")
        bars = figure.axes[0].patches
        assert [bar.get_x() + bar.get_width() / 2 for bar in bars] == pytest.approx([0.5, 1.5])
        assert [bar.get_height() for bar in bars] == [10, 5]
        assert [bar.get_gid() for bar in bars] == ["title: a: 10", "title: b: 5"]
        assert figure.axes[0].get_ylim() == (0, 10)

    def test_two_series_stand_side_by_side_with_their_names(self):
        figure = pictures.columns_figure(["a"], [("onsets", [50.0]), ("ends", [0.01])], "x", "% of notes", reach=100)
        first, second = figure.axes[0].patches
        assert first.get_x() + first.get_width() == pytest.approx(second.get_x()) == 0.5
        assert second.get_height() == pytest.approx(0.6 * 100 / 157)  # a little is seen
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["onsets", "ends"]

    def test_rows_have_names_and_values(self):
        (axes,) = pictures.rows_figure([("Kick", 1200), ("x" * 30, 3)], "notes").axes
        assert [label.get_text() for label in axes.get_yticklabels()] == ["Kick", "x" * 18 + "…"]
        assert [text.get_text() for text in axes.texts] == ["1,200", "3"]

    def test_spans_are_a_line_a_bar_and_a_mark(self):
        (axes,) = pictures.spans_figure(
            [("Violin", (55, 60, 64, 70, 80), "55 to 80")], (48, 84), [(60, "C4")], "x"
        ).axes
        edges = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]
        assert edges[:2] == [(54.5, 80.5), (59.5, 70.5)] and np.mean(edges[2]) == 64
        assert {bar.get_gid() for bar in axes.patches} == {"title: 55 to 80"}

    @pytest.mark.parametrize(
        ("labels", "sampled", "lines"),
        [
            (["1"] * 5, False, [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]),
            (["12345678"] * 6, False, [(0, 0), (1, 1), (2, 0), (3, 1), (4, 0), (5, 1)]),
            (["12345678"] * 20, False, [(0, 0), (4, 0), (8, 0), (12, 0), (16, 0)]),
            (["C4", *[""] * 11, "C5"], True, [(0, 0), (12, 0)]),
            (["12345678"] * 6, True, [(0, 0), (2, 0), (4, 0)]),
        ],
    )
    def test_labels_do_not_touch(self, labels, sampled, lines):
        slot = (pictures._WIDTH - pictures._LEFT - pictures._RIGHT) / len(labels)
        assert pictures._labelled(labels, slot, sampled) == lines

    def test_in_a_page_it_has_the_pages_colours_and_fonts_and_words(self):
        svg = html.inline(pictures.columns_figure(["<a>"], [("", [10])], "x", "pieces"), 'all "a"')
        assert svg.startswith('<svg viewBox="0 0 360 215" role="img" aria-label="all &#34;a&#34;">')
        assert "<title>&lt;a&gt;: 10</title>" in svg and "fill: var(--bar)" in svg and "fill: var(--muted)" in svg
        assert not re.search(r"https?:|font-family|<g id=", svg)
        assert svg == html.inline(pictures.columns_figure(["<a>"], [("", [10])], "x", "pieces"), 'all "a"')
