// The host's pool of tenant networks: a CIDR cut into /29s (five usable container addresses each).
// Docker's own default pools end at the 38th bridge network; explicit subnets do not.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <string>

namespace mtp {

class SubnetPool {
 public:
  // `10.214.0.0/16`. INVALID_ARGUMENT unless it is an IPv4 network of /8 to /29 with no host bits
  // set.
  static absl::StatusOr<SubnetPool> Parse(absl::string_view cidr);

  // How many /29s there are.
  int size() const { return size_; }
  // The `index`th /29, `10.214.0.8/29`; OUT_OF_RANGE beyond size().
  absl::StatusOr<std::string> Subnet(int index) const;
  std::string ToString() const;

 private:
  SubnetPool(uint32_t base, int bits);
  uint32_t base_;
  int bits_;
  int size_;
};

}  // namespace mtp
