"""Multigrid fused into conjugate gradients: counts, members, verdicts, order of accuracy, refusals, storage."""

import dataclasses
import pickle
import threading
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.datasets.diffusion import manufactured_diffusion
from resolvent.datasets.families import Darcy2D, Darcy3D
from resolvent.datasets.random_fields import grid_points
from resolvent.operators import Dense, Diagonal, Ensemble, Function, Props, Sparse, Stencil, StructureError
from resolvent.solvers import AMG, CG, Direct, GeometricMultigrid, Jacobi, MultigridCG, Status, solve
from resolvent.solvers.sequences import Sequence

from .boxes import closures, dense, diffusion, random_network, smooth_coefficient

FAMILIES = {2: Darcy2D, 3: Darcy3D}


def darcy(n, seed=0, dim=2, **options):
    family = FAMILIES[dim](resolution=n, **options)
    return family.assemble(family.draw(np.random.default_rng(seed)))


def systems(count, n=16, **options):
    pairs = [darcy(n, seed, coefficient="lognormal_unit", **options) for seed in range(count)]
    return [A for A, _ in pairs], np.stack([b for _, b in pairs], axis=1)


def stencil(a, **options):
    """Of a coefficient on cells, unit spacing, Dirichlet walls."""
    return diffusion(np.asarray(a, dtype=float), **options)


def neumann(*grid, seed=0):
    rng = np.random.default_rng(seed)
    faces = []
    for axis in range(len(grid)):
        t = np.exp(rng.standard_normal([n + (a == axis) for a, n in enumerate(grid)]))
        np.moveaxis(t, axis, 0)[[0, -1]] = 0.0
        faces.append(t)
    return Stencil.from_transmissibilities(faces)


def ring(network):
    return Sparse(sp.csr_array(dense(network)), grid=network.grid)


# Iterations ---------------------------------------------------------------------------------------------------------


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


# Members ------------------------------------------------------------------------------------------------------------


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


def spoilt(A, kind):
    c = A.coefficients.copy()
    if kind == "NaN":
        c[0, 3, 4] = np.nan
    elif kind == "NaN coupling":
        c[1, 3, 4] = np.nan
    elif kind == "infinite":
        c[1, 3, 4] = -np.inf
    elif kind == "zero":
        c[...] = 0.0
    elif kind == "zero row":
        c[0, 3, 4] = 0.0
    elif kind == "negative":
        c *= -1.0
    elif kind == "repelling":
        c[1, 3, 4] *= -1.0
    elif kind == "not dominant":
        c[0, 3, 4] *= 0.5
    return Stencil(c, A.offsets, mirrored=True, props=A.props)


