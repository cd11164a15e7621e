"""Neural operators: maps between functions that are learned from data, on any grid of sufficient size.

`build` makes one by name, `MODELS` lists them with what each is for. All take and return fields ``(B, C, *grid)``; all
parameters are real. Each class says in `function_space` what holds when the grid is refined, and the tests hold it to
that.
"""

from __future__ import annotations

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError('neural operators need torch: pip install "resolvent[learn]"') from error

from .fno import FNO
from .model import NeuralOperator
from .monarch_operator import MonarchOperator
from .multigrid_fno import MultiGridFNO
from .parameters import count_params
from .registry import MODELS, build

__all__ = [
    "FNO",
    "MODELS",
    "MonarchOperator",
    "MultiGridFNO",
    "NeuralOperator",
    "build",
    "count_params",
]
