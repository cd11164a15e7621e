"""The fast Poisson preconditioner: what the recipe `FastPoisson` builds."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np

from ...operators import Array, LinearOperator, Props, StructureError
from ..separable import Axis, Couplings, Reference, SeparableInverse, constant_operator, mean_operator
from ..separable.energy import condition_scaled, condition_unscaled

Scaling = Literal["auto", "sqrt", "none"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What M will be for one A, before anything of the size of a vector is computed but the scaling.

    Attributes
    ----------
    reference : Reference
        L, inverted by transforms.
    d : field or None
        Diagonal scaling: M = D L⁻¹ D.
    claims : Props
    conditions : (float, float) or None
        Estimated condition numbers without and with the scaling, where they were weighed.
    """

    reference: Reference
    d: Any
    claims: Props
    conditions: tuple[float, float] | None = None


class ScaledInverse(LinearOperator):
    """M = D L⁻¹ D with L a constant-coefficient operator on a box and D a positive diagonal, or the identity.

    Attributes
    ----------
    inverse : SeparableInverse
        L⁻¹. The null space of a singular L is given its smallest other eigenvalue, so that M is definite.
    conditions : (float, float) or None
        Estimated condition numbers of MA without and with scaling; None where there was nothing to choose.
    setup_products : int
        Products with A that building M took: none.
    """

    setup_products = 0

    def __init__(
        self, A: LinearOperator, plan: Plan, *, workers: int = 1, previous: ScaledInverse | None = None
    ) -> None:
        super().__init__(A.shape, A.dtype, props=plan.claims, grid=A.grid)
        reference = plan.reference
        # Equal axes share their eigenvectors, and keep those of an earlier M.
        known = {axis: axis for axis in reversed((*(previous.inverse.axes if previous else ()), *reference.axes))}
        reference = dataclasses.replace(reference, axes=tuple(known[axis] for axis in reference.axes))
        self.inverse: SeparableInverse = reference.inverse(
            dtype=A.dtype, null_value=_smallest_positive(reference), workers=workers
        )
        self.conditions = plan.conditions
        real = A.dtype.type(0).real.dtype
        self._d = None if plan.d is None else np.ascontiguousarray(plan.d.reshape(-1, 1), dtype=real)

    @property
    def scaled(self) -> bool:
        """Whether D is more than the identity."""
        return self._d is not None

    def _matmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._matmat_into(X, out)
        return out

    def _matmat_into(self, X: Array, out: Array) -> None:
        if self._d is None:
            out[...] = X
            self.inverse.apply(out)
            return
        np.multiply(self._d, X, out=out)
        self.inverse.apply(out)
        out *= self._d

    def _rmatmat(self, X: Array) -> Array:
        out = np.empty_like(X)
        self._rmatmat_into(X, out)
        return out

    def _rmatmat_into(self, X: Array, out: Array) -> None:
        if Props.SELF_ADJOINT in self.props:
            self._matmat_into(X, out)
            return
        np.multiply(1.0 if self._d is None else self._d, X, out=out)
        self.inverse.apply_adjoint(out)
        if self._d is not None:
            out *= self._d

    def _summary(self) -> str:
        return f"fast Poisson, {'scaled' if self.scaled else 'unscaled'}, {self.inverse._summary()}"


def plan_for(
    A: LinearOperator,
    scaling: Scaling,
    grid: tuple[int, ...] | None,
    axes: tuple[Axis, ...] | None,
    scales: tuple[float, ...] | None,
) -> Plan:
    """Decide what M = D L⁻¹ D is for A; `axes` and `scales` where the user gave them."""
    symmetric = bool(A.props & (Props.SYMMETRIC | Props.SELF_ADJOINT))
    spd = Props.SYMMETRIC | Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE
    try:
        couplings = Couplings.of(A, grid)
    except StructureError:
        if axes is None or scales is None:
            raise
        return Plan(Reference(axes, scales), None, spd if symmetric else Props.NONE)
    if axes is None and (Props.SELF_ADJOINT not in A.props or Props.POSITIVE_DEFINITE in A.props):
        try:
            exact = constant_operator(couplings)
        except StructureError:
            pass
        else:  # M = A⁻¹, whatever A is
            return Plan(exact, None, A.props & spd)
    claims = spd if symmetric else Props.NONE
    plain = mean_operator(couplings, axes)
    if scales is not None:
        plain = dataclasses.replace(plain, scales=scales)
    if max(plain.scales) <= 0.0 and plain.shift <= 0.0:
        raise ValueError(f"{A!r} has no couplings and no positive diagonal: there is nothing to invert")
    diagonal = np.real(couplings.diagonal)
    if scaling == "none" or not (diagonal > 0.0).all():
        if scaling == "sqrt":
            raise ValueError(f"scaling='sqrt' needs a positive diagonal, but the least of {A!r} is {diagonal.min():g}")
        return Plan(plain, None, claims)
    d = np.sqrt(plain.diagonal() / diagonal)
    scaled = mean_operator(couplings.scaled(d), plain.axes)
    if scaling == "sqrt":
        return Plan(scaled, d, claims)
    conditions = condition_unscaled(couplings, plain), condition_scaled(couplings, d, scaled)
    better = conditions[1] < conditions[0]
    return Plan(scaled if better else plain, d if better else None, claims, conditions)


def _smallest_positive(reference: Reference) -> float:
    """Return the smallest eigenvalue that is not zero, of one axis, or 1 where there is none."""
    candidates = [
        abs(c) * float(values[values > 1e-12].min(initial=4.0))
        for c, values in ((c, axis.eigenvalues()) for c, axis in zip(reference.scales, reference.axes, strict=True))
        if c
    ]
    return min(candidates, default=1.0)