BAD = {
    "NaN": (Status.NONFINITE, "holds NaN or infinity"),
    "NaN coupling": (Status.NONFINITE, "holds NaN or infinity"),
    "infinite": (Status.NONFINITE, "holds NaN or infinity"),
    "zero": (Status.INDEFINITE, "the diagonal goes down to 0"),
    "zero row": (Status.INDEFINITE, "the diagonal goes down to 0"),
    "negative": (Status.INDEFINITE, "not elliptic"),
    "repelling": (Status.INDEFINITE, "has the sign of the diagonal"),
    "not dominant": (Status.INDEFINITE, "not diagonally dominant"),
}


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_member_leaves_the_others_alone(kind, place):
    members, b = systems(3, n=12)
    good = MultigridCG().solve(Ensemble(members), b)
    members[place] = spoilt(members[place], kind)
    for x0 in (None, np.ones_like(b)):
        result = MultigridCG().solve(Ensemble(members), b, x0)
        status, reason = BAD[kind]
        column = result.columns[place]
        assert column.status is status is result.status and reason in column.reason
        assert reason in result.extra["reason"]
        for other in {0, 1, 2} - {place}:
            assert result.columns[other].status is Status.CONVERGED
            assert abs(result.x[:, other] - good.x[:, other]).max() <= 1e-6 * abs(good.x).max()
    alone = MultigridCG().solve(members[place], b[:, place])
    assert alone.status is status and not np.isnan(alone.x).any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_a_bad_matrix_among_matrices_leaves_the_others_alone(value, place):
    members, b = systems(3, n=12)
    good = MultigridCG().solve(Ensemble(members), b)
    matrices = [Sparse(A.to_sparse(), grid=A.grid) for A in members]
    entries = members[place].to_sparse()
    entries.data[40] = value
    matrices[place] = Sparse(entries, grid=(12, 12))
    result = MultigridCG().solve(Ensemble(matrices), b)
    for number, column in enumerate(result.columns):
        assert column.status is (Status.NONFINITE if number == place else Status.CONVERGED)
        if number != place:
            assert abs(result.x[:, number] - good.x[:, number]).max() <= 1e-10 * abs(good.x).max()
    with pytest.raises(ValueError, match="finite entries are needed"):
        MultigridCG().solve(matrices[place], b[:, place])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_bad_right_hand_side_leaves_the_others_alone(value):
    members, b = systems(3, n=12)
    good = MultigridCG().solve(Ensemble(members), b)
    b[5, 1] = value
    result = MultigridCG().solve(Ensemble(members), b)
    assert [c.status.name for c in result.columns] == ["CONVERGED", "NONFINITE", "CONVERGED"]
    assert "not finite" in result.columns[1].reason
    np.testing.assert_array_equal(result.x[:, [0, 2]], good.x[:, [0, 2]])
    assert MultigridCG().solve(members[1], b[:, 1]).status is Status.NONFINITE
    guess = np.zeros_like(b)
    b[5, 1], guess[7, 1] = 0.0, value
    result = MultigridCG().solve(Ensemble(members), b, guess)
    assert [c.status.name for c in result.columns] == ["CONVERGED", "NONFINITE", "CONVERGED"]


def test_a_bad_member_with_a_bad_right_hand_side_has_not_converged():
    members, b = systems(2, n=12)
    members[1] = spoilt(members[1], "negative")
    for value in (np.nan, np.inf):
        b[3, 1] = value
        result = MultigridCG().solve(Ensemble(members), b)
        assert [c.status.name for c in result.columns] == ["CONVERGED", "NONFINITE"]
        assert result.columns[1].reason == "b is not finite"


def test_not_a_number_never_reaches_the_caller():
    """Entries that differ by more than single precision can hold leave the preconditioner infinite numbers."""
    members, b = systems(2, n=12)
    for value in (5e-324, 1e-300, 1e20, 1e300):
        c = members[1].coefficients.copy()
        c[0, 3, 3] = value
        hurt = Stencil(c, members[1].offsets, mirrored=True, props=members[1].props ^ members[1].props)
        for x0 in (None, np.ones_like(b)):
            result = MultigridCG().solve(Ensemble([members[0], hurt]), b, x0)
            assert np.isfinite(result.x).all() and result.columns[0].status is Status.CONVERGED
            assert np.isfinite(result.columns[1].residual_norm) or result.columns[1].status is not Status.CONVERGED


def test_extreme_scales_side_by_side():
    members, b = systems(5, n=12)
    scales = 10.0 ** np.array([0, 150, -150, 30, -30])
    sides = 10.0 ** np.array([-200, 0, -150, 160, 100])
    scaled = [
        Stencil(A.coefficients * s, A.offsets, mirrored=True, props=A.props)
        for A, s in zip(members, scales, strict=True)
    ]
    reference = MultigridCG(rtol=1e-10).solve(Ensemble(members), b)
    result = MultigridCG(rtol=1e-10).solve(Ensemble(scaled), b * sides)
    assert result.converged
    np.testing.assert_allclose(result.x * (scales / sides), reference.x, rtol=1e-6, atol=1e-8 * abs(reference.x).max())
    for column, side, plain in zip(result.columns, sides, reference.columns, strict=True):
        assert 0.0 < column.residual_norm <= column.tolerance
        assert column.iterations == pytest.approx(plain.iterations, abs=1)
        np.testing.assert_allclose(column.rhs_norm, plain.rhs_norm * side, rtol=1e-12)


