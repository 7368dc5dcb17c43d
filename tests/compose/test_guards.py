"""Guards: a stream taken back, degeneration found on the stream, what is given out, and no copy."""

import dataclasses
import functools
import itertools
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import toys
from test_degeneration import NEVER_ALIKE, _line

from melodygru import midi
from melodygru.analysis import originality
from melodygru.analysis.originality import Index
from melodygru.compose import Controls, Guard, Length, Note, Primer, Sampler, compose
from melodygru.compose import sampler as room
from melodygru.compose.actions import Action, action_lines
from melodygru.compose.composer import Composer
from melodygru.compose.degeneration import Thresholds, find_degeneration
from melodygru.compose.drawing import Alike
from melodygru.compose.guards import LOOKAHEAD
from melodygru.compose.settings import GenerateSettings
from melodygru.errors import SettingError
from melodygru.model import checkpoint
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.metre import steps_per_bar
from melodygru.music.quantize import quantize

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "starter.keras"

# -- a stream is taken back


def _sampler(name="many", n=3, seed=0, **settings):
    rngs = [np.random.default_rng([seed, stream]) for stream in range(n)]
    return Sampler(toys.network(name), rngs, metres=[toys.VOCABULARIES[name].metres[0]] * n, **settings)


def _steps(sampler, n):
    for _ in range(n):
        sampler.step(may_end=False)


def _of_stream(sampler, stream):
    """All that decides how a stream goes on, but its numbers."""
    context = sampler.contexts[stream]
    # What is searched for anew at each event is left out.
    apart = ("past", "vocabulary", "_bars", "_sources", "_waits", "_counterparts")
    stepped = [
        {name: value for name, value in vars(part).items() if name not in apart}
        for part in (context.past, *context._features)
    ]
    state = [array[stream].copy() for array in sampler._state]
    rest = (sampler.rows[stream][:], sampler._previous[stream], sampler.done[stream], sampler.ends[stream])
    return state, float(sampler.log_p[stream]), sampler._context[stream].tolist(), stepped, rest


