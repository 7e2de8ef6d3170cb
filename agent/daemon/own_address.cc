#include "agent/daemon/own_address.h"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "common/base/file_descriptor.h"

namespace mtp {

absl::StatusOr<std::string> OwnAddressTowards(const std::string& peer) {
  const absl::Status unknown =
      absl::NotFoundError(absl::StrCat("this machine's address towards ", peer,
                                       " cannot be told. Give it with --advertise ADDRESS:PORT"));
  const size_t colon = peer.rfind(':');
  if (colon == std::string::npos) return unknown;
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(peer.substr(0, colon).c_str(), peer.substr(colon + 1).c_str(), &hints, &found) !=
      0) {
    return unknown;
  }
  const FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  // Connecting a datagram socket only chooses the route.
  const bool connected =
      socket.valid() && connect(socket.get(), found->ai_addr, found->ai_addrlen) == 0;
  freeaddrinfo(found);
  sockaddr_in own{};
  socklen_t size = sizeof(own);
  char text[INET_ADDRSTRLEN];
  if (!connected || getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0 ||
      inet_ntop(AF_INET, &own.sin_addr, text, sizeof(text)) == nullptr) {
    return unknown;
  }
  return std::string(text);
}

}  // namespace mtp
