"""The arms that are standard for a matrix."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Function, Props, Sparse
from resolvent.solvers import AMG, CG, SSOR, Bootstrapped
from resolvent.solvers.tuning import standard_arms

from .mock_streams import SIDE, laplacian


def convection(side=SIDE, wind=4.0):
    T = sp.diags_array([-1.0 - wind, 2.0 + wind, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    eye = sp.eye_array(side)
    return sp.csr_array(sp.kron(T, eye) + sp.kron(eye, T))


KINDS = {
    "definite": laplacian,
    "nonsymmetric": convection,
    "indefinite": lambda: Sparse(laplacian(-1.0).matrix, props=Props.SYMMETRIC),
    "complex": lambda: sp.csr_array(laplacian().matrix * (1.0 + 0.1j) - 0.5 * sp.eye_array(SIDE**2)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_standard_arms_suit_the_system(kind):
    A = KINDS[kind]()
    arms = standard_arms(A, rtol=1e-6, maxiter=3_000)
    assert 12 <= len(arms) <= 40
    assert len({arm.name for arm in arms}) == len(arms)
    assert {arm.solver.rtol for arm in arms} == {1e-6} and arms[0].solver.maxiter is None
    b, solved = np.ones(SIDE**2), 0
    for arm in arms:
        result = arm.sequence().solve(A, b)  # valid: nothing raises
        solved += result.converged
    assert arms[0].sequence().solve(A, b).converged
    assert solved >= len(arms) // 2


def test_standard_arms_leave_out_what_does_not_fit():
    def methods(*args, **options):
        return {type(arm.solver).__name__ for arm in standard_arms(*args, **options)}

    definite, little = methods(laplacian()), methods(laplacian(), memory=1.0)
    assert "Direct" in definite and "Direct" not in little
    assert "MINRES" in methods(KINDS["indefinite"]()) and "CG" not in methods(KINDS["indefinite"]())
    assert not {"CG", "MINRES", "DeflatedCG"} & methods(convection())
    assert not [arm for arm in standard_arms(laplacian()) if isinstance(arm.M, AMG)], "too small for it"
    assert [arm for arm in standard_arms(laplacian(side=64)) if isinstance(arm.M, AMG)]
    matrix = laplacian().matrix
    free = standard_arms(Function(matrix.shape, lambda X: matrix @ X, props=SPD))
    assert len(free) >= 12
    assert {type(arm.M) for arm in free} == {type(None)}
    with pytest.raises(ValueError, match="square"):
        standard_arms(sp.csr_array(np.ones((3, 4))))


def deflated(A):
    return [arm for arm in standard_arms(A) if isinstance(arm.spaces, Bootstrapped)]


def test_small_or_complex_systems_have_none():
    assert not deflated(laplacian(side=40))
    assert not deflated(Sparse(laplacian(side=64).matrix.astype(complex), props=SPD))


def test_four_and_eight_vectors_save_iterations_of_the_arm_without():
    A, rng, weak = laplacian(side=64), np.random.default_rng(0), SSOR(1.0)
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
