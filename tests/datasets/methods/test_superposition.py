"""Superposition: how many solves it takes, that it is chosen where it should be, and that it is as good as a solve."""

import numpy as np
import pytest
from constant_family import ConstantDiffusion

from resolvent.datasets import generate, reproduce, verify
from resolvent.datasets.choosing.decision import decide
from resolvent.datasets.families import Darcy2D, PoissonChebyshev, Thermal
from resolvent.datasets.family import System
from resolvent.datasets.methods.superposition import Superposed, rhs_dimension
from resolvent.datasets.storage.sample_arrays import first_sample
from resolvent.solvers import AMG, CG, Direct


def systems(family, count):
    rng = np.random.default_rng(0)
    return [family.assemble(family.draw(rng)) for _ in range(count)]


def test_as_many_solves_as_there_are_numbers():
    solve = Superposed(Direct(rtol=1e-10)).start()
    stream = systems(Thermal(resolution=21), 10)
    results = [result for system in stream for result in solve([system])]
    assert [result.iterations for result in results] == [1, 1] + [0] * 8
    for system, result in zip(stream, results, strict=True):
        assert result.converged and result.counts.products <= 2
        assert np.linalg.norm(system.b - system.A.matvec(result.x)) < 1e-12 * np.linalg.norm(system.b)


def test_a_budget_of_directions_is_kept():
    """Four of thirty directions are kept: after these every system is solved, and rightly."""
    solve = Superposed(Direct(rtol=1e-10), terms=4).start()
    stream = systems(PoissonChebyshev(resolution=12), 8)
    results = solve(stream)
    assert all(result.converged and result.iterations == 1 for result in results)
    again = solve([System(stream[0].A, 2.0 * stream[0].b - stream[3].b), stream[7]])
    assert [result.iterations for result in again] == [0, 1]


def test_another_matrix_starts_anew():
    solve = Superposed(Direct(rtol=1e-10)).start()
    A, b = systems(Thermal(resolution=21), 1)[0]
    doubled = type(A)(2.0 * A.to_sparse(), props=A.props)
    first, second, third = solve([System(A, b), System(doubled, b), System(doubled, -b)])
    np.testing.assert_allclose(first.x, 2.0 * second.x, rtol=1e-12)
    np.testing.assert_allclose(third.x, -second.x, rtol=1e-12)
    assert (second.iterations, third.iterations) == (1, 0)


def test_zero_right_hand_sides_and_iterative_solvers():
    solve = Superposed(CG(rtol=1e-8), M=AMG()).start()
    stream = systems(Thermal(resolution=21), 6)
    zero = System(stream[0].A, np.zeros_like(stream[0].b))
    results = solve([zero, *stream, zero])
    assert all(result.converged for result in results)
    assert not results[0].x.any() and not results[-1].x.any()
    # What the stored solutions lack of a digit, the solver adds.
    assert max(result.iterations for result in results[3:]) <= 2 < results[1].iterations


@pytest.mark.parametrize(
    ("family", "dimension"),
    [
        (Thermal(resolution=21), 2),
        (Thermal(resolution=21, skr_released=True), 2),
        (PoissonChebyshev(resolution=12), None),
        (ConstantDiffusion(resolution=8), None),
    ],
)
def test_dimensions_of_right_hand_sides(family, dimension):
    assert rhs_dimension(family, 0, first_sample(family, 0)) == dimension


def test_it_is_chosen_for_one_matrix_and_few_numbers_only():
    decision = decide("auto", 1e-8, Thermal(resolution=41), 0)
    assert decision.chosen == "superposition"
    assert "right-hand sides of 2 dimensions" in decision.why
    assert decide("auto", 1e-8, PoissonChebyshev(resolution=33), 0).chosen == "fft"
    assert decide("auto", 1e-8, Darcy2D(resolution=32), 0).chosen != "superposition"


def test_samples_do_not_depend_on_how_a_set_was_made(tmp_path):
    family = Thermal(resolution=21)
    whole = generate(family, 8, out=tmp_path / "whole.h5", chunk=4)
    generate(family, 3, out=tmp_path / "grown.h5", chunk=4)
    grown = generate(family, 8, out=tmp_path / "grown.h5", chunk=4)
    np.testing.assert_array_equal(whole.column("u"), grown.column("u"))
    assert verify(whole.path).passed and reproduce(whole.path, 6).identical
    assert list(whole.column("certificate/iterations")) == [1, 1, 0, 0] * 2


def test_it_can_be_tuned_against(tmp_path):
    ds = generate(Thermal(resolution=21), 6, out=tmp_path / "tuned.h5", chunk=2, solver="tuned")
    assert ds.certificates["certified"].all()
