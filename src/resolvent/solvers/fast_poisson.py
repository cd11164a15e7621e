"""Fast Poisson solver: constant-coefficient operators on boxes, solved directly; a preconditioner for all others."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from ..operators import Array, LinearOperator, Props, StructureError
from .monitor import Monitor
from .preconditioners.fast_poisson import Plan, ScaledInverse, Scaling, plan_for
from .preconditioners.recipe import Recipe, is_number, is_whole
from .separable import Axis, Couplings, Reference, SeparableInverse, constant_operator
from .separable.couplings import NonFiniteError
from .separable.from_factors import reference_of_factors
from .separable.reference import Boundary
from .solver import Solver
from .status import Status


@dataclasses.dataclass(frozen=True, kw_only=True)
class FastPoisson(Solver, Recipe):
    """Sine, cosine and Fourier transforms on a box: a direct solver, and a preconditioner by the same name.

    As a solver, ``FastPoisson().solve(A, b)``: for A = Σ_a c_a ∂_aa + shift on a one- to three-dimensional box of equal
    cells or nodes, real or complex, each axis between walls (insulated, Dirichlet, Robin, also different at the two
    ends) or periodic. Coefficients, boundaries and shift are read off the entries. O(n log n) or, with dense
    eigenvectors on short axes, O(n^{1+1/d}) operations (`separable.SeparableInverse` tells which transforms are
    taken and how long they need); iterative refinement only where rounding leaves more than the tolerance. A singular
    system (insulated or periodic throughout, no shift) is solved in the least-squares sense: x has zero mean, CONVERGED
    for consistent right-hand sides, STAGNATED for others. Storage: 1 vector of factors, the residual
    and the correction.

    As a preconditioner, ``CG().solve(A, b, M=FastPoisson())``: for −∇·(a∇u) + c u with varying a on such a box,

        M = D L⁻¹ D,   L = −Δ + mean,   D = (diag L / diag A)^{1/2} or 1.

    The scaling with D ≈ a^{−1/2} leaves of a smooth a only the potential Δ√a/√a, so that iteration counts depend
    neither on the grid nor much on the contrast. Where a jumps, that potential is a dipole layer of strength 1/h, and
    D = 1 is right: κ(MA) ≤ max a/min a. Iterations of CG to 1e-8, unscaled/scaled, by
    ``benchmarks/fast_poisson.py`` (two samples each, of the scaled ones the larger):

    ========================  ===========  ============  ============
    coefficient               64²          256²          32³
    ========================  ===========  ============  ============
    lognormal_unit (10²–10³)  211, 89/15   234, 103/18   300+, 208/21
    fno_twophase (12/3)       19, 20/35    20, 21/86     19, 19/28
    ========================  ===========  ============  ============

    Storage: 2 vectors. Do not use it for boundaries that are not a box, nor for rough coefficients of high contrast,
    where AMG is better.

    Parameters
    ----------
    scaling : {"auto", "sqrt", "none"}
        Whether M is scaled. "auto" compares the contrast of the couplings, a bound of the condition number without
        scaling, with an estimate of that with scaling (`separable.energy`); both come from the entries, without a
        product with A, and are in ``M.conditions``.
    boundary : {"dirichlet", "neumann", "periodic"} or one for each axis, optional
        Given, it is not read off the entries; needed, with `spacing`, for operators without entries.
    centring : {"cell", "vertex"}
        With `boundary`: Dirichlet walls half a cell or a whole spacing from the outermost unknowns.
    spacing : float or one for each axis, optional
        Grid spacing h: couplings of L are 1/h². By default their mean in A.
    grid : tuple of int, optional
        Of the unknowns, C order; by default that of A, or the one its pattern shows.
    workers : int
        Threads of scipy.fft.
    rtol, atol, maxiter
        See `Solver`; of no meaning for the preconditioner.

    Raises
    ------
    StructureError
        As a solver for operators whose coefficients vary; for entries that do not link neighbours on a box.

    References
    ----------
    Buzbee, Golub & Nielson 1970, doi:10.1137/0707049; Swarztrauber 1977, doi:10.1137/1019071 (transforms);
    Concus & Golub 1973, doi:10.1137/0710092 (the scaling with a^{−1/2}).

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families import Darcy2D
    >>> from resolvent.solvers import CG, FastPoisson
    >>> family = Darcy2D(resolution=32, coefficient="lognormal_unit")
    >>> A, b = family.assemble(family.draw(np.random.default_rng(0)))
    >>> CG().solve(A, b, M=FastPoisson()).iterations < 20 < CG().solve(A, b).iterations
    True
    >>> A, b = family.assemble({"a": np.ones((32, 32))})
    >>> FastPoisson().solve(A, b).iterations
    1
    """

    scaling: Scaling = "auto"
    boundary: Boundary | tuple[Boundary, ...] | None = None
    centring: Literal["cell", "vertex"] = "cell"
    spacing: float | tuple[float, ...] | None = None
    grid: tuple[int, ...] | None = None
    workers: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scaling not in ("auto", "sqrt", "none"):
            raise ValueError(f"scaling must be 'auto', 'sqrt' or 'none', got {self.scaling!r}")
        if self.centring not in ("cell", "vertex"):
            raise ValueError(f"centring must be 'cell' or 'vertex', got {self.centring!r}")
        boundaries = self.boundary if isinstance(self.boundary, tuple) else (self.boundary,)
        for boundary in boundaries:
            if boundary not in ("dirichlet", "neumann", "periodic", None):
                raise ValueError(f"boundary must be 'dirichlet', 'neumann' or 'periodic', got {boundary!r}")
        for h in self.spacing if isinstance(self.spacing, tuple) else (self.spacing,):
            if h is not None and not (is_number(h) and h > 0.0):
                raise ValueError(f"spacing must be positive and finite, got {h!r}")
        if self.grid is not None and not (isinstance(self.grid, tuple) and all(is_whole(n, 1) for n in self.grid)):
            raise ValueError(f"grid must be a tuple of positive whole numbers, got {self.grid!r}")
        if not is_whole(self.workers, 1):
            raise ValueError(f"workers must be a whole number ≥ 1, got {self.workers!r}")

    # The preconditioner ----------------------------------------------------------------------------------------------

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return ScaledInverse(A, self._plan(A), workers=self.workers)

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Return M for a changed A: eigenvectors are kept, coefficients, scaling and pivots are new."""
        previous = M if isinstance(M, ScaledInverse) else None
        return ScaledInverse(A, self._plan(A), workers=self.workers, previous=previous)

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim; a few passes over the entries."""
        return self._plan(A).claims

    def _plan(self, A: LinearOperator) -> Plan:
        axes, scales = self._given(A)
        return plan_for(A, self.scaling, self.grid, axes, scales)

    def _given(self, A: LinearOperator) -> tuple[tuple[Axis, ...] | None, tuple[float, ...] | None]:
        """Return the axes and couplings that the options give."""
        grid = self.grid or A.grid
        if grid is None:
            if self.boundary is not None:
                raise ValueError("boundary=… needs the grid of the unknowns: give grid=… as well")
            return None, None
        boundaries = _for_each_axis(self.boundary, grid, "boundary")
        spacings = _for_each_axis(self.spacing, grid, "spacing")
        wall = 2.0 if self.centring == "cell" else 1.0
        made = {
            "dirichlet": lambda n: Axis(n, wall, wall),
            "neumann": lambda n: Axis(n, 0.0, 0.0),
            "periodic": lambda n: Axis(n, closure="periodic"),
        }
        axes = None if self.boundary is None else tuple(made[b](n) for b, n in zip(boundaries, grid, strict=True))
        return axes, None if self.spacing is None else tuple(1.0 / h**2 for h in spacings)

    # The solver ------------------------------------------------------------------------------------------------------

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if M is not None:
            raise StructureError("FastPoisson as a solver takes no preconditioner: leave M out, or use CG or GMRES")
        if A.device != "cpu":
            raise StructureError(f"FastPoisson runs on the host, but {A!r} is on {A.device}: use an iterative method")

    def _setup(self, A: LinearOperator) -> SeparableInverse | str:
        try:
            reference = self._exact(A)
        except NonFiniteError as error:  # a status, as for every solver
            return str(error)
        return reference.inverse(dtype=A.dtype, workers=self.workers)

    def _exact(self, A: LinearOperator) -> Reference:
        axes, scales = self._given(A)
        factored = reference_of_factors(A) if self.grid in (None, A.grid) else None
        if factored is not None:
            return factored
        try:
            couplings = Couplings.of(A, self.grid)
        except StructureError:
            if axes is None or scales is None:
                raise
            return Reference(axes, scales)
        try:
            return constant_operator(couplings)
        except StructureError as error:
            raise StructureError(
                f"FastPoisson solves operators with constant coefficients, but of {A!r} {error}: "
                "use an iterative method with M=FastPoisson()"
            ) from error

    def _adjoint(self, state: SeparableInverse | str, A: LinearOperator) -> LinearOperator | str:
        return state if isinstance(state, str) else state.H

    def _run(self, state: LinearOperator | str, b: Array, x: Array, monitor: Monitor) -> None:
        v = monitor.vectors
        r = v.empty_like(b)
        monitor.start(x, r, keep_best=True)
        if isinstance(state, str):
            monitor.retire(np.ones(b.shape[1], dtype=bool), Status.NONFINITE, x, state)
        z = v.empty_like(b)
        while monitor.running:
            x, r, z = monitor.compact(x, r, z)
            assert not isinstance(state, str)
            state._matmat_into(r, z)
            v.axpy(np.ones(r.shape[1]), z, x)
            monitor.step_recomputed(x, r, gain=0.5, patience=2)

    def __str__(self) -> str:
        changed = [f for f in dataclasses.fields(self) if getattr(self, f.name) != f.default]
        return f"{type(self).__name__}({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in changed)})"


def _for_each_axis(value: Any, grid: tuple[int, ...], name: str) -> tuple[Any, ...]:
    values = value if isinstance(value, tuple) else (value,) * len(grid)
    if len(values) != len(grid):
        raise ValueError(f"{name} must be one value or one for each of the {len(grid)} axes, got {value!r}")
    return values
