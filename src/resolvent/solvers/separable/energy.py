"""How well a constant-coefficient operator will precondition one with varying entries, foretold from the entries."""

from __future__ import annotations

from typing import Any

import numpy as np

from .couplings import Couplings, along
from .reference import Reference


def condition_unscaled(couplings: Couplings, reference: Reference) -> float:
    """Return a bound of the condition number of L⁻¹A, L the reference: the contrast of the couplings.

    For −∇·(a∇u) the quotient xᵀAx / xᵀLx is a weighted mean of the ratios of couplings, so it lies between the least
    and the largest of them. Conjugate gradients take about ½ ln(2/rtol) √κ iterations.
    """
    least, largest = np.inf, 0.0
    for c, up in zip(reference.scales, couplings.upper, strict=True):
        if up.size and c > 0.0:
            ratios = (np.abs(up) if np.iscomplexobj(up) else -up) / c
            least, largest = min(least, float(ratios.min())), max(largest, float(ratios.max()))
    return largest / least if least > 0.0 else np.inf


def condition_scaled(couplings: Couplings, d: Any, reference: Reference) -> float:
    """Return an estimate of the condition number of L⁻¹DAD, L the reference and D = diag(d).

    The quotient q(x) = xᵀDADx / xᵀLx is taken at two smooth fields: x = φ, the lowest mode of the box, and x = φ/d, for
    which DAD becomes A. Where a jumps, so does d, and φ/d has a large L-energy; then q(φ/d) is small and q(φ) large.
    A few passes over the entries, no product with A.
    """
    phi: Any = np.asarray(1.0)
    for axis in reference.axes:
        phi = np.multiply.outer(phi, _lowest_mode(axis.n, axis.left, axis.right, axis.closure))
    high = _energy(couplings, d * phi) / _reference_energy(reference, phi)
    low = _energy(couplings, phi) / _reference_energy(reference, phi / d)
    return float(high / low) if low > 0.0 else np.inf


def _lowest_mode(n: int, left: float, right: float, closure: str) -> Any:
    x = (np.arange(n) + 0.5) / n
    if closure == "periodic":
        return np.cos(2.0 * np.pi * x)
    if left and right:
        return np.sin(np.pi * x)
    if left or right:
        return np.sin(0.5 * np.pi * (x if left else 1.0 - x))
    return np.cos(np.pi * x) if n > 1 else np.ones(1)


def _energy(couplings: Couplings, x: Any) -> float:
    """Return xᵀAx for symmetric A."""
    total = _dot(couplings.diagonal.real * x, x)
    for a, up in enumerate(couplings.upper):
        total += 2.0 * float(np.sum(up.real * x[along(a, slice(None, -1))] * x[along(a, slice(1, None))]))
        wrap = couplings.wrap[a]
        if wrap is not None:
            total += 2.0 * float(np.sum(wrap[0].real * x[along(a, slice(None, 1))] * x[along(a, slice(-1, None))]))
    return total


def _reference_energy(reference: Reference, x: Any) -> float:
    total = float(reference.shift) * _dot(x, x)
    for a, (axis, c) in enumerate(zip(reference.axes, reference.scales, strict=True)):
        first, last = x[along(a, slice(None, 1))], x[along(a, slice(-1, None))]
        step = x[along(a, slice(1, None))] - x[along(a, slice(None, -1))]
        total += c * _dot(step, step)
        if axis.closure == "periodic":
            total += c * _dot(first - last, first - last)
        else:
            total += c * (axis.left * _dot(first, first) + axis.right * _dot(last, last))
    return total


def _dot(x: Any, y: Any) -> float:
    # Not by BLAS: its threads spin, which costs more than the sum where others use the cores.
    return float(np.sum(x * y))
