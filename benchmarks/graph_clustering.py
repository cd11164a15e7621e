"""Communities of graphs whose vertices have attributes, from the smooth vectors of bootstrap multigrid.

    python benchmarks/graph_clustering.py           # a minute
    python benchmarks/graph_clustering.py --quick   # one seed, small graphs

The method of D'Ambra, Vassilevski & Cutillo 2023, doi:10.1016/j.amc.2023.127904. Each value of each attribute becomes a
vertex, joined to all vertices that have it; the smooth vectors of the augmented graph's Laplacian, made definite by a
rank-one term, embed all vertices; a vertex is described by its own row and those of its attributes' vertices; and of
many runs of k-means the one with the largest modularity on the graph without attributes counts. Beside it the same
with the lowest eigenvectors of the Laplacian in place of smooth vectors, which is simpler.

Graphs are stochastic block models, components joined; one attribute, equal to the block with probability 0.8. Scores
against the blocks: normalised mutual information (mean of the entropies) and adjusted Rand index. Departures from the
published program: the coarsest level is solved directly; an empty cluster keeps its centroid. Writes
benchmarks/results/graph_clustering[-quick].json and .png.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse import csgraph

sys.path.insert(0, str(Path(__file__).parent))  # not there with PYTHONSAFEPATH=1

from _report import about, console, one_thread, show, verdict, write

from resolvent.operators import SPD, Sparse
from resolvent.solvers import BootstrapAMG

EMBEDDING = BootstrapAMG("compose", relax=0, target=1e-6, k_max=40, composition="mult")
"""The settings of the paper, which ask for many vectors rather than a good preconditioner."""

RESTARTS, LLOYD = 100, 10
FAITHFUL = 0.8
"""Probability that the attribute is the block."""


@dataclasses.dataclass(frozen=True)
class BlockModel:
    """A stochastic block model: blocks of equal size, edges by chance.

    Attributes
    ----------
    vertices, blocks : int
    degree : float
        On average.
    mixing : float
        Share of the edges that leave their block.
    """

    vertices: int = 400
    blocks: int = 5
    degree: float = 5.0
    mixing: float = 0.4

    def draw(self, rng: np.random.Generator) -> tuple[sp.csr_array, np.ndarray]:
        """Return the adjacency matrix of a connected graph and the block of each vertex."""
        n, size = self.vertices, self.vertices // self.blocks
        block = np.repeat(np.arange(self.blocks), size)
        within = self.degree * (1.0 - self.mixing) / (size - 1)
        between = self.degree * self.mixing / (n - size)
        i, j = np.triu_indices(n, 1)
        chosen = rng.random(len(i)) < np.where(block[i] == block[j], within, between)
        graph = sp.coo_array((np.ones(chosen.sum()), (i[chosen], j[chosen])), shape=(n, n))
        return connected(sp.csr_array(graph + graph.T)), block


def connected(adjacency: sp.csr_array) -> sp.csr_array:
    """Join each component to the first one by an edge between their first vertices."""
    count, label = csgraph.connected_components(adjacency, directed=False)
    firsts = np.array([np.flatnonzero(label == c)[0] for c in range(count)])
    extra = sp.coo_array((np.ones(count - 1), (np.full(count - 1, firsts[0]), firsts[1:])), shape=adjacency.shape)
    return sp.csr_array(adjacency + extra + extra.T)


def attribute(block: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an attribute that tells the block with probability FAITHFUL, and else any value."""
    return np.where(rng.random(len(block)) < FAITHFUL, block, rng.integers(0, block.max() + 1, len(block)))


def augmented(adjacency: sp.csr_array, attributes: list[np.ndarray]) -> tuple[sp.csr_array, np.ndarray]:
    """Return the graph with a vertex for each value of each attribute, and the rows that describe each vertex.

    Returns
    -------
    graph : (N, N) csr_array
    rows : (n, 1 + attributes) array of int
        The vertex itself, and the vertices of its values.
    """
    n, N = adjacency.shape[0], adjacency.shape[0]
    own = np.arange(n)
    edges, rows = [sp.coo_array(adjacency)], [own]
    for values in attributes:
        _, place = np.unique(values, return_inverse=True)
        rows.append(N + place)
        N += int(place.max()) + 1
    parts = [(e.data, *e.coords) for e in edges]
    parts += [(np.ones(n), *pair) for place in rows[1:] for pair in ((own, place), (place, own))]
    data, i, j = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return sp.csr_array((data, (i, j)), shape=(N, N)), np.array(rows).T


