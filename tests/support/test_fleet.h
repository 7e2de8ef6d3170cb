// A fleet's authority for tests: identities of any kind and age in folders of their own.
#pragma once

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/base/secret_string.h"
#include "common/tls/credentials.h"
#include "common/tls/identity.h"
#include "common/tls/keys.h"
#include "tests/support/temp_folder.h"

namespace mtp::testing {

class TestFleet {
 public:
  explicit TestFleet(std::string fleet = "acme-fleet") : fleet_(std::move(fleet)) {
    auto key = tls::NewPrivateKey();
    key_ = std::move(key).value();
    const absl::Time now = absl::Now();
    ca_ = tls::NewAuthority(key_, fleet_, now - absl::Hours(24), now + absl::Hours(24)).value();
  }

  tls::Identity Controller() const { return {tls::Identity::Kind::kController, fleet_, ""}; }
  tls::Identity Agent(const std::string& name) const {
    return {tls::Identity::Kind::kAgent, fleet_, name};
  }
  tls::Identity Operator(const std::string& name) const {
    return {tls::Identity::Kind::kOperator, fleet_, name};
  }

  // A folder with key and certificate of `identity`, valid from now less `since` to now plus
  // `until`; trusts `trusted_ca`, this fleet's own when empty. Sets `serial` when not null.
  std::string Folder(const tls::Identity& identity, absl::Duration since = absl::Minutes(10),
                     absl::Duration until = absl::Hours(1), const std::string& trusted_ca = "",
                     std::string* serial = nullptr) {
    const std::string folder = folders_ / absl::StrCat("identity-", ++count_);
    WriteTo(folder, identity, since, until, trusted_ca, serial);
    return folder;
  }
  void WriteTo(const std::string& folder, const tls::Identity& identity,
               absl::Duration since = absl::Minutes(10), absl::Duration until = absl::Hours(1),
               const std::string& trusted_ca = "", std::string* serial = nullptr) {
    const SecretString key = tls::NewPrivateKey().value();
    const std::string request = tls::NewRequest(key, "test").value();
    const absl::Time now = absl::Now();
    const auto issued =
        tls::Issue(request, {identity, now - since, now + until}, ca_, key_).value();
    if (serial != nullptr) *serial = issued.serial;
    const absl::Status written =
        tls::WriteIdentity(folder, key, issued.pem, trusted_ca.empty() ? ca_ : trusted_ca);
    EXPECT_TRUE(written.ok()) << written;
  }

  const std::string& ca() const { return ca_; }
  const SecretString& key() const { return key_; }
  const std::string& name() const { return fleet_; }

 private:
  std::string fleet_;
  TempFolder folders_;
  int count_ = 0;
  SecretString key_;
  std::string ca_;
};

}  // namespace mtp::testing
