#!/usr/bin/env bash
# Run the long checks, one after the other, with every core to each.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

status=0
.venv/bin/python -m pytest -m "acceptance or slow" "$@" || status=$?
# pytest exits with 5 when no test is marked.
if [ "$status" -eq 5 ]; then status=0; fi
exit "$status"
