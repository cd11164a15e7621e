"""Iterations allocate nothing of the size of a vector, and methods hold no more vectors than they say."""

import tracemalloc

import numpy as np
import pytest

from resolvent.operators import SPD, Diagonal, Sparse
from resolvent.solvers import CG, FGMRES, GMRES, MINRES, SSOR, BiCGStab, FlexibleCG

from .conformance import convection, poisson

SIDE = 120
N = SIDE * SIDE
VECTOR = 8 * N

# Vectors besides x and b, without and with a preconditioner, as the docstrings say.
STORAGE = {
    "CG": (CG(maxiter=60), 4, 5),
    "MINRES": (MINRES(maxiter=60), 6, 7),
    "BiCGStab": (BiCGStab(maxiter=60), 6, 7),
    "FlexibleCG": (FlexibleCG(maxiter=60), 8, 8),
    "FlexibleCG(mmax=1)": (FlexibleCG(maxiter=60, mmax=1), 6, 6),
    "GMRES": (GMRES(maxiter=60, restart=10), 13, 14),
    "FGMRES": (FGMRES(maxiter=60, restart=10), 13, 24),
}


@pytest.fixture(scope="module")
def systems():
    rng = np.random.default_rng(0)
    symmetric = Sparse(poisson(SIDE), props=SPD)
    return {
        "symmetric": (symmetric, SSOR(1.2)(symmetric), rng.standard_normal(N)),
        "wind": (Sparse(convection(SIDE, 0.1)), Diagonal(np.linspace(0.2, 0.3, N)), rng.standard_normal(N)),
    }


def traced(solver, A, M, b, first=20, last=55):
    """Return the peak of the whole solve, and by how much the peak rose from one iteration to another, in vectors."""
    prepared = solver.prepare(A, M)
    prepared.solve(b)  # compiles kernels, imports modules
    marks = {}

    def watch(progress):
        if progress.iteration == first:
            marks["before"] = tracemalloc.get_traced_memory()[0]
            marks["peak of the start"] = tracemalloc.get_traced_memory()[1]
            tracemalloc.reset_peak()
        if progress.iteration == last:
            marks["peak"] = tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    result = prepared.solve(b, callback=watch)
    whole = max(marks["peak of the start"], tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert result.iterations >= last, "the solve ended too early to be watched"
    return whole / VECTOR, (marks["peak"] - marks["before"]) / VECTOR


@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("name", STORAGE)
def test_storage_is_what_the_docstring_says(name, preconditioned, systems):
    solver, plain, with_M = STORAGE[name]
    A, M, b = systems["wind" if "BiCG" in name or "GMRES" in name else "symmetric"]
    whole, growth = traced(solver, A, M if preconditioned else None, b)
    promised = (with_M if preconditioned else plain) + 1  # and x
    assert growth < 0.25
    assert whole <= promised + 1.25  # and one temporary where a residual is confirmed


def test_columns_allocate_nothing_either(systems):
    A, _, b = systems["symmetric"]
    B = np.stack((b, b[::-1], 2.0 * b), axis=1)
    for solver in (CG(maxiter=60), MINRES(maxiter=60), BiCGStab(maxiter=60), FlexibleCG(maxiter=60)):
        _, growth = traced(solver, A, None, B)
        assert growth < 2.25  # copies of the best iterates of one or two columns out of three


def test_docstrings_name_their_storage():
    for solver, *_ in STORAGE.values():
        assert "Storage:" in type(solver).__doc__
