#include "controller/api/host_service.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/strip.h>

#include "common/base/names.h"
#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/kv/while_aborted.h"
#include "controller/api/pages.h"
#include "controller/state/fleet.h"
#include "controller/tenants/validation.h"

namespace mtp {
namespace {

std::string ShortNames(const google::protobuf::RepeatedPtrField<v1::LostTenant>& tenants) {
  return absl::StrJoin(tenants, ", ", [](std::string* out, const v1::LostTenant& tenant) {
    absl::StrAppend(out, absl::StripPrefix(tenant.name(), "tenants/"));
  });
}

}  // namespace

HostServiceImpl::HostServiceImpl(const Gate* gate, kv::Store* store,
                                 const Observations* observations, JoinTokens* tokens,
                                 failover::HostRemovals* removals)
    : gate_(gate),
      store_(store),
      tables_(store),
      observations_(observations),
      tokens_(tokens),
      removals_(removals) {}

absl::StatusOr<kv::Row<state::v1::HostRecord>> HostServiceImpl::Find(
    const std::string& resource) const {
  MTP_ASSIGN_OR_RETURN(const HostName name, HostName::ParseResource(resource));
  auto row = tables_.hosts.Get(name.value());
  if (absl::IsNotFound(row.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no host \"", name.value(), "\"; `mtp-cli host list` shows all"));
  }
  return row;
}

v1::Host HostServiceImpl::Show(const kv::Row<state::v1::HostRecord>& row) const {
  auto allocations = tables_.allocations.Get(row.id);
  return ToHost(row, allocations.ok() ? allocations->value : state::v1::AllocationsRecord(),
                observations_->GetHost(row.id));
}

