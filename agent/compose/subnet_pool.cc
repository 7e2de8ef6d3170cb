#include "agent/compose/subnet_pool.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <vector>

namespace mtp {
namespace {

constexpr int kSubnetBits = 29;

std::string Address(uint32_t ip) {
  return absl::StrCat(ip >> 24, ".", (ip >> 16) & 0xff, ".", (ip >> 8) & 0xff, ".", ip & 0xff);
}

bool ParseAddress(absl::string_view text, uint32_t* ip) {
  const std::vector<std::string> parts = absl::StrSplit(text, '.');
  if (parts.size() != 4) return false;
  *ip = 0;
  for (const std::string& part : parts) {
    uint32_t octet = 0;
    if (part.size() > 3 || !absl::SimpleAtoi(part, &octet) || octet > 255) return false;
    *ip = (*ip << 8) | octet;
  }
  return true;
}

}  // namespace

SubnetPool::SubnetPool(uint32_t base, int bits)
    : base_(base), bits_(bits), size_(1 << (kSubnetBits - bits)) {}

absl::StatusOr<SubnetPool> SubnetPool::Parse(absl::string_view cidr) {
  const std::vector<std::string> parts = absl::StrSplit(cidr, '/');
  uint32_t base = 0;
  int bits = 0;
  if (parts.size() != 2 || !ParseAddress(parts[0], &base) || !absl::SimpleAtoi(parts[1], &bits) ||
      bits < 8 || bits > kSubnetBits) {
    return absl::InvalidArgumentError(
        absl::StrCat("the subnet pool \"", cidr,
                     "\" is not an IPv4 network of /8 to /29, such as 10.214.0.0/16"));
  }
  if ((base & ((uint32_t{1} << (32 - bits)) - 1)) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the subnet pool \"", cidr, "\" has bits set beyond its /", bits));
  }
  return SubnetPool(base, bits);
}

absl::StatusOr<std::string> SubnetPool::Subnet(int index) const {
  if (index < 0 || index >= size_) {
    return absl::OutOfRangeError(absl::StrCat("the pool ", ToString(), " has ", size_,
                                              " networks, none is numbered ", index));
  }
  const uint32_t ip = base_ + static_cast<uint32_t>(index) * (1u << (32 - kSubnetBits));
  return absl::StrCat(Address(ip), "/", kSubnetBits);
}

std::string SubnetPool::ToString() const { return absl::StrCat(Address(base_), "/", bits_); }

}  // namespace mtp
