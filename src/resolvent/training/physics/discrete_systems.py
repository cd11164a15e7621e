"""The linear systems that belong to the inputs of a batch, assembled by a family and applied by torch."""

from __future__ import annotations

import copy
import dataclasses
import functools
import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch

from ...datasets import families
from ...datasets.channels import channel_count
from ...datasets.family import Family, LinearFamily
from ...operators import LinearOperator, Stencil
from ...operators.neural.model import plain
from ...operators.stencil_layout import inside
from ...solvers.separable import Couplings, mean_operator
from ..data.geometry import Geometry
from .fast_diagonalisation import FastDiagonalisation, coefficients_of

CACHE = 256 * 2**20
"""Bytes of entries kept from one epoch to the next."""

FamilySpec = str | Mapping[str, Any] | Family
"""A name, the options with the name as ``family``, or a family."""


def family_options(spec: FamilySpec) -> dict[str, Any]:
    """Return a family of linear systems as JSON has it, with its name as ``family``.

    Raises
    ------
    ValueError
        For an unknown family or option, and for one of trajectories.
    """
    if isinstance(spec, Family):
        options = spec.config()
    elif isinstance(spec, str):
        options = {"family": spec}
    else:
        options = dict(spec)
    if "family" not in options:
        raise ValueError(f'a family is given as {{"family": name, **options}}, got {options!r}')
    kind = families.family_class(options["family"])
    if not issubclass(kind, LinearFamily):
        raise ValueError(f"{kind.name} has trajectories, and no single linear system: choose a stationary family")
    families.get(**_named(options))
    checked: dict[str, Any] = plain(options)
    return checked


class DiscreteSystems:
    """A x = b for the inputs of a batch: entries in torch, differentiable in x, kept by the content of the inputs.

    Parameters
    ----------
    family : str, mapping or Family
        Its resolution may be left out: it is that of the grid.
    inputs : sequence of str
        Fields that the input channels hold, in their order; by default all inputs of the family.
    constants : mapping
        Fields that the systems need and all samples share, such as a Péclet number.

    Notes
    -----
    Entries are assembled on the host in double precision from the inputs as they are, rounded to single precision in
    most training sets, and kept in the precision and on the device of the predictions, up to 256 MiB. Finding them
    again costs a digest of the inputs, on a GPU a copy of them to the host too.
    """

    def __init__(
        self, family: FamilySpec, *, inputs: Sequence[str] = (), constants: Mapping[str, Any] | None = None
    ) -> None:
        self.options = family_options(family)
        self.inputs = tuple(inputs)
        self.constants = {name: np.asarray(value) for name, value in (constants or {}).items()}
        self._kept: OrderedDict[Any, _Entries] = OrderedDict()
        self._bytes = 0

    @torch.compiler.disable
    def of(self, x: torch.Tensor, geometry: Geometry | None = None, dtype: torch.dtype | None = None) -> Systems:
        """Return the systems for inputs (B, c_in, *grid) in physical units.

        Parameters
        ----------
        x : tensor
        geometry : Geometry, optional
            Checked against the points of the family, if given.
        dtype : torch.dtype
            Of the predictions; that of x by default.

        Raises
        ------
        ValueError
            For a grid or channels that do not fit the family, and inputs that are not admissible.
        """
        if geometry is not None:
            self.check(geometry)
        layout = self._layout(tuple(x.shape[2:]))
        if x.shape[1] != layout.c_in:
            raise ValueError(
                f"the inputs {', '.join(layout.inputs)} of {layout.family.name} take {layout.c_in} channels, got "
                f"{x.shape[1]}: name the fields that the channels hold with inputs=[…]"
            )
        dtype = x.dtype if dtype is None else dtype
        fields = x.detach().cpu().numpy()
        return Systems(layout, [self._entries(layout, field, dtype, x.device) for field in fields])

    def check(self, geometry: Geometry) -> None:
        """Raise ValueError unless the family has the points of a geometry."""
        self._layout(geometry.grid).check_points(geometry)

    @functools.lru_cache(maxsize=8)  # noqa: B019 - there are few of these objects, and they live long
    def _layout(self, grid: tuple[int, ...]) -> _Layout:
        return _Layout(self.options, grid, self.inputs, self.constants)

    def _entries(self, layout: _Layout, field: np.ndarray, dtype: torch.dtype, device: torch.device) -> _Entries:
        digest = hashlib.blake2b(np.ascontiguousarray(field).tobytes(), digest_size=16).digest()
        key = (digest, field.shape, dtype, device)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        entries = layout.assembled(field, dtype, device)
        self._kept[key] = entries
        self._bytes += entries.bytes
        while self._bytes > CACHE and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].bytes
        return entries

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)(copy.deepcopy(self.options, memo), inputs=self.inputs, constants=self.constants)

    def __reduce__(self) -> Any:
        return _again, (self.options, self.inputs, self.constants)


