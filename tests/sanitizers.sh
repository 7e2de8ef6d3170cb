# How programs that are built for a sanitizer are run. Source it.

# set_sanitizer_options [REPORTS]: whatever they find ends the program, so that no test can pass over it. Reports go to files
# whose names begin with REPORTS; without, to standard error.
set_sanitizer_options() {
  local to=${1:+:log_path=$1}
  export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1$to
  export UBSAN_OPTIONS=print_stacktrace=1$to
  # Debian's libraries are built without it: of what they do it sees half.
  export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:ignore_noninstrumented_modules=1:suppressions=${repository:?}/tests/tsan/suppressions.txt$to
}
