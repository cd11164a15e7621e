"""Training and evaluation of neural operators: from a dataset to a model that says how good it is.

`train` does it in one call, `Trainer` step by step; `load_model` reads what either has kept.
"""

from __future__ import annotations

if "." not in __name__:
    raise ImportError("import it as resolvent.training: training/ at the repository root is only a link")

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError('training needs torch: pip install "resolvent[learn]"') from error

from .api import train
from .checkpoint import load_model
from .config import TrainingConfig
from .data import Pairs, as_pairs
from .errors import CheckpointError, NonFiniteError, TrainingError, TrainingInterrupted
from .export import export_onnx, export_program
from .geometry import Geometry
from .logs import CSVRecorder, Recorder, TensorBoardRecorder, read_log
from .losses import build_loss
from .physical import PhysicalOperator
from .progress import TrainingProgress
from .schedules import Schedule
from .trainer import Trained, Trainer

__all__ = [
    "CSVRecorder",
    "CheckpointError",
    "Geometry",
    "NonFiniteError",
    "Pairs",
    "PhysicalOperator",
    "Recorder",
    "Schedule",
    "TensorBoardRecorder",
    "Trained",
    "Trainer",
    "TrainingConfig",
    "TrainingError",
    "TrainingInterrupted",
    "TrainingProgress",
    "as_pairs",
    "build_loss",
    "export_onnx",
    "export_program",
    "load_model",
    "read_log",
    "train",
]
