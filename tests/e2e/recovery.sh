# shellcheck shell=bash disable=SC2154
# The controller is lost with its disk and made again from the recovery kit. Part of fleet_test.sh; uses what backups.sh
# has.

controller_program=$programs/mtp-controller
# A copy that is still being written has a name of its own, `<id>-tmp-<number>`, and counts for nothing.
copies_in() { find "$1/_controller/snapshots" -type f ! -name '*-tmp-*' 2>/dev/null | wc -l; }
has_a_copy() { [ "$(copies_in "$1")" -ge 1 ]; }
has_a_copy_of_each_host() { [ "$(copies_in "$1")" -ge "$("$cli" status -o json | jq '.hosts | length')" ]; }
sealed() { # sealed FOLDER: nothing of the state can be read in the newest copy, with the password that agents have
  local root
  root=$(sed -n '/name: "\{0,1\}spare/,$ s/^ *root_key: *"\{0,1\}\([0-9a-f]\{64\}\)"\{0,1\}$/\1/p' "$work/recovery-kit.yaml" | head -n 1)
  RESTIC_PASSWORD=$(printf %s mtp-repository/_controller | openssl mac -digest SHA256 -macopt "hexkey:$root" -in - HMAC | tr A-F a-f) \
    restic --no-cache --no-lock --repo "$1/_controller" dump latest /state >"$work/state" && [ -s "$work/state" ] &&
    ! grep -qaE 'tenants/|PRIVATE KEY|quickstart' "$work/state"
}
knows_not() { # knows_not TENANT: status tells that a host has a tenant that the controller does not know
  "$cli" status -o json | jq -e --arg t "$1" 'any(.hosts[]; (.message // "") | contains($t))'
}

recovery() {
  local host id late_token=$work/late-token passphrase=$work/passphrase
  check "a tenant is backed up before it is removed" exits 0 back_up crash
  id=$(backup_field crash id)
  check "and removed" exits 0 "$cli" remove crash --yes
  printf '555000555:%s\n' "$(openssl rand -hex 16)" >"$work/early-token"
  check "a tenant is there before the copy" exits 0 provision early --telegram-token-file "$work/early-token"
  mark early "before the copy"
  check "with a backup" exits 0 back_up early
  check "a repository is added" exits 0 "$cli" repository add spare "$work/spare"
  check "it gets a copy of the controller's state by itself" eventually 90 has_a_copy "$work/spare"
  check "the recovery kit is printed" exits 0 "$cli" recovery-kit --out "$work/recovery-kit.yaml"
  check "the copy is sealed from whoever may write it" sealed "$work/spare"
  check "the hosts that share the folder leave each other's copies there" eventually 90 has_a_copy_of_each_host "$work/spare"
  printf '555000444:%s\n' "$(openssl rand -hex 16)" >"$late_token"
  check "a tenant comes after the copy" exits 0 provision late --telegram-token-file "$late_token"
  host=$(field '.tenants[] | select(.name == "late") | .host')
  mark late "after the copy"
  check "and another one goes" exits 0 "$cli" remove early --yes
  openssl rand -hex 16 >"$passphrase"
  check "an operator's own copy is made while the controller runs" \
    exits 0 "$controller_program" backup "$work/own-copy" --passphrase-file "$passphrase" --data-dir "$fleet/controller"
  check "for its owner alone" test "$(stat -c %a "$work/own-copy")" = 600

  check "the controller is killed" quickstart --kill controller
  mv "$fleet/controller" "$work/lost-controller"
  check "it is recovered with the kit alone" \
    exits 0 "$controller_program" recover --kit "$work/recovery-kit.yaml" --data-dir "$fleet/controller"
  check "for its owner alone as well" test "$(stat -c %a "$fleet/controller")" = 700
  check "but not over a folder that is in use" \
    exits 1 "$controller_program" recover --kit "$work/recovery-kit.yaml" --data-dir "$fleet/controller"
  check "the recovered controller starts" quickstart --start controller
  check "the operator's certificate opens it" exits 0 "$cli" status
  check "acme is there and ready" eventually 30 tenant_is acme health ready
  push "$(jq -n --arg t "$acme_token" '{token: $t, text: "after the recovery?"}')"
  check "acme answers" eventually "$answer_within" shown 42 'any(.messages[]; .text // "" | contains("after the recovery?"))'
  check "acme restarts at the new controller's word" exits 0 "$cli" restart acme
  check "acme is backed up" exits 0 back_up acme
  check "the removed tenant is restored, with the secrets that it had" exits 0 "$cli" backup restore crash --from "$id"
  check "and ready" eventually "$start_within" tenant_is crash health ready
  check "status tells of the tenant that came after the copy" eventually 20 knows_not late
  check "it is taken in again" exits 0 provision late --telegram-token-file "$late_token" --host "$host"
  check "and ready" eventually "$start_within" tenant_is late health ready
  check "with its data" marked late "after the copy"
  check "and status is silent about it" bash -c "! $cli status -o json | jq -e 'any(.hosts[]; (.message // \"\") | contains(\"late\"))'"
  check "the one that went is shown as failed" tenant_is early status failed
  check "it is removed although its host has nothing of it" exits 0 "$cli" remove early --yes
  check "its backup still brings it back" exits 0 "$cli" backup restore early --yes
  check "with that backup's data" marked early "before the copy"
  check "then it is removed" exits 0 "$cli" remove early --yes
  check "late is removed" exits 0 "$cli" remove late --yes

  check "a wrong passphrase opens nothing" exits 1 "$controller_program" recover --file "$work/own-copy" \
    --passphrase-file "$late_token" --data-dir "$work/second"
  check "the operator's own copy is recovered too" exits 0 "$controller_program" recover --file "$work/own-copy" \
    --passphrase-file "$passphrase" --data-dir "$work/second"
}