def test_a_solution_that_no_number_can_hold_is_not_converged():
    members, b = systems(2, n=8)
    huge = Stencil(members[1].coefficients * 1e150, members[1].offsets, mirrored=True, props=members[1].props)
    result = MultigridCG().solve(Ensemble([members[0], huge]), b * [1.0, 1e-200])
    assert [c.status.name for c in result.columns] == ["CONVERGED", "NONFINITE"]
    assert "leaves the range" in result.columns[1].reason


# Verdicts -----------------------------------------------------------------------------------------------------------


def test_singular_systems(rng):
    walls = neumann(12, 9)
    circles = ring(random_network((8, 16), ("periodic", "periodic"), rng))
    box = neumann(4, 5, 3)
    for A in (walls, circles, box, neumann(17)):
        n = A.shape[0]
        b = rng.standard_normal(n)
        consistent = MultigridCG().solve(A, b - b.mean())
        assert consistent.converged and abs(consistent.x).max() < 1e3 * abs(b).max()
        inconsistent = MultigridCG().solve(A, b + 0.5)
        assert inconsistent.status is Status.STAGNATED and inconsistent.iterations <= 40
        assert "not in the range of the singular A" in inconsistent.extra["reason"]
        # What is left is what no x can remove.
        np.testing.assert_allclose(inconsistent.residual_norm, abs((b + 0.5).mean()) * n**0.5, rtol=1e-5)
    grounded = Stencil.from_transmissibilities([np.ones((13, 9)), np.ones((12, 10))])
    b = rng.standard_normal((108, 2))
    result = MultigridCG().solve(Ensemble([walls, grounded]), b)
    assert [c.status.name for c in result.columns] == ["STAGNATED", "CONVERGED"]


def test_singular_systems_are_not_called_indefinite(rng):
    """Neither below rounding nor where several parts float and b suits only their sum."""
    A, b = neumann(32, 32), rng.standard_normal(1024)
    result = MultigridCG(rtol=0.0).solve(A, b - b.mean())
    assert result.status is Status.STAGNATED and result.extra["reason"] == "the limit of rounding"
    together = MultigridCG(rtol=0.0).solve(Ensemble([A, A]), np.stack([b - b.mean(), b], axis=1))
    assert [c.status for c in together.columns] == [Status.STAGNATED] * 2
    assert ["rounding" in c.reason for c in together.columns] == [True, False]
    faces = [np.exp(rng.standard_normal((13, 12))), np.exp(rng.standard_normal((12, 13)))]
    faces[0][[0, 6, -1]] = 0.0
    faces[1][:, [0, -1]] = 0.0
    parts = Stencil.from_transmissibilities(faces)
    b = rng.standard_normal((12, 12))
    suited = b - np.repeat([[b[:6].mean()], [b[6:].mean()]], 6, axis=0)
    assert MultigridCG().solve(parts, suited).converged
    result = MultigridCG().solve(parts, b - b.mean())
    assert result.status is Status.STAGNATED and "not in the range" in result.extra["reason"]


def test_cells_without_links_are_not_singular(rng):
    faces = [np.ones((13, 9)), np.ones((12, 10))]
    for t in faces:
        t[1:-1] *= 0.0
    faces[1][:, 1:-1] = 0.0
    faces[1][...] = 1.0
    faces[0][1:-1] = 0.0
    apart = Stencil.from_transmissibilities(faces)
    single = Stencil.from_transmissibilities([np.array([1.0, 0.0, 2.0])])
    for A in (apart, single):
        result = MultigridCG().solve(A, rng.standard_normal(A.shape[0]))
        assert result.converged, result


