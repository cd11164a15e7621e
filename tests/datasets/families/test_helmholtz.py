"""Helmholtz: observed orders, outgoing waves against the Hankel function, structure, the pipeline, bad input."""

import numpy as np
import pytest
import scipy.special

from resolvent.datasets import DiscretisationError, generate, verify
from resolvent.datasets.evidence.two_grid import refined
from resolvent.datasets.families import Helmholtz2D, get
from resolvent.datasets.family import System
from resolvent.datasets.schemes.manufactured import accurate_solution, observed_order
from resolvent.operators import Props, Stencil, check_operator

KINDS = ("layer", "impedance")


@pytest.mark.parametrize("kind", KINDS)
def test_second_order_against_a_manufactured_solution(kind):
    study = observed_order(Helmholtz2D(absorption=kind, wavenumber=10.0, layer=0.25), (24, 48, 96))
    assert study.within(2.0, 0.1), study.table()


@pytest.mark.parametrize(("kind", "allowed"), [("layer", 0.03), ("impedance", 0.25)])
def test_waves_leave(kind, allowed):
    """In a uniform medium the field of a point source is i/4 H₀⁽¹⁾(kr): outgoing, without reflections."""
    family = Helmholtz2D(resolution=128, wavenumber=20.0, absorption=kind, layer=0.2)
    x = family.axes()["x"]
    source = np.array([0.5, 0.45])
    u = family.expand(accurate_solution(family.assemble({"m": np.ones((128, 128)), "source": source})), {})["u"]
    r = np.hypot(x[:, None] - source[0], x[None, :] - source[1])
    k = family.wavenumber
    # A Gaussian source of width s radiates like a point of strength exp(−k²s²/2).
    exact = 0.25j * scipy.special.hankel1(0, k * r) * np.exp(-0.5 * (2 * np.pi / 8) ** 2)
    inside = (r > 0.15) & (np.abs(x[:, None] - 0.5) < 0.28) & (np.abs(x[None, :] - 0.5) < 0.28)
    error = np.linalg.norm((u - exact)[inside]) / np.linalg.norm(exact[inside])
    assert error < allowed
    # And not incoming, which would be the complex conjugate.
    assert np.linalg.norm((u.conj() - exact)[inside]) > np.linalg.norm(exact[inside])


@pytest.mark.parametrize("kind", KINDS)
def test_structure_and_claims(kind, rng):
    family = Helmholtz2D(resolution=20, wavenumber=11.0, absorption=kind, layer=0.2)
    inputs = family.draw(rng)
    system = family.assemble(inputs)
    assert all(check.passed for check in family.checks(inputs, system)), family.checks(inputs, system)
    check_operator(system.A).check()
    A = system.A
    assert A.dtype == np.complex128 and system.b.dtype == np.complex128
    assert Props.SYMMETRIC in A.props and not A.props & (Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE)
    incoming = Stencil(A.coefficients.conj(), A.offsets, props=Props.SYMMETRIC, mirrored=True)
    diagonal = A.coefficients.copy()
    diagonal[0, 4, 4] += 1.0
    shifted = A.coefficients.copy()
    shifted[1, 4, 4] *= 1.01
    for coefficients in (incoming.coefficients, diagonal, shifted):
        faulty = System(Stencil(coefficients, A.offsets, props=Props.SYMMETRIC, mirrored=True), system.b)
        assert not all(check.passed for check in family.checks(inputs, faulty))


def test_impedance_walls_are_the_formula():
    n, k = 6, 3.0
    family = Helmholtz2D(resolution=n, wavenumber=k, absorption="impedance")
    m = np.full((n, n), 1.44)
    A, _ = family.assemble({"m": m, "source": np.array([0.5, 0.5])})
    h, ik = 1.0 / n, 1j * k * 1.2
    wall = -ik / (1.0 - ik * h / 2.0) / h
    expected = np.full((n, n), 4.0 / h**2 - k**2 * 1.44, dtype=complex)
    for axis in range(2):
        for end in (0, -1):
            np.moveaxis(expected, axis, 0)[end] += wall - 1.0 / h**2
    np.testing.assert_allclose(A.diagonal().reshape(n, n), expected, rtol=1e-13)


def test_sets_are_complex_and_certified(tmp_path):
    family = get("helmholtz", resolution=16, wavenumber=10.0, layer=0.25)
    ds = generate(family, 4, out=tmp_path / "set.h5", chunk=2)
    assert ds[0]["u"].dtype.kind == "c" and abs(ds[0]["u"].imag).max() > 0
    assert ds.certificates["certified"].all() and ds.certificates["rho_float64"].max() < 1e-11
    assert verify(ds.path).passed
    single = generate(family, 2, out=tmp_path / "single.h5", chunk=2, dtype="float32")
    assert single[0]["u"].dtype == np.complex64
    np.testing.assert_allclose(single[0]["u"], ds[0]["u"], atol=1e-5 * abs(ds[0]["u"]).max())


