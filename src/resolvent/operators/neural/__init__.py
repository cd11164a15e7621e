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

from .deeponet import DeepONet, PODDeepONet
from .differential import DifferentialConvolution
from .fno import FNO
from .linear_map import NeuralMap
from .local_fno import LocalFNO
from .local_integral import LocalIntegral
from .mgno import MgNO
from .mgno_cycle import VCycle
from .model import NeuralOperator
from .monarch_operator import MonarchOperator
from .multigrid_fno import MultiGridFNO
from .network_map import NetworkMap
from .parameters import count_params
from .quadrature_attention import AttentionOperator, QuadratureAttention
from .registry import MODELS, build, entry_of
from .separable_convolution import SeparableConv
from .unet import UNet

__all__ = [
    "FNO",
    "MODELS",
    "AttentionOperator",
    "DeepONet",
    "DifferentialConvolution",
    "LocalFNO",
    "LocalIntegral",
    "MgNO",
    "MonarchOperator",
    "MultiGridFNO",
    "NetworkMap",
    "NeuralMap",
    "NeuralOperator",
    "PODDeepONet",
    "QuadratureAttention",
    "SeparableConv",
    "UNet",
    "VCycle",
    "build",
    "count_params",
    "entry_of",
]
