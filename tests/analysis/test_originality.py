"""Originality: the index against brute force, matches worked by hand, and what travels with a checkpoint."""

import io
import json
import sys
import zipfile
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import tune
from hypothesis import given
from hypothesis import strategies as st
from toys import BEAT, VOCABULARIES, sequence_of
from toys import model as toy_model

from melodygru import midi
from melodygru.analysis.originality import MEMBER, N_GRAM, Index, Matcher, attach, read, spread
from melodygru.analysis.originality.codes import keys, time_edges
from melodygru.analysis.originality.suffixes import sort_suffixes
from melodygru.errors import CheckpointError, CorpusError, NoteError
from melodygru.music.grid import Grid
from melodygru.music.notes import DRUMS

# Ten notes whose intervals and onsets make no two of its runs alike: (steps to the next onset, duration, pitch).
PHRASE = [
    (2, 2, 60), (2, 1, 62), (4, 4, 65), (1, 1, 64), (3, 2, 69),
    (2, 2, 60), (6, 5, 71), (1, 1, 70), (2, 2, 62), (4, 4, 67),
]  # fmt: skip


def phrase(start=0, transposed=0, program=0, notes=PHRASE):
    """Rows of PHRASE for `sequence_of`, from step `start` on."""
    rows = []
    for time, duration, pitch in notes:
        rows.append((start, duration, program, pitch + transposed, 80))
        start += time
    return rows


def other(start, n=12, program=0, seed=0):
    """Rows of a chromatic line with long notes, of which PHRASE has no two."""
    rng = np.random.default_rng([seed, 5])
    return [(start + 9 * at, int(rng.integers(6, 9)), program, 40 + at, 80) for at in range(n)]


def random_piece(seed, n=60, programs=(0,), grid=BEAT):
    """Music of few pitches and times, so that short runs return by chance."""
    rng = np.random.default_rng([seed, 7])
    onset = np.cumsum(rng.choice([0, 1, 2], n, p=[0.2, 0.4, 0.4]))
    return sequence_of(
        [(int(at), 1, int(rng.choice(programs)), int(rng.choice([60, 62])), 80) for at in onset], grid=grid
    )


def spelled_out(notes, grid):
    """What `codes.keys` says, in plain Python: a tuple for each note; the first differs from all others."""
    found, before, pitch = [], None, None
    for note in notes:
        drum = note["program"] == DRUMS
        step = ("drum", int(note["pitch"])) if drum else None if pitch is None else int(note["pitch"]) - pitch
        edges = time_edges(grid)
        if before is None:
            found.append(object())
        else:
            found.append((step, *(int(np.sum(edges <= t)) for t in (note["onset"] - before, note["duration"]))))
        before = note["onset"]
        pitch = pitch if drum else int(note["pitch"])
    return found


def spelled_lines(sequence):
    """All voices, then each program, as `spelled_out` has them: [(index of each note in the piece, its key)]."""
    notes = sequence.notes
    everything = [np.arange(len(notes)), *(np.flatnonzero(notes["program"] == p) for p in sequence.programs)]
    return [(at, spelled_out(notes[at], sequence.grid)) for at in everything]


def naive(pieces, sequence):
    """For each line of a piece the match that ends with each note, by comparing everything with everything."""
    corpus = [line for piece in pieces for _, line in spelled_lines(piece)]
    found = []
    for _, line in spelled_lines(sequence):
        best = np.zeros(len(line), int)
        for theirs in corpus:
            lengths = np.zeros(len(theirs) + 1, int)
            for at, key in enumerate(line):
                same = np.array([key == one for one in theirs])
                lengths = np.concatenate([[0], np.where(same, lengths[:-1] + 1, 0)])
                best[at] = max(best[at], lengths.max())
        found.append(np.where(best + 1 >= N_GRAM, best + 1, 0))
    return found


def covered(lengths):
    marked = np.zeros(len(lengths), bool)
    for at, length in enumerate(lengths):
        marked[at + 1 - length : at + 1] = True
    return int(marked.sum())


def followed(matcher, sequence):
    """What `extend` says of each note."""
    return [matcher.extend(n["onset"], n["duration"], n["program"], n["pitch"]) for n in sequence.notes]


