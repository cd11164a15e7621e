"""Two published sequences of systems on which relaxation factors are learned, and what each factor costs there.

The shifted Laplacian and the heat equation of "Learning to Relax" (Khodak, Chow, Balcan & Talwalkar 2024,
arXiv:2310.02246), as its program has them where its text differs.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.fft import dstn, idstn

from resolvent.operators import SPD, Sparse
from resolvent.solvers import CG, SSOR
from resolvent.solvers.relaxation import sweep_counts
from resolvent.solvers.tuning import Tuner, jacobi_radius, shifted_radius, young_omega

OMEGAS = np.round(1.0 + 0.05 * np.arange(20), 2)
RTOL = 1e-8
CAP = 10_000


def laplacian(m: int) -> sp.csr_array:
    """Return the 5-point Laplacian on an m × m grid, zero outside, diagonal 4."""
    T, eye = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m)), sp.eye_array(m)
    return sp.csr_array(sp.kron(T, eye) + sp.kron(eye, T))


# ---------------------------------------------------------------------------------------------------------------------
# (A + c I) x = b, independent draws, by SOR

LAWS = {"low": (2.0, 6.0), "high": (0.5, 1.5)}
"""Of the shift: c = −0.15 + 0.6 Beta(·, ·), of low or of high variance."""
SHIFTS = {"low": -0.15, "high": 0.65}
"""The range that learners are told, which is the published one although c stays below 0.45."""
SIDE = 10


def draw_shifted(law: str, T: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return shifts (T,) and right-hand sides (n, T), standard normal with ‖b‖ ≤ √n."""
    n = SIDE * SIDE
    c = -0.15 + 0.6 * rng.beta(*LAWS[law], T)
    b = rng.standard_normal((n, T))
    while (long := np.linalg.norm(b, axis=0) > np.sqrt(n)).any():
        b[:, long] = rng.standard_normal((n, int(long.sum())))
    return c, b


