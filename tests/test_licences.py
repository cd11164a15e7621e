"""What may be in this repository and what it may depend on: MIT code of our own, and permissive libraries."""

import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
USED = [*PROJECT["dependencies"], *EXTRAS["learn"], *EXTRAS["petsc"], *EXTRAS["cluster"]]

PERMISSIVE = re.compile(r"\b(MIT|BSD|Apache|PSF|Python Software Foundation|ISC|0BSD)\b", re.IGNORECASE)
COPYLEFT = re.compile(r"\bA?GPL\b|\bLGPL\b|non-?commercial", re.IGNORECASE)

# What files under the licences that the specification of datasets excludes say of themselves. PDEBench's generators and
# model loaders, and CAPE, belong to NEC; DiffOAS and its copies of samplers have no licence at all.
FOREIGN = re.compile(
    r"NEC Laboratories|NEC Corporation|NONCOMMERCIAL RESEARCH USE|DiffOAS-?\w*\.(py|git)"
    r"|SPDX-License-Identifier:(?!\s*MIT)|Copyright \(c\)|All rights reserved",
    re.IGNORECASE,
)


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    names = [name for name in listed.decode().split("\0") if name]
    kept = [ROOT / name for name in names if Path(name).suffix in (".py", ".sh", ".toml", ".ipynb", ".md", ".txt")]
    return [path for path in kept if path.is_file() and path != Path(__file__).resolve()]


@pytest.mark.parametrize("requirement", [line for line in USED if not line.startswith("resolvent")])
def test_pins_are_loose(requirement):
    assert re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?>=[0-9.]+", requirement), requirement


@pytest.mark.parametrize("requirement", USED)
def test_what_it_depends_on_is_permissive(requirement):
    name = re.match(r"[A-Za-z0-9._-]+", requirement)[0]
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    fields = (about.get("License-Expression"), (about.get("License") or "")[:2000])
    stated = " ".join(filter(None, [*fields, *(about.get_all("Classifier") or ())]))
    assert PERMISSIVE.search(stated), f"{name} states no licence that is known to be permissive: {stated[:200]!r}"
    assert not COPYLEFT.search(stated), f"{name}: {stated[:200]!r}"


def test_no_file_carries_the_mark_of_another_licence():
    files = tracked()
    assert len(files) > 300
    marked = {
        str(path.relative_to(ROOT)): found[0]
        for path in files
        if (found := FOREIGN.search(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert not marked


def test_the_marks_are_found_where_they_are():
    assert FOREIGN.search("# SPDX-License-Identifier: GPL-3.0") and FOREIGN.search("(c) NEC Laboratories Europe GmbH")
    assert not FOREIGN.search("SPDX-License-Identifier: MIT")
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
