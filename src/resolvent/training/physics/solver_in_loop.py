"""Steps of a solver after a network, as a layer: trained on what the solver makes of its predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch

from ...operators import SPD, StructureError
from ...operators.neural.model import check_whole, plain
from .discrete_systems import DiscreteSystems, FamilySpec


@final
class Correction(torch.nn.Module):
    """A few steps of preconditioned conjugate gradients on A u = b from a predicted u.

    A and b are assembled from the inputs by a dataset family; the preconditioner is the inverse of the operator with
    constant coefficients nearest to A. All of it is differentiated through, step lengths included, so that a network
    trained with it learns to leave the kind of error that the steps remove. Each step reduces the energy norm of the
    error, whatever the network predicted: by (√κ − 1)/(√κ + 1) or better with κ at most the contrast of the
    coefficient.

    Give it to a training as ``correction={"family": …, "steps": 2}``, or to a trained model with
    `PhysicalOperator.corrected`; it belongs to the model from then on, checkpoints included.

    Try it after the training first: notebook 09 measures what the steps gain for a trained FNO, and that they end at
    the solution of the equations on the grid, which labels of a finer grid are not.

    A step costs a product with A and 2 d products with n × n matrices a sample, on a box of n points a side: less than
    a layer of a network. Do not use it for systems that are not symmetric positive definite, nor on domains that are
    not a box; and where accuracy is wanted rather than speed, solve.

    Parameters
    ----------
    family : str, mapping or Family
        As `DiscreteSystems` takes it.
    steps : int
    inputs : sequence of str
        Fields that the input channels hold; by default all inputs of the family.
    constants : mapping
        Fields that all samples share.

    References
    ----------
    Um, Brand, Fei, Holl & Thuerey 2020, Solver-in-the-loop, NeurIPS, doi:10.48550/arXiv.2007.00016.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from resolvent.datasets.families import Darcy2D
    >>> from resolvent.training import Correction
    >>> family = Darcy2D(resolution=17, grid="vertex", coefficient="fno_twophase")
    >>> a = torch.tensor(family.draw(np.random.default_rng(0))["a"])[None, None]
    >>> exact = Correction(family, steps=60)(torch.zeros_like(a), a)
    >>> for steps in (1, 4, 8):
    ...     error = Correction(family, steps=steps)(torch.zeros_like(a), a) - exact
    ...     print(f"{float(error.norm() / exact.norm()):.0e}")
    3e-01
    5e-03
    2e-05
    """

    def __init__(
        self,
        family: FamilySpec,
        *,
        steps: int = 2,
        inputs: Sequence[str] = (),
        constants: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_whole("steps", steps)
        self.systems = DiscreteSystems(family, inputs=inputs, constants=constants)
        self.steps = steps

    @property
    def options(self) -> dict[str, Any]:
        """What makes it again, as JSON has it."""
        systems = self.systems
        constants = {name: value.tolist() for name, value in systems.constants.items()}
        return {
            "family": systems.options,
            "steps": self.steps,
            "inputs": plain(list(systems.inputs)),
            "constants": constants,
        }

    def extra_repr(self) -> str:
        """Return what its representation shows."""
        return f"{self.systems.options['family']}, steps={self.steps}"

    def forward(self, u: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the corrected fields.

        Parameters
        ----------
        u : (B, c_out, *grid) tensor
            Predictions in physical units.
        x : (B, c_in, *grid) tensor
            The inputs they belong to, in physical units.
        """
        with torch.autocast(u.device.type, enabled=False):
            fields = u if u.dtype == torch.float64 else u.float()
            systems = self.systems.of(x, dtype=fields.dtype)
            if SPD not in systems.props:
                raise StructureError(
                    f"conjugate gradients correct symmetric positive definite systems, not those of "
                    f"{systems.family.name}: train with the loss 'residual' instead"
                )
            return systems.fields(self._iterate(systems, systems.unknowns(fields))).to(u.dtype)

    def _iterate(self, systems: Any, u: torch.Tensor) -> torch.Tensor:
        near = systems.diagonalisation()
        r = systems.b - systems.apply(u)
        z = near.solve(r)
        p, rho = z, (r * z).sum(1, keepdim=True)
        for step in range(self.steps):
            q = systems.apply(p)
            alpha = _quotient(rho, (p * q).sum(1, keepdim=True))
            u = u + alpha * p
            if step + 1 < self.steps:
                r = r - alpha * q
                z = near.solve(r)
                new = (r * z).sum(1, keepdim=True)
                p, rho = z + _quotient(new, rho) * p, new
        return u


def _quotient(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return a / b, and 0 with its gradient where b is 0: nothing is left to correct."""
    zero = b == 0.0
    return torch.where(zero, 0.0, a / torch.where(zero, 1.0, b))
