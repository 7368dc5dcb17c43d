"""The best of several candidates: the most typical one that copies no more than held-out music."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import toys

from melodygru import midi
from melodygru.compose.choosing import FARTHEST, Chooser
from melodygru.compose.composer import Composer, generate
from melodygru.compose.provenance import read
from melodygru.compose.replay import replay
from melodygru.compose.settings import GenerateSettings
from melodygru.errors import SettingError
from melodygru.events import CorpusStatistics
from melodygru.model.keras_model import save
from melodygru.music.traits import TRAITS

BASELINE = {
    "longest": {"lower_quartile": 0, "median": 8, "upper_quartile": 10, "max": 40},
    "share": {"lower_quartile": 0, "median": 0.1, "upper_quartile": 0.2, "max": 0.9},
}


def bars(*pitches):
    """A bar of one note for each pitch."""
    return toys.sequence_of([(16 * bar, 4, 0, pitch, 80) for bar, pitch in enumerate(pitches)])


NEW, ALIKE, HALF = bars(60, 62, 64, 65, 67), bars(60, 60, 60, 60, 60), bars(60, 60, 62, 62, 64)


def chooser(typical, *, nats=(), matches=None, **settings):
    """What chooses, with a toy model that knows what is typical; `matches`: (longest, share) of some candidates."""
    vocabulary = toys.with_statistics(
        toys.VOCABULARIES["many"], typical=(tuple(typical.get(name) for name in TRAITS),) if typical else ()
    )
    network = SimpleNamespace(**vars(toys.network("many")))
    network.vocabulary = vocabulary
    index = None
    if matches is not None:
        found = {tuple(piece.notes["pitch"].tolist()): match for piece, match in matches}
        index = SimpleNamespace(
            baseline=BASELINE,
            examine=lambda piece: SimpleNamespace(
                **dict(zip(("longest_notes", "share"), found[tuple(piece.notes["pitch"].tolist())], strict=True))
            ),
        )
    made = Chooser.__new__(Chooser)
    made.__init__(SimpleNamespace(card={"piece_nats": list(nats)}), network, index, GenerateSettings(**settings))
    made._tracer = SimpleNamespace(trace=lambda piece: SimpleNamespace(nats=piece.notes["pitch"] / 10))
    return lambda candidates: made.choose([made.measure(one) for one in candidates])


class TestChoice:
    def test_the_one_nearest_to_the_means_is_chosen(self):
        typical = {"bar_similarity_1": (0.5, 0.25), "line_up_changes": (0.0, 0.1)}
        choice = chooser(typical)([NEW, ALIKE, HALF])
        # likeness to the bar before of 0, 1 and 1/2; no line-up changes in any
        assert choice.candidate == 3 and choice.distances == (1, 1, 0) and choice.respects == {"form": 0}
        assert choice.reason == "candidate 3 of 3, the most typical (spreads from the mean: form 0.0)"
        assert choice.as_dict()["summary"] == choice.reason and choice.as_dict()["of"] == 3

    def test_each_respect_counts_alike(self):
        typical = {"bar_similarity_1": (1, 0.5), "bar_similarity_2": (1, 0.5), "last_note": (2, 1)}
        choice = chooser(typical)([ALIKE])
        assert choice.respects == {"form": 0, "ending": 1} and choice.distances == (0.5,)

    def test_the_likelihood_is_that_of_held_out_pieces(self):
        choice = chooser({"line_up_changes": (0, 1)}, nats=[(6.0, 0.1)])([NEW, ALIKE])
        assert choice.candidate == 2 and choice.respects == {"form": 0, "likelihood": 0}

    def test_a_length_that_was_asked_for_is_no_ending(self):
        assert chooser({"length": (9, 2)})([NEW]).respects == {"length": 2}
        assert chooser({"length": (9, 2), "last_note": (1, 1)}, bars=5)([NEW]).respects == {"ending": 0}

    def test_what_others_have_and_one_lacks_is_far_from_typical(self):
        short = bars(60, 60)
        choice = chooser({"bar_similarity_1": (0.5, 0.25)})([short, ALIKE])
        assert choice.distances == (FARTHEST, 2) and choice.candidate == 2
        assert chooser({"bar_similarity_1": (0.5, 0.25), "last_note": (1, 1)})([short]).respects == {"ending": 0}

    def test_no_distance_is_above_the_farthest(self):
        assert chooser({"last_note": (50, 1)})([NEW]).distances == (FARTHEST,)

    def test_a_model_that_knows_nothing_is_refused(self):
        with pytest.raises(SettingError, match="best-of: this model doesn't know what is typical of its music; train"):
            chooser({})


class TestCopies:
    TYPICAL = {"bar_similarity_1": (0.5, 0.25)}

    @pytest.mark.parametrize("match", [(11, 0.0), (0, 0.21)])
    def test_one_that_copies_more_than_held_out_music_is_no_choice(self, match):
        matches = [(HALF, match), (NEW, (10, 0.2))]
        choice = chooser(self.TYPICAL, matches=matches)([HALF, NEW])
        assert choice.candidate == 2 and choice.distances == (None, 2) and choice.copied == 1
        assert choice.reason.endswith("; 1 copied more than held-out music")

    def test_where_all_copy_the_one_that_copies_least_is_chosen(self):
        matches = [(HALF, (50, 0.9)), (NEW, (40, 0.4)), (ALIKE, (60, 0.5))]
        choice = chooser(self.TYPICAL, matches=matches)([HALF, NEW, ALIKE])
        assert choice.candidate == 2 and choice.copied == 3


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A toy checkpoint, in a file, that knows what is typical."""
    typical = tuple({"bar_similarity_1": (0.3, 0.1), "last_note": (1.0, 0.5)}.get(name) for name in TRAITS)
    vocabulary = toys.with_statistics(toys.VOCABULARIES["many"], typical=(typical,))
    path = tmp_path_factory.mktemp("toy") / "toy.keras"
    save(toys.new_model(vocabulary, end_bias=-1.0), path)
    return path


