"""Block GCRO-DR: columns to tolerance, dependent and failing columns, one column as GCRO-DR, recycling."""

import numpy as np
import pytest

from resolvent.operators import Function, Props, Sparse, StructureError
from resolvent.solvers import GCRODR, GMRES, SSOR, BlockGCRODR, Jacobi, Status

from ..conformance import convection, diffusion, poisson


@pytest.fixture(scope="module")
def B():
    return np.random.default_rng(0).standard_normal((400, 6))


@pytest.mark.parametrize("recipe", [None, Jacobi(), SSOR()], ids=["none", "Jacobi", "SSOR"])
@pytest.mark.parametrize("make", [poisson, convection, diffusion])
def test_columns_are_solved_to_their_tolerance(make, recipe, B):
    A = make(20)
    result = BlockGCRODR().solve(A, B, M=recipe).check()
    assert (np.linalg.norm(B - A @ result.x, axis=0) <= 1.001e-8 * np.linalg.norm(B, axis=0)).all()
    assert len(result.columns) == 6


def test_one_column_is_gcrodr(B):
    A, b = Sparse(convection(20)), B[:, :1]
    block, single = BlockGCRODR(restart=20, k=6), GCRODR(restart=20, k=6)
    first, second = block.solve(A, b, M=Jacobi()), single.solve(A, b, M=Jacobi())
    assert first.iterations == second.iterations
    assert np.allclose(first.x, second.x, rtol=0.0, atol=1e-9 * abs(second.x).max())
    assert np.allclose(first.history, second.history, rtol=1e-5)
    A.update(data=1.01 * A.matrix.data)
    again = block.solve(A, b, M=Jacobi(), space=first.space), single.solve(A, b, M=Jacobi(), space=second.space)
    assert again[0].iterations == again[1].iterations


def test_a_block_space_is_as_good_as_the_minimum_over_its_columns(B):
    """Unrestarted, every column is minimised over the span of all blocks: never more than alone."""
    A = convection(12)
    B = B[:144]
    result = BlockGCRODR(restart=143, k=1).solve(A, B).check()
    alone = GMRES(restart=144).solve(A, B).check()
    for together, single in zip(result.columns, alone.columns, strict=True):
        assert together.iterations <= single.iterations
        j = together.iterations - 1
        assert together.history[j] <= single.history[j] * (1.0 + 1e-10)


def test_dependent_columns_cost_nothing(B):
    A = Sparse(poisson(20))
    independent = BlockGCRODR().solve(A, B[:, :3]).check()
    dependent = np.stack((B[:, 0], B[:, 1], B[:, 2], B[:, 0] + B[:, 1], -2.0 * B[:, 2], B[:, 0]), axis=1)
    result = BlockGCRODR().solve(A, dependent).check()
    # The same block, so the same products but for the residuals of three more columns.
    starts = len(dependent.T) * (result.counts.matvec // 40)
    assert result.counts.matvec <= independent.counts.matvec + starts
    assert result.iterations == independent.iterations
    assert np.allclose(result.x[:, 3], result.x[:, 0] + result.x[:, 1], atol=1e-6)


def test_a_failing_column_leaves_the_others_alone(B):
    A, spoilt = Sparse(poisson(20)), B.copy()
    spoilt[3, 2] = np.nan
    spoilt[:, 4] = 0.0
    result = BlockGCRODR().solve(A, spoilt)
    statuses = [column.status for column in result.columns]
    assert statuses == [Status.CONVERGED] * 2 + [Status.NONFINITE] + [Status.CONVERGED] * 3
    assert not result.x[:, 4].any()
    assert result.columns[4].iterations == 0


def test_columns_that_are_finished_leave(B):
    A = Sparse(diffusion(20))
    easy = A @ np.ones(400)
    started = np.zeros((400, 3))
    started[:, 0] = 1.0
    mixed = np.stack((easy, B[:, 0], B[:, 1]), axis=1)
    result = BlockGCRODR().solve(A, mixed, started).check()
    assert result.columns[0].iterations == 0
    alone = BlockGCRODR().solve(A, mixed[:, 1:]).check()
    assert result.columns[1].iterations == alone.columns[0].iterations


def test_the_space_serves_the_next_block_and_single_columns(B):
    solver, A = BlockGCRODR(restart=60, k=12), Sparse(diffusion(20))
    first = solver.solve(A, B, M=Jacobi()).check()
    A.update(data=A.matrix.data * 1.01)
    second = solver.solve(A, B[::-1].copy(), M=Jacobi(), space=first.space).check()
    assert second.counts.setup == first.space.k
    assert second.counts.products < 0.9 * first.counts.products
    assert np.linalg.norm(A @ second.space.U - second.space.C) <= 1e-10
    single = GCRODR(restart=40, k=12).solve(A, B[:, 0], M=Jacobi(), space=second.space).check()
    assert single.counts.setup == 0


def test_more_columns_than_a_cycle_has_room_for(B):
    A = Sparse(poisson(20))
    assert BlockGCRODR(restart=6, k=2).solve(A, B).converged
    wide = np.random.default_rng(1).standard_normal((25, 40))
    assert BlockGCRODR().solve(poisson(5), wide).converged


@pytest.mark.parametrize("dtype", [np.complex128, np.float32])
def test_other_dtypes(dtype, B):
    matrix = convection(20).astype(dtype)
    right = B.astype(dtype)
    if np.dtype(dtype).kind == "c":
        matrix.data = matrix.data * np.exp(0.05j * (np.arange(matrix.nnz) % 7))
        right = right + 1j * B[::-1]
    rtol = 1e-4 if dtype == np.float32 else 1e-8
    result = BlockGCRODR(rtol=rtol).solve(matrix, right).check()
    assert result.x.dtype == dtype


def test_varying_preconditioners():
    A = convection(16)
    inner = GMRES(rtol=0.1).prepare(A)
    M = Function(A.shape, lambda r: inner.solve(r).x, props=Props.VARIABLE)
    right = np.random.default_rng(0).standard_normal((256, 3))
    with pytest.raises(StructureError, match="flexible=True"):
        BlockGCRODR().solve(A, right, M=M)
    assert BlockGCRODR(restart=20, k=4, flexible=True).solve(A, right, M=M).converged


@pytest.mark.parametrize("options", [{"restart": 5, "k": 5}, {"k": 0}, {"dependent": 0.0}, {"restart": 1.5}])
def test_bad_options(options):
    with pytest.raises(ValueError, match="must"):
        BlockGCRODR(**options)
