"""The deep operator network, with a learned trunk or with proper orthogonal modes as trunk.

Departures from the references: inputs on any grid, interpolated to the sensors or integrated against learned functions;
modes scaled by the deviation of their coefficients, so that the branch is of order one at the start.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, final

import torch
from torch.nn.functional import gelu

from .grids import Positions, coordinates, place_features, points, quadrature
from .linear_interpolation import interpolate
from .model import NeuralOperator, check_among, check_whole

Sensing = Literal["sensors", "integral"]
SENSING = ("sensors", "integral")


@final
class DeepONet(NeuralOperator):
    """v_c(y) = Σ_j b_cj(u) t_j(y) + b_c0, with the branch b a network of finitely many numbers from u, t one of y.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and of the output.
    dim : int
        Dimension of the grid.
    modes : int
        Number of functions t_j.
    width, layers : int
        Of the hidden layers of branch and trunk, and their number in each.
    sensing : {"sensors", "integral"}
        What the branch sees: values at fixed sensors, by linear interpolation; or ∫ φ_j u with learned φ_j, by
        quadrature.
    sensors : int
        Sensors a side, or a side of the φ_j: ``sensors**dim`` numbers for each input channel.
    positions : {"vertices", "centres", "interior", "periodic"}
        Where the points of a grid lie.

    Notes
    -----
    A baseline: the output lies in a linear space of `modes` functions whatever the input, so solutions that move, or
    have fronts, need very many. Costs O(modes N) for N points, after a branch that does not see N.

    References
    ----------
    Lu, Jin, Pang, Zhang, Karniadakis, Learning nonlinear operators via DeepONet, Nat. Mach. Intell. 3, 2021,
    doi:10.1038/s42256-021-00302-5.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import DeepONet
    >>> model = DeepONet(c_in=1, c_out=1, modes=8, width=16, sensing="integral", sensors=4)
    >>> model(torch.zeros(3, 1, 17, 12)).shape
    torch.Size([3, 1, 17, 12])
    """

    function_space: ClassVar[str] = (
        "finitely many numbers from the input and functions of position for the output: another grid gives the same "
        "operator up to the error of interpolation or quadrature"
    )

    def __init__(
        self,
        *,
        c_in: int,
        c_out: int,
        dim: int = 2,
        modes: int = 64,
        width: int = 128,
        layers: int = 3,
        sensing: Sensing = "sensors",
        sensors: int = 16,
        positions: Positions = "vertices",
    ) -> None:
        super().__init__(c_in=c_in, c_out=c_out, dim=dim)
        check_whole("modes", modes)
        points(2, positions)  # refuses what it does not know
        self.positions = positions
        self.branch = Branch(c_in, c_out * modes, dim, width, layers, sensing, sensors, positions)
        self.trunk = _perceptron(_seen(dim, positions), width, layers, modes)
        self.bias = torch.nn.Parameter(torch.zeros(c_out))

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """Combine branch and trunk."""
        grid = x.shape[2:]
        places = coordinates(grid, self.positions, like=x).flatten(1).T
        t = gelu(self.trunk(place_features(places, self.positions)))
        b = self.branch(x).unflatten(1, (self.c_out, -1)) / math.sqrt(t.shape[1])
        return (b @ t.T + self.bias[:, None]).unflatten(2, grid)


@final
class PODDeepONet(NeuralOperator):
    """v = t_0 + Σ_j b_j(u) t_j, with t_0 the mean and t_j the proper orthogonal modes of the training outputs.

    The modes belong to all output channels together. Call `fit_pod` with the training outputs before training; until
    then the modes are products of cosines. Other grids interpolate the modes linearly.

    Parameters
    ----------
    c_in, c_out : int
        Channels of the input and of the output.
    grid : sequence of int
        On which the modes are stored: that of the training outputs.
    modes : int
        Their number, at most c_out times the points of the grid.
    width, layers : int
        Of the hidden layers of the branch, and their number.
    sensing, sensors, positions
        As for `DeepONet`.

    Notes
    -----
    Cannot be better than the projection of the truth on the modes: compare `pod_error` with the error that is wanted.

    References
    ----------
    Lu et al., A comprehensive and fair comparison of two neural operators (with practical extensions) based on FAIR
    data, Comput. Methods Appl. Mech. Eng. 393, 2022, doi:10.1016/j.cma.2022.114778.

    Examples
    --------
    >>> import torch
    >>> from resolvent.operators.neural import PODDeepONet
    >>> model = PODDeepONet(c_in=1, c_out=1, grid=[9, 9], modes=2, width=16, sensors=4)
    >>> model.fit_pod(torch.rand(5, 1, 9, 9))
    >>> model(torch.zeros(3, 1, 17, 17)).shape
    torch.Size([3, 1, 17, 17])
    """

    function_space: ClassVar[str] = (
        "finitely many numbers from the input and stored functions for the output: another grid gives the same "
        "operator up to the error of linear interpolation or quadrature"
    )

    pod_mean: torch.Tensor
    pod_modes: torch.Tensor

    def __init__(
        self,
        *,
        c_in: int,
        c_out: int,
        grid: Sequence[int] = (33, 33),
        modes: int = 32,
        width: int = 128,
        layers: int = 3,
        sensing: Sensing = "sensors",
        sensors: int = 16,
        positions: Positions = "vertices",
    ) -> None:
        super().__init__(c_in=c_in, c_out=c_out, dim=len(grid))
        for n in grid:
            check_whole("each number of points in grid", n, 2)
        check_whole("modes", modes)
        points(2, positions)  # refuses what it does not know
        if modes > c_out * math.prod(grid):
            raise ValueError(f"{c_out} channels on a grid of {math.prod(grid)} points have no {modes} modes")
        self.grid, self.positions = tuple(grid), positions
        self.branch = Branch(c_in, modes, self.dim, width, layers, sensing, sensors, positions)
        self.register_buffer("pod_mean", torch.zeros(c_out, *grid))
        self.register_buffer("pod_modes", _cosines(modes, c_out, self.grid, positions))

    prepares: ClassVar[bool] = True

    @classmethod
    def suited_options(cls, grid: Sequence[int], positions: Sequence[str | None]) -> dict[str, Any]:
        """Return the grid of the modes, and where its points lie."""
        return {**super().suited_options(grid, positions), "grid": list(grid), "modes": min(32, math.prod(grid))}

    def prepare(self, targets: torch.Tensor) -> None:
        """Take mean and modes from training outputs; see `fit_pod`."""
        self.fit_pod(targets)

    def fit_pod(self, targets: torch.Tensor) -> None:
        """Take mean and modes from training outputs, as the network is to give them (encoded, if they are).

        Parameters
        ----------
        targets : (N, c_out, *grid) tensor
            At least two.

        Raises
        ------
        ValueError
            For another grid or number of channels, fewer than two samples, or values that are not finite.
        """
        if targets.ndim != self.dim + 2 or tuple(targets.shape[1:]) != (self.c_out, *self.grid) or len(targets) < 2:
            raise ValueError(
                f"expected at least two outputs (samples, {self.c_out}, {', '.join(map(str, self.grid))}), got "
                f"{tuple(targets.shape)}: build the model with the grid of the training outputs"
            )
        if not bool(targets.isfinite().all()):
            raise ValueError("outputs have values that are not finite: leave those samples out")
        y = targets.detach().double()
        mean = y.mean(0)
        delta = quadrature(self.grid, self.positions, like=y)
        scaled = ((y - mean) * delta.sqrt()).flatten(1)
        # Right singular vectors of the samples, in the inner product of the quadrature.
        _, sigma, Vh = torch.linalg.svd(scaled, full_matrices=False)
        count = min(len(self.pod_modes), len(sigma))
        found = (Vh[:count] * sigma[:count, None] / math.sqrt(len(y))).unflatten(1, (self.c_out, *self.grid))
        self.pod_mean.copy_(mean)
        self.pod_modes.zero_()  # fewer samples than modes leave some empty
        self.pod_modes[:count] = (found / delta.sqrt()).to(self.pod_modes)

    def pod_error(self, targets: torch.Tensor) -> torch.Tensor:
        """Return the relative L² error of projecting outputs on mean and modes, (N,): a bound for this model."""
        y = targets.detach().double()
        delta = quadrature(self.grid, self.positions, like=y)
        away = ((y - self.pod_mean) * delta.sqrt()).flatten(1)
        basis = (self.pod_modes.double() * delta.sqrt()).flatten(1)
        basis = torch.linalg.qr(basis[basis.norm(dim=1) > 0.0].T).Q
        left = away - (away @ basis) @ basis.T
        return left.norm(dim=1) / (y * delta.sqrt()).flatten(1).norm(dim=1)

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        """Combine the modes."""
        grid = x.shape[2:]
        b = self.branch(x)
        mean = interpolate(self.pod_mean[None].to(x), grid, self.positions)
        modes = interpolate(self.pod_modes.to(x), grid, self.positions)
        return mean + (b @ modes.flatten(1)).unflatten(1, (self.c_out, *grid))


@final
class Branch(torch.nn.Module):
    """From a field on any grid to a fixed count of numbers: (B, c_in, *grid) to (B, n)."""

    def __init__(
        self,
        c_in: int,
        n: int,
        dim: int,
        width: int,
        layers: int,
        sensing: Sensing,
        sensors: int,
        positions: Positions,
    ) -> None:
        super().__init__()
        check_whole("width", width)
        check_whole("layers", layers)
        check_whole("sensors", sensors, 2)
        check_among("sensing", sensing, SENSING)
        self.sensors, self.positions = (sensors,) * dim, positions
        self.functions = (
            _perceptron(_seen(dim, positions), width, layers, sensors**dim) if sensing == "integral" else None
        )
        self.network = _perceptron(c_in * sensors**dim, width, layers, n)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Sense, then apply the network."""
        if self.functions is None:
            seen = interpolate(x, self.sensors, self.positions).flatten(1)
        else:
            grid = x.shape[2:]
            places = coordinates(grid, self.positions, like=x).flatten(1).T
            phi = self.functions(place_features(places, self.positions))
            delta = quadrature(grid, self.positions, like=x).flatten()
            seen = ((x.flatten(2) * delta) @ phi).flatten(1)
        numbers: torch.Tensor = self.network(seen)
        return numbers


