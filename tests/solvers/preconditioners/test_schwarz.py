"""Additive Schwarz against explicit sums, PETSc's ASM, and the theory of the coarse space."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Props, Sparse, Stencil
from resolvent.solvers import CG, GMRES, IC, ILU0, AdditiveSchwarz, BlockJacobi
from resolvent.solvers.preconditioners.subdomains import grown, owners

from ..conformance import convection, diffusion, neumann, poisson, spd
from .petsc_reference import petsc_iterations

SIDE = 8


def matrix(kind):
    if kind == "definite":
        return Sparse(diffusion(SIDE), props=SPD, grid=(SIDE, SIDE))
    if kind == "hermitian":
        phase = sp.diags_array(np.exp(1j * np.linspace(0.0, 5.0, SIDE**2)))
        return Sparse(sp.csr_array(phase @ diffusion(SIDE) @ phase.conj()), props=SPD)
    if kind == "complex":
        return Sparse(sp.csr_array(convection(SIDE) + 0.4j * sp.eye_array(SIDE**2)))
    return Sparse(convection(SIDE), grid=(SIDE, SIDE))


def subdomains(A, parts, overlap):
    """Own unknowns and grown unknowns of each subdomain, by Boolean products with the dense pattern."""
    owner = owners(A.shape[0], A.grid, parts)
    pattern = (A.to_dense() != 0) | (A.to_dense().T != 0) | np.eye(A.shape[0], dtype=bool)
    found = []
    for s in range(owner.max() + 1):
        member = owner == s
        for _ in range(overlap):
            member = pattern @ member
        found.append((owner == s, np.flatnonzero(member)))
    return found


def explicit(A, parts, overlap, *, restricted=False, inverse=np.linalg.inv):
    dense, M = A.to_dense(), np.zeros(A.shape, dtype=A.dtype)
    for own, index in subdomains(A, parts, overlap):
        local = inverse(dense[np.ix_(index, index)])
        M[np.ix_(index, index)] += np.where(own[index][:, None], local, 0) if restricted else local
    return M


@pytest.mark.parametrize("kind", ["definite", "hermitian", "nonsymmetric", "complex"])
@pytest.mark.parametrize("overlap", [0, 1, 3])
@pytest.mark.parametrize("restricted", [False, True])
def test_explicit_sum(kind, overlap, restricted, rng):
    A = matrix(kind)
    M = AdditiveSchwarz(5, overlap=overlap, restricted=restricted)(A)
    expected = explicit(A, 5, overlap, restricted=restricted)
    X = rng.standard_normal((SIDE**2, 3))
    for x in (X, X[:, 0], X + 1j * X[::-1]):
        assert np.allclose(M @ x, expected @ x)
        assert np.allclose(M.H @ x, expected.conj().T @ x)


@pytest.mark.parametrize("kind", ["definite", "hermitian", "nonsymmetric"])
def test_incomplete_local_solves(kind):
    A = matrix(kind)
    recipe = ILU0() if kind == "nonsymmetric" else IC()

    def inverse(local):
        return recipe(Sparse(sp.csr_array(local))).to_dense()

    M = AdditiveSchwarz((2, 2) if A.grid else 4, local="incomplete", overlap=2)(A)
    assert np.allclose(M.to_dense(), explicit(A, (2, 2) if A.grid else 4, 2, inverse=inverse))


def test_pivoting_in_the_subdomains(rng):
    """Zero diagonals: rows change places, and the restricted form must still know whose row is whose."""
    A = sp.random_array((40, 40), density=0.15, rng=rng, format="lil")
    for i in range(40):
        A[i, i] = 0.0
        A[i, i ^ 1] = 3.0 + rng.random()
    A = Sparse(sp.csr_array(A))
    for restricted in (False, True):
        M = AdditiveSchwarz(4, restricted=restricted)(A)
        expected = explicit(A, 4, 1, restricted=restricted)
        assert M._factors.rows is not None and np.allclose(M.to_dense(), expected)
        assert np.allclose(M.H @ np.eye(40), expected.conj().T)


@pytest.mark.parametrize("kind", ["definite", "nonsymmetric", "complex"])
@pytest.mark.parametrize("restricted", [False, True])
def test_coarse_space(kind, restricted):
    A = matrix(kind)
    n, found = A.shape[0], subdomains(A, 4, 1)
    U = np.zeros((n, 4))
    for s, (_, index) in enumerate(found):
        U[index, s] = 1.0
    U /= U.sum(axis=1, keepdims=True)
    expected = explicit(A, 4, 1, restricted=restricted) + U @ np.linalg.inv(U.T @ A.to_dense() @ U) @ U.T
    M = AdditiveSchwarz(4, coarse=True, restricted=restricted)(A)
    assert np.allclose(M.to_dense(), expected) and np.allclose(M.H @ np.eye(n), expected.conj().T)
    if kind == "definite" and not restricted:
        assert SPD in M.props and np.linalg.eigvalsh(M.to_dense())[0] > 0.0


def test_one_subdomain_is_the_inverse_and_no_overlap_is_block_jacobi():
    A = Sparse(convection(6))
    assert np.allclose(AdditiveSchwarz(1)(A).to_dense() @ A.to_dense(), np.eye(36))
    assert np.allclose(AdditiveSchwarz(6, overlap=0)(A).to_dense(), BlockJacobi(6)(A).to_dense())


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("overlap", [0, 1, 2])
def test_as_many_iterations_as_petsc(restricted, overlap, rng):
    A, b = (convection(24, 0.4), rng.standard_normal(576))
    if not restricted:
        A = diffusion(24)
    recipe = AdditiveSchwarz(9, overlap=overlap, restricted=restricted)
    operator = Sparse(A, grid=(24, 24), props=Props.NONE if restricted else SPD)
    sets = [(np.flatnonzero(own), index) for own, index in subdomains(operator, 9, overlap)]
    options = {
        "ksp_type": "gmres" if restricted else "cg", "ksp_gmres_restart": 30, "pc_type": "asm",
        "pc_asm_type": "restrict" if restricted else "basic", "sub_pc_type": "lu",
    }  # fmt: skip
    if restricted:
        options["ksp_pc_side"] = "right"
    else:
        del options["ksp_gmres_restart"]
    mine = (GMRES(restart=30) if restricted else CG()).solve(operator, b, M=recipe)
    theirs = petsc_iterations(A, b, options, subdomains=sets)
    assert mine.converged and abs(mine.iterations - theirs) <= 1


def test_iterations_do_not_grow_with_the_number_of_subdomains():
    """Subdomains of 8 × 8 points and one layer of overlap on finer and finer grids."""
    counts = {False: [], True: []}
    for n in (32, 64, 128):
        A = Stencil.from_transmissibilities((np.ones((n + 1, n)), np.ones((n, n + 1))))
        b = np.random.default_rng(0).standard_normal(n * n)
        for coarse in counts:
            counts[coarse].append(CG().solve(A, b, M=AdditiveSchwarz((n // 8) ** 2, coarse=coarse)).iterations)
    without, with_coarse = counts[False], counts[True]
    assert without[2] > 1.7 * without[1] > 2.5 * without[0]
    assert with_coarse[2] <= with_coarse[1] + 5 and with_coarse[2] < 0.5 * without[2]


@pytest.mark.parametrize("local", ["exact", "incomplete"])
@pytest.mark.parametrize("kind", ["definite", "nonsymmetric"])
def test_update_keeps_the_analysis_and_notices_a_new_pattern(local, kind):
    A = matrix(kind)
    recipe = AdditiveSchwarz(4, local=local, coarse=True)
    M = recipe(A)
    before = M.to_dense()
    A.update(data=A.matrix.data * np.linspace(1.0, 1.001, A.nnz) if kind != "definite" else 3.0 * A.matrix.data)
    again = recipe.update(M, A)
    assert again.owner is M.owner and np.allclose(again.to_dense(), recipe(A).to_dense())
    third = recipe.update(again, A)
    assert third._source is again._source and np.allclose(third.to_dense(), again.to_dense())
    assert np.array_equal(M.to_dense(), before)
    denser = sp.csr_array(A.matrix + sp.diags_array([0.01, 0.01], offsets=[-9, 9], shape=A.shape))
    other = Sparse(denser, props=A.props, grid=A.grid)
    assert np.allclose(recipe.update(again, other).to_dense(), recipe(other).to_dense())
    regridded = Sparse(A.matrix, props=A.props, grid=(4, 16))
    assert np.allclose(recipe.update(again, regridded).to_dense(), recipe(regridded).to_dense())


def test_owners_given_by_the_caller(rng):
    owner = rng.permutation(np.arange(64) % 3)
    A = Sparse(diffusion(8), props=SPD)
    assert np.allclose(AdditiveSchwarz(owner)(A).to_dense(), explicit(A, owner, 1))
    recipe = AdditiveSchwarz(owner)
    assert recipe == AdditiveSchwarz(owner.copy()) != AdditiveSchwarz(owner[::-1].copy())
    assert "<64 array>" in repr(recipe)


def test_growth_follows_a_one_sided_coupling_both_ways():
    A = sp.csr_array(np.eye(4) + np.diag([1.0, 0, 0], 1))  # row 0 needs column 1
    starts, index = grown(A, np.arange(4), 1)
    sets = [index[a:b].tolist() for a, b in itertools.pairwise(starts)]
    assert sets == [[0, 1], [0, 1], [2], [3]]


def test_semidefinite_matrices_converge(rng):
    A = sp.csr_array(sp.kron(neumann(16), sp.eye_array(16)) + sp.kron(sp.eye_array(16), neumann(16)))
    singular = Sparse(A, props=SPD | Props.SINGULAR, grid=(16, 16))
    for coarse in (False, True):
        assert CG().solve(singular, A @ rng.standard_normal(256), M=AdditiveSchwarz(4, coarse=coarse)).converged


def test_what_is_refused():
    for options in ({"subdomains": 0}, {"overlap": -1}, {"local": "lu"}):
        with pytest.raises(ValueError, match=next(iter(options))):
            AdditiveSchwarz(**options)
    with pytest.raises(ValueError, match="do not fit"):
        AdditiveSchwarz(20)(spd(sp.csr_array(sp.eye_array(10))))
    with pytest.raises(ValueError, match="subdomain is singular"):
        AdditiveSchwarz(2, overlap=0)(Sparse(sp.csr_array(np.kron(np.eye(2), np.ones((2, 2))))))
    with pytest.raises(ValueError, match="not positive definite"):
        AdditiveSchwarz(2)(spd(sp.csr_array(-poisson(4))))
    spoilt = poisson(4)
    spoilt.data[3] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        AdditiveSchwarz(2)(spd(spoilt))
