"""Changes, refusals, storage, threads and other ways to use the fused multigrid."""

import dataclasses
import pickle
import threading
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import Dense, Diagonal, Ensemble, Function, Props, Sparse, Stencil, StructureError
from resolvent.solvers import CG, Direct, GeometricMultigrid, Jacobi, MultigridCG, solve
from resolvent.solvers.sequences import Sequence

from .boxes import random_network
from .systems import darcy, neumann, ring, stencil, systems


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


@pytest.mark.parametrize(
    ("dim", "precision", "limit"), [(2, "single", 103), (2, "double", 142), (3, "single", 123), (3, "double", 166)]
)
def test_storage_is_as_documented(dim, precision, limit):
    A, b = darcy(256 if dim == 2 else 40, dim=dim)
    prepared = MultigridCG(precision=precision).prepare(A)
    prepared.update(A)
    prepared.solve(b)
    kept = prepared._state.nbytes
    assert 0.9 * limit <= kept / A.shape[0] <= 1.05 * limit
    prepared.update(A)
    prepared.solve(b)
    assert prepared._state.nbytes == kept


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
