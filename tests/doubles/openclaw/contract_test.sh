#!/bin/bash
# Runs contract_test.py against the double and against the real OpenClaw, on an engine of its own.
#
#   sudo tests/doubles/openclaw/contract_test.sh [--only double|real] [CASE…]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../../.." && pwd)
. "$repository/deploy/lib/progress.sh"
. "$repository/deploy/lib/processes.sh"
. "$repository/deploy/lib/lab.sh"

only=both
if [ "${1:-}" = --only ]; then
  only=$2
  shift 2
fi
folder=$(mktemp -d -t mtp-contract.XXXXXX)
lab_use "$folder"
clean_up() {
  proc_stop telegram
  proc_stop anthropic
  lab_down
  rm -rf --one-file-system "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

lab_network_up
lab_host_up host
for name in telegram anthropic; do
  proc_start "$name" python3 "$repository/tests/standins/$name.py" --listen "$LAB_BRIDGE_ADDRESS:0"
  wait_for 10 grep -q url "$PROC_DIR/$name.log"
  lab_accept_port "$(jq .port "$PROC_DIR/$name.log")"
done
DOCKER_HOST=$(lab_docker_host host)
export DOCKER_HOST

run_against() { # run_against ARCHIVE CASE…
  local archive=$1
  shift
  lab_load_image host "$archive"
  step "Contract of $(archive_image_tag "$archive")"
  python3 "$here/contract_test.py" --image "$(archive_image_tag "$archive")" --folder "$folder/tenants" \
    --telegram "$(jq --raw-output .url "$PROC_DIR/telegram.log")" \
    --anthropic "$(jq --raw-output .url "$PROC_DIR/anthropic.log")" "$@"
}
status=0
[ "$only" = real ] || run_against "$("$here/build-image.sh")" "$@" || status=1
[ "$only" = double ] || run_against "$("$repository/deploy/openclaw-image/build.sh")" "$@" || status=1
exit $status
