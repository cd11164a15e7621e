"""`solve`: one entrance to all methods, and the choice among them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ...operators.spectral_mixture import Shape, SpectralMixture
from .adam import AdamGP
from .averaged_posterior import AveragedPosterior
from .collocation import unknown_nodes
from .defect import Defect, estimate_defect
from .direct import DirectSolution, solve_by_choice, solve_direct
from .evidence import best_posterior, kernels_from_part
from .features import FeatureSystem, solve_by_features, solve_nonlinear_by_features
from .field import Evaluable, Field
from .frequencies import check_carried, source_peaks
from .grid_posterior import GridPosterior
from .kernel_axis import KernelAxis
from .pde import PDE
from .posterior import LARGEST, Posterior, functionals

Method = Literal["auto", "features", "kernel", "posterior", "adam"]
GOOD = 1e-8
"""Estimated error at which features need no kernels beside them."""
ENOUGH = {1: 1e-9, 2: 1e-7, 3: 1e-6}
"""Estimated error at which no further kernels are tried, by the number of axes."""
NODES = {1: (200, 900, 6.0), 2: (40, 400, 4.0), 3: (16, 64, 3.0)}
"""Fewest and most nodes an axis, and nodes a wavelength, where the caller gives none, by the number of axes."""
POSTERIOR_NODES = {1: (60, 400, 4.0), 2: (16, 45, 3.0), 3: (6, 13, 2.5)}
"""The same for dense posteriors."""


def solve(
    pde: PDE,
    method: Method = "auto",
    n: int | Sequence[int] | None = None,
    *,
    kernels: Sequence[SpectralMixture] | SpectralMixture | None = None,
    eps: float | None = None,
    recycle: bool = False,
    updates: int = 1000,
    frequencies: Any = None,
    kernel: Shape = "student-t",
    boundary_weight: float = 200.0,
) -> Field:
    """Solve a PDE on a box by Gaussian processes and return a `Field`.

    ============  ======================================================================================================
    method        what it does
    ============  ======================================================================================================
    "auto"        features on a line and kernels in a box where data are exact and complete, else the posterior
    "features"    least squares in polynomials times sines and cosines, frequencies found (one axis, exact data)
    "kernel"      collocation with kernels: given ones, or those with the smallest estimated error (exact data)
    "posterior"   mean and variance given noisy or incomplete data; kernels by evidence unless given; beyond 6000 nodes
                  on their tensor grid, for a noisy source and exact boundary values
    "adam"        the published training by Adam, for comparison
    ============  ======================================================================================================

    Parameters
    ----------
    pde : PDE
    method : str
    n : int or sequence of int, optional
        Nodes along each axis; by default enough for the frequencies in the data. Values given as arrays fix it.
    kernels : SpectralMixture, or one an axis, optional
        For "kernel" and "posterior". With kernels given, frequencies beyond Nyquist's limit of the grid are allowed.
    eps : float, optional
        Jitter of given kernels, 1e-10 by default.
    recycle : bool
        Whether Newton's steps hand a Krylov subspace on.
    updates, frequencies, kernel, boundary_weight
        For "adam": number of updates, F (by default above the highest frequency in the source), kernel and λ.

    Returns
    -------
    field : Field

    Raises
    ------
    ValueError
        If data are inconsistent, not finite, hold frequencies that the grid cannot carry, or do not determine u.

    Notes
    -----
    For smooth problems on a box with exact data, a spectral method is faster and more accurate; a Gaussian process pays
    where data are noisy, incomplete or few. Nothing is chosen by comparison with a known solution.

    Examples
    --------
    >>> import numpy as np
    >>> from resolvent.solvers.gp import PDE, laplacian, solve
    >>> u = lambda x: np.sin(40.0 * x)
    >>> field = solve(PDE([(0.0, 1.0)], laplacian(1), source=lambda x: -1600.0 * u(x), boundary=u))
    >>> x = np.linspace(0.0, 1.0, 7)
    >>> bool(np.abs(field(x) - u(x)).max() < 1e-9), field.method
    (True, 'features')
    """
    if method not in ("auto", "features", "kernel", "posterior", "adam"):
        raise ValueError(f"method must be auto, features, kernel, posterior or adam, got {method!r}")
    given = _kernels(pde, kernels)
    if eps is not None and not (math.isfinite(eps) and eps > 0.0):
        raise ValueError(f"eps must be a positive jitter, such as 1e-10, got {eps!r}")
    if method == "auto":
        method = "posterior" if not pde.exact or not _determined(pde) else "kernel" if given else "auto"
    nodes = pde.grid(_shape(pde, n, POSTERIOR_NODES if method == "posterior" else NODES))
    for x in nodes:
        if x.size < 4:
            raise ValueError(f"n must be at least 4 along each axis, got {x.size}")
    if given is None:
        check_carried(pde, nodes)
    if method == "adam":
        return _by_adam(pde, nodes, frequencies, kernel, updates, boundary_weight)
    if method == "posterior":
        return _by_posterior(pde, nodes, given)
    if not pde.exact:
        raise ValueError(f"method {method!r} needs exact data: use method='posterior' for noise and observations")
    unknown_nodes(pde)  # says which data are missing or too many
    if method == "kernel" or pde.dimensions > 1:
        if method == "features":
            raise ValueError("features are for one axis: use method='kernel'")
        return _by_kernels(pde, nodes, given, eps, recycle)
    field = _by_features(pde, nodes)
    if method == "auto" and field.defect is not None and not field.defect.error <= GOOD:
        other = _by_kernels(pde, nodes, None, None, recycle)
        if other.defect is not None and other.defect.error < field.defect.error:
            return other
    return field


def _by_features(pde: PDE, nodes: list[np.ndarray]) -> Field:
    x = nodes[0]
    if pde.nonlinear is not None:
        solution = solve_nonlinear_by_features(pde, x)
    else:
        solution = solve_by_features(FeatureSystem(pde, x))
    space = solution.function.space
    found = {"frequencies": space.omega, "degree": space.p, "residual": solution.residual, "fits": solution.fits}
    if solution.newton:
        found["newton"] = solution.newton
    return Field(pde, "features", solution.function, nodes, found, _checked(pde, solution.function, nodes))


def _by_kernels(
    pde: PDE,
    nodes: list[np.ndarray],
    given: list[SpectralMixture] | None,
    eps: float | None,
    recycle: bool,
) -> Field:
    solution: DirectSolution
    if given is not None:
        axes = [KernelAxis(k, x) for k, x in zip(given, nodes, strict=True)]
        solution = solve_direct(pde, axes, 1e-10 if eps is None else eps, recycle=recycle)
        defect = _checked(pde, solution.function, nodes)
    else:
        few = {} if pde.dimensions == 1 else {"jitters": (1e-10, 1e-12), "scales": (-2.0, 0.0, -4.0, -6.0)}
        solution = solve_by_choice(pde, nodes, enough=ENOUGH[pde.dimensions], **few)  # type: ignore[arg-type]
        defect = solution.defect
    found: dict[str, Any] = {"kernels": [repr(a.kernel) for a in solution.axes], "jitter": solution.eps}
    if solution.tried:
        found["settings"] = len(solution.tried)
    if solution.newton:
        found |= {"newton": solution.newton, "products": solution.solve.matvecs}
    return Field(pde, "kernel", solution.function, nodes, found, defect)


def _by_posterior(pde: PDE, nodes: list[np.ndarray], given: list[SpectralMixture] | None) -> Field:
    if pde.nonlinear is not None:
        raise ValueError("posteriors are for linear equations: linearise, or give exact and complete data")
    if math.prod(x.size for x in nodes) > LARGEST:
        large = GridPosterior(given or kernels_from_part(pde, nodes), pde, nodes)
        about = {"kernels": [repr(k) for k in large.kernels], "iterations": large.iterations}
        return Field(pde, "posterior", large, nodes, about, None, large)
    data = functionals(pde, nodes)
    posterior: Posterior | AveragedPosterior
    if given is not None:
        posterior = Posterior(given, data, amplitude=1.0)
    else:
        posterior = best_posterior(pde, nodes, data)
    found = {
        "kernels": [repr(k) for k in posterior.kernels],
        "amplitude": posterior.amplitude,
        "evidence": posterior.evidence,
    }
    if isinstance(posterior, AveragedPosterior):
        found["averaged over"] = len(posterior.members)
    return Field(pde, "posterior", posterior, nodes, found, None, posterior)


def _by_adam(
    pde: PDE, nodes: list[np.ndarray], frequencies: Any, kernel: Shape, updates: int, boundary_weight: float
) -> Field:
    shape = tuple(x.size for x in nodes)
    if frequencies is None:
        highest = [source_peaks(pde, nodes, j).omega.max(initial=0.0) / (2.0 * math.pi) for j in range(len(nodes))]
        frequencies = [max(1.25 * F, 1.0) for F in highest]
    gp = AdamGP(pde, shape, frequencies, kernel, boundary_weight=boundary_weight)
    state = gp.run(updates)
    found = {"updates": updates, "loss": gp.loss(state), "kernel": kernel}
    return Field(pde, "adam", gp.function(state), nodes, found)


def _checked(pde: PDE, function: Evaluable, nodes: Sequence[np.ndarray]) -> Defect | None:
    return estimate_defect(pde, function, nodes)


def _determined(pde: PDE) -> bool:
    """Whether each axis has as many ends with data as the order of its derivatives."""
    return all(sum(j == axis for j, _ in pde.sides) >= pde.highest(axis) for axis in range(pde.dimensions))


def _kernels(pde: PDE, kernels: Sequence[SpectralMixture] | SpectralMixture | None) -> list[SpectralMixture] | None:
    if kernels is None:
        return None
    given = [kernels] * pde.dimensions if isinstance(kernels, SpectralMixture) else list(kernels)
    if len(given) != pde.dimensions or not all(isinstance(k, SpectralMixture) for k in given):
        raise ValueError(f"give one kernel, or one for each of the {pde.dimensions} axes, got {kernels!r}")
    return given


def _shape(pde: PDE, n: int | Sequence[int] | None, limits: dict[int, tuple[int, int, float]]) -> tuple[int, ...]:
    fixed = np.shape(pde.source) if not callable(pde.source) and np.ndim(pde.source) else None
    if n is not None:
        shape = tuple(int(m) for m in np.atleast_1d(n))
        shape = shape * pde.dimensions if np.ndim(n) == 0 else shape
        if len(shape) != pde.dimensions:
            raise ValueError(f"n must be one number, or one for each of the {pde.dimensions} axes, got {n!r}")
        return shape
    if fixed is not None:
        return tuple(int(m) for m in fixed)
    least, most, a_wave = limits[pde.dimensions]
    rough = pde.grid((least,) * pde.dimensions)
    shape = ()
    for axis, (low, high) in enumerate(pde.box):
        omega = source_peaks(pde, rough, axis).omega.max(initial=0.0)
        wanted = math.ceil(a_wave * float(omega) * (high - low) / (2.0 * math.pi)) + 1
        shape += (min(max(wanted, least), most),)
    return shape
