// What `status` says of a tenant, from its record and what its host says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/timestamps.h"
#include "controller/state/fleet.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'798'761'600);  // 2027-01-01

v1::TenantStatus Running() {
  v1::TenantStatus status;
  status.set_state(v1::TENANT_STATE_RUNNING);
  status.set_health(v1::TENANT_HEALTH_READY);
  return status;
}

class TenantStatusTest : public ::testing::Test {
 protected:
  TenantStatusTest() {
    record_.set_host("h2");
    record_.set_epoch(7);
    record_.set_port(18'801);
    record_.mutable_resolved()->set_memory_reservation_mib(900);
    record_.mutable_resolved()->set_memory_limit_mib(2'048);
    record_.mutable_resolved()->set_image("openclaw:1");
    observed_.connected = true;
  }
  v1::Tenant Shown(const std::string& transition = "") const {
    return ToTenant({"acme", record_, 12}, transition, observed_);
  }

  state::v1::TenantRecord record_;
  HostObservation observed_;
};

TEST_F(TenantStatusTest, HasWhatIsPlaced) {
  observed_.tenants["acme"] = Running();
  record_.mutable_spec()->set_memory_limit_mib(2'048);
  *record_.mutable_create_time() = ToTimestamp(kNow);
  const v1::Tenant tenant = Shown();
  EXPECT_EQ(tenant.name(), "tenants/acme");
  EXPECT_EQ(tenant.etag(), "12");
  EXPECT_EQ(tenant.spec().memory_limit_mib(), 2'048);
  EXPECT_EQ(FromTimestamp(tenant.create_time()), kNow);
  const v1::TenantStatus& status = tenant.status();
  EXPECT_EQ(status.host(), "h2");
  EXPECT_EQ(status.epoch(), 7);
  EXPECT_EQ(status.container(), "mtp-acme");
  EXPECT_EQ(status.memory_reservation_mib(), 900);
  EXPECT_EQ(status.state(), v1::TENANT_STATE_RUNNING);
  EXPECT_EQ(status.health(), v1::TENANT_HEALTH_READY);
}

TEST_F(TenantStatusTest, WhatTheHostSaysIsBeforeWhatWasAskedFor) {
  v1::TenantStatus& seen = observed_.tenants["acme"] = Running();
  EXPECT_EQ(Shown().status().port(), 18'801);
  EXPECT_EQ(Shown().status().memory_limit_mib(), 2'048);
  EXPECT_EQ(Shown().status().image(), "openclaw:1");
  seen.set_port(18'802);
  seen.set_memory_limit_mib(3'072);
  seen.set_image("openclaw:2");
  EXPECT_EQ(Shown().status().port(), 18'802);
  EXPECT_EQ(Shown().status().memory_limit_mib(), 3'072);
  EXPECT_EQ(Shown().status().image(), "openclaw:2");
}

TEST_F(TenantStatusTest, HasItsBackupsItsPinAndItsChangeOfSecrets) {
  observed_.tenants["acme"] = Running();
  const v1::TenantStatus none = Shown().status();
  EXPECT_FALSE(none.has_last_backup_time());
  EXPECT_FALSE(none.has_last_proven_backup_time());
  EXPECT_FALSE(none.has_secret_change_time());
  EXPECT_EQ(none.pinned_image(), "");
  EXPECT_EQ(none.backup_failure(), "");

  *record_.mutable_last_backup_time() = ToTimestamp(kNow);
  *record_.mutable_last_proven_backup_time() = ToTimestamp(kNow - absl::Hours(1));
  *record_.mutable_secret_change_time() = ToTimestamp(kNow - absl::Hours(2));
  record_.set_backup_failure("the repository is full");
  record_.set_pinned(true);
  const v1::TenantStatus status = Shown().status();
  EXPECT_EQ(FromTimestamp(status.last_backup_time()), kNow);
  EXPECT_EQ(FromTimestamp(status.last_proven_backup_time()), kNow - absl::Hours(1));
  EXPECT_EQ(FromTimestamp(status.secret_change_time()), kNow - absl::Hours(2));
  EXPECT_EQ(status.backup_failure(), "the repository is full");
  EXPECT_EQ(status.pinned_image(), "openclaw:1");
}

TEST_F(TenantStatusTest, OfAnUnreachableHostNothingIsSaidToBeSo) {
  observed_.tenants["acme"] = Running();
  observed_.connected = false;
  v1::TenantStatus status = Shown("update").status();
  EXPECT_EQ(status.state(), v1::TENANT_STATE_UNSPECIFIED);
  EXPECT_EQ(status.health(), v1::TENANT_HEALTH_UNSPECIFIED);
  EXPECT_EQ(status.message(), "host h2 is unreachable; last seen state is not current");
  observed_.held["acme"] = "its policy is stay";
  EXPECT_THAT(Shown().status().message(), HasSubstr("not current; its policy is stay"));
}

TEST_F(TenantStatusTest, WithoutAContainerItHasFailedUnlessItIsToBeStopped) {
  v1::TenantStatus status = Shown().status();
  EXPECT_EQ(status.state(), v1::TENANT_STATE_FAILED);
  EXPECT_EQ(status.health(), v1::TENANT_HEALTH_DOWN);
  EXPECT_EQ(status.message(), "no container on the host");
  record_.mutable_spec()->set_run_policy(v1::RUN_POLICY_STOP);
  status = Shown().status();
  EXPECT_EQ(status.state(), v1::TENANT_STATE_STOPPED);
  EXPECT_EQ(status.health(), v1::TENANT_HEALTH_DOWN);
}

TEST_F(TenantStatusTest, WhatIsBeingDoneIsItsState) {
  for (const char* kind : {"provision", "start", "restart", "restore"}) {
    EXPECT_EQ(Shown(kind).status().state(), v1::TENANT_STATE_STARTING) << kind;
  }
  EXPECT_EQ(Shown("update").status().state(), v1::TENANT_STATE_UPDATING);
  // What leaves it running is no state.
  observed_.tenants["acme"] = Running();
  for (const char* kind : {"backup", "set", "verify-backup", "drill"}) {
    EXPECT_EQ(Shown(kind).status().state(), v1::TENANT_STATE_RUNNING) << kind;
  }
}

TEST_F(TenantStatusTest, WhatIsBeingStartedIsNotDownYet) {
  v1::TenantStatus& seen = observed_.tenants["acme"];
  seen.set_health(v1::TENANT_HEALTH_DOWN);
  seen.set_message("the container has exited");
  v1::TenantStatus status = Shown("start").status();
  EXPECT_EQ(status.health(), v1::TENANT_HEALTH_STARTING);
  EXPECT_EQ(status.message(), "");
  EXPECT_EQ(Shown().status().message(), "the container has exited");
  seen.set_health(v1::TENANT_HEALTH_DEGRADED);
  seen.set_message("the channel is gone");
  status = Shown("update").status();
  EXPECT_EQ(status.health(), v1::TENANT_HEALTH_DEGRADED);
  EXPECT_EQ(status.message(), "the channel is gone");
}

}  // namespace
}  // namespace mtp
