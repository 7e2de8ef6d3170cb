#!/bin/bash
# Installs what building and running MTP on Debian 12 needs: the build packages, and Docker Engine 26
# with Compose v2. Run again, it returns at once; it never removes or replaces an engine that is new
# enough.
#
#   sudo deploy/install-dependencies.sh            install what is missing
#   deploy/install-dependencies.sh --check         only say what is missing; exit 1 when something is
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib/progress.sh"
. "$here/lib/debian_source.sh"

BUILD_PACKAGES=(
  build-essential g++ cmake ninja-build ccache mold pkg-config git ca-certificates
  libgrpc++-dev libgrpc-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libprotoc-dev
  libabsl-dev libyaml-cpp-dev libssl-dev openssl libspdlog-dev libsqlite3-dev sqlite3
  libcurl4-openssl-dev libboost-dev libboost-system-dev libcli11-dev nlohmann-json3-dev
  libsodium-dev libarchive-dev libzstd-dev zstd
)
TEST_PACKAGES=(
  libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev clang-format clang-tidy shellcheck curl jq
  python3 groff-base
  gcovr                  # `tests/run.sh coverage`
  clang libclang-rt-dev  # libFuzzer and the sanitizers: `tests/run.sh fuzz`
)
RUN_PACKAGES=(iproute2 iptables debootstrap runc tini util-linux procps restic openssh-client)
# Debian 12's own engine (20.10) and Compose (1.29) are too old; these come from Debian 13.
ENGINE_PACKAGES=(docker.io docker-cli docker-compose docker-buildx containerd)
ENGINE_MAJOR_MIN=24

TRIXIE_SOURCE=/etc/apt/sources.list.d/mtp-trixie.sources
TRIXIE_PINS=/etc/apt/preferences.d/mtp-trixie

# Prints those of its arguments that are not installed.
missing_packages() {
  local installed
  # dpkg-query fails when it does not know one of them, after it has told of the others.
  installed=$({ dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true; } |
    sed -n 's/^installed //p' | sort -u)
  comm -23 <(printf '%s\n' "$@" | sort -u) <(printf '%s\n' "$installed")
}

# True when an engine and a Compose v2 that work together are on the PATH. The client may be newer
# than the engine: they negotiate their API version.
engine_is_good() {
  local version
  command -v dockerd >/dev/null && command -v docker >/dev/null || return 1
  version=$(dockerd --version 2>/dev/null | sed -n 's/^Docker version \([0-9]*\).*/\1/p')
  [ "${version:-0}" -ge "$ENGINE_MAJOR_MIN" ] || return 1
  docker compose version --short 2>/dev/null | grep -Eq '^v?([2-9]|[1-9][0-9])\.' || return 1
  docker buildx version >/dev/null 2>&1
}

# Makes trixie known for the engine's packages alone: everything else of it stays below Debian 12's.
add_trixie() {
  local found uris key
  found=$(debian_source "$TRIXIE_SOURCE") || fail "no source of Debian 12 packages was found under /etc/apt" \
    "add Debian's bookworm source there, then run this again"
  uris=${found%%|*} key=${found#*|}
  key=${key:-/usr/share/keyrings/debian-archive-keyring.gpg}
  printf 'Types: deb\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: %s\n' \
    "$uris" "$key" >"$TRIXIE_SOURCE.new"
  printf 'Package: *\nPin: release n=trixie\nPin-Priority: 100\n\nPackage: %s\nPin: release n=trixie\nPin-Priority: 600\n' \
    "${ENGINE_PACKAGES[*]}" >"$TRIXIE_PINS.new"
  mv "$TRIXIE_SOURCE.new" "$TRIXIE_SOURCE"
  mv "$TRIXIE_PINS.new" "$TRIXIE_PINS"
}

check_only=false
case "${1:-}" in
  '') ;;
  --check) check_only=true ;;
  -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "usage: $0 [--check]" >&2; exit 2 ;;
esac

mapfile -t missing < <(missing_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${RUN_PACKAGES[@]}")
# npm also comes with node from elsewhere; any of them will do.
command -v npm >/dev/null || missing+=(npm)
engine=present
engine_is_good || engine=missing

if [ ${#missing[@]} -eq 0 ] && [ "$engine" = present ]; then
  step "Dependencies: all there"
  exit 0
fi
if $check_only; then
  [ ${#missing[@]} -eq 0 ] || note "missing packages: ${missing[*]}"
  [ "$engine" = present ] || note "missing: Docker Engine ${ENGINE_MAJOR_MIN}+ with Compose v2 and buildx"
  exit 1
fi
[ "$(id -u)" -eq 0 ] || fail "installing packages needs root" "sudo $0"

log=$(mktemp -t mtp-install.XXXXXX.log)
export DEBIAN_FRONTEND=noninteractive
apt_install=(apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-confold
  -o DPkg::Lock::Timeout=300)

if [ "$engine" = missing ] && ! apt-cache policy docker.io 2>/dev/null |
    grep -Eq "Candidate: (2[4-9]|[3-9][0-9])\."; then
  step "Adding Debian 13 as the source of Docker Engine (those packages alone)"
  add_trixie
fi
step "Reading the package lists"
quietly "$log" apt-get update -q
if [ ${#missing[@]} -gt 0 ]; then
  step "Installing ${#missing[@]} packages"
  quietly "$log" "${apt_install[@]}" "${missing[@]}"
fi
if [ "$engine" = missing ]; then
  step "Installing Docker Engine, Compose and buildx"
  quietly "$log" "${apt_install[@]}" "${ENGINE_PACKAGES[@]}"
  hash -r
  engine_is_good || fail "Docker Engine was installed, but \"docker compose\" does not work with it" \
    "another docker client on the PATH may be in the way: $(command -v docker)"
fi
rm -f "$log"
step "Dependencies: installed"
