# shellcheck shell=bash disable=SC2154
# The certificate authority is replaced while calls go on, with a host away, an operator asleep, and the controller killed
# in the middle; then a host comes back that has no certificate any more. Part of fleet_test.sh, which has check, exits,
# says, eventually, field and handshake, and sets cli, work, fleet and controller.

authority() { "$cli" authority show -o json | jq -er "$1"; } # authority FILTER
authority_is() { authority "$1" >/dev/null || { "$cli" authority show; "$cli" op list; return 1; }; }
# Fingerprints of the authorities that a file of the fleet trusts, as `authority show` prints them.
fingerprints_in() {
  local certificate
  certificate=$(mktemp -d)
  csplit --quiet --elide-empty-files --prefix "$certificate/" "$1" '/-----BEGIN/' '{*}'
  for one in "$certificate"/*; do openssl x509 -in "$one" -outform DER | sha256sum | cut -c -64; done
  rm -rf "$certificate"
}
trusts_only() { # trusts_only FILE FINGERPRINT
  [ "$(fingerprints_in "$1")" = "$2" ] || { fingerprints_in "$1"; return 1; }
}
caller_trusts_only() { # caller_trusts_only FINGERPRINT: after a call
  "$cli" status >/dev/null &&
    trusts_only "$(identity_folder)/ca.pem" "$1"
}
identity_folder() { "$cli" context list -o json | jq -r '.contexts[] | select(.current) | .identity'; }
# A hundred calls a second, every tenth on a new connection, until no_call_failed; the identity is renewed by what the CLI does.
begin_calls() {
  calls_begun=$EPOCHSECONDS
  "$repository/build/bin/load_caller" --controller "$controller" --identity "$(identity_folder)" --rate 100 --parallel 10 \
    --seconds 1800 steady >"$work/calls.json" 2>"$work/calls.log" &
  calls_pid=$!
}
no_call_failed() {
  kill -TERM "$calls_pid"
  wait "$calls_pid"
  local code=$?
  cat "$work/calls.json" "$work/calls.log"
  [ "$code" -eq 0 ] && jq -e 'all(.lasting, .new; .calls > 0 and .failed == 0)' "$work/calls.json"
}
calls_made() { # of the last ones that no_call_failed has looked at
  jq -r --argjson s "$((EPOCHSECONDS - calls_begun))" \
    '"        \(.lasting.calls + .new.calls) calls, \(.new.calls) of them on a new connection, in \($s) s"' "$work/calls.json"
}
joins() { # joins HOST [OPTION…]: as docs/recovery.md says, in the host's own network; one of the fleet needs --rejoin
  "$cli" host token "$@" |
    nsenter "--net=/var/run/netns/$(of_host "$1" netns)" -- "$programs/mtp-agent" join - --data-dir "$fleet/hosts/$1/agent"
}
# A certificate of the last two minutes is not renewed yet.
ended_with_the_sleeper() {
  "$cli" --controller "$controller" --identity "$work/sleeper" status >/dev/null &&
    authority_is '.operation == null and (.authorities | length == 1)'
}
host_is() { [ "$(field ".hosts[] | select(.name == \"$1\") | .state")" = "$2" ] || { "$cli" status; return 1; }; }

rotation() {
  local old new host settings_before away
  away=$(other_host "$(host_of acme)") # another part may have moved acme, which is restarted meanwhile
  controller=$(jq -r .controller.address <<<"$info")
  old=$(authority '.authorities[0].fingerprint')
  check "there is one authority" authority_is '.authorities | length == 1'
  check "an operator is added that will sleep" exits 0 "$cli" operator add sleeper --role viewer --out "$work/sleeper"
  cp --archive "$work/sleeper" "$work/of-old"
  begin_calls
  check "the agent of $away is stopped" exits 0 quickstart --stop "agent:$away"
  check "a rotation begins" exits 0 "$cli" authority rotate --yes
  check "and no second one beside it" exits 3 "$cli" authority rotate --yes
  check "it is not finished while $away is away" authority_is '.authorities | length == 2'
  check "and says so" eventually 90 says "$away" "$cli" op show "$(authority .operation)"
  check "tenants are still cared for" exits 0 "$cli" restart acme
  check "the agent of $away is back" exits 0 quickstart --start "agent:$away"
  check "every host renews its certificate" eventually 300 authority_is \
    '(.hosts_to_renew | length == 0) and any(.authorities[]; .issuing and (.serving | not))'
  new=$(authority '.authorities[] | select(.issuing) | .fingerprint')
  check "the new authority is another one" test "$new" != "$old"
  check "it can only go on now" exits 3 "$cli" authority rotate --abort
  check "no call has failed so far" no_call_failed
  calls_made
  check "the controller is killed in the middle" quickstart --kill controller
  check "and starts again" quickstart --start controller
  begin_calls
  check "the sleeper alone is waited for" eventually 120 authority_is '.operators_to_renew == ["sleeper"]'
  check "the sleeper's old certificate is still let in" \
    exits 0 "$cli" --controller "$controller" --identity "$work/sleeper" status
  check "the rotation ends once it has renewed" eventually 300 ended_with_the_sleeper
  check "with the new authority" test "$(authority '.authorities[0].fingerprint')" = "$new"
  for host in h1 h2; do
    check "$host trusts the new one alone" eventually 30 trusts_only "$fleet/hosts/$host/agent/identity/ca.pem" "$new"
  done
  check "no call has failed since" no_call_failed
  calls_made
  check "and who calls trusts the new one alone, some minutes later" eventually 240 caller_trusts_only "$new"
  check "a certificate of the old authority is refused" \
    says "unexpected eof" handshake "$work/sleeper/ca.pem" -cert "$work/of-old/cert.pem" -key "$work/of-old/key.pem"
  check "and one of the new authority is not" \
    exits 0 handshake "$work/sleeper/ca.pem" -cert "$work/sleeper/cert.pem" -key "$work/sleeper/key.pem"
  check "the sleeper goes on" exits 0 "$cli" --controller "$controller" --identity "$work/sleeper" status
  check "acme restarts" exits 0 "$cli" restart acme

  settings_before=$(sha256sum <"$fleet/hosts/h2/agent/agent.yaml")
  check "the agent of h2 is stopped once more" exits 0 quickstart --stop agent:h2
  rm -f "$fleet/hosts/h2/agent/identity/"*.pem
  check "h2 joins again by the documented command" exits 0 joins h2 --rejoin
  check "with the settings that it had" test "$settings_before" = "$(sha256sum <"$fleet/hosts/h2/agent/agent.yaml")"
  check "its agent starts" exits 0 quickstart --start agent:h2
  check "and h2 is ready" eventually 60 host_is h2 ready
}
