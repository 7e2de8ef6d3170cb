#!/bin/bash
# A whole MTP fleet on this machine: installs what is missing, builds, makes the OpenClaw image,
# starts a controller and two hosts (h1, h2) with engines of their own, provisions the tenants acme
# and beta with the real OpenClaw, holds a conversation with acme, and leaves all of it running.
# Run again, it only mends what is missing.
#
#   sudo deploy/quickstart.sh [OPTIONS]
#     --tenants N               how many tenants (default 2; 0: nobody)
#     --telegram-token-file F   your own bot for acme, instead of the stand-ins
#     --anthropic-key-file F    your own key, with --telegram-token-file
#     --telegram-api URL        another stand-in for the Telegram Bot API
#     --anthropic-api URL       another stand-in for the Anthropic API
#     --openclaw-image REF      an image that the engine at $DOCKER_HOST has, or an image archive
#     --min-memory-limit MIB    least memory limit of a tenant (default 768, what OpenClaw needs)
#     --fleet-dir FOLDER        where the fleet lives (default /var/lib/mtp-quickstart)
#
#   sudo deploy/quickstart.sh --info          the fleet as JSON
#   sudo deploy/quickstart.sh --stop WHAT     also --start, --kill (SIGKILL); WHAT is controller,
#                                             agent:HOST, guard:HOST, engine:HOST, telegram or anthropic
#   sudo deploy/quickstart.sh --cut HOST      cuts the host's network; --heal HOST mends it
#   sudo deploy/quickstart.sh --down          removes every trace of the fleet
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$repository/deploy/lib/progress.sh"
. "$repository/deploy/lib/processes.sh"
. "$repository/deploy/lib/lab.sh"
. "$repository/deploy/lib/fleet.sh"
. "$repository/deploy/lib/conversation.sh"

HOSTS=(h1 h2)
fleet_dir=/var/lib/mtp-quickstart
action=up what='' tenants=2
wanted_telegram_api='' wanted_anthropic_api='' image_ref=''
telegram_token_file='' anthropic_key_file='' min_memory_limit=768

usage() { sed -n '2,25s/^# \{0,1\}//p' "$0"; }
need_value() { [ $# -ge 2 ] && [ -n "$2" ] || { echo "$1 needs a value; see --help" >&2; exit 2; }; }

while [ $# -gt 0 ]; do
  case $1 in
    --tenants | --telegram-token-file | --anthropic-key-file | --telegram-api | --anthropic-api | \
      --openclaw-image | --min-memory-limit | --fleet-dir | --stop | --start | --kill | --cut | --heal)
      need_value "$@"
      case $1 in
        --tenants) tenants=$2 ;;
        --telegram-token-file) telegram_token_file=$2 ;;
        --anthropic-key-file) anthropic_key_file=$2 ;;
        --telegram-api) wanted_telegram_api=$2 ;;
        --anthropic-api) wanted_anthropic_api=$2 ;;
        --openclaw-image) image_ref=$2 ;;
        --min-memory-limit) min_memory_limit=$2 ;;
        --fleet-dir) fleet_dir=$(realpath -m "$2") ;;
        *) action=${1#--} what=$2 ;;
      esac
      shift 2 ;;
    --info | --down) action=${1#--}; shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown option $1; see --help" >&2; exit 2 ;;
  esac
done
[[ $tenants =~ ^[0-9]{1,3}$ ]] || { echo "--tenants takes a number" >&2; exit 2; }
# One bot serves one tenant.
[ -z "$telegram_token_file" ] || [ "$tenants" -le 1 ] || tenants=1
[ "$(id -u)" -eq 0 ] || fail "the quick start makes network namespaces and engines, which needs root" "sudo $0"

lab_use "$fleet_dir"
fleet_use "$fleet_dir"

up() {
  mkdir -p "$fleet_dir"
  # Two at once would make the same things twice.
  exec 8>"$fleet_dir/lock"
  flock --nonblock 8 || fail "another quick start works on $fleet_dir" "wait until it has ended"
  "$repository/deploy/install-dependencies.sh"
  build_programs
  local image_tar
  find_image_archive
  step "Hosts: ${HOSTS[*]}, each with its own network and Docker Engine"
  lab_network_up
  local host
  for host in "${HOSTS[@]}"; do
    lab_host_up "$host"
    note "$host: $(lab_host_address "$host"), engine $(lab_docker_host "$host")"
  done
  load_image "$image_tar"
  start_stand_ins
  remember_settings
  start_controller
  for host in "${HOSTS[@]}"; do start_agent "$host"; done
  wait_for_hosts
  add_repository
  provision_tenants "$tenants"
  hold_conversation
  step "The fleet"
  as_operator "$CLI" status
  say_what_next
}

case $action in
  up) up ;;
  info) fleet_info ;;
  down) fleet_down ;;
  start | stop | kill) fleet_process "$action" "$what" ;;
  cut) need_host "$what"; lab_cut "$what" ;;
  heal) need_host "$what"; lab_heal "$what" ;;
esac
