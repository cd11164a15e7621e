"""Starts tiny runs in forked children and kills them at random moments; prints the content digests of what survives.

A program of its own, because the test process holds threads, which a fork would not copy. Arguments: folder, kills,
seed, and "shards" for runs by shards and their merge.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from tiny_family import TinyChain, TinyDiffusion

from resolvent.datasets import Dataset, generate, generate_shard, merge
from resolvent.solvers import fixed_threads

SAMPLES, CHUNK = 30, 4


def run(out: Path) -> None:
    family, options = TinyDiffusion(pause=0.001), {"out": out, "solver": TinyChain(), "chunk": CHUNK}
    if "shards" not in sys.argv or out.stem == "reference":
        generate(family, SAMPLES, **options)
        return
    if not out.exists():
        for i in range(3):
            generate_shard(family, SAMPLES, (i, 3), **options)
    merge(out, family=family)


def killed(out: Path, delay: float) -> bool:
    """Run in a child that is killed after a delay; return whether that came before its end."""
    child = os.fork()
    if child == 0:
        os.setsid()
        run(out)
        os._exit(0)
    time.sleep(delay)
    os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def main() -> None:
    folder, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    rng = np.random.default_rng(seed)
    with fixed_threads(1):  # loads the libraries, so that a child starts at once
        pass
    begun = time.perf_counter()
    run(folder / "reference.h5")
    length = time.perf_counter() - begun
    digests = [Dataset(folder / "reference.h5").content_sha256]
    done = finished = 0
    while done < kills:
        out = folder / f"killed-{finished}.h5"
        done += killed(out, rng.uniform(0.1, 0.9) * length)
        if out.exists() and not any(out.with_name(out.name + end).exists() for end in (".parts", ".shards")):
            digests.append(Dataset(out).content_sha256)
            finished += 1
    run(folder / f"killed-{finished}.h5")
    digests.append(Dataset(folder / f"killed-{finished}.h5").content_sha256)
    print(*digests, sep="\n")


if __name__ == "__main__":
    main()
