"""Provenance, and pieces replayed from it: byte for byte, or with what differs."""

import dataclasses
import json
import shutil
import time

import mido
import numpy as np
import pytest
import toys
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import melodygru
from melodygru import compose, midi
from melodygru.cli import main
from melodygru.compose import provenance
from melodygru.compose.composer import Composer, generate
from melodygru.compose.provenance import file_hash, notes_hash, provenances
from melodygru.compose.redo_settings import RedoSettings
from melodygru.compose.replay import Replay, replay
from melodygru.compose.settings import GenerateSettings
from melodygru.errors import CheckpointError, MidiError, ProvenanceError, SettingError
from melodygru.model import checkpoint
from melodygru.model.keras_model import save
from melodygru.music.notes import DRUMS

PRIMER = toys.sequence_of([(0, 4, 0, 60, 81), (4, 4, 40, 64, 82), (8, 12, DRUMS, 36, 83)], 32)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of toy checkpoints."""
    folder = tmp_path_factory.mktemp("models")
    for name, end_bias in (("many", -1.0), ("styles", -1.0), ("performance", None)):
        save(toys.model(name, 1, end_bias), folder / f"{name}.keras")
    return folder


@pytest.fixture
def home(models, tmp_path, monkeypatch):
    """An empty folder to work in, with checkpoints/many.keras."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    shutil.copy(models / "many.keras", tmp_path / "checkpoints" / "many.keras")
    midi.write(PRIMER, "primer.mid")
    return tmp_path


def made(path="a.mid", **settings):
    """A piece of checkpoints/many.keras, saved."""
    settings = {"bars": 2, "seed": 1, **settings}
    piece = generate("checkpoints/many.keras", **settings)[0]
    piece.save(path)
    return piece


def said(path):
    """The provenance of a file as JSON."""
    (text,) = midi.read_texts(path)
    assert text.startswith("melodygru {") and text.isascii()
    return json.loads(text.removeprefix("melodygru "))


def with_provenance(path, changed=None, **values):
    """Write a file anew with other values in its provenance."""
    document = {**said(path), **values}
    text = "melodygru " + json.dumps(document) if changed is None else changed
    (old,) = [message for message in mido.MidiFile(path, charset="utf-8").tracks[0] if message.type == "text"]
    file = mido.MidiFile(path, charset="utf-8")
    file.tracks[0][file.tracks[0].index(old)] = old.copy(text=text)
    file.save(path)


# -- the provenance


def test_it_is_offered_by_the_package():
    assert melodygru.replay is replay
    assert melodygru.Replay is Replay


def test_provenance_says_all_that_decides_the_piece_and_nothing_else(home):
    pieces = generate(
        "checkpoints/many.keras", num_outputs=2, seed=9, bars=2, metre=(3, 4), primer=None, temperature=0.9
    )
    pieces[1].save("b.mid")
    values = said("b.mid")
    assert list(values) == [
        "stamp", "versions", "processor", "model", "settings", "inputs", "own", "seed", "piece", "of", "notes",
    ]  # fmt: skip
    assert values["versions"]["melodygru"] == melodygru.__version__
    assert sorted(values["versions"]) == ["melodygru", "mido", "numpy", "python"]
    assert values["model"] == file_hash("checkpoints/many.keras") == checkpoint.read("checkpoints/many.keras").sha256
    assert values["settings"].items() >= {"temperature": 0.9, "bars": 2, "metre": [3, 4]}.items()
    assert not {"model", "seed", "num_outputs", "on_note", "seconds", "primer"} & set(values["settings"])
    assert (values["inputs"], values["own"]) == ({}, [])
    assert (values["seed"], values["piece"], values["of"]) == (9, 2, 2)
    assert values["notes"] == notes_hash(pieces[1])
    text = pieces[1].provenance.text
    assert "many" not in text and str(home) not in text and "2026-" not in text


