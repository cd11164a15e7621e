"""Checks of what every operator promises about its products. Each returns its finding in words or raises."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from .base import Array
from .errors import StructureError
from .probe import Failed, Probe, Skipped, require

Check = tuple[str, Callable[[Probe], str]]


def _norm(x: Array) -> float:
    return float(np.linalg.norm(x.reshape(-1)))


def shape_and_dtype(p: Probe) -> str:
    """A x has m entries of the operator's dtype, as a vector and as one column."""
    m, n = p.A.shape
    x = p.random(n)
    for argument, shape in ((x, (m,)), (x[:, None], (m, 1))):
        y = p.product(argument)
        require(y.shape == shape, f"A x has shape {y.shape} for x of shape {argument.shape}, expected {shape}")
        require(y.dtype == p.A.dtype, f"A x has dtype {y.dtype} for x of dtype {x.dtype}, expected {p.A.dtype}")
    return f"{m} x {n}, {p.A.dtype}"


def dtype_rule(p: Probe) -> str:
    """Result dtype is ``result_type(A, x)``, the operator's for integers; complex vectors act by parts."""
    n = p.A.shape[1]
    for dtype in ("float32", "float64", "complex64", "complex128", "int64"):
        x = p.random(n, dtype=dtype)
        y, expected = p.product(x), p.A.result_dtype(dtype)
        require(y.dtype == expected, f"A x has dtype {y.dtype} for x of dtype {dtype}, expected {expected}")
        parts = p.product(x.real.astype(p.A.dtype)) + 1j * p.product(x.imag.astype(p.A.dtype))
        p.require_equal(y, parts, p.norm * _norm(x), f"A x differs from A Re x + i A Im x for x of dtype {dtype}")
    return "float, complex and integer vectors"


def linearity(p: Probe) -> str:
    """A(αx + βy) = αAx + βAy, and A0 = 0."""
    n = p.A.shape[1]
    x, y = p.random(n), p.random(n)
    alpha, beta = p.random(2) + 2
    require(not p.product(np.zeros_like(x)).any(), "A 0 is not zero")
    scale = p.norm * (abs(alpha) * _norm(x) + abs(beta) * _norm(y))
    combined = alpha * p.product(x) + beta * p.product(y)
    return p.require_equal(p.product(alpha * x + beta * y), combined, scale, "A(αx + βy) differs from αAx + βAy")


def repeatability(p: Probe) -> str:
    """The same product twice is the same; arguments and earlier results stay as they were."""
    x = p.random(p.A.shape[1])
    kept = x.copy()
    result = p.product(x)
    require(np.array_equal(x, kept), "A x changes x")
    first = result.copy()
    p.product(p.random(p.A.shape[1]))
    require(np.array_equal(result, first, equal_nan=True), "a later product overwrites the result of an earlier one")
    detail = p.require_equal(p.product(x), first, p.norm * _norm(x), "the same product again differs (claim VARIABLE?)")
    return "bitwise" if np.array_equal(p.product(x), first) else detail


def matmat_against_matvec(p: Probe) -> str:
    """Columns of A X are products with the columns of X, in any memory layout."""
    n = p.A.shape[1]
    X = p.random(n, 5)
    expected = np.stack([p.product(np.ascontiguousarray(x)) for x in X.T], axis=1)
    for columns in (5, 2):
        detail = p.require_equal(p.product(X[:, :columns]), expected[:, :columns], p.norm * _norm(X), "A X by columns")
    p.require_equal(p.product(np.asfortranarray(X)), expected, p.norm * _norm(X), "A X for X in column order")
    p.require_equal(p.product(X[:, 0]), expected[:, 0], p.norm * _norm(X), "A x for strided x")
    return detail


def rmatmat_against_rmatvec(p: Probe) -> str:
    """The same for the adjoint."""
    X = p.random(p.A.shape[0], 5)
    expected = np.stack([p.product(np.ascontiguousarray(x), adjoint=True) for x in X.T], axis=1)
    return p.require_equal(p.product(X, adjoint=True), expected, p.norm * _norm(X), "Aᴴ X by columns")


def out_argument(p: Probe) -> str:
    """``out=`` receives and returns what is otherwise returned, and an unsuitable one is refused."""
    if p.A._holds_torch():
        raise Skipped("torch storage")
    m, n = p.A.shape
    for adjoint, columns in ((False, n), (True, m)):
        for x in (p.random(columns), p.random(columns, 3)):
            try:
                expected = p.product(x, adjoint=adjoint)
            except StructureError:
                continue
            out = np.full(expected.shape, np.nan, dtype=expected.dtype)
            returned = p.product(x, adjoint=adjoint, out=out)
            name = "rmatvec" if adjoint else "matvec"
            require(returned is out, f"{name}(x, out=out) does not return out")
            p.require_equal(out, expected, p.norm * _norm(x), f"{name}(x, out=out) differs from {name}(x)")
    _require_value_error("out of a wrong size", p.A.matvec, p.random(n), np.empty(m + 1, dtype=p.A.dtype))
    return "same object, same values"


