// A fleet with backups behind the CLI: `acme` and `beta` run, `gone` has only backups.
#pragma once

#include <string>

#include "tests/unit/cli/cli_fixture.h"

namespace mtp::cli {

inline constexpr char kNewest[] = "01ARZ3NDEKTSV4RRFFQ69G5FB2";  // of acme
inline constexpr char kOlder[] = "01ARZ3NDEKTSV4RRFFQ69G5FB1";   // of acme
inline constexpr char kOfGone[] = "01ARZ3NDEKTSV4RRFFQ69G5FB0";  // of gone

v1::Backup MakeBackup(const std::string& id, const std::string& tenant);

class BackupCliTest : public CliTest {
 protected:
  BackupCliTest();
  ~BackupCliTest() override;

  // The next operation that is watched ends well, with this backup.
  void Succeeds(const std::string& kind, const std::string& tenant, const std::string& backup);
  void Fails(const std::string& kind, const std::string& tenant, const std::string& why);
  void GoesOn(const std::string& kind, const std::string& tenant);
  // A person sits at the terminal and says this when asked.
  void Person(const std::string& answer);
};

}  // namespace mtp::cli
