#!/bin/sh
# Generates nexusv1 from proto/nexus/v1 of this repository, with the `buf` of its `npm ci` and the plugins that buf.gen.yaml names.
# With --check it changes nothing, and fails when nexusv1 is not current; with --fetch it downloads the plugins alone.
set -eu
cd "$(dirname "$0")"
if [ "${1:-}" = --fetch ]; then
  for plugin in $(sed -n 's/.*\[go, run, \(.*\)\]/\1/p' buf.gen.yaml); do go run "$plugin" --version; done
  exit
fi
out=.
if [ "${1:-}" = --check ]; then
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
else
  rm -f nexusv1/*.pb.go
fi
PATH="$PWD/../../node_modules/.bin:$PATH" buf generate ../../proto --output "$out" \
  --path ../../proto/nexus/v1/token.proto --path ../../proto/nexus/v1/connection.proto --path ../../proto/nexus/v1/strategy.proto \
  --path ../../proto/nexus/v1/access.proto
gofmt -w "$out/nexusv1"
[ "$out" = . ] || diff -r --exclude=doc.go "$out/nexusv1" nexusv1 || { echo "nexusv1 is not current: run ./generate.sh" >&2; exit 1; }
