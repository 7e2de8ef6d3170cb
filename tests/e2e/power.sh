# shellcheck shell=bash disable=SC2154
# Power cuts of the controller's and of the agents' machines. Part of fleet_test.sh, as traffic.sh, whose workers, ledger and
# judges it uses; sets power_cuts.
#
# A state folder is on a file system of its own in a file. For a cut its programs are stopped, the file is copied, they are
# killed, and go on with the copy: what was written but not synced is not in it, since the kernel writes it back
# only when it must (commit=600, and without what ext4 does for those who forget fsync). Containers, their data, engines and
# repositories stay on the real disk and live on: the cut takes from our programs all that they had not made durable. What
# they did to a tenant's data is looked for in a copy of the file system that holds it, right after they said that it is done.

declare -A state_image=() # WHAT to the file that is mounted
power_dir=$work/power
power_mib=64

state_folder() { # state_folder WHAT: controller, agent:h1 …
  case $1 in
    controller) echo "$fleet/controller" ;;
    agent:*) echo "$fleet/hosts/${1#*:}/agent" ;;
  esac
}
# The guard keeps its file in the agent's folder, and loses its power with it.
programs_on() { # programs_on WHAT: as quickstart names them
  case $1 in
    controller) echo controller ;;
    agent:*) echo "$1 guard:${1#*:}" ;;
  esac
}
each_program() { # each_program VERB WHAT: stop, kill
  local program
  for program in $(programs_on "$2"); do quickstart "--$1" "$program" || return 1; done
}
start_programs() { quickstart --start "$1"; } # start_programs WHAT: an agent brings its guard

# --- File systems in files
late_writes=commit=600,noauto_da_alloc
mount_image() { mount -t ext4 -o "loop,$late_writes" "$1" "$2"; } # mount_image FILE FOLDER
unmount() { # unmount FOLDER: what was just killed may hold it for a moment
  eventually 10 umount "$1" && ! mountpoint -q "$1"
}
is_detached() { [ -z "$(losetup --associated "$1" --noheadings)" ] || { losetup --associated "$1"; return 1; }; } # is_detached FILE
fill_folder() { # fill_folder FROM TO: all of it, with modes, and on the disk
  rm -rf "$2/lost+found" && cp -a "$1/." "$2/" && sync --file-system "$2"
}
move_to_image() { # move_to_image WHAT
  local folder image
  folder=$(state_folder "$1") image=$power_dir/${1/:/-}.0
  each_program stop "$1" && make_image "$image" "$power_mib" || return 1
  rm -rf "$power_dir/aside" && cp -a "$folder" "$power_dir/aside" && mount_image "$image" "$folder" || return 1
  state_image[$1]=$image
  fill_folder "$power_dir/aside" "$folder" && start_programs "$1"
}
move_from_image() { # move_from_image WHAT
  local folder
  folder=$(state_folder "$1")
  each_program stop "$1" || return 1
  rm -rf "$power_dir/aside" && cp -a "$folder" "$power_dir/aside" && unmount "$folder" || return 1
  eventually 5 is_detached "${state_image[$1]}" && rm -f "${state_image[$1]}" || return 1
  unset "state_image[$1]"
  find "$folder" -mindepth 1 -delete
  fill_folder "$power_dir/aside" "$folder" && rm -rf "$power_dir/aside" && start_programs "$1"
}
# Also when the whole test is interrupted: their users still run, so the last of them lets go of the device.
release_power() {
  local what
  for what in "${!state_image[@]}"; do umount --lazy "$(state_folder "$what")" 2>/dev/null; done
  state_image=()
  ! mountpoint -q "$power_dir/side" || umount --lazy "$power_dir/side"
}

