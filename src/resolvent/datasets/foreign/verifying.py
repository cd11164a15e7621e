"""Checking a dataset in a foreign format: its structure, its numbers, its splits, and where possible its labels."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np

from ..errors import FormatError
from ..evidence.verification_report import VerificationReport
from ..progress import Meter, ProgressCallback
from ..seeding import SPLITS
from . import pdebench_schema, the_well_schema
from .foreign_set import ForeignSet
from .neuraloperator_reader import siblings
from .opening import open_foreign
from .recognition import foreign_format
from .steady_state import TOLERANCE, Discretisation, label_errors, source_term
from .the_well_reader import split_files
from .the_well_schema import Finding


def verify_foreign(
    path: str | Path, *, tolerance: float = TOLERANCE, progress: ProgressCallback | None = None
) -> VerificationReport:
    """Check a dataset of PDEBench, The Well or neuraloperator.

    - Structure: groups, attributes, names, shapes and precision that the format's loader or specification demands, and
      coordinates that increase.
    - Numbers: none that is not finite, no solution that is one constant.
    - Splits: no sample whose inputs are in two splits.
    - PDEBench's Darcy layout: the distance of each label to the discrete steady state, see `label_errors`.

    Parameters
    ----------
    path : path
        As for `open_foreign`.
    tolerance : float
        Largest relative distance of a label to the steady state that is not flagged.
    progress : callable, optional
        Called with a `Progress`.

    Returns
    -------
    report : VerificationReport
        Damage is reported, not raised. Its `foreign` is the format, `label_errors` the distances if there are any;
        samples are counted in the order of the file, or of the splits.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If it has none of the formats.
    ImportError
        For tensor files, without torch.
    """
    path = Path(path)
    if not tolerance > 0.0:
        raise ValueError(f"the tolerance of labels must be positive, got {tolerance!r}")
    kind = foreign_format(path)
    if kind is None:
        open_foreign(path)  # says what it is instead
    report = VerificationReport(path, foreign=kind)
    meter = Meter(progress, "verify", 0, 0)
    try:
        _structure(path, report)
        with open_foreign(path) as opened:
            report.checks["layout"] = f"{opened.layout} of {opened.format}"
            meter = Meter(progress, "verify", 0, len(opened))
            _samples(opened, report, meter)
            if (opened.format, opened.layout) == ("pdebench", "darcy"):
                _labels(opened, report, meter, tolerance)
    except (FormatError, OSError, KeyError, ValueError, RuntimeError, TypeError) as error:
        report.add(None, "structure", f"cannot be read to the end ({error})")
    report.seconds = meter.seconds
    return report


def _structure(path: Path, report: VerificationReport) -> None:
    """Enter what is wrong with groups, attributes and shapes."""
    before = report.count
    for field, what in _structural(path):
        report.add(None, field, what)
    found = report.count - before
    departures = "1 departure" if found == 1 else f"{found} departures"
    report.checks["structure"] = "as specified" if not found else f"{departures} from the specification"


def _structural(path: Path) -> Iterator[Finding]:
    kind = foreign_format(path)
    if kind == "the_well":
        if path.is_dir():
            yield from the_well_schema.folder_findings(path)
        files = [f for found in split_files(path).values() for f in found] if path.is_dir() else [path]
        for one in files:
            with h5py.File(one, "r") as file:
                for field, what in the_well_schema.file_findings(file):
                    yield (f"{one.parent.name}/{one.name}: {field}" if path.is_dir() else field), what
    elif kind == "pdebench":
        with open_foreign(path) as opened, h5py.File(path, "r") as file:
            yield from pdebench_schema.findings(opened, file)
    elif kind == "neuraloperator":
        files_by_split = siblings(path)
        for split in ("train", "test"):
            if split not in files_by_split:
                yield f"{split} split", "is missing: the loader reads NAME_train_RES.pt and NAME_test_RES.pt"
        with open_foreign(path) as opened:
            for name in ("x", "y"):
                found = opened.column(name, 0).dtype
                if found != np.float32:
                    yield name, f"is {found}, the loader's models take float32"


def _samples(opened: ForeignSet, report: VerificationReport, meter: Meter) -> None:
    """Go through all samples once: numbers and splits."""
    frames = len(opened.axes.get("t", ()))
    seen: dict[bytes, int] = {}
    constant_inputs = within = 0
    before = report.count
    for row in range(len(opened)):
        digest = hashlib.sha256()
        for name, spec in opened.fields.items():
            values = opened.column(name, row)
            if values.dtype.kind in "fc" and not np.isfinite(values).all():
                bad = np.argwhere(~np.isfinite(values))
                many = "1 number that is" if len(bad) == 1 else f"{len(bad)} numbers that are"
                report.add(row, name, f"holds {many} not finite, first at {bad[0].tolist()}")
            elif spec.role == "solution":
                for frame in _constant_frames(values, frames)[:1]:
                    report.add(row, name, f"is one constant{f' in frame {frame}' if frames > 1 else ''}")
            elif spec.role == "input" and values.size > 1 and np.ptp(values.astype(np.float64)) == 0.0:
                constant_inputs += 1
            if spec.role != "solution" or frames > 1:
                shown = values[0] if spec.role == "solution" else values
                digest.update(name.encode() + np.ascontiguousarray(shown).tobytes())
        twin = seen.setdefault(digest.digest()[:16], row)
        if twin != row:
            here, there = (SPLITS[int(opened.split_of[opened.index[i]])] for i in (row, twin))
            within += here == there
            if here != there:
                report.add(row, "inputs", f"are those of sample {twin}: one is in {here}, the other in {there}")
        report.samples += 1
        meter.failed = report.count
        meter.reached(report.samples)
    report.checks["numbers"] = "finite, no constant solution" if report.count == before else "not all are sound"
    counts = np.bincount(opened.split_of[opened.index], minlength=len(SPLITS))
    parts = ", ".join(f"{count} {name}" for name, count in zip(SPLITS, counts, strict=True) if count) or "no samples"
    twice = f"; {within} inputs repeat within a split" if within else ""
    uniform = f"; {constant_inputs} inputs are one constant" if constant_inputs else ""
    report.checks["splits"] = f"{parts}{twice}{uniform}"


def _constant_frames(values: np.ndarray, frames: int) -> list[int]:
    """Return the frames of a solution that are one constant, the initial one of a trajectory left out."""
    if frames > 1:
        flat = values.reshape(frames, -1)
        return [t for t in range(1, frames) if flat.shape[1] > 1 and flat[t].min() == flat[t].max()]
    return [0] if values.size > 1 and values.min() == values.max() else []


def _labels(opened: ForeignSet, report: VerificationReport, meter: Meter, tolerance: float) -> None:
    """Enter how far labels are from the steady state."""

    def shown(done: int, worst: float) -> None:
        meter.worst = worst
        meter.reached(done)

    found = label_errors(opened, on_sample=shown)
    report.label_errors = found.errors
    flagged = found.flagged(tolerance)
    report.checks["steady state"] = f"−∇·(a∇u) = β with β = {source_term(opened):g}, distance {found}"
    report.checks["discretisation"] = f"{found.discretisation} (fits best; smallest distances {_others(found.tried)})"
    report.checks["labels"] = f"{len(flagged)} of {len(opened)} farther than {tolerance:.0e}"
    for row in flagged:
        error = found.errors[row]
        if np.isfinite(error):
            report.add(int(row), "tensor", f"is {_percent(error)} from the steady state")
        elif np.isfinite(opened.column("tensor", int(row))).all():  # a label that is not was reported already
            report.add(int(row), "nu", "has no steady state: it is not positive and finite everywhere")


def _others(tried: Mapping[Discretisation, float]) -> str:
    ways = sorted(tried.items(), key=lambda pair: pair[1])
    return ", ".join(f"{way.mean} {way.edge} {error:.1e}" for way, error in ways)


def _percent(error: float) -> str:
    """Return a relative error in percent.

    Examples
    --------
    >>> _percent(0.16), _percent(9.7), _percent(0.00042)
    ('16 %', '970 %', '0.042 %')
    """
    return f"{100 * error:.3g} %" if error < 0.1 else f"{100 * error:.0f} %"