def laplacian(graph: sp.csr_array) -> sp.csr_array:
    """Return D − A."""
    return sp.csr_array(sp.diags_array(np.asarray(graph.sum(axis=1)).ravel()) - graph)


def smooth_basis(graph: sp.csr_array) -> np.ndarray:
    """Return an orthonormal basis of the smooth vectors of a connected graph, the first guess included."""
    N = graph.shape[0]
    neighbour = graph.indices[graph.indptr[0]]
    pair = sp.csr_array((np.ones(2), (np.zeros(2, dtype=int), np.array([0, neighbour]))), shape=(1, N))
    A = Sparse(sp.csr_array(laplacian(graph) + pair.T @ pair), props=SPD)
    W = EMBEDDING(A).smooth_vectors
    return np.linalg.svd(W, full_matrices=False)[0]


def lowest_eigenvectors(graph: sp.csr_array, k: int) -> np.ndarray:
    """Return the k lowest eigenvectors of the Laplacian but the constant."""
    return np.linalg.eigh(laplacian(graph).toarray())[1][:, 1 : k + 1]


def k_means(X: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Return labels of Lloyd's iteration from k random rows of X; an empty cluster keeps its centroid."""
    centroids = X[rng.choice(len(X), k, replace=False)]
    squares, labels = (X**2).sum(axis=1)[:, None], np.full(len(X), -1)
    for _ in range(LLOYD):
        found = np.argmin(squares - 2.0 * X @ centroids.T + (centroids**2).sum(axis=1), axis=1)
        if np.array_equal(found, labels):
            break
        labels = found
        for c in np.unique(labels):
            centroids[c] = X[labels == c].mean(axis=0)
    return labels


def cluster(
    adjacency: sp.csr_array, basis: np.ndarray, rows: np.ndarray, k: int, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Return the labels of largest modularity among RESTARTS runs of k-means, and that modularity."""
    X = basis[rows].reshape(len(rows), -1)
    found = [k_means(X, k, rng) for _ in range(RESTARTS)]
    scores = [modularity(adjacency, labels) for labels in found]
    best = int(np.argmax(scores))
    return found[best], scores[best]


def modularity(adjacency: sp.csr_array, labels: np.ndarray) -> float:
    """Return Q = Σ_ij (a_ij − d_i d_j/2m) [l_i = l_j] / 2m."""
    edges, degree = sp.coo_array(adjacency), np.asarray(adjacency.sum(axis=1)).ravel()
    i, j = edges.coords
    inside = edges.data[labels[i] == labels[j]].sum()
    total = degree.sum()
    return float(inside / total - ((np.bincount(labels, weights=degree) / total) ** 2).sum())


def contingency(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Count how many vertices have each pair of labels."""
    a, b = np.unique(one, return_inverse=True)[1], np.unique(other, return_inverse=True)[1]
    return np.bincount(a * (b.max() + 1) + b, minlength=(a.max() + 1) * (b.max() + 1)).reshape(a.max() + 1, -1)


def mutual_information(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mutual information of two labellings over the mean of their entropies; 1 for two constants."""
    p = contingency(one, other) / len(one)
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    entropies = -(rows * np.log(rows)).sum() - (columns * np.log(columns)).sum()
    known = p > 0.0
    shared = (p[known] * np.log(p[known] / np.outer(rows, columns)[known])).sum()
    return float(2.0 * shared / entropies) if entropies > 0.0 else 1.0


def adjusted_rand(one: np.ndarray, other: np.ndarray) -> float:
    """Return the Rand index of two labellings, corrected for chance: Hubert & Arabie 1985."""
    table = contingency(one, other)
    pairs, rows, columns = ((t * (t - 1) / 2.0).sum() for t in (table, table.sum(axis=1), table.sum(axis=0)))
    expected = rows * columns / (len(one) * (len(one) - 1) / 2.0)
    largest = 0.5 * (rows + columns)
    return float((pairs - expected) / (largest - expected)) if largest != expected else 1.0


def measure(model: BlockModel, seed: int) -> list[dict[str, Any]]:
    """Cluster one graph in all ways, and by its attribute alone."""
    rng = np.random.default_rng(seed)
    adjacency, block = model.draw(rng)
    values = attribute(block, rng)
    found = [scored(adjacency, block, values, data="attribute only", embedding="its values", dimension=1)]
    for name, attributes in (("structure only", []), ("with attribute", [values])):
        graph, rows = augmented(adjacency, attributes)
        for embedding in ("smooth vectors", "eigenvectors"):
            basis = smooth_basis(graph) if embedding == "smooth vectors" else lowest_eigenvectors(graph, model.blocks)
            labels, _ = cluster(adjacency, basis, rows, model.blocks, np.random.default_rng(seed))
            found.append(
                scored(adjacency, block, labels, data=name, embedding=embedding, dimension=int(basis.shape[1]))
            )
    return [{"mixing": model.mixing, "seed": seed, **row} for row in found]


def scored(adjacency: sp.csr_array, block: np.ndarray, labels: np.ndarray, **about_it: Any) -> dict[str, Any]:
    """Return the three scores of a clustering, with what it is."""
    return {
        **about_it,
        "NMI": mutual_information(labels, block),
        "ARI": adjusted_rand(labels, block),
        "modularity": modularity(adjacency, labels),
    }


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the mutual information of all ways over the mixing."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7.0, 4.5), layout="constrained")
    for data, embedding in dict.fromkeys((row["data"], row["embedding"]) for row in rows):
        own = [row for row in rows if (row["data"], row["embedding"]) == (data, embedding)]
        mixing = sorted({row["mixing"] for row in own})
        means = [np.mean([row["NMI"] for row in own if row["mixing"] == mu]) for mu in mixing]
        axes.plot(mixing, means, marker="o", label=f"{data}, {embedding}")
    axes.set(xlabel="share of edges that leave their block", ylabel="normalised mutual information", ylim=(0.0, 1.0))
    axes.legend(frameon=False)
    figure.savefig(path.with_suffix(".png"), dpi=120)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, small graphs")
    parser.add_argument("--seeds", type=int, help="graphs for each mixing")
    parser.add_argument("--results", type=Path, help="folder to write to")
    options = parser.parse_args(arguments)
    seeds = options.seeds or (1 if options.quick else 10)
    size = {"vertices": 100, "blocks": 4} if options.quick else {}
    machine = about()
    with one_thread():
        rows = [
            row
            for mixing in (0.1, 0.2, 0.3, 0.4, 0.5)
            for seed in range(seeds)
            for row in measure(BlockModel(mixing=mixing, **size), seed)
        ]
    ways = list(dict.fromkeys((row["mixing"], row["data"], row["embedding"]) for row in rows))
    means = {
        way: {
            name: float(np.mean([r[name] for r in rows if (r["mixing"], r["data"], r["embedding"]) == way]))
            for name in ("NMI", "ARI", "modularity", "dimension")
        }
        for way in ways
    }
    show(
        f"Stochastic block models, attribute right with probability {FAITHFUL}: means over {seeds} graphs",
        ("mixing", "data", "embedding", "NMI", "ARI", "modularity", "dimension"),
        [(*way, *(f"{m[k]:.2f}" for k in ("NMI", "ARI", "modularity")), f"{m['dimension']:.0f}")
         for way, m in means.items()],
    )  # fmt: skip
    judged = not options.quick
    checks = [
        verdict(
            "mixing 0.4, with attribute, smooth vectors: NMI",
            means[0.4, "with attribute", "smooth vectors"]["NMI"],
            0.45,
            least=True,
            judged=judged,
        ),
        verdict(
            "mixing 0.4, structure only, smooth vectors: NMI",
            means[0.4, "structure only", "smooth vectors"]["NMI"],
            0.25,
            judged=judged,
        ),
    ]
    gain = {
        mixing: means[mixing, "with attribute", "smooth vectors"]["NMI"]
        - means[mixing, "attribute only", "its values"]["NMI"]
        for mixing in (0.1, 0.2, 0.3, 0.4, 0.5)
    }
    console.print(f"NMI beyond that of the attribute alone: {', '.join(f'{v:.2f} at {k}' for k, v in gain.items())}")
    path = write(
        {"machine": machine, "seeds": seeds, "rows": rows, "gain": gain, "checks": checks},
        "graph_clustering-quick" if options.quick else "graph_clustering",
        options.results,
    )
    plot(rows, path)


if __name__ == "__main__":
    main()
