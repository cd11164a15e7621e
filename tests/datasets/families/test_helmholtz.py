"""Helmholtz: observed orders, outgoing waves against the Hankel function, structure, the pipeline, bad input."""

import numpy as np
import pytest
import scipy.special

from resolvent.datasets import generate, verify
from resolvent.datasets.families import Helmholtz2D, get
from resolvent.datasets.family import System
from resolvent.datasets.manufactured import accurate_solution, observed_order
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
    family = Helmholtz2D(resolution=12, wavenumber=8.0, absorption=kind)
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
    family = get("helmholtz", resolution=16, wavenumber=10.0)
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
    assert Helmholtz2D(resolution=64).points_per_wavelength == pytest.approx(10.05, abs=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 3}, "at least 4 points"),
        ({"wavenumber": 0.0}, "positive wavenumber"),
        ({"absorption": "sponge"}, "needs absorption="),
        ({"layer": 0.5}, "layer width"),
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
