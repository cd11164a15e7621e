"""Systems that the tests of the fused multigrid share."""

import numpy as np
import scipy.sparse as sp

from resolvent.datasets.families import Darcy2D, Darcy3D
from resolvent.operators import Sparse, Stencil

from .boxes import dense, diffusion

FAMILIES = {2: Darcy2D, 3: Darcy3D}


def darcy(n, seed=0, dim=2, **options):
    family = FAMILIES[dim](resolution=n, **options)
    return family.assemble(family.draw(np.random.default_rng(seed)))


def systems(count, n=16, **options):
    pairs = [darcy(n, seed, coefficient="lognormal_unit", **options) for seed in range(count)]
    return [A for A, _ in pairs], np.stack([b for _, b in pairs], axis=1)


def stencil(a, **options):
    """Of a coefficient on cells, unit spacing, Dirichlet walls."""
    return diffusion(np.asarray(a, dtype=float), **options)


def neumann(*grid, seed=0):
    rng = np.random.default_rng(seed)
    faces = []
    for axis in range(len(grid)):
        t = np.exp(rng.standard_normal([n + (a == axis) for a, n in enumerate(grid)]))
        np.moveaxis(t, axis, 0)[[0, -1]] = 0.0
        faces.append(t)
    return Stencil.from_transmissibilities(faces)


def ring(network):
    return Sparse(sp.csr_array(dense(network)), grid=network.grid)
