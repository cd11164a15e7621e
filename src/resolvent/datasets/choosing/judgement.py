"""Which of the named ways suits the systems of a family: what ``--solver auto`` takes, the same on every machine."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SampleError
from ..family import Family, LinearFamily
from ..storage.file_format import Layout
from ..storage.sample_arrays import FirstSample, drawn_inputs, working_inputs

if TYPE_CHECKING:
    from ...solvers.candidates import Estimate
    from ...solvers.costs import CostModel

AGGREGATED = 30_000
"""Unknowns of coupled fields in the plane from which aggregation with their near null space is taken. For elasticity it
was measured to take three times as long as factors on 65² nodes, a sixth less on 129², half as long on 257²."""


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The chosen way, and why.

    Attributes
    ----------
    chosen : str
        Name of a strategy.
    why : str
    estimates : tuple of Estimate
        The chosen one first.
    """

    chosen: str
    why: str
    estimates: tuple[Estimate, ...] = ()


def judge(family: Family, seed: int, found: FirstSample, rtol: float, model: CostModel | None = None) -> Judgement:
    """Decide by the structure of the first system, by whether the second has the same matrix, and by packaged costs.

    Parameters
    ----------
    found : FirstSample
        The sample to judge by.
    rtol : float
        What solvers are asked for.
    model : CostModel, optional
        Instead of the packaged one, to know what solving takes here; never to decide.
    """
    from ...operators import Props, StructureError, detect_props
    from ...solvers.candidates import candidates, ranked, told
    from ...solvers.costs import WAYS, packaged_model
    from ...solvers.multigrid.multigrid_cg import fits
    from ...solvers.structure import structure_of

    A = found.system.A
    props, matrix = A.props, None
    if not fits(A):
        try:
            matrix = A.to_sparse()
        except StructureError:
            return Judgement("direct", f"{A.shape[0]} unknowns, entries not stored: no other method is sure to apply")
        if not props & (Props.SYMMETRIC | Props.SELF_ADJOINT):
            props |= detect_props(matrix)
    structure = structure_of(A, props, matrix)
    if structure is not None:
        # Entries a row only suggest the dimension of an operator without a grid: vector fields in the plane have many.
        structure = dataclasses.replace(structure, dimension=min(structure.dimension, len(family.axes())))
    constant = _constant(family, seed, found)
    systems, rhs = (1.0, math.inf) if constant else (math.inf, 1.0)
    model = packaged_model() if model is None else model
    names = None
    traits = f"{A.shape[0]} unknowns, {structure}" + (", one matrix for all samples" if constant else "")
    if structure is not None and _coupled(family):
        # Coarsening and incomplete factors were measured for scalar equations, and take many times longer for others.
        names = [name for name in candidates(structure) if not WAYS[name].iterative] or None
        traits += ", several fields coupled"
        if A.shape[0] >= AGGREGATED and isinstance(family, LinearFamily) and family.near_null_space() is not None:
            why = f"{traits}: from {AGGREGATED} unknowns on aggregation with their near null space beats factors"
            return Judgement("cg+amg:aggregation", why)
        traits += ", for which the costs of factors alone are known"
    estimates = () if structure is None else ranked(structure, model, names, n_systems=systems, rhs=rhs, rtol=rtol)
    if not estimates:
        return Judgement("direct", f"{traits}: no other method is sure to converge")
    if constant and estimates[0].way == "direct":
        from ..methods.superposition import rhs_dimension

        dimension = rhs_dimension(family, seed, found)
        if dimension is not None:
            why = f"{traits}, right-hand sides of {dimension} dimensions: a chunk combines as many solutions"
            return Judgement("superposition", f"{why}, each {told(estimates, model, 'a system')}", estimates)
    alone = "; no iterative method is sure to converge" if len(estimates) == 1 and not _coupled(family) else ""
    return Judgement(estimates[0].way, f"{traits}: {told(estimates, model, 'a sample')}{alone}", estimates)


def _coupled(family: Family) -> bool:
    """Whether the equation is one for several fields."""
    return sum(spec.role == "solution" for spec in family.fields().values()) > 1


def same_matrix(A: Any, B: Any) -> bool:
    """Whether two operators are one, or have the same entries. Stops at the first that differs in kind or shape."""
    from ...operators import Sparse, Stencil

    if A is B:
        return True
    if isinstance(A, Stencil) and isinstance(B, Stencil):
        alike = (A.offsets, A.mirrored, A.props, A.dtype) == (B.offsets, B.mirrored, B.props, B.dtype)
        return alike and _equal(A.coefficients, B.coefficients)
    if type(A) is Sparse and type(B) is Sparse and A.props == B.props and A.shape == B.shape:
        parts = ("data", "indices", "indptr")
        return all(_equal(getattr(A.matrix, part), getattr(B.matrix, part)) for part in parts)
    return False


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are equal: unequal ones nearly always differ at the start, so that is looked at first."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    a, b = a.reshape(-1), b.reshape(-1)
    return np.array_equal(a[:512], b[:512]) and np.array_equal(a, b)


def _constant(family: Family, seed: int, found: FirstSample) -> bool:
    """Whether the next sample has the matrix of the first."""
    layout = Layout(family, "float64")
    try:
        other = family.pose(working_inputs(drawn_inputs(family, layout, seed, found.number + 1), layout)).task
    except (ValueError, SampleError):
        return False
    return same_matrix(found.system.A, other.A)
