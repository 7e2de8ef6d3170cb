# shellcheck shell=bash disable=SC2154
# A tenant's restarts, a start while its port is another program's, removals with a last backup and with kept data. Part of
# fleet_test.sh; the tenant crash is what the part deaths leaves.

port_holder=''
hold_port() { # hold_port HOST PORT: a program of that host listens there, for five minutes at most
  nsenter "--net=/var/run/netns/$(of_host "$1" netns)" -- python3 -c '
import socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listens", flush=True)
time.sleep(300)' "$2" >"$work/port-holder" 2>&1 &
  port_holder=$!
}
holds_port() { grep -q listens "$work/port-holder" || { cat "$work/port-holder"; return 1; }; }
release_port() { [ -z "$port_holder" ] || { kill "$port_holder" && wait "$port_holder"; port_holder=''; } 2>/dev/null; }
is_above() { [ "$(port_of acme)" -gt "$1" ]; } # is_above PORT
answers_at() { # answers_at HOST PORT: a gateway does
  nsenter "--net=/var/run/netns/$(of_host "$1" netns)" -- curl -fsS --max-time 10 --noproxy '*' "http://127.0.0.1:$2/readyz"
}

has_its_name() { # has_its_name DOCKER_HOST: acme's only container
  local names
  names=$(docker --host "$1" ps --all --filter label=com.docker.compose.service=acme --format '{{.Names}}')
  [ "$names" = mtp-acme ] || { echo "$names"; return 1; }
}
dies_when_anew() { # dies_when_anew DOCKER_HOST PROCESS: it is killed once acme's container is made under another name
  local name
  while read -r name; do
    [[ $name != *_mtp-acme ]] || { kill -9 "$2"; return; }
  done < <(timeout 60 docker --host "$1" events --filter event=create --format '{{.Actor.Attributes.name}}')
  return 1
}
# Compose makes a changed container under another name and gives it its own in the end. The agent dies, and Compose with it, once
# the engine has made one: seen from its events.
die_while_it_is_changed() {
  local host docker_host agent limit round=0 caught=0 killer
  host=$(host_of acme)
  docker_host=$(of_host "$host" docker_host)
  for limit in 2112 2176 2048; do
    round=$((round + 1))
    check "acme's limit is changed ($round of 3)" exits 0 "$cli" tenant set acme --memory-limit "$limit"
    agent=$(process_pid "agent-$host")
    dies_when_anew "$docker_host" "$agent" &
    killer=$!
    sleep 0.5 # until it is told of events
    "$cli" restart acme --no-wait --request-id "anew-$round" >"$work/anew" 2>&1 || cat "$work/anew"
    check "the agent dies while acme's container is made anew" wait "$killer"
    has_its_name "$docker_host" >/dev/null || caught=$((caught + 1))
    check "it starts again" quickstart --start "agent:$host"
    check "acme restarts all the same" exits 0 "$cli" restart acme --request-id "anew-$round"
    check "and has one container, under its name" has_its_name "$docker_host"
    check "and is ready" eventually "$restart_within" tenant_is acme health ready
  done
  check "it had another name when the agent died ($caught of 3)" test "$caught" -gt 0
}
start_without_its_port() {
  local host port
  host=$(host_of acme) port=$(port_of acme)
  hold_port "$host" "$port"
  check "another program has acme's port $port" eventually 10 holds_port
  check "acme starts all the same" exits 0 "$cli" start acme
  check "it has another port now" eventually 10 is_above "$port"
  check "at which it answers" eventually "$restart_within" answers_at "$host" "$(port_of acme)"
  release_port
  # Nobody else's bookmark changes twice.
  check "acme restarts when the port is free again" exits 0 "$cli" restart acme
  check "and keeps the one that it has" is_above "$port"
}

removed() { "$cli" remove "$1" --yes -o json >"$work/removed.json"; }
life_and_end() {
  local acme_before final archive
  check "acme restarts" exits 0 "$cli" restart acme
  check "acme is ready after a restart" eventually "$restart_within" tenant_is acme health ready
  push "$(jq -n --arg t "$acme_token" '{token: $t, text: "still there?"}')"
  check "acme answers after a restart" eventually "$answer_within" shown 42 'any(.messages[]; .text // "" | contains("still there?"))'
  die_while_it_is_changed
  check "acme stops" exits 0 "$cli" stop acme
  check "acme is shown as stopped" eventually 20 tenant_is acme status stopped
  start_without_its_port
  acme_before=$(docker --host "$docker_h1" inspect mtp-acme --format '{{.Id}} {{.State.StartedAt}}')
  check "beta is removed" exits 0 removed beta
  final=$(jq -r '.backup // empty' "$work/removed.json")
  if [ -n "$final" ]; then # the quick start's fleet has a repository
    archive=$work/beta.tar.gz
    check "its final backup is in the catalogue" bash -c "$cli backup list beta -o json | jq -e '.backups[0] | .id == \"$final\" and .reason == \"removal\"'"
    check "and is exported" exits 0 "$cli" backup export "$final" "$archive"
  else
    archive=$(find "$fleet"/hosts/*/project/backups -name 'beta-*.tar.gz' | head -n 1)
  fi
  mkdir -p "$work/restored"
  check "its backup unpacks" tar -xzf "${archive:-none}" -C "$work/restored"
  check "its databases are whole" bash -c "
    n=0; while read -r f; do [ \"\$(is_whole \"\$f\")\" = ok ] || exit 1; n=\$((n+1)); done < <(find $work/restored -name '*.sqlite'); [ \$n -ge 1 ]"
  check "no trace of beta is left" bash -c "
    for p in $fleet/hosts/*/project; do ! grep -rqi beta \$p/.env \$p/tenants.conf \$p/docker-compose.override.yml && [ ! -e \$p/data/beta ] || exit 1; done"
  check "acme did not notice" test "$acme_before" = "$(docker --host "$docker_h1" inspect mtp-acme --format '{{.Id}} {{.State.StartedAt}}')"
  check "crash is removed with its data kept" exits 0 "$cli" remove crash --yes --keep-data
  check "its name is refused until it is said what to do with the data" exits 3 provision crash --telegram-token-file "$work/crash-token"
  check "with --use-kept-data it comes back" exits 0 provision crash --telegram-token-file "$work/crash-token" --use-kept-data
}
