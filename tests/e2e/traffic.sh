# shellcheck shell=bash disable=SC2154,SC2034
# Requests that go on while the fleet is hurt, and what has to be true of them afterwards. Part of fleet_test.sh, as
# partitions.sh and backups.sh, whose functions it uses; for power.sh, clocks.sh, pauses.sh and all_killed.sh.
#
# A worker is a tenant, volt-1 …, that lives again and again: provisioned, limited, backed up, restored, stopped, started,
# removed. Each request is repeated under its id until it is acknowledged, then stands in the ledger, which is outside the
# fleet, as `REQUEST OPERATION VERB TENANT`, and is waited for to its end.

traffic=$work/traffic
settle_s=${MTP_SETTLE_SECONDS:-30} # within which all has to be true again
life_of_a_worker="provision limit backup restore stop start remove"
workers=()
start_watchers=()

complain() { printf '%s\n' "$*" >>"$traffic/complaints"; }
nobody_complains() { [ ! -s "$traffic/complaints" ] || { cat "$traffic/complaints"; return 1; }; }
# A ledger of its own for each part: begin_ledger NAME
begin_ledger() {
  ledger_name=$1-$RANDOM
  rm -rf "$traffic"
  mkdir -p "$traffic"
  : >"$traffic/ledger"
  : >"$traffic/complaints"
}
acknowledged() { wc -l <"$traffic/ledger"; }

