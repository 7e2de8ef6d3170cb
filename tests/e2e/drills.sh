# shellcheck shell=bash disable=SC2154
# Drills of backups. Part of fleet_test.sh, as backups.sh, whose words it uses.

sandboxes() { # of all hosts: containers, and folders
  local host
  for host in h1 h2; do
    docker --host "$(of_host $host docker_host)" ps --all --quiet --filter label=mtp.drill
  done
  find "$fleet"/hosts/*/project/data/.drills -mindepth 1 2>/dev/null
}
no_sandbox() { ! sandboxes | grep .; }
drill() { "$cli" backup drill "$@" -o json >"$work/drill.json"; }
drill_fails() { # drill_fails TEXT ID: with exit 1, and says so
  local code=0
  "$cli" backup drill "$2" >"$work/drill.log" 2>&1 || code=$?
  if [ "$code" = 1 ] && grep -qF -- "$1" "$work/drill.log"; then return 0; fi
  echo "exit $code"
  cat "$work/drill.log"
  return 1
}
put() { # put FILE: from standard input into acme's data, as its user
  local path
  path=$(data_of acme)/$1
  cat >"$path" && chown 1000:1000 "$path"
}
damaged_database() {
  sqlite3 "$work/damaged.sqlite" 'CREATE TABLE t(x); CREATE INDEX i ON t(x);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT hex(randomblob(20)) FROM n'
  dd if=/dev/urandom of="$work/damaged.sqlite" bs=4096 seek=5 count=3 conv=notrunc status=none
  cat "$work/damaged.sqlite"
}
reserved() { field '[.hosts[].reserved_mib] | add'; }

drills() {
  local before id room config
  check "acme is backed up for a drill" exits 0 back_up acme
  id=$(jq -r '.backups[0].id' "$work/backup.json")
  before=$(life acme) room=$(reserved)
  check "a drill of acme starts its newest backup" exits 0 drill acme
  check "which is that one" jq -e --arg id "$id" '.backup == $id and .operation.state == "succeeded"' "$work/drill.json"
  echo "        ready after $(jq -r .operation.result.ready_ms "$work/drill.json") ms"
  check "the list says that it is proven" test "$(backup_field acme proven_at)" != null
  check "and so does status" bash -c "$cli status -o json | jq -e '.tenants[] | select(.name == \"acme\") | .proven_at != null'"
  check "acme's container was left alone" test "$before" = "$(life acme)"
  check "nothing of the sandbox is left" no_sandbox
  check "nor of the room that it took" test "$room" = "$(reserved)"

  damaged_database | put workspace/damaged.sqlite
  check "acme is backed up with a damaged database" exits 0 back_up acme
  rm -f "$(data_of acme)/workspace/damaged.sqlite"
  check "a drill of that fails and names it" drill_fails damaged.sqlite "$(jq -r '.backups[0].id' "$work/backup.json")"
  config=$(cat "$(data_of acme)/.openclaw/openclaw.json")
  echo '{ this is no configuration' | put .openclaw/openclaw.json
  check "acme is backed up with a configuration that cannot be read" exits 0 back_up acme
  put .openclaw/openclaw.json <<<"$config"
  check "a drill of that fails with its last words" drill_fails "Its last words" "$(jq -r '.backups[0].id' "$work/backup.json")"
  check "neither is proven" test "$(backup_field acme proven_at)" = null
  check "acme's container was left alone all the time" test "$before" = "$(life acme)"
  check "nothing of the sandboxes is left" no_sandbox
  check "acme is still ready" tenant_is acme health ready
  [ -n "$real" ] || drill_deaths "$id"
}

drill_deaths() { # drill_deaths ID: the agent dies in the middle of a drill
  local host
  host=$(field '.tenants[] | select(.name == "acme") | .host')
  "$cli" backup drill "$1" --no-wait --request-id drill-death >/dev/null 2>&1
  eventually 20 bash -c "find '$fleet/hosts/$host/project/data/.drills' -mindepth 1 -maxdepth 1 | grep ." >/dev/null
  check "the agent is killed in a drill" quickstart --kill "agent:$host"
  check "and starts again" quickstart --start "agent:$host"
  check "the drill goes on by itself to its end" exits 0 "$cli" backup drill "$1" --request-id drill-death
  check "and nothing of it is left" no_sandbox
}
