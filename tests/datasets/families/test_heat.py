"""Heat as a trajectory: orders in space and time, structure, samples together, the pipeline, faults, bad input."""

import dataclasses
import itertools

import numpy as np
import pytest

from resolvent.datasets import CertificationError, DiscretisationError, explain, generate, reproduce, verify
from resolvent.datasets.evidence.two_grid import refined, two_grid_error
from resolvent.datasets.families import Heat2D, heat
from resolvent.datasets.families.heat_step import HeatStep2D
from resolvent.datasets.schemes.diffusion import cell_transmissibilities, insulated_diffusion
from resolvent.datasets.schemes.implicit_steps import DefiniteSteps, extrapolated
from resolvent.operators import Stencil, check_operator

SMALL = Heat2D(resolution=12, frames=8)


def inputs_of(family, seed=1):
    return family.draw(np.random.default_rng(seed))


def orders(errors):
    return [float(np.log2(e / f)) for e, f in itertools.pairwise(errors)]


def error(family):
    inputs, exact = family.manufactured()
    u = family.march(inputs, 1e-11).solution["u"]
    return np.abs(u - exact["u"]).max()


@pytest.mark.parametrize("drift", [20.0, 0.0])
def test_second_order_in_space_and_time_together(drift):
    errors = [error(Heat2D(resolution=n, frames=n, drift=drift)) for n in (16, 32, 64, 128)]
    assert orders(errors)[-1] == pytest.approx(2.0, abs=0.1), orders(errors)


def test_second_order_in_time():
    """The first cosine mode is an eigenvector of the scheme in space, with a = 1: only time is discrete."""
    errors = []
    for frames in (32, 64, 128):
        family = Heat2D(resolution=8, frames=frames, drift=0.0)
        mode = np.cos(np.pi * family.axes()["x"])[:, None] * np.ones(8)
        eigenvalue = 4.0 * 64.0 * np.sin(np.pi / 16.0) ** 2
        u = family.march({"a": np.ones((8, 8)), "u0": mode}, 1e-12).solution["u"]
        exact = np.exp(-eigenvalue * family.axes()["t"])[:, None, None] * mode
        errors.append(np.abs(u - exact).max())
    assert orders(errors)[-1] == pytest.approx(2.0, abs=0.1), orders(errors)


def test_the_error_of_random_samples_falls_with_grid_and_step():
    def solve(problem):
        return problem.family.march(problem.inputs, 1e-10)

    family = Heat2D(resolution=16, frames=16)
    assert refined(family) == dataclasses.replace(family, resolution=32, frames=32)
    coarse, fine = (two_grid_error(member, 3, solve=solve) for member in (family, refined(family)))
    assert coarse < 0.1 and 1.7 < coarse / fine < 6.0  # the initial state is rough, which lowers the order


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_operator_is_that_of_its_faces(dim, rng):
    a = np.exp(rng.standard_normal((5, 4, 6)[:dim]))
    A = insulated_diffusion(a, 0.2, 0.5, 1.5)
    faces = tuple(0.5 * t for t in cell_transmissibilities(a, 0.2, dim, "insulated"))
    expected = Stencil.from_transmissibilities(faces, shift=1.5)
    np.testing.assert_allclose(A.coefficients, expected.coefficients, rtol=1e-13)
    assert A.props == expected.props and A.mirrored
    check_operator(A).check()


@pytest.mark.parametrize("drift", [20.0, 0.0])
def test_steps_are_those_of_single_bdf2_systems(drift):
    """The same path as the family of single steps makes of it, whose order in time is tested for itself."""
    family = dataclasses.replace(SMALL, drift=drift)
    inputs = inputs_of(family)
    u = [inputs["u0"], *family.march(inputs, 1e-12).solution["u"]]
    step = HeatStep2D(resolution=12, scheme="bdf2")
    angle = drift * family.dt * 5
    g = np.log(inputs["a"]), np.log(inputs.get("a_turned", np.ones(())))
    a = np.exp(np.cos(angle) * g[0] + np.sin(angle) * g[1])
    A, b = step.assemble({"a": a, "u_old": u[4], "u_older": u[3], "dt": family.dt, "dt_old": family.dt})
    np.testing.assert_allclose(A.matvec(u[5].ravel()), b, rtol=0.0, atol=1e-9 * np.abs(b).max())


@pytest.mark.parametrize("drift", [20.0, 0.0])
@pytest.mark.parametrize("aim", [1e-4, 1e-8, 1e-12])
def test_every_step_is_solved_to_the_aim(aim, drift):
    march = Heat2D(resolution=12, frames=8, drift=drift).march(inputs_of(dataclasses.replace(SMALL, drift=drift)), aim)
    assert march.rho <= 1.01 * aim and march.steps == 8


