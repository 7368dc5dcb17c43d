"""Accompaniment: particles against every piece that is possible, and the given notes in every piece."""

import copy
import dataclasses
import math
from collections import Counter

import numpy as np
import pytest
import toys
from toys import BEAT, VOCABULARIES, sequence_of

from melodygru.analysis.explain import Tracer
from melodygru.compose import Controls, Particles, Programs, accompany
from melodygru.compose.accompanying import Around, add_parts, line_up_around, stand_ins
from melodygru.compose.drawing import rows_of
from melodygru.errors import SettingError
from melodygru.events import END, FIRST_PART, NEW, Context, CorpusStatistics, Vocabulary, decode, layout_of, parts_of
from melodygru.model import checkpoint
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.notes import DRUMS, TEMPO, NoteSequence

NEW_40 = NEW + 40  # the class of a part that comes in with program 40

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
        return wishes | {FIRST_PART + part: wishes[NEW + program] for part, program in enumerate(programs)}

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


def crosses(notes, given):
    """Whether an added note lies above the highest given one that sounds, at any step."""
    for onset, duration, _, pitch, _ in set(notes) - set(given):
        for step in range(onset, onset + duration):
            if any(n[0] <= step < n[0] + n[1] and n[3] < pitch for n in given):
                return True
    return False


def exact(chain, given, length, alone):
    """The probability of each piece that holds what is given, and one part of program 40 besides at most."""
    found = Counter()

    def may_become(notes):
        if not alone:
            return True
        line = [note for note in without_parts(notes) if note[2] == 0]
        of_40 = {part for _, _, part, program, _, _ in notes if program == 40}
        return line == given[: len(line)] and len(of_40) <= 1 and len({note[2] for note in notes}) - len(of_40) <= 1

    for notes, p in every_piece(chain, length, may_become):
        bare = without_parts(notes)
        line = [note for note in bare if note[2] == 0]
        if line == given if alone else set(given) <= set(bare) and not crosses(bare, given):
            found[notes] += p
    return found


def filtered(chain, given, length, n, seed, temperature=1.0):
    """Particles after the whole piece, resampled at every given note."""
    piece = sequence_of(given, length)
    line_up = (0, 40) if chain.vocabulary.models_part else None
    particles = Particles(chain, n, np.random.default_rng(seed), Controls(temperature), piece=piece, line_up=line_up)
    for _ in add_parts(particles, Around(chain.vocabulary, piece)):
        if particles.effective() < n / 2:
            particles.resample()
    return particles


def pieces_of(particles):
    """The notes of each particle."""
    found = []
    for rows in particles.rows:
        onsets = np.cumsum([row[0] for row in rows]).tolist()
        parts, programs = parts_of(np.array([row[1] for row in rows]), particles.vocabulary)
        of_rows = zip(onsets, rows, parts.tolist(), programs.tolist(), strict=True)
        found.append(tuple((o, r[3], part, program, r[2], 80) for o, r, part, program in of_rows))
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
    assert particles.settled() == ([first], 0)
    assert particles.settled() == ([first], 1)
    particles.rows = [[first, second, third], [first, second], [first, second]]
    assert particles.settled() == ([first, second], 1)
    assert particles.settled(0) == ([first, second, third], 2)


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


@pytest.mark.parametrize("n", [0, 4097])
def test_a_number_of_particles_out_of_range_is_refused(n):
    with pytest.raises(SettingError, match=rf"^particles {n}: expected 1\.\.4096$"):
        accompany(Chain(), sequence_of(GIVEN, 3), particles=n)


# -- whole pieces of models


def line_of(vocabulary, seed=1):
    """The first part of a random piece."""
    piece = toys.piece(vocabulary, seed)
    notes = piece.notes[piece.notes["part"] == 0]
    return NoteSequence(notes, piece.grid, piece.length, metres=piece.metres, names=("Tune",))


def eager(name):
    """A network that likes parts to come in, so that something is added."""
    network = copy.copy(toys.network(name, end_bias=2.0))
    kernel, bias = network.outputs["part"]
    bias = bias.copy()
    bias[NEW : NEW + len(bias[NEW:FIRST_PART])] += 3.0
    network.outputs = {**network.outputs, "part": (kernel, bias)}
    return network


