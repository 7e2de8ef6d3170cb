// The Telegram channel: polls the Bot API, answers messages through the model.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "gateway.h"

namespace openclaw_double {

// Runs until the gateway drains or the channel ends for good (401).
boost::asio::awaitable<void> RunTelegram(Gateway& gateway);

// Another poller has the bot: the channel is lost until a poll succeeds.
void MeetConflict(Gateway& gateway);

// Cuts an answer into messages of at most `limit` bytes, at blanks where there are any, never
// within a character.
std::vector<std::string> Chunks(const std::string& text, size_t limit);

}  // namespace openclaw_double
