import dataclasses

import numpy as np
import pytest

from resolvent.datasets import CertificationError, DiscretisationError, generate
from resolvent.datasets.evidence.two_grid import refined, two_grid_error
from resolvent.datasets.families import DiffusionReaction2D, diffusion_reaction
from resolvent.datasets.random_fields import grid_points
from resolvent.datasets.schemes.implicit_steps import DefiniteSteps

SMALL = DiffusionReaction2D(resolution=12, frames=16)


def inputs_of(family, seed=1):
    return family.draw(np.random.default_rng(seed))


def test_second_order_in_time_against_logistic_growth():
    """A uniform density stays uniform: u = 1/(1 + (1/u₀ − 1) exp(−λt))."""
    errors = []
    for frames in (32, 64, 128):
        family = dataclasses.replace(SMALL, frames=frames)
        inputs = {"D": np.asarray(0.01), "rate": np.asarray(4.0), "u0": np.full((12, 12), 0.1)}
        u = family.march(inputs, 1e-12).solution["u"]
        exact = 1.0 / (1.0 + 9.0 * np.exp(-4.0 * family.axes()["t"]))
        errors.append(np.abs(u - exact[:, None, None]).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders[-1] == pytest.approx(2.0, abs=0.1), (errors, orders)


def test_second_order_in_space_against_a_manufactured_state():
    """f = −DΔu − λu(1 − u) keeps u = 1/2 + cos πx cos 2πy/4."""
    D, rate, errors = 0.1, 2.0, []
    for n in (16, 32, 64):
        x, y = np.meshgrid(*[grid_points(n, "cell")] * 2, indexing="ij")
        wave = 0.25 * np.cos(np.pi * x) * np.cos(2.0 * np.pi * y)
        u = 0.5 + wave
        f = 5.0 * np.pi**2 * D * wave - rate * u * (1.0 - u)
        inputs = {"D": np.asarray(D), "rate": np.asarray(rate), "u0": u, "f": f}
        found = dataclasses.replace(SMALL, resolution=n).march(inputs, 1e-11).solution["u"]
        errors.append(np.abs(found - u).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders[-1] == pytest.approx(2.0, abs=0.1), (errors, orders)


def test_the_error_of_random_samples_falls_with_the_grid():
    def solve(problem):
        return problem.family.march(problem.inputs, 1e-9)

    family = dataclasses.replace(SMALL, diffusivities=(0.05, 0.05))
    coarse, fine = (two_grid_error(member, 3, solve=solve) for member in (family, refined(family)))
    assert coarse < 1e-2 and 2.0 < coarse / fine < 8.0


@pytest.mark.parametrize("aim", [1e-4, 1e-8, 1e-12])
def test_every_step_is_solved_to_the_aim(aim):
    march = SMALL.march(inputs_of(SMALL), aim)
    assert march.rho <= aim and march.steps == 16


def test_newton_needs_few_corrections_and_fewer_matrices(monkeypatch):
    solved, taken = [], []
    solve, take = DefiniteSteps.solve, DefiniteSteps.take
    monkeypatch.setattr(DefiniteSteps, "solve", lambda self, b: (solved.append(1), solve(self, b))[1])
    monkeypatch.setattr(DefiniteSteps, "take", lambda self, operators: (taken.append(1), take(self, operators))[1])
    SMALL.march(inputs_of(SMALL), 5e-9)
    assert len(solved) <= 3 * SMALL.frames and SMALL.frames <= len(taken) < len(solved)


def test_samples_together_are_those_alone():
    several = [inputs_of(SMALL, seed) for seed in range(5)]
    for march, inputs in zip(SMALL.march_together(several, 1e-10), several, strict=True):
        alone = SMALL.march(inputs, 1e-10).solution["u"]
        np.testing.assert_allclose(march.solution["u"], alone, rtol=0.0, atol=1e-9)


def test_a_sample_that_is_solved_takes_no_part_in_corrections_for_others():
    """A uniform density is solved at once, one that is not needs corrections: the first is not changed by them."""
    still = {"D": np.asarray(0.01), "rate": np.asarray(1e-12), "u0": np.full((12, 12), 0.5)}
    first, _ = SMALL.march_together([still, inputs_of(SMALL)], 1e-10)
    np.testing.assert_array_equal(first.solution["u"], SMALL.march(still, 1e-10).solution["u"])


# Faults --------------------------------------------------------------------------------------------------------------


def test_steps_that_are_not_solved_are_not_certified(tmp_path, monkeypatch):
    monkeypatch.setattr(diffusion_reaction, "_CORRECTIONS", 1)
    with pytest.raises(CertificationError, match="step_residual"):
        generate(SMALL, 2, out=tmp_path / "hasty.h5", two_grid=0)


def test_growth_of_the_wrong_sign_in_the_newton_steps_does_not_pass(tmp_path, monkeypatch):
    """The judge has the right equations, whatever the march solved."""
    right = diffusion_reaction._Equations.residual

    def wrong(self, *states):
        self.growth = -self.growth
        found = right(self, *states)
        self.growth = -self.growth
        return found

    def march(self, several, aim):
        with monkeypatch.context() as patch:
            patch.setattr(diffusion_reaction._Equations, "residual", wrong)
            made = true_march(self, several, aim)
        return [m._replace(evidence=m.judge(m.solution)) for m in made]

    true_march = DiffusionReaction2D.march_together
    monkeypatch.setattr(DiffusionReaction2D, "march_together", march)
    with pytest.raises((DiscretisationError, CertificationError)):
        generate(SMALL, 2, out=tmp_path / "wrong.h5", two_grid=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 2}, "at least 4 points"),
        ({"diffusivities": (0.1, 0.01)}, "diffusivities=\\(least, largest\\)"),
        ({"rates": (0.0, 1.0)}, "rates=\\(least, largest\\)"),
        ({"frames": 4}, "take more frames"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DiffusionReaction2D(**options)


def test_bad_inputs_are_refused():
    inputs = inputs_of(SMALL)
    with pytest.raises(ValueError, match="positive number 'D'"):
        SMALL.pose({**inputs, "D": np.asarray(0.0)})
    with pytest.raises(ValueError, match="needs 'u0'"):
        SMALL.pose({name: inputs[name] for name in ("D", "rate")})
    with pytest.raises(ValueError, match="rate · dt"):
        SMALL.pose({**inputs, "rate": np.asarray(100.0)})
