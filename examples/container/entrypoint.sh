#!/bin/sh
# Become featx. Where FEATX_CACHE names another folder, such as a volume, the networks that were
# converted for this image are put there first: each is copied beside and renamed into its place,
# so that several containers may share the volume.
set -eu
made=/home/featx/cache/engines
cache=${FEATX_CACHE:-/home/featx/cache}
case $cache in # networks stay on this machine, whatever bucket has the features
    file://*) cache=${cache#file://} ;;
    *://*) cache=${XDG_CACHE_HOME:-${HOME:-/home/featx}/.cache}/featx ;;
esac
engines=$cache/engines
if [ "$engines" != "$made" ] && mkdir -p "$engines" 2>/dev/null && [ -w "$engines" ]; then
    for network in "$made"/*; do
        place=$engines/$(basename "$network")
        beside=$engines/.$(basename "$network").$$
        if [ ! -e "$place" ]; then
            cp -R "$network" "$beside"
            mv -T "$beside" "$place" 2>/dev/null || rm -rf "$beside"
        fi
    done
fi
exec featx "$@"
