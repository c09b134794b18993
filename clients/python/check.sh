#!/bin/sh
# Format, lint, types and tests of the package, in a virtual environment of its own (.venv-dev).
set -eu
cd "$(dirname "$0")"
# What is downloaded may stand still, or be refused for a moment.
again() {
  "$@" || { sleep 2 && "$@"; } || { sleep 10 && "$@"; }
}
if ! [ -x .venv-dev/bin/pytest ] || [ requirements-dev.txt -nt .venv-dev/installed ]; then
  "${PYTHON:-python3}" -m venv .venv-dev
  again .venv-dev/bin/pip install --quiet --disable-pip-version-check -e . -r requirements-dev.txt
  touch .venv-dev/installed
fi
.venv-dev/bin/ruff format --check --quiet .
.venv-dev/bin/ruff check --quiet .
.venv-dev/bin/mypy
.venv-dev/bin/pytest --quiet "$@"
