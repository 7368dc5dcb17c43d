"""What CI installs is pinned by hashes, and the bill of materials and the notices are of these releases."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("supply", ROOT / ".ci" / "supply.py")
supply = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(supply)


@pytest.mark.parametrize("python", supply.PYTHONS)
def test_every_package_is_pinned_by_hashes(python):
    found = supply.pinned(python)
    assert all(hashes for _, hashes in found.values())
    assert {supply.normal(name) for name in found} >= supply.needed() | {"pytest", "ruff", "mypy", "setuptools"}
    text = supply.constraints(python).read_text("utf-8")
    assert len(re.findall("==", text)) >= len(found)
    assert "://" not in text and "index" not in text  # no registry is named


def test_the_bill_of_materials_is_of_these_releases():
    document = json.loads((ROOT / "sbom.json").read_text("utf-8"))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    released = {one["name"]: one["version"] for one in document["components"] if one["type"] == "library"}
    assert released.pop("webaudio-tinysynth") == supply.SYNTH["version"]
    assert released == {name: release for name, (release, _) in supply.pinned(supply.FOR_SBOM).items()}
    assert "TimGM6mb.sf2" in {one["name"] for one in document["components"]}
    assert document["serialNumber"] == json.loads(supply.sbom())["serialNumber"]


def test_the_notices_name_every_package_and_the_soundfont():
    text = (ROOT / "THIRD_PARTY_NOTICES.md").read_text("utf-8")
    for name, (release, _) in supply.pinned(supply.FOR_SBOM).items():
        assert f"| {name} | {release} | " in text
    assert "TimGM6mb.sf2" in text and "GNU General Public License" in text
    vendored = (ROOT / "melodygru" / "studio" / "static" / "vendor" / "README.txt").read_text("utf-8")
    version, (digest,) = supply.SYNTH["version"], [one["content"] for one in supply.SYNTH["hashes"]]
    assert f"**webaudio-tinysynth** {version}" in text and version in vendored and digest in vendored


def test_the_threat_model_names_tests_that_exist():
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    for path in re.findall(r"`(tests/[a-z_/]+\.py)`", text):
        assert (ROOT / path).is_file(), path
