"""Registry of dataset families: names, aliases and options.

To add a family, write its file and put its class into `_FAMILIES`.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable
from typing import Any, Final

from ..family import Family
from .advection import Advection1D
from .burgers import Burgers1D
from .convection_diffusion import ConvectionDiffusion2D
from .darcy import Darcy2D, Darcy3D
from .diffusion_reaction import DiffusionReaction2D
from .elasticity import Elasticity2D
from .heat import Heat2D
from .heat_step import HeatStep2D
from .helmholtz import Helmholtz2D
from .navier_stokes import NavierStokes2D
from .poisson_chebyshev import PoissonChebyshev
from .poisson_obstacles import PoissonObstacles
from .thermal import Thermal
from .wave import Wave2D

__all__ = [
    "Advection1D",
    "Burgers1D",
    "ConvectionDiffusion2D",
    "Darcy2D",
    "Darcy3D",
    "DiffusionReaction2D",
    "Elasticity2D",
    "Heat2D",
    "HeatStep2D",
    "Helmholtz2D",
    "NavierStokes2D",
    "PoissonChebyshev",
    "PoissonObstacles",
    "Thermal",
    "Wave2D",
    "available",
    "family_class",
    "get",
    "names",
]

_FAMILIES: Final[tuple[type[Family], ...]] = (
    Darcy2D,
    Darcy3D,
    ConvectionDiffusion2D,
    Helmholtz2D,
    HeatStep2D,
    PoissonChebyshev,
    Thermal,
    Elasticity2D,
    PoissonObstacles,
    Advection1D,
    Burgers1D,
    NavierStokes2D,
    Wave2D,
    Heat2D,
    DiffusionReaction2D,
)


def names() -> list[str]:
    """Return the canonical names of all families."""
    return [family.name for family in _FAMILIES]


def available() -> dict[str, type[Family]]:
    """Return the class of every family by canonical name."""
    return {family.name: family for family in _FAMILIES}


def family_class(name: str) -> type[Family]:
    """Return the class of the family with this name or alias; ValueError with the nearest names otherwise."""
    known = {key: family for family in _FAMILIES for key in (family.name, *family.aliases)}
    if name not in known:
        listed = [" or ".join((family.name, *family.aliases)) for family in _FAMILIES]
        raise ValueError(f"unknown family {name!r}: {_nearest(name, known)}known are {'; '.join(listed)}")
    return known[name]


def get(name: str, **options: Any) -> Family:
    """Return a family with the given options, the others at their defaults.

    Parameters
    ----------
    name : str
        Canonical name or alias.
    **options
        Fields of the family's dataclass.

    Raises
    ------
    ValueError
        For an unknown name or option, with the nearest and all valid ones, or a value the family refuses.

    Examples
    --------
    >>> from resolvent.datasets import families
    >>> families.get("darcy", resolution=32).config()["family"]
    'darcy2d'
    >>> families.get("darcy", resolutoin=32)
    Traceback (most recent call last):
        ...
    ValueError: darcy2d has no option 'resolutoin': did you mean 'resolution'? valid are resolution, grid, ...
    """
    family = family_class(name)
    valid = [field.name for field in dataclasses.fields(family) if field.init]
    for option in options:
        if option not in valid:
            raise ValueError(
                f"{family.name} has no option {option!r}: {_nearest(option, valid)}valid are {', '.join(valid)}"
            )
    return family(**options)


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(word), list(known), n=2, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""
