# shellcheck shell=bash disable=SC2154,SC2034
# Planted secrets, through every path, with everything logged that can be: found nowhere outside their place, and
# nowhere at all once they are rotated or removed. Then what the programs do about their memory. Part of fleet_test.sh,
# which has check, exits, eventually, field, tenant_is and of_host, and sets cli, work, fleet, info, telegram and
# anthropic; uses what backups.sh, recovery.sh, join_tokens.sh, updates.sh and secret_rotation.sh have. canaries.py looks
# for them.

canaries=$work/canaries told=$work/told

# Each has a word that is found however the rest is quoted. `loud` ones are given as arguments on purpose.
note() { # note NAME WORD [loud]
  echo "$1 $2" >>"$canaries/list"
  [ "${3:-}" = loud ] || echo "$2" >>"$canaries/words"
}
plant() { # plant NAME BEFORE [loud]: a file of that name with a new one behind the text
  local word
  word=c4nary$(openssl rand -hex 12)
  # shellcheck disable=SC2016
  printf '%s%s%s\n' "$2" "$word" 'a$b#c"d'"'"'e\f g' >"$canaries/$1"
  note "$1" "$word" "${3:-}"
}
plant_tenant() { # plant_tenant NAME BOT: all secrets that a tenant is given, and flags with them
  plant "$1-telegram" "$2:"
  plant "$1-anthropic" sk-ant- && plant "$1-openai" sk- && plant "$1-openrouter" sk-or-
  flags=(--telegram-token-file "$canaries/$1-telegram" --anthropic-key-file "$canaries/$1-anthropic"
    --openai-key-file "$canaries/$1-openai" --openrouter-key-file "$canaries/$1-openrouter")
}
note_gateway() { # note_gateway NAME TENANT: the gateway token that the controller has made
  note "$1-gateway" "$(environment "$2" | jq -er '.[] | select(startswith("OPENCLAW_GATEWAY_TOKEN=")) | ltrimstr("OPENCLAW_GATEWAY_TOKEN=")')"
}

# Whatever the CLI says is kept and looked through. gRPC is asked to log all it can, too.
loudly() { GRPC_VERBOSITY=debug GRPC_TRACE=all MTP_LOG_LEVEL=debug "$@"; }
tell() { loudly "$cli" "$@" 2>&1 | tee -a "$told/cli.log"; } # with the code of the CLI: pipefail
tell_provision() { tell provision "$@" --telegram-api "$telegram" --anthropic-api "$anthropic"; }
small=(--memory 128 --memory-limit 256)
log_at() { # log_at LEVEL: controller and agents begin anew
  local host
  quickstart --stop controller && MTP_LOG_LEVEL=$1 GRPC_VERBOSITY=debug GRPC_TRACE=all quickstart --start controller || return 1
  for host in h1 h2; do
    sed -i "s/^log_level: .*/log_level: $1/" "$fleet/hosts/$host/agent/agent.yaml" &&
      quickstart --stop "agent:$host" && loudly quickstart --start "agent:$host" || return 1
  done
  eventually 60 hosts_are_ready
}
hosts_are_ready() { [ "$(field '[.hosts[] | select(.state == "ready")] | length')" = 2 ]; }
dies() { quickstart --kill "$1" && loudly quickstart --start "$1"; } # dies controller|agent:HOST

# Command lines of everybody, and the environments of our programs and of the Docker client, again and again. restic
# takes an S3 secret from its environment, which root alone can read.
watch_processes() {
  local file
  until [ -e "$work/watch.end" ] || [ ! -e "$canaries/words" ]; do
    echo >>"$work/looks"
    while IFS= read -r file; do
      case $file in
        */environ) case $(readlink "${file%/*}/exe") in */mtp-* | */docker | */docker-compose) ;; *) continue ;; esac ;;
      esac
      echo "$file $(readlink "${file%/*}/exe")" >>"$work/seen-in-processes"
    done < <(grep -lsaF -f "$canaries/words" /proc/[0-9]*/cmdline /proc/[0-9]*/environ)
    sleep 0.1
  done
}
no_process_showed_one() {
  touch "$work/watch.end"
  wait "$watcher"
  ! cat "$work/seen-in-processes" 2>/dev/null && [ "$(wc -l <"$work/looks")" -gt 20 ]
}

