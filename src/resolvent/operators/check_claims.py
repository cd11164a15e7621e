"""Checks of entries and of claimed flags. Each returns its finding in words or raises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .base import Array
from .probe import Failed, Probe, Skipped, require
from .props import Props

Check = tuple[str, Callable[[Probe], str]]

# Unit vectors with which the diagonal of a large operator is sampled, and steps of the Lanczos process.
_SAMPLES = 16
_LANCZOS_STEPS = 40


def _norm(x: Array) -> float:
    return float(np.linalg.norm(x.reshape(-1)))


def diagonal(p: Probe) -> str:
    """`diagonal()` agrees with products with unit vectors."""
    given = p.A.diagonal()
    if p.A._holds_torch():
        from .check_torch import to_host

        given = to_host(given)
    size = min(p.A.shape)
    require(given.shape == (size,), f"diagonal() has shape {given.shape}, expected ({size},)")
    if p.small:
        rows = np.arange(size)
        expected = np.diagonal(p.dense)
    else:
        rows = p.rng.choice(size, _SAMPLES, replace=False)
        units = np.zeros((p.A.shape[1], _SAMPLES), dtype=p.A.dtype)
        units[rows, np.arange(_SAMPLES)] = 1
        expected = p.product(units)[rows, np.arange(_SAMPLES)]
    return p.require_equal(given[rows], expected, p.norm * size**0.5, "diagonal() differs from products")


def entries(p: Probe) -> str:
    """`to_sparse()`, and `to_dense()` of a small operator, agree with products."""
    A = p.A.to_sparse()
    require(A.shape == p.A.shape, f"to_sparse() has shape {A.shape}")
    require(A.format == "csr", f"to_sparse() has format {A.format}, expected csr")
    require(A.dtype == p.A.dtype, f"to_sparse() has dtype {A.dtype}, expected {p.A.dtype}")
    X = p.random(p.A.shape[1], 3)
    return p.require_equal(A @ X, p.product(X), p.norm * _norm(X), "to_sparse() differs from products")


def dense_entries(p: Probe) -> str:
    """`to_dense()` agrees with products."""
    expected = p.dense
    given = p.A.to_dense()
    if p.A._holds_torch():
        from .check_torch import to_host

        given = to_host(given)
    return p.require_equal(given, expected, p.norm * max(p.A.shape) ** 0.5, "to_dense() differs from products")


def row_sums(p: Probe) -> str:
    """A · 1 is what the caller expects."""
    if p.row_sums is None:
        raise Skipped("no row_sums given")
    ones = np.ones(p.A.shape[1], dtype=p.A.dtype)
    expected = np.asarray(p.row_sums).reshape(-1)
    return p.require_equal(p.product(ones), expected, p.norm * _norm(ones), "A · 1 differs from row_sums")


def _needs(p: Probe, flag: Props) -> None:
    if flag not in p.A.props:
        raise Skipped("not claimed")


def symmetric(p: Probe) -> str:
    """yᵀAx = xᵀAy."""
    _needs(p, Props.SYMMETRIC)
    detail = ""
    for _ in range(3):
        x, y = p.random(p.A.shape[1]), p.random(p.A.shape[1])
        scale = p.norm * _norm(x) * _norm(y)
        detail = p.require_equal(y @ p.product(x), x @ p.product(y), scale, "yᵀAx differs from xᵀAy")
    return detail


def self_adjoint(p: Probe) -> str:
    """⟨Ax, y⟩ = ⟨x, Ay⟩."""
    _needs(p, Props.SELF_ADJOINT)
    detail = ""
    for _ in range(3):
        x, y = p.random(p.A.shape[1]), p.random(p.A.shape[1])
        scale = p.norm * _norm(x) * _norm(y)
        left, right = np.vdot(y, p.product(x)), np.vdot(p.product(y), x)
        detail = p.require_equal(left, right, scale, "⟨Ax, y⟩ differs from ⟨x, Ay⟩")
    return detail


def positive_definite(p: Probe) -> str:
    """The smallest eigenvalue is positive: from the dense matrix, or an upper bound for it from Rayleigh quotients."""
    _needs(p, Props.POSITIVE_DEFINITE)
    if p.small:
        smallest = float(np.linalg.eigvalsh((p.dense + p.dense.conj().T) / 2)[0]) if p.A.shape[0] else np.inf
        # Below this a positive eigenvalue cannot be told from zero.
        rounding = p.A.shape[0] * float(np.finfo(p.A.dtype).eps) * p.norm
    else:
        # The constant vector is near the lowest eigenvector of many elliptic operators.
        vectors = [np.ones(p.A.shape[1], p.A.dtype), p.random(p.A.shape[1])]
        smallest = min(*(_rayleigh_quotient(p, x) for x in vectors), _smallest_ritz_value(p))
        rounding = p.rtol * p.norm
    kind = "eigenvalue" if p.small else "Rayleigh quotient"
    if Props.SINGULAR in p.A.props:
        require(smallest >= -max(rounding, p.rtol * p.norm), f"smallest {kind} {smallest:.1e} is negative")
        return f"semi-definite, smallest {kind} {smallest:.1e}"
    if p.small:
        require(smallest > rounding, f"smallest {kind} {smallest:.1e} is not above rounding, {rounding:.1e}")
    else:
        require(smallest > -rounding, f"smallest {kind} {smallest:.1e} is negative")
    return f"smallest {kind} {smallest:.1e}"


def _rayleigh_quotient(p: Probe, x: Array) -> float:
    return float(np.real(np.vdot(x, p.product(x)) / np.vdot(x, x)))


def _smallest_ritz_value(p: Probe) -> float:
    """Smallest eigenvalue of A on a Krylov space, with full re-orthogonalisation: an upper bound for that of A."""
    n = p.A.shape[1]
    steps = min(_LANCZOS_STEPS, n)
    V = np.zeros((n, steps), dtype=np.result_type(p.A.dtype, np.float64))
    AV = np.zeros_like(V)
    v = p.random(n)
    for j in range(steps):
        for _ in range(2):
            v = v - V[:, :j] @ (V[:, :j].conj().T @ v)
        size = _norm(v)
        if not size > 0.0 or not np.isfinite(size):
            steps = j
            break
        V[:, j] = v / size
        AV[:, j] = p.product(V[:, j].astype(p.A.dtype))
        v = AV[:, j]
    T = V[:, :steps].conj().T @ AV[:, :steps]
    if not np.isfinite(T).all():
        raise Failed("A x is not finite")
    return float(np.linalg.eigvalsh((T + T.conj().T) / 2)[0])


def m_matrix(p: Probe) -> str:
    """Off-diagonal entries ≤ 0; for a small operator also A⁻¹ 1 > 0, which proves that the inverse has entries ≥ 0."""
    _needs(p, Props.M_MATRIX)
    A = p.dense if p.small else p.A.to_sparse().tocoo()
    off = A - np.diag(np.diagonal(A)) if p.small else A.data[A.coords[0] != A.coords[1]]
    largest = float(np.real(off).max(initial=0.0))
    imaginary = float(np.abs(np.imag(off)).max(initial=0.0))
    tolerance = p.rtol * p.norm
    require(largest <= tolerance, f"an off-diagonal entry is positive: {largest:.3g}")
    require(imaginary <= tolerance, f"an off-diagonal entry has imaginary part {imaginary:.3g}")
    if not p.small:
        require(np.real(p.A.diagonal()).min() > 0.0, "a diagonal entry is not positive")
        return "signs of entries; larger than dense_limit, so that the inverse was not formed"
    try:
        z = np.linalg.solve(A, np.ones(p.A.shape[0], dtype=A.dtype)).real
    except np.linalg.LinAlgError as reason:
        raise Failed("the matrix is singular, an M-matrix has an inverse") from reason
    # A matrix with off-diagonal entries ≤ 0 is a non-singular M-matrix exactly if some z > 0 has A z > 0
    # (Berman & Plemmons 1994, doi:10.1137/1.9781611971262, theorem 6.2.3).
    require(z.min(initial=np.inf) > 0.0, f"A⁻¹ 1 has the entry {z.min(initial=np.inf):.3g}: the inverse is not ≥ 0")
    return "signs of entries, A⁻¹ 1 > 0"


def singular(p: Probe) -> str:
    """The smallest singular value is zero to rounding."""
    _needs(p, Props.SINGULAR)
    values = np.linalg.svd(p.dense, compute_uv=False)
    smallest = float(values[-1]) if values.size else 0.0
    require(smallest <= p.rtol * p.norm, f"smallest singular value {smallest:.1e}, ‖A‖ is {p.norm:.1e}")
    return f"smallest singular value {smallest:.1e}"


CLAIM_CHECKS: tuple[Check, ...] = (
    ("diagonal", diagonal),
    ("to_sparse", entries),
    ("to_dense", dense_entries),
    ("row sums", row_sums),
    ("symmetric", symmetric),
    ("self-adjoint", self_adjoint),
    ("positive definite", positive_definite),
    ("M-matrix", m_matrix),
    ("singular", singular),
)
