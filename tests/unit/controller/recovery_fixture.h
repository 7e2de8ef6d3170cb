// A controller's data folder, and state to put into it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "common/base/secret_box.h"
#include "controller/recovery/collect.h"
#include "controller/state/tables.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"
#include "tests/support/temp_folder.h"

namespace mtp {

inline constexpr char kFleet[] = "mtp";
inline constexpr char kRecoveryRootKey[] =
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

// Names and keys as a controller would write them.
class StateMaker {
 public:
  StateMaker(kv::Store* store, const SecretBox* box, testing::SeededRandom* random);

  std::string Ulid();
  v1::TenantSecrets Secrets();
  void AddTenant(const std::string& name, const v1::TenantSecrets& secrets, int64_t epoch = 1);
  std::string AddBackup(const std::string& tenant, const v1::TenantSecrets& secrets);
  std::string AddOperation(const std::string& kind, v1::OperationState state);
  void Put(const std::string& key, const std::string& value);
  std::string Hex(size_t bytes);

 private:
  void Commit(const kv::Txn& txn);

  kv::Store* const store_;
  const Tables tables_;
  const SecretBox* const box_;
  testing::SeededRandom* const random_;
  int64_t ulid_ = 0;
};

class RecoveryFixture : public ::testing::Test {
 protected:
  RecoveryFixture();
  ~RecoveryFixture() override;

  CopySource Source() const;

  testing::TempFolder folder_;
  const std::string data_dir_ = folder_ / "controller";
  testing::SimClock clock_;
  testing::SeededRandom random_{7};
  std::optional<SecretBox> box_;
  std::unique_ptr<kv::Store> store_;
  std::optional<StateMaker> maker_;
};

}  // namespace mtp
