#!/bin/bash
# Runs the tests. Root is needed for all but `lint`, `unit`, `simulation`, `fuzz`, `crash --list` and the placement part of `bench`.
#
#   tests/run.sh                 all but `bench`, `crash`, `e2e`, `load`, `mutants`, clang-tidy and the contract of the real OpenClaw; each parser is
#                                fuzzed 30,000 times, and a part of the unit tests and of the fleets runs under the sanitizers
#   tests/run.sh lint            clang-format, shellcheck and clang-tidy (long when it runs for the first time)
#   tests/run.sh unit            the fast ones, without Docker
#   tests/run.sh simulation [--seeds N] [--from S] [--jobs J] [--replay SEED] [--plant NAME] [--plants] [--find-plants]
#                                the control plane in virtual time; what fails is made smaller; without options its own test,
#                                which finds each planted defect
#   tests/run.sh fuzz [--seconds N | --runs N] [--target NAME]… [--jobs J] [--list] [--keep]   parsers under libFuzzer
#   tests/run.sh e2e             the agent's libraries against a real Docker Engine and a real restic (some minutes)
#   tests/run.sh systemd         the Debian packages, under a systemd in namespaces of its own (a minute)
#   tests/run.sh fleet           a fleet on two real engines with light tenants, from quick start to --down
#   tests/run.sh fleets          the fleets of the whole run, two at a time
#   tests/run.sh partitions [--rounds N] [--lease S] [--real]   hosts cut off, agents and engines stopped and killed, under leases
#   tests/run.sh power [--cuts N]    power cuts of controller and agents while requests go on (6; about a minute for each)
#   tests/run.sh clocks          clocks of controller and agent set back and forward by an hour and a day (about 20 minutes)
#   tests/run.sh pauses          controller, agent and engine stopped for longer than their timeouts in each operation (about an hour)
#   tests/run.sh all-killed [--kills N]    every process of the fleet killed at the same moment, then each started once (3)
#   tests/run.sh upgrade --old FOLDER [--upgrade-tenants N]   a fleet of an older build's programs is upgraded under load,
#                                controller first and agents first
#   tests/run.sh real            all of `fleet` with the real OpenClaw (some minutes)
#   tests/run.sh crash [--list] [--kind K] [--party controller|agent] [--from N] [--only N] [--plant NAME] [--plants]
#                                a fleet killed at each step boundary of each kind of operation (about an hour)
#   tests/run.sh load [--hosts N] [--tenants N] [--watchers N] [--share S] [--seconds N] [--no-attacks] [--keep]
#                                a real controller with 20 hosts of simulated engines and 1,000 tenants: 64 operations at once,
#                                100 watching CLIs, a week's operations, attacks on its ports (about 15 minutes)
#   tests/run.sh contract [--only double|real]   the same cases against the OpenClaw double and the real one
#   tests/run.sh asan [UNIT]…    unit tests and simulation under AddressSanitizer and UndefinedBehaviorSanitizer, in build-asan/;
#                                of the unit tests only those named, for example unit_agent
#   tests/run.sh tsan [UNIT]…    the same under ThreadSanitizer, in build-tsan/ (each builds all of it anew: half an hour)
#   tests/run.sh coverage        the lines that unit tests and simulation run, by folder, in build-coverage/ (builds all of it anew)
#   tests/run.sh mutants [--count N] [--seed S] [--only FOLDER]   small faults put into what decides, one at a time: do tests notice
#                                (200; about two hours)
#   tests/run.sh bench [--only fleet|backup|rollout|load|placement]…   every benchmark with its baseline and ratio
#
# Builds what it needs into build/ first.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"
# shellcheck source=tests/sanitizers.sh
source tests/sanitizers.sh
called="tests/run.sh${1:+ $1}"

# The comment at the head of this file.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

