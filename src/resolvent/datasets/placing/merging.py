"""Putting the shards of a set together, wherever and by however many jobs they were made."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import families, provenance
from ..choosing.chunk_decision import ChunkDecision, packed, stored_decisions
from ..errors import ConfigurationMismatch, FormatError, OutputLockedError, ShardsMissingError
from ..family import Family
from ..progress import ProgressCallback
from ..reader import Dataset
from ..settings import TUNED, changes_text, check_count, differences, plain
from ..storage.capacity import refuse_full_disk
from ..storage.completion import complete
from ..storage.existing import finished_set
from ..storage.file_format import Layout
from ..storage.shards import shard_matches
from ..storage.workspace import Workspace
from ..worker import ChunkRecord
from .sharding import JobShard, command_for, parts_of_all, shards_folder, shards_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Source:
    """A folder with finished chunks: that of a shard, or of an ordinary run that did not end."""

    shard: JobShard | None
    folder: Path
    manifest: dict[str, Any]
    records: dict[int, ChunkRecord]
    decisions: dict[int, ChunkDecision]


def merge(
    out: str | Path, *, family: Family | None = None, n: int | None = None, progress: ProgressCallback | None = None
) -> Dataset:
    """Put the shards that `generate_shard` made beside an output together to the finished file.

    Of a chunk that several shards have, one is taken: they are alike where machines and versions are. The finished file
    has the content checksum of one uninterrupted run, and the sessions of all shards in its provenance. After it is in
    place those shards are removed that have nothing beyond it; killed at any moment, the same call completes what is
    left to do.

    Parameters
    ----------
    out : path
        As it was given to the shards.
    family : Family, optional
        For a set of a family that is not registered.
    n : int, optional
        Samples of the file; the largest number that a shard was asked for by default. With fewer, what was made of
        the others stays for a later call.
    progress : callable, optional
        Called with a `Progress` now and then.

    Returns
    -------
    dataset : Dataset
        The finished file, open for reading.

    Raises
    ------
    ShardsMissingError
        If chunks are missing, or damaged in all shards that have them; it names them, and the commands that make them.
    ConfigurationMismatch
        If two shards, or the shards and a finished file, are of different configurations.
    OutputLockedError
        If a shard is being made at the moment.
    FileNotFoundError
        If there are no shards and no file.
    ValueError, TypeError
        If `n` is not a whole number ≥ 1, or less than the samples of a finished file.

    Examples
    --------
    See `generate_shard`.
    """
    out = Path(out)
    if n is not None:
        n = check_count("n", n, 1)
    with Workspace(out) as workspace:
        sources = _sources(out, workspace)
        if not sources:
            if out.exists():
                return Dataset(out)
            raise FileNotFoundError(
                f"there are no shards of {out}: expected {shards_folder(out)}, which `generate --shard i/N` makes"
            )
        config = _common_configuration(sources)
        found = _finished(out, config, n)
        published = 0 if found is None else len(found)
        wanted = max(published, *(int(source.manifest["n"]) for source in sources)) if n is None else n
        if published < wanted:
            _complete(out, workspace.folder, sources, config, family, wanted, found, progress)
        if _is_published(workspace, config, wanted):
            workspace.clear()
    _remove(out, config, wanted)
    return Dataset(out)


def _finished(out: Path, config: Mapping[str, Any], n: int | None) -> Dataset | None:
    """Return the finished file of a configuration, of at most n samples or any number; None if there is none."""
    if n is None:
        n = len(Dataset(out)) if out.is_file() else 1
    return finished_set(out, config, n, overwrite=False)


def _sources(out: Path, workspace: Workspace) -> list[_Source]:
    """Return all folders with a manifest and finished chunks."""
    found = []
    if workspace.manifest is not None and workspace.records:
        manifest, records = workspace.manifest, workspace.records
        found.append(_Source(None, workspace.folder, manifest, dict(records), dict(workspace.decisions)))
    busy = []
    for shard, folder in shards_of(out).items():
        try:
            with Workspace(out, folder) as one:
                if one.manifest is not None and one.records:
                    found.append(_Source(shard, folder, one.manifest, dict(one.records), dict(one.decisions)))
        except OutputLockedError as error:
            busy.append(f"  {error}")
    if busy:
        raise OutputLockedError("\n".join(["shards cannot be merged while they are made:", *busy]))
    return found


def _common_configuration(sources: Sequence[_Source]) -> dict[str, Any]:
    first = sources[0]
    session = plain(first.manifest["sessions"][-1])
    for source in sources[1:]:
        changed = differences(first.manifest["config"], source.manifest["config"])
        if changed:
            raise ConfigurationMismatch(f"{first.folder} (there; {source.folder} is what was requested)", changed)
        changed = differences(*(provenance.comparable(s) for s in (session, source.manifest["sessions"][-1])))
        if changed:
            logger.warning(
                "versions or machine differ between shards, so the checksum may differ from that of one run: %s",
                changes_text(changed),
            )
    return dict(first.manifest["config"])


def _complete(
    out: Path,
    folder: Path,
    sources: Sequence[_Source],
    config: dict[str, Any],
    family: Family | None,
    n: int,
    found: Dataset | None,
    progress: ProgressCallback | None,
) -> None:
    options = {key: value for key, value in config["family"].items() if key != "family"}
    made = families.get(config["family"]["family"], **options) if family is None else family
    if differences(plain(made.config()), config["family"]):
        raise ConfigurationMismatch(str(out), differences(config["family"], plain(made.config())))
    layout = Layout(made, config["dtype"])
    published = 0 if found is None else len(found)
    refuse_full_disk(out, layout, n, published, parts_of_all(out))
    stored = {key: sources[0].manifest[key] for key in ("family", "decision")}
    sessions = [session for source in sources for session in source.manifest["sessions"]]
    evidence = max((s.manifest["discretisation"] for s in sources), key=lambda e: len(e["two_grid_errors"]))
    decided: dict[int, ChunkDecision] = {}
    if found is not None:
        with found:
            before = found.provenance
        sessions = [*before["sessions"], *(session for session in sessions if session not in before["sessions"])]
        evidence, decided = before["discretisation"], stored_decisions(before)
    # In order of their starts, so that the last one is what readers compare with.
    stored |= {"discretisation": evidence, "sessions": sorted(sessions, key=lambda session: str(session["started"]))}
    tuned = config["solver"] == TUNED
    damaged: dict[int, _Source] = {}
    while True:
        taken, missing = _chosen(sources, int(config["chunk"]), published, n, decided if tuned else None)
        if missing:
            raise _missing(sources, missing, n, damaged)
        if tuned:
            own = {r.chunk: s.decisions[r.chunk] for s, r, _, _ in taken if r.chunk in s.decisions}
            stored["tuning"] = packed((own | decided).values())
        try:
            complete(
                out,
                folder,
                [(replace(r, shard=str((source.folder / r.shard).resolve())), a, b) for source, r, a, b in taken],
                family=made,
                layout=layout,
                n=n,
                published=published,
                config=config,
                stored=stored,
                progress=progress,
            )
            return
        except FormatError:
            bad = [(s, r) for s, r, _, _ in taken if not shard_matches(s.folder / r.shard, r.sha256)]
            if not bad:
                raise
        for source, record in bad:  # another shard may have the chunk, too
            logger.warning("%s is missing or damaged", source.folder / record.shard)
            damaged[record.chunk] = source
            del source.records[record.chunk]


def _chosen(
    sources: Sequence[_Source], size: int, published: int, n: int, decided: Mapping[int, ChunkDecision] | None
) -> tuple[list[tuple[_Source, ChunkRecord, int, int]], list[int]]:
    """Return for each chunk where it is taken from, its record, start and stop of the samples to take; and what lacks.

    `decided` are the decisions of the finished file about a tuned set, and None for others.
    """
    taken, missing = [], []
    for chunk in range(published // size, -(-n // size)):
        start, stop = max(chunk * size, published), min((chunk + 1) * size, n)
        having = (
            (source, record, start, stop)
            for source in sources
            if (record := source.records.get(chunk)) is not None
            and record.start <= start
            and record.stop >= stop
            and (decided is None or _is_decided(chunk, source.decisions, decided))
            and (source.folder / record.shard).exists()
        )
        one = next(having, None)
        if one is None:
            missing.append(chunk)
        else:
            taken.append(one)
    return taken, missing


def _is_decided(chunk: int, own: Mapping[int, ChunkDecision], before: Mapping[int, ChunkDecision]) -> bool:
    """Whether it is known how a chunk of a tuned set was made, and a part in the finished file was made alike."""
    known = [(one.arm, one.method) for one in (own.get(chunk), before.get(chunk)) if one is not None]
    return len(set(known)) == 1


def _missing(
    sources: Sequence[_Source], chunks: Sequence[int], n: int, damaged: Mapping[int, _Source]
) -> ShardsMissingError:
    """Return the error that names chunks and the commands that make them; `damaged` says who had some of them."""
    begun = {source.shard: source for source in sources if source.shard is not None}
    usual = Counter(shard.count for shard in begun).most_common(1)
    shards: set[JobShard] = set()
    for chunk in chunks:
        holder = damaged.get(chunk)
        if holder is not None and holder.shard is not None:
            shards.add(holder.shard)
        elif usual:
            count = usual[0][0]
            shards.add(JobShard(chunk % count, count))
    manifest = max((source.manifest for source in begun.values() or sources), key=lambda manifest: int(manifest["n"]))
    ordered = sorted(shards)
    commands = [command_for(shard, manifest, n) for shard in ordered]
    what = "damaged" if damaged else "missing"
    return ShardsMissingError(tuple(chunks), tuple(map(str, ordered)), tuple(commands), what)


def _is_published(workspace: Workspace, config: Mapping[str, Any], n: int) -> bool:
    """Whether a file of n samples has all that was made in a folder, so that this may go."""
    manifest = workspace.manifest
    same = manifest is None or not differences(manifest["config"], config)
    return same and all(record.stop <= n for record in workspace.records.values())


def _remove(out: Path, config: Mapping[str, Any], n: int) -> None:
    """Remove the shards of a file of n samples that is complete; what has more, or is being made, stays.

    A job may have gone on with its shard since it was read, so each is looked at anew, under its lock.
    """
    for folder in shards_of(out).values():
        try:
            with Workspace(out, folder) as one:
                if _is_published(one, config, n):
                    one.clear()
                else:
                    logger.info("%s stays: it has samples that %s does not have", folder, out)
        except OutputLockedError as error:
            logger.warning("%s was not removed: %s", folder, error)
