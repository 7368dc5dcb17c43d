"""Accompaniment: particles against every piece that is possible, and the given notes in every piece."""

import dataclasses
import math
from collections import Counter

import numpy as np
import pytest
import toys
from toys import BEAT, VOCABULARIES, sequence_of

from melodygru.analysis.explain import Tracer
from melodygru.compose import Controls, Particles, accompany
from melodygru.compose.accompanying import Around, add_voices, stand_ins
from melodygru.errors import SettingError
from melodygru.events import END, Context, CorpusStatistics, Vocabulary, decode, layout_of
from melodygru.model import checkpoint
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.notes import DRUMS, TEMPO, NoteSequence

PROGRAM_40 = 41  # its class

# -- every piece that is possible, beside what particles make


class Chain:
    """A network of few choices, whose probabilities depend on whether the last pitch was odd; all else has none.

    Something is always left to choose: after an odd pitch no chord goes on, and odd pitches last one step.
    """

    shift = ({0: 0.5, 1: 0.3, 2: 0.2}, {1: 0.8, 2: 0.2})
    program = ({END: 0.2, 1: 0.4, PROGRAM_40: 0.4}, {END: 0.3, 1: 0.5, PROGRAM_40: 0.2})
    pitch = ({51: 0.5, 60: 0.2, 61: 0.3}, {51: 0.1, 60: 0.6, 61: 0.3})
    duration = ({1: 0.6, 2: 0.4}, {1: 1.0})  # after the note's own pitch

    def __init__(self, programs=(0, 40)):
        self.vocabulary = Vocabulary(BEAT, programs, (80,))

    def wishes(self, field, pitch):
        """What a field wants after a pitch, or None."""
        wishes = getattr(self, field)[0 if pitch is None else pitch % 2]
        if field == "program" and not self.vocabulary.models_program:
            return {END: wishes[END], 1: wishes[1]}
        return wishes

    def initial_state(self, streams):
        return [np.full((streams, 1), -1.0, np.float32)]

    def step(self, previous, before, context, state, arrived=None):
        return ChainStep(self, previous)


class ChainStep:
    def __init__(self, chain, previous):
        self.chain = chain
        first = layout_of(chain.vocabulary).blocks["note"]
        self.last = [(int(note) - first) % 128 if note else None for note in previous[:, 1]]
        self.state = [np.zeros((len(previous), 1), np.float32)]

    def arrive(self, context, pitch_class_levels):
        assert len(context) == len(self.last)

    def logits(self, field, chosen=None):
        logits = np.full((len(self.last), self.chain.vocabulary.size(field)), -100.0, np.float32)
        after = chosen["pitch"] if field == "duration" else self.last
        for row, last in zip(logits, after, strict=True):
            for value, p in self.chain.wishes(field, last).items():
                row[value] = math.log(p)
        return logits


def every_piece(chain, length, agrees, notes=()):
    """(notes, probability) of every piece of `length` steps; `agrees(notes)` drops a beginning."""
    v = chain.vocabulary
    last = notes[-1][3] if notes else None
    at = notes[-1][0] if notes else 0
    for shift, p_shift in chain.wishes("shift", last).items():
        onset = at + shift
        in_chord = bool(notes) and shift == 0
        sounding = [n for n in notes if n[0] + n[1] > onset]
        floor = int(v.program_class(notes[-1][2])) if in_chord else 1
        programs = {
            c: p for c, p in chain.wishes("program", last).items() if (not sounding if c == END else c >= floor)
        }
        for program_class, p_program in programs.items():
            p = p_shift * p_program / sum(programs.values())
            if program_class == END:
                if onset == length:
                    yield notes, p
                continue
            program = v.program_of_class(program_class)
            pitch_mask = {n[3] for n in sounding if n[2] == program}
            if in_chord and program_class == floor:
                pitch_mask |= set(range(notes[-1][3] + 1))
            pitches = {c: p for c, p in chain.wishes("pitch", last).items() if c not in pitch_mask}
            for pitch, p_pitch in pitches.items():
                for duration, p_duration in chain.wishes("duration", pitch).items():
                    longer = (*notes, (onset, duration, program, pitch, 80))
                    if onset + duration <= length and agrees(longer):
                        p_note = p * p_pitch / sum(pitches.values()) * p_duration
                        for found, p_rest in every_piece(chain, length, agrees, longer):
                            yield found, p_note * p_rest


