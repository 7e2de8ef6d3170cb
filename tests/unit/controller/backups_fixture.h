// The real kinds of tenants and backups over two hosts with fake agents, on virtual time.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "controller/backups/backups.h"
#include "controller/backups/repositories.h"
#include "controller/tenants/tenants.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"
#include "tests/support/sim_executor.h"
#include "tests/unit/controller/fake_agents.h"

namespace mtp {

using Act = v1::EnsureActionRequest;

inline constexpr char kCaller[] = "operator/alice";
inline constexpr char kToken[] = "111:TELEGRAM-MARKER";
inline constexpr char kAnthropicKey[] = "ANTHROPIC-MARKER";
inline constexpr char kRootKey[] =
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
// HMAC-SHA256 under it of `mtp-repository/acme`.
inline constexpr char kAcmePassword[] =
    "0acdb5cf1bc60ad294c8e736c170a513f2a3e7434a659f4e1fda78a786879267";

class BackupsFixture : public ::testing::Test {
 protected:
  BackupsFixture();
  ~BackupsFixture() override;
  void TearDown() override;

  static std::map<std::string, std::string> SnapshotResult();

  void AddHost(const std::string& name, int64_t mib = 8192);
  void Run(absl::Duration duration = absl::Minutes(2));

  static std::string IdOf(const v1::Operation& operation);
  // The operation after it has had its time.
  v1::Operation Ended(const absl::StatusOr<v1::Operation>& created);
  void Succeeds(const absl::StatusOr<v1::Operation>& created);

  void Provision(const std::string& name, const std::string& token = kToken);
  void Remove(const std::string& name);
  void Stop(const std::string& name);
  void AddRepository(const std::string& name = "main");
  // Of the tenant, or of the fleet; empty means the default one.
  void SetPolicyRepository(const std::string& tenant, const std::string& repository);

  absl::StatusOr<v1::Operation> Create(const std::string& tenant,
                                       const std::string& request_id = "");
  // Name of a new good backup.
  std::string BackUp(const std::string& tenant);
  absl::StatusOr<v1::Operation> Verify(const std::string& backup);
  absl::StatusOr<v1::Operation> Restore(const std::string& backup, const std::string& tenant = "");

  absl::StatusOr<v1::PruneBackupsResponse> Prune(const std::string& tenant, int keep_last = 1,
                                                 int keep_days = 1);

  state::v1::TenantRecord Tenant(const std::string& name);
  bool Exists(const std::string& name);
  // MiB that are reserved on the host.
  int64_t Reserved(const std::string& host);
  // All that the store holds, keys and values.
  std::string AllBytes();

  mtp::testing::SimClock clock_;
  mtp::testing::SeededRandom random_{11};
  mtp::testing::SimExecutor executor_{&clock_, nullptr};
  mtp::testing::FakeAgents agents_;
  const std::unique_ptr<kv::Store> store_;
  const Tables tables_{store_.get()};
  const SecretBox box_ = SecretBox::ForTest();
  Observations observations_;
  operations::Engine engine_{store_.get(), &clock_, &random_, &executor_, {}};
  Repositories repositories_{store_.get(), &box_, &clock_, &random_};
  // Else a removal makes its final backup as if there were no repository, so that a test has no
  // other backups than its own.
  bool removes_into_repository_ = false;
  Tenants tenants_;
  Backups backups_{store_.get(),   &engine_, &tenants_, &repositories_,
                   &observations_, &box_,    &clock_};
};

}  // namespace mtp
