import numpy as np
import pytest
import scipy.sparse as sp

from resolvent.operators import SPD, Dense, Diagonal, Function, LinearOperator, Props, Sparse
from resolvent.operators.check import check_operator
from resolvent.operators.check_claims import CLAIM_CHECKS
from resolvent.operators.check_products import PRODUCT_CHECKS
from resolvent.operators.stencil import Stencil

from .conformance import OPERATORS, diffusion, random_array

N = 12
B = random_array((N, N), seed=8)


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_passes(name):
    check_operator(OPERATORS[name]()).check()


class Faulty(LinearOperator):
    """A dense matrix whose products, entries or claims can be spoilt."""

    def __init__(self, A=B, props=Props.NONE, grid=(3, 4), dtype=float, **faults):
        super().__init__((len(A), len(A)), dtype, props=props, grid=grid)
        self.A = A
        self.calls = 0
        self.faults = faults

    def _matmat(self, X):
        self.calls += 1
        return self.faults.get("matmat", lambda self, X: self.A @ X)(self, X)

    def _matmat_into(self, X, out):
        out[...] = self._matmat(X) * self.faults.get("into", 1.0)

    def _rmatmat(self, X):
        return self.faults.get("rmatmat", lambda self, X: self.A.T @ X)(self, X)

    def diagonal(self):
        return np.diagonal(self.A) * self.faults.get("diagonal", 1.0)

    def to_sparse(self):
        return sp.csr_array(self.A * self.faults.get("entries", 1.0))

    def to_dense(self):
        return self.A * self.faults.get("dense", 1.0)

    def __reduce__(self):
        return (Faulty, (2.0 * self.A if "pickle" in self.faults else self.A, self.props, self.grid))


class WrongField(Faulty):
    def matvec(self, x, out=None):
        y = super().matvec(x, out)
        return y[::-1] if y.shape == self.grid else y


class WrongShapes(Faulty):
    def matvec(self, x, out=None):
        return super().matvec(np.resize(x, self.shape[1]) if np.size(x) != self.shape[1] else x, out)


class WrongTranspose(Faulty):
    @property
    def T(self):
        return self


def _per_column(self, X):
    return self.A @ X if X.shape[1] == 1 else self.A @ X[:, ::-1]


def _reuses_its_result(self, X):
    buffers = self.faults.setdefault("buffers", {})
    Y = buffers.setdefault((X.shape[1], X.dtype), np.empty_like(X))
    Y[...] = self.A @ X
    return Y


def _in_place(self, X):
    X *= 2.0
    return self.A @ X


UNSYMMETRIC = np.triu(np.ones((N, N))) + 9.0 * np.eye(N)
INDEFINITE = np.diag(np.r_[-0.1, np.ones(N - 1)])
LAPLACIAN = diffusion(3, 4).to_dense()
SPD_M = SPD | Props.M_MATRIX

