"""Constraints: names read, wishes kept whatever the model wants, what can't be met refused, and own ones."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import toys
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import BEAT, PERFORMANCE, VOCABULARIES

from melodygru import midi
from melodygru.cli.generate import generate as command
from melodygru.compose import (
    Chords,
    Constraint,
    Controls,
    Density,
    Event,
    Length,
    MaxPolyphony,
    PitchClasses,
    Plan,
    Primer,
    Programs,
    Range,
    Sampler,
    Steering,
    compose,
)
from melodygru.compose.composer import generate
from melodygru.compose.constraints import CHORD_BIAS, of_settings
from melodygru.compose.places import NEVER, share_of_classes, steps_within
from melodygru.compose.rules import programs_of
from melodygru.compose.settings import SETTINGS, GenerateSettings
from melodygru.errors import SettingError
from melodygru.events import END, FIRST_PART, NEW, TIMES, Context, CorpusStatistics, Vocabulary, decode
from melodygru.music.harmony import (
    KINDS,
    SCALES,
    parse_chord,
    parse_chords,
    parse_key,
    parse_pitch,
    parse_pitch_classes,
    parse_range,
    parse_signature,
)
from melodygru.music.names import pitch_name
from melodygru.music.notes import DRUMS, KEY

ONE, MANY = VOCABULARIES["one"], VOCABULARIES["many"]
WHITE = {0, 2, 4, 5, 7, 9, 11}

# -- names


@pytest.mark.parametrize(
    ("text", "pitch"),
    [("C-1", 0), ("0", 0), ("C4", 60), ("c4", 60), ("F#3", 54), ("Bb3", 58), ("B#3", 60), ("Cb4", 59), ("G9", 127),
     ("127", 127), ("128", None), ("G#9", None), ("Cb-1", None), ("H4", None), ("C", None), ("", None), ("-1", None)],
)  # fmt: skip
def test_a_pitch_by_name_or_number(text, pitch):
    assert parse_pitch(text) == pitch
    if pitch is not None:
        assert parse_pitch(pitch_name(pitch)) == pitch


@pytest.mark.parametrize(
    ("text", "classes"),
    [("C", WHITE), ("C:maj", WHITE), ("C:major", WHITE), ("c: Major", WHITE), ("A:min", WHITE), ("Am", WHITE),
     ("A:natural minor", WHITE), ("D:dorian", WHITE), ("E:phrygian", WHITE), ("F:lydian", WHITE),
     ("G:mixolydian", WHITE),
     ("B:locrian", WHITE), ("A:harmonic-minor", (WHITE - {7}) | {8}), ("A:melodic_minor", (WHITE - {5, 7}) | {6, 8}),
     ("F#:maj", {6, 8, 10, 11, 1, 3, 5}), ("Cb", {11, 1, 3, 4, 6, 8, 10}), ("C:pentatonic", {0, 2, 4, 7, 9}),
     ("A:minor-pentatonic", {0, 2, 4, 7, 9}), ("C:blues", {0, 3, 5, 6, 7, 10}), ("E:chromatic", set(range(12)))],
)  # fmt: skip
def test_a_key_by_hand(text, classes):
    assert parse_key(text) == classes


@pytest.mark.parametrize(
    ("text", "signature"),
    [("C", (0, 0)), ("Gb", (-6, 0)), ("F#", (6, 0)), ("Cb", (-7, 0)), ("C#:maj", (7, 0)), ("G#:maj", (-4, 0)),
     ("Fb", (4, 0)), ("Am", (0, 1)), ("G:harmonic-minor", (-2, 1)), ("Eb:minor", (-6, 1)), ("D#m", (6, 1)),
     ("D:dorian", (0, 1)), ("E:phrygian", (0, 1)), ("F:lydian", (0, 0)), ("G:mixolydian", (0, 0)),
     ("B:locrian", (0, 1)), ("E:blues", (1, 1)), ("C:octatonic", None), ("C:whole-tone", None)],
)  # fmt: skip
def test_a_key_is_written_in_its_signature(text, signature):
    assert parse_signature(text) == signature


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("H:maj", r"^key 'H:maj': expected a tonic A\.\.G, with # or b, and a scale, such as C:maj or F#:dorian$"),
        ("", "^key '': expected a tonic"),
        ("C:", "^key 'C:': expected a tonic"),
        ("Am:minor", "^key 'Am:minor': expected a tonic"),
        ("C:happy", "^key 'C:happy': expected one of the scales major, minor, harmonic-minor"),
    ],
)
def test_no_key(text, message):
    with pytest.raises(SettingError, match=message):
        parse_key(text)


def test_scales_begin_on_the_tonic_and_rise():
    for steps in SCALES.values():
        assert steps[0] == 0 and steps[-1] < 12 and list(steps) == sorted(set(steps))


def test_a_scale_by_its_pitch_classes():
    assert parse_pitch_classes("C D E G A") == parse_pitch_classes("0,2, 4,7,9") == {0, 2, 4, 7, 9}
    assert parse_pitch_classes("bb 11") == {10, 11}
    for text in ("", " , "):
        with pytest.raises(SettingError, match=r"^scale .*: expected pitch classes such as C D E G A, or 0,2,4,7,9$"):
            parse_pitch_classes(text)
    with pytest.raises(SettingError, match="^scale 'C 12': '12' is no pitch class; expected C, F#, Bb"):
        parse_pitch_classes("C 12")


def test_a_range_by_hand():
    assert parse_range("C3:C6") == parse_range("48:84") == (48, 84)
    assert (parse_range("60:"), parse_range(":C4"), parse_range("0:127")) == ((60, 127), (0, 60), (0, 127))
    for text in ("60", ":", "", "C3-C6", "0:128", "H1:C4"):
        with pytest.raises(SettingError, match=r"^range .*: expected LOW:HIGH, pitches C-1\.\.G9 \(C4 is 60\) or 0"):
            parse_range(text)
    with pytest.raises(SettingError, match="^range 'C5:C4': C5 lies above C4; expected the lower pitch first$"):
        parse_range("C5:C4")


@pytest.mark.parametrize(
    ("symbol", "tones"),
    [("C", {0, 4, 7}), ("Cm", {0, 3, 7}), ("C7", {0, 4, 7, 10}), ("Cmaj7", {0, 4, 7, 11}), ("Cm7", {0, 3, 7, 10}),
     ("Cdim", {0, 3, 6}), ("Cdim7", {0, 3, 6, 9}), ("Cm7b5", {0, 3, 6, 10}), ("Caug", {0, 4, 8}),
     ("Csus2", {0, 2, 7}), ("Csus4", {0, 5, 7}), ("C6", {0, 4, 7, 9}), ("Cm6", {0, 3, 7, 9}),
     ("C9", {0, 2, 4, 7, 10}), ("Cadd9", {0, 2, 4, 7}), ("C5", {0, 7}), ("C/E", {0, 4, 7}), ("C/Bb", {0, 4, 7, 10}),
     ("C6/9", {0, 2, 4, 7, 9}), ("F#m7/E", {6, 9, 1, 4}), ("Bbmaj7", {10, 2, 5, 9}), ("B", {11, 3, 6}),
     ("N.C.", set()), ("CM7", {0, 4, 7, 11}), ("Cmin", {0, 3, 7}), ("C-7", {0, 3, 7, 10}), ("C+", {0, 4, 8}),
     ("Caug7", {0, 4, 8, 10}), ("C7sus4", {0, 5, 7, 10}), ("Cm9", {0, 2, 3, 7, 10}), ("Cmaj9", {0, 2, 4, 7, 11}),
     ("Cmmaj7", {0, 3, 7, 11}), ("CmM7", {0, 3, 7, 11}), ("Cm(maj7)", {0, 3, 7, 11}), ("C69", {0, 2, 4, 7, 9}),
     ("C11", {0, 2, 5, 7, 10}), ("Cm11", {0, 2, 3, 5, 7, 10}), ("C13", {0, 2, 4, 7, 9, 10}),
     ("Cm13", {0, 2, 3, 5, 7, 9, 10}), ("Cmaj13", {0, 2, 4, 7, 9, 11}), ("C9sus4", {0, 2, 5, 7, 10}),
     ("C7b9", {0, 1, 4, 7, 10}), ("C7♭9", {0, 1, 4, 7, 10}), ("C7#9", {0, 3, 4, 7, 10}), ("C7#11", {0, 4, 6, 7, 10}),
     ("C9#11", {0, 2, 4, 6, 7, 10}), ("C7b5", {0, 4, 6, 10}), ("C7#5", {0, 4, 8, 10}), ("C13b9", {0, 1, 4, 7, 9, 10}),
     ("C7(b9,b13)", {0, 1, 4, 7, 8, 10}), ("C7alt", {0, 1, 3, 4, 6, 8, 10}), ("Cmaj7#11", {0, 4, 6, 7, 11}),
     ("Cadd11", {0, 4, 5, 7}), ("Cm6/9", {0, 2, 3, 7, 9}), ("C7no5", {0, 4, 10}), ("Cø7", {0, 3, 6, 10}),
     ("C°7", {0, 3, 6, 9}), ("CΔ", {0, 4, 7, 11}), ("Bb7b9/D", {10, 2, 5, 8, 11}), ("C9/D", {0, 2, 4, 7, 10})],
)  # fmt: skip
def test_a_chord_by_hand(symbol, tones):
    assert parse_chord(symbol).tones == tones


@pytest.mark.parametrize("symbol", ["H", "Cx", "C/", "C/H", "m7", "/E", "C7b7", "C15", "Cmmaj", "Cm5", "Cadd"])
def test_no_chord(symbol):
    with pytest.raises(SettingError, match=f"^chord '{symbol}': expected a chord such as C, Cm, C7, Cmaj7"):
        parse_chord(symbol)


def test_a_chord_knows_its_root():
    assert [parse_chord(symbol).root for symbol in ("C/E", "Bb13", "B#", "N.C.")] == [0, 10, 0, None]
    for kind in KINDS.split(", "):
        assert parse_chord(kind).root in parse_chord(kind).tones


def test_bars_of_chords():
    def names(text):
        return [[chord.name for chord in bar] for bar in parse_chords(text)]

    assert names("C | Am | F G | C") == [["C"], ["Am"], ["F", "G"], ["C"]]
    assert names("| C Dm | % | % G % |") == [["C", "Dm"], ["C", "Dm"], ["Dm", "G", "G"]]
    with pytest.raises(SettingError, match=r"^chords 'C \|\| F': bar 2 is empty; expected chords such as C \| Am"):
        parse_chords("C || F")
    with pytest.raises(SettingError, match="^chords '': bar 1 is empty"):
        parse_chords("")
    with pytest.raises(SettingError, match=r"^chords '% \| C': bar 1 begins with %, which repeats what stood before"):
        parse_chords("% | C")


# -- a network that wants anything


class Wild:
    """A network with random logits, other ones at each event; `pull` of them prefer shift 0 and long notes."""

    def __init__(self, vocabulary, seed=0, spread=3.0, pull=0.0):
        self.vocabulary, self.spread, self.pull = vocabulary, spread, pull
        self.rng = np.random.default_rng(seed)

    def initial_state(self, streams):
        return [np.zeros((streams, 1), np.float32)]

    def step(self, previous, before, context, state, arrived=None):
        return WildStep(self, len(previous), state)


class WildStep:
    context = None

    def __init__(self, network, streams, state):
        self.network, self.streams, self.state, self.gain = network, streams, state, None

    def arrive(self, context, pitch_class_levels, part_descriptions, line_up):
        pass

    def logits(self, field, chosen=None, pointers=None):
        of = self.network
        logits = of.rng.normal(0, of.spread, (self.streams, of.vocabulary.size(field)))
        if field in ("shift", "duration"):
            logits -= 0.2 * np.arange(TIMES.size)
        if field == "shift":
            logits[:, 0] += of.pull
        if field == "duration":
            logits[:, 20] += of.pull
        return logits.astype(np.float32)


def polyphony(notes):
    """The most notes that sound together."""
    ends = notes["onset"] + notes["duration"]
    return max((int(((notes["onset"] <= t) & (ends > t)).sum()) for t in notes["onset"]), default=0)


def outside(piece, plan, *, classes=None, low=0, high=127, chords=None):
    """How many of a piece's notes, drums left out, break a wish."""
    wrong = 0
    for onset, program, pitch in piece.notes[["onset", "program", "pitch"]].tolist():
        if program == DRUMS:
            continue
        tones = chords.chord_at(onset, plan).tones if chords is not None else ()
        in_chord = not tones or pitch % 12 in tones
        wrong += not (low <= pitch <= high and (classes is None or pitch % 12 in classes) and in_chord)
    return wrong


