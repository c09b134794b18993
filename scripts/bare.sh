#!/usr/bin/env bash
# Runs the suite, or what is named, as a machine runs it that has Node, git and Debian's coreutils and nothing else: no other
# program is on the PATH, HOME is an empty folder, CI is not set. Fails too when something is left in the temporary folder.
#
#   scripts/bare.sh                                    all of `npm test`
#   scripts/bare.sh test/daemon/chromium.test.ts ...   these files, which vitest filters by
set -uo pipefail
cd "$(dirname "$0")/.."

for filter in "$@"; do # a filter that matches no file would pass in silence
  git ls-files test | grep -F -- "$filter" >/dev/null || {
    echo "bare: no file of test/ has $filter in its path" >&2
    exit 1
  }
done

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
chmod 711 "$place" # tests run Node as another user
mkdir "$place/bin" "$place/home" "$place/tmp"
chmod 711 "$place/bin" "$place/tmp"

# npm starts scripts by `sh`, which dash is in Debian.
programs=$(dpkg -L coreutils dash | grep -E '^(/usr)?/bin/.')
for program in $programs "$(command -v node)" "$(command -v npm)" "$(command -v npx)" "$(command -v git)"; do
  ln -sf "$(readlink -f "$program")" "$place/bin/$(basename "$program")"
done

bare() {
  env -i PATH="$place/bin" HOME="$place/home" TMPDIR="$place/tmp" NO_COLOR=1 NO_UPDATE_NOTIFIER=1 "$@"
}

bare npm test -- "$@"
status=$?
# On Node 22 and newer npm itself keeps what V8 compiled of it there.
left=$(ls -A --ignore=node-compile-cache "$place/tmp")
if [ -n "$left" ]; then
  echo "bare: left in the temporary folder:" $left >&2
  exit 1
fi
exit "$status"
