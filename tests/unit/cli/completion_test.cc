#include "cli/commands/completion.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>

#include <cstdlib>

#include "tests/unit/cli/cli_fixture.h"

namespace mtp::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Completion : public CliTest {
 protected:
  Completion() {
    v1::Tenant& tenant = *controller_.fleet.add_tenants();
    tenant.set_name("tenants/acme");
    controller_.fleet.add_hosts()->set_name("hosts/h1");
    controller_.fleet.mutable_hosts(0)->mutable_status()->mutable_admin()->set_enabled(true);
  }
  std::string Offered(std::vector<std::string> words) {
    words.insert(words.begin(),
                 {"__complete", "--", "--controller", "fake:1", "--identity", "/none"});
    EXPECT_EQ(RunBare(words), 0);
    return "\n" + out();
  }
};

TEST_F(Completion, OffersCommandsAndFlagsOfTheTree) {
  EXPECT_THAT(Offered({"pro"}), HasSubstr("\nprovision\t"));
  EXPECT_THAT(Offered({""}), Not(HasSubstr("__complete")));
  EXPECT_THAT(Offered({"host", "cor"}), HasSubstr("\ncordon\t"));
  EXPECT_THAT(Offered({"provision", "acme", "--tele"}), HasSubstr("\n--telegram-token-file\t"));
  EXPECT_THAT(Offered({"status", "--out"}), HasSubstr("\n--output\t"));
  EXPECT_THAT(Offered({"-o", "y"}), HasSubstr("\nyaml\n"));
}

TEST_F(Completion, OffersNamesOfTheFleet) {
  EXPECT_THAT(Offered({"restart", ""}), HasSubstr("\nacme\t"));
  EXPECT_THAT(Offered({"logs", ""}), HasSubstr("\nadmins/h1\t"));
  EXPECT_THAT(Offered({"host", "show", ""}), HasSubstr("\nh1\t"));
  EXPECT_THAT(Offered({"provision", "x", "--host", ""}), HasSubstr("\nh1\t"));
  EXPECT_EQ(Offered({"provision", ""}), "\n");
  EXPECT_EQ(Offered({"exec", "acme", "--", "l"}), "\n");
}

TEST_F(Completion, OffersNothingWithoutAController) {
  address_ = "127.0.0.1:1";
  EXPECT_EQ(Offered({"restart", ""}), "\n");
}

TEST_F(Completion, ScriptsAreValidInTheShellsThatAreHere) {
  for (const std::string& shell : {std::string("bash"), std::string("zsh"), std::string("fish")}) {
    EXPECT_EQ(RunBare({"completion", shell}), 0);
    ASSERT_THAT(out(), HasSubstr("__complete"));
    const std::string file = File("script." + shell, out());
    if (std::system(absl::StrCat("command -v ", shell, " >/dev/null").c_str()) != 0) continue;
    EXPECT_EQ(std::system(absl::StrCat(shell, " -n ", file).c_str()), 0) << shell;
  }
  EXPECT_EQ(RunBare({"completion", "tcsh"}), 2);
}

}  // namespace
}  // namespace mtp::cli
