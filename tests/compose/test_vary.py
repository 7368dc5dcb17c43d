"""Variations: places stay, the share that is kept stays, the rest is the model's and breaks no rule."""

import dataclasses
import math

import numpy as np
import pytest
import toys
from click.testing import CliRunner
from test_accompany import Chain
from toys import BEAT, PERFORMANCE, VOCABULARIES, sequence_of

from melodygru import generate, midi
from melodygru.analysis.explain import Tracer
from melodygru.cli import main
from melodygru.compose import Controls, Particles, vary
from melodygru.compose.varying import STRETCH, SameRhythm, fill_in, kept
from melodygru.errors import MidiError, SettingError
from melodygru.events import END, FIRST_PART, NEW
from melodygru.model import checkpoint
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.notes import TEMPO, NoteSequence, canonical
from melodygru.music.quantize import quantize

PLACE = ["onset", "duration", "part", "program", "velocity"]
SCALE = sequence_of([(i, 1, 0, 40 + i, 80) for i in range(64)])  # four bars of 16 notes


# -- which notes stay


@pytest.mark.parametrize(("keep", "n_kept"), [(0, 0), (0.25, 16), (0.7, 45), (0.5, 32), (0.999, 64), (1, 64)])
def test_the_share_that_is_asked_for_stays(keep, n_kept):
    for seed in range(5):
        assert kept(SCALE, keep, np.random.default_rng(seed)).sum() == n_kept


def test_what_goes_goes_in_whole_bars():
    found = {tuple(kept(SCALE, 0.5, np.random.default_rng(seed)).reshape(4, 16).sum(1)) for seed in range(40)}
    assert len(found) == 6  # two bars of four, in every way
    assert all(sorted(bars) == [0, 0, 16, 16] for bars in found)
    stays = kept(SCALE, 0.9, np.random.default_rng(0)).reshape(4, 16)
    (bar,) = np.flatnonzero(~stays.all(1))
    assert stays[bar].tolist() == [False] * 6 + [True] * 10


def test_without_bars_it_goes_in_stretches():
    played = NoteSequence(SCALE.notes, PERFORMANCE, SCALE.length)
    stays = kept(played, 0.5, np.random.default_rng(1)).reshape(-1, STRETCH).sum(1)
    assert sorted(stays.tolist()) == [0, 0, 16, 16]


def test_chords_of_a_part_stay_whole():
    chords = sequence_of([(i, 1, p, 60 + k, 80) for i in range(16) for p in (0, 1) for k in range(3)])
    for seed in range(4):
        stays = kept(chords, 0.45, np.random.default_rng(seed)).reshape(32, 3)
        assert set(stays.sum(1).tolist()) <= {0, 3}
        assert 0.45 * 96 <= stays.sum() < 0.45 * 96 + 3


# -- whole pieces


@pytest.mark.parametrize("name", list(VOCABULARIES))
def test_places_stay_whatever_the_model(name):
    piece, network = toys.piece(VOCABULARIES[name], 2, 40), toys.network(name)
    for variation in vary(network, piece, 0.4, 2, seed=5, particles=4, controls=Controls(top_p=0.95)):
        assert variation.notes[PLACE].tolist() == piece.notes[PLACE].tolist()
        same = np.mean(variation.notes["pitch"] == piece.notes["pitch"])
        assert 0.4 <= same < 0.8
        assert (variation.length, variation.metre, variation.grid) == (piece.length, piece.metre, piece.grid)
    again = vary(network, piece, 0.4, seed=5, particles=4, controls=Controls(top_p=0.95))
    assert again[0] == vary(network, piece, 0.4, 2, seed=5, particles=4, controls=Controls(top_p=0.95))[0]


@pytest.mark.parametrize("name", list(VOCABULARIES))
def test_a_piece_that_is_kept_whole_is_the_piece(name):
    piece = toys.piece(VOCABULARIES[name], 3)
    piece.notes["velocity"] = np.arange(1, len(piece) + 1)  # which no bin decodes to
    if piece.grid.is_metrical:
        piece = dataclasses.replace(piece, tempos=np.array([(0, 500_000), (8, 600_000)], TEMPO))
    (variation,) = vary(toys.network(name), piece, 1.0, particles=3)
    assert variation == piece
    assert variation.notes.tobytes() == piece.notes.tobytes()


