# shellcheck shell=bash disable=SC2154
# A host whose machine is gone for good, taken out of the fleet with what is placed there. Part of fleet_test.sh, which has
# check, exits, says, eventually, field, of_host, tenant_is, provision, quickstart, host_is, joins and nothing_goes_on, and sets
# cli and work. The last part of its fleet: host h2 is another one afterwards.

not_in_the_fleet() { ! "$cli" host list -o json | jq -e --arg h "$1" 'any(.hosts[]; .name == $h)'; }
turn_off() { # turn_off HOST: nothing runs there any more, and nobody tells the fleet
  local engine containers
  engine=$(of_host "$1" docker_host)
  quickstart --kill "agent:$1"
  mapfile -t containers < <(docker --host "$engine" ps --quiet)
  [ ${#containers[@]} -eq 0 ] || docker --host "$engine" kill "${containers[@]}"
  quickstart --kill "engine:$1"
}
ended_as() { # ended_as OPERATION STATE
  [ "$("$cli" op show "$1" -o json | jq -r .state)" = "$2" ] || { "$cli" op show "$1"; return 1; }
}
lost_tenants() { jq -e "$1" "$work/lost.json" || { cat "$work/lost.json"; return 1; }; } # lost_tenants JQ

lost_host() {
  local name waiting
  for name in backed bare; do
    printf '5550009%s:%s\n' "${#name}0" "$(openssl rand -hex 16)" >"$work/$name-token"
    check "$name is provisioned on h2" exits 0 provision "$name" --telegram-token-file "$work/$name-token" --host h2
  done
  check "one of them is backed up" exits 0 "$cli" backup backed
  check "a host that is heard is not lost" exits 3 "$cli" host remove h2 --lost --yes
  check "the machine of h2 is turned off" turn_off h2
  check "it is seen to be away" eventually 60 host_is h2 unreachable
  waiting=$("$cli" stop bare --no-wait -o json | jq -r '.operation.name')
  check "a stop waits for it" eventually 20 says "waiting: host h2" "$cli" op show "$waiting"
  check "with tenants it is not removed" exits 3 "$cli" host remove h2
  check "and what can be done is said" says "mtp-cli host remove h2 --lost" "$cli" host remove h2
  check "nor without a word" exits 2 "$cli" host remove h2 --lost
  check "a dry run tells whose data is lost" says "no backup: its data is lost" "$cli" host remove h2 --lost --dry-run
  check "and changes nothing" tenant_is bare host h2
  check "by a word it leaves" bash -c "$cli host remove h2 --lost --yes -o json >$work/lost.json"
  check "the backup of one is named" lost_tenants '.tenants[] | select(.tenant == "backed") | .backup and .backup_time'
  check "that the other had none, too" lost_tenants '.tenants[] | select(.tenant == "bare") | .backup == null'
  check "it is not in the fleet any more" not_in_the_fleet h2
  check "nor are its tenants" bash -c "[ \"\$($cli status -o json | jq '[.tenants[] | select(.name == \"backed\" or .name == \"bare\")] | length')\" = 0 ]"
  check "what waited for it ends by itself" eventually 40 nothing_goes_on
  check "as failed" ended_as "$waiting" failed
  check "the audit log tells what went with it" says "it is lost, with" "$cli" audit -o json
  check "the one with a backup asked for that host" says "--host says where" "$cli" backup restore backed
  check "and comes back from it where it is told to" exits 0 "$cli" backup restore backed --host h1
  check "the other's name and bot are free" exits 0 provision bare --telegram-token-file "$work/bare-token"
  check "both are ready" eventually "$start_within" bash -c "[ \"\$($cli status -o json | jq '[.tenants[] | select((.name == \"backed\" or .name == \"bare\") and .health == \"ready\")] | length')\" = 2 ]"
  check "the other is removed again" exits 0 "$cli" remove bare --yes
  check "a machine that comes back under the old certificate" quickstart --start engine:h2
  check "with its agent" quickstart --start agent:h2
  check "is not of the fleet, and joins anew" exits 0 joins h2
  check "it is ready" eventually 60 host_is h2 ready
  check "it says that it has tenants that are none of the fleet" eventually 20 says "has tenants that this controller does not know" "$cli" host show h2
}
