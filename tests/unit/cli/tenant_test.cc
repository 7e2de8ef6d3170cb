#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "cli/output/tenant_view.h"
#include "common/base/timestamps.h"
#include "tests/unit/cli/cli_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

v1::Tenant Acme() {
  v1::Tenant tenant;
  tenant.set_name("tenants/acme");
  tenant.set_etag("7");
  tenant.mutable_spec()->set_memory_limit_mib(600);
  (*tenant.mutable_spec()->mutable_labels())["team"] = "red";
  (*tenant.mutable_spec()->mutable_labels())["tier"] = "gold";
  v1::TenantStatus& status = *tenant.mutable_status();
  status.set_host("h1");
  status.set_epoch(3);
  status.set_port(18801);
  status.set_container("mtp-acme");
  status.set_state(v1::TENANT_STATE_FAILED);
  status.set_health(v1::TENANT_HEALTH_DOWN);
  status.set_image("openclaw:1");
  status.set_pinned_image("openclaw@sha256:5a");
  status.set_memory_limit_mib(512);
  status.set_memory_reservation_mib(1024);
  status.set_oom_kills(4);
  status.set_restart_count(6);
  status.set_parked(true);
  status.set_message("parked: it ended 5 times within 10 minutes");
  status.add_last_log_lines("Error: \x1b[31mcannot go on");
  *status.mutable_last_backup_time() = ToTimestamp(kNow - absl::Hours(3));
  status.set_backup_failure("the repository is full");
  return tenant;
}

class TenantCommand : public CliTest {
 protected:
  TenantCommand() {
    *controller_.fleet.add_tenants() = Acme();
    controller_.accepted = MakeOperation("set", "tenants/acme", v1::OPERATION_STATE_PENDING);
    v1::Operation done = MakeOperation("set", "tenants/acme", v1::OPERATION_STATE_SUCCEEDED);
    (*done.mutable_result())["memory_limit_mib"] = "1024";
    (*done.mutable_result())["memory_reservation_mib"] = "900";
    controller_.streams.push_back({.operations = {done}});
  }
  std::vector<std::string> Mask() {
    if (controller_.updates.empty()) return {};
    const auto& paths = controller_.updates.back().update_mask().paths();
    return {paths.begin(), paths.end()};
  }
};

TEST(TenantView, HasAllFactsInLines) {
  const std::string text = TenantDetails(Acme(), kNow, /*colour=*/false);
  EXPECT_THAT(text, AllOf(HasSubstr("status        failed, down\n"),
                          HasSubstr("message       parked: it ended 5 times"),
                          HasSubstr("host          h1, epoch 3\n"),
                          HasSubstr("container     mtp-acme, restarted by the engine 6 times\n"),
                          HasSubstr("image         openclaw:1 (the default)\n"),
                          HasSubstr("pinned image  openclaw@sha256:5a\n")));
  EXPECT_THAT(text, AllOf(HasSubstr("memory in use none\n"),
                          HasSubstr("reserved      1.0G (the default)\n"),
                          HasSubstr("memory limit  512M (asked for: 600 MiB)\n"),
                          HasSubstr("oom kills     4\n"), HasSubstr("team=red,tier=gold"),
                          HasSubstr("3h00m ago\n"), HasSubstr("proven        never\n"),
                          HasSubstr("backup failed the repository is full\n")));
  EXPECT_THAT(text, HasSubstr("its last log lines\n  Error: \\x1b[31mcannot go on\n"));
}

TEST(TenantView, AHealthyTenantHasNoLastWords) {
  v1::Tenant tenant = Acme();
  tenant.mutable_status()->clear_last_log_lines();
  EXPECT_THAT(TenantDetails(tenant, kNow, false), Not(HasSubstr("last log lines")));
  EXPECT_TRUE(TenantDetailsJson(tenant, kNow)["last_log_lines"].empty());
}

TEST_F(TenantCommand, ShowPrintsTheDocumentedObject) {
  ASSERT_EQ(Run({"tenant", "show", "acme", "-o", "json"}), 0) << err();
  const auto json = OutJson();
  EXPECT_EQ(json["name"], "acme");
  EXPECT_EQ(json["spec"]["memory_limit_mib"], 600);
  EXPECT_TRUE(json["spec"]["memory_reservation_mib"].is_null());
  EXPECT_TRUE(json["spec"]["image"].is_null());
  EXPECT_EQ(json["memory_limit_mib"], 512);
  EXPECT_EQ(json["oom_kills"], 4);
  EXPECT_EQ(json["parked"], true);
  EXPECT_EQ(json["pinned_image"], "openclaw@sha256:5a");
  EXPECT_EQ(json["last_log_lines"].size(), 1);
  EXPECT_EQ(json["etag"], "7");
}

