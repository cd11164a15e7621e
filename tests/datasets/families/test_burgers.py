import dataclasses

import numpy as np
import pytest

from resolvent.datasets import CertificationError, DiscretisationError, generate
from resolvent.datasets.evidence.two_grid import two_grid_error
from resolvent.datasets.families import Burgers1D, burgers
from resolvent.datasets.random_fields import grid_points
from resolvent.datasets.schemes import spectral as spectral_module


def cole_hopf(family, inputs, n=512):
    """u = −2ν φ_x/φ with φ_t = ν φ_xx and φ(x, 0) = exp(−∫u₀/(2ν)): the frames at n points."""
    nu, x = float(inputs["nu"]), grid_points(n, "periodic")
    potential = np.zeros(n)
    for A, k, phase in zip(inputs["amplitude"], inputs["wavenumber"], inputs["phase"], strict=True):
        potential -= A * np.cos(2.0 * np.pi * k * x + phase) / (2.0 * np.pi * k)
    k = 2.0 * np.pi * np.fft.rfftfreq(n, 1.0 / n)
    modes = np.fft.rfft(np.exp(-potential / (2.0 * nu)))
    frames = []
    for t in family.axes()["t"]:
        decayed = modes * np.exp(-nu * k**2 * t)
        frames.append(-2.0 * nu * np.fft.irfft(1j * k * decayed, n) / np.fft.irfft(decayed, n))
    return np.array(frames)


SMALL = Burgers1D(resolution=64, viscosities=(0.02,), frames=4, final_time=0.4)


def inputs_of(family, seed=1):
    return family.draw(np.random.default_rng(seed))


@pytest.mark.parametrize("nu", [0.02, 0.07, 0.4, 2.0])
def test_solutions_are_those_of_cole_and_hopf(nu):
    family = dataclasses.replace(SMALL, viscosities=(nu,))
    for seed in range(3):
        inputs = inputs_of(family, seed)
        march = family.march(inputs, 1e-9)
        exact = cole_hopf(family, inputs)[:, ::8]
        assert march.rho < 1e-8
        assert np.abs(march.solution["u"] - exact).max() < 2e-8 * np.abs(exact).max() + 1e-16


def test_fourth_order_in_time():
    inputs = inputs_of(SMALL)
    exact = cole_hopf(SMALL, inputs)[:, ::8]
    begun = SMALL.steps(inputs)
    errors = [np.abs(SMALL.simulate(inputs, f * begun)[0]["u"] - exact).max() for f in (2, 4, 8, 16)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders[-1] == pytest.approx(4.0, abs=0.15), (errors, orders)


def test_spectral_accuracy_in_space(monkeypatch):
    family = Burgers1D(resolution=16, viscosities=(0.05,), frames=1, final_time=0.2, most=1)
    inputs = inputs_of(family)
    exact = cole_hopf(family, inputs)[:, ::32]
    errors = []
    for N in (16, 32, 64):
        monkeypatch.setattr(Burgers1D, "points", lambda self, i, N=N: N)
        errors.append(np.abs(family.simulate(inputs, 64 * family.steps(inputs))[0]["u"] - exact).max())
    assert errors[1] < 0.05 * errors[0] and errors[2] < 1e-3 * errors[1], errors


def test_step_halving_states_the_error_and_the_stored_grid_does_not_matter():
    inputs = inputs_of(SMALL)
    exact = cole_hopf(SMALL, inputs)[:, ::8]
    march = SMALL.march(inputs, 1e-5)
    error = spectral_error(march.solution["u"], exact)
    assert error == pytest.approx(march.evidence["step_halving"], rel=0.3)
    fine = dataclasses.replace(SMALL, resolution=256)
    np.testing.assert_allclose(fine.march(inputs_of(fine), 1e-5).solution["u"][:, ::4], march.solution["u"], atol=1e-13)
    assert two_grid_error(SMALL, 1, solve=lambda p: p.family.march(p.inputs, 1e-9)) < 1e-8


def spectral_error(u, exact):
    return np.linalg.norm(u - exact, axis=1).max() / np.linalg.norm(exact, axis=1).max()


# Faults --------------------------------------------------------------------------------------------------------------


def test_viscosity_of_the_wrong_sign_is_refused(tmp_path, monkeypatch):
    right = spectral_module.coefficients
    monkeypatch.setattr(spectral_module, "coefficients", lambda L, h: right(-L, h))
    with pytest.raises((DiscretisationError, CertificationError)):
        generate(SMALL, 2, out=tmp_path / "wrong.h5")
    assert not SMALL.march(inputs_of(SMALL), 1e-6).rho <= 1e-2


def test_aliasing_shows_in_the_transfer(monkeypatch):
    family = dataclasses.replace(SMALL, viscosities=(0.005,))
    inputs = inputs_of(family)
    monkeypatch.setattr(Burgers1D, "points", lambda self, i: 128)  # too few
    honest = family.march(inputs, 1e-6)
    assert honest.evidence["transfer"] < 1e-14 and honest.evidence["top_third"] > 1e-6
    right = burgers._steepening
    monkeypatch.setattr(burgers, "_steepening", lambda N, k: right(2 * k.size, k))  # no third left empty
    assert family.march(inputs, 1e-6).evidence["transfer"] > 1e-4


def test_a_front_that_is_not_resolved_is_not_certified(tmp_path, monkeypatch):
    monkeypatch.setattr(Burgers1D, "points", lambda self, i: 64)
    with pytest.raises(CertificationError, match="top_third"):
        generate(dataclasses.replace(SMALL, viscosities=(0.002,)), 2, out=tmp_path / "coarse.h5", two_grid=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 4}, "resolution ≥ 8"),
        ({"viscosities": (0.1, 0.0)}, "positive viscosities"),
        ({"courant": 0.0}, "positive courant"),
        ({"refinement": 0}, "refinement ≥ 1"),
        ({"most": 0}, "most ≥ 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Burgers1D(**options)


def test_bad_inputs_are_refused():
    inputs = inputs_of(SMALL)
    with pytest.raises(ValueError, match="positive number 'nu'"):
        SMALL.pose({**inputs, "nu": np.asarray(-1.0)})
    with pytest.raises(ValueError, match="'amplitude'"):
        SMALL.pose({**inputs, "amplitude": np.array([np.nan, 1.0])})
