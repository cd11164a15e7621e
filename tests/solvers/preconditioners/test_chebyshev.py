"""The Chebyshev preconditioner against its polynomial, its bounds and its products."""

import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, LinearOperator, Props, Sparse, StructureError
from resolvent.solvers import CG, Chebyshev, Jacobi
from resolvent.solvers.preconditioners.spectral_bounds import largest_eigenvalue

from ..conformance import convection, diffusion, poisson, spd
from .petsc_reference import petsc_solve


class Counted(LinearOperator):
    """A matrix that counts its products."""

    def __init__(self, matrix):
        super().__init__(matrix.shape, matrix.dtype, props=SPD)
        self.matrix, self.seen = matrix, []

    @property
    def products(self):
        return sum(self.seen)

    def _matmat(self, X):
        self.seen.append(X.shape[1])
        return self.matrix @ X

    def diagonal(self):
        return self.matrix.diagonal()


def chebyshev(k, x):
    return np.polynomial.chebyshev.chebval(x, [0] * k + [1])


@pytest.mark.parametrize("degree", [0, 1, 2, 5])
@pytest.mark.parametrize("bounds", [None, (0.2, 2.0)])
def test_residual_polynomial(degree, bounds):
    """1 − λ p(λ) = T((c − λ)/r)/T(c/r), with T of degree one more, at the eigenvalues of D⁻¹A."""
    A = diffusion(6)
    M = Chebyshev(degree, bounds=bounds)(spd(A))
    low, high = M.bounds
    centre, radius = (high + low) / 2, (high - low) / 2
    d = A.diagonal()
    values, V = np.linalg.eigh(A.toarray() / np.sqrt(np.outer(d, d)))
    residual = chebyshev(degree + 1, (centre - values) / radius) / chebyshev(degree + 1, centre / radius)
    expected = (V * ((1 - residual) / values)) @ V.T / np.sqrt(np.outer(d, d))
    assert np.allclose(M.to_dense(), expected)


def test_the_same_steps_as_petsc(rng):
    A, b = diffusion(12), rng.standard_normal(144)
    options = {
        "ksp_type": "chebyshev", "pc_type": "jacobi", "ksp_chebyshev_eigenvalues": "0.1,2.1",
        "ksp_max_it": 4, "ksp_norm_type": "none",
    }  # fmt: skip
    theirs, _ = petsc_solve(A, b, options)
    assert np.allclose(Chebyshev(3, bounds=(0.1, 2.1))(spd(A)) @ b, theirs, rtol=1e-12, atol=1e-12 * abs(theirs).max())


@pytest.mark.parametrize("matrix", [poisson(20), diffusion(24, 1e6), poisson(5)])
def test_the_interval_holds_the_largest_eigenvalue(matrix):
    M = Chebyshev()(spd(matrix))
    d = matrix.diagonal()
    largest = np.linalg.eigvalsh(matrix.toarray() / np.sqrt(np.outer(d, d)))[-1]
    assert 0.98 * largest <= M.bounds[1] <= 1.25 * largest and M.bounds[0] == pytest.approx(M.bounds[1] / 30)
    assert np.linalg.eigvalsh(M.to_dense())[0] > 0.0


def test_products_are_counted_and_needed_for_nothing_else(rng):
    A = Counted(poisson(10))
    M = Chebyshev(4, steps=7)(A)
    assert M.setup_products == A.products == 7
    M @ rng.standard_normal((100, 3))
    assert A.products == 7 + 3 * 4
    assert Chebyshev(bounds=(0.1, 2.0))(A).setup_products == 0
    # A start vector in an invariant space ends the estimate early.
    assert Chebyshev(steps=10)(spd(sp.csr_array(sp.eye_array(5)))).setup_products == 1


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_adjoint_and_dtypes(dtype, rng):
    A = convection(6).astype(dtype)
    if np.dtype(dtype).kind == "c":
        A = sp.csr_array(A + 1j * sp.diags_array(np.linspace(-0.5, 0.5, 36)))
    M = Chebyshev(3)(Sparse(A))
    assert M.dtype == dtype and M.setup_products == 10
    assert np.allclose(M.H @ np.eye(36), M.to_dense().conj().T, atol=1e-5)


def test_iterations_fall_with_the_degree(rng):
    A, b = spd(diffusion(32)), rng.standard_normal(1024)
    counts = [CG().solve(A, b, M=Chebyshev(degree)).iterations for degree in (0, 1, 2, 4, 8)]
    assert counts == sorted(counts, reverse=True) and counts[-1] < 0.2 * counts[0]
    assert abs(counts[0] - CG().solve(A, b, M=Jacobi()).iterations) <= 1


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_torch_storage_gives_the_same():
    torch = pytest.importorskip("torch")
    A, b = spd(diffusion(8)), np.linspace(-1.0, 1.0, 64)
    on_torch = A.to_torch()
    M = Chebyshev(3)(on_torch)
    assert M._holds_torch()
    assert np.allclose((M @ torch.from_numpy(b)).numpy(), Chebyshev(3)(A) @ b)
    assert CG().solve(on_torch, torch.from_numpy(b), M=Chebyshev(3)).converged


def test_an_update_has_its_own_values():
    A = Sparse(poisson(6), props=SPD)
    M = Chebyshev()(A)
    before = M.to_dense()
    A.update(A=sp.csr_array(diffusion(6)))
    again = Chebyshev().update(M, A)
    assert np.array_equal(M.to_dense(), before)
    assert np.array_equal(again.to_dense(), Chebyshev()(A).to_dense())


def test_what_is_refused():
    for options in ({"degree": -1}, {"degree": 1.5}, {"ratio": 1.0}, {"steps": 0}, {"bounds": (2.0, 1.0)}):
        with pytest.raises(ValueError, match=next(iter(options))):
            Chebyshev(**options)
    with pytest.raises(ValueError, match="divides by the diagonal"):
        Chebyshev()(Sparse(sp.csr_array(np.array([[0.0, 1.0], [1.0, 1.0]]))))
    spoilt = poisson(4)
    spoilt.data[1] = np.nan
    with pytest.raises(ValueError, match="nan"):
        Chebyshev()(spd(spoilt))
    from resolvent.operators import Function

    with pytest.raises(StructureError, match="does not know its diagonal"):
        Chebyshev()(Function((3, 3), lambda x: x))


def test_largest_eigenvalue_of_a_nonsymmetric_matrix():
    A = convection(12, 0.3)
    d = A.diagonal()
    exact = max(abs(np.linalg.eigvals(A.toarray() / d[:, None])))
    largest, _, products = largest_eigenvalue(Sparse(A), 20)
    assert products == 20 and 0.9 * exact < largest < 1.1 * exact
    assert largest_eigenvalue(Sparse(A, props=Props.NONE), 20) == (largest, _, products)
