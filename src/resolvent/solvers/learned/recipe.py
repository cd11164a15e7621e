"""Learned preconditioners as recipes: files of trained networks, and what they refuse."""

from __future__ import annotations

import dataclasses
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any, Final, final

import torch

from ...operators import LinearOperator, Props, StructureError
from ..preconditioners.recipe import Recipe
from .cycle import SPDCycle
from .dcdm import DCDM
from .levels import level_of
from .mgno_gram import MgNOGram
from .network import PreconditionerNetwork
from .npsd import NPSD
from .operator import DESCENT, LearnedOperator

FORMAT: Final = "resolvent-preconditioner"
VERSION: Final = 1
NETWORKS: Final = {"SPDCycle": SPDCycle, "DCDM": DCDM, "NPSD": NPSD, "MgNOGram": MgNOGram}


class ModelFileError(ValueError):
    """A file is no learned preconditioner of this version, or its weights are of no use."""


@final
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Learned(Recipe):
    """M by a trained network, for systems like those it was trained on.

    An `SPDCycle` is linear, symmetric and positive definite by construction: `CG` takes it, and a bad one costs
    iterations. Its smallest eigenvalue may lie below what single precision resolves if its weights are wild; a `Result`
    says so by its status. DCDM is not linear and NPSD not symmetric: give them to `FlexibleCG`.

    Do not use it where multigrid or a factorisation is configured well, unless measurements on your own systems say so
    (`Gated`, ``benchmarks/learned.py``); nor outside of the family and resolutions of its training.

    Parameters
    ----------
    network : PreconditionerNetwork
        Trained.
    family : str
        Name of the family of its training.
    resolutions : (int, int)
        Least and largest number of cells a side that it may be used on.
    about : dict
        Where it comes from: plain values, such as ``seconds`` of training.
    compiled : bool
        Compiled code where there is some, in place of torch.
    descent : float
        Bound of the descent check of networks that are not linear, see `LearnedOperator`; 0 for none.

    Raises
    ------
    ValueError
        When built for an operator of another dimension or resolution.
    StructureError
        For an operator that is not positive definite, or has others than nearest neighbours.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.operators import Stencil
    >>> from resolvent.solvers import CG
    >>> from resolvent.solvers.learned import Learned, SPDCycle
    >>> A = Stencil.from_transmissibilities([np.ones((33, 32)), np.ones((32, 33))])
    >>> untrained = Learned(SPDCycle(dim=2), "any", (16, 64))
    >>> CG().solve(A, np.ones(1024), M=untrained).status.name
    'CONVERGED'
    """

    network: PreconditionerNetwork
    family: str
    resolutions: tuple[int, int]
    about: dict[str, Any] = dataclasses.field(default_factory=dict)
    compiled: bool = True
    descent: float = DESCENT

    def __post_init__(self) -> None:
        if not isinstance(self.network, PreconditionerNetwork):
            raise TypeError(f"Learned needs a PreconditionerNetwork, got {type(self.network).__name__}")
        least, largest = self.resolutions
        if not 1 <= least <= largest:
            raise ValueError(f"resolutions must be (least, largest) number of cells a side, got {self.resolutions!r}")
        bad = [name for name, p in self.network.named_parameters() if not bool(torch.isfinite(p).all())]
        if bad:
            raise ModelFileError(
                f"{len(bad)} of the weights' tensors hold NaN or infinity ({bad[0]}): the training diverged, take an "
                "earlier checkpoint, or AMG"
            )

    def __repr__(self) -> str:
        # Without the layers of the network, whose text takes longer than a small solve.
        return f"Learned({type(self.network).__name__}, {self.family!r}, {self.resolutions!r})"

    def __call__(self, A: LinearOperator) -> LearnedOperator:
        """Prepare the network for A."""
        if A._holds_torch() or A.device != "cpu":
            raise StructureError(
                f"Learned is built for operators on the host, not for {A!r}: convert it, or use Jacobi"
            )
        level = level_of(A)
        if len(level.grid) != self.network.dim:
            raise ValueError(
                f"this network is for {self.network.dim} dimensions, and the grid of {A!r} has {len(level.grid)}: use "
                "AMG or IC"
            )
        least, largest = self.resolutions
        if min(level.grid) < least or max(level.grid) > largest:
            raise ValueError(
                f"this network is for {least} to {largest} cells a side, got {' × '.join(map(str, level.grid))}: train "
                "one for that resolution, or use GeometricMultigrid"
            )
        return LearnedOperator(self.network, level, compiled=self.compiled, descent=self.descent)

    def claims(self, A: LinearOperator) -> Props:
        """Return what M will claim."""
        return self.network.props

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write network and card to a file, whole or not at all."""
        path = Path(path)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
        content = {
            "format": FORMAT,
            "version": VERSION,
            "network": type(self.network).__name__,
            "options": self.network.options,
            "weights": {name: value.detach().cpu() for name, value in self.network.state_dict().items()},
            "family": self.family,
            "resolutions": list(self.resolutions),
            "about": self.about,
        }
        try:
            torch.save(content, temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, family: str | None = None, device: str = "cpu") -> Learned:
        """Read a trained network.

        Parameters
        ----------
        path : path
            What `save` wrote. Reading it cannot run code.
        family : str, optional
            Of the systems it is wanted for.
        device : str
            Where it is to run.

        Raises
        ------
        FileNotFoundError
        ModelFileError
            If it is damaged or something else, or its weights are not finite.
        ValueError
            If it was trained on another family.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no learned preconditioner {path}")
        try:
            if not zipfile.is_zipfile(path):
                raise ModelFileError(f"{path} is cut short, or no file of torch: train again, or use AMG")
            content = torch.load(path, map_location="cpu", weights_only=True)
            if not isinstance(content, dict) or content.get("format") != FORMAT:
                raise ModelFileError(f"{path} is no learned preconditioner: Learned.save writes them")
            if content["version"] > VERSION:
                raise ModelFileError(f"{path} has format {content['version']}, this one reads {VERSION}: upgrade")
            network = NETWORKS[content["network"]](**content["options"])
            network.load_state_dict(content["weights"])
        except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelFileError(f"{path} does not describe a network of this version: {first}") from error
        if family is not None and family != content["family"]:
            raise ValueError(
                f"{path} was trained on {content['family']!r}, not {family!r}: train one on that family, or use AMG"
            )
        network.to(device).eval()
        return cls(network, content["family"], tuple(content["resolutions"]), content["about"])
