"""Colours, blocks and stencils: each order of the unknowns is Gauss–Seidel in that order."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import Sparse, Stencil, StructureError
from resolvent.solvers import CG, SOR, SSOR
from resolvent.solvers.preconditioners.colouring_kernels import greedy_colours
from resolvent.solvers.preconditioners.ordering import arrange

from ..conformance import diffusion, poisson, spd
from .splittings import random_matrix

SWEEPS = ("forward", "backward", "symmetric")


def nine_point(nx, ny):
    """A nonsymmetric 9-point stencil."""
    rng = np.random.default_rng(1)
    c = -rng.random((9, nx, ny))
    c[0] = 9.0
    for place, (di, dj) in enumerate([(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)], start=1):
        if di:
            c[place, 0 if di < 0 else -1] = 0.0
        if dj:
            c[place, :, 0 if dj < 0 else -1] = 0.0
    return Stencil(c)


def diffusion_stencil(*grid, dtype=float):
    rng = np.random.default_rng(0)
    faces = [rng.uniform(0.5, 2.0, [g + (a == axis) for a, g in enumerate(grid)]) for axis in range(len(grid))]
    A = Stencil.from_transmissibilities(faces, shift=0.3)
    if np.dtype(dtype).kind == "c":
        A = Stencil(A.coefficients * (1.0 + 0.2j), A.offsets, mirrored=True)
    return Stencil(A.coefficients.astype(dtype), A.offsets, mirrored=True, props=A.props)


# Lines shorter than a chunk, as long, and longer than the longest one; grids that are no multiple of it.
STENCILS = {
    "1-D": diffusion_stencil(37),
    "1-D, long": diffusion_stencil(2500),
    "2-D, short lines": diffusion_stencil(13, 6),
    "2-D": diffusion_stencil(7, 21),
    "2-D, one line": diffusion_stencil(1, 40),
    "2-D, one column": diffusion_stencil(40, 1),
    "2-D, long lines": diffusion_stencil(3, 1500),
    "3-D": diffusion_stencil(5, 4, 18),
    "3-D, flat": diffusion_stencil(6, 1, 5),
    "not mirrored": diffusion_stencil(6, 20).expand(),
    "float32": diffusion_stencil(6, 20, dtype=np.float32),
    "complex": diffusion_stencil(6, 20, dtype=complex),
    "9-point": nine_point(9, 17),
    "9-point, short lines": nine_point(9, 5),
}


@pytest.mark.parametrize("name", STENCILS)
@pytest.mark.parametrize("sweep", SWEEPS)
@pytest.mark.parametrize("ordering", ["natural", "red_black"])
def test_a_stencil_is_relaxed_as_its_matrix(name, sweep, ordering, rng):
    A = STENCILS[name]
    if ordering == "red_black" and "9-point" in name:
        with pytest.raises(ValueError, match="red and black are not enough colours: two unknowns that are coupled"):
            SOR(ordering=ordering).smoother(A)
        return
    method = SOR(1.3, sweep=sweep, ordering=ordering)
    matrix_free, rows = method.smoother(A), method.smoother(Sparse(A.to_sparse()))
    assert matrix_free.permutation is None  # nothing was assembled and renumbered
    b = rng.standard_normal(A.shape[0]).astype(A.dtype)
    x = rng.standard_normal(A.shape[0]).astype(A.dtype)
    y = x.copy()
    matrix_free.smooth(x, b, 3)
    rows.smooth(y, b, 3)
    assert np.allclose(x, y, rtol=0, atol=1e-4 if A.dtype == np.float32 else 1e-12)
    tolerance = 1e-4 if A.dtype == np.float32 else 1e-8
    method = SOR(1.3, sweep=sweep, ordering=ordering, rtol=tolerance, maxiter=20_000)
    free, stored = method.solve(A, b), method.solve(A.to_sparse(), b)
    assert free.converged and abs(free.iterations - stored.iterations) <= 1
    assert np.allclose(free.history[:20], stored.history[:20], rtol=1e-3 if A.dtype == np.float32 else 1e-9)


@pytest.mark.parametrize("sweep", SWEEPS)
def test_colours_are_gauss_seidel_in_their_order(sweep, rng):
    A = random_matrix(40, float, rng, density=0.08)
    arrangement = arrange(sp.csr_array(A), "multicolour", None)
    order = arrangement.permutation
    assert 2 < arrangement.colours < 20
    b, x = rng.standard_normal((2, 40))
    permuted = x[order].copy()
    SOR(1.2, sweep=sweep).smoother(A[np.ix_(order, order)]).smooth(permuted, b[order], 2)
    SOR(1.2, sweep=sweep, ordering="multicolour").smoother(A).smooth(x, b, 2)
    assert np.allclose(x[order], permuted, rtol=0, atol=1e-13)


def test_no_two_neighbours_have_one_colour(rng):
    for matrix in (
        poisson(7),
        sp.csr_array(random_matrix(60, float, rng, density=0.05)),
        nine_point(6, 7).to_sparse(),
        sp.csr_array(np.ones((6, 6))),
        sp.csr_array(sp.eye_array(5)),
    ):
        graph = sp.csr_array(abs(matrix) + abs(matrix).T)
        colours = greedy_colours(graph.indptr, graph.indices)
        i, j = graph.nonzero()
        assert (colours[i] != colours[j])[i != j].all()
        assert colours.min() == 0 and colours.max() < np.diff(graph.indptr).max()  # the diagonal is among them
        order = arrange(matrix, "multicolour", None).permutation
        order = np.arange(len(colours)) if order is None else order
        assert np.array_equal(np.sort(order), np.arange(len(colours))) and (np.diff(colours[order]) >= 0).all()
    assert arrange(sp.csr_array((0, 0)), "multicolour", None).colours == 0


def test_greedy_colouring_of_stencils_takes_the_fewest_colours():
    assert arrange(poisson(8), "multicolour", None).colours == 2
    assert arrange(nine_point(8, 9).to_sparse(), "multicolour", None).colours == 4
    assert arrange(diffusion_stencil(4, 5, 6).to_sparse(), "multicolour", None).colours == 2


def test_red_and_black_are_the_parities_of_the_grid():
    order = arrange(poisson(5), "red_black", None).permutation
    parity = np.indices((5, 5)).sum(axis=0).ravel() % 2
    assert np.array_equal(order, np.concatenate((np.flatnonzero(parity == 0), np.flatnonzero(parity == 1))))


def test_zeros_that_are_stored_couple_nothing():
    A = sp.csr_array(np.array([[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 2.0]]))
    A.data[[2, 6]] = 0.0  # the entries (0, 2) and (2, 0)
    assert arrange(A, "red_black", None).colours == 2


def test_one_sided_patterns_couple_too():
    """An entry without its mirror image joins two unknowns all the same."""
    A = sp.csr_array(np.array([[2.0, 1.0, 0.0], [0.0, 2.0, 1.0], [1.0, 0.0, 2.0]]))
    with pytest.raises(ValueError, match="use ordering='multicolour'"):
        SOR(ordering="red_black").solve(A, np.ones(3))
    assert SOR(ordering="multicolour").solve(A, np.ones(3)).converged


def test_blocks_in_any_order_and_shape(rng):
    """A partition is relaxed in the order in which its parts are given."""
    A = random_matrix(12, float, rng)
    parts = [[7, 1, 3], [0], [11, 10], [2, 4, 5, 6], [8, 9]]
    b, x = rng.standard_normal((2, 12))
    wanted = x.copy()
    for part in parts:
        wanted[part] += 1.1 * np.linalg.solve(A[np.ix_(part, part)], (b - A @ wanted)[part])
    SOR(1.1, blocks=parts).smoother(A).smooth(x, b)
    assert np.allclose(x, wanted, rtol=0, atol=1e-13)


def test_blocks_are_coloured_as_wholes(rng):
    A = poisson(6)  # a grid line is a block: a tridiagonal matrix of blocks, with two colours
    smoother = SOR(blocks=6, ordering="red_black").smoother(A)
    assert smoother.colours == 2 and np.array_equal(smoother.permutation[:6], np.arange(6))
    assert np.array_equal(smoother.permutation[6:12], np.arange(12, 18))
    with pytest.raises(ValueError, match="two blocks that are coupled"):
        SOR(blocks=3, ordering="red_black").smoother(nine_point(6, 6))


def test_larger_blocks_take_fewer_sweeps(rng):
    A, b = poisson(16), rng.standard_normal(256)
    counts = [SOR(blocks=size, maxiter=10_000).solve(spd(A), b).iterations for size in (1, 16, 64, 256)]
    assert counts[0] > counts[1] > counts[2] > counts[3] == 1


def test_one_block_of_one_unknown_each_is_the_point_method(rng):
    A, b = diffusion(6), rng.standard_normal(36)
    points, blocks = SOR(1.4).solve(A, b), SOR(1.4, blocks=1).solve(A, b)
    assert points.iterations == blocks.iterations and np.allclose(points.x, blocks.x, rtol=1e-10)


def test_coloured_ssor_is_for_cg(rng):
    A, b = diffusion(24), rng.standard_normal(576)
    natural, coloured, lines = (
        CG().solve(spd(A), b, M=M).iterations
        for M in (SSOR(), SSOR(ordering="multicolour"), SSOR(ordering="red_black", blocks=24))
    )
    plain = CG().solve(spd(A), b).iterations
    assert natural < plain / 2 and lines < plain / 2 and coloured < plain and natural < coloured


def test_the_summary_names_colours_and_blocks():
    text = repr(SSOR(1.5, ordering="red_black", blocks=6)(spd(poisson(6))))
    assert "SSOR, omega 1.5, 2 colours, 6 blocks" in text
    parts = [np.arange(3), np.arange(3, 9)]
    assert repr(SOR(blocks=parts)) == "SOR(blocks=<2 arrays>)"
    assert SOR(blocks=parts) == SOR(blocks=[[0, 1, 2], range(3, 9)]) != SOR(blocks=parts[::-1])


def test_stencils_are_not_assembled(rng, monkeypatch):
    A, b = diffusion_stencil(9, 8), rng.standard_normal(72)
    monkeypatch.delattr(Stencil, "to_sparse")
    for options in ({}, {"ordering": "red_black"}, {"sweep": "symmetric"}):
        assert SOR(1.4, **options).solve(A, b).converged
        SOR(1.4, **options).smoother(A).smooth(np.zeros(72), b)
    with pytest.raises(StructureError, match="no stored entries"):
        SOR(ordering="multicolour").solve(A, b)


def test_what_lies_in_memory_does_not_matter(monkeypatch, rng):
    """A stencil has entries beyond the ends of its lines: zeros, which are multiplied with what stands there."""
    real = np.empty_like

    def poisoned(*arguments, **options):
        array = real(*arguments, **options)
        array.fill(np.nan)
        return array

    A = STENCILS["float32"]
    b = rng.standard_normal(A.shape[0]).astype(A.dtype)
    monkeypatch.setattr(np, "empty_like", poisoned)
    assert SOR(1.3, ordering="red_black", rtol=1e-4, maxiter=20_000).solve(A, b).converged
