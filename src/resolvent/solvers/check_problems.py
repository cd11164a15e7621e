"""Small systems with known solutions on which `check_solver` examines a solver."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..operators import SPD, Array, Diagonal, LinearOperator, Props, Sparse

SIDE = 8
"""Unknowns a side of the grid."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """A x = b with a solution known by construction; `easy` ones a sound solver must solve at default options."""

    name: str
    A: LinearOperator
    x: np.ndarray
    b: np.ndarray
    easy: bool


class Counted(LinearOperator):
    """An operator that counts the columns it is applied to; entries stay available to direct solvers."""

    def __init__(self, A: LinearOperator) -> None:
        super().__init__(A.shape, A.dtype, props=A.props, grid=A.grid)
        self._A = A
        self.matvecs = self.rmatvecs = 0

    def _matmat(self, X: Array) -> Array:
        self.matvecs += X.shape[1]
        return self._A._matmat(X)

    def _rmatmat(self, X: Array) -> Array:
        self.rmatvecs += X.shape[1]
        return self._A._rmatmat(X)

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        return self._A.diagonal()

    def to_sparse(self) -> sp.csr_array:
        """Return the entries."""
        return self._A.to_sparse()


def laplacian(side: int = SIDE) -> sp.csr_array:
    """Return the 5-point Laplacian with Dirichlet boundary, h = 1."""
    second = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    identity = sp.eye_array(side)
    return sp.csr_array(sp.kron(second, identity) + sp.kron(identity, second))


def neumann(side: int = SIDE) -> sp.csr_array:
    """Return the 5-point Laplacian with Neumann boundary: singular, constants are its null space."""
    second = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side)).tolil()
    second[0, 0] = second[-1, -1] = 1.0
    identity = sp.eye_array(side)
    return sp.csr_array(sp.kron(second, identity) + sp.kron(identity, second))


def problems(needs: Props, rng: np.random.Generator, dtype: Any = np.float64) -> list[Problem]:
    """Return systems that a method with the given needs should handle, in the given precision."""
    dtype = np.dtype(dtype)
    n, grid = SIDE * SIDE, (SIDE, SIDE)
    identity = sp.eye_array(n)
    L = laplacian()
    found: list[tuple[str, Any, Props, bool]] = [
        ("diffusion and reaction", L + 2.0 * identity, SPD, True),
        ("Laplacian", L, SPD, True),
        ("a multiple of the identity", 3.0 * identity, SPD, True),
    ]
    if Props.POSITIVE_DEFINITE not in needs:
        found.append(("indefinite", L - 3.7 * identity, Props.SELF_ADJOINT, False))
    if needs is Props.NONE:
        shift = sp.kron(sp.eye_array(SIDE), sp.diags_array([0.4, -0.4], offsets=[1, -1], shape=(SIDE, SIDE)))
        found.append(("convection and diffusion", L + 2.0 * identity + shift, Props.NONE, True))
    if dtype.kind == "c":
        angles = rng.uniform(0.0, 2.0 * np.pi, n)
        if Props.SYMMETRIC in needs:
            # Symmetric stays symmetric and is Hermitian no more; the angles are small enough for the field of values to
            # stay away from zero.
            phase = sp.diags_array(np.exp(0.1j * angles))
            found = [(name, phase @ A @ phase, Props.SYMMETRIC, easy) for name, A, _, easy in found]
        else:
            # Unitary scaling: Hermitian stays Hermitian, spectra stay the same, entries become complex.
            phase = sp.diags_array(np.exp(1j * angles))
            found = [(name, phase @ A @ phase.conj(), props, easy) for name, A, props, easy in found]
        if needs in (Props.NONE, Props.SYMMETRIC):
            found.append(("absorption", L + (1.0 + 1.0j) * identity, Props.SYMMETRIC, True))
    result = []
    for name, matrix, props, easy in found:
        A = Sparse(sp.csr_array(matrix, dtype=dtype), props=props, grid=grid)
        x = rng.standard_normal(n)
        if dtype.kind == "c":
            x = x + 1j * rng.standard_normal(n)
        x = x.astype(dtype)
        result.append(Problem(name, A, x, A @ x, easy))
    return result


def singular_problem(rng: np.random.Generator, *, consistent: bool) -> Problem:
    """Return a pure Neumann problem, with a right-hand side in the range of A or not."""
    A = Sparse(neumann(), props=SPD | Props.SINGULAR)
    x = rng.standard_normal(A.shape[0])
    b = A @ x
    return Problem("Neumann", A, x, b if consistent else b + 1.0, consistent)


def jacobi(A: LinearOperator) -> LinearOperator:
    """Return a fixed, definite preconditioner."""
    return Diagonal(1.0 / A.diagonal())
