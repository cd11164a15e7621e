"""The lists of vectors that scipy's `gcrotmk` and `lgmres` take and leave behind."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spla

import resolvent
from resolvent.solvers import Jacobi

N = 200


def wind(change: float = 0.0) -> sp.csr_array:
    diagonal = 2.25 + change * np.sin(np.arange(N))
    return sp.diags_array([np.full(N - 1, -1.6), diagonal, np.full(N - 1, -0.6)], offsets=[-1, 0, 1], format="csr")


class Counted:
    """A matrix that counts its products."""

    def __init__(self, matrix: sp.csr_array) -> None:
        self.matrix, self.products = matrix, 0
        self.operator = spla.LinearOperator(matrix.shape, self._product, dtype=matrix.dtype)

    def _product(self, x: np.ndarray) -> np.ndarray:
        self.products += 1
        return self.matrix @ x


@pytest.mark.parametrize("discard_C", [False, True])
def test_pairs_serve_the_next_system(discard_C: bool) -> None:
    right_hand_sides = np.random.default_rng(0).standard_normal((4, N))
    CU: list[tuple[object, np.ndarray]] = []
    options = {"rtol": 1e-8, "m": 10, "k": 8, "discard_C": discard_C}
    for i, b in enumerate(right_hand_sides):
        A = Counted(wind(1e-3 * i))
        result = resolvent.gcrotmk(A.operator, b, CU=CU, **options)
        assert result.info == 0 and result.counts.products == A.products
        assert 0 < len(CU) <= 9
        for c, u in CU:
            assert (c is None) == discard_C
            assert discard_C or np.allclose(A.matrix @ u, c, atol=1e-8)
    again = Counted(wind(3e-3))
    kept = len(CU)
    assert resolvent.gcrotmk(again.operator, right_hand_sides[-1], CU=CU, **options).info == 0
    assert again.products == 2 + (kept if discard_C else 1)


def test_pairs_of_another_matrix_are_noticed() -> None:
    """scipy believes them, and takes twice the products here."""
    first, second = np.random.default_rng(0).standard_normal((2, N))
    cold = resolvent.gcrotmk(wind(0.01), second, rtol=1e-8, m=10, k=8)
    CU: list[tuple[object, np.ndarray]] = []
    resolvent.gcrotmk(wind(), first, rtol=1e-8, m=10, k=8, CU=CU)
    stale = resolvent.gcrotmk(wind(0.01), second, rtol=1e-8, m=10, k=8, CU=CU)
    assert stale.converged and stale.counts.products <= 1.1 * cold.counts.products
    assert all(np.allclose(wind(0.01) @ u, c, atol=1e-8) for c, u in CU)


def test_pairs_made_by_hand_need_no_order_and_no_norm() -> None:
    A, rng = wind(), np.random.default_rng(0)
    x = rng.standard_normal(N)
    U = [x + 0.1 * rng.standard_normal(N), 3.0 * x, np.zeros(N), -x]
    for CU in ([(A @ u, u) for u in U], [(None, u) for u in U], [(A @ U[0], U[0]), (None, U[1])]):
        result = resolvent.gcrotmk(A, A @ x, CU=CU, rtol=1e-10)
        assert result.converged and result.iterations == 0
    for CU in ([(None, np.zeros(N))], [(np.zeros(N), np.zeros(N))], []):
        assert resolvent.gcrotmk(A, A @ x, CU=CU, rtol=1e-10).converged
    with pytest.raises(ValueError, match="length of x"):
        resolvent.gcrotmk(A, A @ x, CU=[(None, np.ones(3))])


def test_no_pairs_are_restarted_gmres() -> None:
    A, b = wind(), np.random.default_rng(0).standard_normal(N)
    for M in (None, Jacobi()):
        none = resolvent.gcrotmk(A, b, m=10, k=0, M=M, rtol=1e-8)
        assert none.converged and none.iterations == resolvent.gmres(A, b, restart=10, M=M, rtol=1e-8).iterations
    theirs: list[object] = []
    assert spla.gcrotmk(A, b, m=10, k=0, maxiter=3, callback=theirs.append)[1] == 3
    ours: list[object] = []
    assert resolvent.gcrotmk(A, b, m=10, k=0, maxiter=3, callback=ours.append)[1] == 3
    assert len(ours) == len(theirs)


@pytest.mark.parametrize("name", ["gcrotmk", "lgmres"])
def test_failures_are_counted_in_cycles(name: str) -> None:
    function, b = getattr(resolvent, name), np.random.default_rng(0).standard_normal(N)
    result = function(wind(), b, rtol=1e-12, maxiter=4)
    assert result.info == 4 and result.status.name == "MAXITER" == result.columns[0].status.name
    poisoned = wind()
    poisoned.data[50] = np.nan
    x, info = function(poisoned, b)
    assert info == 1 and np.isfinite(x).all()
    both = function(wind(), np.stack((b, 0.0 * b), axis=1), rtol=1e-12, maxiter=4)
    assert both.info == 4 and both.columns[1].status.name == "CONVERGED"
    for wrong in (-1, 1.5):
        with pytest.raises(ValueError, match="maxiter"):
            function(wind(), b, maxiter=wrong)


@pytest.mark.parametrize("prepend_outer_v", [False, True])
@pytest.mark.parametrize("store_outer_Av", [False, True])
@pytest.mark.parametrize("M", [None, sp.diags_array(np.linspace(0.3, 0.6, N))])
def test_outer_vectors_serve_the_next_system(M: object, store_outer_Av: bool, prepend_outer_v: bool) -> None:  # noqa: N803
    A, b = wind(), np.random.default_rng(0).standard_normal(N)
    outer_v: list[tuple[np.ndarray, object]] = []
    options = {"rtol": 1e-8, "inner_m": 10, "outer_k": 4, "M": M, "store_outer_Av": store_outer_Av}
    first = resolvent.lgmres(A, b, outer_v=outer_v, **options)
    theirs: list[tuple[np.ndarray, object]] = []
    spla.lgmres(A, b, outer_v=theirs, **options)
    assert first.converged and len(outer_v) == len(theirs) == 4
    for (v, Av), (their_v, _) in zip(outer_v, theirs, strict=True):
        assert abs(v @ their_v) > 0.9, "the same corrections in the same order"
        assert (Av is None) == (not store_outer_Av)
        assert Av is None or np.allclose(A @ v if M is None else M @ (A @ v), Av, atol=1e-8)  # type: ignore[operator]
    # The solution is near the space of the corrections only if these were few: make it one of them.
    guess = [(first.x, None), *outer_v]
    counted = Counted(A)
    again = resolvent.lgmres(counted.operator, 2.0 * b, outer_v=guess, prepend_outer_v=prepend_outer_v, **options)
    assert again.converged and again.counts.products == counted.products
    assert not prepend_outer_v or counted.products < 0.2 * first.counts.products
    assert len(guess) <= 4