TEST_F(TenantCommand, ShowOfAnUnknownTenantIsRefused) {
  EXPECT_EQ(Run({"tenant", "show", "ghost"}), 3);
  EXPECT_THAT(err(), HasSubstr("mtp-cli status"));
}

TEST_F(TenantCommand, SetSendsWhatItsFlagsNameAndNothingElse) {
  ASSERT_EQ(Run({"tenant", "set", "acme", "--memory-limit", "1024"}), 0) << err();
  ASSERT_THAT(controller_.updates, SizeIs(1));
  EXPECT_THAT(Mask(), ElementsAre("memory_limit_mib"));
  EXPECT_EQ(controller_.updates[0].spec().memory_limit_mib(), 1024);
  EXPECT_EQ(controller_.updates[0].etag(), "");
  EXPECT_NE(controller_.updates[0].request_id(), "");
  EXPECT_THAT(out(), AllOf(HasSubstr("memory limit 1024 MiB"), HasSubstr("reserved     900 MiB")));
}

TEST_F(TenantCommand, NothingIsTheDefault) {
  ASSERT_EQ(Run({"tenant", "set", "acme", "--memory-limit", "0", "--memory-reservation", "0"}), 0);
  EXPECT_THAT(Mask(), ElementsAre("memory_limit_mib", "memory_reservation_mib"));
  EXPECT_EQ(controller_.updates[0].spec().memory_limit_mib(), 0);
}

TEST_F(TenantCommand, LabelsAreSetAndRemovedAmongThoseThatStay) {
  ASSERT_EQ(Run({"tenant", "set", "acme", "--label", "team=blue", "--label", "new=1",
                 "--remove-label", "tier"}),
            0)
      << err();
  const auto& labels = controller_.updates.at(0).spec().labels();
  EXPECT_EQ(labels.size(), 2);
  EXPECT_EQ(labels.at("team"), "blue");
  EXPECT_EQ(labels.at("new"), "1");
  EXPECT_THAT(Mask(), ElementsAre("labels"));
  // Nobody else's change is lost.
  EXPECT_EQ(controller_.updates[0].etag(), "7");
}

TEST_F(TenantCommand, LabelsAreReadAgainWhenSomebodyElseChangedTheTenant) {
  // The first two answers are those to GetTenant and UpdateTenant.
  controller_.refusals = {grpc::Status::OK, {grpc::StatusCode::ABORTED, "was changed meanwhile"}};
  ASSERT_EQ(Run({"tenant", "set", "acme", "--label", "team=blue"}), 0) << err();
  EXPECT_THAT(controller_.updates, SizeIs(2));
}

TEST_F(TenantCommand, UnderARequestIdTheRequestIsTheSameEachTime) {
  ASSERT_EQ(Run({"tenant", "set", "acme", "--label", "team=blue", "--request-id", "once"}), 0);
  EXPECT_EQ(controller_.updates.at(0).etag(), "");
  EXPECT_EQ(controller_.updates[0].request_id(), "once");
}

TEST_F(TenantCommand, ADryRunSaysSo) {
  ASSERT_EQ(Run({"tenant", "set", "acme", "--memory-limit", "1024", "--dry-run", "-o", "json"}), 0);
  EXPECT_TRUE(controller_.updates.at(0).validate_only());
  EXPECT_EQ(OutJson()["dry_run"], true);
}

TEST_F(TenantCommand, WhatMakesNoSenseIsNotSent) {
  EXPECT_EQ(Run({"tenant", "set", "acme"}), 2);
  EXPECT_THAT(err(), HasSubstr("nothing to set"));
  EXPECT_EQ(Run({"tenant", "set", "acme", "--memory-limit", "-5"}), 2);
  EXPECT_EQ(Run({"tenant", "set", "acme", "--label", "x"}), 2);
  EXPECT_EQ(Run({"tenant", "set", "acme", "--label", "a=1", "--remove-label", "a"}), 2);
  EXPECT_EQ(Run({"tenant", "set", "Acme", "--memory-limit", "5"}), 2);
  EXPECT_THAT(controller_.updates, IsEmpty());
}

TEST_F(TenantCommand, ARefusalHasItsExitCode) {
  controller_.refusals = {{grpc::StatusCode::RESOURCE_EXHAUSTED, "host h1 has no room"}};
  EXPECT_EQ(Run({"tenant", "set", "acme", "--memory-reservation", "9000"}), 3);
  EXPECT_THAT(err(), HasSubstr("host h1 has no room"));
}

