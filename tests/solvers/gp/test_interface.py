"""Bad input, the field that comes back, and what the solver may not know."""

import ast
from pathlib import Path

import numpy as np
import pytest

import resolvent.solvers.gp
from resolvent.solvers.gp import PDE, Dirichlet, Observations, laplacian, mixture, solve

UNIT = [(0.0, 1.0)]
LINE = PDE(UNIT, laplacian(1), lambda x: -np.sin(x), np.sin)


BRATU = (lambda u: 50.0 * np.exp(u), lambda u: 50.0 * np.exp(u))  # beyond 3.51 there is no solution


def square(**changes):
    base = {"box": UNIT * 2, "operator": laplacian(2), "source": 1.0, "boundary": 0.0}
    return PDE(**(base | changes))


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: PDE([(1.0, 0.0)], laplacian(1), 1.0), "must be an interval"),
        (lambda: PDE(UNIT * 4, laplacian(4), 1.0), "one to three axes"),
        (lambda: PDE(UNIT, {}, 1.0), "no terms"),
        (lambda: PDE(UNIT, {(2, 0): 1.0}, 1.0), "one an axis of the box"),
        (lambda: PDE(UNIT, {(4,): 1.0}, 1.0), "order at most 2"),
        (lambda: PDE(UNIT, {(2,): np.inf}, 1.0), "must be finite"),
        (lambda: PDE(UNIT, laplacian(1), 1.0, "zero"), "boundary must be"),
        (lambda: PDE(UNIT, laplacian(1), 1.0, 0.0, (lambda u: u**3, lambda u: u**2)), "derivative of N"),
        (lambda: PDE(UNIT, laplacian(1), 1.0, 0.0, source_noise=-1.0), "standard deviation"),
        (lambda: square(observations=Observations([[0.5, 1.5]], [1.0])), "lie in the box"),
        (lambda: square(observations=Observations([0.5], [1.0])), "coordinates"),
        (lambda: Observations([0.5, 0.6], [1.0]), "m points"),
        (lambda: Observations([np.nan], [1.0]), "must be finite"),
        (lambda: Dirichlet(0.0, sides=[(0, 2)]), "pairs"),
        (lambda: Dirichlet(0.0, noise=np.nan), "standard deviation"),
        (lambda: solve(LINE, method="magic"), "method must be"),
        (lambda: solve(LINE, n=(10, 10)), "one for each of the 1 axes"),
        (lambda: solve(LINE, n=2), "at least 4"),
        (lambda: solve(LINE, kernels=mixture([0.0]), eps=0.0), "positive jitter"),
        (lambda: solve(LINE.replace(boundary=0.0, nonlinear=BRATU)), "did not converge"),
        (lambda: solve(LINE, kernels=[mixture([0.0])] * 2), "one kernel"),
        (lambda: solve(square(), method="features"), "for one axis"),
        (lambda: solve(LINE.replace(source=lambda x: np.where(x > 0.5, np.nan, 1.0))), "not finite at"),
        (lambda: solve(LINE.replace(source=lambda x: 1j * x)), "must be real"),
        (lambda: solve(LINE.replace(source=np.ones(7)), n=9), "shape"),
        (lambda: solve(LINE.replace(boundary=Dirichlet(lambda x: x * np.nan))), "must be finite"),
        (lambda: solve(LINE, method="posterior", n=7000), "too many"),
        (lambda: solve(LINE.replace(source_noise=1.0), method="kernel"), "exact data"),
        (lambda: solve(LINE.replace(operator={(1,): 1.0})), "keep the inflow end"),
        (lambda: solve(LINE.replace(boundary=Dirichlet(0.0, [(0, 0)])), method="kernel"), "have data: give"),
        (lambda: solve(LINE.replace(boundary=[Dirichlet(0.0), Dirichlet(1.0, [(0, 0)])])), "given twice"),
        (lambda: solve(square(boundary=Dirichlet(0.0, [(2, 0)]))), "no side"),
    ],
)
def test_bad_input_is_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_frequencies_beyond_nyquist_name_the_grid_needed():
    u = lambda x: np.sin(500 * x)  # noqa: E731
    pde = PDE(UNIT, laplacian(1), lambda x: -25e4 * u(x), u)
    with pytest.raises(ValueError, match=r"frequency 500.* beyond Nyquist's limit 311.* n of at least 3(19|20)"):
        solve(pde, n=100)
    field = solve(pde, n=110, kernels=mixture([0.0, 500 / (2 * np.pi)], 0.0), eps=1e-10)
    x = np.linspace(0.0, 1.0, 1000)
    assert np.linalg.norm(field(x) - u(x)) < 1e-3 * np.linalg.norm(u(x))  # 1.4 nodes a wavelength, frequency known


