"""Sequences: what is kept and renewed, truthful costs, guards against recycling that does not pay."""

import gc
import resource
import sys

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Diagonal, Sparse
from resolvent.solvers import (
    AMG,
    CG,
    GCRODR,
    GMRES,
    ILU,
    SSOR,
    Direct,
    Factorised,
    Fixed,
    Jacobi,
    Pilot,
    Refresh,
    Sequence,
    Snapshots,
    Status,
)
from resolvent.solvers.sequences.benefit import Benefit

from ..conformance import convection, diffusion, poisson, relative_residual


def path(count, n=24, step=0.05):
    """Diffusion matrices whose coefficient changes slowly, and right-hand sides."""
    b = np.linspace(0.5, 1.5, n * n)
    return [(diffusion(n, 100.0 * (1.0 + step * t)), b * (1.0 + 0.1 * t)) for t in range(count)]


def run(sequence, systems):
    return [sequence.solve(A, b).check() for A, b in systems]


@pytest.mark.parametrize("warm_start", [None, "previous", "scaled", "projected"])
@pytest.mark.parametrize(
    ("solver", "M"),
    [(CG(), SSOR()), (GMRES(), ILU()), (GCRODR(restart=20, k=6), Jacobi()), (Direct(), None), (CG(), None)],
    ids=lambda value: type(value).__name__,
)
def test_every_answer_is_right(solver, M, warm_start):
    sequence = Sequence(solver, M=M, warm_start=warm_start)
    for A, b in path(6):
        result = sequence.solve(Sparse(A, props=SPD), b).check()
        assert relative_residual(A, result.x, b) <= 1.001e-8
    assert sequence.solved == 6


def test_refresh_on_change_is_the_default():
    sequence = Sequence(CG(), M=SSOR())
    (A, b), (changed, _) = path(2)
    operator = Sparse(A, props=SPD)
    results = [sequence.solve(operator, b), sequence.solve(operator, 2.0 * b)]
    operator.update(A=changed)
    results += [sequence.solve(operator, b), sequence.solve(operator, b)]
    assert [result.extra["refreshed"] for result in results] == [True, False, True, False]
    assert [result.extra["age"] for result in results] == [0, 1, 0, 1]
    assert sequence.rebuilt == 2


def test_refresh_follows_edits_of_a_foreign_matrix():
    A, b = path(1)[0]
    sequence = Sequence(GMRES(), M=ILU())
    first = sequence.solve(A, b).check()
    A.data *= 2.0
    second = sequence.solve(A, b).check()
    assert second.extra["refreshed"]
    assert np.allclose(second.x, 0.5 * first.x, rtol=1e-6)
    assert not sequence.solve(A.copy(), b).extra["refreshed"]  # the same values in another object


@pytest.mark.parametrize(
    ("refresh", "expected"),
    [
        (Refresh.ALWAYS, 6),
        (Refresh.ON_CHANGE, 6),
        (Refresh.EVERY(2), 3),
        (Refresh.EVERY(4), 2),
        (Refresh.WHEN_SLOW(50.0), 1),
        (Refresh.WHEN_SLOW(1.0001), 4),
        (Refresh.RESCALED, 1),
    ],
    ids=str,
)
def test_refresh_policies(refresh, expected):
    sequence = Sequence(GMRES(), M=Factorised(), refresh=refresh)
    results = run(sequence, path(6))
    rebuilt = sum(result.extra["refreshed"] for result in results)
    assert rebuilt == sequence.rebuilt
    if refresh == Refresh.WHEN_SLOW(1.0001):  # rebuilt once iterations have grown: every second system
        assert 2 <= rebuilt <= expected
    else:
        assert rebuilt == expected


def test_always_rebuilds_for_the_same_matrix_too():
    A, b = path(1)[0]
    sequence = Sequence(CG(), M=SSOR(), refresh=Refresh.ALWAYS)
    assert all(sequence.solve(A, b).extra["refreshed"] for _ in range(3))


def test_by_cost_rebuilds_when_the_time_lost_is_that_of_a_rebuild():
    assert Refresh.BY_COST.due(age(build=1.0), True, 1.5)
    assert not Refresh.BY_COST.due(age(build=1.0), True, 0.5)
    assert not Refresh.BY_COST.due(age(build=1.0), False, 1.5)


