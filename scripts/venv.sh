#!/usr/bin/env bash
# Create .venv if it is missing, and install resolvent into it, editable, with the pinned versions.
# usage: scripts/venv.sh EXTRAS         for example: scripts/venv.sh learn,dev
# The Python is the first of $PYTHON, python3.11, python3.12, python3.13 and python3 that runs and is 3.11 or later.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
extras=$1

runs_311() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
  local name candidate
  for name in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3; do
    # Every one of that name on the path, and run each: a version manager puts commands in front of the real ones
    # that only print an error.
    while read -r candidate; do
      if runs_311 "$candidate"; then
        echo "$candidate"
        return
      fi
    done < <(type -aP "$name")
    if [ "$name" = "${PYTHON:-}" ]; then
      echo "PYTHON=$PYTHON is not a Python 3.11 or later" >&2
      return 1
    fi
  done
  echo "resolvent needs Python 3.11 or later, and none was found on the path." >&2
  echo "Install one, or name it: make PYTHON=/path/to/python3.11 ..." >&2
  return 1
}

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  python=$(find_python)
  # Debian and Ubuntu ship venv in a package of its own.
  if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if ! command -v apt-get >/dev/null; then
      echo "$python has no venv module: install it (often a package named python3-venv) and try again" >&2
      exit 1
    fi
    scripts/apt.sh "python$version-venv"
  fi
  echo "creating .venv with $("$python" --version) ($python)"
  "$python" -m venv .venv
fi

echo "installing resolvent[$extras] into .venv (minutes the first time)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extras]"
