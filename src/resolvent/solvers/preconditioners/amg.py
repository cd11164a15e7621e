"""Algebraic multigrid, by pyamg."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from ...operators import LinearOperator, Props
from .amg_cycle import Cycle
from .recipe import Recipe, is_number, is_whole, options_equal, options_text
from .reuse import Reuse, check_reuse, require_same_size

METHODS = ("ruge_stuben", "smoothed_aggregation", "root_node", "air")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class AMG(Recipe):
    """One multigrid cycle from a zero guess, over a hierarchy that pyamg builds from the entries of A.

    The smoother is symmetric Gauss–Seidel, or another `SOR`, before and after the coarse correction, and restriction is
    the adjoint of interpolation, so that M is self-adjoint and positive definite where A is, and CG may use it.
    Iteration counts hardly grow with the problem size for elliptic equations of second order. Reduction ("air") is the
    exception: its restriction eliminates unknowns approximately, it smooths by Jacobi over the eliminated ones twice
    and the others once, after the coarse correction only, and CG refuses it.

    Storage: operator complexity (printed) times the entries of A, plus interpolation; twice that once the adjoint of
    an M that is not self-adjoint was used. Each application costs about 6 × operator complexity products with A for a
    V-cycle with one sweep. Set-up costs as much as tens of products: do not use it for small systems, nor for strongly
    indefinite ones such as Helmholtz.

    Along a sequence `reuse` says what is kept of M when the values of A change, and a `Refresh` policy of `Sequence`
    says when M is brought up to date at all: ``AMG(reuse="interpolation")`` with ``Refresh.WHEN_SLOW()`` renews the
    coarse matrices when iterations have grown, ``AMG()`` with ``Refresh.EVERY(10)`` builds anew at each tenth change.
    A solve that fails with an M of which parts were kept is repeated with a new one.

    Parameters
    ----------
    method : {"ruge_stuben", "smoothed_aggregation", "root_node", "air"}
        Classical coarsening, best for scalar equations (real only); aggregation, with less storage, and the choice
        for systems of equations such as elasticity; aggregation with energy-minimising interpolation of wider reach,
        dearer to build, for anisotropic ones; or approximate ideal restriction, for advection that dominates
        (nonsymmetric, upwinded, real only).
    strength : float or str or (str, dict), optional
        Strength of connection: a threshold in the measure of the method (0.25 classical, 0 aggregation, 0.3 reduction
        by default), or a measure as pyamg spells it, such as ``("classical", {"theta": 0.5})``.
    cycle : {"V", "W"}
        Shape of the cycle.
    sweeps : int
        Smoothing sweeps before and after each coarse correction.
    near_null_space : (n, q) array, optional
        Vectors that smoothing leaves alone, for aggregation; the constant by default.
    reuse : {"nothing", "interpolation", "hierarchy"}
        What `update` keeps: nothing, which builds anew; interpolation and restriction, so that only the coarse matrices
        are formed again, at the price of more iterations the more A differs from the one that was coarsened; or the
        whole of M.
    smoother : SOR, optional
        Sweeps before the coarse correction; after it they go the other way round. Symmetric Gauss–Seidel by default,
        ``SOR(sweep="symmetric")``; ``SOR(sweep="forward")`` is half the work, and colours do without waiting.

    Raises
    ------
    StructureError
        For an operator without entries, or a complex one with Ruge–Stüben or reduction.
    ValueError
        When built for a matrix with NaN or infinity, for zeros, or where the interpolation breaks down; when updated
        for a matrix of another size with anything but ``reuse="nothing"``.

    References
    ----------
    Ruge & Stüben 1987, doi:10.1137/1.9781611971057.ch4; Vaněk, Mandel & Brezina 1996, doi:10.1007/BF02238511;
    Manteuffel, Olson, Schroder & Southworth 2017 (root-node), doi:10.1137/16M1082706; Manteuffel, Ruge & Southworth
    2018 (reduction), doi:10.1137/17M1144350; Bell, Olson & Schroder 2022 (pyamg), doi:10.21105/joss.04142.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers import AMG, CG, Sequence
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(1000, 1000))
    >>> [CG().solve(A, np.ones(1000), M=M).iterations for M in (None, AMG())]
    [500, 6]
    >>> steps = Sequence(CG(), M=AMG(reuse="interpolation"))
    >>> [steps.solve(A + 1e-6 * i * sp.eye_array(1000), np.ones(1000)).iterations < 15 for i in range(3)]
    [True, True, True]
    """

    method: Literal["ruge_stuben", "smoothed_aggregation", "root_node", "air"] = "ruge_stuben"
    strength: Any = None
    cycle: Literal["V", "W"] = "V"
    sweeps: int = 1
    near_null_space: Any = None
    reuse: Reuse = "nothing"
    smoother: Any = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(map(repr, METHODS))}, got {self.method!r}")
        if self.cycle not in ("V", "W"):
            # An F-cycle would not be self-adjoint.
            raise ValueError(f"cycle must be 'V' or 'W', got {self.cycle!r}")
        if not is_whole(self.sweeps, 1):
            raise ValueError(f"sweeps must be a whole number ≥ 1, got {self.sweeps!r}")
        if not (self.strength is None or is_number(self.strength) or isinstance(self.strength, str | tuple)):
            raise ValueError(
                "strength must be a threshold such as 0.25, a measure such as ('classical', {'theta': 0.5}) or None, "
                f"got {self.strength!r}"
            )
        if self.near_null_space is not None and self.method not in ("smoothed_aggregation", "root_node"):
            raise ValueError(
                "near_null_space is used by method='smoothed_aggregation' and 'root_node' only, "
                f"got method={self.method!r}"
            )
        check_reuse(self.reuse)
        if self.smoother is not None:
            check_smoother(self.smoother, self.method)

    # Two recipes with other near-null spaces build other preconditioners: whoever compares must see that.
    def __eq__(self, other: object) -> bool:
        return options_equal(self, other)

    def __hash__(self) -> int:
        return hash((type(self), self.method, self.cycle, self.sweeps, self.reuse))

    def __repr__(self) -> str:
        return options_text(self)

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return Cycle(A, self)

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Return M for a changed A, with what `reuse` keeps of the old one; M itself stays as it is."""
        if self.reuse == "nothing" or not isinstance(M, Cycle) or M.recipe.method != self.method:
            return self(A)
        require_same_size(self, M, A)
        if self.reuse == "interpolation":
            return Cycle(A, self, previous=M)
        return M if M.dtype == A.dtype else self(A)

    @property
    def renews(self) -> bool:
        """Whether an update gives what building would give."""
        return self.reuse == "nothing"

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what A claims, but for reduction, and no plain symmetry of complex aggregation."""
        if self.method == "air":
            return Props.NONE
        kept = Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE
        return A.props & (kept if A.dtype.kind == "c" else kept | Props.SYMMETRIC)


def check_smoother(smoother: Any, method: str) -> None:
    """Raise TypeError or ValueError for what cannot smooth the levels of this method."""
    from ..relaxation.sor import SOR

    if not isinstance(smoother, SOR):
        raise TypeError(f"smoother must be SOR(…) or None, got {smoother!r}")
    if isinstance(smoother.blocks, tuple):
        raise ValueError("smoother=SOR(blocks=…) takes a size here: given sets of unknowns fit the first level only")
    if method == "air":
        raise ValueError("method='air' relaxes eliminated and other unknowns apart: leave smoother out")