def sor_costs(c: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the SOR sweeps of every factor on every system, (T, 20) array."""
    return sweep_counts(laplacian(SIDE), b, OMEGAS, c, rtol=RTOL, maxiter=CAP).T


def closed_form_costs(c: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the SOR sweeps of Young's ω*(c) on every system, (T,) array, from one estimate of β for A."""
    A = laplacian(SIDE)
    omegas = young_omega(shifted_radius(jacobi_radius(A, rng=0), 4.0, c))
    return np.array([sweep_counts(A, b[:, t], omegas[t], c[t], rtol=RTOL, maxiter=CAP)[0, 0] for t in range(len(c))])


# ---------------------------------------------------------------------------------------------------------------------
# Crank–Nicolson steps of the heat equation, by conjugate gradients with SSOR from the previous solution


def bump(x: np.ndarray, y: np.ndarray, centre: tuple[float, float], radius: float) -> np.ndarray:
    """Return exp(1 − 1/(1 − q)) with q = min(1, distance²/radius²)."""
    q = np.minimum(1.0, ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / radius**2)
    return np.exp(1.0 - 1.0 / np.maximum(1.0 - q, 1e-300))


def conductivity(t: Any) -> Any:
    """Return κ(t), large in every second half of a period of one, small in the other."""
    return np.maximum(0.1 * np.sin(2.0 * np.pi * t), -10.0 * np.sin(2.0 * np.pi * t))


@dataclasses.dataclass(frozen=True)
class Heat:
    """u' = κ(t) Δu + f on the unit square, u = 0 on the border, a source on a circle; steps of 1e-3.

    Parameters
    ----------
    nx : int
        Cells a side: (nx − 1)² unknowns.
    T : int
        Steps.
    """

    nx: int
    T: int = 5_000
    dt: float = 1e-3

    @functools.cached_property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates of the unknowns."""
        inner = np.arange(1, self.nx) / self.nx
        return inner[:, None], inner[None, :]

    @functools.cached_property
    def matrix(self) -> sp.csr_array:
        """−Δ_h."""
        return laplacian(self.nx - 1) * float(self.nx**2)

    @functools.cached_property
    def contexts(self) -> np.ndarray:
        """κ at the beginning of each step, (T,) array."""
        return np.asarray(conductivity(self.dt * np.arange(self.T)))

    @property
    def range(self) -> dict[str, float]:
        """The least and the largest context."""
        return {"low": float(self.contexts.min()), "high": float(self.contexts.max())}

    def start(self) -> np.ndarray:
        """Return u at time 0."""
        return bump(*self.points, (0.5, 0.5), 0.25).ravel()

    def step(self, k: int, u: np.ndarray) -> tuple[float, np.ndarray]:
        """Return a and b of step k, (I − a Δ_h) u_{k+1} = b = (I + a Δ_h) u_k + Δt f."""
        t = (k + 0.5) * self.dt
        a = 0.5 * self.dt * float(conductivity(t))
        centre = (0.5 + np.cos(16.0 * np.pi * t) / 4.0, 0.5 + np.sin(16.0 * np.pi * t) / 4.0)
        source = 32.0 * bump(*self.points, centre, 0.125).ravel()
        return a, u - a * (self.matrix @ u) + self.dt * source

    def operator(self, a: float) -> Sparse:
        """Return I − a Δ_h."""
        return Sparse(sp.csr_array(sp.eye_array((self.nx - 1) ** 2) + a * self.matrix), props=SPD)

    def exact(self) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
        """Yield a, b and u_k of every step, solved to rounding by sine transforms."""
        m = self.nx - 1
        values = 4.0 * self.nx**2 * np.sin(0.5 * np.pi * np.arange(1, self.nx) / self.nx) ** 2
        eigenvalues = values[:, None] + values[None, :]
        u = self.start()
        for k in range(self.T):
            a, b = self.step(k, u)
            yield a, b, u
            u = idstn(dstn(b.reshape(m, m), type=1) / (1.0 + a * eigenvalues), type=1).ravel()


def count(A: Sparse, b: np.ndarray, u: np.ndarray, omega: float | None) -> tuple[int, np.ndarray]:
    """Return the iterations of CG from u, with SSOR(ω) or without, and the solution."""
    M = None if omega is None else SSOR(omega=float(omega))
    result = CG(rtol=RTOL, maxiter=CAP).solve(A, b, x0=u, M=M).check()
    return result.iterations, result.x


def heat_costs(heat: Heat) -> tuple[np.ndarray, np.ndarray]:
    """Return the iterations of every factor at every step, (T, 20), and of plain CG, (T,), each from the exact u_k."""
    table, plain = np.empty((heat.T, len(OMEGAS)), dtype=int), np.empty(heat.T, dtype=int)
    for k, (a, b, u) in enumerate(heat.exact()):
        A = heat.operator(a)
        table[k] = [count(A, b, u, omega)[0] for omega in OMEGAS]
        plain[k] = count(A, b, u, None)[0]
    return table, plain


# ---------------------------------------------------------------------------------------------------------------------
# A learner, through real solves or along a table of what they cost


def run_heat(heat: Heat, tuner: Tuner) -> np.ndarray:
    """Return the iterations of each step, (T,), with the factors that a learner chooses and the solutions they give."""
    u, costs = heat.start(), np.empty(heat.T, dtype=int)
    for k in range(heat.T):
        arm = tuner.suggest(heat.contexts[k])
        a, b = heat.step(k, u)
        costs[k], u = count(heat.operator(a), b, u, OMEGAS[arm])
        tuner.observe(arm, int(costs[k]))
    return costs


def run_table(table: np.ndarray, contexts: np.ndarray, tuner: Tuner) -> np.ndarray:
    """Return the costs that a learner incurs along a table, (T,)."""
    costs = np.empty(len(table))
    for t, context in enumerate(contexts):
        arm = tuner.suggest(context)
        costs[t] = table[t, arm]
        tuner.observe(arm, float(costs[t]))
    return costs
