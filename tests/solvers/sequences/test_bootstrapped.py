"""Smooth vectors as the first recycle space of a sequence."""

import numpy as np
import pytest

from resolvent.operators import SPD, Sparse
from resolvent.solvers import CG, SSOR, BootstrapAMG, Bootstrapped, DeflatedCG, RecycleSpace, Sequence, near_null_space

from ..conformance import diffusion, poisson, spd


@pytest.mark.parametrize("recipe, most", [(None, 55), (BootstrapAMG("collapse", relax=0), 55)])
def test_deflating_smooth_vectors_saves_iterations(recipe, most):
    A, b = spd(poisson(64)), np.random.default_rng(1).standard_normal(4096)
    method = DeflatedCG(update=False, k=8)
    plain = method.solve(A, b, M=SSOR()).iterations
    deflated = method.solve(A, b, M=SSOR(), space=RecycleSpace(near_null_space(A, 8, recipe)))
    assert deflated.converged and deflated.iterations <= most < plain


def test_the_first_solve_has_the_space_and_is_charged_for_it(rng):
    A = spd(diffusion(32))
    steps, cold = (Sequence(DeflatedCG(k=6), M=SSOR(), spaces=s) for s in (Bootstrapped(6), None))
    counts = {}
    for name, sequence in (("warm", steps), ("cold", cold)):
        counts[name] = [sequence.solve(A, rng.standard_normal(1024)).check() for _ in range(2)]
    assert counts["warm"][0].iterations < 0.7 * counts["cold"][0].iterations
    assert counts["warm"][0].counts.setup > 100 and counts["warm"][0].extra["cold"] == ""
    assert counts["warm"][1].counts.setup <= 6
    steps.reset()
    assert steps.solve(A, np.ones(1024)).counts.setup > 100


def test_the_space_is_kept_while_matrices_are_near(rng):
    near, far = diffusion(24, 100.0), diffusion(24, 1e6)
    kept = {}
    for name, matrices in (("near", [near, 3.0 * near, 1.01 * near]), ("far", [near, far, far])):
        steps = Sequence(DeflatedCG(k=5), M=SSOR(), spaces=Bootstrapped(5, drift=0.1), cold_every=None)
        spaces = []
        for matrix in matrices:
            steps.solve(Sparse(matrix, props=SPD), rng.standard_normal(576)).check()
            spaces.append(steps.space)
        kept[name] = [s is spaces[0] for s in spaces]
    assert kept["near"] == [True, True, True], "scaling a matrix leaves its space alone"
    assert kept["far"][1:] == [False, False]


def test_bad_options_and_methods():
    for options in ({"k": 0}, {"drift": 1.5}, {"drift": -0.1}):
        with pytest.raises(ValueError, match="must"):
            Bootstrapped(**options)
    with pytest.raises(TypeError, match="recycles"):
        Sequence(CG(), spaces=Bootstrapped())
