"""Residuals harvested from real solves, and errors that belong to them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...datasets.family import LinearFamily
from ...operators import LinearOperator, Props
from ...solvers import CG, IC, FlexibleCG, Progress, Recipe
from .ritz import ritz_mixtures
from .samples import Samples, samples_of

AT = (0, 1, 2, 4, 8, 16)
"""Iterations whose residuals are kept."""


def harvest(
    A: LinearOperator, b: np.ndarray, *, at: Sequence[int] = AT, M: Any = None, rtol: float = 1e-10
) -> tuple[np.ndarray, np.ndarray]:
    """Return residuals and errors of the iterates of (with a variable M, flexible) conjugate gradients, (m, n) each.

    Parameters
    ----------
    A : operator
        Self-adjoint and positive definite.
    b : (n,) array
    at : sequence of int
        Iterations. Where the solve ends before, its last ones are repeated.
    M : recipe or operator, optional
        Preconditioner of the run: a network in training, for residuals like those it will meet.
    rtol : float
        Of the solution by which errors are measured.
    """
    solution = CG(rtol=rtol).solve(A, b, M=IC()).check().x
    kept: dict[int, np.ndarray] = {0: np.zeros_like(b)}

    def keep(progress: Progress) -> bool:
        if progress.iteration in at and progress.x is not None:
            kept[progress.iteration] = np.array(progress.x[:, 0])
        return progress.iteration >= max(at)

    built = M(A) if isinstance(M, Recipe) else M
    method = FlexibleCG if built is not None and Props.VARIABLE in built.props else CG
    method(rtol=1e-6, maxiter=max(max(at), 1)).solve(A, b, M=built, callback=keep)
    iterates = [kept[max(k for k in kept if k <= wanted)] for wanted in at]
    e = np.stack([solution - x for x in iterates])
    return (A @ e.T).T, e


def harvest_family(
    family: LinearFamily,
    count: int,
    *,
    seed: int = 0,
    at: Sequence[int] = AT,
    M: Any = None,
    ritz: int = 2,
    krylov: int = 60,
    noise: int = 1,
) -> Samples:
    """Return samples of a family: residuals of real solves, Ritz mixtures and white noise.

    Parameters
    ----------
    family : LinearFamily
    count : int
        Systems to draw.
    seed : int
        Of the draws.
    at, M
        As for `harvest`. A sweep with the trained network as M is a refreshed set, to be joined to the first.
    ritz, krylov : int
        Mixtures of Ritz vectors for each system, and steps of Lanczos (see `ritz_mixtures`).
    noise : int
        White right-hand sides for each system.

    Examples
    --------
    >>> from resolvent.datasets.families import PoissonObstacles
    >>> from resolvent.training.preconditioners import harvest_family
    >>> samples = harvest_family(PoissonObstacles(resolution=16), 3, krylov=20)
    >>> samples.b.shape, len(set(samples.hashes))
    (torch.Size([3, 9, 16, 16]), 3)
    """
    begin = time.perf_counter()
    systems: list[tuple[LinearOperator, np.ndarray, np.ndarray]] = []
    for index in range(count):
        rng = np.random.default_rng([seed, family.family_id, index])
        A, right = family.assemble(family.draw(rng))
        parts = [harvest(A, right, at=at, M=M)]
        if ritz:
            parts.append(ritz_mixtures(A, right, count=ritz, steps=krylov, rng=rng))
        if noise:
            parts.append(_white(A, right != 0.0, noise, rng))
        systems.append((A, np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])))
    about = {
        "family": family.name,
        "resolution": family.resolution,
        "options": repr(family),
        "sources": _sources(len(tuple(at)), ritz, noise),
        "seconds": time.perf_counter() - begin,
    }
    return samples_of(systems, about)


def _white(
    A: LinearOperator, inside: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return white residuals in the domain and their errors."""
    b = rng.standard_normal((count, A.shape[0])) * inside
    e = np.stack([CG(rtol=1e-8).solve(A, row, M=IC()).x for row in b])
    return (A @ e.T).T, e


def _sources(real: int, ritz: int, noise: int) -> str:
    names: Iterable[tuple[str, int]] = (("residuals of solves", real), ("Ritz mixtures", ritz), ("white noise", noise))
    return ", ".join(f"{count} {name}" for name, count in names if count)
