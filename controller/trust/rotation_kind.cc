#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "common/base/status.h"
#include "controller/pki/host_certificate.h"
#include "controller/trust/rotation.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

constexpr absl::Duration kRecheck = absl::Seconds(10);
// Files of an identity are taken up within 10 s; twice that.
constexpr absl::Duration kTakeUp = absl::Seconds(20);
constexpr absl::Duration kDefaultPatience = absl::Hours(24 * 30);
constexpr size_t kMaxNamed = 10;

// The record as the step wants it becomes true with the step's end.
void Put(const RotationClients& clients, const TrustedAuthorities& authorities,
         StepContext& context) {
  context.txn().RequireRevision(kAuthoritiesKey, authorities.revision);
  context.txn()
      .Put(kAuthoritiesKey, ToRecord(authorities, *clients.box).SerializeAsString())
      .LeaveNoTrace();
}

std::string Named(const std::vector<std::string>& names) {
  if (names.size() <= kMaxNamed) return absl::StrJoin(names, ", ");
  return absl::StrCat(absl::StrJoin(names.begin(), names.begin() + kMaxNamed, ", "), " and ",
                      names.size() - kMaxNamed, " more");
}

absl::Time TimeFact(const StepContext& context, const std::string& name) {
  int64_t seconds = 0;
  return absl::SimpleAtoi(context.Fact(name), &seconds) ? absl::FromUnixSeconds(seconds)
                                                        : absl::InfiniteFuture();
}

// True once `fact` has been there for as long as files need to be taken up; sets it first.
bool WasTakenUp(const RotationClients& clients, StepContext& context, const std::string& fact) {
  const absl::Time now = clients.clock->Now();
  if (context.Fact(fact).empty()) {
    context.SetFact(fact, absl::StrCat(absl::ToUnixSeconds(now)));
    return false;
  }
  return now >= TimeFact(context, fact) + kTakeUp;
}

StepResult MakeAuthority(const RotationClients& clients, StepContext& context) {
  auto now = clients.authority->Now();
  if (!now.ok()) return StepResult::Fail(now.status());
  // An earlier rotation was ended in its middle, by a recovery: this one goes on with it.
  if (now->members.size() > 1) return StepResult::Done("the new authority is there already");
  auto made = NewMember(now->fleet, clients.clock->Now());
  if (!made.ok()) return StepResult::Retry(made.status());
  context.SetResult("old", now->issuer().fingerprint);
  context.SetResult("new", made->fingerprint);
  now->members.push_back(*std::move(made));
  Put(clients, *now, context);
  return StepResult::Done("the new authority is made");
}

StepResult DropNew(const RotationClients& clients, StepContext& context) {
  auto now = clients.authority->Now();
  if (!now.ok()) return StepResult::Retry(now.status());
  if (now->members.size() > 1 && now->issuing == 0) {
    now->members.resize(1);
    Put(clients, *now, context);
  }
  return StepResult::Done();
}

StepResult WaitForTrust(const RotationClients& clients, StepContext& context,
                        const std::string& fact) {
  const auto now = clients.authority->Now();
  if (!now.ok()) return StepResult::Retry(now.status());
  if (const absl::Status own = clients.renew_own(); !own.ok()) return StepResult::Retry(own);
  const auto hosts = Tables(clients.store).hosts.List();
  if (!hosts.ok()) return StepResult::Retry(hosts.status());
  std::vector<std::string> waiting;
  for (const auto& row : *hosts) {
    if (!TrustsAll(row.value, *now)) waiting.push_back(row.id);
  }
  if (!waiting.empty()) {
    return StepResult::Wait(kRecheck, absl::StrCat("waits until told: ", Named(waiting)));
  }
  if (!WasTakenUp(clients, context, fact)) return StepResult::Wait(kTakeUp, "is taken up");
  return StepResult::Done();
}

StepResult IssueFromNew(const RotationClients& clients, StepContext& context) {
  auto now = clients.authority->Now();
  if (!now.ok()) return StepResult::Retry(now.status());
  v1::RotateAuthorityRequest request;
  if (!request.ParseFromString(context.record().input())) {
    return StepResult::Retry(absl::DataLossError("the request cannot be read"));
  }
  const absl::Duration patience = request.has_drop_old_after()
                                      ? absl::Seconds(request.drop_old_after().seconds())
                                      : kDefaultPatience;
  context.SetFact("drop_at", absl::StrCat(absl::ToUnixSeconds(clients.clock->Now() + patience)));
  if (now->issuing + 1 != now->members.size()) {
    now->issuing = now->members.size() - 1;
    Put(clients, *now, context);
  }
  return StepResult::Done("certificates are of the new authority from now on");
}

