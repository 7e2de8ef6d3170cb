# shellcheck shell=bash disable=SC2154,SC2034
# Controller, agent and engine that stand still (SIGSTOP) in the middle of operations for longer than each of their timeouts,
# and go on. Part of fleet_test.sh, as faults.sh, whose tenant `brittle`, operations and judges it uses.
#
# The longest timeout: of the controller and of callers 30 s (a call of mtp-cli; sessions end after 15 s of silence, calls of
# agents after 10 s); of an agent that waits for its engine 120 s (a call of Compose).
#
#   MTP_PAUSE_PARTIES="agent engine" MTP_PAUSE_STEPS="stop:stop-container" …   only those
pause_parties=${MTP_PAUSE_PARTIES:-controller agent engine}
pause_steps=${MTP_PAUSE_STEPS:-provision:start-container backup:copy restore:unpack restore:start-container update:stop
  update:start-container stop:stop-container}
pause_s=${MTP_PAUSE_SECONDS:-35}
engine_pause_s=${MTP_ENGINE_PAUSE_SECONDS:-130}
paused_pid=''

pid_of_party() { # pid_of_party PARTY
  case $1 in
    controller) process_pid controller ;;
    *) process_pid "$1-h1" ;;
  esac
}
pause() { # pause PARTY
  paused_pid=$(pid_of_party "$1") && kill -STOP "$paused_pid" && eventually 10 stands_still "$paused_pid"
}
resume() { kill -CONT "$paused_pid" && paused_pid=''; }
release_pauses() { [ -z "$paused_pid" ] || kill -CONT "$paused_pid" 2>/dev/null; }
# That it is noticed is the proof that it was longer than the timeouts; the controller is missed by callers alone.
is_missed() { # is_missed PARTY
  case $1 in
    controller) ! timeout 3 "$cli" status ;;
    agent) is_shown_as unreachable ;;
    engine) is_shown_as engine-down ;;
  esac
}
is_shown_as() { field '.hosts[] | select(.name == "h1") | .state' | grep -qx "$1"; }
stands_for() { # stands_for SECONDS: the fault itself
  sleep "$1"
  stands_still "$paused_pid"
}

newcomer() { echo "paused-$1"; } # newcomer NUMBER: the tenant that a case provisions
subject() { # subject KIND NUMBER: the tenant that the case is about
  if [ "$1" = provision ]; then newcomer "$2"; else echo brittle; fi
}
begin_paused() { # begin_paused KIND REQUEST NUMBER
  case $1 in
    provision)
      [ -s "$work/$(newcomer "$3")-token" ] || printf '5550009%02d:%s\n' "$3" "$(openssl rand -hex 16)" >"$work/$(newcomer "$3")-token"
      provision "$(newcomer "$3")" --host h1 --memory 16 --memory-limit 64 --telegram-token-file "$work/$(newcomer "$3")-token" \
        --no-wait --request-id "$2" >"$work/begun" 2>&1
      ;;
    stop) "$cli" stop brittle --no-wait --request-id "$2" >"$work/begun" 2>&1 ;;
    *) begin_operation "$1" "$2" ;;
  esac
}
step_has_begun() { # step_has_begun STEP
  of_operation ".steps[] | select(.name == \"${1#*:}\") | .state" | grep -qvx pending
}
paused_comes_to() { # paused_comes_to STEP: looked at without a rest, since such steps are short
  local end=$((SECONDS + 120))
  until if seen_in_files "$1" || [[ $1 == update:* ]]; then in_step "$1"; else step_has_begun "$1"; fi >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
  done
}
begin_in() { # begin_in STEP REQUEST NUMBER
  local kind=${1%%:*} begun
  fault_operation=''
  if seen_in_files "$1"; then
    begin_paused "$kind" "$2" "$3" &
    begun=$!
    paused_comes_to "$1" || { wait "$begun"; return 1; }
  else
    begin_paused "$kind" "$2" "$3" && find_operation "$2" && paused_comes_to "$1"
  fi
}
one_operation_of() { # one_operation_of REQUEST
  [ "$("$cli" op list --limit 1000 -o json | jq --arg r "$1" '[.operations[] | select(.request_id == $r)] | length')" = 1 ] ||
    { "$cli" op list --limit 20; return 1; }
}
starts_of() { cat "$traffic"/starts-* | grep -cx "mtp-$1"; } # starts_of TENANT: so far
allowed_starts() { # allowed_starts KIND STATE: whoever is brought back is started once more
  local own=1
  [[ $1 != backup && $1 != stop ]] || own=0
  [ "$2" = succeeded ] || own=$((own + 1))
  echo "$own"
}
started_at_most() { # started_at_most TENANT BEFORE COUNT
  [ $(($(starts_of "$1") - $2)) -le "$3" ] || { echo "$(($(starts_of "$1") - $2)) starts, $3 are right"; return 1; }
}
is_gone_everywhere() { [ "$(copies "$1")" = 0 ] && [ "$(field "[.tenants[] | select(.name == \"$1\")] | length")" = 0 ]; }
stands_stopped() { tenant_is brittle status stopped && [ "$(running_copies brittle)" = 0 ]; }
runs_once() { tenant_is "$1" health ready && [ "$(running_copies "$1")" = 1 ]; }

# What there is after an operation, by kind and state.
all_or_nothing() { # all_or_nothing WHAT KIND STATE NUMBER
  case $2:$3 in
    provision:succeeded) check "$1 the new tenant runs, once" eventually 60 runs_once "$(newcomer "$4")" ;;
    provision:*) check "$1 nothing of the new tenant is there" eventually 60 is_gone_everywhere "$(newcomer "$4")" ;;
    stop:succeeded)
      check "$1 it stands still" eventually "$settle_s" stands_stopped
      check "$1 and starts at a word" exits 0 "$cli" start brittle
      ;;
  esac
  check "$1 brittle is ready, and nothing is left" ready_and_whole
  check "$1 it runs once" runs_once brittle
  check "$1 its data is as it was, or as it was backed up" \
    one_of_both "$work/before" "$work/$([ "$2" = restore ] && echo backed-up || echo before)"
  check "$1 its databases are whole" databases_are_whole "$(data_of brittle)"
}
again_paused() { # again_paused KIND NUMBER: the same, undisturbed
  begin_paused "$1" "$ledger_name-$2-again" "$2" && find_operation "$ledger_name-$2-again" && eventually 240 operation_ended &&
    [ "$(of_operation .state)" = succeeded ] && return
  of_operation '{state, error}'
  return 1
}

