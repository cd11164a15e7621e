"""What a dataset family is: the contract between one equation's file and the pipeline.

A family is a frozen dataclass whose fields are its options (resolution, grid, coefficient law, …), so that its
configuration is printable, comparable and storable. It draws the inputs of one sample from a given random stream,
turns inputs into the discrete problem, and lays out the solution as it is stored. Everything else (seeding, chunks,
certification, files) belongs to the pipeline and is the same for every family: `discrete_problem` has the only
difference that there is, between families of linear systems and those of trajectories (`transient`).
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from ..operators import LinearOperator
from .linear_problem import LinearProblem

if TYPE_CHECKING:
    from .discrete_problem import DiscreteProblem
    from .methods.strategies import Method

Inputs = Mapping[str, np.ndarray]
"""Named arrays of one sample that, with the family's options, determine its discrete problem."""


class System(NamedTuple):
    """One discrete linear problem A x = b in float64 (or complex128)."""

    A: LinearOperator
    b: np.ndarray


@dataclasses.dataclass(frozen=True)
class FieldSpec:
    """Shape, meaning and units of one stored array of a sample.

    Attributes
    ----------
    shape : tuple of int
        Without the sample axis; ``()`` for a number.
    role : {"parameter", "input", "solution"}
        Parameters and inputs together rebuild the problem; inputs are what a neural operator is given.
    kind : {"real", "complex", "integer", "boolean"}
        What the numbers are. Real and complex inputs and solutions are stored in the precision of the set,
        parameters always in double precision.
    """

    shape: tuple[int, ...]
    role: str
    description: str
    units: str = "1"
    kind: str = "real"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family(abc.ABC):
    """A parametrised PDE on one grid, and the random law of its inputs.

    Class attributes describe the equation; dataclass fields are options with defaults, checked in `__post_init__`.
    """

    name: ClassVar[str]
    """Canonical name, such as ``darcy2d``."""
    aliases: ClassVar[tuple[str, ...]] = ()
    family_id: ClassVar[int]
    """Enters the seed of every sample: never reuse or change one."""
    title: ClassVar[str]
    equation: ClassVar[str]
    domain: ClassVar[str]
    boundary: ClassVar[str]
    licence: ClassVar[str] = "CC-BY-4.0"
    default_rtol: ClassVar[float] = 1e-8
    """Largest rho that `generate` accepts unless told otherwise."""
    evidence: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Names and meanings of columns that its certificates have besides the common ones."""

    resolution: int = 64

    @abc.abstractmethod
    def fields(self) -> dict[str, FieldSpec]:
        """Return the stored arrays of a sample, by name."""

    @abc.abstractmethod
    def axes(self) -> dict[str, np.ndarray]:
        """Return the coordinates of the stored grid, by axis name (``x``, ``y``, …)."""

    @abc.abstractmethod
    def law(self) -> str:
        """Return one sentence with the random law of the inputs under the present options."""

    @abc.abstractmethod
    def draw(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw the parameters and inputs of one sample in float64.

        The draw is nested under refinement: the same stream gives the same field on every grid.
        """

    @abc.abstractmethod
    def pose(self, inputs: Inputs) -> DiscreteProblem:
        """Return the discrete problem of one sample; raise ValueError if its inputs are not admissible."""

    def refined(self) -> Self:
        """Return the family on a grid twice as fine: 2n points a side, or 2n − 1 where boundary nodes are stored."""
        n = self.resolution
        return dataclasses.replace(self, resolution=2 * n - 1 if getattr(self, "grid", "cell") == "vertex" else 2 * n)

    def own_method(self, rtol: float, chunk: int = 1) -> Method | None:
        """Return the method that alone can make its samples; None if its systems may be solved by any.

        `chunk` is the number of samples in a chunk, of which the method's window must be a whole part.
        """
        return None

    def config(self) -> dict[str, Any]:
        """Return the options as plain values, `name` included: what a dataset file stores and a rerun must equal."""
        return {"family": self.name, **dataclasses.asdict(self)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearFamily(Family):
    """A stationary family: one linear system a sample, certified by its relative residual."""

    multigrid_iterations: ClassVar[int] = 0
    """Iterations that its systems may take `MultigridCG` without being given up, where that is more than usual."""

    def pose(self, inputs: Inputs) -> DiscreteProblem:
        """Return the problem of one sample; raise ValueError if its inputs are not admissible."""
        return LinearProblem(self, inputs)

    @abc.abstractmethod
    def assemble(self, inputs: Inputs) -> System:
        """Build A and b from the inputs of one sample; raise ValueError if they are not admissible."""

    @abc.abstractmethod
    def expand(self, x: np.ndarray, inputs: Inputs) -> dict[str, np.ndarray]:
        """Turn the vector of unknowns into the stored solution fields (boundary nodes included)."""

    @abc.abstractmethod
    def restrict(self, solution: Mapping[str, np.ndarray]) -> np.ndarray:
        """Recover the vector of unknowns from stored solution fields: the inverse of `expand`."""

    def near_null_space(self) -> np.ndarray | None:
        """Return an (n, q) array of what a coupled system nearly maps to zero, for aggregation; None if not known."""
        return None

    def checks(self, inputs: Inputs, system: System) -> Sequence[tuple[str, bool, str]]:
        """Return (name, passed, detail) of structural checks that the discretisation must pass for these inputs."""
        return ()
