// An authority of one test, and certificates from it.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "common/tls/credentials.h"
#include "common/tls/identity.h"
#include "common/tls/keys.h"

namespace mtp::tls {

inline const Identity kController{Identity::Kind::kController, "fleet1", ""};
inline const Identity kAgent{Identity::Kind::kAgent, "fleet1", "h1"};
inline const Identity kOperator{Identity::Kind::kOperator, "fleet1", "alice"};

class TestAuthority {
 public:
  TestAuthority() : key_(NewPrivateKey().value()) {
    pem_ = NewAuthority(key_, "fleet1", absl::Now() - absl::Hours(1), absl::Now() + absl::Hours(24))
               .value();
  }
  const std::string& pem() const { return pem_; }

  IssuedCertificate Sign(const std::string& request, const Identity& identity,
                         absl::Time not_after = absl::Now() + absl::Hours(1)) const {
    return SignFrom(request, identity, absl::Now() - absl::Hours(1), not_after);
  }
  IssuedCertificate SignFrom(const std::string& request, const Identity& identity,
                             absl::Time not_before, absl::Time not_after) const {
    return Issue(request, {identity, not_before, not_after}, pem_, key_).value();
  }
  // Key and certificate of the identity as files of `folder`; the certificate's serial.
  std::string Equip(const std::string& folder, const Identity& identity,
                    absl::Time not_after = absl::Now() + absl::Hours(1)) const {
    const SecretString key = NewPrivateKey().value();
    const IssuedCertificate issued =
        Sign(NewRequest(key, identity.ToString()).value(), identity, not_after);
    EXPECT_TRUE(WriteIdentity(folder, key, issued.pem, pem_).ok());
    return issued.serial;
  }

  absl::StatusOr<IssuedCertificate> TryIssue(absl::string_view request) const {
    return Issue(request, {kAgent, absl::Now(), absl::Now() + absl::Hours(1)}, pem_, key_);
  }

 private:
  SecretString key_;
  std::string pem_;
};

}  // namespace mtp::tls
