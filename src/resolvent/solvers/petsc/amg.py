"""Algebraic multigrid, by PETSc: its own GAMG and hypre's BoomerAMG."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp

from ...operators import Array, LinearOperator, Props, Sparse, StructureError
from ...operators.detect import entries_equal
from ...operators.petsc import PETScMatrix
from ...operators.petsc_lifetime import destroyed_with
from ..preconditioners.entries import host_diagonal, host_entries
from ..preconditioners.recipe import Recipe, is_number, is_whole, options_equal, options_text
from ..preconditioners.reuse import Reuse, check_reuse, require_same_size
from .built import Built

SMOOTHED = {
    "mg_levels_ksp_type": "richardson",
    "mg_levels_pc_type": "sor",  # symmetric Gauss–Seidel, on each rank by itself
    "mg_coarse_ksp_type": "preonly",
    "mg_coarse_pc_type": "bjacobi",  # of one block, since the coarsest level is gathered on one rank
    "mg_coarse_sub_pc_type": "lu",
    "mg_coarse_sub_pc_factor_shift_type": "inblocks",  # which singular matrices need
}
"""The cycle of GAMG, the same whether it built the interpolation or is given it."""

CHEBYSHEV = {"mg_levels_ksp_type": "chebyshev", "mg_levels_pc_type": "jacobi"}
"""What smooths where there are several vectors: an aggregate of fewer points leaves zero rows on the next level, by
which sweeps would divide, and PETSc's Jacobi does not."""

