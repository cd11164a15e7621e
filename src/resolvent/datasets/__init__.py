"""PDE dataset families, random fields and the certified generation pipeline.

`generate` makes a set, `open` reads it, `verify` checks it against its seed and its equations, `reproduce` makes one
sample again, and `describe` says what a file holds. `resolvent.datasets.file_format` specifies the files. `export`
writes a set for other people's loaders, `open_foreign` reads theirs, and `verify` checks those too.
"""

from __future__ import annotations

if "." not in __name__:
    raise ImportError("this folder is a link into the package: use `import resolvent.datasets`")

from . import families
from .description import Description, describe
from .discrete_problem import DiscreteProblem
from .errors import (
    CertificationError,
    ConfigurationMismatch,
    DatasetError,
    DiscretisationError,
    FormatError,
    GenerationInterrupted,
    OutputLockedError,
    ReplayError,
    SampleError,
    ShardsMissingError,
    StorageError,
    WorkerLostError,
)
from .estimate import Estimate, estimate
from .explanation import explain
from .family import Family, FieldSpec, LinearFamily, System
from .foreign import Exported, ForeignSet, LabelErrors, export, label_errors, open_foreign
from .merging import merge
from .methods import Method, OneByOne
from .ordering import order
from .pipeline import generate
from .progress import Progress
from .reader import Dataset
from .reader import open_dataset as open
from .recycled import Recycled, SharedSpace
from .reproduction import Reproduction, reproduce
from .shard_job import FinishedShard, generate_shard
from .transient import March, TransientFamily
from .verification import verify
from .verification_report import Problem, VerificationReport

__all__ = [
    "CertificationError",
    "ConfigurationMismatch",
    "Dataset",
    "DatasetError",
    "Description",
    "DiscreteProblem",
    "DiscretisationError",
    "Estimate",
    "Exported",
    "Family",
    "FieldSpec",
    "FinishedShard",
    "ForeignSet",
    "FormatError",
    "GenerationInterrupted",
    "LabelErrors",
    "LinearFamily",
    "March",
    "Method",
    "OneByOne",
    "OutputLockedError",
    "Problem",
    "Progress",
    "Recycled",
    "ReplayError",
    "Reproduction",
    "SampleError",
    "ShardsMissingError",
    "SharedSpace",
    "StorageError",
    "System",
    "TransientFamily",
    "VerificationReport",
    "WorkerLostError",
    "describe",
    "estimate",
    "explain",
    "export",
    "families",
    "generate",
    "generate_shard",
    "label_errors",
    "merge",
    "open",
    "open_foreign",
    "order",
    "reproduce",
    "verify",
]
