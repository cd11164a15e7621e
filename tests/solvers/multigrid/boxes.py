"""Networks and operators on boxes that the tests of multigrid share."""

import itertools

import numpy as np

from resolvent.operators import Stencil
from resolvent.solvers.multigrid.backend import NumpyBackend
from resolvent.solvers.multigrid.level import Level
from resolvent.solvers.multigrid.network import Network

NUMPY = NumpyBackend()

CLOSURES = ("dirichlet", "neumann", "mixed", "periodic")
"""Of an axis: both walls, neither, the first one, or a ring."""


def closures(dim, count, rng):
    """Some of the combinations for the axes of a box, in another order for each generator."""
    every = list(itertools.product(CLOSURES, repeat=dim))
    return [every[i] for i in rng.permutation(len(every))[:count]]


def random_network(grid, closed, rng, *, spread=1.0, shift=0.0, members=1, dtype=float):
    """Conductances exp(spread · normal) on a box."""
    faces = []
    for a, (n, closure) in enumerate(zip(grid, closed, strict=True)):
        shape = [*grid, members]
        shape[a] += 1
        t = np.exp(spread * rng.standard_normal(shape))
        first, last = (slice(None),) * a + (0,), (slice(None),) * a + (-1,)
        if closure == "periodic":
            t[last] = t[first]
            if n == 1:
                t[...] = 0.0
        elif closure != "dirichlet":
            t[last] = 0.0
            if closure == "neumann":
                t[first] = 0.0
        faces.append(t.astype(dtype))
    ring = tuple(closure == "periodic" for closure in closed)
    return Network(tuple(faces), np.full((*grid, members), shift, dtype=dtype), ring)


def dense(network, member=0):
    """The matrix of one member."""
    level, n = Level(network, NUMPY), network.cells
    couplings = [(t[..., member], u[..., member]) for t, u in zip(level.lower, level.upper, strict=True)]
    index = np.arange(n).reshape(network.grid)
    A = np.diag(level.diagonal[..., member].ravel())
    for a, (lower, upper) in enumerate(couplings):
        inside = np.arange(network.grid[a])
        for t, step in ((lower, 1), (upper, -1)):
            neighbour = np.roll(index, step, axis=a)
            wall = inside == (0 if step == 1 else network.grid[a] - 1)
            keep = np.ones(network.grid, dtype=bool)
            if not network.periodic[a]:
                keep[(slice(None),) * a + (wall,)] = False
            np.add.at(A, (index[keep], neighbour[keep]), -t[keep])
    return A


def diffusion(a, strength=(1.0, 1.0, 1.0), wall=2.0):
    """−∇·(a∇u) with harmonic means, Dirichlet walls half a cell away, couplings scaled by axis; h = 1."""
    faces = []
    for axis in range(a.ndim):
        m = np.moveaxis(a, axis, 0)
        t = np.empty((m.shape[0] + 1, *m.shape[1:]))
        t[1:-1] = 2.0 * m[1:] * m[:-1] / (m[1:] + m[:-1])
        t[0], t[-1] = wall * m[0], wall * m[-1]
        faces.append(strength[axis] * np.moveaxis(t, 0, axis))
    return Stencil.from_transmissibilities(tuple(faces))


def smooth_coefficient(n, contrast, dim=2):
    """A coefficient between 1 and `contrast`, the same function on every grid."""
    x = [(np.arange(n) + 0.5) / n] * dim
    wave = np.sin(5.0 * x[0]).reshape(-1, *[1] * (dim - 1)) * np.cos(7.0 * x[1]).reshape(1, -1, *[1] * (dim - 2))
    if dim == 3:
        wave = wave * np.cos(4.0 * x[2]).reshape(1, 1, -1)
    return contrast ** (0.5 + 0.5 * wave)
