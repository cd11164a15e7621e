"""Gaussian processes with high-frequency kernels trained by Adam, as published: ``method="adam"``.

Kept as published, for comparison: a fixed jitter, all boundary data used, full batches, no stopping rule. Departures:
gradients are written out instead of found by automatic differentiation, and nothing is chosen by the error against a
known solution.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg

from ...operators.spectral_mixture import Shape, SpectralMixture
from .along import along, unfolded
from .interpolant import KernelInterpolant
from .kernel_axis import KernelAxis
from .pde import PDE

JITTER = 1e-6
"""Added to every covariance matrix (published code)."""
RATE, DECAY, SMALL = 1e-2, (0.9, 0.999), 1e-8
"""Adam's step, decays of its moments, and what keeps its quotient finite (published code)."""


@dataclasses.dataclass(frozen=True)
class AdamState:
    """Where the iteration is: all unknowns, and Adam's moments of them.

    `parameters` holds ``U``, ``log_tau`` and ``log_v``, and for each axis j ``log_w{j}``, ``log_ls{j}``, ``mu{j}``.
    """

    parameters: dict[str, np.ndarray]
    first: dict[str, np.ndarray]
    second: dict[str, np.ndarray]
    updates: int


class AdamGP:
    """The published objective of a PDE on a uniform grid, and its minimisation by Adam.

    The values U on the grid have the prior N(0, K_1 ⊗ … ⊗ K_d), derivatives are taken as K^(r) K⁻¹ along each axis,
    and the maximum of the joint density is sought over U, all kernel parameters and two precisions.

    Storage: about 12 arrays of the grid, and of each axis 6 matrices. Each update: a Cholesky factorisation and about
    12 products of matrices an axis. Tens of thousands of updates are needed, and they do not settle: use it to compare
    with, not to solve.

    Parameters
    ----------
    pde : PDE
    shape : tuple of int
        Nodes along each axis, end points included.
    frequencies : float or sequence of float
        F, the upper end of the frequencies a kernel starts with (cycles per unit length), one an axis or one for all.
    kernel : {"student-t", "gaussian"}
    components : int
        Q, components of each kernel.
    boundary_weight : float
        Weight λ of the boundary term.

    References
    ----------
    Fang, Cooley, Long, Li, Kirby & Zhe 2024, arXiv:2311.04465; Kingma & Ba 2015, arXiv:1412.6980.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.gp import PDE, AdamGP, laplacian
    >>> pde = PDE([(0.0, 1.0)], laplacian(1), source=lambda x: -np.sin(x), boundary=np.sin)
    >>> gp = AdamGP(pde, (20,), frequencies=1.0, components=4)
    >>> state = gp.run(30)
    >>> bool(gp.loss(state) < gp.loss(gp.start()))
    True
    """

    def __init__(
        self,
        pde: PDE,
        shape: tuple[int, ...],
        frequencies: Any = 20.0,
        kernel: Shape = "student-t",
        components: int = 30,
        boundary_weight: float = 200.0,
    ) -> None:
        if components < 1:
            raise ValueError(f"components must be at least 1, got {components}")
        self.pde, self.kernel, self.components, self.weight = pde, kernel, components, float(boundary_weight)
        self.axes = pde.grid(shape)
        self.frequencies = np.broadcast_to(np.asarray(frequencies, float), (len(shape),))
        self.f = pde.source_at(self.axes)
        self.terms = [(orders, pde.coefficient_at(orders, self.axes)) for orders in pde.operator]
        self.sides = pde.boundary_at(self.axes)
        if not self.sides:
            raise ValueError("the published method needs boundary values: give them, or use method='auto'")
        # Sides are counted one by one, so that a corner counts for each side it belongs to.
        self.boundary_count = sum(side.values.size for side in self.sides)

    def start(self) -> AdamState:
        """Return the published start: U = 0, equal weights, frequencies equally spaced in [0, F]."""
        Q = self.components
        parameters = {"U": np.zeros_like(self.f), "log_tau": np.zeros(()), "log_v": np.zeros(())}
        for j, F in enumerate(self.frequencies):
            parameters |= {
                f"log_w{j}": np.full(Q, -math.log(Q)),
                f"log_ls{j}": np.zeros(Q),
                f"mu{j}": np.linspace(0.0, 1.0, Q) * F,
            }
        zeros = {name: np.zeros_like(value) for name, value in parameters.items()}
        return AdamState(parameters, zeros, {name: np.zeros_like(value) for name, value in parameters.items()}, 0)

    def run(
        self, updates: int, state: AdamState | None = None, callback: Callable[[AdamState, float], Any] | None = None
    ) -> AdamState:
        """Return the state after that many more updates; ``callback(state, loss)`` is called with each."""
        state = state or self.start()
        for _ in range(updates):
            loss, gradient = self.loss_and_gradient(state.parameters)
            state = _adam_step(state, gradient)
            if callback is not None:
                callback(state, loss)
        return state

    def loss(self, state: AdamState) -> float:
        """Return the objective, up to a constant."""
        return self.loss_and_gradient(state.parameters)[0]

    def kernels(self, state: AdamState) -> list[SpectralMixture]:
        """Return the kernel of each axis."""
        return [self._kernel(state.parameters, j) for j in range(len(self.axes))]

    def predict(self, state: AdamState, axes: list[np.ndarray]) -> np.ndarray:
        """Return u at the nodes of another tensor grid."""
        return self.function(state).on_tensor(axes, (0,) * len(axes))

    def function(self, state: AdamState) -> KernelInterpolant:
        """Return u as a function: the interpolant of U."""
        axes = [KernelAxis(k, x) for k, x in zip(self.kernels(state), self.axes, strict=True)]
        return KernelInterpolant(axes, state.parameters["U"], JITTER)

    def loss_and_gradient(self, p: dict[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
        """Return the objective and its derivatives by every parameter."""
        d, U = len(self.axes), p["U"]
        tau, v = math.exp(p["log_tau"]), math.exp(p["log_v"])
        kernels = [self._kernel(p, j) for j in range(d)]
        K_inv, K_der, logdet = [], [], []
        for j, (kernel, x) in enumerate(zip(kernels, self.axes, strict=True)):
            K = kernel.matrix(x)
            K[np.diag_indices(x.size)] += JITTER
            inverse, log = _inverse(K)
            K_inv.append(inverse)
            logdet.append(log)
            found = {orders[j] for orders, _ in self.terms} - {0}
            K_der.append({r: kernel.matrix(x, order=r) for r in found})
        loss = 0.5 * sum(U.size / x.size * log for x, log in zip(self.axes, logdet, strict=True))
        by_K = [0.5 * U.size / x.size * inverse for x, inverse in zip(self.axes, K_inv, strict=True)]
        by_der: list[dict[int, np.ndarray]] = [{r: np.zeros_like(K) for r, K in ders.items()} for ders in K_der]

        alpha = [along(K_inv[j], U, j) for j in range(d)]  # K_j⁻¹ along one axis
        A = U  # ⊗ K_j⁻¹ U
        for j in range(d):
            A = along(K_inv[j], A, j)
        loss += 0.5 * float(np.vdot(U, A))
        for j in range(d):
            by_K[j] -= 0.5 * unfolded(A, j) @ unfolded(alpha[j], j).T
        by_U = A.copy()

        loss, by_tau = self._boundary(U, tau, loss, by_U, float(p["log_tau"]))

        applied = [_apply_term(orders, U, K_inv, K_der) for orders, _ in self.terms]
        R = sum((c * value for (_, c), value in zip(self.terms, applied, strict=True)), start=-self.f)
        if self.pde.nonlinear is not None:
            R = R + self.pde.nonlinear[0](U)
        square = float(np.vdot(R, R))
        loss += 0.5 * v * square - 0.5 * R.size * float(p["log_v"])
        for orders, c in self.terms:
            self._term_gradient(orders, v * c * R, U, alpha, K_inv, K_der, by_U, by_K, by_der)
        if self.pde.nonlinear is not None:
            by_U += v * self.pde.nonlinear[1](U) * R

        gradient = {"U": by_U, "log_tau": np.array(by_tau), "log_v": np.array(0.5 * v * square - 0.5 * R.size)}
        for j, kernel in enumerate(kernels):
            x = self.axes[j]
            totals = [np.zeros(self.components) for _ in range(3)]
            for r, M in ((0, by_K[j]), *by_der[j].items()):
                for total, part in zip(totals, kernel.gradient(x - x[0], r), strict=True):
                    total += _lag_sums(M, odd=r % 2 == 1) @ part
            gradient |= dict(zip((f"log_w{j}", f"log_ls{j}", f"mu{j}"), totals, strict=True))
        return loss, gradient

    def _boundary(
        self, U: np.ndarray, tau: float, loss: float, by_U: np.ndarray, log_tau: float
    ) -> tuple[float, float]:
        square = 0.0
        for side in self.sides:
            misfit = U[side.index] - side.values
            square += float(np.sum(misfit * misfit))
            by_U[side.index] += self.weight * tau * misfit
        loss += self.weight * (0.5 * tau * square - 0.5 * self.boundary_count * log_tau)
        return loss, self.weight * (0.5 * tau * square - 0.5 * self.boundary_count)

    @staticmethod
    def _term_gradient(
        orders: tuple[int, ...],
        G: np.ndarray,
        U: np.ndarray,
        alpha: list[np.ndarray],
        K_inv: list[np.ndarray],
        K_der: list[dict[int, np.ndarray]],
        by_U: np.ndarray,
        by_K: list[np.ndarray],
        by_der: list[dict[int, np.ndarray]],
    ) -> None:
        """Add what ⟨G, K^(r) K⁻¹ … U⟩ gives, G being the derivative by the term."""
        for j, r in enumerate(orders):
            if not r:
                continue
            others = tuple(0 if i == j else s for i, s in enumerate(orders))
            W = along(K_inv[j], _apply_term(others, U, K_inv, K_der), j) if any(others) else alpha[j]
            back = along(K_inv[j], along(K_der[j][r].T, G, j), j)
            by_der[j][r] += unfolded(G, j) @ unfolded(W, j).T
            by_K[j] -= unfolded(back, j) @ unfolded(W, j).T
        for j, r in enumerate(orders):
            if r:
                G = along(K_inv[j], along(K_der[j][r].T, G, j), j)
        by_U += G

    def _kernel(self, p: dict[str, np.ndarray], j: int) -> SpectralMixture:
        return SpectralMixture(p[f"log_w{j}"], p[f"log_ls{j}"], p[f"mu{j}"], self.kernel)


def _apply_term(
    orders: tuple[int, ...], U: np.ndarray, K_inv: list[np.ndarray], K_der: list[dict[int, np.ndarray]]
) -> np.ndarray:
    for j, r in enumerate(orders):
        if r:
            U = along(K_der[j][r], along(K_inv[j], U, j), j)
    return U


def _inverse(K: np.ndarray) -> tuple[np.ndarray, float]:
    """Return K⁻¹ and log|K| of a positive definite matrix."""
    try:
        factor = scipy.linalg.cholesky(K, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        raise ValueError(
            "the covariance matrix is not positive definite to working precision: two kernels or nodes nearly "
            "coincide, or the weights have grown beyond what a jitter of 1e-6 carries; start with other frequencies"
        ) from None
    inverse, _ = scipy.linalg.lapack.dpotri(factor, lower=1)
    lower = np.tril(inverse)
    return lower + np.tril(inverse, -1).T, 2.0 * float(np.log(np.diag(factor)).sum())


def _lag_sums(M: np.ndarray, *, odd: bool) -> np.ndarray:
    """Return for each lag l ≥ 0 the sum of M_ij over i − j = l, plus or minus that over i − j = −l."""
    n = len(M)
    i = np.arange(n)
    sums = np.bincount((i[:, None] - i + (n - 1)).ravel(), weights=M.ravel(), minlength=2 * n - 1)
    below, above = sums[n - 1 :], sums[n - 1 :: -1]
    total: np.ndarray = below - above if odd else below + above
    if not odd:
        total[0] *= 0.5  # the diagonal was counted twice
    return total


def _adam_step(state: AdamState, gradient: dict[str, np.ndarray]) -> AdamState:
    t = state.updates + 1
    first, second, moved = {}, {}, {}
    for name, g in gradient.items():
        first[name] = DECAY[0] * state.first[name] + (1.0 - DECAY[0]) * g
        second[name] = DECAY[1] * state.second[name] + (1.0 - DECAY[1]) * g * g
        m, s = first[name] / (1.0 - DECAY[0] ** t), second[name] / (1.0 - DECAY[1] ** t)
        moved[name] = state.parameters[name] - RATE * m / (np.sqrt(s) + SMALL)
    return AdamState(moved, first, second, t)
