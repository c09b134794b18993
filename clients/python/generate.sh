#!/bin/sh
# Regenerates src/nexusd/_proto from proto/ of this repository. Needs grpcio-tools of requirements-dev.txt, as
# .venv-dev has it after check.sh: PYTHON=.venv-dev/bin/python ./generate.sh
set -eu
cd "$(dirname "$0")"
if [ -z "${PYTHON:-}" ] && [ -x .venv-dev/bin/python ]; then PYTHON=.venv-dev/bin/python; fi
exec "${PYTHON:-python3}" generate.py "$@"
