# The parts of a quick-start fleet: programs, stand-ins, controller, agents, tenants. Source it after
# progress.sh, processes.sh and lab.sh; it works in the folder of lab_use.
#
#   <fleet>/controller, <fleet>/hosts/<host>/{agent,project}   what the programs keep
#   <fleet>/secrets      tenants' credentials for the stand-ins, readable by root alone
#   <fleet>/settings     what a later call of the quick start must know
#   <fleet>/processes    logs and process ids;   <fleet>/lab   networks and engines
#
# MTP_PROGRAMS names a folder of programs that are run as they are (of another version, say); else they are built first.

CONTROLLER_PORT=7443
ENROLL_PORT=7444
AGENT_PORT=7445
TELEGRAM_PORT=8181
ANTHROPIC_PORT=8182

fleet_use() {
  fleet_dir=$1
  PROGRAMS=${MTP_PROGRAMS:-${repository:?}/build/bin}
  CLI=$PROGRAMS/mtp-cli
  OPERATOR=${SUDO_USER:-root}
  CONTEXT=quickstart
  [ "$fleet_dir" = /var/lib/mtp-quickstart ] || CONTEXT=quickstart-$LAB_ID
  # Behind sudo HOME may be anybody's; without it, it is the caller's own word.
  OPERATOR_HOME=$HOME
  [ -z "${SUDO_USER:-}" ] || OPERATOR_HOME=$(getent passwd "$OPERATOR" | cut -d : -f 6)
  TELEGRAM_API='' ANTHROPIC_API='' OPENCLAW_IMAGE=''
  # shellcheck disable=SC1091
  [ ! -s "$fleet_dir/settings" ] || . "$fleet_dir/settings"
}

remember_settings() {
  printf '%s=%q\n' TELEGRAM_API "$TELEGRAM_API" ANTHROPIC_API "$ANTHROPIC_API" \
    OPENCLAW_IMAGE "$OPENCLAW_IMAGE" >"$fleet_dir/settings.new"
  mv "$fleet_dir/settings.new" "$fleet_dir/settings"
}

# Runs a command as the user who called sudo, with that user's home: the context that mtp-cli uses
# is that user's.
as_operator() {
  if [ "$OPERATOR" = root ]; then
    "$@"
  else
    runuser -u "$OPERATOR" -- env HOME="$OPERATOR_HOME" "$@"
  fi
}

need_host() {
  [ -s "$LAB_FOLDER/hosts/$1/address" ] ||
    fail "there is no host $1 in this fleet" "hosts: $(lab_hosts | tr '\n' ' ')"
}

# --- Programs and image

build_programs() {
  local owner run=()
  if [ -n "${MTP_PROGRAMS:-}" ]; then
    [ -x "$PROGRAMS/mtp-controller" ] || fail "there is no mtp-controller in $PROGRAMS" "MTP_PROGRAMS names a folder of programs"
    step "Programs of $PROGRAMS, as they are"
    return
  fi
  owner=$(stat -c %U "$repository")
  # A build folder that belongs to root would be in its owner's way later.
  [ "$owner" = root ] || [ "$owner" = UNKNOWN ] || run=(runuser -u "$owner" --)
  # A folder that is configured otherwise is a developer's; it is only brought up to date.
  if [ ! -e "$repository/build/build.ninja" ]; then
    step "Building (some minutes, once)"
    quietly "$fleet_dir/cmake.log" "${run[@]}" cmake -S "$repository" --preset release
  else
    step "Building what has changed"
  fi
  quietly "$fleet_dir/build.log" "${run[@]}" ninja -C "$repository/build" mtp-controller mtp-agent mtp-guard mtp-cli
}

# Sets image_tar and OPENCLAW_IMAGE.
find_image_archive() {
  if [ -z "$image_ref" ] && [ -s "$fleet_dir/image.tar" ]; then
    image_tar=$fleet_dir/image.tar
  elif [ -z "$image_ref" ]; then
    image_tar=$("$repository/deploy/openclaw-image/build.sh")
  elif [ -f "$image_ref" ]; then
    image_tar=$(realpath "$image_ref")
    [ -s "$fleet_dir/image.tar" ] || ln -sf "$image_tar" "$fleet_dir/image.tar"
  else
    image_tar=$fleet_dir/image.tar
    step "Taking the image $image_ref from the engine at ${DOCKER_HOST:-the default socket}"
    quietly "$fleet_dir/image.log" docker save --output "$image_tar.new" "$image_ref"
    mv "$image_tar.new" "$image_tar"
  fi
  OPENCLAW_IMAGE=$(archive_image_tag "$image_tar")
  [ -n "$OPENCLAW_IMAGE" ] || fail "$image_tar names no image" "make it with docker save REF"
}

