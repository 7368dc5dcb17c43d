"""Redo: what is kept is kept, byte for byte; particles beside every piece that is possible; masks, what is refused."""

import dataclasses
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import toys
from toys import BEAT, VOCABULARIES, sequence_of

from melodygru import midi
from melodygru.compose.candidates import candidates
from melodygru.compose.composer import Composer
from melodygru.compose.controls import Controls
from melodygru.compose.drawing import rows_of
from melodygru.compose.masks import Mask
from melodygru.compose.original import Original
from melodygru.compose.particles import Particles
from melodygru.compose.primer import Source
from melodygru.compose.redo_settings import RedoSettings
from melodygru.compose.redoing import Window, _planned
from melodygru.compose.replay import replay
from melodygru.compose.towards import Item, Towards, extend
from melodygru.errors import MidiError, SettingError
from melodygru.events import END, FIRST_PART, NEW, Context, Vocabulary, layout_of, parts_of
from melodygru.midi.editing import Editor
from melodygru.model import checkpoint
from melodygru.music.grid import Grid
from melodygru.music.notes import DRUMS

NEW_40 = NEW + 40  # the class of a part that comes in with program 40
ROOT = Path(__file__).parents[2]

# -- every piece that is possible, beside what particles make


class Chain:
    """A network of few choices, whose probabilities depend on whether the last pitch was odd; all else has none.

    Something is always left to choose: after an odd pitch no chord goes on, and odd pitches last one step.
    """

    shift = ({0: 0.5, 1: 0.3, 2: 0.2}, {1: 0.8, 2: 0.2})
    part = ({END: 0.2, NEW: 0.4, NEW_40: 0.4}, {END: 0.3, NEW: 0.5, NEW_40: 0.2})  # or a part of that program
    pitch = ({51: 0.5, 60: 0.2, 61: 0.3}, {51: 0.1, 60: 0.6, 61: 0.3})
    duration = ({1: 0.6, 2: 0.4}, {1: 1.0})  # after the note's own pitch

    def __init__(self, programs=(0, 40), parts=None):
        self.vocabulary = Vocabulary(BEAT, programs, (3 if len(programs) > 1 else 0) if parts is None else parts, (80,))

    def wishes(self, field, pitch, programs=()):
        """What a field wants after a pitch, in a piece whose parts have these programs."""
        wishes = getattr(self, field)[0 if pitch is None else pitch % 2]
        if field != "part":
            return wishes
        if not self.vocabulary.models_part:
            return {END: wishes[END], NEW: wishes[NEW]}
        return wishes | {FIRST_PART + part: wishes.get(NEW + program, 0.1) for part, program in enumerate(programs)}

    def initial_state(self, streams):
        return [np.full((streams, 1), -1.0, np.float32)]

    def step(self, previous, before, context, state, arrived=None):
        return ChainStep(self, previous)


class ChainStep:
    gain = None

    def __init__(self, chain, previous):
        self.chain = chain
        first = layout_of(chain.vocabulary).blocks["note"]
        self.last = [(int(note) - first) % 128 if note else None for note in previous[:, 1]]
        self.state = [np.zeros((len(previous), 1), np.float32)]

    def pick(self, rows):
        self.last = [self.last[row] for row in rows]

    def arrive(self, context, pitch_class_levels, part_descriptions, line_up):
        assert len(context) == len(self.last)
        columns = len(layout_of(self.chain.vocabulary).description_sizes)
        described = part_descriptions[:, ::columns].tolist() if columns else [[]] * len(context)
        self.programs = [[program - 1 for program in row if program] for row in described]

    def logits(self, field, chosen=None, pointers=None):
        logits = np.full((len(self.last), self.chain.vocabulary.size(field)), -100.0, np.float32)
        after = chosen["pitch"].tolist() if field == "duration" else self.last
        for row, (of_row, last) in enumerate(zip(logits, after, strict=True)):
            programs = self.programs[row] if field == "part" else ()
            for value, p in self.chain.wishes(field, last, programs).items():
                of_row[value] = math.log(p)
        return logits


