// A controller on a loopback port: answers as a test says, and remembers what it was asked.
#pragma once

#include <grpcpp/support/status.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mtp/v1/backup.pb.h"
#include "mtp/v1/fleet.pb.h"
#include "mtp/v1/host.pb.h"
#include "mtp/v1/operation.pb.h"
#include "mtp/v1/rollout.pb.h"
#include "mtp/v1/tenant.pb.h"

namespace mtp::cli {

// What one stream of WatchOperation does: sends these, hangs until the caller goes, ends.
struct OperationStream {
  std::vector<v1::Operation> operations;
  grpc::Status status;
  bool hang = false;
};

// The same for WatchRollout.
struct RolloutStream {
  std::vector<v1::Rollout> rollouts;
  grpc::Status status;
  bool hang = false;
};

// Fields are set before the CLI runs and read after it: the end of a call is what orders them.
class FakeController {
 public:
  // Serves until it is destroyed.
  static std::unique_ptr<FakeController> Start();
  virtual ~FakeController();
  FakeController(const FakeController&) = delete;
  FakeController& operator=(const FakeController&) = delete;

  virtual std::string address() const = 0;

  // Calls are answered with these first, in order; then all succeed.
  std::deque<grpc::Status> refusals;
  // The operation of every change of a tenant. Those that back up have the tenant as their target
  // and names that count up, `operations/01ARZ3NDEKTSV4RRFFQ69G5FA0` and so on.
  v1::Operation accepted;
  // What the preview of a failover is answered with.
  v1::Operation failover_plan;
  v1::RemoveHostResponse with_host;
  // What GetOperation finds.
  v1::Operation going_on;
  v1::PlacementDecision placement;
  // One for each WatchOperation.
  std::deque<OperationStream> streams;
  // What every call about a rollout is answered with, but for the preview; and all there are.
  v1::Rollout rollout;
  v1::Rollout rollout_plan;
  std::vector<v1::Rollout> rollouts;
  // One for each WatchRollout.
  std::deque<RolloutStream> rollout_streams;
  // Its tenants are also what ListTenants and GetTenant know.
  v1::FleetStatus fleet;
  // The catalogue, newest first, and how much of it a page has at most.
  std::vector<v1::Backup> backups;
  size_t backups_page = 1000;
  std::vector<v1::Repository> repositories;
  std::vector<v1::LogChunk> log;
  std::vector<v1::ExecOutput> exec_output;
  // What an export sends. Called after it; null for nothing.
  std::vector<v1::ExportChunk> exported;
  std::function<void()> on_exported;
  std::string gateway_answer = "{}";

  int calls = 0;  // of any kind
  std::vector<v1::ProvisionTenantRequest> provisions;
  std::vector<v1::RemoveTenantRequest> removes;
  std::vector<v1::UpdateTenantRequest> updates;
  std::vector<v1::FailOverTenantRequest> failovers;  // previews, too
  std::vector<v1::RemoveHostRequest> host_removals;  // previews, too
  std::vector<v1::StreamTenantLogsRequest> logs;
  std::vector<v1::ExecTenantRequest> execs;
  std::vector<v1::CallTenantGatewayRequest> gateway_calls;
  std::vector<v1::CreateJoinTokenRequest> tokens;
  std::vector<v1::AddOperatorRequest> added_operators;
  std::vector<v1::RenewCertificateRequest> renewals;
  // Answers RenewCertificate; null for UNIMPLEMENTED.
  std::function<v1::RenewCertificateResponse(const v1::RenewCertificateRequest&)> renew;
  v1::Authority authority;
  std::vector<v1::RotateAuthorityRequest> rotations;
  std::vector<v1::CancelOperationRequest> cancelled;
  std::vector<v1::CreateBackupRequest> created_backups;
  std::vector<v1::VerifyBackupRequest> verified_backups;
  std::vector<v1::DrillBackupRequest> drilled_backups;
  std::vector<v1::RestoreBackupRequest> restored_backups;
  std::vector<v1::PruneBackupsRequest> pruned_backups;  // those that only check, too
  std::vector<v1::ExportBackupRequest> exported_backups;
  std::vector<v1::CheckRepositoryRequest> checked_repositories;
  std::vector<v1::AddRepositoryRequest> added_repositories;
  // By tenant, `tenants/acme`, and empty for the fleet; a tenant without has the fleet's.
  std::map<std::string, v1::BackupPolicy> policies;
  std::vector<v1::SetBackupPolicyRequest> set_policies;
  v1::RecoveryKit recovery_kit;
  std::vector<v1::CreateRolloutRequest> created_rollouts;  // previews, too
  std::vector<std::string> rollout_calls;                  // `pause rollouts/…`
  std::vector<std::string> watched;                        // names of operations
  int listed_backups = 0;                                  // pages

 protected:
  FakeController();
};

// An operation without steps and times.
v1::Operation MakeOperation(const std::string& kind, const std::string& target,
                            v1::OperationState state);

}  // namespace mtp::cli
