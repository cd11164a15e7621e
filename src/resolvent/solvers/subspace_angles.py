"""How far apart solutions are as directions: the angle between them, and between the subspaces of trajectories.

For whatever reuses subspaces: recycling, orderings of samples, clusters of solutions.
"""

from __future__ import annotations

import numpy as np


def sine(u: np.ndarray, v: np.ndarray) -> float:
    """Return δ(u, v) = sqrt(1 − |⟨u, v⟩|² / (‖u‖² ‖v‖²)), the sine of the angle between two lines.

    It is the relative error of projecting u on span(v), and is computed as such: by the formula, angles below 1e-8
    would be rounding. A vector of zeros is at no angle to itself and at a right one to all others.

    Parameters
    ----------
    u, v : array of one shape
        Real or complex; weight them by the square roots of a quadrature beforehand for its inner product.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.subspace_angles import sine
    >>> sine(np.array([1.0, 0.0]), np.array([3.0, 4.0]))
    0.8
    """
    u, v = np.ravel(u), np.ravel(v)
    if u.shape != v.shape:
        raise ValueError(f"expected two vectors of one length, got {len(u)} and {len(v)}")
    size = float(np.linalg.norm(u)), float(np.linalg.norm(v))
    if not (np.isfinite(size[0]) and np.isfinite(size[1])):
        raise ValueError("vectors must be finite")
    if 0.0 in size:
        return 0.0 if size == (0.0, 0.0) else 1.0
    u, v = u / size[0], v / size[1]
    return min(float(np.linalg.norm(u - v * np.vdot(v, u))), 1.0)


def orthonormal_basis(snapshots: np.ndarray, share: float = 1e-12) -> np.ndarray:
    """Return an orthonormal basis (n, r) of the span of columns, without directions below rounding.

    Parameters
    ----------
    snapshots : (n, k) array
        Columns: the states of a trajectory, for example.
    share : float
        Singular values up to this part of the first are dropped.
    """
    if snapshots.ndim != 2:
        raise ValueError(f"expected columns (n, k), got shape {snapshots.shape}")
    U, sigma, _ = np.linalg.svd(snapshots, full_matrices=False)
    return np.asarray(U[:, sigma > share * max(float(sigma[0]), 0.0)])


def principal_sines(U: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Return the sines of the principal angles between two subspaces, ascending.

    Singular values of (I − U Uᴴ) V, which keep small angles to full relative precision; those of Uᴴ V, the cosines,
    would lose half of the digits.

    Parameters
    ----------
    U : (n, p) array
    V : (n, q) array
        Orthonormal columns.

    Returns
    -------
    (min(p, q),) array

    References
    ----------
    Björck, Golub, Numerical methods for computing angles between linear subspaces, Math. Comp. 27, 1973,
    doi:10.1090/S0025-5718-1973-0348991-3.
    """
    if U.ndim != 2 or V.ndim != 2 or len(U) != len(V):
        raise ValueError(f"expected bases (n, p) and (n, q), got shapes {U.shape} and {V.shape}")
    if U.shape[1] < V.shape[1]:  # the larger one holds the projector, so that there are as many sines as angles
        U, V = V, U
    away = V - U @ (U.conj().T @ V)
    sines = np.linalg.svd(away, compute_uv=False) if V.shape[1] else np.zeros(0)
    return np.asarray(np.minimum(sines[::-1], 1.0))


def subspace_distance(U: np.ndarray, V: np.ndarray) -> float:
    """Return δ = sqrt(Σ_k sin²θ_k) over the principal angles θ_k of two subspaces.

    For equal dimensions δ² = ½ ‖U Uᴴ − V Vᴴ‖_F²; for lines it is `sine`.

    Parameters
    ----------
    U : (n, p) array
    V : (n, q) array
        Orthonormal columns, such as `orthonormal_basis` gives.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.subspace_angles import subspace_distance
    >>> round(subspace_distance(np.eye(4)[:, :2], np.eye(4)[:, 1:3]), 12)
    1.0
    """
    return float(np.linalg.norm(principal_sines(U, V)))


def distances(samples: list[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return δ between all pairs, an (N, N) array.

    Parameters
    ----------
    samples : (N, n) array, or list of (n, r) arrays
        Vectors; or orthonormal bases of trajectories. Pairs of vectors cost one product of all together, and angles
        below 1e-7 are computed one by one.
    """
    if isinstance(samples, np.ndarray) and samples.ndim == 2:
        return _between_lines(samples)
    N = len(samples)
    found = np.zeros((N, N))
    for i in range(N):
        for j in range(i):
            found[i, j] = found[j, i] = subspace_distance(samples[i], samples[j])
    return found


def _between_lines(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=1)
    if not np.isfinite(norms).all():
        raise ValueError("vectors must be finite")
    unit = vectors / np.where(norms > 0.0, norms, 1.0)[:, None]
    squared = 1.0 - np.abs(unit @ unit.conj().T) ** 2
    found = np.sqrt(np.clip(squared, 0.0, 1.0))
    np.fill_diagonal(found, 0.0)
    close = np.argwhere(np.triu((squared < 1e-6) | ((norms == 0.0) & (norms[:, None] == 0.0)), 1))
    for i, j in close:
        found[i, j] = found[j, i] = sine(vectors[i], vectors[j])
    return np.asarray(found)