pause_case() { # pause_case PARTY STEP NUMBER
  local party=$1 step=$2 kind=${2%%:*} state tenant before request=$ledger_name-$3 length=$pause_s
  local what="$party stands still in $step:"
  [ "$party" != engine ] || length=$engine_pause_s
  tenant=$(subject "$kind" "$3")
  [ "$kind" != restore ] || mark brittle "before case $3"
  contents brittle >"$work/before"
  before=$(starts_of "$tenant")
  forget_polls "$(token_of brittle)"
  check "$what it is begun and comes so far" begin_in "$step" "$request" "$3"
  check "$what it stands still" pause "$party"
  check "$what for $length s" stands_for "$length"
  check "$what which is noticed" eventually 20 is_missed "$party"
  check "$what it goes on" resume
  check "$what the operation is there" eventually "$settle_s" find_operation "$request"
  check "$what h1 is ready" eventually "$settle_s" is_back h1
  check "$what the operation ends by itself" eventually 300 operation_ended
  state=$(of_operation .state)
  echo "        it has $state"
  [ "$state" = succeeded ] ||
    { check "$what with one sentence" in_one_sentence && sed 's/^/          it says: /' "$work/sentence"; }
  check "$what the request is one operation" one_operation_of "$request"
  all_or_nothing "$what" "$kind" "$state" "$3"
  case $kind:$state in
    stop:succeeded) check "$what it was started at that word alone" started_at_most "$tenant" "$before" 1 ;;
    *) check "$what it was started no more than it takes" started_at_most "$tenant" "$before" "$(allowed_starts "$kind" "$state")" ;;
  esac
  check "$what its bot never had two pollers" one_poller "$tenant"
  if [ "$state" != succeeded ]; then
    check "$what the same again succeeds" again_paused "$kind" "$3"
    [ "$kind" != stop ] || "$cli" start brittle >/dev/null 2>&1
  fi
  [ "$kind" != provision ] || check "$what the new tenant is removed" exits 0 "$cli" remove "$tenant" --yes
  revive
}

pauses() {
  local party step number=0 members=(brittle)
  begin_ledger pauses
  fault_data=$(of_host h1 project_dir)/data
  watch_starts
  begin_brittle
  check "planted: who does not stand still is not missed" denies is_missed agent
  check "planted: nor the engine" denies is_missed engine
  check "planted: a start too many is noticed" denies started_at_most brittle -1 0
  for step in $pause_steps; do
    for party in $pause_parties; do
      number=$((number + 1))
      pause_case "$party" "$step" "$number"
    done
  done
  check "the tenant is removed" exits 0 "$cli" remove brittle --yes
  release_traffic
  echo "        $number pauses"
}
