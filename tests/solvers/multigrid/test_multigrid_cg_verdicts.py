"""What the fused multigrid says of bad members, extreme scales, singular systems and limits."""

import numpy as np
import pytest

from resolvent.operators import Ensemble, Sparse, Stencil
from resolvent.solvers import MultigridCG, Status

from .boxes import random_network
from .systems import darcy, neumann, ring, stencil, systems


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
    prepared = MultigridCG().prepare(matrices[place])
    assert prepared.solve(b[:, place]).status is Status.NONFINITE
    prepared.update(matrices[2])
    np.testing.assert_array_equal(prepared.solve(b[:, 2]).x, MultigridCG().solve(matrices[2], b[:, 2]).x)
    both = MultigridCG().solve(Ensemble([matrices[place]] * 2), b[:, :2])
    assert [c.status for c in both.columns] == [Status.NONFINITE] * 2 and np.isfinite(both.x).all()


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
