#!/usr/bin/env bash
# Install PETSc (from apt, where the machine has none), and petsc4py of the same version and mpi4py into .venv.
# petsc4py has no wheel on PyPI. It is built once, in one to two minutes, and kept for later clones in
# ${XDG_CACHE_HOME:-~/.cache}/resolvent/wheels. To use a PETSc of your own, set PETSC_DIR (and PETSC_ARCH).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=.venv/bin/python

if [ -n "${PETSC_DIR:-}" ]; then
  export PKG_CONFIG_PATH="$PETSC_DIR/${PETSC_ARCH:-}/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
fi
petsc_version() { pkg-config --modversion PETSc 2>/dev/null; }
works() {
  # A solve, not an import: a wheel left from another PETSc or numpy may import and still be broken.
  "$python" - "$1" 2>/dev/null <<'EOF'
import sys
import mpi4py, petsc4py
if petsc4py.__version__ != sys.argv[1]:
    sys.exit(1)
import numpy as np
from petsc4py import PETSc
A = PETSc.Mat().createAIJ((2, 2), csr=([0, 1, 2], [0, 1], [2.0, 4.0]))
x, b = A.createVecs()
b.setArray(np.array([2.0, 4.0]))
ksp = PETSc.KSP().create()
ksp.setOperators(A)
ksp.solve(b, x)
sys.exit(not np.allclose(x.getArray(), 1.0))
EOF
}

if version=$(petsc_version) && works "$version"; then
  exit 0
fi

# What the build needs besides PETSc itself: pkg-config, a C compiler, and the headers of the Python in .venv.
packages=()
petsc_version >/dev/null || packages+=(petsc-dev)
command -v pkg-config >/dev/null || packages+=(pkg-config)
command -v cc >/dev/null || packages+=(gcc libc6-dev)
if ! "$python" -c 'import pathlib, sys, sysconfig; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())'; then
  packages+=("python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-dev")
fi
if [ ${#packages[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "PETSc skipped, and its tests with it: this machine lacks ${packages[*]} and has no apt-get." >&2
    echo "Install PETSc, set PETSC_DIR, and run make test again." >&2
    exit 0
  fi
  scripts/apt.sh "${packages[@]}"
fi

version=$(petsc_version)
# Debian's pkg-config file names a versioned folder; /usr/lib/petsc is the link kept for users.
if [ -z "${PETSC_DIR:-}" ]; then
  if [ -d /usr/lib/petsc ]; then PETSC_DIR=/usr/lib/petsc; else PETSC_DIR=$(pkg-config --variable=prefix PETSc); fi
fi
export PETSC_DIR
numpy=$("$python" -c 'import numpy; print(numpy.__version__)')
tag=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
case $version-$tag in
  3.1[0-8].*-cp31[2-9])
    echo "petsc4py $version, the one for this machine's PETSc, does not run on Python 3.12 or later." >&2
    echo "Remove .venv and run: make test PYTHON=python3.11" >&2
    exit 1
    ;;
esac
wheels=${XDG_CACHE_HOME:-$HOME/.cache}/resolvent/wheels/petsc4py-$version-$tag-numpy${numpy%%.*}

install() { "$python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$wheels"/petsc4py-*.whl; }

build() {
  echo "building petsc4py $version for $PETSC_DIR (one to two minutes, once)" >&2
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  # An environment of its own: these old build tools would break other packages in .venv.
  "$python" -m venv "$scratch/venv"
  local pip=("$scratch/venv/bin/python" -m pip --quiet --disable-pip-version-check --no-cache-dir)
  local tools=("numpy==$numpy" wheel)
  case $version in
    # Before 3.20, petsc4py asks for Cython 0.29 (3.19 for exactly this one) and needs the distutils and the
    # `test` command that setuptools dropped in 72.
    3.1[0-9].*) tools+=("cython==0.29.36" "setuptools<72") ;;
    *) tools+=("cython>=3" setuptools) ;;
  esac
  # -O1 -g0: the file has 400 000 generated lines that only pass arguments on; -O2 -g takes four times as long.
  # unset PYTHONSAFEPATH: the set-up script imports from its own folder.
  if ! (
    unset PYTHONSAFEPATH
    export CFLAGS="-O1 -g0"
    "${pip[@]}" install "${tools[@]}" &&
      "${pip[@]}" wheel --no-deps --no-build-isolation --no-binary petsc4py -w "$scratch/wheels" "petsc4py==$version"
  ) >"$scratch/log" 2>&1; then
    tail -n 40 "$scratch/log" >&2
    echo "building petsc4py $version failed: see above" >&2
    return 1
  fi
  mkdir -p "$wheels"
  mv "$scratch"/wheels/petsc4py-*.whl "$wheels/"
}

"$python" -m pip install --quiet --disable-pip-version-check -c constraints.txt mpi4py
if compgen -G "$wheels/petsc4py-*.whl" >/dev/null && install && works "$version"; then
  exit 0
fi
rm -rf "$wheels"
build
install
if ! works "$version"; then
  echo "petsc4py $version was built but cannot solve a 2 x 2 system; its own message:" >&2
  "$python" -c 'from petsc4py import PETSc' >&2 || true
  exit 1
fi