def _assert_same(found, expected, tolerance=0.0):
    for one, other in zip(found[0], expected[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)
    assert found[1:3] == expected[1:3]
    assert found[3:] == expected[3:]


@pytest.mark.parametrize("name", ["many", "performance", "lookbacks"])
@pytest.mark.parametrize("n", [0, 1, 13, 29, 30])
def test_a_stream_taken_back_is_as_if_it_had_never_gone_on(name, n):
    fresh, gone_on = _sampler(name), _sampler(name)
    _steps(fresh, n)
    _steps(gone_on, 30)
    gone_on.rewind(1, n)
    _assert_same(_of_stream(gone_on, 1), _of_stream(fresh, 1))


def test_the_next_note_of_a_stream_taken_back_is_expected_as_it_was():
    fresh, gone_on = _sampler(), _sampler()
    _steps(fresh, 13)
    _steps(gone_on, 30)
    gone_on.rewind(1, 13)
    np.testing.assert_array_equal(gone_on._last.context[1], gone_on.network.bag(gone_on._context[1:2])[0])
    expected, found = (one._step(Alike(one.contexts)).logits("shift")[1] for one in (fresh, gone_on))
    np.testing.assert_array_equal(found, expected)


def test_a_stream_goes_back_twice_and_beyond_what_is_kept(monkeypatch):
    monkeypatch.setattr(room, "PAST_LEAST", 4)
    monkeypatch.setattr(room, "PAST_BYTES", 1)
    monkeypatch.setattr(room, "LANDMARK", 8)
    fresh, gone_on = _sampler(), _sampler()
    _steps(gone_on, 40)
    for n in (30, 21, 11, 3):
        gone_on.rewind(1, n)
        _steps(gone_on, 12)
        assert len(gone_on.rows[1]) == n + 12
    assert len(gone_on._past_state) < 20
    gone_on.rewind(1, 3)
    _steps(fresh, 3)
    assert gone_on.rows[1] == fresh.rows[1]
    _assert_same(_of_stream(gone_on, 1), _of_stream(fresh, 1), tolerance=1e-6)


def test_the_others_do_not_notice():
    alone, beside = _sampler(), _sampler()
    _steps(alone, 60)
    for n in (20, 5, 0):
        _steps(beside, 20)
        beside.rewind(1, n)
    assert len(beside.rows[1]) == 0
    for stream in (0, 2):
        assert beside.rows[stream] == alone.rows[stream]
        _assert_same(_of_stream(beside, stream), _of_stream(alone, stream))


def test_what_comes_after_is_drawn_anew():
    gone_on, kept = _sampler(), _sampler()
    _steps(kept, 30)
    _steps(gone_on, 30)
    gone_on.rewind(1, 10)
    _steps(gone_on, 20)
    assert gone_on.rows[1][:10] == kept.rows[1][:10]
    assert gone_on.rows[1][10:] != kept.rows[1][10:]


def test_an_ended_stream_goes_on():
    network = toys.network("one", end_bias=8.0)
    sampler = Sampler(network, [np.random.default_rng(3), np.random.default_rng(4)])
    while not sampler.done[0]:
        sampler.step()
    n = len(sampler.rows[0])
    for _ in range(3):
        sampler.step(may_end=False)  # the other goes on meanwhile
    sampler.rewind(0, n)
    assert (sampler.done[0], sampler.ends[0], len(sampler.rows[0])) == (False, None, n)
    sampler.step(may_end=False)
    assert len(sampler.rows[0]) == n + 1


def test_the_primer_is_not_taken_back():
    piece = toys.piece(toys.VOCABULARIES["many"], n=6)
    sampler = _sampler(primer=Primer.fit(piece, toys.VOCABULARIES["many"]))
    _steps(sampler, 4)
    sampler.rewind(0, 6)
    assert len(sampler.rows[0]) == 6
    for n in (5, 7):
        with pytest.raises(SettingError, match=rf"rewind to {n} notes: expected 6..6, those of stream 0"):
            sampler.rewind(0, n)


def test_the_next_note_avoids_pitches_where_it_can():
    for seed in range(8):
        sampler = _sampler("one", n=2, seed=seed)
        _steps(sampler, 5)
        sampler.rewind(0, 5, avoid=range(0, 127))
        _steps(sampler, 2)
        assert sampler.rows[0][5][2] == 127
        sampler.rewind(0, 5, avoid=range(128))
        _steps(sampler, 1)
        assert len(sampler.rows[0]) == 6


# -- a guard over a sampler


@functools.cache
def _shipped():
    return NumpyModel(checkpoint.read(SHIPPED))


def _composed(n=6, network=None, controls=None, length=None, seed=0, **settings):
    """Pieces, 24 bars long without `length`, the notes given out of each, and the actions."""
    given_out, actions = [[] for _ in range(n)], []
    pieces = compose(
        network or _shipped(),
        n,
        seed,
        controls=controls,
        length=length or Length(bars=24),
        on_note=lambda n: given_out[n.stream].append((n.onset, n.duration, n.part, n.program, n.pitch)),
        on_guard=actions.append,
        **settings,
    )
    return pieces, given_out, actions


def _as_given(piece):
    return [note[:5] for note in piece.notes.tolist()]


COLD = Controls(temperature=0.2)


def test_a_stream_that_loops_is_taken_back_before_anybody_is_given_it():
    bare, _, none = _composed(controls=COLD)
    assert none == []
    thresholds = Thresholds.from_vocabulary(_shipped().vocabulary)
    assert len(bare) == 6
    assert sum(find_degeneration(piece, thresholds) is not None for piece in bare) >= 1
    pieces, given_out, actions = _composed(controls=COLD, guard=True)
    assert {action.outcome for action in actions} == {"resampled"}
    assert action_lines(actions)[0].startswith("guard: took back ")
    assert [find_degeneration(piece, thresholds) for piece in pieces] == [None] * 6
    assert [_as_given(piece) for piece in pieces] == given_out  # in order, each once, and none that was taken back


def test_the_most_probable_notes_go_on_anew_too():
    greedy = Controls(temperature=0)
    settings = {"n": 1, "controls": greedy, "length": Length(bars=64), "style": "reels"}
    (bare,), _, _ = _composed(**settings)
    (piece,), (given_out,), actions = _composed(**settings, guard=True)
    assert find_degeneration(bare, Thresholds.from_vocabulary(_shipped().vocabulary)) is not None
    assert actions
    assert _as_given(piece) == given_out
    assert find_degeneration(piece, Thresholds.from_vocabulary(_shipped().vocabulary)) is None


def test_what_is_taken_back_again_and_again_gets_warmer_until_it_is_past():
    network, temperature_boosts = toys.network("one"), []

    class Falling(Sampler):
        """Repeats one pitch, whatever is drawn, until it is warm."""

        def step(self, may_end=True):
            temperature_boosts.append(float(self._temperature_boost[0]))
            notes = super().step(may_end)
            if self._temperature_boost[0] < 0.5 and notes[0] is not None:
                notes[0] = dataclasses.replace(notes[0], pitch=60)
            return notes

    sampler = Falling(network, [np.random.default_rng(0)], Controls(temperature=0.5))
    guard = Guard(sampler, [16])
    for _ in range(400):
        guard.add(0, sampler.step(may_end=False)[0])
    rises = [after for before, after in itertools.pairwise(temperature_boosts) if after > before]
    assert rises[:3] == [0.2, 0.4, 0.6]
    assert temperature_boosts[-1] < 1 and 0.0 in temperature_boosts[temperature_boosts.index(0.6) :]


def test_warmth_raises_low_temperatures_of_its_stream_alone():
    cold, warm = _sampler("one", n=2), _sampler("one", n=2)
    for sampler in (cold, warm):
        sampler.set_controls(Controls(temperature=0.1))
    warm.raise_temperature(0, 1.0)
    _steps(cold, 30)
    _steps(warm, 30)
    assert warm.rows[1] == cold.rows[1]
    assert warm.rows[0] != cold.rows[0]


@pytest.mark.slow
def test_what_does_not_degenerate_stays_as_it_was():
    bare, given_bare, _ = _composed(controls=Controls(temperature=0.4), seed=2)
    guarded, given_out, actions = _composed(controls=Controls(temperature=0.4), seed=2, guard=True)
    acted = {action.stream for action in actions}
    assert 0 < len(acted) < 6
    for stream in set(range(6)) - acted:
        assert guarded[stream] == bare[stream]
        assert given_out[stream] == given_bare[stream]


def test_the_same_seed_is_taken_back_alike():
    first, _, actions = _composed(3, controls=COLD, guard=True)
    second, _, again = _composed(3, controls=COLD, guard=True)
    assert first == second
    assert actions == again


def test_lengths_are_kept():
    for length in (Length(bars=7), Length(notes=77)):
        pieces, given_out, _ = _composed(3, controls=COLD, length=length, guard=True)
        assert [_as_given(piece) for piece in pieces] == given_out
        for piece in pieces:
            assert len(piece) == 77 if length.notes else piece.length == 7 * steps_per_bar(piece.grid, piece.metre)


class _Scripted:
    """A sampler's place taken by a list of notes, which come again from wherever it is taken back to."""

    def __init__(self, notes, steps_per_beat=4):
        self.vocabulary = dataclasses.replace(toys.VOCABULARIES["one"], n_sounding=4)
        self.script, self.rows, self.n_primer = notes, [[]], 0
        self.done, self.ends, self.rewound = [False], [None], []

    def rewind(self, stream, n, avoid=()):
        del self.rows[stream][n:]
        self.done[stream], self.ends[stream] = False, None
        self.rewound.append((n, tuple(avoid)))

    def raise_temperature(self, stream, share):
        pass

    def end(self, stream, step=None):
        self.done[stream], self.ends[stream] = True, step

    def next(self):
        at = len(self.rows[0])
        self.rows[0].append(None)
        return Note(0, *self.script[at], 80)


def test_notes_are_given_out_behind_the_lookahead():
    sampler = _Scripted(_line(NEVER_ALIKE))
    guard = Guard(sampler, [16])
    given = []
    for n in range(1, 61):
        given += guard.add(0, sampler.next())
        assert len(given) == max(0, n - LOOKAHEAD)
    sampler.done[0] = True
    given += guard.add(0, None, 122)
    assert [note.pitch for note in given] == NEVER_ALIKE[:60]


def test_what_may_become_a_loop_is_held_back_and_taken_back_farther_each_time():
    loop = NEVER_ALIKE[40:48]
    sampler = _Scripted(_line(NEVER_ALIKE[:40] + loop * 40))
    guard = Guard(sampler, [16])
    given = []
    while not guard.actions or guard.actions[-1].outcome != "let be":
        given += guard.add(0, sampler.next())
    # It would come again from wherever it is taken back to; what was given out is never taken back.
    assert sampler.rewound[0] == (48, (loop[0],))
    assert sampler.rewound[1] == (40, (loop[0],))
    assert [n for n, _ in sampler.rewound] == sorted([n for n, _ in sampler.rewound], reverse=True)
    assert len(sampler.rewound) == 6
    assert min(n for n, _ in sampler.rewound) >= len(given) - 8
    assert str(guard.actions[0]) == "took back 32 notes of piece 1 at bar 7 (a loop of 8 notes)"
    assert str(guard.actions[-1]) == "let piece 1 be at bar 7 (a loop of 8 notes, again and again)"
    assert guard.actions[0].as_dict() == {
        "stream": 0,
        "taken": 32,
        "onset": 96,
        "where": "bar 7",
        "why": "a loop of 8 notes",
        "outcome": "resampled",
    }
    n = len(guard.actions)
    for _ in range(50):  # it is let be while it goes on
        guard.add(0, sampler.next())
    assert len(guard.actions) == n


def test_a_piece_that_may_be_shortened_ends_before_the_loop():
    sampler = _Scripted(_line(NEVER_ALIKE[:40] + NEVER_ALIKE[40:48] * 40))
    guard = Guard(sampler, [16], may_shorten=True)
    given = []
    while not sampler.done[0]:
        given += guard.add(0, sampler.next())
    assert guard.actions[-1].outcome == "ended"
    assert str(guard.actions[-1]).startswith("ended piece 1 at bar ")
    assert sampler.ends[0] == given[-1].onset + given[-1].duration
    assert [note.pitch for note in given] == sampler_pitches(sampler, len(given))
    assert len(given) <= 48


def sampler_pitches(sampler, n):
    return [note[3] for note in sampler.script[:n]]


def test_silence_at_the_end_is_taken_back():
    sampler = _Scripted(_line(NEVER_ALIKE))
    guard = Guard(sampler, [16])
    for _ in range(4):
        assert guard.add(0, sampler.next()) == []
    sampler.done[0], sampler.ends[0] = True, 9
    assert guard.add(0, None, 8 + 65) == []
    assert sampler.rewound == [(4, ())]
    assert not sampler.done[0]
    sampler.done[0], sampler.ends[0] = True, 12
    assert len(guard.add(0, None, 12)) == 4


def test_action_lines():
    copies = [Action(1, 2, 0, "bar 1", "a match of 13 notes"), Action(1, 1, 0, "bar 2", "a match of 13 notes")]
    loops = [Action(0, 8, 40, "bar 3", "a loop of 2 notes") for _ in range(3)]
    assert action_lines([*copies, *loops]) == [
        "guard: took back 24 notes of piece 1, 3 times (a loop of 2 notes)",
        "max-copy: took back 3 notes of piece 2, 2 times",
    ]
    ended = Action(0, 8, 40, "bar 3", "a silence", "ended")
    assert action_lines([*loops, ended]) == ["guard: ended piece 1 at bar 3 (a silence, again and again)"]
    assert action_lines(loops[:1]) == ["guard: took back 8 notes of piece 1 at bar 3 (a loop of 2 notes)"]
    assert action_lines([*copies, *loops], most=1)[1:] == ["guard: and 1 line more"]
    assert action_lines(copies) == ["max-copy: took back 3 notes of piece 2, 2 times"]
    failed = Action(2, 0, 9, "0:14", "a match of 13 notes", "let be")
    assert action_lines([failed]) == ["max-copy: let piece 3 be at 0:14 (a match of 13 notes, again and again)"]
    assert action_lines([]) == []


# -- no copy


def _index_of(pieces):
    return Index.build((str(at), piece) for at, piece in enumerate(pieces))


@pytest.mark.slow
@pytest.mark.parametrize("most", [7, 12])
def test_no_match_is_longer_than_max_copy(most):
    index, controls = originality.read(SHIPPED), Controls(temperature=0.5)
    assert max(index.examine(piece).longest_notes for piece in _composed(controls=controls)[0]) > 12
    for guard in (False, True):
        pieces, given_out, actions = _composed(controls=controls, guard=guard, max_copy=most, index=index)
        assert max(index.examine(piece).longest_notes for piece in pieces) <= most
        assert any(action.of_copy for action in actions)
        assert [_as_given(piece) for piece in pieces] == given_out


def test_no_match_is_longer_than_max_copy_of_a_corpus_known_by_heart():
    """The corpus is what the model would write: unhindered, it copies all of it."""
    learned, _, _ = _composed(controls=COLD)
    index = Index.build([(str(at), piece) for at, piece in enumerate(learned)])
    assert [index.examine(piece).longest_notes for piece in learned] == [len(piece) for piece in learned]
    pieces, _, actions = _composed(controls=COLD, guard=True, max_copy=12, index=index)
    assert max(index.examine(piece).longest_notes for piece in pieces) <= 12
    assert {action.outcome for action in actions if action.of_copy} == {"resampled"}


def test_max_copy_goes_on_from_a_primer():
    index = originality.read(SHIPPED)
    paths = sorted((Path(__file__).parents[2] / "data" / "starter" / "reels").glob("*.mid"))
    primer = quantize(midi.read(paths[3]).sequence, _shipped().vocabulary.grid)[0].crop(0, 64)
    given = Primer.fit(primer, _shipped().vocabulary)
    pieces, given_out, _ = _composed(2, primer=given, controls=COLD, length=Length(bars=8), max_copy=9, index=index)
    for piece, composed in zip(pieces, given_out, strict=True):
        watch = originality.Matcher(index)
        matched = [watch.extend(*note[:2], *note[3:]) for note in _as_given(piece)]
        assert _as_given(piece)[len(primer) :] == composed
        assert max(matched[len(primer) :]) <= 9


def test_max_copy_is_refused():
    index = Index.build([("a", toys.piece(toys.VOCABULARIES["one"]))])
    with pytest.raises(SettingError, match="max-copy 6: expected 7 notes or more"):
        _composed(1, max_copy=6, index=index)
    with pytest.raises(SettingError, match="max-copy: this model has no index of the music that it was trained on"):
        _composed(1, max_copy=12)


# -- on the command line


def test_generate_says_what_it_took_back(melodygru, tmp_path):
    options = ("--model", SHIPPED, "--temperature", 0.2, "--bars", 24, "-n", 6, "--seed", 0, "--json")
    process = melodygru("generate", *options, cwd=tmp_path)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    said = [line for line in stderr.splitlines() if line.startswith("guard: ")]
    listed = [action for output in json.loads(stdout)["outputs"] for action in output["guard"]]
    assert said
    assert len(said) == len({action["stream"] for action in listed})
    assert {action["outcome"] for action in listed} == {"resampled"}
    process = melodygru("generate", *options, "--no-guard", cwd=tmp_path)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "guard: " not in stderr
    assert [output["guard"] for output in json.loads(stdout)["outputs"]] == [[]] * 6


def test_max_copy_needs_the_index(melodygru, tmp_path):
    with zipfile.ZipFile(SHIPPED) as shipped, zipfile.ZipFile(tmp_path / "bare.keras", "w") as bare:
        for name in shipped.namelist():
            if "originality" not in name:
                bare.writestr(name, shipped.read(name))
    process = melodygru("generate", "--model", "bare.keras", "--max-copy", 12, cwd=tmp_path)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert stderr.splitlines()[-1] == (
        "melodygru: max-copy: this model has no index of the music that it was trained on; train it again to have one"
    )


def test_endless_music_is_guarded():
    actions = []
    cold = GenerateSettings(temperature=COLD.temperature, top_p=COLD.top_p, seed=3)
    music = Composer.load(SHIPPED).stream(cold, on_guard=actions.append)
    while not actions:
        last = next(music)
    assert re.match(r"(took back [\d,]+ notes? of|ended) piece \d+ at bar \d+ \(", str(actions[0]))
    assert last.onset_s < 3600
