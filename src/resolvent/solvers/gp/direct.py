"""Direct solution with fixed kernels, and the choice among kernels and jitters by the defect."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from ...operators.spectral_mixture import Shape, SpectralMixture, mixture
from .collocation import Collocation, LinearSolve, orders_along
from .defect import Defect, estimate_defect
from .frequencies import source_peaks
from .interpolant import KernelInterpolant
from .kernel_axis import KernelAxis
from .pde import PDE

JITTERS = (1e-8, 1e-10, 1e-12, 1e-13)
"""Jitters relative to a variance of 1, the largest first: conditioning sets the accuracy."""
SCALES = (-6.0, -4.0, -2.0, 0.0, 2.0)
"""Values of log_ls."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """One model: a shape of kernel, a scale, a jitter, and what its defect was."""

    shape: str
    log_ls: float
    eps: float
    defect: Defect


@dataclasses.dataclass(frozen=True, eq=False)
class DirectSolution:
    """Values at the nodes and their interpolant, with the kernels and the jitter they were found with."""

    function: KernelInterpolant
    U: np.ndarray
    axes: list[KernelAxis]
    eps: float
    solve: LinearSolve
    newton: tuple[float, ...] = ()
    tried: tuple[Setting, ...] = ()
    defect: Defect | None = None


def source_kernels(
    pde: PDE, axes: Sequence[np.ndarray], log_ls: float = -2.0, shape: Shape = "student-t"
) -> list[SpectralMixture]:
    """Return one kernel an axis: the frequencies of the source along it, and frequency 0."""
    found = []
    for axis in range(len(axes)):
        omega = source_peaks(pde, axes, axis).omega
        found.append(mixture(np.concatenate([[0.0], omega / (2.0 * np.pi)]), log_ls, shape))
    return found


def solve_direct(
    pde: PDE, axes: Sequence[KernelAxis], eps: float, corrections: int | None = None, recycle: bool = False
) -> DirectSolution:
    """Return the solution with given kernels: one Kronecker-sum solve, Newton's method where it is nonlinear.

    With a jitter the interpolant misses the values at the nodes, those on the boundary among them. A correction solves
    again for the defect of the interpolant at the nodes and adds the result; on a line one removes most of what eps
    leaves, and is the default. In several dimensions rounding may grow by 1/eps with each, and none is.

    Cost in d dimensions with n nodes an axis: O(n³) for matrices and factors, O(n^(d+1)) for each solve.
    """
    matrices = [{r: axis.differentiation(r, eps) for r in orders_along(pde, j)} for j, axis in enumerate(axes)]
    nodes = [axis.x for axis in axes]
    steps: tuple[float, ...] = ()
    if pde.nonlinear is None:
        system = Collocation(pde, nodes, matrices)
        U, record = system.solve()
    else:
        from .newton import solve_newton

        U, record, steps = solve_newton(pde, nodes, matrices, recycle=recycle)
        slope = np.broadcast_to(np.asarray(pde.nonlinear[1](U), float), U.shape)
        system = Collocation(pde, nodes, matrices, slope)
    function = KernelInterpolant(axes, U, eps)
    given = pde.boundary_at(nodes)
    f = pde.source_at(nodes)
    for _ in range((len(nodes) == 1) if corrections is None else corrections):
        values = function.at_nodes((0,) * len(nodes))
        rho = f.copy()
        for orders in pde.operator:
            rho -= pde.coefficient_at(orders, nodes) * (function.at_nodes(orders) if any(orders) else values)
        if pde.nonlinear is not None:
            rho -= pde.nonlinear[0](values)
        beta = np.zeros_like(values)
        for side in given:
            beta[side.index] = side.values - values[side.index]
        change, more = system.solve(rho, boundary=beta)
        record = LinearSolve(record.matvecs + more.matvecs, max(record.residual, more.residual))
        function = function.plus(KernelInterpolant(axes, change, eps))
        U = values + change
    return DirectSolution(function, U, list(axes), eps, record, steps)


def solve_by_choice(
    pde: PDE,
    nodes: Sequence[np.ndarray],
    shapes: Sequence[Shape] = ("student-t", "gaussian"),
    scales: Sequence[float] = SCALES,
    jitters: Sequence[float] = JITTERS,
    enough: float = 0.0,
) -> DirectSolution:
    """Return the solution of the setting with the smallest estimated error, known solutions never seen.

    For each kernel the jitter goes down as long as the estimate does. The choice ends early below `enough`.
    """
    best: DirectSolution | None = None
    tried: list[Setting] = []
    for shape, log_ls in _settings(shapes, scales):
        kernels = source_kernels(pde, nodes, log_ls, shape)
        shared: list[KernelAxis] = []
        for kernel, x in zip(kernels, nodes, strict=True):
            same = [a for a in shared if a.x.size == x.size and np.array_equal(a.x, x) and _equal(a.kernel, kernel)]
            shared.append(same[0] if same else KernelAxis(kernel, x))
        lowest, worse = np.inf, 0
        for eps in jitters:
            if worse == 2:  # rounding has taken over
                break
            try:
                solution = solve_direct(pde, shared, eps)
            except np.linalg.LinAlgError:  # this jitter does not carry the kernel
                continue
            defect = estimate_defect(pde, solution.function, nodes)
            tried.append(Setting(shape, log_ls, eps, defect))
            worse = worse + 1 if defect.error > 3.0 * lowest else 0
            lowest = min(lowest, defect.error)
            if best is None or best.defect is None or defect.error < best.defect.error:
                best = dataclasses.replace(solution, defect=defect)
        if best is not None and best.defect is not None and best.defect.error <= enough:
            break
    if best is None:
        raise ValueError("no kernel and jitter gave a solution: check that the problem has exactly one")
    return dataclasses.replace(best, tried=tuple(tried))


def _settings(shapes: Sequence[Shape], scales: Sequence[float]) -> Iterator[tuple[Shape, float]]:
    for shape in shapes:
        for scale in scales:
            yield shape, scale


def _equal(one: SpectralMixture, other: SpectralMixture) -> bool:
    return one.shape == other.shape and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("log_w", "log_ls", "mu")
    )
