"""One call of `generate`: what is there is checked, what is missing is made, and all of it is published."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..solvers.fixed_threads import fixed_threads
from . import provenance
from .choosing.arms import arm_method
from .choosing.chunk_decision import ChunkDecision, entries_of, packed, solve_times, stored_decisions
from .choosing.decision import Decision, decide
from .choosing.replay import Replay
from .choosing.schedule import OneMethod, Schedule, TunedSchedule
from .errors import ConfigurationMismatch, GenerationInterrupted
from .evidence.discretisation import inspect_discretisation
from .family import Family
from .methods.strategies import NONE, PETSC, Method, is_named
from .placing.placement import Placement, refuse_unseen
from .placing.sharding import JobShard, made_elsewhere, parts_of_all
from .progress import Meter, ProgressCallback
from .reader import Dataset
from .settings import DTYPES, TUNED, Settings, changes_text, check_choice, configuration, differences, plain
from .storage.capacity import refuse_full_disk
from .storage.completion import complete
from .storage.existing import begun_set, finished_set, refuse_flagged
from .storage.file_format import Layout
from .storage.workspace import Workspace, parts_folder
from .worker import ChunkRecord, ChunkTask

if TYPE_CHECKING:
    from ..solvers.solver import Solver

logger = logging.getLogger(__name__)


class Run:
    """One call of `generate`."""

    def __init__(
        self,
        family: Family,
        n: int,
        out: Path,
        options: dict[str, Any],
        solver: str | Solver | Method,
        two_grid: int | None,
        placement: Placement,
        progress: ProgressCallback | None,
        replay: Replay | None = None,
        shard: JobShard | None = None,
    ) -> None:
        self.family, self.n, self.out, self.shard = family, n, out, shard
        self.folder = parts_folder(out) if shard is None else shard.folder(out)
        self.layout = Layout(family, check_choice("dtype", options["dtype"], DTYPES))
        with fixed_threads(options["threads"]):
            self.decision: Decision = decide(solver, options["rtol"], family, options["seed"], options["chunk"])
        self.settings = Settings(solver=self.decision.requested, method=self.decision.method, **options)
        if self.settings.order != "none" and self.decision.chosen == NONE:
            raise ValueError(
                f"{family.name} marches by itself and carries nothing from one trajectory to the next: leave order "
                f"out, got {self.settings.order!r}"
            )
        self.config = configuration(family, self.settings)
        self.replay = replay
        if replay is not None:
            replay.check(self.config, n)
        self._keep_decision()
        self.two_grid, self.placement, self.progress = two_grid, placement, progress
        self.published = 0
        """Samples of the finished file that are kept."""
        self.decided: dict[int, ChunkDecision] = {}
        """Decisions about the chunks of that file."""
        self.elsewhere: dict[int, list[ChunkRecord]] = {}
        """Chunks that other shards have."""
        self.schedule: Schedule = OneMethod(self.settings.method)

    @property
    def tuned(self) -> bool:
        """Whether the method is decided for each chunk."""
        return self.settings.solver == TUNED

    def _decide(self, solver: str, rule: str | None = None) -> Decision:
        settings = self.settings
        with fixed_threads(settings.threads):
            return decide(solver, settings.rtol, self.family, settings.seed, settings.chunk, rule=rule)

    def _keep_decision(self) -> None:
        """Keep to the solver that the rule chose when the set was begun, should the rule have changed since."""
        begun = begun_set(self.out, self.folder) if self.decision.requested in ("auto", TUNED) else None
        changed = {} if begun is None else differences(begun[0], self.config)
        if self.tuned:
            rule = None if self.replay is None else self.replay.rule
            if begun is not None and not changed:
                rule = begun[1]["rule"]
            safe = self.decision.arms[0].name
            if rule is not None and rule != safe:
                if not is_named(rule):
                    raise ConfigurationMismatch(str(self.out), {"safe arm": (rule, safe)})
                self._take(self._decide(TUNED, rule))
        elif begun is not None and changed and changed.keys() <= {"method", "window"} and is_named(begun[1]["chosen"]):
            method = self._decide(begun[1]["chosen"]).method
            self._take(Decision("auto", begun[1]["chosen"], begun[1]["why"], method))

    def _take(self, decision: Decision) -> None:
        self.decision = decision
        self.settings = dataclasses.replace(self.settings, method=decision.method)
        self.config = configuration(self.family, self.settings)

    def __call__(self, overwrite: bool) -> Dataset:
        """Make what is missing, and return the finished set."""
        found = self._published(overwrite)
        if found is not None and len(found) == self.n and not parts_folder(self.out).exists():
            return found
        refuse_full_disk(self.out, self.layout, self.n, 0 if found is None else len(found), [self.folder])
        with Workspace(self.out) as workspace:
            found = self._published(overwrite)  # another run may have finished it before we had the lock
            self.published = 0 if found is None else len(found)
            if self.published == self.n:
                workspace.clear()
                return Dataset(self.out)
            self._make(workspace, overwrite)
            workspace.clear()
        return Dataset(self.out)

    def make_shard(self) -> tuple[int, int, int]:
        """Make what is missing of the shard; return its number of chunks, of samples, and of samples made now."""
        found = self._published(False)
        self.published = 0 if found is None else len(found)
        refuse_full_disk(self.out, self.layout, self.n, self.published, parts_of_all(self.out))
        with Workspace(self.out, self.folder) as workspace:
            self.elsewhere = made_elsewhere(
                self.out, self.folder, self.config, self._chunks(), self.replay, self.decided
            )
            before = self._make(workspace, False)
            return len(self._chunks()), self._total(), self._fresh(workspace) - before

    def _make(self, workspace: Workspace, overwrite: bool) -> int:
        """Make the chunks that are missing, and the file unless this is a shard; return how many samples were found."""
        try:
            self._drop_unfit(workspace, overwrite)
            found = self._first() + self._fresh(workspace)
            if self.shard is None or found < self._total():
                self._adopt(workspace)
                with fixed_threads(self.settings.threads):
                    self._generate(workspace)
                    if self.shard is None:
                        self._publish(workspace)
        except KeyboardInterrupt as interrupt:
            workspace.reread()  # the last chunk may be entered on disk and not yet here
            done = self._first() + self._fresh(workspace)
            raise GenerationInterrupted(done, self._total(), str(self.out)) from interrupt
        return found

    def _published(self, overwrite: bool) -> Dataset | None:
        """Return the finished file that this run continues, if there is one."""
        found = finished_set(self.out, self.config, self.n, overwrite=overwrite)
        if found is not None and self.settings.on_failure == "raise":
            refuse_flagged(found)
        if found is not None and self.tuned:
            with found:
                self.decided = stored_decisions(found.provenance)
            if self.replay is not None:
                self.replay.refuse_other(self.decided, self.out)
        return found

    def _drop_unfit(self, workspace: Workspace, overwrite: bool) -> None:
        """Keep those chunks of an interrupted run that this one may continue; refuse what is of another one."""
        manifest = workspace.manifest
        changed = {} if manifest is None else differences(manifest["config"], self.config)
        if changed and workspace.records and not overwrite:
            raise ConfigurationMismatch(str(workspace.folder), changed)
        if changed and workspace.records:
            logger.warning("discarding the unfinished set in %s, as asked", workspace.folder)
        # Decisions stand from the moment they are entered, but a replay may begin where nothing was made yet.
        begun = workspace.records or (workspace.decisions and self.replay is None)
        if manifest is None or changed or not begun:
            workspace.forget()
        workspace.check_shards()
        if self.tuned:
            decided = self.decided | workspace.decisions
            workspace.records = {chunk: record for chunk, record in workspace.records.items() if chunk in decided}
            if self.replay is not None:
                self.replay.refuse_other(decided, self.out)
        if self.settings.on_failure == "raise":  # a flagged sample of an earlier run is then made again, and refused
            workspace.records = {chunk: record for chunk, record in workspace.records.items() if not record.failed}

    def _adopt(self, workspace: Workspace) -> None:
        """Enter this session, and the decisions of a replay, before anything is made."""
        manifest = self._first_manifest() if workspace.manifest is None else workspace.manifest
        if self.replay is not None:
            decided = self.decided | workspace.decisions
            wanted = (self.replay.decisions[chunk] for chunk in self._chunks())
            workspace.decide(*(decision for decision in wanted if decision.chunk not in decided))
        repeated = {} if self.replay is None else {"replay": str(self.replay.source)}
        if self.shard is not None:
            repeated["shard"] = str(self.shard)
        if self.settings.solver == PETSC:
            from .methods.petsc_ranks import ranks

            repeated["ranks"] = str(ranks())
        session = provenance.session(
            workers=self.placement.workers,
            executor=self.placement.label,
            on_failure=self.settings.on_failure,
            requested=self.n,
            found=self._first() + self._fresh(workspace),
            **repeated,
        )
        for earlier in manifest["sessions"]:
            changed = differences(provenance.comparable(earlier), provenance.comparable(plain(session)))
            if changed:
                logger.warning(
                    "versions or machine differ from an earlier session of this set: %s", changes_text(changed)
                )
                break
        workspace.write_manifest(
            {
                "config": self.config,
                "n": self.n,
                "decision": self._decision_card(),
                **({"tuning": packed(self.decided.values())} if self.tuned else {}),
                "family": plain(provenance.family_card(self.family)),
                "discretisation": manifest["discretisation"],
                "sessions": [*manifest["sessions"], plain(session)],
            }
        )

    def _decision_card(self) -> dict[str, str]:
        """Return what is stored about the choice of the solver."""
        decision = self.decision
        card = {"requested": decision.requested, "chosen": decision.chosen, "why": decision.why}
        if not self.tuned:
            return {**card, "method": repr(decision.method)}
        return {**card, "method": self.config["method"], "rule": decision.arms[0].name}

    def _first_manifest(self) -> dict[str, Any]:
        """Return what a new parts folder starts from: the finished file's history, or a look at the discretisation."""
        if self.published:
            with Dataset(self.out) as old:
                return {key: old.provenance[key] for key in ("sessions", "discretisation")}
        seed, method = self.settings.seed, self.settings.method
        estimates = self.two_grid
        if self.shard is not None and self.shard.index:  # one shard estimates, so that the set has one estimate
            estimates = 0
        with fixed_threads(self.settings.threads):
            return {
                "sessions": [],
                "discretisation": inspect_discretisation(self.family, seed, self.n, method, estimates),
            }

    # Chunks ----------------------------------------------------------------------------------------------------------

    def _chunks(self) -> range:
        """Return the numbers of the chunks with samples that the finished file does not have."""
        size = self.settings.chunk
        stop = -(-self.n // size)
        first = self.published // size if self.published < self.n else stop
        return range(first, stop) if self.shard is None else self.shard.chunks(first, stop)

    def _span(self, chunk: int) -> tuple[int, int]:
        """Return start and stop of the samples of a chunk that the finished file does not have."""
        size = self.settings.chunk
        return max(chunk * size, self.published), min((chunk + 1) * size, self.n)

    def _first(self) -> int:
        """Number of samples that count as done from the start: those of the finished file, or none of a shard."""
        return self.published if self.shard is None else 0

    def _total(self) -> int:
        """Number of samples that the set, or the shard, shall have."""
        chunks = self._chunks()
        if not chunks:
            return self._first()
        # All but the first and the last chunk are whole: a set may have more of them than can be counted one by one.
        ends = [self._span(chunk) for chunk in {chunks[0], chunks[-1]}]
        return (
            self._first() + (len(chunks) - len(ends)) * self.settings.chunk + sum(stop - start for start, stop in ends)
        )

    def _has(self, workspace: Workspace, chunk: int) -> bool:
        record, (start, stop) = workspace.records.get(chunk), self._span(chunk)
        others = [r for r in self.elsewhere.get(chunk, ()) if not (r.failed and self.settings.on_failure == "raise")]
        return any(r.start <= start and r.stop >= stop for r in (*others, *([] if record is None else [record])))

    def _done(self, workspace: Workspace) -> list[int]:
        """Return the chunks that need not be made, found without going through those that must."""
        chunks = self._chunks()
        known = workspace.records | self.elsewhere
        return [chunk for chunk in known if chunk in chunks and self._has(workspace, chunk)]

    def _fresh(self, workspace: Workspace) -> int:
        """Number of samples in finished chunks that the finished file does not have."""
        return sum(stop - start for start, stop in map(self._span, self._done(workspace)))

    def _tasks(self, workspace: Workspace) -> Iterator[ChunkTask]:
        folder = workspace.folder.resolve()
        for chunk in self._chunks():
            if not self._has(workspace, chunk):
                settings = dataclasses.replace(self.settings, method=self.schedule.method(chunk))
                yield ChunkTask(self.family, settings, chunk, *self._span(chunk), folder, self.schedule.warm)

    def _tuned_schedule(self, workspace: Workspace) -> TunedSchedule:
        """Return what decides about the chunks to come, with all that was learned from those that are there."""
        settings, size, done = self.settings, self.settings.chunk, set(self._done(workspace))
        entries = []
        if self.published:
            with Dataset(self.out) as old:
                entries = entries_of(old.chunks)
        entries += [(r.chunk, r.stop, r.seconds["solve"]) for c, r in workspace.records.items() if c in done]

        def rebuild(name: str) -> Method:
            rule = self.decision.arms[0].name
            return arm_method(name, rule, settings.rtol, self.family, settings.seed, size)

        return TunedSchedule(
            self.decision.arms,
            size,
            self.decided | workspace.decisions,
            solve_times(entries, size),
            (chunk for chunk in self._chunks() if chunk not in done),
            rebuild=rebuild,
            enter=workspace.decide,
            where=str(self.out),
        )

    def _generate(self, workspace: Workspace) -> None:
        resumed = self._first() + self._fresh(workspace)
        missing = len(self._chunks()) - len(self._done(workspace))
        self.schedule = self._tuned_schedule(workspace) if self.tuned else OneMethod(self.settings.method)
        meter = Meter(self.progress, "generate", resumed, self._total())
        for record in workspace.records.values():
            meter.note(record)
        meter.report()

        def on_record(record: ChunkRecord) -> None:
            refuse_unseen(workspace.folder, record)
            workspace.append(record)
            self.schedule.finished(record)
            meter.chunk(record)

        if missing:  # a cluster that is gone must not keep what is there from being published
            self.placement.run(self._tasks(workspace), on_record, meter.sample, missing)

    def _publish(self, workspace: Workspace) -> None:
        assert workspace.manifest is not None
        stored = {key: workspace.manifest[key] for key in ("family", "decision", "discretisation", "sessions")}
        if self.tuned:
            decisions = (self.decided | workspace.decisions).values()
            stored["tuning"] = packed(d for d in decisions if d.chunk < self._chunks().stop)
        complete(
            self.out,
            workspace.folder,
            [(workspace.records[chunk], *self._span(chunk)) for chunk in self._chunks()],
            family=self.family,
            layout=self.layout,
            n=self.n,
            published=self.published,
            config=self.config,
            stored=stored,
            progress=self.progress,
        )
