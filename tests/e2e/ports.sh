# shellcheck shell=bash disable=SC2154
# A tenant's port is another program's when the tenant starts. Called by the part life, with acme stopped.

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
port_of() { field ".tenants[] | select(.name == \"$1\") | .port"; } # port_of TENANT
is_above() { [ "$(port_of acme)" -gt "$1" ]; } # is_above PORT
answers_at() { # answers_at HOST PORT: a gateway does
  nsenter "--net=/var/run/netns/$(of_host "$1" netns)" -- curl -fsS --max-time 10 --noproxy '*' "http://127.0.0.1:$2/readyz"
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
