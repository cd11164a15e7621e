"""Pairs from arrays."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from .geometry import Geometry
from .pairs import SPLITS, Pairs


def from_arrays(
    x: Any, y: Any, geometry: Geometry | None, fractions: tuple[float, float], seed: int, unlabelled: bool
) -> Pairs:
    """Return the pairs of two arrays, split by `seed`; see `as_pairs`."""
    tensors = []
    for name, values in (("x", x), ("y", y)):
        # A copy of arrays: they may be read-only, and change later.
        copy = values if isinstance(values, torch.Tensor) else np.array(values)
        if isinstance(copy, np.ndarray) and copy.dtype.kind not in "biufc":
            raise ValueError(f"{name} must be an array of numbers, got {type(values).__name__} of {copy.dtype}")
        tensor = torch.as_tensor(copy).detach().cpu()
        if tensor.is_complex():
            raise ValueError(f"{name} is complex: give real and imaginary part as two channels")
        if tensor.ndim < 2 or len(tensor) == 0:
            raise ValueError(f"{name} needs the shape (samples, channels, *grid), got {tuple(tensor.shape)}")
        tensors.append(tensor.to(torch.float32))
    x, y = tensors
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} samples and y has {len(y)}")
    grid = _common_grid(tuple(x.shape), tuple(y.shape), geometry)
    x, y = (values.reshape(len(values), -1, *grid) for values in (x, y))
    n, (valid, test) = len(x), fractions
    order = np.random.default_rng(seed).permutation(n)
    missing = y.isnan().flatten(1).all(1).numpy() if unlabelled else np.zeros(n, dtype=bool)
    if not missing.all():  # those with labels last, where validation and test take theirs from
        order = order[np.argsort(~missing[order], kind="stable")]
    n_valid, n_test = (max(1, round(part * n)) if part else 0 for part in (valid, test))
    if n_valid + n_test >= n:
        raise ValueError(f"{n} samples are too few for parts {valid} and {test} of them beside the training set")
    cuts = np.split(order, [n - n_valid - n_test, n - n_test])
    digest = hashlib.sha256(np.ascontiguousarray(x).tobytes())
    digest.update(np.ascontiguousarray(y).tobytes())
    return Pairs(
        read=lambda rows: (x[rows], y[rows]),
        c_in=x.shape[1],
        c_out=y.shape[1],
        geometry=geometry or Geometry.unit(grid),
        splits={name: np.sort(rows) for name, rows in zip(SPLITS, cuts, strict=True)},
        fingerprint=digest.hexdigest(),
        about={"source": "arrays", "samples": n},
        unlabelled=np.flatnonzero(missing),
    )


def _common_grid(x: tuple[int, ...], y: tuple[int, ...], geometry: Geometry | None) -> tuple[int, ...]:
    """Return the grid of two arrays, whose channel axes may be missing."""
    if geometry is not None:
        grid = tuple(geometry.grid)
        for name, shape in (("x", x), ("y", y)):
            if shape[1:] != grid and shape[2:] != grid:
                raise ValueError(f"{name} of shape {shape} does not lie on the grid {grid} of the geometry")
        return grid
    if x[1:] == y[1:] and 3 <= len(x) <= 4 and x[1] > 1:
        raise ValueError(
            f"arrays of shape {x} can be {x[1]} channels on a grid {x[2:]} or one on {x[1:]}: give x[:, None] and "
            "y[:, None] for the latter, or a geometry"
        )
    if x[2:] == y[2:] and 3 <= len(x) == len(y) <= 5:
        return x[2:]
    if x[1:] == y[1:] and len(x) == 2:
        return x[1:]
    for longer, shorter in ((x, y), (y, x)):
        if longer[2:] == shorter[1:] and len(shorter) <= 4:
            return shorter[1:]
    raise ValueError(
        f"x of shape {x} and y of shape {y} have no grid in common: give (samples, channels, *grid) for both"
    )
