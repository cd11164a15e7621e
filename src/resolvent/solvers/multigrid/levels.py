"""Building the levels of a hierarchy from the finest network down to a single cell."""

from __future__ import annotations

import dataclasses

import numpy as np

from ...operators import Array
from .backend import Backend
from .level import Level
from .network import AxisWeights, Interpolation, Network, coarsen_axis
from .transfer import Transfer


@dataclasses.dataclass(frozen=True)
class Levels:
    """Levels from fine to coarse, and the transfers between each and the next."""

    levels: tuple[Level, ...]
    transfers: tuple[Transfer, ...]
    backend: Backend
    dtype: np.dtype

    @classmethod
    def of(
        cls,
        network: Network,
        backend: Backend,
        *,
        diagonal: Array | None = None,
        interpolation: Interpolation = "operator",
        semi: bool = True,
    ) -> Levels:
        """Coarsen until one cell is left.

        Parameters
        ----------
        network : Network
            The finest level.
        backend : Backend
            For its storage.
        diagonal : (*grid, B) array, optional
            Of the finest level; by default that of the network.
        interpolation : {"operator", "linear"}
        semi : bool
            Leave axes that couple weakly until they no longer do.
        """
        levels, transfers = [Level(network, backend, diagonal)], []
        while max(network.grid, default=1) > 1:
            grid = network.grid
            weights: list[AxisWeights] = []
            for a in reversed(network.axes_to_coarsen(backend, semi=semi)):
                network, w = coarsen_axis(network, a, backend, interpolation)
                weights.append(w)
            transfers.append(Transfer(tuple(weights), grid, backend))
            levels.append(Level(network, backend))
        return cls(tuple(levels), tuple(transfers), backend, backend.dtype(levels[0].diagonal))

    def transposed(self) -> Levels:
        """Return the levels with transposed operators and the same transfers."""
        return dataclasses.replace(self, levels=tuple(level.transposed() for level in self.levels))

    @property
    def symmetric(self) -> bool:
        """Whether the operators are: nothing flows."""
        return self.levels[0].network.flux is None

    @property
    def members(self) -> int:
        """Number of networks that the levels hold."""
        return self.levels[0].network.members

    @property
    def grid_complexity(self) -> float:
        """Unknowns on all levels over those on the finest."""
        return sum(level.cells for level in self.levels) / self.levels[0].cells

    @property
    def operator_complexity(self) -> float:
        """Entries of the operators of all levels over those of the finest."""
        entries = [level.cells * (1 + 2 * len(level.coupled)) for level in self.levels]
        return sum(entries) / entries[0]