GIVEN = [(0, 1, 0, 60, 80), (2, 1, 0, 61, 80)]


def crosses(notes, given):
    """Whether an added note lies above the highest given one that sounds, at any step."""
    for onset, duration, _, pitch, _ in set(notes) - set(given):
        for step in range(onset, onset + duration):
            if any(n[0] <= step < n[0] + n[1] and n[3] < pitch for n in given):
                return True
    return False


def exact(chain, given, length, alone):
    """The probability of each piece that holds what is given."""
    found = Counter()

    def may_become(notes):
        line = [note for note in notes if note[2] == 0]
        return line == given[: len(line)] if alone else True

    for notes, p in every_piece(chain, length, may_become):
        line = [note for note in notes if note[2] == 0]
        if line == given if alone else set(given) <= set(notes) and not crosses(notes, given):
            found[notes] += p
    return found


def filtered(chain, given, length, n, seed, temperature=1.0):
    """Particles after the whole piece, resampled at every given note."""
    piece = sequence_of(given, length)
    particles = Particles(chain, n, np.random.default_rng(seed), Controls(temperature), piece=piece)
    for _ in add_voices(particles, Around(chain.vocabulary, piece)):
        if particles.effective() < n / 2:
            particles.resample()
    return particles


def pieces_of(particles):
    """The notes of each particle."""
    v = particles.vocabulary
    found = []
    for rows in particles.rows:
        onsets = np.cumsum([row[0] for row in rows])
        found.append(
            tuple((int(o), r[3], v.program_of_class(r[1]), r[2], 80) for o, r in zip(onsets, rows, strict=True))
        )
    return found


@pytest.mark.parametrize(("programs", "alone"), [((0, 40), True), ((0,), False)])
def test_particles_follow_the_distribution_of_all_pieces_that_hold_the_given_notes(programs, alone):
    chain = Chain(programs)
    right = exact(chain, GIVEN, 3, alone)
    total = sum(right.values())
    assert len(right) > 10
    n = 4096
    particles = filtered(chain, GIVEN, 3, n, 0)
    assert particles.evidence == pytest.approx(math.log(total), abs=0.05)
    weights = np.exp(particles.log_weights - particles.log_weights.max())
    share = Counter()
    for notes, weight, log_p in zip(pieces_of(particles), weights / weights.sum(), particles.log_p, strict=True):
        share[notes] += weight
        assert log_p == pytest.approx(math.log(right[notes]), abs=1e-5)
    for notes, p in right.most_common(8):
        assert share[notes] == pytest.approx(p / total, abs=4 * math.sqrt(p / total / (n / 4)))


def test_the_estimate_is_unbiased_with_few_particles():
    chain = Chain()
    total = sum(exact(chain, GIVEN, 3, True).values())
    estimates = [math.exp(filtered(chain, GIVEN, 3, 4, seed).evidence) for seed in range(600)]
    assert np.mean(estimates) == pytest.approx(total, rel=4 * np.std(estimates) / np.mean(estimates) / math.sqrt(600))
    assert np.std(estimates) > 0.1 * total  # or the test could not fail


def test_the_most_probable_piece_is_among_the_particles():
    chain = Chain()
    right = exact(chain, GIVEN, 3, True)
    ((best, p),) = right.most_common(1)
    particles = filtered(chain, GIVEN, 3, 200, 1, temperature=0.6)
    at = int(np.argmax(particles.log_p))
    assert pieces_of(particles)[at] == best
    assert particles.log_p[at] == pytest.approx(math.log(p), abs=1e-5)


@pytest.mark.parametrize("temperature", [0, 5e-324, 1e-30, 1e-3, 10])
def test_any_temperature_gives_numbers(temperature):
    with np.errstate(all="raise", under="ignore"):
        particles = filtered(Chain(), GIVEN, 3, 20, 1, temperature=temperature)
    assert np.isfinite(particles.log_weights).all()
    assert 1 <= particles.effective() <= 20 + 1e-9
    assert np.isfinite(particles.evidence)


# -- resampling


