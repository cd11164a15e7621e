"""Smooth vectors of the first matrix as recycle space of a sequence."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from typing import Any, final

import numpy as np

from ...operators import Array, LinearOperator
from ..recycling.space import RecycleSpace
from ..result import Result
from .policies import SpacePolicy

DRIFT = 0.3
"""Mean sine of the angles between A Z and A_ref Z up to which Z is kept."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Bootstrapped(SpacePolicy):
    """k smooth vectors of the first matrix, kept until the matrices have drifted away from it.

    They are there before the first solve, and know of what relaxation leaves alone rather than of what the first
    solves happened to meet: for methods with a weak preconditioner, `DeflatedCG` above all. When the images of the
    space under the matrix at hand and under the one it was made for differ by more than `drift`, the mean sine of the
    angles between them (which, unlike the relative difference of the images, scaling a matrix leaves alone), the
    space that the last solve handed on takes its place.

    Set-up is charged to the first system, in products with A: about 55 k for eigenvectors, and 1000 to 7000 for
    hierarchies added one by one. They pay over many systems only; on strong anisotropy hardly at all.

    Parameters
    ----------
    k : int
        Vectors.
    drift : float
    recipe : BootstrapAMG, optional
        How to search, see `near_null_space`.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import SSOR, Bootstrapped, DeflatedCG, Sequence
    >>> T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(32, 32))
    >>> A, rng = sp.csr_array(sp.kronsum(T, T)), np.random.default_rng(0)
    >>> counts = []
    >>> for spaces in (None, Bootstrapped(6)):
    ...     steps = Sequence(DeflatedCG(k=6), M=SSOR(), spaces=spaces)
    ...     counts.append([steps.solve(A, rng.standard_normal(1024)).iterations for _ in range(2)])
    >>> counts[1][0] < 0.75 * counts[0][0]
    True
    """

    k: int = 8
    drift: float = DRIFT
    recipe: Any = None

    def __post_init__(self) -> None:
        if int(self.k) != self.k or self.k < 1:
            raise ValueError(f"k must be a whole number ≥ 1, got {self.k!r}")
        if not 0.0 <= self.drift <= 1.0:
            raise ValueError(f"drift must lie between 0 and 1, got {self.drift!r}")

    def begin(self, A: LinearOperator) -> tuple[RecycleSpace | None, int]:
        """Return the smooth vectors of A with their images, and the products it took to find them."""
        from ..multigrid.bootstrap.near_null_space import smooth_vectors

        Z, work = smooth_vectors(A, int(self.k), self.recipe)
        if not Z.shape[1]:
            return None, math.ceil(work)
        C, R = np.linalg.qr(A.matmat(np.ascontiguousarray(Z, dtype=A.dtype)))
        sound = abs(np.diagonal(R)) > 1e-12 * abs(R).max()
        if not sound.all():  # of a singular matrix: the solver leaves out what it does not see
            return RecycleSpace(Z.astype(A.dtype)), math.ceil(work)
        U = np.ascontiguousarray(np.linalg.solve(R.T, Z.T).T, dtype=A.dtype)
        return RecycleSpace(U, np.ascontiguousarray(C, dtype=A.dtype)), math.ceil(work) + Z.shape[1]

    def choose(self, last: RecycleSpace | None, solved: int, solutions: deque[Array]) -> RecycleSpace | None:
        """Return what was kept."""
        return last

    def keep(self, last: RecycleSpace | None, result: Result, solved: int) -> RecycleSpace | None:
        """Return the space so far while the matrices are near the one it was made for, otherwise the newest."""
        if last is not None and float(result.extra.get("drift", 0.0)) <= self.drift:
            return last
        return super().keep(last, result, solved)
