#!/bin/bash
# Checks the form of the sources: clang-format and shellcheck, which take seconds, then clang-tidy, which
# takes long when nothing of an earlier run can be used. Prints what it finds; exit 1 if there is anything.
#
#   tests/lint.sh [--jobs N]     all; N (default 2) runs of clang-tidy at a time
#   tests/lint.sh --quick        clang-format and shellcheck alone
#
# clang-tidy reads the generated headers in build/, so build first.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"

quick=false jobs=2
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=true; shift ;;
    --jobs) jobs=$2; shift 2 ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done

# Other versions find other things: those of Debian 12 decide (clang-format and clang-tidy 14, shellcheck 0.9).
needed=(clang-format)
$quick || needed+=(clang-tidy)
for tool in "${needed[@]}"; do
  command -v "$tool" >/dev/null || {
    echo "$tool is missing; run: sudo deploy/install-dependencies.sh" >&2
    exit 2
  }
done

failed=false
# A file that is deleted but not yet committed is still listed.
list() { git ls-files -z -- "$@" | while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done; }

list '*.cc' '*.h' '*.proto' | xargs -0 clang-format --dry-run -Werror || failed=true
if command -v shellcheck >/dev/null; then
  list '*.sh' | xargs -0 shellcheck --severity=warning || failed=true
else
  echo "shellcheck is missing: the scripts are not checked" >&2
fi
$quick || tests/tidy.py --jobs "$jobs" || failed=true
if $failed; then exit 1; fi