SCALE_SETS = st.sets(st.integers(0, 11), min_size=1, max_size=4)
PROGRESSIONS = st.sampled_from(["C", "C | Am | F G | C", "N.C. | Cdim7 C5", "C Dm Em F | % | G/A"])


@st.composite
def wishes(draw, vocabulary):
    """A few constraints at random, as `of_settings` takes them."""
    found = {}
    if draw(st.booleans()):
        found["scale"] = ",".join(map(str, sorted(draw(SCALE_SETS))))
    if draw(st.booleans()):
        low = draw(st.integers(0, 127))
        found["range"] = f"{low}:{min(127, low + draw(st.sampled_from([0, 1, 5, 12, 40])))}"
    if draw(st.booleans()):
        some = draw(st.sets(st.sampled_from(vocabulary.programs), min_size=1))
        found["programs"] = ",".join(map(str, some))
    if draw(st.booleans()):
        found["max_polyphony"] = draw(st.integers(1, 5))
    if draw(st.booleans()):
        found["density"] = draw(st.sampled_from([0.1, 1.0, 4.0, 50.0]))
    if vocabulary.grid.is_metrical and draw(st.booleans()):
        found["chords"] = draw(PROGRESSIONS)
        found["chords_only"] = draw(st.booleans())
    return found


def _expected_to_fail(vocabulary, found, plan):
    """Whether no pitch is left somewhere, by trying them all."""
    programs = set(map(int, found["programs"].split(","))) if "programs" in found else set(vocabulary.programs)
    if DRUMS in programs:
        return False
    classes = parse_pitch_classes(found["scale"]) if "scale" in found else set(range(12))
    low, high = parse_range(found["range"]) if "range" in found else (0, 127)
    pitches = {pitch % 12 for pitch in range(low, high + 1)} & classes
    bars = parse_chords(found["chords"]) if found.get("chords_only") else ()
    return not pitches or any(chord.tones and not chord.tones & pitches for bar in bars for chord in bar)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one", "many", "performance"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_there_is_always_something_to_choose_and_it_is_what_was_wished_for(name, data):
    vocabulary = VOCABULARIES[name]
    found = data.draw(wishes(vocabulary))
    spread, pull = data.draw(st.sampled_from([0.1, 3.0, 40.0])), data.draw(st.sampled_from([0.0, 8.0, 100.0]))
    controls = data.draw(st.sampled_from([Controls(), Controls(0), Controls(0.3, top_p=0.5), Controls(2.0, top_k=2)]))
    network = Wild(vocabulary, data.draw(st.integers(0, 99)), spread, pull)
    plan = Plan.from_settings(vocabulary)
    constraints = of_settings(GenerateSettings(**found))

    def composed():
        return compose(network, 2, 1, length=Length(notes=25), metre=(4, 4), controls=controls, constraints=constraints)

    if _expected_to_fail(vocabulary, found, plan):
        with pytest.raises(SettingError, match="no program has a pitch left"):
            composed()
        return
    for piece in composed():
        assert len(piece) == 25
        chords = Chords.parse(found["chords"]) if found.get("chords_only") else None
        low, high = parse_range(found["range"]) if "range" in found else (0, 127)
        classes = parse_pitch_classes(found["scale"]) if "scale" in found else None
        assert outside(piece, plan, classes=classes, low=low, high=high, chords=chords) == 0
        if "programs" in found:
            assert set(piece.programs) <= set(map(int, found["programs"].split(",")))
        if "max_polyphony" in found:
            assert polyphony(piece.notes) <= found["max_polyphony"]


