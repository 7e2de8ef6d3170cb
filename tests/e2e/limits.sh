# shellcheck shell=bash disable=SC2154
# Memory limits of tenants that run, and tenants that keep ending. Part of fleet_test.sh, as backups.sh, whose data_of
# and life it uses.

inspected() { # inspected TENANT TEMPLATE
  docker --host "$(of_host "$(field ".tenants[] | select(.name == \"$1\") | .host")" docker_host)" inspect "mtp-$1" --format "$2"
}
has_limit() { # has_limit TENANT MIB: of memory, and twice that of memory and swap
  [ "$(inspected "$1" '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}')" = "$(($2 << 20)) $(($2 << 21))" ] ||
    { inspected "$1" '{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}'; return 1; }
}
reserved_on() { field ".hosts[] | select(.name == \"$1\") | .reserved_mib"; } # reserved_on HOST
shows() { "$cli" tenant show "$1" -o json | jq -e "$2"; } # shows TENANT JQ
faults() { # faults TENANT TEXT: what the double does wrong from now on
  printf '%s\n' "$2" >"$(data_of "$1")/.openclaw/double-faults"
}
uses_more_than() { [ "$(field ".tenants[] | select(.name == \"$1\") | .memory_mib")" -gt "$2" ]; } # TENANT MIB

limits() {
  local before host reserved
  before=$(life acme)
  host=$(field '.tenants[] | select(.name == "acme") | .host')
  check "a limit is raised" exits 0 "$cli" tenant set acme --memory-limit 3000
  check "the engine has it" has_limit acme 3000
  check "and lowered again" exits 0 "$cli" tenant set acme --memory-limit 2000
  check "the engine has that, too" has_limit acme 2000
  check "acme was neither made anew nor started again" test "$before" = "$(life acme)"
  check "status shows the limit" eventually 20 tenant_is acme memory_limit_mib 2000
  check "tenant show tells what was asked for" shows acme '.spec.memory_limit_mib == 2000 and .memory_limit_mib == 2000'
  reserved=$(reserved_on "$host")
  check "a reservation is changed" exits 0 "$cli" tenant set acme --memory-reservation 1124 --label tier=gold
  check "the host has 100 MiB less" test "$(reserved_on "$host")" = "$((reserved + 100))"
  check "the label is there" shows acme '.labels.tier == "gold"'
  check "a reservation beyond the host's room is refused with exit 3" exits 3 "$cli" tenant set acme --memory-reservation 900000 --memory-limit 900000
  check "and told where" says "host $host has no room" "$cli" tenant set acme --memory-reservation 900000 --memory-limit 900000
  check "a limit below the reservation is refused with exit 2" exits 2 "$cli" tenant set acme --memory-limit 1000
  check "a limit that OpenClaw cannot live with is refused with exit 2" exits 2 "$cli" tenant set acme --memory-reservation 16 --memory-limit 63
  check "with what was measured" says "780 MiB" "$cli" tenant set acme --memory-reservation 16 --memory-limit 63
  check "the refusals changed nothing" has_limit acme 2000
  [ -n "$real" ] || below_use
  check "all is put back to the defaults" exits 0 "$cli" tenant set acme --memory-limit 0 --memory-reservation 0 --remove-label tier
  check "as it was reserved" test "$(reserved_on "$host")" = "$reserved"
  check "acme did not notice any of it" test "$before" = "$(life acme)"
  check "the agent of its host is killed" quickstart --kill "agent:$host"
  check "and starts again" quickstart --start "agent:$host"
  sleep 5 # it has looked at what should run
  check "acme is ready" eventually "$restart_within" tenant_is acme health ready
  check "and was left alone" test "$before" = "$(life acme)"
  check "a restart makes it anew with what was set" exits 0 "$cli" restart acme
  check "and the engine has the default" has_limit acme 2048
}
below_use() {
  faults acme leak-mib-per-s=40
  check "acme uses more and more" eventually 40 uses_more_than acme 200
  faults acme ''
  check "a limit below what acme uses fails with exit 1" exits 1 "$cli" tenant set acme --memory-reservation 64 --memory-limit 128
  check "and says how much that is" says "MiB now" "$cli" tenant set acme --memory-reservation 64 --memory-limit 128
  check "its limit is the old one" has_limit acme 2000
  check "what was asked for before stands" shows acme '.spec.memory_limit_mib == 2000 and .memory_reservation_mib == 1124'
}

crash_loops() {
  local restarts host
  printf '555000555:%s\n' "$(openssl rand -hex 16)" >"$work/loop-token"
  check "loop is provisioned" exits 0 provision loop --telegram-token-file "$work/loop-token" --memory 64 --memory-limit 256
  faults loop exit-after=1
  check "a tenant that ends again and again is parked" eventually 120 tenant_is loop parked true
  check "status says failed and down" bash -c "$cli status -o json | jq -e '.tenants[] | select(.name == \"loop\") | .status == \"failed\" and .health == \"down\"'"
  check "and why, and what to do" bash -c "$cli status -o json | jq -e '.tenants[] | select(.name == \"loop\") | .message | contains(\"ended 5 times\") and contains(\"mtp-cli start loop\")'"
  check "tenant show has its last words" shows loop '.last_log_lines | length >= 1 and length <= 20'
  check "without its token" bash -c "! $cli tenant show loop -o json | grep -qF -f <(cut -d: -f2 $work/loop-token)"
  check "it does not run" test "$(inspected loop '{{.State.Running}}')" = false
  restarts=$(inspected loop '{{.RestartCount}}')
  host=$(field '.tenants[] | select(.name == "loop") | .host')
  check "the agent of its host is killed in turn" quickstart --kill "agent:$host"
  check "and starts" quickstart --start "agent:$host"
  check "loop is still parked" eventually 30 tenant_is loop parked true
  sleep 10
  check "and not started" test "$(inspected loop '{{.State.Running}} {{.RestartCount}}')" = "false $restarts"
  faults loop ''
  check "a start brings it back" exits 0 "$cli" start loop
  check "and it is parked no more" eventually 20 tenant_is loop parked false

  faults loop leak-mib-per-s=100
  check "the kernel's kills are counted" eventually 90 bash -c "$cli status -o json | jq -e '.tenants[] | select(.name == \"loop\") | .oom_kills >= 1'"
  check "and told with the limit" eventually 20 bash -c "$cli status -o json | jq -e '.tenants[] | select(.name == \"loop\") | .message | contains(\"lack of memory\") and contains(\"256 MiB\") and contains(\"mtp-cli tenant set loop\")'"
  faults loop ''
  check "loop is removed" exits 0 "$cli" remove loop --yes
}
