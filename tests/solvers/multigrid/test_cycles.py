"""Cycles on numpy and torch, for one system and many members; adjoints, precision, work, storage and printing."""

import pickle
import threading
import tracemalloc

import numpy as np
import pytest

from resolvent.datasets.families import Darcy2D
from resolvent.operators import SPD, Props, Sparse, Stencil, StructureError, check_operator
from resolvent.solvers import CG, GeometricMultigrid
from resolvent.solvers.multigrid import Hierarchy, hierarchy
from resolvent.solvers.multigrid.backend import NumpyBackend
from resolvent.solvers.multigrid.network import Network
from resolvent.solvers.multigrid.smoothers import SMOOTHERS

from ..conformance import poisson
from .boxes import closures, dense, diffusion, random_network, smooth_coefficient

DEVICE_SMOOTHERS = [name for name in SMOOTHERS if name != "gauss_seidel"]


def slices(network):
    """The members one by one."""
    for b in range(network.members):
        faces = tuple(np.ascontiguousarray(t[..., b : b + 1]) for t in network.faces)
        yield Network(faces, np.ascontiguousarray(network.shift[..., b : b + 1]), network.periodic)


@pytest.mark.parametrize("smoother", SMOOTHERS)
def test_members_are_independent(smoother, rng):
    for grid in ((9,), (8, 7), (4, 5, 3)):
        for closed in closures(len(grid), 3, rng):
            network = random_network(grid, closed, rng, spread=2.0, members=5)
            network.faces[0][...] *= 100.0  # the axis of lines is that of the mean over members
            X = rng.standard_normal((network.cells, 5))
            X[:, 2] = np.nan
            # Which axes are coarsened is decided for all members together.
            for options in ({"coarsening": "full"}, {"coarsening": "full", "cycle": "W", "interpolation": "operator"}):
                recipe = GeometricMultigrid(smoother, **options)
                Y = recipe.of_network(network) @ X
                for b, single in enumerate(slices(network)):
                    y = recipe.of_network(single) @ X[:, b]
                    np.testing.assert_allclose(Y[:, b], y, rtol=1e-12, atol=1e-13 * abs(np.nan_to_num(y)).max())
                assert np.isnan(Y[:, 2]).any() and np.isfinite(Y[:, [0, 1, 3, 4]]).all()


def test_members_take_one_column_each(rng):
    M = GeometricMultigrid().of_network(random_network((4, 4), ("dirichlet",) * 2, rng, members=3))
    with pytest.raises(ValueError, match=r"3 members takes 3 columns, one for each, got 2"):
        M.matmat(np.ones((16, 2)))
    assert "3 members" in repr(M)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("smoother", DEVICE_SMOOTHERS)
def test_torch_gives_the_numbers_of_numpy(smoother, dtype, rng):
    torch = pytest.importorskip("torch")
    for grid in ((9,), (6, 7), (4, 3, 5)):
        for closed in closures(len(grid), 3, rng):
            network = random_network(grid, closed, rng, members=3, shift=0.1, dtype=dtype)
            tensors = tuple(torch.as_tensor(t) for t in network.faces)
            on_torch = Network(tensors, torch.as_tensor(network.shift), network.periodic)
            X = rng.standard_normal((network.cells, 3)).astype(dtype)
            for options in ({}, {"cycle": "W", "sweeps": 2}, {"cycle": "F", "interpolation": "linear"}):
                recipe = GeometricMultigrid(smoother, **options)
                y = recipe.of_network(network) @ X
                z = recipe.of_network(on_torch) @ torch.as_tensor(X)
                assert z.dtype == torch.as_tensor(X).dtype
                np.testing.assert_allclose(z.numpy(), y, rtol=0.0, atol=50 * np.finfo(dtype).eps * abs(y).max())


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
@pytest.mark.parametrize("precision", ["double", "single"])
def test_a_tensor_is_solved_where_it_lies(precision, rng):
    torch = pytest.importorskip("torch")
    A = diffusion(smooth_coefficient(24, 1e2))
    b = rng.standard_normal(576)
    recipe = GeometricMultigrid(precision=precision)
    expected = CG().solve(A, b, M=recipe)
    T = A.to_torch()
    M = recipe(T)
    assert M._holds_torch() and M.device == "cpu"
    result = CG().solve(T, torch.as_tensor(b), M=recipe)
    assert result.converged and result.iterations == expected.iterations
    np.testing.assert_allclose(result.x.numpy(), expected.x, atol=1e-7 * abs(expected.x).max())
    check_operator(M, rtol=1e-4 if precision == "single" else None).check()
    with pytest.raises(StructureError, match="smoother='red_black'"):
        GeometricMultigrid("gauss_seidel")(T)
    x = torch.as_tensor(b).requires_grad_()
    assert not (M @ x).requires_grad