def every_piece(chain, length, agrees, notes=()):
    """(notes, probability) of every piece of `length` steps; `agrees(notes)` drops a beginning."""
    v = chain.vocabulary
    last = notes[-1] if notes else None
    of_part = {part: program for _, _, part, program, _, _ in notes}
    programs = [of_part[part] for part in range(len(of_part))]
    after = last[4] if last else None
    for shift, p_shift in chain.wishes("shift", after).items():
        onset = shift + (last[0] if last else 0)
        in_chord = bool(notes) and shift == 0
        sounding = [n for n in notes if n[0] + n[1] > onset]
        came_in = [min(n[0] for n in notes if n[2] == part) for part in of_part]
        least = programs[-1] if in_chord and came_in[-1] == onset else 0
        classes = {}
        for c, p in chain.wishes("part", after, programs).items():
            if c == END:
                possible = not sounding
            elif not v.models_part or c >= FIRST_PART:
                possible = not v.models_part or not in_chord or c - FIRST_PART >= last[2]
            else:
                possible = c - NEW >= least and len(programs) < v.parts
            if possible:
                classes[c] = p
        for part_class, p_part in classes.items():
            p = p_shift * p_part / sum(classes.values())
            if part_class == END:
                if onset == length:
                    yield notes, p
                continue
            part = 0 if not v.models_part else part_class - FIRST_PART if part_class >= FIRST_PART else len(programs)
            program = programs[part] if part < len(programs) else v.program_of_new(part_class)
            pitch_mask = {n[4] for n in sounding if n[2] == part}
            if in_chord and part == last[2]:
                pitch_mask |= set(range(last[4] + 1))
            pitches = {c: p for c, p in chain.wishes("pitch", after).items() if c not in pitch_mask}
            for pitch, p_pitch in pitches.items():
                for duration, p_duration in chain.wishes("duration", pitch).items():
                    longer = (*notes, (onset, duration, part, program, pitch, 80))
                    if onset + duration <= length and agrees(longer):
                        p_note = p * p_pitch / sum(pitches.values()) * p_duration
                        for found, p_rest in every_piece(chain, length, agrees, longer):
                            yield found, p_note * p_rest


GIVEN = [(0, 1, 0, 60, 80), (2, 1, 0, 61, 80)]


def without_parts(notes):
    """Notes as `GIVEN` has them, which leaves out to which part they belong."""
    return [(onset, duration, program, pitch, velocity) for onset, duration, _, program, pitch, velocity in notes]


def exact(chain, length):
    """The probability of each piece that holds GIVEN as the line of program 0, and one of program 40 at most."""
    found = Counter()

    def may_become(notes):
        line = [note for note in without_parts(notes) if note[2] == 0]
        parts = {part for _, _, part, program, _, _ in notes if program == 40}
        return line == GIVEN[: len(line)] and len(parts) <= 1 and len({note[2] for note in notes}) - len(parts) <= 1

    for notes, p in every_piece(chain, length, may_become):
        if [note for note in without_parts(notes) if note[2] == 0] == GIVEN:
            found[notes] += p
    return found


def filtered(chain, length, n, rngs, temperature=1.0):
    """Particles after the whole piece, resampled at every note that is kept."""
    items = [Item(onset, 0, pitch, duration) for onset, duration, _, pitch, _ in GIVEN] + [Item(length, -1)]
    guide = Towards(chain.vocabulary, items, (0, 40), ([], [(0, length)]), (False, False), length)
    context = Context(chain.vocabulary, None, (4, 4), None, (0, 40))
    particles = Particles(chain, context, rngs, Controls(temperature), n)
    for _ in extend(particles, guide, len(items)):
        particles.resample(below=n / 2)
    return particles


def pieces_of(particles):
    """The notes of each particle."""
    for rows in particles.rows:
        onsets = np.cumsum([row[0] for row in rows]).tolist()
        parts, programs = parts_of(np.array([row[1] for row in rows]), particles.vocabulary)
        of_rows = zip(onsets, rows, parts.tolist(), programs.tolist(), strict=True)
        yield tuple((o, r[3], part, program, r[2], 80) for o, r, part, program in of_rows)