class TestCodes:
    def test_steps_up_to_127_are_classes_of_their_own(self):
        edges = time_edges(BEAT)
        assert edges[:127].tolist() == list(range(1, 128))
        assert edges[127:130].tolist() == [128, 137, 148]
        assert len(edges) == 255 and edges[-1] == 1 << 20

    def test_seconds_are_half_octaves_from_30_ms(self):
        assert time_edges(Grid.seconds(100))[:5].tolist() == [3, 5, 6, 9, 12]
        assert time_edges(Grid.seconds(1))[:3].tolist() == [1, 2, 3]

    def test_keys_by_hand(self):
        rows = [(0, 2, 0, 60, 80), (0, 2, 0, 64, 80), (4, 3, 0, 59, 80), (4, 1, DRUMS, 36, 80), (5, 1, 0, 61, 80)]
        drums_first = [(0, 1, DRUMS, 38, 80), (2, 1, DRUMS, 36, 80), (3, 127, 9, 50, 80)]

        def key(step, time, duration):
            return (step << 16) + (time << 8) + duration

        start = 0xFFFFFFFF
        assert keys(sequence_of(rows).notes, BEAT).tolist() == [
            start, key(131, 0, 2), key(122, 4, 3), key(292, 0, 1), key(129, 1, 1)
        ]  # fmt: skip
        assert keys(sequence_of(drums_first).notes, BEAT).tolist() == [start, key(292, 2, 1), key(255, 1, 127)]
        assert keys(sequence_of([]).notes, BEAT).shape == (0,)


