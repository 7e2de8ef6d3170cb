# shellcheck shell=bash disable=SC2154
# A fleet of an older build is upgraded under load, program by program: controller first, and agents first. No tenant
# notices, no operation fails. Part of fleet_test.sh, which has check, exits, eventually, field, of_host, provision and
# quickstart, and sets cli, work, fleet, info, image, old_programs and upgrade_tenants. It makes fleets of its own, so it is the last.
#
# The load: three workers, each with tenants of its own, carry one operation out after the other (backups; restarts of up-1
# alone; memory limits), by the old and the new mtp-cli in turn. A call that finds no controller is made again with the same
# request id. None of them waits for its operation, which the new mtp-cli does for both: an older one that waits while its
# controller is replaced may never find it again.

new_programs=$programs
restarted=up-1 # the only tenant that is restarted, by the load

with_programs() { # with_programs FOLDER COMMAND…: what it starts is of that folder
  local -x MTP_PROGRAMS=$1
  shift
  "$@"
}
is_of() { # is_of WHAT FOLDER: the process runs the program of that folder
  local program=mtp-${1%%:*}
  [ "$(readlink "/proc/$(process_of "$1")/exe")" = "$(realpath "$2/$program")" ]
}
replace() { # replace WHAT FOLDER
  with_programs "$2" quickstart --stop "$1" && with_programs "$2" quickstart --start "$1"
}
all_hosts_are_ready() { field '[.hosts[].state] | length == 2 and all(. == "ready")' | grep -qx true; }
all_hosts_are_guarded() { field '[.hosts[].guarded] | all(. == true)' | grep -qx true; }

# One line a tenant, but for the one that the load restarts: what a restart would change.
lives() {
  local host ids
  for host in $(jq -r '.hosts[].docker_host' <<<"$info"); do
    ids=$(docker --host "$host" ps --all --quiet --no-trunc --filter 'name=^mtp-up-') || return 1
    # shellcheck disable=SC2086 # ids are words
    [ -z "$ids" ] || docker --host "$host" inspect $ids \
      --format '{{.Name}} {{.Id}} {{.State.StartedAt}} {{.State.Pid}} {{.RestartCount}} {{.State.Running}}' || return 1
  done | grep -v "^/mtp-$restarted " | sort
}
live_as_before() { # live_as_before FILE: says whose line is another one
  lives >"$work/lives-now"
  [ "$(wc -l <"$1")" = $((upgrade_tenants - 1)) ] && diff "$1" "$work/lives-now"
}

