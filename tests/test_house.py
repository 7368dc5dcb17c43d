"""The house holds: imports go one way, heavy ones stay where they belong, and everything public explains itself."""

import ast
import configparser
import importlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

import melodygru

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "melodygru"

# In the order of the data: a module imports its own wing and those above it.
WINGS = (
    "errors",
    "version",
    "util",
    "music",
    "midi",
    "events",
    "corpus",
    "model",
    "analysis",
    "render",
    "compose",
    "training",
    "studio",
    "cli",
)
DATA = "checkpoints"  # the shipped model's folder: no code, so any wing may name it
FACADES = ("__init__", "__main__")  # what a user imports or runs: above every wing
MOST_LINES = 520  # of a module

# Modules, by the beginning of their names, that may import TensorFlow when they are loaded. No other does, by any way.
TENSORFLOW = (
    *("model.keras_model", "model.heads", "model.cells.keras_layers", "model.products", "model.where"),
    *(
        "training.device",
        "training.dropout",
        "training.evaluation",
        "training.feeding",
        "training.history",
        "training.optimizer",
        "training.position",
    ),
    *("training.trainer", "training.workers"),
    *("training.rivals.contestant", "training.rivals.transformer"),
)
HEAVY = {  # third-party package -> the modules, by the beginning of their names, that may import it
    "flask": ("studio",),
    "h5py": ("model.checkpoint",),
    "jinja2": ("render.pages",),
    "keras": TENSORFLOW,
    "matplotlib": ("render.pictures",),
    "midirenderer": ("render.audio",),
    "miniaudio": ("render.audio",),
    "mido": ("midi", "render.audio"),
    "pretty_midi": ("midi",),
    "rtmidi": ("render.audio",),
    "soundfile": ("render.audio",),
    "tensorflow": TENSORFLOW,
    "verovio": ("render.score",),
    "werkzeug": ("studio",),
}
EAGER = ("keras", "tensorflow")  # imported at the top of modules; the others inside functions
WEB = ("flask", "werkzeug")  # likewise: the command line imports the server inside a function


class Import(NamedTuple):
    """An import: of what, where it stands, and whether only a function's body or only a type checker meets it."""

    name: str
    line: int
    in_function: bool
    for_types: bool


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and getattr(node.test, "attr", getattr(node.test, "id", "")) == "TYPE_CHECKING"


def imports(source: str, package: str) -> Iterator[Import]:
    """Every import of a module, importlib.import_module("...") too; relative ones start from `package`."""
    tree = ast.parse(source)
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    inside = {id(n) for scope in ast.walk(tree) if isinstance(scope, functions) for n in ast.walk(scope)}
    for_types = {id(n) for scope in ast.walk(tree) if _is_for_types(scope) for n in ast.walk(scope)}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                names = [node.args[0].value]
        for name in names:
            yield Import(name, node.lineno, id(node) in inside, id(node) in for_types)


def begins(module: str, beginnings: tuple[str, ...]) -> bool:
    """Whether a module is one of these or lies in one of these packages."""
    return any(module == beginning or module.startswith(f"{beginning}.") for beginning in beginnings)


def violations(module: str, source: str, package: str = "melodygru") -> list[str]:
    """What in the source of a module, named without `melodygru.`, breaks the house."""
    wing, found = module.partition(".")[0], []
    for name, line, in_function, for_types in imports(source, package):
        top, _, rest = name.partition(".")
        if top in HEAVY and not for_types and not (module in FACADES and in_function):
            if not begins(module, HEAVY[top]):
                found.append(f"{module}, line {line}: imports {top}, which belongs to {', '.join(HEAVY[top])}")
            elif top not in (*EAGER, *WEB) and not in_function:
                found.append(f"{module}, line {line}: imports {top} outside a function")
        if top != "melodygru" or module in FACADES:
            continue
        other = rest.partition(".")[0]
        if other in (DATA, wing):
            continue
        if other not in WINGS:
            found.append(f"{module}, line {line}: imports {name}, which is no wing; import from the module that has it")
        elif WINGS.index(other) > WINGS.index(wing):
            found.append(f"{module}, line {line}: imports {other}, which is below it in the table")
    return found


