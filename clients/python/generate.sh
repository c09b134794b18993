#!/bin/sh
# Regenerates src/nexusd/_proto from proto/ of this repository. Needs grpcio-tools: pip install --group dev
set -eu
cd "$(dirname "$0")"
exec "${PYTHON:-python3}" generate.py "$@"
