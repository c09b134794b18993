#!/usr/bin/env bash
# Writes test/conformance/gen from the protos of the two suites, in the versions of tools/go.mod. Needs Go; run it when those change.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/node_modules/.bin:$PATH"
tools=test/conformance/tools
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
cp -r "$(cd "$tools" && go mod download -json connectrpc.com/conformance | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')/proto" "$temp/"
chmod -R u+w "$temp"
(cd "$tools" && go run ./descriptors) >"$temp/grpc.binpb"
rm -rf test/conformance/gen
template() { # TYPE...: the template with these types alone, for a type that is not in an input is an error
  sed "/^      - [a-z]*\.[a-z.0-9]*\.[A-Z]/{/$1/!d}" test/conformance/buf.gen.yaml >"$temp/buf.gen.yaml"
}
template 'connectrpc\.'
buf generate "$temp/proto" --template "$temp/buf.gen.yaml"
template 'grpc\.testing\.'
buf generate "$temp/grpc.binpb" --template "$temp/buf.gen.yaml"
