#!/usr/bin/env bash
# Run ruff and mypy, all of them even when one fails; the exit status is that of the worst.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Real folders only, never ".": the links at the root would be visited twice.
folders=()
for folder in src tests benchmarks notebooks scripts; do
  if [ -d "$folder" ]; then folders+=("$folder"); fi
done

failed=()
step() {
  echo "== $*"
  ".venv/bin/$1" "${@:2}" || failed+=("$1 $2")
}
step ruff check "${folders[@]}"
step ruff format --check "${folders[@]}"
step mypy src/resolvent
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
