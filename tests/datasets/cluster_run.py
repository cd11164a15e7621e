"""Makes the tiny set on an executor given by name; prints its content digest. Arguments: output, executor, workers."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from tiny_family import TinyChain, TinyDiffusion

from resolvent.datasets import GenerationInterrupted, generate

SAMPLES, CHUNK = 120, 4


def make(out: Path, **options):
    """Make the set of these tests."""
    return generate(TinyDiffusion(pause=0.01), SAMPLES, out=out, solver=TinyChain(), chunk=CHUNK, **options)


if __name__ == "__main__":
    try:
        data = make(Path(sys.argv[1]), executor=sys.argv[2], workers=int(sys.argv[3]))
    except GenerationInterrupted as interrupt:
        sys.exit(str(interrupt))
    sys.stdout.write(f"{data.content_sha256} {len(set(data.chunks['pid']))}\n")
