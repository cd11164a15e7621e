"""Matchings against brute force and against each other, weights against their formula."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.solvers.multigrid.matching import edge_weights, greedy_matching, suitor_matching

from ..conformance import poisson
from .bootstrap.matrices import random_graph


def random_weights(rng, n, values=None):
    edges = [(i, j) for i in range(n) for j in range(i) if rng.random() < 0.5]
    W = np.zeros((n, n))
    for i, j in edges:
        W[i, j] = W[j, i] = rng.random() + 0.01 if values is None else rng.choice(values)
    return W


def best_weight(W, free):
    """The weight of a maximum matching of the vertices in `free`, by trying all."""
    if len(free) < 2:
        return 0.0
    i, *rest = free
    found = best_weight(W, rest)
    for j in rest:
        if W[i, j] > 0.0:
            found = max(found, W[i, j] + best_weight(W, [v for v in rest if v != j]))
    return found


def weight_of(W, mate):
    matched = np.flatnonzero(mate >= 0)
    assert (mate[mate[matched]] == matched).all() and (mate != np.arange(len(mate))).all()
    assert (W[matched, mate[matched]] > 0.0).all()
    return 0.5 * W[matched, mate[matched]].sum()


@pytest.mark.parametrize("seed", range(12))
def test_at_least_half_the_optimum(seed):
    rng = np.random.default_rng(seed)
    W = random_weights(rng, int(rng.integers(2, 11)))
    mate = suitor_matching(W)
    assert weight_of(W, mate) >= 0.5 * best_weight(W, list(range(len(W)))) - 1e-14
    assert np.array_equal(mate, greedy_matching(W))
    # The product of weights, too: logarithms keep the order, and the matching.
    positive = W > 0.0
    if positive.any():
        logs = np.where(positive, np.log(np.where(positive, W, 1.0) / (0.999 * W[positive].min())), 0.0)
        assert weight_of(logs, mate) >= 0.5 * best_weight(logs, list(range(len(W)))) - 1e-14


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0]])
def test_ties_are_broken_by_the_vertices(values):
    for seed in range(20):
        W = random_weights(np.random.default_rng(seed), 15, values)
        assert np.array_equal(suitor_matching(W), greedy_matching(W))


def test_large_graphs_and_edges_that_are_none():
    weights = edge_weights(random_graph(2000, 6000), np.ones(2000))
    mate = suitor_matching(weights)
    assert np.array_equal(mate, greedy_matching(weights))
    alone = np.flatnonzero(mate < 0)
    assert not weights[alone][:, alone].nnz, "no two neighbours are both left over"
    assert suitor_matching(-abs(weights)).max() == -1
    assert suitor_matching(sp.csr_array((3, 3))).tolist() == [-1, -1, -1]


def test_weights_are_the_formula(rng):
    A = poisson(6)
    assert set(edge_weights(A, np.ones(36)).data) == {1.25}  # exactly
    w = rng.standard_normal(36)
    found, D = edge_weights(A, w).toarray(), A.diagonal()
    for i in range(36):
        for j in range(36):
            energy = D[i] * w[i] ** 2 + D[j] * w[j] ** 2
            expected = abs(1.0 - 2.0 * A[i, j] * w[i] * w[j] / energy) if i != j and A[i, j] != 0.0 else 0.0
            assert found[i, j] == pytest.approx(expected, rel=1e-14)
    assert (found == found.T).all() and found.max() < 2.0
    S = np.exp(rng.uniform(-2.0, 2.0, 36))
    again = edge_weights(sp.diags_array(S) @ A @ sp.diags_array(S), w / S)
    assert np.allclose(again.toarray(), found, rtol=1e-13), "weights do not know how unknowns are scaled"


def test_the_size_of_w_does_not_count_and_zeros_have_no_edges():
    A, w = poisson(4), np.linspace(1.0, 2.0, 16)
    expected = edge_weights(A, w).toarray()
    for factor in (1e-200, 1e150):
        assert np.allclose(edge_weights(A, factor * w).toarray(), expected, rtol=1e-13)
    w[5] = 0.0
    found = edge_weights(A, w)
    assert not found[[5]].nnz and found.nnz == 48 - 8
    for wrong, message in ((np.ones(3), "shape"), (np.zeros(16), "not zero"), (np.full(16, np.nan), "finite")):
        with pytest.raises(ValueError, match=message):
            edge_weights(A, wrong)
