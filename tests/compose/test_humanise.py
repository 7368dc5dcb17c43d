"""Humanise: what of a score stays, the windows that a model plays in, the file that comes of it, replay."""

import json
from fractions import Fraction

import numpy as np
import pytest
import toys
from click.testing import CliRunner

from melodygru import midi
from melodygru.cli import main
from melodygru.compose.composer import Composer
from melodygru.compose.expression import FREE_S, LAG_S, RUBATO, SPREAD_S, Player
from melodygru.compose.humanise_settings import HumaniseSettings
from melodygru.compose.original import Original
from melodygru.compose.primer import Source
from melodygru.compose.replay import replay
from melodygru.errors import SettingError
from melodygru.midi.editing import Editor, Pedal
from melodygru.model import checkpoint
from melodygru.model.keras_model import save
from melodygru.music.grid import Grid
from melodygru.music.notes import note_array
from melodygru.music.quantize import quantize

# Chords, a repeated note, a rest; at 100 a minute, then at 80.
ROWS = [
    (0, 240, 0, 60, 70), (0, 240, 0, 64, 70), (0, 960, 0, 48, 70),
    (240, 240, 0, 62, 70), (480, 240, 0, 62, 70), (720, 240, 0, 67, 70),
    (960, 960, 0, 60, 70), (960, 960, 0, 52, 70), (2400, 480, 0, 72, 70), (2400, 480, 0, 55, 70),
]  # fmt: skip


def score(programs=(0,)):
    rows = [(*row[:2], programs[at % len(programs)], *row[3:]) for at, row in enumerate(ROWS)]
    sequence = toys.sequence_of(rows, 2880, Grid.beats(480))
    tempos = np.array([(0, 600_000), (960, 750_000)], sequence.tempos.dtype)
    return type(sequence)(sequence.notes, sequence.grid, sequence.length, tempos)


@pytest.fixture(scope="module")
def composers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    found = {}
    for name in ("performance", "ensemble", "one_loud", "one"):
        save(toys.model(name, 1), folder / f"{name}.keras")
        found[name] = Composer(checkpoint.read(folder / f"{name}.keras"))
    return found


def by_pitch(sequence):
    """(pitch, rank among its equals) -> onset in seconds, end in seconds, velocity."""
    found, counts = {}, {}
    for note in sequence.notes:
        pitch = int(note["pitch"])
        counts[pitch] = counts.get(pitch, 0) + 1
        times = (float(sequence.step2second(at)) for at in (note["onset"], note["onset"] + note["duration"]))
        found[pitch, counts[pitch]] = (*times, int(note["velocity"]))
    return found


