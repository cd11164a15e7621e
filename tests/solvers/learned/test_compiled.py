"""Compiled cycles: right sides of any size, several threads."""

import pickle
import threading

import numpy as np
import pytest

from resolvent.solvers.learned import LearnedOperator, SPDCycle
from resolvent.solvers.learned.levels import level_of


@pytest.mark.parametrize("n, dim", [(15, 2), (7, 3), (4, 2)])
def test_no_right_side_spoils_the_next(n, dim, make, shake):
    A, b = make(n, dim)
    M = LearnedOperator(shake(SPDCycle(dim=dim), 0, 0.02), level_of(A))
    b /= np.abs(b).max()
    wanted = M @ b
    for size in (5e-324, 1e-309, 1e-307, 1e307):
        found = M @ (size * b)
        assert np.isfinite(found).all()
        if size > 1e-320:
            assert np.abs(found / size - wanted).max() <= 1e-5 * np.abs(wanted).max()
        assert np.array_equal(M @ b, wanted)
    for bad in (np.nan, np.inf, -np.inf):
        assert np.isnan(M @ np.where(np.arange(b.size) == 3, bad, b)).all()
        assert np.array_equal(M @ b, wanted)


@pytest.mark.parametrize("dim", [2, 3])
def test_overflow_inside_does_not_spoil_the_next(dim, make, shake):
    A, b = make(16 if dim == 2 else 8, dim)
    level = level_of(A)
    M = LearnedOperator(shake(SPDCycle(dim=dim, smoothing=(2, 2)), 1, 1e8), level)
    outside = 1.0 - level.fluid.numpy().ravel()  # where nothing is coupled, so that nothing grows
    wanted = M @ outside
    assert outside.any() and np.isfinite(wanted).all()
    assert not np.isfinite(M @ b).all()
    assert np.array_equal(M @ outside, wanted)


def test_one_cycle_serves_several_threads(make, shake):
    A, _ = make(48)
    M = LearnedOperator(shake(SPDCycle(dim=2), 0, 0.02), level_of(A))
    given = np.random.default_rng(0).standard_normal((4, A.shape[0]))
    wanted = [M @ b for b in given]
    wrong = []
    start = threading.Barrier(len(given))

    def products(number):
        start.wait()
        wrong.append(sum(not np.array_equal(M @ given[number], wanted[number]) for _ in range(300)))

    threads = [threading.Thread(target=products, args=(number,)) for number in range(len(given))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [0] * len(given)


def test_a_copy_does_the_same(make):
    A, b = make(16)
    M = LearnedOperator(SPDCycle(dim=2), level_of(A))
    assert np.array_equal(pickle.loads(pickle.dumps(M)) @ b, M @ b)
