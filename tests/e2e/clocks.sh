# shellcheck shell=bash disable=SC2154,SC2034
# Wall clocks of the controller and of an agent that are set back and forward by an hour and by a day, while they run. Part of
# fleet_test.sh, as traffic.sh, whose workers, ledger and judges it uses; only when it is named, since its fleet is made
# three days ago: certificates that are younger are rightly refused by who thinks it is yesterday (decision 0014).
#
# The clock is that of one program: tests/clock/wall_clock.cc, loaded before its libraries by LD_PRELOAD, which the quick start hands on
# to what it starts. Programs written in Go (engine, Compose, restic) keep the machine's: an agent and its engine disagree.

clock_library=$repository/build/bin/wall_clock.so
clock_lease_s=15 # jumps are looked at for longer
hour_s=3600 day_s=86400

make_clock_library() { ninja -C "$repository/build" wall_clock && [ -e "$clock_library" ]; }
set_clock() { # set_clock FILE SECONDS: how far whoever has that clock is ahead; in place, since it is mapped
  [ -e "$1" ] || head -c 8 /dev/zero >"$1"
  python3 -c 'import struct, sys; open(sys.argv[1], "r+b").write(struct.pack("=q", int(sys.argv[2]) * 10**9))' "$1" "$2"
}
# What the quick start starts from now on was born three days ago; end_birth brings all of it to the present at once.
begin_birth() {
  make_clock_library && set_clock "$work/clock-birth" $((-3 * day_s)) || return 1
  born=(env "MTP_WALL_CLOCK=$work/clock-birth" "LD_PRELOAD=$clock_library")
}
end_birth() {
  born=()
  set_clock "$work/clock-birth" 0
}
give_clock() { # give_clock WHAT: it is started again with a clock of its own, which is right
  set_clock "$work/clock-${1/:/-}" 0 && quickstart --stop "$1" &&
    MTP_WALL_CLOCK=$work/clock-${1/:/-} LD_PRELOAD=$clock_library quickstart --start "$1"
}
has_clock() { grep -qF "$work/clock-${1/:/-}" "/proc/$(process_of "$1")/maps"; } # has_clock WHAT
take_clocks() { # all of them are started again without
  local what
  for what in controller agent:h1 agent:h2; do quickstart --stop "$what" && quickstart --start "$what" || return 1; done
}
controller_is_ahead() { # controller_is_ahead SECONDS: by its own word
  local ahead=$(($(date -d "$(field .time)" +%s) - $(date +%s) - $1))
  [ "${ahead#-}" -le 30 ] || { echo "off by $ahead s"; return 1; }
}
throughout() { # throughout SECONDS COMMAND…: true each time that it is asked
  local end=$((SECONDS + $1))
  shift
  while [ "$SECONDS" -lt "$end" ]; do
    "$@" || return 1
    sleep 0.5
  done
}
status_is_true() { # hosts and tenants are what they are, in one look
  local told
  told=$("$cli" status -o json)
  jq -e '(.hosts | length == 2) and all(.hosts[]; .state == "ready" and .guarded) and
    (.tenants[] | select(.name == "timely") | .status == "running" and .health == "ready" and .uptime_s >= 0)' <<<"$told" >/dev/null ||
    { jq -c '.hosts[], .tenants[] | {name, state, status, health, guarded, message, uptime_s}' <<<"$told"; return 1; }
}
# Every key and certificate that somebody works with.
certificates() {
  local own
  own=$("$cli" context list -o json | jq -r '.contexts[] | select(.current) | .identity')
  find "$fleet/controller/pki" "$fleet/controller/identity" "$fleet"/hosts/*/agent/identity "$own" -type f -name '*.pem' -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum
}
no_certificate_changed() { certificates | diff "$work/certificates" -; }

# --- Schedules
moments() { # of the backups of timely that the schedule has begun; it names its requests by them
  "$cli" op list --limit 10000 --target timely -o json |
    jq '[.operations[] | select(.created_by == "system/schedule" and .kind == "backup") |
      .request_id | capture("-(?<moment>[0-9]+)-[0-9]+$").moment | tonumber]'
}
scheduled() { moments | jq --argjson first "$first_moment" 'map(select(. >= $first)) | length'; }
# Moments from the first one that was due to the latest that a clock has shown; each is one backup, however often it comes.
moments_shown() { echo $((($(date +%s) + day_s - first_moment) / day_s + 1)); }
scheduled_once_each() {
  [ "$(scheduled)" = "$(moments_shown)" ] || { echo "$(scheduled) scheduled backups, $(moments_shown) moments"; return 1; }
}
# Who was sent back to yesterday may have seen the moment of before the schedule come, once.
none_was_early() {
  local found
  found=$(moments)
  jq -e --argjson last $((first_moment - day_s)) '. == [] or . == [$last]' <<<"$found" >/dev/null || { echo "$found"; return 1; }
}

is_between() { [ "$2" -ge "$1" ] && [ "$2" -le "$3" ]; } # is_between LEAST NUMBER MOST

prepare_clocks() {
  local host
  sed -i "s/^lease_s: .*/lease_s: $clock_lease_s/" "$fleet/controller/controller.yaml"
  for host in controller agent:h1; do
    check "$host is started with a clock of its own" give_clock "$host"
    check "and looks at it" eventually 10 has_clock "$host"
  done
  check "the leases last $clock_lease_s s" grep -qx "lease_s: $clock_lease_s" "$fleet/controller/controller.yaml"
  printf '555000999:%s\n' "$(openssl rand -hex 16)" >"$work/timely-token"
  for host in h1 h2; do check "$host is ready" eventually 60 is_back "$host"; done
  for host in h1 h2; do check "the guard of $host is seen to run" eventually 30 is_guarded "$host" true; done
  check "a tenant is there that lives by its lease" exits 0 provision timely --telegram-token-file "$work/timely-token" \
    --host h1 --memory 16 --memory-limit 64 --failover failover
  check "it is backed up" exits 0 "$cli" backup timely
  check "and has a schedule" exits 0 "$cli" backup schedule timely --on --every 1d --drill-every off
  first_moment=$(date -d "$("$cli" backup schedule timely -o json | jq -r '.next_backup // .tenants[0].next_backup')" +%s)
  check "with a moment within a day" is_between 1 $((first_moment - $(date +%s))) "$day_s"
  forget_polls "$(token_of timely)"
  timely_life=$(life timely)
  certificates >"$work/certificates"
  check "there are certificates to look at" test "$(wc -l <"$work/certificates")" -ge 6
}

