# shellcheck shell=bash disable=SC2154
# Hosts that are cut off, agents and engines that are stopped or killed, under leases. Part of fleet_test.sh, which has check,
# field, of_host, tenant_is, provision, copies and quickstart, and sets cli, work, fleet, info and partition_rounds.
#
# Judge is the stand-in Bot API: it counts for each token how many poll at a time, and from where. One call of OpenClaw's and
# its double's polls for 30 s, and goes on at the API when its host is cut off meanwhile: a lease is longer, as it is with
# Telegram. With shorter leases (--lease) the API lets no call poll for longer than a third of one.

away=moves # the tenant that may fail over
stays=keeps # the one that stays, on the same host at first

token_of() { cat "$work/$1-token"; }
container_pid() { # container_pid TENANT HOST: of its container's first process; empty when it does not run
  docker --host "$(of_host "$2" docker_host)" inspect "mtp-$1" --format '{{if .State.Running}}{{.State.Pid}}{{end}}' 2>/dev/null
}
is_gone() { [ -n "$1" ] && ! kill -0 "$1" 2>/dev/null; } # is_gone PID
forget_polls() { curl -sf --max-time 10 -H 'Content-Type: application/json' -d "$(jq -n --arg t "$1" '{token: $t}')" "$telegram/control/forget" >/dev/null; }
bot_counters() { curl -sf --max-time 10 --get --data-urlencode "token=$1" "$telegram/control/bot"; }
one_poller() { # one_poller TENANT: never two at a time since forget_polls
  bot_counters "$(token_of "$1")" | jq -e '.pollers_max <= 1 and .conflicts == 0' >/dev/null ||
    { bot_counters "$(token_of "$1")" | jq '{pollers_max, conflicts, sources}'; return 1; }
}
polls() { bot_counters "$(token_of "$1")" | jq -e '.pollers == 1' >/dev/null; }
is_ready_on() { tenant_is "$1" host "$2" && tenant_is "$1" health ready; }
is_guarded() { field ".hosts[] | select(.name == \"$1\") | .guarded" | grep -qx "$2"; }
is_back() { field ".hosts[] | select(.name == \"$1\") | .state" | grep -qx ready; }
message_of() { field ".tenants[] | select(.name == \"$1\") | .message"; }
said() { message_of "$1" | grep -qF -- "$2" || { message_of "$1"; return 1; }; } # said TENANT TEXT
nothing_goes_on() { [ "$("$cli" op list -o json | jq '[.operations[] | select(.end_time == null)] | length')" = 0 ]; }
has_one_copy() { [ "$(copies "$1")" = 1 ]; }

# What is done to a host, and its opposite.
fault_or_mend() { # fault_or_mend KIND fault|mend HOST
  case $1:$2 in
    cut:fault) quickstart --cut "$3" ;;
    cut:mend) quickstart --heal "$3" ;;
    stopped-agent:fault) signal_all STOP "$3" agent ;;
    stopped-agent:mend) signal_all CONT "$3" agent ;;
    killed-agent:fault) quickstart --kill "agent:$3" ;;
    killed-agent:mend) quickstart --start "agent:$3" ;;
    stopped-all:fault) signal_all STOP "$3" agent engine containerd ;;
    stopped-all:mend) signal_all CONT "$3" containerd engine agent ;;
    killed-all:fault) quickstart --kill "agent:$3" && quickstart --kill "engine:$3" ;;
    killed-all:mend) quickstart --start "engine:$3" && quickstart --start "agent:$3" ;;
  esac
}
signal_all() { # signal_all SIGNAL HOST PROGRAM…
  local program pids=()
  for program in "${@:3}"; do pids+=("$(process_pid "$program-$2")"); done
  kill "-$1" "${pids[@]}"
}

restart_controller() { quickstart --stop controller && quickstart --start controller; }
cut_both() { quickstart --cut h1 && quickstart --cut h2; }

shorter_polls() { curl -sf --max-time 10 -H 'Content-Type: application/json' -d "{\"seconds\": $((lease_s / 3))}" "$telegram/control/polls" >/dev/null; }

