# shellcheck shell=bash disable=SC2154
# Updates in waves, and ways back. Part of fleet_test.sh, which has check, exits, says, eventually, field, tenant_is,
# of_host, provision and, from backups.sh, data_of, life and databases_are_whole; and sets cli, work, fleet, real and
# the times.
#
# The images are those of tests/doubles/openclaw/update_images.sh, which prints `KIND REF ARCHIVE` for each:
#   good           works
#   never-ready    its /readyz never says yes
#   migrates       changes the state, then ends
#   no-channel     is ready, and loses its channel a little later where there is a network
#   dies-in-soak   is ready, and ends a little later
#   one-client     works, but not on a state whose workspace has a file `fails-here`
#   MTP_UPDATES="no-channel good" …   only those; `lost-bot` is the good one for a tenant whose channel did not work before
images_tried=${MTP_UPDATES:-never-ready migrates no-channel lost-bot dies-in-soak one-client good}
# The first two of `members` are the canary and the next one, by name.
members=(alpha bravo charlie) bad_soak=20s
[ -z "$real" ] || members=(alpha bravo) bad_soak=90s
# The whole run has tried all of it with the double; with the real OpenClaw it then takes one client there and back.
brief=''
[ -z "$real" ] || [ -n "$servers" ] || brief=1 members=(alpha)