@lru_cache(maxsize=1)
def modules() -> dict[str, Path]:
    """Every module's file by its name without `melodygru.`; a package is named as its folder."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


def package_of(path: Path) -> str:
    return ".".join(path.parent.relative_to(ROOT).parts)


def uses(module: str, *, of_functions: bool) -> set[str]:
    """The modules that a module imports when it is loaded, or later as well; names of packages for what they give."""
    path, found = modules()[module], set()
    for name, _, in_function, for_types in imports(path.read_text("utf-8"), package_of(path)):
        top, _, rest = name.partition(".")
        if top != "melodygru" or for_types or in_function and not of_functions:
            continue
        found |= {other for other in (rest, rest.rpartition(".")[0]) if other in modules() and other != module}
        found -= {rest.rpartition(".")[0]} if rest in modules() else set()
    return found


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("midi.files", "from melodygru.music.notes import NoteSequence", None),
        ("midi.files", "from melodygru import music, errors", None),
        ("midi.files", "from . import notes", "imports melodygru.notes, which is no wing"),
        ("midi.files", "from melodygru.midi import reading", None),
        ("midi.files", "from melodygru.version import __version__", None),
        ("model.checkpoint", "import melodygru.checkpoints", None),
        ("midi.files", "from melodygru.events import Vocabulary", "midi.files, line 1: imports events, which is below"),
        ("midi.files", "from . import events", "imports events, which is below it"),
        ("midi.files", "import melodygru.events", "imports events, which is below it"),
        (
            "midi.files",
            "def f():\n    from melodygru import corpus",
            "midi.files, line 2: imports corpus, which is below",
        ),
        ("midi.files", "if TYPE_CHECKING:\n    from melodygru.cli import main", "imports cli, which is below it"),
        ("midi.files", "importlib.import_module('melodygru.cli')", "imports cli, which is below it"),
        ("midi.files", "from melodygru import generate", "imports melodygru.generate, which is no wing"),
        ("midi.files", "import melodygru", "imports melodygru, which is no wing"),
        ("midi.files", "def f():\n    import pretty_midi.utilities", None),
        ("midi.files", "import pretty_midi", "midi.files, line 1: imports pretty_midi outside a function"),
        ("events.times", "import pretty_midi", "events.times, line 1: imports pretty_midi, which belongs to midi"),
        ("events.times", "def f():\n    import mido.backends", "imports mido, which belongs to midi, render.audio"),
        ("render.pictures.roll", "def f():\n    import matplotlib.pyplot as plt", None),
        ("render.terminal", "if TYPE_CHECKING:\n    from matplotlib.figure import Figure", None),
        ("render.terminal", "def f():\n    import matplotlib", "matplotlib, which belongs to render.pictures"),
        ("model.heads", "import tensorflow as tf", None),
        (
            "model.checkpoint",
            "def f():\n    import tensorflow",
            "imports tensorflow, which belongs to model.keras_model",
        ),
        ("__init__", "def f():\n    import keras\n    from melodygru.model import load", None),
        ("__init__", "import keras", "__init__, line 1: imports keras, which belongs to model.keras_model"),
    ],
)
def test_the_rule(module: str, source: str, complaint: str | None) -> None:
    found = violations(module, source)
    if complaint is None:
        assert found == []
    else:
        assert len(found) == 1 and complaint in found[0]


def test_relative_imports_in_a_wing() -> None:
    assert violations("midi.files", "from . import reading\nfrom .writing import save", "melodygru.midi") == []
    assert len(violations("midi.files", "from .. import cli", "melodygru.midi")) == 1


@pytest.mark.parametrize("wing", (*WINGS, *FACADES))
def test_imports_go_one_way(wing: str) -> None:
    found = []
    for module, path in modules().items():
        if begins(module, (wing,)):
            found += violations(module, path.read_text("utf-8"), package_of(path))
    assert found == []


def test_every_module_lies_in_a_wing() -> None:
    unknown = sorted({name.partition(".")[0] for name in modules()} - {*WINGS, *FACADES})
    assert unknown == [], f"{unknown}: add them to WINGS in tests/test_house.py and to the table in CONTRIBUTING.md"


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Nor inside functions: what is imported there, so that a circle works, belongs elsewhere."""
    direct = {module: uses(module, of_functions=True) for module in modules()}

    def reached(module: str) -> set[str]:
        found, new = set(), direct[module]
        while new:
            found |= new
            new = set().union(*(direct[other] for other in new)) - found
        return found

    assert {module: sorted(direct[module]) for module in modules() if module in reached(module)} == {}


@pytest.mark.slow
def test_tensorflow_is_loaded_by_its_own_modules_alone() -> None:
    """Importing a module runs the packages that it lies in, and all that these import."""

    def loads(module: str) -> set[str]:
        parts = module.split(".")
        return uses(module, of_functions=False) | {".".join(parts[:n]) for n in range(1, len(parts))}

    heavy = {
        module
        for module, path in modules().items()
        for each in imports(path.read_text("utf-8"), package_of(path))
        if each.name.partition(".")[0] in EAGER and not each.in_function and not each.for_types
    }
    assert "model.keras_model" in heavy
    while more := {module for module in {*modules()} - heavy - {*FACADES} if loads(module) & heavy}:
        heavy |= more
    assert sorted(module for module in heavy if not begins(module, TENSORFLOW)) == []
    assert heavy.isdisjoint({"training", "training.settings", "training.run"})  # which the command line imports


