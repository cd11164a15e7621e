"""Sizes of the tiny sets that are sharded, and their merge."""

from pathlib import Path

from tiny_family import TinyDiffusion

from resolvent.datasets import merge

HERE = Path(__file__).parents[1]
SAMPLES, CHUNK = 30, 4


def put_together(out, **options):
    return merge(out, family=TinyDiffusion(), **options)
