"""The exponential integrator against closed forms."""

import numpy as np
import pytest

from resolvent.datasets.schemes.etdrk4 import coefficients, etdrk4
from resolvent.datasets.schemes.spectral import equal_pieces, graded_pieces


def exact_coefficients(z):
    """By Taylor series of the φ functions, in extended precision where these cancel."""
    z = np.longdouble(z)
    if abs(z) > 1.0:
        e = np.exp(z)
        return (
            (np.exp(z / 2) - 1) / z,
            (-4 - z + e * (4 - 3 * z + z**2)) / z**3,
            (2 + z + e * (z - 2)) / z**3,
            (-4 - 3 * z - z**2 + e * (4 - z)) / z**3,
        )
    powers = [np.longdouble(1.0) / np.prod(np.arange(1, n + 1, dtype=np.longdouble)) for n in range(40)]
    one, two, three = (sum(powers[n + p] * z**n for n in range(30)) for p in (1, 2, 3))
    half = sum(powers[n + 1] * (z / 2) ** n for n in range(30)) / 2
    return half, one - 3 * two + 4 * three, two - 2 * three, 4 * three - two


@pytest.mark.parametrize("z", [0.0, -1e-9, -1e-3, -0.7, -3.0, -40.0, -1e5, 0.5])
def test_coefficients_do_not_cancel(z):
    h = 0.25
    found = coefficients(np.array([[z / h]]), h)
    assert all(table.shape == (1, 1) for table in found)
    np.testing.assert_allclose(found.E[0, 0], np.exp(z), rtol=1e-14)
    np.testing.assert_allclose(found.E2[0, 0], np.exp(z / 2), rtol=1e-14)
    for table, expected in zip(found[2:], exact_coefficients(z), strict=True):
        np.testing.assert_allclose(table[0, 0], h * float(expected), rtol=1e-13, atol=1e-18)


def test_the_linear_part_is_exact():
    L, v = np.array([-1e6, -3.0, 0.0]), np.array([1.0, 1j, 2.0 + 1j])
    last = etdrk4(np.zeros_like, coefficients(L, 0.1), v, 5)
    np.testing.assert_allclose(last, np.exp(0.5 * L) * v, rtol=1e-14, atol=1e-300)
    np.testing.assert_array_equal(v, [1.0, 1j, 2.0 + 1j])


@pytest.mark.parametrize(("stiffness", "order"), [(-1.0, 4.0), (-200.0, 3.0)])
def test_fourth_order_unless_stiff_modes_are_driven(stiffness, order):
    """v' = L (v − cos t) − sin t, hence v = cos t, with t as a second component: N(v) = (−L cos t − sin t, 1)."""
    L = np.array([stiffness, 0.0])

    def nonlinear(v):
        t = v[1].real
        return np.array([-stiffness * np.cos(t) - np.sin(t), 1.0], dtype=complex)

    start = np.array([1.0, 0.0], dtype=complex)
    errors = [
        abs(etdrk4(nonlinear, coefficients(L, 2.0 / steps), start, steps)[0] - np.cos(2.0)) for steps in (20, 40, 80)
    ]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert orders[-1] == pytest.approx(order, abs=0.15), errors


def test_pieces_cover_the_time():
    assert equal_pieces(2.0, 4, 3) == [(0.5, 3, True)] * 4
    pieces = graded_pieces(2.0, 4, 8, decay=100.0)
    assert sum(piece.length for piece in pieces) == pytest.approx(2.0)
    assert sum(piece.stored for piece in pieces) == 4
    assert 0.5 / 100.0 < pieces[0].length / pieces[0].steps <= 1.0 / 100.0
    assert pieces[0].length == pieces[1].length and pieces[2].length == 2.0 * pieces[1].length
    assert graded_pieces(2.0, 1, 8, decay=1e-3) == [(2.0, 8, True)]