@pytest.mark.parametrize("keep_tempo", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_pitches_and_order_stay_and_times_are_near(composers, seed, keep_tempo):
    old = score()
    (made,) = composers["performance"].humanise(old, HumaniseSettings(seed=seed, keep_tempo=keep_tempo))
    before, after = by_pitch(old), by_pitch(made)
    assert before.keys() == after.keys()
    first = {onset: min(after[key][0] for key in before if before[key][0] == onset) for onset, *_ in before.values()}
    step = 0.0101  # a step of the grid, and the file's ticks
    for key, (onset, _, _) in before.items():
        assert abs(after[key][0] - onset) <= (FREE_S + SPREAD_S if keep_tempo else LAG_S + SPREAD_S) + step
        assert after[key][0] - first[onset] <= SPREAD_S + step
    at = sorted(first)
    assert [first[one] for one in at] == sorted(first.values())
    if not keep_tempo:
        for one, two in zip(at, at[1:], strict=False):
            assert abs((first[two] - first[one]) / (two - one) - 1) <= RUBATO + (FREE_S + 2 * step) / (two - one)
    assert np.array_equal(made.tempos, old.tempos) == keep_tempo


def test_a_beat_stays_a_beat_where_the_tempo_changes(composers):
    (made,) = composers["performance"].humanise(score(), HumaniseSettings(seed=1))
    notes = made.notes
    assert len(made.tempos) > 2
    assert {int(at) % 480 for at in made.tempos["step"]} == {0}
    for pitch, tick in ((67, 720), (72, 2400)):
        (onset,) = notes["onset"][notes["pitch"] == pitch]
        assert abs(onset - tick) <= 480 * 0.1


def test_what_is_written_is_what_was_played(composers):
    """Read again and put on the grid, pedals and tempos included."""
    composer, old = composers["performance"], score()
    original = Original.of(Source("a", old), composer.vocabulary)
    player = Player(composer.model, original)
    rng = np.random.default_rng(np.random.SeedSequence(5).spawn(1)[0])
    (played,) = player.play([rng], keep_tempo=False, temperature=0.7, particles=4)
    (made,) = composer.humanise(old, HumaniseSettings(seed=5, temperature=0.7, particles=4))
    read = midi.read(made.midi()).sequence
    on_grid = quantize(read, composer.vocabulary.grid)[0].notes
    expected = sorted(np.stack([played.onset, played.duration, player.score.pitch, played.velocity], 1).tolist())
    assert sorted(map(list, on_grid[["onset", "duration", "pitch", "velocity"]].tolist())) == expected
    assert made.nats == pytest.approx(played.nats / len(ROWS))


def test_strength_is_a_share_of_the_way(composers):
    old = score()
    made = {}
    for strength in (0.5, 1.0):
        settings = HumaniseSettings(seed=2, strength=strength, keep_tempo=True)
        (made[strength],) = composers["performance"].humanise(old, settings)
    before, half, whole = by_pitch(old), by_pitch(made[0.5]), by_pitch(made[1.0])
    for key, was in before.items():
        for at in (0, 1):
            assert half[key][at] - was[at] == pytest.approx((whole[key][at] - was[at]) / 2, abs=0.005)
        assert abs(half[key][2] - (was[2] + whole[key][2]) / 2) <= 0.5
    assert any(abs(whole[key][0] - before[key][0]) > 0.009 for key in before)


def test_without_strength_the_file_is_given_back_byte_for_byte(composers, tmp_path):
    data = midi.to_bytes(score())
    data = data[:-4] + b"\x00\xff\x2f\x00"
    path = tmp_path / "a.mid"
    path.write_bytes(data)
    made = composers["performance"].humanise(path, HumaniseSettings(strength=0, num_outputs=2))
    assert [one.midi() for one in made] == [data] * 2
    made[0].save(tmp_path / "b.mid")
    assert (tmp_path / "b.mid").read_bytes() == data
    assert made[0].nats == made[0].before > 0


def test_performances_are_ranked_different_and_repeatable(composers):
    settings = HumaniseSettings(seed=3, num_outputs=3)
    made = composers["performance"].humanise(score(), settings)
    assert [one.rank for one in made] == [1, 2, 3]
    assert made[0].nats <= made[1].nats <= made[2].nats
    assert len({one.midi() for one in made}) == 3
    assert [one.midi() for one in composers["performance"].humanise(score(), settings)] == [one.midi() for one in made]


def test_several_parts_keep_their_programs(composers):
    old = score((40, 0, 56))
    (made,) = composers["ensemble"].humanise(old, HumaniseSettings(seed=1))
    of = {(int(n["program"]), int(n["pitch"])) for n in old.notes}
    assert {(int(n["program"]), int(n["pitch"])) for n in made.notes} == of
    assert set(made.notes["velocity"].tolist()) == {70}  # of which this model knows one alone


def test_a_model_of_beats_gives_velocities_alone(composers):
    old = score()
    (made,) = composers["one_loud"].humanise(old, HumaniseSettings(seed=1))
    names = ["onset", "duration", "pitch"]
    assert made.notes[names].tolist() == old.notes[names].tolist()
    assert np.array_equal(made.tempos, old.tempos)
    assert len(set(made.notes["velocity"].tolist())) > 1


def test_what_is_refused(composers):
    with pytest.raises(SettingError, match=r"this model knows no expression, .* expected a model of performances"):
        composers["one"].humanise(score())
    with pytest.raises(SettingError, match=r"strength 1.5: expected 0..1"):
        HumaniseSettings(strength=1.5)
    with pytest.raises(SettingError, match="holds no note: expected a piece to play"):
        composers["performance"].humanise(toys.sequence_of([], 4))


def test_pedals_and_tempos_take_the_place_of_those_in_the_file():
    """b04000 at 0 and a tempo at 96 go; the keys of two notes are released early, and held by the new pedal."""
    track = bytes.fromhex("00b0407f 00904050 60ff51030927c0 00804000 60b04000 00ff2f00".replace(" ", ""))
    head = b"MThd" + bytes([0, 0, 0, 6, 0, 1, 0, 1, 0, 96])
    editor = Editor(head + b"MTrk" + len(track).to_bytes(4, "big") + track)
    assert editor.channels.tolist() == [0]
    notes = note_array([(10, 20, 0, 60, 80), (12, 30, 0, 64, 80)], [0, 0])
    data = editor.exchange(np.zeros(1, bool), notes, pedals=[Pedal(0, 25, 90)], tempos=[(0, 400_000), (48, 450_000)])
    read = midi.read(data).sequence
    assert read.notes[["onset", "duration", "pitch"]].tolist() == [(10, 80, 60), (12, 78, 64)]
    assert read.tempos.tolist() == [(0, 400_000), (48, 450_000)]
    assert read.grid.steps_per_beat == Fraction(96)


def test_the_command_plays_and_replays(composers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    midi.write(score(), "a.mid")
    save(toys.model("performance", 1), "m.keras")
    result = CliRunner().invoke(main, ["humanise", "a.mid", "--model", "m.keras", "--seed", "4", "-n", "2", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [one["rank"] for one in found["outputs"]] == [1, 2]
    assert found["outputs"][0]["midi"] == "humanised/a-4-1.mid"
    again = replay("humanised/a-4-2.mid", model="m.keras", piece="a.mid")
    assert again.identical, again.verdict
    result = CliRunner().invoke(main, ["humanise", "a.mid", "--model", "m.keras", "--strength", "0", "--seed", "4"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "humanised/a-4-take2-1.mid").read_bytes() == (tmp_path / "a.mid").read_bytes()