def test_without_them_the_wild_network_breaks_each_wish():
    """What the property test holds would not hold by itself."""
    network = Wild(MANY, 0, 3.0, 4.0)
    (piece,) = compose(network, 1, 1, length=Length(notes=200), metre=(4, 4))
    plan = Plan.from_settings(MANY)
    assert outside(piece, plan, classes=WHITE) > 20
    assert outside(piece, plan, low=48, high=72) > 20
    assert outside(piece, plan, chords=Chords.parse("C | Am | F G | C")) > 20
    assert set(piece.programs) == set(MANY.programs)
    assert polyphony(piece.notes) > 5


# -- looking ahead, by hand


def _steering(constraints, vocabulary=ONE, **settings):
    return Steering(
        constraints, vocabulary, [Plan.from_settings(vocabulary, **settings)], programs=programs_of(vocabulary, None)
    )


def _after(notes, vocabulary=ONE, line_up=None):
    """A context after (shift, part class, pitch, duration) notes."""
    context = Context(vocabulary, line_up=line_up)
    for shift, part_class, pitch, duration in notes:
        context.before()
        context.move(shift)
        context.row()
        context.add(part_class, pitch, duration)
    return context


def _event(context, n, **known):
    """The next event of one stream, of `n` notes so far."""
    return Event([context], [n], np.array([True]), [0], **known)


