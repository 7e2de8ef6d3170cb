#!/bin/bash
# Images for tests of updates, derived from the light double or, with --real, from the real OpenClaw:
#
#   tests/doubles/openclaw/update_images.sh [--real IMAGE.tar]
#
#   good           works; another image than the one it is derived from
#   never-ready    its /readyz never says yes
#   migrates       changes its database so that the image it is derived from refuses it, then ends
#   no-channel     is ready, and loses its channel a little later where there is a network
#   dies-in-soak   is ready, and ends a little later
#   one-client     works, but not on a state whose workspace has a file `fails-here`
#
# Prints `KIND REF ARCHIVE` for each. The archives have no layers: they load where the image that they
# are derived from is loaded. Environment: MTP_CACHE as for build-image.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "$(id -u)" -eq 0 ]; then default_cache=/var/cache/mtp; else default_cache=$HOME/.cache/mtp; fi
cache=${MTP_CACHE:-$default_cache}/update-images
base='' name=openclaw-double
case ${1:-} in
  '') base=$("$here/build-image.sh") ;;
  --real) base=${2:?"--real takes an image archive"} name=openclaw ;;
  *) echo "usage: $0 [--real IMAGE.tar]" >&2; exit 2 ;;
esac
mkdir -p "$cache"

derive() { # derive KIND OPTION…
  local kind=$1 reference=mtp/$name:$1 archive=$cache/$name-$1.tar
  shift
  "$here/derive_image.py" --base "$base" --tag "$reference" --out "$archive" --env "MTP_TEST_RELEASE=$kind" "$@"
  printf '%s %s %s\n' "$kind" "$reference" "$archive"
}

if [ "$name" = openclaw ]; then
  wrapper=$(cat "$here/update_wrapper.js")
  derive good
  for kind in never-ready migrates no-channel dies-in-soak one-client; do
    derive "$kind" --cmd node --cmd=-e --cmd "$wrapper" --cmd "$kind"
  done
else
  derive good
  derive never-ready --env MTP_DOUBLE_FAULTS=never-ready
  derive migrates --env MTP_DOUBLE_FAULTS=migrate,exit-after=0
  derive no-channel --env MTP_DOUBLE_FAULTS=lose-channel-after=5
  derive dies-in-soak --env MTP_DOUBLE_FAULTS=exit-after=8
  derive one-client --env MTP_DOUBLE_FAULTS=refuse-state=fails-here
fi