def test_particles_go_on_as_often_as_they_weigh():
    piece = sequence_of(GIVEN, 3)
    particles = Particles(Chain(), 4, np.random.default_rng(0), piece=piece)
    particles.rows = [[(i, 1, 60, 1, -1)] for i in range(4)]
    particles.log_weights = np.log([0.5, 0.25, 0.25, 1e-300])
    assert particles.effective() == pytest.approx(1 / (0.25 + 2 * 0.0625))
    particles.resample()
    assert [rows[0][0] for rows in particles.rows] == [0, 0, 1, 2]
    assert particles.rows[0] is not particles.rows[1]
    assert len({id(context) for context in particles.contexts}) == 4
    assert particles.log_weights.tolist() == [0, 0, 0, 0]
    assert particles.log_z == pytest.approx(math.log(1 / 4))
    assert (particles.effective(), particles.evidence) == (4, particles.log_z)


def test_what_all_particles_have_in_common_is_given_out_once():
    particles = Particles(Chain(), 3, np.random.default_rng(0), piece=sequence_of(GIVEN, 3))
    first, second, third = [(i, 1, 60, 1, -1) for i in range(3)]
    particles.rows = [[first], [first, second], [first, second]]
    assert particles.settled() == [first]
    assert particles.settled() == []
    particles.rows = [[first, second, third], [first, second], [first, second]]
    assert particles.settled() == [second]
    assert particles.settled(0) == [third]


def test_a_copied_context_goes_on_alone():
    v = VOCABULARIES["many"]
    piece, context = toys.piece(v, 3), Context(v)
    notes = list(zip(np.diff(piece.notes["onset"], prepend=0).tolist(), piece.notes.tolist(), strict=True))

    def go_on(context, part):
        seen = []
        for shift, (_, duration, program, pitch, _) in part:
            seen.append(context.before())
            context.move(shift)
            seen += [
                context.row(),
                context.pitch_class_levels(),
                list(context.program_history(program + 1)),
                context.pitch_mask(program + 1).tolist(),
            ]
            context.add(program + 1, pitch, duration)
        return seen

    go_on(context, notes[:12])
    other = context.copy()
    expected = go_on(context.copy(), notes[12:])
    go_on(other, [(shift, (o, d + 1, p, (pitch + 5) % 128, s)) for shift, (o, d, p, pitch, s) in notes[12:]])
    assert go_on(context, notes[12:]) == expected


@pytest.mark.parametrize("n", [0, 4097])
def test_a_number_of_particles_out_of_range_is_refused(n):
    with pytest.raises(SettingError, match=rf"^particles {n}: expected 1\.\.4096$"):
        accompany(Chain(), sequence_of(GIVEN, 3), particles=n)


# -- whole pieces of models


def line_of(vocabulary, seed=1):
    """The first program's notes of a random piece."""
    piece = toys.piece(vocabulary, seed)
    notes = piece.notes[piece.notes["program"] == vocabulary.programs[0]]
    return NoteSequence(notes, piece.grid, piece.length, metres=piece.metres)


@pytest.mark.parametrize("name", list(VOCABULARIES))
def test_every_given_note_is_in_the_piece(name):
    v, network = VOCABULARIES[name], toys.network(name, end_bias=2.0)
    given = line_of(v)
    assert 4 < len(given)
    for piece in accompany(network, given, 2, seed=4, particles=6, controls=Controls(top_p=0.95)):
        assert (piece.length, piece.grid, piece.metre) == (given.length, given.grid, given.metre)
        notes = piece.notes.tolist()
        assert set(given.notes.tolist()) <= set(notes)
        assert len(notes) > len(given)
        if v.models_program:
            assert [note for note in notes if note[2] in given.programs] == given.notes.tolist()
            assert set(piece.programs) <= set(v.programs)
    again = accompany(network, given, 1, seed=4, particles=6, controls=Controls(top_p=0.95))
    assert again[0] == accompany(network, given, 2, seed=4, particles=6, controls=Controls(top_p=0.95))[0]


