"""Frequencies in data on a line, by the fast Fourier transform."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from .pde import PDE

PADDING = 8
"""Zero padding: peaks are then interpolated from points an eighth of a bin apart."""
STRONG = 0.02
"""Peaks below this part of the highest one may be side lobes or roundoff."""
SIDE_LOBE = 0.04
"""Peaks within three bins of a stronger one, and below this part of it, are side lobes of the window."""
COARSEST, FINEST = 1 << 9, 1 << 14
"""Smallest and largest number of samples of a function while looking for the highest frequency in it."""
TAIL = 1e-6
"""Part of the amplitude in the upper half of the spectrum below which the sampling counts as fine enough."""
POINTS_PER_WAVE = 2.0
"""Nodes a wavelength at Nyquist's limit."""


@dataclasses.dataclass(frozen=True)
class Peaks:
    """Angular frequencies (radians per unit length) and their amplitudes, the strongest first."""

    omega: np.ndarray
    amplitude: np.ndarray


def spectral_peaks(
    values: np.ndarray, spacing: float, most: int | None = None, strong: float = STRONG, noise: float = 0.0
) -> Peaks:
    """Return the frequencies of samples at equal spacing: peaks of the padded, windowed transform.

    The mean is removed, a Hann window applied, and each local maximum refined by a parabola through three logarithms,
    which places a single frequency to about 1e-3 of a bin. Of an array of lines, shape (n, k), the powers are added.

    Parameters
    ----------
    values : (n,) or (n, k) array
    spacing : float
        Distance of the samples.
    most : int, optional
        Largest number of peaks.
    strong : float
        Peaks below this part of the strongest are left out.
    noise : float
        Standard deviation of independent errors of the values: peaks that these may have made are left out.

    References
    ----------
    Harris 1978, doi:10.1109/PROC.1978.10837.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.gp.frequencies import spectral_peaks
    >>> x = np.linspace(0.0, 2.0 * np.pi, 400)
    >>> spectral_peaks(np.sin(100.0 * x), x[1]).omega.round(2)
    array([100.])
    """
    values = np.asarray(values, float)
    lines = values.reshape(values.shape[0], -1)
    n = len(lines)
    if n < 4:
        return Peaks(np.empty(0), np.empty(0))
    window = 0.5 - 0.5 * np.cos(2.0 * math.pi * (np.arange(n) + 0.5) / n)
    size = PADDING * n
    spectrum = np.abs(np.fft.rfft((lines - lines.mean(axis=0)) * window[:, None], size, axis=0))
    spectrum = np.sqrt(np.sum(spectrum**2, axis=1))
    # The largest of n/2 values of white noise stands about √log n above their root mean square, less for many lines.
    floor = noise * math.sqrt(float(np.sum(window**2))) * (math.sqrt(lines.shape[1]) + 3.0)
    inner = spectrum[1:-1]
    top = spectrum.max()
    if not top > 0.0:
        return Peaks(np.empty(0), np.empty(0))
    found = 1 + np.flatnonzero((inner >= spectrum[:-2]) & (inner > spectrum[2:]) & (inner >= max(strong * top, floor)))
    found = found[np.argsort(-spectrum[found], kind="stable")]
    # The window's first side lobes stand 2.4 bins from their peak, at 2.7 % of it.
    lobe = [
        any(abs(int(i) - int(j)) < 3 * PADDING and spectrum[i] < SIDE_LOBE * spectrum[j] for j in found[:place])
        for place, i in enumerate(found)
    ]
    found = found[~np.array(lobe, bool)][:most]
    low, mid, high = (np.log(np.maximum(spectrum[found + s], top * 1e-300)) for s in (-1, 0, 1))
    bend = low - 2.0 * mid + high
    shift = np.where(bend < 0.0, 0.5 * (low - high) / np.where(bend < 0.0, bend, 1.0), 0.0)
    return Peaks(2.0 * math.pi / (size * spacing) * (found + shift), spectrum[found] * 2.0 / window.sum())


