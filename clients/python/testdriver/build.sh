#!/bin/sh
# Builds the wheel and installs it, as a user would, into a virtual environment of its own; nothing when both are current.
set -eu
cd "$(dirname "$0")/.."
current=$(cat pyproject.toml README.md LICENSE testdriver/requirements.txt $(find src -type f ! -name '*.pyc' | LC_ALL=C sort) | cksum)
if [ "$(cat .venv/built 2>/dev/null)" = "$current" ]; then exit 0; fi
# What is downloaded may stand still, or be refused for a moment.
again() {
  "$@" || { sleep 2 && "$@"; } || { sleep 10 && "$@"; }
}
rm -rf .venv dist
python3 -m venv .venv
again .venv/bin/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
again .venv/bin/pip install --quiet --disable-pip-version-check --constraint testdriver/requirements.txt "$(echo dist/*.whl)[google,httpx,requests]"
echo "$current" > .venv/built
