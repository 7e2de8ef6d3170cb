#!/bin/bash
# A whole fleet on two real engines: from quick start to --down, by the interfaces that operators use. Each check is
# a sentence; for one that fails, what was seen is shown. Ends in `N passed, M failed`.
#
#   sudo tests/e2e/fleet_test.sh         light tenants (the OpenClaw double): all checks
#   sudo tests/e2e/fleet_test.sh --real  the real OpenClaw: those where the double cannot speak for it
#   … --no-servers                       without the SFTP and S3 servers, which take some minutes
#   … --without PART                     without one part
#   … --only PART                        set-up and one part; may be given more than once
#   … --flips N                          how many flips the part flips makes (40)
#   … --rounds N                         how many partitions the part partitions makes besides one of each kind (0)
#   … --lease S                          how long its leases last (40); shorter ones make rounds shorter
#   … --cuts N                           how many power cuts the part power makes (6)
#   … --kills N                          how often the part all_killed kills everything (3)
#   … --sanitizer asan|tsan              programs of build-asan or build-tsan; whatever they find fails a check at the end
#   … --old FOLDER                       programs of an older build, from which the part upgrade upgrades; it is left out without
#   … --upgrade-tenants N                how many tenants it does that with (25)
# The part life goes on with the tenant of deaths. Each of faults, flips, hostile, partitions, power, pauses, upgrade and clocks takes
# long by itself; clocks wants a fleet that is made for it, and runs only when it is named.
# shellcheck disable=SC2317,SC2034 # parts are called by name, and read what is set here
set -uo pipefail
real='' servers=yes without=' ' only=' ' flips=40 partition_rounds=0 lease_s=40 power_cuts=6 kill_rounds=3 old_programs='' upgrade_tenants=25
sanitizer=''
parts=' conversation refusals secrets deaths trust project life backups servers recovery rotation drills updates limits crash_loops
 unclean_starts faults flips hostile partitions power pauses all_killed many canaries upgrade lost_host clocks '
parts=${parts//$'\n'/}
is_part() { [[ $parts = *" $1 "* ]] || { echo "there is no part $1; the parts are$parts" >&2; exit 2; }; } # is_part NAME
while [ $# -gt 0 ]; do
  case $1 in
    --real) real=yes ;;
    --no-servers) servers='' ;;
    --without) is_part "${2:?}" && without+="$2 " && shift ;;
    --only) is_part "${2:?}" && only+="$2 " && shift ;;
    --flips) flips=${2:?} && shift ;;
    --rounds) partition_rounds=${2:?} && shift ;;
    --lease) lease_s=${2:?} && shift ;;
    --cuts) power_cuts=${2:?} && shift ;;
    --kills) kill_rounds=${2:?} && shift ;;
    --sanitizer) [[ ${2:?} =~ ^(asan|tsan)$ ]] && sanitizer=$2 && shift || exit 2 ;;
    --old) old_programs=$(realpath -e "${2:?}") && shift || exit 2 ;;
    --upgrade-tenants) upgrade_tenants=${2:?} && shift ;;
    *) sed -n '2,19s/^# \{0,1\}//p' "$0" >&2; echo "The parts are$parts" >&2; exit 2 ;;
  esac
  shift
done
wanted() { [[ $without != *" $1 "* && ($only = ' ' || $only = *" $1 "*) ]]; } # wanted PART
if [[ $only = *" upgrade "* ]] && [ -z "$old_programs" ]; then
  echo "the part upgrade needs the programs of an older build: --old FOLDER, with its mtp-controller, mtp-agent and mtp-cli" >&2
  exit 2
fi
for program in controller agent cli; do
  [ -z "$old_programs" ] || [ -x "$old_programs/mtp-$program" ] || { echo "there is no mtp-$program in $old_programs" >&2; exit 2; }
