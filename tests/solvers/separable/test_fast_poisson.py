"""The fast Poisson solver: contract, precisions, singular systems, refusals."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.datasets.families import Darcy2D
from resolvent.operators import SPD, Props, Sparse, StructureError
from resolvent.solvers import CG, MINRES, FastPoisson, Status
from resolvent.solvers.check import (
    callbacks,
    columns_equal_singles,
    counts,
    extreme_sizes,
    fields,
    honoured_maxiter,
    nan_reported,
    pickling,
    singular_systems,
    truthful,
    warm_start,
    zero_right_hand_side,
)
from resolvent.solvers.separable import Axis

from ..conformance import convection, poisson
from .axes import ENDS, kron_sum


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scaling": "half"}, "scaling must be"),
        ({"boundary": "robin"}, "boundary must be"),
        ({"boundary": ("dirichlet", "wall")}, "boundary must be"),
        ({"centring": "face"}, "centring must be"),
        ({"spacing": 0.0}, "spacing must be positive"),
        ({"grid": (0, 3)}, "grid must be"),
        ({"workers": 0}, "workers must be"),
        ({"rtol": -1.0}, "rtol must be"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        FastPoisson(**options)


@pytest.mark.parametrize(
    "check",
    [
        zero_right_hand_side,
        honoured_maxiter,
        nan_reported,
        counts,
        columns_equal_singles,
        pickling,
        warm_start,
        fields,
        callbacks,
        singular_systems,
        extreme_sizes,
    ],
)
def test_the_contract_of_solvers(check):
    # Those checks of `check_solver` whose systems all have constant coefficients.
    assert check(FastPoisson(), np.random.default_rng(0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("shift", [0.0, 0.5, -3.7, -3.7 + 0.5j])
def test_precisions_columns_and_shifts(dtype, shift, rng):
    if np.iscomplexobj(shift) and np.dtype(dtype).kind != "c":
        pytest.skip("a complex shift makes a complex operator")
    matrix = sp.csr_array(poisson(12) + shift * sp.eye_array(144), dtype=dtype)
    A = Sparse(matrix, grid=(12, 12), props=Props.SYMMETRIC)
    B = rng.standard_normal((144, 4)).astype(dtype)
    rtol = 1e-4 if np.dtype(dtype).itemsize // (1 + (np.dtype(dtype).kind == "c")) == 4 else 1e-12
    result = FastPoisson(rtol=rtol).solve(A, B)
    truthful(A, B, result, "columns")
    assert result.converged and result.x.dtype == dtype and result.iterations <= 3
    exact = FastPoisson(rtol=rtol).solve(A, np.asarray(A @ result.x[:, 0]), result.x[:, 0])
    assert exact.converged and exact.iterations == 0
    prepared = FastPoisson(rtol=rtol).prepare(A)
    np.testing.assert_array_equal(prepared.solve(B).x, result.x)
    adjoint = prepared.adjoint().solve(B[:, 0])
    assert adjoint.converged
    residual = B[:, 0] - matrix.conj().T @ adjoint.x
    assert np.linalg.norm(residual) <= 1.01 * rtol * np.linalg.norm(B[:, 0]) + 1e-6 * (rtol == 1e-4)


@pytest.mark.parametrize("closure", ["insulated", "periodic"])
def test_a_singular_system_is_solved_with_zero_mean(closure, rng):
    axes = Axis(8, *ENDS[closure]), Axis(10, *ENDS["insulated"])
    A = Sparse(sp.csr_array(kron_sum(axes, (1.0, 1.0), 0.0)), props=SPD | Props.SINGULAR, grid=(8, 10))
    b = A @ rng.standard_normal(80)
    result = FastPoisson(rtol=1e-12).solve(A, b)
    assert result.converged and abs(result.x.mean()) < 1e-14
    inconsistent = FastPoisson().solve(A, b + 1.0)
    assert inconsistent.status is Status.STAGNATED
    assert inconsistent.residual_norm == pytest.approx(np.sqrt(80.0))
    for method in (CG(), MINRES()):
        assert method.solve(A, b, M=FastPoisson()).converged
    M = FastPoisson()(A)
    assert Props.POSITIVE_DEFINITE in M.props and Props.SINGULAR not in M.props
    assert np.linalg.eigvalsh(M.to_dense()).min() > 0.0


def test_varying_coefficients_are_refused_with_advice(rng):
    family = Darcy2D(resolution=8)
    A, b = family.assemble(family.draw(rng))
    with pytest.raises(StructureError, match=r"constant coefficients.*axis 0 vary.*M=FastPoisson\(\)"):
        FastPoisson().solve(A, b)
    with pytest.raises(StructureError, match="takes no preconditioner"):
        FastPoisson().solve(A, b, M=FastPoisson())
    with pytest.raises(StructureError, match="axis 0 vary"):
        FastPoisson().solve(Sparse(convection(8), grid=(8, 8)), np.ones(64))
    with pytest.raises(StructureError, match="diagonal varies"):
        FastPoisson().solve(Sparse(poisson(6) + sp.diags_array(np.arange(36.0))), np.ones(36))


def test_new_values_are_noticed(rng):
    A = Sparse(poisson(9), props=SPD, grid=(9, 9))
    b = rng.standard_normal(81)
    prepared = FastPoisson().prepare(A)
    prepared.solve(b)
    A.update(data=3.0 * A.matrix.data)
    result = prepared.solve(b)
    assert result.converged and result.iterations == 1
    spoilt = A.matrix.data.copy()
    spoilt[4] = np.inf
    A.update(data=spoilt)
    assert prepared.solve(b).status is Status.NONFINITE


def test_nothing_to_solve_is_refused():
    for M, solver in ((None, FastPoisson()), (FastPoisson(), CG())):
        with pytest.raises(StructureError, match="has no unknowns"):
            solver.solve(sp.csr_array((0, 0)), np.zeros(0), M=M)


@pytest.mark.parametrize(
    ("options", "message"), [({"grid": (7, 8)}, "has 56 points"), ({"boundary": "neumann"}, "grid")]
)
def test_a_grid_that_does_not_fit_is_an_error_and_not_a_status(options, message):
    with pytest.raises(ValueError, match=message):
        FastPoisson(**options).solve(poisson(7), np.ones(49))
    broken = poisson(7)
    broken.data[3] = np.nan
    assert FastPoisson().solve(broken, np.ones(49)).status is Status.NONFINITE
