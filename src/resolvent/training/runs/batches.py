"""Batches of a training set, read ahead and shared between processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..data.pairs import Batch, Pairs
from .processes import Processes

Parts = list[tuple[np.ndarray, Batch]]
"""Sample numbers and pairs of each part of a batch."""


def batches_in_parts(
    pairs: Pairs, batches: Sequence[np.ndarray], team: Processes, parts: int, pinned: bool = False
) -> Iterator[tuple[np.ndarray, Parts]]:
    """Yield each batch with what this process has of it, in parts, the next one being read meanwhile.

    Every process takes part in every gradient: one that has no samples in a part gets one of the batch under the number
    −1, which stands for weight zero. `pinned` memory is what a GPU copies from while it computes.
    """

    def held(rows: np.ndarray) -> Batch:
        x, y = pairs.batch(rows)
        return (x.pin_memory(), y.pin_memory()) if pinned else (x, y)

    def read(batch: np.ndarray) -> Parts:
        shares = np.array_split(team.share(batch), parts)
        if team.count == 1:
            shares = [share for share in shares if len(share)]
        return [(share, held(share)) if len(share) else (np.array([-1]), held(batch[:1])) for share in shares]

    if not len(batches):
        return
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(read, batches[0])
        for batch, following in zip(batches, [*batches[1:], None], strict=True):
            ready = coming.result()
            if following is not None:
                coming = reader.submit(read, following)
            yield batch, ready
