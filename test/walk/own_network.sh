#!/bin/sh
# Runs a command where no other network is, and where a mount is seen by nobody else: `own_network.sh vitest run ...`.
set -eu
[ "$(id -u)" -eq 0 ] || user="--user --map-root-user"
export WALK_NETWORK="$$"
# shellcheck disable=SC2086
exec unshare --net --mount ${user:-} -- "$@"