old_fleet() {
  local number jobs=()
  quickstart --down >"$work/down-before.log" 2>&1
  check "a fleet of the old build is made" with_programs "$old_programs" quickstart --openclaw-image "$image" --tenants 0
  info=$(quickstart --info)
  telegram=$(jq -r .telegram_api <<<"$info") anthropic=$(jq -r .anthropic_api <<<"$info")
  check "its controller and agents are the old ones" all_are_of "$old_programs"
  check "schedules are turned off" exits 0 "$old_programs/mtp-cli" backup schedule --off
  for ((number = 1; number <= upgrade_tenants; ++number)); do
    printf '444%06d:%s\n' "$number" "$(openssl rand -hex 16)" >"$work/up-$number-token"
    "$old_programs/mtp-cli" provision "up-$number" --telegram-api "$telegram" --anthropic-api "$anthropic" \
      --telegram-token-file "$work/up-$number-token" --host "h$((number % 2 + 1))" --memory 128 --memory-limit 512 \
      >"$work/up-$number.log" 2>&1 &
    jobs+=($!)
    # Two cores carry some at a time.
    [ $((number % 5)) -ne 0 ] || { wait "${jobs[@]}"; jobs=(); }
  done
  [ ${#jobs[@]} -eq 0 ] || wait "${jobs[@]}"
  check "it has $upgrade_tenants ready tenants on two hosts" eventually 60 tenants_are_ready
}
all_are_of() { # all_are_of FOLDER
  local what
  for what in controller agent:h1 agent:h2; do
    is_of "$what" "$1" || { readlink "/proc/$(process_of "$what")/exe"; return 1; }
  done
}
tenants_are_ready() {
  [ "$(field '[.tenants[] | select(.name | startswith("up-")) | select(.health == "ready")] | length')" = "$upgrade_tenants" ] &&
    [ "$(field '[.tenants[].host] | unique | length')" = 2 ]
}

# --- Load

until_answered() { # until_answered COMMAND…: again for as long as it finds no controller, which is exit code 4
  local code tries
  for ((tries = 0; tries < 60; ++tries)); do
    code=0
    "$@" || code=$?
    [ "$code" = 4 ] || break
    sleep 1
  done
  return "$code"
}
operation_of() { # operation_of REQUEST
  local list
  list=$(timeout 120 "$cli" op list --limit 1000 -o json) || return
  jq -r --arg r "$1" '[.operations[] | select(.request_id == $r) | .name][0] // "none" | ltrimstr("operations/")' <<<"$list"
}
carry_out() { # carry_out REQUEST COMMAND…: until it has ended; a line in $work/load.ended: exit code, request
  local request=$1 code=0 operation
  shift
  {
    until_answered timeout 120 "$@" --no-wait --request-id "$request" &&
      operation=$(until_answered operation_of "$request") &&
      until_answered timeout 300 "$cli" op watch "$operation" --timeout 4m
  } >"$work/load-$request.log" 2>&1 || code=$?
  echo "$code $request" >>"$work/load.ended"
  [ "$code" != 0 ] || rm -f "$work/load-$request.log"
}
is_load_wanted() { [ -d "$work" ] && [ ! -e "$work/load.end" ]; }
cli_of_turn() { [ $(($1 % 2)) = 0 ] && echo "$cli" || echo "$old_programs/mtp-cli"; } # cli_of_turn NUMBER
name_of_turn() { echo "up-$(($1 + $3 % ($2 - $1 + 1)))"; }                             # name_of_turn FIRST LAST NUMBER
backup_worker() {
  local turn program name
  for ((turn = 0; ; ++turn)); do
    is_load_wanted || return 0
    program=$(cli_of_turn "$turn") name=$(name_of_turn 2 $((upgrade_tenants / 2)) "$turn")
    carry_out "$load-backup-$turn" "$program" backup "$name"
  done
}
restart_worker() {
  local turn
  for ((turn = 0; ; ++turn)); do
    is_load_wanted || return 0
    carry_out "$load-restart-$turn" "$(cli_of_turn "$turn")" restart "$restarted"
    sleep 1
  done
}
limit_worker() {
  local turn program name
  for ((turn = 0; ; ++turn)); do
    is_load_wanted || return 0
    program=$(cli_of_turn "$turn") name=$(name_of_turn $((upgrade_tenants / 2 + 1)) "$upgrade_tenants" "$turn")
    carry_out "$load-limit-$turn" "$program" tenant set "$name" --memory-limit $((400 + turn % 100))
    sleep 0.5
  done
}
begin_load() { # begin_load NAME: requests begin with it
  load=$1
  rm -f "$work/load.end" "$work"/load-*.log
  : >"$work/load.ended"
  backup_worker & load_workers=($!)
  restart_worker & load_workers+=($!)
  limit_worker & load_workers+=($!)
}
end_load() {
  touch "$work/load.end"
  wait "${load_workers[@]}"
}
ended_so_far() { grep -c "$load-$1-" "$work/load.ended"; } # ended_so_far KIND
goes_on() { # goes_on BACKUPS RESTARTS LIMITS: more have ended than these
  if [ "$(ended_so_far backup)" -le "$1" ] || [ "$(ended_so_far restart)" -le "$2" ] || [ "$(ended_so_far limit)" -le "$3" ]; then
    tail -n 5 "$work/load.ended"
    "$cli" op list --active
    return 1
  fi
}
load_goes_on() { # load_goes_on SECONDS: each worker ends one more
  local before
  before="$(ended_so_far backup) $(ended_so_far restart) $(ended_so_far limit)"
  # shellcheck disable=SC2086 # three numbers
  eventually "$1" goes_on $before
}
no_call_failed_of_load() {
  ! grep -v '^0 ' "$work/load.ended" || { tail -n 5 "$work"/load-*.log; return 1; }
}
# Judged by the controller's own list. What still goes on is none of the load.
no_operation_failed() {
  "$cli" op list --limit 10000 -o json >"$work/load.operations"
  jq -e 'all(.operations[]; .state == "succeeded" or .end_time == null)' "$work/load.operations" >/dev/null ||
    { jq '.operations[] | select(.state != "succeeded" and .end_time != null) | {kind, target, state, error}' "$work/load.operations"; return 1; }
}
each_request_is_one_operation() {
  # shellcheck disable=SC2016 # jq's variable
  diff <(cut -d ' ' -f 2 "$work/load.ended" | sort) \
    <(jq -r --arg load "$load-" '.operations[] | select(.state == "succeeded") | .request_id | select(startswith($load))' \
      "$work/load.operations" | sort)
}

# --- The upgrade

# Between two programs of the versions: whoever looks sees the fleet.
both_show_the_fleet() {
  local program
  for program in "$old_programs/mtp-cli" "$cli"; do
    [ "$("$program" status -o json | jq '[.tenants[] | select(.name | startswith("up-"))] | length')" = "$upgrade_tenants" ] ||
      { echo "by $program:"; "$program" status; return 1; }
  done
}
upgrade_in_order() { # upgrade_in_order NAME WHAT…
  local name=$1 what
  shift
  old_fleet
  lives >"$work/lives-before"
  begin_load "$name"
  check "$name: the load goes on" load_goes_on 120
  for what in "$@"; do
    check "$name: $what is replaced" replace "$what" "$new_programs"
    check "$name: $what is the new one" is_of "$what" "$new_programs"
    check "$name: both hosts are ready" eventually 60 all_hosts_are_ready
    check "$name: the load goes on" load_goes_on 180
    check "$name: the old and the new mtp-cli show the fleet" both_show_the_fleet
    check "$name: no tenant was restarted" live_as_before "$work/lives-before"
  done
  end_load
  check "$name: all programs are the new ones" all_are_of "$new_programs"
  check "$name: no call failed" no_call_failed_of_load
  check "$name: no operation failed" no_operation_failed
  check "$name: none was lost and none was done twice" each_request_is_one_operation
  echo "        $name: $(wc -l <"$work/load.ended") operations: $(ended_so_far backup) backups," \
    "$(ended_so_far restart) restarts, $(ended_so_far limit) limits"
  check "$name: what the new version brings is there: both hosts have guards" eventually 30 all_hosts_are_guarded
  check "$name: and a tenant of the old one may fail over" exits 0 "$cli" tenant set up-2 --failover failover
  check "$name: without a restart" live_as_before "$work/lives-before"
  check "$name: a tenant of the old one restarts" exits 0 "$cli" restart up-3
  check "$name: all tenants are ready" eventually 60 tenants_are_ready
}

upgrade() {
  upgrade_in_order controller-first controller agent:h1 agent:h2
  upgrade_in_order agents-first agent:h1 agent:h2 controller
}
