"""Two-level preconditioning with a given coarse space."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

import numpy as np

from ...operators import Array, LinearOperator, Props, StructureError
from ...operators.workspace import Workspace
from .coarse_inverse import pseudo_inverse
from .entries import on_host
from .jacobi import Jacobi
from .recipe import Recipe, options_equal, options_text
from .subdomains import check_parts, piecewise_constants

Variant = Literal["additive", "balancing", "adef1", "adef2"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Deflation(Recipe):
    """Exact solution on the span of the columns of U added to a smoother S. With Q = U E⁻¹ Uᴴ and E = UᴴAU:

        additive    M = S + Q
        balancing   M = (I − QA) S (I − AQ) + Q
        adef1       M = S (I − AQ) + Q
        adef2       M = (I − QA) S + Q

    Good where A has a few small eigenvalues whose vectors U contains approximately: near null spaces, layers of high
    contrast, directions kept from earlier systems. The additive form moves eigenvalues of S A near zero up by one, is
    definite for any U, and does little harm where U is stale; over a strong smoother it spoils what was near one. The
    others map the span to the eigenvalue one exactly. For a self-adjoint A the first two are self-adjoint and are for
    CG; adef1 is the cheapest of the others and is for GMRES.

    Linearly dependent columns of U are allowed: the small eigenvalues (A ≠ Aᴴ: singular values) of E are left out, and
    ``M.rank`` tells how many stayed.

    Storage: n k numbers, 2 n k for the others than additive (3 n k for balancing and adef2 unless A is self-adjoint),
    and a work vector. An application costs that of S and 4 n k flops, 8 n k with one projection more, 12 n k with two.
    Set-up: k products with A (``M.setup_products``, with those of S), for balancing and adef2 k with Aᴴ more unless A
    is self-adjoint. `update` makes them again for the new A.

    Do not use it with many columns: one application then costs as much as several products, and a multilevel method
    (AMG) needs fewer iterations.

    Parameters
    ----------
    basis : (n, k) array, int, or tuple of int
        U; or so many subdomains (see `piecewise_constants`), on which its columns are constant.
    smoother : Recipe, optional
        For S; Jacobi by default, None for the identity.
    variant : {"additive", "balancing", "adef1", "adef2"}

    Raises
    ------
    ValueError
        If U does not fit to A, is not finite, or E vanishes.
    StructureError
        For balancing and adef2, if A has no adjoint.

    References
    ----------
    Tang, Nabben, Vuik & Erlangga 2009, doi:10.1007/s10915-009-9272-6; Nicolaides 1987, doi:10.1137/0724027.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import CG, Deflation, Jacobi
    >>> T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(400, 400))
    >>> recipes = (Jacobi(), Deflation(20), Deflation(20, variant="balancing"))
    >>> [CG().solve(T, np.ones(400), M=M).iterations for M in recipes]
    [200, 116, 19]
    """

    basis: Any
    smoother: Recipe | None = dataclasses.field(default_factory=Jacobi)
    variant: Variant = "additive"

    def __post_init__(self) -> None:
        if self.variant not in get_args(Variant):
            raise ValueError(f"variant must be one of {', '.join(get_args(Variant))}, got {self.variant!r}")
        if self.smoother is not None and not isinstance(self.smoother, Recipe):
            raise TypeError(f"smoother must be a recipe such as Jacobi() or None, got {type(self.smoother).__name__}")
        if isinstance(self.basis, np.ndarray):
            if self.basis.ndim != 2 or self.basis.dtype.kind not in "fcui" or not np.isfinite(self.basis).all():
                raise ValueError(
                    f"basis must be an (n, k) array of finite numbers, got shape {self.basis.shape}, {self.basis.dtype}"
                )
        else:
            check_parts(self.basis, "basis")

    def __eq__(self, other: object) -> bool:
        return options_equal(self, other)

    def __hash__(self) -> int:
        return hash((type(self), self.smoother, self.variant))

    def __repr__(self) -> str:
        return options_text(self)

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        A = on_host(A)
        return TwoLevel(A, self, None if self.smoother is None else self.smoother(A))

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Build M for a changed A, with the smoother brought up to date."""
        if not isinstance(M, TwoLevel) or M.S is None or self.smoother is None or M.shape != A.shape:
            return self(A)
        A = on_host(A)
        return TwoLevel(A, self, self.smoother.update(M.S, A))

    @property
    def renews(self) -> bool:
        """Whether the smoother's update gives what building would give."""
        return self.smoother is None or self.smoother.renews

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what A and the smoother claim, if the variant is a symmetric one."""
        if self.smoother is None:
            return self._kept(A, A.props)
        smoother = self.smoother.claims(A)
        return self._kept(A, smoother) | (smoother & Props.VARIABLE)

    def _kept(self, A: LinearOperator, smoother: Props) -> Props:
        if self.variant in ("adef1", "adef2"):
            return Props.NONE
        # Complex symmetry is lost: U is conjugated in Uᴴ, not transposed.
        return A.props & smoother & (Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE | _real_symmetry(A))


def _real_symmetry(A: LinearOperator) -> Props:
    return Props.NONE if A.dtype.kind == "c" else Props.SYMMETRIC


class TwoLevel(LinearOperator):
    """The two-level preconditioner of one matrix.

    Attributes
    ----------
    rank : int
        Dimension of the coarse space.
    setup_products : int
        Products with A and Aᴴ that the set-up took, those of the smoother included.
    """

    def __init__(self, A: LinearOperator, recipe: Deflation, S: LinearOperator | None) -> None:
        n = A.shape[0]
        if A.shape[1] != n:
            raise ValueError(f"Deflation needs a square operator, got {n} x {A.shape[1]}")
        given = recipe.basis
        U = given if isinstance(given, np.ndarray) else piecewise_constants(A.grid or n, given)
        if U.shape[0] != n:
            raise ValueError(f"the basis has {U.shape[0]} rows, but {A!r} has {n}: it belongs to another system")
        variable = Props.NONE if S is None else S.props & Props.VARIABLE
        props = recipe._kept(A, A.props if S is None else S.props) | variable
        # A complex basis makes M complex, as A may be real.
        dtype = A.result_dtype(U.dtype) if U.dtype.kind == "c" else A.dtype
        super().__init__(A.shape, dtype, props=props, grid=A.grid)
        self.recipe, self.S = recipe, S
        self.not_self_adjoint = recipe.variant in ("adef1", "adef2") or getattr(S, "not_self_adjoint", False)
        self._U = np.ascontiguousarray(U, dtype=dtype)
        AU = A.matmat(self._U)
        self.setup_products = U.shape[1] + int(getattr(S, "setup_products", 0))
        wide = np.result_type(dtype, np.float64)
        E = self._U.conj().T.astype(wide) @ AU.astype(wide)
        inverse, self.rank = pseudo_inverse(E, float(np.finfo(dtype).eps), hermitian=Props.SELF_ADJOINT in A.props)
        self._inverse = inverse.astype(dtype)
        # What (I − AQ) and (I − QA) need.
        self._before = AU if recipe.variant in ("balancing", "adef1") else None
        self._after: np.ndarray | None = None
        if recipe.variant in ("balancing", "adef2"):
            if Props.SELF_ADJOINT in A.props:
                self._after = AU
            else:
                try:
                    self._after = A.rmatmat(self._U)
                except StructureError as error:
                    raise StructureError(f"variant {recipe.variant!r} needs Aᴴ: use 'adef1' ({error})") from error
                self.setup_products += U.shape[1]
        self._work = Workspace()

    def _parts(self) -> tuple[LinearOperator, ...]:
        return () if self.S is None else (self.S,)

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        smooth = None if self.S is None else self.S._matmat_into
        self._two_levels(X, out, smooth, self._inverse, self._before, self._after)

    def _rmatmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        smooth = None if self.S is None else self.S._rmatmat_into
        self._two_levels(X, out, smooth, self._inverse.conj().T, self._after, self._before)

    def _two_levels(
        self, X: Array, out: Array, smooth: Any, inverse: Array, before: Array | None, after: Array | None
    ) -> None:
        from .deflation_kernels import add_combination, project

        U, one = self._U, X.real.dtype.type(1)
        C = np.empty((X.shape[1], U.shape[1]), dtype=X.dtype)
        project(U, X, C)
        C = C @ inverse.T
        if before is not None:
            R = out if smooth is None else self._work.array("R", X.shape, X.dtype)
            add_combination(before, C, -one, X, R)
        else:
            R = X
        if smooth is not None:
            smooth(R, out)
        elif R is not out:
            out[...] = R
        if after is not None:
            G = np.empty_like(C)
            project(after, out, G)
            C = C - G @ inverse.T
        add_combination(U, C, one, out, out)

    def _summary(self) -> str:
        smoother = "the identity" if self.S is None else type(self.recipe.smoother).__name__
        return f"{self.recipe.variant} deflation of rank {self.rank} over {smoother}"
