"""LGMRES: scipy's cycles, augmentation that helps, sides, vectors from earlier solves."""

import numpy as np
import pytest
import scipy.sparse.linalg as spla

from resolvent.operators import Diagonal, Function, Props, Sparse, StructureError
from resolvent.solvers import GMRES, LGMRES, Status

from .conformance import convection, diffusion, relative_residual


@pytest.mark.parametrize("prepend", [False, True])
@pytest.mark.parametrize("make", [convection, diffusion])
def test_products_are_scipys(make, prepend):
    A, b = make(16), np.linspace(1.0, 2.0, 256)
    products = []

    def counted(v):
        products.append(1)
        return A @ v

    operator = spla.LinearOperator(A.shape, counted, dtype=float)
    x, info = spla.lgmres(operator, b, rtol=1e-8, inner_m=12, outer_k=3, prepend_outer_v=prepend)
    assert info == 0
    result = LGMRES(inner_m=12, outer_k=3, prepend_outer_v=prepend).solve(A, b).check()
    assert np.linalg.norm(result.x - x) <= 1e-6 * np.linalg.norm(x)
    assert abs(result.counts.matvec - len(products)) <= 2 + len(products) // 10


def test_it_beats_gmres_of_the_same_storage():
    A, b = diffusion(24), np.ones(576)
    few = LGMRES(inner_m=12, outer_k=3).solve(A, b).check()
    assert few.counts.matvec < 0.8 * GMRES(restart=21).solve(A, b).check().counts.matvec


@pytest.mark.parametrize("side", ["right", "left"])
def test_sides(side):
    A, b = convection(20), np.ones(400)
    M = Diagonal(np.linspace(0.2, 0.3, 400))
    result = LGMRES(inner_m=12, side=side).solve(A, b, M=M).check()
    assert relative_residual(A, result.x, b) <= 1e-8


def test_corrections_serve_the_next_system():
    A, b = Sparse(diffusion(24)), np.ones(576)
    solver = LGMRES(inner_m=30, outer_k=20)  # room for the corrections of all cycles
    first = solver.solve(A, b).check()
    again = solver.solve(A, b, space=first.space).check()
    assert again.counts.setup == 0
    assert again.counts.products < 0.5 * first.counts.products
    A.update(data=2.0 * A.matrix.data)
    stale = solver.solve(A, b, space=first.space).check()
    assert stale.counts.setup == first.space.k
    assert relative_residual(A, stale.x, b) <= 1e-8


def test_images_of_the_corrections_are_true():
    A, b = Sparse(convection(20)), np.ones(400)
    for v, image in LGMRES(inner_m=10, outer_k=3).solve(A, b).check().extra["outer_v"]:
        assert np.linalg.norm(A @ v - image) <= 1e-9 * np.linalg.norm(image)


def test_hard_cases():
    singular = Diagonal(np.r_[np.zeros(2), np.linspace(1.0, 3.0, 48)])
    assert LGMRES().solve(singular, np.r_[np.zeros(2), np.ones(48)]).converged
    assert LGMRES(inner_m=10).solve(singular, np.ones(50)).status in (Status.STAGNATED, Status.BREAKDOWN)
    rotation = np.array([[0.0, 1.0], [-1.0, 0.0]])
    assert LGMRES().solve(rotation, np.array([1.0, 0.0])).converged
    M = Function((2, 2), lambda r: r, props=Props.VARIABLE)
    with pytest.raises(StructureError, match="GCROT"):
        LGMRES().solve(rotation, np.ones(2), M=M)


@pytest.mark.parametrize("options", [{"inner_m": 0}, {"outer_k": -1}, {"side": "both"}])
def test_bad_options(options):
    with pytest.raises(ValueError, match="must"):
        LGMRES(**options)
