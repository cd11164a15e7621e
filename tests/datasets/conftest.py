"""Tiny sets for the tests of the dataset pipeline."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Worker processes unpickle the tiny family by module name; they inherit this path.
sys.path.insert(0, str(Path(__file__).parent))

from tiny_family import TinyChain, TinyDiffusion

from resolvent.datasets import Dataset, generate

Make = Callable[..., Dataset]


@pytest.fixture
def tiny() -> TinyDiffusion:
    return TinyDiffusion()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Generate a tiny set: `make(n, out="name.h5", **options)`."""

    def make(n: int, out: str = "tiny.h5", family: Any = None, **options: Any) -> Dataset:
        options = {"solver": TinyChain(), "chunk": 8, **options}
        return generate(family or TinyDiffusion(), n, out=tmp_path / out, **options)

    return make
