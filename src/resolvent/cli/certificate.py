"""The certificate table of a dataset, as `generate` and `describe` print it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .console import write_pairs

if TYPE_CHECKING:
    from ..datasets import Description


def print_certificate(description: Description, *, file: bool = True) -> None:
    """Print residuals, tolerance, iterations, failures, solver, cost split and, if asked for, checksum and file."""
    from ..datasets.evidence.discretisation import describe_evidence
    from ..datasets.storage.capacity import bytes_text

    residual, iterations = description.certificates["rho_float64"], description.certificates["iterations"]
    stored, rounding = description.certificates["rho_stored"], description.certificates["rounding_error"]
    statuses = ", ".join(f"{count} {status}" for status, count in description.statuses.items())
    failed = description.samples - description.certified
    decision = description.provenance["decision"]
    rows = {
        "residual": f"worst {residual[2]:.2e}, median {residual[1]:.2e}, tolerance {description.config['rtol']:.1e}",
        "certified": f"{description.certified} of {description.samples}, {failed} failed ({statuses})",
        "iterations": f"median {iterations[1]:g}, most {iterations[2]:g}",
        "solver": f"{decision['chosen']} ({decision['why']})",
        **({"order": f"{description.config['order']}, in each chunk"} if "order" in description.config else {}),
        "cost": cost_split(description.cost),
    }
    common = ("rho_float64", "rho_stored", "rounding_error", "iterations")
    evidence = {name: worst for name, (_, _, worst) in description.certificates.items() if name not in common}
    if evidence:  # of a trajectory, of which the residual is the largest
        listed = ", ".join(f"{name} {worst:.1e}" for name, worst in evidence.items())
        rows = {"evidence": f"worst {listed}", "error": rows.pop("residual")} | rows
    if description.config["dtype"] != "float64":
        rounded = f"residual worst {stored[2]:.2e}, rounding error worst {rounding[2]:.2e}"
        first = "error" if evidence else "residual"
        rows = {first: rows.pop(first), f"in {description.config['dtype']}": rounded} | rows
    found = describe_evidence(description.provenance["discretisation"])
    rows |= {name.partition(" ")[0]: text for name, text in found.items()}
    if file:
        rows["checksum"] = f"SHA-256 {description.content_sha256}"
        rows["file"] = f"{description.path}, {bytes_text(description.size_bytes)}"
    write_pairs(rows)


def print_shares(description: Description) -> None:
    """Print which method made how many chunks of a tuned set, what it took and why it was taken; nothing for others."""
    if not description.shares:
        return
    from rich import box
    from rich.table import Table

    from ..solvers.candidates import duration
    from .console import write_table

    table = Table("method", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("chunks", "samples", "solving a sample"):
        table.add_column(name, justify="right")
    table.add_column("why", overflow="fold")
    for share in description.shares:
        table.add_row(share.arm, str(share.chunks), str(share.samples), duration(share.seconds), share.told)
    write_table(table)


def cost_split(cost: dict[str, float]) -> str:
    """Return the stages of the work with their shares, and the sum over all workers."""
    from ..datasets.description import COST_STAGES

    wall = cost["wall"] or 1.0
    parts = ((name, cost[stage]) for stage, name in COST_STAGES.items())
    stages = [f"{name} {100.0 * seconds / wall:.0f} %" for name, seconds in parts if seconds >= 0.005 * wall]
    return f"{', '.join(stages)} of {cost['wall']:.3g} s"
