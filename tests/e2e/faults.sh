# shellcheck shell=bash disable=SC2154
# Engines that die, networks that are cut and disks that are full, in the middle of the long steps of a backup, a restore,
# a drill, an update and its way back. Part of fleet_test.sh; uses what backups.sh, drills.sh and updates.sh have.
#
# Each case is a fault and a step. Whatever it does to the operation: that ends by itself, either well or with one
# sentence; the data is byte by byte that of one side; nothing is left, nothing is done by hand, and the same again works.
#
#   MTP_FAULTS="engine disk" MTP_FAULT_STEPS="drill:boot undo:start" …   only those
faults_tried=${MTP_FAULTS:-engine network disk}
fault_steps=${MTP_FAULT_STEPS:-backup:copy backup:store restore:unpack restore:start-container drill:unpack drill:boot
  update:backup update:rehearse update:stop update:start-container update:soak undo:start}
fault_data='' # of the host h1, where the tenant is
fault_now=''  # that holds at the moment

# --- File systems of the test's own
make_image() { truncate -s "$2M" "$1" && mkfs.ext4 -q -m 0 "$1"; } # make_image FILE MIB
small_disks=()
small_file='' # that holds the last one
mount_small() { # mount_small FOLDER MIB [OPTIONS]: an empty file system of that size there, until release_disks
  small_file=$work/disk-${#small_disks[@]}
  make_image "$small_file" "$2" && mount -o "loop${3:+,$3}" "$small_file" "$1" || return 1
  small_disks+=("$1")
  rmdir "$1/lost+found"
}
release_disks() { # also called when the whole test is interrupted
  local folder
  for folder in "${small_disks[@]}"; do umount --lazy "$folder"; done
  small_disks=()
}
fill() { # fill FOLDER [KIB]: its file system, but for so much
  local free
  mountpoint -q "$1" || return 1
  free=$(($(df --output=avail -k "$1" | tail -n 1) - ${2:-0}))
  [ "$free" -le 0 ] || fallocate -l "${free}K" "$1/.filler" || true
  [ -n "${2:-}" ] || dd if=/dev/zero bs=4k status=none >>"$1/.filler" 2>/dev/null || true
}
empty() { mountpoint -q "$1" && rm -f "$1/.filler"; }
move_data_to() { # move_data_to MIB [OPTIONS]: h1's tenants, onto a file system of that size
  local tenant names
  fault_data=$(of_host h1 project_dir)/data
  names=$(field '.tenants[] | select(.host == "h1") | .name')
  for tenant in $names; do "$cli" stop "$tenant" || return 1; done
  quickstart --stop agent:h1
  cp -a "$fault_data" "$work/data-aside" && mount_small "$fault_data" "$@" && cp -a "$work/data-aside/." "$fault_data" || return 1
  quickstart --start agent:h1
  for tenant in $names; do eventually 30 "$cli" start "$tenant" || return 1; done
}
move_data_back() {
  local tenant names
  names=$(field '.tenants[] | select(.host == "h1") | .name')
  for tenant in $names; do "$cli" stop "$tenant" || return 1; done
  quickstart --stop agent:h1
  cp -a "$fault_data" "$work/data-back" && umount --lazy "$fault_data" && small_disks=("${small_disks[@]:1}") || return 1
  for tenant in $names; do
    rm -rf "${fault_data:?}/$tenant" && cp -a "$work/data-back/$tenant" "$fault_data/" || return 1
  done
  quickstart --start agent:h1
  for tenant in $names; do eventually 30 "$cli" start "$tenant" || return 1; done
}

# --- Faults
begin_fault() { # begin_fault engine|network|disk
  fault_now=$1
  case $1 in
    engine) quickstart --kill engine:h1 ;;
    network) quickstart --cut h1 ;;
    disk) fill "$fault_data" ;;
  esac
}
end_fault() {
  case $fault_now in
    engine) quickstart --start engine:h1 ;;
    network) quickstart --heal h1 ;;
    disk) empty "$fault_data" ;;
  esac
  fault_now=''
}
hold() { # as long as the fault lasts
  case $fault_now in
    engine) sleep 3 ;;
    network) sleep "${MTP_CUT_SECONDS:-12}" ;;
    disk) eventually 20 operation_ended ;;
  esac
}

