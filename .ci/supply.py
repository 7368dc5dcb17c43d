"""What melodygru is made of, from the releases that CI installs.

    make constraints    constraints/python3.*.txt: every package that CI installs, with the hashes of its files
    make notices        sbom.json (CycloneDX 1.5) and THIRD_PARTY_NOTICES.md, from these and what is installed
    make audit          known weaknesses of these releases, where pip-audit can reach its lists

The first needs uv (pip install uv) and the registry, the second neither; the same releases give the same bytes.
"""

from __future__ import annotations

import configparser
import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
FOR_SBOM = "3.11"  # the Python that CI installs
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$")
SOUNDFONT = {
    "type": "file",
    "name": "TimGM6mb.sf2",
    "description": "SoundFont by Tim Brechbill, inside the package pretty_midi; melodygru plays it, and ships no copy",
    "licenses": [{"license": {"id": "GPL-2.0-only"}}],
}

SYNTH = {
    "type": "library",
    "bom-ref": "pkg:npm/webaudio-tinysynth@1.1.3",
    "name": "webaudio-tinysynth",
    "version": "1.1.3",
    "purl": "pkg:npm/webaudio-tinysynth@1.1.3",
    "description": "the instruments of the studio's page, in melodygru/studio/static/vendor, unchanged",
    "hashes": [{"alg": "SHA-256", "content": "408e0d68a17e7eaec02a2e0a9dadffea7bdb145e0450407c56024fa990e1b250"}],
    "licenses": [{"license": {"id": "Apache-2.0"}}],
}


def constraints(python: str) -> Path:
    """Where the releases for a Python stand."""
    return ROOT / "constraints" / f"python{python}.txt"


def pinned(python: str) -> dict[str, tuple[str, list[str]]]:
    """Each package's release and the SHA-256 of its files; the last of those that stand for several platforms."""
    found: dict[str, tuple[str, list[str]]] = {}
    name = ""
    for line in constraints(python).read_text("utf-8").splitlines():
        if match := PIN.match(line):
            name = match[1]
            found[name] = (match[2], [])
        elif name and "--hash=sha256:" in line:
            found[name][1].append(line.split("--hash=sha256:")[1].split()[0])
    return found


def make_constraints() -> None:
    """Resolve the releases anew, for each Python."""
    for python in PYTHONS:
        options = ["--universal", "--python-version", python, "--extra", "dev", "--generate-hashes", "--no-annotate"]
        options += ["--no-emit-index-url", "--custom-compile-command", "make constraints", "--quiet", "--upgrade"]
        target = str(constraints(python).relative_to(ROOT))
        subprocess.run(["uv", "pip", "compile", *options, "-o", target, "setup.cfg"], cwd=ROOT, check=True)


def needed() -> set[str]:
    """The packages that melodygru needs itself, by their normalised names, the extras aside."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    lines = config["options"]["install_requires"].splitlines()
    return {normal(re.split(r"[<>=;\[ ]", line)[0]) for line in lines if line and not line.startswith("#")}


def normal(name: str) -> str:
    """A package's name as registries compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(name: str) -> str:
    """The licence that a package's own metadata name, in a line; "see the package" where they name none."""
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return "see the package"
    if expression := metadata.get("License-Expression"):
        return expression
    classes = [text.split(" :: ")[-1] for text in metadata.get_all("Classifier") or () if text.startswith("License ::")]
    text = (metadata.get("License") or "").strip().splitlines()
    return "; ".join(one for one in classes if one != "OSI Approved") or (text[0][:80] if text else "see the package")


def sbom() -> str:
    """The bill of materials as CycloneDX JSON; without a time, so that the same releases give the same bytes."""
    components = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{release}",
            "name": name,
            "version": release,
            "purl": f"pkg:pypi/{name}@{release}",
            "scope": "required" if normal(name) in needed() else "optional",
            "licenses": [{"license": {"name": licence_of(name)}}],
        }
        for name, (release, _) in pinned(FOR_SBOM).items()
    ]
    digest = hashlib.sha256(constraints(FOR_SBOM).read_bytes()).hexdigest()
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "melodygru",
                "name": "melodygru",
                "licenses": [{"license": {"id": "MIT"}}],
            },
            "properties": [{"name": "melodygru:constraints-sha256", "value": digest}],
        },
        "components": [*components, SYNTH, SOUNDFONT],
    }
    return json.dumps(document, indent=1) + "\n"


NOTICES = """# Third-party notices

melodygru is MIT-licensed, see [LICENSE](LICENSE). It contains one file of others, below. What it needs is installed
beside it by pip, each package under a licence of its own, which it carries; the releases are those of
[constraints/python{python}.txt](constraints/python{python}.txt). Written by `make notices`.

**webaudio-tinysynth** 1.1.3 by Tatsuya Shinyagaito (g200kg), Apache-2.0: the instruments of the studio's page, in
`melodygru/studio/static/vendor`, unchanged, with its licence and its hash.

The default sound comes from **TimGM6mb.sf2**, a SoundFont by Tim Brechbill under the GNU General Public License,
version 2, that the package pretty_midi carries. melodygru reads it where it lies and ships no copy. `--soundfont` takes
another.

The music of the starter corpus has licences of its own: see `data/starter`.

| package | release | licence, as its metadata say | needed by |
|---|---|---|---|
"""


def notices() -> str:
    """Each package with its licence."""
    rows = []
    for name, (release, _) in sorted(pinned(FOR_SBOM).items(), key=lambda item: item[0].lower()):
        use = "melodygru" if normal(name) in needed() else "these, or tests and extras"
        rows.append(f"| {name} | {release} | {licence_of(name).replace('|', '/')} | {use} |")
    return NOTICES.format(python=FOR_SBOM) + "\n".join(rows) + "\n"


def main(task: str) -> None:
    """Do one of the tasks of the module's description."""
    if task == "constraints":
        make_constraints()
    elif task == "notices":
        (ROOT / "sbom.json").write_text(sbom(), "utf-8")
        (ROOT / "THIRD_PARTY_NOTICES.md").write_text(notices(), "utf-8")
    else:
        sys.exit(f"{task}: expected constraints or notices")


if __name__ == "__main__":
    main(sys.argv[1])