# --- Requests
send() { # send TENANT VERB REQUEST HOST
  local words=()
  case $2 in
    provision)
      words=(provision "$1" --host "$4" --memory 16 --memory-limit 64 --telegram-token-file "$work/$1-token"
        --telegram-api "$telegram" --anthropic-api "$anthropic")
      ;;
    limit) words=(tenant set "$1" --memory-limit 96) ;;
    backup) words=(backup "$1") ;;
    restore) words=(backup restore "$1" --yes) ;;
    remove) words=(remove "$1" --yes) ;;
    *) words=("$2" "$1") ;;
  esac
  timeout 180 "$cli" "${words[@]}" --no-wait -o json --request-id "$3"
}
# Prints the operation. A refusal may be right while a host is away, so it counts only when it lasts.
until_acknowledged() { # until_acknowledged TENANT VERB REQUEST HOST
  local end=$((SECONDS + 180)) answer=$traffic/answer-$1
  while :; do
    if send "$@" >"$answer" 2>"$answer.error" &&
      jq -re '[.operation, .operations[0]?] | map(select(. != null))[0] | (.name? // .) | ltrimstr("operations/")' "$answer"; then
      return
    fi
    [ "$SECONDS" -lt "$end" ] || { complain "$3 was never acknowledged: $(tail -n 1 "$answer.error")"; return 1; }
    sleep 0.3
  done
}
until_ended() { # until_ended OPERATION: prints its state
  local end=$((SECONDS + 300)) state
  while [ "$SECONDS" -lt "$end" ]; do
    timeout 60 "$cli" op watch "$1" --timeout 30s >/dev/null 2>&1
    state=$("$cli" op show "$1" -o json 2>/dev/null | jq -r 'select(.end_time != null) | .state')
    [ -z "$state" ] || { echo "$state"; return; }
    sleep 0.3
  done
  echo "without an end after 300 s"
}
# What its tenant is meant to be stands in wanted-TENANT: `changing` from before the request until it has succeeded.
ask() { # ask TENANT VERB REQUEST HOST
  local operation state
  echo changing >"$traffic/wanted-$1"
  operation=$(until_acknowledged "$@") || return 1
  printf '%s %s %s %s\n' "$3" "$operation" "$2" "$1" >>"$traffic/ledger"
  state=$(until_ended "$operation")
  [ "$state" = succeeded ] ||
    { complain "$3 is $state: $("$cli" op show "$operation" -o json 2>&1 | jq -rc '.error.message // .')"; return 1; }
  case $2 in
    stop) echo stopped ;;
    remove) echo gone ;;
    *) echo running ;;
  esac >"$traffic/wanted-$1"
}
host_of_worker() { echo "h$(($1 % 2 + 1))"; }
live() { # live NUMBER: until there is a file `end`
  local round verb tenant=volt-$1
  for ((round = 1; ; ++round)); do
    for verb in $life_of_a_worker; do
      [ ! -e "$traffic/end" ] || return 0
      ask "$tenant" "$verb" "$ledger_name-$tenant-$round-$verb" "$(host_of_worker "$1")" || return 1
    done
  done
}
make_worker() { # make_worker NUMBER
  printf '5550008%02d:%s\n' "$1" "$(openssl rand -hex 16)" >"$work/volt-$1-token"
  forget_polls "$(token_of "volt-$1")"
}
begin_traffic() { # begin_traffic WORKERS
  local number
  rm -f "$traffic/end"
  for number in $(seq "$1"); do
    make_worker "$number"
    live "$number" &
    workers+=($!)
  done
}
end_traffic() { # each worker ends what it has asked for
  touch "$traffic/end"
  [ ${#workers[@]} -eq 0 ] || wait "${workers[@]}"
  workers=()
  nobody_complains
}
remove_workers() {
  local tenant
  for tenant in $("$cli" status -o json | jq -r '.tenants[].name | select(startswith("volt-"))'); do
    "$cli" remove "$tenant" --yes || return 1
  done
}
# Also when the whole test is interrupted.
release_traffic() {
  local job
  for job in "${workers[@]}" "${start_watchers[@]}"; do kill "$job" 2>/dev/null; done
  workers=() start_watchers=()
}

# --- Judges
known_operations() { # the controller's, as `REQUEST OPERATION STATE`, STATE being `-` before the end
  "$cli" op list --limit 10000 -o json >"$traffic/list" &&
    jq -r '.operations[] | "\(.request_id) \(.name | ltrimstr("operations/")) \(if .end_time then .state else "-" end)"' "$traffic/list"
}
# Each acknowledged request is there as the operation that was named, and no request is there as two.
ledger_holds() {
  local lost twice
  cut -d ' ' -f 1,2 "$traffic/ledger" | LC_ALL=C sort -u >"$traffic/promised"
  known_operations >"$traffic/known" || { echo "the controller does not answer"; return 1; }
  lost=$(cut -d ' ' -f 1,2 "$traffic/known" | LC_ALL=C sort -u | LC_ALL=C comm -23 "$traffic/promised" -)
  twice=$(grep "^$ledger_name-" "$traffic/known" | cut -d ' ' -f 1 | LC_ALL=C sort | uniq -d)
  wc -w <<<"$lost" >"$traffic/lost"
  [ -z "$lost$twice" ] || { printf 'lost: %s\ntwice: %s\n' "$lost" "$twice"; return 1; }
}
lost_requests() { echo $(($(cat "$traffic/lost" || echo 2) / 2)); } # how many, when ledger_holds looked last
# What stood in the ledger (a copy of it) has ended, and well.
have_succeeded() { # have_succeeded LEDGER
  local left
  known_operations >"$traffic/now" || return 1
  left=$(cut -d ' ' -f 1,2 "$1" | LC_ALL=C sort -u |
    LC_ALL=C comm -23 - <(sed -n 's/ succeeded$//p' "$traffic/now" | LC_ALL=C sort -u))
  [ -z "$left" ] || { echo "$left"; return 1; }
}
running_containers() { # by name, over all engines
  local docker_host
  for docker_host in $(jq -r '.hosts[].docker_host' <<<"$info"); do
    docker --host "$docker_host" ps --format '{{.Names}}' --filter 'name=^mtp-' || return 1
  done
}
running_copies() { running_containers | grep -cx "mtp-$1"; } # running_copies TENANT
# Every worker's tenant is what it was last asked to be, by the controller's word and by the engines'.
all_as_asked() {
  local file tenant wanted told copies
  "$cli" status -o json >"$traffic/status" && running_containers >"$traffic/running" || return 1
  for file in "$traffic"/wanted-*; do
    tenant=${file##*/wanted-} wanted=$(cat "$file")
    told=$(jq -r --arg t "$tenant" \
      '[.tenants[] | select(.name == $t) | if .status == "running" then .health else .status end][0] // "gone"' "$traffic/status")
    copies=$(grep -cx "mtp-$tenant" "$traffic/running")
    case "$wanted: $told $copies" in
      'running: ready 1' | 'stopped: stopped 0' | 'gone: gone 0') ;;
      *) echo "$tenant ought to be $wanted; status says $told, $copies run"; return 1 ;;
    esac
  done
}
none_polls_twice() {
  local file
  for file in "$traffic"/wanted-*; do
    one_poller "${file##*/wanted-}" || { echo "${file##*/wanted-}"; return 1; }
  done
}
# How often engines start containers, by their own events; as long as the engines live.
watch_starts() {
  local host
  for host in h1 h2; do
    docker --host "$(of_host "$host" docker_host)" events --filter type=container --filter event=start \
      --format '{{.Actor.Attributes.name}}' >>"$traffic/starts-$host" 2>/dev/null &
    start_watchers+=($!)
  done
}
none_started_too_often() {
  local file tenant starts asked
  for file in "$traffic"/wanted-*; do
    tenant=${file##*/wanted-}
    starts=$(cat "$traffic"/starts-* | grep -cx "mtp-$tenant")
    asked=$(grep -cE " (provision|start|restore) $tenant\$" "$traffic/ledger")
    [ "$starts" -le "$asked" ] || { echo "$tenant was started $starts times, and asked for $asked times"; return 1; }
  done
}
denies() { ! "$@" >/dev/null 2>&1; } # denies COMMAND…

poll_beside() { # poll_beside TENANT: as a second copy would; true when that is noticed
  polls "$1" && curl -s --max-time 10 "$telegram/bot$(token_of "$1")/getUpdates" >/dev/null
  denies one_poller "$1"
}

# Each judge has to notice what it is there for. Before the traffic, with one tenant that runs.
try_judges() {
  make_worker 1
  check "the first request is acknowledged and carried out" ask volt-1 provision "$ledger_name-first" h1
  check "what was acknowledged is there" ledger_holds
  check "all is as it was asked" all_as_asked
  cp "$traffic/ledger" "$traffic/ledger-true"
  echo "$ledger_name-never 01ARZ3NDEKTSV4RRFFQ69G5FAV stop volt-1" >>"$traffic/ledger"
  check "planted: a request that is lost is noticed" denies ledger_holds
  check "planted: and that it has not ended" denies have_succeeded "$traffic/ledger"
  cp "$traffic/ledger-true" "$traffic/ledger"
  echo stopped >"$traffic/wanted-volt-1"
  check "planted: a tenant that runs against the last word is noticed" denies all_as_asked
  echo running >"$traffic/wanted-volt-1"
  check "planted: a second poller is noticed" eventually 60 poll_beside volt-1
  forget_polls "$(token_of volt-1)"
  if [ ${#start_watchers[@]} -gt 0 ]; then
    check "the engines' starts are seen" grep -qx mtp-volt-1 "$traffic/starts-h1"
    cp "$traffic/starts-h1" "$traffic/starts-true"
    echo mtp-volt-1 >>"$traffic/starts-h1"
    check "planted: a start too many is noticed" denies none_started_too_often
    cat "$traffic/starts-true" >"$traffic/starts-h1"
    rm -f "$traffic/starts-true"
  fi
  check "the first tenant is removed" ask volt-1 remove "$ledger_name-first-remove" h1
}
