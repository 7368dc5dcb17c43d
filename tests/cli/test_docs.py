"""The reference of the command line is what its commands say."""

import importlib.util
from pathlib import Path

import pytest

from melodygru.cli import main
from melodygru.compose.settings import SETTINGS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def made():
    spec = importlib.util.spec_from_file_location("make_cli", DOCS / "make_cli.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.page()


def test_the_reference_is_not_stale(made):
    assert (DOCS / "cli.md").read_text("utf-8") == made, "run make docs"


def test_it_holds_every_option_and_every_setting(made):
    for name, command in main.commands.items():
        section = made.partition(f"## melodygru {name}\n")[2].partition("\n## ")[0]
        for option in command.params:
            assert max(option.opts, key=len) in section or option.human_readable_name in section, (name, option.name)
    settings = made.partition("## Settings of generate")[2]
    assert all(f"| `{name}` |" in settings for name in SETTINGS)
