# shellcheck shell=bash disable=SC2154
# Other secrets for tenants that are there: one that runs, one that is stopped, one while agent and controller die, and
# one with a bot that Telegram refuses. canaries.sh, of which this is a part, has plant_tenant, tell, dies and the rest,
# and looks for the former ones afterwards.

rotated() { # rotated TENANT FLAG…: with all secrets other than before, while it is there
  local tenant=$1
  shift
  tell tenant set "$tenant" --new-gateway-token --soak 2s "$@"
}
refuse_token() { # refuse_token NAME BOT: Telegram takes the planted token for none of its own
  local token
  # Only of plain characters does it arrive there whole.
  token=$2:$(sed -n "s/^$1 //p" "$canaries/list")
  echo "$token" >"$canaries/$1"
  curl -fsS -X POST -d "{\"token\": \"$token\", \"mode\": \"401\"}" "$telegram/control/mode" >/dev/null
}
has_making() { # has_making TENANT: a time zone, and no published port
  environment "$1" | jq -e 'index("TZ=Europe/Berlin")' >/dev/null &&
    docker --host "$(of_host "$(host_of "$1")" docker_host)" inspect "mtp-$1" | jq -e '(.[0].HostConfig.PortBindings // {}) == {}' >/dev/null
}
rotation_of_secrets() {
  local flags host env_file
  env_file=$(of_host "$(host_of can-a)" project_dir)/.env
  check "before the rotation the old ones are in their place" is_found first-anthropic "$env_file"
  plant_tenant third 555001007
  check "can-a gets other secrets while it runs" exits 0 rotated can-a "${flags[@]}"
  note_gateway third can-a
  check "they are in their place" is_found third-anthropic "$env_file"
  check "the same ones again change nothing" \
    exits 0 tell tenant set can-a "${flags[@]}" --request-id can-a-again
  check "which it says" says "has these settings already" tell tenant set can-a "${flags[@]}" --request-id can-a-again
  plant_tenant both 555001005
  check "a bot that another tenant has is refused" exits 3 rotated can-a "${flags[@]}"
  plant_tenant dead 555001009 && refuse_token dead-telegram 555001009
  check "with a token that Telegram refuses it goes back" exits 1 rotated can-a "${flags[@]}"
  check "to those that it had" is_found third-telegram "$env_file"
  check "and is well" tenant_is can-a health ready
  check "which secrets were changed is in the audit log" says "secrets.telegram_token" tell audit -o json
  check "it gets a time zone and no published port" exits 0 tell tenant set can-a --env TZ=Europe/Berlin --publish-port off --soak 2s
  check "its container has it so" has_making can-a
  check "a variable that the fleet does not allow is refused" exits 2 tell tenant set can-a --env DEBUG=1
  plant_tenant fifth 555001010
  check "can-b is stopped" exits 0 tell stop can-b
  check "it gets other secrets while it is stopped" exits 0 rotated can-b "${flags[@]}"
  check "and is started with them" exits 0 tell start can-b
  note_gateway fifth can-b
  plant_tenant fourth 555001008
  host=$(host_of can-k)
  rotated can-k "${flags[@]}" --no-wait --request-id can-k-2 >/dev/null
  check "its agent dies while can-k gets other secrets" dies "agent:$host"
  check "and the controller" dies controller
  check "it gets them all the same" exits 0 rotated can-k "${flags[@]}" --request-id can-k-2
  note_gateway fourth can-k
}