def test_provenance_is_no_music_and_pretty_midi_reads_the_file(home):
    import pretty_midi

    piece = made()
    assert len(pretty_midi.PrettyMIDI("a.mid").instruments) == len(piece.part_programs)


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
            max_leaves=6,
        ),
        max_size=4,
    ),
    st.integers(0, 2**80),
)
def test_values_come_back_exactly(values, seed):
    (made,) = provenances(GenerateSettings(), "0" * 64, seed, [PRIMER])
    one = dataclasses.replace(made, settings={name: provenance._plain(value) for name, value in values.items()})
    back, line = provenance.read(midi.to_bytes(PRIMER, ["a title", one.text]))
    assert line == one.text
    assert back == one and back.seed == seed
    assert back.arguments == values
    assert [repr(value) for value in back.arguments.values()] == [repr(value) for value in values.values()]


def test_numbers_of_numpy_are_numbers():
    values = {"temperature": np.float64(0.1), "min_p": np.float32(0.1), "top_k": np.int64(3), "guard": np.bool_(True)}
    (one,) = provenances(GenerateSettings(**values), None, np.int64(5), [PRIMER])
    assert (
        one.settings.items() >= {"temperature": 0.1, "min_p": float(np.float32(0.1)), "top_k": 3, "guard": True}.items()
    )
    assert json.loads(one.text.removeprefix("melodygru "))["seed"] == 5


def test_none_is_left_out_where_it_is_the_default():
    (one,) = provenances(GenerateSettings(bars=2), None, 0, [PRIMER])
    assert list(one.settings) == [
        "best_of", "temperature", "top_k", "min_p", "bars", "ending", "no_primer", "guard", "chords_only",
    ]  # fmt: skip


# -- the same bytes


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bars": None},
        {"seed": 2**63 + 5},
        {"bars": None, "notes": 9},
        {"bars": None, "seconds": 7.300000000000001},
        {"temperature": 0.1 + 0.2, "rhythm_temperature": 1 / 3, "min_p": 1e-17, "top_k": 7},
        {"metre": (3, 4), "qpm": 97.3},
        {"qpm": np.float32(97.3)},
        {"guard": False},
        {"key": "C:maj", "range": "C2:C7", "max_polyphony": 3},
        {"chords": "C | Am | F G | C", "chord_bias": 0.1 + 0.2},
        {"constraints": ()},
    ],
)
def test_a_piece_is_made_again_byte_for_byte(home, settings):
    piece = made(**settings)
    result = replay("a.mid")
    assert result.identical and result.as_composed and not result.edited
    assert result.difference is None and result.mismatches == ()
    assert result.verdict == "the same, byte for byte"
    assert result.piece == piece
    result.save("b.mid")
    assert (home / "b.mid").read_bytes() == (home / "a.mid").read_bytes() == result.data
    assert result.model.name == "many.keras"


def test_the_seventh_of_a_hundred(home):
    heard = []
    pieces = generate("checkpoints/many.keras", num_outputs=100, seed=4, notes=3)
    pieces[6].save("seven.mid")
    result = replay("seven.mid", on_start=heard.append)
    assert result.identical
    assert (result.provenance.piece, result.provenance.of, len(heard[0])) == (7, 100, 100)


@pytest.mark.parametrize("name", ["styles", "performance"])
def test_other_grids_and_styles(models, home, name):
    style = {"style": "reels"} if name == "styles" else {"primer": "primer.mid", "primer_bars": "1:1"}
    generate(models / f"{name}.keras", seed=3, notes=12, **style)[0].save("a.mid")
    given = {} if name == "styles" else {"primer": "primer.mid"}
    assert replay("a.mid", model=models / f"{name}.keras", **given).identical
    assert replay("a.mid", model=checkpoint.read(models / f"{name}.keras"), **given).identical


def test_names_do_not_matter(home):
    made(primer="primer.mid", no_primer=True)
    (home / "checkpoints" / "many.keras").rename(home / "checkpoints" / "other.keras")
    (home / "primer.mid").rename(home / "renamed.midi")
    (home / "a.mid").rename(home / "z.mid")
    (home / "checkpoints" / ".many.keras").write_bytes(b"a save in progress")
    (home / "checkpoints" / "broken.keras").write_bytes(b"no checkpoint")
    assert replay("z.mid", primer="renamed.midi").identical


def test_the_shipped_checkpoint_is_looked_for_too(home, monkeypatch):
    made()
    moved = home / "shipped.keras"
    (home / "checkpoints" / "many.keras").rename(moved)
    monkeypatch.setattr(checkpoint, "shipped_path", lambda: moved)
    assert replay("a.mid").model == moved