class Systems:
    """The systems of one batch; vectors are (B, n), real or complex as the systems are.

    Attributes
    ----------
    b : (B, n) tensor
        Right-hand sides.
    props : Props
        What all operators claim.
    """

    def __init__(self, layout: _Layout, entries: Sequence[_Entries]) -> None:
        self._layout, self._all = layout, entries
        self.b = torch.stack([each.b for each in entries])
        self.props = functools.reduce(lambda p, q: p & q, (each.props for each in entries))
        self.family = layout.family
        first = entries[0]
        if first.offsets is not None:
            self._coefficients = torch.stack([each.values for each in entries])
        else:
            n = self.b.shape[1]
            self._values = torch.cat([each.values for each in entries])
            parts = [each.places for each in entries if each.places is not None]
            self._rows, self._columns = (
                torch.cat([place[way] + i * n for i, place in enumerate(parts)]) for way in (0, 1)
            )

    def apply(self, u: torch.Tensor) -> torch.Tensor:
        """Return A u."""
        first = self._all[0]
        if first.offsets is None:
            flat = u.reshape(-1)
            product = torch.zeros_like(flat).index_add(0, self._rows, self._values * flat[self._columns])
            return product.reshape(u.shape)
        grid = tuple(self._coefficients.shape[2:])
        v = u.reshape(-1, *grid)
        total = torch.zeros_like(v)
        for s, offset in enumerate(first.offsets):
            here = (slice(None), *inside(grid, offset))
            there = (slice(None), *inside(grid, tuple(-d for d in offset)))
            c = self._coefficients[:, s][here]
            total[here] += c * v[there]
            if first.mirrored and any(offset):
                total[there] += c * v[here]
        return total.reshape(u.shape)

    def unknowns(self, fields: torch.Tensor) -> torch.Tensor:
        """Return the vectors of unknowns of stored fields (B, c_out, *grid)."""
        layout = self._layout
        if fields.shape[1] != layout.c_out:
            raise ValueError(
                f"the solution {', '.join(layout.outputs)} of {layout.family.name} takes {layout.c_out} channels, got "
                f"{fields.shape[1]}"
            )
        flat = fields.flatten(1)
        index, imaginary = layout.indices(fields.device)
        if not self.b.is_complex():
            return flat[:, index]
        return torch.complex(flat[:, index], flat[:, imaginary])

    def fields(self, u: torch.Tensor) -> torch.Tensor:
        """Return stored fields (B, c_out, *grid) of vectors of unknowns, with the values that are given elsewhere."""
        fixed = torch.stack([each.fixed for each in self._all])
        index, imaginary = self._layout.indices(u.device)
        flat = fixed.flatten(1)
        if u.is_complex():
            flat = flat.index_copy(1, index, u.real).index_copy(1, imaginary, u.imag)
        else:
            flat = flat.index_copy(1, index, u)
        return flat.reshape(fixed.shape)

    def diagonalisation(self) -> FastDiagonalisation:
        """Return constant-coefficient operators near to the systems, by their eigenvectors.

        Raises
        ------
        StructureError
            If the unknowns are not those of a box between walls.
        """
        return FastDiagonalisation([each.near for each in self._all], self.b)


@dataclasses.dataclass
class _Entries:
    """One system: the coefficients of a stencil, or the entries by rows and columns."""

    A: LinearOperator
    b: torch.Tensor
    fixed: torch.Tensor
    values: torch.Tensor
    offsets: tuple[tuple[int, ...], ...] | None = None
    mirrored: bool = False
    places: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def props(self) -> Any:
        return self.A.props

    @functools.cached_property
    def near(self) -> tuple[Any, np.ndarray]:
        """Axes of the box, and coefficients of the operator with constant ones."""
        return coefficients_of(mean_operator(Couplings.of(self.A)))

    @property
    def bytes(self) -> int:
        own = sum(t.numel() * t.element_size() for t in (self.b, self.fixed, self.values, *(self.places or ())))
        return own + 8 * self.values.numel()  # and the operator itself, on the host