# --- The tenant and its data
contents() { # contents TENANT: every file with owner, mode and SHA-256, databases by their content; see state_of
  (
    cd "$(data_of "$1")" || exit 1
    find . \( -path ./.openclaw/logs -o -path ./.openclaw/cache -o -path ./.openclaw/tmp \) -prune -o \
      -not -name '*-wal' -not -name '*-shm' -not -name '*.lock' -printf '%p %y %m %U:%G\n' | LC_ALL=C sort
    find workspace .openclaw -type f -not -name '*.sqlite*' -not -name '*.lock' -not -path '.openclaw/logs/*' \
      -not -path '.openclaw/cache/*' -not -path '.openclaw/tmp/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    find . -name '*.sqlite' | LC_ALL=C sort | while IFS= read -r file; do
      echo "$file $(sqlite3 -readonly "$file" 'PRAGMA user_version' .dump | sha256sum)"
    done
  )
}
make_brittle() {
  local folder number
  printf '666000111:%s\n' "$(openssl rand -hex 16)" >"$work/brittle-token"
  provision brittle --telegram-token-file "$work/brittle-token" --host h1 || return 1
  folder=$(data_of brittle)/workspace
  mkdir "$folder/many"
  for number in $(seq 1500); do printf 'note %d\n' "$number" >"$folder/many/$number"; done
  head -c 40M /dev/urandom >"$folder/large"
  chown -R 1000:1000 "$folder/many" "$folder/large"
}
# What each part that hurts brittle begins with; sets old_image and fault_backup, and $work/backed-up is what that backup has.
begin_brittle() {
  check "images for updates are on all hosts" load_images
  check "the tenant brittle is provisioned" make_brittle
  old_image=$("$cli" status -o json | jq -r '.tenants[] | select(.name == "brittle") | .image')
  mark brittle "as it was backed up"
  check "it is backed up" exits 0 back_up brittle
  fault_backup=$(jq -r '.backups[0].id' "$work/backup.json")
  contents brittle >"$work/backed-up"
}
ready_and_whole() { # as it was, and nothing besides
  eventually 120 tenant_is brittle health ready && not_paused brittle && eventually 90 nothing_is_left &&
    eventually 90 no_sandbox
}
no_room_is_held() { eventually 20 test_room "$1"; }
test_room() { [ "$(reserved)" = "$1" ] || { echo "$(reserved) MiB are reserved, not $1"; return 1; }; }