clock_jump() { # clock_jump WHAT SECONDS
  local begun=$SECONDS word
  word="$1 $(in_words "$2"):"
  cp "$traffic/ledger" "$traffic/ledger-at-jump"
  check "$word the clock is set" set_clock "$work/clock-${1/:/-}" "$2"
  [ "$1" != controller ] || check "$word and it says so" eventually 5 controller_is_ahead "$2"
  check "$word for longer than a lease status tells the truth: all is ready" throughout $((clock_lease_s + 5)) eventually 5 status_is_true
  check "$word what was under way has succeeded" eventually "$(left_of "$begun")" have_succeeded "$traffic/ledger-at-jump"
  check "$word the controller has what it acknowledged, each once" ledger_holds
  check "$word the tenant that lives by its lease was not touched" test "$timely_life" = "$(life timely)"
  check "$word no certificate was replaced" no_certificate_changed
}
in_words() { # in_words SECONDS
  case $1 in
    0) echo "is right again" ;;
    -*) echo "is set back by $((${1#-} / hour_s)) h" ;;
    *) echo "is set forward by $(($1 / hour_s)) h" ;;
  esac
}

# That the clock reaches what it is to reach: to who thinks it is last week, nobody has a certificate yet.
before_its_certificates() {
  check "planted: a clock from before the certificates is set" set_clock "$work/clock-controller" $((-7 * day_s))
  check "planted: nobody is let in" eventually 30 exits 4 timeout 60 "$cli" status
  check "and told what to look at" says certificate timeout 60 "$cli" status
  check "the clock is right again" set_clock "$work/clock-controller" 0
  for host in h1 h2; do check "$host is ready within $settle_s s, by itself" eventually "$settle_s" is_back "$host"; done
  check "no certificate was replaced" no_certificate_changed
}

clocks() {
  local seconds host
  begin_ledger clocks
  prepare_clocks
  watch_starts
  try_judges
  begin_traffic "${MTP_WORKERS:-2}"
  for seconds in -$hour_s 0 $hour_s 0 -$day_s 0; do clock_jump controller "$seconds"; done
  check "nothing was scheduled that was not due" none_was_early
  clock_jump controller $day_s
  check "a moment that the clock has passed is one backup" eventually 90 scheduled_once_each
  clock_jump controller 0
  clock_jump controller $day_s
  check "the same moment once more is no second one" throughout 30 scheduled_once_each
  clock_jump controller 0
  for seconds in -$hour_s 0 $hour_s 0 -$day_s 0 $day_s 0; do clock_jump agent:h1 "$seconds"; done
  check "each worker ends what it has begun, and nothing has failed" end_traffic
  check "all of it has succeeded" have_succeeded "$traffic/ledger"
  check "every tenant is as it was last asked to be" eventually "$settle_s" all_as_asked
  check "none was started more often than it was asked for" none_started_too_often
  check "no bot had two pollers" none_polls_twice
  check "nor that of the tenant with the lease" one_poller timely
  check "each moment was one backup" scheduled_once_each
  before_its_certificates
  check "the lease's tenant may have ended meanwhile, and runs again" eventually 90 tenant_is timely health ready
  check "all are started again with the machine's clock" take_clocks
  check "and all is true" eventually 60 status_is_true
  check "the workers' tenants are removed" remove_workers
  check "and the other one" exits 0 "$cli" remove timely --yes
  release_traffic
  echo "        $(acknowledged) acknowledged requests, $(lost_requests) lost; $(scheduled) scheduled backups"
}