# Loads the archive into the engines of all hosts at once.
load_image() {
  local host job jobs=()
  step "OpenClaw image $OPENCLAW_IMAGE (half a minute for each host, once)"
  for host in "${HOSTS[@]}"; do
    lab_load_image "$host" "$1" &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do
    wait "$job" || fail "an engine did not take the image $1" "logs: $PROC_DIR/engine-*.log"
  done
}

# --- Stand-ins

# Whether telegram or anthropic is a stand-in that this fleet runs itself.
own_stand_in() { [ -e "$fleet_dir/own-$1" ]; }

_start_stand_in() { # _start_stand_in NAME PORT
  touch "$fleet_dir/own-$1"
  lab_accept_port "$2"
  proc_start "$1" python3 "$repository/tests/standins/$1.py" --listen "$LAB_BRIDGE_ADDRESS:$2"
  wait_for 10 nc_open "$LAB_BRIDGE_ADDRESS" "$2" ||
    fail "the stand-in for $1 did not start" "its log: $PROC_DIR/$1.log"
}

nc_open() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

start_stand_ins() {
  if [ -n "$telegram_token_file" ]; then
    # The operator's own bot and key: no stand-in is between.
    return 0
  fi
  if [ -n "$wanted_telegram_api" ]; then
    TELEGRAM_API=$(lab_reachable_url "$wanted_telegram_api")
    rm -f "$fleet_dir/own-telegram"
  elif [ -z "$TELEGRAM_API" ] || own_stand_in telegram; then
    TELEGRAM_API=http://$LAB_BRIDGE_ADDRESS:$TELEGRAM_PORT
    _start_stand_in telegram "$TELEGRAM_PORT"
  fi
  if [ -n "$wanted_anthropic_api" ]; then
    ANTHROPIC_API=$(lab_reachable_url "$wanted_anthropic_api")
    rm -f "$fleet_dir/own-anthropic"
  elif [ -z "$ANTHROPIC_API" ] || own_stand_in anthropic; then
    ANTHROPIC_API=http://$LAB_BRIDGE_ADDRESS:$ANTHROPIC_PORT
    _start_stand_in anthropic "$ANTHROPIC_PORT"
  fi
  step "Stand-ins: Telegram $TELEGRAM_API, Anthropic $ANTHROPIC_API"
}

# --- Controller and agents

start_controller() {
  local data=$fleet_dir/controller binary=$PROGRAMS/mtp-controller
  local address=$LAB_BRIDGE_ADDRESS:$CONTROLLER_PORT
  step "Controller at $address"
  if [ ! -e "$fleet_dir/context-added" ]; then
    # Both complete what an earlier run has begun.
    quietly "$fleet_dir/init.log" "$binary" init --data-dir "$data" --fleet quickstart \
      --listen "$address" --enroll-listen "$LAB_BRIDGE_ADDRESS:$ENROLL_PORT" \
      --default-image "$OPENCLAW_IMAGE" --min-memory-limit-mib "${min_memory_limit:-768}" \
      --operator-dir "$fleet_dir/operator"
    add_context "$address"
    touch "$fleet_dir/context-added"
  fi
  lab_accept_port "$CONTROLLER_PORT"
  lab_accept_port "$ENROLL_PORT"
  proc_start controller "$binary" run --data-dir "$data" --log-level "${MTP_LOG_LEVEL:-info}"
  wait_for 20 nc_open "$LAB_BRIDGE_ADDRESS" "$CONTROLLER_PORT" ||
    fail "the controller did not start" "its log: $PROC_DIR/controller.log"
}

# Makes the fleet the one that the operator's mtp-cli speaks to, and remembers which was before.
add_context() {
  local identity=$OPERATOR_HOME/.config/mtp/identities/$CONTEXT
  as_operator mkdir -p "$OPERATOR_HOME/.config/mtp/identities"
  as_operator "$CLI" context list -o json |
    jq --raw-output --arg own "$CONTEXT" '.contexts[] | select(.current and .name != $own) | .name' \
      >"$fleet_dir/previous-context"
  rm -rf --one-file-system "$identity"
  cp -r "$fleet_dir/operator" "$identity"
  chown -R "$OPERATOR:" "$identity"
  as_operator "$CLI" context add "$CONTEXT" --controller "$1" --identity "$identity" --use >/dev/null
}

