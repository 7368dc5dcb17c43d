"""Tests see nothing that lies in the folder in which they were started, or in the user's cache."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from melodygru.corpus.cache import default_folder
from melodygru.model import checkpoint

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def shared_by_tests() -> list[Path]:
    """What a fixture of several tests finds in its working folder."""
    return list(Path.cwd().iterdir())


def test_fixtures_and_tests_work_in_empty_folders(shared_by_tests: list[Path]) -> None:
    assert shared_by_tests == list(Path.cwd().iterdir()) == []


def test_a_model_trained_here_before_is_not_taken_for_the_shipped_one() -> None:
    assert checkpoint.find() == checkpoint.shipped_path()


def test_a_process_begins_in_the_tests_folder_with_this_package() -> None:
    code = "import os, melodygru; print(os.getcwd(), melodygru.__file__, os.listdir(), sep='\\n')"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.splitlines() == [os.getcwd(), str(TESTS.parent / "melodygru" / "__init__.py"), "[]"]


def test_the_cache_is_this_runs_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert tmp_path_factory.getbasetemp() in default_folder().parents


def _started_elsewhere(source: str) -> list[int]:
    """The lines that set a working folder, of this process or another, to one of the repository's."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    folders = [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "cwd"]
    folders += [call.args[0] for call in calls if getattr(call.func, "attr", "") == "chdir" and call.args]
    fixed = ("ROOT", "TESTS", "BENCHMARKS", "__file__")
    names = [(folder.lineno, {getattr(node, "id", "") for node in ast.walk(folder)}) for folder in folders]
    return [line for line, found in names if found & {*fixed}]


def test_what_counts_as_started_elsewhere() -> None:
    assert _started_elsewhere("run(a, cwd=ROOT)\nos.chdir(Path(__file__).parent)\nrun(a, cwd=tmp_path)") == [1, 2]


def test_nothing_is_started_in_the_repository() -> None:
    found = {path.relative_to(TESTS): _started_elsewhere(path.read_text("utf-8")) for path in TESTS.rglob("*.py")}
    assert {name: lines for name, lines in found.items() if lines} == {}
