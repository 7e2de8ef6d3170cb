// How a program is started: as the service that is there for it.
#include "common/base/service.h"

#include <gtest/gtest.h>

#include "common/base/atomic_file.h"
#include "tests/support/temp_folder.h"

namespace mtp {
namespace {

TEST(Service, IsTheWayToStartWhereItIsInstalled) {
  const testing::TempFolder folder;
  const auto start = [&](const std::string& data_dir) {
    return StartCommand("a-server a-helper", "a-server run", data_dir, "/var/lib/a",
                        {"/nonexistent", folder.path()});
  };
  EXPECT_EQ(start("/var/lib/a"), "a-server run");
  ASSERT_TRUE(WriteFileAtomically(folder / "a-server.service", "", 0644).ok());
  EXPECT_EQ(start("/var/lib/a"), "sudo systemctl enable --now a-server a-helper");
  // The service knows no other folder.
  EXPECT_EQ(start("/srv/a"), "a-server run");
}

}  // namespace
}  // namespace mtp