declare -A image_of=()
load_images() { # onto every host: they have the same image under the same name without a registry
  local kind reference archive host
  while read -r kind reference archive; do
    image_of[$kind]=$reference
    for host in h1 h2; do
      docker --host "$(of_host "$host" docker_host)" load --quiet --input "$archive" || return 1
    done
  done < <("$repository/tests/doubles/openclaw/update_images.sh" ${real:+--real "$image"})
  [ "${#image_of[@]}" -ge 6 ]
}
runs_image() { # the image id that the tenant's container runs
  docker --host "$(of_host "$(host_of "$1")" docker_host)" inspect "mtp-$1" --format '{{.Image}}'
}
id_of_image() { # id_of_image KIND
  docker --host "$(of_host h1 docker_host)" image inspect "${image_of[$1]}" --format '{{.Id}}'
}
# Every file with owner, mode and SHA-256, databases by their content, without what no backup holds (see
# agent/backup/exclusions.h). The real OpenClaw writes while it idles: of it, what its client and its operator made.
state_of() {
  local folder
  folder=$(data_of "$1") || return 1
  (
    cd "$folder" || exit 1
    if [ -n "$real" ]; then
      find workspace .openclaw -type f \( -path 'workspace/*' -o -name '*.jsonl' -o -name openclaw.json \) \
        -not -path '*/node_modules/*' -not -path '.openclaw/logs/*' -not -path '.openclaw/cache/*'
    else
      find . -type f -not -name '*-wal' -not -name '*-shm' -not -path './.openclaw/logs/*' \
        -not -path './.openclaw/cache/*' -not -path './.openclaw/tmp/*' -not -path './.openclaw/*.lock'
    fi | LC_ALL=C sort | while IFS= read -r file; do
      case $file in
        *.sqlite) printf '%s %s %s\n' "$(stat -c '%u:%g %a' "$file")" "$(sqlite3 -readonly "$file" 'PRAGMA user_version' .dump | sha256sum | cut -d' ' -f1)" "$file" ;;
        *) printf '%s %s\n' "$(stat -c '%u:%g %a' "$file")" "$(sha256sum "$file")" ;;
      esac
    done
  )
}
remember() { # remember TENANT…: state, image and life as they are now
  local tenant
  for tenant in "$@"; do
    state_of "$tenant" >"$work/state-$tenant" && runs_image "$tenant" >"$work/image-$tenant" && life "$tenant" >"$work/life-$tenant"
  done
}
is_as_before() { # is_as_before TENANT: image and state, byte by byte
  [ "$(runs_image "$1")" = "$(cat "$work/image-$1")" ] || { echo "$1 runs $(runs_image "$1")"; return 1; }
  state_of "$1" | diff "$work/state-$1" -
}
is_untouched() { # not even started again
  [ "$(life "$1")" = "$(cat "$work/life-$1")" ] || { echo "$1 was touched"; return 1; }
}
# Asks every member itself, from its host, again and again; a line for each round with the names that are ready.
poll_members() {
  local tenant round host
  declare -A at
  for tenant in "${members[@]}"; do
    host=$(host_of "$tenant")
    at[$tenant]="$(of_host "$host" netns) $(port_of "$tenant")"
  done
  while :; do
    round=''
    for tenant in "${members[@]}"; do
      # shellcheck disable=SC2086
      set -- ${at[$tenant]}
      ip netns exec "$1" curl -sf -m 2 -o /dev/null "http://127.0.0.1:$2/readyz" && round+=" $tenant"
    done
    echo "ready:$round"
    sleep 0.3
  done
}
with_polling() { # with_polling COMMAND…: rounds in $work/rounds
  local poller code=0
  poll_members >"$work/rounds" 2>/dev/null &
  poller=$!
  "$@" || code=$?
  kill "$poller"
  wait "$poller" 2>/dev/null
  return "$code"
}
one_at_a_time() { # in every round at most one was away, and in some round one was
  awk -v all="${#members[@]}" '{ away = all - (NF - 1); if (away > 1) bad = bad "\n" $0; if (away == 1) seen = 1 }
    END { if (bad != "") { print "away together:" bad; exit 1 } exit !seen }' "$work/rounds"
}
update() { "$cli" update "${members[@]}" --no-pull --yes -o json "$@" >"$work/rollout.json"; } # update OPTION…
rollout_says() { jq -e "$1" "$work/rollout.json"; } # rollout_says FILTER
rollout_now() { "$cli" rollout show latest -o json; }
rollout_is() { rollout_now | jq -e "$1"; } # rollout_is FILTER
tenant_state() { rollout_is ".tenants[] | select(.name == \"$1\") | .state == \"$2\""; } # tenant_state TENANT STATE
under_way() { # under_way TENANT STEP: its update carries that step out, or is beyond it
  local operation
  operation=$(rollout_now | jq -r ".tenants[] | select(.name == \"$1\") | .operation") && [ -n "$operation" ] &&
    "$cli" op show "${operation#operations/}" -o json | jq -e ".steps[] | select(.name == \"$2\") | .state != \"pending\""
}
all_ready() {
  local tenant
  for tenant in "${members[@]}"; do tenant_is "$tenant" health ready || return 1; done
}
put_back() { # every member onto the image of the fleet again, for the next part
  check "all go back to the fleet's image" exits 0 update --image "$old_image" --soak 1s --no-rehearsal --max-unavailable 8
}

# fails_on KIND CANARY OPTION…: the update fails at the canary, who is `untouched` or `back`; nobody else is touched.
fails_on() {
  local kind=$1 canary=$2 tenant
  shift 2
  remember "${members[@]}"
  check "an update to an image of the kind $kind ($*) fails" exits 1 update --image "${image_of[$kind]}" --soak "$bad_soak" "$@"
  check "and names the canary with the reason" rollout_says '.state == "failed" and (.error.message | contains("tenant alpha"))'
  if [ "$canary" = untouched ]; then
    check "the rehearsal has seen it: the canary is not touched" is_untouched alpha
    check "which is said" rollout_says '.tenants[0].message | contains("not touched")'
  else
    check "the canary is back, which is said" rollout_says '.tenants[0].message | contains("back on its old image")'
  fi
  check "it has its old image and its old state" is_as_before alpha
  for tenant in "${members[@]:1}"; do check "$tenant is not touched" is_untouched "$tenant"; done
  check "all are ready after it" eventually "$start_within" all_ready
  check "its databases are whole" databases_are_whole "$(data_of alpha)"
}

