"""Streams of systems for the tuner, and arms for them, bad ones included."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from resolvent.datasets.families.convection_diffusion import ConvectionDiffusion2D
from resolvent.datasets.families.darcy import Darcy2D
from resolvent.datasets.families.heat_step import HeatStep2D
from resolvent.operators import LinearOperator, Props
from resolvent.solvers import CG, GMRES, ILU0, Recipe, Richardson
from resolvent.solvers.tuning import Arm, standard_arms

MAXITER = 2000


@dataclasses.dataclass(frozen=True)
class Stream:
    """Systems with their contexts.

    Attributes
    ----------
    name : str
    systems : list of (A, b)
        A pool: a stream longer than it draws from it again.
    contexts : (count,) array
    ordered : bool
        Whether each system comes from the solution before: then a longer stream goes through them again in order.
    """

    name: str
    systems: list[tuple[Any, np.ndarray]]
    contexts: np.ndarray
    ordered: bool = False

    def indices(self, T: int) -> np.ndarray:
        """Return which system comes at each time."""
        rng, count = np.random.default_rng(7), len(self.systems)
        rounds = -(-T // count)
        order = [np.arange(count) if self.ordered or not i else rng.permutation(count) for i in range(rounds)]
        return np.concatenate(order)[:T]


def darcy(n: int, count: int, seed: int) -> Stream:
    """Return −∇·(a∇u) = 1 with independent log-normal a. The context is the logarithm of max a / min a."""
    family = Darcy2D(resolution=n, coefficient="lognormal_unit")
    drawn = [family.draw(np.random.default_rng([1, seed, i])) for i in range(count)]
    contexts = np.array([math.log10(one["a"].max() / one["a"].min()) for one in drawn])
    return Stream("Darcy", [tuple(family.assemble(one)) for one in drawn], contexts)


def convection(n: int, count: int, seed: int) -> Stream:
    """Return convection and diffusion in independent winds, Péclet numbers log-uniform from 10 to 10,000.

    The context is the logarithm of the Péclet number.
    """
    family = ConvectionDiffusion2D(resolution=n + 2, scheme="upwind")
    inputs = [family.draw(np.random.default_rng([2, seed, i])) for i in range(count)]
    contexts = np.array([math.log10(float(one["peclet"])) for one in inputs])
    return Stream("convection–diffusion", [tuple(family.assemble(one)) for one in inputs], contexts)


def heat(n: int, count: int, seed: int) -> Stream:
    """Return implicit steps of heat conduction with drifting conductivity, step lengths from 1e-4 to 1e-1.

    The context is the logarithm of the step.
    """
    family = HeatStep2D(resolution=n, coefficient="lognormal_unit")
    contexts = np.random.default_rng([3, seed]).uniform(-4.0, -1.0, count)
    path = family.march(np.random.default_rng([3, seed]), count, dt=lambda i: 10.0 ** contexts[i])
    return Stream("heat", [tuple(step.system) for step in path], contexts, ordered=True)


STREAMS = {"darcy": darcy, "convection": convection, "heat": heat}


@dataclasses.dataclass(frozen=True)
class NotANumber(Recipe):
    """A preconditioner that returns not-a-number."""

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build it."""
        return _NotANumber(A.shape, A.dtype, props=Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE)

    def claims(self, A: LinearOperator) -> Props:
        """Return that it is definite, which it is not."""
        return Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE


class _NotANumber(LinearOperator):
    def _matmat(self, X: Any) -> Any:
        return X * np.nan


@dataclasses.dataclass(frozen=True)
class Raises(Recipe):
    """A preconditioner whose set-up meets a zero pivot."""

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Fail."""
        raise ValueError("a zero pivot")


BAD = (
    Arm(Richardson(2.0, maxiter=MAXITER), name="bad: diverges"),
    Arm(GMRES(maxiter=MAXITER), NotANumber(), name="bad: returns NaN"),
    Arm(GMRES(maxiter=MAXITER), Raises(), name="bad: set-up raises"),
    Arm(GMRES(restart=2, maxiter=MAXITER), name="bad: stagnates"),
)


def arms_for(stream: Stream) -> tuple[Arm, ...]:
    """Return standard arms for a stream, without PETSc, and bad ones spread among them."""
    usual = [arm for arm in standard_arms(stream.systems[0][0], maxiter=MAXITER) if "PETSc" not in arm.name]
    step = max(len(usual) // len(BAD), 1)
    for place, arm in enumerate(BAD):
        usual.insert(min(2 + place * (step + 1), len(usual)), arm)
    return tuple(usual)


def defaults(stream: Stream) -> dict[str, Arm]:
    """Return what PETSc and SciPy do by default, with methods of this package that iterate in the same way."""
    A = stream.systems[0][0]
    definite = Props.POSITIVE_DEFINITE in A.props
    return {
        "PETSc default, GMRES(30) + ILU(0)": Arm(GMRES(maxiter=10_000), ILU0(), name="PETSc default"),
        f"SciPy default, {'cg' if definite else 'gmres(20)'}": Arm(
            CG(maxiter=10_000) if definite else GMRES(restart=20, maxiter=10_000), name="SciPy default"
        ),
    }
