"""The house holds: imports go one way, heavy ones stay in their rooms, and everything public explains itself."""

import ast
import configparser
import importlib
import importlib.util
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import melodygru

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "melodygru"

# A room may import those above it.
ROOMS = (
    "errors",
    "files",
    "wording",
    "stderr",
    "notes",
    "keys",
    "variety",
    "midi",
    "events",
    "corpus",
    "checkpoint",
    "originality",
    "network",
    "explain",
    "sampling",
    "metrics",
    "audio",
    "plots",
    "roll",
    "score",
    "primer",
    "stamp",
    "compose",
    "again",
    "model",
    "training",
    "comparison",
    "cli",
)
DATA = "checkpoints"  # the shipped model's folder: no code, so any room may name it
FACADES = ("__init__", "__main__")  # what a user imports or runs: above every room

HEAVY = {  # third-party package -> the rooms that may import it
    "h5py": {"checkpoint"},
    "keras": {"model", "training", "comparison"},
    "matplotlib": {"plots"},
    "midirenderer": {"audio"},
    "miniaudio": {"audio"},
    "mido": {"midi", "audio"},
    "pretty_midi": {"midi"},
    "rtmidi": {"audio"},
    "soundfile": {"audio"},
    "tensorflow": {"model", "training", "comparison"},
    "verovio": {"score"},
}
LAZY_ROOMS = {"audio", "plots", "score"}  # these import what is heavy inside functions
LAZY = {"model", "training", "comparison"}  # these rooms cli imports inside functions

needs_cli = pytest.mark.skipif(importlib.util.find_spec("melodygru.cli") is None, reason="no room named cli")


def _is_spared(scope: ast.AST) -> bool:
    """Whether loading the module leaves this part out: a function's body, or what only a type checker sees."""
    if isinstance(scope, ast.If):
        return getattr(scope.test, "attr", getattr(scope.test, "id", "")) == "TYPE_CHECKING"
    return isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


def _imports(tree: ast.AST, package: str) -> Iterator[tuple[str, int, bool]]:
    """Every import, importlib.import_module("...") too: (dotted name, line, whether loading the module spares it)."""
    spared = {id(node) for scope in ast.walk(tree) if _is_spared(scope) for node in ast.walk(scope)}
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
            yield name, node.lineno, id(node) in spared


def violations(room: str, source: str, package: str = "melodygru") -> list[str]:
    """What in the source of a module of `room` breaks the house; `package` is what relative imports start from."""
    found = []
    for name, line, spared in _imports(ast.parse(source), package):
        top, _, rest = name.partition(".")
        if room in HEAVY.get(top, {room}):
            if top in HEAVY and room in LAZY_ROOMS and not spared:
                found.append(f"{room}, line {line}: imports {top} outside a function")
        elif room not in FACADES or not spared:
            found.append(f"{room}, line {line}: imports {top}, which belongs to {', '.join(sorted(HEAVY[top]))}")
        if top != "melodygru" or room in FACADES:
            continue
        other = rest.partition(".")[0]
        if other in ("__version__", DATA, room):
            continue
        if other not in ROOMS:
            found.append(f"{room}, line {line}: imports {name}, which is no room; import from the room that has it")
        elif ROOMS.index(other) > ROOMS.index(room):
            found.append(f"{room}, line {line}: imports {other}, which is below it in the table")
        elif room == "cli" and other in LAZY and not spared:
            found.append(f"{room}, line {line}: imports {other} outside a function, and TensorFlow with it")
    return found


def _modules(room: str) -> list[Path]:
    """The module of a room, or every module of a room that is a folder; none when there is no such room."""
    return [path for path in (PACKAGE / f"{room}.py",) if path.exists()] + sorted((PACKAGE / room).rglob("*.py"))


@pytest.fixture(params=ROOMS)
def modules(request: pytest.FixtureRequest) -> tuple[str, list[Path]]:
    """A room's name and its modules."""
    paths = _modules(request.param)
    if not paths:
        pytest.skip(f"no room named {request.param}")
    return request.param, paths


