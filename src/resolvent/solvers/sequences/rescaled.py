"""An old preconditioner fitted to a new diagonal."""

from __future__ import annotations

import numpy as np

from ...operators import Array, Diagonal, LinearOperator, Props, StructureError


class Rescaled(LinearOperator):
    """S M S with S = (diag A_old / diag A)^½, for an M that was built for A_old.

    Exact where A = D A_old D with a diagonal D. Self-adjoint and definite where M is, since S is real and positive.

    Parameters
    ----------
    M : LinearOperator
        Built for the old matrix.
    old, new : (n,) arrays
        Diagonals of the old matrix and of the new one.
    """

    def __init__(self, M: LinearOperator, old: Array, new: Array) -> None:
        keep = Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE | Props.VARIABLE
        super().__init__(M.shape, M.dtype, props=M.props & keep, grid=M.grid, device=M.device)
        self.M = M
        with np.errstate(all="ignore"):
            ratio = np.abs(np.asarray(old)) / np.abs(np.asarray(new))
        if not (np.isfinite(ratio).all() and (ratio > 0.0).all()):
            raise StructureError(
                "Refresh.RESCALED needs diagonals without zeros, infinities and NaN: use Refresh.ON_CHANGE for this A"
            )
        self._s = np.sqrt(ratio).astype(np.empty(0, dtype=M.dtype).real.dtype).reshape(-1, 1)
        self._S = Diagonal(self._s[:, 0]).to_torch(M.device) if M._holds_torch() else Diagonal(self._s[:, 0])
        self._scratch = np.empty((0, 0), dtype=M.dtype)

    def _holds_torch(self) -> bool:
        return self.M._holds_torch()

    def _parts(self) -> tuple[LinearOperator, ...]:
        return (self.M,)

    def _matmat(self, X: Array) -> Array:
        return self._S._matmat(self.M._matmat(self._S._matmat(X)))

    def _rmatmat(self, X: Array) -> Array:
        return self._S._matmat(self.M._rmatmat(self._S._matmat(X)))

    def _matmat_into(self, X: Array, out: Array) -> None:
        if self._holds_torch():
            out[...] = self._matmat(X)
            return
        if self._scratch.shape != X.shape or self._scratch.dtype != X.dtype:
            self._scratch = np.empty_like(X)
        np.multiply(self._s, X, out=self._scratch)
        self.M._matmat_into(self._scratch, out)
        np.multiply(self._s, out, out=out)

    def _summary(self) -> str:
        return f"rescaled {self.M!r}"
