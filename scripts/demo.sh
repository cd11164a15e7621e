#!/usr/bin/env bash
# Generate a certified dataset of 1000 Darcy problems, check it, plot it, and train a neural operator on it. Writes demo/ only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

run() {
  echo "\$ resolvent $*"
  .venv/bin/resolvent "$@"
}

mkdir -p demo
# Work left from an interrupted or older run, too: a demonstration starts at the beginning.
rm -rf demo/darcy.*
run generate darcy --n 1000 --resolution 64 --seed 0 --rtol 1e-8 --out demo/darcy.h5
run describe demo/darcy.h5
run verify demo/darcy.h5
run plot demo/darcy.h5 --out demo/darcy.png
# Coarse grids first: cells are joined two by two, then four epochs on the whole grid.
rm -rf demo/fno
run train demo/darcy.h5 --model fno --epochs 12 --set 'stages=[{"stride": 2, "epochs": 8, "batch_size": 20}]' --out demo/fno
run evaluate demo/fno demo/darcy.h5 --stride 2 --plot demo/predictions.png
