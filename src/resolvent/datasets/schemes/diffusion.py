"""Finite volumes for −∇·(a∇u): face transmissibilities, admissible coefficients and a manufactured problem.

Shared by the families whose operator contains a scalar diffusion on a structured grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ...operators import SPD, Props, Stencil
from ..random_fields import FloatArray

Wall = Literal["dirichlet", "insulated"]

_CLAIMS = SPD | Props.M_MATRIX


def cell_transmissibilities(a: FloatArray, h: float, dim: int, wall: Wall = "dirichlet") -> tuple[FloatArray, ...]:
    """Return the face transmissibilities of a cell-centred grid, already divided by h².

    Between two cells the coefficient is the harmonic mean 2ab/(a + b), the exact one for a coefficient that is
    constant in each cell; a Dirichlet wall lies half a cell from the centre, hence 2a/h²; an insulated one has 0.

    Parameters
    ----------
    a : (n_1, …, n_dim, ...) array
        Positive coefficient at the cell centres; trailing axes are members of an ensemble.
    h : float
        Cell size.
    dim : int
        Number of leading axes of `a` that are space.
    wall : {"dirichlet", "insulated"}

    Returns
    -------
    t : tuple of dim arrays
        ``t[j]`` has the shape of `a` with n_j + 1 faces along axis j, the two walls included.
    """
    faces = []
    for axis in range(dim):
        shape = list(a.shape)
        shape[axis] += 1
        t = np.empty(shape)
        low, high = _ends(a, axis)
        np.multiply(_harmonic(low, high), 1.0 / h**2, out=_slab(t, axis, slice(1, -1)))
        for end in (slice(0, 1), slice(-1, None)):
            wall_faces = _slab(t, axis, end)
            wall_faces[...] = _slab(a, axis, end) * (2.0 / h**2) if wall == "dirichlet" else 0.0
        faces.append(t)
    return tuple(faces)


def vertex_transmissibilities(a: FloatArray, h: float, dim: int) -> tuple[FloatArray, ...]:
    """Return the face transmissibilities between the inner nodes of a vertex grid, already divided by h².

    The control volume of a node reaches half-way to its neighbours; the coefficient on its faces is the harmonic mean
    of the two nodal values. The outermost faces lead to the boundary nodes, where u = 0 is imposed.

    Parameters
    ----------
    a : (n_1, …, n_dim, ...) array
        Positive coefficient at all nodes, boundary included; trailing axes are members of an ensemble.

    Returns
    -------
    t : tuple of dim arrays
        For the grid of (n_1 − 2, …) inner nodes: ``t[j]`` has n_j − 1 faces along axis j.
    """
    faces = []
    for axis in range(dim):
        across = tuple(slice(None) if other == axis else slice(1, -1) for other in range(dim))
        t = _harmonic(*_ends(a[across], axis))
        t *= 1.0 / h**2
        faces.append(t)
    return tuple(faces)


def dirichlet_diffusion(a: FloatArray, h: float, grid: Literal["cell", "vertex"]) -> Stencil:
    """Return −∇·(a∇u) with u = 0 on the boundary of a box, as a mirrored stencil scaled by 1/h².

    The same numbers as ``Stencil.from_transmissibilities`` of `cell_transmissibilities` or `vertex_transmissibilities`,
    in one pass over the coefficient instead of some twenty; the claims are theorems for positive a.

    Parameters
    ----------
    a : (n, …) array of one to three dimensions
        Positive coefficient at the cell centres, or at all nodes, boundary included.
    h : float
        Grid spacing.
    grid : {"cell", "vertex"}
    """
    return _assembled(a, 1.0 / h**2, 0 if grid == "cell" else 1, 2.0, 0.0)


def insulated_diffusion(a: FloatArray, h: float, scale: float, shift: float) -> Stencil:
    """Return shift − scale ∇·(a∇u) without flux through the boundary of a box, as a mirrored stencil on cells.

    As `dirichlet_diffusion` in one pass: the operator of an implicit step.

    Parameters
    ----------
    a : (n, …) array of one to three dimensions
        Positive coefficient at the cell centres.
    h : float
        Cell size.
    scale, shift : float
        Positive: a step length and the leading weight of a time scheme.
    """
    return _assembled(a, scale / h**2, 0, 0.0, shift)


def _assembled(a: FloatArray, weight: float, border: int, wall: float, shift: float) -> Stencil:
    from .diffusion_kernels import assemble_diffusion

    unknowns = tuple(n - 2 * border for n in a.shape)
    coefficients = np.empty((1 + a.ndim, *unknowns))
    flat = coefficients.reshape(1 + a.ndim, -1)
    missing = 3 - a.ndim
    ci, cj, ck = (flat[max(0, 1 + axis - missing)] for axis in range(3))
    borders = (-1,) * missing + (border,) * a.ndim
    box = (1,) * missing + unknowns
    a = np.ascontiguousarray(a, dtype=np.float64).reshape(-1)
    assemble_diffusion(a, box, borders, weight, wall, shift, flat[0], ci, cj, ck, np.empty(box[2]))
    return Stencil(coefficients, props=_CLAIMS, mirrored=True)


def check_coefficient(a: FloatArray, shape: tuple[int, ...], name: str = "a") -> FloatArray:
    """Return `a` in float64 after checking its shape and that it is positive and finite.

    Raises
    ------
    ValueError
        Naming the first entry, in C order, that is not a positive finite number.
    """
    a = check_field(a, shape, name)
    # Only where the minimum is bad is it worth looking for the place.
    if not a.min() > 0.0:
        index = tuple(int(i) for i in np.unravel_index(int(np.argmin(a > 0.0)), a.shape))
        raise ValueError(
            f"the coefficient {name} must be positive everywhere, got {a[index]!r} at index {index}: "
            f"for a diffusion that vanishes, use a small positive value"
        )
    return a


def check_field(f: FloatArray, shape: tuple[int, ...], name: str) -> FloatArray:
    """Return `f` in float64 after checking its shape and that it is finite; ValueError names the first bad entry."""
    f = np.asarray(f, dtype=np.float64)
    if f.shape != shape:
        raise ValueError(f"{name} must have the shape {shape} of the stored grid, got {f.shape}")
    if not np.isfinite(f).all():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmin(np.isfinite(f))), f.shape))
        raise ValueError(f"{name} must be finite, got {f[index]!r} at index {index}: check how the field was made")
    return f


def manufactured_diffusion(axes: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a coefficient, a source and the solution of −∇·(a∇u) = f on the unit cube with u = 0 on its boundary.

    The coefficient a = exp(φ), φ = Σ_j s_j sin(ω_j x_j + j) + cos(π Σ_j (−1)^j x_j)/4, oscillates with a frequency and
    a strength that differ between directions, has no symmetry and does not split into factors, so that exchanged,
    shifted or reflected indices are seen; u = Π_j exp(β_j x_j) sin(π x_j).

    Parameters
    ----------
    axes : sequence of (n_j,) arrays
        Coordinates along each axis.

    Returns
    -------
    a, f, u : (n_1, …, n_dim) arrays
    """
    dim = len(axes)
    strengths, frequencies, slopes = (0.6, 0.3, 0.45), (2.0, 5.0, 3.0), (0.7, -0.4, 0.3)
    x = np.meshgrid(*axes, indexing="ij", sparse=True)
    phase: FloatArray = np.asarray(np.pi * sum((-1) ** j * x[j] for j in range(dim)))
    log_a: FloatArray = 0.25 * np.cos(phase)
    factors, firsts, seconds, gradients = [], [], [], []
    for j in range(dim):
        s, omega, beta = strengths[j], frequencies[j], slopes[j]
        log_a = log_a + s * np.sin(omega * x[j] + j)
        gradients.append(s * omega * np.cos(omega * x[j] + j) - 0.25 * np.pi * (-1) ** j * np.sin(phase))
        growth, sine, cosine = np.exp(beta * x[j]), np.sin(np.pi * x[j]), np.cos(np.pi * x[j])
        factors.append(growth * sine)
        firsts.append(growth * (np.pi * cosine + beta * sine))
        seconds.append(growth * ((beta**2 - np.pi**2) * sine + 2 * beta * np.pi * cosine))
    a = np.exp(log_a)
    u = _product(factors)
    # ∇·(a∇u) = a Σ_j (∂_j φ ∂_j u + ∂_jj u), each derivative changing one factor of u.
    flux = np.zeros_like(a)
    for j in range(dim):
        changed = gradients[j] * firsts[j] + seconds[j]
        flux += _product([changed, *factors[:j], *factors[j + 1 :]])
    return a, -a * flux, u


def _product(factors: Sequence[FloatArray]) -> FloatArray:
    result = factors[0]
    for factor in factors[1:]:
        result = result * factor
    return result


def _harmonic(low: FloatArray, high: FloatArray) -> FloatArray:
    """2ab/(a + b), the product kept from overflow by dividing first."""
    total = low + high
    np.divide(high, total, out=total)
    total *= low
    total *= 2.0
    return total


def _ends(a: FloatArray, axis: int) -> tuple[FloatArray, FloatArray]:
    """All but the last and all but the first entries along an axis."""
    return _slab(a, axis, slice(None, -1)), _slab(a, axis, slice(1, None))


def _slab(a: FloatArray, axis: int, part: slice) -> FloatArray:
    return a[(slice(None),) * axis + (part,)]
