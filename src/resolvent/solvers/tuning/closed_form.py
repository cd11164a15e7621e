"""Relaxation factors by formula: Young's optimum for SOR, and bounds of iteration counts as functions of ω.

Everything for SOR follows from β = ρ(I − D⁻¹A), the spectral radius of the Jacobi iteration, if A is self-adjoint
positive definite and *consistently ordered*: there is a number γ_i for each unknown such that γ_j = γ_i + 1 for every
a_ij ≠ 0 with j > i (and γ_i − 1 with j < i). Tridiagonal matrices, 5- and 7-point stencils in the natural or the
red-black order have that, 9-point stencils and finite elements on triangles do not. It takes one pass over the entries
to tell (`is_consistently_ordered`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...operators import LinearOperator, Props, StructureError, as_operator
from ..preconditioners.entries import host_diagonal, host_entries
from ..preconditioners.spectral_bounds import extreme_eigenvalues


def young_omega(beta: Any) -> Any:
    """Return the ω that makes SOR converge fastest, 1 + (β / (1 + √(1 − β²)))².

    Parameters
    ----------
    beta : float or array
        ρ(I − D⁻¹A), 0 ≤ β < 1.

    Raises
    ------
    ValueError
        Where β is outside of [0, 1): the Jacobi iteration diverges, so that A is not consistently ordered and definite.

    References
    ----------
    Young 1954, doi:10.1090/S0002-9947-1954-0059635-7.

    Examples
    --------
    >>> round(float(young_omega(np.cos(np.pi / 11))), 4)
    1.5604
    """
    beta = _checked(beta)
    return 1.0 + (beta / (1.0 + np.sqrt(1.0 - beta**2))) ** 2


def sor_radius(omega: Any, beta: Any) -> Any:
    """Return the spectral radius of SOR: ω − 1 from the optimum on, ((ωβ + √(ω²β² − 4(ω − 1)))/2)² below it.

    Parameters
    ----------
    omega : float or array
        0 < ω < 2.
    beta : float or array
        ρ(I − D⁻¹A).

    References
    ----------
    Young 1954, doi:10.1090/S0002-9947-1954-0059635-7.

    Examples
    --------
    >>> round(sor_radius(1.0, 0.9), 12), round(sor_radius(1.8, 0.9), 12)
    (0.81, 0.8)
    """
    omega, beta = np.asarray(omega, dtype=np.float64), _checked(beta)
    if not ((omega > 0.0) & (omega < 2.0)).all():
        raise ValueError(f"omega must lie between 0 and 2, both excluded, got {omega.min()} … {omega.max()}")
    root = np.sqrt(np.maximum((omega * beta) ** 2 - 4.0 * (omega - 1.0), 0.0))
    radius = np.where(omega >= young_omega(beta), omega - 1.0, ((omega * beta + root) / 2.0) ** 2)
    return radius if radius.ndim else float(radius)


def shifted_radius(beta: Any, diagonal: float, shift: Any) -> Any:
    """Return ρ(I − D⁻¹A) of A + c I from that of A, where the diagonal is constant: β d₀ / (d₀ + c).

    Examples
    --------
    >>> shifted_radius(0.9, 4.0, [0.0, 2.0])
    array([0.9, 0.6])
    """
    return beta * diagonal / (diagonal + np.asarray(shift, dtype=np.float64))


def jacobi_radius(A: Any, *, rng: np.random.Generator | int, rtol: float = 1e-4) -> float:
    """Estimate β = ρ(I − D⁻¹A), the spectral radius of the Jacobi iteration, by Lanczos on D^(−1/2) A D^(−1/2).

    Parameters
    ----------
    A : (n, n) self-adjoint operator or matrix with positive diagonal
    rng : numpy.random.Generator or int
        For the starting vector.
    rtol : float
        Accuracy of 1 − β: that of β alone says little of the optimal ω where β is near one. 1e-4 of 1 − β is at most
        1e-4 of ω*.

    Returns
    -------
    beta : float
        From below. Costs O(1/√(1 − β)) products with A, as many as conjugate gradients to solve with it.

    Raises
    ------
    StructureError
        If A is known not to be self-adjoint, or its diagonal is not positive.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(50, 50))
    >>> bool(abs(jacobi_radius(A, rng=0) - np.cos(np.pi / 51)) < 1e-6)
    True
    """
    operator = _self_adjoint(A)
    smallest, largest, _ = extreme_eigenvalues(operator, np.random.default_rng(rng), rtol=rtol)
    return max(1.0 - smallest, largest - 1.0)


def optimal_omega(A: Any, shift: Any = 0.0, *, rng: np.random.Generator | int, check: bool = True) -> Any:
    """Return Young's optimal ω of SOR for A + c I, for one or many c, from one Lanczos estimate for A.

    Parameters
    ----------
    A : (n, n) self-adjoint positive definite operator or matrix
        With entries, unless `check` is off.
    shift : float or array
        c. Other values than 0 need a constant diagonal.
    rng : numpy.random.Generator or int
        For the starting vector of Lanczos.
    check : bool
        Whether to make sure that A is consistently ordered, without which the formula is a guess. That costs a pass
        over the entries.

    Returns
    -------
    omega : float or array like `shift`

    Raises
    ------
    StructureError
        If A is known not to be self-adjoint, has no positive diagonal, is not consistently ordered, or has a diagonal
        that is not constant and a shift.
    ValueError
        If the Jacobi iteration diverges for some A + c I, which is then not positive definite.

    Notes
    -----
    Also nearly best for one-sided sweeps of the matrices on a grid that are not consistently ordered. It is *not* the
    best ω of SSOR, nor of conjugate gradients with SSOR, whose optimum is flat: see `ssor_cg_surrogate`.

    References
    ----------
    Young 1954, doi:10.1090/S0002-9947-1954-0059635-7.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(20, 20))
    >>> optimal_omega(A, [0.0, 0.5, 2.0], rng=0).round(3)
    array([1.741, 1.241, 1.07 ])
    """
    operator = _self_adjoint(A)
    if check and not is_consistently_ordered(operator):
        raise StructureError(
            f"{operator!r} is not consistently ordered, which Young's formula needs: reorder it red-black if it can be "
            "(SOR(ordering='red_black')), or take the formula as a guess with check=False"
        )
    beta: Any = jacobi_radius(operator, rng=rng)
    shift = np.asarray(shift, dtype=np.float64)
    if shift.any():
        diagonal = host_diagonal(operator, "optimal_omega").real
        if np.ptp(diagonal) > 1e-12 * diagonal.max():
            raise StructureError(
                f"shifts need a constant diagonal, but that of {operator!r} goes from {diagonal.min()} to "
                f"{diagonal.max()}: call optimal_omega for each shifted matrix"
            )
        beta = shifted_radius(beta, float(diagonal[0]), shift)
        if not (beta < 1.0).all() or not (diagonal[0] + shift > 0.0).all():
            raise ValueError(f"A + c I is not positive definite for all shifts, {shift.min()} … {shift.max()}")
    omega = np.broadcast_to(young_omega(beta), shift.shape)
    return omega.copy() if shift.ndim else float(omega)


def is_consistently_ordered(A: Any) -> bool:
    """Return whether A is consistently ordered, in the order in which its unknowns are numbered; O(entries).

    Raises
    ------
    StructureError
        For an operator without entries.

    Examples
    --------
    >>> ring = 4.0 * np.eye(4) - np.roll(np.eye(4), 1, axis=0) - np.roll(np.eye(4), 1, axis=1)
    >>> is_consistently_ordered(ring), is_consistently_ordered(ring[:3, :3])
    (False, True)
    """
    from .ordering_kernels import consistently_ordered

    matrix = host_entries(as_operator(A), "is_consistently_ordered")
    return bool(consistently_ordered(matrix.indptr, matrix.indices, matrix.data))


def sor_surrogate(omega: Any, beta: float, *, tau: float, tolerance: float) -> Any:
    """Return U(ω) = 1 + log ε / log(ρ + τ(1 − ρ)), which exceeds the number of SOR sweeps to a residual of ε ‖r₀‖.

    It does where ‖C^k‖ ≤ (ρ + τ(1 − ρ))^k for the last k before convergence, with C = I − A M⁻¹ and ρ = ρ(C). Falls up
    to the optimal ω and is Lipschitz beyond, so that a grid point just right of the optimum is never bad.

    Parameters
    ----------
    omega : float or array
    beta : float
        ρ(I − D⁻¹A).
    tau : float
        How far C is from its asymptotic behaviour, 0 < τ < 1.
    tolerance : float
        ε.

    References
    ----------
    Khodak, Chow, Balcan & Talwalkar 2024, "Learning to Relax", arXiv:2310.02246.

    Examples
    --------
    >>> sor_surrogate([1.0, 1.5, 1.9], 0.95, tau=0.2, tolerance=1e-8).round(1)
    array([227.8,  55.2, 221.9])
    """
    if not 0.0 < tau < 1.0:
        raise ValueError(f"tau must lie between 0 and 1, both excluded, got {tau}")
    radius = sor_radius(omega, beta)
    return 1.0 + np.log(_tolerance(tolerance)) / np.log(radius + tau * (1.0 - radius))


def ssor_cg_surrogate(omega: Any, mu: float, nu: float, condition: float, *, tolerance: float) -> Any:
    """Return a bound of the iterations of conjugate gradients with SSOR(ω), of which only the shape is roughly right.

        q(ω) = (2 − ω) / (1 + (2 − ω)² μ/(4ω) + ν ω),   1/q ≥ κ(M A),
        U(ω) = 1 + log(√κ/ε + √(κ/ε² − 1)) / (−log(1 − 2/(1 + √(1/q)))).

    Parameters
    ----------
    omega : float or array
        In [2√2 − 2, 2).
    mu, nu, condition : float
        λmax(D A⁻¹), λmax((L D⁻¹ Lᴴ − D/4) A⁻¹) and κ = κ(A): see `ssor_cg_constants`.
    tolerance : float
        ε, of the residual relative to the right-hand side.

    References
    ----------
    Axelsson 1994, doi:10.1017/CBO9780511624100, chapter 7; Khodak, Chow, Balcan & Talwalkar 2024, arXiv:2310.02246.

    Examples
    --------
    >>> ssor_cg_surrogate([1.0, 1.5, 1.9], 50.0, -0.1, 200.0, tolerance=1e-8).round(1)
    array([39.8, 25.8, 31.9])
    """
    omega = np.asarray(omega, dtype=np.float64)
    left = 2.0 * np.sqrt(2.0) - 2.0
    if not ((omega >= left - 1e-12) & (omega < 2.0)).all():
        raise ValueError(f"omega must lie in [{left:.4f}, 2), got {omega.min()} … {omega.max()}")
    eps = _tolerance(tolerance)
    inverse_q = (1.0 + (2.0 - omega) ** 2 * mu / (4.0 * omega) + nu * omega) / (2.0 - omega)
    rate = -np.log(1.0 - 2.0 / (1.0 + np.sqrt(inverse_q)))
    return 1.0 + np.log(np.sqrt(condition) / eps + np.sqrt(condition / eps**2 - 1.0)) / rate


def ssor_cg_constants(A: Any, *, rng: np.random.Generator | int) -> tuple[float, float, float]:
    """Return μ = λmax(D A⁻¹), ν = λmax((L D⁻¹ Lᴴ − D/4) A⁻¹) and κ(A), for `ssor_cg_surrogate`.

    Factorises A and runs Lanczos three times: for studies, not on the way to a solution.

    Parameters
    ----------
    A : (n, n) self-adjoint positive definite operator or matrix with entries
    rng : numpy.random.Generator or int
        For starting vectors.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> A = sp.diags_array([-1.0, 2.1, -1.0], offsets=[-1, 0, 1], shape=(20, 20))
    >>> [round(value, 3) for value in ssor_cg_constants(A, rng=0)]
    [17.166, -0.012, 33.331]
    """
    import scipy.sparse as sp
    import scipy.sparse.linalg as spla

    operator = _self_adjoint(A)
    matrix = host_entries(operator, "ssor_cg_constants").astype(np.result_type(operator.dtype, np.float64))
    n = matrix.shape[0]
    rng = np.random.default_rng(rng)
    d = host_diagonal(operator, "ssor_cg_constants").real.astype(np.float64)
    D, L = sp.diags_array(d), sp.csr_array(sp.tril(matrix, -1))
    W = sp.csr_array(L @ sp.diags_array(1.0 / d) @ L.conj().T - D / 4.0)
    if n < 3:  # too small for ARPACK
        dense = np.linalg.inv(matrix.toarray())
        values = [float(np.linalg.eigvals(X.toarray() @ dense).real.max()) for X in (sp.csr_array(D), W)]
        return values[0], values[1], float(np.linalg.cond(matrix.toarray()))
    solve = spla.splu(sp.csc_array(matrix)).solve
    inverse = spla.LinearOperator((n, n), matvec=solve, dtype=matrix.dtype)

    def top(X: Any, **options: Any) -> float:
        start = rng.standard_normal(n).astype(matrix.dtype)
        return float(spla.eigsh(X, 1, which="LA", v0=start, return_eigenvectors=False, **options)[0])

    mu, nu = (top(X, M=matrix, Minv=inverse) for X in (sp.csr_array(D, dtype=matrix.dtype), W))
    return mu, nu, top(matrix) * top(inverse)


def _checked(beta: Any) -> Any:
    beta = np.asarray(beta, dtype=np.float64)
    if not ((beta >= 0.0) & (beta < 1.0)).all():
        raise ValueError(
            f"beta = ρ(I − D⁻¹A) must lie in [0, 1), got {beta.min()} … {beta.max()}: the matrix is not definite, or "
            "not consistently ordered"
        )
    return beta if beta.ndim else beta[()]


def _tolerance(tolerance: float) -> float:
    if not 0.0 < tolerance < 1.0:
        raise ValueError(f"tolerance must lie between 0 and 1, got {tolerance}")
    return float(tolerance)


def _self_adjoint(A: Any) -> LinearOperator:
    operator = as_operator(A)
    if operator.shape[0] != operator.shape[1]:
        raise ValueError(f"a square matrix is needed, got {operator.shape[0]} x {operator.shape[1]}")
    if operator.dtype.kind == "c" and operator.props & Props.SYMMETRIC and not operator.props & Props.SELF_ADJOINT:
        raise StructureError(f"a self-adjoint matrix is needed, but {operator!r} is complex symmetric")
    diagonal = host_diagonal(operator, "closed_form").real
    if not (diagonal > 0.0).all():
        raise StructureError(f"a positive diagonal is needed, but that of {operator!r} goes down to {diagonal.min()}")
    return operator
