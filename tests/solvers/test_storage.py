"""Iterations allocate nothing of the size of a vector, and methods hold no more vectors than they say."""

import tracemalloc

import numpy as np
import pytest

from resolvent.operators import SPD, Diagonal, Sparse
from resolvent.solvers import (
    CG,
    CGS,
    COCG,
    COCR,
    FGMRES,
    GCRODR,
    GCROT,
    GMRES,
    IDR,
    LGMRES,
    LSMR,
    LSQR,
    MINRES,
    MINRESQLP,
    QMR,
    RMINRES,
    SOR,
    SSOR,
    TFQMR,
    BiCG,
    BiCGStab,
    BlockCG,
    DeflatedCG,
    FlexibleCG,
    GaussSouthwell,
    Richardson,
)

from .conformance import convection, poisson

SIDE = 120
N = SIDE * SIDE
VECTOR = 8 * N

# Vectors besides x and b, without and with a preconditioner, as the docstrings say.
STORAGE = {
    "CG": (CG(maxiter=60), 4, 5),
    "MINRES": (MINRES(maxiter=60), 6, 7),
    "BiCGStab": (BiCGStab(maxiter=60), 6, 7),
    "BiCG": (BiCG(maxiter=60), 7, 7),
    "QMR": (QMR(maxiter=60), 10, 10),
    "CGS": (CGS(maxiter=60), 7, 7),
    "TFQMR": (TFQMR(maxiter=60), 9, 10),
    "IDR": (IDR(maxiter=60), 15, 16),
    "IDR(s=1)": (IDR(maxiter=60, s=1), 6, 7),
    "COCG": (COCG(maxiter=60), 4, 5),
    "COCR": (COCR(maxiter=60), 5, 7),
    "FlexibleCG": (FlexibleCG(maxiter=60), 8, 8),
    "FlexibleCG(mmax=1)": (FlexibleCG(maxiter=60, mmax=1), 6, 6),
    "GMRES": (GMRES(maxiter=60, restart=10), 13, 14),
    "GCRODR": (GCRODR(maxiter=60, restart=10, k=3), 10 + 3 * 3 + 5, 2 * 10 + 5 * 3 + 7),
    "GCROT": (GCROT(maxiter=60, m=10, k=3), 10 + 2 * 3 + 6 + 8, 2 * 10 + 3 * 3 + 6 + 8),
    "LGMRES": (LGMRES(maxiter=60, inner_m=10, outer_k=3), 10 + 5 * 3 + 6, 10 + 5 * 3 + 7),
    "DeflatedCG": (DeflatedCG(maxiter=60, k=3, ell=6), 4 * 3 + 2 * 6 + 6, 4 * 3 + 2 * 6 + 8),
    "RMINRES": (RMINRES(maxiter=60, k=3, ell=6), 4 * 3 + 2 * 6 + 7, 5 * 3 + 2 * 6 + 8),
    "GCRODR(left)": (GCRODR(maxiter=60, restart=10, k=3, side="left"), 10 + 5 * 3 + 6, 10 + 5 * 3 + 7),
    "FGMRES": (FGMRES(maxiter=60, restart=10), 13, 24),
    "LSQR": (LSQR(maxiter=60), 5, 6),
    "LSQR(damp)": (LSQR(maxiter=60, damp=1e-3), 6, 7),
    "LSMR": (LSMR(maxiter=60), 6, 7),
    "MINRESQLP": (MINRESQLP(maxiter=60), 6, 7),
    "MINRESQLP(trancond=1)": (MINRESQLP(maxiter=60, trancond=1.0), 7, 8),
    "BlockCG": (BlockCG(maxiter=60), 5, 5),
    "Richardson": (Richardson(maxiter=60, omega=0.2), 3, 3),
}

NONSYMMETRIC = ("BiCG", "GMRES", "GCRO", "QMR", "CGS", "IDR")


# What comes and goes within a cycle: corrections kept one by one, or a piece of 1024 entries of each vector while a
# basis is overwritten with combinations of itself (0.07 vectors of this size for each).
GROWTH = {"LGMRES": 4.25, "DeflatedCG": 1.6, "RMINRES": 1.6}


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
    A, M, b = systems["wind" if any(part in name for part in NONSYMMETRIC) else "symmetric"]
    whole, growth = traced(solver, A, M if preconditioned else None, b)
    promised = (with_M if preconditioned else plain) + 1  # and x
    assert growth < GROWTH.get(name, 0.25)
    assert whole <= promised + 1.25  # and one temporary where a residual is confirmed


@pytest.mark.parametrize(
    "solver, vectors",
    [
        (SOR(maxiter=60), 4),
        (SOR(maxiter=60, sweep="symmetric", ordering="red_black"), 5),  # and b in the order of the sweeps
        (SOR(maxiter=60, blocks=4), 4),
        (GaussSouthwell(maxiter=60), 8),
    ],
)
def test_sweeps_store_what_the_docstring_says(solver, vectors, systems):
    A, _, b = systems["symmetric"]
    whole, growth = traced(solver, A, None, b)
    assert growth < 0.25 and whole <= vectors + 1 + 1.25


def test_columns_allocate_nothing_either(systems):
    A, _, b = systems["symmetric"]
    B = np.stack((b, b[::-1], 2.0 * b), axis=1)
    methods = (CG, MINRES, BiCGStab, FlexibleCG, BiCG, QMR, CGS, TFQMR, IDR, COCG, COCR)
    for solver in (method(maxiter=60) for method in methods):
        _, growth = traced(solver, A, None, B)
        assert growth < 2.25  # copies of the best iterates of one or two columns out of three


def test_docstrings_name_their_storage():
    for solver, *_ in STORAGE.values():
        assert "Storage:" in type(solver).__doc__
