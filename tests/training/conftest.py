"""The data of small runs, as a fixture."""

import pytest

from .small_runs import smooth


@pytest.fixture
def pairs():
    return smooth()