def age(build):
    from resolvent.solvers.sequences.refresh import Age

    return Age(3, 10, 14, build, 0.1, 0.2)


def test_max_age():
    sequence = Sequence(CG(), M=SSOR(), refresh=Refresh.WHEN_SLOW(100.0), max_age=3)
    assert [r.extra["refreshed"] for r in run(sequence, path(7))] == [True, False, False, True, False, False, True]


def test_rescaling_is_exact_for_a_diagonal_change():
    """A = D A_old D has the preconditioner D⁻¹ M D⁻¹: the same iterations as a fresh one of a scaled right side."""
    n = 24
    A = poisson(n)
    d = 1.0 + np.linspace(0.0, 2.0, n * n)
    scaled = sp.csr_array(sp.diags_array(d) @ A @ sp.diags_array(d))
    b = np.ones(n * n)
    exact = Sequence(CG(), M=Factorised(), refresh=Refresh.RESCALED)
    kept = Sequence(CG(maxiter=200), M=Factorised(), refresh=Refresh.WHEN_SLOW(1e9))
    for sequence in (exact, kept):
        sequence.solve(Sparse(A, props=SPD), b)
    assert exact.solve(Sparse(scaled, props=SPD), b).check().iterations <= 2
    assert kept.solve(Sparse(scaled, props=SPD), b).check().iterations > 10


def test_failure_with_an_old_preconditioner_triggers_a_rebuild():
    systems = [(diffusion(20, 1.5), np.ones(400)), (diffusion(20, 1e6), np.ones(400))]
    sequence = Sequence(CG(maxiter=25), M=Factorised(), refresh=Refresh.WHEN_SLOW(1e9))
    results = [sequence.solve(Sparse(A, props=SPD), b) for A, b in systems]
    assert all(result.converged for result in results)
    assert results[1].extra["refreshed"]
    assert results[1].counts.matvec > 25  # the failed attempt is paid for
    assert sequence.rebuilt == 2


def test_a_failure_that_is_not_the_preconditioners_is_reported():
    A, b = path(1)[0]
    sequence = Sequence(CG(maxiter=3), M=Jacobi())
    results = [sequence.solve(A, b) for _ in range(2)]
    assert [result.status for result in results] == [Status.MAXITER] * 2
    assert sequence.space is None


@pytest.mark.parametrize("other", [convection(20), poisson(12), poisson(20).astype(complex)])
def test_another_pattern_size_or_dtype_starts_anew(other):
    sequence = Sequence(GCRODR(restart=20, k=6), M=Jacobi(), warm_start="projected")
    A = poisson(20)
    sequence.solve(A, np.ones(400)).check()
    if other.nnz == A.nnz:
        other = sp.csr_array(other + sp.diags_array([0.1], offsets=[7], shape=other.shape))
    result = sequence.solve(other, np.ones(other.shape[0])).check()
    assert result.extra["refreshed"]
    assert result.extra["cold"]
    assert sequence.solved == 1


def test_recycling_along_a_path_saves_products():
    solver, systems = GCRODR(restart=24, k=10), path(8)
    chained = run(Sequence(solver, M=Jacobi()), systems)
    cold = [solver.solve(A, b, M=Jacobi()).check() for A, b in systems]
    assert sum(r.counts.products for r in chained[1:]) <= 0.75 * sum(r.counts.products for r in cold[1:])
    assert chained[0].extra["cold"] == "no space yet"
    assert all(not r.extra["cold"] and r.counts.setup in (10, 11) for r in chained[1:])


def test_pilot_spaces_do_not_depend_on_the_order():
    solver, systems = GCRODR(restart=24, k=8), path(6)
    forward = Sequence(solver, M=Jacobi(), spaces=Pilot(2), cold_every=None)
    backward = Sequence(solver, M=Jacobi(), spaces=Pilot(2), cold_every=None)
    a = run(forward, systems)
    b = run(backward, [*systems[:2], *systems[:1:-1]])
    for left, right in zip(a[2:], b[:1:-1], strict=True):
        assert np.array_equal(left.x, right.x)