FAULTS = {
    "returns a wrong shape": ("shape and dtype", lambda: Faulty(matmat=lambda self, X: (self.A @ X)[:-1])),
    "returns single precision": (
        "shape and dtype",
        lambda: Faulty(matmat=lambda self, X: (self.A @ X).astype(np.float32)),
    ),
    "drops the imaginary part": ("dtype rule", lambda: Faulty(matmat=lambda self, X: (self.A @ X.real) + 0 * X)),
    "is affine": ("linearity", lambda: Faulty(matmat=lambda self, X: self.A @ X + 1.0)),
    "is quadratic": ("linearity", lambda: Faulty(matmat=lambda self, X: self.A @ (X * abs(X)))),
    "drifts": ("repeatability", lambda: Faulty(matmat=lambda self, X: self.A @ X * (1.0 + 1e-6 * self.calls))),
    "spoils its argument": ("repeatability", lambda: Faulty(matmat=_in_place)),
    "overwrites earlier results": ("repeatability", lambda: Faulty(matmat=_reuses_its_result)),
    "permutes columns": ("matmat against matvec", lambda: Faulty(matmat=_per_column)),
    "permutes adjoint columns": ("rmatmat against rmatvec", lambda: Faulty(A=B.T, rmatmat=_per_column)),
    "writes other values into out": ("out argument", lambda: Faulty(into=2.0)),
    "flips fields": ("field argument", WrongField),
    "accepts any shape": ("wrong shapes", WrongShapes),
    "hides NaN": ("NaN propagates", lambda: Faulty(matmat=lambda self, X: self.A @ np.nan_to_num(X))),
    "has a wrong adjoint": ("adjoint identity", lambda: Faulty(rmatmat=lambda self, X: self.A @ X)),
    "has a wrong transpose": (".H and .T", WrongTranspose),
    "changes when pickled": ("pickle", lambda: Faulty(pickle=True)),
    "has a wrong diagonal": ("diagonal", lambda: Faulty(diagonal=1.1)),
    "has wrong entries": ("to_sparse", lambda: Faulty(entries=1.1)),
    "has a wrong dense form": ("to_dense", lambda: Faulty(dense=1.1)),
    "claims symmetry": ("symmetric", lambda: Faulty(UNSYMMETRIC, Props.SYMMETRIC)),
    "claims to be self-adjoint": ("self-adjoint", lambda: Dense(B + 1j * (B + B.T), props=Props.SELF_ADJOINT)),
    "claims complex symmetry": ("symmetric", lambda: Dense(B + B.T + 1j * B, props=Props.SYMMETRIC)),
    "claims to be definite": ("positive definite", lambda: Faulty(INDEFINITE, SPD)),
    "claims to be definite, not semi-definite": (
        "positive definite",
        lambda: Dense(diffusion(3, 4, dirichlet=False).to_dense(), props=SPD),
    ),
    "claims to be semi-definite": ("positive definite", lambda: Faulty(INDEFINITE, SPD | Props.SINGULAR)),
    "claims signs of an M-matrix": ("M-matrix", lambda: Dense(LAPLACIAN + 0.3, props=Props.M_MATRIX)),
    "claims the inverse of an M-matrix": (
        "M-matrix",
        lambda: Dense(LAPLACIAN - 30.0 * np.eye(N), props=Props.M_MATRIX),
    ),
    "claims to be singular": ("singular", lambda: Dense(LAPLACIAN, props=SPD | Props.SINGULAR)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_operator_is_caught_by_the_check_for_it(fault):
    name, make = FAULTS[fault]
    report = check_operator(make())
    assert name in [row.name for row in report.failures], f"\n{report}"
    with pytest.raises(AssertionError, match=f"(?m)^  {name.replace('.', '[.]')}: "):
        report.check()


def test_unexpected_row_sums_are_caught():
    report = check_operator(Dense(LAPLACIAN), row_sums=np.zeros(N))
    assert [row.name for row in report.failures] == ["row sums"]


def test_every_check_has_been_shown_to_fail():
    shown = {name for name, _ in FAULTS.values()} | {"row sums"}
    assert shown == {name for name, _ in PRODUCT_CHECKS + CLAIM_CHECKS}


@pytest.mark.parametrize("grid", [(6, 5), (30, 40)])
def test_an_exact_operator_without_faults_passes_with_its_row_sums(grid):
    A = diffusion(*grid)
    report = check_operator(A, row_sums=A.to_sparse().sum(axis=1)).check()
    assert report.passed
    assert [row.passed for row in report.rows if row.name == "row sums"] == [True]


def _shifted_stencil(grid):
    """A diffusion stencil whose coefficients towards lower neighbours are displaced by two entries."""
    A = diffusion(*grid).expand()
    c = A.coefficients.copy()
    lower = A.offsets.index((0, -1))
    c[lower] = np.roll(c[lower], 2, axis=1)
    c[lower][:, 0] = 0.0
    return Stencil(c, A.offsets, props=A.props)


def _shifted_matrix(grid):
    """The same mistake in an assembled matrix: the block below the diagonal sits two columns off."""
    A = sp.coo_array(diffusion(*grid).to_sparse())
    row, column = A.coords
    below = row - column == grid[1]
    column = np.where(below, np.maximum(column - 2, 0), column)
    return Sparse(sp.csr_array((A.data, (row, column)), shape=A.shape), props=SPD_M)


@pytest.mark.parametrize("grid", [(6, 7), (30, 40)])
@pytest.mark.parametrize("make", [_shifted_stencil, _shifted_matrix])
def test_a_displaced_neighbour_block_is_caught_by_at_least_two_checks(make, grid):
    row_sums = diffusion(*grid).to_sparse().sum(axis=1)
    failures = {row.name for row in check_operator(make(grid), row_sums=row_sums).failures}
    assert {"symmetric", "self-adjoint", "adjoint identity"} <= failures
    if make is _shifted_stencil:
        assert "row sums" in failures


def test_a_displaced_block_that_leaves_the_grid_is_not_even_constructed():
    A = diffusion(6, 7).expand()
    c = A.coefficients.copy()
    c[A.offsets.index((0, -1))] = np.roll(c[A.offsets.index((0, -1))], 2, axis=1)
    with pytest.raises(ValueError, match="point outside of the grid"):
        Stencil(c, A.offsets)


def _one_negative_cell():
    shift = np.zeros((30, 40))
    shift[17, 23] = -50.0
    return shift


@pytest.mark.parametrize("shift", [-1e-3, _one_negative_cell()], ids=["constant vector", "Lanczos vectors"])
def test_an_indefinite_operator_too_large_for_dense_algebra_is_caught(shift):
    A = diffusion(30, 40, dirichlet=False, shift=shift)
    A.props |= SPD
    report = check_operator(A)
    assert "positive definite" in [row.name for row in report.failures], f"\n{report}"


def test_missing_capabilities_are_skipped_with_the_reason():
    report = check_operator(Function((3, 3), lambda x: np.cumsum(x), dtype=float))
    skipped = {row.name: row.detail for row in report.rows if row.passed is None}
    assert report.passed
    assert {"adjoint identity", ".H and .T", "diagonal", "to_sparse", "pickle", "field argument"} <= skipped.keys()
    assert "has no adjoint" in skipped["adjoint identity"]


def test_of_a_variable_operator_only_shapes_and_errors_are_checked():
    rng = np.random.default_rng(0)
    A = Function((3, 3), lambda x: x + rng.standard_normal(3), props=Props.VARIABLE, dtype=float)
    report = check_operator(A).check()
    assert [row.name for row in report.rows if row.passed] == ["shape and dtype", "wrong shapes"]


def test_an_operator_that_raises_fails_and_the_other_checks_go_on():
    def broken(self, X):
        raise IndexError("out of range")

    report = check_operator(Faulty(rmatmat=broken))
    details = {row.name: row.detail for row in report.failures}
    assert details["adjoint identity"] == "raised IndexError: out of range"
    assert "linearity" not in details


def test_an_approximate_operator_passes_with_a_tolerance():
    A = Faulty(matmat=lambda self, X: self.A @ X * (1.0 + 1e-6 * np.sin(self.calls)))
    assert not check_operator(A).passed
    assert check_operator(A, rtol=1e-4).passed


def test_the_report_prints_one_aligned_line_a_check():
    report = check_operator(Diagonal([1.0, 2.0]))
    lines = str(report).splitlines()
    assert lines[0] == "Diagonal(2 x 2, float64, positive definite, m matrix)"
    assert len(lines) == 1 + len(PRODUCT_CHECKS + CLAIM_CHECKS)
    assert len({line.find("passed") for line in lines if " passed " in line}) == 1


def test_the_same_seed_gives_the_same_report():
    A = diffusion(5, 6)
    assert str(check_operator(A, rng=7)) == str(check_operator(A, rng=np.random.default_rng(7)))


def test_only_operators_are_checked():
    with pytest.raises(TypeError, match="wrap it with as_operator"):
        check_operator(np.eye(3))
