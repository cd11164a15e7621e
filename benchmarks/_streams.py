"""Streams of related systems, all from fixed seeds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from resolvent.datasets.families.coefficients import coefficient_law
from resolvent.datasets.families.convection_diffusion import ConvectionDiffusion2D
from resolvent.datasets.families.darcy import Darcy2D
from resolvent.datasets.families.heat_step import HeatStep2D
from resolvent.datasets.families.helmholtz import Helmholtz2D
from resolvent.operators import as_operator

Kind = Literal["definite", "nonsymmetric", "complex symmetric"]
PECLET = 100.0


@dataclasses.dataclass(frozen=True)
class Stream:
    """Systems in their order.

    Attributes
    ----------
    related : bool
        Whether neighbours have more in common than any two systems of the stream.
    """

    name: str
    kind: Kind
    systems: list[tuple[Any, np.ndarray]]
    related: bool = True


def rotating(draw: Callable[[np.random.Generator], np.ndarray], count: int, angle: float, seed: int) -> Any:
    """Yield a path of Gaussian fields of one law, neighbours correlated by cos(angle): AR(1)."""
    rng = np.random.default_rng(seed)
    g = draw(rng)
    for _ in range(count):
        yield g
        g = math.cos(angle) * g + math.sin(angle) * draw(rng)


def darcy(coefficients: Iterable[np.ndarray], grid: Literal["cell", "vertex"] = "cell") -> list[tuple[Any, np.ndarray]]:
    """Return −∇·(a∇u) = 1 for each coefficient."""
    fields = list(coefficients)
    family = Darcy2D(resolution=fields[0].shape[0], grid=grid)
    return [tuple(family.assemble({"a": a})) for a in fields]


def independent(
    law: str, n: int, count: int, seed: int = 0, grid: Literal["cell", "vertex"] = "cell"
) -> list[np.ndarray]:
    """Return independent coefficients of a law."""
    chosen = coefficient_law(law, 2)
    return [chosen.draw(np.random.default_rng([seed, i]), n, grid) for i in range(count)]


def nearest_neighbours(fields: list[np.ndarray]) -> list[np.ndarray]:
    """Return the fields in the order of a greedy walk from the first to the nearest one left, in the Frobenius norm."""
    left, order = list(range(1, len(fields))), [0]
    while left:
        here = fields[order[-1]]
        order.append(left.pop(int(np.argmin([np.linalg.norm(fields[i] - here) for i in left]))))
    return [fields[i] for i in order]


def published_skr(a: np.ndarray) -> tuple[Any, np.ndarray]:
    """Return the system of the released code of arXiv 2401.09516 for one coefficient, its index fault corrected.

    Its five-point stencil takes every coefficient at the column, not at the face: it is −Δ(a u) = 1, A = L diag(a),
    with the constant L = (4 on the diagonal, −1 for the four neighbours) on the inner nodes.
    """
    inner = a[1:-1, 1:-1]
    n = inner.shape[0]
    T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
    L = sp.csr_array(sp.kron(T, sp.eye_array(n)) + sp.kron(sp.eye_array(n), T))
    matrix = sp.csr_array((L.data * inner.ravel()[L.indices], L.indices, L.indptr), shape=L.shape)
    return as_operator(matrix), np.ones(n * n)


def shifted_lower_block(matrix: Any, s: int, shift: int = 2) -> sp.csr_array:
    """Return a matrix with its block at offset −s read from `shift` entries before its start: the released index error.

    Row r holds the coefficient of its neighbour r − s in entry r of a vector. A diagonal at offset −s begins with row
    s, so the vector has to be sliced from s; sliced from s − 2 and cut to length, every coefficient moves two rows.
    """
    matrix = sp.csr_array(matrix)
    # The first line has boundary faces in these places; any number will do, but zero would change the pattern too.
    per_row = np.concatenate([np.full(s, matrix.diagonal(-s)[0]), matrix.diagonal(-s)])
    start = s - shift
    faulty = per_row[start : start + matrix.shape[0] - s]
    return sp.csr_array(matrix - sp.diags_array(matrix.diagonal(-s), offsets=-s) + sp.diags_array(faulty, offsets=-s))


def heat(n: int, count: int) -> list[tuple[Any, np.ndarray]]:
    """Return implicit Euler steps with drifting conductivity, and step lengths that change by half up and down."""
    family = HeatStep2D(resolution=n, coefficient="lognormal_unit")
    path = family.march(np.random.default_rng(1), count, dt=lambda i: 2.5e-3 * (1.0 + 0.5 * math.sin(0.7 * i)))
    return [tuple(step.system) for step in path]


def wind(n: int, count: int, angle: float = 0.1) -> list[tuple[Any, np.ndarray]]:
    """Return convection and diffusion at one Péclet number in a wind that turns into another."""
    family = ConvectionDiffusion2D(resolution=n + 2)
    psi = rotating(lambda rng: family.draw(rng)["psi"], count, angle, seed=2)
    return [tuple(family.assemble({"psi": p, "peclet": np.asarray(PECLET)})) for p in psi]


def frequencies(n: int, count: int, width: float = 0.02) -> list[tuple[Any, np.ndarray]]:
    """Return one medium and source at wave numbers that sweep ±width about ten points a wavelength."""
    k = 2.0 * math.pi * n / 10.0
    inputs = Helmholtz2D(resolution=n, wavenumber=k).draw(np.random.default_rng(3))
    sweep = np.linspace(1.0 - width, 1.0 + width, count)
    return [tuple(Helmholtz2D(resolution=n, wavenumber=float(k * s)).assemble(inputs)) for s in sweep]


def media(n: int, count: int, width: float = 0.1, angle: float = 0.1) -> list[tuple[Any, np.ndarray]]:
    """Return one frequency and source in media whose speed, of standard deviation `width`, changes slowly."""
    family = Helmholtz2D(resolution=n, wavenumber=2.0 * math.pi * n / 10.0)
    source = family.draw(np.random.default_rng(3))["source"]
    field = coefficient_law("lognormal_unit", 2).field
    path = rotating(lambda rng: field.sample(rng, n), count, angle, seed=4)
    return [tuple(family.assemble({"m": np.exp(-2.0 * width * g), "source": source})) for g in path]


def streams(n: int, count: int, half: int) -> list[Stream]:
    """Return all streams: paths and time steps of `count` systems on n × n, the others on half × half.

    Of independent samples there are twice as many, so that sorting has something to choose from.
    """
    field = coefficient_law("lognormal_unit", 2).field  # that of fno_lognormal at unit variance
    samples = independent("lognormal_unit", half, 2 * count)

    def path(angle: float) -> list[tuple[Any, np.ndarray]]:
        return darcy(np.exp(g) for g in rotating(lambda rng: field.sample(rng, n), count, angle, seed=0))

    return [
        Stream("Darcy, path, cos 0.1", "definite", path(0.1)),
        Stream("Darcy, path, cos 0.02", "definite", path(0.02)),
        Stream("Darcy, independent", "definite", darcy(samples), related=False),
        Stream("Darcy, independent, sorted", "definite", darcy(nearest_neighbours(samples)), related=False),
        Stream("heat, implicit steps", "definite", heat(n, count)),
        Stream("convection–diffusion, wind", "nonsymmetric", wind(half, count)),
        Stream("Helmholtz, frequency ±2 %", "complex symmetric", frequencies(half, count)),
        Stream("Helmholtz, medium ±10 %", "complex symmetric", media(half, count)),
    ]
