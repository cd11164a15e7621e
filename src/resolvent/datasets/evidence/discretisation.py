"""Evidence, taken before the first chunk, that a family's discretisation is what its equation says.

A small residual shows that a discrete problem was solved, not that it is the right one. The structure of the matrix is
therefore checked, and the discretisation error of a few samples, drawn at random, estimated on a grid twice as fine.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..discrete_problem import DiscreteProblem
from ..errors import DiscretisationError
from ..family import Family
from ..methods.strategies import Method
from ..seeding import sample_rng
from ..storage.sample_arrays import first_sample
from .two_grid import refined, two_grid_error

ESTIMATES = 4
"""Samples whose discretisation error is estimated by default."""
ESTIMATE_LIMIT = 70_000
"""Unknowns of the finer grid up to which that is done unasked: about a second a sample."""


def inspect_discretisation(family: Family, seed: int, n: int, method: Method, estimates: int | None) -> dict[str, Any]:
    """Check the discrete problem of the first sample and estimate the discretisation error of the first few.

    Parameters
    ----------
    n : int
        Samples of the set.
    method : Method
        Solves both grids of an estimate.
    estimates : int, optional
        Samples to estimate; by default `ESTIMATES`, or none if the finer grid has more than `ESTIMATE_LIMIT` unknowns.

    Returns
    -------
    evidence : dict
        ``checks`` (name, passed, detail of each), ``two_grid_errors`` (relative), the ``two_grid_samples`` they belong
        to, and ``note``.

    Raises
    ------
    DiscretisationError
        If a structural check fails.
    """
    index, _, problem = first_sample(family, seed)
    checks = [[str(name), bool(passed), str(detail)] for name, passed, detail in problem.checks()]
    failed = [f"{name} ({detail})" for name, passed, detail in checks if not passed]
    if failed:
        raise DiscretisationError(
            f"what {family.name} makes of sample {index} of seed {seed} is not what its equation gives: "
            f"{'; '.join(failed)}. No sample was made: the family's discretisation is wrong, or too "
            "coarse for its options"
        )
    errors, note = _two_grid_errors(family, seed, n, problem, method, estimates)
    samples = _subset(family, seed, n, len(errors))
    return {"checks": checks, "two_grid_errors": errors, "two_grid_samples": samples, "note": note}


def _subset(family: Family, seed: int, n: int, size: int) -> list[int]:
    """Return some of n samples, drawn from a stream that belongs to none of them."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(family.family_id,))))
    return sorted(rng.choice(n, size, replace=False).tolist())


def _two_grid_errors(
    family: Family, seed: int, n: int, problem: DiscreteProblem, method: Method, estimates: int | None
) -> tuple[list[float], str]:
    if estimates is None:
        finer = problem.work * 2 ** len(family.axes())
        if finer > ESTIMATE_LIMIT:
            return [], f"not estimated: the finer grid has about {finer} unknowns; pass two_grid= to do it all the same"
        estimates = ESTIMATES
    if estimates == 0:
        return [], "not estimated, as asked"
    try:
        refined(family)
    except (ValueError, TypeError) as error:
        return [], f"not estimated: {family.name} cannot be refined ({error})"

    def solve(task: Any) -> Any:
        return method.start()([task])[0].x

    indices = _subset(family, seed, n, min(estimates, n))
    try:
        errors = [two_grid_error(family, sample_rng(seed, family.family_id, i), solve=solve) for i in indices]
    except ValueError as error:
        return [], f"not estimated: {error}"
    return errors, f"‖u_h − u_h/2‖/‖u_h/2‖ of {len(errors)} drawn at random"


def describe_evidence(evidence: dict[str, Any]) -> dict[str, str]:
    """Return lines about the evidence, for printing."""
    checks = evidence["checks"]
    passed = ", ".join(name for name, ok, _ in checks if ok) or "none"
    errors = evidence["two_grid_errors"]
    estimate = f"{np.median(errors):.2e} (median), {max(errors):.2e} (largest): {evidence['note']}" if errors else ""
    return {"checks passed": passed, "two-grid error": estimate or evidence["note"]}
