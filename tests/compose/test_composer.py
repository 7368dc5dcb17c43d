"""A composer: a checkpoint read once, the same bytes from any thread, and music without an end."""

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import toys

import melodygru
from melodygru.compose import stream as stream_module
from melodygru.compose.composer import Composer, generate
from melodygru.compose.settings import GenerateSettings
from melodygru.errors import CheckpointError, SettingError
from melodygru.midi import to_bytes
from melodygru.model import checkpoint
from melodygru.model.keras_model import save

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "starter.keras"


@pytest.fixture(scope="module")
def composer():
    return Composer.load(SHIPPED)


@pytest.fixture
def toy(tmp_path):
    """A toy checkpoint in a file."""
    save(toys.model("many", 1, -1.0), tmp_path / "toy.keras")
    return tmp_path / "toy.keras"


def written(pieces):
    return [to_bytes(piece, piece.texts) for piece in pieces]


def test_it_is_offered_by_the_package():
    assert melodygru.Composer is Composer
    assert melodygru.GenerateSettings is GenerateSettings


def test_a_checkpoint_is_read_once(toy, monkeypatch):
    reads = []
    read = checkpoint.read
    monkeypatch.setattr(checkpoint, "read", lambda path: reads.append(path) or read(path))
    first = generate(toy, seed=1, notes=5)
    assert generate(str(toy), seed=1, notes=5) == first
    assert Composer.load(toy) is Composer.load(toy)
    assert reads == [toy]
    os.utime(toy, (1, 1))  # as another file of the same size would be
    assert generate(toy, seed=1, notes=5) == first
    assert reads == [toy, toy]


def test_a_damaged_checkpoint_is_no_composer(tmp_path):
    (tmp_path / "bad.keras").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"bad\.keras: not a readable"):
        Composer.load(tmp_path / "bad.keras")


def test_generate_takes_a_composer_a_checkpoint_or_a_path(toy):
    loaded = checkpoint.read(toy)
    ways = [generate(given, seed=1, notes=9) for given in (toy, loaded, Composer(loaded), Composer.load(toy))]
    assert written(ways[0]) == written(ways[1]) == written(ways[2]) == written(ways[3])
    settings = GenerateSettings(seed=1, notes=9)
    assert written(Composer.load(toy).generate(settings)) == written(ways[0])


def test_eight_threads_compose_what_they_would_one_after_another(composer):
    tasks = [
        GenerateSettings(seed=seed, notes=24, num_outputs=1 + seed % 2, key="C:maj" if seed % 3 == 0 else None)
        for seed in range(8)
    ]
    one_by_one = [written(composer.generate(settings)) for settings in tasks]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda settings: written(composer.generate(settings)), tasks))
    assert together == one_by_one


class TestStream:
    def test_piece_follows_piece_in_time(self, composer):
        notes = composer.stream(GenerateSettings(seed=1))
        first = [next(notes) for _ in range(150)]
        onsets = [note.onset_s for note in first]
        assert onsets == sorted(onsets) and onsets[0] >= 0
        assert all(note.duration_s > 0 for note in first)

    def test_the_same_seed_composes_the_same(self, composer):
        one, two = (composer.stream(GenerateSettings(seed=1)) for _ in range(2))
        assert [next(one) for _ in range(50)] == [next(two) for _ in range(50)]
        other = composer.stream()
        assert [next(other) for _ in range(50)] != [next(composer.stream()) for _ in range(50)]

    def test_another_style_begins_at_the_next_bar(self, composer, monkeypatch):
        styles, begun = composer.vocabulary.styles, []
        sampler_for = stream_module.sampler_for
        monkeypatch.setattr(
            stream_module,
            "sampler_for",
            lambda *a, style, **k: begun.append(style) or sampler_for(*a, style=style, **k),
        )
        notes = composer.stream(GenerateSettings(seed=1, style=styles[0], qpm=120))
        before = [next(notes) for _ in range(10)]
        notes.style = styles[1]
        while len(begun) == 1:
            after = next(notes)
        assert begun == [styles[0], styles[1]]
        assert after.onset_s >= before[-1].onset_s

    def test_another_temperature_holds_from_the_next_note(self, composer):
        one, two = (composer.stream(GenerateSettings(seed=1)) for _ in range(2))
        assert [next(one) for _ in range(5)] == [next(two) for _ in range(5)]
        two.temperature = 0.0
        assert two.temperature == 0
        next(one), next(two)
        assert [next(one) for _ in range(40)] != [next(two) for _ in range(40)]
        with pytest.raises(SettingError, match=r"^temperature 11: expected 0\.\.10$"):
            two.temperature = 11

    def test_another_speed_holds_from_the_next_note(self, composer):
        one, two = (composer.stream(GenerateSettings(seed=1, qpm=100)) for _ in range(2))
        before = [(next(one), next(two)) for _ in range(6)]
        assert all(slow == fast for slow, fast in before)
        two.speed = 2.0
        last = before[-1][0].onset_s
        for _ in range(60):
            slow, fast = next(one), next(two)
            assert fast.onset_s - last == pytest.approx((slow.onset_s - last) / 2)
            assert fast.duration_s == pytest.approx(slow.duration_s / 2)
            assert fast.pitch == slow.pitch

    def test_constraints_hold(self, composer):
        notes = composer.stream(GenerateSettings(seed=1, scale="C D E G A"))
        assert {next(notes).pitch % 12 for _ in range(60)} <= {0, 2, 4, 7, 9}

    def test_what_it_refuses(self, composer):
        with pytest.raises(SettingError, match="style 'polka': this model knows"):
            composer.stream(GenerateSettings(style="polka"))
        with pytest.raises(SettingError, match="^stream goes without bars, primer: leave one out$"):
            composer.stream(GenerateSettings(bars=4, primer="x.mid"))
        with pytest.raises(SettingError, match="^max-copy: this model has no index"):
            Composer(dataclasses.replace(composer.checkpoint, path=None)).stream(GenerateSettings(max_copy=20))
        stream = composer.stream()
        with pytest.raises(SettingError, match="style 'polka': this model knows"):
            stream.style = "polka"