@pytest.mark.parametrize("name", ["one", "one_loud", "ensemble"])
def test_log_p_is_the_models_own_of_the_piece_it_wrote(name, tmp_path):
    from melodygru.model.keras_model import save

    save(toys.model(name, end_bias=2.0), tmp_path / "toy.keras")
    tracer = Tracer(NumpyModel(checkpoint.read(tmp_path / "toy.keras")))
    v, network, given = VOCABULARIES[name], toys.network(name, end_bias=2.0), line_of(VOCABULARIES[name])
    particles = Particles(network, 5, np.random.default_rng(0), Controls(0.8, top_p=0.9), piece=given)
    for _ in add_voices(particles, Around(v, given)):
        particles.resample()
    for index in (0, 4):
        piece = decode(particles.rows[index], v, length=given.length, metre=given.metre)
        assert -particles.log_p[index] == pytest.approx(tracer.trace(piece).nats.sum(), rel=1e-4)


def test_an_added_note_ends_where_its_pitch_is_given_again_or_it_would_cross_the_line():
    v = VOCABULARIES["one"]
    guide = Around(v, sequence_of([(0, 1, 0, 64, 80), (5, 2, 0, 62, 80)], 9))
    context = Context(v)
    assert guide.shift(context) == (0, 1)
    context.move(0)
    assert np.flatnonzero(guide.pitches(context, 1)).tolist() == list(range(65))
    assert guide.duration(context, 1, 64) == (1, 2)  # the given note's
    assert [guide.duration(context, 1, pitch) for pitch in (50, 62, 63)] == [(1, 10), (1, 6), (1, 6)]
    context.add(1, 64, 1)
    guide.at = 1
    assert guide.shift(context) == (1, 6)  # what stands above in the chord would cross the line
    context.move(3)
    assert guide.pitches(context, 1).all()
    assert [guide.duration(context, 1, pitch) for pitch in (61, 62, 63)] == [(1, 7), (1, 3), (1, 3)]
    context.add(1, 61, 6)
    assert guide.shift(context) == (0, 3)
    guide.at = 2
    assert guide.shift(context) == (0, 7)
    context.move(6)
    assert guide.programs(context).tolist() == [True, False]


def test_below_middle_c_a_line_stays_the_lowest():
    v = VOCABULARIES["one"]
    guide, context = Around(v, sequence_of([(0, 4, 0, 50, 80), (4, 2, 0, 62, 80)], 9)), Context(v)
    assert np.flatnonzero(guide.pitches(context, 1)).tolist() == [50]
    context.move(0)
    context.add(1, 50, 4)
    guide.at = 1
    assert guide.shift(context) == (0, 5)
    context.move(0)
    assert np.flatnonzero(guide.pitches(context, 1)).tolist() == list(range(51, 128))
    assert [guide.duration(context, 1, pitch) for pitch in (61, 62, 63)] == [(1, 5), (1, 5), (1, 10)]


def test_where_nothing_is_left_below_the_line_it_is_crossed():
    v = VOCABULARIES["one"]
    notes = [(0, 1, 0, 1, 80), (0, 9, 0, 127, 80), (1, 1, 0, 126, 80), (4, 2, 0, 0, 80)]
    guide, context = Around(v, sequence_of(notes, 9)), Context(v)
    context.move(0)
    context.add(1, 1, 1)
    context.add(1, 127, 9)
    guide._edge[2] = 0  # as if a note of pitch 0 sounded
    guide.at = 3
    context.move(2)
    assert guide.pitches(context, 1).all()


def test_a_given_line_stays_alone():
    v = Vocabulary(BEAT, (0, 40, 41), (80,), ("a", "b"), statistics=CorpusStatistics(style_programs=((0, 40), (41,))))
    given = sequence_of([(4, 1, 40, 60, 80)], 9)
    assert np.flatnonzero(Around(v, given)._free).tolist() == [1, 42]
    assert np.flatnonzero(Around(v, given, "a")._free).tolist() == [1]
    assert np.flatnonzero(Around(v, given, "b")._free).tolist() == [42]
    guide, context = Around(v, given), Context(v)
    context.move(4)
    assert np.flatnonzero(guide.programs(context)).tolist() == [1, 41]
    assert np.flatnonzero(guide.pitches(context, 41)).tolist() == [60]
    full = sequence_of([(4, 1, 0, 60, 80), (4, 1, 40, 60, 80), (4, 1, 41, 60, 80)], 9)
    assert np.flatnonzero(Around(v, full)._free).tolist() == [1, 41, 42]


def test_after_the_highest_program_nothing_is_added_at_its_onset():
    v = Vocabulary(BEAT, (0, 40), (80,))
    guide, context = Around(v, sequence_of([(4, 1, 40, 60, 80), (8, 1, 40, 60, 80)], 9)), Context(v)
    context.move(4)
    context.add(41, 60, 1)
    guide.at = 1
    assert guide.shift(context) == (1, 5)


