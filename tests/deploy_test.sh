#!/bin/bash
# What deploy/install-dependencies.sh finds missing, with package databases made up for it; what `cmake --install` puts where, into
# a folder of its own; and the networks of several labs that begin at once, for which it needs root. Installs nothing. Ends in
# `N passed, M failed`.
set -uo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/checks.sh
source "$repository/tests/checks.sh"

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
finds() { # finds CODE TEXT: exit code and text of a check with $work/absent and $work/removed
  local code=0 said
  said=$(PATH=$work:$PATH ABSENT=$work/absent REMOVED=$work/removed \
    "$repository/deploy/install-dependencies.sh" --check 2>&1) || code=$?
  [ "$code" = "$1" ] && grep -qE -- "$2" <<<"$said" || { echo "exit $code: $said"; return 1; }
}

: >"$work/absent"
: >"$work/removed"
printf 'restic\nmold\n' >"$work/absent"
check "packages that dpkg does not know are missing" finds 1 'missing packages: mold restic$'
printf 'ccache\n' >"$work/removed"
check "and so are those that were removed" finds 1 'missing packages: ccache mold restic$'
: >"$work/absent"
check "a removed one alone is missing too" finds 1 'missing packages: ccache$'

# --- cmake --install
installed=$work/installed/usr
has_a_page_for_all() { # every command that --help names, and every one that those name
  local group command missing=''
  for group in $(subcommands "$installed/bin/mtp-cli"); do
    [ -s "$installed/share/man/man1/mtp-cli-$group.1" ] || missing+=" $group"
    for command in $(subcommands "$installed/bin/mtp-cli" "$group"); do
      [ -s "$installed/share/man/man1/mtp-cli-$group-$command.1" ] || missing+=" $group-$command"
    done
  done
  [ -z "$missing" ] || { echo "without a page:$missing"; return 1; }
  [ "$(find "$installed/share/man/man1" -name '*.1' | wc -l)" -gt 50 ]
}
subcommands() { "$@" --help | sed -n '/^Subcommands:/,$ s/^  \([a-z][a-z-]*\) .*/\1/p'; }
pages_are_clean() { # by groff, which warns of what it does not know
  local page warnings=0
  while IFS= read -r page; do
    groff -man -ww -Tutf8 -K utf8 "$page" 2>&1 >/dev/null | grep . && warnings=1
  done < <(find "$installed/share/man" -type f)
  return "$warnings"
}
check "everything is installed" env DESTDIR="$work/installed" cmake --install "$repository/build" --prefix /usr
for program in cli controller agent guard; do
  check "mtp-$program is a program there" test -x "$installed/bin/mtp-$program"
done
check "each command has a manual page" has_a_page_for_all
check "so have the programs of servers" ls "$installed"/share/man/man8/mtp-{controller,controller-recover,agent,agent-join,guard}.8
check "they are without a warning" pages_are_clean
check "bash completes by what is installed" bash -c ". '$installed/share/bash-completion/completions/mtp-cli' && complete -p mtp-cli"
check "zsh has its completion" grep -q '^#compdef mtp-cli$' "$installed/share/zsh/site-functions/_mtp-cli"
check "and so has fish" grep -q 'mtp-cli' "$installed/share/fish/vendor_completions.d/mtp-cli.fish"

# --- Labs
lab() { # lab NUMBER FUNCTION…: of deploy/lib/lab.sh, in the lab of that number
  bash -euo pipefail -c '. "$1/deploy/lib/progress.sh"; . "$1/deploy/lib/processes.sh"; . "$1/deploy/lib/lab.sh"; lab_use "$2"; shift 2; "$@"' \
    - "$repository" "$work/fleet-$1" "${@:2}"
}
at_once() { # at_once FUNCTION NUMBER…
  local number job jobs=() code=0
  for number in "${@:2}"; do
    lab "$number" "$1" &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do wait "$job" || code=1; done
  return "$code"
}
networks_differ() { [ "$(cat "$work"/fleet-*/lab/subnet | sort -u | wc -l)" = "$1" ] || { cat "$work"/fleet-*/lab/subnet; return 1; }; }
forwards() { [ "$(cat /proc/sys/net/ipv4/ip_forward)" = "$1" ]; }
labs_at_once() {
  local before
  before=$(cat /proc/sys/net/ipv4/ip_forward)
  check "eight labs begin at once" at_once lab_network_up 1 2 3 4 5 6 7 8
  check "each with a network of its own" networks_differ 8
  check "one that begins again keeps its network" at_once lab_network_up 3
  check "as the others do" networks_differ 8
  check "the first is taken down, and others after it" at_once lab_down 1 2 4 5 6 7 8
  check "the machine forwards for the one that is left" forwards 1
  ip link delete "$(lab 3 eval 'echo "$LAB_BRIDGE"')"
  ip link add mtp-test-taken type bridge
  ip address add "$(cat "$work/fleet-3/lab/subnet").1/24" dev mtp-test-taken
  check "one whose network was taken while it was down says so" is_told_that_its_network_is_taken
  ip link delete mtp-test-taken
  check "and takes it again later" at_once lab_network_up 3
  check "it is taken down, too" at_once lab_down 3
  check "the machine forwards if it did before" forwards "$before"
}
is_told_that_its_network_is_taken() { ! said=$(lab 3 lab_network_up 2>&1) && grep -q 'while it was down' <<<"$said" || { echo "$said"; return 1; }; }
if [ "$(id -u)" -eq 0 ]; then labs_at_once; else echo "left out: labs need root"; fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