def rngs_of(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def test_particles_follow_the_distribution_of_all_pieces_that_hold_what_is_kept():
    chain, n = Chain(), 2048
    right = exact(chain, 3)
    total = sum(right.values())
    assert len(right) > 10
    particles = filtered(chain, 3, n, rngs_of(0))
    assert particles.evidence[0] == pytest.approx(math.log(total), abs=0.05)
    weights = np.exp(particles.log_weights - particles.log_weights.max())
    share = Counter()
    for notes, weight, log_p in zip(pieces_of(particles), weights / weights.sum(), particles.log_p, strict=True):
        share[notes] += weight
        assert log_p == pytest.approx(math.log(right[notes]), abs=1e-5)
    for notes, p in right.most_common(8):
        assert share[notes] == pytest.approx(p / total, abs=4 * math.sqrt(p / total / (n / 4)))


def test_the_estimate_is_unbiased_with_few_particles():
    chain = Chain()
    total = sum(exact(chain, 3).values())
    estimates = np.exp(filtered(chain, 3, 4, rngs_of(*range(300))).evidence)
    assert np.mean(estimates) == pytest.approx(total, rel=4 * np.std(estimates) / np.mean(estimates) / math.sqrt(300))
    assert np.std(estimates) > 0.1 * total  # or the test could not fail


def test_a_piece_of_several_is_what_it_is_alone():
    together, alone = filtered(Chain(), 3, 8, rngs_of(1, 2, 3)), filtered(Chain(), 3, 8, rngs_of(2))
    assert list(pieces_of(together))[8:16] == list(pieces_of(alone))
    assert together.log_weights[8:16].tolist() == alone.log_weights.tolist()


@pytest.mark.parametrize("temperature", [0, 5e-324, 1e-30, 1e-3, 10])
def test_any_temperature_gives_numbers(temperature):
    with np.errstate(all="raise", under="ignore"):
        particles = filtered(Chain(), 3, 20, rngs_of(1), temperature=temperature)
    assert np.isfinite(particles.log_weights).all()
    assert 1 <= particles.effective()[0] <= 20 + 1e-9
    assert np.isfinite(particles.evidence).all()


def test_particles_go_on_as_often_as_they_weigh():
    particles = Particles(Chain(), Context(Chain().vocabulary), rngs_of(0), n=4)
    particles.rows = [[(i, 1, 60, 1, -1)] for i in range(4)]
    particles.log_weights = np.log([0.5, 0.25, 0.25, 1e-300])
    assert particles.effective()[0] == pytest.approx(1 / (0.25 + 2 * 0.0625))
    particles.resample()
    assert [rows[0][0] for rows in particles.rows] == [0, 0, 1, 2]
    assert particles.rows[0] is not particles.rows[1]
    assert len({id(context) for context in particles.contexts}) == 1  # they went on alike so far
    assert particles.log_weights.tolist() == [0, 0, 0, 0]
    assert particles.log_z[0] == pytest.approx(math.log(1 / 4))


def test_only_particles_that_went_on_alike_share_a_context():
    particles = filtered(Chain(), 3, 32, rngs_of(4, 5))
    rows = {}
    for context, of_particle in zip(particles.contexts, particles.rows, strict=True):
        assert rows.setdefault(id(context), of_particle) == of_particle
        assert len(context.past.notes) == len(of_particle)
    assert 1 < len(rows) < 64


def test_a_copied_context_goes_on_alone():
    v = VOCABULARIES["many"]
    piece = toys.piece(v, 3)
    context = Context(v, line_up=piece.part_programs.tolist())
    rows = rows_of(piece, v)

    def go_on(context, rows):
        seen = []
        for shift, part_class, pitch, duration, velocity in rows:
            seen += [context.before(), context.shift_pointers()]
            context.move(shift)
            part = context.part_of(part_class)
            seen += [
                context.row(),
                context.part_descriptions(),
                context.line_up(),
                context.pitch_class_levels(),
                list(context.part_history(part_class)),
                context.pitch_mask(part).tolist(),
                context.pitch_pointers(part),
                context.note_pointers(part, pitch),
            ]
            context.add(part_class, pitch, duration, velocity)
            context.past.given[len(seen)] = part
        return [*seen, dict(context.past.given)]

    go_on(context, rows[:8])
    other = context.copy()
    expected = go_on(context.copy(), rows[8:])
    go_on(other, [(shift, part, (pitch + 5) % 128, d + 1, s) for shift, part, pitch, d, s in rows[8:]])
    assert go_on(context, rows[8:]) == expected


# -- what is kept


def sources(sequence, name="song.mid"):
    """A sequence as the file that it is written to."""
    data = midi.to_bytes(sequence)
    reading = midi.read(data)
    return Source(name, reading.sequence, sha256="0" * 64, has_metre=True, data=data)


def rows_in(sequence, names=("onset", "duration", "program", "pitch", "velocity")):
    return Counter(map(tuple, sequence.notes[list(names)].tolist()))


def other_messages(data):
    """All of a file that is no note, but for where tracks end: bytes and ticks."""
    editor = Editor(data)
    return [
        [(event.tick, raw) for event, raw in editor._raw(track) if event.status >> 4 not in (8, 9)][:-1]
        for track in range(len(editor._tracks))
    ]


MASKS = {
    "bars": {"bars": "2"},
    "bars apart": {"bars": "1,3"},
    "parts": {"parts": "1"},
    "lock": {"lock": "1", "bars": "2:"},
    "both": {"bars": ":2", "parts": "2"},
    "pitch": {"fields": "pitch", "parts": "1"},
    "fields": {"fields": "pitch,duration,velocity"},
    "keep": {"keep": 0.5},
    "add": {"add": "40", "bars": "2"},
    "loop": {"loop": True},
}


def beside_the_grid(seed):
    """Three bars at 480 ticks a beat, of three programs that some models lack, in six parts: nothing on a grid."""
    rng = np.random.default_rng([seed, 7])
    n = 36
    onset, length = rng.integers(0, 1920 * 3 - 1, n), rng.choice([1, 90, 475, 2500], n)
    program, pitch = rng.choice([0, 40, DRUMS], n), rng.integers(58, 66, n)
    rows = zip(onset, length, program, pitch, rng.integers(1, 128, n), strict=True)
    return sequence_of(list(rows), 1920 * 3, Grid.beats(480), parts=3 * program + rng.integers(0, 2, n))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("mask", list(MASKS))
def test_whatever_the_mask_what_is_kept_is_kept_byte_for_byte(mask, seed):
    source = sources(beside_the_grid(seed))
    chain = Chain(programs=(0, 40), parts=7)
    wanted = RedoSettings(**MASKS[mask], num_outputs=2, particles=2)
    made = candidates(chain, source, wanted, seed, Controls())
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1 << 31,)))
    free = Mask.of(wanted, Original.of(source, chain.vocabulary), chain.vocabulary, rng=rng).free
    assert mask in ("add", "loop") or free.any()  # in the last bar no note begins
    names = ["onset", "duration", "program", "pitch", "velocity"]
    kept = Counter(map(tuple, source.sequence.notes[~free][names].tolist()))
    for candidate in made:
        assert not kept - rows_in(candidate)
        assert other_messages(candidate.data)[: len(other_messages(source.data))] == other_messages(source.data)
        assert candidate.tempos.tolist() == source.sequence.tempos.tolist()
        if mask in ("pitch", "fields", "keep"):
            assert len(candidate) <= len(source.sequence)


