// The admin instance's Docker socket: a unix socket that speaks the Engine API and passes only
// reading of this project. Mounting the engine's own socket read-only restricts nothing (the file
// system's read-only flag does not apply to what is sent through a socket), so this stands between.
//
// What passes: GET and HEAD, by an exact list (read_only_routes.h), of containers and networks that
// carry the project's label; answers are cut down to fields that are known to hold no secrets
// (read_only_view.h). All else is answered 403 with the engine's own form of error,
// `{"message":"…"}`. A request is never passed on as it came: the engine gets one that is written
// anew from the parsed parts, one per connection, so nothing can be smuggled.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <sys/types.h>

#include <memory>
#include <string>

namespace mtp {

struct FilteredSocketOptions {
  std::string engine_socket;  // Required. The engine's own socket.
  std::string
      path;  // Required. Where to listen; a socket left there by an earlier life is replaced.
  std::string project;     // Required. Compose project whose objects may be seen.
  uid_t owner_uid = 1000;  // Of the socket file: the admin container's user.
  gid_t owner_gid = 1000;
  mode_t mode = 0600;
  int max_connections = 32;  // More wait in the listen queue.
  absl::Duration request_timeout =
      absl::Seconds(10);  // For the request's head, and the engine's answer's head.
  absl::Duration write_timeout =
      absl::Seconds(30);  // A reader that takes nothing for so long is dropped.
  absl::Duration stream_idle_timeout =
      absl::Hours(24);  // For `follow` and events that stay silent.
};

// Not thread-safe; own it in one place. Runs one thread between Start and Stop.
class FilteredSocket {
 public:
  explicit FilteredSocket(FilteredSocketOptions options);
  // Stops.
  ~FilteredSocket();
  FilteredSocket(const FilteredSocket&) = delete;
  FilteredSocket& operator=(const FilteredSocket&) = delete;

  // Listens. The engine need not be up: requests then answer 502. INVALID_ARGUMENT for a missing
  // option or a path too long for a socket; ALREADY_EXISTS when `path` is something other than a
  // socket, or a live socket.
  absl::Status Start();
  // Closes every connection, removes the socket. Twice changes nothing.
  void Stop();

 private:
  class Server;
  FilteredSocketOptions options_;
  std::unique_ptr<Server> server_;
};

}  // namespace mtp
