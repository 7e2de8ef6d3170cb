#!/bin/bash
# A whole fleet on two real engines with light tenants (the OpenClaw double): from quick start to --down, by the
# interfaces that operators use. Each check is a sentence; the first that fails is shown with what was seen.
#
#   sudo tests/e2e/fleet_test.sh        ends in `N passed, M failed`
set -uo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d /tmp/mtp-fleet-test.XXXXXX)
fleet=$work/fleet
export HOME=$work/home
mkdir -p "$HOME"
unset SUDO_USER
cli=$repository/build/bin/mtp-cli
quickstart() { "$repository/deploy/quickstart.sh" --fleet-dir "$fleet" "$@"; }
passed=0 failed=0

check() { # check SENTENCE COMMAND…
  local sentence=$1
  shift
  if "$@" >"$work/seen" 2>&1; then
    passed=$((passed + 1))
    echo "ok      $sentence"
  else
    failed=$((failed + 1))
    echo "FAILED  $sentence"
    sed 's/^/          /' "$work/seen" | tail -n 15
  fi
}
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
eventually() { # eventually SECONDS COMMAND…
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { "$@"; return 1; }
    sleep 0.3
  done
}
finish() {
  quickstart --down >"$work/down.log" 2>&1 || { echo "FAILED  --down"; failed=$((failed + 1)); tail -n 20 "$work/down.log"; }
  check "--down leaves no fleet folder" test ! -e "$fleet"
  check "--down leaves no network namespace of the fleet" \
    bash -c "for n in $namespaces; do [ ! -e /var/run/netns/\$n ] || exit 1; done"
  rm -rf "$work"
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
  exit
}

image=$("$repository/tests/doubles/openclaw/build-image.sh") || exit 1
namespaces=''
if ! quickstart --openclaw-image "$image" >"$work/up.log" 2>&1; then
  echo "FAILED  quick start"; tail -n 30 "$work/up.log"; failed=1; finish
