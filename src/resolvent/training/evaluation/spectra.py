"""At which wave numbers predictions are wrong.

Each axis has the transform of its boundary: the discrete Fourier transform where it is periodic, the sine transform on
interior points, else the cosine transform of its points. No window is needed then, and the energies add up to the
squared norm exactly. The cosine transform of a function with a slope at the wall decays like k⁻² only; so does that of
its error, and their ratio is what matters.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import final

import numpy as np
from scipy import fft

from ..data.geometry import Geometry
from .table import Table


@final
@dataclasses.dataclass(frozen=True)
class Spectrum:
    """Energies of targets and errors by wave number, means over samples.

    Parameters
    ----------
    wavenumber : (K,) array
        |κ| in radians per unit length, the middle of each shell.
    target, error : (K,) array
        Squared norm of what lies in the shell, summed over channels; they add up to the whole squared norm.
    """

    wavenumber: np.ndarray
    target: np.ndarray
    error: np.ndarray

    @property
    def relative(self) -> np.ndarray:
        """sqrt(error / target) of each shell; not a number where the target has nothing."""
        ratio = np.full(len(self.target), np.nan)
        np.divide(self.error, self.target, out=ratio, where=self.target > 0.0)
        return np.sqrt(ratio)

    def table(self) -> Table:
        """Return all of it as a table."""
        columns = (self.wavenumber, self.target, self.error, self.relative)
        rows = tuple(tuple(float(v) for v in row) for row in zip(*columns, strict=True))
        return Table(("wavenumber", "target_energy", "error_energy", "relative_error"), rows)

    def write_csv(self, path: str | Path) -> Path:
        """Write the table; return the path."""
        return self.table().write_csv(path)


def error_spectrum(prediction: np.ndarray, target: np.ndarray, geometry: Geometry) -> Spectrum:
    """Return the energies of targets and of the errors of predictions, by wave number.

    Parameters
    ----------
    prediction, target : (N, C, *grid) array
    geometry : Geometry
        Of equidistant points.

    Raises
    ------
    ValueError
        For shapes that do not fit, and for axes whose points are not equidistant.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.training import Geometry, error_spectrum
    >>> geometry = Geometry.unit([16], "periodic")
    >>> y = np.sin(2 * np.pi * geometry.axes[0])[None, None]
    >>> spectrum = error_spectrum(0.9 * y, y, geometry)
    >>> round(float(spectrum.target[1]), 6), round(float(spectrum.relative[1]), 6)
    (0.5, 0.1)
    """
    if prediction.shape != target.shape or target.ndim != geometry.dim + 2 or target.shape[2:] != geometry.grid:
        raise ValueError(
            f"expected equal fields (samples, channels, {', '.join(map(str, geometry.grid))}), got {prediction.shape} "
            f"and {target.shape}"
        )
    if None in geometry.positions:
        raise ValueError(f"spectra need equidistant points with known ends, got {geometry!r}")
    squared = np.zeros(())
    for i, n in enumerate(geometry.grid):
        squared = squared[..., None] + _wavenumbers(n, str(geometry.positions[i]), geometry.lengths[i]) ** 2
    width = max(math.pi * (2 if p else 1) / L for p, L in zip(geometry.periodic, geometry.lengths, strict=True))
    shell = np.rint(np.sqrt(squared) / width).astype(int).ravel()
    energies = []
    for field in (target, prediction - target):
        power = np.abs(_coefficients(np.asarray(field, dtype=np.float64), geometry)) ** 2
        energies.append(np.bincount(shell, power.sum(1).mean(0).ravel()))
    return Spectrum(width * np.arange(len(energies[0])), energies[0], energies[1])


def _coefficients(u: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Return coefficients whose squares add up to the squared norm."""
    z = u
    for i, place in enumerate(geometry.positions):
        n, length, at = geometry.grid[i], geometry.lengths[i], i + 2
        # Interior points are those of functions that vanish at both ends: their trapezoidal rule has equal weights.
        delta = np.full(n, length / (n + 1)) if place == "interior" else geometry.axis_weights[i]
        z = z * np.sqrt(delta).reshape(-1, *[1] * (geometry.dim - 1 - i))
        if place == "periodic":
            z = fft.fft(z, axis=at, norm="ortho")
        else:
            z = (
                _real(z, str(place), at)
                if np.isrealobj(z)
                else _real(z.real, str(place), at) + 1j * _real(z.imag, str(place), at)
            )
    return z


def _real(u: np.ndarray, place: str, at: int) -> np.ndarray:
    if place == "interior":
        return np.asarray(fft.dst(u, type=1, axis=at, norm="ortho"))
    return np.asarray(fft.dct(u, type=1 if place == "vertices" else 2, axis=at, norm="ortho", orthogonalize=True))


def _wavenumbers(n: int, place: str, length: float) -> np.ndarray:
    if place == "periodic":
        return 2.0 * math.pi / length * np.abs(fft.fftfreq(n, 1.0 / n))
    return math.pi / length * (np.arange(n) + (place == "interior"))
