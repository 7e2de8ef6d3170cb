# A conversation with a tenant through the stand-ins, as a person would have it. Source it after
# progress.sh and fleet.sh.

_control() { # _control PATH JSON: asks the Telegram stand-in's control API
  curl --silent --fail --max-time 10 -H 'Content-Type: application/json' --data "$2" \
    "$TELEGRAM_API/control/$1"
}

# Prints the last text that the bot shows in the person's chat after message $2.
_answer_after() { # _answer_after TOKEN MESSAGE_ID
  curl --silent --fail --max-time 10 --get --data-urlencode "token=$1" --data chat_id=42 \
    "$TELEGRAM_API/control/chat" |
    jq --raw-output --exit-status --argjson after "$2" \
      '[.messages[] | select(.message_id > $after)] | last | .text // empty'
}

hold_conversation() {
  local tenant=acme token message_id answer question="Hello, who is there?" asked
  [ "${tenants:?}" -gt 0 ] || return 0
  if ! own_stand_in telegram; then
    step "Conversation: write to $tenant's bot now, it listens"
    return 0
  fi
  # Once is enough; a later run of the quick start need not disturb the tenant.
  [ ! -e "${fleet_dir:?}/conversation-held" ] || return 0
  step "Conversation with $tenant"
  token=$(cat "$fleet_dir/secrets/$tenant.telegram-token")
  note "you:   $question"
  asked=$(date +%s)
  message_id=$(_control push "$(jq --null-input --arg token "$token" --arg text "$question" \
    '{token: $token, text: $text}')" | jq .message_id) ||
    fail "the Telegram stand-in does not answer at $TELEGRAM_API" "its log: $PROC_DIR/telegram.log"
  wait_for 120 _answer_after "$token" "$message_id" ||
    fail "$tenant did not answer within two minutes" "look at its log: build/bin/mtp-cli logs $tenant"
  answer=$(_answer_after "$token" "$message_id")
  note "$tenant:  $answer  ($(($(date +%s) - asked)) s)"
  touch "$fleet_dir/conversation-held"
}
