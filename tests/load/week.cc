#include "tests/load/week.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/clock.h>
#include <grpcpp/grpcpp.h>

#include <atomic>

#include "common/base/status.h"
#include "mtp/v1/backup.grpc.pb.h"
#include "mtp/v1/rollout.grpc.pb.h"
#include "mtp/v1/tenant.grpc.pb.h"
#include "tests/load/call.h"

namespace mtp::load {
namespace {

constexpr absl::Duration kRollout = absl::Minutes(10);
constexpr int kDays = 7;
constexpr int kDrillEvery = 4;
constexpr int64_t kReservationMib = 900;

using Channel = std::shared_ptr<grpc::Channel>;

using Begin = std::function<absl::Status(const Channel&, v1::Operation*)>;

template <class Stub, class Request>
Begin BeginBy(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, v1::Operation*),
              const Request& request) {
  return [method, request](const Channel& channel, v1::Operation* operation) {
    return Call(channel, method, request, operation);
  };
}

Begin BeginProvision(int number) {
  v1::ProvisionTenantRequest request;
  request.set_tenant_id(TenantOf(number));
  request.mutable_spec()->set_memory_reservation_mib(kReservationMib);
  v1::TenantSecrets& secrets = *request.mutable_secrets();
  secrets.set_telegram_token(absl::StrFormat("9%09d:%s", number, std::string(35, 'x')));
  secrets.set_anthropic_key("sk-ant-" + std::string(95, 'k'));
  return [request](const Channel& channel, v1::Operation* operation) {
    v1::ProvisionTenantResponse response;
    const absl::Status status =
        Call(channel, &v1::TenantService::Stub::ProvisionTenant, request, &response);
    *operation = response.operation();
    return status;
  };
}

Begin BeginRestart(int number) {
  v1::RestartTenantRequest request;
  request.set_name("tenants/" + TenantOf(number));
  return BeginBy(&v1::TenantService::Stub::RestartTenant, request);
}

Begin BeginLimit(int number) {
  v1::UpdateTenantRequest request;
  request.set_name("tenants/" + TenantOf(number));
  request.mutable_spec()->set_memory_limit_mib(2304);
  request.mutable_update_mask()->add_paths("memory_limit_mib");
  return BeginBy(&v1::TenantService::Stub::UpdateTenant, request);
}

Begin BeginBackup(int number) {
  v1::CreateBackupRequest request;
  request.set_tenant("tenants/" + TenantOf(number));
  return BeginBy(&v1::BackupService::Stub::CreateBackup, request);
}

// Of the backup that a finished operation `backup` made: it has the operation's ULID.
std::string BackupOf(const v1::Operation& backup) {
  return "backups/" + backup.name().substr(backup.name().find('/') + 1);
}

Begin BeginVerify(const std::string& backup) {
  v1::VerifyBackupRequest request;
  request.set_name(backup);
  return BeginBy(&v1::BackupService::Stub::VerifyBackup, request);
}

Begin BeginDrill(const std::string& backup) {
  v1::DrillBackupRequest request;
  request.set_name(backup);
  return BeginBy(&v1::BackupService::Stub::DrillBackup, request);
}

// One operation from the call to its end; figures of both.
v1::Operation CarryOut(const Channel& channel, const std::string& what, const Begin& begin,
                       Figures& figures) {
  v1::Operation operation;
  const absl::Time called = absl::Now();
  absl::Status status = begin(channel, &operation);
  figures.Add("call " + what, absl::Now() - called, status);
  if (!status.ok()) return operation;
  status = WaitForEnd(channel, operation);
  figures.Add(what, absl::Now() - called, status);
  return operation;
}

// A tenant's part of one day.
int Day(const Channel& channel, int tenant, int day, Figures& figures) {
  const v1::Operation backup = CarryOut(channel, "backup", BeginBackup(tenant), figures);
  int done = 1;
  const auto another = [&](const std::string& what, const Begin& begin) {
    CarryOut(channel, what, begin, figures);
    ++done;
  };
  // Each tenant has its own day for what comes once a week.
  if (day == tenant % kDays) {
    another("verify", BeginVerify(BackupOf(backup)));
    another("restart", BeginRestart(tenant));
  }
  if (day == (tenant + 3) % kDays) {
    another("set", BeginLimit(tenant));
    if (tenant % kDrillEvery == 0) another("drill", BeginDrill(BackupOf(backup)));
  }
  return done;
}

}  // namespace

void Provision(const Target& target, int tenants, int parallel, Figures& figures) {
  InParallel(target, parallel, [&](int caller, const Channel& channel) {
    for (int number = caller; number < tenants; number += parallel) {
      CarryOut(channel, "provision", BeginProvision(number), figures);
    }
  });
}

void AtOnce(const Target& target, int count, Figures& figures) {
  InParallel(target, count, [&](int caller, const Channel& channel) {
    // The handshake is not what is measured.
    channel->WaitForConnected(absl::ToChronoTime(absl::Now() + kCall));
    CarryOut(channel, "at once", BeginRestart(caller), figures);
  });
}

int OperationsOfAWeek(int tenants) {
  return tenants * (kDays + 3) + (tenants + kDrillEvery - 1) / kDrillEvery;
}

int RunWeek(const Target& target, const Week& week, Figures& figures) {
  std::atomic<int> done{0};
  const absl::Time end = absl::Now() + week.most;
  const int wanted = static_cast<int>(week.share * OperationsOfAWeek(week.tenants));
  InParallel(target, week.parallel, [&](int caller, const Channel& channel) {
    for (int day = 0; day < kDays; ++day) {
      for (int tenant = caller; tenant < week.tenants; tenant += week.parallel) {
        if (absl::Now() > end || done >= wanted) return;
        done += Day(channel, tenant, day, figures);
      }
    }
  });
  return done;
}

void Update(const Target& target, int count, int parallel, Figures& figures) {
  const Channel channel = Connect(target);
  v1::CreateRolloutRequest request;
  for (int number = 0; number < count; ++number) {
    request.add_tenants("tenants/" + TenantOf(number));
  }
  v1::RolloutSettings& settings = *request.mutable_settings();
  settings.set_image("openclaw:load-2");
  settings.set_max_unavailable(parallel);
  settings.mutable_soak();
  settings.mutable_idle_wait();
  const absl::Time called = absl::Now();
  v1::Rollout rollout;
  const absl::Status begun =
      Call(channel, &v1::RolloutService::Stub::CreateRollout, request, &rollout);
  figures.Add("call update", absl::Now() - called, begun);
  if (!begun.ok()) return;
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kRollout));
  v1::WatchRolloutRequest watch;
  watch.set_name(rollout.name());
  v1::RolloutService::Stub stub(channel);
  const auto reader = stub.WatchRollout(&context, watch);
  v1::Rollout read;
  while (reader->Read(&read)) rollout = read;
  absl::Status status = FromGrpc(reader->Finish());
  for (const v1::RolloutTenant& tenant : rollout.tenants()) {
    if (!status.ok() || tenant.state() == v1::ROLLOUT_TENANT_STATE_UPDATED) continue;
    status = absl::InternalError(absl::StrCat(
        tenant.tenant(), ": ", v1::RolloutTenantState_Name(tenant.state()), " ", tenant.message()));
  }
  figures.Add(absl::StrCat("update of ", count), absl::Now() - called, status);
}

}  // namespace mtp::load