def test_a_piece_that_was_redone(home):
    settings = RedoSettings(parts="1", num_outputs=2, particles=2, seed=3)
    for number, candidate in enumerate(Composer.load().redo("primer.mid", settings)):
        candidate.save(f"redone-{number}.mid")
        again = replay(f"redone-{number}.mid", piece="primer.mid")
        assert again.identical and again.verdict == "the same, byte for byte"
    with pytest.raises(SettingError, match=r"made with a file for --piece \(SHA-256 [0-9a-f]{12}\.\.\.\)"):
        replay("redone-0.mid")
    (again,) = Composer.load().redo("redone-0.mid", RedoSettings(parts="1", particles=2, seed=4))  # of the last one
    again.save("again.mid")
    assert replay("again.mid", piece="redone-0.mid").identical


def test_a_primer_given_in_python_is_known_by_its_notes(home):
    made(primer=PRIMER)
    assert said("a.mid")["inputs"] == {"primer": {"notes": notes_hash(PRIMER)}}
    for same in (PRIMER, "primer.mid", midi.read("primer.mid").sequence):
        assert replay("a.mid", primer=same).identical
    with pytest.raises(SettingError, match="^--primer: the primer is not the one that a.mid was made with: SHA-256 "):
        replay("a.mid", primer=toys.sequence_of([(0, 4, 0, 60, 81)]))


# -- what differs


def test_other_versions_are_said_and_the_bytes_compared(home):
    made()
    with_provenance("a.mid", versions={**said("a.mid")["versions"], "numpy": "1.0"}, processor="abacus")
    result = replay("a.mid")
    assert result.identical
    assert [text.split("; ")[0] for text in result.mismatches][0] == f"numpy {np.__version__} (the file says 1.0)"
    assert result.mismatches[1].startswith("processor ") and result.mismatches[1].endswith(" (the file says abacus)")


def test_a_piece_that_comes_out_otherwise_is_compared_note_by_note(home):
    made(notes=4, bars=None)
    with_provenance("a.mid", seed=2)
    result = replay("a.mid")
    assert not result.identical and not result.as_composed and not result.edited
    assert result.verdict.startswith(
        "another piece, with the same versions and processor: it first differs at note 1 ("
    )
    with_provenance("a.mid", versions={**said("a.mid")["versions"], "python": "2.7"})
    assert replay("a.mid").verdict.startswith(
        "another piece, with other versions or another processor: it first differs"
    )


def test_a_file_that_was_changed_since(home):
    piece = made(bars=None, notes=8)
    moved = piece.notes.copy()
    moved["velocity"][2] = 1
    dataclasses.replace(piece, notes=moved).save("changed.mid")
    result = replay("changed.mid")
    assert not result.identical and result.as_composed and result.edited
    assert (result.difference.note, result.difference.found[-1]) == (3, "1")
    assert result.verdict.startswith("as it was composed; the file was changed since, first at note 3 (bar ")
    assert result.data == (home / "a.mid").read_bytes()

    dataclasses.replace(piece, notes=piece.notes[:-1]).save("shorter.mid")
    assert replay("shorter.mid").verdict.endswith("; in the file the piece is over")
    dataclasses.replace(piece, length=piece.length + 1).save("longer.mid")
    ends = f"it ends at step {piece.length}; in the file at step {piece.length + 1}"
    assert replay("longer.mid").verdict == f"as it was composed; the file was changed since, first {ends}"
    tempos = piece.tempos.copy()
    tempos["tempo"] = 400_000
    dataclasses.replace(piece, tempos=tempos).save("faster.mid")
    verdict = replay("faster.mid").verdict
    assert verdict.startswith("the notes are the same; the file was changed otherwise since: its tempos are ")
    assert verdict.endswith("; in the file 400000 at step 0")


def test_a_file_that_other_software_wrote_anew(home):
    made()
    file = mido.MidiFile("a.mid", charset="utf-8")
    file.tracks[0].insert(0, mido.MetaMessage("track_name", name="mine"))
    file.save("b.mid")
    result = replay("b.mid")
    assert not result.identical and result.difference is None
    assert result.verdict == "the same music in other bytes: the file was written anew by other software"


