"""Samples as vectors of numbers: read, checked, transformed and brought to one scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .ordering import Sample

SMALL = 64
"""Arrays of up to so many numbers are features as they are: parameters, coefficients of boundary data."""

CONSTANT = 1e-12
"""Variation, relative to the size of an array, below which it is the same for all samples, up to rounding."""


class _Rows(Sequence[Sample]):
    """Samples of a mapping of names to (N, …) arrays."""

    def __init__(self, columns: Mapping[str, np.ndarray]) -> None:
        lengths = {name: len(column) if column.ndim else 0 for name, column in columns.items()}
        if not columns or any(column.ndim == 0 for column in columns.values()) or len(set(lengths.values())) != 1:
            raise ValueError(f"features need arrays with one first axis of samples, got lengths {lengths}")
        self._columns, self._length = columns, next(iter(lengths.values()))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, at: Any) -> Any:
        return {name: column[at] for name, column in self._columns.items()}


class _Named(Sequence[Sample]):
    """Samples of a sequence of arrays without names."""

    def __init__(self, arrays: Sequence[Any]) -> None:
        self._arrays = arrays

    def __len__(self) -> int:
        return len(self._arrays)

    def __getitem__(self, at: Any) -> Any:
        found = self._arrays[at]
        return found if isinstance(found, Mapping) else {"": np.asarray(found)}


def as_samples(features: Any) -> Sequence[Sample]:
    """Return features in any of the forms that `order` takes as a sequence of samples."""
    if isinstance(features, Mapping):
        return _Rows({str(name): np.asarray(column) for name, column in features.items()})
    if isinstance(features, np.ndarray):
        return _Rows({"": features})
    if isinstance(features, str) or not isinstance(features, Sequence):
        raise TypeError(f"features must be an array, a mapping or a sequence of samples, got {type(features).__name__}")
    return _Named(features)


def numbers(value: Any, name: str, position: int) -> np.ndarray:
    """Return an array of a sample in double precision, real or complex.

    Raises
    ------
    TypeError
        If it holds no numbers.
    ValueError
        If a value is not finite.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "fciub":
        raise TypeError(f"features must be numbers, got {name or 'an array'} of dtype {array.dtype}")
    array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name or 'the features'} of sample {position} has values that are not finite")
    return array


def as_real(vector: np.ndarray) -> np.ndarray:
    """Return a vector with complex numbers as pairs of real ones: the same Euclidean norm."""
    vector = np.ascontiguousarray(vector).ravel()
    return vector.view(np.float64) if vector.dtype.kind == "c" else vector


def vectors_of(samples: Sequence[Sample], positions: Iterable[int], transform: Any = None) -> dict[str, np.ndarray]:
    """Return the arrays of some samples as rows of real numbers, by name.

    Parameters
    ----------
    transform : callable, optional
        Array to array, such as `truncated_spectrum`.
    """
    rows: dict[str, list[np.ndarray]] = {}
    first: dict[str, tuple[int, ...]] | None = None
    for position in positions:
        sample = samples[position]
        arrays = {name: numbers(value, name, position) for name, value in sample.items()}
        shapes = {name: array.shape for name, array in arrays.items()}
        first = shapes if first is None else first
        if shapes != first:
            raise ValueError(f"all samples need arrays of one shape: sample {position} has {shapes}, others {first}")
        for name, array in arrays.items():
            rows.setdefault(name, []).append(as_real(array if transform is None else transform(array)))
    # A complex array may come out real for some samples only if they hand it over so.
    for name, parts in rows.items():
        if len({part.size for part in parts}) > 1:
            raise ValueError(f"{name or 'the features'} is real for some samples and complex for others")
    return {name: np.stack(parts) for name, parts in rows.items()}


def truncated_spectrum(array: np.ndarray) -> np.ndarray:
    """Return the discrete Fourier coefficients of low frequency of a field; a small array as it is.

    Up to 32 oscillations along the axis of a line, 8 along each of a plane, 4 of a box. Scaled so that the norm is that
    of the field as far as these frequencies carry it.
    """
    if array.size <= SMALL:
        return array
    modes = {1: 32, 2: 8, 3: 4}.get(array.ndim, 2)
    real = array.dtype.kind != "c"
    spectrum = np.fft.rfftn(array, norm="ortho") if real else np.fft.fftn(array, norm="ortho")
    for axis, n in enumerate(array.shape):
        if real and axis == array.ndim - 1:
            spectrum = spectrum[..., : modes + 1]
            weights = np.full(spectrum.shape[-1], np.sqrt(2.0))  # each stands for its conjugate, too
            weights[0] = 1.0
            if n % 2 == 0 and spectrum.shape[-1] == n // 2 + 1:
                weights[-1] = 1.0
            spectrum = spectrum * weights
        elif n > 2 * modes + 1:
            spectrum = np.take(spectrum, np.r_[: modes + 1, n - modes : n], axis=axis)
    return np.asarray(spectrum)


def on_one_scale(blocks: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return (N, F) features from the rows of each name: centred, and each name of mean square norm 1.

    A name that is the same for all samples is left out; if all are, one column of zeros is left.
    """
    parts = []
    for rows in blocks.values():
        centred = rows - rows.mean(axis=0)
        spread = float(np.sqrt(np.mean(np.sum(centred**2, axis=1))))
        if spread > CONSTANT * float(np.sqrt(np.mean(np.sum(rows**2, axis=1)))):
            parts.append(centred / spread)
    count = len(next(iter(blocks.values()))) if blocks else 0
    return np.concatenate(parts, axis=1) if parts else np.zeros((count, 1))


def spectral_features(samples: Sequence[Sample]) -> np.ndarray:
    """Return (N, F) features of low frequency of all samples, each sample read once."""
    return on_one_scale(vectors_of(samples, range(len(samples)), truncated_spectrum))
