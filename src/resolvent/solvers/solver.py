"""A solver is its options; preparing it for an operator gives something that solves many right-hand sides."""

from __future__ import annotations

import abc
import dataclasses
import numbers
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from ..operators import Array, Ensemble, LinearOperator, Props, StructureError
from .monitor import Monitor
from .preconditioners.recipe import is_number, known_not_self_adjoint
from .prepared import Prepared
from .prepared_ensemble import PreparedEnsemble
from .progress import Callback
from .result import Result

if TYPE_CHECKING:
    from .recycling.space import RecycleSpace


@dataclasses.dataclass(frozen=True, kw_only=True)
class Solver(abc.ABC):
    """Options of a method: immutable, printable, picklable, without any state of a solve.

    Parameters
    ----------
    rtol, atol : float
        Converged when ‖b − A x‖₂ ≤ max(rtol ‖b‖₂, atol), for the recomputed residual.
    maxiter : int, optional
        Largest number of iterations; 10 n by default.
    """

    rtol: float = 1e-8
    atol: float = 0.0
    maxiter: int | None = None

    lockstep: ClassVar[bool] = True
    """Whether `_run` takes many columns at once; otherwise they are solved one after the other."""

    block: ClassVar[bool] = False
    """Whether columns help one another: solved together they take fewer iterations than alone, and not more."""

    recycles: ClassVar[bool] = False
    """Whether the method takes a recycle space and hands one on."""

    least_squares: ClassVar[bool] = False
    """Whether A may be rectangular; b is then (m, k) and x (n, k)."""

    distributed: ClassVar[bool] = False
    """Whether `_run` works on vectors spread over MPI ranks: by operations of `monitor.vectors` alone."""

    needs: ClassVar[Props] = Props.NONE
    """What the method relies on, whether A claims it or not."""

    def __post_init__(self) -> None:
        for name in ("rtol", "atol"):
            value = getattr(self, name)
            if not (is_number(value) and value >= 0.0):
                raise ValueError(f"{name} must be a number ≥ 0, got {value!r}")
        limit = self.maxiter
        if limit is not None and not (is_number(limit) and int(limit) == limit and limit >= 0):
            raise ValueError(f"maxiter must be a whole number ≥ 0 or None, got {limit!r}")
        for field in dataclasses.fields(self):  # what a number means, the class itself looks at
            value, kind = getattr(self, field.name), str(field.type).removesuffix(" | None")
            if value is None and kind != field.type:
                continue
            if kind == "int" and not is_number(value):
                raise ValueError(f"{field.name} must be a whole number, got {value!r}")
            if kind == "float" and (isinstance(value, bool) or not isinstance(value, numbers.Real)):
                raise ValueError(f"{field.name} must be a number, got {value!r}")
            if kind == "bool" and not isinstance(value, bool | np.bool_):
                raise ValueError(f"{field.name} must be True or False, got {value!r}")

    # What a method writes --------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _run(self, state: Any, b: Array, x: Array, monitor: Monitor) -> None:
        """Improve x (n, k) until the monitor has finished every column: the algorithm, nothing else."""

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        """Raise StructureError if A or M cannot be used with this method."""

    def _setup(self, A: LinearOperator) -> Any:
        """Return what depends on A alone, apart from the preconditioner."""
        return None

    def _refresh(self, state: Any, A: LinearOperator) -> Any:
        """Return the state for new values of A, reusing what the old state allows."""
        return self._setup(A)

    def _adjoint(self, state: Any, A: LinearOperator) -> Any:
        """Return the state for A = (the prepared operator)ᴴ, reusing what the old state allows."""
        return self._setup(A)

    def _logdet(self, state: Any, A: LinearOperator) -> tuple[Any, float]:
        """Return sign and logarithm of |det A| from the state."""
        raise StructureError(f"{type(self).__name__} gives no log-determinant: use KroneckerSolver or ToeplitzSolver")

    def _eigh(self, state: Any, A: LinearOperator) -> tuple[Array, LinearOperator]:
        """Return eigenvalues and eigenvectors from the state."""
        raise StructureError(f"{type(self).__name__} gives no eigenvectors: use KroneckerSolver")

    # What users call -------------------------------------------------------------------------------------------------

    @final
    def prepare(self, A: Any, M: Any = None) -> Any:
        """Do all that depends on A alone (factorisation, preconditioner), for many right-hand sides.

        Parameters
        ----------
        A : (n, n) operator or anything `as_operator` takes
            System.
        M : operator ≈ A⁻¹, recipe, or None
            Preconditioner, applied as ``M @ r``.

        Raises
        ------
        ValueError
            If A is not square or M has another shape.
        StructureError
            If the method cannot use A or M.

        Returns
        -------
        prepared : Prepared, or PreparedEnsemble for an `Ensemble`
        """
        if isinstance(A, Ensemble):
            return PreparedEnsemble(self, A, M)
        return Prepared(self, A, M)

    @final
    def solve(
        self,
        A: Any,
        b: Array,
        x0: Array | None = None,
        M: Any = None,
        *,
        callback: Callback | None = None,
        space: RecycleSpace | None = None,
    ) -> Result:
        """Solve A x = b. The same as ``prepare(A, M).solve(b, x0, …)``; see there."""
        result: Result = self.prepare(A, M).solve(b, x0, callback=callback, space=space)
        return result

    def __str__(self) -> str:
        changed = [
            f"{f.name}={getattr(self, f.name)!r}"
            for f in dataclasses.fields(self)
            if f.repr and (f.name == "rtol" or getattr(self, f.name) != f.default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


def refuse_variable(A: LinearOperator, M: LinearOperator | None, method: str, flexible: str) -> None:
    """Raise StructureError if M may change between applications: the short recurrence of `method` would be lost."""
    if M is not None and Props.VARIABLE in M.props:
        raise StructureError(f"{method} needs a fixed preconditioner, but {M!r} is VARIABLE: use {flexible}")
    if Props.VARIABLE in A.props:
        raise StructureError(f"{method} needs a fixed operator, but {A!r} is VARIABLE")


def refuse_not_self_adjoint(A: LinearOperator, method: str, M: LinearOperator | None = None) -> None:
    """Raise StructureError for A or M known not to be self-adjoint; what nobody knows about is allowed.

    Known is of A and M that they are complex symmetric, and of an M whose recipe makes no other that it is not: ILU
    with pivoting, restricted Schwarz.
    """
    for name, operator in (("A", A), ("M", M)):
        if operator is None or Props.SELF_ADJOINT in operator.props:
            continue
        if operator.dtype.kind == "c" and Props.SYMMETRIC in operator.props:
            raise StructureError(
                f"{method} needs {name} = {name}ᴴ, but {operator!r} is complex symmetric ({name} = {name}ᵀ): use GMRES"
            )
    if M is not None and known_not_self_adjoint(M):
        raise StructureError(f"{method} needs M = Mᴴ, but {M!r} is not self-adjoint: use GMRES, or IC or AMG for M")
