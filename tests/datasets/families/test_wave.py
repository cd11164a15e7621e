import dataclasses
import itertools

import numpy as np
import pytest

from resolvent.datasets import CertificationError, DiscretisationError, generate
from resolvent.datasets.families import Wave2D
from resolvent.datasets.random_fields import grid_points
from resolvent.datasets.schemes import wave_kernels

SMALL = Wave2D(resolution=24, frames=3, final_time=0.6)


def inputs_of(family, seed=1):
    return family.draw(np.random.default_rng(seed))


def points(n):
    return np.meshgrid(grid_points(n, "periodic"), grid_points(n, "periodic"), indexing="ij")


def test_second_order_against_a_standing_wave():
    """u = cos 2πx cos 4πy cos ωt with ω = 2π√5 c, on grids with dt in proportion to h."""
    errors = []
    for n in (32, 64, 128):
        family = dataclasses.replace(SMALL, resolution=n)
        x, y = points(n)
        mode = np.cos(2.0 * np.pi * x) * np.cos(4.0 * np.pi * y)
        solution = family.march({"c": np.full((n, n), 1.5), "u0": mode}, 1e-10).solution
        omega, t = 2.0 * np.pi * np.sqrt(5.0) * 1.5, family.axes()["t"][:, None, None]
        errors.append(
            max(
                np.abs(solution["u"] - mode * np.cos(omega * t)).max(),
                np.abs(solution["v"] + omega * mode * np.sin(omega * t)).max() / omega,
            )
        )
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders[-1] == pytest.approx(2.0, abs=0.1), (errors, orders)


def test_second_order_with_a_smooth_speed():
    solutions = []
    for n in (32, 64, 128):
        x, y = points(n)
        inputs = {"c": 1.5 + 0.5 * np.sin(2 * np.pi * x) * np.cos(2 * np.pi * y), "u0": np.cos(2 * np.pi * (x + y))}
        family = dataclasses.replace(SMALL, resolution=n)
        solutions.append(family.simulate(inputs, 3 * n)["u"][:, :: n // 32, :: n // 32])
    changes = [np.abs(a - b).max() for a, b in itertools.pairwise(solutions)]
    assert np.log2(changes[0] / changes[1]) == pytest.approx(2.0, abs=0.15), changes


def test_the_kernel_is_the_operator_and_the_scheme_is_reversible(rng):
    n = 9
    u, v, tx, ty = (rng.standard_normal((n, n)) for _ in range(4))
    expected = np.zeros((n, n))
    for t, axis in ((tx, 0), (ty, 1)):
        flux = t * (np.roll(u, -1, axis) - u)
        expected += flux - np.roll(flux, 1, axis)
    out = v.copy()
    wave_kernels.kick(u, tx, ty, 0.3, out)
    np.testing.assert_allclose(out, v + 0.3 * expected, atol=1e-13)
    there, rate = u.copy(), v.copy()
    wave_kernels.leapfrog(there, rate, tx**2, ty**2, 0.05, 20)
    assert np.abs(there - u).max() > 0.1
    wave_kernels.leapfrog(there, rate, tx**2, ty**2, -0.05, 20)
    np.testing.assert_allclose(there, u, atol=1e-11)


def test_energy_stays_to_rounding():
    for seed in range(3):
        assert SMALL.march(inputs_of(SMALL, seed), 1e-10).evidence["energy_drift"] < 1e-12


# Faults --------------------------------------------------------------------------------------------------------------


def test_steps_beyond_the_limit_of_stability_are_not_certified(tmp_path, monkeypatch):
    right = Wave2D.steps
    monkeypatch.setattr(Wave2D, "steps", lambda self, i: self.frames * (right(self, i) // (2 * self.frames)))
    family = dataclasses.replace(SMALL, final_time=2.0)
    with pytest.raises((DiscretisationError, CertificationError)):
        generate(family, 2, out=tmp_path / "unstable.h5", two_grid=0)
    assert not family.march(inputs_of(family), 1e-10).rho < 1.0


def test_a_wrong_step_is_not_certified(tmp_path, monkeypatch):
    """Drifts a thousandth longer than kicks."""

    def skewed(u, v, tx, ty, dt, steps):
        for _ in range(steps):
            wave_kernels.kick(u, tx, ty, 0.5 * dt, v)
            u += 1.001 * dt * v
            wave_kernels.kick(u, tx, ty, 0.5 * dt, v)

    monkeypatch.setattr(wave_kernels, "leapfrog", skewed)
    with pytest.raises(CertificationError, match="energy_drift"):
        generate(SMALL, 2, out=tmp_path / "skewed.h5", two_grid=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 4}, "at least 8 points"),
        ({"speeds": (1.0, -1.0)}, "positive speeds"),
        ({"speeds": (1.0,)}, "two speeds"),
        ({"courant": 1.0}, "between 0 and 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Wave2D(**options)


def test_bad_inputs_are_refused():
    inputs = inputs_of(SMALL)
    with pytest.raises(ValueError, match="needs 'u0'"):
        SMALL.pose({"c": inputs["c"]})
    with pytest.raises(ValueError, match="must be positive"):
        SMALL.pose({**inputs, "c": 0.0 * inputs["c"]})
    with pytest.raises(ValueError, match="u0 must be finite"):
        SMALL.pose({**inputs, "u0": np.full((24, 24), np.inf)})
