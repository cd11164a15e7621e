#!/usr/bin/env bash
# Install Debian packages without asking anything.
# usage: scripts/apt.sh PACKAGE...
set -euo pipefail

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "cannot install $*: not root and no sudo. Ask an administrator for: apt-get install $*" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "installing $* with apt-get" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A fresh machine or container has no package lists yet.
if ! { "${as_root[@]}" apt-get update -q &&
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; } >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  echo "apt-get install $* failed: see above" >&2
  exit 1
fi
