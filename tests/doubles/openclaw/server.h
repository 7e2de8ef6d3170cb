// Port 18789: the probes over HTTP, the RPC over WebSocket.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "gateway.h"

namespace openclaw_double {

// Accepts for ever. Throws when the port cannot be had.
boost::asio::awaitable<void> RunServer(Gateway& gateway);

}  // namespace openclaw_double