def part_of(piece, number):
    """The notes of a part as rows without the part's number."""
    return without_parts(piece.notes[piece.notes["part"] == number].tolist())


@pytest.mark.parametrize("name", list(VOCABULARIES))
def test_every_given_note_is_in_the_piece_and_every_given_part_alone(name):
    v, network = VOCABULARIES[name], eager(name)
    given = line_of(v)
    assert 3 < len(given)
    found = accompany(network, given, 2, seed=4, particles=6, controls=Controls(top_p=0.95))
    for piece in found:
        assert (piece.length, piece.grid, piece.metre) == (given.length, given.grid, given.metre)
        if v.models_part:
            number = piece.part_names.index("Tune")
            assert part_of(piece, number) == without_parts(given.notes.tolist())
            assert set(piece.programs) <= set(v.programs)
        else:
            assert set(given.notes.tolist()) <= set(piece.notes.tolist())
    assert any(len(piece) > len(given) for piece in found)
    again = accompany(network, given, 1, seed=4, particles=6, controls=Controls(top_p=0.95))
    assert again[0] == found[0]


def test_parts_keep_their_notes_names_and_programs_whatever_comes_in_before_them():
    v = Vocabulary(BEAT, (40, 0, DRUMS), 9, (80,))
    network = toys.network_of(toys.new_model(v, seed=3))
    kernel, bias = network.outputs["part"]
    bias[NEW:FIRST_PART] += 4.0
    rows = [(8, 4, 77, 72, 81), (8, 8, 40, 60, 3), (8, 4, 40, 64, 80), (12, 4, 77, 60, 80), (20, 4, 40, 60, 80)]
    given = dataclasses.replace(sequence_of(rows, 32, parts=[2, 0, 1, 2, 0]), names=("Low", "", "Recorder"))
    given_out = []
    pieces = accompany(
        network, given, 3, seed=1, particles=8, programs=Programs((0, 0, 40, 40)), on_note=given_out.append
    )
    for stream, piece in enumerate(pieces):
        named = [number for number, name in enumerate(piece.part_names) if name]
        assert [piece.part_names[number] for number in named] == ["Low", "Recorder"]
        assert part_of(piece, named[1]) == [rows[0], rows[3]]  # its own program, and velocities
        programs = Counter(piece.part_programs.tolist())
        assert programs <= Counter((0, 0, 40, 40, 77))
        low, other = (part_of(piece, number) for number in np.flatnonzero(piece.part_programs == 40))
        assert sorted([low, other]) == sorted([[rows[1], rows[4]], [rows[2]]])
        notes = [(n.onset, n.duration, n.program, n.pitch) for n in given_out if n.stream == stream]
        assert sorted(notes) == sorted(note[:4] for note in without_parts(piece.notes.tolist()))
    assert any(piece.notes["onset"][0] < 8 for piece in pieces)  # a part comes in before the given ones
    assert any((piece.part_programs == 0).sum() == 2 for piece in pieces)


def test_no_part_is_added_but_those_of_the_line_up():
    line_ups = ((0, 33), (0, 33, DRUMS), (40, 40, 41, 42))
    v = toys.with_statistics(Vocabulary(BEAT, (0, 33, 40, 41, 42, DRUMS), 8, (80,)), line_ups=(line_ups,))
    around = {draw: line_up_around([0], v, None, None, draw) for draw in (0.0, 0.5, 0.9)}
    assert set(around.values()) == {(0, 33)}  # the nearest; no drums, for none of its line-up
    assert line_up_around([0, 33], v, None, None, 0.5) == (0, 33, DRUMS)
    assert line_up_around([40], v, None, None, 0.5) == (40, 40, 41, 42)
    # With everything of every line-up given, another part of each program that the style has and that is not given.
    assert line_up_around([0, 33, 40, 40, 41, 42, DRUMS], v, None, None, 0.5) == (
        *(0, 0, 33, 33, 40, 40, 40, 41, 41, 42, 42, DRUMS, DRUMS),
    )
    alone = toys.with_statistics(v, line_ups=(((0,), (33,)),))
    assert line_up_around([0], alone, None, None, 0.0) == (0, 33)
    assert line_up_around([0], v, None, [DRUMS], 0.0) == (0, DRUMS)
    assert line_up_around([0], VOCABULARIES["one"], None, None, 0.0) is None
    network = toys.network_of(toys.new_model(v, seed=3))
    kernel, bias = network.outputs["part"]
    bias[NEW:FIRST_PART] += 4.0
    plans, given = [], sequence_of([(4 * at, 4, 0, 60 + at, 80) for at in range(8)], 32)
    found = accompany(network, given, 4, seed=1, particles=4, on_start=plans.extend)
    assert {plan.line_up for plan in plans} == {(0, 33)}
    assert {tuple(piece.part_programs.tolist()) for piece in found} <= {(0,), (0, 33), (33, 0)}
    assert any(len(piece.part_programs) > 1 for piece in found)


