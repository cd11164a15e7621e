"""A Monarch operator: two block-diagonal matrices with a transposition of the grid before each."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from .base import Array, LinearOperator


class Monarch(LinearOperator):
    """M = P B₁ P B₂ with n = m²; B₁, B₂ of m blocks m × m each, and P the transposition of an m × m array.

    M[(i, j), (k, l)] = B₁_j[i, k] B₂_k[j, l]: a fast Fourier transform of two stages with free entries. DFT · P is
    exactly of this kind (`fourier`), so that DFT = M P.

    Parameters
    ----------
    B1, B2 : (m, m, m) arrays
        The blocks, block first: ``B1[j, i, k]``, ``B2[k, j, l]``.

    Attributes
    ----------
    B1, B2 : (m, m, m) arrays
    m : int

    Notes
    -----
    2 m³ = 2 n^{3/2} numbers are stored, and a product takes as many multiplications a column, in two batches of matrix
    products. Not for n that is no square, and not where a Toeplitz, Kronecker or sparse operator is exact: those store
    less.

    References
    ----------
    Dao et al., Monarch: expressive structured matrices for efficient and accurate training, ICML 2022,
    doi:10.48550/arXiv.2204.00595.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Monarch
    >>> M = Monarch.fourier(3)
    >>> M
    Monarch(9 x 9, complex128, 54 entries)
    >>> x = np.arange(9.0)
    >>> bool(np.allclose(M @ x.reshape(3, 3).T.ravel(), np.fft.fft(x)))
    True
    """

    def __init__(self, B1: Any, B2: Any) -> None:
        B1, B2 = _blocks("B1", B1), _blocks("B2", B2)
        if B1.shape != B2.shape:
            raise ValueError(f"B1 and B2 must have the same shape, got {B1.shape} and {B2.shape}")
        dtype = np.result_type(B1, B2)
        self.m = len(B1)
        super().__init__((self.m**2, self.m**2), dtype)
        self.B1, self.B2 = B1.astype(dtype), B2.astype(dtype)

    @classmethod
    def fourier(cls, m: int, dtype: Any = complex) -> Self:
        """Return DFT · P for n = m²: products with transposed m × m arrays are discrete Fourier transforms.

        With t = l m + k and f = i m + j, exp(−2πi f t / n) = exp(−2πi i k / m) exp(−2πi j k / n) · exp(−2πi j l / m).
        """
        i = np.arange(m)
        small = np.exp(-2j * np.pi * (np.outer(i, i) % m) / m)
        twiddle = np.exp(-2j * np.pi * np.outer(i, i) / m**2)
        return cls((small * twiddle[:, None]).astype(dtype), np.repeat(small[None], m, axis=0).astype(dtype))

    def _matmat(self, X: Array) -> Array:
        m = self.m
        Y = np.matmul(self.B2, X.reshape(m, m, -1)).transpose(1, 0, 2)
        return np.matmul(self.B1, Y).transpose(1, 0, 2).reshape(X.shape)

    def _rmatmat(self, X: Array) -> Array:
        # (P B₁ P B₂)ᴴ = B₂ᴴ P B₁ᴴ P: the same two stages, with the transposition before and not after each.
        m = self.m
        Y = X.reshape(m, m, -1).transpose(1, 0, 2)
        Y = np.matmul(self.B1.conj().transpose(0, 2, 1), Y).transpose(1, 0, 2)
        return np.matmul(self.B2.conj().transpose(0, 2, 1), Y).reshape(X.shape)

    def diagonal(self) -> Array:
        """Return the main diagonal: B₁_j[i, i] B₂_i[j, j]."""
        return np.einsum("jii,ijj->ij", self.B1, self.B2).ravel()

    def to_dense(self) -> Array:
        """Return the entries as a dense array."""
        return np.einsum("jik,kjl->ijkl", self.B1, self.B2).reshape(self.shape)

    def update(self, **values: Any) -> None:
        """Replace the blocks: ``update(B1=…, B2=…)`` or one of them, of the same shape."""
        if not values or set(values) - {"B1", "B2"}:
            raise ValueError(f"update takes B1=array and B2=array, got {', '.join(values) or 'nothing'}")
        new = Monarch(values.get("B1", self.B1), values.get("B2", self.B2))
        if new.shape != self.shape or not np.can_cast(new.dtype, self.dtype, "same_kind"):
            raise ValueError(f"update needs the same shape and a dtype that fits into {self.dtype}, got {new!r}")
        self.B1, self.B2 = new.B1.astype(self.dtype), new.B2.astype(self.dtype)
        self._changed()

    def _summary(self) -> str:
        return f"{2 * self.m**3} entries"


def nearest_monarch(A: Any) -> Monarch:
    """Return the Monarch operator nearest to a dense matrix in the Frobenius norm.

    The entries of M with the same (j, k) are an outer product in (i, l), and different (j, k) share no parameter: the
    best rank-one approximation of each slice is the best operator. All slices are one batch of singular value
    decompositions, O(m⁵) = O(n^{5/2}).

    Parameters
    ----------
    A : (n, n) array or LinearOperator
        With n = m².

    References
    ----------
    Dao et al., Monarch: expressive structured matrices for efficient and accurate training, ICML 2022, section 3,
    doi:10.48550/arXiv.2204.00595.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import nearest_monarch
    >>> A = np.kron(np.ones((2, 2)), np.eye(2))
    >>> bool(np.allclose(nearest_monarch(A).to_dense(), A))
    True
    """
    A = np.asarray(A.to_dense() if isinstance(A, LinearOperator) else A)
    n = len(A) if A.ndim == 2 else 0
    m = int(np.sqrt(n) + 0.5)
    if n == 0 or A.shape != (n, n) or m * m != n:
        raise ValueError(f"a Monarch operator is square of size n = m², got an array of shape {A.shape}")
    if A.dtype.char not in "fdFD":
        A = A.astype(float)
    U, S, Vh = np.linalg.svd(A.reshape(m, m, m, m).transpose(1, 2, 0, 3), full_matrices=False)  # [j, k, i, l]
    root = np.sqrt(S[..., 0])[..., None]
    return Monarch((U[..., 0] * root).transpose(0, 2, 1), (root * Vh[..., 0, :]).transpose(1, 0, 2))


def _blocks(name: str, values: Any) -> np.ndarray:
    array = np.array(values)
    if array.ndim != 3 or len(set(array.shape)) != 1 or not array.size:
        raise ValueError(f"{name} must have shape (m, m, m): m blocks of m × m, got {array.shape}")
    if array.dtype.kind in "iub":
        return array.astype(float)
    if array.dtype.char not in "fdFD":
        raise TypeError(f"{name} needs numbers of single or double precision, got dtype {array.dtype}")
    return array