def test_zero_right_hand_sides_and_starts():
    members, b = systems(3, n=12)
    b[:, 1] = 0.0
    A = Ensemble(members)
    result = MultigridCG().solve(A, b)
    assert result.converged and result.columns[1].iterations == 0 and not result.x[:, 1].any()
    start = np.ones_like(b)
    again = MultigridCG().solve(A, b, start)
    assert again.converged and not again.x[:, 1].any() and (start == 1.0).all()
    near = MultigridCG().solve(A, b, result.x)
    assert near.iterations == 0 and near.converged
    np.testing.assert_array_equal(near.x, result.x)
    half = MultigridCG().solve(members[0], b[:, 0], result.x[:, 0] * (1.0 + 1e-5))
    assert half.converged and 0 < half.iterations < result.columns[0].iterations


@pytest.mark.parametrize("maxiter", [0, 1, 3])
def test_the_limit_of_iterations_is_kept(maxiter):
    members, b = systems(3, n=16)
    result = MultigridCG(maxiter=maxiter).solve(Ensemble(members), b)
    assert [c.status for c in result.columns] == [Status.MAXITER] * 3
    assert [c.iterations for c in result.columns] == [maxiter] * 3
    alone = MultigridCG(maxiter=maxiter).solve(members[0], b[:, 0])
    assert alone.status is Status.MAXITER and alone.iterations == maxiter == alone.counts.preconditioner
    np.testing.assert_allclose(alone.x, result.x[:, 0], atol=1e-12 * max(abs(alone.x).max(), 1e-300))
    with pytest.raises(ValueError, match="maxiter"):
        MultigridCG(maxiter=-1)


def test_the_limit_is_each_members_own(rng):
    """A member that begins anew after others, because rounding undid its last steps, has all of its iterations left."""
    slow = stencil(np.exp(4.0 * rng.standard_normal((24, 24))))
    members, b = systems(2, n=24)
    b = np.concatenate([b, rng.standard_normal((576, 1))], axis=1)
    alone = [MultigridCG(rtol=1e-14, maxiter=40).solve(A, b[:, k]) for k, A in enumerate([*members, slow])]
    together = MultigridCG(rtol=1e-14, maxiter=40).solve(Ensemble([*members, slow]), b)
    for column, single in zip(together.columns, alone, strict=True):
        assert column.status is single.status
        assert column.iterations == pytest.approx(single.iterations, abs=3)
        assert len(column.history) == column.iterations + 1 and np.isfinite(column.history).all()
    assert together.columns[2].status is Status.MAXITER and together.columns[0].iterations < 40


def test_too_few_iterations_are_no_stagnation(rng):
    """The residual may rise at first; that nothing was gained then is for want of iterations."""
    A = stencil(np.exp(6.0 * rng.standard_normal((24, 24))))
    b = rng.standard_normal(576)
    for maxiter in (1, 2, 5):
        assert MultigridCG(maxiter=maxiter).solve(A, b).status is Status.MAXITER


@pytest.mark.parametrize("rtol", [0.0, 1e-30, 1e-17])
def test_below_rounding_it_stops_soon(rtol):
    members, b = systems(3, n=16)
    result = MultigridCG(rtol=rtol).solve(Ensemble(members), b)
    for column in result.columns:
        assert column.status is Status.STAGNATED and column.iterations <= 200
        assert column.residual_norm <= 1e-12 * column.rhs_norm
        assert "rounding" in column.reason
    assert MultigridCG(rtol=rtol).solve(members[0], b[:, 0]).status is Status.STAGNATED


def test_absolute_tolerances_are_each_members_own():
    members, b = systems(2, n=16)
    b[:, 1] *= 1e-6
    result = MultigridCG(rtol=0.0, atol=1e-4 * np.linalg.norm(b[:, 0])).solve(Ensemble(members), b)
    assert result.converged and result.columns[1].iterations == 0 < result.columns[0].iterations
    assert not result.x[:, 1].any()