# --- Operations
fault_operation='' # id; of a rollout that of the rollout
begin_operation() { # begin_operation KIND REQUEST
  case $1 in
    backup) "$cli" backup brittle --no-wait --request-id "$2" ;;
    restore) "$cli" backup restore brittle --from "$fault_backup" --yes --no-wait --request-id "$2" ;;
    drill) "$cli" backup drill "$fault_backup" --no-wait --request-id "$2" ;;
    update) "$cli" update brittle --no-pull --yes --no-wait --image "$(next_image)" --soak 4s --request-id "$2" ;;
    undo) "$cli" update brittle --no-pull --yes --no-wait --image "${image_of[dies-in-soak]}" --soak 30s --no-rehearsal --request-id "$2" ;;
  esac >"$work/begun" 2>&1
}
find_operation() { # find_operation REQUEST
  fault_operation=$("$cli" op list --limit 100 -o json |
    jq -r --arg r "$1" '[.operations[] | select(.request_id | startswith($r)) | .name][0] // "" | ltrimstr("operations/")')
  [ ${#fault_operation} -eq 26 ] || { cat "$work/begun"; return 1; }
}
next_image() { # the one that it does not run
  if [ "$(runs_image brittle)" = "$(id_of_image good)" ]; then echo "$old_image"; else echo "${image_of[good]}"; fi
}
of_operation() { "$cli" op show "$fault_operation" -o json | jq -r "$1"; }
operation_ended() { [ "$(of_operation '.end_time != null')" = true ]; }
some() { find "$@" -mindepth 1 -print -quit 2>/dev/null | grep -q .; } # some FOLDER…: something is in one of them
in_step() { # in_step STEP: the operation is there now
  case $1 in
    backup:copy) some "$fault_data/.snapshots" ;;
    backup:store) some "$fleet/backups/brittle/locks" ;;
    restore:unpack) some "$fault_data/.restores" ;;
    restore:start-container) of_operation '.steps[] | select(.name == "start-container") | .state' | grep -qv pending ;;
    drill:unpack) some "$fault_data/.restores" ;;
    drill:boot) docker --host "$docker_h1" ps --all --quiet --filter label=mtp.drill | grep -q . ;;
    update:*) under_way brittle "${1#*:}" ;;
    undo:start) tenant_is_brought_back brittle ;;
  esac >/dev/null 2>&1
}
comes_to() { # comes_to STEP: soon, looked at without a rest
  local end=$((SECONDS + 120)) looks=0
  until in_step "$1"; do
    looks=$((looks + 1))
    if [ "$SECONDS" -ge "$end" ] || { [ $((looks % 20)) = 0 ] && [ -n "$fault_operation" ] && operation_ended; }; then
      [ -z "$fault_operation" ] || of_operation '{state, error, steps}'
      return 1
    fi
  done
}
seen_in_files() { [[ $1 == backup:* || $1 == restore:unpack || $1 == drill:* ]]; } # seen_in_files STEP: without the operation
begin_and_come_to() { # begin_and_come_to STEP REQUEST: such steps are short, so they are waited for from before the begin on
  local begun
  fault_operation=''
  if seen_in_files "$1"; then
    begin_operation "${1%%:*}" "$2" &
    begun=$!
    comes_to "$1" || { wait "$begun"; find_operation "$2" && of_operation '{state, error, steps}'; return 1; }
  else
    begin_operation "${1%%:*}" "$2" && find_operation "$2" && comes_to "$1"
  fi
}
in_one_sentence() { # what the operator is told of the failure
  local text
  text=$(of_operation '.error.message // ""')
  echo "$text" >"$work/sentence"
  [ "${#text}" -ge 30 ] && [ "${#text}" -le 1000 ] && [ "$(wc -l <<<"$text")" -eq 1 ]
}
again() { # again KIND NUMBER: the same, without a fault
  begin_operation "$1" "fault-$2-again" && find_operation "fault-$2-again" && eventually 240 operation_ended && [ "$(of_operation .state)" = succeeded ] ||
    { of_operation '{state, error}'; return 1; }
}

one_of_both() { # one_of_both FILE FILE: the tenant's data is one of these, byte by byte
  contents brittle >"$work/found"
  diff "$1" "$work/found" >"$work/difference" || diff "$2" "$work/found" >>"$work/difference" || { cat "$work/difference"; return 1; }
}

fault_case() { # fault_case FAULT STEP NUMBER
  local fault=$1 step=$2 kind=${2%%:*} state room id
  local what="$fault at $step:"
  room=$(reserved)
  id=$(runs_image brittle)
  [ "$kind" != restore ] || mark brittle "before case $3"
  contents brittle >"$work/before"
  check "$what it is begun and comes so far" begin_and_come_to "$step" "fault-$3-once"
  check "$what the fault begins" begin_fault "$fault"
  check "$what the operation is there" eventually 20 find_operation "fault-$3-once"
  hold >/dev/null 2>&1
  check "$what and ends" end_fault
  check "$what the operation ends by itself" eventually 300 operation_ended
  state=$(of_operation .state)
  case $kind:$state in
    undo:failed | *:succeeded) ;;
    *) check "$what it failed with one sentence" in_one_sentence && sed 's/^/          it says: /' "$work/sentence" ;;
  esac
  check "$what the tenant is ready, and nothing is left" ready_and_whole
  check "$what its data is as it was, or as it was backed up" one_of_both "$work/before" "$work/$([ "$kind" = restore ] && echo backed-up || echo before)"
  check "$what no room is held" no_room_is_held "$room"
  case $kind:$state in
    undo:*) check "$what it has its old image" test "$(runs_image brittle)" = "$id" ;;
    *:succeeded) ;;
    *) check "$what the same again succeeds" again "$kind" "$3" ;;
  esac
  [ "$kind" != restore ] || check "$what and the data is that of the backup" one_of_both "$work/backed-up" "$work/backed-up"
  check "$what its databases are whole" databases_are_whole "$(data_of brittle)"
  revive
}
revive() { # by hand, after a case that failed, so that the next one begins well
  ! tenant_is brittle health ready >/dev/null || return 0
  quickstart --stop engine:h1 && quickstart --start engine:h1 && "$cli" start brittle
  eventually 60 tenant_is brittle health ready
} >/dev/null 2>&1

