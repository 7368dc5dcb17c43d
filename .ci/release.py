"""A release: its two files, and its text, which is its section of the changelog.

    python .ci/release.py           dist/: the wheel, the sdist and RELEASE.md
    python .ci/release.py notes     the text alone, on stdout

The version is that of melodygru/version.py.
The package's name and address are those of setup.cfg, and stand nowhere else.
"""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEADING = re.compile(r"^## \[([^\]]+)\](?: - (\d{4}-\d\d-\d\d))?$", re.MULTILINE)


def version() -> str:
    """The version of the package."""
    (found,) = re.findall(
        r'^__version__ = "([^"]+)"$', (ROOT / "melodygru/version.py").read_text("utf-8"), re.MULTILINE
    )
    return found


def metadata() -> configparser.SectionProxy:
    """What setup.cfg says of the package."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    return config["metadata"]


def notes(changelog: str, wanted: str) -> str:
    """The text of a release: its section of a changelog, under a heading with its date, and how to install it.

    Raises
    ------
    ValueError
        There is no section of that version, it has no date, or nothing stands in it.
    """
    headings = list(HEADING.finditer(changelog))
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        if heading[1] != wanted:
            continue
        body = changelog[heading.end() : following.start() if following else None].strip()
        if heading[2] is None or not body:
            missing = "a date" if heading[2] is None else "anything"
            raise ValueError(f"CHANGELOG.md: the section [{wanted}] lacks {missing}: '## [{wanted}] - 2026-01-31'")
        about = metadata()
        install = f"    pipx install {about['name']}=={wanted}\n\n{about['url']}"
        return f"# {about['name']} {wanted} ({heading[2]})\n\n{body}\n\n### Install\n\n{install}\n"
    raise ValueError(f"CHANGELOG.md: no section [{wanted}], which is the version in melodygru/version.py")


def build(target: Path) -> list[Path]:
    """The sdist, and the wheel made of it, in a new folder."""
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", target, ROOT]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return sorted(target.iterdir())


def main(arguments: list[str]) -> None:
    """Make a release, or print its text."""
    try:
        text = notes((ROOT / "CHANGELOG.md").read_text("utf-8"), version())
    except ValueError as error:
        sys.exit(str(error))
    if arguments == ["notes"]:
        print(text, end="")
        return
    if arguments:
        sys.exit(f"{' '.join(arguments)}: expected nothing, or notes")
    target = ROOT / "dist"
    files = build(target)
    (target / "RELEASE.md").write_text(text, "utf-8")
    for path in [*files, target / "RELEASE.md"]:
        print(path.relative_to(ROOT))
    print(f"Next: git tag v{version()}, and the two files to a registry, with RELEASE.md as the release's text")


if __name__ == "__main__":
    main(sys.argv[1:])