@pytest.mark.parametrize(
    ("room", "source", "complaint"),
    [
        ("midi", "from melodygru.music.notes import Grid", None),
        ("midi", "from melodygru import notes, errors", None),
        ("midi", "from . import notes", None),
        ("midi", "from melodygru import __version__", None),
        ("midi", "from melodygru.midi import reading", None),
        ("checkpoint", "import melodygru.checkpoints", None),
        ("midi", "from melodygru.events import Vocabulary", "midi, line 1: imports events, which is below it"),
        ("midi", "from . import events", "imports events, which is below it"),
        ("midi", "import melodygru.events", "imports events, which is below it"),
        ("midi", "def f():\n    from melodygru import corpus", "midi, line 2: imports corpus, which is below it"),
        ("midi", "if TYPE_CHECKING:\n    from melodygru.cli import main", "imports cli, which is below it"),
        ("midi", "importlib.import_module('melodygru.cli')", "imports cli, which is below it"),
        ("midi", "from melodygru import generate", "imports melodygru.generate, which is no room"),
        ("midi", "import melodygru", "imports melodygru, which is no room"),
        ("midi", "import pretty_midi.utilities", None),
        ("events", "import pretty_midi", "events, line 1: imports pretty_midi, which belongs to midi"),
        ("events", "def f():\n    import mido.backends", "imports mido, which belongs to audio, midi"),
        ("plots", "def f():\n    import matplotlib.pyplot as plt", None),
        ("plots", "if TYPE_CHECKING:\n    from matplotlib.figure import Figure", None),
        ("plots", "import matplotlib", "plots, line 1: imports matplotlib outside a function"),
        ("model", "import tensorflow as tf", None),
        ("cli", "def f():\n    from melodygru.training import fit", None),
        ("cli", "from melodygru.training import fit", "imports training outside a function, and TensorFlow with it"),
        ("cli", "def f():\n    import tensorflow", "imports tensorflow, which belongs to comparison, model, training"),
        ("__init__", "def f():\n    import keras\n    from melodygru.model import load", None),
        ("__init__", "import keras", "__init__, line 1: imports keras, which belongs to comparison, model, training"),
    ],
)
def test_the_rule(room: str, source: str, complaint: str | None) -> None:
    found = violations(room, source)
    if complaint is None:
        assert found == []
    else:
        assert len(found) == 1 and complaint in found[0]


def test_relative_imports_in_a_room_that_is_a_folder() -> None:
    assert violations("midi", "from . import reading\nfrom .writing import save", "melodygru.midi") == []
    assert len(violations("midi", "from .. import cli", "melodygru.midi")) == 1


def test_imports_go_one_way(modules: tuple[str, list[Path]]) -> None:
    room, paths = modules
    found = []
    for path in paths:
        package = ".".join(path.parent.relative_to(ROOT).parts)
        found += violations(room, path.read_text("utf-8"), package)
    assert found == []


@pytest.mark.parametrize("facade", FACADES)
def test_the_facade_imports_nothing_heavy_at_once(facade: str) -> None:
    path = PACKAGE / f"{facade}.py"
    if path.exists():
        assert violations(facade, path.read_text("utf-8")) == []


def test_every_module_has_its_place() -> None:
    names = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")}
    unknown = sorted(names - {*ROOMS, *FACADES})
    assert unknown == [], f"{unknown}: add them to ROOMS in tests/test_house.py and to the table in CONTRIBUTING.md"


def test_the_contributing_page_shows_the_same_table() -> None:
    lines = (ROOT / "CONTRIBUTING.md").read_text("utf-8").splitlines()
    assert tuple(line.split("`")[1] for line in lines if line.startswith("| `")) == ROOMS


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


def test_public_names_have_docstrings(modules: tuple[str, list[Path]]) -> None:
    _, paths = modules
    assert {path.name: names for path in paths if (names := _undocumented(path.read_text("utf-8")))} == {}


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


@needs_cli
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


@needs_cli
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
        modules = {name for name in wheel.namelist() if name.startswith("melodygru/") and name.endswith(".py")}
        modules.discard("melodygru/checkpoints/__init__.py")
    assert names == {"__init__.py", "README.md", "starter.keras"}
    assert modules == {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*.py")}
