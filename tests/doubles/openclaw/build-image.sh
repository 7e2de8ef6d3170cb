#!/bin/bash
# Builds the light OpenClaw double as an image of one static binary, as an archive for `docker load`.
# Built again only when its sources have changed.
#
#   tests/doubles/openclaw/build-image.sh [--tag REF] [--out FILE.tar]
#
# Prints the archive's path on standard output. Environment: MTP_CACHE (default /var/cache/mtp, or
# ~/.cache/mtp for others than root).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "$(id -u)" -eq 0 ]; then default_cache=/var/cache/mtp; else default_cache=$HOME/.cache/mtp; fi
cache=${MTP_CACHE:-$default_cache}
tag=mtp/openclaw-double:1 out=''
while [ $# -gt 0 ]; do
  case $1 in
    --tag) tag=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    *) echo "usage: $0 [--tag REF] [--out FILE.tar]" >&2; exit 2 ;;
  esac
done
out=${out:-$cache/openclaw-double.tar}
build=$cache/openclaw-double-build
mkdir -p "$build"
exec 9>"$cache/openclaw-double.lock"
flock 9

# Built from a copy that changes only where the sources do, so that all checkouts share what is built.
sources=$cache/openclaw-double-sources
mkdir -p "$sources"
for file in "$here"/*.cc "$here"/*.h "$here/CMakeLists.txt"; do
  cmp -s "$file" "$sources/${file##*/}" || cp "$file" "$sources/"
done
for file in "$sources"/*; do
  [ -e "$here/${file##*/}" ] || rm "$file"
done
# CMake refuses a build folder of other sources.
if ! grep -qsxF "CMAKE_HOME_DIRECTORY:INTERNAL=$sources" "$build/CMakeCache.txt"; then
  find "$build" -mindepth 1 -delete
fi
cmake -S "$sources" -B "$build" -G Ninja >"$build/cmake.log"
ninja -C "$build" >"$build/ninja.log" || { cat "$build/ninja.log" >&2; exit 1; }
binary=$build/openclaw
if [ -s "$out" ] && [ "$out" -nt "$binary" ] && tar xOf "$out" manifest.json | grep -qF "\"$tag\""; then
  printf '%s\n' "$out"
  exit 0
fi

root=$(mktemp -d "$build/root.XXXXXX")
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{usr/local/bin,tmp,etc} "$root"/home/node/{.openclaw,workspace}
install -m 0755 "$binary" "$root/usr/local/bin/openclaw"
echo 'node:x:1000:1000::/home/node:/bin/false' >"$root/etc/passwd"
echo 'node:x:1000:' >"$root/etc/group"
chmod 1777 "$root/tmp"
# mktemp's folder is private; the image's root must not be.
chmod 0755 "$root"
# Owners by name map, so that no root is needed: the home folder is node's, the rest root's.
tar --sort=name --mtime=@1767225600 --format=gnu --owner=0 --group=0 -C "$root" -cf "$build/layer.tar" \
  --exclude=./home/node .
tar --sort=name --mtime=@1767225600 --format=gnu --owner=1000 --group=1000 -C "$root" \
  -rf "$build/layer.tar" ./home/node
python3 "$here/../../../deploy/openclaw-image/pack_image.py" --out "$out" --tag "$tag" --user 1000:1000 \
  --workdir /home/node --expose 18789/tcp --env PATH=/usr/local/bin --env HOME=/home/node \
  --cmd openclaw --cmd gateway --cmd=--bind --cmd lan --cmd=--port --cmd 18789 "$build/layer.tar"
printf '%s\n' "$out"
