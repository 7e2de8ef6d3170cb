#!/bin/bash
# The Debian packages under a real systemd with a real Docker Engine, in namespaces and control groups of its own, as docs/operations.md
# tells it: the controller as its own user, agent and guard beside it, a light tenant, and what happens when they die, are upgraded or
# removed, the engine restarts or a lease ends. Needs root, systemd, and programs that are built. Ends in `N passed, M failed`.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
if [ "$(id -u)" -ne 0 ] || [ ! -x /lib/systemd/systemd ]; then
  echo "left out: the units need root and systemd"
  exit 0
fi
image_archive=$("$repository/tests/doubles/openclaw/build-image.sh") || exit 1
work=$(mktemp -d)
root=$work/root group=mtp-systemd-test.$$
machine='' init=''
# shellcheck source=tests/checks.sh
source "$repository/tests/checks.sh"

# --- The machine
groups() { # groups COMMAND…: with each of this machine's control group folders of the test
  local tree
  for tree in /sys/fs/cgroup /sys/fs/cgroup/*/; do
    [ ! -e "$tree/cgroup.procs" ] || "$@" "${tree%/}/$group"
    [ ! -e /sys/fs/cgroup/cgroup.controllers ] || break
  done
}
enter_group() {
  mkdir "$1" || return 1
  # A new group of processors has none until it is told.
  [ ! -e "$1/cpuset.cpus" ] || [ -e "$1/cgroup.controllers" ] ||
    { cat "${1%/*}/cpuset.cpus" >"$1/cpuset.cpus" && cat "${1%/*}/cpuset.mems" >"$1/cpuset.mems"; }
  echo "$BASHPID" >"$1/cgroup.procs"
}
leave_no_group() { find "$1" -depth -type d -exec rmdir {} + 2>/dev/null; }
begin() {
  "$here/machine.sh" make "$root" || return 1
  (
    groups enter_group
    exec unshare --mount --pid --cgroup --ipc --uts --net --fork --kill-child=KILL \
      "$here/machine.sh" boot "$root" >"$work/console" 2>&1 </dev/null
  ) &
  machine=$!
  eventually 30 has_begun && eventually 60 inside test -S /run/systemd/private && eventually 60 is_up
}
has_begun() { init=$(pgrep -P "$machine") && [ "$(readlink "/proc/$init/exe")" = /usr/lib/systemd/systemd ]; }
is_up() { case $(inside systemctl is-system-running) in running | degraded) ;; *) return 1 ;; esac; }
inside() { nsenter --target "$init" --mount --pid --net --ipc --uts --cgroup --root --wd "$@"; }
end() {
  local code=$?
  if [ -n "$machine" ]; then
    kill -KILL "$machine" 2>/dev/null
    wait "$machine" 2>/dev/null
    # The last processes of a namespace may take a moment.
    eventually 20 groups_are_gone
  fi
  rm -rf "$work"
  exit "$code"
}
groups_are_gone() { groups leave_no_group; ! find /sys/fs/cgroup -maxdepth 2 -name "$group" | grep -q .; }
trap end EXIT
trap 'exit 130' INT TERM

# --- Checks
give_up() { # the rest would be about nothing
  tail -20 "$work/console"
  echo "$passed passed, $failed failed"
  exit 1
}
says() { # says TEXT COMMAND…: fails, and says so
  local said
  if ! said=$("${@:2}" 2>&1) && grep -qF -- "$1" <<<"$said"; then return 0; fi
  echo "$said"
  return 1
}
tells() { # tells TEXT COMMAND…: goes well, and says so
  local said
  if said=$("${@:2}" 2>&1) && grep -qF -- "$1" <<<"$said"; then return 0; fi
  echo "$said"
  return 1
}
silent() {
  local said
  if said=$("$@" 2>&1) && [ -z "$said" ]; then return 0; fi
  echo "$said"
  return 1
}
cli() { inside env HOME=/root mtp-cli "$@"; }
as_controller() { inside setpriv --reuid mtp-controller --regid mtp-controller --init-groups "$@"; }
is() { [ "$(inside systemctl is-active "$1")" = "$2" ] || { inside systemctl status --no-pager "$1"; return 1; }; }
runs_what_is_installed() { # not what was, which is removed while it runs
  local program
  program=$(inside readlink "/proc/$(inside systemctl show --value --property MainPID "$1")/exe")
  same "/usr/bin/$1" "$program"
}
host_is() { cli status -o json | jq -e --arg state "$1" '.hosts[0].state == $state'; }
acme_is() { cli status -o json | jq -e --arg health "$1" '.tenants[] | select(.name == "acme") | .health == $health'; }
begun_at() { inside docker inspect --format '{{.State.StartedAt}}' mtp-acme; }
same() {
  if [ -n "$1" ] && [ "$1" = "$2" ]; then return 0; fi
  echo "$1, then $2"
  return 1
}
is_begun_since() { [ "$(begun_at)" != "$1" ] || { echo "not since $1"; return 1; }; }

# --- Packages
check "packages are made" cpack --config "$repository/build/CPackConfig.cmake" -B "$work/build" -D "CPACK_OUTPUT_FILE_PREFIX=$root/root"
check "systemd comes up" begin
[ "$failed" -eq 0 ] || give_up
echo '{"live-restore": true, "userland-proxy": false}' >"$root/etc/docker/daemon.json"
install() { inside sh -c 'dpkg --install /root/mtp-*.deb'; }
check "they are installed" install
[ "$failed" -eq 0 ] || give_up
units=/usr/lib/systemd/system
check "systemd has nothing to say against the units" silent inside systemd-analyze --man=no verify \
  $units/mtp-controller.service $units/mtp-agent.service $units/mtp-guard.service
# As `systemd-analyze security` counts, in tenths: less is more closed.
check "the controller's is closed" inside systemd-analyze security --offline=true --threshold=20 $units/mtp-controller.service
check "and so is the guard's" inside systemd-analyze security --offline=true --threshold=25 $units/mtp-guard.service

# --- The controller
check "before init nothing is run" inside systemctl start mtp-controller
check "nor has it failed" is mtp-controller inactive
check "root does not make a fleet in somebody else's folder" says 'sudo -u mtp-controller' inside mtp-controller init
check "its user does, and is told of the service" tells 'Next: sudo systemctl enable --now mtp-controller' \
  as_controller mtp-controller init --fleet example
check "its settings are changed by hand" as_controller sed -i 's/^lease_s:.*/lease_s: 15/' /var/lib/mtp-controller/controller.yaml
check "which is what it will read" inside grep -q '^lease_s: 15$' /var/lib/mtp-controller/controller.yaml
check "the service is begun" inside systemctl enable --now mtp-controller
controller() { inside systemctl show --value --property MainPID mtp-controller; }
check "as its own user" same mtp-controller "$(inside ps -o user:32= -p "$(controller)")"
check "without any capability" inside grep -qx 'CapEff:[[:space:]]*0*' "/proc/$(controller)/status"
check "the first operator reaches it" cli context add example --controller 127.0.0.1:7443 \
  --identity /var/lib/mtp-controller/operators/admin --use

# --- A host beside it
check "the engine runs" inside systemctl start docker
check "it has the image" inside docker load --quiet --input /dev/stdin <"$image_archive"
check "the guard runs" inside systemctl enable --now mtp-guard
check "the agent waits for a join" inside systemctl enable --now mtp-agent
check "and has not failed" is mtp-agent inactive
cli host token h1 >"$work/token" 2>/dev/null
check "the controller's port is not taken for the agent's" says 'such as 7445' inside mtp-agent join - <"$work/token"
check "which has not used the token up" tells 'sudo systemctl enable --now mtp-agent mtp-guard' \
  inside mtp-agent join - --advertise 127.0.0.1:7445 --no-admin <"$work/token"
check "the agent is begun" inside systemctl start mtp-agent
check "the host gets ready" eventually 30 host_is ready
check "the guard watches it" inside test -s /var/lib/mtp-agent/guard/beat

# --- A tenant
echo 555001001:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA >"$root/root/bot"
echo sk-ant-nothing >"$root/root/key"
chmod 600 "$root"/root/{bot,key}
check "a tenant is provisioned" cli provision acme --telegram-token-file /root/bot --anthropic-key-file /root/key \
  --telegram-api http://127.0.0.1:9 --anthropic-api http://127.0.0.1:9 --image mtp/openclaw-double:1 --memory 64 \
  --failover failover
check "a repository in a folder is taken" cli repository add local /srv/backups
check "it is backed up" cli backup acme
check "the backup starts in a sandbox" cli backup drill acme
check "it comes back from its backup" cli backup restore acme --yes
check "its limit is changed" cli tenant set acme --memory-limit 1024

# --- Deaths
before=$(begun_at)
check "the engine is begun anew" inside systemctl restart docker
for unit in mtp-controller mtp-agent mtp-guard; do
  check "$unit is killed" inside systemctl kill --signal=KILL $unit
  check "and comes back by itself" eventually 20 is $unit active
done
check "the host is ready again" eventually 30 host_is ready
check "and its tenant" eventually 30 acme_is ready
check "which has noticed nothing" same "$before" "$(begun_at)"
check "the agent is stopped" inside systemctl stop mtp-agent
check "tenants are not" same "$before" "$(begun_at)"
check "it is begun again" inside systemctl start mtp-agent
check "and the host is ready" eventually 30 host_is ready

# --- Upgrade: the same version again, which to the services is the same
check "the packages are installed again" install
for unit in mtp-controller mtp-agent mtp-guard; do
  check "$unit runs as what is new" runs_what_is_installed $unit
done
check "the host is ready" eventually 30 host_is ready
check "and its tenant" eventually 30 acme_is ready
check "which has noticed nothing" same "$before" "$(begun_at)"

# --- The lease's end, while agent and engine stand still
tenant=$(inside docker inspect --format '{{.State.Pid}}' mtp-acme)
still=$(inside pidof mtp-agent dockerd)
# shellcheck disable=SC2086 # one argument for each
inside kill -STOP $still
check "the controller goes away" inside systemctl stop mtp-controller
check "the guard ends the tenant" eventually 40 inside sh -c "! kill -0 ${tenant:?}"
check "and says so" inside sh -c 'journalctl --unit mtp-guard --no-pager | grep -q "the lease is over; killed"'
# shellcheck disable=SC2086
inside kill -CONT $still
check "the controller comes back" inside systemctl start mtp-controller
check "the tenant is begun anew" eventually 60 is_begun_since "$before"
check "and gets ready" eventually 30 acme_is ready

# --- The end
before=$(begun_at)
check "the agent's package is removed" inside dpkg --remove mtp-agent
check "its services with it" is mtp-agent inactive
check "the guard, too" is mtp-guard inactive
check "the tenant runs on" same "$before" "$(begun_at)"
check "its data and the host's identity stay" inside test -d /var/lib/mtp-agent/project/data/acme -a -s /var/lib/mtp-agent/agent.yaml

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
