"""Which method is chosen: one that can use the preconditioner at hand, without needless copies."""

from __future__ import annotations

import dataclasses
import importlib

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from resolvent import Props, choose, solve
from resolvent.operators import SPD, Dense, Function, LinearOperator, Sparse
from resolvent.solvers import AMG, CG, FGMRES, GMRES, ILU, MINRES, SSOR, Direct, FlexibleCG, Jacobi, Recipe

from .conformance import convection, poisson

INDEFINITE = sp.csr_array(poisson(10) - 3.0 * sp.eye_array(100))


@dataclasses.dataclass(frozen=True)
class Counted(Recipe):
    """Jacobi that counts how often it is built and does not say what it claims."""

    built: list[int] = dataclasses.field(default_factory=list)

    def __call__(self, A: LinearOperator) -> LinearOperator:
        self.built.append(1)
        return Jacobi()(A)


def gyrating(n: int) -> sp.csr_array:
    """Strong central convection in three dimensions, which no row dominates."""
    one = sp.diags_array([-9.0, 2.0, 7.0], offsets=[-1, 0, 1], shape=(n, n))
    return sp.csr_array(sp.kronsum(sp.kronsum(one, one), one))


def inner(A: sp.csr_array) -> Function:
    prepared = GMRES(rtol=0.1).prepare(A)
    return Function(A.shape, lambda r: prepared.solve(r).x, props=Props.VARIABLE)


@pytest.mark.parametrize(
    ("A", "M", "method"),
    [
        (poisson(10), Jacobi(), CG),
        (poisson(10), SSOR(), CG),
        (poisson(10), AMG(), CG),
        (poisson(10), ILU(), GMRES),
        (poisson(10), inner(poisson(10)), FlexibleCG),
        (poisson(10), sp.diags_array(np.full(100, 0.25)), CG),
        (poisson(10), np.diag(np.full(100, 0.25)), CG),
        (poisson(10), spla.aslinearoperator(sp.diags_array(np.full(100, 0.25))), GMRES),
        (poisson(10), Counted(), FlexibleCG),
        (poisson(10).toarray(), ILU(), GMRES),
        (poisson(10).toarray(), Jacobi(), CG),
        (convection(10), inner(convection(10)), FGMRES),
        (convection(10), Jacobi(), GMRES),
        (convection(10), Counted(), FGMRES),
        (INDEFINITE, Jacobi(), MINRES),
        (INDEFINITE, ILU(), GMRES),
        (INDEFINITE, SSOR(), GMRES),
    ],
)
def test_the_method_can_use_the_preconditioner(A, M, method):
    b = np.random.default_rng(0).standard_normal(100)
    choice = choose(A, M)
    assert type(choice.solver) is method and choice.M is M
    result = solve(A, b, M=M)
    assert result.converged and result.solver.startswith(f"{method.__name__}(")
    assert np.linalg.norm(b - A @ result.x) <= 1e-8 * np.linalg.norm(b)
    if isinstance(M, Counted):
        assert len(M.built) == 1


def test_dense_arrays_are_not_converted_to_sparse_ones(monkeypatch):
    monkeypatch.setattr(Dense, "to_sparse", lambda self: pytest.fail("converted"))
    A = poisson(5).toarray()
    assert isinstance(choose(A).solver, Direct) and "25 unknowns, dense" in str(choose(A))
    monkeypatch.setattr(importlib.import_module("resolvent.solvers.choose"), "DIRECT_UNKNOWNS_DENSE", 20)
    choice = choose(A)
    assert isinstance(choice.solver, GMRES) and choice.M is None
    assert isinstance(choose(Dense(A, props=SPD)).solver, CG)


def test_entries_are_assembled_once(monkeypatch):
    calls = []
    to_sparse = Sparse.to_sparse
    operator = Sparse(poisson(5)) + Sparse(poisson(5))
    monkeypatch.setattr(Sparse, "to_sparse", lambda self: calls.append(self) or to_sparse(self))
    choose(operator)
    assert sum(term in operator.terms for term in calls) == 2


def test_singular_and_spoilt_matrices_get_no_incomplete_factorisation():
    wind = Sparse(convection(8), props=Props.SINGULAR)
    assert isinstance(choose(wind).solver, GMRES) and choose(wind).M is None
    large = gyrating(40)
    assert isinstance(choose(large).solver, GMRES) and isinstance(choose(large).M, ILU)
    large.data[3] = np.nan
    assert choose(large).M is None and "NaN" in str(choose(large))
