"""Numbers of sweeps of many related systems at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...operators import Array, as_operator
from ..preconditioners.entries import host_diagonal, host_entries
from ..preconditioners.recipe import is_whole
from ..preconditioners.ssor import sweep_code


def sweep_counts(
    A: Any,
    b: Array,
    omega: Any,
    shift: Any = 0.0,
    *,
    sweep: str = "forward",
    rtol: float = 1e-8,
    maxiter: int = 10_000,
) -> np.ndarray:
    """Return how many sweeps of SOR from x = 0 solve (A + c_t I) x = b_t, for each ω and each t.

    The number that ``SOR(omega, sweep=sweep, rtol=rtol, maxiter=maxiter)`` reports as iterations, for a whole table
    in one compiled loop: no products, results or checks in between. For studies of how the number depends on ω and
    c; solutions are not kept.

    Parameters
    ----------
    A : (n, n) operator or matrix
        With entries, real or complex.
    b : (n,) or (n, T) array
        Right-hand sides.
    omega : float or (d,) array
        Relaxation factors; any number is allowed, and what does not converge counts as `maxiter`.
    shift : float or (T,) array
        c.
    sweep : {"forward", "backward", "symmetric"}
    rtol : float
        Converged when ‖b − A x‖₂ ≤ rtol ‖b‖₂.
    maxiter : int
        Largest number of sweeps.

    Returns
    -------
    counts : (d, T) int array
        `maxiter` also where a solve did not converge.

    Raises
    ------
    ValueError
        For shapes that do not fit, entries that are not finite, and a diagonal of A that holds a zero.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers.relaxation import sweep_counts
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(20, 20))
    >>> sweep_counts(A, np.ones((20, 3)), [1.0, 1.7], [0.0, 0.5, 2.0])
    array([[818,  42,  17],
           [118,  57,  54]])
    """
    from .sweep_kernels import count_sweeps

    if not is_whole(maxiter, 0):
        raise ValueError(f"maxiter must be a whole number ≥ 0, got {maxiter!r}")
    operator = as_operator(A)
    if operator.shape[0] != operator.shape[1]:
        raise ValueError(f"sweeps need a square matrix, got {operator.shape[0]} x {operator.shape[1]}")
    host_diagonal(operator, "sweep_counts")
    matrix = host_entries(operator, "sweep_counts")
    n = operator.shape[0]
    B, omegas, shifts = np.asarray(b), np.atleast_1d(omega).astype(np.float64), np.atleast_1d(shift)
    if B.shape[:1] != (n,) or B.ndim > 2:
        raise ValueError(f"b must have shape ({n},) or ({n}, T), got {B.shape}")
    B = B.reshape(n, -1).T
    if shifts.ndim != 1 or omegas.ndim != 1 or (1 not in (len(shifts), len(B)) and len(shifts) != len(B)):
        raise ValueError(
            f"omega must be a number or a list, shift a number or one for each of the {len(B)} right-hand sides, got "
            f"shapes {omegas.shape} and {shifts.shape}"
        )
    T = max(len(B), len(shifts))
    dtype = np.result_type(matrix.dtype, shifts.dtype, np.float64)
    B = np.ascontiguousarray(np.broadcast_to(B, (T, n)), dtype=np.result_type(dtype, B.dtype))
    shifts = np.ascontiguousarray(np.broadcast_to(shifts, T), dtype=dtype)
    rows = np.repeat(np.arange(n), np.diff(matrix.indptr))
    counts = np.full((len(omegas), T), int(maxiter))
    diagonal = np.flatnonzero(matrix.indices == rows)
    data = matrix.data.astype(dtype, copy=False)
    count_sweeps(matrix.indptr, matrix.indices, data, diagonal, sweep_code(sweep), omegas, shifts, B, rtol, counts)
    return counts
