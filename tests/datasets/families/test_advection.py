import numpy as np
import pytest

from resolvent.datasets import CertificationError, generate
from resolvent.datasets.families import Advection1D


@pytest.mark.parametrize("n", [17, 32, 255, 256])
def test_the_shift_is_exact_on_every_grid(n):
    family = Advection1D(resolution=n)
    for seed in range(5):
        march = family.march(family.draw(np.random.default_rng(seed)), 1e-10)
        assert march.evidence["exact_error"] < 2e-13 and march.steps == 40


def test_one_stream_is_one_problem_on_every_grid():
    coarse, fine = (Advection1D(resolution=n) for n in (64, 128))
    a, b = (f.draw(np.random.default_rng(3)) for f in (coarse, fine))
    assert all(np.array_equal(a[name], b[name]) for name in ("beta", "amplitude", "wavenumber", "phase"))
    np.testing.assert_allclose(a["u0"], b["u0"][::2], atol=1e-13)
    u, v = (f.march(i, 1.0).solution["u"] for f, i in ((coarse, a), (fine, b)))
    np.testing.assert_allclose(u, v[:, ::2], atol=1e-12)


def test_a_wave_that_goes_the_wrong_way_is_not_certified(tmp_path, monkeypatch):
    right = Advection1D.shifted
    monkeypatch.setattr(Advection1D, "shifted", lambda self, i: right(self, {**i, "beta": -i["beta"]}))
    with pytest.raises(CertificationError, match="exact_error"):
        generate(Advection1D(resolution=32), 2, out=tmp_path / "wrong.h5")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 16}, "at least 2·most"),
        ({"speeds": ()}, "finite speeds"),
        ({"speeds": (np.nan,)}, "finite speeds"),
        ({"frames": 0}, "at least 1 frame"),
        ({"final_time": 0.0}, "positive final_time"),
        ({"waves": 0}, "waves ≥ 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Advection1D(**options)


def test_bad_inputs_are_refused(rng):
    family = Advection1D(resolution=32)
    inputs = family.draw(rng)
    with pytest.raises(ValueError, match="finite number 'beta'"):
        family.pose({**inputs, "beta": np.asarray(np.inf)})
    with pytest.raises(ValueError, match="list of finite numbers 'phase'"):
        family.pose({name: value for name, value in inputs.items() if name != "phase"})
