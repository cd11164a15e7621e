"""Fixed kernels, choice by the defect, Newton–Krylov and boxes of two and three dimensions."""

import tracemalloc

import numpy as np
import pytest

from resolvent.datasets.multiscale import multiscale_problem
from resolvent.solvers.gp import PDE, Dirichlet, laplacian, mixture, solve, solve_chebyshev
from resolvent.solvers.gp.collocation import Collocation
from resolvent.solvers.gp.defect import difference_matrix, estimate_defect
from resolvent.solvers.gp.direct import solve_by_choice, solve_direct, source_kernels
from resolvent.solvers.gp.interpolant import KernelInterpolant
from resolvent.solvers.gp.kernel_axis import KernelAxis, refined


def direct(problem, shape=None, **options):
    shape_of, log_ls, eps = problem.kernel
    nodes = problem.pde.grid(shape or problem.nodes)
    kernels = source_kernels(problem.pde, nodes, log_ls, shape_of)
    return solve_direct(problem.pde, [KernelAxis(k, x) for k, x in zip(kernels, nodes, strict=True)], eps, **options)


@pytest.mark.parametrize("name", ["u1", "u2", "u3", "u4", "u5"])
def test_lines_with_the_settings_of_the_reference(name):
    problem = multiscale_problem(name)
    assert problem.error(direct(problem).function) <= 5e-6


@pytest.mark.parametrize("name", ["u1", "u3", "u5"])
def test_choice_by_the_defect_sees_no_solution(name):
    problem = multiscale_problem(name)
    solution = solve_by_choice(problem.pde, problem.pde.grid(problem.nodes))
    assert problem.error(solution.function) <= 1e-5
    assert len(solution.tried) >= 20
    assert solution.defect.error == min(t.defect.error for t in solution.tried)


@pytest.mark.acceptance
@pytest.mark.parametrize("name", ["u2", "u4"])
def test_choice_by_the_defect_on_long_grids(name):
    problem = multiscale_problem(name)
    assert problem.error(solve_by_choice(problem.pde, problem.pde.grid(problem.nodes)).function) <= 1e-5


def test_defect_is_the_size_of_the_error():
    ratios = []
    for name in ("u1", "u3", "u5"):
        problem = multiscale_problem(name)
        nodes = problem.pde.grid(problem.nodes)
        for log_ls in (-4.0, -2.0, 0.0):
            axis = KernelAxis(source_kernels(problem.pde, nodes, log_ls)[0], nodes[0])
            for eps in (1e-6, 1e-8, 1e-10):
                solution = solve_direct(problem.pde, [axis], eps, corrections=0)
                error = problem.error(solution.function)
                if error < 1e-2:
                    ratios.append(estimate_defect(problem.pde, solution.function, nodes).error / error)
    assert len(ratios) >= 20
    assert 0.5 <= np.median(ratios) <= 2.0


def test_a_small_residual_does_not_hide_a_boundary_error():
    """With a large jitter the equation is met and the boundary is not: the defect says so."""
    problem = multiscale_problem("u3")
    nodes = problem.pde.grid(problem.nodes)
    axis = KernelAxis(source_kernels(problem.pde, nodes, -2.0)[0], nodes[0])
    solution = solve_direct(problem.pde, [axis], 1e-4, corrections=0)
    defect = estimate_defect(problem.pde, solution.function, nodes)
    error = problem.error(solution.function)
    assert defect.residual < 1e-2 * error
    assert 0.3 < defect.error / error < 3.0


def test_square_of_400_nodes_with_linear_memory():
    problem = multiscale_problem("u6")
    direct(problem, (40, 40))  # what is imported and compiled is not counted
    tracemalloc.start()
    solution = direct(problem)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert problem.error(solution.function) <= 1e-7
    n = 400
    assert peak <= 40 * 8 * (n * n + 2 * n * n)  # arrays of the grid, and squares of the axes


@pytest.mark.parametrize("recycle", [False, True])
def test_newton_krylov(recycle):
    problem = multiscale_problem("a3")
    solution = direct(problem, (100, 100), recycle=recycle)
    assert problem.error(solution.function) <= 5e-6
    assert len(solution.newton) <= 6
    assert solution.solve.matvecs <= 60


def test_recycling_takes_fewer_products():
    """Coefficients that change strongly from step to step, so that there is something to recycle."""
    u = lambda x, y: 4.0 * np.sin(7 * x) * np.cos(5 * y)  # noqa: E731
    pde = PDE(
        [(0.0, 1.0)] * 2,
        laplacian(2),
        lambda x, y: -74.0 * u(x, y) - 20.0 * u(x, y) ** 3,
        u,
        nonlinear=(lambda u: -20.0 * u**3, lambda u: -60.0 * u**2),
    )
    kernels = [mixture([0.0, 1.0], 1.0)] * 2
    axes = [KernelAxis(k, x) for k, x in zip(kernels, pde.grid((40, 40)), strict=True)]
    plain, recycled = (solve_direct(pde, axes, 1e-11, recycle=r) for r in (False, True))
    assert np.abs(plain.U - recycled.U).max() < 1e-5 * np.abs(plain.U).max()
    assert recycled.solve.matvecs < plain.solve.matvecs


def test_advection_from_inflow_only():
    problem = multiscale_problem("v1")
    assert set(problem.pde.sides) == {(0, 0), (1, 0)}
    assert problem.error(direct(problem).function) <= 1e-6


