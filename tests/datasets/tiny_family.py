"""A family and methods so small that the pipeline around them is what is tested.

Imported by name, from the tests and from the processes they start.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from resolvent.datasets.family import FieldSpec, LinearFamily, System
from resolvent.datasets.methods.strategies import Method, SolveSystems
from resolvent.operators import SPD, LinearOperator


class Matrix(LinearOperator):
    """A scipy matrix as an operator."""

    def __init__(self, matrix: sp.csr_array) -> None:
        super().__init__(matrix.shape, matrix.dtype, props=SPD)
        self.matrix = matrix

    def _matmat(self, X: np.ndarray) -> np.ndarray:
        return self.matrix @ X

    def to_sparse(self) -> sp.csr_array:
        return self.matrix


@dataclasses.dataclass(frozen=True, kw_only=True)
class TinyDiffusion(LinearFamily):
    """−(a u')' = f on (0, 1), u = 0 at both ends; cell-centred."""

    name: ClassVar[str] = "tiny"
    family_id: ClassVar[int] = 9001
    title: ClassVar[str] = "Diffusion on a line"
    equation: ClassVar[str] = "−(a u')' = f"
    domain: ClassVar[str] = "(0, 1)"
    boundary: ClassVar[str] = "u = 0"

    resolution: int = 16
    pause: float = 0.0
    """Seconds that assembly pretends to take."""

    def fields(self) -> dict[str, FieldSpec]:
        grid = (self.resolution,)
        return {
            "strength": FieldSpec((), "parameter", "height of the source"),
            "a": FieldSpec(grid, "input", "diffusivity", "m²/s"),
            "f": FieldSpec(grid, "input", "source"),
            "u": FieldSpec(grid, "solution", "concentration"),
        }

    def axes(self) -> dict[str, np.ndarray]:
        return {"x": (np.arange(self.resolution) + 0.5) / self.resolution}

    def law(self) -> str:
        return "log a and f have independent normal values; the strength is uniform on (1, 2)"

    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {
            "strength": np.asarray(rng.uniform(1.0, 2.0)),
            "a": np.exp(rng.standard_normal(self.resolution)),
            "f": rng.standard_normal(self.resolution),
        }

    def assemble(self, inputs: Mapping[str, np.ndarray]) -> System:
        if self.pause:
            time.sleep(self.pause)
        a, n = inputs["a"], self.resolution
        if not (a > 0).all():
            raise ValueError("a must be positive")
        faces = np.concatenate([[2 * a[0]], 2 / (1 / a[1:] + 1 / a[:-1]), [2 * a[-1]]]) * n * n
        matrix = sp.diags_array([faces[:-1] + faces[1:], -faces[1:-1], -faces[1:-1]], offsets=[0, 1, -1], format="csr")
        return System(Matrix(matrix), float(inputs["strength"]) * inputs["f"])

    def expand(self, x: np.ndarray, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"u": x.copy()}

    def restrict(self, solution: Mapping[str, np.ndarray]) -> np.ndarray:
        return solution["u"]


def outcome(x: np.ndarray, iterations: int = 1, status: str = "CONVERGED") -> Any:
    return SimpleNamespace(x=x, iterations=iterations, status=SimpleNamespace(name=status))


@dataclasses.dataclass(frozen=True)
class TinyLU(Method):
    """A factorisation for each system."""

    def start(self) -> SolveSystems:
        return lambda systems: [outcome(spla.splu(A.to_sparse().tocsc()).solve(b)) for A, b in systems]


@dataclasses.dataclass(frozen=True)
class TinyChain(Method):
    """Each solution carries rounding of the ones before it in the chunk, as warm starts and recycling do."""

    def start(self) -> SolveSystems:
        carried = 0.0

        def solve(systems: Sequence[System]) -> list[Any]:
            nonlocal carried
            results = []
            for A, b in systems:
                x = spla.splu(A.to_sparse().tocsc()).solve(b) * (1.0 + 1e-12 * np.sin(carried))
                carried += float(np.abs(x).sum())
                results.append(outcome(x))
            return results

        return solve


@dataclasses.dataclass(frozen=True)
class TinyEnsemble(Method):
    """Four systems at once; each result depends on the other three in its last bits."""

    window: ClassVar[int] = 4

    def start(self) -> SolveSystems:
        def solve(systems: Sequence[System]) -> list[Any]:
            xs = [spla.splu(A.to_sparse().tocsc()).solve(b) for A, b in systems]
            mean = sum(float(x.sum()) for x in xs)
            return [outcome(x * (1.0 + 1e-12 * np.sin(mean))) for x in xs]

        return solve


CLOCK = [0.0]
"""Seconds that `TinyTimed` pretends to have taken; tests read the time from here."""


@dataclasses.dataclass(frozen=True)
class TinyTimed(Method):
    """A factorisation that takes a given time a system, with rounding that tells which method it was.

    `fault` is how it fails: with the status MAXITER, or with an exception of this name.
    """

    seconds: float
    fault: str = ""

    def start(self) -> SolveSystems:
        def solve(systems: Sequence[System]) -> list[Any]:
            CLOCK[0] += self.seconds * len(systems)
            if self.fault == "ValueError":
                raise ValueError("a pivot vanishes")
            factor = 1.01 if self.fault else 1.0 + 1e-13 * self.seconds
            status = self.fault or "CONVERGED"
            return [outcome(spla.splu(A.to_sparse().tocsc()).solve(b) * factor, 3, status) for A, b in systems]

        return solve


@dataclasses.dataclass(frozen=True)
class TinyFailing(Method):
    """Wrong from a given call on."""

    first: int = 0

    def start(self) -> SolveSystems:
        calls = 0

        def solve(systems: Sequence[System]) -> list[Any]:
            nonlocal calls
            A, b = systems[0]
            x = spla.splu(A.to_sparse().tocsc()).solve(b)
            calls += 1
            return [outcome(x * 1.01, 7, "MAXITER") if calls > self.first else outcome(x)]

        return solve
