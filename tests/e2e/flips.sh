# shellcheck shell=bash disable=SC2154
# One bit flipped in a file of a repository, or the file cut short: `backup verify` sees it, or what it stands for comes
# back as it was. Part of fleet_test.sh; uses what backups.sh has and flip.py. Many more, faster: flips_test.cc.
#
#   MTP_FLIP_SEED=N … --flips 1   makes the flip that failed as number N

flip_seed=${MTP_FLIP_SEED:-$RANDOM}
export_hash() { # export_hash ID: of all that its archive holds
  rm -f "$work/flip.tar.gz"
  timeout 900 "$cli" backup export "$1" "$work/flip.tar.gz" >"$work/flip.log" 2>&1 || return 1
  gzip -dc "$work/flip.tar.gz" | sha256sum
}
is_refused() { # is_refused CODE LOG: with exit 1 and one sentence
  [ "$1" = 1 ] && [ "$(grep -c '^error: ' "$2")" = 1 ]
}
one_flip() { # one_flip SEED ID HASH: prints seen or harmless, or what is wrong
  local path code=0 found
  path=$("$repository/tests/e2e/flip.py" "$fleet/backups/acme" "$1" "$work/flip.whole") || { echo "flip.py failed"; return; }
  timeout 900 "$cli" backup verify "$2" >"$work/flip.log" 2>&1 || code=$?
  if is_refused "$code" "$work/flip.log"; then
    echo seen
  elif [ "$code" != 0 ]; then
    echo "verify ended with $code: $(cat "$work/flip.log")"
  elif found=$(export_hash "$2") && [ "$found" != "$3" ]; then
    echo "verify saw nothing, and other bytes were exported"
  else # whole, or an export that was refused
    echo harmless
  fi
  # Its rights, too.
  cp -p "$work/flip.whole" "$path"
  echo "$path" >"$work/flip.path"
}
all_flips() { # all_flips ID HASH: fails when one is neither seen nor harmless
  local number result bad=0
  for ((number = flip_seed; number < flip_seed + flips; ++number)); do
    result=$(one_flip "$number" "$1" "$2")
    echo "$result" >>"$work/flip.results"
    case $result in
      seen | harmless) ;;
      *) bad=1; echo "MTP_FLIP_SEED=$number --flips 1 ($(cat "$work/flip.path")): $result" ;;
    esac
  done
  [ "$bad" = 0 ]
}
random_flips() {
  local id hash began
  check "acme is backed up twice" exits 0 back_up acme
  mark acme "before the flips"
  check "and once more" exits 0 back_up acme
  id=$(jq -r '.backups[0].id' "$work/backup.json")
  hash=$(export_hash "$id")
  check "its export is the same each time" test "$hash" = "$(export_hash "$id")"
  : >"$work/flip.results"
  began=$SECONDS
  check "$flips flips from seed $flip_seed on are seen or harmless" all_flips "$id" "$hash"
  echo "        $(grep -cx seen "$work/flip.results") seen, $(grep -cx harmless "$work/flip.results") harmless, in $((SECONDS - began)) s"
  check "and some are seen" grep -qx seen "$work/flip.results"
  check "nothing of it is left" nothing_is_left
  check "undone, the backup is whole" exits 0 "$cli" backup verify "$id"
  check "and the repository is in order" exits 0 "$cli" repository check local --read-data
}
