# shellcheck shell=bash disable=SC2154
# What the tests in bash look with. They set work, a folder of theirs, and end in `$passed passed, $failed failed`.
passed=0 failed=0

check() { # check SENTENCE COMMAND…; says how many seconds it took when many
  local sentence=$1 begun=$SECONDS took
  shift
  if "$@" >"$work/seen" 2>&1; then
    passed=$((passed + 1)) took=$((SECONDS - begun))
    [ "$took" -lt 5 ] || sentence+=" ($took s)"
    echo "ok      $sentence"
  else
    failed=$((failed + 1))
    echo "FAILED  $sentence"
    sed 's/^/          /' "$work/seen" | tail -n 15
  fi
}
eventually() { # eventually SECONDS COMMAND…
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { "$@"; return 1; }
    sleep 0.3
  done
}