full_repository() { # a repository on a file system of its own that has no more room
  local folder=$work/small-repository first number
  mkdir "$folder"
  check "a small file system for a repository is there" mount_small "$folder" 160
  check "a repository on it is added" exits 0 "$cli" repository add small "$folder"
  check "a backup goes there" exits 0 back_up brittle --repository small
  first=$(jq -r '.backups[0].id' "$work/backup.json")
  head -c 40M /dev/urandom >"$(data_of brittle)/workspace/large"
  for number in 3000 0; do # KiB that are left
    fill "$folder" "$([ "$number" = 0 ] || echo "$number")"
    check "with $number KiB left a backup there fails with exit 1" exits 1 "$cli" backup brittle --repository small
    tail -n 2 "$work/seen" | sed 's/^/          it says: /'
    check "and says that it is full" says "full" "$cli" backup brittle --repository small
    check "nothing of it is left" ready_and_whole
    check "the backup before it is whole" exits 0 "$cli" backup verify "$first"
    empty "$folder"
  done
  check "with room again the next backup succeeds" exits 0 back_up brittle --repository small
  check "it is whole" exits 0 "$cli" backup verify "$(jq -r '.backups[0].id' "$work/backup.json")"
  check "and so is the repository" exits 0 "$cli" repository check small --read-data
}

free_mib() { df --output=avail -BM "$fault_data" | tail -n 1 | tr -dc 0-9; }
least_free() { # least_free COMMAND…: runs it, and puts the least MiB that were free meanwhile into $work/least
  local pid code=0 free least
  least=$(free_mib)
  "$@" &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    free=$(free_mib)
    [ "$free" -ge "$least" ] || least=$free
    sleep 0.02
  done
  wait "$pid" || code=$?
  echo "$least" >"$work/least"
  return "$code"
}
was_left() { [ "$(cat "$work/least")" -ge "$1" ] || { echo "only $(cat "$work/least") MiB"; return 1; }; } # was_left MIB
# Copies of a large tenant end before the disk is full that all tenants of the host write to: a twentieth of 2500 MiB is theirs.
nearly_full_disk() {
  local id words='left to what the tenants write' before number
  # restic allocates a file whole before it is seen to take too much.
  mkdir "$(data_of brittle)/workspace/pieces"
  for number in {1..15}; do head -c 20M /dev/urandom >"$(data_of brittle)/workspace/pieces/$number"; done
  check "a large tenant is backed up while there is room" exits 0 back_up brittle
  id=$(jq -r '.backups[0].id' "$work/backup.json")
  fill "$fault_data" $((350 << 10))
  before=$(contents brittle)
  check "with less than it takes its backup fails" exits 1 least_free "$cli" backup brittle
  check "and leaves the tenants most of what is theirs" was_left 60
  check "and says so" says "$words" "$cli" backup brittle
  check "a restore fails, too" exits 1 least_free "$cli" backup restore brittle --from "$id" --yes
  check "and leaves them as much" was_left 60
  check "and says so" says "$words" "$cli" backup restore brittle --from "$id" --yes
  check "nothing of either is left" ready_and_whole
  check "the data is as it was" test "$before" = "$(contents brittle)"
  empty "$fault_data"
  check "with room again both succeed" bash -c "$cli backup brittle && $cli backup restore brittle --from $id --yes"
  rm -rf "$(data_of brittle)/workspace/pieces"
}

fault_matrix() {
  local fault step number=0
  # shellcheck disable=SC2034 # of updates.sh
  local members=(brittle)
  check "h1's data is on a small file system" move_data_to 2500
  begin_brittle
  for fault in $faults_tried; do
    for step in $fault_steps; do
      number=$((number + 1))
      fault_case "$fault" "$step" "$number"
    done
  done
  [ -n "${MTP_FAULT_STEPS:-}" ] || { full_repository; nearly_full_disk; }
  check "every backup of it is whole" every_backup_verifies brittle
  check "the tenant is removed" exits 0 "$cli" remove brittle --yes
  check "h1's data is where it was" move_data_back
}
every_backup_verifies() {
  local id
  for id in $("$cli" backup list "$1" -o json | jq -r '.backups[].id'); do
    "$cli" backup verify "$id" || return 1
  done
}
