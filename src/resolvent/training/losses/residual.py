"""The residual of the discrete equations as a loss: training without solutions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NoReturn, final, get_args

import torch

from ...operators import SPD, StructureError
from ...operators.neural.model import check_among, plain
from ..data.geometry import Geometry
from ..physics.discrete_systems import DiscreteSystems, family_options
from .loss import Loss, root

Norm = Literal["dual", "euclidean", "energy"]


@final
@dataclasses.dataclass(frozen=True)
class Residual(Loss):
    """‖b − A u‖ / ‖b‖ in the discrete equations A u = b that a dataset family assembles from the inputs: no labels.

    ``dual`` is the norm of L⁻¹, L the operator with constant coefficients on the same box nearest to A. As A⁻¹ and L⁻¹
    are equivalent up to the contrast of the coefficient, it is about the energy norm of the error, on every grid.
    ``energy`` is (½ uᵀA u − bᵀu) / bᵀL⁻¹b, the functional that the solution minimises: half the squared energy norm of
    the error but for a constant, hence negative at the solution. ``euclidean`` is the plain norm of the residual. For
    an elliptic operator it weighs an oscillation of wavelength h with h⁻², so that a network is kept busy with what
    hardly matters in the solution.

    So do not take ``euclidean`` for elliptic problems, nor this loss instead of labels where they are there. Beside
    labels it serves samples that have none; do not expect much of that.

    Parameters
    ----------
    family : str, mapping or Family
        As `DiscreteSystems` takes it; the resolution is that of the grid.
    norm : {"dual", "euclidean", "energy"}
        ``dual`` and ``energy`` need unknowns on a box between walls, ``energy`` a symmetric positive definite A.
    inputs : sequence of str
        Fields that the input channels hold, in their order; by default all inputs of the family.
    constants : mapping
        Fields that all samples share.

    Raises
    ------
    ValueError
        If the inputs do not fit the family.
    StructureError
        For a norm that the systems do not have.

    Notes
    -----
    Values at boundary points are no unknowns, and not seen: set them with ``boundary="zero"`` of the training. Labels
    in single precision have a residual of about 1e-5 in the Euclidean and 1e-6 in the dual norm on 33 × 33 nodes.

    References
    ----------
    E & Yu 2018, doi:10.1007/s40304-018-0127-z (the functional); Mardal & Winther 2011, doi:10.1002/nla.716 (norms of
    residuals that suit the operator).

    Examples
    --------
    >>> import numpy as np, torch
    >>> from resolvent.datasets.families import Darcy2D
    >>> from resolvent.solvers import Direct
    >>> from resolvent.training import Geometry, build_loss
    >>> family = Darcy2D(resolution=17, grid="vertex")
    >>> inputs = family.draw(np.random.default_rng(0))
    >>> u = family.expand(Direct().solve(*family.assemble(inputs)).x, inputs)["u"]
    >>> a, u = (torch.tensor(field)[None, None] for field in (inputs["a"], u))
    >>> loss = build_loss({"loss": "residual", "family": {"family": "darcy2d", "grid": "vertex"}})
    >>> bool(loss(u, u, Geometry.unit([17, 17]), a) < 1e-12), loss(1.1 * u, u, Geometry.unit([17, 17]), a)
    (True, tensor([0.1000], dtype=torch.float64))
    """

    name: ClassVar[str] = "residual"
    family: Any = None
    norm: Norm = "dual"
    inputs: Sequence[str] = ()
    constants: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.family is None:
            raise ValueError('residual needs the family of the data: {"loss": "residual", "family": {"family": name}}')
        check_among("norm", self.norm, get_args(Norm))
        for name, value in (
            ("family", family_options(self.family)),
            ("inputs", tuple(self.inputs)),
            ("constants", plain(dict(self.constants))),
        ):
            object.__setattr__(self, name, value)
        systems = DiscreteSystems(self.family, inputs=self.inputs, constants=self.constants)
        object.__setattr__(self, "_systems", systems)

    @property
    def needs_inputs(self) -> bool:
        """Always."""
        return True

    def measure(self, prediction: torch.Tensor, target: torch.Tensor, geometry: Geometry) -> NoReturn:
        """Raise ValueError: without the inputs there is no equation."""
        raise ValueError("residual is a loss of the inputs too: call it with inputs=…")

    def judge(
        self, prediction: torch.Tensor, target: torch.Tensor, geometry: Geometry, inputs: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the norms; targets are not looked at."""
        if inputs is None:
            self.measure(prediction, target, geometry)
        known: DiscreteSystems = self._systems  # type: ignore[attr-defined]
        with torch.autocast(prediction.device.type, enabled=False):
            systems = known.of(inputs, geometry, prediction.dtype)
            u, b = systems.unknowns(prediction), systems.b
            image = systems.apply(u)
            if self.norm == "euclidean":
                return _relative((b - image).abs().square().sum(1), b.abs().square().sum(1))
            near = systems.diagonalisation()
            if self.norm == "dual":
                return _relative(near.squared_norm(b - image), near.squared_norm(b))
            if SPD not in systems.props:
                raise StructureError(
                    f"{systems.family.name} is not symmetric positive definite, and its solutions minimise no energy: "
                    "choose norm='dual' or 'euclidean'"
                )
            size = near.squared_norm(b)
            return (0.5 * u * image - b * u).sum(1) / torch.where(size == 0.0, 1.0, size)


def _relative(square: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return root(square / torch.where(scale == 0.0, 1.0, scale))