def test_variations_differ_and_follow_from_the_seed():
    piece, network = toys.piece(VOCABULARIES["one"], 2, 40), toys.network("one")
    found = [vary(network, piece, 0.2, seed=seed, particles=2)[0].notes.tobytes() for seed in (1, 2, 1)]
    assert found[0] == found[2] != found[1]
    (slower,) = vary(network, piece, 0.2, seed=1, particles=2, qpm=60)
    assert slower.notes.tobytes() == found[0]
    assert slower.tempos.tolist() == [(0, 1_000_000)]


def test_particles_know_of_the_notes_to_come():
    # Notes at 0, 1, 2; the middle one goes: p(pitch) is in proportion to p(pitch | first) p(rest | pitch).
    chain = Chain((0,))
    piece = sequence_of([(0, 1, 0, 60, 80), (1, 1, 0, 60, 80), (2, 1, 0, 61, 80)], 3)
    p = {}
    for pitch in (51, 60, 61):
        after = chain.shift[pitch % 2][1] * chain.pitch[pitch % 2][61]
        # Nothing sounds at any onset here, so that a note is as probable as the network wants it beside an end.
        p[pitch] = (
            chain.pitch[0][pitch]
            * chain.duration[pitch % 2][1]
            * chain.part[pitch % 2][NEW]
            / (chain.part[pitch % 2][NEW] + chain.part[pitch % 2][END])
            * after
        )
    n = 4000
    particles = Particles(chain, n, np.random.default_rng(0), piece=piece)
    for _ in fill_in(particles, SameRhythm(chain.vocabulary, piece, np.array([True, False, True]))):
        pass
    weights = np.exp(particles.log_weights - particles.log_weights.max())
    chosen = np.array([rows[1][2] for rows in particles.rows])
    for pitch, right in p.items():
        share = weights[chosen == pitch].sum() / weights.sum()
        assert share == pytest.approx(right / sum(p.values()), abs=4 * math.sqrt(0.25 / n))


def test_log_p_is_the_models_own_of_the_piece_it_wrote(tmp_path):
    from melodygru.model.keras_model import save

    save(toys.model("one_loud"), tmp_path / "toy.keras")
    v, piece = VOCABULARIES["one_loud"], toys.piece(VOCABULARIES["one_loud"], 1)
    particles = Particles(toys.network("one_loud"), 3, np.random.default_rng(0), piece=piece)
    for _ in fill_in(particles, SameRhythm(v, piece, kept(piece, 0.5, particles.rng))):
        particles.resample()
    notes = piece.notes.copy()
    notes["pitch"] = [row[2] for row in particles.rows[2]]
    nats = (
        Tracer(NumpyModel(checkpoint.read(tmp_path / "toy.keras"))).trace(dataclasses.replace(piece, notes=notes)).nats
    )
    assert -particles.log_p[2] == pytest.approx(nats.sum(), rel=1e-4)


# -- rules


def test_a_note_leaves_room_for_its_chord_and_for_what_stays():
    piece = sequence_of([(0, 4, 0, 60, 80), (1, 2, 0, 50, 80), (1, 2, 0, 55, 80), (2, 1, 0, 70, 80), (6, 1, 0, 61, 80)])
    v = VOCABULARIES["one"]
    guide = SameRhythm(v, piece, np.array([True, False, False, True, True]))
    particles = Particles(toys.network("one"), 1, np.random.default_rng(0), piece=piece)
    context = particles.contexts[0]
    context.move(0)
    context.add(1, 60, 4)
    guide.at = 1
    context.move(1)
    # 60 sounds, 70 is struck while the note sounds, and one note of the chord is to stand above.
    assert np.flatnonzero(~guide.pitches(context, 1)).tolist() == [60, 70, 127]
    context.add(1, 125, 2)
    context.move(0)
    guide.at = 2
    assert np.flatnonzero(guide.pitches(context, 1)).tolist() == [126, 127]


