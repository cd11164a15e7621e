"""Where to start: initial guesses from the solutions of earlier systems, or from elsewhere."""

from __future__ import annotations

import abc
import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from ...operators import Array, LinearOperator, Props, StructureError
from ..recycling.orthonormal import orthonormalise, rows_of
from ..vectors import Vectors, vectors_for

CUT = 1e-12
"""Relative size below which a direction of the projected problem is left out."""


class Guess(abc.ABC):
    """A rule that makes an initial guess, most from earlier solutions.

    Options only: the solutions are kept by `Sequence`.
    """

    @property
    @abc.abstractmethod
    def window(self) -> int:
        """How many solutions it looks at."""

    @abc.abstractmethod
    def start(self, A: LinearOperator, b: Array, solutions: deque[Array]) -> tuple[Array, int]:
        """Return x₀ for A x = b, all (n, k) arrays, and the number of products with A it took, one a column.

        `solutions` holds (n, k) arrays, the latest last, at least one if the window is not zero.
        """


@dataclasses.dataclass(frozen=True)
class Previous(Guess):
    """The previous solution as it is: x₀ = u. For slow paths only; on unrelated systems it is worse than zero."""

    @property
    def window(self) -> int:
        """One."""
        return 1

    def start(self, A: LinearOperator, b: Array, solutions: deque[Array]) -> tuple[Array, int]:
        """Return the last solution."""
        return solutions[-1], 0


@dataclasses.dataclass(frozen=True)
class Computed(Guess):
    """What a function makes of the system: x₀ = f(A, b), from the first system on. A learned model, a coarse solve.

    Parameters
    ----------
    function : callable
        Of A and b, an (n, k) array, to x₀, an (n, k) array.
    scale : bool
        Whether to multiply x₀ by the factor of `Scaled`, at the cost of one product: then it never starts worse than
        zero in the residual norm.

    Notes
    -----
    Where f gives not-a-number, the system is solved from zero.
    """

    function: Callable[[LinearOperator, Array], Array]
    scale: bool = False

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"a computed guess needs a function of A and b, got {type(self.function).__name__}")

    @property
    def window(self) -> int:
        """None: earlier solutions are not looked at."""
        return 0

    def start(self, A: LinearOperator, b: Array, solutions: deque[Array]) -> tuple[Array, int]:
        """Return what the function gives, scaled by column if that is wanted."""
        x = self.function(A, b)
        if not hasattr(x, "shape") or tuple(x.shape) != (A.shape[1], b.shape[1]):
            raise ValueError(
                f"the guess must be an array of shape {(A.shape[1], b.shape[1])}, got "
                f"{tuple(x.shape) if hasattr(x, 'shape') else type(x).__name__}"
            )
        if not self.scale:
            return x, 0
        return scaled(A, b, x, vectors_for(b, A._communicator())), x.shape[1]


@dataclasses.dataclass(frozen=True)
class Scaled(Guess):
    """The previous solution times the best factor: x₀ = ξ u, ξ = (A u)ᴴb / ‖A u‖² (Hegedüs).

    Then ‖b − A x₀‖ ≤ ‖b‖ whatever u is. One product.

    References
    ----------
    Liesen & Strakoš 2013, Krylov Subspace Methods, doi:10.1093/acprof:oso/9780199655410.001.0001, sec. 5.8.3.
    """

    @property
    def window(self) -> int:
        """One."""
        return 1

    def start(self, A: LinearOperator, b: Array, solutions: deque[Array]) -> tuple[Array, int]:
        """Return the last solution, scaled by column."""
        u = solutions[-1]
        return scaled(A, b, u, vectors_for(b, A._communicator())), u.shape[1]


@dataclasses.dataclass(frozen=True)
class Projected(Guess):
    """The best combination of the last solutions, in the energy norm for a definite A, else in the residual norm.

    x₀ = Φ c with Φ an orthonormal basis of the last `count` solutions and ΦᴴAΦ c = Φᴴb, or c that minimises
    ‖b − A Φ c‖; directions below a relative size of 1e-12 are left out. One product for each direction, and one for the
    factor of `Scaled` that is applied at the end in the energy case.

    Parameters
    ----------
    count : int
        Solutions to keep, 20 by default.

    References
    ----------
    Fischer 1998, doi:10.1016/S0045-7825(98)00012-7.
    """

    count: int = 20

    def __post_init__(self) -> None:
        if int(self.count) != self.count or self.count < 1:
            raise ValueError(f"count must be a whole number ≥ 1, got {self.count!r}")

    @property
    def window(self) -> int:
        """The number of solutions kept."""
        return int(self.count)

    def start(self, A: LinearOperator, b: Array, solutions: deque[Array]) -> tuple[Array, int]:
        """Return the best combination of the solutions, by column."""
        if A._communicator() is not None:
            raise StructureError(f"{self} cannot start a system spread over ranks: use 'scaled' or 'previous'")
        v = vectors_for(b)
        basis, _ = orthonormalise(rows_of(solutions, v), v)
        x = v.take(solutions[-1], np.zeros(b.shape[1], dtype=int))
        x[...] = 0.0
        if not len(basis):
            return x, 0
        images, products = v.basis(b, len(basis)), len(basis)
        for i in range(len(basis)):
            A._matmat_into(basis[i].reshape(-1, 1), images[i].reshape(-1, 1))
        definite = Props.POSITIVE_DEFINITE in A.props
        if definite:
            E = v.gram(basis, images)
        else:
            images, W = orthonormalise(images, v)
        for c in range(b.shape[1]):
            column = v.take(b, np.array([c]))
            target = v.take(x, np.array([c]))  # of zeros
            if definite:
                v.combine(_least_squares(E, v.project(basis, column)), basis, target)
            elif len(images):
                v.combine(W @ v.project(images, column), basis, target)
            v.put(x, np.array([c]), target)
        if definite:
            return scaled(A, b, x, v), products + x.shape[1]
        return x, products


def scaled(A: LinearOperator, b: Array, u: Array, v: Vectors) -> Array:
    """Return ξ u by column with ξ = (A u)ᴴb / ‖A u‖², which minimises ‖b − ξ A u‖; zero where A u is, or not finite."""
    image = v.empty_like(b)
    A._matmat_into(u, image)
    with np.errstate(all="ignore"):
        xi = v.dot(image, b) / v.norm(image) ** 2
    return v.scaled(np.where(np.isfinite(xi), xi, 0.0), u)


def _least_squares(E: np.ndarray, c: np.ndarray) -> np.ndarray:
    solution: np.ndarray = np.linalg.lstsq(E, c, rcond=CUT)[0] if np.isfinite(E).all() else np.zeros_like(c)
    return solution


def guess_from(given: Any) -> Guess | None:
    """Return the rule that a name or a rule stands for."""
    if given is None or isinstance(given, Guess):
        return given
    named = {"previous": Previous, "scaled": Scaled, "projected": Projected}
    if callable(given):
        return Computed(given)
    if given not in named:
        raise ValueError(
            f"warm_start must be None, a Guess, a function of A and b or one of {', '.join(map(repr, named))}, got "
            f"{given!r}"
        )
    return named[given]()
