"""Reading the decisions of a tuned set, to make another one exactly like it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import provenance
from ..errors import FormatError, ReplayError
from ..reader import Dataset
from ..settings import TUNED, changes_text, differences, plain
from ..storage.workspace import is_part_of_parts, read_journal, read_manifest
from .chunk_decision import ChunkDecision, stored_decisions

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Replay:
    """The decisions of a tuned set.

    Attributes
    ----------
    source : Path
        As given.
    config : dict
        The configuration of the set.
    rule : str
        Name of its safe arm.
    decisions : dict of int to ChunkDecision
    sessions : list of dict
    """

    source: Path
    config: dict[str, Any]
    rule: str
    decisions: dict[int, ChunkDecision]
    sessions: list[dict[str, Any]]

    def check(self, config: Mapping[str, Any], n: int) -> None:
        """Raise ReplayError unless n samples of a configuration can be made by these decisions.

        Warns where versions or machine differ, since last bits then may.
        """
        changed = differences(self.config, config)
        if changed:
            rows = [f"  {key}: {old!r} there, {new!r} requested" for key, (old, new) in changed.items()]
            raise ReplayError(
                "\n".join(
                    [
                        f"{self.source} is of another configuration and cannot be replayed:",
                        *rows,
                        "Request the same, or tune anew without replay.",
                    ]
                )
            )
        size = int(config["chunk"])
        needed = range(-(-n // size))
        missing = [chunk for chunk in needed if chunk not in self.decisions]
        if missing and missing[0] > max(self.decisions, default=-1):
            most = missing[0] * size
            raise ReplayError(
                f"{self.source} decides {missing[0]} chunks of {size}, enough for {most} samples, and {n} were "
                f"requested: replay at most {most}, then ask for {n} without replay, which goes on tuning from there"
            )
        if missing:
            raise ReplayError(
                f"{self.source} has no decision about chunk {missing[0]}, although it has later ones: it is damaged. "
                "Replay the finished file if there is one, or tune anew without replay"
            )
        here = plain(provenance.comparable(provenance.versions() | {"processor": provenance.processor()}))
        changed = differences(provenance.comparable(self.sessions[-1]), here) if self.sessions else {}
        if changed:
            logger.warning(
                "versions or machine differ from those of %s, so checksums may: %s", self.source, changes_text(changed)
            )

    def refuse_other(self, decided: Mapping[int, ChunkDecision], where: Path) -> None:
        """Raise ReplayError if chunks that are there already were decided in another way."""
        for chunk, decision in sorted(decided.items()):
            wanted = self.decisions.get(chunk)
            if wanted is not None and (wanted.arm, wanted.method) != (decision.arm, decision.method):
                raise ReplayError(
                    f"{where} has chunk {chunk} by {decision.arm}, and {self.source} by {wanted.arm}: it is of another "
                    "run and cannot become a replay of this one; choose another output, or remove it"
                )


def read_replay(path: str | Path) -> Replay:
    """Read the decisions of a finished file, or of a parts folder given by itself, its manifest or its journal.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    FormatError
        If it is something else, or damaged.
    ReplayError
        If it is a set that was not tuned.
    """
    path = Path(path)
    parts = path.parent if is_part_of_parts(path) else path
    if not path.exists():
        raise FileNotFoundError(f"there is nothing to replay at {path}: expected a dataset, or the parts of one")
    if parts.is_dir():
        manifest = read_manifest(parts)
        if manifest is None:
            raise FormatError(f"{parts} is a folder without the manifest of a set: expected a dataset, or its parts")
        found = _of_manifest(path, manifest, parts)
    else:
        with Dataset(path) as dataset:
            stored = dataset.provenance
            _refuse_untuned(path, dataset.config)
            found = _guarded(path, dataset.config, stored, stored_decisions(stored))
    return found


def _of_manifest(path: Path, manifest: dict[str, Any], parts: Path) -> Replay:
    config = manifest.get("config")
    if not isinstance(config, dict):
        raise FormatError(f"the manifest in {parts} lacks a configuration: it is damaged")
    _refuse_untuned(path, config)
    decisions = stored_decisions(manifest) | read_journal(parts).decisions
    return _guarded(path, config, manifest, decisions)


def _refuse_untuned(path: Path, config: Mapping[str, Any]) -> None:
    if config.get("solver") != TUNED:
        raise ReplayError(
            f"{path} was not tuned, there is nothing to replay: solver={config.get('solver')!r} alone gives the same "
            "again"
        )


def _guarded(
    path: Path, config: dict[str, Any], stored: Mapping[str, Any], decisions: dict[int, ChunkDecision]
) -> Replay:
    try:
        return Replay(path, config, str(stored["decision"]["rule"]), decisions, list(stored["sessions"]))
    except (KeyError, TypeError) as error:
        raise FormatError(f"{path} is damaged: its decisions cannot be read ({error!r})") from error