def test_counts():
    A, b = darcy(32)
    result = MultigridCG().solve(A, b)
    assert result.counts.preconditioner == result.iterations
    assert result.iterations <= result.counts.matvec <= result.iterations + 4
    members, sides = systems(4, n=16)
    together = MultigridCG().solve(Ensemble(members), sides)
    assert together.counts.preconditioner == 4 * together.iterations
    assert 4 * together.iterations <= together.counts.matvec <= 4 * (together.iterations + 2)
    for column in together.columns:
        assert len(column.history) == column.iterations + 1 and np.isfinite(column.history).all()
        assert column.history[-1] <= column.tolerance < column.history[-2]


# Accuracy -----------------------------------------------------------------------------------------------------------


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


# Following changes --------------------------------------------------------------------------------------------------


def test_updates(rng):
    (A, b), (B, c), (small, _) = darcy(16), darcy(16, 1), darcy(8)
    for precision in ("single", "double"):
        prepared = MultigridCG(precision=precision).prepare(A)
        first = prepared.solve(b)
        prepared.update(B)
        np.testing.assert_array_equal(prepared.solve(c).x, MultigridCG(precision=precision).solve(B, c).x)
        prepared.update(A)
        np.testing.assert_array_equal(prepared.solve(b).x, first.x)
        # Another grid of as many points, other walls, another anisotropy, reaction and none.
        side = rng.uniform(0.5, 2.0, (9, 32))
        ones = stencil(np.ones((16, 16)), strength=(1e-3, 1.0))
        for other in (
            stencil(np.ones((8, 32))),
            ones,
            neumann(16, 16),
            Stencil.from_transmissibilities([side, np.ones((8, 33))], shift=1.0),
            stencil(np.ones(256)),
            stencil(np.ones((8, 8, 4))),
        ):
            prepared.update(other)
            right = other @ rng.standard_normal(256)
            result = prepared.solve(right)
            assert result.converged
            np.testing.assert_array_equal(result.x, MultigridCG(precision=precision).solve(other, right).x)
        with pytest.raises(ValueError, match="prepare a new solver"):
            prepared.update(small)
        assert prepared.solve(other @ np.ones(256)).converged


def test_a_change_in_place_is_noticed():
    A, b = darcy(16)
    prepared = MultigridCG().prepare(A)
    x = prepared.solve(b).x
    A.update(coefficients=2.0 * A.coefficients)
    np.testing.assert_allclose(2.0 * prepared.solve(b).x, x, rtol=1e-6)
    members, sides = systems(3, n=12)
    together = MultigridCG().prepare(Ensemble(members))
    before = together.solve(sides).x
    members[1].update(coefficients=2.0 * members[1].coefficients)
    after = together.solve(sides).x
    np.testing.assert_allclose(2.0 * after[:, 1], before[:, 1], rtol=0, atol=1e-6 * abs(before).max())
    np.testing.assert_array_equal(after[:, [0, 2]], before[:, [0, 2]])


def test_updates_of_ensembles():
    members, b = systems(4, n=12)
    prepared = MultigridCG().prepare(Ensemble(members[:2]))
    prepared.solve(b[:, :2])
    prepared.update(Ensemble(members[2:]))
    np.testing.assert_array_equal(prepared.solve(b[:, 2:]).x, MultigridCG().solve(Ensemble(members[2:]), b[:, 2:]).x)
    for wrong in (Ensemble(members[:3]), members[0], Ensemble(systems(2, n=8)[0])):
        with pytest.raises(ValueError, match="prepare a new solver"):
            prepared.update(wrong)
    bad = Ensemble([members[0], Sparse(members[1].to_sparse() + sp.eye_array(144, k=5), grid=(12, 12))])
    with pytest.raises(StructureError):
        prepared.update(bad)


# Refusals -----------------------------------------------------------------------------------------------------------


def nine_points():
    a = sp.diags_array([-1.0, 4.0, -1.0], offsets=[-1, 0, 1], shape=(6, 6))
    return Sparse(sp.csr_array(sp.kron(a, a)), grid=(6, 6))


