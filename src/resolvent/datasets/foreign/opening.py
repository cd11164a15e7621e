"""Opening a dataset in whatever foreign format it has."""

from __future__ import annotations

from pathlib import Path

from ..errors import FormatError
from ..storage.file_format import FORMAT
from . import neuraloperator_reader, pdebench_reader, the_well_reader
from .foreign_set import ForeignSet
from .recognition import foreign_format


def open_foreign(path: str | Path) -> ForeignSet:
    """Open a dataset of PDEBench, The Well or neuraloperator for reading.

    Parameters
    ----------
    path : path
        A file of PDEBench's layouts; a file of The Well, or its folder with ``data/train`` and the others; a file of
        neuraloperator's tensors (with the files of the other splits beside it), or a folder with one such set.

    Returns
    -------
    opened : ForeignSet
        Read lazily. Nothing in the file is run.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path.
    FormatError
        If it has none of the formats, or lacks what its format demands.
    ImportError
        For tensor files, without torch.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from resolvent import datasets
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> ours = datasets.generate(datasets.families.get("darcy", resolution=16), 10, out=folder / "darcy.h5")
    >>> report = datasets.export(ours, "pdebench", folder / "darcy.hdf5")
    >>> theirs = datasets.open_foreign(folder / "darcy.hdf5")
    >>> theirs.layout, len(theirs), theirs[0]["nu"].shape, theirs.attributes["beta"]
    ('darcy', 10, (16, 16), 1.0)
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no foreign dataset {path}")
    found = foreign_format(path)
    if found is None:
        raise FormatError(_refusal(path))
    if found == "pdebench":
        return pdebench_reader.open_file(path)
    return the_well_reader.open_well(path) if found == "the_well" else neuraloperator_reader.open_tensors(path)


def _refusal(path: Path) -> str:
    """Say what a path is instead of a foreign dataset."""
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(FORMAT)) == FORMAT.encode():
                return f"{path} is a dataset of this package: read it with `resolvent.datasets.open`"
    return (
        f"{path} has none of the known formats: expected a file of PDEBench (`tensor`, `density` or numbered groups "
        "with `data`), of The Well (`dimensions`, `t0_fields`), or of neuraloperator (tensors x and y), or a folder of "
        "the last two"
    )