# -- what can't be replayed


def test_a_file_without_provenance(home):
    with pytest.raises(ProvenanceError, match=r"^primer\.mid: no provenance: expected a file that melodygru "):
        replay("primer.mid")
    midi.write(PRIMER, "old.mid", ["melodygru 0.1.0, model sha256 0123456789abcdef, seed 5, piece 1 of 1", "bars 2"])
    with pytest.raises(
        ProvenanceError,
        match=r"^old\.mid: its provenance is in the words of an earlier melodygru, which ",
    ):
        replay("old.mid")


def test_a_file_that_is_none(home):
    (home / "text.mid").write_text("text")
    with pytest.raises(MidiError, match=r"^text\.mid: not a MIDI file"):
        replay("text.mid")
    with pytest.raises(MidiError, match=r"^gone\.mid: cannot open the file"):
        replay("gone.mid")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": -1}, r"the provenance is damaged \(seed\): expected it as generate wrote it$"),
        ({"seed": 1.5}, r"the provenance is damaged \(seed\)"),
        ({"piece": True, "of": -1}, r"the provenance is damaged \(piece, of\)"),
        ({"piece": 3}, r"the provenance is damaged \(piece 3 of 1\)"),
        ({"inputs": {"primer": "x"}}, r"the provenance is damaged \(inputs\)"),
        ({"own": {}}, r"the provenance is damaged \(own\)"),
        ({"settings": []}, r"the provenance is damaged \(settings\)"),
        ({"stamp": "1"}, r"the provenance is damaged \(stamp\)"),
        ({"stamp": 2}, r"provenance of form 2: this melodygru reads form 1; install a newer one$"),
        ({"settings": {"swing": 2}}, rf"made with swing, which melodygru {melodygru.__version__} doesn't have; the "),
        ({"settings": {"temperature": 11}}, r"its settings can't be followed here: temperature 11: expected 0\.\.10$"),
        (
            {"settings": {"temperature": "hot"}},
            r"its settings can't be followed here: temperature 'hot': expected a number$",
        ),
    ],
)
def test_damaged_provenance(home, values, message):
    made()
    refused(values, message)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"settings": {"bars": 100_001}}, "bars 100001: expected at most 100,000"),
        ({"settings": {"notes": 20_001}}, "notes 20001: expected at most 20,000"),
        ({"settings": {"seconds": 1e9}}, "seconds 1000000000.0: expected at most 36,000"),
        ({"settings": {"seconds": float("inf")}}, "seconds inf: expected more than 0"),
        ({"of": 10**9}, "1,000,000,000 pieces: expected at most 1,000"),
        ({"settings": {"num_outputs": 10**9}}, "num_outputs 1000000000: expected as generate writes it"),
        ({"settings": {"seed": 3}}, "seed 3: expected as generate writes it"),
        ({"settings": {"primer": "/etc/hostname"}}, "primer '/etc/hostname': expected as generate writes it"),
        ({"settings": {"primer": "primer.mid"}}, "primer 'primer.mid': expected as generate writes it"),
        ({"settings": {"constraints": [1]}}, r"constraints \(1,\): expected as generate writes it"),
        ({"settings": {"guard": 1}}, "guard 1: expected as generate writes it"),
        ({"settings": {"top_k": True}}, "top_k True: expected as generate writes it"),
        ({"settings": {"key": "C" * 10_001}}, "key 'CCCC.*: expected as generate writes it"),
        ({"settings": {"metre": [3, 5]}}, "'3/5': expected 1..99"),
        ({"settings": {"metre": "3/4"}}, "metre '3/4': expected a numerator and a denominator"),
        ({"settings": {"metre": [4, 10**9]}}, "'4/1000000000': expected 1..99"),
    ],
)
def test_a_stranger_cannot_ask_for_more_than_the_command_line_takes(home, monkeypatch, values, message):
    made()
    monkeypatch.setattr(Composer, "load", lambda path: pytest.fail("a model was read"))
    refused(values, f"its settings can't be followed here: {message}")


