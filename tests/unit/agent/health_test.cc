#include "agent/tenants/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mtp {
namespace {

using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'767'225'600);

// A running tenant that started a minute ago and is ready.
TenantFacts Ready() {
  TenantFacts facts;
  facts.record.set_name("acme");
  facts.record.set_epoch(3);
  facts.record.set_port(18801);
  facts.record.set_run_policy(v1::RUN_POLICY_RUN);
  facts.now = kNow;
  ContainerDetails container;
  container.state = ContainerState::kRunning;
  container.pid = 42;
  container.started_at = kNow - absl::Minutes(1);
  container.memory_limit_bytes = int64_t{2048} << 20;
  facts.container = container;
  ProbeResult probe;
  probe.live = probe.ready = true;
  facts.probe = probe;
  return facts;
}

TenantFacts Ended(int exit_code) {
  TenantFacts facts = Ready();
  facts.container->state = ContainerState::kExited;
  facts.container->pid = 0;
  facts.container->exit_code = exit_code;
  facts.probe.reset();
  return facts;
}

void NotReady(TenantFacts& facts, bool live) {
  facts.probe->ready = false;
  facts.probe->live = live;
  facts.probe->message = "not ready: telegram";
}

TEST(Health, AReadyTenantRuns) {
  const v1::TenantStatus status = ObserveTenant(Ready());
  EXPECT_EQ(status.state(), v1::TENANT_STATE_RUNNING);
  EXPECT_EQ(status.health(), v1::TENANT_HEALTH_READY);
  EXPECT_EQ(status.container(), "mtp-acme");
  EXPECT_EQ(status.epoch(), 3);
  EXPECT_EQ(status.memory_limit_mib(), 2048);
  EXPECT_EQ(status.start_time().seconds(), 1'767'225'540);
}

// Ready, and the kernel killed a helper of it an hour ago.
TenantFacts KilledWithin(int limit_mib) {
  TenantFacts facts = Ready();
  facts.container->memory_limit_bytes = int64_t{limit_mib} << 20;
  facts.oom_kills = 1;
  facts.last_oom_kill = kNow - absl::Hours(1);
  facts.oom_limit_bytes = int64_t{512} << 20;
  return facts;
}

TEST(Health, AKillForLackOfMemoryIsToldOfAReadyTenantToo) {
  const v1::TenantStatus status = ObserveTenant(KilledWithin(512));
  EXPECT_EQ(status.health(), v1::TENANT_HEALTH_READY);
  EXPECT_EQ(status.oom_kills(), 1);
  EXPECT_EQ(status.message(),
            "killed for lack of memory 1 time; its limit is 512 MiB; raise it: mtp-cli tenant set "
            "acme --memory-limit MIB");
}

TEST(Health, NoWordOfItOnceTheLimitWasRaisedOrItIsLongAgo) {
  EXPECT_EQ(ObserveTenant(KilledWithin(1024)).message(), "");
  EXPECT_EQ(ObserveTenant(KilledWithin(1024)).oom_kills(), 1);
  TenantFacts facts = KilledWithin(512);
  facts.last_oom_kill = kNow - absl::Hours(25);
  EXPECT_EQ(ObserveTenant(facts).message(), "");
}

TEST(Health, ATenantThatWasNeverReadyStartsForAQuarterOfAnHour) {
  TenantFacts facts = Ready();
  NotReady(facts, /*live=*/true);
  EXPECT_EQ(ObserveTenant(facts).state(), v1::TENANT_STATE_STARTING);
  EXPECT_EQ(ObserveTenant(facts).health(), v1::TENANT_HEALTH_STARTING);
  facts.container->started_at = kNow - absl::Minutes(16);
  EXPECT_EQ(ObserveTenant(facts).state(), v1::TENANT_STATE_RUNNING);
  EXPECT_EQ(ObserveTenant(facts).health(), v1::TENANT_HEALTH_DEGRADED);
}

TEST(Health, ATenantThatWasReadyIsDegradedWithTheReason) {
  TenantFacts facts = Ready();
  facts.was_ready = true;
  NotReady(facts, /*live=*/true);
  EXPECT_EQ(ObserveTenant(facts).health(), v1::TENANT_HEALTH_DEGRADED);
  EXPECT_EQ(ObserveTenant(facts).message(), "not ready: telegram");
}

TEST(Health, ATenantThatWasReadyAndDoesNotAnswerIsDown) {
  TenantFacts facts = Ready();
  facts.was_ready = true;
  NotReady(facts, /*live=*/false);
  EXPECT_EQ(ObserveTenant(facts).state(), v1::TENANT_STATE_RUNNING);
  EXPECT_EQ(ObserveTenant(facts).health(), v1::TENANT_HEALTH_DOWN);
}

TEST(Health, StoppedOnPurposeIsNotAFailure) {
  TenantFacts facts = Ended(0);
  facts.record.set_run_policy(v1::RUN_POLICY_STOP);
  EXPECT_EQ(ObserveTenant(facts).state(), v1::TENANT_STATE_STOPPED);
  EXPECT_FALSE(ObserveTenant(facts).has_start_time());
}

TEST(Health, EndedByItselfIsAFailureWithItsExitCode) {
  const v1::TenantStatus status = ObserveTenant(Ended(78));
  EXPECT_EQ(status.state(), v1::TENANT_STATE_FAILED);
  EXPECT_EQ(status.health(), v1::TENANT_HEALTH_DOWN);
  EXPECT_THAT(status.message(), HasSubstr("78"));
}

TEST(Health, AnOomKillIsExplainedWithTheLimit) {
  TenantFacts facts = Ended(137);
  facts.container->oom_killed = true;
  EXPECT_THAT(ObserveTenant(facts).message(), HasSubstr("want of memory (limit 2048 MiB)"));
}

TEST(Health, AMissingContainerIsAFailureUnlessItIsBeingStarted) {
  TenantFacts facts = Ready();
  facts.container.reset();
  EXPECT_EQ(ObserveTenant(facts).state(), v1::TENANT_STATE_FAILED);
  facts.being_started = true;
  EXPECT_EQ(ObserveTenant(facts).state(), v1::TENANT_STATE_STARTING);
}

TEST(Health, ACrashLoopIsAFailureThatCounts) {
  TenantFacts facts = Ended(1);
  facts.container->state = ContainerState::kRestarting;
  facts.container->restart_count = 12;
  EXPECT_EQ(ObserveTenant(facts).state(), v1::TENANT_STATE_FAILED);
  EXPECT_THAT(ObserveTenant(facts).message(), HasSubstr("12 times"));
}

TEST(Health, NothingIsKnownWhileTheEngineIsAway) {
  TenantFacts facts = Ready();
  facts.engine_up = false;
  EXPECT_EQ(ObserveTenant(facts).state(), v1::TENANT_STATE_UNSPECIFIED);
  EXPECT_EQ(ObserveTenant(facts).health(), v1::TENANT_HEALTH_UNSPECIFIED);
}

TEST(Health, AStateThatThisBuildDoesNotKnowIsNamedAndNotGuessed) {
  TenantFacts facts = Ready();
  facts.container->state = ContainerState::kUnknown;
  EXPECT_EQ(ObserveTenant(facts).state(), v1::TENANT_STATE_UNSPECIFIED);
}

}  // namespace
}  // namespace mtp
