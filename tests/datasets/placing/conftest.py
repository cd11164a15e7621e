"""A tiny set: whole, and in shards."""

import pytest
from tiny_family import TinyChain, TinyDiffusion

from resolvent.datasets import generate, generate_shard

from .sharded_sets import CHUNK, SAMPLES


@pytest.fixture
def out(tmp_path):
    return tmp_path / "set.h5"


@pytest.fixture
def shard(out):
    """Make a shard of a tiny set: `shard("0/3", n=30, **options)`."""

    def shard(which, n=SAMPLES, family=None, **options):
        options = {"solver": TinyChain(), "chunk": CHUNK, **options}
        return generate_shard(family or TinyDiffusion(), n, which, out=out, **options)

    return shard


@pytest.fixture
def digest(tmp_path):
    """Content digest of the set made by one run; `digest(n)`."""

    def digest(n=SAMPLES):
        return generate(
            TinyDiffusion(), n, out=tmp_path / f"one-{n}.h5", solver=TinyChain(), chunk=CHUNK
        ).content_sha256

    return digest
