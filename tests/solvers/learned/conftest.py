"""Small systems with obstacles, and networks with arbitrary weights."""

import numpy as np
import pytest
import torch

from resolvent.datasets.families import PoissonObstacles


def system(n=16, dim=2, seed=0, walls="dirichlet"):
    family = PoissonObstacles(resolution=n, dim=dim, walls=walls, fraction=(0.1, 0.3))
    return family.assemble(family.draw(np.random.default_rng(seed)))


def shaken(network, seed, size=0.3):
    """Random weights, far from those that a network starts with."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(size * torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.dtype))
    return network


@pytest.fixture
def make():
    return system


@pytest.fixture
def shake():
    return shaken
