"""Waves of one frequency from a source in a random medium: −Δu − k²m(x)u = f, absorbed at the boundary."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, Self, final

import numpy as np

from ...operators.stencil import Stencil
from ..evidence.structural_checks import Check
from ..family import FieldSpec, Inputs, LinearFamily, System
from ..random_fields import FloatArray, grid_points
from ..schemes.diffusion import check_coefficient
from .coefficients import coefficient_law

_POINTS: Final = 10.0
"""Points a wavelength where neither they nor the wavenumber are given."""
_CELLS: Final = 4
"""Least cells of a layer: with ten points a wavelength half a per cent of a wave of normal incidence comes back from
four, two per cent from three, twelve from two, whatever the continuous layer would absorb."""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Helmholtz2D(LinearFamily):
    """Helmholtz equation on the unit square: −Δu − k²m(x)u = f, outgoing waves for time dependence exp(−iωt).

    The source is a Gaussian of standard deviation one eighth of a wavelength 2π/k and integral 1 at a random position.
    Waves leave through an absorbing layer inside of the square, along its boundary, or through the boundary itself.

    Parameters
    ----------
    resolution : int
        Cells n per side, at least 4; fields are stored at their centres, the layer included.
    wavenumber : float, optional
        k > 0, the same on every grid. Without it `points_per_wavelength` decides.
    points_per_wavelength : float, optional
        2π/(kh) for m = 1, above 4; without it, and without `wavenumber`, it is 10: kh is 2π/10 at every size, and finer
        grids carry shorter waves. At fixed points a wavelength the error grows with k (pollution).
    absorption : {"layer", "impedance"}
        "layer": coordinates are stretched, dx → s(x) dx with s = 1 + iσ(d)/k, σ growing with the cube of the depth d
        in a layer of width `layer`, u = 0 behind it. "impedance": ∂u/∂n = ik√m u on the boundary, exact for normal
        incidence only, but without unknowns for a layer.
    layer : float
        Width of the layer, between 0 and 1/4; sets are refused where it has less than four cells.
    reflection : float
        Amplitude that a wave of normal incidence has left after crossing the layer twice, in the continuous equation.
    coefficient : str
        Law of the squared slowness m; the presets of `coefficients.coefficient_law`.

    Notes
    -----
    Finite volumes on cells; the stretched equation is multiplied by s(x)s(y), which makes it symmetric:

        −∂_x (s(y)/s(x) ∂_x u) − ∂_y (s(x)/s(y) ∂_y u) − k² m s(x)s(y) u = s(x)s(y) f.

    Second order at fixed k. The operator is complex symmetric (A = Aᵀ, not Aᴴ), indefinite, of 5 entries a row; the
    imaginary parts of its row sums are negative.

    References
    ----------
    Chew & Weedon 1994, doi:10.1002/mop.4650071304 (stretched coordinates); Engquist & Majda 1977,
    doi:10.1073/pnas.74.5.1765 (absorbing boundary conditions).

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families.helmholtz import Helmholtz2D
    >>> [round(Helmholtz2D(resolution=n).k, 1) for n in (64, 128)]
    [40.2, 80.4]
    >>> family = Helmholtz2D(resolution=16, wavenumber=10.0)
    >>> A, b = family.assemble(family.draw(np.random.default_rng(0)))
    >>> A
    Stencil(256 x 256, complex128, 5-point on 16 x 16, symmetric)
    """

    name: ClassVar[str] = "helmholtz2d"
    aliases: ClassVar[tuple[str, ...]] = ("helmholtz",)
    family_id: ClassVar[int] = 4
    title: ClassVar[str] = "Helmholtz equation in a random medium, 2-D"
    equation: ClassVar[str] = "−Δu − k²m(x)u = f"
    domain: ClassVar[str] = "(0, 1)²"
    boundary: ClassVar[str] = "absorbing: stretched layer with u = 0 behind it, or ∂u/∂n = ik√m u"

    wavenumber: float | None = None
    points_per_wavelength: float | None = None
    absorption: Literal["layer", "impedance"] = "layer"
    layer: float = 0.125
    reflection: float = 1e-4
    coefficient: str = "skr"

    def __post_init__(self) -> None:
        n = self.resolution
        if isinstance(n, bool) or not isinstance(n, int) or n < 4:
            raise ValueError(f"{self.name} needs a resolution of at least 4 points per side, got {n!r}")
        if self.wavenumber is not None and self.points_per_wavelength is not None:
            raise ValueError(f"{self.name} takes wavenumber or points_per_wavelength, not both")
        for name in ("wavenumber", "points_per_wavelength"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, int | float):
                raise ValueError(f"{self.name} needs a number for {name}, or None, got {value!r}")
        if not 0.0 < (1.0 if self.wavenumber is None else self.wavenumber) < math.inf:
            raise ValueError(f"{self.name} needs a positive wavenumber, got {self.wavenumber!r}")
        if not 4.0 < (_POINTS if self.points_per_wavelength is None else self.points_per_wavelength) < math.inf:
            raise ValueError(f"{self.name} needs more than 4 points a wavelength, got {self.points_per_wavelength!r}")
        if not 0.0 < self.reflection < 1.0:
            raise ValueError(f"{self.name} needs a reflection between 0 and 1, got {self.reflection!r}")
        if self.absorption not in ("layer", "impedance"):
            raise ValueError(f"{self.name} needs absorption='layer' or 'impedance', got {self.absorption!r}")
        if not 0.0 < self.layer <= 0.25:
            raise ValueError(f"{self.name} needs a layer width between 0 and 1/4, got {self.layer!r}")
        coefficient_law(self.coefficient, 2)

    @property
    def h(self) -> float:
        """Cell size."""
        return 1.0 / self.resolution

    @property
    def k(self) -> float:
        """Wavenumber on this grid."""
        if self.wavenumber is not None:
            return self.wavenumber
        return 2.0 * math.pi / (self.h * (self.points_per_wavelength or _POINTS))

    def refined(self) -> Self:
        """Return the family with half the spacing and the same wavenumber: the same waves, better resolved."""
        return dataclasses.replace(self, resolution=2 * self.resolution, wavenumber=self.k, points_per_wavelength=None)

    def fields(self) -> dict[str, FieldSpec]:
        """Return the stored arrays: ``m``, the position ``source``, and the complex solution ``u``."""
        shape = (self.resolution,) * 2
        return {
            "m": FieldSpec(shape, "input", "squared slowness at the cell centres"),
            "source": FieldSpec((2,), "parameter", "position of the source"),
            "u": FieldSpec(shape, "solution", "wave field at the cell centres, the layer included", kind="complex"),
        }

    def axes(self) -> dict[str, FloatArray]:
        """Return the coordinates of the cell centres."""
        return {name: grid_points(self.resolution, "cell") for name in ("x", "y")}

    def law(self) -> str:
        """Return one sentence with the law of the inputs."""
        law = coefficient_law(self.coefficient, 2).text().replace("a = ", "m = ")
        return f"{law}; source uniform in [0.3, 0.7]², k = {self.k:.6g}."

    def draw(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Draw ``m`` and the position of the source: one stream is one problem on every grid."""
        m = coefficient_law(self.coefficient, 2).draw(rng, self.resolution)
        return {"m": m, "source": rng.uniform(0.3, 0.7, size=2)}

    def assemble(self, inputs: Inputs) -> System:
        """Build the complex symmetric 5-point operator and the right-hand side.

        Parameters
        ----------
        inputs : mapping
            ``m``, positive, and the position ``source``, or in its place an array ``f`` of the stored shape.

        Raises
        ------
        ValueError
            If a field is missing, of another shape, not finite, or m is not positive.
        """
        if "m" not in inputs:
            raise ValueError(f"{self.name} needs the squared slowness 'm' among its inputs, got {sorted(inputs)}")
        n = self.resolution
        m = check_coefficient(inputs["m"], (n, n), "m")
        f = self._source(inputs)
        edges, centres = np.arange(n + 1) * self.h, grid_points(n, "cell")
        s_edge, s = self.stretching(edges), self.stretching(centres)
        weight = np.multiply.outer(s, s)
        t_x = np.multiply.outer(1.0 / s_edge, s) / self.h**2
        t_y = t_x.T
        diagonal = t_x[:-1] + t_x[1:] + t_y[:, :-1] + t_y[:, 1:] - self.k**2 * m * weight
        for axis, t in enumerate((t_x, t_y)):
            for end in (0, -1):
                here = (slice(None),) * axis + (end,)
                # A wall half a cell away in place of a face.
                diagonal[here] += self._wall(m[here], t[here]) - t[here]
        return System(Stencil.from_faces(diagonal, (-t_x[1:-1], -t_y[:, 1:-1])), (weight * f).ravel())

    def stretching(self, x: Any) -> Any:
        """Return s(x) = 1 + iσ/k, 1 outside of the layer; complex."""
        return 1.0 + 1j / self.k * self._sigma(x)[0]

    def expand(self, x: np.ndarray, inputs: Inputs) -> dict[str, np.ndarray]:
        """Return ``{"u": field}``."""
        return {"u": np.asarray(x).reshape((self.resolution,) * 2)}

    def restrict(self, solution: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the vector of unknowns of a stored field ``u``."""
        u = np.asarray(solution["u"])
        if u.shape != (self.resolution,) * 2:
            raise ValueError(f"u must have the shape {(self.resolution,) * 2} of the stored grid, got {u.shape}")
        return u.ravel()

    def checks(self, inputs: Inputs, system: System) -> list[Check]:
        """Return structural checks of the entries.

        ``pattern``; ``symmetry``; ``interior row sums`` −k²m s(x)s(y); ``absorption``, the sign by which waves go out;
        ``layer``, that it has enough cells; ``spectrum signs``: Re xᴴAx of a checkerboard, the shortest wave, is
        positive, and that of the longest one without layer negative if k is above its resonance: A is indefinite.
        """
        n, matrix = self.resolution, system.A.to_sparse()
        if not np.isfinite(matrix.data).all():
            return [Check("finite", False, "an entry is not finite")]
        coordinates = np.divmod(np.arange(n * n), n)
        rows = np.repeat(np.arange(n * n), np.diff(matrix.indptr))
        steps = sum(np.abs(c[rows] - c[matrix.indices]) for c in coordinates)
        asymmetry = abs(matrix - matrix.T).max()
        s = self.stretching(grid_points(n, "cell"))
        expected = -(self.k**2) * np.asarray(inputs["m"]) * np.multiply.outer(s, s)
        sums = (matrix @ np.ones(n * n)).reshape(n, n)
        rounding = 1e-13 * float(abs(matrix).max())
        difference = float(np.abs(sums - expected)[1:-1, 1:-1].max())
        loss = float(sums.imag.sum())
        cells = self.layer * n if self.absorption == "layer" else math.inf
        short, long = (float(np.vdot(v, matrix @ v).real / np.vdot(v, v).real) for v in self._waves())
        width = 1.0 - (2.0 * self.layer if self.absorption == "layer" else 0.0)
        resonance = 2.0 * (math.pi / width) ** 2
        above = self.k**2 * float(np.min(inputs["m"])) > 1.1 * resonance
        return [
            Check("finite", True, "all entries are finite"),
            Check("pattern", bool((steps <= 1).all()), f"{matrix.nnz} entries, at most one step away"),
            Check("symmetry", bool(asymmetry <= rounding), f"max |A − Aᵀ| = {asymmetry:.2e}"),
            Check("interior row sums", difference <= rounding, f"−k²m s(x)s(y) up to {difference:.2e}"),
            Check("absorption", loss < 0.0, f"sum of the imaginary parts {loss:.3e}: outgoing waves"),
            Check("layer", cells >= _CELLS, f"{cells:g} cells, at least {_CELLS}: fewer reflect"),
            Check(
                "spectrum signs",
                short > 0.0 and (long < 0.0 or not above),
                f"Re xᴴAx/xᴴx of the shortest wave {short:.2e}, of the longest {long:.2e}: "
                f"{'indefinite' if short * long < 0.0 else 'no wave fits into the square'}",
            ),
        ]

    def _waves(self) -> tuple[FloatArray, FloatArray]:
        """Return the shortest wave of the grid and the longest one that vanishes in the layer."""
        x = grid_points(self.resolution, "cell")
        edge = self.layer if self.absorption == "layer" else 0.0
        bump = np.sin(np.pi * np.clip((x - edge) / (1.0 - 2.0 * edge), 0.0, 1.0))
        signs = (-1.0) ** np.arange(self.resolution)
        return np.multiply.outer(bump * signs, bump * signs).ravel(), np.multiply.outer(bump, bump).ravel()

    def manufactured(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return inputs with a varying medium and the exact solution they belong to, on this grid."""
        x = grid_points(self.resolution, "cell")
        p, stretched_p, m = self._manufactured_factor(x, 0.7)
        q, stretched_q, m_y = self._manufactured_factor(x, -0.4)
        medium = 1.0 + 0.4 * np.multiply.outer(m, m_y)
        u = np.multiply.outer(p, q)
        laplacian = np.multiply.outer(stretched_p, q) + np.multiply.outer(p, stretched_q)
        return {"m": medium, "f": -laplacian - self.k**2 * medium * u}, {"u": u}

    def _manufactured_factor(self, x: FloatArray, growth: float) -> tuple[Any, Any, FloatArray]:
        """One factor p of u = p(x)q(y), its stretched second derivative, and a factor of m − 1, zero at the walls."""
        if self.absorption == "impedance":
            k = self.k
            # p' = ik(2x − 1)p: outgoing at both ends.
            p = np.exp(1j * k * (x**2 - x))
            return p, (2j * k - (k * (2 * x - 1)) ** 2) * p, np.sin(np.pi * x) ** 2
        sine, cosine, e = np.sin(np.pi * x), np.cos(np.pi * x), np.exp(growth * x)
        p = e * sine
        first = e * (np.pi * cosine + growth * sine)
        second = e * ((growth**2 - np.pi**2) * sine + 2 * growth * np.pi * cosine)
        s, slope = self.stretching(x), 1j / self.k * self._sigma(x)[1]
        return p, second / s**2 - first * slope / s**3, sine * np.cos(2.0 * x)

    def _wall(self, m: FloatArray, t: Any) -> Any:
        """Return what a wall adds to the diagonal in place of the face transmissibility t."""
        if self.absorption == "layer":
            return 2.0 * t
        ik = 1j * self.k * np.sqrt(m)
        # ∂u/∂n = ik u_w with u_w = u + (h/2) ∂u/∂n eliminated.
        return -ik / (self.h * (1.0 - 0.5 * self.h * ik))

    def _sigma(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return σ and its derivative."""
        if self.absorption == "impedance":
            return np.zeros_like(x), np.zeros_like(x)
        # Twice through the layer: exp(−2 ∫σ) = exp(−σ_max layer / 2).
        largest = 2.0 * math.log(1.0 / self.reflection) / self.layer
        left, right = (np.maximum(1.0 - d / self.layer, 0.0) for d in (x, 1.0 - x))
        return largest * (left**3 + right**3), 3.0 * largest / self.layer * (right**2 - left**2)

    def _source(self, inputs: Inputs) -> Any:
        n = self.resolution
        if "f" in inputs:
            f = np.asarray(inputs["f"])
            if f.shape != (n, n) or not np.isfinite(f).all():
                raise ValueError(f"f must be finite and of the shape {(n, n)} of the stored grid, got shape {f.shape}")
            return f
        if "source" not in inputs:
            raise ValueError(f"{self.name} needs the position 'source' or a field 'f' among its inputs")
        position = np.asarray(inputs["source"], dtype=np.float64)
        if position.shape != (2,) or not ((position > 0.0) & (position < 1.0)).all():
            raise ValueError(f"source must be a point inside of the unit square, got {position!r}")
        width = 2.0 * math.pi / (8.0 * self.k)
        x = grid_points(n, "cell")
        bells = [np.exp(-0.5 * ((x - c) / width) ** 2) / (math.sqrt(2.0 * math.pi) * width) for c in position]
        return np.multiply.outer(*bells)