SONG = sequence_of(
    [(4 * at, 4, 0, 60 + at % 5, 70 + at) for at in range(16)] + [(8 * at, 8, 40, 48, 90) for at in range(8)], 64
)


def made_by_chain(**wanted):
    chain = Chain(programs=(0, 40), parts=4)
    return candidates(chain, sources(SONG), RedoSettings(particles=4, **wanted), 1, Controls())


def test_nothing_is_composed_outside_the_mask():
    for candidate in made_by_chain(bars="2", parts="1", num_outputs=3):
        new = rows_in(candidate) - rows_in(midi.read(midi.to_bytes(SONG)).sequence)
        assert new and all(480 * 4 <= onset < 480 * 8 and program == 0 for onset, _, program, _, _ in new)


@pytest.mark.parametrize("kind", [{"parts": "1"}, {"lock": "2"}, {}])
def test_lines_are_composed_from_end_to_end(kind):
    rows = [(8 * at, 8, program, pitch + at % 2, 80) for at in range(20) for program, pitch in ((0, 60), (40, 64))]
    source = sources(sequence_of(rows, 160))
    wanted = RedoSettings(particles=2, **kind)
    (made,) = candidates(Chain(programs=(0, 40), parts=4), source, wanted, 1, Controls())
    assert made.composed
    assert not kind or not Counter(r for r in rows_in(source.sequence).elements() if r[2] == 40) - rows_in(made)