# Where a live tenant's secrets are: the project's .env, and what the engine keeps of its own container. The engine's
# containerd forgets a container in its database by no longer pointing to it.
engine_database="$fleet/lab/hosts/*/containerd/io.containerd.metadata.v1.bolt/meta.db"
may_be_with_engine() { # may_be_with_engine NAME…: those of live tenants; shell's wildcards
  local name
  printf '* %s\n' "$engine_database" >"$canaries/places"
  for name in "$@"; do
    printf '%s %s\n' "$name" "$fleet/hosts/*/project/.env" "$name" "$fleet/lab/hosts/*/docker/containers/*/config.v2.json" \
      "$name" "$engines_run/*"
  done >>"$canaries/places"
}
looked_through() { # every file of the fleet but the stand-ins' logs and what the quick start itself knows
  find "$fleet" -mindepth 1 -maxdepth 1 ! -name secrets ! -name processes ! -name image.tar
  find "$fleet/processes" -name '*.log' ! -name 'telegram.log' ! -name 'anthropic.log'
  echo "$told"
  find "$engines_run" -mindepth 1 -maxdepth 1
}
ask_all() { # what anybody may ask for
  local host tenant operation
  tell status -o json && tell status && tell op list -o json && tell audit -o json && tell backup list -o json
  tell repository list -o json && tell rollout list -o json && tell host list -o json && tell operator list -o json
  tell backup schedule -o json && tell capacity -o json && tell authority show -o json
  for tenant in $(field '.tenants[].name'); do tell tenant show "$tenant" -o json && tell logs "$tenant" --tail 1000; done
  for operation in $("$cli" op list -o json | jq -r '.operations[:60][].name | ltrimstr("operations/")'); do tell op show "$operation" -o json; done
  for host in h1 h2; do # of everybody else's containers
    docker --host "$(of_host "$host" docker_host)" ps -aq --filter 'name=mtp-' | while read -r tenant; do
      docker --host "$(of_host "$host" docker_host)" inspect "$tenant" | jq 'select(.[0].Name | startswith("/mtp-can-") | not)'
    done
    docker --host "$(of_host "$host" docker_host)" events --since 3h --until 0s
  done >>"$told/engines.log"
} >/dev/null
nowhere_else() { # nowhere_else NAME…: secrets are with the engine for live tenants of those names, and nowhere else
  may_be_with_engine "$@"
  ask_all
  mapfile -t paths < <(looked_through)
  "$repository/tests/e2e/canaries.py" find "$canaries/list" "$canaries/places" "${paths[@]}"
}
is_found() { # is_found NAME PATH: the search finds it there, where it has to be
  "$repository/tests/e2e/canaries.py" find "$canaries/list" /dev/null "$2" >"$work/found"
  grep "^$1 plain " "$work/found"
}
not_in_memory() { # not_in_memory controller|agent-HOST
  "$repository/tests/e2e/canaries.py" memory "$canaries/list" "$(process_pid "$1")"
}

unpacked() { # unpacked TENANT: its newest snapshot, with its manifest, by restic and the recovery kit alone
  local root
  root=$(sed -n '/name: "\{0,1\}local/,$ s/^ *root_key: *"\{0,1\}\([0-9a-f]\{64\}\)"\{0,1\}$/\1/p' "$canaries/kit.yaml" | head -n 1)
  note local-root-key "$root" loud # openssl is told it, below
  RESTIC_PASSWORD=$(printf %s "mtp-repository/$1" | openssl mac -digest SHA256 -macopt "hexkey:$root" -in - HMAC | tr A-F a-f) \
    restic --no-cache --repo "$fleet/backups/$1" restore latest --target "$told/snapshot" && [ -s "$told/snapshot/tenant.json" ]
}