updates() {
  local tenant number=0 host
  check "the images for updates are on all hosts" load_images
  for tenant in "${members[@]}"; do
    number=$((number + 1))
    printf '88800%d:%s\n' "$number" "$(openssl rand -hex 16)" >"$work/$tenant-token"
    host=h$((number % 2 + 1))
    check "$tenant is provisioned" exits 0 provision "$tenant" --telegram-token-file "$work/$tenant-token" --host "$host"
    printf 'what %s told\n' "$tenant" >"$(data_of "$tenant")/workspace/told" && chown 1000:1000 "$(data_of "$tenant")/workspace/told"
  done
  old_image=$("$cli" status -o json | jq -r '.tenants[] | select(.name == "alpha") | .image')

  check "the preview has a canary and waves" bash -c "$cli update ${members[*]} --image ${image_of[good]} --no-pull --dry-run -o json |
    jq -e '.dry_run and ([.tenants[].wave] == [range(${#members[@]})])'"
  check "an unknown tenant is refused" exits 3 "$cli" update nobody --yes
  check "without a name or --all it is wrong usage" exits 2 "$cli" update

  if [ -n "$brief" ]; then
    fails_on migrates back --no-rehearsal
    good_update
    "$cli" remove alpha --yes >/dev/null 2>&1
    return
  fi
  for kind in $images_tried; do
    case $kind in
      never-ready | migrates)
        fails_on "$kind" untouched
        fails_on "$kind" back --no-rehearsal
        ;;
      no-channel | dies-in-soak) fails_on "$kind" back ;;
      lost-bot) update_without_a_channel ;;
      one-client) failure_of_one_client ;;
      good) good_update ;;
    esac
  done
  [ -n "$real" ] || { steering; update_deaths; }
  for tenant in "${members[@]}"; do "$cli" remove "$tenant" --yes >/dev/null 2>&1; done
}

bot_mode() { # bot_mode TENANT MODE
  curl -fsS -X POST -d "{\"token\": \"$(cat "$work/$1-token")\", \"mode\": \"$2\"}" \
    "$telegram/control/mode" >/dev/null
}
update_noted() { # update_noted TENANT TEXT: a step of its last update
  "$cli" op list --target "$1" -o json |
    jq -e --arg text "$2" '[.operations[] | select(.kind == "update")][0].steps | any(.message | contains($text))'
}
update_without_a_channel() { # bravo has been up for long enough that OpenClaw speaks of its channel
  remember "${members[@]}"
  bot_mode bravo 409
  check "another poller on its bot makes a tenant degraded" eventually 150 tenant_is bravo health degraded
  check "which does not keep it from an update" exits 0 "$cli" update bravo --image "${image_of[good]}" --no-pull --yes --soak 5s
  check "it runs the new image" test "$(runs_image bravo)" = "$(id_of_image good)"
  check "and its history says so" update_noted bravo 'telegram did not work before, either'
  bot_mode bravo ok
  check "it is ready once its bot is" eventually 150 tenant_is bravo health ready
  put_back
}

failure_of_one_client() { # the canary gets it, the one with the odd state does not
  : >"$(data_of bravo)/workspace/fails-here" && chown 1000:1000 "$(data_of bravo)/workspace/fails-here"
  remember "${members[@]}"
  check "an image that fails for one client's state stops there" exits 1 update --image "${image_of[one-client]}" --soak 3s
  check "the canary has it" test "$(runs_image alpha)" = "$(id_of_image one-client)"
  check "the rehearsal has kept the client from it" is_untouched bravo
  check "its state is as it was" is_as_before bravo
  check "and the rollout names it" rollout_says '.state == "failed" and (.error.message | contains("tenant bravo"))'
  rm -f "$(data_of bravo)/workspace/fails-here"
  put_back
}

good_update() {
  local tenant
  remember "${members[@]}"
  check "a good image reaches everybody" with_polling exits 0 update --image "${image_of[good]}" --soak 5s
  check "as the rollout says" rollout_says '.state == "succeeded" and all(.tenants[]; .state == "updated" and .from_image != .to_image)'
  for tenant in "${members[@]}"; do
    check "$tenant runs it" test "$(runs_image "$tenant")" = "$(id_of_image good)"
    check "$tenant has its state" grep -qx "what $tenant told" "$(data_of "$tenant")/workspace/told"
  done
  check "one at a time, while the others were available" one_at_a_time
  check "the same again leaves all alone" exits 0 update --image "${image_of[good]}"
  check "and says why" rollout_says 'all(.tenants[]; .state == "skipped" and (.message | contains("already")))'
  put_back
}

