"""`gmres` of the scipy-compatible functions: cycles, and what its three kinds of callback are told."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

import resolvent
from resolvent.operators import Sparse
from resolvent.solvers import GMRES, Progress, Status
from resolvent.solvers.progress import EachCycle


def laplacian(n: int) -> sp.csr_array:
    return sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n), format="csr")


def wind(n: int) -> sp.csr_array:
    return sp.diags_array([-1.6, 2.2, -0.6], offsets=[-1, 0, 1], shape=(n, n), format="csr")


def test_gmres_takes_the_keywords_of_scipy() -> None:
    A, b = laplacian(30) + sp.diags_array([0.3], offsets=[1], shape=(30, 30)), np.arange(1.0, 31.0)
    for callback_type in ("pr_norm", "legacy"):
        norms: list[float] = []
        result = resolvent.gmres(A, b, restart=None, callback=norms.append, callback_type=callback_type, maxiter=90)
        assert result.converged and "restart=20" in result.solver
        assert np.allclose(norms, result.history[1:] / np.linalg.norm(b))
    with pytest.warns(DeprecationWarning, match="callback_type"):
        assert resolvent.gmres(A, b, callback=lambda norm: None, maxiter=3)[1] == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolvent.gmres(A, b)


@pytest.mark.parametrize("options", [{"maxiter": 3}, {"restart": 7}, {"restart": 7, "maxiter": 4}])
@pytest.mark.parametrize("x0", [None, np.ones(120)])
def test_gmres_calls_back_with_iterates_at_the_end_of_each_cycle(options: dict[str, int], x0: object) -> None:
    A, b = wind(120), np.random.default_rng(0).standard_normal(120)
    seen: list[list[np.ndarray]] = [[], []]
    codes = []
    for gmres, iterates in zip((resolvent.gmres, spla.gmres), seen, strict=True):
        keep = lambda x, to=iterates: to.append(np.array(x))  # noqa: E731
        codes.append(gmres(A, b, x0, callback=keep, callback_type="x", rtol=1e-8, **options)[1])
    assert codes == [options.get("maxiter", 0)] * 2
    assert len(seen[0]) == len(seen[1]) >= 3
    assert all(np.allclose(x, y, rtol=1e-7) for x, y in zip(*seen, strict=True))
    calls: list[object] = []
    assert resolvent.gmres(A, b, callback=calls.append, callback_type="x", maxiter=0)[1] == 1 and not calls
    many: list[np.ndarray] = []
    resolvent.gmres(A, np.stack((b, 2 * b), axis=1), callback=many.append, callback_type="x", restart=7).check()
    assert len(many) % 2 == 0, "one column after the other"


def test_a_callback_for_cycles_stops_a_solve() -> None:
    A, b = wind(120), np.random.default_rng(0).standard_normal(120)
    cycles: list[Progress] = []
    inner: list[Progress] = []

    def third(progress: Progress) -> bool:
        cycles.append(progress)
        return len(cycles) == 3

    result = GMRES(restart=7).solve(A, b, callback=EachCycle(third, each_iteration=inner.append))
    assert result.status is Status.STOPPED and [p.iteration for p in cycles] == [0, 7, 14] and len(inner) == 14
    for progress in cycles:
        assert progress.x is not None and progress.residual_norm[0] == result.history[progress.iteration]
    assert GMRES(restart=7, rtol=1e-3).solve(A, b, callback=EachCycle(lambda progress: False)).converged


def test_gmres_counts_cycles_for_fields_too() -> None:
    A = Sparse(laplacian(60), grid=(2, 30))
    b = np.random.default_rng(0).standard_normal((2, 30))
    result = resolvent.gmres(A, b, restart=7, maxiter=3, rtol=1e-14)
    assert (result.iterations, result.info, result.status) == (21, 3, Status.MAXITER)
    # scipy's default, 10 n cycles, lets this one converge where 10 n iterations would not.
    slow = resolvent.gmres(laplacian(60), b.ravel(), restart=5, rtol=1e-8)
    assert slow.converged and slow.iterations > 600
