"""What entries tell about boundary, spacing and shift."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.datasets.families import Darcy2D
from resolvent.operators import SPD, Function, Sparse, Stencil, StructureError
from resolvent.solvers import CG, FastPoisson
from resolvent.solvers.separable import Axis, Couplings, constant_operator

from ..conformance import poisson
from .axes import ENDS, kron_sum, transmissibilities


@pytest.mark.parametrize(("first", "second"), list(itertools.product(ENDS, ("cell", "periodic", "insulated"))))
def test_entries_tell_boundary_spacing_and_shift(first, second):
    axes = Axis(6, *ENDS[first]), Axis(5, *ENDS[second])
    for shift in (0.0, 3.0):
        matrix = sp.csr_array(kron_sum(axes, (4.0, 9.0), shift))
        for A in (Sparse(matrix, grid=(6, 5)), Sparse(matrix)):
            found = constant_operator(Couplings.of(A))
            np.testing.assert_allclose(kron_sum(found.axes, found.scales, found.shift), matrix.toarray(), atol=1e-9)
            for axis, expected in zip(found.axes, axes, strict=True):
                assert axis.closure == expected.closure
                assert axis.kind == expected.kind


def test_stencil_and_matrix_are_read_alike(rng):
    A, _ = Darcy2D(resolution=7, coefficient="lognormal_unit").assemble(
        Darcy2D(resolution=7, coefficient="lognormal_unit").draw(rng)
    )
    for other in (A.expand(), Sparse(A.to_sparse(), grid=(7, 7)), Sparse(A.to_sparse())):
        one, two = Couplings.of(A), Couplings.of(other)
        for x, y in zip((one.diagonal, *one.upper, *one.lower), (two.diagonal, *two.upper, *two.lower), strict=True):
            np.testing.assert_array_equal(x, y)


def test_what_is_not_a_box_is_refused(rng):
    tridiagonal = sp.diags_array([np.ones(11), np.full(12, 5.0), np.ones(11)], offsets=[-1, 0, 1])
    assert Couplings.of(Sparse(tridiagonal)).grid == (12,)
    with pytest.raises(StructureError, match="do not link neighbours on a grid of 3 x 4"):
        Couplings.of(Sparse(tridiagonal, grid=(3, 4)))
    scattered = sp.random_array((30, 30), density=0.3, rng=rng) + sp.eye_array(30)
    with pytest.raises(StructureError, match="do not show the grid"):
        FastPoisson()(Sparse(scattered))
    nine = np.ones((9, 4, 4))
    for s, (i, j) in enumerate(Stencil(np.zeros((9, 4, 4))).offsets):
        nine[s][{1: np.s_[3:], -1: np.s_[:1], 0: np.s_[:0]}[i]] = 0.0
        nine[s][:, {1: np.s_[3:], -1: np.s_[:1], 0: np.s_[:0]}[j]] = 0.0
    with pytest.raises(StructureError, match=r"couples points at \(-1, -1\)"):
        FastPoisson()(Stencil(nine))
    with pytest.raises(ValueError, match="grid"):
        FastPoisson(grid=(5, 5))(Sparse(poisson(6)))


def test_operators_without_entries_need_boundary_and_spacing(rng):
    n, h = 24, 1.0 / 24
    A = Stencil.from_transmissibilities(transmissibilities((n, n), (h**-2, h**-2), 2.0))
    bare = Function(A.shape, A.matvec, props=SPD, grid=(n, n))
    b = rng.standard_normal(n * n)
    with pytest.raises(StructureError, match="no stored entries"):
        FastPoisson().solve(bare, b)
    given = FastPoisson(boundary="dirichlet", spacing=h)
    assert given.solve(bare, b).iterations == 1
    assert CG().solve(bare, b, M=given).iterations <= 2
    wrong = FastPoisson(boundary="neumann", spacing=h).solve(bare, b)
    assert not wrong.converged
    mixed = FastPoisson(boundary=("dirichlet", "periodic"), centring="vertex", spacing=(h, 2 * h), grid=(n, n))
    assert "fft" in repr(mixed(bare))
