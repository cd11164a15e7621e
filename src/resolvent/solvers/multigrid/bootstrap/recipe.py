"""Multigrid for one matrix and no knowledge of it: smooth vectors are found, and the rate is measured."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, final

import numpy as np

from ....operators import LinearOperator, Props
from ...preconditioners.recipe import Recipe, is_number, is_whole, options_equal, options_text
from ...preconditioners.reuse import require_same_size
from .composite import COMPOSITIONS
from .hierarchy import SHAPES
from .operator import BootstrapCycle

MODES = ("relaxed", "eigenvector", "collapse", "compose")


@final
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class BootstrapAMG(Recipe):
    """Bootstrap algebraic multigrid by compatible weighted matching, for symmetric positive definite A.

    Multigrid coarsens well if it knows a vector w that relaxation leaves alone. Here unknowns i and j are paired along
    the couplings that are strong as w sees them, a maximum-product matching with weights
    1 − 2 a_ij w_i w_j/(a_ii w_i² + a_jj w_j²); a pair is interpolated by (w_i, w_j)/√(w_i² + w_j²), so that PᵀP = I and
    P Pᵀw = w; and w is found from A alone:

    "relaxed"
        What `relax` Gauss–Seidel sweeps on A w = 0 leave of w = 1. A set-up of about 45 products, of which 25 measure
        the rate.
    "eigenvector"
        Ten LOBPCG steps for A y = λ D y with that hierarchy as preconditioner, and a hierarchy for their result, unless
        `inner` cycles show that the first one is better. About 250 products.
    "collapse"
        Hierarchies are added, each for the error that those so far, composed, reduce least, until the measured rate
        meets `target` or there are `k_max`; then one hierarchy for the lowest Ritz vector of all these errors, again
        unless the first one is better. About 450 to 7000 products.
    "compose"
        The same, and all hierarchies stay in use: the rate that was aimed at is that of M. As published.

    Composing buys rate, not work: composites took 1 to 2.8 times the work of the best single hierarchy in solves of
    eleven problems. And relaxing the first guess found as good a vector as bootstrapping at a thirtieth of the work, so
    that it is the default, although the method has its name from the other two (``benchmarks/bootstrap.py``).

    It took the least work of all algebraic multigrid tried on graphs, with hubs above all, where coarse levels stay
    sparse and other methods fill up or break down; and it needs no constant near the null space, unlike classical
    multigrid, which took 3 to 8 times as much on badly scaled systems. Do not use it where that constant is there:
    classical multigrid (`AMG`) took 0.6 to 0.8 times the work on diffusion with anisotropy or jumps. Smoothed
    aggregation of pyamg, which relaxes its candidates too, did as well or better on scalar equations, scaled or not.
    For systems of equations such as elasticity one vector is not enough: give several from `near_null_space` to
    ``AMG("smoothed_aggregation", near_null_space=B)`` or to PETSc's GAMG.

    Storage: operator complexity, about 1.45 (2.2 to 2.8 with `smooth`), times the entries of A, and a copy of A for
    each hierarchy that is kept. An application costs about 2.2 × operator complexity products with A for a V-cycle.

    Parameters
    ----------
    mode : {"relaxed", "eigenvector", "collapse", "compose"}
    relax : int
        Symmetric Gauss–Seidel sweeps on A w = 0 that prepare the first guess; 0 as published.
    target : float
        Rate ‖e_new‖_A/‖e_old‖_A at which hierarchies suffice.
    k_max : int
        Hierarchies at most. Five additions in a row without a gain of 2 % end the loop earlier.
    inner : int
        Steps after which the rate of a composite is read off.
    sweeps : int
        Matchings a level: coarsening by up to 2^sweeps.
    coarse : int
        Size at which coarsening stops; the last level is solved directly.
    smooth : bool
        Interpolate by (I − ω D⁻¹A) P: iterations that grow slowly with the size, for twice the work of a cycle.
    cycle : {"V", "W", "H", "K"}
        One visit to each coarse level; two; two and one in turn; or two steps of flexible CG, which is nonlinear: M
        is VARIABLE then, for `FlexibleCG`.
    composition : {"sym", "mult", "add"}
        1 … k and back, so that M is self-adjoint; 1 … k, which is not and CG refuses; or their mean, which stagnates.
    w0 : (n,) array, optional
        First guess of a smooth vector; ones by default.
    rng : int
        Seed of the random vectors.

    Raises
    ------
    StructureError
        When built for a complex or nonsymmetric A, or where xᵀAx < 0 comes up.
    ValueError
        For NaN or infinity, zeros, or a `w0` of another length; when updated for a matrix of another size.

    Notes
    -----
    The operator it builds has the attributes ``rates`` (of the composites as they grew), ``rate`` (of M, after five
    steps), ``smooth_vectors`` ((n, m) array: what was found, last the one in use), ``operator_complexity``,
    ``hierarchies``, ``setup_seconds`` and ``setup_work`` (in products with A).

    `update` keeps matchings and interpolation, forms coarse matrices of the new values, measures the rate in five
    steps, and builds anew where a digit takes half as many cycles again as when it was built.

    Departures from the published method: the first guess is relaxed; random vectors in [0, 1); vertices that
    relaxation solves for (isolated ones) or at which w vanishes have no part in coarsening, so that parts of a
    disconnected graph drop out once they are one vertex; a level that stalls lets single vertices join a pair; singular
    A is allowed, its null space left alone; five additions without a gain end the loop, not two.

    References
    ----------
    D'Ambra & Vassilevski 2013, doi:10.1007/s00791-014-0224-9; D'Ambra, Filippone & Vassilevski 2018,
    doi:10.1145/3190647; Notay & Vassilevski 2008 (K-cycle), doi:10.1002/nla.542.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import AMG, CG, BootstrapAMG
    >>> T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(40, 40))
    >>> S = sp.diags_array(np.exp(np.random.default_rng(0).uniform(-2.0, 2.0, 1600)))
    >>> A = S @ sp.kronsum(T, T) @ S
    >>> recipes = (AMG(), BootstrapAMG(relax=0), BootstrapAMG(), BootstrapAMG("compose"))
    >>> [CG().solve(A, np.ones(1600), M=M).iterations for M in recipes]
    [34, 44, 22, 8]
    >>> CG().prepare(A, BootstrapAMG("compose")).M.rates[-1] <= 0.3
    True
    """

    mode: Literal["relaxed", "eigenvector", "collapse", "compose"] = "relaxed"
    relax: int = 8
    target: float = 0.3
    k_max: int = 10
    inner: int = 15
    sweeps: int = 2
    coarse: int = 10
    smooth: bool = False
    cycle: Literal["V", "W", "H", "K"] = "V"
    composition: Literal["sym", "mult", "add"] = "sym"
    w0: Any = None
    rng: int = 0

    def __post_init__(self) -> None:
        for name, words in (("mode", MODES), ("cycle", SHAPES), ("composition", COMPOSITIONS)):
            if getattr(self, name) not in words:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, words))}, got {getattr(self, name)!r}")
        if not (is_number(self.target) and 0.0 <= self.target < 1.0):
            raise ValueError(f"target must be a rate, 0 ≤ target < 1, got {self.target!r}")
        for name, least in (("k_max", 1), ("inner", 1), ("sweeps", 1), ("coarse", 1), ("relax", 0), ("rng", 0)):
            if not is_whole(getattr(self, name), least):
                raise ValueError(f"{name} must be a whole number ≥ {least}, got {getattr(self, name)!r}")
        if not isinstance(self.smooth, bool):
            raise ValueError(f"smooth must be True or False, got {self.smooth!r}")

    def __eq__(self, other: object) -> bool:
        return options_equal(self, other)

    def __hash__(self) -> int:
        return hash((type(self), self.mode, self.target, self.k_max, self.sweeps, self.smooth, self.cycle))

    def __repr__(self) -> str:
        return options_text(self)

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return BootstrapCycle(A, self)

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Return M for changed values of A with the interpolation of the old one, if its rate has hardly grown."""
        if not isinstance(M, BootstrapCycle) or M.recipe != self:
            return self(A)
        require_same_size(self, M, A)
        return M.renewed(A)

    @property
    def renews(self) -> bool:
        """It keeps parts of the old M."""
        return False

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what A claims, but for K-cycles and one-sided products of hierarchies."""
        if self.cycle == "K":
            return Props.VARIABLE
        if self.mode == "compose" and self.composition == "mult" and self.k_max > 1:
            return Props.NONE
        return A.props & (Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE)

    def first_guess(self, n: int) -> np.ndarray:
        """Return the first smooth vector for n unknowns, before relaxation."""
        if self.w0 is None:
            return np.ones(n)
        w = np.array(self.w0, dtype=float)
        if w.shape != (n,) or not np.isfinite(w).all() or not w.any():
            raise ValueError(f"w0 must be ({n},) finite numbers to fit A, not all zero, got shape {w.shape}")
        return w