def source_peaks(pde: PDE, axes: Sequence[np.ndarray], axis: int, most: int = 4) -> Peaks:
    """Return the frequencies along an axis of the source, or of the boundary data where the source is zero.

    A function is sampled finely enough to show what the grid cannot carry; values at nodes are taken as they are.
    """
    lines, spacing = data_lines(pde, axes, axis)
    return spectral_peaks(lines, spacing, most, noise=pde.source_noise)


def data_lines(pde: PDE, axes: Sequence[np.ndarray], axis: int) -> tuple[np.ndarray, float]:
    """Return samples of the data along an axis, one line a column, and their spacing."""
    if pde.tabulated:
        return _lines(pde, list(axes), axis), float(axes[axis][1] - axes[axis][0])
    low, high = pde.box[axis]
    size = COARSEST
    while True:
        grids = [np.linspace(low, high, m) for m in (size, round(1.37 * size))]
        lines = [_lines(pde, [g if j == axis else _few(y) for j, y in enumerate(axes)], axis) for g in grids]
        # A frequency that one sampling folds onto a low one, the other folds elsewhere.
        tops = [spectral_peaks(v, float(g[1] - g[0]), 1).omega for v, g in zip(lines, grids, strict=True)]
        folded = tops[0].size != tops[1].size or np.abs(tops[0] - tops[1]).max(initial=0.0) > 2.0 * math.pi / (
            high - low
        )
        if size >= FINEST or (_resolved(lines[0]) and not folded):
            return lines[0], float(grids[0][1] - grids[0][0])
        size *= 2


def check_carried(pde: PDE, axes: Sequence[np.ndarray]) -> None:
    """Raise ValueError where data hold a frequency beyond what the grid can carry, naming the grid needed."""
    for axis, x in enumerate(axes):
        peaks = source_peaks(pde, axes, axis)
        if not peaks.omega.size:
            continue
        highest, length = float(peaks.omega.max()), float(x[-1] - x[0])
        limit = math.pi * (x.size - 1) / length
        if highest > limit:
            need = math.ceil(2.0 * POINTS_PER_WAVE * highest * length / (2.0 * math.pi)) + 1
            raise ValueError(
                f"the data hold angular frequency {highest:.5g} along axis {axis}, beyond Nyquist's limit {limit:.5g} "
                f"of {x.size} nodes on a length of {length:.5g}: give n of at least {need} there (4 nodes a wavelength)"
                ", or kernels with the frequencies you know"
            )


def _lines(pde: PDE, grid: Sequence[np.ndarray], axis: int) -> np.ndarray:
    f = np.moveaxis(pde.source_at(grid), axis, 0).reshape(grid[axis].size, -1)
    if np.ptp(f) > 0.0 or pde.dimensions == 1:
        return f
    found = [(s.side[0], s.values) for s in pde.boundary_at(grid) if s.side[0] != axis]
    if not found:
        return f
    return np.hstack([np.moveaxis(v, axis - (gone < axis), 0).reshape(grid[axis].size, -1) for gone, v in found])


def _few(x: np.ndarray) -> np.ndarray:
    """Return some nodes, at unequal distances so that no line of zeros is all that is seen."""
    if x.size <= 12:
        return x
    places = (np.arange(12) + 0.5 + 0.3 * np.sin(7.0 * np.arange(12))) / 12.0
    inside = x[0] + places * (x[-1] - x[0])
    return np.concatenate([x[:1], inside, x[-1:]])  # the ends stay: boundary values are known there only


def _resolved(lines: np.ndarray) -> bool:
    n = len(lines)
    window = 0.5 - 0.5 * np.cos(2.0 * math.pi * (np.arange(n) + 0.5) / n)
    spectrum = np.abs(np.fft.rfft((lines - lines.mean(axis=0)) * window[:, None], axis=0)).max(axis=1)
    return bool(spectrum[spectrum.size // 2 :].max() <= TAIL * spectrum.max())
