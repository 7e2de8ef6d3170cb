// controller.yaml: what is written is what is read; what would not come back is refused.
#include "controller/daemon/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/atomic_file.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<ControllerSettings> Read(const std::string& text) {
  const testing::TempFolder folder;
  EXPECT_TRUE(WriteFileAtomically(folder / "controller.yaml", text, 0600).ok());
  return ReadSettings(folder.path());
}

TEST(ControllerSettings, ComeBackAsTheyWereWritten) {
  const testing::TempFolder folder;
  ControllerSettings settings;
  settings.fleet = "prod";
  settings.listen = "10.0.0.7:9000";
  settings.default_image = "registry.example/openclaw:7";
  settings.tenant_environment = {"TZ"};
  settings.lease_s = 60;
  ASSERT_TRUE(WriteSettings(folder.path(), settings).ok());
  const auto read = ReadSettings(folder.path());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->fleet, "prod");
  EXPECT_EQ(read->listen, "10.0.0.7:9000");
  EXPECT_EQ(read->default_image, "registry.example/openclaw:7");
  EXPECT_THAT(read->tenant_environment, ::testing::ElementsAre("TZ"));
  EXPECT_EQ(read->lease_s, 60);
}

TEST(ControllerSettings, LinesMayEndAsOnWindows) {
  const auto settings = Read("fleet: prod\r\npolicy: spread\r\n");
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->policy, "spread");
}

TEST(ControllerSettings, ValuesAreLinesOfText) {
  for (const char* text :
       {"fleet: a\nlisten: \"a\\rb\"\n", "fleet: a\ndefault_image: \"a\n\n\nb\"\n",
        "fleet: a\nenroll_listen: \"a\\nb\"\n", "fleet: a\nenroll_advertise: \"\\u0001\"\n",
        // YAML's no-break space, of which its parser makes a byte that is no UTF-8.
        "fleet: a\ndefault_image: \"a\\_b\"\n"}) {
    const absl::Status refused = Read(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << text;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("one line of text")) << text;
  }
  // YAML's parser would take these for line ends or leave them out.
  EXPECT_TRUE(absl::IsInvalidArgument(Read("fleet: a\ndefault_image: \"m x\r\r\"\n").status()));
}

TEST(ControllerSettings, TheDefaultImageIsAnImageReference) {
  for (const char* text : {"fleet: a\ndefault_image: \"\"\n", "fleet: a\ndefault_image: --rm\n",
                           "fleet: a\ndefault_image: open claw\n"}) {
    const absl::Status refused = Read(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << text;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("default_image: the image is not"))
        << text;
  }
}

TEST(ControllerSettings, WhatWouldNotBeReadIsNotWritten) {
  const testing::TempFolder folder;
  ASSERT_TRUE(WriteSettings(folder.path(), {}).ok());
  ControllerSettings settings;
  settings.default_image = "--rm";
  EXPECT_TRUE(absl::IsInvalidArgument(WriteSettings(folder.path(), settings)));
  settings = {};
  settings.lease_s = 5;
  EXPECT_TRUE(absl::IsInvalidArgument(WriteSettings(folder.path(), settings)));
  const auto kept = ReadSettings(folder.path());
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->default_image, ControllerSettings().default_image);
}

}  // namespace
}  // namespace mtp
