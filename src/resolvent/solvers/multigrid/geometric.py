"""The recipe for geometric multigrid."""

from __future__ import annotations

import dataclasses
from typing import Literal, final

from ...operators import LinearOperator, Props
from ..preconditioners.recipe import Recipe, is_whole
from .cycles import Shape
from .extraction import network_of
from .hierarchy import Hierarchy
from .network import Interpolation, Network
from .smoothers import SMOOTHERS

Smoothing = Literal["red_black", "jacobi", "chebyshev", "gauss_seidel", "lines", "alternating_lines"]


@final
@dataclasses.dataclass(frozen=True)
class GeometricMultigrid(Recipe):
    """One multigrid cycle from a zero guess, over grids that are read off the entries of A: for diffusion on boxes.

    For −∇·(a∇u) + c u by 3-, 5- or 7-point stencils in one to three dimensions, cell- or vertex-centred, with a varying
    by orders of magnitude, c ≥ 0, and walls or periodic closure on each side, for any number of cells; also with
    upwinded convection, for GMRES. A is taken for a network of conductances (`multigrid.network`): what a row sum
    leaves is the conductance of walls or of the ground. Pairs of cells become one until a single cell is left,
    conductances in series along the pair, parallel across; all levels keep the stencil of the finest. Interpolation
    follows the current, restriction is its transpose.

    M is self-adjoint and positive definite where A claims to be definite or semi-definite, so that CG may use it (V-
    and W-cycles; F-cycles are not self-adjoint). For a singular A (insulated or periodic throughout) M is definite all
    the same, and leaves the constant to the smoother. Iterations of CG do not grow with the grid.

    A may be a `Stencil`, a `Sparse` matrix, or a torch `Tensor` with a grid: then the hierarchy is on its device. One
    code serves numpy and torch, in the same numbers to round-off.

    The smoother decides where a varies fast. Couplings of one strong axis, whichever, need nothing: "auto" coarsening.
    Jumps by orders of magnitude between regions cost some iterations, fewer with ``cycle="W"``, ``sweeps=2`` or
    "alternating_lines". Jumps from cell to cell, as of white noise, leave no coarse operator of five points that would
    do: the counts grow with the grid, and AMG is better. For convection take "alternating_lines" or "gauss_seidel" and
    V-cycles: the others need more and more iterations beyond cell Péclet numbers of one. For a complex symmetric
    operator, such as inside of `ShiftedLaplacian`, take "jacobi", whose damping is then chosen for each level;
    iterations are several times those with exact inverses.

    Storage: 14 (2-D) to 15 (3-D) vectors times the grid complexity, with work arrays for one column. A V-cycle has the
    operations of about four products with A for each of the levels, 4/3 as many in all (2-D, full coarsening), as
    array operations that pass over memory one by one. Set-up: one to two cycles, and ten more for W. Do not use it for
    couplings that change sign, for centred convection beyond cell Péclet number 2, or on unstructured grids (AMG).

    Parameters
    ----------
    smoother : {"red_black", "jacobi", "chebyshev", "gauss_seidel", "lines", "alternating_lines"}
        Gauss–Seidel in two colours, which the stencils that are taken need no more of; damped Jacobi; a Chebyshev
        polynomial; Gauss–Seidel in the order of the cells (numpy only); zebra Gauss–Seidel by lines, along the
        strongest axis of each level, or along all axes in turn, for anisotropy that varies.
    sweeps : int
        Before and after the correction from the next level, in adjoint order.
    cycle : {"V", "W", "F"}
    interpolation : {"operator", "linear"}
        Weights from the conductances, or those of a constant coefficient: less storage, good for smooth a only.
    coarsening : {"auto", "full"}
        "auto" leaves axes that couple less than a fourth as strongly as the strongest one until they no longer do.
    precision : {"double", "single"}
        "double" is that of A. "single" halves storage and traffic of the hierarchy; columns are scaled on the way, so
        that small residuals are safe. Use it inside an iteration in double precision.

    Raises
    ------
    StructureError
        When built for an operator without a grid that it says or shows, with entries that do not link neighbours
        (9 points), couplings above zero, rows that are not diagonally dominant, or a complex Hermitian one.
    ValueError
        For NaN or infinity among the entries, a diagonal that is not positive, or a grid that does not fit.

    References
    ----------
    Trottenberg, Oosterlee & Schüller 2001, "Multigrid", ISBN 978-0-12-701070-0; Alcouffe, Brandt, Dendy & Painter 1981,
    doi:10.1137/0902035 (interpolation by currents); Wesseling 1988, doi:10.1016/0377-0427(88)90340-9 (cell-centred).

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families import Darcy2D
    >>> from resolvent.solvers import CG, GeometricMultigrid
    >>> family = Darcy2D(resolution=64)
    >>> A, b = family.assemble(family.draw(np.random.default_rng(0)))
    >>> CG().solve(A, b).iterations > 300, CG().solve(A, b, M=GeometricMultigrid()).iterations
    (True, 9)
    >>> A, b = Darcy2D(resolution=12).assemble({"a": np.ones((12, 12))})
    >>> print(GeometricMultigrid()(A))
    Hierarchy(144 x 144, float64, V(1,1) cycle, red black, 5 levels, operator complexity 1.34, positive definite)
    level                grid    unknowns
        0             12 x 12         144
        1               6 x 6          36
        2               3 x 3           9
        3               2 x 2           4
        4               1 x 1           1
    complexity 1.35 (grid), 1.34 (operator)
    """

    smoother: Smoothing = "red_black"
    sweeps: int = 1
    cycle: Shape = "V"
    interpolation: Interpolation = "operator"
    coarsening: Literal["auto", "full"] = "auto"
    precision: Literal["double", "single"] = "double"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("smoother", tuple(SMOOTHERS)),
            ("cycle", ("V", "W", "F")),
            ("interpolation", ("operator", "linear")),
            ("coarsening", ("auto", "full")),
            ("precision", ("double", "single")),
        ):
            value = getattr(self, name)
            if not (isinstance(value, str) and value in allowed):
                raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
        if not is_whole(self.sweeps, 1):
            raise ValueError(f"sweeps must be a whole number ≥ 1, got {self.sweeps!r}")

    def __call__(self, A: LinearOperator) -> Hierarchy:
        """Build M for A."""
        return self._built(A, None)

    def update(self, M: LinearOperator, A: LinearOperator) -> Hierarchy:
        """Return M for a changed A: a new hierarchy, in the work arrays of the old one where the grids are the same."""
        return self._built(A, M if isinstance(M, Hierarchy) else None)

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: what A claims, of V- and W-cycles."""
        if self.cycle == "F":
            return Props.NONE
        return A.props & (Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE)

    def of_network(self, network: Network, *, props: Props = Props.NONE) -> Hierarchy:
        """Build M for a network, of one member or of B: column b of an (n, B) array then belongs to member b."""
        return Hierarchy(network, self, props=props)

    def _built(self, A: LinearOperator, previous: Hierarchy | None) -> Hierarchy:
        network, diagonal = network_of(A)
        return Hierarchy(network, self, diagonal=diagonal, dtype=A.dtype, props=self.claims(A), previous=previous)
