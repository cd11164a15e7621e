"""Residuals and errors of many systems: what a preconditioner is trained on."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from ...operators import LinearOperator
from ...solvers.learned.levels import Level, level_of
from ..errors import TrainingError

FORMAT = "resolvent-residuals"
VERSION = 1


@dataclasses.dataclass(frozen=True)
class Samples:
    """m residuals b = A e with their errors e, for each of N operators on one grid.

    Operators are in the scale in which their largest diagonal entry is one, residuals of unit norm.

    Attributes
    ----------
    level : Level
        Couplings of the N operators, single precision.
    b, e : (N, m, *grid) tensors
        Single precision.
    hashes : tuple of str
        Of the entries of each operator.
    about : dict
        Family and options, sources of the residuals, ``seconds`` of generation.
    """

    level: Level
    b: torch.Tensor
    e: torch.Tensor
    hashes: tuple[str, ...]
    about: dict[str, Any]

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def grid(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return self.level.grid

    def take(self, which: Sequence[int]) -> Samples:
        """Return some of the operators."""
        rows = torch.as_tensor(np.asarray(which, dtype=np.int64))
        level = Level(self.level.diagonal[rows], self.level.faces[rows], self.level.fluid[rows])
        return Samples(level, self.b[rows], self.e[rows], tuple(self.hashes[i] for i in which), self.about)

    def split(self, validation: float = 0.2, seed: int = 0) -> tuple[Samples, Samples]:
        """Return training and validation samples that have no operator in common.

        Parameters
        ----------
        validation : float
            Part of the operators, at least one of them.
        seed : int
            Of the draw.

        Raises
        ------
        ValueError
            For fewer than two different operators.
        """
        different = sorted(set(self.hashes))
        if len(different) < 2:
            raise ValueError(f"a split by operator needs two different ones, got {len(different)}: harvest more")
        if not 0.0 < validation < 1.0:
            raise ValueError(f"validation is a part of the operators, between 0 and 1, got {validation}")
        count = min(max(1, round(validation * len(different))), len(different) - 1)
        order = np.random.default_rng(seed).permutation(len(different))
        held = {different[i] for i in order[:count]}
        inside = [i for i, h in enumerate(self.hashes) if h not in held]
        outside = [i for i, h in enumerate(self.hashes) if h in held]
        return self.take(inside), self.take(outside)

    def joined(self, other: Samples) -> Samples:
        """Return the operators of both; ValueError unless grid and residuals per operator agree."""
        if self.b.shape[1:] != other.b.shape[1:]:
            raise ValueError(
                f"samples to join need equal shapes, got {tuple(self.b.shape[1:])} and {tuple(other.b.shape[1:])}"
            )
        pairs = zip(_fields(self.level), _fields(other.level), strict=True)
        level = Level(*(torch.cat(pair) for pair in pairs))
        about = {**self.about, "seconds": self.about.get("seconds", 0.0) + other.about.get("seconds", 0.0)}
        b, e = torch.cat([self.b, other.b]), torch.cat([self.e, other.e])
        return Samples(level, b, e, self.hashes + other.hashes, about)

    def save(self, path: str | Path) -> None:
        """Write the samples to an HDF5 file, whole or not at all."""
        path = Path(path)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            with h5py.File(temporary, "w") as file:
                file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
                for name, value in self.about.items():
                    file.attrs[f"about {name}"] = value
                for name, field in zip(("diagonal", "faces", "fluid"), _fields(self.level), strict=True):
                    file.create_dataset(name, data=field.numpy(), compression="gzip", compression_opts=1)
                file.create_dataset("b", data=self.b.numpy())
                file.create_dataset("e", data=self.e.numpy())
                file.create_dataset("hashes", data=[h.encode() for h in self.hashes])
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | Path) -> Samples:
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError
        TrainingError
            If the file holds something else.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there are no samples {path}")
        try:
            with h5py.File(path, "r") as file:
                if file.attrs.get("format") != FORMAT or int(file.attrs["version"]) > VERSION:
                    raise TrainingError(f"{path} holds no residuals of this version: harvest them again")
                arrays = {name: torch.from_numpy(file[name][...]) for name in ("diagonal", "faces", "fluid", "b", "e")}
                hashes = tuple(h.decode() for h in file["hashes"][...])
                about = {
                    name.removeprefix("about "): value.item() if hasattr(value, "item") else value
                    for name, value in file.attrs.items()
                    if name.startswith("about ")
                }
        except (OSError, KeyError) as error:
            raise TrainingError(f"{path} is damaged, or holds no residuals: {error}") from error
        return cls(Level(arrays["diagonal"], arrays["faces"], arrays["fluid"]), arrays["b"], arrays["e"], hashes, about)


def samples_of(
    systems: Sequence[tuple[LinearOperator, np.ndarray, np.ndarray]], about: dict[str, Any] | None = None
) -> Samples:
    """Return samples from operators, residuals (m, n) and errors (m, n), normalised.

    Raises
    ------
    StructureError
        For operators that a learned cycle cannot take.
    ValueError
        If the grids differ.
    """
    levels: list[Level] = []
    bs, es, hashes = [], [], []
    for A, b, e in systems:
        level = level_of(A)
        size = float(level.diagonal.max())
        if levels and level.grid != levels[0].grid:
            raise ValueError(f"samples need one grid, got {levels[0].grid} and {level.grid}")
        hashes.append(operator_hash(level))
        levels.append(level.normalised().to(torch.float32))
        norm = np.maximum(np.linalg.norm(b, axis=1, keepdims=True), np.finfo(np.float64).tiny)
        shape = (len(b), *level.grid)
        bs.append(torch.from_numpy((b / norm).reshape(shape)).to(torch.float32))
        es.append(torch.from_numpy((e * (size / norm)).reshape(shape)).to(torch.float32))
    joined = Level(*(torch.cat(fields) for fields in zip(*map(_fields, levels), strict=True)))
    return Samples(joined, torch.stack(bs), torch.stack(es), tuple(hashes), dict(about or {}))


def operator_hash(level: Level) -> str:
    """Return a hash of the entries of an operator."""
    digest = hashlib.sha256()
    for field in (level.diagonal, level.faces):
        digest.update((np.ascontiguousarray(field.numpy()) + 0.0).tobytes())  # no zeros with a sign
    return digest.hexdigest()


def _fields(level: Level) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return level.diagonal, level.faces, level.fluid
