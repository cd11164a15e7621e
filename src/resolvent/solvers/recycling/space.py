"""The subspace that a recycling method hands from one system to the next."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from ...operators import Array
from ...operators.arrays import is_torch

FORMAT = 1


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RecycleSpace:
    """k vectors that approximate what slows convergence down, and their images: A U = C, CᴴC = I.

    A value: methods never change the arrays of a space they were given, but return a new one. It holds for the A and M
    it was made with; for any other A a method computes A U anew (k products, counted as set-up) and orthonormalises, so
    that a stale or bad space costs time and never the answer.

    Attributes
    ----------
    U : (n, k) array
        In the space of solutions.
    C : (n, k) array or None
        A U, orthonormal; None if it is not known yet.
    T : (n, k) array or None
        The vectors before preconditioning, U = M T; None stands for U.
    A_version, M_version
        What tells whether A and M are still the same; None for never.
    left : bool
        Whether C = M A U, for a method preconditioned on the left.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import GCRODR
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(200, 200))
    >>> method, rng = GCRODR(restart=30, k=10), np.random.default_rng(0)
    >>> first = method.solve(A, rng.standard_normal(200))
    >>> first.space
    RecycleSpace(10 vectors of length 200, float64)
    >>> second = method.solve(A, rng.standard_normal(200), space=first.space)
    >>> second.iterations < first.iterations, second.counts.setup
    (True, 0)
    """

    U: Array
    C: Array | None = None
    T: Array | None = None
    A_version: Any = None
    M_version: Any = None
    left: bool = False

    def __post_init__(self) -> None:
        for name in ("U", "C", "T"):
            part = getattr(self, name)
            if part is None and name != "U":
                continue
            if getattr(part, "ndim", 0) != 2:
                raise ValueError(f"{name} of a recycle space must be an (n, k) array, got {type(part).__name__}")
            if part.shape != self.U.shape:
                raise ValueError(
                    f"{name} of a recycle space must have the shape of U, {self.U.shape}, got {part.shape}"
                )

    @property
    def k(self) -> int:
        """Number of vectors."""
        return int(self.U.shape[1])

    def __repr__(self) -> str:
        return f"RecycleSpace({self.k} vectors of length {self.U.shape[0]}, {str(self.U.dtype).removeprefix('torch.')})"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the vectors to an ``.npz`` file, whole or not at all. Versions do not outlive the process."""
        if is_torch(self.U):
            raise TypeError("a recycle space on torch storage cannot be saved: make one of numpy arrays")
        path = Path(path)
        arrays = {name: part for name in ("U", "C", "T") if (part := getattr(self, name)) is not None}
        temporary = path.with_name(path.name + f".{os.getpid()}.part")
        try:
            with temporary.open("wb") as file:
                np.savez(file, format=np.array(FORMAT), left=np.array(self.left), **arrays)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RecycleSpace:
        """Read what `save` wrote. The first solve with it computes A U anew.

        Raises
        ------
        ValueError
            If the file is not one that `save` wrote.
        """
        try:
            with np.load(Path(path), allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
            if int(found["format"]) != FORMAT:
                raise ValueError(f"format {int(found['format'])}")
            return cls(found["U"], found.get("C"), found.get("T"), left=bool(found["left"]))
        except (KeyError, ValueError, TypeError, EOFError, OSError) as error:
            if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
                raise
            raise ValueError(f"{path} does not hold a recycle space of format {FORMAT}: {error}") from error

    def fitting(self, b: Array) -> RecycleSpace:
        """Return the space in the storage and precision of b, an (n, k) array.

        Raises
        ------
        ValueError, TypeError
            If it is of another length, complex while the system is real, or in other storage.
        """
        if self.U.shape[0] != b.shape[0]:
            raise ValueError(
                f"the recycle space holds vectors of length {self.U.shape[0]}, but the system has {b.shape[0]}"
                " unknowns: a space serves systems of one size"
            )
        if is_torch(self.U) != is_torch(b) or (is_torch(b) and self.U.device != b.device):
            raise TypeError("the recycle space is in other storage than the system: numpy and torch do not mix")
        if self.U.dtype == b.dtype:
            return self
        if is_torch(b):
            if self.U.is_complex() and not b.is_complex():
                raise TypeError("the recycle space is complex but the system is real")
            U, T = self.U.to(b.dtype), None if self.T is None else self.T.to(b.dtype)
        else:
            if self.U.dtype.kind == "c" and b.dtype.kind != "c":
                raise TypeError("the recycle space is complex but the system is real: pass one with real vectors")
            U, T = self.U.astype(b.dtype), None if self.T is None else self.T.astype(b.dtype)
        return RecycleSpace(U, None, T, left=self.left)  # C in the other precision would not be orthonormal
