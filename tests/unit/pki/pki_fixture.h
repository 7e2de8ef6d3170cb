// An authority in a folder of its own, a store in memory, and a clock that stands still.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "common/kv/sqlite_store.h"
#include "common/tls/keys.h"
#include "controller/pki/authority.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"
#include "tests/support/temp_folder.h"

namespace mtp {

// A request for a key of its own.
inline std::string NewCsr() {
  return tls::NewRequest(tls::NewPrivateKey().value(), "anyone").value();
}

class PkiTest : public ::testing::Test {
 protected:
  testing::TempFolder folder_;
  testing::SimClock clock_;
  testing::SeededRandom random_{1};
  SecretBox box_ = SecretBox::ForTest();
  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  Authority authority_ = Authority::OpenOrCreate(folder_ / "pki", "fleet1", box_, clock_).value();
};

}  // namespace mtp
