#include "cli/output/fleet_view.h"

#include <absl/strings/str_split.h>
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "cli/output/text.h"
#include "cli/output/yaml.h"
#include "common/base/timestamps.h"
#include "tests/unit/cli/cli_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

v1::FleetStatus SmallFleet() {
  v1::FleetStatus fleet;
  fleet.set_fleet("test");
  *fleet.mutable_time() = ToTimestamp(kNow);
  v1::Host& host = *fleet.add_hosts();
  host.set_name("hosts/h1");
  host.mutable_status()->set_state(v1::HOST_STATE_READY);
  host.mutable_status()->set_memory_total_mib(8192);
  host.mutable_status()->set_allocatable_mib(7000);
  host.mutable_status()->set_reserved_mib(1024);
  host.mutable_status()->set_used_mib(2000);
  host.mutable_status()->set_tenants(1);
  host.mutable_status()->set_agent_version("0.1.0");
  v1::AdminStatus& admin = *host.mutable_status()->mutable_admin();
  admin.set_enabled(true);
  admin.set_container("mtp-admin");
  admin.set_port(18789);
  admin.set_running(true);
  admin.set_health("ready");
  v1::Tenant& tenant = *fleet.add_tenants();
  tenant.set_name("tenants/acme");
  v1::TenantStatus& status = *tenant.mutable_status();
  status.set_host("h1");
  status.set_container("mtp-acme");
  status.set_port(18801);
  status.set_state(v1::TENANT_STATE_RUNNING);
  status.set_health(v1::TENANT_HEALTH_READY);
  *status.mutable_start_time() = ToTimestamp(kNow - absl::Seconds(90));
  status.set_memory_mib(801);
  status.set_memory_limit_mib(2048);
  status.set_image("openclaw:1");
  return fleet;
}

int Widest(const std::string& text) {
  int widest = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) widest = std::max(widest, Width(line));
  return widest;
}

TEST(FleetView, HasTheDocumentedFields) {
  const Json json = FleetJson(SmallFleet(), kNow);
  EXPECT_EQ(json["schema"], 1);
  const Json& host = json["hosts"][0];
  EXPECT_EQ(host["name"], "h1");
  EXPECT_EQ(host["state"], "ready");
  EXPECT_EQ(host["memory_total_mib"], 8192);
  EXPECT_EQ(host["allocatable_mib"], 7000);
  EXPECT_EQ(host["reserved_mib"], 1024);
  EXPECT_EQ(host["used_mib"], 2000);
  EXPECT_EQ(host["tenants"], 1);
  EXPECT_EQ(host["agent_version"], "0.1.0");
  const Json& tenant = json["tenants"][0];
  EXPECT_EQ(tenant["name"], "acme");
  EXPECT_EQ(tenant["host"], "h1");
  EXPECT_EQ(tenant["container"], "mtp-acme");
  EXPECT_EQ(tenant["port"], 18801);
  EXPECT_EQ(tenant["status"], "running");
  EXPECT_EQ(tenant["health"], "ready");
  EXPECT_EQ(tenant["uptime_s"], 90);
  EXPECT_EQ(tenant["memory_mib"], 801);
  EXPECT_EQ(tenant["memory_limit_mib"], 2048);
  EXPECT_EQ(tenant["image"], "openclaw:1");
  EXPECT_TRUE(tenant["last_backup"].is_null());
  EXPECT_EQ(json["admins"][0]["name"], "admins/h1");
  EXPECT_EQ(json["admins"][0]["health"], "ready");
}

TEST(FleetView, NamesValuesOfANewerControllerUnknown) {
  v1::FleetStatus fleet = SmallFleet();
  fleet.mutable_tenants(0)->mutable_status()->set_state(static_cast<v1::TenantState>(77));
  fleet.mutable_tenants(0)->mutable_status()->set_health(static_cast<v1::TenantHealth>(77));
  fleet.mutable_hosts(0)->mutable_status()->set_state(static_cast<v1::HostState>(77));
  const Json json = FleetJson(fleet, kNow);
  EXPECT_EQ(json["tenants"][0]["status"], "unknown");
  EXPECT_EQ(json["tenants"][0]["health"], "unknown");
  EXPECT_EQ(json["hosts"][0]["state"], "unknown");
}

TEST(FleetView, FitsEveryWidthEvenWithTheLongestNames) {
  v1::FleetStatus fleet = SmallFleet();
  fleet.mutable_tenants(0)->set_name("tenants/" + std::string(40, 'n'));
  fleet.mutable_tenants(0)->mutable_status()->set_host(std::string(40, 'h'));
  fleet.mutable_tenants(0)->mutable_status()->set_container("mtp-" + std::string(40, 'n'));
  fleet.mutable_tenants(0)->mutable_status()->set_image(std::string(200, 'i'));
  fleet.mutable_tenants(0)->mutable_status()->set_health(v1::TENANT_HEALTH_DEGRADED);
  fleet.mutable_tenants(0)->mutable_status()->set_message(std::string(300, 'm'));
  for (int width = 40; width <= 200; ++width) {
    EXPECT_LE(Widest(FleetTables(fleet, kNow, width, false)), width);
  }
}

