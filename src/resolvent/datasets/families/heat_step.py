"""One implicit step of heat in an insulated square with a drifting conductivity: u_t = ∇·(a(x, t)∇u)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Literal, NamedTuple, final

import numpy as np

from ...operators.stencil import Stencil
from ..evidence.certification import relative_residual
from ..evidence.structural_checks import Check
from ..family import FieldSpec, Inputs, LinearFamily, System
from ..random_fields import FloatArray, GaussianRandomField, grid_points
from ..schemes.diffusion import cell_transmissibilities, check_coefficient, check_field
from ..schemes.manufactured import accurate_solution
from .coefficients import coefficient_law


class Step(NamedTuple):
    """One implicit step along a path.

    Attributes
    ----------
    time, dt : float
        At the end of the step, and its length.
    system : System
        What was solved.
    u : (n, n) array
        Temperature at `time`.
    rho : float
        ‖b − Au‖/‖b‖, computed in float64.
    """

    time: float
    dt: float
    system: System
    u: FloatArray
    rho: float


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class HeatStep2D(LinearFamily):
    """Heat equation on the insulated unit square: u_t = ∇·(a(x, t)∇u), ∂u/∂n = 0.

    A sample is one implicit step from random data, a definite system for any solver; `march` follows a path of steps
    with drifting a and changing dt, a stream of related systems. `heat.Heat2D` has whole trajectories as samples.

    Parameters
    ----------
    resolution : int
        Cells n per side, at least 4; fields are stored at their centres.
    scheme : {"bdf1", "bdf2", "crank_nicolson"}
        Time stepping, below.
    dt : float
        Length of a step where the inputs do not give one.
    coefficient : str
        Law of a at any time; a preset of `coefficients.coefficient_law` of the form a = exp(g).
    drift : float
        Angular velocity ω of the path log a(t) = g₁ cos ωt + g₂ sin ωt, g₁ and g₂ independent: at every time a has the
        given law.

    Notes
    -----
    With L u = −∇·(a∇u) by finite volumes (harmonic face means, no flux through walls), r = dt/dt_old:

        bdf1             (1/dt + L) u = u_old/dt
        bdf2             ((1 + 2r)/(1 + r)/dt + L) u = ((1 + r) u_old − r²/(1 + r) u_older)/dt
        crank_nicolson   (2/dt + L) u = (2/dt − L_old) u_old

    First, second and second order in time, second in space. All operators are symmetric positive definite M-matrices;
    bdf1 and bdf2 damp all modes for large dt, Crank–Nicolson does not.

    References
    ----------
    Hairer & Wanner, *Solving Ordinary Differential Equations II*, 1996, doi:10.1007/978-3-642-05221-7.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.datasets.families.heat_step import HeatStep2D
    >>> family = HeatStep2D(resolution=16, scheme="bdf2")
    >>> path = list(family.march(np.random.default_rng(0), 3))
    >>> [round(step.time, 4) for step in path], max(step.rho for step in path) < 1e-12
    ([0.0025, 0.005, 0.0075], True)
    """

    name: ClassVar[str] = "heat2d_step"
    aliases: ClassVar[tuple[str, ...]] = ("heat_step",)
    family_id: ClassVar[int] = 5
    title: ClassVar[str] = "One step of the heat equation, 2-D"
    equation: ClassVar[str] = "u_t = ∇·(a∇u)"
    domain: ClassVar[str] = "(0, 1)²"
    boundary: ClassVar[str] = "∂u/∂n = 0"

    scheme: Literal["bdf1", "bdf2", "crank_nicolson"] = "bdf1"
    dt: float = 2.5e-3
    coefficient: str = "fno_lognormal"
    drift: float = 20.0

    def __post_init__(self) -> None:
        n = self.resolution
        if isinstance(n, bool) or not isinstance(n, int) or n < 4:
            raise ValueError(f"{self.name} needs a resolution of at least 4 points per side, got {n!r}")
        if self.scheme not in ("bdf1", "bdf2", "crank_nicolson"):
            raise ValueError(f"{self.name} needs scheme='bdf1', 'bdf2' or 'crank_nicolson', got {self.scheme!r}")
        if not 0.0 < self.dt < math.inf:
            raise ValueError(f"{self.name} needs a positive step dt, got {self.dt!r}")
        if not math.isfinite(self.drift):
            raise ValueError(f"{self.name} needs a finite drift, got {self.drift!r}")
        if coefficient_law(self.coefficient, 2).phases is not None:
            raise ValueError(
                f"{self.name} needs a law a = exp(g), which can drift; {self.coefficient!r} has two phases"
            )

    @property
    def h(self) -> float:
        """Cell size."""
        return 1.0 / self.resolution

    def fields(self) -> dict[str, FieldSpec]:
        """Return the stored arrays: ``a``, what came before by scheme, ``dt``, and the solution ``u``."""
        shape = (self.resolution,) * 2
        fields = {"a": FieldSpec(shape, "input", "conductivity at the end of the step")}
        if self.scheme == "crank_nicolson":
            fields["a_old"] = FieldSpec(shape, "input", "conductivity at the beginning of the step")
        fields["u_old"] = FieldSpec(shape, "input", "temperature at the beginning of the step")
        if self.scheme == "bdf2":
            fields["u_older"] = FieldSpec(shape, "input", "temperature one step earlier")
        fields["dt"] = FieldSpec((), "parameter", "length of the step")
        fields["u"] = FieldSpec(shape, "solution", "temperature at the end of the step")
        return fields

    def axes(self) -> dict[str, FloatArray]:
        """Return the coordinates of the cell centres."""
        return {name: grid_points(self.resolution, "cell") for name in ("x", "y")}

    def law(self) -> str:
        """Return one sentence with the law of the inputs."""
        g = _initial()
        return (
            f"{coefficient_law(self.coefficient, 2).text()}, turning into an independent one with angular velocity "
            f"{self.drift:g}; initial temperature Gaussian with covariance proportional to "
            f"(−Δ + {g.tau:g}²)^(−{g.alpha:g}), Neumann cosine modes, unit mean variance, at rest before; "
            f"dt = {self.dt:g}."
        )

    def draw(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Draw a conductivity and an initial temperature: the first step from rest, one problem on every grid."""
        start, turned, u = self._drawn(rng)
        inputs = {"a": self._conductivity(start, turned, self.dt), "u_old": u, "dt": np.asarray(self.dt)}
        if self.scheme == "crank_nicolson":
            inputs["a_old"] = np.exp(start)
        if self.scheme == "bdf2":
            inputs["u_older"] = u.copy()
        return inputs

    def assemble(self, inputs: Inputs) -> System:
        """Build the operator and the right-hand side of one step.

        Parameters
        ----------
        inputs : mapping
            ``a`` > 0 and ``u_old``; ``u_older`` for bdf2, ``a_old`` > 0 for crank_nicolson; optionally the numbers
            ``dt`` and, for bdf2, ``dt_old``, both by default the option, and a heat source ``f``, its
            mean over the step for crank_nicolson.

        Raises
        ------
        ValueError
            If an input is missing, of another shape, not finite, or a or dt are not positive.
        """
        history = {"bdf1": (), "bdf2": ("u_older",), "crank_nicolson": ("a_old",)}[self.scheme]
        missing = [name for name in ("a", "u_old", *history) if name not in inputs]
        if missing:
            raise ValueError(f"{self.name} needs {missing[0]!r} among its inputs, got {sorted(inputs)}")
        shape = (self.resolution,) * 2
        a, u_old = check_coefficient(inputs["a"], shape), check_field(inputs["u_old"], shape, "u_old")
        dt, dt_old = (float(inputs.get(name, self.dt)) for name in ("dt", "dt_old"))
        if not (0.0 < dt < math.inf and 0.0 < dt_old < math.inf):
            raise ValueError(f"dt and dt_old must be positive numbers, got {dt!r} and {dt_old!r}")
        r = dt / dt_old
        if self.scheme == "bdf1":
            rate, b = 1.0 / dt, u_old / dt
        elif self.scheme == "bdf2":
            u_older = check_field(inputs["u_older"], shape, "u_older")
            rate = (1.0 + 2.0 * r) / ((1.0 + r) * dt)
            b = ((1.0 + r) * u_old - r**2 / (1.0 + r) * u_older) / dt
        else:
            rate = 2.0 / dt
            L_old = self._diffusion(check_coefficient(inputs["a_old"], shape, "a_old"), 0.0)
            b = rate * u_old - L_old.matvec(u_old)
        if "f" in inputs:
            b += check_field(inputs["f"], shape, "f") * (2.0 if self.scheme == "crank_nicolson" else 1.0)
        return System(self._diffusion(a, rate), b.ravel())

    def expand(self, x: np.ndarray, inputs: Inputs) -> dict[str, np.ndarray]:
        """Return ``{"u": field}``."""
        return {"u": np.asarray(x).reshape((self.resolution,) * 2)}

    def restrict(self, solution: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the vector of unknowns of a stored field ``u``."""
        u = np.asarray(solution["u"])
        if u.shape != (self.resolution,) * 2:
            raise ValueError(f"u must have the shape {(self.resolution,) * 2} of the stored grid, got {u.shape}")
        return u.ravel()

    def march(
        self,
        rng: np.random.Generator | int,
        steps: int,
        *,
        solve: Callable[[System], np.ndarray] | None = None,
        dt: Callable[[int], float] | None = None,
    ) -> Iterator[Step]:
        """Follow one random path, a stream of related systems.

        Parameters
        ----------
        rng : Generator or int
            As for `draw`: the path starts from what it draws.
        steps : int
        solve : callable, optional
            System -> vector of unknowns; by default `accurate_solution`. With a `resolvent.solvers.Sequence` s:
            ``lambda system: s.solve(system.A, system.b).x``.
        dt : callable, optional
            Length of the step with a given number, counted from 0; by default the option.

        Yields
        ------
        step : Step
            With the system, the solution and its residual. The first step of bdf2 is one of bdf1.
        """
        solve = solve or accurate_solution
        start, turned, u_old = self._drawn(np.random.default_rng(rng))
        first = dataclasses.replace(self, scheme="bdf1") if self.scheme == "bdf2" else self
        time, dt_old, a_old, u_older = 0.0, self.dt, np.exp(start), u_old
        for number in range(steps):
            length = self.dt if dt is None else float(dt(number))
            a = self._conductivity(start, turned, time + length)
            inputs = {"a": a, "a_old": a_old, "u_old": u_old, "u_older": u_older}
            inputs |= {"dt": np.asarray(length), "dt_old": np.asarray(dt_old)}
            system = (self if number else first).assemble(inputs)
            x = np.asarray(solve(system))
            time, dt_old, a_old, u_older = time + length, length, a, u_old
            u_old = x.reshape(u_old.shape)
            yield Step(time, length, system, u_old, relative_residual(system, x))

    def checks(self, inputs: Inputs, system: System) -> list[Check]:
        """Return structural checks of the entries; that all row sums are equal says that no flux leaves."""
        n, matrix = self.resolution, system.A.to_sparse()
        if not np.isfinite(matrix.data).all():
            return [Check("finite", False, "an entry is not finite")]
        rows = np.repeat(np.arange(n * n), np.diff(matrix.indptr))
        steps = sum(np.abs(c[rows] - c[matrix.indices]) for c in np.divmod(np.arange(n * n), n))
        rounding = 1e-13 * float(abs(matrix).max())
        asymmetry = float(abs(matrix - matrix.T).max())
        off = matrix.data[rows != matrix.indices]
        sums = matrix @ np.ones(n * n)
        spread = float(np.ptp(sums))
        return [
            Check("finite", True, "all entries are finite"),
            Check("pattern", bool((steps <= 1).all()), f"{matrix.nnz} entries, at most one step away"),
            Check("symmetry", asymmetry <= rounding, f"max |A − Aᵀ| = {asymmetry:.2e}"),
            Check("M-matrix signs", bool(off.max() <= 0.0), f"off-diagonal entries up to {off.max():.2e}"),
            Check(
                "row sums", bool(sums.min() > 0.0 and spread <= rounding), f"all {sums.mean():.6g} up to {spread:.2e}"
            ),
        ]

    def manufactured(self) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Return inputs and the exact solution of a step that is discrete in time only: tests the order in space.

        Three fields stand for the three times, and the source makes the time-discrete equation hold for them.
        """
        x, y = np.meshgrid(*self.axes().values(), indexing="ij")
        (a, u, flux), (a_old, u_old, flux_old), (_, u_older, _) = (_manufactured(x, y, 0.5 * j) for j in range(3))
        dt = self.dt
        inputs = {"a": a, "a_old": a_old, "u_old": u_old, "u_older": u_older, "dt": np.asarray(dt)}
        if self.scheme == "bdf1":
            f = (u - u_old) / dt - flux
        elif self.scheme == "bdf2":
            f = (3.0 * u - 4.0 * u_old + u_older) / (2.0 * dt) - flux
        else:
            f = (u - u_old) / dt - 0.5 * (flux + flux_old)
        return inputs | {"f": f}, {"u": u}

    def _diffusion(self, a: FloatArray, rate: float) -> Stencil:
        return Stencil.from_transmissibilities(cell_transmissibilities(a, self.h, 2, "insulated"), shift=rate)

    def _drawn(self, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Draw g₁, g₂ and the initial temperature."""
        g = coefficient_law(self.coefficient, 2).field
        return g.sample(rng, self.resolution), g.sample(rng, self.resolution), _initial().sample(rng, self.resolution)

    def _conductivity(self, start: FloatArray, turned: FloatArray, time: float) -> FloatArray:
        angle = self.drift * time
        return np.exp(math.cos(angle) * start + math.sin(angle) * turned)


def _initial() -> GaussianRandomField:
    return GaussianRandomField(2, alpha=2.5, tau=7.0, bc="neumann").normalised()


def _manufactured(x: FloatArray, y: FloatArray, phase: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return a conductivity, a field without flux through the walls, and ∇·(a∇u)."""
    pi = np.pi
    a = np.exp(0.5 * np.sin(2.0 * x + 1.0 + phase) + 0.3 * np.cos(3.0 * y - phase))
    u = np.cos(pi * x) * np.cos(2.0 * pi * y) + 0.5 * np.cos(3.0 * pi * x) + phase * np.cos(pi * y)
    u_x = -pi * np.sin(pi * x) * np.cos(2.0 * pi * y) - 1.5 * pi * np.sin(3.0 * pi * x)
    u_y = -2.0 * pi * np.cos(pi * x) * np.sin(2.0 * pi * y) - phase * pi * np.sin(pi * y)
    laplacian = (
        -5.0 * pi**2 * np.cos(pi * x) * np.cos(2.0 * pi * y)
        - 4.5 * pi**2 * np.cos(3.0 * pi * x)
        - phase * pi**2 * np.cos(pi * y)
    )
    phi_x, phi_y = np.cos(2.0 * x + 1.0 + phase), -0.9 * np.sin(3.0 * y - phase)
    return a, u, a * (laplacian + phi_x * u_x + phi_y * u_y)
