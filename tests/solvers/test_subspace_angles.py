import numpy as np
import pytest

from resolvent.solvers.subspace_angles import distances, orthonormal_basis, principal_sines, sine, subspace_distance


def basis(rng, n, r, kind=float):
    A = rng.normal(size=(n, r))
    return orthonormal_basis(A + 1j * rng.normal(size=(n, r)) if kind is complex else A)


@pytest.mark.parametrize("kind", [float, complex])
def test_the_sine_is_the_error_of_projection(kind, rng):
    for _ in range(20):
        u, v = rng.normal(size=(2, 7)) + (1j * rng.normal(size=(2, 7)) if kind is complex else 0.0)
        projection = v * np.vdot(v, u) / np.vdot(v, v)
        assert sine(u, v) == pytest.approx(np.linalg.norm(u - projection) / np.linalg.norm(u), rel=1e-12)
        formula = 1.0 - abs(np.vdot(u, v)) ** 2 / (np.vdot(u, u) * np.vdot(v, v)).real
        assert sine(u, v) ** 2 == pytest.approx(formula, abs=1e-12)
        assert sine(u, v) == pytest.approx(sine(-3.0 * v, 1e8 * u), rel=1e-12)
        assert sine(u, v) == pytest.approx(
            subspace_distance(u[:, None] / np.linalg.norm(u), v[:, None] / np.linalg.norm(v)), rel=1e-12
        )


def test_tiny_angles_keep_their_digits():
    u, v = np.array([1.0, 0.0]), np.array([1.0, 1e-11])
    assert sine(u, v) == pytest.approx(1e-11, rel=1e-9)
    assert principal_sines(u[:, None], v[:, None])[0] == pytest.approx(1e-11, rel=1e-9)
    assert distances(np.stack([u, v]))[0, 1] == pytest.approx(1e-11, rel=1e-9)


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("n, r", [(12, 1), (12, 4), (6, 5)])
def test_the_distance_of_subspaces_is_the_chordal_one(n, r, kind, rng):
    U, V = basis(rng, n, r, kind), basis(rng, n, r, kind)
    chordal = 0.5 * np.linalg.norm(U @ U.conj().T - V @ V.conj().T, "fro") ** 2
    assert abs(subspace_distance(U, V) ** 2 - chordal) <= 1e-12
    cosines = np.linalg.svd(U.conj().T @ V, compute_uv=False)
    np.testing.assert_allclose(principal_sines(U, V) ** 2, 1.0 - cosines**2, atol=1e-12)
    assert subspace_distance(U, V) == pytest.approx(subspace_distance(V, U), rel=1e-12)


def test_a_subspace_in_another_is_at_no_distance(rng):
    U = basis(rng, 10, 4)
    assert subspace_distance(U, U[:, 1:3]) < 1e-14 and subspace_distance(U[:, :1], U) < 1e-14
    assert subspace_distance(U, np.zeros((10, 0))) == 0.0


def test_a_basis_leaves_out_what_is_rounding(rng):
    u = rng.normal(size=(9, 2))
    snapshots = np.concatenate([u, u @ [[1.0], [2.0]], np.zeros((9, 1))], axis=1)
    assert orthonormal_basis(snapshots).shape == (9, 2)
    assert orthonormal_basis(np.zeros((9, 2))).shape == (9, 0)


def test_all_distances_are_those_of_the_pairs(rng):
    vectors = rng.normal(size=(6, 5))
    vectors[3] = -2.0 * vectors[1]
    vectors[4] = vectors[5] = 0.0
    found = distances(vectors)
    expected = [[sine(u, v) for v in vectors] for u in vectors]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert found[1, 3] < 1e-15 and found[4, 5] == 0.0 and found[0, 4] == 1.0
    bases = [basis(rng, 8, 2) for _ in range(4)]
    assert distances(bases)[2, 1] == subspace_distance(bases[2], bases[1])


def test_bad_vectors_are_refused():
    with pytest.raises(ValueError, match="one length"):
        sine(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="finite"):
        sine(np.array([np.nan, 1.0]), np.ones(2))
    with pytest.raises(ValueError, match="finite"):
        distances(np.array([[np.inf, 1.0], [1.0, 1.0]]))
    with pytest.raises(ValueError, match="expected bases"):
        principal_sines(np.ones(3), np.ones((3, 1)))
    with pytest.raises(ValueError, match="expected columns"):
        orthonormal_basis(np.ones(3))
