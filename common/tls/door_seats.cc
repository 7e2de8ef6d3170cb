#include "common/tls/door_seats.h"

#include <netinet/in.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace mtp::tls {
namespace {

// 0 when it is no socket (any more).
ino_t SocketOf(int fd) {
  struct stat facts {};
  return fstat(fd, &facts) == 0 && S_ISSOCK(facts.st_mode) ? facts.st_ino : 0;
}

}  // namespace

std::string StrangerOf(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in four{};
    std::memcpy(&four, &address, sizeof(four));
    return {reinterpret_cast<const char*>(&four.sin_addr), sizeof(four.sin_addr)};
  }
  sockaddr_in6 six{};
  std::memcpy(&six, &address, sizeof(six));
  const char* const bytes = reinterpret_cast<const char*>(&six.sin6_addr);
  if (IN6_IS_ADDR_V4MAPPED(&six.sin6_addr)) return {bytes + 12, 4};
  return {bytes, 8};
}

bool DoorSeats::Take(int fd, const std::string& stranger) {
  if (IsFull(stranger)) return false;
  seats_.push_back({fd, SocketOf(fd), stranger});
  ++by_stranger_[stranger];
  return true;
}

void DoorSeats::Sweep() {
  const auto left = [this](const Seat& seat) {
    if (SocketOf(seat.fd) == seat.socket) return false;
    const auto found = by_stranger_.find(seat.stranger);
    if (--found->second == 0) by_stranger_.erase(found);
    return true;
  };
  seats_.erase(std::remove_if(seats_.begin(), seats_.end(), left), seats_.end());
}

bool DoorSeats::IsFull(const std::string& stranger) const {
  const auto found = by_stranger_.find(stranger);
  return taken() >= max_ || (found != by_stranger_.end() && found->second >= max_per_stranger_);
}

}  // namespace mtp::tls
