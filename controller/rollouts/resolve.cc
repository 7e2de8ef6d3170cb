#include "controller/rollouts/resolve.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "common/tls/keys.h"
#include "controller/backups/catalogue.h"
#include "controller/backups/updates.h"
#include "controller/rollouts/waves.h"
#include "controller/tenants/agent_steps.h"

namespace mtp {
namespace {

using operations::StepContext;
using operations::StepResult;

constexpr size_t kKeyDigits = 16;
constexpr char kImageId[] = "image_id";
constexpr char kPinned[] = "pinned";

// One image on one host.
struct Pull {
  std::string host;
  std::string image;
  // Once it is there.
  std::string image_id;
  std::string pinned;
};
// By host and name of the image.
using Pulls = std::map<std::pair<std::string, std::string>, Pull>;

std::string ImageOf(const RolloutClients& clients, const v1::RolloutSettings& settings,
                    const state::v1::TenantRecord& tenant) {
  if (!settings.image().empty()) return settings.image();
  return tenant.spec().image().empty() ? clients.default_image : tenant.spec().image();
}

Pulls PullsOf(const RolloutClients& clients, const v1::Rollout& rollout) {
  const Tables tables(clients.store);
  Pulls pulls;
  for (const v1::RolloutTenant& tenant : rollout.tenants()) {
    const auto row = tables.tenants.Get(tenant.tenant());
    if (!row.ok() || tenant.state() != v1::ROLLOUT_TENANT_STATE_PENDING) continue;
    Pull pull{row->value.host(), ImageOf(clients, rollout.settings(), row->value), "", ""};
    pulls.emplace(std::make_pair(pull.host, pull.image), pull);
  }
  return pulls;
}

// The step as one pull sees it: with a key of its own.
StepContext ContextFor(const StepContext& context, const Pull& pull) {
  return {context.record(), absl::StrCat(absl::StripSuffix(context.key(), "/undo"), "/", pull.host,
                                         "/", tls::Sha256Hex(pull.image).substr(0, kKeyDigits))};
}

StepResult RunPull(const RolloutClients& clients, const StepContext& context, bool refresh,
                   Pull& pull) {
  StepContext here = ContextFor(context, pull);
  v1::EnsureActionRequest request;
  request.mutable_pull()->set_image(pull.image);
  request.mutable_pull()->set_refresh(refresh);
  StepResult result =
      RunThere(here, *clients.agents, {pull.host, 0}, std::move(request), OnFailure::kFail);
  if (result.kind != StepResult::Kind::kDone) return result;
  const auto& results = here.new_results();
  if (const auto found = results.find(kImageId); found != results.end())
    pull.image_id = found->second;
  if (const auto found = results.find(kPinned); found != results.end()) pull.pinned = found->second;
  if (!pull.pinned.empty()) return result;
  return StepResult::Fail(
      absl::InternalError(absl::StrCat("host ", pull.host, " does not say which image it has as ",
                                       pull.image, "; is its agent older than the controller?")));
}

// All at the same time; the first failure counts, then what is waited for.
StepResult RunAll(const RolloutClients& clients, const StepContext& context, bool refresh,
                  Pulls& pulls) {
  StepResult all = StepResult::Done();
  for (auto& [name, pull] : pulls) {
    StepResult result = RunPull(clients, context, refresh, pull);
    switch (result.kind) {
      case StepResult::Kind::kDone:
        break;
      case StepResult::Kind::kRetry:
      case StepResult::Kind::kFail:
        if (all.kind != StepResult::Kind::kFail) all = std::move(result);
        break;
      case StepResult::Kind::kWait:
        if (all.kind == StepResult::Kind::kDone) {
          all = StepResult::Wait(result.delay,
                                 absl::StrCat("image on host ", pull.host, ": ", result.message));
        } else if (all.kind == StepResult::Kind::kWait) {
          all.delay = std::min(all.delay, result.delay);
        }
        break;
    }
  }
  return all;
}

bool SameImage(const Pull& a, const Pull& b) {
  return a.pinned == b.pinned || (!a.image_id.empty() && a.image_id == b.image_id);
}

absl::Status CheckSame(const Pulls& pulls) {
  std::map<std::string, std::vector<const Pull*>> by_image;
  for (const auto& [name, pull] : pulls) by_image[pull.image].push_back(&pull);
  for (const auto& [image, hosts] : by_image) {
    const Pull& first = *hosts[0];
    if (std::all_of(hosts.begin(), hosts.end(),
                    [&](const Pull* pull) { return SameImage(*pull, first); })) {
      continue;
    }
    const std::string who = absl::StrJoin(hosts, ", ", [](std::string* out, const Pull* pull) {
      absl::StrAppend(out, pull->host, " has ", pull->pinned);
    });
    return absl::FailedPreconditionError(
        absl::StrCat("the hosts do not have the same image under the name ", image, ": ", who,
                     "; push it to a registry that all of them ask, or name it by its digest"));
  }
  return absl::OkStatus();
}

// Whether the tenant runs that very image although nothing pinned it.
bool RunsAlready(const RolloutClients& clients, const Pull& pull, const std::string& tenant) {
  const HostObservation seen = clients.observations->GetHost(pull.host);
  const auto found = seen.tenants.find(tenant);
  return seen.connected && found != seen.tenants.end() && !pull.image_id.empty() &&
         found->second.state() == v1::TENANT_STATE_RUNNING &&
         found->second.image_id() == pull.image_id;
}

// What the tenant runs now, as exactly as is known: a tag may mean another image by now.
std::string ImageInForce(const RolloutClients& clients, const state::v1::TenantRecord& record) {
  const HostObservation seen = clients.observations->GetHost(record.host());
  const auto found = seen.tenants.find(record.name());
  const bool exact = IsPinned(record.resolved().image()) || found == seen.tenants.end() ||
                     found->second.image_id().empty();
  return exact ? record.resolved().image() : found->second.image_id();
}

// What each tenant is updated to, and who is left alone. False when a tenant has changed its place
// or image this very moment.
bool Decide(const RolloutClients& clients, const Pulls& pulls, v1::Rollout& rollout) {
  const Tables tables(clients.store);
  for (v1::RolloutTenant& tenant : *rollout.mutable_tenants()) {
    if (tenant.state() != v1::ROLLOUT_TENANT_STATE_PENDING) continue;
    const auto row = tables.tenants.Get(tenant.tenant());
    std::string why;
    if (row.ok()) {
      const auto found =
          pulls.find({row->value.host(), ImageOf(clients, rollout.settings(), row->value)});
      if (found == pulls.end()) return false;
      tenant.set_host(row->value.host());
      tenant.set_from_image(ImageInForce(clients, row->value));
      tenant.set_to_image(found->second.pinned);
      if (RunsAlready(clients, found->second, tenant.tenant())) why = "it has the image already";
    }
    if (why.empty()) why = WhyLeftAlone(tables, tenant.tenant(), tenant.to_image());
    if (why.empty()) continue;
    tenant.set_state(v1::ROLLOUT_TENANT_STATE_SKIPPED);
    tenant.set_message(why);
  }
  return true;
}

}  // namespace

std::set<std::string> LabelledCanaries(const Tables& tables, const v1::Rollout& rollout) {
  std::set<std::string> canaries;
  for (const v1::RolloutTenant& tenant : rollout.tenants()) {
    const auto row = tables.tenants.Get(tenant.tenant());
    if (!row.ok()) continue;
    const auto label = row->value.spec().labels().find("canary");
    if (label != row->value.spec().labels().end() && label->second == "true") {
      canaries.insert(tenant.tenant());
    }
  }
  return canaries;
}

StepResult ResolveImages(const RolloutClients& clients, StepContext& context) {
  const Tables tables(clients.store);
  const std::string id = OperationIdOf(context);
  const auto row = tables.rollouts.Get(id);
  if (!row.ok()) return StepResult::Fail(row.status());
  state::v1::RolloutRecord record = row->value;
  v1::Rollout& rollout = *record.mutable_rollout();
  if (rollout.state() == v1::ROLLOUT_STATE_ABORTING) return CancelItself(clients, id);
  Pulls pulls = PullsOf(clients, rollout);
  StepResult result = RunAll(clients, context, !rollout.settings().no_pull(), pulls);
  if (result.kind != StepResult::Kind::kDone) return result;
  if (const absl::Status same = CheckSame(pulls); !same.ok()) return StepResult::Fail(same);
  if (!Decide(clients, pulls, rollout)) return StepResult::Wait(absl::ZeroDuration());
  Arrange(LabelledCanaries(tables, rollout), MeantToRun(tables), rollout);
  rollout.set_message(DescribeProgress(rollout));
  context.txn().RequireRevision(tables.rollouts.Key(id), row->revision);
  tables.rollouts.Put(context.txn(), id, record);
  return StepResult::Done();
}

StepResult StopResolving(const RolloutClients& clients, StepContext& context) {
  const auto row = Tables(clients.store).rollouts.Get(OperationIdOf(context));
  if (!row.ok()) return StepResult::Done();
  for (const auto& [name, pull] : PullsOf(clients, row->value.rollout())) {
    // An image that comes all the same does no harm.
    (void)CancelThere(ContextFor(context, pull), *clients.agents, pull.host).status();
  }
  return StepResult::Done();
}

}  // namespace mtp