class _Layout:
    """Where the fields of a family lie in the channels of a batch on one grid."""

    def __init__(
        self, options: Mapping[str, Any], grid: tuple[int, ...], inputs: Sequence[str], constants: Mapping[str, Any]
    ) -> None:
        self.family, self.grid, self.constants = _on_grid(options, grid), grid, constants
        fields = self.family.fields()
        names = tuple(inputs) or tuple(name for name, spec in fields.items() if spec.role == "input")
        unknown = [name for name in (*names, *constants) if name not in fields]
        if unknown:
            raise ValueError(f"{self.family.name} has no field {', '.join(unknown)}: it has {', '.join(fields)}")
        self.inputs, self.c_in = names, sum(channel_count(name, fields[name], grid) for name in names)
        self.outputs = [name for name, spec in fields.items() if spec.role == "solution"]
        self.c_out = sum(channel_count(name, fields[name], grid) for name in self.outputs)
        self._index, self._imaginary = self._places()
        self._on: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = {}

    def check_points(self, geometry: Geometry) -> None:
        """Raise ValueError unless the fields lie on the points of the family."""
        for name, own, given in zip("xyz", self.family.axes().values(), geometry.axes, strict=False):
            if len(own) != len(given) or np.abs(own - given).max() > 1e-5 * np.ptp(own):
                raise ValueError(
                    f"the points along {name} are not those of {self.family.name} with {self.family.config()}: give "
                    "the options the set was made with, or for arrays the geometry"
                )

    def indices(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        if device not in self._on:
            self._on[device] = tuple(torch.as_tensor(i, device=device) for i in (self._index, self._imaginary))  # type: ignore[assignment]
        return self._on[device]

    def assembled(self, field: np.ndarray, dtype: torch.dtype, device: torch.device) -> _Entries:
        """Return the system of one sample (c_in, *grid)."""
        given = self._fields(field)
        A, b = self.family.assemble(given)

        def stored(values: np.ndarray, kind: torch.dtype | None = None) -> torch.Tensor:
            complex_of = {torch.float32: torch.complex64, torch.float64: torch.complex128}
            kind = (complex_of[dtype] if np.iscomplexobj(values) else dtype) if kind is None else kind
            return torch.tensor(np.ascontiguousarray(values), dtype=kind, device=device)

        rest = self.family.expand(np.zeros(len(b), dtype=b.dtype), given)
        fixed = np.concatenate([self._channels(rest[name]) for name in self.outputs])
        if isinstance(A, Stencil):
            values = stored(A.coefficients)
            return _Entries(A, stored(b), stored(fixed), values, A.offsets, A.mirrored)
        matrix = A.to_sparse().tocoo()
        places = (stored(matrix.row, torch.int64), stored(matrix.col, torch.int64))
        kind = np.result_type(matrix.data, b)
        values = stored(matrix.data.astype(kind))
        return _Entries(A, stored(b.astype(kind)), stored(fixed), values, places=places)

    def _fields(self, field: np.ndarray) -> dict[str, np.ndarray]:
        """Return the named fields of one sample: what `as_channels` does, undone."""
        specs, given, at = self.family.fields(), dict(self.constants), 0
        for name in self.inputs:
            spec = specs[name]
            count = channel_count(name, spec, self.grid)
            values: np.ndarray = field[at : at + count].astype(np.float64)
            at += count
            if spec.kind == "complex":
                values = values[: count // 2] + 1j * values[count // 2 :]
            if spec.shape == self.grid:
                values = values[0]
            elif spec.shape[1:] != self.grid:  # a number is a constant channel
                values = values.reshape(len(values), -1)[:, 0].reshape(spec.shape)
            if spec.kind == "boolean":
                values = values > 0.5
            elif spec.kind == "integer":
                values = np.rint(values).astype(np.int64)
            given[name] = values
        return given

    def _channels(self, values: np.ndarray) -> np.ndarray:
        values = np.asarray(values)
        parts = [values.real, values.imag] if np.iscomplexobj(values) else [values]
        return np.stack([part.reshape(self.grid) for part in parts])

    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where in the flattened channels the unknowns, and their imaginary parts, lie.

        `restrict` picks and orders values, so that it shows by what it makes of their numbers.
        """
        specs, size = self.family.fields(), int(np.prod(self.grid))
        numbers, at = {}, 0
        for name in self.outputs:
            if specs[name].shape != self.grid:
                raise ValueError(f"the solution {name!r} of {self.family.name} is not one field on the grid")
            numbers[name] = np.arange(at, at + size, dtype=np.float64).reshape(self.grid)
            at += size * channel_count(name, specs[name], self.grid)
        index = np.asarray(self.family.restrict(numbers)).real.astype(np.int64)
        return index, index + size


def _on_grid(options: Mapping[str, Any], grid: tuple[int, ...]) -> LinearFamily:
    """Return the family with the resolution that gives a grid."""
    given, tried = _named(options), ""
    for resolution in dict.fromkeys([given.get("resolution", grid[0]), grid[0]]):
        try:
            found = families.get(**{**given, "resolution": resolution})
        except ValueError as error:  # not every family has every resolution
            tried = str(error)
            continue
        assert isinstance(found, LinearFamily)
        shape = tuple(len(axis) for axis in found.axes().values())
        if shape == grid:
            return found
        tried = f"resolution={resolution} has a grid of {' × '.join(map(str, shape))}"
    raise ValueError(
        f"{options['family']} with these options fits no grid of {' × '.join(map(str, grid))}, give its resolution: "
        f"{tried}"
    )


def _named(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as `families.get` takes them; lists become tuples, as they were before JSON."""
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in options.items() if name != "family"}
    return {"name": options["family"], **values}


def _again(options: Any, inputs: Any, constants: Any) -> DiscreteSystems:
    return DiscreteSystems(options, inputs=inputs, constants=constants)
