"""Multigrid fused into conjugate gradients: iterations, members like single systems, accuracy."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.datasets.random_fields import grid_points
from resolvent.datasets.schemes.diffusion import manufactured_diffusion
from resolvent.operators import Ensemble, Sparse, Stencil
from resolvent.solvers import AMG, CG, Direct, GeometricMultigrid, MultigridCG, Status

from .boxes import closures, dense, random_network, smooth_coefficient
from .systems import FAMILIES, darcy, ring, stencil, systems


@pytest.mark.parametrize(("dim", "sizes"), [(2, (16, 32, 64, 128, 256)), (3, (8, 16, 32))])
def test_iterations_do_not_grow_with_the_grid(dim, sizes):
    counts = []
    for n in sizes:
        result = MultigridCG().solve(*darcy(n, 1, dim, coefficient="lognormal_unit"))
        assert result.converged
        counts.append(result.iterations)
    assert max(counts) - counts[0] <= 2 and max(counts) <= 12, counts


def test_iterations_of_hard_coefficients(rng):
    hard = {
        "contrast": stencil(smooth_coefficient(64, 1e6)),
        "contrast in space": stencil(smooth_coefficient(16, 1e6, dim=3)),
        "two phases": darcy(64, coefficient="fno_twophase")[0],
        "weak columns": stencil(np.ones((64, 64)), strength=(1e-3, 1.0)),
        "weak rows": stencil(np.ones((64, 64)), strength=(1.0, 1e-3)),
        **{
            f"weak axis {a} in space": stencil(
                np.ones((16,) * 3), strength=tuple(np.where(np.arange(3) == a, 1e-3, 1.0))
            )
            for a in range(3)
        },
    }
    for name, A in hard.items():
        result = MultigridCG().solve(A, rng.standard_normal(A.shape[0]))
        assert result.converged and result.iterations <= 20, (name, result.iterations)


@pytest.mark.parametrize("closed", [("dirichlet", "periodic"), ("periodic", "dirichlet"), ("periodic", "periodic")])
def test_iterations_around_rings(closed, rng):
    counts = []
    for n in (16, 64):
        network = random_network((n, n), closed, rng, spread=0.0)
        A = ring(network)
        b = rng.standard_normal(n * n)
        result = MultigridCG().solve(A, b - b.mean())
        assert result.converged
        counts.append(result.iterations)
    assert max(counts) <= 11, counts


@pytest.mark.parametrize("options", [{}, {"sweeps": 2}, {"precision": "double"}])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_boxes_with_every_kind_of_wall(dim, options, rng):
    """Also in the reduced system, along each axis and with several members."""
    every = closures(dim, 12, rng)
    for closed in every:
        sizes = [int(rng.choice([4, 8] if closure == "periodic" else [1, 2, 3, 5, 8])) for closure in closed]
        if max(sizes) == 1:
            sizes[-1] = 4
        network = random_network(tuple(sizes), closed, rng, spread=0.5, members=3, shift=0.1)
        members = [Sparse(sp.csr_array(dense(network, b)), grid=network.grid) for b in range(3)]
        b = rng.standard_normal((network.cells, 3))
        result = MultigridCG(**options).solve(Ensemble(members), b)
        assert result.converged and result.iterations <= 16, (sizes, closed, result)
        for number, A in enumerate(members):
            exact = np.linalg.solve(A.to_dense(), b[:, number])
            np.testing.assert_allclose(result.x[:, number], exact, rtol=0, atol=1e-6 * abs(exact).max())


def test_iterations_are_those_of_the_generic_cycle(rng):
    for A in (darcy(48, 3)[0], stencil(smooth_coefficient(33, 1e3)), stencil(smooth_coefficient(9, 1e3, dim=3))):
        b = rng.standard_normal(A.shape[0])
        ours, generic = MultigridCG().solve(A, b), CG().solve(A, b, M=GeometricMultigrid())
        assert abs(ours.iterations - generic.iterations) <= 1


def test_double_precision_and_more_sweeps(rng):
    A, b = darcy(64, coefficient="lognormal_unit")
    plain = MultigridCG(rtol=1e-10).solve(A, b)
    double = MultigridCG(rtol=1e-10, precision="double").solve(A, b)
    smoother = MultigridCG(rtol=1e-10, sweeps=2).solve(A, b)
    assert plain.converged and double.converged and smoother.converged
    assert abs(double.iterations - plain.iterations) <= 1 and smoother.iterations < plain.iterations
    tight = MultigridCG(rtol=1e-13, precision="double").solve(A, b)
    assert np.linalg.norm(tight.x - double.x) <= 1e-7 * np.linalg.norm(tight.x)


@pytest.mark.parametrize("options", [{"n": 24}, {"n": 17}, {"n": 9, "dim": 3}, {"n": 20, "grid": "vertex"}])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_members_are_solved_as_alone(options, count):
    members, b = systems(count, **options)
    together = MultigridCG().solve(Ensemble(members), b)
    assert together.x.shape == b.shape and together.converged
    for number, A in enumerate(members):
        alone = MultigridCG().solve(A, b[:, number])
        assert together.columns[number].iterations == alone.iterations
        np.testing.assert_allclose(together.x[:, number], alone.x, rtol=0, atol=1e-10 * abs(alone.x).max())
        np.testing.assert_allclose(together.columns[number].history, alone.history, rtol=1e-3)


def test_shapes_of_vectors():
    members, b = systems(3, n=8)
    A = Ensemble(members)
    x = MultigridCG().solve(A, b).x
    for shape in ((192,), (8, 8, 3)):
        again = MultigridCG().solve(A, b.reshape(shape)).x
        assert again.shape == shape
        np.testing.assert_array_equal(again.reshape(x.shape), x)
    for wrong in (b[:, :2], b.T, b.ravel()[:-1], b[None]):
        with pytest.raises(ValueError, match="b must have the shape"):
            MultigridCG().solve(A, wrong)
    with pytest.raises(ValueError, match="x0 must have the shape of b"):
        MultigridCG().solve(A, b, b.ravel())


@pytest.mark.parametrize("grid", ["cell", "vertex"])
@pytest.mark.parametrize(("dim", "sizes"), [(2, (16, 32, 64)), (3, (8, 16, 32))])
def test_order_of_accuracy(dim, sizes, grid):
    errors = []
    for n in sizes:
        family = FAMILIES[dim](resolution=n + (grid == "vertex"), grid=grid)
        axes = [grid_points(family.resolution, grid)] * dim
        a, f, u = manufactured_diffusion(axes)
        A, _ = family.assemble({"a": a})
        inner = (slice(1, -1),) * dim if grid == "vertex" else (slice(None),) * dim
        b = f[inner].ravel()
        x = MultigridCG(rtol=1e-10).solve(A, b).check().x
        both = MultigridCG(rtol=1e-10).solve(Ensemble([A, A]), np.stack([b, 2.0 * b], axis=1)).check().x
        np.testing.assert_allclose(both, np.stack([x, 2.0 * x], axis=1), atol=1e-7 * abs(x).max())
        errors.append(np.sqrt(np.mean((x - u[inner].ravel()) ** 2)))
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert orders[-1] == pytest.approx(2.0, abs=0.15), errors


def agree(A, b, x, y, rtol):
    return np.linalg.norm(A @ (x - y)) <= 10 * rtol * np.linalg.norm(b)


@pytest.mark.parametrize("rtol", [1e-6, 1e-10])
def test_agreement_with_a_direct_solver(rtol):
    for A, b in (darcy(33), darcy(32, coefficient="fno_twophase"), darcy(9, dim=3)):
        x = MultigridCG(rtol=rtol).solve(A, b).check().x
        assert agree(A, b, x, Direct().solve(A, b).check().x, rtol)
        assert agree(A, b, x, CG(rtol=rtol).solve(A, b, M=AMG()).check().x, rtol)


def test_agreement_with_petsc():
    pytest.importorskip("petsc4py")
    from resolvent.solvers.petsc import PETScKSP

    A, b = darcy(32, coefficient="fno_twophase")
    x = MultigridCG().solve(A, b).check().x
    y = PETScKSP(options={"ksp_type": "cg", "pc_type": "icc"}, rtol=1e-8).solve(A, b).check().x
    assert agree(A, b, x, y, 1e-8)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_random_boxes_against_dense_solves(dim, rng):
    """Walls of all kinds, reaction or none, jumps, short axes: what is said to have converged has."""
    for _ in range(25):
        grid = tuple(int(n) for n in rng.integers(1, (20, 9, 6)[dim - 1], size=dim))
        spread, shift = rng.choice([0.0, 1.0, 3.0]), rng.choice([0.0, 1e-3, 1.0])
        walls = rng.random((dim, 2)) < 0.6
        members = []
        for _ in range(int(rng.integers(1, 5))):
            faces = []
            for axis in range(dim):
                t = np.exp(spread * rng.standard_normal([n + (a == axis) for a, n in enumerate(grid)]))
                end = np.moveaxis(t, axis, 0)
                end[0] *= walls[axis, 0]
                end[-1] *= walls[axis, 1]
                faces.append(t)
            members.append(Stencil.from_transmissibilities(faces, shift=shift or None))
        A = Ensemble(members)
        b = rng.standard_normal((members[0].shape[0], len(members)))
        result = MultigridCG().solve(A, b)
        for number, member in enumerate(members):
            matrix = member.to_dense()
            column, x = result.columns[number], result.x[:, number]
            residual = np.linalg.norm(b[:, number] - matrix @ x)
            assert residual == pytest.approx(
                column.residual_norm, rel=1e-3, abs=1e-12 * np.linalg.norm(abs(matrix) @ abs(x))
            )
            regular = walls.any() or shift > 0.0
            if regular and member.diagonal().min() > 0.0:
                assert column.status is Status.CONVERGED, (grid, column)
                exact = np.linalg.solve(matrix, b[:, number])
                error = np.linalg.norm(x - exact)
                assert error <= 1.1e-8 * np.linalg.norm(b[:, number]) / np.linalg.eigvalsh(matrix)[0]
            else:
                assert column.status is not Status.CONVERGED or member.shape[0] == 0