def _seen(dim: int, positions: Positions) -> int:
    """Return how many features of a point networks see."""
    return int(place_features(torch.zeros(dim), positions).shape[-1])


def _perceptron(c_in: int, width: int, layers: int, c_out: int) -> torch.nn.Sequential:
    """Return affine maps with GELU between: `layers` hidden ones, and the last."""
    sizes = [c_in, *[width] * layers]
    parts: list[torch.nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        parts += [torch.nn.Linear(a, b), torch.nn.GELU()]
    return torch.nn.Sequential(*parts, torch.nn.Linear(width, c_out))


def _cosines(modes: int, c_out: int, grid: tuple[int, ...], positions: Positions) -> torch.Tensor:
    """Return products of cosines of low frequency, one channel after the other, (modes, c_out, *grid)."""
    each = -(-modes // c_out)
    box = torch.cartesian_prod(*[torch.arange(min(n, each)) for n in grid]).reshape(-1, len(grid))
    order = torch.argsort(box.square().sum(1), stable=True)
    found = torch.zeros(modes, c_out, *grid)
    for j in range(modes):
        product = torch.ones(())
        for n, k in zip(grid, box[order[j // c_out]].tolist(), strict=True):
            product = product[..., None] * torch.cos(math.pi * k * points(n, positions))
        found[j, j % c_out] = product
    return found
