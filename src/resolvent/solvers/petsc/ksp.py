"""PETSc's Krylov methods and preconditioners behind the interface of `Solver`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ...operators import SPD, Array, LinearOperator, Props, StructureError
from ...operators.petsc_lifetime import load_petsc
from ..monitor import Monitor
from ..solver import Solver, refuse_not_self_adjoint
from ..status import Status
from .options import spelt
from .reasons import CONVERGED_ITS, meaning
from .system import System

NEEDS: dict[str, Props] = {
    **dict.fromkeys(("cg", "fcg", "groppcg", "pipecg", "pipecgrr", "pipecg2", "pipefcg", "pipelcg", "pipeprcg"), SPD),
    **dict.fromkeys(("nash", "stcg", "gltr", "qcg"), SPD),
    **dict.fromkeys(("minres", "symmlq", "cr", "pipecr"), Props.SELF_ADJOINT),
}
"""What KSP types rely on; the others are for any matrix."""

FLEXIBLE = ("fgmres", "gcr", "fcg", "pipefgmres", "pipegcr", "pipefcg", "richardson", "preonly")
"""KSP types that allow the preconditioner to change between applications."""

WORSE = 1e3
"""Where iterations run out, an x whose residual is this much larger than before PETSc was called is not taken; where
PETSc watched another norm, none whose residual is larger at all."""

OURS = {
    "ksp_rtol": "rtol=",
    "ksp_atol": "atol=",
    "ksp_divtol": "nothing: growth by 1e12 is DIVERGED",
    "ksp_max_it": "maxiter=",
    "ksp_initial_guess_nonzero": "x0=",
    "ksp_convergence_test": "rtol= and atol=",
    "ksp_reuse_preconditioner": "reuse_preconditioner=",
}
"""PETSc options that mean something `Solver` has its own word for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PETScKSP(Solver):
    """A Krylov method of PETSc, with a preconditioner of PETSc or of ours, told the truth about by our monitor.

    The options are PETSc's, without a prefix; they stand in its database only while PETSc reads them, under a prefix
    of their own. ``ksp_type`` is "gmres" unless given. With ``pc_type`` PETSc builds the preconditioner, from the
    entries of A; without it `M` is used, or none.

    Where the KSP type can, it iterates on the unpreconditioned norm, preconditioned on the right. Where it cannot
    (minres, symmlq, cr with a pipeline, lcd, qcg), its norm is multiplied by what makes it agree with ‖b − A x‖ at the
    start, and so are the entries of the history. Either way the true residual is recomputed at the end. If it misses
    the tolerance, PETSc goes on from there with a target ten times smaller; twice without halving the residual is
    STAGNATED.

    PETSc multiplies through a shell, so that every product with A is one of ours and counted. Applications of M are
    counted; those of a preconditioner that PETSc built itself are not, because PETSc does not tell.

    Complex systems are solved by a real PETSc in the real-equivalent form: each complex number is a pair of real ones,
    each entry of A a block [[Re, −Im], [Im, Re]]. Norms are the same in both forms; iterations may be up to twice those
    of the complex method, since the
    spectrum of A is joined by its mirror image. Single precision is computed in double.

    `Prepared.update` replaces the values in place where the pattern repeats, so that PETSc keeps orderings and
    symbolic factorisations. PETSc's objects are destroyed together with the `Prepared`; where a system is spread over
    ranks, they are to drop theirs at the same point of the program.

    Storage: 5 vectors besides x and b, and what PETSc's method needs. Do not use it for small systems, or where ours
    have the method: PETSc calling back costs tens of microseconds an iteration.

    Parameters
    ----------
    options : mapping
        PETSc options such as ``{"ksp_type": "cg", "pc_type": "hypre"}``; None as value for one without argument.
    reuse_preconditioner : bool
        Keep the preconditioner that PETSc built first when the values of A change.
    null_space, near_null_space : "constant" or (n, k) array, optional
        Null space of A, from which PETSc keeps its iterates away; and the vectors that A nearly annihilates, for
        algebraic multigrid (rigid-body motions).

    Raises
    ------
    ImportError
        Without petsc4py, when it is first used.
    ValueError
        For options that PETSc does not know or did not use, and options that have a name of their own here, such as
        ``ksp_rtol``.
    StructureError
        For both ``pc_type`` and M, and for a VARIABLE preconditioner with a KSP type that is not flexible.

    References
    ----------
    Balay et al., PETSc/TAO users manual, doi:10.2172/1968587.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> from resolvent.solvers.petsc import PETScKSP
    >>> A = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(50, 50))
    >>> solver = PETScKSP(options={"ksp_type": "cg", "pc_type": "icc"})
    >>> solver.solve(A, np.ones(50)).status.name
    'CONVERGED'
    """

    options: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    reuse_preconditioner: bool = False
    null_space: Any = dataclasses.field(default=None, compare=False, repr=False)
    near_null_space: Any = dataclasses.field(default=None, compare=False, repr=False)
    lockstep: ClassVar[bool] = False
    distributed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.options, Mapping):
            raise TypeError(f"options must be a mapping such as {{'ksp_type': 'cg'}}, got {self.options!r}")
        options = spelt(self.options)
        object.__setattr__(self, "options", options)
        for key in options.keys() & OURS.keys():
            raise ValueError(f"the option {key} is given to PETScKSP as {OURS[key]}")
        if options.get("ksp_norm_type") == "none":
            raise ValueError("ksp_norm_type none leaves nothing to judge convergence by: leave it out")
        if options.get("ksp_type") == "python":
            raise ValueError("ksp_type python: use the solver itself instead of going through PETSc")
        for name in ("null_space", "near_null_space"):
            value = getattr(self, name)
            if isinstance(value, str) and value != "constant":
                raise ValueError(f"{name} must be 'constant', an (n, k) array or None, got {value!r}")

    @property
    def kind(self) -> str:
        """The KSP type."""
        return str(self.options.get("ksp_type", "gmres"))

    @property
    def needs(self) -> Props:  # type: ignore[override]  # depends on the KSP type
        """What the KSP type relies on."""
        return NEEDS.get(self.kind, Props.NONE)

    def _check(self, A: LinearOperator, M: LinearOperator | None) -> None:
        if A._holds_torch():
            raise StructureError(f"PETSc runs on the host, but {A!r} is on torch storage: use a method of ours there")
        if M is not None and "pc_type" in self.options:
            raise StructureError(f"both M and the option pc_type={self.options['pc_type']!r} are given: leave one out")
        if Props.VARIABLE in A.props:
            raise StructureError(f"PETSc needs a fixed operator, but {A!r} is VARIABLE")
        if M is not None and Props.VARIABLE in M.props and self.kind not in FLEXIBLE:
            raise StructureError(
                f"{self.kind} needs a fixed preconditioner, but {M!r} is VARIABLE: use one of {', '.join(FLEXIBLE[:4])}"
            )
        if self.needs:
            refuse_not_self_adjoint(A, self.kind)

    def _setup(self, A: LinearOperator) -> Systems:
        return Systems(self, A)

    def _refresh(self, state: Systems, A: LinearOperator) -> Systems:
        state.renew(A)
        return state

    def _run(self, state: Systems, b: Array, x: Array, monitor: Monitor) -> None:
        v, every = monitor.vectors, np.ones(1, dtype=bool)
        r, before = v.empty_like(b), v.empty_like(b)
        norm = float(monitor.start(x, r, keep_best=True)[0])
        shrink, stalls = 1.0, 0
        while monitor.running:
            system = state.system(b.dtype.kind == "c")
            if system.failure:
                monitor.retire(every, Status.BREAKDOWN, x, system.failure)
                return
            target = max(shrink * float(monitor.tolerance[0]), monitor.eps * float(monitor.rhs_norm[0]))
            d, reason, tested = system.correct(r, monitor, norm, target)
            if monitor.finished() and monitor._status[0] is not Status.STOPPED:
                return  # x is what the monitor restored
            before[...] = x
            if v.finite(d).all():
                x += d if x.dtype.kind == "c" or d.dtype.kind != "c" else d.real
            if monitor.finished():
                return
            old = norm
            norm, finished = _close_cycle(x, r, monitor, tested=tested)
            if finished:
                if not norm <= (WORSE if system.link.exact else 1.0) * old:
                    x[...] = before
                    monitor._current[:] = False  # the residual of this x is recomputed for the result
                return
            status, words = meaning(reason)
            if reason == CONVERGED_ITS or status is Status.MAXITER:
                status, words = Status.STAGNATED, "PETSc's iterations gain nothing more"
            elif status is Status.CONVERGED:
                status, words = Status.STAGNATED, f"PETSc claims that {words}, the true residual does not"
                shrink *= 0.1
            stalls = 0 if norm < 0.5 * old else stalls + 1
            if stalls >= 2 or (stalls and reason < 0):
                monitor.retire_inconsistent(every, x, r)
                monitor.retire(every, status, x, system.failure or words)


