"""Tables of sweeps agree with the solver, and with what was measured for random shifts of the Laplacian."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.solvers import SOR
from resolvent.solvers.relaxation import sweep_counts

from ..conformance import poisson

OMEGAS = 1.0 + 0.05 * np.arange(20)


def shifts(rng, law, T):
    a, b = {"low": (2.0, 6.0), "high": (0.5, 1.5)}[law]
    return -0.15 + 0.6 * rng.beta(a, b, T)


def sources(rng, n, T):
    """N(0, I), rejected unless ‖b‖ ≤ √n."""
    kept = []
    while len(kept) < T:
        b = rng.standard_normal(n)
        if b @ b <= n:
            kept.append(b)
    return np.stack(kept, axis=1)


@pytest.mark.parametrize("sweep", ["forward", "backward", "symmetric"])
@pytest.mark.parametrize("dtype", [float, complex])
def test_counts_are_the_iterations_of_the_solver(sweep, dtype, rng):
    A = poisson(6).astype(dtype)
    B, c = rng.standard_normal((36, 4)).astype(dtype), np.array([0.0, 0.3, 1.0, -0.1])
    omegas = [1.0, 1.4, 1.9]
    found = sweep_counts(A, B, omegas, c, sweep=sweep)
    assert found.shape == (3, 4)
    for s, omega in enumerate(omegas):
        for t in range(4):
            solver = SOR(omega, sweep=sweep, maxiter=10_000)
            result = solver.solve(A + c[t] * sp.eye_array(36), np.ascontiguousarray(B[:, t]))
            assert result.converged and result.iterations == found[s, t]


def test_what_does_not_converge_counts_as_the_most(rng):
    b = rng.standard_normal(36)
    assert (sweep_counts(poisson(6) - 3.0 * sp.eye_array(36), b, [1.0, 1.5], maxiter=500) == 500).all()
    assert sweep_counts(poisson(6), b, 1.0, maxiter=3).tolist() == [[3]]
    assert sweep_counts(poisson(6), 0.0 * b, 1.0).tolist() == [[0]]


def test_scalars_and_lists_are_broadcast(rng):
    b = rng.standard_normal((25, 3))
    table = sweep_counts(poisson(5), b, 1.2, 0.5)
    assert table.shape == (1, 3)
    assert np.array_equal(table[0], [sweep_counts(poisson(5), b[:, t], 1.2, [0.5])[0, 0] for t in range(3)])
    assert sweep_counts(poisson(5), b[:, 0], [1.0, 1.1], [0.0, 0.1, 0.2]).shape == (2, 3)


def test_what_is_refused():
    A, b = poisson(3), np.ones(9)
    with pytest.raises(ValueError, match=r"b must have shape \(9,\) or \(9, T\), got \(8,\)"):
        sweep_counts(A, np.ones(8), 1.0)
    with pytest.raises(ValueError, match="one for each of the 2 right-hand sides"):
        sweep_counts(A, np.ones((9, 2)), 1.0, [0.0, 0.1, 0.2])
    with pytest.raises(ValueError, match="sweep must be one of"):
        sweep_counts(A, b, 1.0, sweep="sideways")
    with pytest.raises(ValueError, match="square"):
        sweep_counts(np.ones((2, 3)), b, 1.0)
    with pytest.raises(ValueError, match="divides by the diagonal"):
        sweep_counts(np.array([[0.0, 1.0], [1.0, 1.0]]), np.ones(2), 1.0)
    with pytest.raises(ValueError, match="maxiter must be a whole number ≥ 0"):
        sweep_counts(A, b, 1.0, maxiter=-1)


# Means of two runs of 5,000 draws. Those of 1,000 draws scatter by 2 to 4 % (standard deviation of k over √1000).
MEASURED = {
    "low": {1.0: 269.0, 1.5: 81.3, 1.65: 59.0},
    "high": {1.0: 617.0, 1.5: 200.0, 1.8: 103.8},
}


@pytest.mark.parametrize("law", MEASURED)
def test_fixed_factors_cost_what_was_measured(law):
    rng = np.random.default_rng(3)
    T = 1000
    table = sweep_counts(poisson(10), sources(rng, 100, T), OMEGAS, shifts(rng, law, T))
    means = table.mean(axis=1)
    for omega, mean in MEASURED[law].items():
        found = means[np.argmin(abs(OMEGAS - omega))]
        error = table[np.argmin(abs(OMEGAS - omega))].std() / np.sqrt(T)
        assert abs(found - mean) < 0.03 * mean + 2.0 * error, (omega, found)
    best = OMEGAS[np.argmin(means)]
    assert abs(best - max(MEASURED[law])) < 1e-9


@pytest.mark.acceptance
@pytest.mark.parametrize("law", MEASURED)
def test_fixed_factors_at_full_size(law):
    rng = np.random.default_rng(1)
    T = 5000
    means = sweep_counts(poisson(10), sources(rng, 100, T), OMEGAS, shifts(rng, law, T)).mean(axis=1)
    for omega, mean in MEASURED[law].items():
        assert abs(means[np.argmin(abs(OMEGAS - omega))] / mean - 1.0) < 0.03
