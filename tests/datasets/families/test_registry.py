"""The registry of families, and what every family owes the pipeline."""

import dataclasses

import numpy as np
import pytest

from resolvent.datasets import families
from resolvent.datasets.family import Family, LinearFamily

ALL = list(families.available().values())
IDS = [family.name for family in ALL]
SMALL = {"advection1d": 17, "helmholtz2d": 32, "thermal": 21}
"""Points per side, 8 unless the family's grids demand more."""


def test_names_and_aliases_resolve():
    assert families.names() == list(families.available())
    for family in ALL:
        for name in (family.name, *family.aliases):
            assert families.family_class(name) is family
    assert type(families.get("darcy")) is families.Darcy2D


def test_names_and_seeds_are_unique():
    spellings = [name for family in ALL for name in (family.name, *family.aliases)]
    assert len(spellings) == len(set(spellings))
    assert len({family.family_id for family in ALL}) == len(ALL)


@pytest.mark.parametrize(
    "name,family_id",
    [
        ("darcy2d", 1),
        ("darcy3d", 2),
        ("convdiff2d", 3),
        ("helmholtz2d", 4),
        ("heat2d_step", 5),
        ("poisson_chebyshev", 11),
        ("thermal", 12),
        ("elasticity2d", 13),
        ("poisson_obstacles", 14),
        ("advection1d", 21),
        ("burgers1d", 22),
        ("ns2d_vorticity", 23),
        ("wave2d", 24),
        ("diffreact2d", 25),
        ("heat2d", 26),
    ],
)
def test_seeds_do_not_change(name, family_id):
    assert families.family_class(name).family_id == family_id


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown family 'darcy2': did you mean .*'darcy2d'"):
        families.get("darcy2")
    with pytest.raises(ValueError, match=r"unknown family 'qqqq': known are darcy2d or darcy; darcy3d"):
        families.get("qqqq")


def test_unknown_options_are_refused_with_the_valid_ones():
    with pytest.raises(ValueError, match=r"no option 'coeficient': did you mean 'coefficient'.*valid are resolution"):
        families.get("darcy3d", coeficient="skr")


@pytest.mark.parametrize("cls", ALL, ids=IDS)
def test_every_family_describes_itself(cls):
    assert issubclass(cls, Family)
    family = cls()
    for text in (cls.name, cls.title, cls.equation, cls.domain, cls.boundary, cls.licence, family.law()):
        assert isinstance(text, str)
        assert text
    assert families.get(**{"name" if k == "family" else k: v for k, v in family.config().items()}) == family
    assert all(spec.role in ("parameter", "input", "solution") for spec in family.fields().values())
    assert cls.__doc__ and "Examples" in cls.__doc__


@pytest.mark.parametrize("cls", ALL, ids=IDS)
def test_every_family_draws_what_it_declares_and_reproducibly(cls):
    family = dataclasses.replace(cls(), resolution=SMALL.get(cls.name, 8))
    first, again = (family.draw(np.random.default_rng(1)) for _ in range(2))
    declared = {name: spec.shape for name, spec in family.fields().items() if spec.role != "solution"}
    assert {name: np.shape(value) for name, value in first.items()} == declared
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])


@pytest.mark.parametrize("cls", [c for c in ALL if issubclass(c, LinearFamily)], ids=lambda c: c.name)
def test_every_linear_family_rebuilds_its_system_from_its_inputs(cls):
    family = dataclasses.replace(cls(), resolution=SMALL.get(cls.name, 8))
    inputs = family.draw(np.random.default_rng(1))
    (A, b), (A2, b2) = family.assemble(inputs), family.assemble(inputs)
    assert A.shape == (b.size, b.size)
    x = np.random.default_rng(0).standard_normal(b.size)
    np.testing.assert_array_equal(A.matvec(x), A2.matvec(x))
    np.testing.assert_array_equal(b, b2)
    np.testing.assert_array_equal(family.restrict(family.expand(x, inputs)), x)
    assert all(passed for _, passed, _ in family.checks(inputs, family.assemble(inputs)))