HYPRE = "pc_hypre_boomeramg_"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PETScAMG(Recipe):
    """One multigrid cycle from a zero guess, over a hierarchy that PETSc builds: `AMG` with another engine.

    Parameters are those of `AMG`; what PETSc cannot do is refused. `PETScPC` has all of PETSc's options, but claims
    nothing. The smoother is symmetric Gauss–Seidel (in a V-cycle of hypre over coarse and fine unknowns in turn), so
    that M is self-adjoint and positive definite where A is; with BoomerAMG not for a singular A, whose coarsest matrix
    is eliminated as if it were regular. On several ranks each sweeps over its own unknowns, and definiteness is not
    claimed, because such sweeps need not converge.

    A complex Hermitian A is solved by GAMG in real-equivalent form; other complex ones are refused, because M would not
    be linear over the complex numbers.

    Storage: operator complexity times the entries of A, less for GAMG than for BoomerAMG, and a copy of A; each
    application costs about 6 × operator complexity products with A for a V-cycle with one sweep. Do not use it for
    small systems, nor for strongly indefinite ones such as Helmholtz.

    Along a sequence `reuse` says what an update keeps, and `Refresh` policies of `Sequence` say when M is updated, as
    for `AMG`.

    Parameters
    ----------
    method : {"boomeramg", "gamg"}
        Classical coarsening, best for scalar equations (real only); or smoothed aggregation, with less storage and the
        choice for systems of equations.
    strength : float, optional
        Threshold of the strength of connection: 0.25 for BoomerAMG (0.5 is better in three dimensions), none for GAMG
        by default.
    cycle : {"V", "W"}
        Shape of the cycle.
    sweeps : int
        Symmetric Gauss–Seidel sweeps before and after each coarse correction.
    near_null_space : (n, q) array, optional
        Vectors that smoothing leaves alone, for GAMG; the constant by default. With several, two Chebyshev steps
        over Jacobi take the place of each Gauss–Seidel sweep.
    reuse : {"nothing", "interpolation", "hierarchy"}
        What `update` keeps: nothing; the interpolation of GAMG, so that only the coarse matrices are formed again; or
        the whole of M. BoomerAMG cannot keep its interpolation for other values.

    Raises
    ------
    ImportError
        Without petsc4py, when it is built.
    StructureError
        For an operator without entries, and for complex ones as said above. For the adjoint of a BoomerAMG that claims
        no symmetry: hypre's is wrong.
    ValueError
        When built for a matrix with NaN or infinity, a zero on its diagonal, or where PETSc fails; when updated for a
        matrix of another size with anything but ``reuse="nothing"``.

    References
    ----------
    Henson & Yang 2002 (BoomerAMG), doi:10.1016/S0168-9274(01)00115-5; Vaněk, Mandel & Brezina 1996,
    doi:10.1007/BF02238511; Balay et al., PETSc/TAO users manual, doi:10.2172/1968587.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import CG
    >>> from resolvent.solvers.petsc import PETScAMG
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(1000, 1000))
    >>> [CG().solve(A, np.ones(1000), M=M).iterations < 30 for M in (PETScAMG(), PETScAMG("gamg"))]
    [True, True]
    """

    method: Literal["boomeramg", "gamg"] = "boomeramg"
    strength: float | None = None
    cycle: Literal["V", "W"] = "V"
    sweeps: int = 1
    near_null_space: Any = None
    reuse: Reuse = "nothing"
    distributed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.method not in ("boomeramg", "gamg"):
            raise ValueError(f"method must be 'boomeramg' or 'gamg', got {self.method!r}")
        if not (self.strength is None or (is_number(self.strength) and self.strength >= 0)):
            raise ValueError(
                f"strength must be a threshold ≥ 0 or None, got {self.strength!r}: PETSc has one measure a method"
            )
        if self.cycle not in ("V", "W"):
            raise ValueError(f"cycle must be 'V' or 'W', got {self.cycle!r}")
        if not is_whole(self.sweeps, 1):
            raise ValueError(f"sweeps must be a whole number ≥ 1, got {self.sweeps!r}")
        check_reuse(self.reuse)
        if self.method == "boomeramg" and self.near_null_space is not None:
            raise ValueError("BoomerAMG takes no near_null_space: use method='gamg'")
        if self.method == "boomeramg" and self.reuse == "interpolation":
            raise ValueError(
                "BoomerAMG builds its interpolation anew for other values: use method='gamg' to keep it, or "
                "reuse='hierarchy' to keep all"
            )

    def __eq__(self, other: object) -> bool:
        return options_equal(self, other)

    def __hash__(self) -> int:
        return hash((type(self), self.method, self.strength, self.cycle, self.sweeps, self.reuse))

    def __repr__(self) -> str:
        return options_text(self)

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return PETScCycle(A, self)

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Return M for a changed A, with what `reuse` keeps of the old one; M itself stays as it is."""
        if self.reuse == "nothing" or not isinstance(M, PETScCycle) or M.recipe.method != self.method:
            return self(A)
        require_same_size(self, M, A)
        if M.dtype.kind != A.dtype.kind:
            return self(A)
        if self.reuse == "interpolation":
            return PETScCycle(A, self, previous=M)
        return M if M.dtype == A.dtype else self(A)

    @property
    def renews(self) -> bool:
        """Whether an update gives what building would give."""
        return self.reuse == "nothing"

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what A claims, with the exceptions above."""
        if self.method == "boomeramg" and Props.SINGULAR in A.props:
            return Props.NONE
        kept = Props.SELF_ADJOINT
        if A._communicator() is None:
            kept |= Props.POSITIVE_DEFINITE
        return A.props & (kept if A.dtype.kind == "c" else kept | Props.SYMMETRIC)

    def options(self, *, interpolation_given: bool = False) -> dict[str, Any]:
        """Return the recipe in PETSc's options, for `PETScPC` or `PETScKSP`; near_null_space is none of them."""
        if self.method == "boomeramg":
            found: dict[str, Any] = {
                "pc_type": "hypre",
                "pc_hypre_type": "boomeramg",
                HYPRE + "cycle_type": self.cycle,
                HYPRE + "grid_sweeps_down": int(self.sweeps),
                HYPRE + "grid_sweeps_up": int(self.sweeps),
                HYPRE + "relax_type_all": "symmetric-SOR/Jacobi",
                HYPRE + "relax_type_coarse": "Gaussian-elimination",
            }
            if self.cycle == "W":  # in which sweeps over C and F are not mirrored: M would not be self-adjoint
                found[HYPRE + "no_CF"] = None
            if self.strength is not None:
                found[HYPRE + "strong_threshold"] = float(self.strength)
            return found
        found = {**SMOOTHED, "mg_levels_ksp_max_it": int(self.sweeps), "pc_mg_cycle_type": self.cycle.lower()}
        if np.ndim(self.near_null_space) == 2 and np.shape(self.near_null_space)[1] > 1:
            found |= CHEBYSHEV | {"mg_levels_ksp_max_it": 2 * int(self.sweeps)}
        if interpolation_given:
            return {"pc_type": "mg", "pc_mg_galerkin": "both", **found}
        if self.strength is not None:
            found["pc_gamg_threshold"] = float(self.strength)
        return {"pc_type": "gamg", **found}


