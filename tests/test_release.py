"""A release: its text comes from the changelog, its files work in fresh environments of every Python."""

import configparser
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

import melodygru

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("release", ROOT / ".ci" / "release.py")
release = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(release)

CHANGELOG = """# Changelog

## [Unreleased]

### Added

- Not yet.

## [1.2.0] - 2026-01-31

### Added

- This.

## [1.1.0] - 2025-12-01

- That.

## [1.0.0]

- No date.
"""


def test_the_text_is_the_section_of_the_version():
    text = release.notes(CHANGELOG, "1.2.0")
    assert text.startswith("# melodygru 1.2.0 (2026-01-31)\n\n### Added\n\n- This.\n\n### Install\n")
    assert "pipx install melodygru==1.2.0" in text and "Not yet" not in text and "That" not in text
    assert release.notes(CHANGELOG, "1.1.0").startswith("# melodygru 1.1.0 (2025-12-01)\n\n- That.\n")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("2.0.0", r"no section \[2.0.0\], which is the version in melodygru/version.py"),
        ("1.0.0", r"the section \[1.0.0\] lacks a date"),
        ("1.2.0", r"the section \[1.2.0\] lacks anything"),
    ],
)
def test_a_changelog_without_the_release_is_refused(version, message):
    with pytest.raises(ValueError, match=message):
        release.notes(CHANGELOG.replace("### Added\n\n- This.\n", ""), version)


def test_the_changelog_has_the_version_of_the_package():
    assert release.version() == melodygru.__version__
    printed = subprocess.run(
        [sys.executable, ROOT / ".ci" / "release.py", "notes"], capture_output=True, text=True, check=True
    ).stdout
    assert printed.startswith(f"# melodygru {melodygru.__version__} (2")
    headings = release.HEADING.findall((ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert [heading[0] for heading in headings[:2]] == ["Unreleased", melodygru.__version__]


def test_name_and_address_stand_in_one_place():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    address = config["metadata"]["url"]
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=False
    ).stdout.split()
    texts = [ROOT / name for name in listed if name.endswith((".md", ".py", ".toml", ".cfg")) or name == "Makefile"]
    naming = [path.name for path in texts if path.is_file() and address in path.read_text("utf-8", "replace")]
    assert naming in ([], ["setup.cfg"])  # the first outside a repository


# -- fresh environments


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the sdist, of a copy of what is under version control."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("benchmarks/", "tests/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", source])
    (wheel,), (sdist,) = (folder / "dist").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
    return wheel, sdist


def run(command, cwd=None, **variables):
    # With the repository on the path, pip would find the package installed already.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    command = [*map(str, command)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=environment)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def interpreter(version):
    """The Python of a version that is on this machine; else the test is skipped."""
    for name in (f"python{version}", *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")):
        code = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
        try:
            found = subprocess.run([name, "-c", code], capture_output=True, text=True, check=False)
        except OSError:
            continue
        if found.stdout.strip() == version:
            return str(name)
    pytest.skip(f"no Python {version} with venv on this machine")


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Skips where no registry can be reached; what the package needs comes from there."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", tmp_path_factory.mktemp("probe"), "mido"]
    probe = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, check=False)
    if probe.returncode != 0:
        pytest.skip("no registry of packages can be reached")


def assert_composes(command, folder, files):
    """The command composes the file and says so; `files` are those that must be there afterwards."""
    folder.mkdir()
    printed = run([command, "generate", "--bars", "2", "--seed", "1", "-o", "."], cwd=folder)
    assert re.search(r"starter-1-1\.mid  \d+ notes, 2 bars", printed)
    assert sorted(path.name for path in folder.iterdir()) == files


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_wheel_and_sdist_compose_in_a_fresh_environment(version, built, registry, tmp_path, record_property):
    python, started = interpreter(version), time.monotonic()
    home = tmp_path / "venv"
    if uv := shutil.which("uv"):
        run([uv, "venv", "--quiet", "--python", python, home])
        install = [uv, "pip", "install", "--quiet", "--python", home / "bin" / "python"]
    else:
        run([python, "-m", "venv", home])
        install = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    wheel, sdist = built
    run([*install, wheel])
    assert_composes(home / "bin" / "melodygru", tmp_path / "wheel", ["starter-1-1.mid"])
    run([*install, "--no-deps", "--force-reinstall", sdist])
    assert_composes(home / "bin" / "melodygru", tmp_path / "sdist", ["starter-1-1.mid"])
    assert (tmp_path / "wheel" / "starter-1-1.mid").read_bytes() == (
        tmp_path / "sdist" / "starter-1-1.mid"
    ).read_bytes()
    record_property("seconds", round(time.monotonic() - started))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_pipx_installs_a_wheel_that_composes(built, registry, tmp_path):
    pipx = shutil.which("pipx") or pytest.skip("no pipx on this machine")
    homes = {"PIPX_HOME": str(tmp_path / "home"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    run([pipx, "install", "--python", sys.executable, built[0]], **homes)
    assert_composes(tmp_path / "bin" / "melodygru", tmp_path / "music", ["starter-1-1.mid"])


@pytest.mark.slow
def test_the_wheel_made_of_the_sdist_is_whole(built):
    with zipfile.ZipFile(built[0]) as wheel:
        names = set(wheel.namelist())
    assert "melodygru/checkpoints/starter.keras" in names
    assert "melodygru/render/pages/templates/piece.html" in names
