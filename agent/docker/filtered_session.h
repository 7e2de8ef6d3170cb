// One connection of the filtered socket: reads one request, asks the engine, answers, closes.
// Included by two .cc files alone, since the libraries beneath are slow to compile.
#pragma once

// clang-format off
#include <utility>  // Before Boost 1.74's awaitable.hpp, which uses std::exchange without it.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
// clang-format on

#include "agent/docker/filtered_socket.h"

namespace mtp {

// Ends when the connection is over, whatever happens on it.
boost::asio::awaitable<void> ServeFilteredConnection(
    boost::asio::local::stream_protocol::socket client, const FilteredSocketOptions& options);

}  // namespace mtp