def test_the_parts_that_are_asked_for_are_added():
    v = Vocabulary(BEAT, (0, 33, DRUMS), 8, (80,))
    network, given = toys.network_of(toys.new_model(v, seed=3)), sequence_of([(0, 4, 0, 60, 80)], 32)
    for asked, line_up in (
        ("bass,drums", (0, 33, DRUMS)),
        ("piano,bass", None),
        ("keys,bass", (0, 33)),  # what is given is the one of its family
        ("0,0", (0, 0)),
    ):
        if line_up is None:
            with pytest.raises(SettingError, match="^programs 'piano,bass': 'piano' is no program"):
                Programs.parse(asked)
            continue
        plans = []
        accompany(network, given, particles=2, programs=Programs.parse(asked), on_start=plans.extend)
        assert [plan.line_up for plan in plans] == [line_up]
    with pytest.raises(SettingError, match="^programs keys: the piece that is given has these parts; name one to add"):
        accompany(network, given, programs=Programs.parse("keys"))
    with pytest.raises(SettingError, match="^programs 7: expected some that this model was trained on, of 0, 33"):
        accompany(network, given, programs=Programs((7,)))


@pytest.mark.parametrize("name", ["one", "one_loud", "ensemble", "duet"])
def test_log_p_is_the_models_own_of_the_piece_it_wrote(name, tmp_path):
    from melodygru.model.keras_model import save

    save(toys.model(name, end_bias=2.0), tmp_path / "toy.keras")
    tracer = Tracer(NumpyModel(checkpoint.read(tmp_path / "toy.keras")))
    v, network, given = VOCABULARIES[name], toys.network(name, end_bias=2.0), line_of(VOCABULARIES[name])
    particles = Particles(network, 5, np.random.default_rng(0), Controls(0.8, top_p=0.9), piece=given)
    for _ in add_parts(particles, Around(v, given)):
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
    guide.go_to(1)
    assert guide.shift(context) == (1, 6)  # what stands above in the chord would cross the line
    context.move(3)
    assert guide.pitches(context, 1).all()
    assert [guide.duration(context, 1, pitch) for pitch in (61, 62, 63)] == [(1, 7), (1, 3), (1, 3)]
    context.add(1, 61, 6)
    assert guide.shift(context) == (0, 3)
    guide.go_to(2)
    assert guide.shift(context) == (0, 7)
    context.move(6)
    assert guide.parts(context).tolist() == [True, False]


def test_below_middle_c_a_line_stays_the_lowest():
    v = VOCABULARIES["one"]
    guide, context = Around(v, sequence_of([(0, 4, 0, 50, 80), (4, 2, 0, 62, 80)], 9)), Context(v)
    assert np.flatnonzero(guide.pitches(context, 1)).tolist() == [50]
    context.move(0)
    context.add(1, 50, 4)
    guide.go_to(1)
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
    guide.go_to(3)
    context.move(2)
    assert guide.pitches(context, 1).all()