def test_what_sounds():
    context = _after([(0, 1, 60, 4), (2, 1, 64, 8)])
    assert context.last == (0, 64, 2)
    assert context.sounding(2) == [(0, 60, 4), (0, 64, 10)]
    assert context.sounding(4) == [(0, 64, 10)]
    assert context.sounding(10) == []
    assert Context(ONE).last is None


def test_the_shift_reaches_the_step_where_a_pitch_is_free():
    low = _steering([Range(60, 61)])
    assert low._open(0, _after([]), 0, 0) == [(0, NEVER)]
    assert low._open(0, _after([(0, 1, 60, 8)]), 1, 0) == [(0, NEVER)]  # 61 stands above it, and is free
    assert low._open(0, _after([(0, 1, 61, 8)]), 1, 0) == [(1, NEVER)]  # 60 lies below
    assert low._open(0, _after([(0, 1, 60, 8), (0, 1, 61, 5)]), 2, 0) == [(5, NEVER)]
    assert low._open(0, _after([(0, 1, 60, 8), (3, 1, 61, 9)]), 2, 0) == [(5, NEVER)]
    assert low._open(0, _after([(0, 1, 60, 8), (3, 1, 61, 9)]), 2, 7) == [(7, NEVER)]


def test_the_shift_reaches_the_first_ending_when_enough_notes_sound():
    two = _steering([MaxPolyphony(2)])
    assert two._open(0, _after([(0, 1, 60, 8)]), 1, 0) == [(0, NEVER)]
    assert two._open(0, _after([(0, 1, 60, 8), (0, 1, 64, 200)]), 2, 0) == [(8, NEVER)]
    # a class that is wider than a step: only the steps from 97 on of 96..101
    spans = two.spans("shift", _event(_after([(0, 1, 60, 99), (0, 1, 64, 200)]), 2))
    with np.errstate(divide="ignore"):
        found = np.log(share_of_classes(spans))
    at = int(TIMES.encode(np.array([99]))[0])
    low, width = int(TIMES.low[at]), int(TIMES.width[at])
    assert low < 99 < low + width
    assert found[0, at] == pytest.approx(math.log((low + width - 99) / width))
    assert found[0, at + 1] == 0 and (found[0, :at] == -np.inf).all()
    assert [steps_within(spans[0], at, place) for place in (0.0, 1 - 2**-53)] == [99, low + width - 1]


