"""The Python API: pieces from a checkpoint without TensorFlow, that save themselves."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import toys
from toys import BEAT, VOCABULARIES

import melodygru
from melodygru import midi
from melodygru.compose.composer import generate
from melodygru.compose.composition import Composition
from melodygru.errors import AudioError, CheckpointError, MidiError, SettingError
from melodygru.events import fit_vocabulary
from melodygru.model import checkpoint
from melodygru.model.keras_model import save
from melodygru.music.notes import NOTE, NoteSequence
from melodygru.music.quantize import quantize


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A toy checkpoint, whose model ends its pieces soon."""
    path = tmp_path_factory.mktemp("compose") / "toy.keras"
    save(toys.model("many", 1, -1.0), path, {"recorded": "2026-01-01"})
    return path


PRIMER = toys.sequence_of([(0, 4, 0, 60, 82), (4, 4, 40, 64, 82), (8, 8, 0, 67, 82)], 16)


@pytest.fixture
def primer_file(tmp_path):
    midi.write(PRIMER, tmp_path / "primer.mid")
    return tmp_path / "primer.mid"


def test_it_is_offered_by_the_package():
    assert melodygru.generate is generate
    assert melodygru.Composition is Composition


def test_one_piece_until_the_model_ends_it_is_the_default(path):
    (piece,) = generate(path, seed=3)
    assert isinstance(piece, Composition)
    assert isinstance(piece, NoteSequence)
    assert piece.seed == 3
    assert piece.metre in VOCABULARIES["many"].metres
    assert piece.grid == BEAT


def test_without_a_seed_each_piece_is_another(path):
    pieces = [generate(path, notes=20)[0] for _ in range(3)]
    assert len({piece.seed for piece in pieces}) == 3
    assert len({piece.notes.tobytes() for piece in pieces}) == 3
    (again,) = generate(str(path), notes=20, seed=pieces[0].seed)
    assert again == pieces[0]


def test_the_same_seed_gives_the_same_bytes(path, tmp_path):
    data = []
    for attempt in range(2):
        for number, piece in enumerate(generate(path, num_outputs=3, seed=7, notes=25, temperature=0.9, top_p=0.95)):
            piece.save(tmp_path / f"{attempt}-{number}.mid")
            data.append((tmp_path / f"{attempt}-{number}.mid").read_bytes())
    assert data[:3] == data[3:]
    assert len(set(data)) == 3


def test_settings_reach_the_sampler(path):
    heard = []
    pieces = generate(
        path, num_outputs=2, seed=1, bars=3, metre=(3, 4), qpm=77, top_k=3, min_p=0.1, on_note=heard.append
    )
    for piece in pieces:
        assert (piece.length, piece.metre) == (36, (3, 4))
        assert piece.qpm == pytest.approx(77, rel=1e-5)
    assert len(heard) == sum(len(piece) for piece in pieces)
    cold = [generate(path, seed=seed, notes=8, temperature=0)[0] for seed in (1, 2)]
    assert [p["pitch"] for p in cold[0].notes] == [p["pitch"] for p in cold[1].notes]
    still = [generate(path, seed=s, notes=8, rhythm_temperature=0, pitch_temperature=2.0)[0] for s in (1, 2)]
    assert still[0].notes["pitch"].tolist() != still[1].notes["pitch"].tolist()


def test_a_corpus_of_pieces_of_one_note_warns_of_nothing(tmp_path):
    pieces = [toys.sequence_of([(0, 1, 0, 50 + at, 80)]) for at in range(20)]
    save(toys.new_model(fit_vocabulary([(piece, None) for piece in pieces], BEAT)), tmp_path / "a.keras")
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("error")
        composed = generate(tmp_path / "a.keras", num_outputs=3, seed=1, notes=5)
    assert all(len(piece) for piece in composed)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": -1}, "^seed -1: expected 0 or more$"),
        ({"temperature": 11}, r"^temperature 11: expected 0\.\.10$"),
        ({"bars": 1, "notes": 1}, "^bars and notes given"),
        ({"style": "polka"}, "^style 'polka': this model knows none$"),
        ({"num_outputs": 0}, "^num-outputs 0"),
    ],
)
def test_wrong_settings_are_named(path, values, message):
    with pytest.raises(SettingError, match=message):
        generate(path, **values)


