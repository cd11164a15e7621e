#!/usr/bin/env bash
# Lint, type-check and run the tests. Everything runs even when an earlier part fails; any failure is an error in the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# One process a core, at most eight, and one BLAS thread in each: more threads than cores make everything slower.
cores=$(nproc)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

lint=0
scripts/lint.sh || lint=$?
echo "== pytest"
tests=0
# By file: a file's tests share their fixtures and compiled kernels in one process.
.venv/bin/python -m pytest -n "$((cores < 8 ? cores : 8))" --dist loadfile "$@" || tests=$?
if [ "$lint" -ne 0 ]; then echo "ruff or mypy failed: see the lines before pytest's" >&2; fi
exit $((lint || tests))
