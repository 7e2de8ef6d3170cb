# shellcheck shell=bash disable=SC2154
# A fleet of programs that are built for a sanitizer. Part of fleet_test.sh, which has check and sets repository, work, fleet,
# sanitizer (asan or tsan) and programs.

# shellcheck source=tests/sanitizers.sh
source "$repository/tests/sanitizers.sh"

run_sanitized_programs() {
  export MTP_PROGRAMS=$programs
  mkdir "$work/reports"
  set_sanitizer_options "$work/reports/of"
  check "$sanitizer reports a planted fault" is_reported
}
is_reported() { # what is planted, and so would be all else
  ! "$programs/planted_fault" "$sanitizer" || return 1
  grep -qE 'heap-buffer-overflow|data race' "$work/reports"/* && rm "$work/reports"/*
}
collect_reports() { # while the logs are there: UndefinedBehaviorSanitizer knows no other place for its own beside AddressSanitizer
  grep -h -A 40 'runtime error:' "$fleet"/processes/*.log >"$work/reports/logged" || rm "$work/reports/logged"
}
nothing_is_reported() { # and shows what is
  check "$sanitizer has found nothing" test -z "$(ls "$work/reports")"
  find "$work/reports" -type f -exec head -n 60 {} \;
}