# --- A cut
stands_still() { # stands_still PID: every thread of it
  cat "/proc/$1"/task/*/status | awk '/^State:/ { seen = 1; if ($2 != "T") moves = 1 } END { exit !seen || moves }'
}
hold_still() { # hold_still WHAT
  local program pid
  for program in $(programs_on "$1"); do
    pid=$(process_of "$program") && kill -STOP "$pid" && eventually 10 stands_still "$pid" || return 1
  done
}
go_on() { # go_on WHAT
  local program
  for program in $(programs_on "$1"); do kill -CONT "$(process_of "$program")"; done
}
copy_image() { cp --sparse=always "${state_image[$1]}" "$2"; } # copy_image WHAT FILE
cut_power() { # cut_power WHAT NUMBER
  local folder next
  folder=$(state_folder "$1") next=$power_dir/${1/:/-}.$2
  hold_still "$1" && copy_image "$1" "$next" || return 1
  cp "$traffic/ledger" "$traffic/ledger-at-cut"
  each_program kill "$1" && unmount "$folder" && eventually 5 is_detached "${state_image[$1]}" || return 1
  rm -f "${state_image[$1]}"
  mount_image "$next" "$folder" && state_image[$1]=$next
}

# --- What an image holds, before anybody has gone on with it
keys_in() { # keys_in FOLDER PREFIX: of the store there, without touching it
  rm -rf "$power_dir/looked-at" && mkdir "$power_dir/looked-at" || return 1
  cp "$1"/state.db* "$power_dir/looked-at/" 2>/dev/null || cp "$1"/journal.sqlite* "$power_dir/looked-at/" || return 1
  sqlite3 "$(find "$power_dir/looked-at" -name state.db -o -name journal.sqlite)" \
    "SELECT CAST(key AS TEXT) FROM kv WHERE key >= CAST('$2' AS BLOB) AND key < CAST('${2%/}0' AS BLOB)"
}
holds_all_of() { # holds_all_of FOLDER LEDGER: each acknowledged operation is in the controller's store
  local lost
  keys_in "$1" /operations/ | sed 's|.*/||' | LC_ALL=C sort >"$power_dir/kept" || return 1
  lost=$(cut -d ' ' -f 2 "$2" | LC_ALL=C sort -u | LC_ALL=C comm -23 - "$power_dir/kept")
  [ -z "$lost" ] || { echo "lost: $lost"; return 1; }
}
# Tenants of the host whose last operation has ended, as `TENANT`; taken while its agent stands still.
settled_on() { # settled_on HOST
  local file number
  for file in "$traffic"/wanted-volt-*; do
    number=${file##*-}
    [ "$(host_of_worker "$number")" = "$1" ] || continue
    case $(cat "$file") in running | stopped) echo "volt-$number" ;; esac
  done
}
holds_all_tenants() { # holds_all_tenants FOLDER FILE-OF-TENANTS: the agent's journal has them
  local lost
  keys_in "$1" /tenants/ | sed 's|.*/||' | LC_ALL=C sort >"$power_dir/kept" || return 1
  lost=$(LC_ALL=C sort "$2" | LC_ALL=C comm -23 - "$power_dir/kept")
  [ -z "$lost" ] || { echo "lost: $lost"; return 1; }
}

