"""One multigrid cycle as an operator M ≈ A⁻¹."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, final

import numpy as np

from ...operators import Array, LinearOperator, Props
from .backend import NumpyBackend, backend_for
from .cycles import Cycles
from .levels import Levels
from .network import Network
from .smoothers import SMOOTHERS

if TYPE_CHECKING:
    from .fused_cycle import FusedCycle
    from .geometric import GeometricMultigrid

FUSED_FROM = 1024
"""Cells of all members together from which the compiled cycle is taken: below, its compilation would not pay."""

SINGLE: Final = {"f": np.dtype(np.float32), "c": np.dtype(np.complex64)}


@final
class Hierarchy(LinearOperator):
    """The outcome of one cycle from a zero guess: what the recipe `GeometricMultigrid` builds.

    Parameters
    ----------
    network : Network
        Of one member, or of B: column b of an (n, B) array then belongs to member b.
    recipe : GeometricMultigrid
    diagonal : (*grid, B) array, optional
        Of the finest level, where it is not that of the network.
    dtype : dtype, optional
        Of the operator, by default that of the network.
    props : Props
        Claims.
    previous : Hierarchy, optional
        One that this one replaces, whose work arrays it takes over.

    Attributes
    ----------
    not_self_adjoint : bool
        Whether CG must not use it: F-cycles.
    """

    def __init__(
        self,
        network: Network,
        recipe: GeometricMultigrid,
        *,
        diagonal: Array | None = None,
        dtype: np.dtype | None = None,
        props: Props = Props.NONE,
        previous: Hierarchy | None = None,
    ) -> None:
        backend = backend_for(network.shift)
        given = backend.dtype(network.shift)
        device = "cpu" if isinstance(network.shift, np.ndarray) else str(network.shift.device)
        n = network.cells
        super().__init__((n, n), given if dtype is None else dtype, props=props, grid=network.grid, device=device)
        self.recipe, self._backend = recipe, backend
        self.not_self_adjoint = recipe.cycle == "F"
        self._factor = 1.0
        self._fused = self._fuse(network, diagonal)
        single = SINGLE[given.kind]
        if recipe.precision == "single" and given != single:
            # A power of two, so that entries outside of the range of single precision are none, and nothing is rounded.
            largest = backend.number(abs(network.diagonal() if diagonal is None else diagonal).max())
            self._factor = float(np.exp2(-np.floor(np.log2(largest)))) if 0.0 < largest < np.inf else 1.0
            network = network.scaled(self._factor).astype(single, backend)
            diagonal = None if diagonal is None else backend.cast(diagonal * self._factor, single)
        self._network, self._diagonal = network, diagonal
        self._cycles: Cycles | None = None
        if self._fused is None:
            self._cycles = self._generic(None if previous is None else previous._cycles)

    def _fuse(self, network: Network, diagonal: Array | None) -> FusedCycle | None:
        """Return the compiled form of the cycle where there is one: red-black V-cycles on the host."""
        recipe = self.recipe
        if not isinstance(self._backend, NumpyBackend) or network.flux is not None or self.dtype.char != "d":
            return None
        asked = (recipe.smoother, recipe.cycle, recipe.interpolation)
        if asked != ("red_black", "V", "operator") or network.cells * network.members < FUSED_FROM:
            return None
        if any(closed and n & (n - 1) for n, closed in zip(network.grid, network.periodic, strict=True)):
            return None  # on the way to one cell some circle has an odd length, and no two colours
        from .fused_cycle import FusedCycle

        precision = np.float32 if recipe.precision == "single" else np.float64
        given = network.diagonal() if diagonal is None else diagonal
        return FusedCycle(network, given, recipe.sweeps, precision, semi=recipe.coarsening == "auto")

    def _generic(self, previous: Cycles | None = None) -> Cycles:
        recipe = self.recipe
        levels = Levels.of(
            self._network,
            self._backend,
            diagonal=self._diagonal,
            interpolation=recipe.interpolation,
            semi=recipe.coarsening == "auto",
        )
        make = SMOOTHERS[recipe.smoother]
        return Cycles(levels, functools.partial(make, sweeps=recipe.sweeps), recipe.cycle, previous)

    @property
    def cycles(self) -> Cycles:
        """The cycle on fields of shape (*grid, k); made when asked for where a compiled one does the work."""
        if self._cycles is None:
            self._cycles = self._generic()
        return self._cycles

    @property
    def levels(self) -> int:
        """Number of levels."""
        if self._fused is not None:
            return len(self._fused.hierarchy.levels)
        return len(self.cycles.levels.levels)

    @property
    def singular(self) -> bool:
        """Whether nothing grounds any member, so that constants are in the null space of A."""
        return bool((self.cycles.levels.levels[-1].diagonal == 0).any())

    @property
    def grid_complexity(self) -> float:
        """Unknowns of all levels over those of the finest."""
        return self.cycles.levels.grid_complexity

    @property
    def operator_complexity(self) -> float:
        """Entries of the operators of all levels over those of the finest."""
        return self.cycles.levels.operator_complexity

    def _holds_torch(self) -> bool:
        return not isinstance(self._backend, NumpyBackend)

    def _matmat(self, X: Array) -> Array:
        out = self._backend.empty(X.shape, self._backend.dtype(X))
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        self._cycle(X, out, adjoint=False)

    def _rmatmat(self, X: Array) -> Array:
        out = self._backend.empty(X.shape, self._backend.dtype(X))
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        self._cycle(X, out, adjoint=True)

    def full_into(self, X: Array, out: Array) -> None:
        """Write the outcome of full multigrid for the right-hand sides X, an (n, k) array, into `out`."""
        self._cycle(X, out, adjoint=False, full=True)

    def _cycle(self, X: Array, out: Array, *, adjoint: bool, full: bool = False) -> None:
        members = self._network.members
        if members not in (1, X.shape[1]):
            raise ValueError(
                f"a hierarchy of {members} members takes {members} columns, one for each, got {X.shape[1]}: for "
                "several right-hand sides of each member apply it several times"
            )
        if self._fused is not None and not full and X.dtype.char == "d":
            with self._backend.quiet():
                self._fused.apply(X, out)
            return
        shape = (*self._network.grid, X.shape[1])
        scale, dtype = None, self._backend.dtype(X)
        if self.recipe.precision == "single" and dtype.char in "dD":
            # Residuals far below the range of single precision would be lost.
            size, dtype = self._backend.powers_of_two(X), SINGLE[dtype.kind]
            scale = (1.0 / size, size * self._factor)
        cycles = self.cycles.transposed() if adjoint else self.cycles
        with self._backend.quiet():
            if adjoint and self.dtype.kind == "c":  # Mᴴ x is the conjugate of Mᵀ times that of x
                X = self._backend.cast(X.conj(), self._backend.dtype(X))
            b, x = X.reshape(shape), out.reshape(shape)
            cycles.apply(b, x, scale=scale, dtype=dtype, adjoint=adjoint, full=full)
            if adjoint and self.dtype.kind == "c":
                out[...] = out.conj()

    def measured_rate(self, rng: np.random.Generator | int = 0, iterations: int = 12) -> float:
        """Return by how much one iteration x ← x + M (b − A x) reduces the error in the end, for the worst member.

        The geometric mean of the last half of `iterations` reductions of a random error in the Euclidean norm; A is the
        operator that M was built for. Values above one mean that the iteration diverges, which M as a preconditioner of
        CG does not mind. The null space of a singular A is left out.
        """
        rng = np.random.default_rng(rng)
        levels, backend = self.cycles.levels, self._backend
        level = levels.levels[0]
        dtype = levels.dtype
        shape = (*level.grid, levels.members)
        x = backend.cast(rng.standard_normal(shape), dtype)
        b = backend.zeros(shape, dtype)
        axes = tuple(range(len(level.grid)))
        ungrounded = levels.levels[-1].diagonal == 0
        reductions = []
        with backend.quiet():
            for _ in range(iterations):
                self.cycles.improve(b, x)
                mean = x.sum(axes) / level.cells
                x = x - backend.where(ungrounded.reshape(-1), mean, mean * 0.0)
                norm = (abs(x) ** 2).sum(axes) ** 0.5
                reductions.append(backend.number(norm.max()))
                x = x / backend.where(norm > 0.0, norm, 1.0)  # of norm one, so that the next norm is the reduction
        late = reductions[max(1, iterations // 2) :]
        if min(late, default=0.0) <= 0.0:
            return 0.0
        return float(np.exp(np.mean(np.log(late))))

    def describe(self, rng: np.random.Generator | int = 0, iterations: int = 12) -> str:
        """Return the table of `str` with the measured rate of convergence, which takes `iterations` cycles."""
        return f"{self}\nmeasured rate {self.measured_rate(rng, iterations):.3g} an iteration"

    def __str__(self) -> str:
        rows = [
            f"{depth:5}  {' x '.join(map(str, level.grid)):>18}  {level.cells:>10}"
            for depth, level in enumerate(self.cycles.levels.levels)
        ]
        head = f"{'level':>5}  {'grid':>18}  {'unknowns':>10}"
        complexity = f"complexity {self.grid_complexity:.2f} (grid), {self.operator_complexity:.2f} (operator)"
        return "\n".join([repr(self), head, *rows, complexity])

    def _summary(self) -> str:
        recipe = self.recipe
        sweeps = f"{recipe.cycle}({recipe.sweeps},{recipe.sweeps})"
        members = self._network.members
        many = f"{members} members, " if members > 1 else ""
        return (
            f"{many}{sweeps} cycle, {recipe.smoother.replace('_', ' ')}, {self.levels} levels, operator complexity "
            f"{self.operator_complexity:.2f}"
        )
