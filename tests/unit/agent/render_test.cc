#include "agent/compose/render.h"

#include <absl/strings/match.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/compose/config_template.h"
#include "agent/compose/env_file.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ProjectTenant Tenant(absl::string_view name, int port, int subnet_index) {
  ProjectTenant tenant{*TenantName::Parse(name)};
  tenant.spec.set_image("openclaw:1");
  tenant.spec.set_memory_limit_mib(2048);
  tenant.port = port;
  tenant.subnet_index = subnet_index;
  tenant.secrets.set_gateway_token("gateway-secret");
  tenant.secrets.set_telegram_token("1:telegram-secret");
  return tenant;
}

Project EmptyProject() { return {"openclaw:1", *SubnetPool::Parse("10.214.0.0/16")}; }

std::string FileOf(const std::vector<RenderedFile>& files, absl::string_view path) {
  for (const RenderedFile& file : files) {
    if (file.path == path) return file.content;
  }
  return "no such file";
}

TEST(Render, KeepsSecretsInTheEnvFileAloneWhichOnlyItsOwnerReads) {
  Project project = EmptyProject();
  project.tenants.push_back(Tenant("acme", 18801, 1));
  auto files = RenderProject(project);
  ASSERT_TRUE(files.ok()) << files.status();
  for (const RenderedFile& file : *files) {
    if (file.path == ".env") {
      EXPECT_THAT(file.content, HasSubstr("ACME_GATEWAY_TOKEN=\"gateway-secret\""));
      EXPECT_EQ(file.mode, mode_t{0600});
    } else {
      EXPECT_THAT(file.content, Not(HasSubstr("-secret"))) << file.path;
    }
  }
}

TEST(Render, NamesVariablesAsTheSingleHostSystemDoes) {
  Project project = EmptyProject();
  ProjectTenant tenant = Tenant("client-a", 18802, 1);
  tenant.secrets.set_anthropic_key("k1");
  tenant.secrets.set_openai_key("k2");
  tenant.secrets.set_openrouter_key("k3");
  project.tenants.push_back(tenant);
  auto files = RenderProject(project);
  ASSERT_TRUE(files.ok());
  EXPECT_THAT(FileOf(*files, ".env"),
              HasSubstr("CLIENT_A_GATEWAY_TOKEN=\"gateway-secret\"\n"
                        "CLIENT_A_TELEGRAM_TOKEN=\"1:telegram-secret\"\n"
                        "CLIENT_A_ANTHROPIC_KEY=\"k1\"\nCLIENT_A_OPENAI_KEY=\"k2\"\n"
                        "CLIENT_A_OPENROUTER_KEY=\"k3\"\nCLIENT_A_PORT=\"18802\"\n"));
  EXPECT_THAT(FileOf(*files, ".env"), HasSubstr("OPENCLAW_IMAGE=\"openclaw:1\""));
}

TEST(Render, ListsTenantsAndPortsSortedByName) {
  Project project = EmptyProject();
  project.tenants.push_back(Tenant("beta", 18802, 2));
  project.tenants.push_back(Tenant("acme", 18801, 1));
  auto files = RenderProject(project);
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(FileOf(*files, "tenants.conf"), "acme 18801\nbeta 18802\n");
}

TEST(Render, GivesTheSameServiceAloneAndInTheWholeProject) {
  Project project = EmptyProject();
  project.tenants.push_back(Tenant("acme", 18801, 1));
  project.tenants.push_back(Tenant("beta", 18802, 2));
  auto files = RenderProject(project);
  auto alone = RenderTenantService(project, project.tenants[1]);
  ASSERT_TRUE(files.ok() && alone.ok());
  const size_t begin = alone->find("  \"beta\":");
  const std::string service = alone->substr(begin, alone->find("\nnetworks:") - begin);
  EXPECT_THAT(FileOf(*files, "docker-compose.override.yml"), HasSubstr(service));
  EXPECT_THAT(*alone, Not(HasSubstr("acme")));
}

TEST(Render, PublishesOnLoopbackOnlyAndDropsAllCapabilities) {
  Project project = EmptyProject();
  project.tenants.push_back(Tenant("acme", 18801, 1));
  auto alone = RenderTenantService(project, project.tenants[0]);
  ASSERT_TRUE(alone.ok());
  EXPECT_THAT(*alone, HasSubstr("127.0.0.1:${ACME_PORT:?is missing in .env}:18789"));
  for (const char* floor :
       {"cap_drop: [ALL]", "no-new-privileges:true", "pids_limit: 512", "read_only: true",
        "mem_limit: 2048m", "memswap_limit: 4096m", "stop_grace_period: 330s",
        "max-size: 50m, max-file: \"3\"", "hostname: mtp-acme\n"}) {
    EXPECT_THAT(*alone, HasSubstr(floor));
  }
  EXPECT_THAT(*alone, Not(HasSubstr("docker.sock")));
}

TEST(Render, IsAValidProjectWithoutTenantsAndWithoutAdmin) {
  auto files = RenderProject(EmptyProject());
  ASSERT_TRUE(files.ok());
  EXPECT_THAT(FileOf(*files, "docker-compose.yml"), HasSubstr("services: {}"));
  EXPECT_THAT(FileOf(*files, "docker-compose.override.yml"), HasSubstr("services: {}"));
  EXPECT_EQ(FileOf(*files, "tenants.conf"), "");
}