TEST_F(TenantCommand, StatusTellsOfParkedTenantsBelowItsTable) {
  ASSERT_EQ(Run({"status"}), 0);
  EXPECT_THAT(out(), HasSubstr("acme: parked: it ended 5 times within 10 minutes\n"));
}

TEST_F(TenantCommand, TenantsAreOffered) {
  for (const char* command : {"show", "set", "failover"}) {
    ASSERT_EQ(RunBare({"__complete", "--", "--controller", "fake:1", "--identity", "/none",
                       "tenant", command, "a"}),
              0);
    EXPECT_THAT(out(), HasSubstr("acme"));
  }
}

TEST_F(TenantCommand, TheFailoverPolicyIsSetByItself) {
  ASSERT_EQ(Run({"tenant", "set", "acme", "--failover", "failover"}), 0) << err();
  EXPECT_THAT(Mask(), ElementsAre("failover_policy"));
  EXPECT_EQ(controller_.updates[0].spec().failover_policy(), v1::FAILOVER_POLICY_FAILOVER);
  EXPECT_THAT(out(), HasSubstr("on host loss failover"));
  EXPECT_EQ(Run({"tenant", "set", "acme", "--failover", "stay", "--memory-limit", "1024"}), 2);
  EXPECT_EQ(Run({"tenant", "set", "acme", "--failover", "away"}), 2);
  EXPECT_THAT(controller_.updates, SizeIs(1));
}

TEST_F(TenantCommand, ShowTellsThePolicy) {
  EXPECT_THAT(TenantDetails(Acme(), kNow, false), HasSubstr("on host loss  stay\n"));
  controller_.fleet.mutable_tenants(0)->mutable_spec()->set_failover_policy(
      v1::FAILOVER_POLICY_FAILOVER);
  ASSERT_EQ(Run({"tenant", "show", "acme", "-o", "json"}), 0) << err();
  EXPECT_EQ(OutJson()["spec"]["failover_policy"], "failover");
  EXPECT_EQ(OutJson()["failover_policy"], "failover");
}

class FailoverCommand : public TenantCommand {
 protected:
  FailoverCommand() {
    controller_.failover_plan.set_kind("restore");
    controller_.failover_plan.set_message("it would run on h2 with the backup of 3h ago");
    (*controller_.failover_plan.mutable_result())["host"] = "h2";
    (*controller_.failover_plan.mutable_result())["backup"] = "backups/01ARZ3NDEKTSV4RRFFQ69G5FA0";
  }
};

TEST_F(FailoverCommand, WithoutAWordNothingIsSent) {
  EXPECT_EQ(Run({"tenant", "failover", "acme"}), 2);
  EXPECT_THAT(err(), AllOf(HasSubstr("it would run on h2"), HasSubstr("--yes")));
  ASSERT_THAT(controller_.failovers, SizeIs(1));
  EXPECT_TRUE(controller_.failovers[0].validate_only());
}

TEST_F(FailoverCommand, TheRiskIsNamedAndTheWordIsPassedOn) {
  (*controller_.failover_plan.mutable_result())["risk"] = "the old copy may still run on h1";
  ASSERT_EQ(Run({"tenant", "failover", "acme", "--host", "h2", "--yes"}), 0) << err();
  EXPECT_THAT(err(), HasSubstr("the old copy may still run on h1"));
  ASSERT_THAT(controller_.failovers, SizeIs(2));
  EXPECT_FALSE(controller_.failovers[1].validate_only());
  EXPECT_TRUE(controller_.failovers[1].accept_two_copies());
  EXPECT_EQ(controller_.failovers[1].host(), "h2");
  EXPECT_NE(controller_.failovers[1].request_id(), "");
}

TEST_F(FailoverCommand, ADryRunOnlyTells) {
  ASSERT_EQ(Run({"tenant", "failover", "acme", "--dry-run", "-o", "json"}), 0) << err();
  EXPECT_EQ(OutJson()["dry_run"], true);
  EXPECT_EQ(OutJson()["host"], "h2");
  EXPECT_TRUE(OutJson()["risk"].is_null());
  EXPECT_THAT(controller_.failovers, SizeIs(1));
}

TEST_F(FailoverCommand, ARepetitionUnderItsIdDoesNotDependOnThePreview) {
  controller_.refusals = {{grpc::StatusCode::FAILED_PRECONDITION, "host h1 is connected"}};
  ASSERT_EQ(Run({"tenant", "failover", "acme", "--yes", "--request-id", "once"}), 0) << err();
  ASSERT_THAT(controller_.failovers, SizeIs(2));
  EXPECT_EQ(controller_.failovers[1].request_id(), "once");
}

}  // namespace
}  // namespace mtp::cli
