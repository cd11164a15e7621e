"""Every example in a docstring runs and prints what it shows.

Not through ``pytest --doctest-modules``: with import errors ignored for missing extras, that skips a test module that
cannot be imported instead of failing.
"""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
from pathlib import Path

import pytest

import resolvent

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(resolvent.__path__, "resolvent.")
    if not module.name.endswith("__main__")
)
EXTRAS = {"torch", "petsc4py", "mpi4py", "dask"}
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_examples_in_docstrings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if error.name and error.name.partition(".")[0] in EXTRAS:
            pytest.skip(f"needs {error.name}")
        raise
    monkeypatch.chdir(tmp_path)  # examples may write files
    results = doctest.testmod(module, optionflags=OPTIONS | doctest.REPORT_NDIFF)
    assert results.failed == 0, f"{results.failed} of {results.attempted} examples in {name} fail: see the output"


def test_examples_are_not_lost() -> None:
    """The number of modules with examples only grows; a wrong walk would find none."""
    finder = doctest.DocTestFinder()
    shown = 0
    for name in MODULES:
        if Path(name.replace(".", os.sep)).name.startswith("_"):
            continue
        shown += any(test.examples for test in finder.find(importlib.import_module(name)))
    assert shown >= 30
