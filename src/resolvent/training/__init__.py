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
from .checkpoint import TrainedOn, load_model, trained_on
from .config import TrainingConfig
from .data import Pairs, as_pairs
from .errors import CheckpointError, NonFiniteError, TrainingError, TrainingInterrupted
from .evaluation import Errors, relative_errors, sweep
from .export import export_onnx, export_program, export_trained
from .geometry import Geometry
from .implicit_diffusion import solve_diffusion
from .local_bases import LocalBases
from .logs import CSVRecorder, Recorder, TensorBoardRecorder, read_log
from .losses import build_loss
from .physical import PhysicalOperator
from .progress import TrainingProgress
from .rollout import Rollout, rollout
from .schedules import Schedule
from .solver_in_loop import Correction
from .spectra import Spectrum, error_spectrum
from .table import Table
from .trainer import Trained, Trainer

__all__ = [
    "CSVRecorder",
    "CheckpointError",
    "Correction",
    "Errors",
    "Geometry",
    "LocalBases",
    "NonFiniteError",
    "Pairs",
    "PhysicalOperator",
    "Recorder",
    "Rollout",
    "Schedule",
    "Spectrum",
    "Table",
    "TensorBoardRecorder",
    "Trained",
    "TrainedOn",
    "Trainer",
    "TrainingConfig",
    "TrainingError",
    "TrainingInterrupted",
    "TrainingProgress",
    "as_pairs",
    "build_loss",
    "error_spectrum",
    "export_onnx",
    "export_program",
    "export_trained",
    "load_model",
    "read_log",
    "relative_errors",
    "rollout",
    "solve_diffusion",
    "sweep",
    "train",
    "trained_on",
]
