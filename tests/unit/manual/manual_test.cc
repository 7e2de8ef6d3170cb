// Manual pages are made of the declarations alone.
#include "common/manual/manual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "common/base/atomic_file.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ManualTest : public ::testing::Test {
 protected:
  ManualTest() {
    program_.require_subcommand(1);
    program_.add_option("-o,--output", text_, "table or json")
        ->type_name("FORMAT")
        ->check(CLI::IsMember({"table", "json"}));
    program_.add_option("--controller", text_, "Where it is")->type_name("ADDRESS:PORT");
    CLI::App* host = program_.add_subcommand("host", "Hosts of the fleet");
    host->require_subcommand(1);
    CLI::App* remove = host->add_subcommand("remove", "Take a host out");
    remove->add_option("NAME", text_, ".begins with a dot, has a back\\slash")
        ->required()
        ->type_name("NAME");
    remove->add_option("more", texts_, "Others");
    CLI::Option* yes = remove->add_flag("-y,--yes", flag_, "Do not ask");
    remove->add_flag("--no", flag_, "Ask")->excludes(yes);
    remove->add_option("--wait", number_, "How long")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    remove->add_option("--secret", text_, "Not for people")->group("");
    program_.add_subcommand("__inner", "Not for people")->group("");
  }
  std::vector<ManualPage> Pages() { return ManualPages(program_, info_); }
  std::string Text(const std::string& file) {
    for (const ManualPage& page : Pages()) {
      if (page.file == file) return page.text;
    }
    ADD_FAILURE() << "there is no page " << file;
    return "";
  }

  std::string text_;
  std::vector<std::string> texts_;
  bool flag_ = false;
  int number_ = 7;
  CLI::App program_{"Looks after a fleet.", "mtp-x"};
  ManualInfo info_{
      .section = 8, .version = "1.2", .parts = {{"FILES", "/etc/mtp-x  one\n\n.two  other"}}};
};

TEST_F(ManualTest, EachCommandHasAPageAndHiddenOnesHaveNone) {
  std::vector<std::string> files;
  for (const ManualPage& page : Pages()) files.push_back(page.file);
  EXPECT_THAT(files, ElementsAre("mtp-x.8", "mtp-x-host.8", "mtp-x-host-remove.8"));
}

TEST_F(ManualTest, TheProgramsPageHasItsCommandsOptionsAndParts) {
  const std::string text = Text("mtp-x.8");
  EXPECT_THAT(text, HasSubstr(".TH MTP\\-X 8 \"\" \"MTP 1.2\" \"MTP\"\n"));
  EXPECT_THAT(text, HasSubstr("\nmtp\\-x \\- Looks after a fleet\n"));
  EXPECT_THAT(text, HasSubstr("\n\\fBmtp\\-x\\fR [\\fIOPTION\\fR...] \\fICOMMAND\\fR\n"));
  EXPECT_THAT(text, HasSubstr("\n\\fB\\-o\\fR, \\fB\\-\\-output\\fR \\fIFORMAT\\fR\n"));
  EXPECT_THAT(text, HasSubstr("\n\\fB\\-\\-controller\\fR \\fIADDRESS:PORT\\fR\nWhere it is.\n"));
  EXPECT_THAT(text, HasSubstr("\n\\fBmtp\\-x\\-host\\fR(8)\nHosts of the fleet.\n"));
  EXPECT_THAT(text, Not(HasSubstr("inner")));
  // Lines stay lines, and none of them is taken for a request.
  EXPECT_THAT(text, HasSubstr(".SH FILES\n.nf\n/etc/mtp\\-x  one\n.sp\n\\&.two  other\n.fi\n"));
}

TEST_F(ManualTest, ACommandsPageHasAllThatItTakes) {
  const std::string text = Text("mtp-x-host-remove.8");
  EXPECT_THAT(text, HasSubstr("\n\\fBmtp\\-x host remove\\fR [\\fIOPTION\\fR...] \\fINAME\\fR "
                              "[\\fIMORE\\fR...]\n"));
  EXPECT_THAT(text, HasSubstr("\n\\fINAME\\fR\n\\&.begins with a dot, has a back\\eslash.\n"));
  EXPECT_THAT(text, HasSubstr("\n\\fB\\-y\\fR, \\fB\\-\\-yes\\fR\nDo not ask."));
  EXPECT_THAT(text, HasSubstr("\n\\fB\\-\\-no\\fR\nAsk. Not with \\fB\\-\\-yes\\fR.\n"));
  EXPECT_THAT(text, HasSubstr("\n\\fB\\-\\-wait\\fR \\fIINT\\fR\nHow long. Default: 7.\n"));
  EXPECT_THAT(text, Not(HasSubstr("secret")));
  EXPECT_THAT(text, HasSubstr(".SH SEE ALSO\n\\fBmtp\\-x\\fR(8),\n\\fBmtp\\-x\\-host\\fR(8)\n"));
}

TEST_F(ManualTest, PagesAreWrittenAndReplaced) {
  const testing::TempFolder folder;
  const std::string man8 = folder.path() + "/share/man/man8";
  ASSERT_TRUE(WriteManual({{"mtp-x.8", "old"}}, man8).ok());
  ASSERT_TRUE(WriteManual({{"mtp-x.8", "new"}}, man8).ok());
  const auto read = ReadFile(man8 + "/mtp-x.8", 100);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, "new");
  // For everybody to read.
  EXPECT_EQ(std::filesystem::status(man8 + "/mtp-x.8").permissions(), std::filesystem::perms{0644});
}

TEST_F(ManualTest, WhereNoFolderCanBeItSaysSo) {
  const testing::TempFolder folder;
  ASSERT_TRUE(WriteFileAtomically(folder.path() + "/file", "", 0600).ok());
  EXPECT_FALSE(WriteManual({{"mtp-x.8", "text"}}, folder.path() + "/file/man8").ok());
}

}  // namespace
}  // namespace mtp
