"""Training and evaluation of neural operators: from a dataset to a model that says how good it is.

`train` does it in one call, `Trainer` step by step; `load_model` reads what either has kept.

===================  ===================================================================================================
folder               holds
===================  ===================================================================================================
``data``             pairs from arrays and datasets, geometry of their grids, normalisers
``physics``          models in physical units, linear systems of an equation, solvers inside of a network
``losses``           losses and metrics, those of equations included
``evaluation``       errors on grids, over time and by frequency; tables and pictures
``runs``             checkpoints, log, card, progress, interrupts, devices, processes
``preconditioners``  training of learned preconditioners
===================  ===================================================================================================
"""

from __future__ import annotations

if "." not in __name__:
    raise ImportError("import it as resolvent.training: training/ at the repository root is only a link")

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError('training needs torch: pip install "resolvent[learn]"') from error

from .api import train
from .config import TrainingConfig
from .data.geometry import Geometry
from .data.pairs import Pairs
from .data.sources import as_pairs
from .errors import CheckpointError, NonFiniteError, TrainingError, TrainingInterrupted
from .evaluation.accuracy import Errors, relative_errors, sweep
from .evaluation.plots import plot_fields, plot_learning_curves, plot_rollout, plot_spectra, plot_sweep
from .evaluation.rollout import Rollout, rollout
from .evaluation.spectra import Spectrum, error_spectrum
from .evaluation.table import Table
from .export import export_onnx, export_program, export_trained
from .losses import build_loss
from .physics.implicit_diffusion import solve_diffusion
from .physics.local_bases import LocalBases
from .physics.physical import PhysicalOperator
from .physics.solver_in_loop import Correction
from .runs.checkpoint import TrainedOn, load_model, trained_on
from .runs.logs import CSVRecorder, Recorder, TensorBoardRecorder, read_log
from .runs.progress import TrainingProgress
from .schedules import Schedule
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
    "plot_fields",
    "plot_learning_curves",
    "plot_rollout",
    "plot_spectra",
    "plot_sweep",
    "read_log",
    "relative_errors",
    "rollout",
    "solve_diffusion",
    "sweep",
    "train",
    "trained_on",
]
