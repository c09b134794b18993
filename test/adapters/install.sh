#!/bin/sh
# Installs the frameworks, pinned, into ~/.cache/nexusd-adapters, and the Python client of this checkout beside them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
place=${XDG_CACHE_HOME:-$HOME/.cache}/nexusd-adapters
mkdir -p "$place"
if ! cmp -s "$here/python/requirements.txt" "$place/requirements.txt"; then
  [ -x "$place/py/bin/python" ] || "${PYTHON:-python3}" -m venv "$place/py"
  "$place/py/bin/pip" install --quiet --disable-pip-version-check -r "$here/python/requirements.txt" -e "$here/../../clients/python"
  cp "$here/python/requirements.txt" "$place/requirements.txt"
fi
if ! cmp -s "$here/typescript/package.json" "$place/node/installed.json"; then
  mkdir -p "$place/node"
  cp "$here/typescript/package.json" "$place/node/package.json"
  npm install --prefix "$place/node" --ignore-scripts --no-audit --no-fund --silent
  cp "$here/typescript/package.json" "$place/node/installed.json"
fi
