"""Flexible methods: preconditioners that change, inner iterations, fallbacks."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import Function, Props, Sparse, StructureError
from resolvent.solvers import CG, FGMRES, GMRES, MINRES, SSOR, BiCGStab, FlexibleCG, Jacobi, Status

from .conformance import convection, diffusion, neumann, poisson, relative_residual, spd

LARGE = poisson(64)


def varying(n, apply):
    return Function((n, n), apply, props=Props.VARIABLE)


@pytest.fixture(scope="module")
def b():
    return np.random.default_rng(0).standard_normal(4096)


@pytest.fixture(scope="module")
def sweeps():
    return SSOR()(spd(LARGE))


@pytest.mark.parametrize("mmax", [1, 2, 5])
def test_equals_cg_for_a_fixed_preconditioner(mmax, b, sweeps):
    plain = CG(rtol=1e-10).solve(spd(LARGE), b, M=sweeps)
    flexible = FlexibleCG(rtol=1e-10, mmax=mmax).solve(spd(LARGE), b, M=sweeps)
    assert plain.iterations == flexible.iterations == 91
    assert np.allclose(plain.history[:41], flexible.history[:41], rtol=1e-12)


@pytest.mark.parametrize("mmax, most", [(2, 350), (20, 260)])
def test_preconditioner_with_noise_in_every_entry(mmax, most, b, sweeps):
    rng = np.random.default_rng(5)
    M = varying(4096, lambda r: (sweeps @ r) * (1.0 + 0.5 * rng.standard_normal(4096)))
    result = FlexibleCG(mmax=mmax).solve(spd(LARGE), b, M=M)
    assert result.converged and result.iterations <= most


def test_cg_would_fail_with_that_preconditioner(b, sweeps):
    rng = np.random.default_rng(5)
    undeclared = Function((4096, 4096), lambda r: (sweeps @ r) * (1.0 + 0.5 * rng.standard_normal(4096)))
    assert not CG(maxiter=1000).solve(spd(LARGE), b, M=undeclared).converged


def test_useless_preconditioner_costs_no_iterations(b):
    result = FlexibleCG(rtol=1e-10).solve(spd(LARGE), b, M=varying(4096, np.zeros_like))
    plain = CG(rtol=1e-10).solve(spd(LARGE), b)
    assert result.converged and result.iterations == plain.iterations
    assert result.extra["fallbacks"] == result.counts.preconditioner == 3
    assert result.extra["abandoned"] == 1


def test_safe_preconditioner_takes_over_from_one_that_fails_three_times(b, sweeps):
    broken = varying(4096, lambda r: np.full_like(r, np.nan))
    result = FlexibleCG(safe=SSOR()).solve(spd(LARGE), b, M=broken)
    alone = CG().solve(spd(LARGE), b, M=sweeps)
    assert result.converged and result.extra["fallbacks"] == 3
    assert alone.iterations <= result.iterations <= alone.iterations + 20
    assert result.counts.preconditioner == result.iterations


def test_two_failures_running_are_forgiven(b, sweeps):
    calls = []

    def twice_in_three(r):
        calls.append(1)
        return sweeps @ r * (1.0 if len(calls) % 3 == 0 else np.nan)

    result = FlexibleCG().solve(spd(LARGE), b, M=varying(4096, twice_in_three))
    assert result.converged and result.extra["abandoned"] == 0
    assert result.iterations - 10 <= len(calls) and result.iterations > 90


@pytest.mark.parametrize("scale", [1e-200, 1e-170, 1e120, 1e150, 1e200])
def test_directions_out_of_range_do_not_end_the_solve(scale, b, sweeps):
    A = spd(1e30 * LARGE)
    result = FlexibleCG().solve(A, 1e30 * b, M=varying(4096, lambda r: scale * (sweeps @ r)))
    assert result.converged and result.iterations <= 250


def test_negative_curvature_is_a_verdict_on_the_system(rng):
    A, b = spd(poisson(8) - sp.eye_array(64)), rng.standard_normal(64)
    result = FlexibleCG().solve(A, b, M=varying(64, np.ones_like))
    assert result.status is Status.INDEFINITE


def test_what_gains_nothing_is_given_up(b):
    rng = np.random.default_rng(1)
    plain = CG().solve(spd(LARGE), b)
    result = FlexibleCG().solve(spd(LARGE), b, M=varying(4096, rng.permutation))
    assert result.converged and result.extra == {"fallbacks": 0, "abandoned": 1}
    assert result.counts.preconditioner == 20 and result.iterations <= plain.iterations + 60


def test_slow_but_useful_is_kept(b):
    M = Jacobi()(spd(diffusion(64)))
    result = FlexibleCG().solve(spd(diffusion(64)), b, M=varying(4096, lambda r: M @ r))
    assert result.converged and result.extra["abandoned"] == 0 and result.iterations > 60


def test_not_a_number_once_is_survived(b, sweeps):
    calls = []

    def fifth_fails(r):
        calls.append(1)
        return sweeps @ r * (np.nan if len(calls) == 5 else 1.0)

    result = FlexibleCG().solve(spd(LARGE), b, M=varying(4096, fifth_fails))
    assert result.converged and result.extra["fallbacks"] == 1


def test_no_preconditioner_can_raise_the_error(rng):
    A, b = diffusion(16), rng.standard_normal(256)
    x_star, errors = np.linalg.solve(A.toarray(), b), []
    FlexibleCG(maxiter=300).solve(
        spd(A),
        b,
        M=varying(256, lambda r: rng.standard_normal(256)),
        callback=lambda p: errors.append((p.x[:, 0] - x_star) @ A @ (p.x[:, 0] - x_star)),
    )
    assert (np.diff(errors) <= 1e-12 * errors[0]).all()


def test_columns_fall_back_one_by_one(rng):
    A, B = spd(poisson(12)), rng.standard_normal((144, 3))
    B[:, 2] = np.nan
    M = SSOR()(A)

    def second_column_fails(R):
        Z = M @ R
        if Z.ndim == 2 and Z.shape[1] > 1:
            Z[:, 1] = np.nan
        return Z

    both = Function((144, 144), second_column_fails, matmat=second_column_fails, props=Props.VARIABLE)
    result = FlexibleCG().solve(A, B, M=both)
    alone = [CG().solve(A, B[:, 0].copy(), M=M).iterations, CG().solve(A, B[:, 1].copy()).iterations]
    assert [c.status for c in result.columns] == [Status.CONVERGED, Status.CONVERGED, Status.NONFINITE]
    assert result.columns[0].iterations == alone[0]
    # Once the first column has left, the second is preconditioned after all.
    assert alone[0] <= result.columns[1].iterations <= alone[1]


@pytest.mark.parametrize("outer", [FlexibleCG(), FGMRES()])
@pytest.mark.parametrize("inner", [CG(rtol=0.1), CG(maxiter=4), GMRES(rtol=1e-2), MINRES(rtol=0.05)])
def test_inner_iterations_as_preconditioner(outer, inner, rng):
    A, b = spd(diffusion(20)), rng.standard_normal(400)
    prepared = inner.prepare(A)
    M = varying(400, lambda r: prepared.solve(r).x)
    result = outer.solve(A, b, M=M)
    assert result.converged and relative_residual(A.matrix, result.x, b) <= 1e-8
    assert result.iterations < outer.solve(A, b).iterations / 2.5


def test_inner_iteration_for_a_nonsymmetric_system(rng):
    A, b = convection(20), rng.standard_normal(400)
    prepared = BiCGStab(rtol=1e-2).prepare(A, Jacobi())
    result = FGMRES().solve(A, b, M=varying(400, lambda r: prepared.solve(r).x))
    assert result.converged and result.iterations <= 8


def test_short_inner_solves_make_no_products_but_their_own(rng):
    A, b = spd(poisson(10)), rng.standard_normal(100)
    result = CG(maxiter=4).solve(A, b)
    assert result.counts.matvec == 6  # the first residual, four steps, the last residual


@pytest.mark.parametrize(
    "method, named", [(CG(), "FlexibleCG"), (GMRES(), "FGMRES"), (MINRES(), "FGMRES"), (BiCGStab(), "FGMRES")]
)
def test_fixed_methods_refuse_and_name_the_flexible_one(method, named):
    with pytest.raises(StructureError, match=f"VARIABLE.*use {named}"):
        method.prepare(poisson(4), varying(16, lambda r: r))


def test_varying_operators_and_wrong_options_are_refused():
    with pytest.raises(StructureError, match="needs a fixed operator"):
        FlexibleCG().prepare(varying(4, lambda r: r))
    with pytest.raises(StructureError, match="complex symmetric"):
        FlexibleCG().prepare(Sparse(sp.csr_array(poisson(4) + 1j * sp.eye_array(16)), props=Props.SYMMETRIC))
    with pytest.raises(ValueError, match="mmax must be a whole number ≥ 1"):
        FlexibleCG(mmax=0)


def test_indefinite_and_inconsistent_systems(rng):
    b = rng.standard_normal(64)
    indefinite = FlexibleCG().solve(poisson(8) - 3.7 * sp.eye_array(64), b)
    assert indefinite.status is Status.INDEFINITE
    inconsistent = FlexibleCG().solve(neumann(64), b)
    assert inconsistent.status is Status.STAGNATED and inconsistent.residual_norm <= np.linalg.norm(b)
    assert FlexibleCG().solve(neumann(64), np.ones(64)).status is Status.STAGNATED