def test_parts_of_one_program_do_not_mind_each_other():
    """Two parts strike one pitch at one step; one that stays is free to the other."""
    v = VOCABULARIES["duet"]
    piece = sequence_of([(0, 4, 0, 60, 80), (0, 4, 0, 60, 80), (2, 1, 0, 64, 80)], parts=[0, 1, 1])
    guide = SameRhythm(v, piece, np.array([False, True, True]))
    context = Particles(toys.network("duet"), 1, np.random.default_rng(0), piece=piece).contexts[0]
    context.move(0)
    assert np.flatnonzero(guide.parts(context)).tolist() == [NEW]
    assert guide.pitches(context, NEW).all()
    context.add(NEW, 60, 4)
    guide.at = 1
    context.move(0)
    assert np.flatnonzero(guide.parts(context)).tolist() == [NEW]
    context.add(NEW, 60, 4)
    guide.at = 2
    context.move(2)
    assert np.flatnonzero(guide.parts(context)).tolist() == [FIRST_PART + 1]


def test_names_stay_and_the_line_up_is_known():
    rows = [(at, 1, 0, 60 + at, 80) for at in range(8)]
    piece = dataclasses.replace(sequence_of(rows, parts=[0, 1] * 4), names=("First", "Second"))
    plans = []
    (variation,) = vary(toys.network("duet"), piece, 0.5, particles=2, on_start=plans.extend)
    assert variation.part_names == ("First", "Second")
    assert [plan.line_up for plan in plans] == [(0, 0)]


def test_a_chord_without_room_is_said():
    cluster = sequence_of([(0, 2, 0, pitch, 80) for pitch in range(128)] + [(1, 1, 40, 60, 80)])
    v = VOCABULARIES["styles"]
    stays = np.array([False] + [True] * 127 + [False])
    guide = SameRhythm(v, cluster, stays)
    context = Particles(toys.network("styles"), 1, np.random.default_rng(0), piece=cluster).contexts[0]
    assert np.flatnonzero(guide.pitches(context, 1)).tolist() == [0]
    guide = SameRhythm(v, cluster, np.array([False] * 2 + [True] * 127))
    context.move(0)
    context.add(NEW, 0, 2)
    context.move(0)
    context.add(FIRST_PART, 1, 2)
    guide.at = 1
    with pytest.raises(SettingError, match="^note 1 of the piece has no pitch left beside those that its part sounds"):
        guide.pitches(context, FIRST_PART)


@pytest.mark.parametrize("keep", [-0.01, 1.01, float("nan")])
def test_a_share_out_of_range_is_refused(keep):
    with pytest.raises(SettingError, match=rf"^keep {keep}: expected 0\.\.1$"):
        vary(Chain(), SCALE, keep)


def test_nothing_cannot_be_varied():
    with pytest.raises(SettingError, match="^nothing to vary: expected a piece with notes$"):
        vary(Chain(), sequence_of([], 16, BEAT), 0.5)