def upwind():
    A = stencil(np.ones((6, 6))).to_sparse().toarray()
    A[np.arange(35), np.arange(1, 36)] *= 0.5
    return Sparse(sp.csr_array(A), grid=(6, 6))


def odd_ring():
    return ring(random_network((12, 4), ("periodic", "dirichlet"), np.random.default_rng(0)))


REFUSED = {
    "complex": (lambda: Stencil.from_transmissibilities([np.ones((7, 6)), np.ones((6, 7))], shift=1j), "real"),
    "nonsymmetric": (upwind, "not symmetric"),
    "nine points": (nine_points, "neighbours"),
    "without entries": (lambda: Function((9, 9), lambda x: 2.0 * x, grid=(3, 3)), "entries"),
    "without a grid": (lambda: Dense(np.eye(9) + 0.1), "."),
    "odd ring": (odd_ring, "power of two there; use CG with GeometricMultigrid"),
    "variable": (lambda: Function((9, 9), lambda x: 2.0 * x, props=Props.VARIABLE, grid=(3, 3)), "fixed operator"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(kind):
    make, match = REFUSED[kind]
    A = make()
    with pytest.raises(StructureError, match=match):
        MultigridCG().solve(A, np.ones(A.shape[0]))
    with pytest.raises(StructureError, match=match):
        MultigridCG().solve(Ensemble([A, A]), np.ones(2 * A.shape[0]))


def test_preconditioners_are_refused():
    A, b = darcy(8)
    for M in (Jacobi(), Diagonal(np.ones(64))):
        with pytest.raises(StructureError, match="leave M out"):
            MultigridCG().solve(A, b, M=M)
        with pytest.raises(StructureError, match=r"leave M out|a recipe"):
            MultigridCG().solve(Ensemble([A, A]), np.ones(128), M=M)
    with pytest.raises(StructureError, match="give a recipe for M"):
        CG().solve(Ensemble([A, A]), np.ones(128), M=Diagonal(np.ones(128)))


def test_nothing_to_solve_is_refused():
    nothing = Stencil(np.ones((3, 0, 4)), ((0, 0), (1, 0), (0, 1)), mirrored=True)
    for A in (nothing, Ensemble([nothing, nothing])):
        with pytest.raises(StructureError, match="no unknowns"):
            MultigridCG().solve(A, np.ones(0))


def test_sequences_of_ensembles_are_refused():
    A, b = darcy(8)
    with pytest.raises(TypeError, match="one by one"):
        Sequence(MultigridCG()).solve(Ensemble([A, A]), np.stack([b, b], axis=1))
    with pytest.raises(TypeError, match="recycle space"):
        MultigridCG().solve(Ensemble([A, A]), np.stack([b, b], axis=1), space=object())


def test_rows_that_do_not_fit_are_refused():
    A, _ = darcy(8)
    for prepared in (MultigridCG().prepare(Ensemble([A, A])), CG().prepare(Ensemble([A, A]))):
        for shape in ((3, 64), (2, 63), (128,), (64, 2)):
            with pytest.raises(ValueError, match=r"must have the shape \(2, 64\)"):
                prepared.solve_members(np.ones(shape))
            with pytest.raises(ValueError, match=r"x0 must have the shape \(2, 64\)"):
                prepared.solve_members(np.ones((2, 64)), np.ones(shape))


def test_rectangular_operators_are_refused():
    with pytest.raises(ValueError, match="square"):
        MultigridCG().solve(Sparse(sp.csr_array(np.ones((3, 4)))), np.ones(3))


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_torch():
    torch = pytest.importorskip("torch")
    A, b = darcy(8)
    x = MultigridCG().solve(A, torch.as_tensor(b)).x
    assert isinstance(x, torch.Tensor)
    np.testing.assert_array_equal(x.numpy(), MultigridCG().solve(A, b).x)
    both = np.stack([b, b], axis=1)
    y = MultigridCG().solve(Ensemble([A, A]), torch.as_tensor(both)).x
    assert isinstance(y, torch.Tensor) and y.shape == both.shape
    np.testing.assert_allclose(y[:, 1].numpy(), x.numpy(), atol=1e-10 * abs(x).max())
    on_torch = A.to_torch("cpu")
    with pytest.raises(StructureError, match=r"on the host.*use CG with GeometricMultigrid"):
        MultigridCG().solve(on_torch, torch.as_tensor(b))
    for solver in (MultigridCG(), CG()):
        with pytest.raises(StructureError, match="on the host"):
            solver.solve(Ensemble([on_torch, on_torch]), torch.as_tensor(both))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (np.ones((64, 2), complex), TypeError),
        (np.full((64, 2), "a"), TypeError),
        (np.full((64, 2), None), TypeError),
        (np.ma.masked_array(np.ones((64, 2)), mask=np.eye(64, 2)), ValueError),
        (None, ValueError),
        (3.0, ValueError),
    ],
)
def test_bad_right_hand_sides(wrong, error):
    A = darcy(8)[0]
    with pytest.raises(error):
        MultigridCG().solve(Ensemble([A, A]), wrong)
    with pytest.raises((error, TypeError)):
        MultigridCG().solve(Ensemble([A, A]), np.ones((64, 2)), wrong if wrong is not None else 1.0)
    whole = MultigridCG().solve(Ensemble([A, A]), np.ones((64, 2), int))
    assert whole.converged


