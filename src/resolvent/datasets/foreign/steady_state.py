"""How far the labels of a Darcy set are from the steady state that they stand for.

PDEBench's Darcy labels are frames of a march of u_t = ∇·(a∇u) + β from a random initial state, taken at a time when
some of them are far from steady. The steady state solves −∇·(a∇u) = β with u = 0 on the boundary, discretely, and which
discretisation that is differs between authors. Four are tried on a few samples, and the one with the smallest distance
of any label is taken for all, so that no label is blamed for another convention; the smallest, because a label that is
far from steady says nothing about the convention:

- the coefficient on a face is the *arithmetic* or the *harmonic* mean of that in the two cells;
- u is zero on the *wall*, half a cell from the outermost centres, with flux 2au/h, or in a *ghost* cell a whole cell
  away, with flux au/h.

Arithmetic means with a ghost cell are what the stepping of PDEBench's Darcy sets implies; harmonic means with a wall
are what `Darcy2D` uses. Where the outermost points lie on the boundary, their values are given and the equation holds
inside, for both means.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ...operators import Ensemble, Stencil
from ..errors import FormatError
from .foreign_set import ForeignSet
from .opening import open_foreign

TOLERANCE = 1e-4
"""Relative error of a label above which it is flagged: a hundredth of 1e-2, the error of good models of Darcy flow."""
_TOGETHER = 8
_TRIED = 24
_RTOL = 1e-10
"""Of the solves: far below single precision, in which labels are."""
_ACCEPTED = 1e-8
"""Relative residual up to which a steady state is taken for known."""


@dataclasses.dataclass(frozen=True)
class Discretisation:
    """One way to write −∇·(a∇u) on a grid.

    Attributes
    ----------
    mean : {"arithmetic", "harmonic"}
        Of the coefficient, on a face.
    edge : {"wall", "ghost", "nodes"}
        Where u = 0.
    """

    mean: str
    edge: str

    def __post_init__(self) -> None:
        if self.mean not in ("arithmetic", "harmonic") or self.edge not in ("wall", "ghost", "nodes"):
            raise ValueError(
                f"expected the mean 'arithmetic' or 'harmonic' and the edge 'wall', 'ghost' or 'nodes', got {self!r}"
            )

    def __str__(self) -> str:
        where = {
            "wall": "u = 0 half a cell from the outermost centres",
            "ghost": "u = 0 a whole cell from the outermost centres",
            "nodes": "u = 0 at the outermost nodes",
        }
        return f"{self.mean} face means, {where[self.edge]}"

    def assemble(self, a: np.ndarray, spacing: tuple[float, ...]) -> Stencil:
        """Return the operator for a coefficient (X, Y)."""
        faces = []
        for axis, h in enumerate(spacing):
            low, high = (np.moveaxis(a, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
            inner = 0.5 * (low + high) if self.mean == "arithmetic" else 2.0 * low * (high / (low + high))
            if self.edge == "nodes":
                t = np.moveaxis(inner, 0, axis)[(slice(None) if axis == 0 else slice(1, -1), *_inside(axis, a.ndim))]
            else:
                ends = np.moveaxis(a, axis, 0)[[0, -1]] * (2.0 if self.edge == "wall" else 1.0)
                t = np.moveaxis(np.concatenate([ends[:1], inner, ends[1:]]), 0, axis)
            faces.append(t / h**2)
        return Stencil.from_transmissibilities(faces)


def _inside(axis: int, dim: int) -> tuple[slice, ...]:
    """Return the slices of the axes after the first: all of `axis`, without boundary nodes the others."""
    return tuple(slice(None) if other == axis else slice(1, -1) for other in range(1, dim))


@dataclasses.dataclass(frozen=True)
class LabelErrors:
    """What `label_errors` found.

    Attributes
    ----------
    errors : (n,) array
        ‖u − u*‖₂/‖u*‖₂ of each label u, u* its steady state; NaN where there is none.
    discretisation : Discretisation
        The one the labels are measured in.
    tried : dict of Discretisation to float
        Smallest error on a few samples; empty if the discretisation was given.
    """

    errors: np.ndarray
    discretisation: Discretisation
    tried: Mapping[Discretisation, float]

    @property
    def median(self) -> float:
        """Median error."""
        return _over_known(np.median, self.errors)

    @property
    def most(self) -> float:
        """Error below which nine labels of ten are."""
        return _over_known(lambda errors: np.quantile(errors, 0.9), self.errors)

    @property
    def worst(self) -> float:
        """Largest error."""
        return _over_known(np.max, self.errors)

    def flagged(self, tolerance: float = TOLERANCE) -> np.ndarray:
        """Return the samples whose error is above a tolerance, or unknown."""
        return np.flatnonzero(~(self.errors <= tolerance))

    def __str__(self) -> str:
        return f"median {self.median:.2e}, 90 % below {self.most:.2e}, worst {self.worst:.2e}"


def _over_known(what: Callable[[np.ndarray], float], errors: np.ndarray) -> float:
    """Return a number of the errors that are known; NaN if there are none."""
    known = errors[~np.isnan(errors)]
    return float(what(known)) if known.size else float("nan")


def label_errors(
    data: str | Path | ForeignSet,
    *,
    discretisation: Discretisation | None = None,
    on_sample: Callable[[int, float], None] | None = None,
) -> LabelErrors:
    """Return how far each label of a set in PDEBench's Darcy layout is from the discrete steady state.

    Every sample is solved again, in double precision, with about the work of generating it.

    Parameters
    ----------
    data : path or ForeignSet
        In the layout ``darcy`` of ``pdebench``; of a ForeignSet its selected samples.
    discretisation : Discretisation, optional
        That of the labels, where it is known; by default the one that fits best.
    on_sample : callable, optional
        Called with the number of samples done and the largest error so far.

    Raises
    ------
    FormatError
        If the set has another layout, its grid is not uniform, or it does not say β.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from resolvent import datasets
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> ours = datasets.generate(datasets.families.get("darcy", resolution=16), 8, out=folder / "darcy.h5")
    >>> report = datasets.export(ours, "pdebench", folder / "darcy.hdf5")
    >>> found = datasets.label_errors(folder / "darcy.hdf5")
    >>> found.worst < 1e-6, str(found.discretisation)
    (True, 'harmonic face means, u = 0 half a cell from the outermost centres')
    """
    if not isinstance(data, ForeignSet):
        with open_foreign(data) as opened:
            return label_errors(opened, discretisation=discretisation, on_sample=on_sample)
    spacing, on_boundary = _grid(data)
    beta = source_term(data)
    n = len(data)
    if n == 0:
        raise FormatError(f"{data.path} holds no samples")
    tried: dict[Discretisation, float] = {}
    if discretisation is None:
        edges = ("nodes",) if on_boundary else ("wall", "ghost")
        pilot = np.unique(np.linspace(0, n - 1, min(_TRIED, n)).round().astype(int))
        for mean, edge in itertools.product(("arithmetic", "harmonic"), edges):
            way = Discretisation(mean, edge)
            tried[way] = _over_known(np.min, _errors(data, pilot, way, spacing, beta))
        discretisation = min(tried, key=lambda way: np.inf if np.isnan(tried[way]) else tried[way])
    errors = np.empty(n)
    for first in range(0, n, _TOGETHER):
        rows = np.arange(first, min(first + _TOGETHER, n))
        errors[rows] = _errors(data, rows, discretisation, spacing, beta)
        if on_sample is not None:
            on_sample(int(rows[-1]) + 1, max(_over_known(np.max, errors[: rows[-1] + 1]), 0.0))
    return LabelErrors(errors, discretisation, tried)


def steady_states(data: ForeignSet, rows: np.ndarray, way: Discretisation) -> np.ndarray:
    """Return the steady states of some samples in one discretisation: (n, X, Y); NaN where there is none."""
    spacing, _ = _grid(data)
    return _solved(data.column("nu", rows).astype(np.float64), way, spacing, source_term(data))


def _errors(
    data: ForeignSet, rows: np.ndarray, way: Discretisation, spacing: tuple[float, ...], beta: float
) -> np.ndarray:
    a, u = (data.column(name, rows).astype(np.float64) for name in ("nu", "tensor"))
    exact = _solved(a, way, spacing, beta)
    axes = tuple(range(1, exact.ndim))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = np.sqrt(np.sum((u - exact) ** 2, axis=axes) / np.sum(exact**2, axis=axes))
    return found


def _solved(a: np.ndarray, way: Discretisation, spacing: tuple[float, ...], beta: float) -> np.ndarray:
    """Return the solutions for coefficients (n, X, Y); NaN where a coefficient is not admissible."""
    from ...solvers import MultigridCG

    exact = np.full(a.shape, np.nan)
    for first in range(_TOGETHER, len(a), _TOGETHER):
        exact[first : first + _TOGETHER] = _solved(a[first : first + _TOGETHER], way, spacing, beta)
    a = a[:_TOGETHER]
    inner = tuple(slice(1, -1) if way.edge == "nodes" else slice(None) for _ in spacing)
    usable = np.flatnonzero((np.isfinite(a) & (a > 0.0)).reshape(len(a), -1).all(axis=1))
    if not usable.size:
        return exact
    systems = [way.assemble(a[i], spacing) for i in usable]
    b = np.full((systems[0].shape[0], len(usable)), beta)
    result = MultigridCG(rtol=_RTOL).solve(Ensemble(systems), b)
    x = np.asarray(result.x).reshape(systems[0].shape[0], len(usable))
    for column, i in enumerate(usable):
        found = result.columns[column] if result.columns else result
        if found.residual_norm <= _ACCEPTED * found.rhs_norm:
            field = np.zeros(a.shape[1:])
            field[inner] = x[:, column].reshape(field[inner].shape)
            exact[i] = field
    return exact


def _grid(data: ForeignSet) -> tuple[tuple[float, ...], bool]:
    """Return the spacings, and whether the outermost points lie on the boundary."""
    if (data.format, data.layout) != ("pdebench", "darcy"):
        raise FormatError(
            f"{data.path} has the layout {data.layout!r} of {data.format}: the distance to the steady state is known "
            "for PDEBench's Darcy layout only"
        )
    spacing = []
    shape = data.fields["nu"].shape
    ends = []
    for axis, (name, n) in enumerate(zip(("x", "y"), shape, strict=True)):
        if name not in data.axes or data.axes[name].shape != (n,):
            raise FormatError(f"{data.path} lacks {name}-coordinate with {n} entries, one for each row of axis {axis}")
        x = data.axes[name].astype(np.float64)
        h = (x[-1] - x[0]) / (n - 1) if n > 1 else np.nan
        # Coordinates are in single precision.
        if not (h > 0.0 and np.allclose(np.diff(x), h, rtol=0.0, atol=1e-3 * h + 4e-7 * np.abs(x).max())):
            raise FormatError(f"{data.path}: {name}-coordinate is not uniform and increasing, as PDEBench's grids are")
        spacing.append(float(h))
        # A domain from 0 on: centres begin at h/2, nodes at 0.
        ends.append(abs(x[0]) < 0.25 * h)
    return tuple(spacing), all(ends)


def source_term(data: ForeignSet) -> float:
    """Return β; raise FormatError if the set does not say it."""
    beta = data.attributes.get("beta")
    if isinstance(beta, list) and len(beta) == 1:
        beta = beta[0]
    if not isinstance(beta, int | float) or not np.isfinite(beta) or beta == 0:
        raise FormatError(
            f"{data.path} does not say its source β: expected the root attribute beta, a number other than 0, found "
            f"{beta!r}"
        )
    return float(beta)
