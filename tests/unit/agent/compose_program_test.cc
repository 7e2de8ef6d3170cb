// What the real `docker compose` makes of the rendered files. Needs the program, no engine; without
// it these tests are skipped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "agent/compose/compose.h"
#include "agent/compose/project_folder.h"
#include "agent/compose/render.h"
#include "common/process/subprocess.h"
#include "tests/support/seeded_random.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

class ComposeProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!CheckDockerProgram({folder_.path(), "unix:///nowhere.sock"}).ok()) {
      GTEST_SKIP() << "docker compose is not installed";
    }
    ASSERT_TRUE(project_folder_.Prepare().ok());
  }

  static ProjectTenant Tenant(int number) {
    ProjectTenant tenant{*TenantName::Parse(number == 0 ? "0" : absl::StrCat("client-", number))};
    tenant.spec.set_image("openclaw:1");
    tenant.spec.set_memory_limit_mib(2048);
    tenant.port = 18801 + number;
    tenant.subnet_index = number + 1;
    tenant.secrets.set_gateway_token(std::string(64, 'a'));
    tenant.secrets.set_telegram_token("1:secret");
    return tenant;
  }
  static Project ProjectOf(int tenants, bool with_admin) {
    Project project{"openclaw:1", *SubnetPool::Parse("10.214.0.0/16")};
    if (with_admin) {
      project.admin = ProjectAdmin{"openclaw:1"};
      project.admin->secrets.set_gateway_token(std::string(64, 'b'));
    }
    for (int i = 0; i < tenants; ++i) project.tenants.push_back(Tenant(i));
    return project;
  }
  void Write(const Project& project) {
    auto files = RenderProject(project);
    ASSERT_TRUE(files.ok()) << files.status();
    ASSERT_TRUE(project_folder_.Write(*files).ok());
  }
  // Output of `docker compose ARGUMENTS` in the folder; `file` on standard input when it is not
  // empty.
  std::string Run(std::vector<std::string> arguments, const std::string& file = "") {
    SubprocessOptions run;
    run.argv = {"docker", "compose", "--project-directory", folder_.path()};
    if (!file.empty()) run.argv.insert(run.argv.end(), {"-f", "-"});
    run.argv.insert(run.argv.end(), arguments.begin(), arguments.end());
    run.inherit_env = true;
    run.stdin_bytes = file;
    run.working_folder = folder_.path();
    auto result = RunSubprocess(run);
    EXPECT_TRUE(result.ok() && result->exit_code == 0)
        << (result.ok() ? result->stderr_text : result.status().ToString());
    return result.ok() ? result->stdout_text : "";
  }

  testing::TempFolder folder_;
  ProjectFolder project_folder_{folder_.path()};
};

TEST_F(ComposeProgramTest, TakesTheProjectWithNoOneAndThirtyTenants) {
  auto compose = NewCompose({folder_.path(), "unix:///nowhere.sock"});
  for (const bool with_admin : {false, true}) {
    for (const int tenants : {0, 1, 30}) {
      Write(ProjectOf(tenants, with_admin));
      const absl::Status valid = compose->CheckProject();
      EXPECT_TRUE(valid.ok()) << tenants << " tenants: " << valid;
    }
  }
}

TEST_F(ComposeProgramTest, GivesAServiceTheSameHashAloneAndInTheWholeProject) {
  const Project project = ProjectOf(3, true);
  Write(project);
  const std::string whole = Run({"config", "--hash", "*"});
  for (const ProjectTenant& tenant : project.tenants) {
    const std::string alone =
        Run({"config", "--hash", tenant.name.value()}, *RenderTenantService(project, tenant));
    EXPECT_FALSE(alone.empty());
    EXPECT_THAT(whole, ::testing::HasSubstr(alone));
  }
  EXPECT_THAT(whole, ::testing::HasSubstr(
                         Run({"config", "--hash", "admin"}, *RenderAdminService(project))));
}

TEST_F(ComposeProgramTest, CarriesEverySecretUnchangedIntoTheContainersEnvironment) {
  testing::SeededRandom random(2026);
  Project project = ProjectOf(1, false);
  v1::TenantSecrets& secrets = project.tenants[0].secrets;
  std::string all;
  for (char c = ' '; c < 0x7f; ++c) all.push_back(c);
  std::string shuffled;
  for (int i = 0; i < 300; ++i) shuffled.push_back(all[random.Below(all.size())]);
  secrets.set_telegram_token("1:" + all);
  secrets.set_anthropic_key("a$b#c\"d'e\\f g");
  secrets.set_openai_key(shuffled);
  secrets.set_openrouter_key("${HOME} $HOME $$ \\n ümlaut #");
  Write(project);
  const auto config = nlohmann::json::parse(Run({"config", "--format", "json"}));
  const auto& environment = config["services"]["0"]["environment"];
  // The printed file doubles each dollar sign; the container gets it once.
  auto value = [&](const char* name) {
    std::string text = environment[name].get<std::string>();
    for (size_t at = 0; (at = text.find("$$", at)) != std::string::npos; ++at) text.erase(at, 1);
    return text;
  };
  EXPECT_EQ(value("TELEGRAM_BOT_TOKEN"), secrets.telegram_token());
  EXPECT_EQ(value("ANTHROPIC_API_KEY"), secrets.anthropic_key());
  EXPECT_EQ(value("OPENAI_API_KEY"), secrets.openai_key());
  EXPECT_EQ(value("OPENROUTER_API_KEY"), secrets.openrouter_key());
}

TEST_F(ComposeProgramTest, TakesAStubEvenWhenTheEnvFileIsGone) {
  EXPECT_THAT(Run({"config", "--services"}, RenderServiceStub("acme")),
              ::testing::HasSubstr("acme"));
}

}  // namespace
}  // namespace mtp
