"""Every notebook runs from top to bottom and prints what it is stored with."""

from __future__ import annotations

from pathlib import Path

import pytest

from .printed_output import differences

nbclient = pytest.importorskip("nbclient", reason='needs the extra "notebooks"')
nbformat = pytest.importorskip("nbformat")

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def printed(cell: dict[str, object]) -> str:
    """Return the text a code cell printed, errors and pictures left out."""
    outputs = cell.get("outputs", [])
    return "".join(o["text"] for o in outputs if o.get("output_type") == "stream" and o.get("name") == "stdout")


def pictures(cell: dict[str, object]) -> int:
    """Return the number of pictures a code cell shows."""
    return sum("image/png" in o.get("data", {}) for o in cell.get("outputs", []))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_prints_what_is_stored(path: Path, tmp_path: Path) -> None:
    stored = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    nbclient.NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for number, (old, new) in enumerate(zip(stored.cells, fresh.cells, strict=True)):
        if old.cell_type != "code":
            continue
        wrong = differences(printed(old), printed(new))
        assert not wrong, "\n".join([f"cell {number} of {path.name} prints something else:", *wrong])
        assert pictures(old) == pictures(new), f"cell {number} of {path.name} shows another number of pictures"


def test_there_are_notebooks() -> None:
    stems = [path.stem for path in NOTEBOOKS]
    assert stems[:5] == ["01_first_solve", "02_first_dataset", "03_sequences", "04_multigrid", "05_tuning"]
    assert {"06_dataset_tour", "09_neural_operators", "10_learned_preconditioners"} <= set(stems)