@pytest.mark.parametrize(
    "values",
    [
        {"inputs": {"temperature": {"file": "0" * 64}}},
        {"inputs": {str(number): {"file": "x"} for number in range(201)}},
        {"versions": {str(number): "1" for number in range(201)}},
        {"processor": "x" * 10_001},
        {"seed": 1 << 128},
        {"stamp": True},
        {"stamp": 10**400},
    ],
)
def test_provenance_is_of_bounded_size(home, values):
    made()
    refused(values, "the provenance is damaged")


def refused(values, message):
    """A provenance with other values is refused within two seconds, in one line."""
    with_provenance("a.mid", **values)
    started = time.process_time()
    with pytest.raises(ProvenanceError, match=rf"^a\.mid: {message}"):
        replay("a.mid")
    assert time.process_time() - started < 2  # a promise, and a hundred times what it takes


@pytest.mark.parametrize("text", ["melodygru {", "melodygru {}", 'melodygru {"stamp": 1', "melodygru {" + "[" * 9999])
def test_provenance_that_is_no_json(home, text):
    made()
    with_provenance("a.mid", text)
    with pytest.raises(ProvenanceError, match=r"^a\.mid: the provenance is damaged"):
        replay("a.mid")


def test_two_provenances(home):
    piece = made()
    other = generate("checkpoints/many.keras", bars=1, seed=2)[0]
    midi.write(piece, "two.mid", [*piece.texts, *other.texts])
    with pytest.raises(
        ProvenanceError, match=r"^two\.mid: 2 provenances: expected one; the file was joined from several pieces$"
    ):
        replay("two.mid")
    midi.write(piece, "twice.mid", [*piece.texts, *piece.texts])
    assert replay("twice.mid").as_composed


def test_another_checkpoint(home, models):
    made()
    digest = said("a.mid")["model"][:12]
    with pytest.raises(
        CheckpointError, match=rf"styles\.keras: SHA-256 [0-9a-f]{{12}}\.\.\., but a\.mid was made with {digest}"
    ):
        replay("a.mid", model=models / "styles.keras")
    with pytest.raises(
        CheckpointError, match=rf"^a\.mid: the model given is not the one that the file names, {digest}"
    ):
        replay("a.mid", model=checkpoint.read(models / "styles.keras"))
    (home / "checkpoints" / "many.keras").unlink()
    with pytest.raises(
        CheckpointError, match=rf"^a\.mid: no checkpoint in \./checkpoints, .* {digest}\.\.\.; name it with"
    ):
        replay("a.mid")
    with pytest.raises(CheckpointError, match=r"gone\.keras: no such checkpoint"):
        replay("a.mid", model="gone.keras")


def test_a_primer_that_is_missing_or_another_or_too_much(home):
    made(primer="primer.mid")
    digest = file_hash("primer.mid")[:12]
    with pytest.raises(
        SettingError, match=rf"^a\.mid: made with a file for --primer \(SHA-256 {digest}\.\.\.\); name it"
    ):
        replay("a.mid")
    midi.write(PRIMER.transpose(1), "other.mid")
    with pytest.raises(SettingError, match=rf"^--primer: other\.mid is not the one .* the file says {digest}\.\.\.$"):
        replay("a.mid", primer="other.mid")
    made("plain.mid")
    with pytest.raises(SettingError, match=r"^--primer: plain\.mid was made without one; leave it out$"):
        replay("plain.mid", primer="primer.mid")


def test_objects_of_the_users_own(home):
    made("own.mid", constraints=[compose.Constraint()], seed=7)
    assert said("own.mid")["own"] == ["constraints"]
    assert "constraints" not in said("own.mid")["settings"]
    with pytest.raises(
        ProvenanceError,
        match=r"^own\.mid: made in Python with objects for constraints, which provenance can't hold; call "
        r"melodygru\.generate with the same objects and seed 7$",
    ):
        replay("own.mid")


def test_a_model_that_came_from_no_file(home):
    model = dataclasses.replace(checkpoint.read("checkpoints/many.keras"), sha256=None)
    generate(model, bars=1, seed=1)[0].save("a.mid")
    assert said("a.mid")["own"] == ["model"]
    with pytest.raises(
        ProvenanceError, match=r"^a\.mid: made in Python with a model that came from no file; give melodygru"
    ):
        replay("a.mid")
    result = replay("a.mid", model=model)
    assert result.identical and result.model is None


