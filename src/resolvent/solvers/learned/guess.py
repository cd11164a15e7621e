"""The prediction of a trained network as an initial guess."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from ...operators import Array, LinearOperator
from ...operators.arrays import is_torch
from ...operators.neural.network_map import NetworkMap
from .image import grid_of, image_for


@dataclasses.dataclass(frozen=True, eq=False)
class NeuralGuess:
    """x₀ = N(c), or N(c, b) scaled as in `NeuralPreconditioner`: a function of A and b for `x0` or ``warm_start``.

    It saves little: an error of some per cent in L² is mostly rough, so that the residual of the guess is above that of
    zero, 2.5 ‖b‖ with an FNO of 6 % on 65 × 65 nodes and 6.5 ‖b‖ with an MgNO of 4 %. Of 7.7 iterations of CG with AMG
    to 1e-8 the guesses saved 0.5 and 0.6, of 10 of `MultigridCG` none, and they took longer than the whole solve
    (``benchmarks/neural_guess.py``). It is for tolerances near the error of the network, and for iterations that are
    very expensive; with ``warm_start=Computed(guess, scale=True)`` it never starts worse than zero.

    Parameters
    ----------
    model : Module
        From fields (B, c, *grid), or (B, c + 1, *grid), to the solution (B, 1, *grid), in the units of A.
    image : array or callable
        The channels c on the network's grid, or a function of the operator that makes them.
    sees_b : bool
        Whether the network is shown b, as the last channel.
    border : int
        Boundary nodes at both ends of each axis, without an image.
    grid : tuple of int, optional
        Of the unknowns, where A has none.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families import Darcy2D
    >>> from resolvent.operators.neural import FNO
    >>> from resolvent.solvers import CG, Sequence
    >>> from resolvent.solvers.learned import NeuralGuess, diagonal_image
    >>> family = Darcy2D(resolution=17)
    >>> A, b = family.assemble(family.draw(np.random.default_rng(0)))
    >>> guess = NeuralGuess(FNO(c_in=1, c_out=1, n_modes=[8, 8], width=8), image=diagonal_image)
    >>> CG().solve(A, b, x0=guess(A, b)).converged, Sequence(CG(), warm_start=guess).solve(A, b).converged
    (True, True)
    """

    model: Any
    image: Any = None
    sees_b: bool = False
    border: int = 0
    grid: tuple[int, ...] | None = None

    def __call__(self, A: LinearOperator, b: Array) -> Array:
        """Return x₀ in the shape, and the storage, of b."""
        grid, image = grid_of(A, self.grid), image_for(self.image, A)
        if self.sees_b:
            M = NetworkMap(self.model, grid, image=image, border=self.border)
            columns = b.reshape(A.shape[0], -1)
            if is_torch(columns) and not M._holds_torch():
                return torch.from_numpy(M @ columns.numpy(force=True)).to(columns).reshape(b.shape)
            return (M @ columns).reshape(b.shape)
        if image is None:
            raise ValueError("a network that is not shown b needs an image of the operator: give image=…")
        x = self._prediction(image, grid)
        size = b.reshape(A.shape[0], -1).shape[1]
        if is_torch(b):
            return x.to(b)[:, None].expand(-1, size).reshape(b.shape)
        return np.repeat(x.numpy(force=True).astype(np.float64)[:, None], size, axis=1).reshape(b.shape)

    def _prediction(self, image: Any, grid: tuple[int, ...]) -> torch.Tensor:
        weights = next(self.model.parameters())
        c = torch.as_tensor(image).to(weights.device, weights.dtype)[None]
        training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                u: torch.Tensor = self.model(c)[0, 0]
        finally:
            self.model.train(training)
        for axis, n in enumerate(grid):
            around = u.shape[axis] - n
            if around < 0 or around % 2:
                raise ValueError(f"the prediction has a grid {tuple(u.shape)}, which does not fit the unknowns {grid}")
            u = u.narrow(axis, around // 2, n)
        return u.reshape(-1)
