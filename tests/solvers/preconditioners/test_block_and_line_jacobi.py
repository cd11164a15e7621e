"""Block and line Jacobi against the inverses of the blocks they stand for."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Props, Sparse, Stencil, StructureError, check_operator
from resolvent.solvers import CG, BlockJacobi, Jacobi, LineJacobi

from ..conformance import convection, diffusion, poisson, spd
from .petsc_reference import petsc_iterations


def block_inverse(A, blocks):
    M = np.zeros(A.shape, dtype=A.dtype)
    for block in blocks:
        M[np.ix_(block, block)] = np.linalg.inv(A[np.ix_(block, block)])
    return M


def random_matrix(n, kind, rng):
    A = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if kind == "c" else 0.0)
    A[rng.random((n, n)) < 0.4] = 0.0
    return A + 4.0 * np.eye(n)


@pytest.mark.parametrize("kind", ["f", "c"])
def test_blocks_are_inverted_with_pivoting(kind, rng):
    """Zeros on the diagonal, and blocks that are permutations up to small numbers."""
    A = 1e-8 * random_matrix(24, kind, rng)
    A[np.diag_indices(24)] = 0.0
    blocks = [np.arange(first, first + 6) for first in range(0, 24, 6)]
    for shift, block in enumerate(blocks, start=1):
        A[block, np.roll(block, shift)] += 1.0 + rng.random(6)
    assert np.allclose(BlockJacobi(6)(Sparse(sp.csr_array(A))).to_dense(), block_inverse(A, blocks))


@pytest.mark.parametrize("kind", ["f", "c"])
@pytest.mark.parametrize("size", [1, 3, 4, 5, 12, 20])
def test_contiguous_blocks(size, kind, rng):
    A = random_matrix(12, kind, rng)
    expected = block_inverse(A, np.split(np.arange(12), np.arange(size, 12, size)))
    M = BlockJacobi(size)(Sparse(sp.csr_array(A)))
    X = rng.standard_normal((12, 3))
    for x in (X, X[:, 0], X + 1j * X[::-1]):
        assert np.allclose(M @ x, expected @ x)
        assert np.allclose(M.H @ x, expected.conj().T @ x)


def test_blocks_of_any_unknowns(rng):
    A = random_matrix(10, "c", rng)
    blocks = [np.array([7, 0, 3]), np.array([1, 9]), np.array([2, 4, 5]), np.array([8]), np.array([], dtype=int), [6]]
    recipe = BlockJacobi(blocks=blocks)
    M = recipe(Sparse(sp.csr_array(A)))
    assert np.allclose(M.to_dense(), block_inverse(A, [np.asarray(b, dtype=int) for b in blocks]))
    assert recipe == BlockJacobi(blocks=blocks) != BlockJacobi(blocks=blocks[::-1])
    assert repr(recipe) == "BlockJacobi(blocks=<5 arrays>)"


def test_single_precision_stays_single(rng):
    A = Sparse(poisson(6).astype(np.float32), props=SPD)
    M = BlockJacobi(6)(A)
    assert M.dtype == np.float32 and (M @ np.ones(36, dtype=np.float32)).dtype == np.float32
    assert np.array_equal(M.to_dense(), M.to_dense().T)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"block of the unknowns 4 … 5 is singular"):
        BlockJacobi(2)(Sparse(sp.csr_array(np.kron(np.diag([1.0, 2.0, 0.0, 3.0]), np.eye(2)))))
    spoilt = poisson(4)
    spoilt.data[3] = np.nan
    for recipe in (BlockJacobi(4), LineJacobi()):
        with pytest.raises(ValueError, match="NaN or infinity"):
            recipe(Sparse(spoilt, grid=(4, 4)))
    for blocks in ([[0, 1], [1, 2, 3]], [[0, 1]], [[0, 1], [2, 4]]):
        with pytest.raises(ValueError, match="each of the 4 unknowns exactly once"):
            BlockJacobi(blocks=[np.array(b) for b in blocks])(Sparse(sp.eye_array(4)))
    with pytest.raises(ValueError, match="size must be"):
        BlockJacobi(0)
    with pytest.raises(ValueError, match="sequence of one-dimensional arrays"):
        BlockJacobi(blocks=[np.eye(2)])
    with pytest.raises(StructureError, match="needs a square operator on a grid"):
        LineJacobi()(Sparse(poisson(4)))
    with pytest.raises(ValueError, match="axis 2 is not one of the 2 axes"):
        LineJacobi(2)(Sparse(poisson(4), grid=(4, 4)))


def test_as_many_iterations_as_petsc(rng):
    A, b = diffusion(24), rng.standard_normal(576)
    mine = CG().solve(spd(A), b, M=BlockJacobi(24)).iterations
    options = {"ksp_type": "cg", "pc_type": "bjacobi", "pc_bjacobi_blocks": 24, "sub_pc_type": "lu"}
    assert mine == petsc_iterations(A, b, options)


def lines(grid, axis):
    number = np.moveaxis(np.arange(int(np.prod(grid))).reshape(grid), axis, -1)
    return number.reshape(-1, grid[axis])


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("width", [1, 2])
def test_lines_are_solved_exactly(axis, width, rng):
    grid = (6, 6)
    A = convection(6)
    if width == 2:  # couplings two points along each axis, some of them missing
        A = A + sp.diags_array([0.3, -0.2, 0.1], offsets=[2, -2, 12], shape=(36, 36))
    A = sp.csr_array(A + 0.3j * sp.eye_array(36))
    M = LineJacobi(axis)(Sparse(A, grid=grid))
    expected = block_inverse(A.toarray(), lines(grid, axis))
    assert np.allclose(M.to_dense(), expected)
    assert np.allclose(M.H @ np.eye(36), expected.conj().T)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_lines_of_a_box_are_a_sound_operator(axis):
    faces = [np.ones(tuple(e + (a == b) for b, e in enumerate((3, 4, 5)))) for a in range(3)]
    A = Stencil.from_transmissibilities(faces)
    M = LineJacobi(axis)(A)
    check_operator(M).check()
    assert SPD in M.props and np.allclose(M.to_dense(), block_inverse(A.to_dense(), lines((3, 4, 5), axis)))


def test_lines_along_the_strong_coupling_help(rng):
    strong, weak = np.full((32, 33), 1e3), np.ones((33, 32))
    A, b = Stencil.from_transmissibilities((weak, strong)), rng.standard_normal(1024)
    good, bad, point = (CG().solve(A, b, M=M).iterations for M in (LineJacobi(1), LineJacobi(0), Jacobi()))
    assert good < 0.3 * point and bad > 0.8 * point


def test_claims_follow_the_matrix():
    symmetric = Sparse(sp.csr_array(poisson(4) - 2.2 * sp.eye_array(16)), props=Props.SYMMETRIC, grid=(4, 4))
    for recipe in (BlockJacobi(4), LineJacobi()):
        assert Props.SELF_ADJOINT in recipe(symmetric).props
        assert Props.POSITIVE_DEFINITE not in recipe(symmetric).props


@pytest.mark.parametrize("axis", [0, 1])
def test_updates_of_lines_are_fresh_builds(axis):
    recipe, A = LineJacobi(axis), Sparse(diffusion(6), props=SPD, grid=(6, 6))
    M = recipe(A)
    A.update(data=3.0 * A.matrix.data)
    again = recipe.update(M, A)
    assert again._lines is M._lines and np.array_equal(again.to_dense(), recipe(A).to_dense())
    for other in (Sparse(poisson(6) + sp.eye_array(36, k=2), grid=(6, 6)), Sparse(diffusion(6), grid=(4, 9))):
        assert np.array_equal(recipe.update(again, other).to_dense(), recipe(other).to_dense())
