"""Sequences fed with what could be taken for an earlier system, or with right-hand sides of another kind."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import Diagonal, Sparse, StructureError
from resolvent.solvers import (
    GCRODR,
    GMRES,
    LSMR,
    Factorised,
    Jacobi,
    Refresh,
    Sequence,
    Snapshots,
    Status,
)
from resolvent.solvers.preconditioners.recipe import Recipe

from ..conformance import relative_residual

N = 60


def skew(n=N):
    """A nonsymmetric matrix whose pattern is symmetric."""
    return sp.diags_array([-1.4, 2.2, -0.6], offsets=[-1, 0, 1], shape=(n, n)).tocsr()


def test_a_transpose_shares_its_arrays_but_is_another_matrix(rng):
    A, b = skew(), rng.standard_normal(N)
    sequence = Sequence(GMRES())
    sequence.solve(A, b)
    assert relative_residual(A.T, sequence.solve(A.T, b).check().x, b) <= 1.001e-8


@pytest.mark.parametrize("form", [sp.csr_array, np.array], ids=["sparse", "dense"])
def test_a_copy_of_a_matrix_that_was_edited_afterwards(form, rng):
    A, b = form(skew() if form is sp.csr_array else skew().toarray()), rng.standard_normal(N)
    copy = A.copy()
    sequence = Sequence(GMRES(), M=Jacobi())
    sequence.solve(A, b)
    A *= 2.0
    assert relative_residual(copy, sequence.solve(copy, b).check().x, b) <= 1.001e-8
    copy_again = copy.copy()
    sequence.solve(copy_again, b)
    copy *= 3.0  # an object the sequence has let go
    assert relative_residual(copy_again, sequence.solve(copy_again, b).check().x, b) <= 1.001e-8


def test_an_error_on_the_way_leaves_no_half_known_system(rng):
    b = rng.standard_normal(N)
    matrix, spoilt = skew(), skew()
    spoilt.setdiag(0.0)
    sequence = Sequence(GMRES(), M=Factorised(), refresh=Refresh.RESCALED)
    sequence.solve(matrix, b).check()
    with pytest.raises(StructureError, match="diagonals"):
        sequence.solve(spoilt, b)
    assert relative_residual(matrix, sequence.solve(matrix, b).check().x, b) <= 1.001e-8


@pytest.mark.parametrize("warm_start", [None, "previous", "scaled", "projected"])
@pytest.mark.parametrize("spaces", [None, Snapshots(k=3, window=5)], ids=["chained", "snapshots"])
def test_real_right_hand_sides_after_complex_ones(warm_start, spaces, rng):
    A, b = skew(), rng.standard_normal(N)
    sequence = Sequence(GCRODR(restart=12, k=3), warm_start=warm_start, spaces=spaces, cold_every=None)
    for right in (b, b + 1j * b[::-1], b - 1j * b, b[::-1].copy(), rng.standard_normal(N)):
        result = sequence.solve(A, right).check()
        assert result.x.dtype == right.dtype
        assert relative_residual(A, result.x, right) <= 1.001e-8
    assert result.extra["recycled"] >= 1


@pytest.mark.parametrize("warm_start", ["previous", "scaled", "projected"])
def test_guesses_for_rectangular_and_empty_systems(warm_start, rng):
    A = sp.csr_array(rng.standard_normal((40, 20)))
    b = A @ np.ones(20)
    sequence = Sequence(LSMR(), warm_start=warm_start)
    sequence.solve(A, b).check()
    again = sequence.solve(A, b).check()
    assert again.iterations <= 1
    assert np.allclose(again.x, 1.0)
    empty = Sequence(GMRES(), warm_start=warm_start)
    assert [empty.solve(np.zeros((0, 0)), np.zeros(0)).status for _ in range(2)] == [Status.CONVERGED] * 2


def test_a_guess_of_another_order_of_magnitude_is_given_up(rng):
    A, b = skew(), rng.standard_normal(N)
    for warm_start in ("previous", "scaled", "projected"):
        sequence = Sequence(GMRES(), warm_start=warm_start)
        for size in (1e200, 1.0, 1e-200, 1.0):
            assert sequence.solve(A, b * size).check().converged


def test_a_right_hand_side_without_dimensions_is_refused(rng):
    sequence = Sequence(GMRES(), warm_start="scaled")
    sequence.solve(skew(), rng.standard_normal(N))
    with pytest.raises(ValueError, match="b must have shape"):
        sequence.solve(skew(), np.float64(1.0))


def test_a_failure_with_the_preconditioner_of_this_very_matrix_is_not_repeated(rng):
    A = skew(400)
    sequence = Sequence(GMRES(maxiter=3), M=Jacobi())
    results = [sequence.solve(A, rng.standard_normal(400)) for _ in range(3)]
    assert [r.status for r in results] == [Status.MAXITER] * 3
    assert len({r.counts.matvec for r in results}) == 1
    spoilt = np.ones(400)
    spoilt[3] = np.nan
    assert sequence.solve(2.0 * A, spoilt).status is Status.NONFINITE
    assert sequence.rebuilt == 2  # for the change, not for the right-hand side


def test_every_nth_change_whatever_the_number_of_right_hand_sides(rng):
    sequence = Sequence(GMRES(), M=Jacobi(), refresh=Refresh.EVERY(2))
    rebuilt = [
        [sequence.solve((1.0 + t) * skew(), rng.standard_normal(N)).extra["refreshed"] for _ in range(3)]
        for t in range(4)
    ]
    assert rebuilt == [[True, False, False], [False] * 3, [True, False, False], [False] * 3]


def test_zero_right_hand_sides_teach_the_guards_nothing(rng):
    A = skew(400)
    sequence = Sequence(GCRODR(restart=12, k=3))
    sequence.solve(A, np.zeros(400)).check()
    reasons = [sequence.solve(A, rng.standard_normal(400)).check().extra["cold"] for _ in range(3)]
    assert reasons == ["no space yet", "", ""]


@dataclasses.dataclass(frozen=True)
class Weights(Recipe):
    d: np.ndarray

    def __call__(self, A):
        return Diagonal(self.d)


def test_recipes_that_cannot_be_compared_count_as_different():
    solver = GCRODR(restart=12, k=3)
    first = solver.solve(skew(), np.ones(N), M=Weights(np.ones(N)))
    assert solver.solve(skew(), np.ones(N), M=Weights(np.ones(N)), space=first.space).check().counts.setup == 3


def test_another_preconditioner_given_to_update_is_noticed(rng):
    A, weights = Sparse(skew()), 1.0 + rng.random(N)
    solver = GCRODR(restart=12, k=3, side="left")
    prepared = solver.prepare(A, sp.diags_array(np.ones(N)).tocsr())
    first = prepared.solve(np.ones(N)).check()
    prepared.update(M=Diagonal(weights))
    second = prepared.solve(np.ones(N), space=first.space).check()
    assert second.counts.setup == first.space.k


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_torch_right_hand_sides(rng):
    torch = pytest.importorskip("torch")
    b = torch.from_numpy(rng.standard_normal(N))
    sequence = Sequence(GCRODR(restart=12, k=3), M=Jacobi(), warm_start="projected", cold_every=None)
    for right in (b, 2.0 * b + 1.0, torch.from_numpy(rng.standard_normal(N))):
        result = sequence.solve(skew(), right).check()
        assert result.x.dtype == b.dtype
    assert result.extra["recycled"] == 3
    assert sequence.solve(skew(), b.numpy()).check().converged
    rescaled = Sequence(GMRES(), M=Jacobi(), refresh=Refresh.RESCALED, warm_start="scaled")
    for t in range(3):
        A = Sparse((1.0 + t) * skew()).to_torch()
        assert rescaled.solve(A, b).check().extra["refreshed"] is (t == 0)
