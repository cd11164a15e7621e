#!/usr/bin/env bash
# Generate a certified dataset of 1000 Darcy problems, check it independently, and plot it. Writes demo/ only.
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
