# shellcheck shell=bash disable=SC2154
# Backups, and restores onto the same and another host. Part of fleet_test.sh, which has check, exits, says,
# eventually, field, tenant_is, of_host, push and shown, and sets cli, work, fleet, real and the times.

data_of() { # data_of TENANT: its folder on the host where it is
  echo "$(of_host "$(field ".tenants[] | select(.name == \"$1\") | .host")" project_dir)/data/$1"
}
mark() { # mark TENANT TEXT: a file in its workspace, as the container's user would write it
  printf '%s\n' "$2" >"$(data_of "$1")/workspace/mark" && chown 1000:1000 "$(data_of "$1")/workspace/mark"
}
marked() { [ "$(cat "$(data_of "$1")/workspace/mark")" = "$2" ]; }
# Rules of OpenClaw's own tables call functions that Debian's SQLite does not have.
is_whole() { sqlite3 "$1" 'PRAGMA ignore_check_constraints=ON; PRAGMA integrity_check'; }
export -f is_whole
databases_are_whole() { # databases_are_whole FOLDER: at least one, and each passes its check
  local file count=0
  while IFS= read -r file; do
    if [ "$(is_whole "$file")" != ok ]; then
      [ -e "$file" ] || continue # a tenant at work makes databases for a moment and deletes them
      echo "$file is damaged"
      return 1
    fi
    count=$((count + 1))
  done < <(grep -rlaP '\ASQLite format 3' --include='*.sqlite' --include='*.db' "$1")
  [ "$count" -ge 1 ]
}
no_damage() { # no backup of acme has a database that the check took for damaged
  "$cli" backup list acme -o json | jq -e 'all(.backups[]; .databases > 0 and .damaged_databases == [])'
}
back_up() { "$cli" backup "$@" -o json >"$work/backup.json"; } # back_up TENANT [OPTION…]
backup_field() { "$cli" backup list "$1" -o json | jq -r ".backups[0].$2"; }
not_paused() { # not_paused TENANT
  [ "$(docker --host "$(of_host "$(field ".tenants[] | select(.name == \"$1\") | .host")" docker_host)" \
    inspect "mtp-$1" --format '{{.State.Paused}}')" = false ]
}
life() { # life TENANT: changes when its container is another one or was started again
  docker --host "$(of_host "$(field ".tenants[] | select(.name == \"$1\") | .host")" docker_host)" \
    inspect "mtp-$1" --format '{{.Id}} {{.State.StartedAt}}'
}
nothing_is_left() { # of interrupted work on any host
  ! find "$fleet"/hosts/*/project/data/.snapshots "$fleet"/hosts/*/project/data/.restores -mindepth 1 2>/dev/null | grep .
}

backups() {
  local before id host
  mark acme first
  before=$(life acme)
  check "a backup of acme succeeds" exits 0 back_up acme
  check "and says what it is" jq -e '.backups | length == 1 and (.[0] | .tenant == "acme" and (.id | length) == 26 and
    .files > 0 and .bytes_scanned > 0 and .pause_ms >= 0 and (.image_digest | startswith("sha256:")) and .verified_at == null)' "$work/backup.json"
  id=$(backup_field acme id)
  check "it is in the list" test "${#id}" = 26
  check "acme was neither started again nor left paused" test "$before" = "$(life acme)"
  check "acme is ready after it" eventually 10 tenant_is acme health ready
  check "status shows the backup" bash -c "$cli status -o json | jq -e '.tenants[] | select(.name == \"acme\") | .last_backup != null'"
  check "it is verified" exits 0 "$cli" backup verify "$id"
  check "and the list says so" test "$(backup_field acme verified_at)" != null
  mark acme second
  check "a restore into acme succeeds" exits 0 "$cli" backup restore acme --from "$id" --yes
  check "acme is ready after the restore" eventually "$restart_within" tenant_is acme health ready
  check "its data is that of the backup" marked acme first
  check "the replaced data is kept aside" grep -rqx second "$fleet"/hosts/*/project/data/.quarantine
  check "its databases are whole" databases_are_whole "$(data_of acme)"
  push "$(jq -n --arg t "$acme_token" '{token: $t, text: "after the restore?"}')"
  check "acme answers after the restore" eventually "$answer_within" shown 42 'any(.messages[]; .text // "" | contains("after the restore?"))'

  check "it is restored by hand with the recovery kit and restic alone" by_hand first

  check "it is exported" exits 0 "$cli" backup export "$id" "$work/acme.tar.gz"
  check "a second export does not replace the file" exits 3 "$cli" backup export "$id" "$work/acme.tar.gz"
  mkdir -p "$work/exported"
  check "tar unpacks it" tar -xzf "$work/acme.tar.gz" -C "$work/exported"
  check "to the data of the backup" test "$(cat "$work/exported/acme/workspace/mark")" = first
  check "with whole databases" databases_are_whole "$work/exported/acme"
  check "the repository is in order, all data read" exits 0 "$cli" repository check local --read-data

  # Removed on one host, back on the other.
  host=$(other_host "$(field '.tenants[] | select(.name == "acme") | .host')")
  check "acme is removed" exits 0 "$cli" remove acme --yes
  check "its backups stay, with the final one" bash -c "$cli backup list acme -o json |
    jq -e '.backups[0].reason == \"removal\" and any(.backups[]; .id == \"$id\")'"
  check "acme is restored on the other host" exits 0 "$cli" backup restore acme --from "$id" --host "$host"
  check "it is there" tenant_is acme host "$host"
  check "and ready" eventually "$start_within" tenant_is acme health ready
  check "with the data of the backup" marked acme first
  check "and whole databases" databases_are_whole "$(data_of acme)"
  push "$(jq -n --arg t "$acme_token" '{token: $t, text: "on the other host?"}')"
  check "acme answers on the other host" eventually "$answer_within" shown 42 'any(.messages[]; .text // "" | contains("on the other host?"))'
  check "nothing of interrupted work is left" nothing_is_left
}

acme_restic() { # acme_restic WORD…: restic, with the recovery kit alone
  local url root
  "$cli" recovery-kit --out "$work/kit.yaml" >/dev/null && [ "$(stat -c %a "$work/kit.yaml")" = 600 ] || return 1
  url=$("$cli" recovery-kit -o json | jq -r '.repositories[] | select(.name == "local") | .url')
  root=$(sed -n 's/^ *root_key: *"\{0,1\}\([0-9a-f]\{64\}\)"\{0,1\}$/\1/p' "$work/kit.yaml" | head -n 1)
  RESTIC_PASSWORD=$(printf %s mtp-repository/acme | openssl mac -digest SHA256 -macopt "hexkey:$root" -in - HMAC | tr A-F a-f) \
    restic --no-cache --repo "$url/acme" "$@"
}
by_hand() { # by_hand MARK
  acme_restic restore latest --target "$work/by-hand" &&
    [ "$(cat "$work/by-hand/data/workspace/mark")" = "$1" ] && jq -e '.tenant == "acme"' "$work/by-hand/tenant.json"
}
snapshots() { acme_restic snapshots --json | jq -r '.[].tags[]' | sed -n 's/^backup=//p' | sort; }
only_backups_are_kept() { # the repository holds what the list says
  diff <(snapshots) <("$cli" backup list acme -o json | jq -r '.backups[].id' | sort)
}

operation_is() { "$cli" op show "$1" -o json | jq -e --arg s "$2" '.state == $s'; } # operation_is ID STATE
snapshot_is_left() { snapshots | grep -qx "$1" && ! only_backups_are_kept >/dev/null; } # snapshot_is_left ULID
pruning_takes() { # pruning_takes ULID: that and nothing else
  "$cli" backup prune acme --keep-last 1000 --yes -o json >"$work/pruned.json" &&
    jq -e --arg id "$1" '[.removed[] | [.id, .reason]] == [[$id, "called-off"]]' "$work/pruned.json"
}
called_off_without_its_host() { # when its snapshot is complete, and the host stays away
  local host id
  host=$(field '.tenants[] | select(.name == "acme") | .host')
  check "the agent of $host is stopped" exits 0 quickstart --stop "agent:$host"
  MTP_FAILPOINT='before-persist:/snapshot:#end' check "and starts, to die at the end of a backup" exits 0 quickstart --start "agent:$host"
  check "the host is ready" eventually 30 host_is "$host" ready
  id=$("$cli" backup acme --no-wait -o json | jq -r '.operations[0].name | ltrimstr("operations/")')
  check "it dies" eventually 60 host_is "$host" unreachable
  check "the backup is called off" exits 0 "$cli" op cancel "$id"
  check "and has ended without its host" eventually 60 operation_is "$id" cancelled
  check "the agent starts again" exits 0 quickstart --start "agent:$host"
  check "acme is ready" eventually "$restart_within" tenant_is acme health ready
  check "the snapshot is there and in no list" eventually 30 snapshot_is_left "$id"
  check "a pruning takes it, and nothing else" pruning_takes "$id"
  check "the repository holds what the list says" only_backups_are_kept
}

backup_deaths() { # the agent and the controller die in the middle of backups and restores
  local host id number victim
  host=$(field '.tenants[] | select(.name == "acme") | .host')
  for victim in "agent:$host" controller; do
    mark acme "before the death of $victim"
    "$cli" backup acme --no-wait --request-id "death-$victim" >/dev/null 2>&1
    check "$victim is killed in a backup" quickstart --kill "$victim"
    check "$victim starts again" quickstart --start "$victim"
    check "the backup goes on by itself to its end" exits 0 back_up acme --request-id "death-$victim"
    check "as one backup" test "$(jq '.backups | length' "$work/backup.json")" = 1
    check "acme is not left paused" eventually 70 not_paused acme
    id=$(jq -r '.backups[0].id' "$work/backup.json")
    check "that verifies" exits 0 "$cli" backup verify "$id"
    mark acme "after the death of $victim"
    "$cli" backup restore acme --from "$id" --yes --no-wait --request-id "again-$victim" >/dev/null 2>&1
    check "$victim is killed in a restore" quickstart --kill "$victim"
    check "$victim starts again after that" quickstart --start "$victim"
    check "the restore goes on by itself to its end" exits 0 "$cli" backup restore acme --from "$id" --yes --request-id "again-$victim"
    check "and acme has the data of the backup" marked acme "before the death of $victim"
  done
  called_off_without_its_host
  check "nothing is left of it" nothing_is_left
  number=$("$cli" backup list acme -o json | jq '.backups | length')
  check "a repository that cannot be written fails the backup with exit 1" unwritable_repository
  check "no backup is added by it" test "$("$cli" backup list acme -o json | jq '.backups | length')" = "$number"
  check "status tells of the failure" bash -c "$cli status -o json | jq -e '.tenants[] | select(.name == \"acme\") | .backup_failure | length > 10'"
  check "the next backup succeeds" exits 0 "$cli" backup acme
  check "and status tells no more of a failure" bash -c "$cli status -o json | jq -e '.tenants[] | select(.name == \"acme\") | .backup_failure == null'"
}
unwritable_repository() {
  local code=0
  mv "$fleet/backups/acme" "$fleet/backups/acme.aside" && : >"$fleet/backups/acme"
  "$cli" backup acme || code=$?
  rm -f "$fleet/backups/acme" && mv "$fleet/backups/acme.aside" "$fleet/backups/acme"
  [ "$code" = 1 ]
}
