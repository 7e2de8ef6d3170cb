# Background processes of a quick start or a test, each with a name, a log and a record of its
# process id, so that they can be ended by exactly that id: later, after a crash of the script, or
# after a reboot (when a record is stale). Source it.
#
# PROC_DIR must name a folder; records are PROC_DIR/NAME.pid ("<pid> <start time>"), logs NAME.log.
#
#   proc_start NAME COMMAND…     starts it in a session of its own, unless it runs already
#   proc_alive NAME              0 when it runs
#   proc_pid NAME                prints its process id
#   proc_stop NAME [SECONDS]     SIGTERM, SIGKILL after SECONDS (default 20); none running is fine
#   proc_kill NAME               SIGKILL
#   wait_for SECONDS COMMAND…    asks COMMAND every 0.1 s until it succeeds; 1 when it never does

# A process id alone may belong to another process by now; with its start time (in clock ticks since
# boot, proc(5)) and the boot's id it names one process.
_start_time() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # The second field is a name in parentheses that may hold blanks.
  set -- ${stat##*) }
  [ "$1" != Z ] || return 1
  printf '%s/%s\n' "${20}" "$(cat /proc/sys/kernel/random/boot_id)"
}

proc_pid() {
  local pid started
  read -r pid started 2>/dev/null <"$PROC_DIR/$1.pid" || return 1
  [ "$(_start_time "$pid")" = "$started" ] || return 1
  printf '%s\n' "$pid"
}

proc_alive() { proc_pid "$1" >/dev/null; }

proc_start() {
  local name=$1 pid
  shift
  ! proc_alive "$name" || return 0
  mkdir -p "$PROC_DIR"
  # Locks of the caller (on descriptors from 8 on) must not live on in what it starts.
  setsid "$@" >>"$PROC_DIR/$name.log" 2>&1 </dev/null 8>&- 9>&- &
  pid=$!
  printf '%s %s\n' "$pid" "$(_start_time "$pid")" >"$PROC_DIR/$name.pid.new"
  mv "$PROC_DIR/$name.pid.new" "$PROC_DIR/$name.pid"
  disown "$pid" 2>/dev/null || true
}

wait_for() {
  local tries=$(($1 * 10))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.1
  done
}

_gone() { ! proc_alive "$1"; }

proc_stop() {
  local pid
  if pid=$(proc_pid "$1"); then
    # A stopped process (SIGSTOP) takes its SIGTERM only when it goes on.
    kill -TERM "$pid" 2>/dev/null || true
    kill -CONT "$pid" 2>/dev/null || true
    wait_for "${2:-20}" _gone "$1" || proc_kill "$1"
  fi
  rm -f "$PROC_DIR/$1.pid"
}

proc_kill() {
  local pid
  if pid=$(proc_pid "$1"); then
    kill -KILL "$pid" 2>/dev/null || true
    wait_for 10 _gone "$1" || true
  fi
  rm -f "$PROC_DIR/$1.pid"
}
