"""What methods for A = Aᵀ refuse."""

from __future__ import annotations

from ...operators import LinearOperator, Props, StructureError
from ..solver import refuse_variable


def refuse_not_symmetric(A: LinearOperator, M: LinearOperator | None, method: str) -> None:
    """Raise StructureError if A or M varies, or is known to be Hermitian and complex rather than symmetric."""
    refuse_variable(A, M, method, "FGMRES")
    for name, operator in (("A", A), ("M", M)):
        if operator is None or operator.dtype.kind != "c":
            continue
        if Props.SELF_ADJOINT in operator.props and Props.SYMMETRIC not in operator.props:
            raise StructureError(
                f"{method} needs {name} = {name}ᵀ, but {operator!r} is Hermitian ({name} = {name}ᴴ): use CG or MINRES "
                "where both are, else GMRES"
            )