StepResult WaitForHosts(const RotationClients& clients) {
  const auto now = clients.authority->Now();
  if (!now.ok()) return StepResult::Retry(now.status());
  const auto hosts = HostsToRenew(clients.store, *now);
  if (!hosts.ok()) return StepResult::Retry(hosts.status());
  if (hosts->empty()) return StepResult::Done();
  return StepResult::Wait(kRecheck, absl::StrCat("waits for the hosts ", Named(*hosts)));
}

StepResult WaitForOperators(const RotationClients& clients, StepContext& context) {
  const auto now = clients.authority->Now();
  if (!now.ok()) return StepResult::Retry(now.status());
  const auto operators = OperatorsToRenew(clients.store, *now);
  if (!operators.ok()) return StepResult::Retry(operators.status());
  if (operators->empty()) return StepResult::Done();
  const absl::Time drop_at = TimeFact(context, "drop_at");
  if (clients.clock->Now() >= drop_at) {
    context.SetResult("left_behind", Named(*operators));
    return StepResult::Done(absl::StrCat("is not waited for any longer: ", Named(*operators)));
  }
  return StepResult::Wait(
      kRecheck,
      absl::StrCat("waits until ", absl::FormatTime("%Y-%m-%d", drop_at, absl::UTCTimeZone()),
                   " for the operators ", Named(*operators)));
}

StepResult ServeFromNew(const RotationClients& clients, StepContext& context) {
  auto now = clients.authority->Now();
  if (!now.ok()) return StepResult::Retry(now.status());
  if (now->serving != now->issuing) {
    now->serving = now->issuing;
    Put(clients, *now, context);
  }
  return StepResult::Done();
}

StepResult StopTrustingOld(const RotationClients& clients, StepContext& context) {
  auto now = clients.authority->Now();
  if (!now.ok()) return StepResult::Retry(now.status());
  // The controller must show a certificate of the new one before a host may forget the old one.
  if (const absl::Status own = clients.renew_own(); !own.ok()) return StepResult::Retry(own);
  if (!WasTakenUp(clients, context, "served_at")) return StepResult::Wait(kTakeUp, "is taken up");
  // A host that joined since the hosts were waited for has one of the new authority, too.
  if (now->members.size() > 1) {
    now->members = {now->issuer()};
    now->issuing = now->serving = 0;
    Put(clients, *now, context);
  }
  return StepResult::Done("the old authority is not trusted any more");
}

// What has been issued cannot be taken back; `last_step` is the one that issues.
absl::Status CheckCancel(const RotationClients& clients, int last_step,
                         const state::v1::OperationRecord& record) {
  MTP_ASSIGN_OR_RETURN(const TrustedAuthorities now, clients.authority->Now());
  if (record.step() <= last_step && now.issuing == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the new authority has issued certificates already; the rotation can only go on");
}

}  // namespace

operations::Kind RotateAuthorityKind(const RotationClients& clients) {
  operations::Kind kind;
  kind.name = "rotate-authority";
  const auto add = [&](std::string name, std::function<StepResult(StepContext&)> run,
                       bool cancellable) {
    kind.steps.push_back({std::move(name), std::move(run), nullptr, cancellable});
  };
  add(
      "make-authority", [clients](StepContext& c) { return MakeAuthority(clients, c); }, true);
  kind.steps.back().compensate = [clients](StepContext& c) { return DropNew(clients, c); };
  add(
      "trust-both", [clients](StepContext& c) { return WaitForTrust(clients, c, "trusted_at"); },
      true);
  add(
      "issue-from-new", [clients](StepContext& c) { return IssueFromNew(clients, c); }, true);
  const auto last_step = static_cast<int>(kind.steps.size()) - 1;
  kind.check_cancel = [clients, last_step](const state::v1::OperationRecord& record) {
    return CheckCancel(clients, last_step, record);
  };
  add(
      "renew-hosts", [clients](StepContext&) { return WaitForHosts(clients); }, false);
  add(
      "renew-operators", [clients](StepContext& c) { return WaitForOperators(clients, c); }, false);
  add(
      "serve-from-new", [clients](StepContext& c) { return ServeFromNew(clients, c); }, false);
  add(
      "stop-trusting-old", [clients](StepContext& c) { return StopTrustingOld(clients, c); },
      false);
  add(
      "tell-hosts", [clients](StepContext& c) { return WaitForTrust(clients, c, "told_at"); },
      false);
  return kind;
}

}  // namespace mtp
