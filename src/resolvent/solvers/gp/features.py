"""Equations on a line in a space of few features, their frequencies found by variable projection.

The frequencies are nonlinear unknowns, everything else is linear least squares and eliminated, so that a frequency is
found to about the accuracy of the data: at its exact value polynomials times one sine and cosine hold the solution.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.linalg

from .frequencies import spectral_peaks
from .pde import PDE
from .trigonometric import FeatureFunction, FeatureSpace

MOST = 4
"""Largest number of frequencies."""
DEGREES = (0, 1, 2, 4, 10)
"""Degrees p of modulating polynomials, tried in turn."""
SMALL = 1e-11
"""Relative residual at which the space holds the solution, to what rounding of the data leaves."""
RANK = 1e-15
"""Columns below this part of the largest, after scaling, are left out."""
FIRST = 1e-2
"""Relative residual of the first solve where the problem is nonlinear: harmonics are not to be fitted."""
NEWTON = 15
"""Largest number of Newton's steps."""
STEPS = 40
"""Largest number of steps of Levenberg and Marquardt."""


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureSolution:
    """A solution in a feature space.

    Attributes
    ----------
    function : FeatureFunction
    residual : float
        ‖r‖₂/‖b‖₂ of equation and boundary rows together.
    fits : int
        Linear least-squares problems that were solved.
    newton : tuple of float
        Relative sizes of Newton's steps, where the problem is nonlinear.
    """

    function: FeatureFunction
    residual: float
    fits: int
    newton: tuple[float, ...] = ()


class FeatureSystem:
    """Equation and boundary rows of a linear problem on a line, for any feature space.

    Parameters
    ----------
    pde : PDE
        One-dimensional; its nonlinearity is not looked at.
    x : (n,) array
        Where the equation holds.
    f : (n,) array, optional
        Right-hand side instead of the source, and `extra`, an (n,) array, a further coefficient of u: what a Newton
        step changes.
    """

    def __init__(self, pde: PDE, x: np.ndarray, f: np.ndarray | None = None, extra: np.ndarray | None = None) -> None:
        self.x, (self.low, self.high) = x, pde.box[0]
        self.terms = [(orders[0], pde.coefficient_at(orders, [x])) for orders in pde.operator]
        if extra is not None:
            self.terms.append((0, extra))
        f = pde.source_at([x]) if f is None else f
        sides = pde.boundary_at([x])
        self.ends = np.array([x[-side.side[1]] for side in sides])
        g = np.array([float(side.values) for side in sides])
        # Boundary rows weigh as much as a row of the equation does for a function of the size of the data.
        size = max(float(np.abs(g).max(initial=0.0)), 1.0)
        self.weight = max(float(np.abs(f).max()), 1.0) / size
        self.b = np.concatenate([f, self.weight * g])

    def space(self, omega: np.ndarray, p: int) -> FeatureSpace:
        """Return the space with given frequencies on the interval of the problem."""
        return FeatureSpace(self.low, self.high, np.asarray(omega, float), p)

    def rows(self, space: FeatureSpace) -> np.ndarray:
        """Return equation and boundary rows of every feature, (n + ends, size)."""
        return self._rows(space.columns, space.size)

    def slopes(self, space: FeatureSpace, q: int) -> np.ndarray:
        """Return the derivative of the rows of frequency q by that frequency."""
        return self._rows(lambda x, order: space.slopes(x, q, order), 2 * (space.p + 1))

    def _rows(self, columns, size: int) -> np.ndarray:  # type: ignore[no-untyped-def]
        top = np.zeros((self.x.size, size))
        for order, c in self.terms:
            top += (c[:, None] if isinstance(c, np.ndarray) else c) * columns(self.x, order)
        return np.vstack([top, self.weight * columns(self.ends, 0)])


def solve_by_features(system: FeatureSystem, small: float = SMALL) -> FeatureSolution:
    """Return the solution in the smallest space that holds it, or the best one tried.

    For p = 0, 1, 2, 4, 10 in turn: add the strongest frequency of the residual, improve all by Levenberg and Marquardt,
    up to 4 of them, until the relative residual is below `small`.

    Cost: some tens of factorisations of (n, 15 + 2 (p + 1) Q) matrices. Do not use it for noisy data, whose errors
    unregularised features amplify.

    References
    ----------
    Golub & Pereyra 1973, doi:10.1137/0710036; Kaufman 1975, doi:10.1007/BF01932995.
    """
    best: FeatureSolution | None = None
    fits = 0
    for p in DEGREES:
        omega = np.empty(0)
        while True:
            fit = Fit(system, system.space(omega, p))
            fits += 1
            if best is None or fit.residual < best.residual:
                best = FeatureSolution(FeatureFunction(fit.space, fit.c), fit.residual, 0)
            if fit.residual <= small or len(omega) == MOST or not np.isfinite(fit.residual):
                break
            spacing = float(system.x[1] - system.x[0])
            peaks = spectral_peaks(fit.r[: system.x.size], spacing, most=1)
            if not peaks.omega.size:
                break
            omega, used = improved(system, np.append(omega, peaks.omega), p)
            fits += used
        if best.residual <= small:
            break
    assert best is not None  # at least one space was tried
    return dataclasses.replace(best, fits=fits)