absl::Status HostServiceImpl::Change(const std::string& resource, const std::string& etag,
                                     const std::function<void(state::v1::HostRecord&)>& change,
                                     bool validate_only, v1::Host* response) {
  return kv::WhileAborted([&]() -> absl::Status {
    MTP_ASSIGN_OR_RETURN(auto row, Find(resource));
    if (!etag.empty() && etag != Etag(row.revision)) {
      return absl::AbortedError(
          absl::StrCat("host ", row.id, " was changed meanwhile; look again"));
    }
    change(row.value);
    if (!validate_only) {
      kv::Txn txn;
      txn.RequireRevision(tables_.hosts.Key(row.id), row.revision);
      tables_.hosts.Put(txn, row.id, row.value);
      MTP_ASSIGN_OR_RETURN(row.revision, store_->Commit(txn));
    }
    *response = Show(row);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* HostServiceImpl::GetHost(grpc::CallbackServerContext* context,
                                                   const v1::GetHostRequest* request,
                                                   v1::Host* response) {
  return gate_->Unary<v1::GetHostRequest, v1::Host>(
      context, "mtp.v1.HostService/GetHost", request, response,
      [this](const Caller&, const v1::GetHostRequest& r, v1::Host* out,
             AuditNote&) -> absl::Status {
        MTP_ASSIGN_OR_RETURN(const auto row, Find(r.name()));
        *out = Show(row);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* HostServiceImpl::ListHosts(grpc::CallbackServerContext* context,
                                                     const v1::ListHostsRequest* request,
                                                     v1::ListHostsResponse* response) {
  return gate_->Unary<v1::ListHostsRequest, v1::ListHostsResponse>(
      context, "mtp.v1.HostService/ListHosts", request, response,
      [this](const Caller&, const v1::ListHostsRequest& r, v1::ListHostsResponse* out,
             AuditNote&) -> absl::Status {
        MTP_ASSIGN_OR_RETURN(const auto rows, tables_.hosts.List());
        using Row = kv::Row<state::v1::HostRecord>;
        MTP_ASSIGN_OR_RETURN(const Page<Row> page,
                             PageOf(rows, r.page_size(), 100, r.page_token(), Order::kAscending,
                                    [](const Row& row) -> const std::string& { return row.id; }));
        for (const Row* row : page.items) *out->add_hosts() = Show(*row);
        out->set_next_page_token(page.next_token);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* HostServiceImpl::CordonHost(grpc::CallbackServerContext* context,
                                                      const v1::CordonHostRequest* request,
                                                      v1::Host* response) {
  return gate_->Unary<v1::CordonHostRequest, v1::Host>(
      context, "mtp.v1.HostService/CordonHost", request, response,
      [this](const Caller&, const v1::CordonHostRequest& r, v1::Host* out, AuditNote& note) {
        const absl::Status status = Change(
            r.name(), "", [](state::v1::HostRecord& host) { host.set_cordoned(true); },
            r.validate_only(), out);
        note.target = out->name();
        return status;
      });
}

grpc::ServerUnaryReactor* HostServiceImpl::UncordonHost(grpc::CallbackServerContext* context,
                                                        const v1::UncordonHostRequest* request,
                                                        v1::Host* response) {
  return gate_->Unary<v1::UncordonHostRequest, v1::Host>(
      context, "mtp.v1.HostService/UncordonHost", request, response,
      [this](const Caller&, const v1::UncordonHostRequest& r, v1::Host* out, AuditNote& note) {
        const absl::Status status = Change(
            r.name(), "", [](state::v1::HostRecord& host) { host.set_cordoned(false); },
            r.validate_only(), out);
        note.target = out->name();
        return status;
      });
}

grpc::ServerUnaryReactor* HostServiceImpl::SetHostLabels(grpc::CallbackServerContext* context,
                                                         const v1::SetHostLabelsRequest* request,
                                                         v1::Host* response) {
  return gate_->Unary<v1::SetHostLabelsRequest, v1::Host>(
      context, "mtp.v1.HostService/SetHostLabels", request, response,
      [this](const Caller&, const v1::SetHostLabelsRequest& r, v1::Host* out,
             AuditNote& note) -> absl::Status {
        v1::TenantSpec checked;
        *checked.mutable_host_labels() = r.labels();
        MTP_RETURN_IF_ERROR(CheckSpec(checked));
        MTP_RETURN_IF_ERROR(Change(
            r.name(), r.etag(),
            [&](state::v1::HostRecord& host) { *host.mutable_labels() = r.labels(); }, false, out));
        note.target = out->name();
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* HostServiceImpl::RemoveHost(grpc::CallbackServerContext* context,
                                                      const v1::RemoveHostRequest* request,
                                                      v1::RemoveHostResponse* response) {
  return gate_->Unary<v1::RemoveHostRequest, v1::RemoveHostResponse>(
      context, "mtp.v1.HostService/RemoveHost", request, response,
      [this](const Caller&, const v1::RemoveHostRequest& r, v1::RemoveHostResponse* out,
             AuditNote& note) -> absl::Status {
        MTP_RETURN_IF_ERROR(Find(r.name()).status());
        note.target = r.name();
        MTP_ASSIGN_OR_RETURN(*out, removals_->Remove(r));
        if (r.lost()) {
          note.message = out->tenants().empty()
                             ? "it is lost, and had no tenants"
                             : absl::StrCat("it is lost, with ", ShortNames(out->tenants()));
        }
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* HostServiceImpl::CreateJoinToken(
    grpc::CallbackServerContext* context, const v1::CreateJoinTokenRequest* request,
    v1::CreateJoinTokenResponse* response) {
  return gate_->Unary<v1::CreateJoinTokenRequest, v1::CreateJoinTokenResponse>(
      context, "mtp.v1.HostService/CreateJoinToken", request, response,
      [this](const Caller&, const v1::CreateJoinTokenRequest& r, v1::CreateJoinTokenResponse* out,
             AuditNote& note) -> absl::Status {
        MTP_ASSIGN_OR_RETURN(const HostName host, HostName::Parse(r.host_id()));
        note.target = host.Resource();
        const absl::Duration lifetime =
            r.has_lifetime() ? absl::Seconds(r.lifetime().seconds()) : absl::Hours(1);
        MTP_ASSIGN_OR_RETURN(const tls::JoinToken token,
                             tokens_->Create(host, lifetime, r.rejoin()));
        out->set_token(std::string(EncodeJoinToken(token).Reveal()));
        *out->mutable_expire_time() = ToTimestamp(absl::Now() + lifetime);
        out->set_command("mtp-agent join - --advertise THIS_HOSTS_ADDRESS:7444");
        return absl::OkStatus();
      });
}

}  // namespace mtp
