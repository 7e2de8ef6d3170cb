#include "controller/api/backup_service.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include "common/base/names.h"
#include "common/base/status.h"
#include "common/base/ulid.h"
#include "controller/api/pages.h"
#include "controller/api/pass_through.h"
#include "mtp/v1/agent.grpc.pb.h"

namespace mtp {
namespace {

constexpr int kDefaultPage = 50;
constexpr absl::string_view kBackupsPrefix = "backups/";

// What the call names, for the audit log; empty for a bad name, which may be anything.
std::string Named(const v1::CreateBackupRequest& request) {
  return TenantName::ParseResource(request.tenant()).ok() ? request.tenant() : "";
}

std::string Named(const v1::CheckRepositoryRequest& request) {
  return IsRepositoryResource(request.name()) ? request.name() : "";
}

template <typename Request>
std::string Named(const Request& request) {
  absl::string_view id = request.name();
  return absl::ConsumePrefix(&id, kBackupsPrefix) && IsUlid(id) ? request.name() : "";
}

}  // namespace

template <typename Request>
grpc::ServerUnaryReactor* BackupServiceImpl::Change(
    grpc::CallbackServerContext* context, const char* method, const Request* request,
    v1::Operation* response,
    absl::StatusOr<v1::Operation> (Backups::*change)(const std::string&, const Request&)) {
  return gate_->Unary<Request, v1::Operation>(
      context, method, request, response,
      // Not `this`: with sanitizers GCC 12 takes another object for it in a call by ->*.
      [backups = backups_, change](const Caller& caller, const Request& r, v1::Operation* out,
                                   AuditNote& note) -> absl::Status {
        note.target = Named(r);
        MTP_RETURN_IF_ERROR(Fill((backups->*change)(caller.Name(), r), out));
        if (r.validate_only()) {
          note.message = "dry run";
        } else if (out->target() != note.target) {
          note.message = absl::StrCat("into ", out->target());
        }
        note.operation = out->name();
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* BackupServiceImpl::CreateBackup(grpc::CallbackServerContext* context,
                                                          const v1::CreateBackupRequest* request,
                                                          v1::Operation* response) {
  return Change(context, "mtp.v1.BackupService/CreateBackup", request, response, &Backups::Create);
}

grpc::ServerUnaryReactor* BackupServiceImpl::VerifyBackup(grpc::CallbackServerContext* context,
                                                          const v1::VerifyBackupRequest* request,
                                                          v1::Operation* response) {
  return Change(context, "mtp.v1.BackupService/VerifyBackup", request, response, &Backups::Verify);
}

grpc::ServerUnaryReactor* BackupServiceImpl::RestoreBackup(grpc::CallbackServerContext* context,
                                                           const v1::RestoreBackupRequest* request,
                                                           v1::Operation* response) {
  return Change(context, "mtp.v1.BackupService/RestoreBackup", request, response,
                &Backups::Restore);
}

grpc::ServerUnaryReactor* BackupServiceImpl::CheckRepository(
    grpc::CallbackServerContext* context, const v1::CheckRepositoryRequest* request,
    v1::Operation* response) {
  return Change(context, "mtp.v1.BackupService/CheckRepository", request, response,
                &Backups::Check);
}

grpc::ServerWriteReactor<v1::ExportChunk>* BackupServiceImpl::ExportBackup(
    grpc::CallbackServerContext* context, const v1::ExportBackupRequest* request) {
  constexpr char kMethod[] = "mtp.v1.BackupService/ExportBackup";
  auto admitted = gate_->AdmitStream(context, kMethod);
  if (!admitted.ok()) return new RefusedStream<v1::ExportChunk>(admitted.status());
  auto plan = backups_->PlanExport(*request, fleet_);
  auto channel = plan.ok() ? sessions_->ConnectedChannel(plan->host) : plan.status();
  AuditNote note;
  note.target = Named(*request);
  if (plan.ok()) note.message = absl::StrCat("tenant ", plan->request.backup().tenant());
  const absl::Status outcome =
      gate_->Close(context, admitted->caller, kMethod, note, channel.status());
  if (!outcome.ok()) return new RefusedStream<v1::ExportChunk>(outcome);
  const auto stub = std::make_shared<v1::AgentService::Stub>(*channel);
  return new PassThrough<v1::ExportFromRepositoryRequest, v1::ExportChunk>(
      *channel, std::move(admitted->place), std::move(plan->request),
      [stub](grpc::ClientContext* call, const v1::ExportFromRepositoryRequest* r,
             grpc::ClientReadReactor<v1::ExportChunk>* reactor) {
        stub->async()->ExportBackup(call, r, reactor);
      });
}

grpc::ServerUnaryReactor* BackupServiceImpl::DrillBackup(grpc::CallbackServerContext* context,
                                                         const v1::DrillBackupRequest* request,
                                                         v1::Operation* response) {
  return Change(context, "mtp.v1.BackupService/DrillBackup", request, response, &Backups::Drill);
}

grpc::ServerUnaryReactor* BackupServiceImpl::GetBackup(grpc::CallbackServerContext* context,
                                                       const v1::GetBackupRequest* request,
                                                       v1::Backup* response) {
  return gate_->Unary<v1::GetBackupRequest, v1::Backup>(
      context, "mtp.v1.BackupService/GetBackup", request, response,
      [this](const Caller&, const v1::GetBackupRequest& r, v1::Backup* out, AuditNote&) {
        return Fill(backups_->Get(r.name()), out);
      });
}

grpc::ServerUnaryReactor* BackupServiceImpl::ListBackups(grpc::CallbackServerContext* context,
                                                         const v1::ListBackupsRequest* request,
                                                         v1::ListBackupsResponse* response) {
  return gate_->Unary<v1::ListBackupsRequest, v1::ListBackupsResponse>(
      context, "mtp.v1.BackupService/ListBackups", request, response,
      [this](const Caller&, const v1::ListBackupsRequest& r, v1::ListBackupsResponse* out,
             AuditNote&) -> absl::Status {
        MTP_ASSIGN_OR_RETURN(const std::vector<v1::Backup> backups, backups_->List(r.tenant()));
        MTP_ASSIGN_OR_RETURN(
            const Page<v1::Backup> page,
            PageOf(backups, r.page_size(), kDefaultPage, r.page_token(), Order::kDescending,
                   [](const v1::Backup& b) -> const std::string& { return b.name(); }));
        for (const v1::Backup* backup : page.items) *out->add_backups() = *backup;
        out->set_next_page_token(page.next_token);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* BackupServiceImpl::PruneBackups(grpc::CallbackServerContext* context,
                                                          const v1::PruneBackupsRequest* request,
                                                          v1::PruneBackupsResponse* response) {
  return gate_->Unary<v1::PruneBackupsRequest, v1::PruneBackupsResponse>(
      context, "mtp.v1.BackupService/PruneBackups", request, response,
      [this](const Caller& caller, const v1::PruneBackupsRequest& r, v1::PruneBackupsResponse* out,
             AuditNote& note) -> absl::Status {
        if (TenantName::ParseResource(r.tenant()).ok()) note.target = r.tenant();
        MTP_RETURN_IF_ERROR(Fill(backups_->Prune(caller.Name(), r), out));
        note.operation = out->operation().name();
        note.message =
            r.validate_only() ? "dry run" : absl::StrCat(out->backups_size(), " backups");
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* BackupServiceImpl::AddRepository(grpc::CallbackServerContext* context,
                                                           const v1::AddRepositoryRequest* request,
                                                           v1::Repository* response) {
  return gate_->Unary<v1::AddRepositoryRequest, v1::Repository>(
      context, "mtp.v1.BackupService/AddRepository", request, response,
      [this](const Caller&, const v1::AddRepositoryRequest& r, v1::Repository* out,
             AuditNote& note) -> absl::Status {
        MTP_RETURN_IF_ERROR(Fill(repositories_->Add(r), out));
        note.target = out->name();
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* BackupServiceImpl::ListRepositories(
    grpc::CallbackServerContext* context, const v1::ListRepositoriesRequest* request,
    v1::ListRepositoriesResponse* response) {
  return gate_->Unary<v1::ListRepositoriesRequest, v1::ListRepositoriesResponse>(
      context, "mtp.v1.BackupService/ListRepositories", request, response,
      [this](const Caller&, const v1::ListRepositoriesRequest&, v1::ListRepositoriesResponse* out,
             AuditNote&) -> absl::Status {
        MTP_ASSIGN_OR_RETURN(std::vector<v1::Repository> all, repositories_->List());
        for (v1::Repository& repository : all) *out->add_repositories() = std::move(repository);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* BackupServiceImpl::GetBackupPolicy(
    grpc::CallbackServerContext* context, const v1::GetBackupPolicyRequest* request,
    v1::BackupPolicy* response) {
  return gate_->Unary<v1::GetBackupPolicyRequest, v1::BackupPolicy>(
      context, "mtp.v1.BackupService/GetBackupPolicy", request, response,
      [this](const Caller&, const v1::GetBackupPolicyRequest& r, v1::BackupPolicy* out,
             AuditNote&) { return Fill(policies_->Get(r), out); });
}

grpc::ServerUnaryReactor* BackupServiceImpl::SetBackupPolicy(
    grpc::CallbackServerContext* context, const v1::SetBackupPolicyRequest* request,
    v1::BackupPolicy* response) {
  return gate_->Unary<v1::SetBackupPolicyRequest, v1::BackupPolicy>(
      context, "mtp.v1.BackupService/SetBackupPolicy", request, response,
      [this](const Caller&, const v1::SetBackupPolicyRequest& r, v1::BackupPolicy* out,
             AuditNote& note) -> absl::Status {
        if (TenantName::ParseResource(r.tenant()).ok()) note.target = r.tenant();
        MTP_RETURN_IF_ERROR(Fill(policies_->Set(r), out));
        if (r.tenant().empty()) {
          note.message = "of the fleet";
        } else if (!r.has_policy()) {
          note.message = "the fleet's again";
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* BackupServiceImpl::GetRecoveryKit(
    grpc::CallbackServerContext* context, const v1::GetRecoveryKitRequest* request,
    v1::RecoveryKit* response) {
  return gate_->Unary<v1::GetRecoveryKitRequest, v1::RecoveryKit>(
      context, "mtp.v1.BackupService/GetRecoveryKit", request, response,
      [this](const Caller&, const v1::GetRecoveryKitRequest&, v1::RecoveryKit* out,
             AuditNote& note) {
        note.message = "told the secrets of all repositories";
        return Fill(repositories_->Kit(fleet_), out);
      });
}

}  // namespace mtp
