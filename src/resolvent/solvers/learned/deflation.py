"""A learned deflation space: a network that gives k vectors for an operator, before anything is solved."""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from typing import Any, final

import numpy as np
import torch

from ...operators import Array, LinearOperator
from ...operators.neural.model import check_among, check_whole
from ..recycling.space import RecycleSpace
from ..sequences.policies import SpacePolicy
from .levels import Level, level_of
from .transfers import POOLS, interpolate


@final
class DeflationNetwork(torch.nn.Module):
    """k fields from the couplings of an operator, for the eigenvectors of D^−½ A D^−½ with the least eigenvalues.

    A small U-Net sees the image of the couplings and the k lowest products of sines, which are the eigenvectors of the
    empty box; its outputs correct them. Orthonormalisation is left to whoever uses the vectors: all that counts is
    their span.

    Parameters
    ----------
    dim : {2, 3}
        Dimension of the grid.
    k : int
        Vectors.
    width : int
        Channels on the finest grid, twice as many on each coarser one.
    depth : int
        Coarsenings; 2^depth has to divide the extents.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Stencil
    >>> from resolvent.solvers.learned import DeflationNetwork
    >>> from resolvent.solvers.learned.levels import level_of
    >>> A = Stencil.from_transmissibilities([np.ones((17, 16)), np.ones((16, 17))])
    >>> DeflationNetwork(dim=2, k=4, depth=2)(level_of(A)).shape
    torch.Size([1, 4, 16, 16])
    """

    def __init__(self, *, dim: int, k: int = 8, width: int = 16, depth: int = 3) -> None:
        super().__init__()
        check_among("dim", dim, (2, 3))
        for name, value in (("k", k), ("width", width), ("depth", depth)):
            check_whole(name, value)
        self.options = {"dim": dim, "k": k, "width": width, "depth": depth}
        self.dim, self.k, self.depth = dim, k, depth
        kinds: Any = {2: torch.nn.Conv2d, 3: torch.nn.Conv3d}
        convolution = kinds[dim]
        widths = [width * 2**i for i in range(depth + 1)]
        self.stem = convolution(dim + 2 + k, width, 3, padding=1)
        self.down = torch.nn.ModuleList(convolution(a, b, 3, padding=1) for a, b in itertools.pairwise(widths))
        self.up = torch.nn.ModuleList(
            convolution(a + b, a, 3, padding=1) for a, b in reversed(list(itertools.pairwise(widths)))
        )
        self.head = convolution(width, k, 1)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()

    def forward(self, level: Level) -> torch.Tensor:
        """Return (B, k, *grid), zero outside of the domain.

        Raises
        ------
        ValueError
            For extents that cannot be halved so often, or another dimension.
        """
        parts = 2**self.depth
        if len(level.grid) != self.dim or any(n % parts for n in level.grid):
            raise ValueError(
                f"this network is for {self.dim} dimensions and extents that {parts} divides, got "
                f"{' × '.join(map(str, level.grid))}: deflate with harmonic vectors (Chained) instead"
            )
        weight, pool = self.stem.weight, POOLS[self.dim]
        assert pool is not None
        relu = torch.nn.functional.relu
        image = level.image().to(weight)
        modes = _sines(level.grid, self.k).to(weight).expand(len(image), *(-1,) * (1 + self.dim))
        x = relu(self.stem(torch.cat([image, modes], 1)))
        passed = []
        for convolution in self.down:
            passed.append(x)
            x = relu(convolution(pool(x, 2)))
        for convolution, fine in zip(self.up, reversed(passed), strict=True):
            x = relu(convolution(torch.cat([fine, interpolate(x)], 1)))
        return (modes + self.head(x)) * level.fluid[:, None].to(weight)


def _sines(grid: tuple[int, ...], k: int) -> torch.Tensor:
    """Return the k lowest products of sines on the unit box, (1, k, *grid), of order one."""
    most = int(np.ceil((2 * k) ** (1.0 / len(grid)))) + 1
    frequencies = np.indices((most,) * len(grid)).reshape(len(grid), -1).T + 1
    order = np.argsort((frequencies**2).sum(1), kind="stable")[:k]
    fields = []
    for frequency in frequencies[order]:
        field = np.ones(())
        for f, n in zip(frequency, grid, strict=True):
            field = field[..., None] * np.sin(np.pi * f * (np.arange(n) + 0.5) / n)
        fields.append(field)
    return torch.from_numpy(np.stack(fields))[None]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class LearnedSpaces(SpacePolicy):
    """The recycle space that a trained network gives for each operator of a sequence.

    For `DeflatedCG` with ``update=False``, `GCRODR` and others that recycle. The k products with A that a new space
    costs are paid for every operator, so that it pays only where it saves several times as many iterations; what the
    solver hands on is not used. On 64² with obstacles 12 vectors saved 43 % of the iterations of CG, recycling 19 %;
    but masked sines, which is what the network gives before training, saved as much (``benchmarks/learned.py``).

    Parameters
    ----------
    network : DeflationNetwork
        Trained.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Stencil
    >>> from resolvent.solvers import DeflatedCG, Sequence
    >>> from resolvent.solvers.learned import DeflationNetwork, LearnedSpaces
    >>> A = Stencil.from_transmissibilities([np.ones((17, 16)), np.ones((16, 17))])
    >>> policy = LearnedSpaces(DeflationNetwork(dim=2, k=4, depth=2))
    >>> policy.space(A).k
    4
    >>> Sequence(DeflatedCG(k=4, update=False), spaces=policy).solve(A, np.ones(256)).status.name
    'CONVERGED'
    """

    network: DeflationNetwork

    def space(self, A: LinearOperator) -> RecycleSpace:
        """Return the space for an operator.

        Raises
        ------
        StructureError, ValueError
            For an operator that the network cannot see.
        """
        level = level_of(A)
        with torch.no_grad():
            fields = self.network(level.to(next(self.network.parameters()).device))
        scale = level.diagonal.rsqrt()[0].reshape(-1, 1).numpy()
        vectors = fields[0].flatten(1).T.cpu().numpy().astype(np.float64) * scale
        basis, _ = np.linalg.qr(vectors)
        return RecycleSpace(basis)

    def choose_for(
        self, A: LinearOperator, last: RecycleSpace | None, solved: int, solutions: deque[Array]
    ) -> RecycleSpace | None:
        """Return the space for the operator at hand."""
        return self.space(A)

    def choose(self, last: RecycleSpace | None, solved: int, solutions: deque[Array]) -> RecycleSpace | None:
        """Return nothing: without the operator there is no space."""
        return None
