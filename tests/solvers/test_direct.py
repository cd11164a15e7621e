"""Sparse and dense direct solution: refinement, pivoting, reuse of the ordering, adjoint, honest failure."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Dense, Props, Sparse, StructureError
from resolvent.solvers import Direct, Status
from resolvent.solvers.factorisations import BandedCholesky, Pattern, SparseLU
from resolvent.solvers.preconditioners import Jacobi


def poisson(n: int, seed: int = 0) -> sp.csr_array:
    """2-D 5-point matrix with random positive symmetric coefficients."""
    rng = np.random.default_rng(seed)
    T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
    A = (sp.kron(T, sp.eye_array(n)) + sp.kron(sp.eye_array(n), T)).tocsr()
    S = sp.diags_array(rng.uniform(0.5, 2.0, n * n))
    return sp.csr_array(S @ A @ S)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("width", [None, 1, 3])
def test_residual_in_every_dtype_and_shape(dtype: type, width: int | None) -> None:
    A = poisson(12).astype(dtype)
    rng = np.random.default_rng(1)
    b = rng.standard_normal((144,) if width is None else (144, width)).astype(dtype)
    single = np.dtype(dtype).itemsize in (4, 8) and np.dtype(dtype) in (np.float32, np.complex64)
    result = Direct(rtol=1e-5 if single else 1e-12).solve(A, b)
    assert result.converged and result.x.shape == b.shape and result.x.dtype == np.dtype(dtype)
    residual = np.linalg.norm(b.astype(np.complex128) - A @ result.x.astype(np.complex128), axis=0)
    assert (residual <= (1e-5 if single else 1e-12) * np.linalg.norm(b, axis=0)).all()


def test_ordering_is_found_once_for_matrices_of_one_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.sparse.linalg as spla

    specs: list[str] = []
    original = spla.splu

    def counted(matrix: sp.csc_array, permc_spec: str = "", **options: object) -> spla.SuperLU:
        specs.append(permc_spec)
        return original(matrix, permc_spec=permc_spec, **options)

    monkeypatch.setattr(spla, "splu", counted)
    prepared = Direct(rtol=1e-12, ordering="symmetric").prepare(Sparse(poisson(10, 0), props=SPD))
    for seed in range(1, 4):
        A = poisson(10, seed)
        prepared.update(Sparse(A, props=SPD))
        result = prepared.solve(np.ones(100))
        assert result.converged and np.linalg.norm(A @ result.x - 1.0) <= 1e-11
    assert specs == ["MMD_AT_PLUS_A", "NATURAL", "NATURAL", "NATURAL"]
    # A changed pattern is noticed and analysed anew.
    prepared.update(Sparse(sp.csr_array(poisson(10) @ poisson(10)), props=SPD))
    assert specs[-1] == "MMD_AT_PLUS_A" and prepared.solve(np.ones(100)).converged


@pytest.mark.parametrize("symmetric", [True, False])
def test_reused_ordering_has_the_fill_of_a_fresh_one(symmetric: bool) -> None:
    A = poisson(20)
    analysis = SparseLU(Pattern.of(A), symmetric=symmetric)
    first = analysis._factors(A)[0]
    again = analysis._factors(A)[0]
    assert again.nnz == first.nnz


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_narrow_bands_take_band_cholesky(dtype: type) -> None:
    A = poisson(12).astype(dtype)
    if np.dtype(dtype).kind == "c":
        phase = sp.diags_array(np.exp(1j * np.arange(144)).astype(dtype))
        A = sp.csr_array(phase @ A @ phase.conj().T)
    prepared = Direct(rtol=1e-4).prepare(Sparse(A, props=SPD))
    assert isinstance(prepared._state.analysis, BandedCholesky) and prepared._state.analysis.width == 12
    b = np.arange(144.0).astype(dtype) * (1 + (1j if np.dtype(dtype).kind == "c" else 0))
    result = prepared.solve(b).check()
    assert result.iterations == 1 and np.linalg.norm(A @ result.x - b) <= 1e-4 * np.linalg.norm(b)
    prepared.update(Sparse(sp.csr_array(2 * A), props=SPD))
    assert np.allclose(prepared.solve(b).x, result.x / 2, rtol=1e-3)
    wide = sp.csr_array(poisson(5) + sp.coo_array(([1e-3, 1e-3], ([0, 24], [24, 0])), shape=(25, 25)))
    prepared.update(Sparse(sp.csr_array(sp.block_diag([wide] * 5 + [poisson(4)] + [sp.eye_array(3)])), props=SPD))
    assert prepared.solve(np.ones(144)).converged, "another pattern is analysed anew"


def test_false_claim_of_definiteness_costs_time_only() -> None:
    A = sp.csr_array(poisson(6) - 3.0 * sp.eye_array(36))
    result = Direct(rtol=1e-10).solve(Sparse(A, props=SPD), np.ones(36))
    assert result.converged and np.linalg.norm(A @ result.x - 1.0) <= 1e-9


def test_complex_right_hand_side_of_a_real_matrix() -> None:
    for ordering in ("band", "symmetric", "column"):
        b = np.arange(25) + 1j * np.ones(25)
        x = Direct(ordering=ordering, rtol=1e-12).solve(Sparse(poisson(5), props=SPD), b).check().x
        assert np.linalg.norm(poisson(5) @ x - b) <= 1e-10


def test_nonsymmetric_and_indefinite_systems_and_their_adjoints() -> None:
    rng = np.random.default_rng(5)
    matrix = sp.random_array((80, 80), density=0.05, rng=rng) + sp.diags_array(rng.uniform(-1.0, 1.0, 80))
    matrix = sp.csr_array(matrix + 1j * sp.random_array((80, 80), density=0.05, rng=rng))
    b = rng.standard_normal((80, 2))
    prepared = Direct(rtol=1e-10).prepare(matrix)
    assert np.linalg.norm(matrix @ prepared.solve(b).check().x - b) <= 1e-8
    adjoint = prepared.adjoint().solve(b).check()
    assert np.linalg.norm(matrix.conj().T @ adjoint.x - b) <= 1e-8
    updated = sp.csr_array(matrix * 2.0)
    prepared.update(updated)
    assert np.linalg.norm(updated @ prepared.solve(b).check().x - b) <= 1e-8
    assert np.linalg.norm(updated.conj().T @ prepared.adjoint().solve(b).check().x - b) <= 1e-8


def test_zero_diagonal_falls_back_to_partial_pivoting() -> None:
    swap = sp.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert np.allclose(Direct().solve(swap, np.array([1.0, 2.0])).check().x, [2.0, 1.0])
    saddle = sp.block_array([[poisson(4), np.ones((16, 1))], [np.ones((1, 16)), None]], format="csr")
    assert Direct(rtol=1e-12).solve(Sparse(saddle, props=Props.SYMMETRIC), np.arange(17.0)).converged


def test_tiny_pivots_are_mended_by_refinement_or_pivoting() -> None:
    A = sp.csr_array(np.array([[1e-18, 1.0], [1.0, 1.0]]))
    result = Direct(rtol=1e-14).solve(A, np.array([1.0, 2.0]))
    assert result.converged and np.allclose(result.x, [1.0, 1.0])


@pytest.mark.parametrize("matrix", [np.ones((3, 3)) * [[1.0], [2.0], [0.0]], np.zeros((3, 3))])
@pytest.mark.parametrize("dense", [True, False])
def test_singular_matrices_are_a_status_not_an_exception(matrix: np.ndarray, dense: bool) -> None:
    result = Direct().solve(Dense(matrix) if dense else sp.csr_array(matrix), np.ones(3))
    assert not result.converged and result.status in (Status.BREAKDOWN, Status.STAGNATED)
    assert np.isfinite(result.x).all()
    assert "singular" in str(result)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nonfinite_entries_are_reported(bad: float) -> None:
    for A in (np.array([[1.0, bad], [0.0, 1.0]]), sp.csr_array(np.array([[1.0, bad], [0.0, 1.0]]))):
        result = Direct().solve(A, np.ones(2))
        assert result.status is Status.NONFINITE and np.isfinite(result.x).all()


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(StructureError, match="no preconditioner"):
        Direct().prepare(np.eye(3), M=Jacobi())
    with pytest.raises(ValueError, match="ordering must be"):
        Direct(ordering="best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="square"):
        Direct().prepare(np.ones((2, 3)))


def test_changed_values_are_noticed_by_version() -> None:
    A = Sparse(poisson(5), props=SPD)
    prepared = Direct(rtol=1e-12).prepare(A)
    first = prepared.solve(np.ones(25)).x
    A.update(A=2.0 * poisson(5))
    assert np.allclose(prepared.solve(np.ones(25)).x, first / 2.0)


@pytest.mark.parametrize("ordering", ["band", "symmetric", "column"])
def test_factors_are_freed_as_soon_as_they_are_replaced(ordering: str) -> None:
    """A reference cycle would keep factors of many matrices until the cyclic collector runs."""
    prepared = Direct(ordering=ordering).prepare(Sparse(poisson(5), props=SPD))
    prepared.solve(np.ones(25) + 1j)
    state = weakref.ref(prepared._state)
    factors = weakref.ref(prepared._state._solve.args[0])
    gc.disable()
    try:
        prepared.update(Sparse(poisson(5, 1), props=SPD))
        assert state() is None and factors() is None
    finally:
        gc.enable()


def test_factors_are_dropped_before_new_ones_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = Direct(ordering="symmetric").prepare(Sparse(poisson(5), props=SPD))
    factors = weakref.ref(prepared._state._solve.args[0])
    alive: list[bool] = []
    original = SparseLU.factorise

    def watched(self: SparseLU, matrix: sp.csr_array) -> object:
        alive.append(factors() is not None)
        return original(self, matrix)

    monkeypatch.setattr(SparseLU, "factorise", watched)
    prepared.update(Sparse(poisson(5, 1), props=SPD))
    assert alive == [False]


def test_rounding_is_told_from_bad_factors() -> None:
    """A tolerance below rounding must not cost more factorisations, nor bind the next matrix to a slower one."""
    n = 1000
    A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n), format="csr")
    prepared = Direct(rtol=1e-15).prepare(Sparse(A, props=SPD))
    result = prepared.solve(np.ones(n))
    assert result.status is Status.STAGNATED and "rounding" in result.extra["reason"]
    assert isinstance(prepared._state.analysis, BandedCholesky)
    assert np.array_equal(prepared.solve(np.ones(n)).x, result.x)


def test_a_fallback_does_not_bind_the_next_matrix() -> None:
    prepared = Direct(rtol=1e-10).prepare(Sparse(sp.csr_array(poisson(6) - 3.0 * sp.eye_array(36)), props=SPD))
    assert prepared.solve(np.ones(36)).converged and isinstance(prepared._state.analysis, SparseLU)
    prepared.update(Sparse(poisson(6), props=SPD))
    assert prepared.solve(np.ones(36)).converged and isinstance(prepared._state.analysis, BandedCholesky)


@pytest.mark.parametrize("convert", [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_array.toarray])
def test_matrices_changed_in_place_are_noticed(convert: object) -> None:
    A = convert(poisson(5))  # type: ignore[operator]
    prepared = Direct(rtol=1e-12).prepare(A)
    first = prepared.solve(np.ones(25)).x
    if isinstance(A, np.ndarray):
        A *= 2.0
    else:
        A.data *= 2.0
    result = prepared.solve(np.ones(25)).check()
    assert np.allclose(result.x, first / 2.0)


def test_changes_inside_a_sum_are_noticed_and_by_the_adjoint_too() -> None:
    S = Sparse(sp.csr_array(poisson(5) + sp.diags_array([0.3], offsets=[1], shape=(25, 25))))
    A = S + 2.0 * S.H
    prepared = Direct(rtol=1e-12).prepare(A)
    prepared.solve(np.ones(25)).check()
    S.update(A=3.0 * S.matrix)
    assert np.linalg.norm(A @ prepared.solve(np.ones(25)).check().x - 1.0) <= 1e-10
    S.update(A=3.0 * S.matrix)
    assert np.linalg.norm(A.H @ prepared.adjoint().solve(np.ones(25)).check().x - 1.0) <= 1e-10