def test_a_program_stands_in_for_a_strange_one_in_which_it_is_most_probable():
    v = Vocabulary(BEAT, (40, 41, 42), (80,), ("a", "b"), statistics=CorpusStatistics(style_programs=((40, 41), (42,))))

    class High(Chain):
        """Program 41 plays high, the others low."""

        def __init__(self):
            self.vocabulary = v

        def step(self, *arguments):
            return HighStep(self, arguments[0])

    class HighStep(ChainStep):
        def logits(self, field, chosen=None):
            logits = np.zeros((len(self.last), v.size(field)), np.float32)
            if field in ("shift", "duration"):
                logits[:, 1] = 20.0
            if field == "pitch":
                logits[:, 64:] = np.where(chosen["program"] == 42, 5.0, -5.0)[:, None]
            return logits

    high = sequence_of([(0, 2, 7, 70, 80), (2, 1, 7, 72, 80), (2, 1, DRUMS, 40, 80)], 4)
    low = sequence_of([(0, 2, 7, 50, 80), (2, 1, 9, 72, 80)], 4)
    assert stand_ins(High(), high) == stand_ins(High(), high, "a") == {7: 41}
    assert stand_ins(High(), high, "b") == {7: 42}
    assert stand_ins(High(), low) == {7: 40, 9: 41}
    assert stand_ins(High(), low, "b") == {7: 42}
    assert stand_ins(High(), sequence_of([(0, 1, 41, 30, 80)], 4), "a") == {}
    given_out = []
    (piece,) = accompany(High(), high, seed=2, particles=4, style="a", on_note=given_out.append)
    line = piece.notes[np.isin(piece.notes["program"], high.programs)]
    assert line.tolist() == high.notes.tolist()
    assert set(piece.programs) == {7, 40, DRUMS}
    assert {note.program for note in given_out} == {7, 40, DRUMS}


def test_notes_are_given_out_once_they_cannot_change():
    given_out = []
    pieces = accompany(Chain(), sequence_of(GIVEN, 3), 2, seed=3, particles=8, on_note=given_out.append)
    for stream, piece in enumerate(pieces):
        notes = [(n.onset, n.duration, n.program, n.pitch, n.velocity) for n in given_out if n.stream == stream]
        assert notes == piece.notes.tolist()


def test_tempo_and_metres_are_the_given_ones():
    given = dataclasses.replace(
        sequence_of(GIVEN, 40, metres=((0, 4, 4), (16, 3, 4))), tempos=np.array([(0, 500_000), (8, 600_000)], TEMPO)
    )
    plans = []
    (piece,) = accompany(Chain(), given, particles=2, on_start=plans.extend)
    assert piece.metres.tolist() == given.metres.tolist()
    assert piece.tempos.tolist() == given.tempos.tolist()
    assert [(plan.steps, plan.limit, plan.due, plan.metre, plan.qpm) for plan in plans] == [(40, 40, None, (4, 4), 120)]
    (piece,) = accompany(Chain(), given, particles=2, qpm=90)
    assert piece.tempos.tolist() == [(0, 666_667)]


def test_velocities_are_those_that_the_given_notes_came_with():
    v = VOCABULARIES["one_loud"]
    given = sequence_of([(0, 2, 5, 60, 81), (4, 2, 5, 64, 3)], 12, metres=((0, 3, 4),))
    assert not set(given.notes["velocity"].tolist()) <= set(v.velocities)
    (piece,) = accompany(toys.network("one_loud"), given, particles=3)
    assert set(given.notes.tolist()) <= set(piece.notes.tolist())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n": 0}, "^num-outputs 0: expected 1 or more$"),
        ({"style": "polka"}, "^style 'polka': this model knows none$"),
        ({"qpm": 4}, r"^qpm 4: expected 5\.\.1000"),
        ({"given": sequence_of([], 16)}, "^nothing to accompany: expected a piece with notes$"),
    ],
)
def test_what_is_impossible_is_refused(values, message):
    with pytest.raises(SettingError, match=message):
        accompany(Chain(), **{"given": sequence_of(GIVEN, 3), **values})