class TestSorting:
    @pytest.mark.parametrize("stride", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3, 4))])
    @given(seed=st.integers(0, 999), n=st.integers(0, 70), values=st.integers(1, 4))
    def test_is_that_of_python(self, stride, seed, n, values):
        text = np.random.default_rng(seed).integers(1, 1 + values, n).astype(np.uint16)
        padded = text.tolist() + [0] * 8
        expected = [offset // stride for offset in sorted(range(0, n, stride), key=lambda at: padded[at:])]
        assert sort_suffixes(text, stride).tolist() == expected

    def test_zeros_at_the_end_end(self):
        assert sorted(sort_suffixes(np.zeros(50, np.uint16), 2).tolist()) == list(range(25))


class TestAgainstBruteForce:
    @pytest.mark.parametrize("stride", [1, 2, 3, 4])
    @given(seed=st.integers(0, 9999))
    def test_every_length_and_every_share(self, stride, seed):
        programs = [(0,), (0, 40), (0, 40, DRUMS)][seed % 3]
        pieces = [random_piece([seed, at], 30, programs) for at in range(3)]
        made = random_piece([seed, 9], 30, programs)
        if seed % 2:  # a passage of the corpus, moved in pitch and in time
            passage = pieces[1].crop(4, 24).notes.copy()
            passage["pitch"][passage["program"] != DRUMS] += 3
            passage["onset"] += made.length + 2
            columns = ["onset", "duration", "program", "pitch", "velocity"]
            made = sequence_of([*made.notes[columns].tolist(), *passage[columns].tolist()])
        index = Index.build(((str(at), piece) for at, piece in enumerate(pieces)), stride=stride)
        expected = naive(pieces, made)
        found = index.examine(made)
        assert found.voices.covered == covered(expected[0])
        assert found.lines.covered == sum(covered(one) for one in expected[1:])
        assert found.longest_notes == max(max(one) for one in expected)
        assert (found.voices.longest.notes if found.voices.longest else 0) == max(expected[0])
        # note by note: of all voices and the note's own program
        both = np.array(expected[0])
        for (at, _), lengths in zip(spelled_lines(made)[1:], expected[1:], strict=True):
            both[at] = np.maximum(both[at], lengths)
        assert followed(Matcher(index), made) == both.tolist()

    @pytest.mark.parametrize(("stride", "programs"), [(1, (0,)), (2, (0, 40)), (4, (0, 40))])
    def test_no_match_is_false_and_none_is_missed(self, stride, programs):
        pieces = [random_piece([1, at], 2000, programs) for at in range(4)]
        index = Index.build(((str(at), piece) for at, piece in enumerate(pieces)), stride=stride)
        known = {
            tuple(line[at : at + N_GRAM - 1])
            for piece in pieces
            for _, line in spelled_lines(piece)
            for at in range(1, len(line) - N_GRAM + 2)
        }
        wrong = hits = 0
        for seed in range(5):
            made = random_piece([2, seed], 2000, programs)
            expected = np.zeros(len(made), bool)
            for at, line in spelled_lines(made):
                for end in range(N_GRAM - 1, len(line)):
                    expected[at[end]] |= tuple(line[end + 2 - N_GRAM : end + 1]) in known
            got = np.array(followed(Matcher(index), made)) > 0
            wrong += int((got != expected).sum())
            hits += int(expected.sum())
        assert wrong == 0
        assert 300 < hits < 5000  # both answers were put to the test

    @pytest.mark.parametrize("stride", [2, 3])
    def test_a_phrase_that_returns_endlessly(self, stride):
        """So many offsets begin alike that they are looked at in bulk; only one goes on as the output does."""
        loop = [(2 * at, 1, 0, 60 + at % 2, 80) for at in range(1000)]
        odd = [(2 * at, 1, 0, 60 + at % 2 if at < 47 else 50, 80) for at in range(48)]
        for moved in range(4):
            pieces = [
                ("loop", sequence_of(loop)),
                ("pad", sequence_of(other(0, 12 + moved))),
                ("odd", sequence_of(odd)),
            ]
            for order in (pieces, pieces[::-1]):
                index = Index.build(order, stride=stride)
                lengths = followed(Matcher(index), sequence_of(odd[20:]))
                assert lengths == [0] * 7 + list(range(8, 29))
                match = index.examine(sequence_of([*odd[29:], *other(200)])).longest
                assert (match.notes, match.file) == (19, "odd")


class TestMatches:
    def test_a_transposed_copy_is_found_where_it_stands(self):
        first = sequence_of(other(0, seed=3))
        second = sequence_of([*phrase(3 * 16), *other(5 * 16)])
        index = Index.build([("a.mid", first), ("b/c.mid", second)])
        made = sequence_of([*other(0, 3, seed=8), *phrase(32 + 5, transposed=-7)], metres=[(0, 3, 4)])
        found = index.examine(made)
        match = found.longest
        assert (match.notes, match.file, match.start, match.output_start, match.program, match.unit) == (
            10, "b/c.mid", 4, 4, None, "bar"
        )  # fmt: skip
        assert found.notes == 13 and found.share == 10 / 13

    @pytest.mark.parametrize("changed", ["pitch", "time", "duration"])
    def test_a_changed_note_breaks_a_match(self, changed):
        index = Index.build([("a", sequence_of([*phrase(), *phrase(40), *other(80)]))])
        twice = [*PHRASE, *PHRASE]
        at = 11
        time, duration, pitch = twice[at]
        twice[at] = {
            "pitch": (time, duration, pitch + 1),
            "time": (time + 5, duration, pitch),
            "duration": (time, 2, pitch),
        }[changed]
        whole = sequence_of([*phrase(notes=PHRASE + PHRASE)])
        corpus = Index.build([("a", whole)])
        assert corpus.examine(whole).longest_notes == 20
        made = sequence_of(phrase(notes=twice))
        # note 11 differs, or the time from it to the next; the first note's own duration and approach are free
        before, after = {"pitch": (11, 8), "time": (12, 8), "duration": (11, 9)}[changed]
        found = corpus.examine(made)
        assert found.longest_notes == before
        assert followed(Matcher(corpus), made)[-1] == after
        assert found.share == min(20, before + after) / 20
        assert index.examine(made).longest_notes >= 10

    @pytest.mark.parametrize(("n", "expected"), [(7, 0), (8, 8), (9, 9)])
    def test_from_eight_notes_on(self, n, expected):
        index = Index.build([("a", sequence_of([*phrase(), *other(60)]))])
        made = index.examine(sequence_of([*phrase(notes=PHRASE[:n]), *other(30, 3, seed=4)]))
        assert made.longest_notes == expected
        assert made.share == expected / (n + 3)
        assert (made.longest is None) == (expected == 0)

    def test_a_line_is_found_among_other_voices(self):
        corpus = sequence_of([*phrase(16, program=40), *other(0, 20, program=70)])
        index = Index.build([("a", corpus)])
        made = sequence_of([*phrase(0, 5, program=3), *other(1, 30, program=8, seed=3)])
        found = index.examine(made)
        assert (found.lines.longest.notes, found.lines.longest.program, found.lines.longest.start) == (10, 3, 2)
        assert found.longest == found.lines.longest and found.share == found.lines.covered / 40

    def test_all_voices_count_though_no_line_is_long_enough(self):
        rows = [(*row[:2], 40 + at % 3, *row[3:]) for at, row in enumerate(phrase())]
        index = Index.build([("a", sequence_of([*rows, *other(60)]))])
        found = index.examine(sequence_of([(*row[:3], row[3] + 2, 80) for row in rows]))
        assert found.longest.program is None and found.longest_notes == 10
        assert found.lines.longest is None and found.share == 1.0

    def test_drums_stay_where_the_rest_is_transposed(self):
        beat = [(2 * at, 1, DRUMS, 36 + 2 * (at % 3), 80) for at in range(12)]
        index = Index.build([("a", sequence_of([*phrase(), *beat]))])
        assert index.examine(sequence_of([*phrase(transposed=4), *beat])).share == 1.0
        higher = [(*row[:3], row[3] + 1, 80) for row in beat]
        assert index.examine(sequence_of(higher)).longest is None

    def test_bars_of_changing_metre(self):
        metres = [(0, 3, 4), (24, 4, 4)]  # bars of 12, 12, 16, 16, ... steps
        for start, bar in ((39, 3), (40, 4), (43, 4)):  # the second note of the match is in bar 4
            corpus = sequence_of([*other(0, 3), *phrase(start)], metres=metres)
            match = Index.build([("a", corpus)]).examine(sequence_of(phrase(15))).longest
            assert (match.start, match.output_start) == (bar, 1)

    def test_bars_without_notes(self):
        corpus = sequence_of([*other(0, 8), *phrase(16 * 300), *phrase(16 * 700 + 1, notes=PHRASE[::-1])])
        index = Index.build([("pad", sequence_of(other(16 * 9))), ("a", corpus)])
        for start, notes, bar in ((0, PHRASE, 301), (16, PHRASE[::-1], 701)):
            match = index.examine(sequence_of(phrase(start, notes=notes))).longest
            assert (match.notes, match.file, match.start, match.output_start) == (10, "a", bar, 1 + start // 16)

    def test_no_match_goes_on_in_the_next_piece(self):
        halves = [("a", sequence_of(phrase(notes=PHRASE[:5]))), ("b", sequence_of(phrase(notes=PHRASE[5:])))]
        assert Index.build(halves).examine(sequence_of(phrase())).longest is None

    def test_performances_match_by_half_octaves_and_are_placed_by_the_second(self):
        grid = Grid.seconds(100)
        times = [(0, 45), (65, 30), (130, 61), (195, 30), (202, 50), (270, 30), (330, 45), (395, 30), (470, 30)]
        rows = [(at, duration, 0, 60 + 5 * n % 11, 80) for n, (at, duration) in enumerate(times)]
        index = Index.build([("a", sequence_of([(at + 230, *row) for at, *row in rows], grid=grid))])
        near = [(at + n % 2, duration, program, pitch, 80) for n, (at, duration, program, pitch, _) in enumerate(rows)]
        match = index.examine(sequence_of(near, grid=grid)).longest
        assert (match.notes, match.start, match.output_start, match.unit) == (9, 2, 0, "second")
        slower = [(3 * at, *row) for at, *row in rows]
        assert index.examine(sequence_of(slower, grid=grid)).longest is None

    def test_what_is_looked_up_is_put_on_the_grid(self):
        index = Index.build([("a", sequence_of(phrase()))])
        fine = [(at * 30 + 3, duration * 30, *rest) for at, duration, *rest in phrase()]
        assert index.examine(sequence_of(fine, grid=Grid.beats(120))).longest_notes == 10

    def test_pieces_of_another_grid_are_put_on_the_given_one(self):
        fine = sequence_of([(at * 30, duration * 30, *rest) for at, duration, *rest in phrase()], grid=Grid.beats(120))
        assert Index.build([("a", fine)], BEAT).examine(sequence_of(phrase())).longest_notes == 10

    def test_nothing_to_index(self):
        for pieces in ([], [("a", sequence_of([]))]):
            with pytest.raises(CorpusError, match="no notes to index: expected one piece with a note, at least"):
                Index.build(pieces, BEAT)

    def test_an_empty_output_and_a_corpus_of_one_note(self):
        index = Index.build([("a", sequence_of([(0, 1, 0, 60, 80)]))])
        for made in (sequence_of([]), sequence_of(phrase())):
            found = index.examine(made)
            assert found.longest is None and found.share == 0.0 and found.notes == len(made)
        assert Index.from_arrays(index.arrays()).examine(made).longest is None

    def test_of_more_keys_than_two_bytes_hold_the_rarest_match_nothing(self, rng):
        n = 110_000
        time = rng.integers(1, 100, n)
        onset, last = np.cumsum(time).tolist(), np.append(time[1:], 1)
        durations, pitches = rng.integers(1, last + 1).tolist(), rng.integers(0, 128, n).tolist()
        long = sequence_of((*row, 80) for row in zip(onset, durations, [0] * n, pitches, strict=True))
        assert len(np.unique(keys(long.notes, BEAT))) > 66_000
        index = Index.build([("long", long), *((str(at), sequence_of(phrase())) for at in range(3))])
        assert len(index.arrays()["dictionary"]) == 65_534
        assert index.examine(sequence_of(phrase())).longest_notes == 10
        passage = long.crop(int(long.notes["onset"][500]), int(long.notes["onset"][1500]))
        assert 0 < index.examine(passage).share < 1
        assert index.nbytes <= 8 * index.n_notes


class TestSize:
    @pytest.mark.parametrize("programs", [(0,), (0, 40), tuple(range(8)), (*range(20), DRUMS)])
    def test_at_most_eight_bytes_a_note(self, programs):
        rng = np.random.default_rng(len(programs))
        pieces = []
        for at in range(100):
            onset = np.cumsum(rng.choice([0, 1, 2, 4], 500))
            rows = zip(
                onset, rng.choice([1, 2, 4], 500), rng.choice(programs, 500), rng.integers(55, 70, 500), strict=True
            )
            pieces.append((f"{at}.mid", sequence_of([(*map(int, row), 80) for row in rows])))
        index = Index.build(pieces)
        arrays = {name: array for name, array in index.arrays().items() if name != "about"}
        assert index.nbytes == sum(array.nbytes for array in arrays.values())
        assert index.nbytes <= 8 * index.n_notes
        held = [value for value in vars(index).values() if isinstance(value, (bytes, np.ndarray))]
        fixed = 200 * len(held)  # bytes of Python's for each object, however many notes
        assert sum(max(sys.getsizeof(one), getattr(one, "nbytes", 0)) for one in held) <= 8 * index.n_notes + fixed
        on_disk = io.BytesIO()
        np.savez(on_disk, **arrays)
        assert on_disk.tell() <= 8 * index.n_notes + 300 * len(arrays)

    def test_a_small_corpus_needs_no_more(self):
        files = sorted((Path(__file__).parents[2] / "data/starter/chorales").glob("*.mid"))[:10]
        index = Index.build([(path.name, midi.read(path).sequence) for path in files], BEAT)
        assert 1000 < index.n_notes < 4000 and index.nbytes <= 8 * index.n_notes

    def test_music_of_one_program_is_written_once(self):
        pieces = [("a", random_piece(1, 3000)), ("b", random_piece(2, 3000))]
        assert Index.build(pieces).arrays()["text"].nbytes == 2 * sum(len(piece) for _, piece in pieces)


class TestMatcher:
    @pytest.fixture
    def index(self):
        return Index.build([("a", sequence_of([*phrase(), *other(60)]))])

    def test_a_match_grows_note_by_note(self, index):
        assert followed(Matcher(index), sequence_of(phrase(3, 2))) == [0] * 7 + [8, 9, 10]

    def test_going_back(self, index):
        matcher = Matcher(index)
        notes = [row[:4] for row in phrase()]
        for note in notes[:8]:
            matcher.extend(*note)
        kept = matcher.state
        assert matcher.extend(notes[8][0], 9, 0, 30) == 0
        assert matcher.extend(notes[9][0], 9, 0, 31) == 0
        matcher.state = kept
        assert matcher.extend(*notes[8]) == 9

    def test_notes_in_the_order_of_time(self, index):
        matcher = Matcher(index)
        matcher.extend(5, 1, 0, 60)
        with pytest.raises(NoteError, match="a note at step 4 after one at step 5: expected notes in canonical order"):
            matcher.extend(4, 1, 0, 60)

    def test_lines_of_several_programs(self, index):
        """A second program breaks the run over all voices; the first one's line goes on."""
        made = sequence_of([*phrase(), (5, 1, 90, 100, 80)])
        lengths = followed(Matcher(index), made)
        assert lengths == [0] * 8 + [8, 9, 10]


class TestSpread:
    def test_by_hand(self):
        index = Index.build([("a", sequence_of([*phrase(), *other(60)]))])
        made = [
            sequence_of(other(0, 4, seed=9)),
            sequence_of(phrase(notes=PHRASE[:8])),
            sequence_of([*phrase(), *other(80, 10, 50, seed=2)]),
        ]
        found = spread([index.examine(one) for one in made])
        assert found["pieces"] == 3
        assert found["longest"] == {"lower_quartile": 4.0, "median": 8.0, "upper_quartile": 9.0, "max": 10.0}
        assert found["share"] == {"lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75, "max": 1.0}
        measured = index.measured_by(made)
        assert measured.baseline == found and index.baseline is None
        assert Index.from_arrays(measured.arrays()).baseline == found
        assert index.measured_by([]).baseline is None


@pytest.fixture(scope="module")
def held():
    """An index with everything in it; shared, and never changed."""
    pieces = [(f"{at}.mid", random_piece(at, 200, (0, 40))) for at in range(4)]
    return Index.build([*pieces, ("phrase", sequence_of([*phrase(), *phrase(16 * 9, program=3)]))])


class TestArrays:
    def test_there_and_back(self, held):
        restored = Index.from_arrays(held.arrays())
        for made in (random_piece(2, 200, (0, 40)), random_piece(9, 99), sequence_of(phrase())):
            assert restored.examine(made) == held.examine(made)
        assert (restored.grid, restored.files, restored.n_notes, restored.nbytes) == (
            held.grid, held.files, held.n_notes, held.nbytes
        )  # fmt: skip

    @pytest.mark.parametrize("name", ["text", "sorted", "marks", "dictionary", "lines", "about"])
    def test_an_array_that_does_not_fit_is_refused(self, held, name):
        arrays = held.arrays()
        whole = arrays[name]
        wrong = [whole[:-1], np.concatenate([whole, whole]), whole.astype(np.float32), whole[None], whole[:0]]
        for damaged in wrong:
            with pytest.raises(CheckpointError, match="the index of originality is damaged .*; train again"):
                Index.from_arrays({**arrays, name: damaged})
        del arrays[name]
        with pytest.raises(CheckpointError, match="damaged"):
            Index.from_arrays(arrays)

    @given(data=st.data())
    def test_flipped_bytes_are_refused_or_do_no_harm(self, held, data):
        arrays = held.arrays()
        name = data.draw(st.sampled_from(sorted(arrays)))
        raw = bytearray(arrays[name].tobytes())
        for _ in range(data.draw(st.integers(1, 3))):
            raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
        arrays[name] = np.frombuffer(bytes(raw), arrays[name].dtype).reshape(arrays[name].shape)
        try:
            damaged = Index.from_arrays(arrays)
        except CheckpointError:
            return
        damaged.examine(random_piece(2, 200, (0, 40)))
        damaged.examine(sequence_of(phrase()))

    def test_another_version_is_refused(self, held):
        arrays = held.arrays()
        about = json.loads(arrays["about"].tobytes())
        arrays["about"] = np.frombuffer(json.dumps({**about, "version": 2}).encode(), np.uint8)
        with pytest.raises(CheckpointError, match="an index of originality of version 2, expected 1; train again"):
            Index.from_arrays(arrays)


@pytest.fixture(scope="session")
def plain_checkpoint(tmp_path_factory):
    """A toy model's checkpoint, without an index."""
    from melodygru.model.keras_model import save

    path = tmp_path_factory.mktemp("plain") / "toy.keras"
    save(toy_model("one"), path)
    return path


@pytest.fixture
def toy_checkpoint(plain_checkpoint, tmp_path):
    path = tmp_path / "toy.keras"
    path.write_bytes(plain_checkpoint.read_bytes())
    return path


class TestCheckpoint:
    @pytest.fixture
    def index(self):
        return Index.build([("a.mid", sequence_of([*phrase(), *other(60)]))])

    def test_travels_with_the_model(self, index, toy_checkpoint):
        assert read(toy_checkpoint) is None
        with zipfile.ZipFile(toy_checkpoint) as archive:
            before = {name: archive.read(name) for name in archive.namelist()}
        attach(toy_checkpoint, index)
        assert read(toy_checkpoint).examine(sequence_of(phrase())).longest_notes == 10
        attach(toy_checkpoint, Index.build([("b.mid", sequence_of(phrase()))]))
        assert read(toy_checkpoint).files == ("b.mid",)
        with zipfile.ZipFile(toy_checkpoint) as archive:
            assert sorted(archive.namelist()) == sorted([*before, MEMBER])
            assert {name: archive.read(name) for name in before} == before
        assert [path.name for path in toy_checkpoint.parent.iterdir()] == ["toy.keras"]

    def test_keras_and_the_network_read_such_a_file(self, index, toy_checkpoint):
        import keras

        from melodygru.model import checkpoint

        attach(toy_checkpoint, index)
        loaded = keras.models.load_model(toy_checkpoint)
        for ours, theirs in zip(toy_model("one").get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert checkpoint.read(toy_checkpoint).vocabulary == VOCABULARIES["one"]

    def test_files_that_cannot_be_read(self, index, tmp_path):
        missing, text = tmp_path / "missing.keras", tmp_path / "text.keras"
        text.write_text("no archive")
        for call in (read, lambda path: attach(path, index)):
            with pytest.raises(CheckpointError, match=r"missing\.keras: no such checkpoint"):
                call(missing)
            with pytest.raises(CheckpointError, match=r"text\.keras: .*not a zip file"):
                call(text)
        assert text.read_text() == "no archive"

    @pytest.mark.parametrize("content", [b"", b"PK no npz", b"\x93NUMPY\x01\x00"])
    def test_a_damaged_member(self, tmp_path, content):
        path = tmp_path / "x.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(MEMBER, content)
        with pytest.raises(CheckpointError, match=r"x\.keras: .*train again"):
            read(path)

    def test_arrays_that_do_not_fit_are_said_with_the_file(self, index, tmp_path):
        path = tmp_path / "x.keras"
        held = io.BytesIO()
        np.savez(held, **{**index.arrays(), "text": np.zeros(3, np.uint8)})
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(MEMBER, held.getvalue())
        with pytest.raises(CheckpointError, match=r"x\.keras: the index of originality is damaged"):
            read(path)

    def test_an_interrupted_writing_leaves_the_file(self, index, toy_checkpoint, monkeypatch):
        before = toy_checkpoint.read_bytes()

        def full(*_args, **_kwargs):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
        with pytest.raises(CheckpointError, match=r"cannot write .*toy\.keras: No space left on device"):
            attach(toy_checkpoint, index)
        assert toy_checkpoint.read_bytes() == before
        assert [path.name for path in toy_checkpoint.parent.iterdir()] == ["toy.keras"]


@pytest.fixture
def call(command):
    """Run `melodygru originality` in an empty folder."""
    return partial(command, "originality")


class TestCommand:
    @pytest.fixture
    def folders(self, tmp_path):
        """corpus/: a file with PHRASE in its second bar; made/: one with PHRASE in its first, and one of its own."""
        written = defaultdict(dict)
        written["corpus"]["a/song.mid"] = sequence_of([*phrase(16), *other(48)])
        written["corpus"]["tune.mid"] = sequence_of([*other(0, 20, seed=3), (200, 1, 0, 30, 80)])
        written["made"]["copy.mid"] = sequence_of([*phrase(0, 3), *other(60, 10, seed=11)])
        written["made"]["own.mid"] = sequence_of([(at, 1, 0, 50 + 7 * at % 12, 80) for at in range(0, 40, 2)])
        for folder, files in written.items():
            for name, sequence in files.items():
                path = tmp_path / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                midi.write(sequence, path)
        return tmp_path

    def test_a_file(self, call, folders):
        lines = call(folders / "made/copy.mid", "--against", folders / "corpus").stdout.splitlines()
        assert lines == [
            "notes          20",
            "longest match  10 notes of all voices from bar 1 on, as in a/song.mid from bar 2 on",
            "covered        50.0% of the notes, by matches of 8 notes and more",
            "all voices     longest 10 notes, 50.0% covered",
            "program lines  longest 10 notes, 50.0% covered",
            "looked in      2 pieces, 43 notes",
            "grid           4 steps per beat",
        ]

    def test_a_folder(self, call, folders):
        lines = call(folders / "made", "--against", folders / "corpus").stdout.splitlines()
        assert lines == [
            "copy.mid    50.0% covered; longest: 10 notes of all voices from bar 1 on, as in a/song.mid from bar 2 on",
            "own.mid      0.0% covered; longest: none of 8 notes or more",
            "2 pieces   longest match 5 notes in the median (2.5 to 7.5, at most 10); "
            "covered 25.0% (12.5% to 37.5%, at most 50.0%)",
            "looked in  2 pieces, 43 notes",
            "grid       4 steps per beat",
        ]

    def test_json(self, call, folders):
        document = json.loads(call(folders / "made", "--against", folders / "corpus", "--json").stdout)
        assert document["corpus"] == {"pieces": 2, "notes": 43, "grid": "4"}
        assert document["shortest_match"] == 8 and document["baseline"] is None
        copy, own = document["files"]
        longest = {"notes": 10, "file": "a/song.mid", "bar": 2, "bar_of_output": 1, "program": None}
        part = {"longest": longest, "share": 0.5}
        assert copy == {"file": "copy.mid", "notes": 20, **part, "all_voices": part, "program_lines": part}
        assert own["longest"] is None and own["share"] == 0.0
        assert document["summary"]["longest"]["max"] == 10

    def test_what_the_model_was_trained_on(self, call, folders, toy_checkpoint):
        message = (
            f"melodygru: {toy_checkpoint} holds no index of the music it was trained on; "
            "name that music with --against MIDI_DIR, or train again\n"
        )
        result = call(folders / "made/copy.mid", "--model", toy_checkpoint, code=1)
        assert result.stderr == f"model {toy_checkpoint}\n{message}"
        index = Index.build([("a/song.mid", sequence_of([*phrase(16), *other(48)]))])
        attach(toy_checkpoint, index.measured_by([sequence_of(phrase())]))
        lines = call(folders / "made/copy.mid", "--model", toy_checkpoint).stdout.splitlines()
        assert lines[1] == "longest match   10 notes of all voices from bar 1 on, as in a/song.mid from bar 2 on"
        assert lines[5] == (
            "held-out music  longest match 10 notes in the median (10 to 10, at most 10); "
            "covered 100.0% (100.0% to 100.0%, at most 100.0%)"
        )

    def test_errors_are_one_line(self, call, folders):
        made = folders / "made/copy.mid"
        both = call(made, "--against", folders / "corpus", "--model", "x.keras", code=1).stderr
        assert both == ("melodygru: --against and --model: expected one of them, for each says what music to look in\n")
        assert call(made, "--against", folders / "nowhere", code=1).stderr.endswith(
            "nowhere: no such file or folder; give a folder of MIDI files\n"
        )
        (folders / "bad.mid").write_bytes(b"no MIDI file")
        bad = call(folders / "bad.mid", "--against", folders / "corpus", code=1).stderr
        assert bad.count("\n") == 1 and "bad.mid" in bad

    def test_tunes_stand_in_each_other(self, call, tunes, tmp_path):
        midi.write(tune(70, bars=3), tmp_path / "new.mid")
        lines = call(tmp_path / "new.mid", "--against", tunes).stdout.splitlines()
        assert lines[1].startswith("longest match  24 notes of all voices from bar 1 on, as in ")
        assert lines[2].startswith("covered        100.0%")
