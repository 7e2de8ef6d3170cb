# shellcheck shell=bash disable=SC2154
# A tenant whose OpenClaw was killed again and again. Part of fleet_test.sh with the real OpenClaw, which then starts no channel
# by itself (its restart-loop breaker: three starts within 300 s that did not end by a stop) and says that it is ready all the same.

unclean=killed
its_log() { docker --host "$(of_host "$(host_of "$unclean")" docker_host)" logs "mtp-$unclean" 2>&1; }
is_killed() { kill -9 "$(container_pid "$unclean" "$(host_of "$unclean")")"; }
starts_again() { # starts_again TIMES: it has said so often that it is ready
  [ "$(its_log | grep -c '\[gateway\] ready')" -ge "$1" ]
}
held_back() { its_log | grep -q 'channel autostart suppressed'; }

unclean_starts() {
  local times
  printf '555000888:%s\n' "$(openssl rand -hex 16)" >"$work/$unclean-token"
  check "a tenant is provisioned" exits 0 provision "$unclean" --telegram-token-file "$work/$unclean-token"
  for times in 2 3 4; do
    check "its OpenClaw is killed" is_killed
    check "it starts again" eventually 90 starts_again "$times"
  done
  check "OpenClaw has started no channel by itself" held_back
  forget_polls "$(token_of "$unclean")"
  check "the agent has it started: the bot polls" eventually 45 polls "$unclean"
  check "and the tenant is ready" eventually 30 tenant_is "$unclean" health ready
}
