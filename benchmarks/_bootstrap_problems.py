"""The matrices that bootstrap multigrid is measured on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from resolvent.datasets.families import Elasticity2D

Matrices = dict[str, Callable[[], sp.csr_array]]


def poisson(n: int, a: float = 1.0, b: float = 1.0) -> sp.csr_array:
    """−a u_xx − b u_yy by 5 points on n × n unknowns, Dirichlet boundary, h = 1."""
    T, identity = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)), sp.eye_array(n)
    return sp.csr_array(a * sp.kron(T, identity) + b * sp.kron(identity, T))


def jumps(n: int, seed: int = 0, contrast: float = 1e4, cells: int = 8) -> sp.csr_array:
    """−∇·(a∇u), a random among 1 and `contrast` in cells × cells squares, fluxes with harmonic means."""
    rng = np.random.default_rng(seed)
    coarse = np.where(rng.random((cells, cells)) < 0.5, 1.0, contrast)
    return diffusion(np.kron(coarse, np.ones((n // cells, n // cells))))


def diffusion(a: np.ndarray) -> sp.csr_array:
    """−∇·(a∇u) on cells, u = 0 on the boundary."""
    n = len(a)
    index, diagonal, parts = np.arange(n * n).reshape(n, n), np.zeros(n * n), []
    for one, other in ((np.s_[:-1, :], np.s_[1:, :]), (np.s_[:, :-1], np.s_[:, 1:])):
        t = (2.0 * a[one] * a[other] / (a[one] + a[other])).ravel()
        i, j = index[one].ravel(), index[other].ravel()
        diagonal += np.bincount(i, t, n * n) + np.bincount(j, t, n * n)
        parts += [(-t, i, j), (-t, j, i)]
    edge = np.zeros((n, n))
    for side in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        edge[side] += 1.0
    parts.append((diagonal + (2.0 * a * edge).ravel(), index.ravel(), index.ravel()))
    data, i, j = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return sp.csr_array((data, (i, j)), shape=(n * n, n * n))


def rotated(n: int, epsilon: float = 1e-3, angle: float = np.pi / 6.0) -> sp.csr_array:
    """Anisotropic diffusion along a direction that the grid does not know, bilinear elements."""
    from pyamg.gallery import diffusion_stencil_2d, stencil_grid

    return sp.csr_array(stencil_grid(diffusion_stencil_2d(epsilon, angle, type="FE"), (n, n), format="csr"))


def elasticity(n: int, seed: int = 0) -> sp.csr_array:
    """Plane elasticity with random coefficients; two unknowns a node, which nobody is told."""
    family = Elasticity2D(resolution=n)
    return sp.csr_array(family.assemble(family.draw(np.random.default_rng(seed)))[0].to_sparse())


def scaled(A: sp.csr_array, seed: int = 0) -> sp.csr_array:
    """S A S with S = exp U(−2, 2): the constant is far from its near null space."""
    S = sp.diags_array(np.exp(np.random.default_rng(seed).uniform(-2.0, 2.0, A.shape[0])))
    return sp.csr_array(S @ A @ S)


def laplacian(weights: sp.sparray) -> sp.csr_array:
    """The Laplacian of a graph, given by the weights of its edges, each once."""
    W = sp.csr_array(weights + weights.T)
    return sp.csr_array(sp.diags_array(np.asarray(W.sum(axis=1)).ravel()) - W)


def geometric_graph(n: int, seed: int = 0, neighbours: int = 5) -> sp.csr_array:
    """Points at random in the square, joined to the nearest ones with weight 1/distance²; singular."""
    points = np.random.default_rng(seed).random((n, 2))
    distance, j = cKDTree(points).query(points, neighbours + 1)
    i = np.repeat(np.arange(n), neighbours)
    return laplacian(sp.coo_array((1.0 / distance[:, 1:].ravel() ** 2, (i, j[:, 1:].ravel())), shape=(n, n)))


def preferential_graph(n: int, seed: int = 0) -> sp.csr_array:
    """A graph that grew by preferential attachment, two edges a vertex: few vertices have most edges; singular."""
    rng = np.random.default_rng(seed)
    ends, i, j = [0, 1], [1], [0]
    for v in range(2, n):
        for t in sorted({ends[k] for k in rng.integers(0, len(ends), 2)}):
            i.append(v)
            j.append(t)
            ends += [v, t]
    return laplacian(sp.coo_array((np.ones(len(i)), (i, j)), shape=(n, n)))


def problems(n: int) -> Matrices:
    """Return what methods are compared on, about n² unknowns each."""
    half = max(8, round(n / np.sqrt(2.0) / 8) * 8)
    return {
        "Poisson": lambda: poisson(n),
        "anisotropic 1:0.01": lambda: poisson(n, 1.0, 0.01),
        "rotated anisotropy": lambda: rotated(n),
        "jumps 1e4": lambda: jumps(n),
        "elasticity": lambda: elasticity(half),
        "geometric graph": lambda: geometric_graph(n * n),
        "preferential graph": lambda: preferential_graph(n * n),
        "S Poisson S": lambda: scaled(poisson(n)),
        "S rotated S": lambda: scaled(rotated(n)),
        "S jumps S": lambda: scaled(jumps(n)),
        "S elasticity S": lambda: scaled(elasticity(half)),
    }


SINGULAR = ("geometric graph", "preferential graph")
