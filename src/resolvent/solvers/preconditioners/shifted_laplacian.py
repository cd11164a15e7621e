"""The shifted-Laplacian preconditioner for Helmholtz problems."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from ...operators import LinearOperator, Props, Sparse, Stencil, StructureError
from ..separable import Couplings, mean_operator
from ..separable.couplings import along
from .recipe import Recipe, is_number, is_whole


@dataclasses.dataclass(frozen=True)
class ShiftedLaplacian(Recipe):
    """M = (−Δ − (1 ∓ iβ) k²)⁻¹ for A = −Δ − k² with an absorbing boundary or layer, k² varying.

    The spectrum of MA lies on a circle through 0 and 1, so that the number of GMRES iterations grows with k, but not
    with 1/h: 56, 104 and 200 at k = 40, 80 and 161 with ten points a wavelength, β = 1/2 and exact inverses. The
    sign must be that of the absorption in A, or the circle winds around the origin; it is taken from `absorption`.

    k² is read off the row sums of A, which away from walls are −k². In two dimensions a factorisation of A itself
    costs no more than that of the shifted operator and needs no iterations: the recipe is for large, three-dimensional
    problems with an approximate inverse, or for constant k with ``inner="fft"``.

    Parameters
    ----------
    beta : float
        β > 0; 1/2 and 1 are usual.
    inner : {"direct", "fft"} or Recipe
        How the shifted operator is inverted: by its sparse factors; by fast transforms for constant coefficients and
        the mean k², on a box; or approximately by a recipe built for it, such as ``ILU()`` or, without factors,
        ``GeometricMultigrid("jacobi", cycle="F", sweeps=2)``.
    sign : {-1, 0, 1}
        Sign of Im A, where it is known; 0 reads it off A.
    workers : int
        Threads of the fast transforms.

    Raises
    ------
    StructureError
        When built for an operator without absorption and sign=0, or without neighbours on a box.

    References
    ----------
    Erlangga, Vuik & Oosterlee 2004, doi:10.1016/j.apnum.2004.01.009; van Gijzen, Erlangga & Vuik 2007,
    doi:10.1137/060661491 (the circle); Gander, Graham & Spence 2015, doi:10.1007/s00211-015-0700-2 (choice of β).

    Examples
    --------
    >>> from resolvent.datasets.families.helmholtz import Helmholtz2D
    >>> from resolvent.solvers import GMRES, ShiftedLaplacian
    >>> import numpy as np
    >>> family = Helmholtz2D(resolution=32, wavenumber=20.0)
    >>> A, b = family.assemble(family.draw(np.random.default_rng(0)))
    >>> GMRES(restart=100).solve(A, b, M=ShiftedLaplacian()).iterations < 50
    True
    """

    beta: float = 0.5
    inner: Literal["direct", "fft"] | Recipe = "direct"
    sign: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        if not (is_number(self.beta) and self.beta > 0.0):
            raise ValueError(f"beta must be positive and finite, got {self.beta!r}")
        if self.inner not in ("direct", "fft") and not isinstance(self.inner, Recipe):
            raise ValueError(f"inner must be 'direct', 'fft' or a recipe, got {self.inner!r}")
        if self.sign not in (-1, 0, 1):
            raise ValueError(f"sign must be -1, 0 (read off A) or 1, got {self.sign!r}")
        if not is_whole(self.workers, 1):
            raise ValueError(f"workers must be a whole number ≥ 1, got {self.workers!r}")

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return self._built(A, None)

    def update(self, M: LinearOperator, A: LinearOperator) -> LinearOperator:
        """Return M for a changed A; the inner recipe reuses what it can, factors their analysis of the pattern."""
        return self._built(A, M)

    @property
    def renews(self) -> bool:
        """Whether the inner recipe's update gives what building would give."""
        return not isinstance(self.inner, Recipe) or self.inner.renews

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim: that it is symmetric where A is, for the inner inverses that keep symmetry."""
        if isinstance(self.inner, Recipe):
            return self.inner.claims(A) & (Props.SYMMETRIC | Props.VARIABLE)
        return Props.SYMMETRIC if self.inner == "fft" else A.props & Props.SYMMETRIC

    def _built(self, A: LinearOperator, previous: LinearOperator | None) -> LinearOperator:
        from .factorised import Factorised

        couplings = Couplings.of(A)
        sign = self.sign or _sign_of(couplings, A)
        if self.inner == "fft":
            return self._by_transforms(A, couplings, sign)
        k2 = squared_wavenumber(couplings)
        shifted = _plus_diagonal(A, 1j * sign * self.beta * k2)
        recipe = Factorised() if self.inner == "direct" else self.inner
        assert isinstance(recipe, Recipe)
        return recipe(shifted) if previous is None else recipe.update(previous, shifted)

    def _by_transforms(self, A: LinearOperator, couplings: Couplings, sign: int) -> LinearOperator:
        k2 = complex(np.mean(squared_wavenumber(couplings)))
        reference = dataclasses.replace(mean_operator(_real(couplings)), shift=-(1.0 - 1j * sign * self.beta) * k2.real)
        return reference.inverse(dtype=np.result_type(A.dtype, np.complex64), workers=self.workers)


def absorption(A: LinearOperator) -> int:
    """Return the sign of Im A for A = −Δ − k² on a box: that of the imaginary parts of its row sums, or 0.

    −1 belongs to time dependence exp(−iωt): outgoing waves are exp(ikr), an absorbing wall has ∂u/∂n = iku, a
    damped medium k²(1 + iε). +1 belongs to exp(iωt), with all signs reversed. 0 means that nothing absorbs.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Stencil
    >>> from resolvent.solvers.preconditioners.shifted_laplacian import absorption
    >>> c = np.array([2.0 - 0.3 - 0.5j, 2.0 - 0.3, 2.0 - 0.3 - 0.5j])  # absorbing walls
    >>> absorption(Stencil.from_faces(c, [np.array([-1.0, -1.0])]))
    -1
    """
    return _absorption(Couplings.of(A))


def _absorption(couplings: Couplings) -> int:
    if not np.iscomplexobj(couplings.diagonal):
        return 0
    excess = couplings.excess()
    total = float(np.sum(excess.imag))
    return int(np.sign(total)) if abs(total) > 1e-13 * float(np.sum(np.abs(excess))) else 0


def _sign_of(couplings: Couplings, A: LinearOperator) -> int:
    sign = _absorption(couplings)
    if sign == 0:
        raise StructureError(
            f"nothing in {A!r} absorbs, so that the sign of the shift is undetermined: give sign=-1 for outgoing waves "
            "exp(ikr), sign=1 for exp(−ikr)"
        )
    return sign


def squared_wavenumber(couplings: Couplings) -> Any:
    """Return k² at every point, from the row sums; at walls, whose transmissibility hides it, that of the neighbour."""
    k2 = -couplings.excess()
    for a, n in enumerate(couplings.grid):
        if n > 2 and couplings.wrap[a] is None:
            k2[along(a, slice(0, 1))] = k2[along(a, slice(1, 2))]
            k2[along(a, slice(-1, None))] = k2[along(a, slice(-2, -1))]
    return np.where(k2.real > 0.0, k2, 0.0)


def _real(couplings: Couplings) -> Couplings:
    """Real parts: without the absorption, which the shift replaces."""
    upper = tuple(np.real(up) for up in couplings.upper)
    lower = tuple(np.real(down) for down in couplings.lower)
    return Couplings(np.real(couplings.diagonal), upper, lower, couplings.wrap)


def _plus_diagonal(A: LinearOperator, d: Any) -> LinearOperator:
    """Return A + diag(d) with entries, complex."""
    kept = A.props & Props.SYMMETRIC
    if isinstance(A, Stencil):
        centre = A.offsets.index((0,) * len(A.coefficients.shape[1:]))
        coefficients = A.coefficients.astype(np.result_type(A.dtype, np.complex64))
        coefficients[centre] += d
        return Stencil(coefficients, A.offsets, props=kept, mirrored=A.mirrored)
    dtype = np.result_type(A.dtype, np.complex64)
    shifted = sp.csr_array(A.to_sparse() + sp.diags_array(d.reshape(-1)), dtype=dtype)
    return Sparse(shifted, props=kept, grid=A.grid)
