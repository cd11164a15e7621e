"""Checking a dataset file against itself, against its seed and against its equations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...solvers.fixed_threads import fixed_threads
from .. import provenance
from ..errors import FormatError
from ..family import Family
from ..identity import refuse_foreign
from ..progress import Meter, ProgressCallback
from ..reader import Dataset
from ..seeding import SPLITS, SplitAssigner
from ..settings import TUNED, plain
from ..storage.file_format import USER_BLOCK, ContentDigest, Layout, hash_file, sample_digest, stored_file_sha256
from ..storage.sample_arrays import drawn_inputs, working_inputs, working_solution
from ..storage.statistics import RunningStatistics
from ..worker import content_digests
from .reproduction import largest_change
from .verification_report import VerificationReport

_BLOCK_BYTES = 1 << 22
_LABELS_TO_MODEL = 100.0
"""How much more accurate labels should be than the model that learns from them."""


def verify(
    path: str | Path,
    *,
    family: Family | None = None,
    target_error: float | None = None,
    label_tolerance: float | None = None,
    progress: ProgressCallback | None = None,
) -> VerificationReport:
    """Check every byte and every equation of a dataset file.

    The hash of the file; the digest of every number; the inputs drawn again from the seed; every problem assembled
    again from the stored inputs, and the residual of the stored solution; splits, and that no two of them share inputs;
    statistics. Nothing is solved, so it costs a small part of generating. Trajectories are judged anew: where evidence
    is the difference to one of half the step, that is marched, two thirds of the work of generating.

    A dataset of PDEBench, The Well or neuraloperator is checked as far as its format allows, see
    `resolvent.datasets.foreign.verify_foreign`.

    Parameters
    ----------
    path : path
    family : Family, optional
        For a set of a family that is not registered.
    target_error : float, optional
        Relative error that a model trained on the set shall reach. Labels should be a hundred times as accurate: the
        report warns where they are not.
    label_tolerance : float, optional
        For foreign Darcy sets, the distance to the steady state up to which a label is not flagged; 1e-4 by default.
    progress : callable, optional
        Called with a `Progress`.

    Returns
    -------
    report : VerificationReport
        Printable. Damage is reported, not raised.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If it is something else than a dataset of this package or a known foreign one.
    """
    path = Path(path)
    if target_error is not None and not 0.0 < target_error < np.inf:
        raise ValueError(f"target_error must be a positive number, got {target_error!r}")
    if path.exists():
        from ..foreign import foreign_format, verify_foreign  # its report is the one of this file
        from ..foreign.steady_state import TOLERANCE

        if foreign_format(path) is not None:
            tolerance = TOLERANCE if label_tolerance is None else label_tolerance
            return verify_foreign(path, tolerance=tolerance, progress=progress)
        refuse_foreign(path)
    report = VerificationReport(path)
    meter = Meter(None, "verify", 0, 0)
    if path.is_file():
        _check_file_hash(path, report)
    try:
        with Dataset(path) as dataset:
            family = _family_of(dataset, family, report)
            if family is not None:
                meter = Meter(progress, "verify", 0, len(dataset))
                with fixed_threads(int(dataset.config["threads"])):
                    _Verifier(dataset, family, report, meter).run()
                _check_target(float(dataset.config["rtol"]), target_error, report)
    except (FormatError, OSError, KeyError, ValueError, RuntimeError, TypeError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        report.add(None, "structure", f"cannot be read to the end ({error})")
    report.seconds = meter.seconds
    return report


def _check_file_hash(path: Path, report: VerificationReport) -> None:
    try:
        stated = stored_file_sha256(path)
    except FormatError as error:
        report.add(None, "file", str(error))
        report.checks["file hash"] = "illegible"
        return
    if stated is None:
        report.checks["file hash"] = "none: the file was rewritten by another tool; the digests certify its numbers"
    elif stated == hash_file(path, USER_BLOCK):
        report.checks["file hash"] = f"as published, SHA-256 {stated[:16]}…"
    else:
        report.add(None, "file", "the bytes are not as published: SHA-256 differs from the one in the user block")
        report.checks["file hash"] = "differs"


def _check_target(rtol: float, target_error: float | None, report: VerificationReport) -> None:
    """Say which accuracy of a model the tolerance of the labels allows.

    A hundredth is what a study of label error against model error found necessary (Darcy, arXiv 2402.05957): labels
    solved to 1e-2 held a model at 9.4e-3, to 1e-5 they did not.
    """
    finest = _LABELS_TO_MODEL * rtol
    report.checks["accuracy"] = f"tolerance {rtol:.1e}, fit for models down to a relative error of {finest:.0e}"
    if target_error is not None and rtol > target_error / _LABELS_TO_MODEL:
        report.warnings.append(
            f"labels of tolerance {rtol:.1e} limit a model that shall reach {target_error:.1e}: generate with rtol "
            f"{target_error / _LABELS_TO_MODEL:.0e} or less"
        )


def _family_of(dataset: Dataset, family: Family | None, report: VerificationReport) -> Family | None:
    try:
        found = dataset.family() if family is None else family
    except (KeyError, ValueError, TypeError) as error:
        report.add(None, "config", f"the family cannot be rebuilt ({error}): pass family= if it is not registered")
        return None
    if plain(found.config()) != dataset.config["family"]:
        report.add(None, "config", f"made with {dataset.config['family']}, not with {plain(found.config())}")
        return None
    return found


class _Verifier:
    """Goes through the samples of a file once."""

    def __init__(self, dataset: Dataset, family: Family, report: VerificationReport, meter: Meter) -> None:
        self.dataset, self.family, self.report, self.meter = dataset, family, report, meter
        self.config = dataset.config
        self.layout = Layout(family, self.config["dtype"])
        here = plain(provenance.comparable(provenance.versions() | {"processor": provenance.processor()}))
        self.same_versions = all(provenance.comparable(s) == here for s in dataset.provenance["sessions"])
        self.redrawn = {"bitwise": 0, "rounded": 0}
        self.flagged = 0
        self.inputs: dict[bytes, tuple[int, int]] = {}
        self.repeated = self.shared = 0

    def run(self) -> None:
        """Check everything that needs the structure of the file."""
        report, layout = self.report, self.layout
        for column in layout.columns:
            found = self.dataset.file.get(column.path)
            expected = (len(self.dataset), *column.shape)
            if found is None or found.shape != expected or found.dtype != column.dtype:
                report.add(None, column.path, f"expected shape {expected} of {column.dtype}, found {found}")
        if not report.problems or report.problems[-1].field == "file":
            self._decisions()
            self._samples()

    def _decisions(self) -> None:
        """Check that a tuned set says how each of its chunks was made."""
        if self.config["solver"] != TUNED:
            return
        decisions, chunks = self.dataset.decisions, -(-len(self.dataset) // int(self.config["chunk"]))
        missing = sorted(set(range(chunks)) - decisions.keys())
        if missing:
            self.report.add(None, "provenance", f"does not say how chunk {missing[0]} was solved")
        methods = len({decision.arm for decision in decisions.values()})
        self.report.checks["decisions"] = f"{chunks - len(missing)} of {chunks} chunks, {methods} methods"

    def _samples(self) -> None:
        report, layout = self.report, self.layout
        splits, content = SplitAssigner(self.config["splits"]), ContentDigest()
        statistics = {name: RunningStatistics() for name in layout.fields}
        before = report.count
        for first, block in self._blocks():
            split = splits.take(len(block["index"]))
            content.add(block["digests/sample"])
            for row in range(len(split)):
                index = first + row
                values = {path: column[row] for path, column in block.items()}
                if values["index"] != index:
                    report.add(index, "index", f"expected {index}, found {values['index']}")
                if values["split"] != split[row]:
                    report.add(index, "split", f"expected {split[row]}, found {values['split']}")
                self._digests(index, values)
                self._twin(index, int(split[row]), values)
                self._draw(index, values)
                self._residual(index, values)
                if split[row] == 0:
                    for name, column in layout.fields.items():
                        statistics[name].add(values[column.path])
                report.samples += 1
            self.meter.worst, self.meter.failed = report.worst_rho, report.count
            self.meter.reached(report.samples)
        report.checks["numbers"] = "as written" if report.count == before else "differ"
        self._content(content.hexdigest())
        self._statistics(statistics)
        exact, rounded = self.redrawn["bitwise"], self.redrawn["rounded"]
        report.checks["seed"] = f"{exact} inputs drawn again bitwise, {rounded} to rounding (other versions)"
        repeated = f"; {self.repeated} samples repeat inputs of their own split" if self.repeated else ""
        report.checks["splits"] = f"no inputs in two of them{repeated}" if not self.shared else "share inputs"
        self._summarise_residuals()

    def _summarise_residuals(self) -> None:
        """Enter the gate, and where storing changed the solution, what became of it."""
        report, dtype, tolerance = self.report, self.config["dtype"], f"tolerance {float(self.config['rtol']):.1e}"
        plural = "1 sample is" if self.flagged == 1 else f"{self.flagged} samples are"
        flagged = f"; {plural} flagged as not certified" if self.flagged else ""
        if self.flagged == report.samples:
            report.checks["residuals"] = f"recomputed, none certified, {tolerance}{flagged}"
        elif dtype == "float64":
            report.checks["residuals"] = f"recomputed, worst certified {report.worst_rho:.2e}, {tolerance}{flagged}"
        else:
            report.checks["residuals"] = (
                f"worst certified {report.worst_certified:.2e} in float64 before rounding (as recorded), "
                f"{tolerance}{flagged}"
            )
            report.checks[f"in {dtype}"] = f"recomputed, worst {report.worst_rho:.2e} after rounding (no tolerance)"

    def _blocks(self) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        per_block = max(1, _BLOCK_BYTES // self.layout.record.itemsize)
        file = self.dataset.file
        for first in range(0, len(self.dataset), per_block):
            yield first, {c.path: file[c.path][first : first + per_block] for c in self.layout.columns}

    def _digests(self, index: int, values: Mapping[str, Any]) -> None:
        found = content_digests(self.layout.content, values)
        stated = {path: values[f"digests/{path}"].tobytes() for path in found}
        whole = values["digests/sample"].tobytes()
        if found == stated:
            if sample_digest(index, found) != whole:
                self.report.add(index, "digests/sample", "is not the digest of the sample")
            return
        data_intact = sample_digest(index, found) == whole
        for path in found:
            if found[path] == stated[path]:
                continue
            if data_intact:
                self.report.add(index, f"digests/{path}", "was altered; the data it stands for are intact")
            else:
                self.report.add(index, path, "was altered: SHA-256 differs from the one taken when it was written")

    def _twin(self, index: int, split: int, values: Mapping[str, Any]) -> None:
        """Enter a sample whose parameters and inputs are those of one in another split: a test on what was learnt."""
        names = self.layout.names("parameter", "input")
        digest = b"".join(values[f"digests/{self.layout.fields[name].path}"].tobytes() for name in names)
        twin, where = self.inputs.setdefault(hashlib.sha256(digest).digest()[:16], (index, split))
        if twin != index and where == split:
            self.repeated += 1
        elif twin != index:
            self.shared += 1
            self.report.add(index, "inputs", f"are those of sample {twin}, which is in {SPLITS[where]}")

    def _draw(self, index: int, values: Mapping[str, Any]) -> None:
        drawn = drawn_inputs(self.family, self.layout, int(self.config["seed"]), index)
        for name, expected in drawn.items():
            column = self.layout.fields[name]
            found = np.asarray(values[column.path])
            if found.tobytes() == expected.tobytes():
                self.redrawn["bitwise"] += 1
                continue
            change = largest_change(expected, found)
            if not self.same_versions and change <= (1e-5 if column.dtype.itemsize <= 4 else 1e-10):
                self.redrawn["rounded"] += 1
                continue
            because = "" if self.same_versions else " (it was made with other versions or on another machine)"
            self.report.add(index, column.path, f"is not what the seed gives: differs by {change:.1e} of max{because}")

    def _residual(self, index: int, values: Mapping[str, Any]) -> None:
        report, rtol = self.report, float(self.config["rtol"])
        names = ("rho_stored", "rho_float64", "tolerance", "certified")
        stated = {name: values[f"certificate/{name}"] for name in names}
        stored = {name: values[column.path] for name, column in self.layout.fields.items()}
        try:
            problem = self.family.pose(working_inputs(stored, self.layout))
        except ValueError as error:
            if stated["certified"]:
                report.add(index, "inputs", f"are not admissible ({error})")
            return
        solution = working_solution(stored, self.layout)
        if index % int(self.config["chunk"]) == 0:  # a look at the structure now and then
            for name, passed, detail in problem.checks(solution):
                if not passed:
                    report.add(index, "discretisation", f"{name}: {detail}")
        rho = problem.rho(solution, int(values["certificate/iterations"]))
        if stated["certified"]:
            report.worst_rho = rho if not rho <= report.worst_rho else report.worst_rho
            report.worst_certified = max(report.worst_certified, float(stated["rho_float64"]))
        # Residuals of different machines agree to rounding of their sums only, far less than a wrong number would show.
        allowed = 1e-3 * float(stated["rho_stored"]) + 1e-2 * rtol
        if not abs(rho - stated["rho_stored"]) <= allowed and (np.isfinite(rho) or np.isfinite(stated["rho_stored"])):
            report.add(index, "certificate/rho_stored", f"states {stated['rho_stored']:.3e}, recomputed {rho:.3e}")
        if self.config["dtype"] == "float64" and stated["certified"] and not rho <= 1.01 * rtol:
            report.add(index, "solution", f"relative residual {rho:.3e}, at most {rtol:.1e} was accepted")
        if stated["tolerance"] != rtol:
            report.add(index, "certificate/tolerance", f"states {stated['tolerance']:.3e}, the set has {rtol:.3e}")
        if bool(stated["certified"]) != bool(stated["rho_float64"] <= stated["tolerance"]):
            report.add(index, "certificate/certified", "contradicts rho_float64 and tolerance")
        evidence = [float(values[column.path]) for column in self.layout.evidence]
        if evidence and max(evidence) != stated["rho_float64"] and np.isfinite(evidence).all():
            report.add(index, "certificate/rho_float64", f"is not the largest of the evidence, {max(evidence):.3e}")
        self.flagged += not stated["certified"]

    def _content(self, digest: str) -> None:
        if digest == self.dataset.content_sha256:
            self.report.checks["content"] = f"SHA-256 {digest[:16]}…"
        else:
            self.report.checks["content"] = "differs"
            self.report.add(None, "content_sha256", "is not the digest of the samples")

    def _statistics(self, statistics: Mapping[str, RunningStatistics]) -> None:
        for name, stated in self.dataset.statistics.items():
            summary = statistics[name].summary()
            for what, expected in summary.items():
                if not np.isclose(stated[what], expected, rtol=1e-9, atol=1e-9 * summary["std"], equal_nan=True):
                    self.report.add(None, f"statistics/{name}/{what}", f"states {stated[what]}, recomputed {expected}")
