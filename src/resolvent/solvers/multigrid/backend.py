"""The few array operations that multigrid needs beyond slicing and arithmetic, for numpy and, elsewhere, torch."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, final

import numpy as np

from ...operators import Array


class Backend(abc.ABC):
    """Storage of one kind on one device; products write into given arrays.

    Attributes
    ----------
    device : str
        ``"numpy"``, or what torch calls it.
    """

    device: str

    @abc.abstractmethod
    def zeros(self, shape: Sequence[int], dtype: np.dtype) -> Array:
        """Return zeros."""

    @abc.abstractmethod
    def empty(self, shape: Sequence[int], dtype: np.dtype) -> Array:
        """Return an array with any contents."""

    @abc.abstractmethod
    def cast(self, x: Array, dtype: np.dtype) -> Array:
        """Return x, an array of the host or of this storage, on this storage in the given dtype."""

    @abc.abstractmethod
    def dtype(self, x: Array) -> np.dtype:
        """Return the dtype of x as numpy calls it."""

    @abc.abstractmethod
    def multiply(self, a: Array, b: Array, out: Array) -> None:
        """Set out to a b."""

    @abc.abstractmethod
    def add_product(self, a: Array, b: Array, out: Array, scratch: Array) -> None:
        """Add a b to out; `scratch` is a flat array of at least as many entries."""

    @abc.abstractmethod
    def subtract(self, a: Array, b: Array, out: Array) -> None:
        """Set out to a − b."""

    @abc.abstractmethod
    def where(self, condition: Array, a: Array | float, b: Array | float) -> Array:
        """Return a where the condition holds, else b."""

    @abc.abstractmethod
    def reciprocal(self, x: Array) -> Array:
        """Return 1/x: infinity for a real zero, huge but finite numbers for a complex one."""

    @abc.abstractmethod
    def number(self, x: Array) -> float:
        """Bring one number to the host: for set-up only, a device has to finish its work for it."""

    @abc.abstractmethod
    def quiet(self) -> AbstractContextManager[Any]:
        """Return a context without warnings for overflow, and without derivatives."""

    @abc.abstractmethod
    def powers_of_two(self, x: Array) -> Array:
        """Return the power of two next to the largest modulus of each column, (1, k), one for zeros and infinities."""


@final
class NumpyBackend(Backend):
    """numpy arrays."""

    device = "numpy"

    def zeros(self, shape: Sequence[int], dtype: np.dtype) -> Array:
        """Return zeros."""
        return np.zeros(shape, dtype=dtype)

    def empty(self, shape: Sequence[int], dtype: np.dtype) -> Array:
        """Return an array with any contents."""
        return np.empty(shape, dtype=dtype)

    def cast(self, x: Array, dtype: np.dtype) -> Array:
        """Return x in the given dtype."""
        return np.ascontiguousarray(x, dtype=dtype)

    def dtype(self, x: Array) -> np.dtype:
        """Return the dtype of x."""
        found: np.dtype = x.dtype
        return found

    def multiply(self, a: Array, b: Array, out: Array) -> None:
        """Set out to a b."""
        np.multiply(a, b, out=out, casting="same_kind")

    def add_product(self, a: Array, b: Array, out: Array, scratch: Array) -> None:
        """Add a b to out."""
        product = scratch[: out.size].reshape(out.shape)
        np.multiply(a, b, out=product, casting="same_kind")
        np.add(out, product, out=out)

    def subtract(self, a: Array, b: Array, out: Array) -> None:
        """Set out to a − b."""
        np.subtract(a, b, out=out)

    def where(self, condition: Array, a: Array | float, b: Array | float) -> Array:
        """Return a where the condition holds, else b."""
        return np.where(condition, a, b)

    def reciprocal(self, x: Array) -> Array:
        """Return 1/x."""
        if x.dtype.kind == "c":  # complex infinities turn into not-a-number in products
            x = np.where(x == 0, np.finfo(x.dtype).tiny ** 0.5, x)
        with np.errstate(divide="ignore"):
            return np.asarray(x.dtype.type(1)) / x

    def number(self, x: Array) -> float:
        """Return a number."""
        return float(x)

    def quiet(self) -> AbstractContextManager[Any]:
        """Return a context without warnings."""
        return np.errstate(all="ignore")

    def powers_of_two(self, x: Array) -> Array:
        """Return the power of two next to the largest modulus of each column."""
        largest = np.abs(x).max(axis=0, keepdims=True)
        usable = np.isfinite(largest) & (largest > 0.0)
        powers: np.ndarray = np.ldexp(1.0, np.frexp(np.where(usable, largest, 0.5))[1])
        return powers


def backend_for(x: Array) -> Backend:
    """Return the operations for the storage of x."""
    if isinstance(x, np.ndarray):
        return NumpyBackend()
    from ._torch import TorchBackend

    return TorchBackend(str(x.device))