build_in() { # build_in FOLDER TARGET…
  local folder=$1 log
  shift
  log=$(mktemp)
  if ! ninja -C "$folder" "$@" >"$log" 2>&1; then
    grep -E 'error|FAILED' "$log" | head -n 40 || true
    echo "the build failed; run: ninja -C $folder $*" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

build() {
  [ -e build/build.ninja ] || cmake --preset debug >/dev/null
  build_in build "$@"
}

run_lint() {
  build mtp_proto
  tests/lint.sh "$@"
}

run_unit() {
  build
  ctest --test-dir build --parallel 2 --output-on-failure -L unit
}

run_simulation() {
  build simulation
  build/bin/simulation "$@"
}

build_sanitized() { # build_sanitized asan|tsan TARGET…
  local kind=$1
  shift
  cmake --preset "$kind" >/dev/null
  build_in "build-$kind" "$@" planted_fault
}

run_sanitized() { # run_sanitized asan|tsan [UNIT]…: without any, all
  local kind=$1 folder=build-$1 code=0 names=unit
  shift
  if [ $# -eq 0 ]; then
    build_sanitized "$kind" all
  else
    names="^($(IFS='|'; echo "$*"))\$"
    build_sanitized "$kind" "$@" simulation
  fi
  set_sanitizer_options
  expect_faults_to_be_found "$kind"
  ctest --test-dir "$folder" --parallel 2 --output-on-failure --label-regex unit --tests-regex "$names" || code=1
  "$folder/bin/simulation" --seeds 300 --jobs 2 || code=1
  return "$code"
}

expect_faults_to_be_found() { # expect_faults_to_be_found asan|tsan
  local planted=build-$1/bin/planted_fault said
  "$planted" none >/dev/null || { echo "$1 finds a fault where there is none" >&2; return 1; }
  if said=$("$planted" "$1" 2>&1) || ! grep -qE 'data race|heap-buffer-overflow' <<<"$said"; then
    echo "$1 does not find a planted fault: $said" >&2
    return 1
  fi
}

run_coverage() {
  command -v gcovr >/dev/null || { echo "gcovr is missing; run: sudo deploy/install-dependencies.sh" >&2; exit 2; }
  cmake --preset coverage >/dev/null
  build_in build-coverage
  find build-coverage -name '*.gcda' -delete
  local code=0
  ctest --test-dir build-coverage --output-on-failure -L unit || code=$?
  build-coverage/bin/simulation --seeds 300 || code=$?
  tests/coverage.py build-coverage
  return "$code"
}

run_fuzz() {
  command -v clang++ >/dev/null || { echo "clang is missing; run: sudo deploy/install-dependencies.sh" >&2; exit 2; }
  [ -e build-fuzz/build.ninja ] || cmake --preset fuzz >/dev/null
  build_in build-fuzz fuzz
  tests/fuzz/fuzz.py "$@"
}

run_systemd() {
  build
  tests/systemd/systemd_test.sh
}

run_standins() { python3 -W error tests/standins/standins_test.py; }

need_root() { # need_root [WHAT]
  [ "$(id -u)" -eq 0 ] || { echo "this ${1:-makes network namespaces}, which needs root: sudo $called" >&2; exit 2; }
}

run_e2e() {
  need_root
  build e2e_engine
  deploy/openclaw-image/build.sh >/dev/null
  local log code=0
  log=$(mktemp)
  build/bin/e2e_engine | tee "$log" || code=$?
  # Without a part that it needs a case skips itself; here that is no success.
  ! grep -qF '[  SKIPPED ]' "$log" || code=1
  rm -f "$log"
  return "$code"
}

run_fleet() { # run_fleet [OPTION]…: of tests/e2e/fleet_test.sh
  need_root
  local programs=(mtp-controller mtp-agent mtp-guard mtp-cli)
  if [[ " $* " =~ " --sanitizer "(asan|tsan)" " ]]; then
    build_sanitized "${BASH_REMATCH[1]}" "${programs[@]}"
    build load_caller
  else
    build "${programs[@]}" load_caller
  fi
  tests/e2e/fleet_test.sh "$@"
}

# Fleets wait more than they work, so there are two at a time: one shows what it sees, the other's log is shown at the end.
# Parts that are not named here take long by themselves; `tests/run.sh fleet` has all of it. Servers for backups are tried with
# the double.
run_fleets() {
  need_root
  build mtp-controller mtp-agent mtp-guard mtp-cli load_caller
  # Both lanes use the images; one makes them.
  tests/doubles/openclaw/build-image.sh >/dev/null
  deploy/openclaw-image/build.sh >/dev/null
  local log code=0 other kind
  # The fleets beside it are those with the sanitizers' programs.
  for kind in asan tsan; do build_sanitized "$kind" mtp-controller mtp-agent mtp-guard mtp-cli; done
  log=$(mktemp)
  in_turn '--sanitizer tsan --only deaths --only recovery --only rotation --only lost_host' \
    '--sanitizer asan --only updates --only limits --only crash_loops' >"$log" 2>&1 &
  other=$!
  # Interrupted, both take their fleets down.
  trap 'kill "$other" 2>/dev/null; wait' EXIT
  in_turn "$(printf -- '--only %s ' conversation refusals secrets deaths trust project life backups servers drills many)" \
    '--real --no-servers --without updates --without limits --without partitions' || code=1
  wait "$other" || code=1
  trap - EXIT
  echo "--- the fleets beside it"
  cat "$log"
  rm -f "$log"
  return "$code"
}

in_turn() { # in_turn PARTS…: a fleet for each; a failed one does not keep the next from being tried
  local parts fleet='' code=0
  trap '[ -z "$fleet" ] || { kill "$fleet" && wait "$fleet"; } || true; exit 1' TERM INT
  for parts in "$@"; do
    echo "--- fleet_test.sh $parts" | tr -s ' '
    # shellcheck disable=SC2086 # a list of options
    tests/e2e/fleet_test.sh $parts &
    fleet=$!
    wait "$fleet" || code=1
  done
  trap - TERM INT
  return "$code"
}

run_crash() {
  case " $* " in
    *" --list "* | *" --plants "* | *" --help "* | *" -h "*) build step_table ;;
    *)
      need_root
      build step_table mtp-controller mtp-agent mtp-guard mtp-cli
      ;;
  esac
  python3 -B tests/crash/crash.py "$@"
}

