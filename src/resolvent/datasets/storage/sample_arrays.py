"""The arrays of one sample on their way between family and file: checked, in storage or in working precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..discrete_problem import DiscreteProblem
from ..errors import SampleError
from ..family import Family, FieldSpec, Inputs
from ..seeding import sample_rng
from .file_format import Layout


def drawn_inputs(family: Family, layout: Layout, seed: int, index: int) -> dict[str, np.ndarray]:
    """Draw parameters and inputs of one sample as they are stored.

    Raises
    ------
    SampleError
        If the family gives something else than its `fields` announce.
    """
    drawn = family.draw(sample_rng(seed, family.family_id, index))
    check_arrays(drawn, family, layout, ("parameter", "input"), index)
    names = layout.names("parameter", "input")
    return {name: np.asarray(drawn[name], dtype=layout.fields[name].dtype) for name in names}


class FirstSample(NamedTuple):
    """The first sample of a set whose problem is admissible."""

    number: int
    inputs: Inputs
    problem: DiscreteProblem

    @property
    def system(self) -> Any:
        """What a method is given of it."""
        return self.problem.task


def first_sample(family: Family, seed: int) -> FirstSample:
    """Return the sample from which a set is judged before it is made.

    Raises
    ------
    SampleError
        If none of the first hundred draws gives an admissible problem.
    """
    layout = Layout(family, "float64")
    problem = ""
    for index in range(100):
        inputs = working_inputs(drawn_inputs(family, layout, seed, index), layout)
        try:
            return FirstSample(index, inputs, family.pose(inputs))
        except ValueError as error:
            problem = str(error)
    raise SampleError(f"none of the first 100 draws of {family.name} can be assembled, the last because: {problem}")


def working_inputs(stored: Mapping[str, np.ndarray], layout: Layout) -> dict[str, np.ndarray]:
    """Return a copy of stored inputs in working precision: problems are assembled from what is stored."""
    names = layout.names("parameter", "input")
    return {name: np.asarray(stored[name]).astype(_working(stored[name].dtype), copy=True) for name in names}


def working_solution(stored: Mapping[str, np.ndarray], layout: Layout) -> dict[str, np.ndarray]:
    """Return stored solution fields in working precision."""
    return {name: np.asarray(stored[name]).astype(_working(stored[name].dtype)) for name in layout.names("solution")}


def _working(dtype: np.dtype) -> np.dtype:
    """Precision in which stored numbers are worked with."""
    return {"f": np.dtype(np.float64), "c": np.dtype(np.complex128)}.get(dtype.kind, dtype.newbyteorder("="))


def check_arrays(arrays: Mapping[str, Any], family: Family, layout: Layout, roles: tuple[str, ...], index: int) -> None:
    """Raise SampleError unless a family returned what its field specifications announce."""
    expected = layout.names(*roles)
    if sorted(arrays) != sorted(expected):
        raise SampleError(f"{family.name} gave {sorted(arrays)} for sample {index}, its fields() announce {expected}")
    for name in expected:
        value, spec = np.asarray(arrays[name]), layout.specs[name]
        if value.shape != tuple(spec.shape):
            raise SampleError(
                f"{family.name} gave {name!r} of shape {value.shape} for sample {index}, announced {spec.shape}"
            )
        if not _fits(value.dtype, spec):
            raise SampleError(f"{family.name} gave {name!r} of dtype {value.dtype} for sample {index}, not {spec.kind}")
        if "solution" not in roles and value.dtype.kind in "fc" and not np.isfinite(value).all():
            raise SampleError(f"{family.name} gave {name!r} with values that are not finite for sample {index}")


def _fits(dtype: np.dtype, spec: FieldSpec) -> bool:
    return dtype.kind in {"real": "fiu", "complex": "fciu", "integer": "iu", "boolean": "b"}[spec.kind]