def _require_value_error(what: str, call: Callable[..., Any], *arguments: Any) -> None:
    try:
        call(*arguments)
    except ValueError:
        return
    raise Failed(f"{what} raises no ValueError")


def field_argument(p: Probe) -> str:
    """A field of the operator's grid gives a field with the same values."""
    if p.A.grid is None or p.A.shape[0] != p.A.shape[1]:
        raise Skipped("the operator has no grid")
    x = p.random(p.A.shape[1])
    y = p.product(x.reshape(p.A.grid))
    require(y.shape == p.A.grid, f"A x has shape {y.shape} for a field of shape {p.A.grid}")
    return p.require_equal(y.reshape(-1), p.product(x), p.norm * _norm(x), "A x for a field")


def wrong_shapes(p: Probe) -> str:
    """Arguments of a wrong length or number of dimensions raise ValueError."""
    n = p.A.shape[1]
    shapes: list[tuple[int, ...]] = [(n + 1,), (n + 1, 2), (n, 2, 2), ()]
    for shape in (s for s in shapes if s != p.A.grid):
        _require_value_error(f"an argument of shape {shape}", p.product, np.zeros(shape, dtype=p.A.dtype))
    return "ValueError"


def nan_propagates(p: Probe) -> str:
    """A vector of NaN gives NaN in every row that is not zero."""
    x = p.random(p.A.shape[1])
    acting = np.abs(p.product(x)) > 0.0
    with np.errstate(invalid="ignore"):
        y = p.product(np.full_like(x, np.nan))
    hidden = int(np.count_nonzero(acting & ~np.isnan(y)))
    require(hidden == 0, f"{hidden} rows of A x are not NaN for a vector of NaN")
    return f"{int(acting.sum())} rows"


def adjoint_identity(p: Probe) -> str:
    """⟨Ax, y⟩ = ⟨x, Aᴴy⟩ for random real and complex vectors."""
    m, n = p.A.shape
    detail = ""
    for dtype in (p.A.dtype, np.result_type(p.A.dtype, np.complex64)):
        for _ in range(3):
            x, y = p.random(n, dtype=dtype), p.random(m, dtype=dtype)
            left, right = np.vdot(y, p.product(x)), np.vdot(p.product(y, adjoint=True), x)
            detail = p.require_equal(left, right, p.norm * _norm(x) * _norm(y), "⟨Ax, y⟩ differs from ⟨x, Aᴴy⟩")
    return detail


def adjoint_and_transpose(p: Probe) -> str:
    """``A.H``, ``A.T`` and their own adjoints are operators that fit."""
    A, (m, n) = p.A, p.A.shape
    x, y = p.random(n), p.random(m)
    expected = p.product(y, adjoint=True)
    require(A.H.shape == (n, m) and A.T.shape == (n, m), f"A.H is {A.H.shape} and A.T {A.T.shape} for A {A.shape}")
    detail = p.require_equal(p.product(y, of=A.H), expected, p.norm * _norm(y), "A.H @ y differs from rmatvec(y)")
    transposed = p.product(y.conj(), adjoint=True).conj()
    p.require_equal(p.product(y, of=A.T), transposed, p.norm * _norm(y), "A.T @ y differs from conj(Aᴴ conj(y))")
    for name, twice in (("A.H.H", A.H.H), ("A.T.T", A.T.T)):
        p.require_equal(p.product(x, of=twice), p.product(x), p.norm * _norm(x), f"{name} @ x differs from A @ x")
    return detail


def pickle_round_trip(p: Probe) -> str:
    """The operator can be pickled, and what is rebuilt has the same shape, dtype, claims and products."""
    try:
        pickle.dumps(p.A)
    except (pickle.PicklingError, AttributeError, TypeError) as reason:
        raise Skipped(f"cannot be pickled: {reason}") from reason
    # deepcopy takes apart and rebuilds through the same methods as pickle, without loading from bytes.
    rebuilt = copy.deepcopy(p.A)
    for name in ("shape", "dtype", "props", "grid", "version"):
        require(getattr(rebuilt, name) == getattr(p.A, name), f"{name} differs after pickling")
    x = p.random(p.A.shape[1])
    return p.require_equal(p.product(x, of=rebuilt), p.product(x), p.norm * _norm(x), "A x differs after pickling")


VARIABLE_CHECKS = ("shape and dtype", "wrong shapes")
"""What can be asked of an operator that may differ between applications."""

PRODUCT_CHECKS: tuple[Check, ...] = (
    ("shape and dtype", shape_and_dtype),
    ("dtype rule", dtype_rule),
    ("linearity", linearity),
    ("repeatability", repeatability),
    ("matmat against matvec", matmat_against_matvec),
    ("rmatmat against rmatvec", rmatmat_against_rmatvec),
    ("out argument", out_argument),
    ("field argument", field_argument),
    ("wrong shapes", wrong_shapes),
    ("NaN propagates", nan_propagates),
    ("adjoint identity", adjoint_identity),
    (".H and .T", adjoint_and_transpose),
    ("pickle", pickle_round_trip),
)