refused_secrets() {
  local flags
  plant_tenant duplicate 555001002
  check "a duplicate is refused" exits 3 tell_provision can-a "${flags[@]}"
  plant_tenant same-bot 555001001
  check "a bot that another tenant has is refused" exits 3 tell_provision can-z "${flags[@]}"
  plant_tenant unusable no-bot
  check "an unusable token is refused" exits 2 tell_provision can-z "${flags[@]}"
  plant_tenant no-room 555001003
  check "no room is refused" exits 3 tell_provision can-z "${flags[@]}" --memory 900000
  plant two-lines 555001004: && echo more >>"$canaries/two-lines"
  check "a token of two lines is refused" exits 2 tell_provision can-z --telegram-token-file "$canaries/two-lines"
  plant argument-token 555001001: loud && plant argument-key sk-ant- loud
  check "one that is given as an argument is refused, too" \
    exits 3 tell_provision can-z "$(cat "$canaries/argument-token")" "$(cat "$canaries/argument-key")"
}
repository_secrets() {
  local address=${telegram#http://} host flags
  plant s3-access '' && plant s3-secret '' && sed -i 's/ //' "$canaries"/s3-* # keys of S3 have no spaces
  openssl rand -hex 32 >"$canaries/s3-root"
  note s3-root "$(cat "$canaries/s3-root")"
  # Nobody listens there.
  check "a repository on S3 is added" exits 0 tell repository add can-s3 "s3:https://${address%:*}:1/canaries/x" \
    --s3-access-key-file "$canaries/s3-access" --s3-secret-key-file "$canaries/s3-secret" --root-key-file "$canaries/s3-root"
  ssh-keygen -q -t ed25519 -N '' -f "$canaries/sftp-key"
  # Of what makes it private: in OpenSSH's form bytes 161 to 192 (PROTOCOL.key).
  note sftp-key "$(sed -n 5p "$canaries/sftp-key" | cut -c 7-46)"
  openssl rand -hex 32 >"$canaries/sftp-root"
  note sftp-root "$(cat "$canaries/sftp-root")"
  echo "[${address%:*}]:${address#*:} $(cut -d ' ' -f 1,2 "$canaries/sftp-key.pub")" >"$canaries/known_hosts"
  # Someone who is no SSH server listens there.
  check "a repository by SFTP is added" exits 0 tell repository add can-sftp "sftp://someone@$address/canaries" \
    --sftp-key-file "$canaries/sftp-key" --sftp-known-hosts-file "$canaries/known_hosts" --root-key-file "$canaries/sftp-root"
  plant bad-s3-access '' && plant bad-s3-secret ''
  check "a repository with a bad address is refused" exits 2 tell repository add can-bad "s3:https://${address%:*}:1/x" \
    --s3-access-key-file "$canaries/bad-s3-access" --s3-secret-key-file "$canaries/bad-s3-secret"
  plant url-password '' loud
  check "and one with a password in its address" exits 2 tell repository add can-bad \
    "sftp://someone:$(awk '$1 == "url-password" { print $2 }' "$canaries/list")@$address/canaries"
  check "a backup to S3 fails" exits 1 tell backup can-a --repository can-s3
  check "a backup by SFTP fails" exits 1 tell backup can-a --repository can-sftp
  host=$(field '.tenants[] | select(.name == "can-a") | .host')
  tell backup can-a --repository can-sftp --no-wait --request-id can-sftp-2 >/dev/null
  check "its agent dies in another one" dies "agent:$host"
  check "which fails as well" exits 1 tell backup can-a --repository can-sftp --request-id can-sftp-2
  check "can-a goes on" eventually "$start_within" tenant_is can-a health ready
}
people_and_machines() {
  local token secret
  check "an operator is added" exits 0 tell operator add can-viewer --role viewer --out "$canaries/viewer"
  # Of what makes it private: of a P-256 key in PKCS #8 bytes 36 to 67.
  note operator-key "$(sed -n 3p "$canaries/viewer/key.pem" | cut -c 1-25)"
  token=$("$cli" host token can-host -o json | jq -r .token)
  note join-token "${token#mtpj1_}"
  secret=${token#mtpj1_}
  while [ $((${#secret} % 4)) -ne 0 ]; do secret+='='; done
  note join-secret "$(tr -- '-_' '+/' <<<"$secret" | base64 --decode | sed -n 5p)"
  check "a host joins" exits 0 join_host "$token" can-host
  check "and not twice with one token" exits 1 join_host "$token" can-host-again
  check "it is removed" exits 0 tell host remove can-host
}
controller_copies() {
  plant passphrase '' && plant wrong-passphrase ''
  check "an operator's own copy of the state is made" \
    exits 0 "$controller_program" backup "$told/own-copy" --passphrase-file "$canaries/passphrase" --data-dir "$fleet/controller"
  check "a wrong passphrase does not open it" exits 1 "$controller_program" recover --file "$told/own-copy" \
    --passphrase-file "$canaries/wrong-passphrase" --data-dir "$told/not-recovered"
  check "the right one does" exits 0 "$controller_program" recover --file "$told/own-copy" \
    --passphrase-file "$canaries/passphrase" --data-dir "$told/recovered"
  check "the recovery kit is printed" exits 0 tell recovery-kit --out "$canaries/kit.yaml"
  check "which is the place of the secrets of repositories" is_found sftp-root "$canaries/kit.yaml"
  check "a snapshot of can-a is unpacked by hand" unpacked can-a
}
a_tenants_life() {
  local flags id
  plant_tenant second 555001005
  check "can-a is backed up" exits 0 tell backup can-a
  id=$(backup_field can-a id)
  check "the backup is verified" exits 0 tell backup verify "$id"
  check "and exported" exits 0 tell backup export "$id" "$told/can-a.tar.gz"
  gunzip --stdout "$told/can-a.tar.gz" >"$told/can-a.tar"
  check "and drilled" exits 0 tell backup drill "$id"
  check "and restored" exits 0 tell backup restore can-a --from "$id" --yes
  check "and restored as a second tenant, with secrets of its own" exits 0 tell backup restore can-a --from "$id" --as can-b "${flags[@]}"
  note_gateway second can-b
  plant_tenant taken 555001001
  check "a restore with a bot that is taken is refused" exits 3 tell backup restore can-a --from "$id" --as can-z "${flags[@]}"
  [ "${#image_of[@]}" -ge 6 ] || check "there is another image" load_images
  check "can-a is updated to it" exits 0 tell update can-a --no-pull --yes --image "${image_of[good]}" --soak 1s
  check "and stopped" exits 0 tell stop can-a
  check "and started" exits 0 tell start can-a
}
deaths_with_secrets() {
  local flags
  plant_tenant killed 555001006
  tell_provision can-k "${flags[@]}" "${small[@]}" --no-wait --request-id can-k-1 >/dev/null
  check "the controller dies in a provision" dies controller
  check "and the agent of h1" dies agent:h1
  check "and that of h2" dies agent:h2
  check "it goes on to its end" exits 0 tell_provision can-k "${flags[@]}" "${small[@]}" --request-id can-k-1
  note_gateway killed can-k
}
# --- Memory
is_dead() { ! grep -q '^State:[[:space:]]*[^Z]' "/proc/$1/status" 2>/dev/null; } # or a zombie that nobody has waited for
dies_without_core() { # dies_without_core controller|agent-HOST: by a signal that asks for one
  local pid folder before
  pid=$(process_pid "$1")
  folder=$(readlink "/proc/$pid/cwd")
  before=$(ls -d "$folder"/core* 2>/dev/null)
  kill -ABRT "$pid" && eventually 20 is_dead "$pid" && [ "$before" = "$(ls -d "$folder"/core* 2>/dev/null)" ]
}
writes_no_core() { # writes_no_core PID: no limit is left, and nothing would be in a core
  grep -E '^Max core file size +0 +0 ' "/proc/$1/limits" && [ $((16#$(cat "/proc/$1/coredump_filter"))) = 0 ]
}
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }
attaches() { # attaches PID: as a process of the same user
  as_nobody /usr/bin/python3 -I -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(16, int(sys.argv[1]), None, None) != 0:  # PTRACE_ATTACH, and as the tracer ends it is let go
    sys.exit(os.strerror(ctypes.get_errno()))' "$1"
}
reads_environment() { as_nobody head -c 1 "/proc/$1/environ" >/dev/null; }
closed_to_its_user() { # closed_to_its_user NAME COMMAND…: started as nobody, it waits for a secret that does not come
  local name=$1 pid
  shift
  mkfifo "$open_folder/$name.fifo" && chmod 666 "$open_folder/$name.fifo"
  exec 7<>"$open_folder/$name.fifo"
  (ulimit -c unlimited 2>/dev/null; exec setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@") <"$open_folder/$name.fifo" >"$open_folder/$name.log" 2>&1 7>&- &
  pid=$!
  if [ "$name" = sleep ]; then
    check "a process of a user is open to that user's others" eventually 10 reads_environment "$pid"
  else
    check "$name writes no core" eventually 10 writes_no_core "$pid"
    check "its environment is closed to its own user" says "Permission denied" reads_environment "$pid"
    check "its memory, too" says "Operation not permitted" attaches "$pid"
  fi
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null
  exec 7>&-
}
memory() {
  local name open_folder
  open_folder=$(mktemp -d /tmp/mtp-open.XXXXXX)
  chmod 755 "$open_folder"
  cp "$programs"/mtp-{agent,cli,controller} "$open_folder/"
  echo 'a long passphrase' >"$open_folder/file"
  closed_to_its_user sleep sleep 60
  closed_to_its_user mtp-agent "$open_folder/mtp-agent" join - --data-dir "$open_folder/none"
  closed_to_its_user mtp-cli "$open_folder/mtp-cli" --controller 127.0.0.1:1 --identity "$open_folder/none" provision x --telegram-token-file -
  closed_to_its_user mtp-controller "$open_folder/mtp-controller" recover --file "$open_folder/file" \
    --passphrase-file "$open_folder/mtp-controller.fifo" --data-dir "$open_folder/none"
  rm -rf "$open_folder"
  for name in controller agent-h1 agent-h2; do check "$name writes no core" writes_no_core "$(process_pid "$name")"; done

  # What gRPC holds of a call goes with its connection.
  for name in h1 h2; do check "the agent of $name is stopped" exits 0 quickstart --stop "agent:$name"; done
  check "the controller's memory holds none of them" eventually 60 not_in_memory controller
  for name in h1 h2; do check "that of $name is started" exits 0 loudly quickstart --start "agent:$name"; done
  check "the hosts are ready" eventually 60 hosts_are_ready
  check "the controller dies without a core" dies_without_core controller
  for name in agent-h1 agent-h2; do
    check "the memory of $name holds none of them" eventually 60 not_in_memory "$name"
    check "$name dies without a core" dies_without_core "$name"
  done
  for name in controller agent:h1 agent:h2; do check "$name is started" exits 0 loudly quickstart --start "$name"; done
  check "the hosts are ready after that" eventually 60 hosts_are_ready
}

planted_secrets() {
  local flags watcher before_rotation engines_run=${docker_h1#unix://}
  engines_run=${engines_run%/h1/*}
  mkdir -p "$canaries" "$told" && : >"$canaries/list" && : >"$canaries/words"
  check "controller and agents log all that they can" log_at debug
  watch_processes &
  watcher=$!

  plant_tenant first 555001001
  check "can-a is provisioned" exits 0 tell_provision can-a "${flags[@]}" "${small[@]}"
  note_gateway first can-a
  check "its secrets are found in its place" is_found first-telegram "$(of_host "$(host_of can-a)" project_dir)/.env"
  refused_secrets
  check "refused secrets are nowhere, the tenant's in their place" nowhere_else 'first-*'
  a_tenants_life
  repository_secrets
  people_and_machines
  controller_copies
  deaths_with_secrets
  check "after backups, restores, updates and deaths each is in its place alone" nowhere_else 'first-*' 'second-*' 'killed-*'
  before_rotation=$(backup_field can-a id)
  rotation_of_secrets
  check "after a rotation the former ones are nowhere" nowhere_else 'third-*' 'fourth-*' 'fifth-*'
  check "can-a is restored from a backup of before" exits 0 tell backup restore can-a --from "$before_rotation" --yes
  check "and has the present ones" is_found third-telegram "$(of_host "$(host_of can-a)" project_dir)/.env"
  check "can-a is removed" exits 0 tell remove can-a --yes
  check "from that backup it comes back" exits 0 tell backup restore can-a --from "$before_rotation"
  check "with the secrets that it had last" is_found third-telegram "$(of_host "$(host_of can-a)" project_dir)/.env"
  check "can-a is removed, its data kept" exits 0 tell remove can-a --keep-data --yes
  check "can-b is removed" exits 0 tell remove can-b --yes
  check "can-k is removed" exits 0 tell remove can-k --yes
  check "no process has shown one meanwhile" no_process_showed_one
  check "after the removals all are nowhere" nowhere_else
  check "of at least 50" test "$(cut -d ' ' -f 1 "$canaries/list" | sort -u | wc -l)" -ge 50
  memory
  check "also after the deaths all are nowhere" nowhere_else
}