forget_context() {
  local previous=''
  as_operator "$CLI" context remove "$CONTEXT" >/dev/null 2>&1 || true
  rm -rf --one-file-system "$OPERATOR_HOME/.config/mtp/identities/$CONTEXT"
  [ ! -s "$fleet_dir/previous-context" ] || previous=$(head -n 1 "$fleet_dir/previous-context")
  [ -z "$previous" ] || as_operator "$CLI" context use "$previous" >/dev/null 2>&1 || true
  if [ "$(as_operator "$CLI" context list -o json 2>/dev/null | jq '.contexts | length')" = 0 ]; then
    rm -f "$OPERATOR_HOME/.config/mtp/config.yaml"
    rmdir "$OPERATOR_HOME/.config/mtp/identities" "$OPERATOR_HOME/.config/mtp" 2>/dev/null || true
  fi
}

start_agent() {
  local host=$1 folder=$fleet_dir/hosts/$1 binary=$PROGRAMS/mtp-agent
  if [ ! -e "$folder/joined" ]; then
    mkdir -p "$folder"
    # An earlier run may have joined and not noted it; a host that has joined must say that it rejoins.
    as_operator "$CLI" host token "$host" --rejoin -o json | jq --raw-output .token >"$folder/token" ||
      fail "the controller gave no join token for $host" "its log: $PROC_DIR/controller.log"
    quietly "$fleet_dir/join-$host.log" lab_join "$host" "$binary" "$folder"
    rm -f "$folder/token"
    touch "$folder/joined"
  fi
  _run_agent "$host"
}

# The token goes in by standard input: arguments are seen by every user of the machine.
lab_join() {
  lab_in "$1" "$2" join - <"$3/token" --data-dir "$3/agent" --project-dir "$3/project" \
    --advertise "$(lab_host_address "$1"):$AGENT_PORT" --docker-host "$(lab_docker_host "$1")" \
    --image "$OPENCLAW_IMAGE" --memory-total-mib "$(host_memory_mib)"
}

# Beside each agent: it ends what may run only under the host's lease, also when the agent cannot. It lives on when the
# agent is stopped or killed. Builds of before leases have none.
_run_guard() {
  [ -x "$PROGRAMS/mtp-guard" ] || return 0
  proc_start "guard-$1" "$PROGRAMS/mtp-guard" "$fleet_dir/hosts/$1/agent/guard"
}

_run_agent() {
  _run_guard "$1"
  proc_start "agent-$1" nsenter "--net=/var/run/netns/$(lab_netns "$1")" -- \
    "$PROGRAMS/mtp-agent" run --data-dir "$fleet_dir/hosts/$1/agent"
}

# The hosts share one machine: each is told its part of the memory.
host_memory_mib() {
  awk -v hosts="${#HOSTS[@]}" '/^MemTotal:/ { print int($2 / 1024 / hosts) }' /proc/meminfo
}

_all_hosts_ready() {
  [ "$(as_operator "$CLI" status -o json | jq '[.hosts[] | select(.state == "ready")] | length')" = "${#HOSTS[@]}" ]
}

wait_for_hosts() {
  wait_for 60 _all_hosts_ready ||
    fail "not every host became ready within a minute" "logs: $PROC_DIR/agent-*.log"
  step "Hosts are ready"
}

# --- Tenants

# A place for backups that both hosts reach, since they share this machine's disk.
add_repository() {
  as_operator "$CLI" repository add local "$fleet_dir/backups" >/dev/null
}

tenant_name() { # the first two have names; more are numbered
  case $1 in
    1) echo acme ;;
    2) echo beta ;;
    *) echo "client-$1" ;;
  esac
}

# Credentials for the stand-ins, which take any; made once, so that a bot stays the same.
_make_secrets() {
  local tenant=$1 number=$2 folder=$fleet_dir/secrets
  (
    umask 077
    mkdir -p "$folder"
    [ -s "$folder/$tenant.telegram-token" ] ||
      printf '71%08d:%s\n' "$number" "$(openssl rand -hex 16)" >"$folder/$tenant.telegram-token"
    [ -s "$folder/$tenant.anthropic-key" ] ||
      printf 'sk-ant-quickstart-%s\n' "$(openssl rand -hex 16)" >"$folder/$tenant.anthropic-key"
  )
}

