"""Compiled cycles: right sides of any size, several threads, entries of 16 bits and where they are too short."""

import pickle
import threading

import numpy as np
import pytest
import torch

from resolvent.operators import Stencil
from resolvent.solvers import CG
from resolvent.solvers.learned import LearnedOperator, SPDCycle
from resolvent.solvers.learned.compiled import compiled_cycle
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


def pieces(n, size, eps, dim=2):
    """Squares or cubes of `size` cells a side, coupled to each other by eps."""
    faces = [np.ones(np.array((n,) * dim) + np.eye(dim, dtype=int)[a]) for a in range(dim)]
    for a, face in enumerate(faces):
        np.moveaxis(face, a, 0)[size:n:size] = eps
    return Stencil.from_transmissibilities(faces)


def of_two_materials(grid, contrast):
    k = contrast ** np.random.default_rng(0).integers(0, 2, grid)
    faces = []
    for a in range(len(grid)):
        padded = np.pad(k, [(int(a == axis),) * 2 for axis in range(len(grid))], mode="edge")
        low, high = (np.delete(padded, end, axis=a) for end in (-1, 0))
        faces.append(2.0 * low * high / (low + high))
    return Stencil.from_transmissibilities(faces)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("eps, kind", [(1e-4, "int16"), (1e-8, "float32"), (1e-12, "float32")])
def test_weakly_coupled_pieces_need_no_more_iterations_than_in_torch(size, eps, kind):
    A = pieces(16, size, eps)
    b = A @ np.random.default_rng(0).standard_normal(256)
    cycle, level = SPDCycle(dim=2), level_of(A)
    assert compiled_cycle(cycle, level).K.dtype == kind
    assert compiled_cycle(SPDCycle(dim=2).double(), level).K.dtype == np.float64
    counts = [CG().solve(A, b, M=LearnedOperator(cycle, level, compiled=c)).iterations for c in (True, False)]
    assert counts[0] <= counts[1] + 2 < 60


@pytest.mark.parametrize("n, dim", [(15, 2), (6, 3)])
def test_entries_that_are_not_rounded_are_those_of_torch(n, dim, shake):
    A = pieces(n, 2, 1e-7, dim)
    cycle, level = shake(SPDCycle(dim=dim), 2, 0.1), level_of(A)
    with torch.no_grad():
        fields = cycle.prepare(level)
    compiled = compiled_cycle(cycle, level)
    for depth, wanted in enumerate(fields.levels):
        for found, block in zip(compiled.fields(depth).K, wanted.blocks, strict=True):
            assert np.allclose(found, block.K[0].numpy(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("walls", ["dirichlet", "neumann"])
@pytest.mark.parametrize("n, dim", [(48, 2), (64, 2), (15, 3)])
def test_obstacles_and_jumps_keep_16_bits(n, dim, walls, make):
    for A in (*(make(n, dim, seed, walls)[0] for seed in range(3)), of_two_materials((n,) * dim, 1e4)):
        assert compiled_cycle(SPDCycle(dim=dim), level_of(A)).K.dtype == np.int16