def _close_cycle(x: Array, r: Array, monitor: Monitor, *, tested: bool) -> tuple[float, bool]:
    """Set r to the true residual after PETSc returned, and judge it; return its norm, and whether that was the end.

    A method that never tests, as preonly does not, has done one iteration.
    """
    if tested:
        norm = float(monitor.start(x, r)[0])
    else:
        monitor.step_recomputed(x, r)
        norm = float(monitor.vectors.norm(r)[0])
    return norm, monitor.finished()


class Systems:
    """The PETSc systems of one operator: for real and, where PETSc is real, for complex right-hand sides.

    The one for the dtype of A is set up at once, the other when it is first asked for.
    """

    def __init__(self, solver: PETScKSP, A: LinearOperator) -> None:
        self._solver, self._A = solver, A
        self._real = np.dtype(load_petsc().ScalarType).kind != "c"
        self._built: dict[bool, System] = {}
        self.system(A.dtype.kind == "c")

    def system(self, is_complex: bool) -> System:
        """Return the system for real or complex right-hand sides; a new one where an exception spoilt the last."""
        doubled = is_complex and self._real
        found = self._built.get(doubled)
        if found is None or found.broken:
            if found is not None:
                found.close()
            solver = self._solver
            found = self._built[doubled] = System(
                self._A,
                dict(solver.options),
                doubled=doubled,
                null_space=solver.null_space,
                symmetric=Props.SELF_ADJOINT in (self._A.props | solver.needs),
                near_null_space=solver.near_null_space,
                keep=solver.reuse_preconditioner,
            )
        return found

    def renew(self, A: LinearOperator) -> None:
        """Take in new values; systems whose pattern changed are built again."""
        self._A = A
        for doubled, system in list(self._built.items()):
            if not system.renew(A):
                system.close()
                del self._built[doubled]
        self.system(A.dtype.kind == "c")
