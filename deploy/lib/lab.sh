# Several real hosts on one machine: each is a network namespace with an address of its own and a
# Docker Engine of its own, joined by a bridge. So two hosts can publish the same port, one can be
# cut off, and one engine can be killed, for real. Source it after progress.sh and processes.sh.
#
#   lab_use FOLDER               names the lab that all other functions act on; makes nothing
#   lab_network_up               bridge, NAT; sets LAB_BRIDGE_ADDRESS
#   lab_host_up NAME             namespace, link, engine; twice changes nothing
#   lab_host_address NAME        prints its address
#   lab_netns NAME               prints the namespace's name (nsenter --net=/var/run/netns/…)
#   lab_docker_host NAME         prints the DOCKER_HOST of its engine
#   lab_in NAME COMMAND…         runs COMMAND in the host's network namespace
#   lab_load_image NAME TAR      loads an archive into its engine, unless the image is there
#   lab_engine_start NAME, lab_engine_stop NAME, lab_engine_kill NAME
#   lab_cut NAME [in|out|both], lab_heal NAME
#   lab_accept_port PORT         lets the hosts reach a port of the bridge address
#   lab_reachable_url URL        prints URL as containers reach it: loopback becomes the bridge
#   lab_down                     removes every trace; also of a lab whose processes have crashed
#
# Everything is recorded in FOLDER/lab; sockets are under /run, where their paths stay short. What the machine has once for all
# of its labs (which networks are free, whether it forwards) is changed by one at a time.

FORWARD_BEFORE=/run/mtp-labs.ip_forward # whether the machine forwarded before it had a lab

lab_use() {
  LAB_FOLDER=$1/lab
  # Names of interfaces have 15 characters at most; a folder's lab always gets the same ones.
  LAB_ID=mtp$(printf '%s' "$1" | sha256sum | cut -c 1-4)
  LAB_BRIDGE=$LAB_ID-br
  LAB_RUN=/run/$LAB_ID
  PROC_DIR=$1/processes
  LAB_BRIDGE_ADDRESS=''
  [ ! -s "$LAB_FOLDER/subnet" ] || LAB_BRIDGE_ADDRESS=$(cat "$LAB_FOLDER/subnet").1
}

lab_hosts() { [ ! -d "$LAB_FOLDER/hosts" ] || ls "$LAB_FOLDER/hosts"; }
lab_netns() { printf '%s-%s\n' "$LAB_ID" "$1"; }
lab_docker_host() { printf 'unix://%s/%s/docker.sock\n' "$LAB_RUN" "$1"; }
lab_host_address() { cat "$LAB_FOLDER/hosts/$1/address"; }

lab_in() {
  local netns
  netns=$(lab_netns "$1")
  shift
  # Not "ip netns exec": that mounts another /sys, without which an engine finds no cgroups.
  nsenter "--net=/var/run/netns/$netns" -- "$@"
}

# --- The network between the hosts

_subnet_is_used() {
  { ip -4 route show table all; ip -4 -brief address; } | grep -E "(^|[^0-9])${1//./\\.}\." >/dev/null
}

_free_subnet() {
  local third
  for third in $(seq 0 63); do
    if ! _subnet_is_used "10.213.$third"; then
      printf '10.213.%s\n' "$third"
      return
    fi
  done
  fail "no free network was found in 10.213.0.0/18" "remove an old quick start: deploy/quickstart.sh --down"
}

# Adds a rule unless it is there; each carries the lab's name, by which it is found again.
_rule() { # _rule TABLE CHAIN RULE…
  local table=$1 chain=$2
  shift 2
  iptables -w -t "$table" -C "$chain" "$@" -m comment --comment "$LAB_ID" 2>/dev/null ||
    iptables -w -t "$table" -I "$chain" "$@" -m comment --comment "$LAB_ID"
}

lab_network_up() {
  mkdir -p "$LAB_FOLDER/hosts" "$LAB_RUN"
  _for_all_labs _bridge_up
  local subnet
  subnet=$(cat "$LAB_FOLDER/subnet")
  LAB_BRIDGE_ADDRESS=$subnet.1
  _rule nat POSTROUTING -s "$subnet.0/24" ! -o "$LAB_BRIDGE" -j MASQUERADE
  _rule filter FORWARD -i "$LAB_BRIDGE" -j ACCEPT
  _rule filter FORWARD -o "$LAB_BRIDGE" -j ACCEPT
}

