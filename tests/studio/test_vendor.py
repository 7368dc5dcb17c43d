"""What the page is made of: its size, and the library that comes with it, unchanged."""

import hashlib
import re
from pathlib import Path

import melodygru

STATIC = Path(melodygru.__file__).parent / "studio" / "static"
MOST_BYTES = 400_000


def test_the_page_is_small():
    assert sum(path.stat().st_size for path in STATIC.rglob("*") if path.is_file()) < MOST_BYTES


def test_the_vendored_library_is_the_one_that_is_named():
    sums = dict(
        reversed(line.split()[-2:] if "(" not in line else line.split("(")[0].split()[-2:])
        for line in (STATIC / "vendor" / "README.txt").read_text().splitlines()
        if re.search(r"\b[0-9a-f]{64}\b", line)
    )
    assert set(sums) == {path.name for path in (STATIC / "vendor").iterdir()} - {"README.txt"}
    for name, expected in sums.items():
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == expected


def test_no_script_makes_code_of_text_or_names_another_host():
    for path in STATIC.rglob("*.js"):
        text = path.read_text()
        assert not re.search(r"\beval\(|new Function\(|importScripts|document\.write", text), path
        assert not re.findall(r"https?://(?!www\.w3\.org)[^\s\"'`)]+", text), path


def test_all_modules_are_asked_for_at_once():
    """A module that is found only in another one costs a round trip more."""
    named = set(re.findall(r'rel="modulepreload" href="/static/([^"]+)"', (STATIC / "index.html").read_text()))
    modules = {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.js")}
    assert named == modules - {"app.js", "vendor/webaudio-tinysynth.js"}
