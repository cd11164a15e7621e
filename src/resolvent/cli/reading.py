"""Reading matrices and right-hand sides from files, without ever running what they contain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import InputError

FORMATS = {
    ".mtx": "MatrixMarket",
    ".mtx.gz": "MatrixMarket",
    ".npy": "NumPy",
    ".npz": "NumPy",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
}
CSR_LAYOUT = "a group with the datasets data, indices, indptr and shape (compressed sparse rows)"


def format_of(path: Path) -> str:
    """Return the format that the ending of a file name stands for."""
    for ending, name in FORMATS.items():
        if path.name.lower().endswith(ending):
            return name
    raise InputError(
        f"{path}: expected a file name that ends in {', '.join(FORMATS)}",
        "scipy.io.mmwrite, scipy.sparse.save_npz and h5py write such files",
    )


def read_matrix(path: Path, key: str | None = None) -> Any:
    """Return the matrix in a file: a scipy CSR array or a dense array, square, not empty, numeric and finite.

    Parameters
    ----------
    path : Path
        MatrixMarket; NumPy (``scipy.sparse.save_npz``, or a dense array); HDF5 (a dense dataset, or `CSR_LAYOUT`).
    key : str, optional
        Which array of an archive, or which dataset or group of an HDF5 file.

    Raises
    ------
    InputError
        If there is no such matrix in it, and why.
    OSError
        If the file cannot be opened.
    """
    import numpy as np
    import scipy.sparse as sp

    matrix = _load(path, key, dimensions=2)
    if matrix.ndim != 2:
        raise InputError(f"{path}: expected a matrix with two dimensions, found an array of shape {matrix.shape}")
    rows, columns = matrix.shape
    if rows == 0 or columns == 0:
        raise InputError(f"{path}: the matrix is empty ({rows} x {columns})", "give a matrix with at least one row")
    if rows != columns:
        raise InputError(
            f"{path}: expected a square matrix, found {rows} x {columns}",
            "for a rectangular one, use LSMR or LSQR of resolvent.solvers in Python",
        )
    if sp.issparse(matrix):
        matrix = sp.csr_array(matrix)
        try:
            matrix.check_format(full_check=True)  # an index out of range would be read without a check by the kernels
        except (ValueError, IndexError) as error:
            raise InputError(f"{path}: the stored matrix is inconsistent ({error})", "write it again") from error
        matrix.sum_duplicates()
        matrix.data = _numeric(path, matrix.data)
    else:
        matrix = _numeric(path, matrix)
    values = matrix.data if sp.issparse(matrix) else matrix
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        if sp.issparse(matrix):
            row, column = np.searchsorted(matrix.indptr, bad[0], side="right") - 1, matrix.indices[bad[0]]
        else:
            row, column = np.unravel_index(bad[0], matrix.shape)
        count = "1 entry that is" if bad.size == 1 else f"{bad.size} entries that are"
        raise InputError(
            f"{path}: the matrix holds {count} not finite, the first, {values.ravel()[bad[0]]}, "
            f"in row {row}, column {column} (counted from 0)",
            "a system with NaN or infinity has no solution: mend the matrix where it is assembled",
        )
    return matrix


def read_right_hand_side(path: Path, n: int, key: str | None = None) -> Any:
    """Return the right-hand sides in a file: an (n,) or (n, k) array of finite numbers.

    Parameters
    ----------
    path : Path
        As for `read_matrix`; a sparse vector becomes a dense one.
    n : int
        Number of unknowns.
    key : str, optional
        Which array of an archive or dataset of an HDF5 file.
    """
    import numpy as np
    import scipy.sparse as sp

    b = _load(path, key, dimensions=1)
    b = b.toarray() if sp.issparse(b) else np.asarray(b)
    if b.ndim == 2 and b.shape[1] == 1 and format_of(path) == "MatrixMarket":
        b = b[:, 0]  # a MatrixMarket file has no other way to hold a vector
    if not (b.ndim in (1, 2) and b.shape[0] == n and b.size):
        transposed = b.ndim == 2 and b.shape[1] == n
        raise InputError(
            f"{path}: expected a right-hand side of shape ({n},) or ({n}, k) for a matrix with {n} rows, "
            f"found {b.shape}",
            "transpose it" if transposed else "check that matrix and right-hand side belong together",
        )
    b = _numeric(path, b)
    bad = np.argwhere(~np.isfinite(b))
    if len(bad):
        raise InputError(
            f"{path}: the right-hand side holds {len(bad)} numbers that are not finite, the first, {b[tuple(bad[0])]}, "
            f"in row {bad[0][0]} (counted from 0)",
            "mend it where it is assembled",
        )
    return b


def _numeric(path: Path, values: Any) -> Any:
    """Return an array in a precision that every solver takes: float32, float64, complex64 or complex128."""
    import numpy as np

    if values.dtype.kind not in "fciub":
        raise InputError(f"{path}: expected numbers, found values of type {values.dtype}", "convert it to float64")
    native = values.dtype.newbyteorder("=")
    if native in (np.float32, np.float64, np.complex64, np.complex128):
        return values.astype(native, copy=False)
    return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)


def _load(path: Path, key: str | None, dimensions: int) -> Any:
    """Return whatever array a file holds under a key, or the only one it can mean."""
    kind = format_of(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, expected a file")
    path.stat()  # a missing file is an ordinary FileNotFoundError, whatever its library would say
    with _readable(path, kind):
        if kind == "MatrixMarket":
            return _load_matrix_market(path, key)
        if kind == "NumPy":
            return _load_numpy(path, key)
        return _load_hdf5(path, key, dimensions)


@contextmanager
def _readable(path: Path, kind: str) -> Iterator[None]:
    """Turn what the libraries raise for a damaged file into one message."""
    import zipfile
    import zlib

    try:
        yield
    except InputError:
        raise
    except (ValueError, KeyError, EOFError, RuntimeError, OverflowError, zipfile.BadZipFile, zlib.error) as error:
        detail = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if "pickle" in detail:
            raise InputError(
                f"{path} holds Python objects, which are not read because reading them can run code",
                "store plain arrays of numbers",
            ) from error
        raise InputError(
            f"{path} cannot be read as {kind}: {detail}", "it may be cut short, damaged, or misnamed"
        ) from error
    except OSError as error:
        if error.errno is not None and error.filename is not None:
            raise
        raise InputError(
            f"{path} cannot be read as {kind}: {error}", "it may be cut short, damaged, or misnamed"
        ) from error


def _load_matrix_market(path: Path, key: str | None) -> Any:
    import scipy.io

    _refuse_key(path, key)
    return scipy.io.mmread(path)


def _load_numpy(path: Path, key: str | None) -> Any:
    import numpy as np
    import scipy.sparse as sp

    with path.open("rb") as stream:  # opened here, since numpy leaves a damaged archive open
        start = stream.read(6)  # numpy takes anything that it does not know for a pickle
        if not start.startswith((b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")):
            what = "does not start as one" if start else "is empty"
            raise InputError(f"{path} cannot be read as NumPy: it {what}", "it may be damaged or misnamed")
        stream.seek(0)
        stored = np.load(stream, allow_pickle=False)
        if isinstance(stored, np.ndarray):
            _refuse_key(path, key)
            return stored
        names = list(stored.files)
        if key is None and "format" in names and "shape" in names:
            stream.seek(0)
            return sp.load_npz(stream)
        if key is None and len(names) != 1:
            raise InputError(f"{path} holds {len(names)} arrays: {', '.join(names)}", "choose one with --key")
        if key is not None and key not in names:
            raise InputError(f"{path} has no array {key!r}, it has {', '.join(names) or 'none'}", "correct --key")
        return stored[names[0] if key is None else key]


def _refuse_key(path: Path, key: str | None) -> None:
    if key is not None:
        raise InputError(f"{path} holds one array, which has no name: {key!r} cannot be looked up", "leave --key out")


# HDF5 ----------------------------------------------------------------------------------------------------------------


def _load_hdf5(path: Path, key: str | None, dimensions: int) -> Any:
    import h5py

    with h5py.File(path, "r", locking="best-effort") as file:
        if key is not None:
            if key not in file:
                names = ", ".join(_candidates(file, dimensions)) or "none that could be one"
                raise InputError(f"{path} has no dataset or group {key!r}, it has {names}", "correct --key")
            found = file[key]
        elif _is_csr(file):
            found = file
        else:
            known = _candidates(file, dimensions)
            if len(known) != 1:
                raise InputError(
                    f"{path}: expected one dataset, or {CSR_LAYOUT}; found {', '.join(known) or 'none'}",
                    "choose one with --key" if known else "see `resolvent solve --help` for the layout",
                )
            found = file[known[0]]
        if isinstance(found, h5py.Dataset):
            return _array(path, found)
        return _compressed_rows(path, found)


def _is_csr(group: Any) -> bool:
    return all(name in group for name in ("data", "indices", "indptr"))


def _candidates(file: Any, dimensions: int) -> list[str]:
    """Return the names in an HDF5 file under which a matrix or a vector is stored."""
    import h5py

    names: list[str] = []

    def visit(name: str, item: Any) -> None:
        inside = name.rpartition("/")[0]
        if isinstance(item, h5py.Group):
            if _is_csr(item):
                names.append(name)
        elif not (inside and _is_csr(file[inside])) and item.ndim in (dimensions, 2):
            names.append(name)

    file.visititems(visit)
    return names


def _array(path: Path, dataset: Any) -> Any:
    if dataset.dtype.kind not in "fciub":
        raise InputError(f"{path}: expected numbers in {dataset.name}, found values of type {dataset.dtype}")
    return dataset[()]


def _compressed_rows(path: Path, group: Any) -> Any:
    import scipy.sparse as sp

    if not _is_csr(group):
        raise InputError(f"{path}: {group.name} is neither a dataset nor {CSR_LAYOUT}", "correct --key")
    shape = group["shape"][()] if "shape" in group else group.attrs.get("shape")
    if shape is None or len(shape) != 2:
        raise InputError(f"{path}: {group.name} lacks its shape, two numbers as a dataset or an attribute")
    data, indices, indptr = (_array(path, group[name]) for name in ("data", "indices", "indptr"))
    if indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        raise InputError(f"{path}: indices and indptr must be whole numbers, found {indices.dtype} and {indptr.dtype}")
    return sp.csr_array((data, indices, indptr), shape=(int(shape[0]), int(shape[1])))