# Runs a function while no other lab of this machine is in one.
_for_all_labs() {
  (
    flock 9
    "$1"
  ) 9</run
}

# A network is taken from when the bridge has its address: two labs that begin at once must not both find the same one free.
_bridge_up() {
  local subnet
  [ -s "$LAB_FOLDER/subnet" ] || _free_subnet >"$LAB_FOLDER/subnet"
  subnet=$(cat "$LAB_FOLDER/subnet")
  if ! ip link show "$LAB_BRIDGE" >/dev/null 2>&1; then
    ! _subnet_is_used "$subnet" ||
      fail "another has taken $subnet.0/24, the network of this quick start, while it was down" "take the other down, or this one"
    ip link add "$LAB_BRIDGE" type bridge
  fi
  ip address replace "$subnet.1/24" dev "$LAB_BRIDGE"
  [ -s "$FORWARD_BEFORE" ] || cat /proc/sys/net/ipv4/ip_forward >"$FORWARD_BEFORE"
  echo 1 >/proc/sys/net/ipv4/ip_forward
  ip link set "$LAB_BRIDGE" up
}

# The last one leaves the machine as the first one found it.
_bridge_down() {
  ip link delete "$LAB_BRIDGE" 2>/dev/null || true
  if [ -s "$FORWARD_BEFORE" ] && ! ip -brief link show type bridge | grep -E '^mtp[0-9a-f]{4}-br ' >/dev/null; then
    cat "$FORWARD_BEFORE" >/proc/sys/net/ipv4/ip_forward
    rm -f "$FORWARD_BEFORE"
  fi
}

lab_accept_port() { _rule filter INPUT -i "$LAB_BRIDGE" -p tcp --dport "$1" -j ACCEPT; }

lab_reachable_url() {
  local url=$1 scheme rest authority host port path=''
  scheme=${url%%://*} rest=${url#*://}
  authority=${rest%%/*}
  [ "$authority" = "$rest" ] || path=/${rest#*/}
  host=${authority%%:*} port=${authority##*:}
  case $host in
    127.* | localhost) ;;
    *) printf '%s\n' "$url"; return ;;
  esac
  [ "$port" != "$authority" ] || { [ "$scheme" = https ] && port=443 || port=80; }
  # Packets to 127.0.0.0/8 that come from a link are dropped unless that link allows them.
  echo 1 >"/proc/sys/net/ipv4/conf/$LAB_BRIDGE/route_localnet"
  [ "$host" != localhost ] || host=127.0.0.1
  _rule nat PREROUTING -i "$LAB_BRIDGE" -d "$LAB_BRIDGE_ADDRESS" -p tcp --dport "$port" \
    -j DNAT --to-destination "$host:$port"
  # So that the same URL also works on the machine itself.
  _rule nat OUTPUT -d "$LAB_BRIDGE_ADDRESS" -p tcp --dport "$port" \
    -j DNAT --to-destination "$host:$port"
  lab_accept_port "$port"
  printf '%s://%s:%s%s\n' "$scheme" "$LAB_BRIDGE_ADDRESS" "$port" "$path"
}

# --- One host

