"""Datasets in other people's formats: written, read and certified.

Each format has one file that describes and writes it and one that reads it, because the layout is one set of facts but
reading has to take what others wrote. `exporting`, `opening` and `verifying` choose among them.

===================  ==================================================================================
format               holds
===================  ==================================================================================
``pdebench``         2-D Darcy flow with a constant source; trajectories that follow from their initial
                     state, in one dimension or as numbered groups
``the_well``         everything on a grid: stationary or not, scalars, vectors, complex numbers as pairs
``neuraloperator``   everything on a grid that has an input
===================  ==================================================================================
"""

from __future__ import annotations

from .exporting import Exported, export
from .foreign_set import ForeignSet
from .opening import open_foreign
from .recognition import DATASET_FORMATS, MODEL_FORMATS, foreign_format, is_model
from .steady_state import Discretisation, LabelErrors, label_errors, steady_states
from .verifying import verify_foreign

__all__ = [
    "DATASET_FORMATS",
    "MODEL_FORMATS",
    "Discretisation",
    "Exported",
    "ForeignSet",
    "LabelErrors",
    "export",
    "foreign_format",
    "is_model",
    "label_errors",
    "open_foreign",
    "steady_states",
    "verify_foreign",
]
