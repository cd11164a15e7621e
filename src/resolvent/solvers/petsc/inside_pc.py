"""Our preconditioners as PETSc's."""

from __future__ import annotations

from typing import Any

from ...operators import LinearOperator, Props, as_operator
from ...operators.petsc import entries, from_petsc
from ...operators.petsc_lifetime import load_petsc
from ..preconditioners.local_blocks import LocalBlocks
from ..preconditioners.recipe import Recipe
from .options import built_from_database

CLAIMS = {
    "positive_definite": Props.SELF_ADJOINT | Props.POSITIVE_DEFINITE,
    "self_adjoint": Props.SELF_ADJOINT,
    "none": Props.NONE,
}
"""What ``resolvent_claims`` may say about a PETSc matrix."""


class RecipePC:
    """A recipe or an operator of ours as a Python preconditioner of PETSc.

    From petsc4py: ``pc.setType("python"); pc.setPythonContext(RecipePC(SSOR(omega=1.5)))``. From the options database:

        -pc_type python -pc_python_type resolvent.solvers.petsc.RecipePC
        -pc_resolvent_recipe SSOR -pc_resolvent_omega 1.5 -pc_resolvent_claims positive_definite

    A recipe is built from the matrix given for preconditioning, and brought up to date by its own `update` when PETSc
    says that the values changed. On several ranks it is applied to the diagonal block of each rank, which is block
    Jacobi over the ranks; a recipe that communicates (`distributed`) is given the whole matrix.

    Destroy the PC, or the KSP it belongs to, before the process ends: petsc4py 3.18 crashes at the end otherwise.

    Parameters
    ----------
    M : Recipe or operator ≈ A⁻¹, optional
        Jacobi, or what the options say, by default. An operator has the shape of this rank's part.
    claims : Props, optional
        What the matrix is, where PETSc does not know it.
    """

    def __init__(self, M: Any = None, *, claims: Props | None = None) -> None:
        self._recipe: Recipe | None = M if isinstance(M, Recipe) else None
        self._M: LinearOperator | None = None if M is None or isinstance(M, Recipe) else as_operator(M)
        self._fixed = self._M is not None
        self._claims = checked_claims(claims)
        self._source: Any = None
        self._fault: Exception | None = None

    @property
    def operator(self) -> LinearOperator | None:
        """The preconditioner as an operator, once it is built."""
        return self._M

    def setFromOptions(self, pc: Any) -> None:  # noqa: N802 - PETSc's name
        """Read ``pc_resolvent_recipe``, its fields, and ``pc_resolvent_claims``; `setUp` raises mistakes."""
        try:
            self._read(pc.getOptionsPrefix() or "")
        except (TypeError, ValueError) as error:  # PETSc, in the middle of reading options, would crash later
            self._fault = error

    def _read(self, prefix: str) -> None:
        database = load_petsc().Options(prefix)
        if database.hasName("pc_resolvent_recipe"):
            self._recipe = recipe_from_database(database.getString("pc_resolvent_recipe"), prefix, "pc_resolvent")
            self._fixed = False
        if database.hasName("pc_resolvent_claims"):
            self._claims = claims_named(database.getString("pc_resolvent_claims"))

    def setUp(self, pc: Any) -> None:
        """Build the preconditioner, or bring it up to date."""
        if self._fault is not None:
            raise self._fault
        if self._fixed:
            wanted = tuple(pc.getOperators()[1].getLocalSize())
            if self._M is not None and self._M.shape != wanted:
                raise ValueError(f"the preconditioner must have the shape of this rank's part, {wanted}: {self._M!r}")
            return
        from ..preconditioners import Jacobi

        recipe = self._recipe or Jacobi()
        _, mat = pc.getOperators()
        A = from_petsc(mat, props=self._claims)
        if A._communicator() is not None and not recipe.distributed:
            recipe = LocalBlocks(recipe)
        built_before = self._M is not None and self._source == (mat.handle, A.shape)
        self._M = recipe.update(self._M, A) if built_before and self._M is not None else recipe(A)
        self._source = (mat.handle, A.shape)

    def apply(self, pc: Any, x: Any, y: Any) -> None:
        """Set y to M x."""
        assert self._M is not None
        self._M._matmat_into(entries(x, locked=True), entries(y))

    def applyTranspose(self, pc: Any, x: Any, y: Any) -> None:  # noqa: N802 - PETSc's name
        """Set y to Mᵀ x = (Mᴴ x̄)‾."""
        assert self._M is not None
        X, out = entries(x, locked=True), entries(y)
        if X.dtype.kind == "c":
            out[...] = self._M._rmatmat(X.conj()).conj()
        else:
            self._M._rmatmat_into(X, out)

    def view(self, pc: Any, viewer: Any) -> None:
        """Say which preconditioner this is."""
        viewer.printfASCII(f"  resolvent: {self._recipe or ''} {self._M!r}\n")

    def reset(self, pc: Any) -> None:
        """Forget the preconditioner; the recipe stays."""
        if not self._fixed:
            self._M = self._source = None

    destroy = reset


def recipe_from_database(name: str, prefix: str, head: str) -> Recipe:
    """Return the recipe of this name, with its options read from PETSc's database."""
    from ... import solvers

    known = sorted(
        n
        for n in solvers.__all__
        if isinstance(found := getattr(solvers, n), type) and issubclass(found, Recipe) and found is not Recipe
    )
    if name not in known:
        raise ValueError(f"{prefix}{head}_recipe must be one of {', '.join(known)}, got {name!r}")
    recipe: Recipe = built_from_database(getattr(solvers, name), prefix, head)
    return recipe


def checked_claims(claims: Any) -> Props | None:
    """Return the claims, or raise TypeError for what is none."""
    if not (claims is None or isinstance(claims, Props)):
        raise TypeError(f"claims must be Props such as Props.SELF_ADJOINT, or None, got {claims!r}")
    return claims


def claims_named(name: str) -> Props:
    """Return the claims that the option spells."""
    if name not in CLAIMS:
        raise ValueError(f"resolvent_claims must be one of {', '.join(CLAIMS)}, got {name!r}")
    return CLAIMS[name]
