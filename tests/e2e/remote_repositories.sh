# shellcheck shell=bash disable=SC2154
# Backups on an SFTP and on an S3 server that this starts, on the address where the hosts reach the controller. Part of
# fleet_test.sh; uses what backups.sh has.

server_pids=()
start_server() { # start_server NAME PORT COMMAND…: in the background, until stop_servers
  local name=$1 port=$2
  shift 2
  "$@" >"$work/$name.log" 2>&1 8>&- &
  server_pids+=($!)
  eventually 20 bash -c "exec 3<>/dev/tcp/$server_address/$port" || { cat "$work/$name.log"; return 1; }
}
stop_servers() {
  local pid
  for pid in "${server_pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
  server_pids=()
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

install_sshd() { # the program alone: Debian's package would also listen on this machine, now and after each boot
  [ ! -x /usr/sbin/sshd ] || return 0
  local policy=/usr/sbin/policy-rc.d code=0
  [ ! -e "$policy" ] || policy=''
  [ -z "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"; }
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends openssh-server || code=$?
  [ -z "$policy" ] || rm -f "$policy"
  ! command -v systemctl >/dev/null || systemctl disable ssh.service ssh.socket >/dev/null 2>&1 || true
  return "$code"
}

start_sftp() {
  install_sshd || return 1
  sftp_port=$(free_port)
  mkdir -p "$work/sftp/root" /run/sshd
  ssh-keygen -q -t ed25519 -N '' -f "$work/sftp/host_key" && ssh-keygen -q -t ed25519 -N '' -f "$work/sftp/key"
  cp "$work/sftp/key.pub" "$work/sftp/authorized_keys"
  printf '[%s]:%s %s\n' "$server_address" "$sftp_port" "$(cut -d ' ' -f 1,2 "$work/sftp/host_key.pub")" >"$work/sftp/known_hosts"
  cat >"$work/sftp/config" <<CONFIG
ListenAddress $server_address:$sftp_port
HostKey $work/sftp/host_key
PidFile none
AuthorizedKeysFile $work/sftp/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
ForceCommand internal-sftp
CONFIG
  start_server sftp "$sftp_port" /usr/sbin/sshd -D -e -f "$work/sftp/config"
}
start_s3() {
  s3_port=$(free_port)
  local folder=${MTP_CACHE:-/var/cache/mtp}/s3rver
  [ -x "$folder/node_modules/.bin/s3rver" ] ||
    npm install --silent --no-audit --no-fund --prefix "$folder" s3rver@3.7.1 >"$work/npm.log" 2>&1
  mkdir -p "$work/s3"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/s3/key.pem" \
    -out "$work/s3/cert.pem" -days 1 -subj /CN=s3 -addext "subjectAltName=IP:$server_address" 2>/dev/null
  printf 'S3RVER\n' >"$work/s3/access" && printf 'S3RVER\n' >"$work/s3/secret"
  start_server s3 "$s3_port" "$folder/node_modules/.bin/s3rver" --directory "$work/s3/data" --address "$server_address" \
    --port "$s3_port" --key "$work/s3/key.pem" --cert "$work/s3/cert.pem" --no-vhost-buckets --configure-bucket mtp
}

through() { # through REPOSITORY WORD: a backup there, and acme restored from it onto the other host
  local id host
  mark acme "in $1"
  check "a backup goes to $2" exits 0 back_up acme --repository "$1"
  id=$(jq -r '.backups[0].id' "$work/backup.json")
  check "it is verified on $2" exits 0 "$cli" backup verify "$id"
  mark acme "after $1"
  host=$(other_host "$(field '.tenants[] | select(.name == "acme") | .host')")
  check "acme is removed" exits 0 "$cli" remove acme --yes
  check "and comes back on the other host from $2" exits 0 "$cli" backup restore acme --from "$id" --host "$host"
  check "ready" eventually "$start_within" tenant_is acme health ready
  check "with the data of that backup" marked acme "in $1"
  check "and whole databases" databases_are_whole "$(data_of acme)"
}

remote_repositories() {
  server_address=$(jq -r .controller.address <<<"$info")
  server_address=${server_address%:*}
  check "an SFTP server runs" start_sftp
  check "a repository on it is added" exits 0 "$cli" repository add by-sftp "sftp://root@$server_address:$sftp_port$work/sftp/root" \
    --sftp-key-file "$work/sftp/key" --sftp-known-hosts-file "$work/sftp/known_hosts"
  through by-sftp SFTP
  check "an S3 server runs" start_s3
  check "a repository on it is added" exits 0 "$cli" repository add by-s3 "s3:https://$server_address:$s3_port/mtp/fleet" \
    --s3-access-key-file "$work/s3/access" --s3-secret-key-file "$work/s3/secret" --ca-file "$work/s3/cert.pem"
  through by-s3 S3
  # The same server with another key than the one that is known.
  printf '[%s]:%s %s\n' "$server_address" "$sftp_port" "$(cut -d ' ' -f 1,2 "$work/sftp/key.pub")" >"$work/sftp/wrong_hosts"
  check "a repository whose server has another key can be added" exits 0 "$cli" repository add impostor \
    "sftp://root@$server_address:$sftp_port$work/sftp/root" --sftp-key-file "$work/sftp/key" --sftp-known-hosts-file "$work/sftp/wrong_hosts"
  check "but a backup there fails with exit 1" exits 1 "$cli" backup acme --repository impostor
  check "and says why" says "key" "$cli" backup acme --repository impostor
  stop_servers
  check "a server that is gone fails the backup within its time" exits 1 timeout 600 "$cli" backup acme --repository by-s3
  check "backups in other places go on" exits 0 back_up acme
  check "no database was taken for damaged" no_damage
  check "no secret of a repository is in the fleet's files" bash -c "
    ! grep -rlF -e \"\$(sed -n 2p $work/sftp/key)\" $fleet/controller $fleet/hosts $fleet/processes"
}
