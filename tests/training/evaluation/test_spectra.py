import itertools

import numpy as np
import pytest

from resolvent.training.data.geometry import Geometry
from resolvent.training.evaluation.spectra import error_spectrum

POSITIONS = ("vertices", "centres", "interior", "periodic")


@pytest.mark.parametrize("positions", [*itertools.product(POSITIONS, POSITIONS), ("interior",), ("periodic",) * 3])
def test_energies_add_up_to_the_squared_norm(positions, rng):
    grid = (8, 7, 6)[: len(positions)]
    geometry = Geometry.unit(grid, positions)
    p, y = rng.normal(size=(2, 3, 2, *grid))
    weights = geometry.weights
    if "interior" in positions:  # the rule for functions that vanish at the ends
        weights = np.ones(())
        for n, place, w in zip(grid, positions, geometry.axis_weights, strict=True):
            weights = weights[..., None] * (np.full(n, 1.0 / (n + 1)) if place == "interior" else w)
    spectrum = error_spectrum(p, y, geometry)
    assert spectrum.target.sum() == pytest.approx((weights * y**2).sum() / 3, rel=1e-12)
    assert spectrum.error.sum() == pytest.approx((weights * (p - y) ** 2).sum() / 3, rel=1e-12)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("n", [32, 33])
def test_a_wave_is_in_its_shell(positions, n):
    unit = Geometry.unit([n, n], positions)
    geometry = Geometry([3.0 * axis for axis in unit.axes], unit.periodic, [(0.0, 3.0)] * 2)
    x, y = np.meshgrid(*geometry.axes, indexing="ij")
    wave = np.sin if positions == "interior" else np.cos
    kx, ky = 2 * np.pi * 3 / 3.0, 2 * np.pi * 4 / 3.0  # |κ| = 5 fundamental ones
    target = (wave(kx * x) * wave(ky * y))[None, None]
    spectrum = error_spectrum(1.5 * target, target, geometry)
    shell = int(np.argmax(spectrum.target))
    assert spectrum.wavenumber[shell] == pytest.approx(2 * np.pi * 5 / 3.0)
    assert spectrum.target[shell] == pytest.approx(spectrum.target.sum(), rel=1e-12)
    assert spectrum.relative[shell] == pytest.approx(0.5)


def test_a_spectrum_is_written(tmp_path, rng):
    geometry = Geometry.unit([16], "periodic")
    y = rng.normal(size=(2, 1, 16))
    lines = error_spectrum(0.9 * y, y, geometry).write_csv(tmp_path / "s.csv").read_text().splitlines()
    assert lines[0] == "wavenumber,target_energy,error_energy,relative_error" and len(lines) == 1 + 9


def test_what_has_no_spectrum_is_refused():
    with pytest.raises(ValueError, match="equidistant points"):
        error_spectrum(np.zeros((1, 1, 5)), np.zeros((1, 1, 5)), Geometry([np.linspace(0, 1, 5) ** 2]))
    with pytest.raises(ValueError, match="equal fields"):
        error_spectrum(np.zeros((1, 1, 5)), np.zeros((1, 1, 6)), Geometry.unit([5]))