TEST(FleetView, KeepsNameHostStatusAndHealthInEightyColumns) {
  const std::string text = FleetTables(SmallFleet(), kNow, 80, false);
  for (const char* word : {"acme", "h1", "running", "ready", "1m30s", "18801", "admins/h1"}) {
    EXPECT_THAT(text, HasSubstr(word));
  }
}

TEST(FleetView, ClaimsNothingOfTheAdminInstanceOfASilentHost) {
  v1::FleetStatus fleet = SmallFleet();
  fleet.mutable_hosts(0)->mutable_status()->set_state(v1::HOST_STATE_UNREACHABLE);
  const Json json = FleetJson(fleet, kNow);
  EXPECT_EQ(json["admins"][0]["status"], "unknown");
  EXPECT_EQ(json["admins"][0]["health"], "unknown");
}

TEST(FleetView, ShowsTheVersionOfAnImageRatherThanItsRegistry) {
  v1::FleetStatus fleet = SmallFleet();
  v1::TenantStatus& status = *fleet.mutable_tenants(0)->mutable_status();
  status.set_image("registry.example:5000/team/openclaw:2026.9.6");
  EXPECT_THAT(FleetTables(fleet, kNow, 120, false), HasSubstr("  openclaw:2026.9.6\n"));
  status.set_image("team/openclaw@sha256:" + std::string(64, 'a'));
  EXPECT_THAT(FleetTables(fleet, kNow, 200, false),
              HasSubstr("  openclaw@sha256:" + std::string(12, 'a') + "\n"));
}

TEST(FleetView, LetsNoTenantSteerTheTerminal) {
  v1::FleetStatus fleet = SmallFleet();
  fleet.mutable_tenants(0)->mutable_status()->set_image("x\x1b[2J\xc2\x9b\xe2\x80\xae");
  const std::string text = FleetTables(fleet, kNow, 200, false);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, HasSubstr("x\\x1b[2J\\x9b\\u202e"));
}

TEST(FleetView, SaysHowToBeginWhenThereIsNothing) {
  EXPECT_THAT(FleetTables(v1::FleetStatus(), kNow, 80, false), HasSubstr("host token"));
}

TEST(Yaml, WritesWhatAYamlReaderReadsBack) {
  const Json json = {{"list", {1, "two", {{"a", nullptr}, {"b", Json::array()}}}},
                     {"no", "yes"},
                     {"text", "line\nbreak: \x1b #"},
                     {"empty", Json::object()}};
  EXPECT_EQ(YamlText(json),
            "list:\n  - 1\n  - \"two\"\n  - a: null\n    b: []\n\"no\": \"yes\"\n"
            "text: \"line\\nbreak: \\u001b #\"\nempty: {}\n");
}

class StatusCommand : public CliTest {};

TEST_F(StatusCommand, PrintsJsonAndYamlWithGlobalFlagsOnEitherSide) {
  controller_.fleet = SmallFleet();
  EXPECT_EQ(Run({"status", "-o", "json"}), 0);
  EXPECT_EQ(OutJson()["tenants"][0]["name"], "acme");
  EXPECT_EQ(Run({"--json", "status"}), 0);
  EXPECT_EQ(OutJson()["tenants"][0]["name"], "acme");
  EXPECT_EQ(Run({"status", "-o", "yaml"}), 0);
  EXPECT_THAT(out(), HasSubstr("\n  - name: \"acme\"\n"));
}

TEST_F(StatusCommand, ColoursOnATerminalOnlyAndNotAgainstNoColor) {
  controller_.fleet = SmallFleet();
  EXPECT_EQ(Run({"status"}), 0);
  EXPECT_THAT(out(), Not(HasSubstr("\x1b[")));
  environment_.out_is_terminal = true;
  EXPECT_EQ(Run({"status"}), 0);
  EXPECT_THAT(out(), HasSubstr("\x1b[32m"));
  variables_["NO_COLOR"] = "1";
  EXPECT_EQ(Run({"status"}), 0);
  EXPECT_THAT(out(), Not(HasSubstr("\x1b[")));
}

TEST_F(StatusCommand, TellsADeadAddressFromARefusedIdentity) {
  address_ = "127.0.0.1:1";
  EXPECT_EQ(Run({"status"}), 4);
  EXPECT_THAT(err(), HasSubstr("the controller at fake:1 does not answer"));
  listens_ = true;
  EXPECT_EQ(Run({"status"}), 4);
  EXPECT_THAT(err(), HasSubstr("certificate"));
}

TEST_F(StatusCommand, PassesOnWhatTheControllerSaysOfAHost) {
  controller_.refusals.assign(8, {grpc::StatusCode::UNAVAILABLE, "host h1 is unreachable"});
  EXPECT_EQ(Run({"status"}), 4);
  EXPECT_THAT(err(), HasSubstr("error: host h1 is unreachable\n"));
}

TEST_F(StatusCommand, RefusesUnknownWordsAndFormats) {
  EXPECT_EQ(Run({"status", "-o", "xml"}), 2);
  EXPECT_EQ(Run({"statsu"}), 2);
  EXPECT_THAT(err(), HasSubstr("there is no command statsu"));
  EXPECT_EQ(Run({}), 2);
  EXPECT_EQ(Run({"host"}), 2);
  EXPECT_EQ(Run({"status", "--", "x"}), 2);
}

}  // namespace
}  // namespace mtp::cli
