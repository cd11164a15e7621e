"""What scipy's functions make of their arguments, and what they hand back."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ...operators import Array, Function, LinearOperator, as_operator
from ...operators.arrays import is_torch
from ..preconditioners.recipe import build
from ..prepared import Prepared
from ..progress import Callback, Progress
from ..recycling.space import RecycleSpace
from ..result import Result
from ..solver import Solver


@dataclasses.dataclass(frozen=True)
class System:
    """A x = b with a guess and a preconditioner, as scipy understands them.

    Attributes
    ----------
    A, M : LinearOperator
        M None without preconditioner.
    b, x0 : arrays
        As given, in the precision scipy works in: that of A and b together, at least single; M has no say.
    """

    A: LinearOperator
    M: LinearOperator | None
    b: Array
    x0: Array | None

    @classmethod
    def of(cls, A: Any, b: Any, x0: Any = None, M: Any = None) -> System:
        """Return the system that the arguments of a function describe.

        An A with the attribute ``psolve`` brings its own preconditioner. ``x0="Mb"`` means M b.
        """
        operator = as_operator(A)
        if M is None and hasattr(A, "psolve"):
            M = Function(operator.shape, A.psolve, rmatvec=getattr(A, "rpsolve", None), dtype=operator.dtype)
        M = build(M, operator)
        if not is_torch(b):
            b = np.asarray(b)
            if b.dtype.kind in "fciub":
                dtype = np.result_type(_floating(operator.dtype), _floating(b.dtype))
                b = b.astype(dtype, copy=False)
                M = _in_precision(M, dtype)
        if isinstance(x0, str):
            if x0 != "Mb":
                raise ValueError(f"x0 must be an array, None or 'Mb', got {x0!r}")
            x0 = b if M is None else (M @ b.reshape(operator.shape[0], -1)).reshape(b.shape)
        return cls(operator, M, b, x0)

    def solve(
        self, method: Solver | Prepared, callback: Callback | None = None, space: RecycleSpace | None = None
    ) -> Result:
        """Solve with a method, or with what it prepared; for b (n, 1) x is (n,), as scipy returns it."""
        prepared = method if isinstance(method, Prepared) else method.prepare(self.A, self.M)
        result = prepared.solve(self.b, self.x0, callback=callback, space=space)
        n = self.A.shape[1]
        if tuple(result.x.shape) == (n, 1) and self.A.grid != (n, 1):
            result = dataclasses.replace(result, x=result.x.reshape(n))
        return result


def tolerances(rtol: Any, atol: Any) -> dict[str, Any]:
    """Return the options of a solver; an infinite tolerance, which scipy takes, becomes the largest number."""
    given = {"rtol": rtol, "atol": atol}
    infinite = {name: sys.float_info.max for name, value in given.items() if isinstance(value, float) and value > 1e308}
    return given | infinite


def iterate_callback(callback: Callable[[Array], Any] | None, *, copy: bool = False) -> Callback | None:
    """Return a callback that is given the iterate alone; its return value is ignored, as in scipy.

    With `copy` every call is given an array of its own, for the functions where scipy does.
    """
    if callback is None:
        return None

    def report(progress: Progress) -> None:
        x = progress.x
        assert x is not None
        x = x[:, 0] if x.shape[1] == 1 else x
        callback(np.array(x) if copy and not is_torch(x) else x)

    return report


def _floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return double precision for integers and half precision, as scipy does, else the dtype itself."""
    return dtype if dtype.char in "fdFDgG" else np.dtype(np.float64)


def _in_precision(M: LinearOperator | None, dtype: np.dtype[Any]) -> LinearOperator | None:
    """Return M such that it does not raise the precision of the solve."""
    if M is None or M._holds_torch() or np.result_type(M.dtype, dtype) == dtype:
        return M
    if M.dtype.kind == "c" and dtype.kind != "c":  # the solve is complex then
        return M
    return Function(
        M.shape, M.matvec, rmatvec=M.rmatvec, matmat=M.matmat, rmatmat=M.rmatmat, dtype=dtype, props=M.props
    )
