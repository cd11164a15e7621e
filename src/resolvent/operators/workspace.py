"""Arrays that an operator needs while it is applied, kept from one application to the next."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np


class Workspace:
    """Scratch arrays by name, allocated when first asked for and again when shape or dtype change.

    Each thread has its own, so that one operator can serve several; copies and pickles begin empty.

    Examples
    --------
    >>> work = Workspace()
    >>> work.array("r", (3, 1), float) is work.array("r", (3, 1), float)
    True
    """

    def __init__(self) -> None:
        self._local = threading.local()

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return the array of this name, with whatever it holds."""
        arrays: dict[str, np.ndarray] = self._local.__dict__
        found = arrays.get(name)
        if found is None or found.shape != shape or found.dtype != dtype:
            found = arrays[name] = np.empty(shape, dtype=dtype)
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return Workspace, ()

    def __deepcopy__(self, memo: Any) -> Workspace:
        return Workspace()