def test_a_chord_that_has_no_free_tone_is_left_out():
    """C and then F, bar by bar, nothing but tones, on C4 alone: while it sounds there is none."""
    steering = _steering([Chords.parse("C | C5 | F", math.inf), Range(60, 60)])
    assert steering._open(0, _after([(0, 1, 60, 20)]), 1, 0) == [(20, NEVER)]
    # E4 belongs to C alone; nothing else is left in F but C4, which sounds to the end of it
    steering = _steering([Chords.parse("C | F", math.inf), PitchClasses(frozenset({0, 4}), "C and E"), Range(60, 64)])
    assert steering._open(0, _after([(0, 1, 64, 4), (4, 1, 60, 40)]), 2, 0) == [(0, 12), (28, NEVER)]


def _parts_left(steering, notes, shift, vocabulary=MANY, line_up=None):
    """The part classes that a steering leaves `shift` steps after some notes."""
    context = _after(notes, vocabulary, line_up)
    context.before()
    context.move(shift)
    added = steering.weigh("part", _event(context, len(notes)))
    return np.flatnonzero(added[0] > -np.inf).tolist()


def test_parts_without_a_free_pitch_are_left_out():
    steering, new = _steering([Range(60, 60)], MANY), [NEW, NEW + 40, NEW + DRUMS]
    assert _parts_left(steering, [(0, NEW, 60, 8)], 2) == [END, *new]
    assert _parts_left(steering, [(0, NEW, 60, 8)], 8) == [END, *new, FIRST_PART]
    # Inside a chord no part comes in after one of a higher program.
    assert _parts_left(steering, [(0, NEW + 40, 60, 8)], 0) == [END, *new[1:]]
    # Two parts of one program: the first sounds the only pitch, the other does not.
    two = [(0, NEW, 60, 8), (0, NEW, 60, 2)]
    assert _parts_left(steering, two, 4) == [END, *new, FIRST_PART + 1]


def test_of_a_line_up_only_what_has_still_to_come_in_is_left():
    steering, line_up = _steering([Range(50, 70)], MANY), (0, 0, 40)
    assert _parts_left(steering, [], 0, line_up=line_up) == [END, NEW, NEW + 40]
    assert _parts_left(steering, [(0, NEW, 60, 8)], 2, line_up=line_up) == [END, NEW, NEW + 40, FIRST_PART]
    after = [(0, NEW, 60, 8), (0, NEW, 62, 8), (0, NEW + 40, 61, 8)]
    assert _parts_left(steering, after, 2, line_up=line_up) == [END, FIRST_PART, FIRST_PART + 1, FIRST_PART + 2]


def test_chords_share_a_bar_evenly_and_come_again():
    chords, plan = Chords.parse("C | F G Am"), Plan.from_settings(ONE)
    at = [chords.chord_at(step, plan).name for step in range(64)]
    assert at[:32] == at[32:]
    assert at[:16] == ["C"] * 16
    assert at[16:32] == ["F"] * 6 + ["G"] * 5 + ["Am"] * 5  # from 5 1/3 and 10 2/3 on, at the next step
    assert chords.chord_at(-1, plan).name == "Am"  # before the first whole bar: what leads to it
    changes, step = [], 0
    while step < 64:
        step = chords.change(step, plan)
        changes.append(step)
    assert changes == [16, 22, 27, 32, 48, 54, 59, 64]


def test_a_bias_is_as_strong_as_stated():
    """Two pitches, as probable: with ln 3 nats the chord's tone comes three times as often."""
    steering = _steering([Chords.parse("C", math.log(3)), Range(60, 61)])
    (added,) = steering.weigh("pitch", _event(Context(ONE), 0, parts=[0], programs=[0]))
    assert np.exp(added[60] - added[61]) == pytest.approx(3)
    assert np.flatnonzero(added > -np.inf).tolist() == [60, 61]


