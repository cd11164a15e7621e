"""Multi-grid domain decomposition: windows of a field at several spacings, and the way back.

A field of H points a side is cut into n = 2^L patches a side of s = H/n points. Each patch becomes a sample of its own:
a window of w = s + 2p points around it at spacing h, and windows of as many points at spacings 2h, 4h … 2^L h, which
see up to 2^L times as far, as further channels.

References
----------
Kossaifi, Kovachki, Azizzadenesheli, Anandkumar, Multi-grid tensorized Fourier neural operator for high-resolution PDEs,
TMLR 2024, doi:10.48550/arXiv.2310.00120.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import torch

from .model import check_among, check_whole

Boundary = Literal["wrap", "zero", "replicate"]
"""What a window sees beyond the ends of the field: the other end, zeros, or the last value."""


def multiple(levels: int) -> int:
    """Return the number that must divide each side: 2 · 4^L, so that patches can be halved L times and centred.

    Examples
    --------
    >>> [multiple(levels) for levels in (0, 1, 2, 3)]
    [2, 8, 32, 128]
    """
    return int(2 * 4**levels)


def check_sides(grid: Sequence[int], levels: int) -> None:
    """Raise ValueError, naming the sides, unless 2 · 4^L divides all of them."""
    wrong = [f"{n} of axis {axis}" for axis, n in enumerate(grid) if n % multiple(levels)]
    if wrong:
        raise ValueError(
            f"{levels} levels need sides that {multiple(levels)} divides, which it does not {', '.join(wrong)}: "
            "choose another grid, or fewer levels"
        )


def margins(grid: Sequence[int], padding: float) -> list[int]:
    """Return how many points a window reaches beyond its patch on each axis: p = round(padding · H)."""
    return [round(padding * n) for n in grid]


def patch(
    x: torch.Tensor, levels: int, padding: float = 0.0, boundary: Boundary = "wrap", *, extend: bool = False
) -> torch.Tensor:
    """Return the windows of fields as samples.

    Parameters
    ----------
    x : (B, C, *grid) tensor
        In 1 to 3 dimensions.
    levels : int
        L; 0 gives the field with its margins.
    padding : float
        p as a part of the side.
    boundary : {"wrap", "zero", "replicate"}
    extend : bool
        Cover sides that 2 · 4^L does not divide by patches that end beyond the field; otherwise these are an error.

    Returns
    -------
    (B n^d, C (L + 1), *windows) tensor
        Patches of a sample one after the other, in C order; channels of the finest spacing first.

    Examples
    --------
    >>> patch(torch.zeros(5, 3, 64, 32), levels=1, padding=0.125).shape
    torch.Size([20, 6, 48, 24])
    """
    check_whole("levels", levels, 0)
    check_among("boundary", boundary, get_args(Boundary))
    if not 0.0 <= padding <= 1.0:
        raise ValueError(f"padding must be between 0 and 1 of the side, got {padding}")
    grid = x.shape[2:]
    if not extend:
        check_sides(grid, levels)
    n, d = 2**levels, len(grid)
    views = []
    for level in range(levels + 1):
        view = x
        for axis, (N, p) in enumerate(zip(grid, margins(grid, padding), strict=True), start=2):
            side = patch_side(N, levels)
            step = side // 2**level
            first = torch.arange(n, device=x.device) * step - (side + 2 * p - step) // 2
            at = ((first[:, None] + torch.arange(side + 2 * p, device=x.device)) * 2**level).flatten()
            view = view.index_select(axis, at % N if boundary == "wrap" else at.clamp(0, N - 1))
            if boundary == "zero":
                inside = ((at >= 0) & (at < N)).to(x.dtype)
                view = view * inside.reshape(-1, *[1] * (d + 1 - axis))
        views.append(_as_samples(view, n))
    return torch.cat(views, dim=1)


def patch_side(N: int, levels: int) -> int:
    """Return the points of a patch on a side of N: N/n where that can be, else those of the next larger side."""
    return -(-N // multiple(levels)) * multiple(levels) // 2**levels


def crop(y: torch.Tensor, margin: Sequence[int]) -> torch.Tensor:
    """Cut the margins of windows off: (…, *windows) to (…, *patches)."""
    inner = tuple(slice(p, n - p) for p, n in zip(margin, y.shape[2:], strict=True))
    return y[(slice(None), slice(None), *inner)]


def divide(y: torch.Tensor, levels: int) -> torch.Tensor:
    """Return the patches of fields as samples, without margins or levels: targets of a loss for each patch."""
    check_whole("levels", levels, 0)
    check_sides(y.shape[2:], levels)
    return _as_samples(y, 2**levels)


def stitch(y: torch.Tensor, levels: int) -> torch.Tensor:
    """Put patches (B n^d, C, *patches) together as fields (B, C, *grid): the inverse of `divide`.

    Examples
    --------
    >>> y = torch.rand(2, 1, 16, 8)
    >>> bool((stitch(divide(y, 1), 1) == y).all())
    True
    """
    check_whole("levels", levels, 0)
    n, d = 2**levels, y.ndim - 2
    if y.shape[0] % n**d:
        raise ValueError(f"{levels} levels in {d} dimensions make {n**d} patches of a field, got {y.shape[0]} patches")
    y = y.reshape(-1, *[n] * d, *y.shape[1:])
    order = [0, d + 1]
    for axis in range(d):
        order += [1 + axis, d + 2 + axis]
    y = y.permute(order)
    return y.reshape(*y.shape[:2], *(n * y.shape[3 + 2 * axis] for axis in range(d)))


def undo_averaging(parameters: Iterable[torch.nn.Parameter], ranks: int) -> None:
    """Multiply gradients by the number of ranks over which the patches of one field are spread.

    Where each rank differentiates the loss of the stitched field through its own patches only, the gradient is the sum
    over ranks. Distributed data parallelism takes the mean, which is right for ranks with samples of their own and too
    small by their number here. Call it after the backward pass. A loss for each patch needs nothing.
    """
    check_whole("ranks", ranks)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(ranks)


def _as_samples(view: torch.Tensor, n: int) -> torch.Tensor:
    """Return (B, C, n w_1, n w_2, …) as (B n^d, C, w_1, w_2, …)."""
    B, C, *sides = view.shape
    d = len(sides)
    view = view.reshape(B, C, *(size for N in sides for size in (n, N // n)))
    order = [0, *range(2, 2 + 2 * d, 2), 1, *range(3, 3 + 2 * d, 2)]
    return view.permute(order).reshape(B * n**d, C, *(N // n for N in sides))
