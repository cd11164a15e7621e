"""What a solver returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..operators import Array
from .status import Status


class ConvergenceError(RuntimeError):
    """Raised by `Result.check` only: a solver itself never raises for lack of convergence.

    Attributes
    ----------
    result : Result
        The result that did not converge.
    """

    def __init__(self, result: Result) -> None:
        super().__init__(f"not converged: {result.status.message}\n{result}")
        self.result = result


@dataclasses.dataclass(slots=True)
class Counts:
    """Products used, one for each column, the checks of the true residual included.

    `setup` are products with A that prepared for the iteration: of a recycled space, of a projected guess. They are not
    among `matvec`; `products` is the sum of all products with A and Aᴴ.
    """

    matvec: int = 0
    rmatvec: int = 0
    preconditioner: int = 0
    setup: int = 0

    @property
    def products(self) -> int:
        """Products with A and Aᴴ, those of the set-up included."""
        return self.matvec + self.rmatvec + self.setup

    def add(self, other: Counts) -> None:
        """Add another tally to this one."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def __str__(self) -> str:
        named = ((self.matvec, "A"), (self.rmatvec, "Aᴴ"), (self.preconditioner, "M"), (self.setup, "A for set-up"))
        return ", ".join(f"{count} × {name}" for count, name in named if count) or "no products"


@dataclasses.dataclass(frozen=True, slots=True)
class Timing:
    """Wall-clock seconds. `prepare` is the set-up this solve relied on; a repeated solve reports it again."""

    prepare: float
    solve: float

    @property
    def total(self) -> float:
        """Set-up and solve together."""
        return self.prepare + self.solve


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """One right-hand side of many: its status, iterations, true residual norm and history, and why it failed."""

    status: Status
    iterations: int
    residual_norm: float
    rhs_norm: float
    tolerance: float
    history: np.ndarray
    reason: str = ""

    @classmethod
    def judged(
        cls, status: Status | None, *, norms: tuple[float, float, float], history: np.ndarray, scale: float, reason: str
    ) -> Column:
        """Return the verdict from the norms of residual and right-hand side and the tolerance, all divided by `scale`.

        A column that ended for another reason, but whose residual meets the tolerance, has converged.
        """
        residual, right, tolerance = norms
        # An infinite b would make the tolerance infinite too.
        met = status is not Status.NONFINITE and residual <= tolerance
        return cls(
            status=Status.CONVERGED if met else status or Status.BREAKDOWN,
            iterations=len(history) - 1,
            residual_norm=residual * scale,
            rhs_norm=right * scale,
            tolerance=tolerance * scale,
            history=history * scale,
            reason="" if met else reason,
        )


def excess(column: Column) -> float:
    """How far the residual is above its tolerance; not-a-number counts as infinitely far."""
    if not np.isfinite(column.residual_norm):
        return float("inf")
    return float(column.residual_norm / column.tolerance) if column.tolerance else float(column.residual_norm > 0)


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Result:
    """Solution of a linear system and the truth about it.

    Attributes
    ----------
    x : array
        Solution, in the shape of b.
    status : Status
        How the solve ended; for many columns the worst of them.
    iterations : int
        Iterations; for many columns the largest number.
    residual_norm : float
        ‖b − A x‖₂ recomputed from x, in double precision; for many columns the one furthest above its tolerance.
    rhs_norm, tolerance : float
        ‖b‖₂ and the absolute tolerance max(rtol ‖b‖₂, atol) of that column.
    history : (iterations + 1,) array
        Residual norms as the iteration saw them, the initial one first, of that column.
    counts : Counts
        Products with A, Aᴴ and M.
    seconds : Timing
        Set-up and solve.
    solver : str
        Method, options and preconditioner, printable.
    columns : tuple of Column
        One entry a right-hand side.
    extra : dict
        What a particular method adds; ``reason`` says more about a failure.
    space : RecycleSpace or None
        What a recycling method hands on to the next system.
    unpacked : tuple or None
        What unpacking and indexing yield where that is not ``x, info``: the ten values of scipy's `lsqr`, say.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent import cg
    >>> x, info = cg(np.diag([1.0, 2.0]), np.ones(2))
    >>> info
    0
    """

    x: Array
    status: Status
    iterations: int
    residual_norm: float
    rhs_norm: float
    tolerance: float
    history: np.ndarray
    counts: Counts
    seconds: Timing
    solver: str
    columns: tuple[Column, ...]
    extra: dict[str, Any]
    space: Any = None
    unpacked: tuple[Any, ...] | None = None

    @property
    def converged(self) -> bool:
        """Whether every column met its tolerance, or was solved in the sense of least squares by a method for that."""
        return self.status in (Status.CONVERGED, Status.LEAST_SQUARES)

    @property
    def info(self) -> int:
        """scipy's code: 0 if converged, the number of iterations if they ran out, negative for a breakdown.

        The functions that scipy lets count cycles put their number into ``extra["cycles"]``; it is the code then, as
        those of scipy have no negative one.
        """
        if "cycles" in self.extra and not self.converged:
            return max(int(self.extra["cycles"]), 1)
        return self.status.info(self.iterations)

    def check(self) -> Result:
        """Return the result, or raise ConvergenceError unless it converged."""
        if not self.converged:
            raise ConvergenceError(self)
        return self

    def __iter__(self) -> Iterator[Any]:
        """Unpack as ``x, info``, as scipy's solvers return, or as `unpacked`."""
        return iter(self[:])

    def __getitem__(self, index: Any) -> Any:
        return ((self.x, self.info) if self.unpacked is None else self.unpacked)[index]

    def __len__(self) -> int:
        return len(self[:])

    def __str__(self) -> str:
        relative = self.residual_norm / self.rhs_norm if self.rhs_norm else self.residual_norm
        failed = sum(c.status not in (Status.CONVERGED, Status.LEAST_SQUARES) for c in self.columns)
        many = f" ({len(self.columns)} right-hand sides, {failed} not converged)" if len(self.columns) > 1 else ""
        reason = f" ({self.extra['reason']})" if "reason" in self.extra else ""
        seconds = f"{self.seconds.total:.3g} (prepare {self.seconds.prepare:.3g}, solve {self.seconds.solve:.3g})"
        wanted = self.tolerance / self.rhs_norm if self.rhs_norm else self.tolerance
        return "\n".join(
            (
                f"status      {self.status.name}: {self.status.message}{reason}{many}",
                f"solver      {self.solver}",
                f"iterations  {self.iterations} ({self.counts})",
                f"residual    {self.residual_norm:.3e} = {relative:.3e} ‖b‖, {wanted:.1e} ‖b‖ allowed",
                f"seconds     {seconds}",
            )
        )

    __repr__ = __str__
