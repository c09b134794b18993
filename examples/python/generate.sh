#!/bin/sh
# Generates the client from proto/ into gen/: the services, and buf/validate, which they import.
set -eu
cd "$(dirname "$0")"
rm -rf gen && mkdir gen
"${PYTHON:-python3}" -m grpc_tools.protoc -I ../../proto --python_out=gen --pyi_out=gen --grpc_python_out=gen \
  ../../proto/nexus/v1/connection.proto ../../proto/nexus/v1/strategy.proto ../../proto/nexus/v1/token.proto \
  ../../proto/buf/validate/validate.proto
