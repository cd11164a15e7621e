"""Operators that must satisfy `check_operator`, one factory each: add a line for every new class or storage."""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from resolvent.operators import (
    SPD,
    Dense,
    Diagonal,
    Ensemble,
    Function,
    KernelDiff,
    Kronecker,
    KroneckerPlusDiagonal,
    KroneckerSum,
    LinearOperator,
    Masked,
    Monarch,
    Props,
    Sparse,
    SpectralMixture,
    SumOfKroneckers,
    Toeplitz,
    kernel_matrix,
)
from resolvent.operators.stencil import Stencil

FIVE = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
NINE = (*FIVE, (-1, -1), (-1, 1), (1, -1), (1, 1))
SEVEN = ((0, 0, 0), (-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))


def random_array(shape, dtype=float, seed=0):
    """Standard normal entries, complex for a complex dtype."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


def random_coefficients(grid, offsets, dtype=float, seed=0):
    """Random stencil coefficients, zero where they point outside of the grid."""
    c = random_array((len(offsets), *grid), dtype, seed)
    points = np.indices(grid)
    for s, offset in enumerate(offsets):
        for axis, d in enumerate(offset):
            neighbour = points[axis] + d
            c[s][(neighbour < 0) | (neighbour >= grid[axis])] = 0
    return c


def stencil(grid, offsets, dtype=float, **options):
    return Stencil(random_coefficients(grid, offsets, dtype), offsets, **options)


def diffusion(*grid, dirichlet=True, shift=None, dtype=float):
    """Random positive transmissibilities; on the boundary too, or zero there."""
    rng = np.random.default_rng(3)
    faces = []
    for axis in range(len(grid)):
        t = rng.uniform(0.1, 2.0, tuple(g + (a == axis) for a, g in enumerate(grid))).astype(dtype)
        if not dirichlet:
            end = [slice(None)] * len(grid)
            for end[axis] in (0, -1):
                t[tuple(end)] = 0
        faces.append(t)
    return Stencil.from_transmissibilities(faces, shift=shift)


def sparse(shape, dtype=float, **options):
    rng = np.random.default_rng(1)
    A = sp.random_array(
        shape, density=0.2, rng=rng, dtype=dtype, data_sampler=lambda size: random_array(size, dtype, 2)
    )
    return Sparse(A.astype(dtype), **options)


def _twice(x):
    return 2.0 * x


B = random_array((6, 6), seed=5)
C = random_array((6, 6), complex, seed=6)


def definite(n, seed=0, dtype=float):
    """A dense positive definite operator."""
    X = random_array((n, n), dtype, seed)
    return Dense((X @ X.conj().T + n * np.eye(n)).astype(dtype), props=SPD)


def random_dense(m, n=None, dtype=float, seed=0):
    return random_array((m, m if n is None else n), dtype, 100 * m + seed)


def kept(*grid):
    return np.random.default_rng(9).random(grid) > 0.4


KERNEL = SpectralMixture(np.log([1.0, 0.5]), [1.0, 0.0], [0.0, 2.0])

KRONECKER: dict[str, Callable[[], LinearOperator]] = {
    "Kronecker rectangular": lambda: Kronecker(random_dense(3, 4), random_dense(5, 2)),
    "Kronecker of one": lambda: Kronecker(random_dense(4, 3)),
    "Kronecker of three": lambda: Kronecker(random_dense(3), sparse((5, 5)), random_dense(2, 4, complex)),
    "Kronecker of four": lambda: Kronecker(
        random_dense(2, 3), Diagonal([1.0, -2.0, 3.0]), Toeplitz([1.0, 2.0], [1.0, 3.0]), random_dense(3).astype("f")
    ),
    "Kronecker definite": lambda: Kronecker(definite(3), definite(4, 1)),
    "Kronecker definite complex": lambda: Kronecker(definite(3, 0, complex), definite(4, 1)),
    "Kronecker complex symmetric": lambda: Kronecker(
        Dense(np.array([[1.0, 2j], [2j, 0.5]]), props=Props.SYMMETRIC), definite(3)
    ),
    "Kronecker singular": lambda: Kronecker(diffusion(4, dirichlet=False), definite(3)),
    "Kronecker single": lambda: Kronecker(definite(3, 0, np.float32), definite(4, 1, np.float32)),
    "Kronecker complex single": lambda: Kronecker(random_dense(3, 3, np.complex64), random_dense(2).astype("f")),
    "Kronecker order F": lambda: Kronecker(random_dense(3, 4), random_dense(5, 2), order="F"),
    "Kronecker of functions": lambda: Kronecker(Function((4, 4), _twice, props=Props.POSITIVE_DEFINITE), definite(3)),
    "Kronecker wide axes": lambda: Kronecker(random_dense(2), Toeplitz(np.ones(3)), random_dense(17)),
    "Kronecker adjoint": lambda: Kronecker(random_dense(3, 4, complex), random_dense(5, 2)).H,
    "Kronecker transpose": lambda: Kronecker(random_dense(3, 4, complex), random_dense(5, 2)).T,
    "Kronecker multiple": lambda: (2.0 - 1.0j) * Kronecker(random_dense(3), random_dense(4)),
    "Kronecker of products": lambda: (
        Kronecker(random_dense(3, 2), random_dense(4)) @ Kronecker(random_dense(2, 3), sparse((4, 4)))
    ),
    "KroneckerSum": lambda: KroneckerSum(random_dense(3), random_dense(4)),
    "KroneckerSum of one": lambda: KroneckerSum(random_dense(5)),
    "KroneckerSum of three": lambda: KroneckerSum(random_dense(3), sparse((4, 4)), random_dense(2, 2, complex)),
    "KroneckerSum of four": lambda: KroneckerSum(
        random_dense(2), Toeplitz([1.0, 2.0, 0.5]), Diagonal([1.0, -2.0]), diffusion(3)
    ),
    "KroneckerSum definite": lambda: KroneckerSum(diffusion(4), diffusion(3, dirichlet=False), diffusion(2)),
    "KroneckerSum singular": lambda: KroneckerSum(diffusion(4, dirichlet=False), diffusion(3, dirichlet=False)),
    "KroneckerSum order F": lambda: KroneckerSum(random_dense(3), random_dense(4), order="F"),
    "KroneckerSum adjoint": lambda: KroneckerSum(random_dense(3, 3, complex), random_dense(4)).H,
    "KroneckerSum multiple": lambda: (1.0 + 2.0j) * KroneckerSum(random_dense(3), random_dense(4)),
    "KroneckerSum larger than dense_limit": lambda: KroneckerSum(diffusion(30), diffusion(40)),
    "Kronecker and a multiple of the identity": lambda: KroneckerPlusDiagonal(Kronecker(definite(3), definite(4)), 0.1),
    "KroneckerSum and a diagonal": lambda: (
        KroneckerSum(random_dense(3), random_dense(4)) + Diagonal(random_array(12, complex))
    ),
    "KroneckerSum and a field": lambda: KroneckerPlusDiagonal(
        KroneckerSum(diffusion(3), diffusion(4)), np.arange(12.0).reshape(3, 4)
    ),
    "sum of Kroneckers": lambda: (
        Kronecker(random_dense(3, 2), random_dense(4)) + Kronecker(random_dense(3, 2, complex), sparse((4, 4)))
    ),
    "sum of definite Kroneckers": lambda: SumOfKroneckers(
        Kronecker(definite(3), definite(4)),
        Kronecker(definite(3, 5), definite(4, 6)),
        Kronecker(definite(3), definite(4)),
    ),
    "Toeplitz": lambda: Toeplitz(random_array(7), random_array(5, seed=1)),
    "Toeplitz complex": lambda: Toeplitz(random_array(7, complex)),
    "Toeplitz symmetric single": lambda: Toeplitz(random_array(6, np.float32)),
    "Toeplitz of one": lambda: Toeplitz([2.0]),
    "circulant": lambda: Toeplitz([3.0, 1.0, 0.0, 0.0, 1.0], circulant=True),
    "circulant complex": lambda: Toeplitz(random_array(6, np.complex64), circulant=True),
    "masked": lambda: Masked(Kronecker(definite(3), definite(4)), kept(3, 4)),
    "masked rows": lambda: Masked(KroneckerSum(random_dense(3), random_dense(4, 4, complex)), kept(3, 4), None),
    "masked by indices": lambda: Masked(sparse((8, 9)), [5, 0, 2], [8, 1]),
    "masked semi-definite": lambda: Masked(diffusion(6, dirichlet=False), [0, 1, 2]),
    "masked adjoint": lambda: Masked(KroneckerSum(random_dense(3), random_dense(4)), kept(3, 4), None).H,
    "kernel matrix": lambda: kernel_matrix(KERNEL, np.linspace(0.0, 1.0, 9), order=1),
    "kernel differentiation": lambda: KernelDiff(KERNEL, np.linspace(0.0, 1.0, 9), 2, eps=1e-4),
    "kernel interpolation": lambda: KernelDiff(KERNEL, np.linspace(0.0, 1.0, 9), 0, eps=1e-4, at=[0.1, 0.33]),
}

OPERATORS: dict[str, Callable[[], LinearOperator]] = {
    "stencil 3-point": lambda: stencil((9,), ((0,), (-1,), (1,))),
    "stencil 5-point": lambda: stencil((5, 7), FIVE),
    "stencil 5-point float32": lambda: stencil((5, 7), FIVE, np.float32),
    "stencil 5-point complex": lambda: stencil((5, 7), FIVE, complex),
    "stencil 5-point complex64": lambda: stencil((5, 7), FIVE, np.complex64),
    "stencil 9-point": lambda: stencil((6, 4), NINE),
    "stencil 7-point": lambda: stencil((3, 4, 5), SEVEN),
    "stencil one-sided": lambda: stencil((4, 8), ((0, 0), (0, -2), (-1, 1))),
    "stencil without centre": lambda: stencil((4, 4), ((1, 0), (-1, 0))),
    "stencil on one point": lambda: stencil((1, 1), FIVE),
    "stencil on one row": lambda: stencil((1, 6), FIVE),
    "stencil on one column": lambda: stencil((6, 1), FIVE),
    "stencil mirrored": lambda: stencil((5, 4), ((0, 0), (1, 0), (0, 1)), mirrored=True),
    "stencil complex symmetric": lambda: stencil((5, 4), ((0, 0), (1, 0), (0, 1)), complex, mirrored=True),
    "stencil mirrored corners": lambda: stencil((5, 4), ((0, 0), (1, 1), (1, -1)), mirrored=True),
    "diffusion 1-D": lambda: diffusion(12),
    "diffusion 2-D": lambda: diffusion(6, 5),
    "diffusion 3-D": lambda: diffusion(3, 4, 2),
    "diffusion float32": lambda: diffusion(6, 5, dtype=np.float32),
    "diffusion Neumann": lambda: diffusion(6, 5, dirichlet=False),
    "diffusion expanded": lambda: diffusion(6, 5).expand(),
    "diffusion larger than dense_limit": lambda: diffusion(30, 40),
    "Helmholtz": lambda: diffusion(6, 5, shift=-3.0 + 0.2j),
    "sparse": lambda: sparse((12, 12)),
    "sparse wide": lambda: sparse((6, 15)),
    "sparse tall complex": lambda: sparse((15, 6), complex),
    "sparse float32": lambda: sparse((9, 9), np.float32),
    "dense": lambda: Dense(B),
    "dense complex": lambda: Dense(C),
    "diagonal": lambda: Diagonal(np.arange(1.0, 9.0).reshape(2, 4)),
    "diagonal complex": lambda: Diagonal(random_array(5, complex)),
    "Monarch": lambda: Monarch(random_array((3, 3, 3)), random_array((3, 3, 3), seed=1)),
    "Monarch complex single": lambda: Monarch(random_array((2, 2, 2), np.complex64), random_array((2, 2, 2), "f", 1)),
    "Monarch of one": lambda: Monarch([[[2.0]]], [[[3.0]]]),
    "Monarch Fourier": lambda: Monarch.fourier(3),
    "function": lambda: Function((4, 4), _twice, props=Props.POSITIVE_DEFINITE),
    "function variable": lambda: Function((4, 4), _twice, props=Props.VARIABLE),
    "ensemble": lambda: Ensemble([diffusion(6, 5), diffusion(6, 5, shift=1.0), diffusion(6, 5)]),
    "ensemble with a singular member": lambda: Ensemble([diffusion(4, 3), diffusion(4, 3, dirichlet=False)]),
    "ensemble complex": lambda: Ensemble([Dense(C), Dense(1j * C)]),
    "ensemble of one float32": lambda: Ensemble([stencil((5, 7), FIVE, np.float32)]),
    "sum": lambda: Dense(B) + Diagonal(np.ones(6)),
    "product": lambda: Dense(B) @ Dense(C),
    "gram matrix": lambda: Dense(C).H @ Dense(C),
    "scaled": lambda: 2.5j * Dense(C),
    "adjoint of a stencil": lambda: stencil((5, 7), FIVE).H,
    "transpose of a complex stencil": lambda: stencil((5, 7), FIVE, complex).T,
    **KRONECKER,
}