def test_samples_together_are_those_alone():
    several = [inputs_of(SMALL, seed) for seed in range(5)]
    for march, inputs in zip(SMALL.march_together(several, 1e-10), several, strict=True):
        alone = SMALL.march(inputs, 1e-10).solution["u"]
        np.testing.assert_allclose(march.solution["u"], alone, rtol=0.0, atol=1e-8 * np.abs(alone).max())


@pytest.mark.parametrize(("drift", "set_ups"), [(0.0, 2), (20.0, 8)])
def test_a_constant_matrix_is_set_up_once(monkeypatch, drift, set_ups):
    """Once for the first step, which has another weight, and once for all others."""
    taken, right = [], DefiniteSteps.take
    monkeypatch.setattr(DefiniteSteps, "take", lambda self, operators: (taken.append(1), right(self, operators))[1])
    family = dataclasses.replace(SMALL, drift=drift)
    family.march(inputs_of(family), 1e-8)
    assert len(taken) == set_ups
    assert ("one multigrid hierarchy" in explain(family).why) == (drift == 0.0)


def test_heat_is_conserved_and_differences_decay():
    inputs = inputs_of(SMALL)
    u = SMALL.march(inputs, 1e-13).solution["u"]
    np.testing.assert_allclose(u.mean(axis=(1, 2)), inputs["u0"].mean(), atol=1e-11)
    assert all(later < earlier for earlier, later in itertools.pairwise([np.std(inputs["u0"]), *u.std(axis=(1, 2))]))
    assert all(passed for _, passed, _ in SMALL.checks(inputs, {"u": u}))


def test_guesses_are_exact_for_polynomials():
    states = [np.array([t**4.0 - t]) for t in range(1, 6)]
    assert extrapolated(states) == pytest.approx(6.0**4 - 6.0)
    assert extrapolated(states[:1]) == states[0] and extrapolated(states, 2) == 2.0 * states[-1] - states[-2]


def test_windows_do_not_depend_on_workers_or_the_size_of_the_set(tmp_path):
    whole = generate(SMALL, 8, out=tmp_path / "whole.h5", chunk=4)
    assert whole.config["window"] == 4 and "members=4" in whole.config["method"]
    assert generate(SMALL, 8, out=tmp_path / "two.h5", chunk=4, workers=2).content_sha256 == whole.content_sha256
    generate(SMALL, 3, out=tmp_path / "grown.h5", chunk=4)
    assert generate(SMALL, 8, out=tmp_path / "grown.h5", chunk=4).content_sha256 == whole.content_sha256
    assert reproduce(whole.path, 6).identical and verify(whole.path).passed


def test_what_multigrid_fails_on_is_factorised(monkeypatch):
    from resolvent.solvers import candidates

    monkeypatch.setattr(candidates, "TRUST", 1)
    assert SMALL.march(inputs_of(SMALL), 1e-11).rho <= 1e-11


# Faults --------------------------------------------------------------------------------------------------------------


def test_steps_with_another_matrix_are_not_certified(tmp_path, monkeypatch):
    right = DefiniteSteps.take
    seen = {}

    def stale(self, operators):
        seen[self] = seen.get(self, 0) + 1
        if seen[self] < 4:
            right(self, operators)

    monkeypatch.setattr(DefiniteSteps, "take", stale)
    with pytest.raises((DiscretisationError, CertificationError)):
        generate(SMALL, 2, out=tmp_path / "stale.h5", chunk=2, two_grid=0)


def test_a_flux_through_the_walls_is_found(tmp_path, monkeypatch):
    right = heat.insulated_diffusion

    def leaking(a, h, scale, shift):
        A = right(a, h, scale, shift)
        coefficients = A.coefficients.copy()
        coefficients[0, 0] += 0.1
        return Stencil(coefficients, props=A.props, mirrored=True)

    monkeypatch.setattr(heat, "insulated_diffusion", leaking)
    with pytest.raises(DiscretisationError, match=r"row sums.*conservation"):
        generate(SMALL, 2, out=tmp_path / "leak.h5", two_grid=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 2}, "at least 4 points"),
        ({"frames": 0}, "at least 1 frame"),
        ({"final_time": 0.0}, "positive final_time"),
        ({"drift": np.inf}, "finite drift"),
        ({"coefficient": "fno_twophase"}, "has two phases"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Heat2D(**options)


def test_bad_inputs_are_refused():
    inputs = inputs_of(SMALL)
    for name in ("a", "a_turned", "u0"):
        with pytest.raises(ValueError, match=f"needs '{name}'"):
            SMALL.pose({key: value for key, value in inputs.items() if key != name})
    with pytest.raises(ValueError, match="a_turned must be positive"):
        SMALL.pose(inputs | {"a_turned": 0.0 * inputs["a"]})
    with pytest.raises(ValueError, match="u0 must be finite"):
        SMALL.pose(inputs | {"u0": np.full((12, 12), np.nan)})
    with pytest.raises(ValueError, match="f must have the shape"):
        SMALL.pose(inputs | {"f": np.zeros((3, 12, 12))})