@pytest.mark.parametrize(
    "options",
    [{"precision": "half"}, {"precision": None}, {"sweeps": 0}, {"sweeps": 1.5}, {"sweeps": True}, {"rtol": -1.0}],
)
def test_bad_options(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        MultigridCG(**options)


def test_members_of_other_grids_or_rings_are_refused():
    plain = stencil(np.ones((4, 4)))
    circle = ring(random_network((4, 4), ("periodic", "dirichlet"), np.random.default_rng(0)))
    with pytest.raises(StructureError, match="periodic along the same axes"):
        MultigridCG().solve(Ensemble([plain, circle]), np.ones(32))


# Storage, threads, other ways in ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dim", "precision", "limit"), [(2, "single", 135), (2, "double", 130), (3, "single", 150), (3, "double", 135)]
)
def test_storage_is_as_documented(dim, precision, limit):
    A = darcy(256 if dim == 2 else 40, dim=dim)[0]
    state = MultigridCG(precision=precision).prepare(A)._state
    assert 0.9 * limit <= state.hierarchy.nbytes / A.shape[0] <= 1.05 * limit


def test_iterations_do_not_allocate():
    A, b = darcy(128, coefficient="fno_twophase")
    peaks = []
    for maxiter in (2, 12):
        prepared = MultigridCG(rtol=1e-14, maxiter=maxiter).prepare(A)
        prepared.solve(b)
        tracemalloc.start()
        prepared.solve(b)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] <= peaks[0] + 4096


def test_two_threads():
    jobs = [(MultigridCG(), *systems(3, n=20)), (MultigridCG(), *systems(4, n=9, dim=3))]
    expected = [solver.solve(Ensemble(members), b).x for solver, members, b in jobs]
    found = [[], []]

    def work(number):
        solver, members, b = jobs[number]
        for _ in range(20):
            found[number].append(solver.solve(Ensemble(members), b).x)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(2):
        assert len(found[number]) == 20
        for x in found[number]:
            np.testing.assert_array_equal(x, expected[number])


def test_one_prepared_solver_in_several_threads():
    A, b = darcy(32, coefficient="lognormal_unit")
    prepared = MultigridCG().prepare(A)
    sides = [b, np.roll(b, 7), b[::-1].copy()]
    expected = [prepared.solve(side).x for side in sides]
    found = [[], [], []]

    def work(number):
        for _ in range(20):
            found[number].append(prepared.solve(sides[number]).x)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(3):
        assert len(found[number]) == 20
        assert all(np.array_equal(x, expected[number]) for x in found[number])


