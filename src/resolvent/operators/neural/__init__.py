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

from .differential import DifferentialConvolution
from .fno import FNO
from .linear_map import NeuralMap
from .local_fno import LocalFNO
from .local_integral import LocalIntegral
from .mgno import MgNO
from .mgno_cycle import VCycle
from .model import NeuralOperator
from .parameters import count_params
from .registry import MODELS, build
from .separable_convolution import SeparableConv
from .unet import UNet

__all__ = [
    "FNO",
    "MODELS",
    "DifferentialConvolution",
    "LocalFNO",
    "LocalIntegral",
    "MgNO",
    "NeuralMap",
    "NeuralOperator",
    "SeparableConv",
    "UNet",
    "VCycle",
    "build",
    "count_params",
]
