#!/bin/sh
# Installs the frameworks, pinned, into ~/.cache/nexusd-adapters, and the Python client of this checkout beside them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
place=${XDG_CACHE_HOME:-$HOME/.cache}/nexusd-adapters
mkdir -p "$place"
# install NAME REQUIREMENTS: a virtual environment.
install() {
  cmp -s "$here/python/$2" "$place/$2" && return
  [ -x "$place/$1/bin/python" ] || "${PYTHON:-python3}" -m venv "$place/$1"
  "$place/$1/bin/pip" install --quiet --disable-pip-version-check -r "$here/python/$2" -e "$here/../../clients/python"
  cp "$here/python/$2" "$place/$2"
}
install py requirements.txt
install recipes recipes.txt
if ! cmp -s "$here/typescript/package.json" "$place/node/installed.json"; then
  mkdir -p "$place/node"
  cp "$here/typescript/package.json" "$place/node/package.json"
  npm install --prefix "$place/node" --ignore-scripts --no-audit --no-fund --silent
  cp "$here/typescript/package.json" "$place/node/installed.json"
fi