def test_the_density_is_met():
    for wish in (0.5, 1.0, 3.0):
        pieces = compose(Wild(ONE, 3, 1.0), 4, 1, length=Length(bars=32), constraints=[Density(wish)])
        assert np.mean([len(piece) / 128 for piece in pieces]) == pytest.approx(wish, rel=0.04)
    free = compose(Wild(ONE, 3, 1.0), 4, 1, length=Length(bars=32))
    assert np.mean([len(piece) / 128 for piece in free]) == pytest.approx(1.05, rel=0.25)


# -- the sampler


def test_the_log_probability_stays_the_models_own():
    """A note's pitch is one of 128 to the model, though two are left; its shift and duration fall by 0.2 a class."""
    steering = _steering([PitchClasses.key("C"), Range(60, 62), Density(20.0)])
    sampler = Sampler(Wild(ONE, spread=0.0), [np.random.default_rng(4)], metres=[(4, 4)], steering=steering)
    sampler.step(may_end=False)
    ((shift, _, pitch, duration, _),) = sampler.rows[0]
    fall = -0.2 * np.arange(TIMES.size)
    of_shift, of_duration = TIMES.encode(np.array([shift, duration])).tolist()
    log_p = fall[of_shift] - np.log(np.exp(fall).sum()) - np.log(2) - np.log(128)  # 2: the program, or the end
    log_p += fall[of_duration] - np.log(np.exp(fall[1:]).sum())
    assert pitch in (60, 62) and max(shift, duration) < TIMES.exact
    assert sampler.log_p[0] == pytest.approx(log_p, abs=1e-5)


def test_a_wish_that_is_none_changes_nothing():
    network = toys.network("many", 1)
    free, wide = (compose(network, 2, 4, length=Length(bars=4), constraints=of) for of in ((), [Range(0, 127)]))
    assert free == wide


def test_a_stream_is_what_it_would_be_in_any_batch():
    network = toys.network("many", 1, -2.0)
    wishes = [PitchClasses.key("C"), Density(2)]
    three, six = (compose(network, n, 11, length=Length(bars=4), constraints=wishes) for n in (3, 6))
    assert three == six[:3]


def test_a_primer_stays_and_what_follows_is_steered():
    primer = toys.sequence_of([(0, 4, 0, 61, 80), (4, 40, 0, 63, 80), (6, 40, 0, 66, 80)])
    wishes = [PitchClasses.key("C"), MaxPolyphony(1)]
    given = Primer.fit(primer, ONE, 8)
    (piece,) = compose(Wild(ONE, 1), length=Length(bars=30), primer=given, constraints=wishes)
    assert piece.notes[:3].tolist() == primer.notes.tolist()
    composed = piece.notes[3:]
    assert len(composed) > 4 and set((composed["pitch"] % 12).tolist()) <= WHITE
    assert composed["onset"][0] >= 46  # both long notes have ended
    assert polyphony(composed) == 1


def test_a_progression_begins_with_the_first_whole_bar_after_a_primer():
    plan = Plan.from_settings(ONE, primer=Primer.fit(toys.sequence_of([(0, 20, 0, 60, 80)]), ONE))
    assert plan.start == 32
    chords = Chords.parse("C | F | G")
    assert [chords.chord_at(step, plan).name for step in (31, 32, 47, 48, 64, 80)] == ["G", "C", "C", "F", "G", "C"]


def test_a_stream_that_is_taken_back_is_steered_on():
    """What a constraint wishes follows from what stands: nothing is left over of what was taken back."""
    plans = [Plan.from_settings(ONE, metre=(4, 4))] * 2
    wishes = [PitchClasses.key("C"), Range(60, 67), MaxPolyphony(2), Density(1.0)]
    steering = Steering(wishes, ONE, plans, programs=programs_of(ONE, None))
    rngs = [np.random.default_rng([1, stream]) for stream in range(2)]
    sampler = Sampler(Wild(ONE, 1, 1.0), rngs, metres=[(4, 4)] * 2, steering=steering)
    for n in (30, 12, 5):
        for _ in range(40):
            sampler.step(may_end=False)
        sampler.rewind(1, n, avoid=(60, 62, 64))
    for _ in range(100):
        sampler.step(may_end=False)
    for rows in sampler.rows:
        notes = decode(rows, ONE).notes
        assert set((notes["pitch"] % 12).tolist()) <= WHITE and 60 <= notes["pitch"].min() <= notes["pitch"].max() <= 67
        assert polyphony(notes) <= 2
        assert len(notes) / notes["onset"][-1] * 4 == pytest.approx(1.0, rel=0.05)
    assert sampler.rows[1][5][2] in (65, 67)


class Leap(Constraint):
    """One's own: no interval wider than `most` semitones between a part's notes."""

    def __init__(self, most):
        self.most = most

    def bias(self, field, at):
        if field != "pitch":
            return None
        last = at.context.last_pitch(at.part)
        if last is None:
            return None
        return np.where(abs(np.arange(128) - last) <= self.most, 0.0, -np.inf)


