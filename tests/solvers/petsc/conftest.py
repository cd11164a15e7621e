"""A right-hand side."""

import numpy as np
import pytest

from .systems import N


@pytest.fixture
def b():
    return np.random.default_rng(0).standard_normal(N)
