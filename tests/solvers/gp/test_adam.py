import numpy as np
import pytest

from resolvent.solvers.gp import PDE, AdamGP, Dirichlet, laplacian


def test_published_error_after_96_updates():
    """The error of u1 with the student-t kernel that the published code logs: 0.27562065."""
    exact = lambda x: np.sin(100.0 * x)  # noqa: E731
    pde = PDE([(0.0, 2.0 * np.pi)], laplacian(1), source=lambda x: -1e4 * exact(x), boundary=exact)
    gp = AdamGP(pde, (400,), frequencies=20.0)
    state = gp.run(96)
    x = np.linspace(0.0, 2.0 * np.pi, 300)
    error = gp.predict(state, [x]) - exact(x)
    assert np.linalg.norm(error) / np.linalg.norm(exact(x)) == pytest.approx(0.275621, abs=1e-6)


def small(dimensions):
    rng = np.random.default_rng(3)
    if dimensions == 1:
        operator = {(2,): 1.0, (1,): lambda x: 1.0 + x, (0,): 0.7}
    else:
        operator = {(2, 0): 1.0, (0, 2): lambda x, y: 1.0 + x * y, (1, 1): 0.3, (1, 2): 0.1, (0, 0): 2.0}
    pde = PDE(
        [(0.0, 1.0), (-0.5, 0.4)][:dimensions],
        operator,
        source=lambda *x: np.cos(sum(x)),
        boundary=lambda *x: np.sin(sum(x)),
        nonlinear=(lambda u: u**3, lambda u: 3 * u**2),
    )
    gp = AdamGP(pde, (7, 6)[:dimensions], frequencies=2.0, components=3)
    p = {name: value + 0.3 * rng.standard_normal(value.shape) for name, value in gp.start().parameters.items()}
    return gp, p


@pytest.mark.parametrize("dimensions", [1, 2])
def test_gradient_agrees_with_differences(dimensions):
    gp, p = small(dimensions)
    _, gradient = gp.loss_and_gradient(p)
    rng = np.random.default_rng(1)
    for name, g in gradient.items():
        assert g.shape == p[name].shape, name
        direction = rng.standard_normal(g.shape)
        h = 1e-5
        losses = [gp.loss_and_gradient(p | {name: p[name] + s * h * direction})[0] for s in (1.0, -1.0)]
        assert np.vdot(g, direction) == pytest.approx((losses[0] - losses[1]) / (2 * h), rel=1e-5), name


def test_two_dimensional_loss_is_the_formula():
    """Against dense Kronecker products."""
    gp, p = small(2)
    K = [gp._kernel(p, j).matrix(x) + 1e-6 * np.eye(x.size) for j, x in enumerate(gp.axes)]
    big, u = np.kron(*K), p["U"].ravel()
    prior = 0.5 * np.linalg.slogdet(big)[1] + 0.5 * u @ np.linalg.solve(big, u)
    D = [
        {r: gp._kernel(p, j).matrix(x, order=r) @ np.linalg.inv(K[j]) if r else np.eye(x.size) for r in range(3)}
        for j, x in enumerate(gp.axes)
    ]
    R = -gp.f.ravel() + u**3
    for (a, b), c in gp.terms:
        R = R + (np.broadcast_to(c, gp.f.shape).ravel()) * (np.kron(D[0][a], D[1][b]) @ u)
    U, tau, v = p["U"], np.exp(p["log_tau"]), np.exp(p["log_v"])
    x, y = np.meshgrid(*gp.axes, indexing="ij")
    g = np.sin(x + y)
    edges = [np.s_[0, :], np.s_[-1, :], np.s_[:, 0], np.s_[:, -1]]
    square = sum(np.sum((U[e] - g[e]) ** 2) for e in edges)
    count = sum(g[e].size for e in edges)
    loss = prior - 200 * (count / 2 * np.log(tau) - tau / 2 * square) - (u.size / 2 * np.log(v) - v / 2 * R @ R)
    assert gp.loss_and_gradient(p)[0] == pytest.approx(loss, rel=1e-9)


def test_continuing_equals_running_through():
    gp, _ = small(1)
    whole = gp.run(6)
    parts = gp.run(2, gp.run(4))
    assert parts.updates == whole.updates == 6
    assert all(np.array_equal(parts.parameters[n], v) for n, v in whole.parameters.items())


def test_needs_boundary_values():
    with pytest.raises(ValueError, match="needs boundary values"):
        AdamGP(PDE([(0, 1)], laplacian(1), source=1.0), (10,))
    one_side = PDE([(0, 1)], laplacian(1), source=1.0, boundary=Dirichlet(0.0, sides=[(0, 0)]))
    assert AdamGP(one_side, (10,)).boundary_count == 1
