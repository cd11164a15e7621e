"""Random laws of a positive diffusion coefficient, by the names under which published datasets use them."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Callable
from typing import Final

import numpy as np

from ..random_fields import FloatArray, GaussianRandomField, Grid


@dataclasses.dataclass(frozen=True)
class CoefficientLaw:
    """A coefficient a made pointwise from a Gaussian field g.

    Parameters
    ----------
    field : GaussianRandomField
        Law of g.
    phases : (float, float), optional
        Values of a where g ≥ 0 and where g < 0; without them a = exp(g).
    source : str
        Where the law comes from.
    """

    field: GaussianRandomField
    phases: tuple[float, float] | None
    source: str

    def draw(self, rng: np.random.Generator | int, resolution: int, grid: Grid = "cell") -> FloatArray:
        """Draw a on a grid: a (resolution,) * dim array, one function on every grid for one stream."""
        g = self.field.sample(rng, resolution, grid)
        if self.phases is None:
            return np.exp(g, out=g)
        return np.where(g >= 0, *self.phases)

    def text(self) -> str:
        """Return the law in words and symbols."""
        g = self.field
        modes = "Neumann cosine modes" if g.bc == "neumann" else "periodic Fourier modes"
        relation = "a = exp(g)" if self.phases is None else "a = {:g} where g ≥ 0, else {:g}".format(*self.phases)
        return (
            f"{relation}, g Gaussian with covariance {g.sigma**2:.6g}·(−Δ + {g.tau:g}²)^(−{g.alpha:g}), {modes}, "
            f"zero mean mode, mean variance {g.mean_variance():.4g} ({self.source})"
        )


def _smooth(dim: int) -> GaussianRandomField:
    return GaussianRandomField(dim, alpha=2.0, tau=3.0, bc="neumann")


_FNO: Final = "Li et al., arXiv 2010.08895"
_LAWS: Final[dict[str, Callable[[int], CoefficientLaw]]] = {
    "skr": lambda dim: CoefficientLaw(
        GaussianRandomField(dim, alpha=2.5, tau=7.0, bc="periodic"), None, "Wang et al., arXiv 2401.09516"
    ),
    "fno_lognormal": lambda dim: CoefficientLaw(_smooth(dim), None, _FNO),
    "fno_twophase": lambda dim: CoefficientLaw(_smooth(dim), (12.0, 3.0), _FNO),
    "fno_twophase_12_4": lambda dim: CoefficientLaw(_smooth(dim), (12.0, 4.0), _FNO + ", demonstration script"),
    "lognormal_unit": lambda dim: CoefficientLaw(_smooth(dim).normalised(), None, "fno_lognormal at unit variance"),
}

PRESETS: Final = tuple(_LAWS)
"""Names that `coefficient_law` knows."""


@functools.lru_cache(maxsize=32)
def coefficient_law(name: str, dim: int) -> CoefficientLaw:
    """Return the law of a preset in `dim` dimensions.

    Parameters
    ----------
    name : str
        ``skr``: a = exp(g), α = 2.5, τ = 7, periodic; weak contrast. ``fno_lognormal``: a = exp(g), α = 2, τ = 3,
        Neumann. ``fno_twophase``: the same g, a = 12 where g ≥ 0, else 3; ``fno_twophase_12_4``: 12 and 4.
        ``lognormal_unit``: g of ``fno_lognormal`` scaled to mean variance 1 (all modes, averaged over the domain).
        The covariance of g is σ²(−Δ + τ²)^(−α) with σ² = τ^(2α − dim), but for the last. Measured on 400 samples of
        128², medians with 5 and 95 % quantiles of max a/min a: ``skr`` 2.5 (1.9–3.3), ``fno_lognormal`` 4.0 (2.6–8.0),
        ``lognormal_unit`` 120 (25–1200); on 60 samples of 48³: 2.3, 8.7 and 3400 (700–20 000).
    dim : {1, 2, 3}

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known ones.

    Examples
    --------
    >>> from resolvent.datasets.families.coefficients import coefficient_law
    >>> law = coefficient_law("fno_twophase", 2)
    >>> sorted(set(law.draw(0, 32).ravel().tolist()))
    [3.0, 12.0]
    """
    if name not in _LAWS:
        near = difflib.get_close_matches(str(name), PRESETS, n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise ValueError(f"unknown coefficient preset {name!r}: {hint}known are {', '.join(PRESETS)}")
    return _LAWS[name](dim)
