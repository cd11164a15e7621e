"""Convection–diffusion: entries against a flux balance, limits, observed orders, structure, the pipeline, bad input."""

import itertools

import numpy as np
import pytest

from resolvent.datasets import generate, verify
from resolvent.datasets.families import ConvectionDiffusion2D, get
from resolvent.datasets.families.convection_diffusion import _bernoulli
from resolvent.datasets.schemes.manufactured import observed_order
from resolvent.datasets.seeding import sample_rng
from resolvent.operators import Props, Stencil, check_operator
from resolvent.solvers import GMRES, ILU, Direct

SCHEMES = ("centred", "upwind", "exponential")


def flux(scheme, w, u_p, u_q, h, epsilon):
    """Flux from P to Q with the wind w in that direction."""
    diffusive = -epsilon * (u_q - u_p) / h
    if scheme == "centred":
        return w * (u_p + u_q) / 2 + diffusive
    if scheme == "upwind":
        return (w * u_p if w > 0 else w * u_q) + diffusive
    # The constant flux of w u − ε u' = F with the two end values.
    z = w * h / epsilon
    return w * (u_p * np.exp(z) - u_q) / np.expm1(z) if abs(z) > 1e-12 else diffusive + w * u_p


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_operator_is_the_flux_balance(scheme, rng):
    family = ConvectionDiffusion2D(resolution=7, scheme=scheme)
    inputs = family.draw(rng)
    A, b = family.assemble(inputs)
    u = np.pad(rng.standard_normal((5, 5)), 1)
    h, psi, epsilon = family.h, inputs["psi"], 1.0 / float(inputs["peclet"])
    corner = (psi[:-1, :-1] + psi[1:, :-1] + psi[:-1, 1:] + psi[1:, 1:]) / 4  # ψ where the faces end
    expected = np.zeros((5, 5))
    for i, j in itertools.product(range(1, 6), range(1, 6)):
        # Along a face w·n is the difference of ψ between its ends.
        right, left = (corner[i, j] - corner[i, j - 1]) / h, (corner[i - 1, j] - corner[i - 1, j - 1]) / h
        upper, lower = -(corner[i, j] - corner[i - 1, j]) / h, -(corner[i, j - 1] - corner[i - 1, j - 1]) / h
        assert right - left + upper - lower == pytest.approx(0.0, abs=1e-12 / h)
        total = flux(scheme, right, u[i, j], u[i + 1, j], h, epsilon) - flux(
            scheme, left, u[i - 1, j], u[i, j], h, epsilon
        )
        total += flux(scheme, upper, u[i, j], u[i, j + 1], h, epsilon) - flux(
            scheme, lower, u[i, j - 1], u[i, j], h, epsilon
        )
        expected[i - 1, j - 1] = total / h
    np.testing.assert_allclose(A @ u[1:-1, 1:-1], expected, atol=1e-10 * abs(expected).max())
    np.testing.assert_array_equal(b, 1.0)


@pytest.mark.parametrize(("scheme", "order"), [("auto", 2), ("centred", 2), ("exponential", 2), ("upwind", 1)])
def test_observed_order(scheme, order):
    study = observed_order(ConvectionDiffusion2D(scheme=scheme), (33, 65, 129))
    assert study.within(order, 0.1), study.table()


@pytest.mark.parametrize(("peclet", "chosen", "order"), [(20.0, "centred", 2), (2000.0, "upwind", 1)])
def test_the_automatic_scheme_has_the_order_of_the_one_it_takes(peclet, chosen, order):
    errors = []
    for n in (65, 129, 257):
        family = ConvectionDiffusion2D(resolution=n)
        inputs, exact = family.manufactured(peclet)
        assert family._chosen(inputs) == chosen
        u = family.expand(Direct().solve(*family.assemble(inputs)).x, inputs)["u"]
        errors.append(np.abs(u - exact["u"]).max())
    observed = np.log2(np.array(errors[:-1]) / errors[1:])
    assert observed[-1] == pytest.approx(order, abs=0.1), observed


def test_the_scheme_changes_where_the_cell_peclet_number_is_two(rng):
    family = ConvectionDiffusion2D(resolution=17)
    inputs = family.draw(rng) | {"peclet": np.asarray(1.0)}
    limit = 2.0 / family.cell_peclet(inputs)
    for factor, chosen in ((0.999, "centred"), (1.001, "upwind")):
        assert family._chosen(inputs | {"peclet": np.asarray(factor * limit)}) == chosen