provision_tenants() {
  local number tenant known flags
  known=$(as_operator "$CLI" status -o json | jq --raw-output '.tenants[].name')
  for ((number = 1; number <= $1; ++number)); do
    tenant=$(tenant_name "$number")
    ! grep -qx "$tenant" <<<"$known" || continue
    step "Provisioning $tenant with OpenClaw (about half a minute)"
    if [ -n "$telegram_token_file" ]; then
      flags=(--telegram-token-file "$telegram_token_file")
      [ -z "$anthropic_key_file" ] || flags+=(--anthropic-key-file "$anthropic_key_file")
    else
      _make_secrets "$tenant" "$number"
      flags=(--telegram-token-file "$fleet_dir/secrets/$tenant.telegram-token" --telegram-api "$TELEGRAM_API"
        --anthropic-key-file "$fleet_dir/secrets/$tenant.anthropic-key" --anthropic-api "$ANTHROPIC_API")
    fi
    # As root, which alone may read the secrets, with the operator's context.
    HOME=$OPERATOR_HOME "$CLI" provision "$tenant" "${flags[@]}" ||
      fail "$tenant could not be provisioned" "$CLI op list, and the logs in $PROC_DIR"
  done
}

# --- Single parts, for those who want to see what happens without them

fleet_process() { # fleet_process start|stop|kill WHAT
  local verb=$1 kind=${2%%:*} host=${2#*:}
  case $2 in
    controller | telegram | anthropic) ;;
    agent:* | engine:* | guard:*) need_host "$host" ;;
    *) echo "what is $2? controller, agent:HOST, guard:HOST, engine:HOST, telegram or anthropic" >&2; exit 2 ;;
  esac
  case $verb:$kind in
    start:controller) start_controller ;;
    start:agent) _run_agent "$host" ;;
    start:guard) _run_guard "$host" ;;
    start:engine) lab_engine_start "$host" ;;
    start:telegram) _start_stand_in telegram "$TELEGRAM_PORT" ;;
    start:anthropic) _start_stand_in anthropic "$ANTHROPIC_PORT" ;;
    stop:engine) lab_engine_stop "$host" ;;
    kill:engine) lab_engine_kill "$host" ;;
    stop:agent | stop:guard) proc_stop "$kind-$host" 60 ;;
    kill:agent | kill:guard) proc_kill "$kind-$host" ;;
    stop:*) proc_stop "$kind" 60 ;;
    kill:*) proc_kill "$kind" ;;
  esac
}

# --- What there is, and its end

fleet_info() {
  [ -s "$fleet_dir/settings" ] || fail "there is no fleet in $fleet_dir" "sudo deploy/quickstart.sh"
  local host
  for host in $(lab_hosts); do
    jq --null-input --arg name "$host" --arg netns "$(lab_netns "$host")" \
      --arg docker_host "$(lab_docker_host "$host")" --arg project_dir "$fleet_dir/hosts/$host/project" \
      '{name: $name, netns: $netns, docker_host: $docker_host, project_dir: $project_dir}'
  done | jq --slurp --arg telegram "$TELEGRAM_API" --arg anthropic "$ANTHROPIC_API" --arg dir "$fleet_dir" \
    --arg image "$OPENCLAW_IMAGE" --arg controller "$LAB_BRIDGE_ADDRESS:$CONTROLLER_PORT" \
    '{telegram_api: $telegram, anthropic_api: $anthropic, fleet_dir: $dir, openclaw_image: $image,
      controller: {address: $controller}, hosts: .}'
}

say_what_next() {
  local cli=${CLI#"$PWD/"}
  step "Done. What to try next"
  cat <<TEXT
       $cli status --watch             the fleet, live
       $cli logs acme -f               what acme does
       $cli provision gamma --dry-run  where a new client would go
       $cli backup --all               into $fleet_dir/backups; then backup list, verify, restore
       $cli remove beta                final backup, then gone
       docker --host $(lab_docker_host h1) ps
       sudo deploy/quickstart.sh --kill agent:h1     and --start agent:h1: tenants do not notice
       sudo deploy/quickstart.sh --down              removes all of it
TEXT
}

fleet_down() {
  [ -d "$fleet_dir" ] || { step "Nothing to take down in $fleet_dir"; return 0; }
  step "Taking the fleet in $fleet_dir down"
  local host
  for host in $(lab_hosts); do
    proc_stop "agent-$host" 30
    proc_stop "guard-$host"
  done
  proc_stop controller 30
  proc_stop telegram
  proc_stop anthropic
  lab_down
  forget_context
  rm -rf --one-file-system "$fleet_dir"
  step "Gone. The OpenClaw image in ${MTP_CACHE:-/var/cache/mtp} and the build stay for the next time"
}
