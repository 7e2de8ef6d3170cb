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

namespace mtp::load {
namespace {

constexpr absl::Duration kCall = absl::Seconds(30);
constexpr absl::Duration kRollout = absl::Minutes(10);
constexpr int kDays = 7;
constexpr int kDrillEvery = 4;
constexpr int64_t kReservationMib = 900;

using Channel = std::shared_ptr<grpc::Channel>;

void Prepare(grpc::ClientContext& context, absl::Duration most = kCall) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + most));
}

absl::Status BeginProvision(const Channel& channel, int number, v1::Operation* operation) {
  v1::ProvisionTenantRequest request;
  request.set_tenant_id(TenantOf(number));
  request.mutable_spec()->set_memory_reservation_mib(kReservationMib);
  v1::TenantSecrets& secrets = *request.mutable_secrets();
  secrets.set_telegram_token(absl::StrFormat("9%09d:%s", number, std::string(35, 'x')));
  secrets.set_anthropic_key("sk-ant-" + std::string(95, 'k'));
  grpc::ClientContext context;
  Prepare(context);
  v1::ProvisionTenantResponse response;
  const auto stub = v1::TenantService::NewStub(channel);
  MTP_RETURN_IF_ERROR(FromGrpc(stub->ProvisionTenant(&context, request, &response)));
  *operation = response.operation();
  return absl::OkStatus();
}

absl::Status BeginRestart(const Channel& channel, int number, v1::Operation* operation) {
  v1::RestartTenantRequest request;
  request.set_name("tenants/" + TenantOf(number));
  grpc::ClientContext context;
  Prepare(context);
  return FromGrpc(v1::TenantService::NewStub(channel)->RestartTenant(&context, request, operation));
}

absl::Status BeginLimit(const Channel& channel, int number, v1::Operation* operation) {
  v1::UpdateTenantRequest request;
  request.set_name("tenants/" + TenantOf(number));
  request.mutable_spec()->set_memory_limit_mib(2304);
  request.mutable_update_mask()->add_paths("memory_limit_mib");
  grpc::ClientContext context;
  Prepare(context);
  return FromGrpc(v1::TenantService::NewStub(channel)->UpdateTenant(&context, request, operation));
}

absl::Status BeginBackup(const Channel& channel, int number, v1::Operation* operation) {
  v1::CreateBackupRequest request;
  request.set_tenant("tenants/" + TenantOf(number));
  grpc::ClientContext context;
  Prepare(context);
  return FromGrpc(v1::BackupService::NewStub(channel)->CreateBackup(&context, request, operation));
}

// Of the backup that a finished operation `backup` made: it has the operation's ULID.
std::string BackupOf(const v1::Operation& backup) {
  return "backups/" + backup.name().substr(backup.name().find('/') + 1);
}

absl::Status BeginVerify(const Channel& channel, const std::string& backup,
                         v1::Operation* operation) {
  v1::VerifyBackupRequest request;
  request.set_name(backup);
  grpc::ClientContext context;
  Prepare(context);
  return FromGrpc(v1::BackupService::NewStub(channel)->VerifyBackup(&context, request, operation));
}

absl::Status BeginDrill(const Channel& channel, const std::string& backup,
                        v1::Operation* operation) {
  v1::DrillBackupRequest request;
  request.set_name(backup);
  grpc::ClientContext context;
  Prepare(context);
  return FromGrpc(v1::BackupService::NewStub(channel)->DrillBackup(&context, request, operation));
}

using Begin = std::function<absl::Status(const Channel&, v1::Operation*)>;

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
  const v1::Operation backup = CarryOut(
      channel, "backup",
      [tenant](const Channel& c, v1::Operation* o) { return BeginBackup(c, tenant, o); }, figures);
  int done = 1;
  const auto another = [&](const std::string& what, const Begin& begin) {
    CarryOut(channel, what, begin, figures);
    ++done;
  };
  // Each tenant has its own day for what comes once a week.
  if (day == tenant % kDays) {
    another("verify", [&](const Channel& c, v1::Operation* o) {
      return BeginVerify(c, BackupOf(backup), o);
    });
    another("restart",
            [&](const Channel& c, v1::Operation* o) { return BeginRestart(c, tenant, o); });
  }
  if (day == (tenant + 3) % kDays) {
    another("set", [&](const Channel& c, v1::Operation* o) { return BeginLimit(c, tenant, o); });
    if (tenant % kDrillEvery == 0) {
      another("drill", [&](const Channel& c, v1::Operation* o) {
        return BeginDrill(c, BackupOf(backup), o);
      });
    }
  }
  return done;
}

}  // namespace

void Provision(const Target& target, int tenants, int parallel, Figures& figures) {
  InParallel(target, parallel, [&](int caller, const Channel& channel) {
    for (int number = caller; number < tenants; number += parallel) {
      CarryOut(
          channel, "provision",
          [number](const Channel& c, v1::Operation* o) { return BeginProvision(c, number, o); },
          figures);
    }
  });
}

void AtOnce(const Target& target, int count, Figures& figures) {
  InParallel(target, count, [&](int caller, const Channel& channel) {
    // The handshake is not what is measured.
    channel->WaitForConnected(absl::ToChronoTime(absl::Now() + kCall));
    CarryOut(
        channel, "at once",
        [caller](const Channel& c, v1::Operation* o) { return BeginRestart(c, caller, o); },
        figures);
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
  const auto stub = v1::RolloutService::NewStub(channel);
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
  {
    grpc::ClientContext context;
    Prepare(context);
    const absl::Status begun = FromGrpc(stub->CreateRollout(&context, request, &rollout));
    figures.Add("call update", absl::Now() - called, begun);
    if (!begun.ok()) return;
  }
  grpc::ClientContext context;
  Prepare(context, kRollout);
  v1::WatchRolloutRequest watch;
  watch.set_name(rollout.name());
  const auto reader = stub->WatchRollout(&context, watch);
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
