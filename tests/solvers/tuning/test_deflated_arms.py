"""Deflation by smooth vectors of the first matrix, among the standard arms."""

import numpy as np
import scipy.sparse as sp

from resolvent.operators import SPD, Sparse
from resolvent.solvers import CG, SSOR, Bootstrapped
from resolvent.solvers.tuning import standard_arms


def poisson(n):
    T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
    return sp.csr_array(sp.kronsum(T, T))


def deflated(A):
    return [arm for arm in standard_arms(A) if isinstance(arm.spaces, Bootstrapped)]


def test_small_or_complex_systems_have_none():
    assert not deflated(poisson(40))
    assert not deflated(Sparse(poisson(64).astype(complex), props=SPD))


def test_four_and_eight_vectors_save_iterations_of_the_arm_without():
    A, rng, weak = poisson(64), np.random.default_rng(0), SSOR(1.0)
    arms = deflated(A)
    assert [(arm.spaces.k, arm.M) for arm in arms] == [(4, weak), (8, weak)]
    assert (CG(rtol=1e-8), weak) in [(arm.solver, arm.M) for arm in standard_arms(A, rtol=1e-8)]
    b = rng.standard_normal(A.shape[0])
    counts = [CG().solve(A, b, M=weak).iterations]
    for arm in arms:
        first = arm.sequence().solve(A, b)
        assert first.converged
        # What finding the vectors takes is charged to the first system.
        assert first.counts.products > 3 * first.iterations
        counts.append(first.iterations)
    assert counts[0] > counts[1] > counts[2], counts