def test_draws_are_nested():
    coarse, fine = (Helmholtz2D(resolution=n).draw(np.random.default_rng(3)) for n in (32, 64))
    np.testing.assert_array_equal(coarse["source"], fine["source"])
    means = fine["m"].reshape(32, 2, 32, 2).mean(axis=(1, 3))
    assert abs(means / coarse["m"] - 1.0).max() < 0.05


def test_points_a_wavelength_are_the_same_on_every_grid_unless_the_wavenumber_is():
    for n in (64, 128, 1024):
        assert Helmholtz2D(resolution=n).k / n == pytest.approx(2.0 * np.pi / 10.0)
        assert Helmholtz2D(resolution=n, points_per_wavelength=15.0).k / n == pytest.approx(2.0 * np.pi / 15.0)
        assert Helmholtz2D(resolution=n, wavenumber=40.0).k == 40.0
    family = Helmholtz2D(resolution=40)
    assert refined(family).k == family.k and refined(family).resolution == 80  # the error of the same waves
    assert refined(refined(family)).k == family.k


def test_reflections_fall_with_the_strength_of_the_layer():
    """Compared with the middle of a square twice as wide, of the same spacing, whose layer is four times as thick."""
    n, source = 96, np.array([0.45, 0.52])
    wide = Helmholtz2D(resolution=2 * n, layer=0.25, reflection=1e-8, wavenumber=2.0 * Helmholtz2D(resolution=n).k)
    free = field(wide, 0.25 + 0.5 * source)[n // 2 : -n // 2, n // 2 : -n // 2]
    inside = (slice(n // 8, -n // 8),) * 2
    errors = []
    for reflection in (0.3, 0.03, 3e-3):
        u = field(Helmholtz2D(resolution=n, reflection=reflection), source)
        errors.append(np.linalg.norm((u - free)[inside]) / np.linalg.norm(free[inside]))
    assert errors[0] > 5.0 * errors[1] > 25.0 * errors[2] and errors[2] < 3e-3, errors


def field(family, source):
    m = np.ones((family.resolution,) * 2)
    return family.expand(accurate_solution(family.assemble({"m": m, "source": source})), {})["u"]


@pytest.mark.parametrize("kind", KINDS)
def test_eigenvalues_have_both_signs_and_lie_below_the_real_axis(kind, rng):
    family = Helmholtz2D(resolution=16, wavenumber=10.0, absorption=kind, layer=0.25)
    stretch = family.stretching(family.axes()["x"])  # rows are weighted by s(x)s(y) to be symmetric
    A = family.assemble(family.draw(rng)).A.to_dense() / np.multiply.outer(stretch, stretch).reshape(-1, 1)
    eigenvalues = np.linalg.eigvals(A)
    assert eigenvalues.real.min() < -10.0 and eigenvalues.real.max() > 100.0
    assert eigenvalues.imag.max() < 0.0


def test_a_layer_of_too_few_cells_is_refused(tmp_path):
    with pytest.raises(DiscretisationError, match=r"layer \(3 cells, at least 4"):
        generate(Helmholtz2D(resolution=24), 1, out=tmp_path / "set.h5")


def test_a_definite_operator_in_place_of_an_indefinite_one_is_seen(rng):
    family = Helmholtz2D(resolution=32)
    inputs = family.draw(rng)
    A, b = family.assemble(inputs)
    coefficients = A.coefficients.copy()
    coefficients[0] += 2.0 * family.k**2 * inputs["m"]  # −Δ + k² in place of −Δ − k²
    faulty = System(Stencil(coefficients, A.offsets, props=Props.SYMMETRIC, mirrored=True), b)
    assert "spectrum signs" in {check.name for check in family.checks(inputs, faulty) if not check.passed}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 3}, "at least 4 points"),
        ({"wavenumber": 0.0}, "positive wavenumber"),
        ({"absorption": "sponge"}, "needs absorption="),
        ({"layer": 0.5}, "layer width"),
        ({"wavenumber": 10.0, "points_per_wavelength": 10.0}, "not both"),
        ({"points_per_wavelength": "ten"}, "number for points_per_wavelength"),
        ({"points_per_wavelength": 3.0}, "more than 4 points a wavelength"),
        ({"reflection": 1.0}, "reflection between 0 and 1"),
        ({"coefficient": "zzz"}, "known are skr"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Helmholtz2D(**options)


def test_bad_inputs_are_refused(rng):
    family = Helmholtz2D(resolution=8)
    inputs = family.draw(rng)
    with pytest.raises(ValueError, match="needs the squared slowness 'm'"):
        family.assemble({})
    with pytest.raises(ValueError, match="coefficient m must be positive"):
        family.assemble(inputs | {"m": -inputs["m"]})
    with pytest.raises(ValueError, match="needs the position 'source'"):
        family.assemble({"m": inputs["m"]})
    with pytest.raises(ValueError, match="inside of the unit square"):
        family.assemble(inputs | {"source": np.array([0.5, 1.5])})
    with pytest.raises(ValueError, match="f must be finite"):
        family.assemble(inputs | {"f": np.full((8, 8), np.nan)})
    with pytest.raises(ValueError, match="u must have the shape"):
        family.restrict({"u": np.zeros(3)})