done
[[ $upgrade_tenants =~ ^[0-9]+$ && $upgrade_tenants -ge 6 ]] || { echo "--upgrade-tenants takes a number from 6 on" >&2; exit 2; }
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d /tmp/mtp-fleet-test.XXXXXX)
fleet=$work/fleet
export HOME=$work/home
mkdir -p "$HOME"
unset SUDO_USER
programs=$repository/build/bin
[ -z "$sanitizer" ] || programs=$repository/build-$sanitizer/bin
cli=$programs/mtp-cli
least=768
[ -n "$real" ] || least=64 # the double lives with less than OpenClaw
born=() # what stands before the quick start while the fleet is made, see clocks.sh
quickstart() { "${born[@]}" "$repository/deploy/quickstart.sh" --fleet-dir "$fleet" --min-memory-limit "$least" "$@"; }
# shellcheck source=tests/checks.sh
source "$repository/tests/checks.sh"
exits() { # exits CODE COMMAND…: the command ends with that code
  local want=$1 got=0
  shift
  "$@" || got=$?
  [ "$got" = "$want" ] || { echo "exit code $got, not $want"; return 1; }
}
says() { # says TEXT COMMAND…: the command's output holds the text
  local text=$1
  shift
  "$@" >"$work/said" 2>&1 || true
  grep -qF -- "$text" "$work/said" || { cat "$work/said"; return 1; }
}
no_device_is_left() { # of a file system that a part has made in a file
  ! losetup --list --noheadings --output NAME,BACK-FILE | grep -F "$work/"
}
finish() {
  local release
  [ -z "$sanitizer" ] || collect_reports
  for release in release_traffic release_pauses release_disks release_power release_port; do
    ! declare -F "$release" >/dev/null || "$release"
  done
  quickstart --down >"$work/down.log" 2>&1 || { echo "FAILED  --down"; failed=$((failed + 1)); tail -n 20 "$work/down.log"; }
  check "--down leaves no fleet folder" test ! -e "$fleet"
  check "--down leaves no network namespace of the fleet" \
    bash -c "for n in $namespaces; do [ ! -e /var/run/netns/\$n ] || exit 1; done"
  check "no loop device is left" eventually 10 no_device_is_left
  [ -z "$sanitizer" ] || nothing_is_reported
  rm -rf --one-file-system "$work"
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
  exit
}

if [ -n "$real" ]; then
  image=$("$repository/deploy/openclaw-image/build.sh") || exit 1
  answer_within=120 start_within=180 restart_within=180
else
  image=$("$repository/tests/doubles/openclaw/build-image.sh") || exit 1
  answer_within=60 start_within=60 restart_within=30
fi
# shellcheck source=tests/e2e/clocks.sh
source "$repository/tests/e2e/clocks.sh"
named() { [[ $only = *" $1 "* ]]; } # named PART: by --only
# shellcheck source=tests/e2e/sanitized.sh
source "$repository/tests/e2e/sanitized.sh"
[ -z "$sanitizer" ] || run_sanitized_programs
if named clocks; then check "the fleet is made three days ago" begin_birth; fi
namespaces=''
# Interrupted, it takes the fleet down all the same.
trap "failed=1; finish" INT TERM
if [ -z "$real" ]; then
  mkdir -p "$fleet"
  check "a fleet that was interrupted before it had anything is taken down" exits 0 quickstart --down
  check "and leaves nothing" test ! -e "$fleet"
  check "a quick start with nobody succeeds" quickstart --openclaw-image "$image" --tenants 0
  check "docker compose config is valid without tenants" bash -c "
    cd $(quickstart --info | jq -r '.hosts[0].project_dir') && docker compose config --quiet"
  for host in h1 h2; do # the double is ready at once, or never
    sed -i 's/^start_patience_s: .*/start_patience_s: 30/' "$fleet/hosts/$host/agent/agent.yaml"
    check "the agent of $host is stopped" exits 0 quickstart --stop "agent:$host"
    check "and has its new settings" exits 0 quickstart --start "agent:$host"
  done
