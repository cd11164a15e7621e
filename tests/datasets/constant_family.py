"""A family with one matrix for all samples."""

import dataclasses
from typing import ClassVar

import numpy as np

from resolvent.datasets import FieldSpec, LinearFamily, System
from resolvent.datasets.schemes.diffusion import cell_transmissibilities
from resolvent.operators import Stencil


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConstantDiffusion(LinearFamily):
    """−level Δu = f with random f."""

    name: ClassVar[str] = "constant"
    family_id: ClassVar[int] = 999
    title: ClassVar[str] = "Constant diffusion"
    equation: ClassVar[str] = "−level Δu = f"
    domain: ClassVar[str] = "(0, 1)²"
    boundary: ClassVar[str] = "u = 0"
    level: float = 1.0

    def fields(self):
        shape = (self.resolution,) * 2
        return {"f": FieldSpec(shape, "input", "source"), "u": FieldSpec(shape, "solution", "solution")}

    def axes(self):
        return dict.fromkeys("xy", (np.arange(self.resolution) + 0.5) / self.resolution)

    def law(self):
        return "f of independent normal numbers."

    def draw(self, rng):
        return {"f": rng.standard_normal((self.resolution,) * 2)}

    def assemble(self, inputs):
        n = self.resolution
        faces = cell_transmissibilities(np.full((n, n), self.level), 1.0 / n, 2)
        return System(Stencil.from_transmissibilities(faces), np.asarray(inputs["f"]).ravel())

    def expand(self, x, inputs):
        return {"u": x.reshape((self.resolution,) * 2)}

    def restrict(self, solution):
        return solution["u"].ravel()