def test_snapshots_and_given_vectors_as_spaces():
    systems = path(6)
    for policy in (Snapshots(k=3), Fixed(np.linalg.qr(np.random.default_rng(0).standard_normal((576, 5)))[0])):
        sequence = Sequence(GCRODR(restart=24, k=8), M=Jacobi(), spaces=policy, cold_every=None)
        results = run(sequence, systems)
        expected = min(3, 5) if isinstance(policy, Snapshots) else 5
        assert results[-1].extra["recycled"] == expected


def test_over_multigrid_recycling_is_a_no_op():
    solver, systems = GCRODR(restart=40, k=20), path(5)
    sequence = Sequence(solver, M=AMG())
    for A, b in systems:
        operator = Sparse(A, props=SPD)
        result, cold = sequence.solve(operator, b), solver.solve(operator, b, M=AMG())
        assert np.array_equal(result.x, cold.x)
        assert result.counts == cold.counts
    assert result.extra["cold"] == "a cold solve is too short for recycling to pay"


def test_unrelated_systems_suspend_recycling():
    """Random diagonal spectra share nothing: the loss stays below 5 % of always solving cold."""
    rng = np.random.default_rng(5)
    solver = GCRODR(restart=16, k=8, rtol=1e-8)
    sequence, total, cold, reasons = Sequence(solver, cold_every=10), 0, 0, []
    for _ in range(50):
        Q = np.linalg.qr(rng.standard_normal((150, 150)))[0]
        A = (Q * np.geomspace(1e-2, 1.0, 150)) @ Q.T
        b = rng.standard_normal(150)
        result = sequence.solve(A, b).check()
        total, reasons = total + result.counts.products, [*reasons, result.extra["cold"]]
        cold += solver.solve(A, b).check().counts.products
    assert "recycling did not pay" in reasons
    assert total <= 1.05 * cold


def test_the_guard_decides_by_products():
    guard = Benefit(interval=5)
    assert not guard.allows()
    guard.observe(100, 100, 10, recycled=False, drift=0.0)
    for _ in range(5):
        assert guard.allows()
        guard.observe(60, 60, 10, recycled=True, drift=0.1)
    assert not guard.allows()
    assert guard.reason == "a cold solve for comparison"
    guard.observe(100, 100, 10, recycled=False, drift=0.0)
    assert guard.allows()
    for _ in range(4):
        guard.observe(110, 90, 10, recycled=True, drift=0.1)
    for _ in range(10):
        assert not guard.allows()
        assert guard.reason == "recycling did not pay"
        guard.observe(100, 100, 10, recycled=False, drift=0.0)
    assert guard.allows()  # tried again


def test_large_drift_calls_for_a_comparison():
    guard = Benefit(interval=25)
    guard.observe(100, 100, 10, recycled=False, drift=0.0)
    for _ in range(2):
        guard.observe(90, 90, 10, recycled=True, drift=0.9)
    assert not guard.allows()
    assert guard.reason == "a cold solve for comparison"
    guard.observe(70, 70, 10, recycled=False, drift=0.0)
    assert not guard.allows()
    assert guard.reason == "recycling did not pay"


def test_harder_systems_are_compared_with_a_cold_solve_of_their_own():
    guard = Benefit(interval=25)
    guard.observe(100, 100, 10, recycled=False, drift=0.0)
    for products in (60, 70, 80, 90, 100, 110, 120, 130):
        assert guard.allows()
        guard.observe(products, products, 10, recycled=True, drift=0.1)
        if not guard.allows():
            break
    assert guard.reason == "a cold solve for comparison"
    guard.observe(220, 220, 10, recycled=False, drift=0.0)
    assert guard.allows()


def test_drift_asks_once_where_recycling_pays():
    guard, cold = Benefit(interval=25), 0
    for _ in range(25):
        recycled = guard.allows()
        cold += not recycled
        guard.observe(60 if recycled else 100, 60, 10, recycled=recycled, drift=0.9)
    assert cold == 2


def test_one_short_solve_does_not_suspend_recycling_for_good():
    guard = Benefit(interval=5)
    guard.observe(10, 10, 10, recycled=False, drift=0.0)
    assert not guard.allows()
    guard.observe(100, 100, 10, recycled=False, drift=0.0)
    assert guard.allows()


