"""The lines of a journal: chunks that are finished, and decisions about chunks that are to start."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from ..choosing.chunk_decision import ChunkDecision
from ..worker import ChunkRecord


@dataclasses.dataclass
class Journal:
    """What a journal holds.

    Attributes
    ----------
    records : dict of int to ChunkRecord
        The last one of each chunk, in the order of the lines.
    decisions : dict of int to ChunkDecision
        The first one of each chunk: what was decided stands.
    whole : int
        Bytes up to the end of the last whole line.
    damaged : list of int
        Numbers of lines that cannot be read, from 1.
    """

    records: dict[int, ChunkRecord] = dataclasses.field(default_factory=dict)
    decisions: dict[int, ChunkDecision] = dataclasses.field(default_factory=dict)
    whole: int = 0
    damaged: list[int] = dataclasses.field(default_factory=list)


def parse_journal(content: bytes) -> Journal:
    """Return what the lines of a journal say."""
    found = Journal(whole=content.rfind(b"\n") + 1)
    for number, line in enumerate(content[: found.whole].splitlines(), start=1):
        try:
            values: dict[str, Any] = json.loads(line)
            if "decided" in values:
                decision = ChunkDecision(**values["decided"])
                if decision.chunk not in found.decisions:
                    # A chunk that was made before was made by a decision whose line is lost: it is made again.
                    found.records.pop(decision.chunk, None)
                    found.decisions[int(decision.chunk)] = decision
            else:
                record = ChunkRecord(**values)
                found.records.pop(record.chunk, None)
                found.records[record.chunk] = record
        except (ValueError, TypeError):
            found.damaged.append(number)
    return found


def line_of(entry: ChunkRecord | ChunkDecision) -> bytes:
    """Return the line of a journal that holds an entry."""
    values = dataclasses.asdict(entry)
    return json.dumps(values if isinstance(entry, ChunkRecord) else {"decided": values}).encode() + b"\n"
