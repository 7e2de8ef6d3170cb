# shellcheck shell=bash disable=SC2154
# Joining with tokens that are good, used, expired, another host's or of another fleet. Part of fleet_test.sh, which
# has check, exits, says, eventually and state_of_the_world, and sets cli, work and repository.

join_host() { # join_host TOKEN FOLDER: a second agent of this machine, on a port of its own, which nobody starts afterwards
  "$programs/mtp-agent" join - <<<"$1" --data-dir "$work/$2" --advertise 127.0.0.1:7445 --no-admin
}
new_token() { "$cli" host token "$@" -o json; } # new_token HOST [OPTION…]
forged_token() { # forged_token TOKEN LINE TEXT: one of its fields replaced, with a checksum that fits
  local text=${1#mtpj1_} body
  while [ $((${#text} % 4)) -ne 0 ]; do text+='='; done
  body=$(tr -- '-_' '+/' <<<"$text" | base64 --decode | head -n 5 | sed "$2s|.*|$3|")
  printf 'mtpj1_%s' "$(printf '%s\n%.8s' "$body" "$(printf %s "$body" | sha256sum)" |
    base64 --wrap=0 | tr -- '+/' '-_' | tr -d =)"
}
hosts_and_tenants() {
  state_of_the_world
  "$cli" host list -o json | jq -S '[.hosts[] | {name, state, labels, cordoned}]'
}
refuses_to_join() { # refuses_to_join TOKEN TEXT: exit 1 and one sentence that holds the text; nothing is left
  local code=0
  rm -rf "$work/refused"
  join_host "$1" refused >"$work/joined" 2>&1 || code=$?
  cat "$work/joined"
  [ "$code" = 1 ] && [ "$(wc -l <"$work/joined")" = 1 ] && grep -qF -- "$2" "$work/joined" || return 1
  # A key that nobody signed may stay for the next try.
  [ -z "$(find "$work/refused" -type f ! -name key.pem 2>/dev/null)" ] || { find "$work/refused"; return 1; }
}
over() { [ "$(date +%s)" -gt "$(date --date "$1" +%s)" ]; } # over TIME

join_tokens() {
  local used short other before refusal='not valid'
  used=$(new_token spare | jq -r .token)
  check "a token with the fingerprint of another authority is refused by the host itself" \
    refuses_to_join "$(forged_token "$used" 4 "$(printf '0%.0s' {1..64})")" "has another fingerprint"
  check "the true token still joins" exits 0 join_host "$used" spare
  before=$(hosts_and_tenants)
  check "a used token is refused" refuses_to_join "$used" "$refusal"
  other=$(new_token other | jq -r .token)
  check "another host's token is refused" refuses_to_join "$(forged_token "$other" 2 h1)" "$refusal"
  short=$(new_token late --lifetime 1s)
  check "a token of a second runs out" eventually 10 over "$(jq -r .expires <<<"$short")"
  check "an expired token is refused" refuses_to_join "$(jq -r .token <<<"$short")" "$refusal"
  check "tokens that are refused change nothing" test "$before" = "$(hosts_and_tenants)"
  check "the audit log knows the reasons" bash -c "
    $cli audit -o json | jq -e '[.entries[] | select(.method | endswith(\"/Join\")) | .message | select(contains(\"token\"))] |
      unique | length >= 3'"
  check "a host that joined and never started can be removed" exits 0 "$cli" host remove spare
}
