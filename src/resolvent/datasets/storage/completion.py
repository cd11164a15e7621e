"""Putting a complete set of chunks, and what was published before, together to the file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from .. import provenance
from ..family import Family
from ..progress import Meter, ProgressCallback
from ..worker import ChunkRecord
from .existing import refuse_altered
from .file_format import Layout
from .publication import blocks_of_file, blocks_of_shards, chunk_table, extended_table, publish


def complete(
    out: Path,
    folder: Path,
    records: Sequence[tuple[ChunkRecord, int, int]],
    *,
    family: Family,
    layout: Layout,
    n: int,
    published: int,
    config: Mapping[str, Any],
    stored: Mapping[str, Any],
    progress: ProgressCallback | None,
) -> None:
    """Write the file of n samples and put it in place.

    Parameters
    ----------
    folder : Path
        Where the file is built, and to which the names of shards are relative.
    records : sequence of (ChunkRecord, int, int)
        Of each further chunk, in order: what was made, and start and stop of the samples to take of it.
    published : int
        Samples of the finished file at `out` that are kept.
    stored : dict
        Provenance.
    """
    meter = Meter(progress, "publish", 0, n)
    blocks = blocks_of_shards(folder, layout, records)
    table = chunk_table([dataclasses.replace(record, start=start, stop=stop) for record, start, stop in records])
    if published:
        refuse_altered(out)
        blocks = chain(blocks_of_file(out, layout, published), blocks)
        table = extended_table(out, table)
    card = stored["family"]
    publish(
        out,
        folder / f"{out.name}.tmp",
        family=family,
        layout=layout,
        n=n,
        config=config,
        provenance=stored,
        attributes={
            "family": card["name"],
            **{key: card[key] for key in ("title", "equation", "domain", "boundary", "law", "licence")},
            "seed": str(config["seed"]),
            "code_version": stored["sessions"][-1]["code"],
            "created": provenance.utc_now(),
        },
        blocks=blocks,
        chunks=table,
        on_samples=meter.reached,
    )
