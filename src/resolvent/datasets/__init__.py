"""PDE dataset families, random fields and the certified generation pipeline.

`generate` makes a set, `open` reads it, `verify` checks it against its seed and its equations, `reproduce` makes one
sample again, and `describe` says what a file holds. `resolvent.datasets.storage.file_format` specifies the files.
`export` writes a set for other people's loaders, `open_foreign` reads theirs, and `verify` checks those too.
"""

from __future__ import annotations

if "." not in __name__:
    raise ImportError("this folder is a link into the package: use `import resolvent.datasets`")

from . import families
from .choosing.explanation import explain
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
from .evidence.reproduction import Reproduction, reproduce
from .evidence.verification import verify
from .evidence.verification_report import Problem, VerificationReport
from .family import Family, FieldSpec, LinearFamily, System
from .foreign import Exported, ForeignSet, LabelErrors, export, label_errors, open_foreign
from .methods.recycled import Recycled, SharedSpace
from .methods.strategies import Method, OneByOne
from .ordering import order
from .pipeline import generate
from .placing.merging import merge
from .placing.shard_job import FinishedShard, generate_shard
from .progress import Progress
from .reader import Dataset
from .reader import open_dataset as open
from .transient import March, TransientFamily

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