fi
if ! quickstart --openclaw-image "$image" >"$work/up.log" 2>&1; then
  echo "FAILED  quick start"; tail -n 30 "$work/up.log"; failed=1; finish
fi
if named clocks; then check "and comes to the present" end_birth; fi
info=$(quickstart --info)
# Backups that come by themselves would hold tenants at moments that no part here expects.
check "schedules are turned off" exits 0 "$cli" backup schedule --off
namespaces=$(jq -r '.hosts[].netns' <<<"$info" | tr '\n' ' ')
telegram=$(jq -r .telegram_api <<<"$info")
anthropic=$(jq -r .anthropic_api <<<"$info")
docker_h1=$(jq -r '.hosts[0].docker_host' <<<"$info")
project_h1=$(jq -r '.hosts[0].project_dir' <<<"$info")
of_host() { jq -r --arg h "$1" ".hosts[] | select(.name == \$h) | .$2" <<<"$info"; } # of_host HOST FIELD
process_pid() { cut -d ' ' -f 1 "$fleet/processes/$1.pid"; } # process_pid controller|agent-HOST|guard-HOST|engine-HOST|containerd-HOST
process_of() { process_pid "${1/:/-}"; } # process_of controller|agent:HOST
field() { "$cli" status -o json | jq -r "$1"; }
host_of() { field ".tenants[] | select(.name == \"$1\") | .host"; } # host_of TENANT
port_of() { field ".tenants[] | select(.name == \"$1\") | .port"; } # port_of TENANT
other_host() { [ "$1" = h1 ] && echo h2 || echo h1; }
tenant_is() { [ "$(field ".tenants[] | select(.name == \"$1\") | .$2")" = "$3" ] || { "$cli" status; return 1; }; }
state_of_the_world() { # what a refusal must leave as it is
  "$cli" status -o json | jq -S '[.tenants[] | {name, host, port}]'
  for p in $(jq -r '.hosts[].project_dir' <<<"$info"); do
    (cd "$p" && sha256sum .env tenants.conf docker-compose.override.yml && ls data)
  done
  for d in $(jq -r '.hosts[].docker_host' <<<"$info"); do docker --host "$d" ps -aq --no-trunc | sort; done
}

# --- What quick start leaves
what_quick_start_leaves() {
  check "quick start ends with two ready tenants" test "$(field '[.tenants[] | select(.health == "ready" and .status == "running")] | length')" = 2
  check "acme has answered a message" grep -q "You said" "$work/up.log"
  before=$(state_of_the_world)
  check "a second quick start succeeds" quickstart --openclaw-image "$image"
  check "a second quick start changes nothing" test "$before" = "$(state_of_the_world)"
  check "status has the documented fields" bash -c "$cli status -o json | jq -e '
    (.hosts[0] | has(\"name\") and has(\"state\") and has(\"memory_total_mib\") and has(\"allocatable_mib\") and
      has(\"reserved_mib\") and has(\"used_mib\") and has(\"tenants\") and has(\"agent_version\")) and
    (.tenants[0] | has(\"name\") and has(\"host\") and has(\"container\") and has(\"port\") and has(\"status\") and
      has(\"health\") and has(\"uptime_s\") and has(\"memory_mib\") and has(\"memory_limit_mib\") and has(\"image\") and
      has(\"last_backup\"))'"
}

# --- Conversation
acme_token=$(cat "$fleet/secrets/acme.telegram-token")
push() { curl -sf --max-time 10 -H 'Content-Type: application/json' -d "$1" "$telegram/control/push" >/dev/null; }
shown() { # shown CHAT JQ: the messages that the bot shows in the chat fulfil the expression
  curl -sf --max-time 10 --get --data-urlencode "token=$acme_token" --data "chat_id=$1" "$telegram/control/chat" |
    jq -e "$2"
}
conversation() {
  push "$(jq -n --arg t "$acme_token" '{token: $t, text: "repeat 9000"}')"
  check "an answer of 9,000 characters arrives in several messages of at most 4,096" eventually "$answer_within" shown 42 '
    [.messages[].text // "" | length] | max <= 4096 and add >= 9000 and ([.[] | select(. > 1000)] | length) >= 3'
  push "$(jq -n --arg t "$acme_token" '{token: $t, text: "who speaks in this group?", kind: "group", chat_id: -77, mention: true}')"
  check "a message in a group that mentions the bot is answered" eventually "$answer_within" shown -77 '
    any(.messages[]; .text // "" | contains("who speaks in this group?"))'
}

# --- Refusals
token_file=$work/token
printf '555000111:%s\n' "$(openssl rand -hex 16)" >"$token_file"
: >"$work/empty"
provision() { "$cli" provision "$@" --telegram-api "$telegram" --anthropic-api "$anthropic"; }
refusals() {
  # The rule of common/base/names.h: hyphens become underscores, and a run of them counts as one.
  printf '555000444:%s\n' "$(openssl rand -hex 16)" >"$work/client-token"
  check "client-a is provisioned" exits 0 provision client-a --telegram-token-file "$work/client-token"
  before=$(state_of_the_world)
  check "a duplicate is refused with exit 3" exits 3 provision acme --telegram-token-file "$token_file"
  check "admin is refused with exit 2" exits 2 provision admin --telegram-token-file "$token_file"
  check "uppercase is refused with exit 2" exits 2 provision Acme --telegram-token-file "$token_file"
  check "spaces are refused with exit 2" exits 2 provision "a b" --telegram-token-file "$token_file"
  check "special characters are refused with exit 2" exits 2 provision 'a;b' --telegram-token-file "$token_file"
  check "41 characters are refused with exit 2" exits 2 provision "$(printf 'a%.0s' {1..41})" --telegram-token-file "$token_file"
  check "client--a, whose env prefix client-a has, is refused with exit 3" exits 3 provision client--a --telegram-token-file "$token_file"
  check "and told who has the prefix" says "client-a" provision client--a --telegram-token-file "$token_file"
  check "a bot that another tenant has is refused with exit 3" exits 3 provision gamma --telegram-token-file "$fleet/secrets/acme.telegram-token"
  check "an empty token file is refused with exit 2" exits 2 provision gamma --telegram-token-file "$work/empty"
  check "a missing token file is refused with exit 2" exits 2 provision gamma --telegram-token-file "$work/none"
  check "no room is refused with exit 3" exits 3 provision gamma --telegram-token-file "$token_file" --memory 900000
  check "no room names every host" says "h2:" provision gamma --telegram-token-file "$token_file" --memory 900000
  check "a dry run succeeds" exits 0 provision gamma --telegram-token-file "$token_file" --dry-run
  check "refusals and dry runs change nothing" test "$before" = "$(state_of_the_world)"
  check "client-a is removed" exits 0 "$cli" remove client-a --yes
  check "its env prefix is free again" exits 0 provision client--a --telegram-token-file "$token_file" --dry-run
}

# --- Secrets
environment() {
  docker --host "$(of_host "$(field ".tenants[] | select(.name == \"$1\") | .host")" docker_host)" \
    inspect "mtp-$1" --format '{{json .Config.Env}}'
}
arrived() { # the keys and the token, as they were given
  environment odd | jq -e --rawfile key "$work/odd" --rawfile token "$work/odd-token" '
    ([("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY") + "=" + ($key | rtrimstr("\n")),
      "TELEGRAM_BOT_TOKEN=" + ($token | rtrimstr("\n"))] - .) == []'
}
secrets() {
  local canary odd odd_pid looks on_a_command_line
  # The word finds them wherever they are, also where quotes and dollars are written otherwise.
  canary=canary$(openssl rand -hex 8)
  odd="$canary"'a$b#c"d'"'"'e\f g'
  printf '%s\n' "$odd" >"$work/odd"
  # No bot has such a token: the real OpenClaw is asked about the keys.
  if [ -n "$real" ]; then
    printf '555000222:%s\n' "$(openssl rand -hex 16)" >"$work/odd-token"
  else
    printf '555000222:%s\n' "$odd" >"$work/odd-token"
  fi
  "$cli" provision odd --telegram-api "$telegram" --anthropic-api "$anthropic" --telegram-token-file "$work/odd-token" \
    --anthropic-key-file "$work/odd" --openai-key-file "$work/odd" --openrouter-key-file "$work/odd" >"$work/odd.log" 2>&1 &
  odd_pid=$!
  looks=0 on_a_command_line=0
  while kill -0 "$odd_pid" 2>/dev/null; do
    looks=$((looks + 1))
    # The pattern comes from a file: as an argument it would be found in grep's own command line.
    ! grep -qF -f <(echo "$canary") /proc/[0-9]*/cmdline 2>/dev/null || on_a_command_line=$((on_a_command_line + 1))
    sleep 0.05
  done
  check "a tenant with odd secrets is provisioned" bash -c "cat $work/odd.log; grep -q 'odd is ready' $work/odd.log"
  check "no secret is on a command line meanwhile" test "$looks $on_a_command_line" = "$((looks > 5 ? looks : -1)) 0"
  check "odd secrets arrive unchanged" arrived
  check "another tenant does not see them" bash -c "docker --host $docker_h1 inspect mtp-acme >$work/inspected && ! grep -qF $canary $work/inspected"
  check "logs, operations and audit do not hold them" bash -c "
    { cat $fleet/processes/*.log; $cli op list -o json; $cli audit -o json; $cli logs odd; } >$work/told && ! grep -F $canary $work/told"
  check "of the fleet's files only the project's .env holds them" bash -c "
    [ \"\$(grep -rlF $canary $fleet/controller $fleet/hosts | sed 's|.*/project/|project/|')\" = project/.env ]"
}

# --- Death in the middle
copies() { # containers of that name on all hosts
  local docker_host
  for docker_host in $(jq -r '.hosts[].docker_host' <<<"$info"); do
    docker --host "$docker_host" ps --all --quiet --filter "name=^mtp-$1\$"
  done | wc -l
}
crash_provision() { provision crash --telegram-token-file "$work/crash-token" --request-id "$request" "$@"; }
deaths() {
  local request=crash-$RANDOM crash_host watcher
  printf '555000333:%s\n' "$(openssl rand -hex 16)" >"$work/crash-token"
  check "a provision that nobody waits for is accepted" exits 0 crash_provision --no-wait -o json
  timeout 120 "$cli" op watch "$("$cli" op list -o json | jq -r '.operations[0].name')" >"$work/watched" 2>&1 &
  watcher=$!
  check "somebody watches it" eventually 10 test -s "$work/watched"
  check "the controller is killed" quickstart --kill controller
  check "without a controller the CLI ends with exit 4" exits 4 "$cli" status
  check "the controller starts again" quickstart --start controller
  crash_host=$(field '.tenants[] | select(.name == "crash") | .host')
  check "the agent of its host is killed" quickstart --kill "agent:$crash_host"
  check "that agent starts again" quickstart --start "agent:$crash_host"
  check "the operation goes on by itself" eventually "$start_within" tenant_is crash health ready
  check "who has watched it all the time sees its end" wait "$watcher"
  check "a retry with the same request id succeeds" exits 0 crash_provision
  check "there is one container of it" test "$(copies crash)" = 1
  check "and nothing ran twice" bash -c "[ \"\$($cli op list -o json | jq '[.operations[] | select(.target == \"tenants/crash\" and .kind == \"provision\")] | length')\" = 1 ]"
}

# --- Trust
# shellcheck source=tests/e2e/join_tokens.sh
source "$repository/tests/e2e/join_tokens.sh"
handshake() { # handshake AUTHORITIES OPTION…; in TLS 1.3 the caller's handshake ends first; one that is refused then finds the connection closed
  local authorities=$1
  shift
  sleep 2 | timeout 10 openssl s_client -connect "$controller" -CAfile "$authorities" -tls1_3 -alpn h2 "$@" 2>&1
}
trust() {
  check "a viewer is added" exits 0 "$cli" operator add watcher --role viewer --out "$work/viewer"
  controller=$(jq -r .controller.address <<<"$info")
  check "a viewer may look" exits 0 "$cli" --controller "$controller" --identity "$work/viewer" status
  check "a viewer may not remove" exits 3 "$cli" --controller "$controller" --identity "$work/viewer" remove acme --yes
  openssl req -x509 -newkey ed25519 -nodes -keyout "$work/other.key" -out "$work/other.pem" -days 1 -subj /CN=other 2>/dev/null
  check "a caller with a certificate is let in" exits 0 handshake "$work/viewer/ca.pem" -cert "$work/viewer/cert.pem" -key "$work/viewer/key.pem"
  check "a caller without a certificate is refused" says "unexpected eof" handshake "$work/viewer/ca.pem"
  check "a caller of another authority is refused" says "unexpected eof" handshake "$work/viewer/ca.pem" -cert "$work/other.pem" -key "$work/other.key"
  check "TLS 1.2 is refused" bash -c "! openssl s_client -connect $controller -tls1_2 -alpn h2 </dev/null >/dev/null 2>&1"
  join_tokens
  check "the viewer is removed" exits 0 "$cli" operator remove watcher
  check "and may not look any more" exits 3 "$cli" --controller "$controller" --identity "$work/viewer" status
}

# --- The project folder
project() {
  local admin_socket call
  check "docker compose config is valid" bash -c "cd $project_h1 && docker compose config --quiet"
  admin_socket=$(find "$project_h1" -name docker.sock -type s | head -n 1)
  check "the admin's socket lists containers" bash -c "curl -sf --unix-socket $admin_socket http://d/containers/json | jq -e 'length >= 1'"
  for call in "POST containers/mtp-acme/stop" "POST containers/create" "DELETE containers/mtp-acme" "POST containers/mtp-acme/exec" "POST build" "POST images/prune"; do
    check "the admin's socket refuses ${call}" bash -c "[ \"\$(curl -s -o /dev/null -w '%{http_code}' --unix-socket $admin_socket -X ${call% *} http://d/${call#* })\" = 403 ]"
  done
}

for file in backups remote_repositories recovery rotation drills updates limits faults flips hostile partitions traffic power pauses \
  all_killed many life canaries secret_rotation lost_host upgrade unclean_starts; do
  # shellcheck disable=SC1090
  source "$repository/tests/e2e/$file.sh"
done

part() { ! wanted "$1" || "${2:-$1}"; } # part NAME [FUNCTION]
part conversation what_quick_start_leaves
part conversation
[ -n "$real" ] || part refusals
part secrets
part deaths
[ -n "$real" ] || part trust
part project
part life life_and_end
part backups
[ -n "$real" ] || part backups backup_deaths
[ -z "$servers" ] || part servers remote_repositories
[ -n "$real" ] || part recovery
[ -n "$real" ] || part rotation
part drills
part updates
part limits
[ -n "$real" ] || part crash_loops
[ -z "$real" ] || part unclean_starts
[ -n "$real" ] || part faults fault_matrix
[ -n "$real" ] || part flips random_flips
[ -n "$real" ] || part hostile hostile_data
part partitions
[ -n "$real" ] || part power
[ -n "$real" ] || part pauses
[ -n "$real" ] || part all_killed
[ -n "$real" ] || part many
[ -n "$real" ] || part canaries planted_secrets
if [ -n "$old_programs" ]; then
  [ -n "$real" ] || part upgrade
elif wanted upgrade && [ -z "$real" ]; then
  echo "SKIPPED upgrade: NOTHING WAS UPGRADED; give the programs of an older build: --old FOLDER"
fi
[ -n "$real" ] || part lost_host
[ -n "$real" ] || ! named clocks || part clocks
finish