# --- That a cut is one, and is noticed
write_acknowledged() { # write_acknowledged MODE: five commits, each copied after it was acknowledged
  python3 - "$power_dir/side/$1.db" "$1" "$power_dir/method" "$power_dir/$1" <<'PY'
import sqlite3, subprocess, sys
path, mode, image, copy = sys.argv[1:]
database = sqlite3.connect(path, isolation_level=None)
for word in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE t(x)", f"PRAGMA synchronous={mode}"):
    database.execute(word)
for number in range(1, 6):
    database.execute("INSERT INTO t VALUES(?)", (number,))
    subprocess.run(["cp", "--sparse=always", image, f"{copy}.{number}"], check=True)
PY
}
kept_of() { # kept_of MODE: how many of its five copies hold the commit that came before them
  local number kept=0
  for number in 1 2 3 4 5; do
    mount_image "$power_dir/$1.$number" "$power_dir/side" || return 1
    [ "$(sqlite3 "$power_dir/side/$1.db" 'SELECT max(x) FROM t')" != "$number" ] || kept=$((kept + 1))
    umount "$power_dir/side"
    rm -f "$power_dir/$1.$number"
  done
  echo "$kept"
}
try_method() {
  check "a file system in a file is there" make_image "$power_dir/method" "$power_mib"
  check "it is mounted" mount_image "$power_dir/method" "$power_dir/side"
  check "commits that are synced are written to it" write_acknowledged FULL
  check "and commits that are not" write_acknowledged OFF
  check "it is gone again" unmount "$power_dir/side"
  check "a cut loses none of 5 that are synced" test "$(kept_of FULL)" = 5
  check "planted: it loses all of 5 that are not" test "$(kept_of OFF)" = 0
  check "no device is left" eventually 5 is_detached "$power_dir/method"
  rm -f "$power_dir/method"
}
on_the_side() { # on_the_side IMAGE COMMAND… : with it at $power_dir/side
  local code=0 image=$1
  shift
  mount_image "$image" "$power_dir/side" || return 1
  "$@" || code=$?
  umount "$power_dir/side" && rm -f "$image" || return 1
  return "$code"
}
copy_of() { # copy_of WHAT FILE: of a moment between two of its writes
  local code=0
  hold_still "$1" && copy_image "$1" "$2" || code=1
  go_on "$1"
  return "$code"
}
# Copies of before and after a request: the one lacks it, the other does not.
try_images() {
  local what
  make_worker 1
  for what in controller agent:h1; do check "$what is copied" copy_of "$what" "$power_dir/before-${what/:/-}"; done
  check "a request is acknowledged and carried out" ask volt-1 provision "$ledger_name-planted" h1
  for what in controller agent:h1; do check "$what is copied again" copy_of "$what" "$power_dir/after-${what/:/-}"; done
  echo volt-1 >"$power_dir/settled"
  check "planted: an image of before it lacks the operation" \
    denies on_the_side "$power_dir/before-controller" holds_all_of "$power_dir/side" "$traffic/ledger"
  check "one of after it does not" on_the_side "$power_dir/after-controller" holds_all_of "$power_dir/side" "$traffic/ledger"
  check "planted: an image of the agent of before it lacks the tenant" \
    denies on_the_side "$power_dir/before-agent-h1" holds_all_tenants "$power_dir/side" "$power_dir/settled"
  check "one of after it does not" \
    on_the_side "$power_dir/after-agent-h1" holds_all_tenants "$power_dir/side" "$power_dir/settled"
  check "the tenant goes" ask volt-1 remove "$ledger_name-planted-remove" h1
  rm -f "$power_dir"/before-* "$power_dir"/after-*
}

left_of() { echo $(($1 + settle_s - SECONDS > 1 ? $1 + settle_s - SECONDS : 1)); } # left_of BEGIN: seconds
power_cut() { # power_cut WHAT NUMBER
  local what=$1 begun host word="cut $2 of $power_cuts, $1:"
  check "$word the power goes" cut_power "$what" "$2"
  if [ "$what" = controller ]; then
    check "$word $(wc -l <"$traffic/ledger-at-cut") were acknowledged, and its disk has them" \
      holds_all_of "$(state_folder "$what")" "$traffic/ledger-at-cut"
  else
    settled_on "${what#*:}" >"$power_dir/settled"
    check "$word its disk has the $(wc -l <"$power_dir/settled") tenants that it had taken in" \
      holds_all_tenants "$(state_folder "$what")" "$power_dir/settled"
  fi
  begun=$SECONDS
  check "$word one start" start_programs "$what"
  check "$word the controller has what it acknowledged, each once" eventually "$(left_of "$begun")" ledger_holds
  for host in h1 h2; do check "$word $host is ready" eventually "$(left_of "$begun")" is_back "$host"; done
  check "$word what was under way has succeeded" eventually "$(left_of "$begun")" have_succeeded "$traffic/ledger-at-cut"
  slowest=$((SECONDS - begun > slowest ? SECONDS - begun : slowest))
  check "$word no bot has two pollers" none_polls_twice
}

