import dataclasses

import numpy as np
import pytest

from resolvent.datasets import CertificationError, DiscretisationError, generate
from resolvent.datasets.families import NavierStokes2D, navier_stokes
from resolvent.datasets.random_fields import grid_points
from resolvent.datasets.schemes import spectral as spectral_module

SMALL = NavierStokes2D(resolution=24, frames=2, final_time=1.0)


def inputs_of(family, seed=1):
    return family.draw(np.random.default_rng(seed))


def points(n):
    return np.meshgrid(grid_points(n, "periodic"), grid_points(n, "periodic"), indexing="ij")


def test_taylor_green_vortices_decay_as_they_should():
    """ω = cos κx cos κy is an eigenfunction of Δ whose nonlinear term vanishes."""
    family = dataclasses.replace(SMALL, forcing=0.0)
    x, y = points(24)
    start = 3.0 * np.cos(4.0 * np.pi * x) * np.cos(4.0 * np.pi * y)
    found = family.march({"nu": np.asarray(1e-2), "omega0": start}, 1e-9)
    expected = start * np.exp(-2e-2 * (4.0 * np.pi) ** 2 * family.axes()["t"])[:, None, None]
    np.testing.assert_allclose(found.solution["omega"], expected, atol=1e-13)


def test_manufactured_forcing_keeps_a_state():
    """F = v·∇ω − νΔω from closed forms of ψ = a sin 2πx cos 4πy + b cos 6πy: two lengths, so that advection is felt."""
    k, nu, a, b = 2.0 * np.pi, 0.02, 0.05, 0.02
    x, y = points(24)
    s, c = np.sin(k * x), np.cos(k * x)
    psi_x, psi_y = a * k * c * np.cos(2 * k * y), -2 * k * a * s * np.sin(2 * k * y) - 3 * k * b * np.sin(3 * k * y)
    omega = 5 * k**2 * a * s * np.cos(2 * k * y) + 9 * k**2 * b * np.cos(3 * k * y)
    omega_x = 5 * k**3 * a * c * np.cos(2 * k * y)
    omega_y = -10 * k**3 * a * s * np.sin(2 * k * y) - 27 * k**3 * b * np.sin(3 * k * y)
    laplacian = -25 * k**4 * a * s * np.cos(2 * k * y) - 81 * k**4 * b * np.cos(3 * k * y)
    advection = psi_y * omega_x - psi_x * omega_y
    assert np.abs(advection).max() > 0.1 * np.abs(nu * laplacian).max()
    inputs = {"nu": np.asarray(nu), "omega0": omega, "f": advection - nu * laplacian}
    solution, _ = SMALL.simulate(inputs, 4 * SMALL.steps(inputs))
    np.testing.assert_allclose(solution["omega"], np.stack([omega] * 2), rtol=0, atol=1e-9 * np.abs(omega).max())


def test_fourth_order_in_time():
    inputs = inputs_of(SMALL)
    inputs = {**inputs, "omega0": 20.0 * inputs["omega0"]}
    steps = SMALL.steps(inputs)
    reference = SMALL.simulate(inputs, 16 * steps)[0]["omega"]
    errors = [np.abs(SMALL.simulate(inputs, f * steps)[0]["omega"] - reference).max() for f in (1, 2, 4)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders[-1] == pytest.approx(4.0, abs=0.25), (errors, orders)


def test_spectral_accuracy_in_space():
    """A smooth state: errors on 12 and 24 points a side against 48, at the common points."""
    solutions = {}
    for n in (12, 24, 48):
        x, y = points(n)
        start = np.sin(2.0 * np.pi * x) * np.cos(2.0 * np.pi * y) + np.cos(2.0 * np.pi * (x - 2.0 * y))
        family = dataclasses.replace(SMALL, resolution=n)
        inputs = {"nu": np.asarray(0.02), "omega0": start}
        solutions[n] = family.simulate(inputs, 100)[0]["omega"]
    errors = [np.abs(solutions[n] - solutions[48][:, :: 48 // n, :: 48 // n]).max() for n in (12, 24)]
    assert errors[0] < 0.1 and errors[1] < 1e-3 * errors[0], errors


def test_one_stream_is_one_problem_on_every_grid():
    """The finer draw has more modes; those that both grids carry are the same."""
    a, b = (NavierStokes2D(resolution=n).draw(np.random.default_rng(3))["omega0"] for n in (16, 32))
    kept = navier_stokes._modes(16)
    modes = navier_stokes._modes(32).cut(b)
    coarse = np.concatenate([modes[: kept.K + 1, : kept.K + 1], modes[-kept.K :, : kept.K + 1]])
    np.testing.assert_allclose(kept.cut(a), coarse, atol=1e-15)


# Faults --------------------------------------------------------------------------------------------------------------


def test_viscosity_of_the_wrong_sign_is_refused(tmp_path, monkeypatch):
    right = spectral_module.coefficients
    monkeypatch.setattr(spectral_module, "coefficients", lambda L, h: right(-L, h))
    family = NavierStokes2D(resolution=24, frames=2, final_time=8.0, viscosities=(1e-2,))
    with pytest.raises((DiscretisationError, CertificationError)):
        generate(family, 2, out=tmp_path / "wrong.h5", two_grid=0)
    assert not family.march(inputs_of(family), 1e-5).rho <= 1e-2


def test_aliasing_shows_in_the_transfer(monkeypatch):
    family = dataclasses.replace(SMALL, viscosities=(1e-5,), forcing=0.0)
    inputs = inputs_of(family)
    inputs = {**inputs, "omega0": 20.0 * inputs["omega0"]}  # more than the grid can carry
    honest = family.march(inputs, 1e-5)
    assert honest.evidence["transfer"] < 1e-13 and honest.evidence["top_third"] > 1e-5
    right, steps = navier_stokes._modes, family.steps(inputs)

    def aliased(n):
        """All modes that the grid has, on just that grid."""
        made = right(3 * n // 2)
        return made._replace(n=n) if n // 2 > made.K else made

    monkeypatch.setattr(navier_stokes, "_modes", aliased)
    assert family.simulate(inputs, steps)[1]["transfer"] > 1e-5


def test_a_flow_that_is_not_resolved_is_not_certified(tmp_path):
    with pytest.raises(CertificationError, match="top_third"):
        generate(NavierStokes2D(resolution=16, frames=1, final_time=1.0), 2, out=tmp_path / "coarse.h5", two_grid=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 7}, "at least 8 points"),
        ({"viscosities": (0.0,)}, "positive viscosities"),
        ({"forcing": np.inf}, "finite forcing"),
        ({"courant": 0.0}, "positive courant"),
        ({"frames": True}, "at least 1 frame"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        NavierStokes2D(**options)


def test_bad_inputs_are_refused():
    inputs = inputs_of(SMALL)
    with pytest.raises(ValueError, match="positive number 'nu'"):
        SMALL.pose({**inputs, "nu": np.asarray(np.nan)})
    with pytest.raises(ValueError, match="needs 'omega0'"):
        SMALL.pose({"nu": inputs["nu"]})
    with pytest.raises(ValueError, match="omega0 must"):
        SMALL.pose({**inputs, "omega0": np.full((24, 24), np.nan)})