partition_fleet() {
  local host
  [ "$lease_s" -ge 35 ] || check "no call polls for longer than $((lease_s / 3)) s" shorter_polls
  sed -i "s/^lease_s: .*/lease_s: $lease_s/" "$fleet/controller/controller.yaml"
  check "the fleet's leases last $lease_s s" bash -c "grep -qx 'lease_s: $lease_s' $fleet/controller/controller.yaml"
  check "the controller takes it up" restart_controller
  for host in h1 h2; do
    check "the guard of $host is seen to run" eventually 30 is_guarded "$host" true
  done
  printf '555000666:%s\n' "$(openssl rand -hex 16)" >"$work/$away-token"
  printf '555000777:%s\n' "$(openssl rand -hex 16)" >"$work/$stays-token"
  check "a tenant is provisioned that may fail over" exits 0 provision "$away" --telegram-token-file "$work/$away-token" --failover failover
  check "one that stays is provisioned on the same host" exits 0 provision "$stays" --telegram-token-file "$work/$stays-token" --host "$(host_of "$away")"
  check "tenant show tells both" bash -c "
    [ \"\$($cli tenant show $away -o json | jq -r .spec.failover_policy)\$($cli tenant show $stays -o json | jq -r .spec.failover_policy)\" = failoverstay ]"
  check "the engine does not restart the one that may fail over" bash -c "
    [ \"\$(docker --host $(of_host "$(host_of "$away")" docker_host) inspect mtp-$away --format '{{.HostConfig.RestartPolicy.Name}}')\" = no ]"
  check "both are backed up" exits 0 "$cli" backup "$away" "$stays"
}

# One partition: the tenant ends on its host, is restored on the other, and the old copy goes once the host is back.
partition_round() { # partition_round KIND
  local kind=$1 from to pid stays_pid
  from=$(host_of "$away") to=$(other_host "$from")
  pid=$(container_pid "$away" "$from") stays_pid=$(container_pid "$stays" "$from")
  forget_polls "$(token_of "$away")"
  # The call under way, of up to 30 s, is forgotten: it polls again after that.
  check "$kind: it polls before" eventually 45 polls "$away"
  check "$kind: $from is made so" fault_or_mend "$kind" fault "$from"
  check "$kind: it ends on $from by itself" eventually $((lease_s + 10)) is_gone "$pid"
  [ "$(host_of "$stays")" != "$from" ] || check "$kind: the one that stays runs on" bash -c "kill -0 ${stays_pid:-none}"
  check "$kind: it is restored on $to" eventually 90 is_ready_on "$away" "$to"
  check "$kind: it polls from there" eventually 60 polls "$away"
  check "$kind: $from is mended" fault_or_mend "$kind" mend "$from"
  check "$kind: $from is back within 30 s" eventually 30 is_back "$from"
  check "$kind: within 30 s all has ended that had to be done" eventually 30 nothing_goes_on
  check "$kind: there is one copy of it" eventually 10 has_one_copy "$away"
  check "$kind: its old data is kept" test -d "$(of_host "$from" project_dir)/data/$away"
  check "$kind: never did two poll" one_poller "$away"
  check "$kind: the one that stays is where it was" tenant_is "$stays" host "$stays_host"
  check "it is backed up for the next time" exits 0 "$cli" backup "$away"
}

# A host that comes back before its lease is over keeps everything.
flapping() {
  local from pid time
  from=$(host_of "$away") pid=$(container_pid "$away" "$from")
  forget_polls "$(token_of "$away")"
  for ((time = 0; time < lease_s / 8; ++time)); do
    quickstart --cut "$from"
    sleep 3
    quickstart --heal "$from"
    sleep 3
  done
  check "flapping: the tenant is where it was" tenant_is "$away" host "$from"
  check "flapping: it was not started again" test "${pid:-none}" = "$(container_pid "$away" "$from")"
  check "flapping: never did two poll" one_poller "$away"
}

vanished_together() {
  local from pid
  from=$(host_of "$away") pid=$(container_pid "$away" "$from")
  forget_polls "$(token_of "$away")"
  check "both hosts are cut off" cut_both
  check "together: the tenant ends by itself" eventually $((lease_s + 10)) is_gone "$pid"
  check "together: nothing is moved, and it is said why" eventually $((2 * lease_s)) said "$away" "vanished together"
  sleep "$lease_s"
  check "together: it is still placed where it was" tenant_is "$away" host "$from"
  quickstart --heal h1
  quickstart --heal h2
  check "together: it runs there again within 30 s" eventually 30 is_ready_on "$away" "$from"
  check "together: never did two poll" one_poller "$away"
}

by_word() {
  local from to
  from=$(host_of "$stays") to=$(other_host "$from")
  check "a tenant of a connected host is not failed over" exits 3 "$cli" tenant failover "$stays" --yes
  check "the host of the one that stays is cut off" quickstart --cut "$from"
  check "by word: it is not moved by itself, and it is said why" eventually $((3 * lease_s)) said "$stays" "it stays"
  sleep $((lease_s + 15))
  check "by word: nor later" tenant_is "$stays" host "$from"
  check "by word: a host that it asks for alone is not left without another one's name" says "asks for host $from" \
    "$cli" tenant failover "$stays" --dry-run
  check "by word: without the word nothing is done" exits 2 "$cli" tenant failover "$stays" --host "$to"
  check "by word: the risk is named" says "two pollers" "$cli" tenant failover "$stays" --host "$to" --dry-run
  check "by word: with it, it is restored on $to" exits 0 "$cli" tenant failover "$stays" --host "$to" --yes
  check "by word: and is ready there" eventually 60 is_ready_on "$stays" "$to"
  quickstart --heal "$from"
  check "by word: the old copy is taken off once $from is back" eventually 60 has_one_copy "$stays"
  check "by word: and its data is kept" test -d "$(of_host "$from" project_dir)/data/$stays"
  stays_host=$to
}

# What goes on with the tenant on the lost host makes way; state and image are those from before it.
last_update() { "$cli" op list -o json | jq -r --arg t "tenants/$away" '[.operations[] | select(.target == $t and .kind == "update")][0]'; }
soaks() { last_update | jq -e 'any(.steps[]; .name == "soak" and .state == "running")' >/dev/null; }
update_has_failed() { last_update | jq -e '.state == "failed"' >/dev/null || { last_update; return 1; }; }
update_says() { last_update | jq -r .error.message | grep -F -- "$1"; } # update_says TEXT
in_an_update() {
  local from to before
  from=$(host_of "$away") to=$(other_host "$from")
  check "images for an update are on both hosts" load_images
  before=$(runs_image "$away")
  forget_polls "$(token_of "$away")"
  check "an update of it begins" exits 0 "$cli" update "$away" --image "${image_of[good]}" --no-pull --no-rehearsal --soak 30m --yes --no-wait
  check "in an update: it runs the new image" eventually 60 soaks
  check "in an update: $from is cut off" quickstart --cut "$from"
  check "in an update: it is restored on $to" eventually $((lease_s + 120)) is_ready_on "$away" "$to"
  check "in an update: with the image from before it" test "$(runs_image "$away")" = "$before"
  check "in an update: which has failed" eventually 30 update_has_failed
  check "in an update: and says why" update_says "host $from was lost in the middle of it"
  check "in an update: its rollout has ended" eventually 30 says failed "$cli" rollout show latest
  check "in an update: it polls from there" eventually 60 polls "$away"
  quickstart --heal "$from"
  check "in an update: the old copy is taken off once $from is back" eventually 60 has_one_copy "$away"
  check "in an update: and nothing goes on" eventually 30 nothing_goes_on
  check "in an update: never did two poll" one_poller "$away"
  check "it is backed up for the next time" exits 0 "$cli" backup "$away"
}

without_guard() {
  local host
  host=$(host_of "$away")
  check "the guard is killed" quickstart --kill "guard:$host"
  check "without it: the host says so" eventually 30 is_guarded "$host" false
  check "without it: a start of the tenant is refused" exits 1 "$cli" restart "$away"
  check "without it: and told what to do" bash -c "$cli op list -o json | jq -e '.operations[0].error.message | contains(\"start mtp-guard\")'"
  check "without it: what runs goes on" polls "$away"
  check "the guard starts again" quickstart --start "guard:$host"
  check "with it: the host says so" eventually 30 is_guarded "$host" true
  check "with it: the tenant starts" exits 0 "$cli" restart "$away"
}

partitions() {
  local kinds=(cut stopped-agent killed-agent stopped-all killed-all) round kind
  partition_fleet
  stays_host=$(host_of "$stays")
  for kind in "${kinds[@]}"; do partition_round "$kind"; done
  flapping
  vanished_together
  by_word
  in_an_update
  without_guard
  for ((round = 1; round <= partition_rounds; ++round)); do
    echo "        round $round of $partition_rounds"
    partition_round "${kinds[RANDOM % ${#kinds[@]}]}"
  done
}
