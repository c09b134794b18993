#!/bin/sh
# smoke.sh PROGRAM: starts an installed nexusd, connects the user of its demo provider, and refreshes the token. It needs curl, and the ports
# 9099, 8080, 8090, and 9090. The release workflow runs it on macOS, for which the tarballs are made on Linux.
set -eu
program=$1
started=$(date +%s)
folder=$(mktemp -d)
provider=
daemon=
trap 'kill $provider $daemon 2>/dev/null; wait; rm -rf "$folder"' EXIT
# At this mode, the kernel says who connects to the socket.
export NEXUS_DATA_DIR="$folder/data" NEXUS_SOCKET_MODE=0666
"$program" version
"$program" demo-provider >"$folder/provider.log" &
provider=$!
"$program" serve --allow-loopback-providers 9099 >"$folder/daemon.log" 2>&1 &
daemon=$!

# Until a command succeeds, for a minute at most.
until_true() {
  for _ in $(seq 240); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.25
  done
  cat "$folder/daemon.log"
  echo "smoke.sh: gave up on: $*" >&2
  exit 1
}
until_true curl --fail --silent http://127.0.0.1:9090/readyz
until_true curl --fail --silent http://127.0.0.1:9099/.well-known/openid-configuration

# The owner's commands pass without a key, because the kernel names the daemon's own user.
"$program" provider add demo --issuer http://127.0.0.1:9099 --discovery --client-id demo --auth-method none \
  --scopes profile --api-base-url http://127.0.0.1:9099/api
"$program" connect demo --user ada --no-open >"$folder/connect.log" 2>&1 &
until_true grep -o 'http://localhost:8080/[^ ]*' "$folder/connect.log"
link=$(grep -o 'http://localhost:8080/[^ ]*' "$folder/connect.log" | head -n 1)
jar=$folder/cookies
page=$(curl --fail --silent --location --cookie "$jar" --cookie-jar "$jar" "$link")
echo "$page" | tr '>' '\n' | sed -n 's/.*<input type="hidden" name="\([^"]*\)" value="\([^"]*\)".*/\1=\2/p' |
  sed 's/&amp;/\&/g' >"$folder/fields"
set -- --data-urlencode decision=allow
while IFS= read -r field; do set -- "$@" --data-urlencode "$field"; done <"$folder/fields"
curl --fail --silent --location --cookie "$jar" --cookie-jar "$jar" "$@" http://127.0.0.1:9099/authorize >/dev/null

until_true "$program" token demo/ada
first=$("$program" token demo/ada)
echo "the first token came after $(($(date +%s) - started)) s"
"$program" connections refresh demo/ada
second=$("$program" token demo/ada)
test "$first" != "$second"
"$program" curl demo/ada /user
echo
kill $daemon
wait $daemon
daemon=
echo "smoke.sh: served, connected, refreshed, and stopped"
