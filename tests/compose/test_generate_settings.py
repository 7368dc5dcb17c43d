"""The settings of generate: what they refuse, and that everything else follows from them."""

from inspect import signature

import pytest

import melodygru
from melodygru.cli import main, options
from melodygru.compose.redo_settings import REDO_SETTINGS
from melodygru.compose.settings import SETTINGS, GenerateSettings
from melodygru.errors import SettingError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 11}, "temperature 11: expected 0..10"),
        ({"rhythm_temperature": -0.1}, "rhythm-temperature -0.1: expected 0..10"),
        ({"temperature": float("nan")}, "temperature nan: expected 0..10"),
        ({"top_k": -1}, "top-k -1: expected 0 (all classes) or more"),
        ({"top_p": 0}, "top-p 0: expected more than 0, at most 1"),
        ({"min_p": 1}, "min-p 1: expected at least 0, less than 1"),
        ({"bars": 0}, "bars 0: expected more than 0"),
        ({"bars": 2.5}, "bars 2.5: expected a whole number"),
        ({"seconds": float("inf")}, "seconds inf: expected more than 0"),
        ({"bars": 1, "notes": 1}, "bars and notes given: expected at most one of bars, seconds and notes"),
        ({"num_outputs": 0}, "num-outputs 0: expected 1 or more"),
        ({"seed": -1}, "seed -1: expected 0 or more"),
        ({"qpm": 2}, "qpm 2: expected 5..1000 quarter notes per minute"),
        ({"max_copy": 6}, "max-copy 6: expected 7 notes or more; shorter runs are no match"),
        ({"primer_bars": "1:2"}, "primer-bars: expected a primer with it"),
        ({"no_primer": True}, "no-primer: expected a primer with it"),
        ({"density": 0}, "density 0: expected more than 0 notes a beat"),
    ],
)
def test_what_is_refused(values, message):
    with pytest.raises(SettingError) as error:
        GenerateSettings(**values)
    assert str(error.value) == message


def test_edges_are_allowed():
    GenerateSettings(temperature=0, top_p=1, min_p=0, bars=1, qpm=1000, seed=2**80)
    assert GenerateSettings(chords="C").value("chord_bias") == 3
    assert GenerateSettings(chords="C", chord_bias=0).value("chord_bias") == 0


def test_an_unknown_setting_is_a_type_error():
    with pytest.raises(TypeError, match="'bar'"):
        melodygru.generate(bar=1)


def test_the_function_shows_every_setting():
    shown = signature(melodygru.generate).parameters
    assert list(shown) == ["model", *SETTINGS, "on_start", "on_note", "on_guard"]
    assert all(shown[name].default == known.default for name, known in SETTINGS.items())
    assert all(f"\n{name} : " in melodygru.generate.__doc__ for name in SETTINGS)
    assert all(f"\n{name} : " in GenerateSettings.__doc__ for name in SETTINGS)
    assert " --" not in melodygru.generate.__doc__


def test_the_command_has_an_option_of_every_setting():
    known = {option.name: option for option in main.commands["generate"].params}
    for name, one in SETTINGS.items():
        assert (name in known) == options.has_option(one), name
        if name in known:
            assert known[name].default == one.default
    assert not options.has_option(SETTINGS["constraints"])


def test_replay_takes_every_piece_that_generate_takes():
    from pathlib import Path

    pieces = {name for name, one in SETTINGS.items() if issubclass(one.type, Path)}
    pieces |= {name for name, one in REDO_SETTINGS.items() if issubclass(one.type, Path)}
    assert pieces == {"primer", "form_of"}
    assert {"piece", *pieces} <= {option.name for option in main.commands["replay"].params}
