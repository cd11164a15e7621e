"""What solving costs: measured seconds of each method by kind of problem and size, and a user's own measurement."""

from __future__ import annotations

from .model import CostModel, Curve, Point
from .stored import (
    CalibrationError,
    calibrated_model,
    calibration_path,
    packaged_model,
    read_calibration,
    remove_calibration,
    write_calibration,
)
from .ways import WAYS, Way, ensemble_width

__all__ = [
    "WAYS",
    "CalibrationError",
    "CostModel",
    "Curve",
    "Point",
    "Way",
    "calibrated_model",
    "calibration_path",
    "ensemble_width",
    "packaged_model",
    "read_calibration",
    "remove_calibration",
    "write_calibration",
]