class PETScCycle(LinearOperator):
    """One cycle of a multigrid hierarchy of PETSc.

    Parameters
    ----------
    A : LinearOperator
        With entries, or a PETSc matrix.
    recipe : PETScAMG
    previous : PETScCycle, optional
        Whose interpolation to take over.
    """

    def __init__(self, A: LinearOperator, recipe: PETScAMG, previous: PETScCycle | None = None) -> None:
        super().__init__(A.shape, A.dtype, props=recipe.claims(A), grid=A.grid)
        self.recipe = recipe
        A = _with_entries(A, recipe)
        keeps = recipe.method == "gamg" and Props.SELF_ADJOINT not in self.props and isinstance(A, Sparse)
        # A copy, since the adjoint is built when first asked for, and A may have other values then.
        self._entries: sp.csr_array | None = A.to_sparse().copy() if keeps else None
        kept = () if previous is None else previous.interpolations
        self.interpolations: tuple[Any, ...] = ()
        self._built = self._build(A, kept)
        if recipe.method == "gamg":
            # The objects themselves, counted by reference: the old cycle may go, or stay as it is.
            levels = self._built.pc.getMGLevels()
            self.interpolations = tuple(self._built.pc.getMGInterpolation(depth) for depth in range(1, levels))
            destroyed_with(self, list(self.interpolations))
        self._adjoint: Built | None = None
        probe = self._built._matmat(np.ones((A.shape[0], 1), dtype=A.dtype))
        if _anywhere(A, not np.isfinite(probe).all()):
            raise ValueError(f"{recipe!r} broke down, with NaN or infinity on a level: use ILU or a direct solver")

    def _build(self, A: LinearOperator, interpolations: tuple[Any, ...], props: Props | None = None) -> Built:
        recipe = self.recipe
        return Built(
            A,
            recipe.options(interpolation_given=bool(interpolations)),
            name=repr(recipe),
            props=self.props if props is None else props,
            near_null_space=None if interpolations else _checked(recipe.near_null_space, A.shape[0]),
            interpolations=interpolations,
        )

    def _communicator(self) -> Any:
        return self._built._communicator()

    def _matmat(self, X: Array) -> Array:
        return self._built._matmat(X)

    def _matmat_into(self, X: Array, out: Array) -> None:
        self._built._matmat_into(X, out)

    def _rmatmat(self, X: Array) -> Array:
        if self._entries is None:
            return self._built._rmatmat(X)
        if self._adjoint is None:  # a cycle with self-adjoint sweeps and R = Pᴴ: its adjoint is that of Aᴴ with this P
            adjoint = Sparse(sp.csr_array(self._entries.conj().T))
            self._adjoint = self._build(adjoint, self.interpolations, Props.NONE)
        return self._adjoint._matmat(X)

    def _summary(self) -> str:
        levels = f", {len(self.interpolations) + 1} levels" if self.interpolations else ""
        return f"PETSc {self.recipe.method}{levels}"


def _with_entries(A: LinearOperator, recipe: PETScAMG) -> LinearOperator:
    """Return A as a matrix that PETSc can build from, after a look at its entries."""
    if A.dtype.kind == "c" and recipe.method == "boomeramg":
        raise StructureError(f"BoomerAMG is for real matrices, but {A!r} is complex: use smoothed_aggregation of AMG")
    if isinstance(A, PETScMatrix):
        diagonal = A.diagonal()
        if _anywhere(A, not (np.isfinite(diagonal) & (diagonal != 0)).all()):
            raise ValueError(
                f"PETScAMG divides by the diagonal, but that of {A!r} holds a zero, NaN or infinity: use ILU"
            )
        return A
    matrix = host_entries(A, "PETScAMG")
    if not matrix.count_nonzero():
        raise ValueError(f"PETScAMG needs a matrix to coarsen, got {A.shape[0]} x {A.shape[1]} zeros")
    host_diagonal(A, "PETScAMG")  # hypre ends the process where an entry of it is zero
    hermitian = A.dtype.kind != "c" or Props.SELF_ADJOINT in A.props or entries_equal(matrix, matrix.conj().T, 1e-14)
    if not hermitian:
        raise StructureError(
            f"GAMG in real-equivalent form is for Hermitian matrices, but {A!r} is not: use smoothed_aggregation of AMG"
        )
    return Sparse(matrix, props=A.props, grid=A.grid)


def _anywhere(A: LinearOperator, here: bool) -> bool:
    """Whether something holds on any of the ranks that share A, so that all of them go on or none does."""
    communicator = A._communicator()
    return here if communicator is None else communicator.allreduce(int(here)) > 0


def _checked(near_null_space: Any, n: int) -> Any:
    if near_null_space is not None and np.shape(near_null_space)[:1] != (n,):
        raise ValueError(
            f"near_null_space must have shape ({n},) or ({n}, q) to fit A, got {np.shape(near_null_space)}"
        )
    return near_null_space