def test_notes_keep_their_places_where_only_fields_are_composed():
    for candidate in made_by_chain(fields="pitch", bars="3:"):
        place = ["onset", "duration", "part", "program", "velocity"]
        assert candidate.notes[place].tolist() == midi.read(midi.to_bytes(SONG)).sequence.notes[place].tolist()
    for candidate in made_by_chain(fields="duration", parts="2"):
        place = ["onset", "part", "pitch", "velocity"]
        assert candidate.notes[place].tolist() == midi.read(midi.to_bytes(SONG)).sequence.notes[place].tolist()


def test_candidates_are_different_ranked_and_repeatable():
    made = made_by_chain(parts="1", num_outputs=4)
    assert len({one.data for one in made}) == 4
    assert [one.rank for one in made] == [1, 2, 3, 4]
    assert [one.nats for one in made] == sorted(one.nats for one in made)
    assert [one.data for one in made_by_chain(parts="1", num_outputs=4)] == [one.data for one in made]
    assert made[0].reason.endswith("as it was")


def test_added_parts_are_those_that_are_asked_for():
    for candidate in made_by_chain(add="40", num_outputs=3):
        assert Counter(candidate.part_programs.tolist()) <= Counter((0, 40, 40))
        assert not rows_in(midi.read(midi.to_bytes(SONG)).sequence) - rows_in(candidate)


def test_steering_holds_inside_the_mask_alone():
    for candidate in made_by_chain(parts="1", range="60:60", num_outputs=2):
        own = candidate.notes[candidate.notes["program"] == 0]
        assert set(own["pitch"].tolist()) <= {60}
        assert set(candidate.notes["pitch"][candidate.notes["program"] == 40].tolist()) == {48}
    for candidate in made_by_chain(parts="1", bars="2", max_polyphony=1):
        old = rows_in(midi.read(midi.to_bytes(SONG)).sequence)
        assert not rows_in(candidate) - old  # the bass sounds throughout


def test_a_loop_is_composed_from_the_last_bar_on_in_which_a_note_begins():
    vocabulary = VOCABULARIES["many"]
    piece = sequence_of([(0, 480, 0, 60, 80), (1920, 3840, 0, 62, 80)], 3 * 1920, Grid.beats(480))
    original = Original.of(sources(piece), vocabulary)
    assert Mask.of(RedoSettings(loop=True), original, vocabulary).spans == ((16, 48),)


def test_an_end_of_another_length(tmp_path):
    midi.write(dataclasses.replace(SONG, length=96), tmp_path / "long.mid")
    midi.write(sequence_of([(0, 96, 0, 60, 80)], 96), tmp_path / "form.mid")
    (candidate,) = made_by_chain(bars="3:", form_of=tmp_path / "form.mid")
    assert candidate.length == 6 * 4 * 480


def test_an_end_of_the_form_of_another_piece():
    vocabulary, bars = VOCABULARIES["many"], [[60, 64, 67, 72], [62, 65, 69, 74]] * 2
    rows = [(480 * at, 480, 0, pitch, 80) for at, pitch in enumerate(sum(bars, []))]
    other = Original.of(sources(sequence_of(rows, 4 * 1920, Grid.beats(480))), vocabulary)
    piece = Original.of(sources(sequence_of(rows[:8], 2 * 1920, Grid.beats(480))), vocabulary)
    mask = Mask.of(RedoSettings(bars="3:", form_of=Path("form.mid")), piece, vocabulary, other=other)
    assert mask.spans == ((32, 64),) and mask.returns.tolist() == [-1, -1, 0, 1]
    planned = _planned(piece, mask, Window(16, 16, 48, 48))  # of which the model is given all but the first bar
    assert planned.n_bars == 3 and planned.returns.tolist() == [-1, -1, 0]


