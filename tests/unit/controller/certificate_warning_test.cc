// What `status` says of certificates.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/timestamps.h"
#include "common/kv/sqlite_store.h"
#include "controller/state/fleet.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;

const absl::Time kEnd = absl::FromUnixSeconds(1'798'761'600);  // 2027-01-01

class CertificateWarningTest : public ::testing::Test {
 protected:
  CertificateWarningTest() {
    state::v1::HostRecord host;
    host.set_name("h1");
    *host.mutable_certificate_expire_time() = ToTimestamp(kEnd);
    kv::Txn txn;
    tables_.hosts.Put(txn, "h1", host);
    EXPECT_TRUE(store_->Commit(txn).ok());
    observed_["h1"].connected = true;
  }
  v1::Host Shown(absl::Time now) const {
    return ToFleetStatus(tables_, observed_, now, "")->hosts(0);
  }

  std::unique_ptr<kv::Store> store_ = kv::NewMemoryStore();
  const Tables tables_{store_.get()};
  FleetObservation observed_;
};

TEST_F(CertificateWarningTest, TheEndIsShownAndNothingIsSaidWhileAllIsWell) {
  const v1::Host host = Shown(kEnd - absl::Hours(24 * 100));
  EXPECT_EQ(FromTimestamp(host.certificate_expire_time()), kEnd);
  EXPECT_EQ(host.status().message(), "");
}

TEST_F(CertificateWarningTest, OneThatWasNotRenewedIsSaidUnlessSomethingElseIs) {
  const absl::Time late = kEnd - absl::Hours(24 * 30);
  EXPECT_THAT(Shown(late).status().message(), HasSubstr("could not be renewed"));
  observed_["h1"].status.set_message("the engine does not answer");
  EXPECT_EQ(Shown(late).status().message(), "the engine does not answer");
}

TEST_F(CertificateWarningTest, OneThatHasEndedExplainsWhyTheHostIsUnreachable) {
  observed_["h1"].connected = false;
  observed_["h1"].error = "the agent cannot be reached: handshake failed";
  EXPECT_THAT(Shown(kEnd - absl::Hours(24 * 30)).status().message(), HasSubstr("handshake"));
  EXPECT_THAT(Shown(kEnd + absl::Hours(1)).status().message(),
              HasSubstr("mtp-cli host token h1 --rejoin"));
}

}  // namespace
}  // namespace mtp