def solve_nonlinear_by_features(pde: PDE, x: np.ndarray) -> FeatureSolution:
    """Return the solution of L u + N(u) = f in a feature space by Newton's method, frequencies found in each step.

    Early steps are solved loosely: their linear problems hold the harmonics of what the iterate still misses.

    Raises
    ------
    ValueError
        If the steps do not become small.
    """
    assert pde.nonlinear is not None  # the caller looked
    value, derivative = pde.nonlinear
    f = pde.source_at([x])
    solution = solve_by_features(FeatureSystem(pde, x), small=FIRST)
    fits, steps = solution.fits, [1.0]
    u = solution.function.on_tensor([x], (0,))
    for _ in range(NEWTON):
        with np.errstate(over="ignore", invalid="ignore"):  # a step too far shows as values that are not finite
            slope = np.broadcast_to(np.asarray(derivative(u), float), u.shape)
            right = f - value(u) + slope * u
        if not (np.isfinite(right).all() and np.isfinite(slope).all()):
            break
        small = max(SMALL, 1e-2 * min(steps[-1], 1.0) ** 2)
        solution = solve_by_features(FeatureSystem(pde, x, right, slope), small)
        fits += solution.fits
        moved = solution.function.on_tensor([x], (0,))
        steps.append(float(np.linalg.norm(moved - u) / max(np.linalg.norm(moved), np.finfo(float).tiny)))
        u = moved
        if not np.isfinite(steps[-1]):
            break
        if steps[-1] <= 1e-10 or (small <= SMALL and steps[-1] > 0.5 * steps[-2]):
            return dataclasses.replace(solution, fits=fits, newton=tuple(steps[1:]))
    raise ValueError(
        f"Newton's method did not converge in the feature space: steps {', '.join(f'{s:.1e}' for s in steps[1:])}; "
        "use method='kernel', or take the nonlinearity up in several solves"
    )


class Fit:
    """Linear least squares in a space: its coefficients, residual, and an orthonormal basis of the rows' range."""

    def __init__(self, system: FeatureSystem, space: FeatureSpace) -> None:
        A = system.rows(space)
        self.space = space
        self.scale = np.linalg.norm(A, axis=0)
        self.scale[self.scale == 0.0] = 1.0
        Q, R, order = scipy.linalg.qr(A / self.scale, mode="economic", pivoting=True, check_finite=False)
        size = np.abs(np.diag(R))
        rank = max(int(np.count_nonzero(size > RANK * size[0])), 1)
        self.Q = Q[:, :rank]
        y = self.Q.T @ system.b
        self.r = system.b - self.Q @ y
        y += (again := self.Q.T @ self.r)  # once more, against rounding
        self.r -= self.Q @ again
        self.c = np.zeros(A.shape[1])
        self.c[order[:rank]] = scipy.linalg.solve_triangular(R[:rank, :rank], y, check_finite=False)
        self.c /= self.scale
        norm = float(np.linalg.norm(system.b))
        self.residual = float(np.linalg.norm(self.r)) / norm if norm else 0.0


def improved(system: FeatureSystem, omega: np.ndarray, p: int) -> tuple[np.ndarray, int]:
    """Return frequencies that minimise the residual nearby, and how many fits that took."""
    fit, damping, fits = Fit(system, system.space(omega, p)), 1e-3, 1
    limit = np.pi * (system.x.size - 1) / (system.high - system.low)
    for _ in range(STEPS):
        if fit.residual <= 0.01 * SMALL:
            break
        J = np.empty((system.b.size, omega.size))
        begin = fit.space.degree + 1
        width = 2 * (p + 1)
        for q in range(omega.size):  # Kaufman's form: −P⊥ (∂A/∂ω_q) c
            part = slice(begin + q * width, begin + (q + 1) * width)
            J[:, q] = system.slopes(fit.space, q) @ fit.c[part]
        J -= fit.Q @ (fit.Q.T @ J)
        normal, right = J.T @ J, J.T @ fit.r
        diagonal = np.diag(normal).copy()
        diagonal[diagonal == 0.0] = 1.0
        accepted = False
        for _ in range(8):
            step = np.linalg.lstsq(normal + damping * np.diag(diagonal), right, rcond=None)[0]
            trial = np.clip(omega + step, 1e-3 * limit / system.x.size, 1.5 * limit)
            moved = Fit(system, system.space(trial, p))
            fits += 1
            if moved.residual < fit.residual:
                accepted = True
                break
            damping = max(damping, 1e-12) * 8.0
        if not accepted:
            break
        gain = 1.0 - moved.residual / fit.residual
        change = float(np.abs(trial - omega).max() / np.abs(omega).max())
        omega, fit, damping = trial, moved, damping * 0.1
        if gain < 1e-3 or change < 1e-15:
            break
    return omega, fits
