"""Matrices for bootstrap multigrid."""

import numpy as np
import scipy.sparse as sp

from ...conformance import poisson


def anisotropic(n, ratio=0.01):
    T, identity = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)), sp.eye_array(n)
    return sp.csr_array(sp.kron(T, identity) + ratio * sp.kron(identity, T))


def cells(a):
    """−∇·(a∇u) on n × n cells, u = 0 on the boundary, fluxes with harmonic means."""
    n = len(a)
    index, parts, diagonal = np.arange(n * n).reshape(n, n), [], np.zeros(n * n)
    for one, other in ((np.s_[:-1, :], np.s_[1:, :]), (np.s_[:, :-1], np.s_[:, 1:])):
        t = (2.0 * a[one] * a[other] / (a[one] + a[other])).ravel()
        i, j = index[one].ravel(), index[other].ravel()
        diagonal += np.bincount(i, t, n * n) + np.bincount(j, t, n * n)
        parts += [(-t, i, j), (-t, j, i)]
    edge = np.zeros((n, n))
    for side in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        edge[side] += 2.0
    parts.append((diagonal + (a * edge).ravel(), index.ravel(), index.ravel()))
    data, i, j = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return sp.csr_array((data, (i, j)), shape=(n * n, n * n))


def coefficient(n, seed=0):
    coarse = np.where(np.random.default_rng(seed).random((8, 8)) < 0.5, 1.0, 1e4)
    return np.kron(coarse, np.ones((n // 8, n // 8)))


def jumps(n, seed=0):
    return cells(coefficient(n, seed))


def scaled(A, seed=0):
    S = sp.diags_array(np.exp(np.random.default_rng(seed).uniform(-2.0, 2.0, A.shape[0])))
    return sp.csr_array(S @ A @ S)


def laplacian(edges, n):
    """Of the graph with edges (i, j), or (i, j, weight)."""
    edges = np.array(edges, dtype=float)
    weights = edges[:, 2] if edges.shape[1] > 2 else np.ones(len(edges))
    i, j = edges[:, 0].astype(int), edges[:, 1].astype(int)
    W = sp.csr_array((np.r_[weights, weights], (np.r_[i, j], np.r_[j, i])), shape=(n, n))
    return sp.csr_array(sp.diags_array(np.asarray(W.sum(axis=1)).ravel()) - W)


def random_graph(n, edges, seed=0):
    """Laplacian of a graph that is not connected, weights over four orders of magnitude."""
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, n, (edges, 2))
    ends = np.unique(np.sort(ends[ends[:, 0] != ends[:, 1]], axis=1), axis=0)
    return laplacian(np.c_[ends, 10.0 ** rng.uniform(-2.0, 2.0, len(ends))], n)


MODEL = {
    "poisson": poisson(64),
    "anisotropic": anisotropic(64),
    "jumps": jumps(64),
    "scaled": scaled(poisson(64)),
}
