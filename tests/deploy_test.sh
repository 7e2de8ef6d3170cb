#!/bin/bash
# What deploy/install-dependencies.sh finds missing, with package databases made up for it. Needs no root and installs
# nothing. Ends in `N passed, M failed`.
set -uo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# As dpkg-query: tells of the packages that it knows, and fails when it does not know one of them.
cat >"$work/dpkg-query" <<'FAKE'
#!/bin/bash
code=0
for name in "$@"; do
  case $name in -*) continue ;; esac
  case $name in *'}'*) continue ;; esac
  if grep -qx -- "$name" "$ABSENT"; then code=1; elif grep -qx -- "$name" "$REMOVED"; then echo "config-files $name"; else echo "installed $name"; fi
done
exit $code
FAKE
chmod +x "$work/dpkg-query"
expect() { # expect SENTENCE CODE TEXT: exit code and text of a check with $work/absent and $work/removed
  local code=0 said
  said=$(PATH=$work:$PATH ABSENT=$work/absent REMOVED=$work/removed \
    "$repository/deploy/install-dependencies.sh" --check 2>&1) || code=$?
  if [ "$code" = "$2" ] && grep -qE -- "$3" <<<"$said"; then
    passed=$((passed + 1))
    echo "ok      $1"
  else
    failed=$((failed + 1))
    printf 'FAILED  %s (exit %s)\n%s\n' "$1" "$code" "$said"
  fi
}

: >"$work/absent"
: >"$work/removed"
printf 'restic\nmold\n' >"$work/absent"
expect "packages that dpkg does not know are missing" 1 'missing packages: mold restic$'
printf 'ccache\n' >"$work/removed"
expect "and so are those that were removed" 1 'missing packages: ccache mold restic$'
: >"$work/absent"
expect "a removed one alone is missing too" 1 'missing packages: ccache$'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