@pytest.mark.parametrize("name", ["u7", "v1"])
def test_defect_in_two_dimensions(name):
    problem = multiscale_problem(name)
    solution = direct(problem)
    defect = estimate_defect(problem.pde, solution.function, problem.pde.grid(problem.nodes))
    assert 0.5 <= defect.error / problem.error(solution.function) <= 2.0


def test_cube():
    u = lambda x, y, z: np.sin(9 * x) * np.cos(7 * y + z)  # noqa: E731
    pde = PDE([(0.0, 1.0)] * 3, laplacian(3), lambda x, y, z: -131.0 * u(x, y, z), u)
    field = solve(pde, n=20, kernels=[mixture([0.0, w / (2 * np.pi)], -1.0) for w in (9.0, 7.0, 1.0)], eps=1e-11)
    x = np.linspace(0.0, 1.0, 14)
    exact = u(x[:, None, None], x[:, None], x)
    error = np.linalg.norm(field.on_grid([x] * 3) - exact) / np.linalg.norm(exact)
    assert error < 1e-4
    assert 0.2 < field.defect.error / error < 5.0


def test_variable_and_mixed_coefficients_are_solved_by_krylov():
    u = lambda x, y: np.sin(3 * x + y)  # noqa: E731
    operator = {(2, 0): lambda x, y: 1.0 + 0.3 * x * y, (0, 2): 1.0, (1, 1): 0.4, (1, 0): 2.0, (0, 0): -1.0}
    source = lambda x, y: (  # noqa: E731
        -(9.0 * (1.0 + 0.3 * x * y) + 1.0 + 1.2 + 1.0) * u(x, y) + 6.0 * np.cos(3 * x + y)
    )
    pde = PDE([(0.0, 1.0), (0.0, 2.0)], operator, source, u)
    x, y = np.linspace(0, 1, 11), np.linspace(0, 2, 9)
    classical = solve_chebyshev(pde, (20, 20))[0]
    assert np.abs(classical.on_tensor([x, y], (0, 0)) - u(x[:, None], y)).max() < 1e-8
    field = solve(pde, n=30, kernels=mixture([0.0], 0.0), eps=1e-12)
    error = np.abs(field.on_grid([x, y]) - u(x[:, None], y)).max()
    assert error < 1e-3
    assert field.defect.error > 0.1 * error


def test_chebyshev_and_differences_share_the_code():
    u = lambda x, y: np.sin(4 * x) * np.exp(y)  # noqa: E731
    pde = PDE([(0.0, 1.0)] * 2, laplacian(2), lambda x, y: -15.0 * u(x, y), u)
    x = np.linspace(0.0, 1.0, 21)
    exact = u(x[:, None], x)
    assert np.abs(solve_chebyshev(pde, (20, 20))[0].on_tensor([x, x], (0, 0)) - exact).max() < 1e-11
    errors = []
    for n in (21, 41):
        nodes = pde.grid((n, n))
        matrices = [{2: difference_matrix(nodes[0], 2, (True, True))}] * 2
        U, _ = Collocation(pde, nodes, matrices).solve()
        errors.append(np.abs(U - u(nodes[0][:, None], nodes[1])).max())
    assert 3.5 < errors[0] / errors[1] < 4.5


def test_interpolant_is_the_same_point_by_point_and_on_grids():
    rng = np.random.default_rng(0)
    axes = [KernelAxis(mixture([0.0, 1.0], 1.0), np.linspace(0.0, 1.0, n)) for n in (9, 12)]
    f = KernelInterpolant(axes, rng.standard_normal((9, 12)), 1e-6)
    for orders in ((0, 0), (2, 0), (1, 1)):
        fine = [refined(a.x, 3) for a in axes]
        grid = f.on_tensor(fine, orders)
        scale = np.abs(grid).max()
        assert np.abs(f.refined(3, orders) - grid).max() < 1e-8 * scale
        points = np.stack([x.ravel() for x in np.meshgrid(*fine, indexing="ij")], axis=1)
        assert np.abs(f.at(points, orders) - grid.ravel()).max() < 1e-8 * scale
    assert np.abs(f.at_nodes((0, 0)) - f.U).max() < 1e-2


@pytest.mark.parametrize("ends", [[(0, 0)], [(0, 1)]])
def test_first_order_equations_go_from_their_end(ends):
    u = lambda x: np.exp(-x) * np.sin(9 * x)  # noqa: E731
    pde = PDE([(0.0, 1.0)], {(1,): 1.0, (0,): 1.0}, lambda x: 9.0 * np.exp(-x) * np.cos(9 * x), Dirichlet(u, ends))
    field = solve(pde)
    x = np.linspace(0.0, 1.0, 50)
    assert np.abs(field(x) - u(x)).max() < 1e-8
    assert field.defect.error < 1e-8
    kernel = solve(pde, method="kernel", n=60)
    assert np.abs(kernel(x) - u(x)).max() < 1e-5


def test_operators_of_kernels_give_the_same_differentiation_matrices():
    from resolvent.operators import KernelDiff
    from resolvent.solvers.gp.kernel_axis import KernelAxis

    k, x = mixture([0.0, 2.0], 0.0), np.linspace(0.0, 1.0, 15)
    for order in (1, 2):
        expected = KernelAxis(k, x).differentiation(order, 1e-8)
        assert np.abs(KernelDiff(k, x, order, eps=1e-8).to_dense() - expected).max() < 1e-6 * np.abs(expected).max()
