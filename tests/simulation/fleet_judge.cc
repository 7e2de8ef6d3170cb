#include "tests/simulation/fleet_judge.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/util/message_differencer.h>

#include <set>

#include "common/base/names.h"
#include "common/base/timestamps.h"

namespace mtp::simulation {
namespace {

template <typename Message>
std::vector<kv::Row<Message>> Rows(const kv::Table<Message>& table) {
  auto rows = table.List();
  return rows.ok() ? *std::move(rows) : std::vector<kv::Row<Message>>();
}

}  // namespace

FleetJudge::FleetJudge(kv::Store* disk, Judge* judge, const SimAgents* agents, Plant plant)
    : tables_(disk), judge_(judge), agents_(agents), plant_(plant) {
  watch_ = *disk->WatchPrefix("/", disk->Revision(),
                              [this](const std::vector<kv::Event>& events) { OnEvents(events); });
}

void FleetJudge::OnEffect(const std::string& host, const v1::EnsureActionRequest& request,
                          v1::ActionState state) {
  if (state == v1::ACTION_STATE_FAILED || state == v1::ACTION_STATE_CANCELLED) return;
  const bool done = state == v1::ACTION_STATE_DONE;
  std::map<std::string, Container>& engine = engines_[host];
  const std::string& tenant = request.tenant();
  const auto found = engine.find(tenant);
  const bool present = found != engine.end();
  switch (request.action_case()) {
    case v1::EnsureActionRequest::kApply:
      engine[tenant] = {true, request.apply().secrets().telegram_token()};
      break;
    case v1::EnsureActionRequest::kStart:
    case v1::EnsureActionRequest::kRestart:
      if (!present) judge_->Violation(absl::StrCat(request.key(), " starts what is not there"));
      if (present) found->second.running = done || request.has_start();
      break;
    case v1::EnsureActionRequest::kStop:
      if (present) found->second.running = false;
      break;
    case v1::EnsureActionRequest::kBackup:
    // The only ones here are those of removals.
    case v1::EnsureActionRequest::kSnapshot:
      if (!present || found->second.running) {
        judge_->Violation(absl::StrCat(request.key(), " backs up a tenant that is not stopped"));
      }
      break;
    case v1::EnsureActionRequest::kVerify:
    case v1::EnsureActionRequest::kForget:
    case v1::EnsureActionRequest::kPull:
    case v1::EnsureActionRequest::kDrill:
    case v1::EnsureActionRequest::kSoak:
    case v1::EnsureActionRequest::kLimit:
    case v1::EnsureActionRequest::kCheck:
      break;
    case v1::EnsureActionRequest::kRestore:
      if (present) found->second.running = false;
      break;
    case v1::EnsureActionRequest::kRemove: {
      const size_t at = request.key().find("/remove-from-host");
      if (at != std::string::npos &&
          agents_->effects().count(request.key().substr(0, at) + "/backup") == 0) {
        judge_->Violation(absl::StrCat(request.key(), " removes without a backup"));
      }
      if (at != std::string::npos && has_repository_ &&
          !tables_.backups.Get(request.key().substr(0, at)).ok()) {
        judge_->Violation(absl::StrCat(request.key(), " removes before its backup is recorded"));
      }
      if (done && plant_ != Plant::kRemoveIgnored) {
        engine.erase(tenant);
      } else if (present) {
        found->second.running = false;
      }
      break;
    }
    case v1::EnsureActionRequest::ACTION_NOT_SET:
      judge_->Violation(absl::StrCat(request.key(), " asks for nothing"));
      break;
  }
  CheckRunning(tenant);
}

void FleetJudge::CheckRunning(const std::string& tenant) {
  int copies = 0;
  std::map<std::string, int> pollers;
  for (const auto& [host, engine] : engines_) {
    for (const auto& [name, container] : engine) {
      if (!container.running) continue;
      if (name == tenant) ++copies;
      if (++pollers[container.bot_token] > 1) {
        judge_->Violation(absl::StrCat("two containers poll the bot of ", name));
      }
    }
  }
  if (copies > 1) judge_->Violation(absl::StrCat(tenant, " runs ", copies, " times"));
}

void FleetJudge::OnEvents(const std::vector<kv::Event>& events) {
  for (const kv::Event& event : events) {
    const std::string& key = event.entry.key;
    const bool put = event.kind == kv::Event::Kind::kPut;
    if (absl::StartsWith(key, tables_.allocations.prefix())) {
      CheckAllocations(key.substr(tables_.allocations.prefix().size()));
    } else if (absl::StartsWith(key, tables_.tenants.prefix())) {
      const std::string name = key.substr(tables_.tenants.prefix().size());
      if (put) {
        CheckTenant(name, event.entry.value);
      } else {
        tenants_.erase(name);
      }
    }
  }
}

void FleetJudge::CheckAllocations(const std::string& host) {
  const auto row = tables_.allocations.Get(host);
  if (!row.ok()) return;
  int64_t sum = 0;
  std::set<int32_t> ports;
  for (const auto& allocation : row->value.allocations()) {
    sum += allocation.memory_mib();
    if (!ports.insert(allocation.port()).second) {
      judge_->Violation(absl::StrCat("port ", allocation.port(), " of ", host, " is given twice"));
    }
  }
  if (sum > allocatable_mib_[host]) {
    judge_->Violation(
        absl::StrCat(sum, " MiB are reserved on ", host, ", which has ", allocatable_mib_[host]));
  }
}

void FleetJudge::CheckTenant(const std::string& name, const std::string& value) {
  state::v1::TenantRecord record;
  record.ParseFromString(value);
  const auto before = tenants_.find(name);
  if (before == tenants_.end()) {
    if (record.epoch() <= epochs_[name]) {
      judge_->Violation(absl::StrCat(name, " is placed under epoch ", record.epoch(), " again"));
    }
    epochs_[name] = record.epoch();
  } else {
    // Only whether it is meant to run may change, and that on an operator's word.
    v1::TenantSpec was = before->second.spec();
    was.set_run_policy(record.spec().run_policy());
    if (!google::protobuf::util::MessageDifferencer::Equals(was, record.spec())) {
      judge_->Violation(absl::StrCat("the spec of ", name, " was rewritten"));
    }
    if (record.epoch() < before->second.epoch()) {
      judge_->Violation(absl::StrCat("the epoch of ", name, " went back"));
    }
  }
  tenants_[name] = record;
}

void FleetJudge::Conclude() {
  ConcludeTenants();
  ConcludeClaims();
  ConcludeRunning();
}

void FleetJudge::ConcludeTenants() {
  for (const auto& row : Rows(tables_.tenants)) {
    if (!row.value.provisioned()) {
      judge_->Violation(absl::StrCat(row.id, " is in the store and was never provisioned"));
    }
    if (engines_[row.value.host()].count(row.id) == 0) {
      judge_->Violation(absl::StrCat(row.id, " has no container on ", row.value.host()));
    }
  }
  for (const auto& [host, engine] : engines_) {
    for (const auto& [tenant, container] : engine) {
      const auto row = tables_.tenants.Get(tenant);
      if (!row.ok() || row->value.host() != host) {
        judge_->Violation(absl::StrCat("the container of ", tenant, " on ", host, " is an orphan"));
      }
    }
  }
}

void FleetJudge::ConcludeClaims() {
  std::set<std::string> expected;
  for (const auto& row : Rows(tables_.tenants)) {
    const std::string prefix = TenantName::Parse(row.id)->EnvPrefixKey();
    expected.insert(
        {absl::StrCat("bot ", row.value.bot_fingerprint(), " ", row.id),
         absl::StrCat("prefix ", prefix, " ", row.id), absl::StrCat("secrets ", row.id),
         absl::StrCat("allocation ", row.value.host(), " ", row.id, " ", row.value.port())});
  }
  std::set<std::string> actual;
  for (const auto& row : Rows(tables_.bots)) {
    actual.insert(absl::StrCat("bot ", row.id, " ", row.value.tenant()));
  }
  for (const auto& row : Rows(tables_.env_prefixes)) {
    actual.insert(absl::StrCat("prefix ", row.id, " ", row.value.tenant()));
  }
  for (const auto& row : Rows(tables_.secrets)) actual.insert(absl::StrCat("secrets ", row.id));
  for (const auto& row : Rows(tables_.allocations)) {
    for (const auto& allocation : row.value.allocations()) {
      actual.insert(
          absl::StrCat("allocation ", row.id, " ", allocation.tenant(), " ", allocation.port()));
    }
  }
  for (const std::string& claim : expected) {
    if (actual.count(claim) == 0) judge_->Violation(absl::StrCat("missing: ", claim));
  }
  for (const std::string& claim : actual) {
    if (expected.count(claim) == 0) judge_->Violation(absl::StrCat("left over: ", claim));
  }
}

void FleetJudge::ConcludeRunning() {
  // By tenant, the operation that ended last in the store's order of revisions.
  std::map<std::string, kv::Row<state::v1::OperationRecord>> last;
  for (auto& row : Rows(tables_.operations)) {
    const std::string& target = row.value.operation().target();
    const auto found = last.find(target);
    if (found == last.end() || found->second.revision < row.revision)
      last.insert_or_assign(target, row);
  }
  for (const auto& [target, row] : last) {
    const v1::Operation& operation = row.value.operation();
    if (operation.state() != v1::OPERATION_STATE_SUCCEEDED || operation.kind() == "remove")
      continue;
    const std::string tenant = target.substr(sizeof("tenants/") - 1);
    const auto record = tables_.tenants.Get(tenant);
    if (!record.ok()) continue;
    const bool runs = engines_[record->value.host()][tenant].running;
    if (runs != (operation.kind() != "stop")) {
      judge_->Violation(absl::StrCat(tenant, runs ? " runs" : " does not run", " after a ",
                                     operation.kind(), " that succeeded"));
    }
  }
}

}  // namespace mtp::simulation
