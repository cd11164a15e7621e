"""PETSc as a back-end, and as a host.

`PETScKSP`, `PETScPC` and `PETScAMG` are its methods and preconditioners behind our interfaces, `RecipePC` and
`SolverKSP` ours behind its own, from petsc4py or from the options database:

-pc_type python  -pc_python_type  resolvent.solvers.petsc.RecipePC  -pc_resolvent_recipe SSOR
-ksp_type python -ksp_python_type resolvent.solvers.petsc.SolverKSP -ksp_resolvent_method GMRES
"""

from .amg import PETScAMG
from .inside_ksp import SolverKSP
from .inside_pc import RecipePC
from .ksp import PETScKSP
from .recipe import PETScPC

__all__ = ["PETScAMG", "PETScKSP", "PETScPC", "RecipePC", "SolverKSP"]
