#!/bin/bash
# Every benchmark, as one table with baseline, ratio and target. As root it starts a fleet of its own (two hosts, light
# tenants) where one is needed, measures it and takes it down; otherwise only placement is measured. The programs in build/ are used as they
# are: for figures that count, of a release build.
#
#   sudo tests/bench/bench.sh [--only fleet|backup|rollout|load|placement]… [--real] [--samples N] [--large N] …
#
# --real has the real OpenClaw, with --only backup. bench.py --help says what else can be set.
# Ends with 0 when every target is met, with 1 when one is missed, with 2 when something could not be measured.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
measure() { PYTHONDONTWRITEBYTECODE=1 python3 -W error "$repository/tests/bench/bench.py" --bin "$repository/build/bin" "$@"; }

printf '%s, %s cores, %s MiB, kernel %s, %s build\n' "$(date +%F)" "$(nproc)" \
  "$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)" "$(uname -r)" \
  "$(sed -n 's/^CMAKE_BUILD_TYPE:STRING=//p' "$repository/build/CMakeCache.txt")"
[ "$*" != '--only placement' ] || { measure "$@"; exit; }
needs_fleet=true
[[ " $* " != *' --only load '* || " $* " =~ ' --only '(fleet|backup|rollout)' ' ]] || needs_fleet=false
if [ "$(id -u)" -ne 0 ]; then
  echo "only placement: a fleet makes network namespaces, which needs root: sudo tests/run.sh bench"
  measure "$@"
  exit
fi

work=$(mktemp -d /tmp/mtp-bench.XXXXXX)
fleet=$work/fleet
# A context of its own: the caller's mtp-cli goes on with the fleet that it speaks to.
export HOME=$work/home
mkdir -p "$HOME"
unset SUDO_USER
quickstart() { "$repository/deploy/quickstart.sh" --fleet-dir "$fleet" "$@"; }

finish() {
  local code=$?
  trap - EXIT
  quickstart --down >"$work/down.log" 2>&1 || { tail -n 20 "$work/down.log" >&2; code=1; }
  [ -e "$fleet" ] || rm -rf --one-file-system "$work"
  exit "$code"
}
if ! $needs_fleet; then
  trap 'rm -rf --one-file-system "$work"' EXIT
  trap 'exit 130' INT TERM HUP
  measure --work "$work" "$@"
  exit
fi
trap finish EXIT
trap 'exit 130' INT TERM HUP

if [[ " $* " == *' --real '* ]]; then
  image=$("$repository/deploy/openclaw-image/build.sh") min_memory_limit=768
else
  image=$("$repository/tests/doubles/openclaw/build-image.sh") min_memory_limit=16
fi
quickstart --tenants 0 --openclaw-image "$image" --min-memory-limit "$min_memory_limit" >"$work/up.log" 2>&1 ||
  { tail -n 20 "$work/up.log" >&2; exit 1; }
info=$(quickstart --info)
"$repository/build/bin/mtp-cli" backup schedule --off >/dev/null
engine=$(jq -r '.hosts[0].docker_host' <<<"$info")
printf 'Docker Engine %s, Compose %s, image %s\n' "$(docker --host "$engine" version --format '{{.Server.Version}}')" \
  "$(docker compose version --short)" "$(jq -r .openclaw_image <<<"$info")"
measure --fleet "$info" --work "$work" "$@"
