"""Checking that an operator does what its interface and its claims say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Array, LinearOperator
from .check_claims import CLAIM_CHECKS
from .check_products import PRODUCT_CHECKS, VARIABLE_CHECKS
from .errors import StructureError
from .probe import Failed, Probe, Skipped
from .props import Props

# What a faulty operator may raise where it should return something.
_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a `Report`; `passed` is None where the check does not apply, for the reason in `detail`."""

    name: str
    passed: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """What `check_operator` found; prints as a table.

    Attributes
    ----------
    subject : str
        The operator, in words.
    rows : tuple of Row
        Name, outcome (None: not applicable) and detail of each check.
    """

    subject: str
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Row, ...]:
        """The checks that failed."""
        return tuple(row for row in self.rows if row.passed is False)

    def check(self) -> Report:
        """Return the report itself if everything passed.

        Raises
        ------
        AssertionError
            Naming the operator and what failed.
        """
        if self.failures:
            lines = "\n".join(f"  {row.name}: {row.detail}" for row in self.failures)
            raise AssertionError(f"{self.subject} fails {len(self.failures)} of {len(self.rows)} checks:\n{lines}")
        return self

    def __str__(self) -> str:
        width = max((len(row.name) for row in self.rows), default=0)
        words = {True: "passed", False: "FAILED", None: "skipped"}
        return "\n".join([self.subject, *(f"  {r.name:{width}}  {words[r.passed]:7}  {r.detail}" for r in self.rows)])


def check_operator(
    A: LinearOperator,
    *,
    rng: np.random.Generator | int = 0,
    rtol: float | None = None,
    dense_limit: int = 500,
    row_sums: Array | None = None,
) -> Report:
    """Check an operator against the contract of `LinearOperator` and against its claims.

    Checked are shapes and dtypes, linearity, repeatability, columns against single vectors, ``out=``, fields, errors
    for wrong shapes, propagation of NaN, the adjoint identity ⟨Ax, y⟩ = ⟨x, Aᴴy⟩, ``.H`` and ``.T``, diagonal and
    entries against products, pickling, and every claimed flag. Capabilities that the operator does not have are
    skipped, not failed. Of a VARIABLE operator only shapes, dtypes and errors are checked.

    Parameters
    ----------
    A : LinearOperator
        Any size; about a hundred products are made.
    rng : numpy.random.Generator or int
        For the random vectors.
    rtol : float, optional
        Tolerance relative to ‖A‖‖x‖, by default 1000 eps of the operator's dtype. Give a larger one for an operator
        that is itself approximate, such as an inner solve.
    dense_limit : int
        Up to this size spectra are computed from dense matrices (m·n numbers, n³ operations). Above, definiteness is
        judged by Rayleigh quotients of constant, random and Lanczos vectors, and SINGULAR is taken on trust.
    row_sums : (m,) array, optional
        What A · 1 should be, if known: for a diffusion operator the boundary coefficients.

    Returns
    -------
    report : Report
        ``print(report)`` for the table, ``report.check()`` to raise AssertionError where something failed.

    Examples
    --------
    >>> from resolvent.operators import Diagonal, Props
    >>> check_operator(Diagonal([1.0, 2.0])).passed
    True
    >>> report = check_operator(Diagonal([1.0, -2.0], props=Props.POSITIVE_DEFINITE))
    >>> print([row.name for row in report.failures])
    ['positive definite']
    """
    if not isinstance(A, LinearOperator):
        raise TypeError(f"check_operator needs a LinearOperator, got {type(A).__name__}: wrap it with as_operator")
    probe = Probe(A, np.random.default_rng(rng), rtol, dense_limit, row_sums)
    rows = []
    for name, check in PRODUCT_CHECKS + CLAIM_CHECKS:
        if Props.VARIABLE in A.props and name not in VARIABLE_CHECKS:
            rows.append(Row(name, None, "the operator is VARIABLE"))
            continue
        try:
            rows.append(Row(name, True, check(probe)))
        except (Skipped, StructureError) as reason:
            rows.append(Row(name, None, str(reason)))
        except Failed as failure:
            rows.append(Row(name, False, str(failure)))
        except _FAULTS as fault:
            rows.append(Row(name, False, f"raised {type(fault).__name__}: {fault}"))
    return Report(repr(A), tuple(rows))