def test_a_periodic_tensor(rng):
    torch = pytest.importorskip("torch")
    from resolvent.operators._torch import Tensor

    network = random_network((5, 6), ("periodic", "mixed"), rng)
    matrix = dense(network)
    M = GeometricMultigrid()(Tensor(torch.as_tensor(matrix), grid=(5, 6)))
    expected = GeometricMultigrid()(Sparse(matrix, grid=(5, 6)))
    np.testing.assert_allclose((M @ torch.eye(30, dtype=torch.float64)).numpy(), expected.to_dense(), atol=1e-13)


# Cycles --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoother", SMOOTHERS)
def test_the_adjoint_of_an_f_cycle(smoother, rng):
    network = random_network((9, 8), ("mixed", "dirichlet"), rng)
    M = GeometricMultigrid(smoother, cycle="F").of_network(network)
    matrix = M.to_dense()
    np.testing.assert_allclose(M.rmatmat(np.eye(72)), matrix.T, atol=1e-13 * abs(matrix).max())
    assert abs(matrix - matrix.T).max() > 1e-8 * abs(matrix).max() and M.not_self_adjoint


def test_f_and_w_cycles_are_the_products_they_stand_for(rng):
    """From a second level on: one correction after the other."""
    network = random_network((8,), ("dirichlet",), rng)
    kinds = {kind: GeometricMultigrid("jacobi", cycle=kind).of_network(network) for kind in "VWF"}
    A = dense(network)
    errors = {kind: np.linalg.eigvals(np.eye(8) - M.to_dense() @ A) for kind, M in kinds.items()}
    radius = {kind: abs(values).max() for kind, values in errors.items()}
    assert radius["W"] <= radius["F"] * 1.0001 <= radius["V"] * 1.0002 < 1.0


def test_a_w_cycle_is_damped_where_the_coarse_cycle_overshoots():
    rng = np.random.default_rng(3)
    network = random_network((16, 16), ("dirichlet",) * 2, rng, spread=3.0, members=2)
    for t in network.faces:
        t[..., 1] = 1.0
    M = GeometricMultigrid(cycle="W").of_network(network)
    damping = M.cycles._damping[1]
    assert damping is not None and damping[0] < 1.0 and damping[1] == 1.0


def test_without_damping_a_w_cycle_can_be_indefinite():
    lowest = []
    for seed in range(12):
        network = random_network((6, 6), ("neumann", "dirichlet"), np.random.default_rng(seed), spread=3.0)
        M = GeometricMultigrid(cycle="W").of_network(network)
        assert np.linalg.eigvalsh(M.to_dense()).min() > 0.0
        M.cycles._damping = [None] * M.levels
        lowest.append(np.linalg.eigvalsh(M.to_dense()).min())
    assert min(lowest) < 0.0


@pytest.mark.parametrize("cycle", ["V", "W"])
def test_claims(cycle):
    A = diffusion(np.ones((6, 6)))
    assert GeometricMultigrid(cycle=cycle)(A).props & SPD == SPD
    insulated = Stencil.from_transmissibilities([np.array([0.0, 1.0, 1.0, 2.0, 0.0])])
    assert Props.SINGULAR in insulated.props
    M = GeometricMultigrid(cycle=cycle)(insulated)
    assert Props.SINGULAR not in M.props and np.linalg.eigvalsh(M.to_dense()).min() > 0.0
    check_operator(M).check()
    assert GeometricMultigrid(cycle=cycle)(Sparse(poisson(4), grid=(4, 4))).props == Props.NONE
    assert GeometricMultigrid(cycle="F").claims(A) == Props.NONE


def test_single_precision_inside_of_double(rng):
    A = diffusion(smooth_coefficient(32, 1e3))
    recipe = GeometricMultigrid(precision="single")
    M, full = recipe(A), GeometricMultigrid()(A)
    b = rng.standard_normal(1024)
    assert M.dtype == np.float64 and M.cycles.levels.dtype == np.float32
    np.testing.assert_allclose(M @ b, full @ b, rtol=0.0, atol=1e-5 * abs(full @ b).max())
    for scale in (1e-200, 1e-60, 1e60, 1e200):  # far outside of single precision
        np.testing.assert_allclose((M @ (scale * b)) / scale, M @ b, rtol=1e-5, atol=1e-6 * abs(M @ b).max())
    for factor in (1e-60, 1e60):  # entries outside of it
        large = Stencil(A.coefficients * factor, A.offsets, mirrored=True, props=A.props)
        np.testing.assert_allclose((recipe(large) @ b) * factor, M @ b, rtol=0.0, atol=1e-6 * abs(M @ b).max())
    assert CG(rtol=1e-12).solve(A, b, M=recipe).iterations <= CG(rtol=1e-12).solve(A, b, M=full).iterations + 1
    check_operator(M, rtol=1e-4).check()
    assert (recipe(A) @ np.zeros(1024) == 0.0).all()
    single = recipe(Stencil(A.coefficients.astype(np.float32), A.offsets, mirrored=True, props=A.props))
    assert single.dtype == np.float32
    check_operator(single).check()