def test_ones_own():
    (piece,) = compose(Wild(ONE, 2), 1, 1, length=Length(notes=80), constraints=[Leap(3), Range(40, 80)])
    assert abs(np.diff(piece.notes["pitch"])).max() == 3
    (many,) = compose(Wild(MANY, 2), 1, 1, length=Length(notes=80), constraints=[Leap(3), Programs((0, 0, 40))])
    assert many.part_programs.tolist().count(0) == 2
    for part in range(3):
        assert abs(np.diff(many.notes["pitch"][many.notes["part"] == part])).max() <= 3
    (free,) = compose(Wild(ONE, 2), 1, 1, length=Length(notes=80), constraints=[Range(40, 80)])
    assert abs(np.diff(free.notes["pitch"])).max() > 12


class Nothing(Constraint):
    """One's own that leaves no velocity."""

    def bias(self, field, at):
        return np.full(32, -np.inf) if field == "velocity" else None

    def __str__(self):
        return "nothing"


def test_ones_own_that_leaves_nothing_is_named():
    with pytest.raises(SettingError, match="^nothing: no velocity is left; a constraint must leave one"):
        compose(Wild(MANY), constraints=[Nothing()])


# -- what can't be met


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"key": "C:maj", "range": "C#4:C#4"},
         "^key C:maj with range C#4:C#4: no program has a pitch left; widen or leave out one of them$"),
        ({"key": "C:maj", "scale": "C# D#", "range": "0:127", "max_polyphony": 3},
         "^key C:maj with scale C# D#: no program has a pitch left; widen or leave out one of them$"),
        ({"key": "C:maj", "chords": "C | F | G", "chords_only": True, "range": "60:"},
         None),
        ({"key": "C:pentatonic", "chords": "C | Bb5 | G", "chords_only": True, "range": "60:"},
         "^key C:pentatonic with chords 'C | Bb5 | G': no program has a pitch left in bar 2; widen"),
        ({"max_polyphony": 0}, "^max-polyphony 0: expected 1 or more$"),
        ({"density": 0}, "^density 0: expected more than 0 notes a beat$"),
        ({"density": math.nan}, "^density nan: expected more than 0"),
        ({"chord_bias": 2.0}, "^chord-bias: expected chords with it$"),
        ({"chords_only": True}, "^chords-only: expected chords with it$"),
        ({"chords": "C", "chords_only": True, "chord_bias": 1.0}, "^chord-bias and chords-only given: expected at"),
        ({"chords": "C", "chord_bias": -1.0}, r"^chord-bias -1\.0: expected 0\.\.100 nats$"),
        ({"chords": "C | " + "F " * 17}, "^chords: 17 in a bar of 16 steps; expected 16 or fewer$"),
        ({"programs": "1"}, "^programs 1: expected some that this model was trained on, of 0$"),
        ({"programs": "kazoo"}, r"^programs 'kazoo': 'kazoo' is no program; expected 0\.\.127, General MIDI's"),
        ({"programs": "129"}, "^programs '129': '129' is no program"),
        ({"programs": "0,"}, "^programs '0,': '' is no program"),
    ],
)  # fmt: skip
def test_what_cannot_be_met_is_refused_before_the_first_note(settings, message):
    started = []
    if message is None:
        compose(
            Wild(ONE),
            length=Length(bars=4),
            constraints=of_settings(GenerateSettings(**settings)),
            on_start=started.append,
        )
        assert started
        return
    with pytest.raises(SettingError, match=message.replace("|", r"\|")):
        compose(
            Wild(ONE),
            length=Length(bars=4),
            constraints=of_settings(GenerateSettings(**settings)),
            on_start=started.append,
        )
    assert not started


def test_programs_that_the_style_does_not_play():
    vocabulary = Vocabulary(
        BEAT, (40, 43), 4, (64,), ("airs", "reels"),
        statistics=CorpusStatistics(style_qpm=(100.0, 100.0), style_metres=((1,), (1,)), style_programs=((40,), (43,))),
    )  # fmt: skip
    assert set(compose(Wild(vocabulary), style="airs", length=Length(bars=4))[0].programs) == {40}
    # What is asked for comes in all the same.
    (piece,) = compose(Wild(vocabulary), style="airs", length=Length(bars=4), constraints=[Programs((43,))])
    assert piece.part_programs.tolist() == [43]


def test_chords_need_bars_and_density_a_grid_only():
    vocabulary = VOCABULARIES["performance"]
    assert vocabulary.grid == PERFORMANCE
    with pytest.raises(
        SettingError, match="^chords: this model's music has no bars for them to stand in; leave chords"
    ):
        compose(Wild(vocabulary), constraints=[Chords.parse("C")])
    (piece,) = compose(Wild(vocabulary), length=Length(seconds=60), constraints=[Density(4)])
    assert len(piece) / 60 == pytest.approx(4, rel=0.1)


