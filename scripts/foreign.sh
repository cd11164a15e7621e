#!/usr/bin/env bash
# Install the packages of scripts/foreign.txt into .venv/foreign, which is on nobody's path but that of the tests that ask
# for it: seconds, 26 MB. Without them those tests are skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

echo "installing the loaders of other packages into .venv/foreign"
rm -rf .venv/foreign.new
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target .venv/foreign.new \
  -r scripts/foreign.txt
rm -rf .venv/foreign
mv .venv/foreign.new .venv/foreign