@pytest.mark.parametrize("smoother", SMOOTHERS)
def test_second_order_is_untouched(smoother):
    errors = []
    for n in (16, 32):
        family = Darcy2D(resolution=n)
        inputs, exact = family.manufactured()
        A, b = family.assemble(inputs)
        x = CG(rtol=1e-12).solve(A, b, M=GeometricMultigrid(smoother)).check().x
        errors.append(abs(x - exact["u"].ravel()).max())
    assert 1.8 < np.log2(errors[0] / errors[1]) < 2.3


# Work, storage, copies -----------------------------------------------------------------------------------------------


def test_work_of_a_v_cycle(monkeypatch, rng):
    """Multiply-adds a cell of the finest grid: 4 half-sweeps of 2d + 1, a residual of 2d + 2, transfers; times 4/3."""
    done = 0

    def counting(name, operands):
        plain = getattr(NumpyBackend, name)

        def counted(self, *args):
            nonlocal done
            done += args[operands].size
            plain(self, *args)

        monkeypatch.setattr(NumpyBackend, name, counted)

    counting("multiply", 2)
    counting("subtract", 2)
    counting("add_product", 2)
    monkeypatch.setattr(hierarchy, "FUSED_FROM", 10**9)
    M = GeometricMultigrid()(diffusion(np.ones((64, 64))))
    x = rng.standard_normal(4096)
    done = 0
    M @ x
    # The first half-sweep from zero has one product a cell; two transfers along the last axis take 2 products a fine
    # cell each, along the first half of that.
    per_cell = 0.5 * 1 + 3 * 0.5 * 5 + 6 + 2 * (2 + 1)
    assert done / 4096 == pytest.approx(4.0 / 3.0 * per_cell, rel=0.03)


def test_nothing_of_the_size_of_a_vector_is_allocated_but_what_numpy_buffers():
    A = diffusion(np.ones((400, 400)))
    M = GeometricMultigrid()(A)
    X, out = np.ones((160_000, 1)), np.empty((160_000, 1))
    M._matmat_into(X, out)
    tracemalloc.start()
    M._matmat_into(X, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 8 * 8192  # three operands of a strided loop, and views


def test_updates_take_over_work_arrays_and_leave_the_old_one_alone(rng):
    A = diffusion(smooth_coefficient(20, 10.0))
    recipe = GeometricMultigrid()
    M = recipe(A)
    b = rng.standard_normal(400)
    before = M @ b
    A.update(coefficients=A.coefficients * 2.0)
    again = recipe.update(M, A)
    assert again.cycles._local is M.cycles._local
    np.testing.assert_allclose(again @ b, 0.5 * before, rtol=1e-12)
    np.testing.assert_array_equal(M @ b, before)
    other = recipe.update(M, diffusion(np.ones((21, 19))))
    assert other.shape == (399, 399) and other.cycles._local is not M.cycles._local


def test_copies_and_threads(rng):
    M = GeometricMultigrid(cycle="W")(diffusion(smooth_coefficient(20, 10.0)))
    b = rng.standard_normal(400)
    expected = M @ b
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(M)) @ b, expected)
    found = []
    threads = [threading.Thread(target=lambda: found.extend(M @ b for _ in range(5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    for y in found:
        np.testing.assert_array_equal(y, expected)


def test_the_hierarchy_is_printed():
    M = GeometricMultigrid(sweeps=2)(diffusion(np.ones((12, 20))))
    assert isinstance(M, Hierarchy)
    assert repr(M) == (
        "Hierarchy(240 x 240, float64, V(2,2) cycle, red black, 6 levels, operator complexity 1.34, positive definite)"
    )
    lines = str(M).splitlines()
    assert lines[2].split() == ["0", "12", "x", "20", "240"] and lines[7].split() == ["5", "1", "x", "1", "1"]
    assert lines[8] == "complexity 1.35 (grid), 1.34 (operator)"
    assert "measured rate 0." in M.describe(rng=1)


def test_measured_rate_is_the_spectral_radius(rng):
    for closed in (("dirichlet", "mixed"), ("neumann", "neumann"), ("periodic", "neumann")):
        network = random_network((8, 7), closed, rng)
        M = GeometricMultigrid("jacobi").of_network(network)
        E = np.eye(56) - M.to_dense() @ dense(network)
        if M.singular:
            E -= E @ np.full((56, 56), 1.0 / 56)
            E -= np.full((56, 56), 1.0 / 56) @ E
        assert M.measured_rate(0, 60) == pytest.approx(abs(np.linalg.eigvals(E)).max(), rel=0.02)
    exact = GeometricMultigrid("lines").of_network(random_network((9,), ("dirichlet",), rng))
    assert exact.measured_rate(0) < 1e-10
