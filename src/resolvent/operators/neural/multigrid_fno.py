"""A tensorised Fourier neural operator on patches that see the domain at several spacings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, final

import torch

from .fno import FNO
from .grids import Positions, coordinates
from .model import NeuralOperator, check_among, check_whole
from .patching import Boundary, check_sides, crop, margins, patch, stitch
from .spectral.forms import Form
from .spectral.weights import Implementation


@final
class MultiGridFNO(NeuralOperator):
    """MG-TFNO: one Fourier neural operator for all patches of the domain, whose results are stitched.

    A patch is given as a window with a margin, and windows of as many points at doubled spacings as further channels.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and of the output.
    levels : int
        L: 2^L patches a side and L + 1 spacings.
    padding : float
        Margin of a window as a part of the side of the domain.
    boundary : {"wrap", "zero", "replicate"}
        What windows see beyond the domain: periodic continuation, zeros, or the last value.
    n_modes, width, layers, norm, preactivation, weights, rank, joint, implementation
        Of the `FNO` on windows; modes are those of a window. Published runs have 64 modes a side, width 64, Tucker
        weights of rank 0.42, level 1.
    positions : {"vertices", "centres", "interior", "periodic"} or None
        Where the points lie in the domain; their coordinates are cut into windows like the input.

    Notes
    -----
    A window of a field that is not periodic on it is still transformed as if it were; the margin keeps most of the
    error of that away from the patch. Sides that 2 · 4^L does not divide are covered by patches that end beyond the
    domain. Memory of one patch, 2^{dL} times smaller, is enough for one sample at a time. Without need for that, an
    `FNO` on the whole domain costs less: margins and levels add points and channels.

    References
    ----------
    Kossaifi, Kovachki, Azizzadenesheli, Anandkumar, Multi-grid tensorized Fourier neural operator for high-resolution
    PDEs, TMLR 2024, doi:10.48550/arXiv.2310.00120.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import MultiGridFNO
    >>> model = MultiGridFNO(c_in=1, c_out=1, n_modes=[8, 8], width=8, layers=2)
    >>> model(torch.zeros(2, 1, 32, 32)).shape, model.windows(torch.zeros(2, 1, 32, 32)).shape
    (torch.Size([2, 1, 32, 32]), torch.Size([8, 6, 20, 20]))
    """

    function_space: ClassVar[str] = (
        "the same operator on every grid with sides that 2 · 4^L divides: windows have a fixed size in space, and a "
        "spectral operator acts on them; results are discontinuous between patches by what the margin does not see"
    )

    def __init__(
        self,
        *,
        c_in: int,
        c_out: int,
        levels: int = 1,
        padding: float = 0.0625,
        boundary: Boundary = "wrap",
        n_modes: Sequence[int] = (16, 16),
        width: int = 32,
        layers: int = 4,
        positions: Positions | None = "periodic",
        norm: Literal["instance", "group"] | None = None,
        preactivation: bool = False,
        weights: Form = "tucker",
        rank: float = 0.42,
        joint: bool = False,
        implementation: Implementation = "factorized",
    ) -> None:
        super().__init__(c_in=c_in, c_out=c_out, dim=len(n_modes))
        check_whole("levels", levels, 0)
        check_among("boundary", boundary, ("wrap", "zero", "replicate"))
        if not 0.0 <= padding <= 1.0:
            raise ValueError(f"padding must be between 0 and 1 of the side, got {padding}")
        self.levels, self.padding, self.positions = levels, padding, positions
        self.boundary: Boundary = boundary
        self.network = FNO(
            c_in=(c_in + (0 if positions is None else self.dim)) * (levels + 1),
            c_out=c_out,
            n_modes=n_modes,
            width=width,
            layers=layers,
            positions=None,
            norm=norm,
            preactivation=preactivation,
            weights=weights,
            rank=rank,
            joint=joint,
            implementation=implementation,
        )

    def windows(self, x: torch.Tensor, *, extend: bool = False) -> torch.Tensor:
        """Return the windows of fields and coordinates, (B n^d, (c_in + d)(L + 1), *windows)."""
        if self.positions is not None:
            places = coordinates(x.shape[2:], self.positions, like=x)
            x = torch.cat([x, places.expand(x.shape[0], *places.shape)], dim=1)
        return patch(x, self.levels, self.padding, self.boundary, extend=extend)

    def patches(self, x: torch.Tensor) -> torch.Tensor:
        """Return the result patch by patch, (B n^d, c_out, *patches), for a loss against ``divide(y, levels)``."""
        check_sides(x.shape[2:], self.levels)
        return crop(self.network(self.windows(x)), margins(x.shape[2:], self.padding))

    @classmethod
    def suited_options(cls, grid: Sequence[int], positions: Sequence[str | None]) -> dict[str, Any]:
        """Return dimension, modes, positions, and what lies beyond the boundary."""
        periodic = all(place == "periodic" for place in positions)
        return {**super().suited_options(grid, positions), "boundary": "wrap" if periodic else "zero"}

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """Map windows and stitch them."""
        grid = x.shape[2:]
        y = crop(self.network(self.windows(x, extend=True)), margins(grid, self.padding))
        y = stitch(y, self.levels)
        return y[(slice(None), slice(None), *(slice(n) for n in grid))]