_host_number() { # the hosts' addresses end in 11, 12 … in the order in which they were made
  local address last=10
  for address in "$LAB_FOLDER"/hosts/*/address; do
    [ -s "$address" ] || continue
    address=$(cat "$address")
    [ "${address##*.}" -le "$last" ] || last=${address##*.}
  done
  printf '%s\n' $((last + 1))
}

lab_host_up() {
  local name=$1 folder=$LAB_FOLDER/hosts/$1 netns
  netns=$(lab_netns "$name")
  if [ ! -s "$folder/address" ]; then
    local number
    number=$(_host_number)
    mkdir -p "$folder"
    echo "$(cat "$LAB_FOLDER/subnet").$number" >"$folder/address"
  fi
  [ -e "/var/run/netns/$netns" ] || ip netns add "$netns"
  if ! ip link show "$LAB_ID-$name" >/dev/null 2>&1; then
    ip link add "$LAB_ID-$name" type veth peer name eth0 netns "$netns"
    ip link set "$LAB_ID-$name" master "$LAB_BRIDGE"
    lab_in "$name" ip address add "$(cat "$folder/address")/24" dev eth0
  fi
  ip link set "$LAB_ID-$name" up
  lab_in "$name" ip link set lo up
  lab_in "$name" ip link set eth0 up
  lab_in "$name" ip route replace default via "$LAB_BRIDGE_ADDRESS"
  lab_engine_start "$name"
}

_engine_answers() { docker --host "$(lab_docker_host "$1")" version --format '{{.Server.Version}}'; }

# containerd too is the host's own: a dockerd that finds the machine's containerd would share it with
# the machine's own engine.
lab_engine_start() {
  local name=$1 folder=$LAB_FOLDER/hosts/$1 run=$LAB_RUN/$1
  mkdir -p "$folder" "$run"
  cat >"$folder/containerd.toml" <<TOML
version = 2
root = "$folder/containerd"
state = "$run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$run/containerd.sock"
[ttrpc]
  address = "$run/containerd.sock.ttrpc"
TOML
  # One that was killed leaves its sockets, which would be taken for those of the next.
  proc_alive "containerd-$name" || rm -f "$run/containerd.sock" "$run/containerd.sock.ttrpc"
  proc_start "containerd-$name" nsenter "--net=/var/run/netns/$(lab_netns "$name")" -- \
    containerd --config "$folder/containerd.toml"
  wait_for 30 test -S "$run/containerd.sock" ||
    fail "containerd of $name did not start" "its log: $PROC_DIR/containerd-$name.log"
  # A killed engine leaves its pid file, and takes a zombie, or a later process, of that id for itself.
  proc_alive "engine-$name" || rm -f "$run/docker.pid"
  # Without docker-proxy: two processes of 4 MB less for each published port. With live-restore, as
  # production hosts should have it: tenants run on while the engine is away. Without it an engine
  # that comes back from a crash stops its containers, and their restart policy counts that as wanted.
  proc_start "engine-$name" nsenter "--net=/var/run/netns/$(lab_netns "$name")" -- \
    dockerd --config-file /dev/null --data-root "$folder/docker" --exec-root "$run/docker" \
    --pidfile "$run/docker.pid" --host "unix://$run/docker.sock" \
    --containerd "$run/containerd.sock" --userland-proxy=false --live-restore
  wait_for 60 _engine_answers "$name" ||
    fail "the Docker Engine of $name did not start" "its log: $PROC_DIR/engine-$name.log"
}

lab_engine_stop() { proc_stop "engine-$1" 400; }
lab_engine_kill() { proc_kill "engine-$1"; }

# Prints the id that Docker gives the image in an archive.
_archive_image_id() {
  tar xOf "$1" --occurrence=1 manifest.json |
    sed -n 's/.*"Config": *"\(blobs\/sha256\/\)\{0,1\}\([0-9a-f]\{64\}\).*/sha256:\2/p'
}
archive_image_tag() {
  tar xOf "$1" --occurrence=1 manifest.json | sed -n 's/.*"RepoTags": *\["\([^"]*\)".*/\1/p'
}

lab_load_image() {
  local engine id tag
  engine=$(lab_docker_host "$1")
  id=$(_archive_image_id "$2") tag=$(archive_image_tag "$2")
  [ -n "$tag" ] || fail "$2 is not an image archive with a tag" "make one with docker save REF"
  if [ "$(docker --host "$engine" image inspect --format '{{.Id}}' "$tag" 2>/dev/null)" != "$id" ]; then
    docker --host "$engine" load --quiet --input "$2" >/dev/null
  fi
}

# --- Cutting a host off: its packets are lost silently, as on a broken line. In tables that Docker
# leaves alone, so that an engine that restarts meanwhile does not heal it.

