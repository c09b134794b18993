#!/bin/sh
# Generates nexusv1 from proto/nexus/v1 of this repository, with the `buf` of its `npm ci` and the plugins that buf.gen.yaml names.
# `./generate.sh PROTO_FOLDER` takes another contract.
set -eu
cd "$(dirname "$0")"
protos=${1:-../../proto}
PATH="$PWD/../../node_modules/.bin:$PATH" buf generate "$protos" \
  --path "$protos/nexus/v1/token.proto" --path "$protos/nexus/v1/connection.proto" --path "$protos/nexus/v1/strategy.proto"
gofmt -w nexusv1