def test_no_module_is_too_long() -> None:
    lengths = {module: len(path.read_text("utf-8").splitlines()) for module, path in modules().items()}
    assert {module: n for module, n in lengths.items() if n > MOST_LINES} == {}


def test_the_contributing_page_shows_the_same_table() -> None:
    lines = (ROOT / "CONTRIBUTING.md").read_text("utf-8").splitlines()
    first = lines.index(next(line for line in lines if line.startswith("| wing")))
    rows = [line for line in lines[first:] if line.startswith("| `")][: len(WINGS)]
    assert tuple(row.split("`")[1] for row in rows) == WINGS


def _undocumented(source: str) -> list[str]:
    """The module, and its public functions and classes, that lack a docstring."""
    tree = ast.parse(source)
    public = [
        node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_")
    ]
    return [getattr(node, "name", "the module") for node in [tree, *public] if not ast.get_docstring(node)]


def test_what_counts_as_undocumented() -> None:
    assert _undocumented("def f(): ...\nclass C: ...\ndef _g(): ...") == ["the module", "f", "C"]
    assert _undocumented('"""M."""\ndef f():\n    """F."""\n    def inner(): ...') == []


def test_public_names_have_docstrings() -> None:
    found = {module: _undocumented(path.read_text("utf-8")) for module, path in modules().items()}
    assert {module: names for module, names in found.items() if names} == {}


def test_what_the_docs_import_is_there() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    found = [
        (module, name.strip())
        for page in pages
        for module, names in re.findall(r"^ *from (melodygru[\w.]*) import ([\w, ]+)$", page.read_text("utf-8"), re.M)
        for name in names.split(",")
    ]
    assert found
    for module, name in found:
        is_module = f"{module}.{name}".removeprefix("melodygru.") in modules()
        assert is_module or hasattr(importlib.import_module(module), name), f"{module} has no {name}"


def _loaded_by(code: str) -> list[str]:
    """The heavy packages that a fresh interpreter has loaded after `code`."""
    probe = f"import json, sys\n{code}\nprint('\\n' + json.dumps([n for n in {sorted(HEAVY)} if n in sys.modules]))"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_the_probe_sees_a_heavy_import() -> None:
    assert _loaded_by("import mido") == ["mido"]


def test_import_melodygru_is_light() -> None:
    assert _loaded_by("import melodygru") == []


def test_help_is_light() -> None:
    code = """
from melodygru.cli import main
for name in [None, *main.commands]:
    try:
        main([name, "--help"] if name else ["--help"], prog_name="melodygru")
    except SystemExit as stop:
        assert not stop.code
"""
    assert _loaded_by(code) == []


def test_every_command_and_option_has_help() -> None:
    import click

    main = importlib.import_module("melodygru.cli").main

    def silent(command: click.Command, path: str) -> Iterator[str]:
        if not (command.help or "").strip():
            yield path
        for option in command.params:
            if isinstance(option, click.Option) and not (option.help or "").strip():
                yield f"{path} {option.opts[0]}"
        for name, child in getattr(command, "commands", {}).items():
            yield from silent(child, f"{path} {name}")

    assert list(silent(main, "melodygru")) == []
    assert list(silent(click.Command("x", params=[click.Option(["--y"])]), "x")) == ["x", "x --y"]


def test_the_version_is_written_once() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    assert config["metadata"]["version"] == "attr: melodygru.version.__version__"
    assert f"## [{melodygru.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_every_package_is_installed() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("*.py")}
    assert set(config["options"]["packages"].split()) == {*folders, f"melodygru.{DATA}"}


@pytest.mark.slow
def test_the_wheel_carries_the_shipped_model_and_no_other(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(PACKAGE, source / "melodygru", ignore=shutil.ignore_patterns("__pycache__"))
    checkpoints = source / "checkpoints"
    checkpoints.mkdir()
    shutil.copy(ROOT / "checkpoints" / "__init__.py", checkpoints)
    for name in ("README.md", "starter.keras", "mine.keras"):
        (checkpoints / name).write_text(name)

    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, source]
    run = subprocess.run(build, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    with zipfile.ZipFile(tmp_path / f"melodygru-{melodygru.__version__}-py3-none-any.whl") as wheel:
        names = {Path(name).name for name in wheel.namelist() if name.startswith("melodygru/checkpoints/")}
        packed = {name for name in wheel.namelist() if name.startswith("melodygru/")}
        packed = {name for name in packed if not name.startswith("melodygru/checkpoints/")}
    assert names == {"__init__.py", "README.md", "starter.keras"}
    ours = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    assert packed == {name for name in ours if "__pycache__" not in name}
