"""Model problems of each kind, on which methods are timed: one fixed law of coefficients, any size.

``definite`` is −∇·(a∇u) = 1 with a smooth lognormal a of contrast 10² to 10³ and walls, ``constant`` that with a = 1;
``nonsymmetric`` −Δu + w·∇u = 1 in shear flow of Péclet number 100, upwind; ``indefinite`` −Δu − k²u = 1 with one and a
half waves along a side; ``complex`` the same with ten points a wavelength and absorption; ``narrow`` a tridiagonal
matrix.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.fft
import scipy.sparse as sp

from ...operators import SPD, Array, LinearOperator, Props, Sparse, Stencil

_DEVIATION = 1.0
"""Of log a."""

_PECLET = 100.0


def problem(kind: str, side: int, number: int) -> tuple[LinearOperator, Array]:
    """Return system and right-hand side of a kind, `side` points a side; numbers differ in values only.

    Examples
    --------
    >>> A, b = problem("nonsymmetric-3d", 8, 0)
    >>> A.shape, b.shape
    ((512, 512), (512,))
    """
    name, _, dimension = kind.partition("-")
    rng = np.random.default_rng([side, number, 2026])
    if name == "narrow":
        off = -rng.uniform(0.5, 1.0, side)
        matrix = sp.diags_array([off, np.full(side, 2.1), off], offsets=[-1, 0, 1], shape=(side, side))
        return Sparse(sp.csr_array(matrix), props=SPD), np.ones(side)
    grid = (side,) * int(dimension[0])
    b = np.ones(math.prod(grid))
    if name == "definite":
        return _diffusion(np.exp(_DEVIATION * _smooth(grid, rng)), side), b
    if name == "constant":
        return _diffusion(np.full(grid, float(number + 1)), side), b
    if name == "nonsymmetric":
        return _convection(grid, rng), b
    return _waves(grid, rng, absorbing=name == "complex"), b


def _smooth(grid: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return a Gaussian field of cosine modes with the spectrum (k² + 9)⁻², unit variance on average."""
    modes = tuple(min(n, 16) for n in grid)
    k2 = sum(np.meshgrid(*[(math.pi * np.arange(m)) ** 2 for m in modes], indexing="ij"))
    weight = (k2 + 9.0) ** -1.0
    weight[(0,) * len(grid)] = 0.0
    field = weight * rng.standard_normal(modes)
    for axis, n in enumerate(grid):
        field = scipy.fft.idct(field, type=2, n=n, axis=axis, norm="forward", overwrite_x=False)
    deviation = float(field.std())
    return np.asarray(field / deviation if deviation > 0.0 else field)


def _diffusion(a: Array, side: int) -> Stencil:
    faces = []
    for axis in range(a.ndim):
        low, high = (np.take(a, range(*part), axis=axis) for part in ((0, side - 1), (1, side)))
        inner = 2.0 * low * high / (low + high)
        ends = [2.0 * np.take(a, [end], axis=axis) for end in (0, side - 1)]
        faces.append(side**2 * np.concatenate([ends[0], inner, ends[1]], axis=axis))
    return Stencil.from_transmissibilities(faces)


def _convection(grid: tuple[int, ...], rng: np.random.Generator) -> Stencil:
    side, dimension = grid[0], len(grid)
    x = (np.arange(side) + 0.5) / side
    coefficients = np.zeros((1 + 2 * dimension, *grid))
    for axis in range(dimension):
        # The wind along an axis varies across it only, and so has no divergence.
        shape = [1] * dimension
        shape[(axis + 1) % dimension] = side
        wind = (_PECLET * side * np.sin(2.0 * math.pi * (x + rng.uniform()))).reshape(shape) * np.ones(grid)
        back, ahead = -(side**2) - np.maximum(wind, 0.0), -(side**2) + np.minimum(wind, 0.0)
        coefficients[0] -= back + ahead
        low, high = ((slice(None),) * axis + (part,) for part in (slice(None, -1), slice(1, None)))
        coefficients[1 + 2 * axis][high] = back[high]
        coefficients[2 + 2 * axis][low] = ahead[low]
    return Stencil(coefficients, props=Props.M_MATRIX)


def _waves(grid: tuple[int, ...], rng: np.random.Generator, *, absorbing: bool) -> Stencil:
    side, dimension = grid[0], len(grid)
    medium = 1.0 + 0.1 * np.tanh(_smooth(grid, rng))
    faces = [np.full(tuple(n - (a == axis) for a, n in enumerate(grid)), -float(side**2)) for axis in range(dimension)]
    if absorbing:
        k = 2.0 * math.pi * side / 10.0
        diagonal = 2.0 * dimension * side**2 - k**2 * medium * (1.0 + 0.1j)
    else:
        diagonal = 2.0 * dimension * side**2 - (3.0 * math.pi) ** 2 * dimension * medium
    return Stencil.from_faces(diagonal, faces)