fi
info=$(quickstart --info)
namespaces=$(jq -r '.hosts[].netns' <<<"$info" | tr '\n' ' ')
telegram=$(jq -r .telegram_api <<<"$info")
anthropic=$(jq -r .anthropic_api <<<"$info")
docker_h1=$(jq -r '.hosts[0].docker_host' <<<"$info")
project_h1=$(jq -r '.hosts[0].project_dir' <<<"$info")
field() { "$cli" status -o json | jq -r "$1"; }
tenant_is() { [ "$(field ".tenants[] | select(.name == \"$1\") | .$2")" = "$3" ] || { "$cli" status; return 1; }; }
state_of_the_world() { # what a refusal must leave as it is
  "$cli" status -o json | jq -S '[.tenants[] | {name, host, port}]'
  for p in $(jq -r '.hosts[].project_dir' <<<"$info"); do
    (cd "$p" && sha256sum .env tenants.conf docker-compose.override.yml && ls data)
  done
  for d in $(jq -r '.hosts[].docker_host' <<<"$info"); do docker --host "$d" ps -aq --no-trunc | sort; done
}

# --- What quick start leaves
check "quick start ends with two ready tenants" test "$(field '[.tenants[] | select(.health == "ready" and .status == "running")] | length')" = 2
check "acme has answered a message" grep -q "You said" "$work/up.log"
before=$(state_of_the_world)
quickstart --openclaw-image "$image" >"$work/again.log" 2>&1
check "a second quick start succeeds" test $? -eq 0
check "a second quick start changes nothing" test "$before" = "$(state_of_the_world)"
check "status has the documented fields" bash -c "$cli status -o json | jq -e '
  (.hosts[0] | has(\"name\") and has(\"state\") and has(\"memory_total_mib\") and has(\"allocatable_mib\") and
    has(\"reserved_mib\") and has(\"used_mib\") and has(\"tenants\") and has(\"agent_version\")) and
  (.tenants[0] | has(\"name\") and has(\"host\") and has(\"container\") and has(\"port\") and has(\"status\") and
    has(\"health\") and has(\"uptime_s\") and has(\"memory_mib\") and has(\"memory_limit_mib\") and has(\"image\") and
    has(\"last_backup\"))'"

# --- Conversation
acme_token=$(cat "$fleet/secrets/acme.telegram-token")
push() { curl -sf --max-time 10 -H 'Content-Type: application/json' -d "$1" "$telegram/control/push" >/dev/null; }
sent() { curl -sf --max-time 10 --get --data-urlencode "token=$acme_token" "$telegram/control/sent"; }
push "$(jq -n --arg t "$acme_token" '{token: $t, text: "repeat 9000"}')"
check "an answer of 9,000 characters arrives in several messages of at most 4,096" eventually 60 bash -c "
  curl -sf --get --data-urlencode 'token=$acme_token' --data chat_id=42 $telegram/control/chat |
  jq -e '([.messages[].text // \"\" | length] | max) <= 4096 and ([.messages[].text // \"\" | length] | add) >= 9000'"

# --- Refusals
token_file=$work/token
printf '555000111:%s\n' "$(openssl rand -hex 16)" >"$token_file"
: >"$work/empty"
before=$(state_of_the_world)
provision() { "$cli" provision "$@" --telegram-api "$telegram" --anthropic-api "$anthropic"; }
check "a duplicate is refused with exit 3" exits 3 provision acme --telegram-token-file "$token_file"
check "admin is refused with exit 2" exits 2 provision admin --telegram-token-file "$token_file"
check "uppercase is refused with exit 2" exits 2 provision Acme --telegram-token-file "$token_file"
check "spaces are refused with exit 2" exits 2 provision "a b" --telegram-token-file "$token_file"
check "special characters are refused with exit 2" exits 2 provision 'a;b' --telegram-token-file "$token_file"
check "41 characters are refused with exit 2" exits 2 provision "$(printf 'a%.0s' {1..41})" --telegram-token-file "$token_file"
check "a bot that another tenant has is refused with exit 3" exits 3 provision gamma --telegram-token-file "$fleet/secrets/acme.telegram-token"
check "an empty token file is refused with exit 2" exits 2 provision gamma --telegram-token-file "$work/empty"
check "a missing token file is refused with exit 2" exits 2 provision gamma --telegram-token-file "$work/none"
check "no room is refused with exit 3" exits 3 provision gamma --telegram-token-file "$token_file" --memory 900000
check "no room names every host" says "h2:" provision gamma --telegram-token-file "$token_file" --memory 900000
check "a dry run succeeds" exits 0 provision gamma --telegram-token-file "$token_file" --dry-run
check "refusals and dry runs change nothing" test "$before" = "$(state_of_the_world)"

# --- Secrets
odd='a$b#c"d'"'"'e\f g'
printf '%s\n' "$odd" >"$work/odd"
printf '555000222:%s\n' "$odd" >"$work/odd-token"
check "a tenant with odd secrets is provisioned" exits 0 provision odd --telegram-token-file "$work/odd-token" \
  --anthropic-key-file "$work/odd" --openai-key-file "$work/odd" --openrouter-key-file "$work/odd"
environment() { docker --host "$(jq -r --arg h "$(field '.tenants[] | select(.name == "'"$1"'") | .host')" '.hosts[] | select(.name == $h) | .docker_host' <<<"$info")" inspect "mtp-$1" --format '{{json .Config.Env}}'; }
check "odd secrets arrive unchanged" bash -c "$(declare -f environment field); cli=$cli info='$info'
  environment odd | jq -e --arg v \"\$(cat $work/odd)\" '([.[] | select(. == \"ANTHROPIC_API_KEY=\" + \$v or . == \"OPENAI_API_KEY=\" + \$v or . == \"OPENROUTER_API_KEY=\" + \$v)] | length) == 3'"
check "another tenant does not see them" bash -c "! docker --host $docker_h1 inspect mtp-acme | grep -qF 'c\\\"d'"
check "logs, operations and audit do not hold them" bash -c "
  ! { cat $fleet/processes/*.log; $cli op list -o json; $cli audit -o json; } | grep -qF -e 'a\$b#c' -e 'a\\\$b#c'"

# --- Death in the middle
request=crash-$RANDOM
printf '555000333:%s\n' "$(openssl rand -hex 16)" >"$work/crash-token"
crash_provision() { provision crash --telegram-token-file "$work/crash-token" --request-id "$request" "$@"; }
crash_provision --no-wait -o json >"$work/first.json" 2>&1
quickstart --kill controller >/dev/null 2>&1
check "without a controller the CLI ends with exit 4" exits 4 "$cli" status
quickstart --start controller >/dev/null 2>&1
quickstart --kill agent:h1 >/dev/null 2>&1
quickstart --start agent:h1 >/dev/null 2>&1
check "the operation goes on by itself" eventually 60 tenant_is crash health ready
check "a retry with the same request id succeeds" exits 0 crash_provision
check "and nothing ran twice" bash -c "[ \"\$($cli op list -o json | jq '[.operations[] | select(.target == \"tenants/crash\" and .kind == \"provision\")] | length')\" = 1 ]"

# --- Trust
check "a viewer is added" exits 0 "$cli" operator add watcher --role viewer --out "$work/viewer"
controller=$(jq -r .controller.address <<<"$info")
check "a viewer may look" exits 0 "$cli" --controller "$controller" --identity "$work/viewer" status
check "a viewer may not remove" exits 3 "$cli" --controller "$controller" --identity "$work/viewer" remove acme --yes
check "a stranger is refused at the handshake" bash -c "! openssl s_client -connect $controller -tls1_3 -alpn h2 </dev/null 2>&1 | grep -q 'Verify return code: 0'"
check "TLS 1.2 is refused" bash -c "! openssl s_client -connect $controller -tls1_2 -alpn h2 </dev/null >/dev/null 2>&1"

# --- The project folder
check "docker compose config is valid" bash -c "cd $project_h1 && docker compose --project-name mtp config --quiet"
admin_socket=$(find "$project_h1" -name docker.sock -type s | head -n 1)
check "the admin's socket lists containers" bash -c "curl -sf --unix-socket $admin_socket http://d/containers/json | jq -e 'length >= 1'"
for call in "POST containers/mtp-acme/stop" "POST containers/create" "DELETE containers/mtp-acme" "POST containers/mtp-acme/exec" "POST build" "POST images/prune"; do
  check "the admin's socket refuses ${call}" bash -c "[ \"\$(curl -s -o /dev/null -w '%{http_code}' --unix-socket $admin_socket -X ${call% *} http://d/${call#* })\" = 403 ]"
done

# --- Life and end
check "acme restarts" exits 0 "$cli" restart acme
check "acme is ready after a restart" eventually 30 tenant_is acme health ready
check "acme stops" exits 0 "$cli" stop acme
check "acme is shown as stopped" eventually 20 tenant_is acme status stopped
check "acme starts" exits 0 "$cli" start acme
acme_before=$(docker --host "$docker_h1" inspect mtp-acme --format '{{.Id}} {{.State.StartedAt}}')
check "beta is removed" exits 0 "$cli" remove beta --yes
archive=$(find "$fleet"/hosts/*/project/backups -name 'beta-*.tar.gz' | head -n 1)
mkdir -p "$work/restored"
check "its backup unpacks" tar -xzf "${archive:-none}" -C "$work/restored"
check "its databases are whole" bash -c "
  n=0; while read -r f; do [ \"\$(sqlite3 \"\$f\" 'PRAGMA integrity_check')\" = ok ] || exit 1; n=\$((n+1)); done < <(find $work/restored -name '*.sqlite'); [ \$n -ge 1 ]"
check "no trace of beta is left" bash -c "
  for p in $fleet/hosts/*/project; do ! grep -rqi beta \$p/.env \$p/tenants.conf \$p/docker-compose.override.yml && [ ! -e \$p/data/beta ] || exit 1; done"
check "acme did not notice" test "$acme_before" = "$(docker --host "$docker_h1" inspect mtp-acme --format '{{.Id}} {{.State.StartedAt}}')"
check "crash is removed with its data kept" exits 0 "$cli" remove crash --yes --keep-data
check "its name is refused until it is said what to do with the data" exits 3 provision crash --telegram-token-file "$work/crash-token"
check "with --use-kept-data it comes back" exits 0 provision crash --telegram-token-file "$work/crash-token" --use-kept-data

# --- Many at once
reservation=3000
room=$("$cli" capacity --memory $reservation -o json | jq .more_tenants)
for number in $(seq 16); do
  (printf '777%06d:%s\n' "$number" "$(openssl rand -hex 16)" >"$work/many-$number"
    provision "many-$number" --telegram-token-file "$work/many-$number" --memory $reservation >"$work/many-$number.log" 2>&1
    echo $? >"$work/many-$number.code") &
done
wait
check "of 16 provisions at once exactly as many succeed as there is room ($room)" test "$(cat "$work"/many-*.code | grep -cx 0)" = "$room"
refused_rightly() { # prints what ended otherwise
  local code bad=0
  for code in "$work"/many-*.code; do
    grep -qx '[03]' "$code" || { bad=1; echo "exit $(cat "$code"):"; tail -n 4 "${code%.code}.log"; }
  done
  [ "$bad" -eq 0 ] && [ "$(cat "$work"/many-*.code | grep -cx 3)" = $((16 - room)) ]
}
check "the others are refused with exit 3" refused_rightly
check "ports are distinct on each host" bash -c "$cli status -o json | jq -e '[.tenants[] | \"\\(.host) \\(.port)\"] | length == (unique | length)'"
check "nothing is reserved beyond what is allocatable" bash -c "$cli status -o json | jq -e 'all(.hosts[]; .reserved_mib <= .allocatable_mib)'"

finish
