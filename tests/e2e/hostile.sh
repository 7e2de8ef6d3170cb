# shellcheck shell=bash disable=SC2154
# Data folders as a hostile client would leave them: backed up and restored truthfully, or left out by name; never followed
# out of the folder, never hanging. Part of fleet_test.sh; uses what backups.sh has and hostile_tree.py.
#
#   MTP_MANY_FILES=1000000 MTP_SPARSE_GIB=20 …   how many small files (100,000), and how large a sparse one (20)

hostile_tree=$repository/tests/e2e/hostile_tree.py
hostile_limit=1200 # seconds that no command may take longer; a hang, not a figure
bounded() { timeout "$hostile_limit" "$@"; }
odd_folder() { echo "$(data_of "$1")/workspace/odd"; }
same_tree() { # same_tree LIST FOLDER [FILTER]: the folder is what the list says, but for what the sed FILTER takes away
  "$hostile_tree" list "$2" | sed "${3:-}" >"$work/found-list" && sed "${3:-}" "$1" | diff - "$work/found-list" | head -n 20 >"$work/list-difference"
  [ ! -s "$work/list-difference" ] || { cat "$work/list-difference"; return 1; }
  [ -s "$work/found-list" ]
}
manifest_of() { # manifest_of TENANT ID: as the backup has it, with the recovery kit and restic alone
  local url root
  url=$("$cli" recovery-kit -o json | jq -r '.repositories[] | select(.name == "local") | .url')
  root=$("$cli" recovery-kit | sed -n 's/^ *root_key: *"\{0,1\}\([0-9a-f]\{64\}\)"\{0,1\}$/\1/p' | head -n 1)
  RESTIC_PASSWORD=$(printf %s "mtp-repository/$1" | openssl mac -digest SHA256 -macopt "hexkey:$root" -in - HMAC | tr A-F a-f) \
    restic --no-cache --quiet --repo "$url/$1" dump --tag "backup=$2" latest /manifest.jsonl
}
names_what_it_left_out() { # names_what_it_left_out ID: each that no backup can hold, with a reason
  local name
  manifest_of nasty "$1" >"$work/manifest" || return 1
  while IFS= read -r name; do
    grep -F '"skipped"' "$work/manifest" | grep -F "odd/$name\"" || { echo "$name is not named"; return 1; }
  done <"$work/kinds"
}
holds_no_canary() { # holds_no_canary FOLDER: no file there has what only links lead to
  ! grep -raqF -f "$work/canaries" "$1" || { grep -ralF -f "$work/canaries" "$1"; return 1; }
}
exported_to() { # exported_to FOLDER ID
  rm -rf "$1" "$work/nasty.tar.gz" && mkdir "$1" && bounded "$cli" backup export "$2" "$work/nasty.tar.gz" &&
    tar -xzf "$work/nasty.tar.gz" -C "$1"
}
one_line() { # one_line COMMAND…: fails with exit 1 and one sentence
  local code=0
  bounded "$@" >"$work/one-line" 2>&1 || code=$?
  cat "$work/one-line"
  [ "$code" = 1 ] && [ "$(grep -c '^error: ' "$work/one-line")" = 1 ]
}

odd_entries() {
  local id
  mkdir "$work/outside"
  printf 'canary-%s\n' "$(openssl rand -hex 16)" >"$work/outside/secret"
  mark acme "canary-$(openssl rand -hex 16)"
  { cat "$work/outside/secret" "$(data_of acme)/workspace/mark"; head -n 1 /etc/shadow; } >"$work/canaries"
  "$hostile_tree" make "$(odd_folder nasty)" "$work/outside/secret" "$work/outside" /etc/shadow "$(data_of acme)/workspace/mark" \
    "$(data_of acme)" ../../../../acme/workspace/mark
  "$hostile_tree" list "$(odd_folder nasty)" >"$work/odd-list"
  "$hostile_tree" list "$(odd_folder nasty)" --kinds >"$work/kinds"
  check "a canary is found where a link is followed" grep -aqF -f "$work/canaries" "$(odd_folder nasty)/links/to-0"
  check "odd names, links and special files are backed up" exits 0 bounded "$cli" backup nasty -o json
  id=$(backup_field nasty id)
  check "what is left out is counted" test "$(backup_field nasty skipped)" -ge "$(wc -l <"$work/kinds")"
  check "and named with a reason in the manifest" names_what_it_left_out "$id"
  check "the backup is verified" exits 0 bounded "$cli" backup verify "$id"
  check "it is exported and unpacked" exported_to "$work/nasty-export" "$id"
  check "to the same entries" same_tree "$work/odd-list" "$work/nasty-export/nasty/workspace/odd" 's/"mtime": [0-9]*,//'
  check "no canary is in it" holds_no_canary "$work/nasty-export"
  rm -rf "$(odd_folder nasty)"
  check "it is restored" exits 0 bounded "$cli" backup restore nasty --from "$id" --yes
  sed 's/"owner": [[][0-9]*, [0-9]*]/"owner": [1000, 1000]/' "$work/odd-list" >"$work/odd-list-own"
  check "to the same entries with names, kinds, modes, times, contents and links, now all the tenant's" \
    same_tree "$work/odd-list-own" "$(odd_folder nasty)"
  check "no canary is in the restored data" holds_no_canary "$(data_of nasty)"
  check "nothing of interrupted work is left" nothing_is_left
  rm -rf "$(odd_folder nasty)" "$work/nasty-export"
}