def test_pickling_and_printing():
    solver = MultigridCG(rtol=1e-6, sweeps=2)
    assert pickle.loads(pickle.dumps(solver)) == solver
    assert str(solver) == "MultigridCG(rtol=1e-06, sweeps=2)"
    assert dataclasses.replace(solver, sweeps=1) == MultigridCG(rtol=1e-6)
    A, b = darcy(12)
    prepared = pickle.loads(pickle.dumps(solver.prepare(A)))
    np.testing.assert_array_equal(prepared.solve(b).x, solver.solve(A, b).x)
    together = pickle.loads(pickle.dumps(solver.prepare(Ensemble([A, A]))))
    assert together.solve(np.stack([b, b], axis=1)).converged
    result = pickle.loads(pickle.dumps(solver.solve(A, b)))
    assert result.solver == str(solver)


def test_other_ways_in():
    A, b = darcy(24, coefficient="lognormal_unit")
    expected = MultigridCG().solve(A, b)
    result = solve(A, b, solver=MultigridCG())
    np.testing.assert_array_equal(result.x, expected.x)
    sequence = Sequence(MultigridCG())
    np.testing.assert_array_equal(sequence.solve(A, b).x, expected.x)
    B, c = darcy(24, 1, coefficient="lognormal_unit")
    assert sequence.solve(B, c).converged
    matrix = Sparse(A.to_sparse(), grid=A.grid)
    np.testing.assert_allclose(MultigridCG().solve(matrix, b).x, expected.x, atol=1e-10 * abs(expected.x).max())
    plain = MultigridCG().solve(A.to_sparse(), b)  # the pattern shows the grid
    np.testing.assert_allclose(plain.x, expected.x, atol=1e-10 * abs(expected.x).max())
    columns = MultigridCG().solve(A, np.stack([b, 2.0 * b], axis=1))
    np.testing.assert_allclose(columns.x[:, 1], 2.0 * expected.x, atol=1e-10 * abs(expected.x).max())
    single = Stencil(A.coefficients.astype(np.float32), A.offsets, mirrored=True, props=A.props)
    assert MultigridCG(rtol=1e-5).solve(single, b.astype(np.float32)).converged


def test_callbacks():
    A, b = darcy(16)
    seen = []
    result = MultigridCG().solve(A, b, callback=lambda progress: seen.append(progress.iteration))
    assert seen == list(range(1, result.iterations + 1))
    seen.clear()
    CG().solve(Ensemble([A, A]), np.stack([b, b], axis=1), callback=lambda progress: seen.append(progress.iteration))
    assert seen.count(1) == 2


@pytest.mark.parametrize(("solver", "M"), [(CG(), Jacobi()), (CG(), GeometricMultigrid()), (Direct(), None)])
def test_other_solvers_take_one_member_after_the_other(solver, M):
    members, b = systems(3, n=12)
    prepared = solver.prepare(Ensemble(members), M)
    result = prepared.solve(b)
    assert result.converged and len(result.columns) == 3
    for number, A in enumerate(members):
        np.testing.assert_array_equal(result.x[:, number], solver.solve(A, b[:, number], M=M).x)
    guess = prepared.solve(b, result.x)
    assert guess.converged and guess.iterations <= 1
    prepared.update(Ensemble(members[::-1]))
    np.testing.assert_allclose(prepared.solve(b[:, ::-1]).x, result.x[:, ::-1], atol=1e-6 * abs(result.x).max())
    members[0].update(coefficients=3.0 * members[0].coefficients)
    again = prepared.solve(b[:, ::-1]).x
    np.testing.assert_allclose(3.0 * again[:, 2], result.x[:, 0], atol=1e-6 * abs(result.x).max())
    total = prepared.solve(b)
    assert total.seconds.solve >= 0.0 and total.counts.matvec >= 3