def test_guesses_keep_the_meaning_of_the_tolerance():
    systems = path(4)
    for warm_start in ("previous", "scaled", "projected"):
        for (A, b), result in zip(systems, run(Sequence(CG(), warm_start=warm_start), systems), strict=True):
            assert result.tolerance == pytest.approx(1e-8 * np.linalg.norm(b))
            assert relative_residual(A, result.x, b) <= 1.001e-8


def test_counts_include_guess_and_set_up():
    A, _ = path(1)[0]
    sequence = Sequence(CG(), warm_start="projected")
    operator, sides = Sparse(A, props=SPD), np.random.default_rng(0).standard_normal((4, A.shape[0]))
    setup = [sequence.solve(operator, b).counts.setup for b in sides]
    assert setup == [0, 2, 3, 4]  # one a direction, and one to scale


def test_direct_solver_keeps_its_analysis_along_a_sequence():
    sequence = Sequence(Direct())
    results = run(sequence, path(3))
    assert [r.iterations for r in results] == [1, 1, 1]


def test_fields_and_columns():
    A = Sparse(poisson(12), props=SPD, grid=(12, 12))
    sequence = Sequence(CG(), M=Jacobi(), warm_start="scaled")
    field = np.ones((12, 12))
    assert [sequence.solve(A, field).x.shape for _ in range(2)] == [(12, 12)] * 2
    sequence.reset()
    B = np.random.default_rng(0).standard_normal((144, 3))
    first, second = sequence.solve(A, B), sequence.solve(A, 2.0 * B)
    assert first.x.shape == (144, 3)
    assert second.iterations == 0  # the same solution, scaled
    projected = Sequence(CG(), warm_start="projected")
    projected.solve(A, B)
    assert projected.solve(A, B @ np.ones((3, 2))).check().iterations == 0


def test_a_preconditioner_given_as_an_operator_is_kept():
    (A, b), (changed, _) = path(2)
    M = Diagonal(1.0 / A.diagonal())
    sequence = Sequence(CG(), M=M)
    assert sequence.solve(A, b).converged
    assert not sequence.solve(changed, b).check().extra["refreshed"]


def test_memory_does_not_grow_over_a_thousand_solves():
    """Neither objects of Python nor memory of the process."""
    A, b = Sparse(poisson(20)), np.ones(400)
    sequence = Sequence(GCRODR(restart=12, k=4, rtol=1e-3), M=Jacobi(), warm_start="projected")
    rng = np.random.default_rng(0)

    def solve(times):
        for _ in range(times):
            A.update(data=A.matrix.data * (1.0 + 1e-5 * rng.standard_normal(A.nnz)))
            sequence.solve(A, b + 0.1 * rng.standard_normal(400))
        gc.collect()
        return np.array([sys.getallocatedblocks(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss])

    solve(100)
    before = solve(100)
    blocks, kibibytes = solve(1000) - before
    assert blocks < 300
    assert kibibytes < 4000


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"solver": CG}, TypeError, "CG()"),
        ({"solver": CG(), "refresh": "always"}, TypeError, "Refresh"),
        ({"solver": CG(), "warm_start": "best"}, ValueError, "previous"),
        ({"solver": CG(), "spaces": Pilot()}, TypeError, "recycles"),
        ({"solver": GCRODR(), "spaces": "pilot"}, TypeError, "SpacePolicy"),
        ({"solver": GCRODR(), "cold_every": 0}, ValueError, "cold_every"),
        ({"solver": CG(), "max_age": -1}, ValueError, "max_age"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        Sequence(**arguments)


def test_bad_policies():
    for make in (
        lambda: Refresh.EVERY(0),
        lambda: Refresh.WHEN_SLOW(1.0),
        lambda: Pilot(0),
        lambda: Snapshots(k=0),
    ):
        with pytest.raises(ValueError, match=r"must be|needs"):
            make()


def test_an_error_leaves_the_sequence_usable():
    A, b = path(1)[0]
    sequence = Sequence(CG(), M=Jacobi())
    sequence.solve(A, b).check()
    with pytest.raises(ValueError, match="b must have shape"):
        sequence.solve(A, np.ones(7))
    spoilt = A.copy()
    spoilt.setdiag(0.0)
    with pytest.raises(ValueError, match="divides by the diagonal"):
        sequence.solve(spoilt, b)
    assert sequence.solve(A, b).check().converged