# -- the command line


def run(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="melodygru")
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def test_the_command(home):
    options = ("--bars", 2, "-n", 3, "--seed", 2**63 + 1, "--temperature", 0.7, "--primer", "primer.mid")
    run("generate", *options, "--no-primer", "--primer-bars", "1:1", "-o", "made")
    name = f"many-{2**63 + 1}-3.mid"
    file = home / "made" / name
    result = run("replay", file, "--primer", "primer.mid")
    assert result.stdout == f"replayed/{name}  the same, byte for byte\n"
    assert result.stderr.endswith(f"many.keras, seed {2**63 + 1}, piece 3 of 3\n")
    assert (home / "replayed" / name).read_bytes() == file.read_bytes()
    assert run("replay", file, "--primer", "primer.mid").stdout == result.stdout  # the same bytes keep their name
    (home / "replayed" / name).write_bytes(b"mine")
    assert run("replay", file, "--primer", "primer.mid").stdout.startswith(f"replayed/{name[:-4]}-take2.mid  the same")
    assert (home / "replayed" / name).read_bytes() == b"mine"
    assert run("replay", file, code=1).stderr.startswith(f"melodygru: {file}: made with a file for --primer (SHA-256 ")


def test_nothing_is_written_outside_the_folder(home):
    """Links in the folder are not followed: the file takes another name."""
    made()
    (home / "elsewhere.mid").write_bytes(b"mine")
    (home / "out").mkdir()
    (home / "out" / "a.mid").symlink_to(home / "elsewhere.mid")
    (home / "out" / "a-take2.mid").symlink_to(home / "nowhere.mid")
    assert run("replay", "a.mid", "-o", "out").stdout == "out/a-take3.mid  the same, byte for byte\n"
    assert (home / "elsewhere.mid").read_bytes() == b"mine" and not (home / "nowhere.mid").exists()


def test_the_command_with_json(home):
    made(notes=4, bars=None)
    document = json.loads(run("replay", "a.mid", "--json", "-o", "out").stdout)
    assert document["identical"] and document["verdict"] == "the same, byte for byte"
    assert document["provenance"]["settings"]["notes"] == 4
    assert (document["file"], document["midi"]) == ("a.mid", "out/a.mid")
    with_provenance("a.mid", seed=5, versions={})
    result = run("replay", "a.mid", "--json", "-o", "out", code=1)
    document = json.loads(result.stdout)
    assert not document["identical"] and document["difference"]["note"] == 1
    assert document["mismatches"][0] == f"melodygru {melodygru.__version__} (the file says none)"
    assert f"warning: not as when it was made: {document['mismatches'][0]}\n" in result.stderr


def test_what_a_model_cannot_hear_of_a_primer_is_one_line(home):
    odd = toys.sequence_of([(0, 14, 77, 60, 80)], 14, metres=[(0, 7, 8)])
    midi.write(odd, "odd.mid")
    options = ("--primer", "odd.mid", "--bars", 1, "--seed", 1, "-o", ".")
    lines = run("generate", *options).stderr.splitlines()
    assert (
        lines.count(
            "warning: odd.mid: 1 note of programs that the model was not trained on (77); "
            "1 metre that the model was not trained on (7/8)"
        )
        == sum(line.startswith("warning: odd.mid") for line in lines)
        == 1
    )
    assert run("replay", "many-1-1.mid", "--primer", "odd.mid").stdout.endswith("the same, byte for byte\n")


@pytest.mark.parametrize(("options", "message"), [
    (("--primer-bars", "1:9"), "primer-bars 1:9: primer.mid has 2 bars, expected A:B in 1..2"),
    (("--primer-bars", "x"), "primer-bars 'x': expected A:B, bars counted from 1 such as 5:8, 5: or :8"),
])  # fmt: skip
def test_bars_that_a_primer_does_not_have(home, options, message):
    result = run("generate", "--primer", "primer.mid", *options, "--seed", 1, code=1)
    assert result.stderr.splitlines()[-1] == f"melodygru: {message}"
    assert not list(home.glob("generated/*"))
