"""PETSc's preconditioners as a recipe for our methods."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from ...operators import LinearOperator, Props
from ..preconditioners.recipe import Recipe
from .built import Built
from .options import spelt

LINEAR = ("chebyshev", "preonly", "richardson")
"""Inner KSP types that do the same at every application."""


@dataclasses.dataclass(frozen=True)
class PETScPC(Recipe):
    """A preconditioner that PETSc builds from the entries of A: hypre's BoomerAMG, GAMG, MUMPS, block Jacobi, …

    With it our methods, sequences and refresh policies use what PETSc has; `PETScKSP` is PETSc's method as well.
    Applications are counted as those of M. A complex A is handled in real-equivalent form where PETSc is real. On
    several ranks A is a `PETScMatrix`, and PETSc builds over all of them.

    Nothing is claimed about M, since that depends on the options: for CG and MINRES choose one that is self-adjoint
    for a self-adjoint A, as jacobi, icc, gamg and hypre are by default and ilu and asm need not be. With inner Krylov
    methods in the options it is VARIABLE.

    Parameters
    ----------
    options : mapping
        PETSc options with ``pc_type``, such as ``{"pc_type": "hypre"}``; used under a prefix of their own.

    Raises
    ------
    ImportError
        Without petsc4py, when it is built.
    ValueError
        When built, for options that PETSc does not know or did not use, and where PETSc fails.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import CG
    >>> from resolvent.solvers.petsc import PETScPC
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(50, 50))
    >>> CG().solve(A, np.ones(50), M=PETScPC({"pc_type": "icc"})).iterations
    1
    """

    options: Mapping[str, Any] = dataclasses.field(hash=False)
    distributed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.options, Mapping) or "pc_type" not in spelt(self.options):
            raise ValueError(f"options must be a mapping with pc_type, got {self.options!r}")
        object.__setattr__(self, "options", spelt(self.options))

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return Built(A, self.options, name=str(self), props=self.claims(A))

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: nothing, but that it varies where inner Krylov methods are asked for."""
        inner = [str(value) for key, value in self.options.items() if key.endswith("ksp_type")]
        varies = any(kind not in LINEAR for kind in inner) or (self.options["pc_type"] == "ksp" and not inner)
        return Props.VARIABLE if varies else Props.NONE