def test_what_may_stand_before_the_given_note():
    v = Vocabulary(BEAT, (0, 40, 41), 6, (80,))
    given = sequence_of([(4, 1, 40, 60, 80), (8, 1, 40, 60, 80), (8, 1, 40, 67, 80)], 9)
    guide, context = Around(v, given), Context(v, line_up=(0, 40, 40, 41))
    assert guide.shift(context) == (0, 5)
    context.move(4)
    # A part that comes in at one onset with the given one stands before it by its program alone.
    assert np.flatnonzero(guide.parts(context)).tolist() == [NEW, NEW + 40]
    assert np.flatnonzero(guide.pitches(context, NEW + 40)).tolist() == [60]
    assert guide.pitches(context, NEW).all()
    context.add(NEW, 50, 9)
    assert guide.shift(context) == (0, 1)
    context.move(0)
    assert np.flatnonzero(guide.parts(context)).tolist() == [NEW + 40, FIRST_PART]
    context.add(NEW + 40, 60, 1)
    assert guide.is_due(context, NEW + 40, 60)
    guide.arrive(context)
    assert context.past.given == {0: 1}
    guide.go_to(1)
    assert guide.shift(context) == (0, 5)
    context.move(0)  # in the chord: what comes in has no lower program than the last that did
    assert np.flatnonzero(guide.parts(context)).tolist() == [NEW + 40, NEW + 41, FIRST_PART]
    context.add(NEW + 41, 70, 1)
    assert guide.shift(context) == (0, 5)
    context.move(4)
    assert np.flatnonzero(guide.parts(context)).tolist() == [FIRST_PART, FIRST_PART + 1]
    assert np.flatnonzero(guide.pitches(context, FIRST_PART + 1)).tolist() == [60]
    context.add(FIRST_PART + 1, 60, 1)
    guide.go_to(2)
    context.move(0)
    assert np.flatnonzero(guide.parts(context)).tolist() == [FIRST_PART, FIRST_PART + 1]  # the first can't follow
    context.add(FIRST_PART + 1, 67, 1)
    guide.go_to(3)
    assert guide.shift(context) == (0, 2)
    context.move(1)
    assert np.flatnonzero(guide.parts(context)).tolist() == [END]


def test_where_no_part_may_follow_in_a_chord_time_goes_on():
    v = Vocabulary(BEAT, (0, 40), 6, (80,))
    guide, context = Around(v, sequence_of([(4, 1, 40, 60, 80), (8, 1, 40, 60, 80)], 9)), Context(v, line_up=(0, 40))
    context.move(4)
    context.add(NEW + 40, 60, 1)
    guide.arrive(context)
    guide.go_to(1)
    assert guide.shift(context) == (1, 5)  # program 0 could have come in before
    # With nothing to add the next given note is the next one.
    alone = Context(v, line_up=(40,))
    assert Around(v, sequence_of([(4, 1, 40, 60, 80)], 9)).shift(alone) == (4, 5)


def test_a_program_stands_in_for_a_strange_one_in_which_it_is_most_probable():
    v = Vocabulary(
        BEAT, (40, 41, 42), 6, (80,), ("a", "b"), statistics=CorpusStatistics(style_programs=((40, 41), (42,)))
    )

    class High(Chain):
        """Program 41 plays high, the others low."""

        def __init__(self):
            self.vocabulary = v

        def step(self, *arguments):
            return HighStep(self, arguments[0])

    class HighStep(ChainStep):
        def logits(self, field, chosen=None, pointers=None):
            logits = np.zeros((len(self.last), v.size(field)), np.float32)
            if field in ("shift", "duration"):
                logits[:, 1] = 20.0
            if field == "pitch":
                logits[:, 64:] = np.where(chosen["program"] - 1 == 41, 5.0, -5.0)[:, None]
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
    assert without_parts(line.tolist()) == without_parts(high.notes.tolist())
    assert set(piece.programs) == {7, 40, DRUMS}
    assert {note.program for note in given_out} == {7, 40, DRUMS}


def test_notes_are_given_out_once_they_cannot_change():
    given_out = []
    pieces = accompany(Chain(), sequence_of(GIVEN, 3), 2, seed=3, particles=8, on_note=given_out.append)
    for stream, piece in enumerate(pieces):
        notes = [(n.onset, n.duration, n.part, n.program, n.pitch, n.velocity) for n in given_out if n.stream == stream]
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
