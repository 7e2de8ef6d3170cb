# shellcheck shell=bash disable=SC2154
# Every process of the fleet is killed at the same moment, in the middle of operations, then each is started once. Part of
# fleet_test.sh, as traffic.sh, whose workers, ledger and judges it uses; sets kill_rounds.
#
# Killed are controller, agents, guards, engines, containerds, the shims and so the containers. The stand-ins live on: they are
# the world outside, and the judges. The workers' requests go on all the while.

programs_of_the_fleet="controller agent-h1 agent-h2 guard-h1 guard-h2 engine-h1 engine-h2 containerd-h1 containerd-h2"

engine_folder() { dirname "$(of_host "$1" docker_host | sed 's|^unix://||')"; } # engine_folder HOST: where its sockets are
# Of one host: what its engine has started, the first process of each container and all that is in its group, and the shims.
container_processes() { # container_processes HOST
  local id pid
  for id in $(timeout 30 docker --host "$(of_host "$1" docker_host)" ps --quiet --no-trunc); do
    pid=$(timeout 30 docker --host "$(of_host "$1" docker_host)" inspect "$id" --format '{{.State.Pid}}')
    [ "${pid:-0}" -le 1 ] || echo "$pid"
  done
  container_shims "$1"
}
container_shims() { pgrep --full "^[^ ]*containerd-shim.* -address $(engine_folder "$1")/containerd\.sock( |$)"; }
find_all() { # every process of the fleet, by id, in $work/all-pids
  local name pid
  for name in $programs_of_the_fleet; do
    pid=$(process_pid "$name")
    kill -0 "${pid:-none}" || { echo "$name does not run" >&2; return 1; }
    echo "$pid"
  done >"$work/all-pids.new"
  for name in h1 h2; do container_processes "$name"; done | sort -un >>"$work/all-pids.new"
  # Ours are nine; a container that ends meanwhile is no fault.
  mv "$work/all-pids.new" "$work/all-pids"
  [ "$(wc -l <"$work/all-pids")" -gt 9 ]
}
all_have_died() {
  local pid
  while read -r pid; do is_dead "$pid" || { tr '\0' ' ' <"/proc/$pid/cmdline"; return 1; }; done <"$work/all-pids"
}
kill_all() {
  local pids
  mapfile -t pids <"$work/all-pids"
  # One call: nobody lives long enough to notice that the others are gone. One that has ended meanwhile is no fault.
  kill -KILL "${pids[@]}" 2>/dev/null
  eventually 10 all_have_died
}
shims_left() { # of a container that began between the look and the kill
  local host
  for host in h1 h2; do container_shims "$host"; done
}
kill_latecomers() {
  local pid
  for pid in $(shims_left); do kill -KILL "$pid" 2>/dev/null; done
  eventually 10 no_shim_is_left
}
no_shim_is_left() { [ -z "$(shims_left)" ]; }
start_all() { # each once, all at the same time, as after a common failure of power
  local what job code=0 jobs=()
  for what in engine:h1 engine:h2 controller agent:h1 agent:h2; do
    quickstart --start "$what" >"$work/start-${what/:/-}" 2>&1 &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do wait "$job" || code=1; done
  [ "$code" = 0 ] || cat "$work"/start-*
  return "$code"
}
acme_is_ready() { tenant_is acme health ready; }

round_of_death() { # round_of_death NUMBER
  local begun word="round $1 of $kill_rounds:" number
  check "$word every process of the fleet is found" find_all
  cp "$traffic/ledger" "$traffic/ledger-at-kill"
  check "$word all $(wc -l <"$work/all-pids") are killed at the same moment" kill_all
  check "$word and what had just begun" kill_latecomers
  number=$(under_way_now)
  check "$word one start of each" start_all
  begun=$SECONDS
  check "$word the hosts are ready" eventually "$(left_of "$begun")" all_hosts_are_ready
  check "$word the controller has what it acknowledged, each once" eventually "$(left_of "$begun")" ledger_holds
  check "$word what was under way ($number) has succeeded" eventually "$(left_of "$begun")" have_succeeded "$traffic/ledger-at-kill"
  check "$word acme, of whom nothing was asked, runs again" eventually "$(left_of "$begun")" acme_is_ready
  slowest=$((SECONDS - begun > slowest ? SECONDS - begun : slowest))
  check "$word no bot has two pollers" none_polls_twice
  check "$word nor acme's" one_poller acme
}
# How many workers were in the middle of something.
under_way_now() {
  grep -lx changing "$traffic"/wanted-* | wc -l
}

all_killed() {
  local number slowest=0
  begin_ledger all-killed
  cp "$fleet/secrets/acme.telegram-token" "$work/acme-token"
  try_judges
  check "acme runs" eventually 60 acme_is_ready
  forget_polls "$(token_of acme)"
  begin_traffic "${MTP_WORKERS:-4}"
  for ((number = 1; number <= kill_rounds; ++number)); do
    # Some operations after the last time; the moment is anybody's.
    check "the workers have begun something" eventually 60 grows_beyond "$(acknowledged)"
    sleep "$((RANDOM % 4)).$((RANDOM % 10))"
    round_of_death "$number"
  done
  # The last one without a request under way: what was stopped stays so.
  check "each worker ends what it has begun, and nothing has failed" end_traffic
  check "all of it has succeeded" have_succeeded "$traffic/ledger"
  check "every tenant is as it was last asked to be" eventually "$settle_s" all_as_asked
  check "one more tenant is stopped" eventually 60 stop_one
  check "every process of the fleet is found once more" find_all
  check "all are killed while nothing is under way" kill_all
  check "and each is started once" start_all
  check "within $settle_s s every tenant is as it was last asked to be" eventually "$settle_s" all_as_asked
  check "the controller has what it acknowledged, each once" ledger_holds
  check "no bot had two pollers" none_polls_twice
  check "nothing of interrupted work is left" eventually 90 nothing_is_left
  check "the workers' tenants are removed" remove_workers
  echo "        $kill_rounds rounds, $(acknowledged) acknowledged requests, $(lost_requests) lost, at most $slowest s until all was true again"
}
grows_beyond() { [ "$(acknowledged)" -gt "$1" ]; } # grows_beyond COUNT
# Whatever the workers left: there is one that is meant to stand still.
stop_one() {
  grep -qx stopped "$traffic"/wanted-* || {
    [ -e "$traffic/wanted-volt-9" ] || { make_worker 9 && ask volt-9 provision "$ledger_name-nine" h2; } || return 1
    ask volt-9 stop "$ledger_name-nine-stop" h2
  }
}