lab_cut() {
  local way=${2:-both}
  [ "$way" = out ] || _cut_rule "$1" raw PREROUTING -i eth0
  [ "$way" = in ] || _cut_rule "$1" mangle POSTROUTING -o eth0
}

_cut_rule() {
  local name=$1 table=$2
  shift 2
  lab_in "$name" iptables -w -t "$table" -C "$@" -j DROP 2>/dev/null ||
    lab_in "$name" iptables -w -t "$table" -I "$@" -j DROP
}

lab_heal() {
  while lab_in "$1" iptables -w -t raw -D PREROUTING -i eth0 -j DROP 2>/dev/null; do :; done
  while lab_in "$1" iptables -w -t mangle -D POSTROUTING -o eth0 -j DROP 2>/dev/null; do :; done
}

# --- Taking it down

# Ends what an engine that no longer runs has left: its containers and their shims.
_kill_leftovers() {
  local name=$1 run=$LAB_RUN/$1 folder=$LAB_FOLDER/hosts/$1 id pid
  for id in "$folder"/docker/containers/*; do
    id=${id##*/}
    [ ${#id} -eq 64 ] || continue
    for pid in $(cat /sys/fs/cgroup/{,*/}{docker,system.slice}/{,docker-}"$id"{,.scope}/cgroup.procs 2>/dev/null | sort -u); do
      kill -KILL "$pid" 2>/dev/null || true
    done
    rmdir /sys/fs/cgroup/{,*/}{docker,system.slice}/{,docker-}"$id"{,.scope} 2>/dev/null || true
  done
  for pid in $(pgrep --full "^[^ ]*containerd-shim.* -address $run/containerd\.sock( |$)"); do
    kill -KILL "$pid" 2>/dev/null || true
  done
}

_unmount_below() {
  local mount
  # The deepest first.
  awk -v top="$1/" 'index($5, top) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
    while read -r mount; do umount --lazy "$mount" 2>/dev/null || true; done
}

_remove_rules() {
  local table rule
  for table in nat filter; do
    # Read as words by xargs, since comments may be quoted.
    iptables-save -t "$table" 2>/dev/null | { grep -E -- "--comment \"?$LAB_ID\"?( |$)" || true; } | sed 's/^-A/-D/' |
      while read -r rule; do xargs iptables -w -t "$table" <<<"$rule" 2>/dev/null || true; done
  done
}

# An image's layers are tens of thousands of files, which one rm removes one after another: minutes on
# a slow disk. Below this depth are the parts of single packages.
_remove_tree() {
  [ -d "$1" ] || return 0
  find "$1" -xdev -mindepth 7 -maxdepth 7 -print0 2>/dev/null |
    xargs -0 -r -n 16 -P 8 rm -rf --one-file-system 2>/dev/null || true
  rm -rf --one-file-system "$1"
}

lab_host_down() {
  local name=$1 engine
  engine=$(lab_docker_host "$name")
  if proc_alive "engine-$name" && docker --host "$engine" ps >/dev/null 2>&1; then
    docker --host "$engine" ps --all --quiet | xargs -r docker --host "$engine" rm --force >/dev/null 2>&1 || true
  fi
  proc_stop "engine-$name" 20
  proc_stop "containerd-$name" 10
  _kill_leftovers "$name"
  _unmount_below "$LAB_RUN/$name"
  _unmount_below "$LAB_FOLDER/hosts/$name"
  ip link delete "$LAB_ID-$name" 2>/dev/null || true
  [ ! -e "/var/run/netns/$(lab_netns "$name")" ] || ip netns delete "$(lab_netns "$name")"
  rm -rf --one-file-system "${LAB_RUN:?}/$name"
}

lab_down() {
  local name
  for name in $(lab_hosts); do lab_host_down "$name"; done
  local jobs=()
  for name in $(lab_hosts); do
    _remove_tree "$LAB_FOLDER/hosts/$name" &
    jobs+=($!)
  done
  # By their ids: the caller may have other jobs.
  [ ${#jobs[@]} -eq 0 ] || wait "${jobs[@]}"
  _remove_rules
  _for_all_labs _bridge_down
  rm -rf --one-file-system "$LAB_FOLDER" "$LAB_RUN"
}