# -- from Python and the command line


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A checkpoint of three programs, and a piece of two of them."""
    from melodygru.model.keras_model import save

    path = tmp_path_factory.mktemp("model") / "toy.keras"
    save(toys.model("many", end_bias=2.0), path)
    return path


PIECE = sequence_of([(2 * i, 2, 40 * (i % 2), 60 + i, 80) for i in range(16)], 32)


def test_generate_varies_a_file_or_a_sequence(model, tmp_path):
    midi.write(PIECE, tmp_path / "piece.mid")
    made = [generate(model, vary=given, seed=3, keep=0.5) for given in (PIECE, tmp_path / "piece.mid")]
    assert made[0] == made[1] == vary_by(model, PIECE, 0.5, 3)
    (piece,) = made[0]
    assert piece.notes[PLACE].tolist() == PIECE.notes[PLACE].tolist()
    assert generate(model, vary=PIECE, seed=3) == vary_by(model, PIECE, 0.7, 3)
    (whole,) = generate(model, vary=PIECE, keep=1)
    assert whole.notes.tobytes() == PIECE.notes.tobytes()
    assert generate(model, vary=PIECE, seed=3, keep=0.5, particles=1)[0] != piece


def vary_by(model, piece, keep, seed):
    """What `compose.vary` makes with the defaults of `generate`."""
    return vary(NumpyModel(checkpoint.read(model)), piece, keep, seed=seed, controls=Controls(top_p=0.95))


def test_generate_accompanies(model, tmp_path):
    line = dataclasses.replace(PIECE, notes=canonical(PIECE.notes[PIECE.notes["program"] == 40])[0])
    midi.write(line, tmp_path / "line.mid")
    made = [generate(model, accompany=given, seed=3, particles=4) for given in (line, tmp_path / "line.mid")]
    assert made[0] == made[1]
    (piece,) = made[0]
    bare = ["onset", "duration", "program", "pitch", "velocity"]
    number = [part for part in range(len(piece.part_programs)) if piece.part_programs[part] == 40]
    assert any(piece.notes[piece.notes["part"] == part][bare].tolist() == line.notes[bare].tolist() for part in number)


def test_it_is_said_when_nothing_was_added(model, caplog):
    one = sequence_of([(0, 1, 40, 60, 80)], 1)
    lonely = [piece for seed in range(8) for piece in generate(model, accompany=one, seed=seed, particles=1)]
    said = [record.message for record in caplog.records]
    assert len(said) == sum(len(piece) == 1 for piece in lonely)
    assert 0 < len(said) < 8
    assert said[0].startswith("the piece that is given: nothing was added in 1 piece; name parts to add with programs")


EMPTY = sequence_of([], 16)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"vary": PIECE, "accompany": PIECE}, "^vary goes without accompany: leave one out$"),
        ({"vary": PIECE, "primer": PIECE, "bars": 3}, "^vary goes without bars, primer: leave one out$"),
        ({"accompany": PIECE, "keep": 0.5}, "^accompany goes without keep: leave one out$"),
        ({"accompany": PIECE, "metre": (3, 4)}, "^accompany goes without metre: leave one out$"),
        ({"keep": 0.5}, r"^keep 0\.5: expected vary with it$"),
        ({"particles": 5}, "^particles 5: expected vary or accompany with it$"),
        ({"vary": EMPTY}, "^the piece that is given holds no note: expected a piece to vary$"),
        ({"accompany": EMPTY}, "^the piece that is given holds no note: expected a piece to accompany$"),
        ({"vary": PIECE, "particles": 0}, r"^particles 0: expected 1\.\.4096$"),
        ({"vary": PIECE, "keep": 1.5}, r"^keep 1\.5: expected 0\.\.1$"),
    ],
)
def test_generate_refuses_what_does_not_go_together(model, values, message):
    with pytest.raises(SettingError, match=message):
        generate(model, **values)


def test_a_file_without_notes_is_named(model, tmp_path):
    midi.write(EMPTY, tmp_path / "empty.mid")
    for how in ("vary", "accompany"):
        with pytest.raises(SettingError, match=rf"^\S*empty\.mid holds no note: expected a piece to {how}$"):
            generate(model, **{how: tmp_path / "empty.mid"})
        with pytest.raises(MidiError, match=r"^\S*gone\.mid: "):
            generate(model, **{how: tmp_path / "gone.mid"})


@pytest.mark.parametrize("options", [("--vary", "--keep", "0.5"), ("--accompany", "--particles", "3")])
def test_the_command_line_does_the_same(model, tmp_path, options):
    line = dataclasses.replace(PIECE, notes=canonical(PIECE.notes[PIECE.notes["program"] == 0])[0])
    midi.write(line, tmp_path / "line.mid")
    how, *others = options
    arguments = ["generate", "--model", str(model), "--seed", "4", "-o", str(tmp_path), how, str(tmp_path / "line.mid")]
    result = CliRunner().invoke(main, [*arguments, *others])
    assert result.exit_code == 0, result.output
    written = quantize(midi.read(tmp_path / "toy-4-1.mid").sequence, BEAT)[0]
    settings = {others[0].strip("-"): float(others[1]) if others[0] == "--keep" else int(others[1])}
    (piece,) = generate(model, seed=4, **{how.strip("-"): line}, **settings)
    assert written.notes.tolist() == piece.notes.tolist()
    result = CliRunner().invoke(main, [*arguments, "--bars", "2"])
    assert (result.exit_code, result.output.splitlines()[-1]) == (
        1,
        f"melodygru: {how.strip('-')} goes without bars: leave one out",
    )
