"""The arm that a formula names, and the two that need nothing at all."""

import numpy as np
import pytest

from resolvent.solvers.tuning import ClosedForm, FixedArm, shifted_radius, young_omega

OMEGAS = np.arange(1.0, 2.0, 0.05)


def test_the_arm_is_the_first_that_is_not_left_of_the_optimum():
    beta = np.cos(np.pi / 11)
    tuner = ClosedForm(OMEGAS, beta=beta, diagonal=4.0)
    for c in np.linspace(-0.14, 3.0, 50):
        arm, omega = tuner.suggest(c).arm, young_omega(shifted_radius(beta, 4.0, c))
        assert OMEGAS[arm] >= omega - 1e-12
        assert arm == 0 or OMEGAS[arm - 1] < omega
        assert tuner.best(c) == arm


def test_beyond_the_last_factor_it_is_the_last():
    assert ClosedForm([1.0, 1.2], beta=0.999).suggest().arm == 1


def test_without_a_diagonal_contexts_are_ignored():
    tuner = ClosedForm(OMEGAS, beta=0.9)
    assert tuner.suggest(7.0).arm == tuner.suggest().arm == np.searchsorted(OMEGAS, young_omega(0.9))


def test_a_shift_that_is_not_definite_is_refused():
    with pytest.raises(ValueError, match="not definite"):
        ClosedForm(OMEGAS, beta=0.99, diagonal=4.0).suggest(-1.0)


@pytest.mark.parametrize(
    ("omegas", "options", "message"),
    [
        ([1.2, 1.0], {}, "ascending"),
        ([], {}, "ascending"),
        ([0.0, 1.0], {}, "between 0 and 2"),
        ([1.0, 2.0], {}, "between 0 and 2"),
        ([1.0], {"beta": 1.0}, "beta"),
        ([1.0], {"diagonal": 0.0}, "diagonal must be a positive number"),
    ],
)
def test_options_that_make_no_sense_are_refused(omegas, options, message):
    with pytest.raises(ValueError, match=message):
        ClosedForm(omegas, **({"beta": 0.9} | options))


@pytest.mark.parametrize("arm", [-1, 3, 1.5, None])
def test_a_fixed_arm_must_be_one_of_them(arm):
    with pytest.raises(ValueError, match="arm must be a whole number from 0 to 2"):
        FixedArm(3, arm=arm)
