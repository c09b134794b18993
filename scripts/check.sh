#!/usr/bin/env bash
# Everything that is checked without running the daemon. Called by `npm run check`, which puts node_modules/.bin on the PATH.
# All steps run, so that one call shows every error.
set -uo pipefail
cd "$(dirname "$0")/.."
source .ci/base.sh

failed=()

step() {
  local name=$1
  shift
  echo "check: $name"
  "$@" || failed+=("$name")
}

generated_code_is_current() {
  local folder
  folder=$(mktemp -d)
  node scripts/generate.mjs "$folder" && diff --recursive --brief "$folder/src/gen" src/gen &&
    diff --brief "$folder/docs/settings.md" docs/settings.md &&
    diff --recursive --brief "$folder/clients/typescript/src/gen" clients/typescript/src/gen &&
    diff --recursive --brief "$folder/clients/typescript/src/strategies" clients/typescript/src/strategies
  local status=$?
  rm -rf "$folder"
  [ "$status" -eq 0 ] || echo "src/gen, docs/settings.md or clients/typescript is not current: run \`npm run generate\`" >&2
  return "$status"
}

# The contract and the disk format. A commit with the footer `BREAKING CHANGE: reason` breaks them deliberately.
no_breaking_change() {
  local base before
  base=$(base_commit) || { echo "skipped: the clone has no commit to compare with"; return 0; }
  before=$(mktemp -d)
  git archive "$base" proto buf.yaml | tar -x -C "$before" && buf breaking --against "$before"
  local status=$?
  rm -rf "$before"
  [ "$status" -ne 0 ] && git log --format=%B "$base..HEAD" | grep '^BREAKING CHANGE: ' && return 0
  return "$status"
}

step "format and lint" biome check --error-on-warnings
step "types" tsc --noEmit
step "proto format" buf format --diff --exit-code --path proto/nexus
step "buf lint" buf lint
step "buf breaking" no_breaking_change
step "versions" node scripts/versions.mjs --check
step "generated code" generated_code_is_current
step "architecture" vitest run test/architecture
step "report" tsx test/architecture/report.ts "$(base_commit || true)"

if [ "${#failed[@]}" -gt 0 ]; then
  printf 'check: FAILED: %s\n' "${failed[@]}" >&2
  exit 1
fi
echo "check: all good"