class TestGenerate:
    def test_each_piece_is_the_best_of_its_own_candidates(self, toy):
        every = generate(toy, num_outputs=6, seed=1, bars=4)
        best = generate(toy, num_outputs=2, best_of=3, seed=1, bars=4)
        for at, piece in enumerate(best):
            assert 1 <= piece.choice.candidate <= 3 and len(piece.choice.distances) == 3
            assert midi.to_bytes(piece) == midi.to_bytes(every[3 * at + piece.choice.candidate - 1])
        assert every[0].choice is None
        again = generate(toy, num_outputs=1, best_of=3, seed=1, bars=4)
        assert midi.to_bytes(again[0]) == midi.to_bytes(best[0])

    def test_its_file_is_composed_again(self, toy):
        piece = generate(toy, num_outputs=2, best_of=3, seed=1, bars=4)[1]
        piece.save("best.mid")
        assert read("best.mid")[0].settings["best_of"] == 3
        assert replay("best.mid", model=toy).identical

    def test_a_file_from_before_there_were_candidates_is_the_only_one(self, toy, monkeypatch):
        piece = generate(toy, seed=1, bars=4)[0]
        text = piece.provenance.text.replace('"best_of": 1, ', "")
        assert "best_of" not in text
        made = []
        monkeypatch.setattr(Composer, "generate", lambda self, settings, **_: made.append(settings.best_of) or [piece])
        Path("old.mid").write_bytes(piece.midi(text))
        replay("old.mid", model=toy)
        assert made == [1]

    def test_the_guard_speaks_of_the_pieces_that_are_kept(self, toy):
        actions = []
        generate(toy, num_outputs=2, best_of=2, seed=3, bars=8, temperature=0.0, on_guard=actions.append)
        assert {action.stream for action in actions} <= {0, 1}

    def test_the_command_says_how_it_was_chosen(self, toy, command):
        result = command("generate", "--model", toy, "--best-of", 3, "--bars", 4, "--seed", 1)
        (line,) = [line for line in result.stdout.splitlines() if line.startswith("  candidate ")]
        found = json.loads(
            command("generate", "--model", toy, "--best-of", 3, "--bars", 4, "--seed", 1, "--json").stdout
        )
        choice = found["outputs"][0]["choice"]
        assert line.strip() == choice["summary"] and choice["of"] == len(choice["distances"]) == 3

    def test_a_model_that_knows_nothing_is_a_line(self, tmp_path, command):
        save(toys.model("many", 1, -1.0), tmp_path / "old.keras")
        result = command("generate", "--model", "old.keras", "--best-of", 2, code=1)
        assert result.stderr.splitlines()[-1].startswith("melodygru: best-of: this model doesn't know what is typical")


def test_what_is_typical_is_written_and_read(toy):
    statistics = Composer.load(toy).vocabulary.statistics
    assert statistics.typical_of(None) == {"bar_similarity_1": (0.3, 0.1), "last_note": (1.0, 0.5)}
    assert CorpusStatistics(typical=statistics.typical).check() is None
