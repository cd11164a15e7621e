"""Convection and diffusion in a random solenoidal wind: −εΔu + w·∇u = f on the unit square, u = 0 on the boundary."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, final

import numpy as np

from ...operators import Props
from ...operators.stencil import Stencil
from ..evidence.structural_checks import Check
from ..family import FieldSpec, Inputs, LinearFamily, System
from ..random_fields import FloatArray, GaussianRandomField, grid_points
from ..schemes.diffusion import check_field

Scheme = Literal["auto", "centred", "upwind", "exponential"]

_CENTRED_LIMIT: Final = 2.0
"""Cell Péclet number |w|h/ε up to which centred differences give an M-matrix, hence no oscillations."""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvectionDiffusion2D(LinearFamily):
    """Convection–diffusion on the unit square: −εΔu + w·∇u = f, u = 0 on the boundary, w = (∂_y ψ, −∂_x ψ).

    Parameters
    ----------
    resolution : int
        Nodes n per side, boundary included, at least 5: fields are stored at the nodes, (n − 2)² of them unknown.
    scheme : {"auto", "centred", "upwind", "exponential"}
        Convective flux on the faces. "auto" is centred where the largest cell Péclet number |w|h/ε is at most 2, else
        upwind. "exponential" (Scharfetter–Gummel) is the exact flux of a one-dimensional problem with constant
        coefficients, centred for small and upwind for large cell Péclet numbers.
    peclet : (float, float)
        Range of 1/ε, log-uniform: the Péclet number of a wind of speed one on the square.

    Notes
    -----
    Finite volumes around the nodes with the flux F = wu − ε∂u on each face, w the difference of ψ along it: the
    discrete divergence of w is zero, so that constants are in the kernel away from the boundary. With z = wh/ε a face
    from P to Q in the direction of w carries F = ε/h (B(−z) u_P − B(z) u_Q), where B(z) = 1 − z/2 (centred),
    1 + max(−z, 0) (upwind), z/(exp z − 1) (exponential). Second order, upwind first. Nonsymmetric, 5 entries a row; an
    M-matrix but for centred fluxes beyond cell Péclet number 2.

    References
    ----------
    Scharfetter & Gummel 1969, doi:10.1109/T-ED.1969.16566; Roos, Stynes & Tobiska 2008,
    doi:10.1007/978-3-540-34467-4.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families.convection_diffusion import ConvectionDiffusion2D
    >>> family = ConvectionDiffusion2D(resolution=18)
    >>> A, b = family.assemble(family.draw(np.random.default_rng(0)))
    >>> A.shape
    (256, 256)
    """

    name: ClassVar[str] = "convdiff2d"
    aliases: ClassVar[tuple[str, ...]] = ("convection_diffusion",)
    family_id: ClassVar[int] = 3
    title: ClassVar[str] = "Convection and diffusion in a random wind, 2-D"
    equation: ClassVar[str] = "−εΔu + w·∇u = f"
    domain: ClassVar[str] = "(0, 1)²"
    boundary: ClassVar[str] = "u = 0"
    grid: ClassVar[str] = "vertex"

    scheme: Scheme = "auto"
    peclet: tuple[float, float] = (10.0, 1e4)

    def __post_init__(self) -> None:
        n = self.resolution
        if isinstance(n, bool) or not isinstance(n, int) or n < 5:
            raise ValueError(f"{self.name} needs a resolution of at least 5 points per side, got {n!r}")
        if self.scheme not in ("auto", "centred", "upwind", "exponential"):
            raise ValueError(
                f"{self.name} needs scheme='auto', 'centred', 'upwind' or 'exponential', got {self.scheme!r}"
            )
        object.__setattr__(self, "peclet", tuple(float(p) for p in self.peclet))
        if len(self.peclet) != 2 or not 0.0 < self.peclet[0] <= self.peclet[1] < math.inf:
            raise ValueError(f"{self.name} needs peclet=(least, largest), both positive, got {self.peclet!r}")

    @property
    def h(self) -> float:
        """Grid spacing."""
        return 1.0 / (self.resolution - 1)

    def fields(self) -> dict[str, FieldSpec]:
        """Return the stored arrays: the stream function ``psi``, ``peclet`` and the solution ``u``."""
        shape = (self.resolution,) * 2
        return {
            "psi": FieldSpec(shape, "input", "stream function of the wind at the nodes, boundary included"),
            "peclet": FieldSpec((), "parameter", "Péclet number 1/ε"),
            "u": FieldSpec(shape, "solution", "concentration at the nodes, boundary included"),
        }

    def axes(self) -> dict[str, FloatArray]:
        """Return the coordinates of the nodes."""
        return {name: grid_points(self.resolution, "vertex") for name in ("x", "y")}

    def law(self) -> str:
        """Return one sentence with the law of the inputs."""
        g = _stream_function()
        return (
            f"w = (∂_y ψ, −∂_x ψ), ψ Gaussian with covariance {g.sigma**2:.6g}·(−Δ + {g.tau:g}²)^(−{g.alpha:g}), "
            f"Neumann cosine modes; 1/ε log-uniform in [{self.peclet[0]:g}, {self.peclet[1]:g}]; f = 1."
        )

    def draw(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Draw ``peclet``, then ``psi``: one stream is one problem on every grid."""
        low, high = np.log(self.peclet)
        peclet = np.asarray(np.exp(rng.uniform(low, high)))
        return {"peclet": peclet, "psi": _stream_function().sample(rng, self.resolution, "vertex")}

    def wind(self, psi: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the normal wind on the faces between nodes: shapes (n − 1, n − 2) and (n − 2, n − 1)."""
        across = (psi[:, 2:] - psi[:, :-2]) / (2.0 * self.h), (psi[:-2] - psi[2:]) / (2.0 * self.h)
        return 0.5 * (across[0][:-1] + across[0][1:]), 0.5 * (across[1][:, :-1] + across[1][:, 1:])

    def cell_peclet(self, inputs: Inputs) -> float:
        """Return the largest |w|h/ε over the faces."""
        largest = max(float(np.abs(w).max()) for w in self.wind(np.asarray(inputs["psi"])))
        return largest * self.h * float(inputs["peclet"])

    def assemble(self, inputs: Inputs) -> System:
        """Build the nonsymmetric 5-point operator and the right-hand side.

        Parameters
        ----------
        inputs : mapping
            ``psi`` of the stored shape, the number ``peclet`` > 0, and optionally a source ``f`` in place of 1.

        Raises
        ------
        ValueError
            If an input is missing, of another shape, or not finite.
        """
        missing = [name for name in ("psi", "peclet") if name not in inputs]
        if missing:
            raise ValueError(f"{self.name} needs {missing[0]!r} among its inputs, got {sorted(inputs)}")
        n = self.resolution
        psi = check_field(inputs["psi"], (n, n), "psi")
        peclet = float(inputs["peclet"])
        if not 0.0 < peclet < math.inf:
            raise ValueError(f"peclet must be a positive number, got {peclet!r}")
        f = check_field(inputs["f"], (n, n), "f")[1:-1, 1:-1] if "f" in inputs else np.ones((n - 2, n - 2))
        diffusion, m = 1.0 / (peclet * self.h**2), n - 2
        scheme = self._chosen({"psi": psi, "peclet": np.asarray(peclet)})
        coefficients = np.zeros((5, m, m))
        for axis, w in enumerate(self.wind(psi)):
            z = w * self.h * peclet
            # Row P, the node behind a face, loses `ahead` u_P and gains `back` u_Q; row Q the other way round.
            ahead, back = diffusion * _bernoulli(-z, scheme), diffusion * _bernoulli(z, scheme)
            low, high = _part(axis, slice(None, -1)), _part(axis, slice(1, None))
            coefficients[0] += ahead[high] + back[low]
            coefficients[1 + 2 * axis][high] = -ahead[_part(axis, slice(1, -1))]
            coefficients[2 + 2 * axis][low] = -back[_part(axis, slice(1, -1))]
        # Off-diagonal entries ≤ 0 and row sums ≥ 0, positive at the boundary, in a connected grid.
        monotone = scheme != "centred" or self.cell_peclet({"psi": psi, "peclet": np.asarray(peclet)}) < _CENTRED_LIMIT
        return System(Stencil(coefficients, props=Props.M_MATRIX if monotone else Props.NONE), f.ravel())

    def expand(self, x: np.ndarray, inputs: Inputs) -> dict[str, np.ndarray]:
        """Return ``{"u": field}``, the zero boundary nodes put around the unknowns."""
        return {"u": np.pad(np.asarray(x).reshape((self.resolution - 2,) * 2), 1)}

    def restrict(self, solution: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the vector of unknowns of a stored field ``u``."""
        u = np.asarray(solution["u"])
        if u.shape != (self.resolution,) * 2:
            raise ValueError(f"u must have the shape {(self.resolution,) * 2} of the stored grid, got {u.shape}")
        return u[1:-1, 1:-1].ravel()

    def checks(self, inputs: Inputs, system: System) -> list[Check]:
        """Return structural checks of the entries.

        ``pattern``; ``interior row sums`` (zero: the wind has no divergence); ``antisymmetric part`` (A_ij − A_ji is
        that of the wind through the face, whatever the scheme); ``M-matrix signs`` where the scheme promises them.
        """
        n, h = self.resolution - 2, self.h
        matrix = system.A.to_sparse()
        if not np.isfinite(matrix.data).all():
            return [Check("finite", False, "an entry is not finite")]
        rows = np.repeat(np.arange(n * n), np.diff(matrix.indptr))
        place = np.divmod(np.arange(n * n), n)
        steps = sum(np.abs(c[rows] - c[matrix.indices]) for c in place)
        rounding = 1e-12 * float(abs(matrix).max())
        sums = (matrix @ np.ones(n * n)).reshape(n, n)[1:-1, 1:-1]
        worst = 0.0
        for axis, w in enumerate(self.wind(np.asarray(inputs["psi"], dtype=np.float64))):
            stride = n if axis == 0 else 1
            ahead, back = matrix.diagonal(stride), matrix.diagonal(-stride)
            inner = w[_part(axis, slice(1, -1))]
            expected = np.pad(inner, ((0, 1), (0, 0)) if axis == 0 else ((0, 0), (0, 1))).ravel()[: ahead.size]
            worst = max(worst, float(np.abs(ahead - back - expected / h).max()))
        off = matrix.data[rows != matrix.indices]
        checks = [
            Check("finite", True, "all entries are finite"),
            Check("pattern", bool((steps <= 1).all()), f"{matrix.nnz} entries, at most one step away"),
            Check("interior row sums", bool(np.abs(sums).max() <= rounding), f"zero up to {np.abs(sums).max():.2e}"),
            Check("antisymmetric part", worst <= rounding, f"w/h up to {worst:.2e}"),
        ]
        if Props.M_MATRIX in system.A.props:
            checks.append(
                Check("M-matrix signs", bool(off.max() <= 0.0), f"off-diagonal entries up to {off.max():.2e}")
            )
        return checks

    def manufactured(self, peclet: float = 20.0) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Return a swirling wind, a source that depends on the Péclet number, and the solution, which does not."""
        x, y = np.meshgrid(*self.axes().values(), indexing="ij")
        pi = np.pi
        psi = np.sin(2.0 * x + 0.5) * np.cos(3.0 * y) / 3.0
        w_x, w_y = -np.sin(2.0 * x + 0.5) * np.sin(3.0 * y), -2.0 / 3.0 * np.cos(2.0 * x + 0.5) * np.cos(3.0 * y)
        p, q = np.exp(0.7 * x) * np.sin(pi * x), np.exp(-0.4 * y) * np.sin(pi * y)
        p_x = np.exp(0.7 * x) * (pi * np.cos(pi * x) + 0.7 * np.sin(pi * x))
        q_y = np.exp(-0.4 * y) * (pi * np.cos(pi * y) - 0.4 * np.sin(pi * y))
        p_xx = np.exp(0.7 * x) * ((0.49 - pi**2) * np.sin(pi * x) + 1.4 * pi * np.cos(pi * x))
        q_yy = np.exp(-0.4 * y) * ((0.16 - pi**2) * np.sin(pi * y) - 0.8 * pi * np.cos(pi * y))
        f = -(p_xx * q + p * q_yy) / peclet + w_x * p_x * q + w_y * p * q_y
        return {"psi": psi, "peclet": np.asarray(peclet), "f": f}, {"u": p * q}

    def _chosen(self, inputs: Inputs) -> str:
        if self.scheme != "auto":
            return self.scheme
        return "centred" if self.cell_peclet(inputs) <= _CENTRED_LIMIT else "upwind"


def _stream_function() -> GaussianRandomField:
    # Smooth enough that the wind is continuously differentiable; with this amplitude its components have mean square
    # about one.
    return GaussianRandomField(2, alpha=4.0, tau=6.0, bc="neumann", amplitude=1.4 * 6.0**3)


def _bernoulli(z: FloatArray, scheme: str) -> FloatArray:
    """Return B(z): what multiplies the node behind (−z) and before (z) a face, in units of the diffusive coupling."""
    if scheme == "centred":
        return 1.0 - 0.5 * z
    if scheme == "upwind":
        return 1.0 + np.maximum(-z, 0.0)
    # z/(exp z − 1) = exp(−z) z/(1 − exp(−z)), each where it cannot overflow; 1 − z/2 + z²/12 around zero.
    size = np.maximum(np.abs(z), 1e-4)
    small: Any = np.exp(-size) * size / -np.expm1(-size)
    large = small + size
    near = 1.0 - 0.5 * z + z * z / 12.0
    return np.where(np.abs(z) < 1e-4, near, np.where(z > 0.0, small, large))


def _part(axis: int, part: slice) -> tuple[slice, ...]:
    return (slice(None),) * axis + (part,)
