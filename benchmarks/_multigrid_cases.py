"""Diffusion systems by what makes them hard, and the options that multigrid needs for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from resolvent.datasets.families.coefficients import coefficient_law
from resolvent.datasets.schemes.diffusion import cell_transmissibilities, dirichlet_diffusion
from resolvent.operators import Ensemble, LinearOperator, Stencil
from resolvent.solvers import AMG, CG, GeometricMultigrid, MultigridCG

RTOL, LIMIT = 1e-8, 150
CONTRAST, JUMP, WEAK = 1e6, 1e3, 1e-3

Make = Callable[[int, int, int], LinearOperator]


def lognormal(n: int, dim: int, seed: int) -> np.ndarray:
    """Return a lognormal coefficient of unit variance, one function on every grid for one seed."""
    return coefficient_law("lognormal_unit", dim).draw(seed, n)


def contrast(n: int, dim: int, seed: int) -> np.ndarray:
    """Return a power of it, so that the largest value is 10⁶ times the smallest."""
    a = lognormal(n, dim, seed)
    power: np.ndarray = a ** (np.log(CONTRAST) / np.log(a.max() / a.min()))
    return power


def two_phase(n: int, dim: int, seed: int, phases: tuple[float, float] = (12.0, 3.0)) -> np.ndarray:
    """Return the coefficient of the Fourier neural operator, with other phases where asked for."""
    field = coefficient_law("fno_twophase", dim).field
    return np.where(field.sample(np.random.default_rng(seed), n, "cell") >= 0.0, *phases)


def isotropic(coefficient: Callable[..., np.ndarray], *more: Any) -> Make:
    """Return what assembles a coefficient."""
    return lambda n, dim, seed: dirichlet_diffusion(coefficient(n, dim, seed, *more), 1.0 / n, "cell")


def anisotropic(n: int, dim: int, seed: int) -> LinearOperator:
    """Return a lognormal coefficient that conducts a thousandth along the last axis."""
    faces = list(cell_transmissibilities(lognormal(n, dim, seed), 1.0 / n, dim))
    faces[-1] = WEAK * faces[-1]
    return Stencil.from_transmissibilities(faces)


@dataclasses.dataclass(frozen=True)
class Case:
    """Systems of one kind.

    Parameters
    ----------
    name : str
    make : callable
        Of size, dimension and seed.
    recipe : GeometricMultigrid
        The options that are right for it.
    flat : bool
        Whether V(1,1)-cycles take as many iterations on every grid. Under anisotropy axes that couple weakly are left
        for later levels, which costs a few on fine grids; across ragged jumps coarse operators fail.
    """

    name: str
    make: Make
    recipe: GeometricMultigrid = dataclasses.field(default_factory=GeometricMultigrid)
    flat: bool = True

    @property
    def options(self) -> str:
        """The recipe as it is printed, arguments that are defaults left out."""
        fields = dataclasses.fields(self.recipe)
        given = [f"{f.name}={value!r}" for f in fields if (value := getattr(self.recipe, f.name)) != f.default]
        return f"GeometricMultigrid({', '.join(given)})"


CASES = (
    Case("lognormal, unit variance", isotropic(lognormal)),
    Case("lognormal, contrast 1e6", isotropic(contrast)),
    Case("two-phase 12/3", isotropic(two_phase)),
    Case("anisotropy 1e-3, lognormal", anisotropic, flat=False),
    Case(
        "two-phase 1000/1, ragged",
        isotropic(two_phase, (JUMP, 1.0)),
        GeometricMultigrid(smoother="alternating_lines", sweeps=2),
        flat=False,
    ),
)


def true_residual(A: LinearOperator, b: np.ndarray, x: np.ndarray) -> float:
    """Return ‖b − A x‖/‖b‖ by SciPy's product."""
    return float(np.linalg.norm(b - A.to_sparse() @ x) / np.linalg.norm(b))


def iterations(case: Case, n: int, dim: int, samples: int, *, amg: bool) -> dict[str, Any]:
    """Return the iterations to 1e-8 of both ways of multigrid, and the largest true residual of what converged.

    Parameters
    ----------
    amg : bool
        Whether algebraic multigrid is counted besides.
    """
    systems = [case.make(n, dim, seed) for seed in range(samples)]
    b = np.ones(n**dim)
    together = MultigridCG(rtol=RTOL, maxiter=LIMIT).solve(Ensemble(systems), np.stack([b] * samples, axis=1))
    found: dict[str, list[int]] = {"MultigridCG": [column.iterations for column in together.columns]}
    solutions = zip(systems, np.asarray(together.x).T, together.columns, strict=True)
    worst = max((true_residual(A, b, x) for A, x, column in solutions if column.iterations < LIMIT), default=0.0)
    recipes: dict[str, Any] = {"CG, V(1,1)": GeometricMultigrid(), "CG, its options": case.recipe}
    if amg:
        recipes["CG, AMG"] = AMG()
    for name, recipe in recipes.items():
        if name == "CG, its options" and recipe == GeometricMultigrid():
            found[name] = found["CG, V(1,1)"]
            continue
        results = [CG(rtol=RTOL, maxiter=LIMIT).solve(A, b, M=recipe) for A in systems]
        found[name] = [result.iterations for result in results]
        done = [true_residual(A, b, r.x) for A, r in zip(systems, results, strict=True) if r.iterations < LIMIT]
        worst = max([worst, *done])
    grid = {"case": case.name, "options": case.options, "flat": case.flat, "size": n, "dim": dim}
    return {**grid, "iterations": found, "worst residual": worst, "certified": worst <= 1.001 * RTOL}