def test_the_newest_checkpoint_is_used_when_none_is_given(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoint, "shipped_path", lambda: None)
    with pytest.raises(CheckpointError, match="run melodygru train first"):
        generate(notes=1)
    with pytest.raises(CheckpointError, match=r"gone\.keras: no such checkpoint"):
        generate("gone.keras")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "mine.keras").write_bytes(path.read_bytes())
    assert generate(seed=2, notes=9) == generate(path, seed=2, notes=9)


# -- primers


def test_a_primer_is_a_path_or_a_sequence(path, primer_file):
    ways = [generate(path, seed=1, bars=2, primer=given)[0] for given in (primer_file, str(primer_file), PRIMER)]
    assert ways[0] == ways[1] == ways[2]
    assert ways[0].notes[:3].tolist() == PRIMER.notes.tolist()
    assert ways[0].length == 16 + 32
    (fine,) = generate(path, seed=1, bars=2, primer=midi.read(primer_file).sequence)  # in ticks
    assert fine == ways[0]


def test_a_primer_that_cannot_be_read_is_named(path, tmp_path):
    (tmp_path / "text.mid").write_text("no music")
    with pytest.raises(MidiError, match=r"^\S*text\.mid: not a MIDI file"):
        generate(path, primer=tmp_path / "text.mid")


def test_a_primer_without_notes_is_refused(path, tmp_path):
    empty = NoteSequence(np.zeros(0, NOTE), BEAT, 16)
    with pytest.raises(SettingError, match="^the primer holds no note: expected a piece to go on from$"):
        generate(path, primer=empty)
    midi.write(empty, tmp_path / "empty.mid")
    with pytest.raises(SettingError, match=r"empty\.mid holds no note: expected a piece to go on from$"):
        generate(path, primer=tmp_path / "empty.mid")


def test_a_primer_that_is_no_midi_file_is_refused(path, tmp_path):
    (tmp_path / "song.mid").write_bytes(b"RIFF, but no music")
    for name in ("song.mid", "gone.mid"):
        with pytest.raises(MidiError, match=name):
            generate(path, primer=tmp_path / name)


# -- saving


@pytest.fixture
def piece():
    return Composition.from_notes(PRIMER, 5)


def test_a_composition_is_its_notes(piece):
    assert piece.notes.tolist() == PRIMER.notes.tolist()
    assert (piece.seed, piece.length, piece.metre, piece.qpm) == (5, 16, (4, 4), 120)


@pytest.mark.parametrize("name", ["a.mid", "a.MIDI", "b c.Mid"])
def test_it_saves_as_midi(piece, tmp_path, name):
    piece.save(tmp_path / name)
    back, changes, _ = quantize(midi.read(tmp_path / name).sequence, BEAT)
    assert back == PRIMER
    assert changes.total == 0
    piece.save(str(tmp_path / name))
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_it_saves_as_a_picture(piece, tmp_path):
    piece.save(tmp_path / "a.png")
    piece.save(tmp_path / "a.svg")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()


def test_it_saves_as_sound(piece, tmp_path):
    try:
        piece.save(tmp_path / "a.WAV")
    except AudioError as error:
        pytest.skip(str(error))
    assert (tmp_path / "a.WAV").read_bytes()[:4] == b"RIFF"
    piece.save(tmp_path / "a.flac")
    assert (tmp_path / "a.flac").read_bytes()[:4] == b"fLaC"


@pytest.mark.parametrize("name", ["a.mp3", "a", "mid", ".mid"])
def test_another_suffix_is_refused(piece, tmp_path, name):
    expected = r"expected a name that ends in \.mid, \.midi, \.wav, \.flac, \.png, \.svg or \.musicxml$"
    with pytest.raises(SettingError, match=expected):
        piece.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(piece, tmp_path):
    with pytest.raises(MidiError, match=r"cannot write .*gone.a\.mid"):
        piece.save(tmp_path / "gone" / "a.mid")


def test_it_becomes_pretty_midi(piece):
    pm = piece.to_pretty_midi()
    assert sorted((n.pitch, round(n.start, 3)) for i in pm.instruments for n in i.notes) == [
        (60, 0),
        (64, 0.5),
        (67, 1),
    ]


def test_composing_needs_no_tensorflow(path, tmp_path):
    code = (
        "import sys, melodygru\n"
        f"piece, = melodygru.generate({str(path)!r}, bars=2, seed=1)\n"
        f"piece.save({str(tmp_path / 'a.mid')!r})\n"
        "print([m for m in ('tensorflow', 'keras', 'matplotlib', 'pretty_midi') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.returncode) == ("[]", 0), result.stderr
    assert (tmp_path / "a.mid").exists()
