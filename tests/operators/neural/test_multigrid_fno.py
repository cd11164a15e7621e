"""Windows, patches and the operator on them."""

import itertools

import pytest
import torch

from resolvent.operators.neural import FNO, MultiGridFNO
from resolvent.operators.neural.patching import crop, divide, margins, multiple, patch, stitch, undo_averaging


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def small(**options):
    return MultiGridFNO(**{"c_in": 1, "c_out": 1, "n_modes": [4, 4], "width": 4, "layers": 2, **options})


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("boundary", ["wrap", "zero", "replicate"])
def test_patches_put_together_are_the_field(levels, dim, boundary):
    H = multiple(levels)
    if levels == 3 and dim == 3:
        return  # 128³ points
    x = torch.randn(2, 3, H, *[2 * H if dim == 2 else H] * (dim - 1))
    windows = patch(x, levels, padding=0.125, boundary=boundary)
    n, p = 2**levels, [round(0.125 * N) for N in x.shape[2:]]
    assert windows.shape == (
        2 * n**dim,
        3 * (levels + 1),
        *(N // n + 2 * q for N, q in zip(x.shape[2:], p, strict=True)),
    )
    finest = crop(windows[:, :3], margins(x.shape[2:], 0.125))
    assert torch.equal(finest, divide(x, levels))
    assert torch.equal(stitch(finest, levels), x)


@pytest.mark.parametrize("boundary", ["wrap", "zero", "replicate"])
def test_windows_point_by_point(boundary):
    """Patch a of level ℓ reads a s_ℓ − (w − s_ℓ)/2 + 0 … w − 1 of the field of every 2^ℓ-th point."""
    levels, H, W, padding = 2, 32, 64, 0.09
    x = torch.randn(1, 1, H, W)
    windows = patch(x, levels, padding, boundary)[:, :, :, :]
    n = 4
    for a, b, level in itertools.product(range(n), range(n), range(levels + 1)):
        coarse = x[0, 0, :: 2**level, :: 2**level]
        got = windows[a * n + b, level]
        rows, columns = [], []
        for N, patch_index, where in ((H, a, rows), (W, b, columns)):
            s, p = N // n, round(padding * N)
            w, step = s + 2 * p, N // n // 2**level
            where += [patch_index * step - (w - step) // 2 + j for j in range(w)]
        assert got.shape == (len(rows), len(columns))
        for i, j in itertools.product(range(0, len(rows), 3), range(0, len(columns), 5)):
            r, c = rows[i], columns[j]
            inside = 0 <= r < coarse.shape[0] and 0 <= c < coarse.shape[1]
            if boundary == "wrap":
                expected = coarse[r % coarse.shape[0], c % coarse.shape[1]]
            elif inside:
                expected = coarse[r, c]
            elif boundary == "zero":
                expected = torch.tensor(0.0)
            else:  # the last value of the field, which may lie between the points of the level
                expected = x[0, 0, min(max(r * 2**level, 0), H - 1), min(max(c * 2**level, 0), W - 1)]
            assert got[i, j] == expected


def test_sides_that_do_not_divide_are_named():
    with pytest.raises(ValueError, match="2 levels need sides that 32 divides, which it does not 40 of axis 1"):
        patch(torch.zeros(1, 1, 32, 40), 2)
    with pytest.raises(ValueError, match="33 of axis 0, 12 of axis 1"):
        divide(torch.zeros(1, 1, 33, 12), 1)
    with pytest.raises(ValueError, match="make 4 patches of a field, got 6"):
        stitch(torch.zeros(6, 1, 4, 4), 1)
    with pytest.raises(ValueError, match="33 of axis 0"):
        small().patches(torch.zeros(1, 1, 33, 32))
    with pytest.raises(ValueError, match="boundary must be one of"):
        patch(torch.zeros(1, 1, 8), 1, boundary="mirror")
    with pytest.raises(ValueError, match="padding must be between"):
        small(padding=1.5)


@pytest.mark.parametrize("grid", [(30, 33), (9, 16)])
def test_other_sides_are_covered_by_patches_that_end_beyond(grid):
    x = torch.arange(grid[0] * grid[1], dtype=torch.float32).reshape(1, 1, *grid)
    windows = patch(x, 1, 0.1, extend=True)
    whole = stitch(crop(windows[:, :1], margins(grid, 0.1)), 1)
    assert all(N % multiple(1) == 0 for N in whole.shape[2:])
    assert torch.equal(whole[..., : grid[0], : grid[1]], x)
    beyond = whole[0, 0, : grid[0], grid[1] :]
    assert torch.equal(beyond, x[0, 0, :, : beyond.shape[1]])  # periodic continuation


def test_no_levels_and_no_margin_is_the_network_itself():
    model = small(levels=0, padding=0.0, positions=None, weights="dense")
    x = torch.randn(2, 1, 12, 16)
    assert torch.equal(model(x), model.network(x))
    assert isinstance(model.network, FNO)


def test_patchwise_and_stitched_losses_agree():
    model = small(levels=1).double()
    x, y = torch.randn(2, 1, 16, 24, dtype=torch.float64), torch.randn(2, 1, 16, 24, dtype=torch.float64)
    stitched = (model(x) - y).square().mean()
    patchwise = (model.patches(x) - divide(y, 1)).square().mean()
    assert float((stitched - patchwise).detach().abs()) <= 1e-14


def test_wrapped_windows_commute_with_shifts_by_whole_patches():
    model = small(levels=2, positions=None).double()
    x = torch.randn(1, 1, 32, 32, dtype=torch.float64)
    shifted = model(x.roll((8, 16), (2, 3)))
    assert float((shifted - model(x).roll((8, 16), (2, 3))).detach().abs().max()) <= 1e-12
    other = model(x.roll((4, 0), (2, 3))) - model(x).roll((4, 0), (2, 3))
    assert float(other.detach().abs().max()) > 1e-6  # but not by less


def test_windows_keep_their_size_in_space():
    """On finer grids the result approaches a limit: windows, modes and coordinates do not depend on the grid."""
    model = small(levels=1, n_modes=[4, 4], padding=0.125).double()

    def field(n):
        t = torch.arange(n, dtype=torch.float64) / n
        return (0.1 * torch.cos(2 * torch.pi * (t[:, None] - t)))[None, None]

    results = [model(field(n))[..., :: n // 16, :: n // 16].detach() for n in (16, 32, 64, 128)]
    changes = [float((b - a).abs().max()) for a, b in itertools.pairwise(results)]
    assert changes[1] < 0.7 * changes[0] and changes[2] < 0.7 * changes[1]


def test_patches_spread_over_two_ranks():
    """Each rank differentiates the stitched loss through its own patches; the mean times two is the gradient."""
    model = small(levels=1, layers=1).double()
    x, y = torch.randn(1, 1, 16, 16, dtype=torch.float64), torch.randn(1, 1, 16, 16, dtype=torch.float64)

    def loss(keep):
        patches = model.patches(x)
        mask = torch.zeros(len(patches), 1, 1, 1, dtype=torch.bool)
        mask[keep] = True
        gathered = torch.where(mask, patches, patches.detach())
        return (stitch(gathered, 1) - y).square().sum().sqrt()

    loss(slice(0, 4)).backward()
    whole = [p.grad.clone() for p in model.parameters()]
    halves = []
    for keep in (slice(0, 2), slice(2, 4)):
        model.zero_grad()
        loss(keep).backward()
        halves.append([p.grad.clone() for p in model.parameters()])
    for p, a, b in zip(model.parameters(), *halves, strict=True):
        p.grad = (a + b) / 2
    undo_averaging(model.parameters(), 2)
    for p, g in zip(model.parameters(), whole, strict=True):
        assert float((p.grad - g).abs().max()) <= 1e-12 * (1.0 + float(g.abs().max()))
    with pytest.raises(ValueError, match="ranks must be a whole number"):
        undo_averaging(model.parameters(), 0)
