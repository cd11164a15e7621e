"""Spaces of singular systems, singular preconditioners and single precision: truthful, or not handed on."""

import numpy as np
import pytest

from resolvent.operators import Dense
from resolvent.solvers import GCRODR, GCROT, BlockGCRODR, RecycleSpace, Status
from resolvent.solvers.monitor import Monitor
from resolvent.solvers.vectors import NumpyVectors


@pytest.mark.parametrize("side", ["right", "flexible"])
@pytest.mark.parametrize("method", [GCRODR, BlockGCRODR])
def test_images_that_are_rounding_alone_do_not_enter_a_space(side, method, rng):
    """A singular M gives harmonic Ritz values of zero, the smallest there are."""
    options = {"flexible": side == "flexible"} if method is BlockGCRODR else {"side": side}
    M = np.diag(np.r_[0.0, np.ones(7)])
    for _ in range(10):
        A = rng.standard_normal((8, 8)) + 3.0 * np.eye(8)
        space = method(restart=10, k=3, rtol=0.0, **options).solve(Dense(A), rng.standard_normal(8), M=Dense(M)).space
        if space is not None:
            assert np.linalg.norm(A @ space.U - space.C) <= 1e-8 * np.linalg.norm(space.C)
            assert np.linalg.norm(space.C.T @ space.C - np.eye(space.k)) <= 1e-8


def test_a_preconditioner_that_loses_the_residual_on_the_left_is_a_breakdown(rng):
    A = rng.standard_normal((8, 8)) + 6.0 * np.eye(8)
    result = GCRODR(restart=6, k=2, side="left").solve(A, np.ones(8), M=np.zeros((8, 8)))
    assert result.status is Status.BREAKDOWN


@pytest.mark.parametrize("columns", [1, 4])
def test_a_block_has_room_for_a_step_whatever_the_size_of_the_space(columns, rng):
    A = rng.standard_normal((8, 8)) + 8.0 * np.eye(8)
    space = RecycleSpace(rng.standard_normal((8, 7)))
    result = BlockGCRODR(restart=4, k=3).solve(A, rng.standard_normal((8, columns)), space=space)
    assert result.check().iterations > 0
    singular = A.copy()
    singular[:, 0] = singular[:, -1]
    b = rng.standard_normal((8, columns))
    result = BlockGCRODR(restart=4, k=3, maxiter=50).solve(singular, b, space=space)
    assert not result.converged


def test_a_space_with_spoilt_images_is_made_anew(rng):
    A = rng.standard_normal((30, 30)) + 12.0 * np.eye(30)
    space = RecycleSpace(rng.standard_normal((30, 2)), np.full((30, 2), np.nan))
    assert GCRODR(restart=12, k=3).solve(A, np.ones(30), space=space).check().counts.setup == 2


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize(
    "method", [GCROT(m=15, rtol=1e-3), GCRODR(restart=15, k=5, rtol=1e-3)], ids=["gcrot", "gcrodr"]
)
def test_single_precision_leaves_spaces_that_serve(method, dtype, rng):
    """The image of a solution that the pairs already contain is rounding: it must not join them."""
    for _ in range(10):
        A = rng.standard_normal((20, 20)).astype(dtype) + 12.0 * np.eye(20, dtype=dtype)
        if dtype is np.complex64:
            A = A + 1j * rng.standard_normal((20, 20)).astype(np.float32)
        B = rng.standard_normal((20, 3)).astype(dtype)
        result = method.solve(Dense(A), B).check()
        C = result.space.C
        assert np.linalg.norm(A @ result.space.U - C) <= 1e-2 * np.linalg.norm(C)


def test_a_second_start_before_the_first_iteration_when_a_column_has_left():
    """Block methods start again where the recycle space alone has solved one of the columns."""
    b = np.ones((64, 3))
    x, r = np.zeros_like(b), np.empty_like(b)
    A = Dense(2.0 * np.eye(64))
    monitor = Monitor(A, None, b, x, NumpyVectors(), rtol=1e-8, atol=0.0, maxiter=50)
    monitor.start(x, r)
    monitor.retire(np.array([True, False, False]), Status.STOPPED, x)
    x, r = monitor.compact(x, r)
    assert np.allclose(monitor.start(x, r), 8.0)
