# shellcheck shell=bash disable=SC2154
# Many provisions at once, and a host with many tenants. Part of fleet_test.sh, which has check, field, of_host, copies and
# provision, and sets cli, work and info.

compose_on() { # compose_on HOST ARGUMENT…: as an operator would in the project folder
  local host=$1
  shift
  (cd "$(of_host "$host" project_dir)" && DOCKER_HOST=$(of_host "$host" docker_host) docker compose "$@")
}
shows_all_containers() { # the Compose project of the host has what the engine runs
  local containers
  containers=$(($(field "[.tenants[] | select(.host == \"$1\")] | length") + 1))
  [ "$(compose_on "$1" ps --quiet | wc -l)" = "$containers" ]
}
follows_logs() {
  timeout 8 bash -c "$(declare -f compose_on of_host); info='$info'; compose_on $1 logs --follow --tail 2" >"$work/followed" 2>&1
  [ "$(cut -d '|' -f 1 "$work/followed" | sort -u | grep -c many-)" -ge 20 ]
}
refused_rightly() { # refused_rightly COUNT: so many were, each with a word on both hosts; prints what ended otherwise
  local code log refused=0 bad=0
  for code in "$work"/many-*.code; do
    log=${code%.code}.log
    case $(cat "$code") in
      0) ;;
      3) refused=$((refused + 1)); [ "$(grep -cE '^ *h[12]: ' "$log")" = 2 ] || { bad=1; tail -n 4 "$log"; } ;;
      *) bad=1; echo "exit $(cat "$code"):"; tail -n 4 "$log" ;;
    esac
  done
  [ "$bad" -eq 0 ] && [ "$refused" = "$1" ]
}
remove_at_once() { # remove_at_once NUMBER: of them, on each host; other parts need the room
  local name names code=0 removals=() removal
  names=$(field "[.tenants[] | select(.name | startswith(\"many-\"))] | group_by(.host)[][:$1][] | .name")
  for name in $names; do
    "$cli" remove "$name" --yes >"$work/removed-$name" 2>&1 &
    removals+=($!)
  done
  for removal in "${removals[@]}"; do wait "$removal" || code=1; done
  [ "$code" = 0 ] || tail -n 3 "$work"/removed-many-*
  for name in $names; do [ "$(copies "$name")" = 0 ] || { echo "$name is there"; code=1; }; done
  return "$code"
}
many() {
  local reservation=200 room number crowded
  while room=$("$cli" capacity --memory "$reservation" -o json | jq .more_tenants) && [ "$room" -gt 60 ]; do
    reservation=$((reservation + 10))
  done
  for number in $(seq 64); do
    (printf '777%06d:%s\n' "$number" "$(openssl rand -hex 16)" >"$work/many-$number"
      provision "many-$number" --telegram-token-file "$work/many-$number" --memory "$reservation" \
        --memory-limit 512 >"$work/many-$number.log" 2>&1
      echo $? >"$work/many-$number.code") &
  done
  wait
  check "of 64 provisions at once exactly as many succeed as there is room ($room)" test "$(cat "$work"/many-*.code | grep -cx 0)" = "$room"
  check "the others are refused with exit 3 and a reason for every host" refused_rightly $((64 - room))
  check "none is there twice" test "$(copies 'many-.*')" = "$room"
  check "ports are distinct on each host" bash -c "$cli status -o json | jq -e '[.tenants[] | \"\\(.host) \\(.port)\"] | length == (unique | length)'"
  check "nothing is reserved beyond what is allocatable" bash -c "$cli status -o json | jq -e 'all(.hosts[]; .reserved_mib <= .allocatable_mib)'"
  crowded=$(field '[.tenants[].host] | group_by(.) | max_by(length) | .[0]')
  check "a host has 30 tenants" test "$(field "[.tenants[] | select(.host == \"$crowded\")] | length")" -ge 30
  check "docker compose config is valid with 30 tenants" compose_on "$crowded" config --quiet
  check "docker compose ps shows them all" shows_all_containers "$crowded"
  check "docker compose logs -f follows them" follows_logs "$crowded"
  check "seven on each host are removed at the same time" remove_at_once 7
}
