#!/bin/sh
# Starts nexusd with the Node that came with it, from any folder and through symbolic links.
self=$0
while [ -L "$self" ]; do
  target=$(readlink "$self")
  case $target in
    /*) self=$target ;;
    *) self=${self%/*}/$target ;;
  esac
done
home=$(cd "${self%/*}/.." && pwd -P)
# Hints name what was typed.
NEXUSD_PROGRAM=$0
export NEXUSD_PROGRAM
exec "$home/lib/node" "$home/lib/nexusd/dist/main.js" "$@"
