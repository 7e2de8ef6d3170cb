// Include in one file of a test program that uses TLS: does what the mains of the programs do
// first.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>

#include "common/tls/credentials.h"

namespace mtp::testing {

class TlsRestricted final : public ::testing::Environment {
 public:
  void SetUp() override {
    tls::RestrictTls();
    // Refused handshakes are what these tests are about; gRPC would print each.
    setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  }
};

inline ::testing::Environment* const kTlsRestricted =
    ::testing::AddGlobalTestEnvironment(new TlsRestricted);

}  // namespace mtp::testing