# --- Tenants' data
make_watt() {
  local many number
  printf '666000222:%s\n' "$(openssl rand -hex 16)" >"$work/watt-token"
  provision watt --telegram-token-file "$work/watt-token" --host h1 || return 1
  many=$(data_of watt)/workspace/many
  mkdir "$many"
  for number in {1..500}; do printf 'note %d\n' "$number" >"$many/$number"; done
  head -c 20M /dev/urandom >"$many/large"
  chown -R 1000:1000 "$many" && cp -a "$many" "$work/watt-many"
}
on_data_disk() { # on_data_disk COMMAND…: with what a cut right now leaves of h1's data at $power_dir/side
  cp --sparse=always "$small_file" "$power_dir/data-cut" && on_the_side "$power_dir/data-cut" "$@"
}
is_as_backed_up() { diff -rq "$work/watt-many" "$1" >"$work/watt-difference" || { head -n 3 "$work/watt-difference"; return 1; }; }
data_after_cuts() {
  local many
  check "h1's data is on a file system that writes late" move_data_to 600 "$late_writes"
  check "the tenant watt is provisioned on it" make_watt
  many=$(data_of watt)/workspace/many
  check "it is backed up" exits 0 back_up watt
  rm -rf "$many"
  cp -a "$work/watt-many" "$many-planted"
  check "planted: files that were only written are not there after a cut" \
    denies on_data_disk is_as_backed_up "$power_dir/side/watt/workspace/many-planted"
  check "it is restored" exits 0 "$cli" backup restore watt --from "$(backup_field watt id)" --yes
  check "after a cut right then it is as it was backed up" on_data_disk is_as_backed_up "$power_dir/side/watt/workspace/many"
  check "it is removed" exits 0 "$cli" remove watt --yes
  check "after a cut right then it is not there" on_data_disk test ! -e "$power_dir/side/watt"
  check "h1's data is where it was" move_data_back
}

power() {
  local parties=(controller agent:h1 agent:h2) number slowest=0 what host
  rm -rf "$power_dir"
  mkdir -p "$power_dir/side"
  data_after_cuts
  begin_ledger power
  try_method
  for what in "${parties[@]}"; do check "the state of $what is on a file system of its own" move_to_image "$what"; done
  for host in h1 h2; do check "$host is ready" eventually 60 is_back "$host"; done
  watch_starts
  try_judges
  try_images
  begin_traffic "${MTP_WORKERS:-4}"
  for ((number = 1; number <= power_cuts; ++number)); do
    sleep "$((RANDOM % 4)).$((RANDOM % 10))" # the moment is anybody's
    power_cut "${parties[(number - 1) % 3]}" "$number"
  done
  check "each worker ends what it has begun, and nothing has failed" end_traffic
  check "the controller has what it acknowledged, each once" ledger_holds
  check "all of it has succeeded" have_succeeded "$traffic/ledger"
  check "every tenant is as it was last asked to be" eventually "$settle_s" all_as_asked
  check "none was started more often than it was asked for" none_started_too_often
  check "no bot had two pollers" none_polls_twice
  check "nothing of interrupted work is left" eventually 90 nothing_is_left
  check "the workers' tenants are removed" remove_workers
  release_traffic
  for what in "${parties[@]}"; do check "the state of $what is where it was" move_from_image "$what"; done
  for host in h1 h2; do check "$host is ready on it" eventually 60 is_back "$host"; done
  echo "        $power_cuts cuts, $(acknowledged) acknowledged requests, $(lost_requests) lost, at most $slowest s until all was true again"
}