TEST(Render, GivesTheAdminInstanceTheFolderOfItsFilteredSocketReadOnly) {
  Project project = EmptyProject();
  project.admin = ProjectAdmin{"openclaw:1"};
  project.admin->secrets.set_gateway_token("gateway-secret");
  auto text = RenderAdminService(project);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text, HasSubstr("source: ./run/admin, target: /run, read_only: true"));
  EXPECT_THAT(*text, Not(HasSubstr("/var/run/docker.sock")));
  EXPECT_THAT(*text, HasSubstr("container_name: mtp-admin"));
  EXPECT_THAT(*text, HasSubstr("hostname: mtp-admin\n"));
}

TEST(Render, RefusesAnAdminServiceWhereThereIsNone) {
  EXPECT_EQ(RenderAdminService(EmptyProject()).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(Render, RefusesAnImageThatCouldBreakOutOfItsLine) {
  Project project = EmptyProject();
  project.tenants.push_back(Tenant("acme", 18801, 1));
  project.tenants[0].spec.set_image("a\"\n    privileged: true");
  auto files = RenderProject(project);
  EXPECT_EQ(files.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(files.status().message()), HasSubstr("acme"));
}

TEST(Render, KeepsComposeFromReadingVariablesOutOfAnApiRoot) {
  Project project = EmptyProject();
  project.tenants.push_back(Tenant("acme", 18801, 1));
  project.tenants[0].spec.set_telegram_api_root("http://127.0.0.1/$HOME\"\\");
  auto alone = RenderTenantService(project, project.tenants[0]);
  ASSERT_TRUE(alone.ok());
  EXPECT_THAT(*alone, HasSubstr(R"(TELEGRAM_API_ROOT: "http://127.0.0.1/$$HOME\"\\")"));
}

TEST(EnvFile, EscapesWhatComposeWouldInterpret) {
  EXPECT_EQ(*QuoteEnvValue(R"(a$b#c"d'e\f g)"), R"("a\$b#c\"d'e\\f g")");
}

TEST(EnvFile, RefusesALineBreak) {
  EXPECT_EQ(QuoteEnvValue("a\nb").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(EnvFile, ReadsBackEveryPrintableCharacter) {
  std::string all;
  for (int c = 0x20; c < 0x7f; ++c) all.push_back(static_cast<char>(c));
  auto variables = ParseEnvFile("A=" + *QuoteEnvValue(all) + "\n");
  ASSERT_TRUE(variables.ok());
  EXPECT_EQ(variables->at("A"), all);
}

TEST(EnvFile, NamesABadLineWithoutShowingIt) {
  auto variables = ParseEnvFile("# fine\nA=1\nsecret without a name\n");
  EXPECT_THAT(std::string(variables.status().message()), HasSubstr("line 3"));
  EXPECT_THAT(std::string(variables.status().message()), Not(HasSubstr("secret")));
}

TEST(SubnetPool, CutsThePoolIntoSubnetsOfEightAddresses) {
  const SubnetPool pool = *SubnetPool::Parse("10.214.0.0/16");
  EXPECT_EQ(pool.size(), 8192);
  EXPECT_EQ(*pool.Subnet(0), "10.214.0.0/29");
  EXPECT_EQ(*pool.Subnet(33), "10.214.1.8/29");
  EXPECT_EQ(*pool.Subnet(8191), "10.214.255.248/29");
  EXPECT_EQ(pool.Subnet(8192).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(SubnetPool, RefusesWhatIsNoNetwork) {
  for (const char* bad : {"", "10.214.0.0", "10.214.0.1/16", "10.214.0.0/30", "10.214.0.0/7",
                          "10.214.0/16", "10.214.0.256/24", "x/16"}) {
    EXPECT_FALSE(SubnetPool::Parse(bad).ok()) << bad;
  }
}

TEST(ConfigTemplate, KeepsNestedPartsOnlyWhenAllTheirConditionsHold) {
  const char text[] =
      "a\n// mtp:if telegram\nb\n  // mtp:if telegram_api\nc\n  // mtp:end\nd\n// mtp:end\ne\n";
  EXPECT_EQ(*RenderConfig(text, {}), "a\ne\n");
  EXPECT_EQ(*RenderConfig(text, {"telegram_api"}), "a\ne\n");
  EXPECT_EQ(*RenderConfig(text, {"telegram"}), "a\nb\nd\ne\n");
  EXPECT_EQ(*RenderConfig(text, {"telegram", "telegram_api"}), "a\nb\nc\nd\ne\n");
}

TEST(ConfigTemplate, NamesTheLineOfABrokenMarker) {
  for (const auto& [text, words] :
       std::map<std::string, std::string>{{"a\n// mtp:end\n", "line 2"},
                                          {"// mtp:if telegram\n", "line 1"},
                                          {"a\nb\n// mtp:if telegrm\n// mtp:end\n", "line 3"},
                                          {"// mtp:fi\n", "line 1"}}) {
    auto rendered = RenderConfig(text, {});
    EXPECT_EQ(rendered.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(rendered.status().message()), HasSubstr(words));
  }
}

TEST(ConfigTemplate, TheBuiltInOneRendersForEveryTenant) {
  const std::vector<std::string> names = {"telegram",      "telegram_api", "anthropic",
                                          "anthropic_api", "openai",       "openrouter"};
  for (unsigned bits = 0; bits < 64; ++bits) {
    std::set<std::string> conditions;
    for (size_t i = 0; i < names.size(); ++i) {
      if (bits & (1u << i)) conditions.insert(names[i]);
    }
    auto rendered = RenderConfig(DefaultConfigTemplate(), conditions);
    ASSERT_TRUE(rendered.ok()) << rendered.status();
    EXPECT_EQ(absl::StrContains(*rendered, "botToken"), conditions.count("telegram") > 0);
  }
}

}  // namespace
}  // namespace mtp
