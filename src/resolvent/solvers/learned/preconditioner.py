"""A trained network as a preconditioner."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...operators import LinearOperator, Props
from ...operators.neural.network_map import NetworkMap
from ..preconditioners.recipe import Recipe, options_text
from .image import grid_of, image_for


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class NeuralPreconditioner(Recipe):
    """M r = s N(c, r/s): a network that was trained to map a coefficient c and a right-hand side to the solution.

    It claims `Props.VARIABLE`, so that `FlexibleCG` and `FGMRES` take it and the others refuse it. `FlexibleCG` cannot
    be harmed by it: what is not finite or no direction falls back to the residual, and after three such failures the
    preconditioner ``safe`` goes on.

    Do not expect it to pay. Networks that were trained on smooth right-hand sides, or on residuals that other methods
    have left, predict the first correction, and little of what they themselves leave. On 65 × 65 nodes an FNO and an
    MgNO with errors of 16 and 11 % on held-out residuals were given up by `FlexibleCG` in each of 30 systems, and an
    application costs ten times a whole solve by `MultigridCG` (``benchmarks/neural_guess.py``).

    Parameters
    ----------
    model : Module
        From fields (B, c + 1, *grid) to (B, 1, *grid), in the units of A: a `PhysicalOperator`, or a bare network.
    image : array, callable or None
        The channels c of the coefficient, (c, *grid), for one operator; or a function of the operator that makes them,
        such as `diagonal_image`, for a stream of operators. None for networks that are shown the right-hand side only.
    border : int
        Boundary nodes at both ends of each axis that the network has and the unknowns have not, without an image.
    grid : tuple of int, optional
        Of the unknowns, where A has none.

    See Also
    --------
    resolvent.training.load_model : the model of a checkpoint.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families import Darcy2D
    >>> from resolvent.operators.neural import FNO
    >>> from resolvent.solvers import FlexibleCG
    >>> from resolvent.solvers.learned import NeuralPreconditioner
    >>> family = Darcy2D(resolution=17, grid="vertex")
    >>> inputs = family.draw(np.random.default_rng(0))
    >>> untrained = FNO(c_in=2, c_out=1, n_modes=[8, 8], width=8)
    >>> M = NeuralPreconditioner(untrained, image=inputs["a"][None])
    >>> FlexibleCG().solve(*family.assemble(inputs), M=M).converged
    True
    """

    model: Any
    image: Any = None
    border: int = 0
    grid: tuple[int, ...] | None = None

    def __repr__(self) -> str:
        return options_text(dataclasses.replace(self, model=type(getattr(self.model, "net", self.model)).__name__))

    def __call__(self, A: LinearOperator) -> LinearOperator:
        """Build M for A."""
        return NetworkMap(self.model, grid_of(A, self.grid), image=image_for(self.image, A), border=self.border)

    def claims(self, A: LinearOperator) -> Props:
        """Return that M varies."""
        return Props.VARIABLE
