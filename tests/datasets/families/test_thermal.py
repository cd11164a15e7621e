"""Thermal: mesh sizes, observed orders, structure, known solutions, sets, bad input."""

import dataclasses

import numpy as np
import pytest

from resolvent.datasets import generate, reproduce, verify
from resolvent.datasets.evidence.two_grid import refined, two_grid_error
from resolvent.datasets.families import Thermal, get
from resolvent.datasets.family import System
from resolvent.datasets.plots import plot_dataset
from resolvent.datasets.schemes.manufactured import accurate_solution, observed_order
from resolvent.operators import Sparse, check_operator

VARIANTS = (False, True)


def test_meshes_have_the_published_numbers_of_nodes():
    assert [Thermal(resolution=20 * 2**j + 1).nodes for j in range(5)] == [678, 2572, 10008, 39472, 156768]


@pytest.mark.parametrize("released", VARIANTS)
def test_second_order_against_a_smooth_solution(released):
    study = observed_order(Thermal(skr_released=released), (41, 81, 161))
    assert study.within(2.0, 0.1), study.table()


def test_order_four_thirds_at_the_corners_of_the_slot():
    coarse = Thermal(resolution=41)
    errors = [two_grid_error(family, 0) for family in (coarse, refined(coarse))]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4.0 / 3.0, abs=0.05)


@pytest.mark.parametrize("released", VARIANTS)
def test_structure_and_claims(released, rng):
    family = Thermal(resolution=21, skr_released=released)
    inputs = family.draw(rng)
    system = family.assemble(inputs)
    assert all(check.passed for check in family.checks(inputs, system)), family.checks(inputs, system)
    check_operator(system.A).check()
    assert np.linalg.eigvalsh(system.A.to_dense()).min() > 0
    # A row that is lost, a coupling across the slot, an asymmetric entry: each is seen.
    for row, column, value in ((100, 100, 1.0), (100, 400, -0.5), (100, 101, 0.1)):
        matrix = system.A.to_sparse().tolil(copy=True)
        matrix[row, column] += value
        assert not all(check.passed for check in family.checks(inputs, System(Sparse(matrix.tocsr()), system.b)))


def test_a_flux_is_prescribed_as_such():
    """All the heat that enters on the right leaves on the left: by the jumps of A u at the held nodes."""
    family = Thermal(resolution=41, skr_released=True)
    inputs = family.draw(np.random.default_rng(2)) | {"left": np.asarray(7.0), "right": np.asarray(-3.0)}
    u = family.expand(accurate_solution(family.assemble(inputs)), inputs)["u"]
    np.testing.assert_array_equal(u[0], 7.0)
    weights = np.ones(u.shape[1])
    weights[[0, -1]] = 0.5
    assert weights @ (u[1] - u[0]) == pytest.approx(-3.0 * 1.6, rel=1e-10)


def test_the_mirrored_problem_has_the_mirrored_solution():
    family = Thermal(resolution=21)
    solutions = []
    for left, right in ((-30.0, 80.0), (80.0, -30.0)):
        inputs = {"left": np.asarray(left), "right": np.asarray(right)}
        u = family.expand(accurate_solution(family.assemble(inputs)), inputs)["u"]
        assert u.min() == -30.0 and u.max() == 80.0
        solutions.append(u)
    np.testing.assert_allclose(solutions[1], solutions[0][::-1], atol=1e-11)
    np.testing.assert_allclose(solutions[0], solutions[0][:, ::-1], atol=1e-11)
    mask = family.draw(np.random.default_rng(0))["mask"]
    assert (~mask).sum() == 15 and not solutions[0][~mask].any()


@pytest.mark.parametrize("released", VARIANTS)
def test_sets_are_certified_verified_and_reproduced(tmp_path, released):
    ds = generate(Thermal(resolution=21, skr_released=released), 5, out=tmp_path / "set.h5", chunk=3)
    assert ds.certificates["certified"].all() and ds.certificates["rho_float64"].max() < 1e-11
    assert ds.provenance["discretisation"]["two_grid_errors"]
    assert verify(ds.path).passed
    assert reproduce(ds.path, 4).identical
    plot_dataset(ds)
    x, y = ds.torch()[0]
    assert x.shape == (3, 21, 33) and y.shape == (1, 21, 33)


def test_draws_do_not_depend_on_the_mesh():
    coarse, fine = (Thermal(resolution=n).draw(np.random.default_rng(3)) for n in (21, 41))
    assert coarse["left"] == fine["left"] and coarse["right"] == fine["right"]
    assert -100.0 < coarse["left"] < 0.0 < coarse["right"] < 100.0
    np.testing.assert_array_equal(fine["mask"][::2, ::2], coarse["mask"])


@pytest.mark.parametrize("n", [20, 64, 1, True, 41.0])
def test_meshes_that_do_not_fit_the_slot_are_refused(n):
    with pytest.raises(ValueError, match=r"20 m \+ 1 nodes along x"):
        Thermal(resolution=n)


def test_bad_input_is_refused(rng):
    with pytest.raises(ValueError, match="the nearest is 61"):
        get("thermal", resolution=64)
    with pytest.raises(ValueError, match="skr_released=True or False"):
        Thermal(skr_released=1)
    family = Thermal(resolution=21)
    inputs = family.draw(rng)
    with pytest.raises(ValueError, match="needs the number 'right'"):
        family.assemble({"left": inputs["left"]})
    with pytest.raises(ValueError, match="left must be one finite number"):
        family.assemble(inputs | {"left": np.asarray(np.nan)})
    with pytest.raises(ValueError, match="fixed by its domain"):
        family.assemble(inputs | {"mask": ~inputs["mask"]})
    with pytest.raises(ValueError, match="f must have the shape"):
        family.assemble(inputs | {"f": np.zeros(3)})
    with pytest.raises(ValueError, match="u must have the shape"):
        family.restrict({"u": np.zeros(3)})
    assert dataclasses.replace(family, resolution=41).h == pytest.approx(0.025)