def test_peclet_numbers_are_log_uniform_and_stored(tmp_path):
    family = ConvectionDiffusion2D(resolution=9)
    drawn = np.log10([family.draw(sample_rng(0, 3, i))["peclet"] for i in range(300)])
    assert 1.0 <= drawn.min() < 1.1 and 3.9 < drawn.max() <= 4.0
    assert np.mean(drawn) == pytest.approx(2.5, abs=0.15) and np.mean(drawn < 2.0) == pytest.approx(1 / 3, abs=0.08)
    ds = generate(family, 3, out=tmp_path / "set.h5", chunk=3, two_grid=0)
    np.testing.assert_array_equal(ds.column("peclet"), [family.draw(sample_rng(0, 3, i))["peclet"] for i in range(3)])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_without_wind_it_is_diffusion(scheme):
    family = ConvectionDiffusion2D(resolution=9, scheme=scheme)
    A, _ = family.assemble({"psi": np.zeros((9, 9)), "peclet": np.asarray(4.0)})
    matrix = A.to_sparse()
    assert abs(matrix - matrix.T).max() < 1e-12 * abs(matrix).max()
    np.testing.assert_allclose(A.diagonal(), 4.0 * 8.0**2 / 4.0)


def test_exponential_weights_near_their_limits():
    z = np.array([-800.0, -50.0, -1e-3, -1e-5, 0.0, 1e-9, 1e-5, 1e-3, 0.5, 50.0, 800.0])
    found = _bernoulli(z, "exponential")
    with np.errstate(over="ignore", invalid="ignore"):
        expected = z / np.expm1(z)
    expected[4] = 1.0
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-300)
    np.testing.assert_allclose(_bernoulli(-z, "exponential") - found, z, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("peclet", [10.0, 300.0, 1e4])
@pytest.mark.parametrize("scheme", ["auto", *SCHEMES])
def test_structure_and_claims(scheme, peclet, rng):
    family = ConvectionDiffusion2D(resolution=14, scheme=scheme)
    inputs = family.draw(rng) | {"peclet": np.asarray(peclet)}
    system = family.assemble(inputs)
    assert all(check.passed for check in family.checks(inputs, system))
    check_operator(system.A).check()
    monotone = scheme != "centred" or family.cell_peclet(inputs) < 2.0
    assert (Props.M_MATRIX in system.A.props) == monotone
    assert Props.SYMMETRIC not in system.A.props
    if monotone:  # maximum principle
        assert Direct().solve(*system).x.min() > 0.0
    if scheme == "auto":
        assert family._chosen(inputs) == ("centred" if family.cell_peclet(inputs) <= 2.0 else "upwind")


def test_injected_faults_are_seen(rng):
    family = ConvectionDiffusion2D(resolution=12)
    inputs = family.draw(rng)
    A, b = family.assemble(inputs)
    shifted, swapped, spoilt = (A.coefficients.copy() for _ in range(3))
    shifted[1, 1:] = np.roll(shifted[1, 1:], 2, axis=0)
    swapped[[1, 2], 1:-1] = swapped[[2, 1], 1:-1]
    spoilt[0, 3, 3] = np.nan
    for faulty in (shifted, swapped, spoilt):
        assert not all(c.passed for c in family.checks(inputs, type(family.assemble(inputs))(Stencil(faulty), b)))


def test_draws_are_nested_and_of_the_stated_size():
    speeds = []
    for seed in range(20):
        coarse, fine = (ConvectionDiffusion2D(resolution=n).draw(np.random.default_rng(seed)) for n in (33, 65))
        assert coarse["peclet"] == fine["peclet"] and 10.0 <= coarse["peclet"] <= 1e4
        assert abs(fine["psi"][::2, ::2] - coarse["psi"]).max() < 0.02 * abs(coarse["psi"]).max()
        speeds.append(np.mean(ConvectionDiffusion2D(resolution=65).wind(fine["psi"])[0] ** 2))
    assert 0.5 < np.mean(speeds) < 2.0


@pytest.mark.parametrize("solver", ["auto", "gmres+ilu"])
def test_sets_are_certified(tmp_path, solver):
    family = get("convection_diffusion", resolution=20)
    ds = generate(family, 4, out=tmp_path / "set.h5", solver=solver, chunk=2)
    assert ds.certificates["certified"].all()
    assert verify(ds.path).passed
    assert GMRES().solve(*family.assemble(family.draw(np.random.default_rng(0))), M=ILU()).converged


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 4}, "at least 5 points"),
        ({"scheme": "downwind"}, "needs scheme="),
        ({"peclet": (10.0, 1.0)}, "needs peclet="),
        ({"peclet": (0.0, 1.0)}, "needs peclet="),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ConvectionDiffusion2D(**options)


def test_bad_inputs_are_refused(rng):
    family = ConvectionDiffusion2D(resolution=8)
    inputs = family.draw(rng)
    with pytest.raises(ValueError, match="needs 'peclet'"):
        family.assemble({"psi": inputs["psi"]})
    with pytest.raises(ValueError, match="peclet must be a positive number"):
        family.assemble(inputs | {"peclet": np.asarray(-1.0)})
    with pytest.raises(ValueError, match="psi must be finite"):
        family.assemble(inputs | {"psi": np.full((8, 8), np.inf)})
    with pytest.raises(ValueError, match="u must have the shape"):
        family.restrict({"u": np.zeros((3, 3))})
