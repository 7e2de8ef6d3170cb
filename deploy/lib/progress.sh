# Progress lines with elapsed times, for the scripts in deploy/. Source it; it defines functions and
# exports MTP_STARTED_S, so that scripts that are called count on.
#
#   step "Installing packages"     one line, with the time since the script began
#   note "…"                       an indented line under the last step
#   fail "…" ["hint"]              one sentence (and one hint) on standard error, then exit 1
#   quietly LOG COMMAND…           runs COMMAND with its output in LOG; on failure shows the log's end

export MTP_STARTED_S=${MTP_STARTED_S:-$(date +%s)}

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  _bold=$'\e[1m' _dim=$'\e[2m' _red=$'\e[31m' _plain=$'\e[0m'
else
  _bold='' _dim='' _red='' _plain=''
fi

_elapsed() {
  local s=$(($(date +%s) - MTP_STARTED_S))
  printf '%d:%02d' $((s / 60)) $((s % 60))
}

step() { printf '%s[%s]%s %s%s%s\n' "$_dim" "$(_elapsed)" "$_plain" "$_bold" "$*" "$_plain"; }

note() { printf '       %s\n' "$*"; }

fail() {
  printf '%sfailed:%s %s\n' "$_red" "$_plain" "$1" >&2
  [ $# -lt 2 ] || printf '  hint: %s\n' "$2" >&2
  exit 1
}

quietly() {
  local log=$1
  shift
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 25 "$log" >&2
    fail "\"$*\" did not succeed; the lines above are the end of $log"
  fi
}