@pytest.mark.parametrize("omega", [200.0, 511.0 * 2.0 * np.pi])
def test_a_frequency_that_a_sampling_folds_is_seen(omega):
    """At n nodes a frequency near 2π (n − 1) looks constant."""
    u = lambda x: np.sin(omega * x)  # noqa: E731
    pde = PDE(UNIT, laplacian(1), lambda x: -(omega**2) * u(x), u)
    with pytest.raises(ValueError, match="beyond Nyquist"):
        solve(pde, n=33)


def test_sides_that_contradict_each_other_at_a_corner():
    pieces = [Dirichlet(0.0, [(0, 0), (0, 1)]), Dirichlet(1.0, [(1, 0), (1, 1)])]
    with pytest.raises(ValueError, match="inconsistent boundary data"):
        solve(square(boundary=pieces))
    noisy = [Dirichlet(0.0, [(0, 0), (0, 1)], noise=0.1), Dirichlet(1.0, [(1, 0), (1, 1)], noise=0.1)]
    assert solve(square(boundary=noisy), n=8).method == "posterior"


def test_field_evaluates_anywhere_with_derivatives():
    field = solve(LINE)
    x = np.linspace(0.0, 1.0, 12).reshape(3, 4)
    assert np.abs(field(x) - np.sin(x)).max() < 1e-12
    assert np.abs(field(x, orders=[1]) - np.cos(x)).max() < 1e-10
    assert np.abs(field(x, orders=[3]) + np.cos(x)).max() < 1e-5
    assert field(0.5).shape == () and field.error(x).shape == (3, 4)
    for call, message in (
        (lambda: field(1.5), "must lie in the box"),
        (lambda: field(0.1, 0.2), "give 1 coordinates"),
        (lambda: field(0.1, orders=[-1]), "orders must be"),
        (lambda: field.samples(2, 0.5, rng=0), "no posterior"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert "estimated from its defect" in str(field) and "features" in repr(field)


def test_zero_data_give_zero():
    assert not solve(PDE(UNIT, laplacian(1), 0.0, 0.0))(np.linspace(0, 1, 5)).any()
    x = np.linspace(0.0, 1.0, 5)
    assert not solve(square(source=0.0), n=12).on_grid([x, x]).any()


def test_fields_are_drawn():
    rng = np.random.default_rng(0)
    line = LINE.replace(source_noise=0.1, observations=Observations([0.5], [np.sin(0.5)], 0.1))
    assert [ax.get_ylabel() for ax in solve(line, n=20, kernels=mixture([0.0])).plot(n=50).axes] == ["u"]
    noisy = square(source=rng.standard_normal((6, 6)), source_noise=1.0)
    titles = [ax.get_title() for ax in solve(noisy, kernels=mixture([0.0])).plot(n=20).axes]
    assert "standard deviation" in titles


def test_values_at_nodes_fix_the_grid():
    x = np.linspace(0.0, 1.0, 80)
    field = solve(PDE(UNIT, laplacian(1), -np.sin(x), Dirichlet(np.array([0.0]), [(0, 0)])).replace(
        boundary=[Dirichlet(0.0, [(0, 0)]), Dirichlet(np.sin(1.0), [(0, 1)])]
    ))  # fmt: skip
    assert field.nodes[0].size == 80
    assert np.abs(field(x) - np.sin(x)).max() < 1e-9


def test_adam_is_a_method():
    field = solve(LINE, method="adam", n=20, updates=5)
    assert field.method == "adam" and field.diagnostics["updates"] == 5
    with pytest.raises(ValueError, match="no error estimate"):
        field.error(0.5)


def test_solver_and_choice_know_no_problems():
    folder = Path(resolvent.solvers.gp.__file__).parent
    names = [
        alias
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in [getattr(node, "module", "") or "", *(a.name for a in node.names)]
    ]
    assert not [name for name in names if "datasets" in name or "multiscale" in name]