swapped_folders() { # a folder that becomes a link out, again and again, while it is backed up
  local folder swapper id number
  folder=$(data_of nasty)/workspace
  mkdir -p "$folder/swap" "$folder/spare" && echo inside >"$folder/swap/file" && ln -s "$work/outside" "$folder/spare/out"
  ( while :; do
      mv "$folder/swap" "$folder/spare/folder" && mv -T "$folder/spare/out" "$folder/swap"
      mv -T "$folder/swap" "$folder/spare/out" && mv "$folder/spare/folder" "$folder/swap"
    done ) 2>/dev/null &
  swapper=$!
  into_container nasty "$swapper"
  for number in 1 2 3; do
    bounded "$cli" backup nasty >"$work/swap-$number.log" 2>&1
  done
  kill "$swapper" && wait "$swapper" 2>/dev/null
  rm -rf "$folder/swap" "$folder/spare"
  for id in $("$cli" backup list nasty -o json | jq -r '.backups[0:3][].id'); do
    check "a backup of folders that become links is exported" exported_to "$work/nasty-export" "$id"
    check "and has followed none" holds_no_canary "$work/nasty-export"
  done
  rm -rf "$work/nasty-export"
}

into_container() { # into_container TENANT PID: what it forks from now on is frozen with the tenant
  local id file found=1
  id=$(life "$1")
  id=${id%% *}
  while IFS= read -r file; do echo "$2" >"$file" && found=0; done < <(find /sys/fs/cgroup -path "*$id*" -name cgroup.procs 2>/dev/null)
  return "$found"
}
append_numbers() { # append_numbers FILE: a line each time, for ever
  local number=0
  while :; do
    printf '%d %s\n' "$number" "the same text in each line, so that there is something to read"
    number=$((number + 1))
  done >>"$1"
}
is_a_beginning() { # is_a_beginning FILE: of what append_numbers writes, and not empty
  [ -s "$1" ] && awk '$1 != NR - 1 && !bad { bad = NR } END { exit NR < 100 || (bad && bad < NR) }' "$1"
}
growing_file() {
  local file pid id
  file=$(data_of nasty)/workspace/grows
  append_numbers "$file" &
  pid=$!
  check "a process of the tenant writes a file" into_container nasty "$pid"
  eventually 20 is_a_beginning "$file"
  check "it is backed up while it grows" exits 0 bounded "$cli" backup nasty -o json
  id=$(backup_field nasty id)
  check "and grows on afterwards" bash -c "a=\$(stat -c %s $file); sleep 1; [ \$(stat -c %s $file) -gt \$a ]"
  kill "$pid" && wait "$pid" 2>/dev/null
  check "the backup is whole" exits 0 bounded "$cli" backup verify "$id"
  check "and exported" exported_to "$work/nasty-export" "$id"
  check "the file is there as it was at one moment" is_a_beginning "$work/nasty-export/nasty/workspace/grows"
  # One that nobody freezes: a process of the host. So large that it also grows while it is copied when that process gets little time.
  yes "text that was there before" | head -c 512M >"$file"
  append_numbers "$file" &
  pid=$!
  check "what something else writes without end is refused with one sentence" one_line "$cli" backup nasty
  sed 's/^/          it says: /' "$work/one-line"
  check "that names the file" grep -qF grows "$work/one-line"
  kill "$pid" && wait "$pid" 2>/dev/null
  rm -rf "$file" "$work/nasty-export"
  check "nothing of interrupted work is left" nothing_is_left
}

there_and_back() { # there_and_back WHAT: the odd folder goes into a backup and comes back the same
  local id began=$SECONDS
  "$hostile_tree" list "$(odd_folder nasty)" >"$work/odd-list"
  check "$1: backed up" exits 0 bounded "$cli" backup nasty -o json
  id=$(backup_field nasty id)
  check "$1: verified" exits 0 bounded "$cli" backup verify "$id"
  rm -rf "$(odd_folder nasty)"
  check "$1: restored" exits 0 bounded "$cli" backup restore nasty --from "$id" --yes --timeout 30m
  check "$1: the same again" same_tree "$work/odd-list" "$(odd_folder nasty)"
  check "$1: the tenant is ready" eventually "$restart_within" tenant_is nasty health ready
  echo "        $((SECONDS - began)) s in all"
  rm -rf "$(odd_folder nasty)"
}

hostile_data() {
  local many=${MTP_MANY_FILES:-100000} gib=${MTP_SPARSE_GIB:-20}
  printf '666000222:%s\n' "$(openssl rand -hex 16)" >"$work/nasty-token"
  check "a tenant for hostile data is provisioned" exits 0 provision nasty --telegram-token-file "$work/nasty-token" --host "$(host_of acme)"
  odd_entries
  growing_file
  swapped_folders
  "$hostile_tree" many "$(odd_folder nasty)" "$many"
  there_and_back "$many small files"
  mkdir "$(odd_folder nasty)" && "$hostile_tree" sparse "$(odd_folder nasty)/sparse" "$gib"
  there_and_back "a sparse file of $gib GiB"
  check "the tenant for hostile data is removed" exits 0 "$cli" remove nasty --yes
}
