"""Families of one matrix whose right-hand sides depend on few numbers: solve as many systems, and combine."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..choosing.judgement import same_matrix
from ..family import Family, System
from ..storage.file_format import Layout
from ..storage.sample_arrays import FirstSample, drawn_inputs, working_inputs
from .strategies import Method, SolveSystems, without_setup

if TYPE_CHECKING:
    from ...solvers.prepared import Prepared
    from ...solvers.result import Result
    from ...solvers.solver import Solver

TERMS = 8
"""Numbers up to which combining is taken: two vectors are read for each. With the 2 numbers of `thermal` a sample takes
a fourth of a solve with given factors at 10008 nodes and less beyond; with 30 it is no faster than a fast transform."""

_INDEPENDENT = 1e-9
"""Part of a right-hand side that must lie outside of the span of earlier ones to be kept as a new direction."""


@dataclasses.dataclass(frozen=True)
class Superposed(Method):
    """One solver for right-hand sides in a space of few dimensions, which earlier ones of the chunk span.

    With Q an orthonormal basis of the right-hand sides so far and X = A⁻¹Q, x = X Qᵀb is where the solver starts; where
    b lies in the span its residual is found small enough by one product with A, and nothing else is done. What lies
    outside is solved for and extends the basis, up to `terms` vectors; another matrix starts it anew.

    Parameters
    ----------
    solver : Solver
    terms : int
        Largest dimension. Storage: 2 terms vectors; 8 terms n flops a sample.
    M : recipe, optional
        Preconditioner.
    """

    solver: Solver
    terms: int = TERMS
    M: Any = None

    def start(self) -> SolveSystems:
        """Return a function that solves systems in order, from an empty basis on."""
        prepared: Prepared | None = None
        span = _Span(self.terms)

        def solve(systems: Sequence[System]) -> Sequence[Result]:
            nonlocal prepared, span
            results = []
            for A, b in systems:
                anew = True
                if prepared is None or prepared.A.shape != A.shape:
                    prepared, span = self.solver.prepare(A, self.M), _Span(self.terms)
                elif not same_matrix(prepared.A, A):
                    prepared.update(A)
                    span = _Span(self.terms)
                else:
                    anew = False
                x, outside, part = span.combine(b)
                result = prepared.solve(b, x)
                if part > _INDEPENDENT and result.converged:
                    span.extend(outside, np.asarray(result.x) - (0.0 if x is None else x))
                results.append(result if anew else without_setup(result))
            return results

        return solve


class _Span:
    """Orthonormal right-hand sides Q and their solutions X, one a row."""

    def __init__(self, terms: int) -> None:
        self.terms = terms
        self.Q = self.X = np.empty((0, 0))

    def combine(self, b: np.ndarray) -> tuple[np.ndarray | None, np.ndarray, float]:
        """Return X Qᵀb, b − Q Qᵀb, and how large that is as a part of b; None while there is no basis."""
        norm = float(np.linalg.norm(b))
        if not len(self.Q):
            return None, b, float(norm > 0.0)
        c = self.Q.conj() @ b
        outside = b - c @ self.Q
        # Once more, since what is left after the first pass consists of rounding where b lies in the span.
        again = self.Q.conj() @ outside
        outside -= again @ self.Q
        part = float(np.linalg.norm(outside)) / norm if norm > 0.0 else 0.0
        return (c + again) @ self.X, outside, part

    def extend(self, outside: np.ndarray, x: np.ndarray) -> None:
        """Add a direction and its solution, unless there are as many as may be."""
        if len(self.Q) == self.terms:
            return
        norm = float(np.linalg.norm(outside))
        q, y = (outside / norm)[None], (x / norm)[None]
        self.Q, self.X = (q, y) if not len(self.Q) else (np.concatenate([self.Q, q]), np.concatenate([self.X, y]))


def rhs_dimension(family: Family, seed: int, found: FirstSample, limit: int = TERMS) -> int | None:
    """Return the dimension of the space that right-hand sides span, or None if it exceeds a limit.

    Parameters
    ----------
    found : FirstSample
        Where to begin; the `limit` samples that follow are drawn and assembled.
    """
    layout, span = Layout(family, "float64"), _Span(limit + 1)
    for number in range(found.number, found.number + limit + 1):
        try:
            system = family.pose(working_inputs(drawn_inputs(family, layout, seed, number), layout)).task
        except ValueError:
            return None
        _, outside, part = span.combine(system.b)
        if part > _INDEPENDENT:
            span.extend(outside, outside)
    return None if len(span.Q) > limit else len(span.Q)