begin() { "$cli" update "${members[@]}" --no-pull --yes --no-wait -o json "$@" | jq -r .id; } # begin OPTION…: its id
steering() { # pause, resume, abort, and two operators
  local id ids
  for _ in 1 2 3; do (begin --image "${image_of[good]}" --soak 15s >>"$work/ids") & done
  wait
  ids=$(sort -u "$work/ids" | wc -l)
  check "three who start the same update get one" test "$ids" = 1
  id=$(head -n 1 "$work/ids")
  check "another one is refused meanwhile" exits 3 "$cli" update alpha --no-pull --yes --image "${image_of[good]}"
  check "the canary is in the middle" eventually 60 under_way alpha soak
  check "it is paused" exits 0 "$cli" rollout pause "$id"
  check "the canary is finished" eventually 60 tenant_state alpha updated
  sleep 3
  check "nobody else is begun" tenant_state bravo pending
  check "it goes on" exits 0 "$cli" rollout resume latest
  check "with the next one" eventually 60 under_way bravo soak
  printf '%s\n' "$(cat "$work/image-bravo")" >"$work/old-bravo"
  check "it is aborted" exits 0 "$cli" rollout abort "$id"
  check "which watch tells with exit 1" exits 1 "$cli" rollout watch "$id"
  check "it ends as aborted" rollout_is '.state == "aborted"'
  check "who was in the middle is back" test "$(runs_image bravo)" = "$(cat "$work/old-bravo")"
  check "who had it keeps it" test "$(runs_image alpha)" = "$(id_of_image good)"
  check "all are ready after the abort" eventually "$start_within" all_ready
  put_back
}

update_deaths() { # the controller and agents die in the middle of an update and of a way back
  local victim step host kind members=(alpha bravo)
  declare -A steps kinds
  host=$(host_of alpha)
  # Deaths at every step are tried by the tests of the operation; here, real processes at the longest ones.
  steps=([controller]="backup start-container" ["agent:$host"]="stop soak")
  kinds=([controller]=never-ready ["agent:$host"]=dies-in-soak)
  for victim in controller "agent:$host"; do
    for step in ${steps[$victim]}; do
      remember "${members[@]}"
      begin --image "${image_of[good]}" --soak 4s >/dev/null
      check "an update carries out $step" eventually 120 under_way alpha "$step"
      check "$victim is killed in it" quickstart --kill "$victim"
      check "$victim starts again" quickstart --start "$victim"
      check "the rollout goes on by itself to its end" exits 0 "$cli" rollout watch latest
      check "and everybody has the image once" rollout_is '.state == "succeeded" and all(.tenants[]; .state == "updated")'
      check "all are ready" eventually "$start_within" all_ready
      put_back
    done
    for kind in ${kinds[$victim]}; do
      remember "${members[@]}"
      begin --image "${image_of[$kind]}" --soak 10s --no-rehearsal >/dev/null
      check "an update to the kind $kind is being undone" eventually 180 tenant_is_brought_back alpha
      check "$victim is killed on the way back" quickstart --kill "$victim"
      check "$victim starts again after that" quickstart --start "$victim"
      check "the rollout ends by itself as failed" exits 1 "$cli" rollout watch latest
      check "alpha has its old image and its old state" is_as_before alpha
      check "nobody else was touched" is_untouched bravo
      check "all are ready after the way back" eventually "$start_within" all_ready
    done
  done
  check "nothing of interrupted work is left" nothing_is_left
}
tenant_is_brought_back() { rollout_is ".tenants[] | select(.name == \"$1\") | (.state == \"failed\" or (.message | startswith(\"is brought back\")))"; }