# -- what is refused


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"parts": "1", "lock": "2"}, "parts and lock given: expected at most one of them"),
        ({"keep": 0.5, "surprising": 10}, "keep and surprising given: expected at most one of them"),
        ({"fields": "tempo"}, "fields 'tempo': expected pitch, duration, velocity, with commas between them"),
        ({"bars": "a"}, "bars 'a': expected A:B, bars counted from 1 such as 5:8, 5:, :8 or 2,5:8"),
        ({"bars": ""}, "bars '': expected A:B, bars counted from 1 such as 5:8, 5:, :8 or 2,5:8"),
        ({"keep": 2}, "keep 2: expected 0..1"),
        ({"particles": 5000}, "particles 5000: expected 1..4096"),
        ({"form_of": "a.mid", "bars": "1:2"}, "form-of: expected bars A: with it, which are open at the end"),
        ({"chords_only": True}, "chords-only: expected chords with it"),
        ({"add": "0", "keep": 0.5}, "add and keep given: expected at most one of them; added notes have no place yet"),
    ],
)
def test_what_settings_refuse(values, message):
    with pytest.raises(SettingError) as error:
        RedoSettings(**values)
    assert str(error.value) == message


THERE = "its parts are 1 Acoustic Grand Piano, 2 Violin"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bars": "5"}, "bars 5: song.mid has 4 bars, expected A:B in 1..4"),
        ({"bars": "3:2"}, "bars 3:2: song.mid has 4 bars, expected A:B in 1..4"),
        ({"parts": "tuba"}, f"parts 'tuba': song.mid has no such part; {THERE}"),
        ({"parts": "0"}, f"parts '0': song.mid has no such part; {THERE}"),
        ({"lock": "1,2"}, f"song.mid: no part is left to compose again; {THERE}"),
        ({"keep": 1}, f"song.mid: no note is left to compose again; {THERE}"),
        ({"add": "12"}, "programs 12: expected some that this model was trained on, of 0, 40"),
    ],
)
def test_what_a_piece_refuses(values, message):
    with pytest.raises(SettingError) as error:
        made_by_chain(**values)
    assert str(error.value) == message


def test_parts_are_named_in_many_ways():
    original = Original.of(sources(SONG), Chain().vocabulary)
    for name, parts in (("1", [0]), ("violin", [1]), ("keys", [0]), ("strings", [1]), ("piano", [0]), ("2,1", [0, 1])):
        mask = Mask.of(RedoSettings(parts=name), original, Chain().vocabulary)
        assert sorted(mask.lines) == parts


def test_a_file_without_beats_has_no_bars():
    data = midi.to_bytes(SONG)
    data = data[:12] + b"\xe7\x28" + data[14:]  # 25 frames a second of 40 ticks
    source = Source("song.mid", midi.read(data).sequence, sha256="0" * 64, data=data)
    vocabulary = VOCABULARIES["ensemble"]
    original = Original.of(source, vocabulary)
    message = "^bars 1: song.mid has no bars, its times are in seconds; leave bars out$"
    with pytest.raises(SettingError, match=message):
        Mask.of(RedoSettings(bars="1"), original, vocabulary)
    mask = Mask.of(RedoSettings(parts="1"), original, vocabulary)
    assert mask.spans == ((0, original.length),) and mask.free.sum() == 16


def test_a_file_of_patterns_is_refused():
    data = midi.to_bytes(SONG)
    source = Source("song.mid", SONG, data=data[:9] + b"\2" + data[10:])
    with pytest.raises(MidiError, match="^song.mid: a file of type 2, whose tracks follow one another"):
        Original.of(source, Chain().vocabulary)


# -- the command, with the model that comes along


CHORALE = min((ROOT / "data" / "starter" / "chorales").glob("*.mid"))


def test_the_command_redoes_and_replays_it(tmp_path):
    command = [sys.executable, "-m", "melodygru"]
    run = subprocess.run(
        [*command, "redo", str(CHORALE), "--bars", "2", "--parts", "2", "--particles", "2", "--seed", "1", "--json"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    (made,) = (tmp_path / "redone").glob("*.mid")
    assert '"nats_a_note_before"' in run.stdout
    assert replay(made, piece=CHORALE, model=checkpoint.shipped_path()).identical
    run = subprocess.run(
        [*command, "redo", str(CHORALE), "--parts", "tuba"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("melodygru: parts 'tuba': ")


def test_surprising_notes_are_those_that_cost_most():
    composer = Composer.load(checkpoint.shipped_path())
    (candidate,) = composer.redo(CHORALE, RedoSettings(bars="1:3", surprising=20, particles=2, seed=1))
    old = midi.read(CHORALE).sequence
    changed = candidate.notes["pitch"] != old.notes["pitch"]
    assert 0 < changed.sum() <= 0.2 * len(old) + 4
