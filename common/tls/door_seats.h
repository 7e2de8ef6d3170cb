// Which connections of a door are open. gRPC owns them and tells nobody when it closes one, so this
// looks: a descriptor that is no socket any more, or another one, has been left.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace mtp::tls {

// What counts as one stranger: an IPv4 address, or the first 64 bits of an IPv6 one.
std::string StrangerOf(const sockaddr_storage& address);

// For one thread.
class DoorSeats {
 public:
  DoorSeats(int max, int max_per_stranger) : max_(max), max_per_stranger_(max_per_stranger) {}

  // False when there is no room for it; then the caller closes `fd`. Otherwise it counts until it
  // is closed by whoever has it.
  bool Take(int fd, const std::string& stranger);
  // Lets go of those that were closed. Looks at each, so not for every connection of a flood.
  void Sweep();
  bool IsFull(const std::string& stranger) const;
  int taken() const { return static_cast<int>(seats_.size()); }

 private:
  struct Seat {
    int fd;
    ino_t socket;
    std::string stranger;
  };

  const int max_;
  const int max_per_stranger_;
  std::vector<Seat> seats_;
  std::map<std::string, int> by_stranger_;
};

}  // namespace mtp::tls