run_load() {
  need_root "looks at the controller's descriptors"
  build load_agents load_caller mtp-controller mtp-cli
  python3 -B tests/load/load.py "$@"
}

run_contract() {
  need_root
  tests/doubles/openclaw/contract_test.sh "$@"
}

run_bench() {
  # What is measured ought to be a release build; a build folder that is there is only brought up to date.
  [ -e build/build.ninja ] || cmake --preset release >/dev/null
  build placement_bench load_agents load_caller mtp-controller mtp-agent mtp-guard mtp-cli
  tests/bench/bench.sh "$@"
}

# Carries out a part of the whole run and says how long it took.
timed() {
  local begun=$SECONDS
  "$@"
  printf '== %s: %s s\n' "$*" $((SECONDS - begun))
}

case ${1:-all} in
  lint) shift; run_lint "$@" ;;
  unit) run_unit ;;
  simulation) shift; run_simulation "$@" ;;
  fuzz) shift; run_fuzz "$@" ;;
  standins) run_standins ;;
  systemd) run_systemd ;;
  e2e) run_e2e ;;
  fleet) shift; run_fleet "$@" ;;
  fleets) run_fleets ;;
  crash) shift; run_crash "$@" ;;
  load) shift; run_load "$@" ;;
  partitions) shift; run_fleet --only partitions "$@" ;;
  power | clocks | pauses) part=$1; shift; run_fleet --only "$part" "$@" ;;
  all-killed) shift; run_fleet --only all_killed "$@" ;;
  upgrade) shift; run_fleet --only upgrade "$@" ;;
  real) shift; run_fleet --real "$@" ;;
  contract) shift; run_contract "$@" ;;
  bench) shift; run_bench "$@" ;;
  asan | tsan) run_sanitized "$@" ;;
  coverage) run_coverage ;;
  mutants) shift; python3 -B tests/mutants.py "$@" ;;
  all)
    [ "$(id -u)" -ne 0 ] || timed deploy/install-dependencies.sh
    timed tests/lint.sh --quick
    timed run_unit
    timed run_simulation
    # Its own test has the first 400.
    timed run_simulation --from 401 --seeds 1600 --jobs 2
    timed run_fuzz --runs 30000
    timed run_sanitized asan unit_agent unit_controller unit_cli
    timed run_sanitized tsan unit_base unit_kv unit_tls unit_operations unit_agent unit_controller
    timed run_standins
    timed tests/deploy_test.sh
    timed run_systemd
    timed run_contract --only double
    timed run_fleets
    ;;
  -h | --help) usage ;;
  *) usage >&2; exit 2 ;;
esac
