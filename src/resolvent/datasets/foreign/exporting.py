"""Writing a dataset in a format that other people's loaders read."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

from .. import provenance as provenance_of_code
from ..errors import FormatError
from ..progress import Meter, ProgressCallback
from ..reader import Dataset
from . import neuraloperator, pdebench, the_well
from .recognition import DATASET_FORMATS, MODEL_FORMATS, foreign_format, is_model
from .source import Rounding, Source, provenance
from .staging import Staging

_RECORDED = ("origin", "family", "options", "equation", "boundary", "law", "licence", "seed", "rtol", "content_sha256")
"""What files that can hold attributes say of their origin; the record beside them says more."""


@dataclasses.dataclass(frozen=True)
class Exported:
    """What `export` wrote.

    Attributes
    ----------
    format : str
    files : list of Path
        In place, the record of the origin last.
    samples : int
    rounding : dict of str to float
        Largest ‖u₃₂ − u‖₂/‖u‖₂ of a sample, by field.
    left_out : tuple of str
        Fields that the format has no place for.
    uncertified : int
        Samples left out.
    notes : list of str
        What a user of the files has to know.
    """

    format: str
    files: list[Path]
    samples: int
    rounding: dict[str, float]
    left_out: tuple[str, ...]
    uncertified: int
    notes: list[str]

    def __str__(self) -> str:
        worst = max(self.rounding.values(), default=0.0)
        lines = [f"{self.samples} samples as {self.format}, float32 (rounding at most {worst:.1e})"]
        lines += [f"  {path}" for path in self.files]
        if self.uncertified:
            lines.append(f"  {self.uncertified} samples that are not certified are left out")
        if self.left_out:
            lines.append(f"  left out: {', '.join(self.left_out)}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def export(
    data: str | Path | Dataset,
    format: str,
    out: str | Path,
    *,
    name: str | None = None,
    steady: str = "fields",
    loader: str = "single",
    overwrite: bool = False,
    progress: ProgressCallback | None = None,
) -> Exported:
    """Write a dataset in a foreign format, in single precision.

    Samples are read, rounded and written one by one; nothing appears under the final names before everything is
    complete. Beside the files, or in their folder, a JSON record says where the numbers come from: equation, law,
    licence, seed, tolerance, content digest of the set and what rounding changed.

    Parameters
    ----------
    data : path or Dataset
        Made by `generate`; of a Dataset its selected samples.
    format : {"pdebench", "the_well", "neuraloperator"}
        `resolvent.datasets.foreign` says what each can hold.
    out : path
        PDEBench: a file, or a folder for a set that needs several. The others: a folder.
    name : str, optional
        Of the dataset in the folder: the family's by default.
    steady : {"fields", "limit"}
        Form of stationary problems in The Well: one frame and constant fields, or zero and the solution as two frames.
    loader : {"single", "multi"}
        Which of PDEBench's loaders is to find our test samples where it looks for them.
    overwrite : bool
        Replace files of the same names. A dataset of this package is never replaced.
    progress : callable, optional
        Called with a `Progress`.

    Returns
    -------
    exported : Exported

    Raises
    ------
    ValueError
        For an unknown format or option.
    FormatError
        If `data` is not a dataset of this package, or the format cannot hold it; the message says which can.
    StorageError
        If a file exists or cannot be written.
    ImportError
        For neuraloperator, without torch.
    """
    if format not in DATASET_FORMATS:
        kind = "is one for models" if format in MODEL_FORMATS else "is unknown"
        raise ValueError(f"the format {format!r} {kind}: a dataset is exported as {', '.join(DATASET_FORMATS)}")
    if not isinstance(data, Dataset):
        with _opened(Path(data)) as dataset:
            return _export(dataset, format, Path(out), name, steady, loader, overwrite, progress)
    return _export(data, format, Path(out), name, steady, loader, overwrite, progress)


def _opened(path: Path) -> Dataset:
    """Open a dataset, or say what is there instead."""
    if path.exists():
        found = foreign_format(path)
        if found is not None:
            raise FormatError(
                f"{path} is in the format {found} already: what is exported are datasets made by `generate`; "
                "`open_foreign` reads it"
            )
        if is_model(path):
            raise FormatError(
                f"{path} is a model or its checkpoint, not a dataset: dataset formats ({', '.join(DATASET_FORMATS)}) "
                f"do not fit it, models are exported as {' or '.join(MODEL_FORMATS)}"
            )
    return Dataset(path)


def _export(
    dataset: Dataset,
    kind: str,
    out: Path,
    name: str | None,
    steady: str,
    loader: str,
    overwrite: bool,
    progress: ProgressCallback | None,
) -> Exported:
    source, rounding = Source(dataset), Rounding()
    origin = provenance(source)
    record = {key: origin[key] for key in _RECORDED}
    name = source.family if name is None else name
    if kind == "pdebench":
        job = pdebench.job(source, out, loader, record)
    elif kind == "the_well":
        job = the_well.job(source, out, name, steady, record)
    else:
        job = neuraloperator.job(source, out, name)
    meter, done = Meter(progress, "export", 0, len(source.rows)), itertools.count(1)
    with Staging(job.folder, [*job.names, job.record], overwrite=overwrite, size=job.size) as staging:
        told = job.write(staging, rounding, lambda: meter.reached(next(done)))
        content = {
            **origin,
            "format": kind,
            **told,
            "precision": "float32; rounding is the largest relative change of a sample, by field",
            "rounding": rounding.worst,
            "exported": provenance_of_code.utc_now(),
            "files": job.names,
            "notes": job.notes,
        }
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        staging.path(job.record).write_text(text, encoding="utf-8")
        placed = staging.commit()
    return Exported(kind, placed, len(source.rows), rounding.worst, source.left_out, source.uncertified, job.notes)