def test_programs_by_name():
    assert Programs.parse("violin, 0 ,Drums,40").programs == (40, 0, DRUMS, 40)  # two violins
    v = Vocabulary(BEAT, (4, 0, 40), 9, (80,), ("rock",), statistics=CorpusStatistics(style_programs=((4, 0),)))
    assert Programs.parse("Piano,sax").families == ("piano", "sax") and Programs.parse("piano").line_up(v) == (4,)


def test_a_line_up_by_families():
    v = Vocabulary(
        BEAT, (33, 0, 40, 48, DRUMS), 9, (80,), ("rock", "quartets"),
        statistics=CorpusStatistics(style_programs=((33, 0, DRUMS), (40,))),
    )  # fmt: skip
    asked = Programs.parse("strings,bass,drums,5")
    assert (asked.programs, asked.families) == ((DRUMS, 5), ("strings", "bass"))
    assert str(asked) == "programs drums,5,strings,bass"
    # Of a family the style's commonest program, else the model's; of two of one family two where there are two.
    assert Programs.parse("strings").line_up(v) == Programs.parse("strings").line_up(v, "quartets") == (40,)
    assert Programs.parse("strings,strings,strings").line_up(v) == (40, 40, 48)
    assert Programs.parse("keys,bass,drums").line_up(v, "quartets") == (0, 33, DRUMS)
    # What plays already is a family's first.
    assert Programs.parse("strings,strings").line_up(v, None, (48,)) == (40, 48)
    with pytest.raises(SettingError, match="^programs brass: this model was trained on no such program$"):
        compose(Wild(v), constraints=[Programs.parse("brass")])
    with pytest.raises(SettingError, match=r"^programs 'bassoons': .* or families \(keys, guitar, bass, strings"):
        Programs.parse("bassoons")


# -- the options

STARTER = Path(__file__).parents[2] / "checkpoints" / "starter.keras"
NAMES = {name for name, known in SETTINGS.items() if known.about.section == "constraint" and name != "constraints"}


def test_the_options_have_one_name_everywhere():
    options = {parameter.name: parameter for parameter in command.params}
    assert set(options) >= NAMES
    for name in NAMES:
        assert options[name].opts == ["--" + name.replace("_", "-")]
    assert options["metre"].opts == ["--metre", "--meter"]
    assert f"[default: {CHORD_BIAS:g}]" in options["chord_bias"].help


def test_the_key_that_is_asked_for_is_written_where_it_begins():
    v = toys.VOCABULARIES["many"]
    given = replace(toys.sequence_of([(0, 4, 0, 60, 80)]), keys=np.array([(0, 0, 0)], KEY))
    for asked, keys in (("Gb", [-6]), ("F#", [6]), ("C:chromatic", [])):
        (alone,) = compose(toys.network("many"), length=Length(bars=1), constraints=[PitchClasses.key(asked)])
        assert alone.keys["fifths"].tolist() == keys
        assert midi.read(midi.to_bytes(alone)).sequence.keys["fifths"].tolist() == keys
    primer = Primer.fit(given, v)
    for asked, keys in (("Gb", [0, -6]), ("C", [0])):
        (piece,) = compose(
            toys.network("many"), length=Length(bars=1), primer=primer, constraints=[PitchClasses.key(asked)]
        )
        assert piece.keys["fifths"].tolist() == keys
        assert piece.keys["step"][-1] == (16 if len(keys) > 1 else 0)


def test_pieces_are_steered_by_options_as_by_constraints():
    wishes = {"key": "D:dorian", "range": "C3:C5", "max_polyphony": 2, "programs": "violin,41"}
    (piece,) = generate(STARTER, bars=4, seed=1, **wishes)
    assert set((piece.notes["pitch"] % 12).tolist()) <= WHITE
    assert 48 <= piece.notes["pitch"].min() and piece.notes["pitch"].max() <= 72
    assert polyphony(piece.notes) <= 2 and set(piece.programs) <= {40, 41}
    assert piece.provenance.settings["key"] == "D:dorian" and "density" not in piece.provenance.settings
    own = [PitchClasses.key("D:dorian"), Range(48, 72), MaxPolyphony(2), Programs((40, 41))]
    assert generate(STARTER, bars=4, seed=1, constraints=own)[0].notes.tolist() == piece.notes.tolist()


def test_what_is_wrong_is_said_by_generate():
    with pytest.raises(SettingError, match="^key 'H:maj': expected a tonic"):
        generate(STARTER, key="H:maj")
    with pytest.raises(SettingError, match="^programs 3: expected some that this model was trained on, of 0, 1, 4"):
        generate(STARTER, programs="honky-tonk piano")
