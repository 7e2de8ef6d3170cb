#include "tests/simulation/fleet_judge.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/util/message_differencer.h>

#include <set>

#include "common/base/names.h"
#include "common/base/timestamps.h"
#include "controller/tenants/secrets.h"

namespace mtp::simulation {
namespace {

template <typename Message>
std::vector<kv::Row<Message>> Rows(const kv::Table<Message>& table) {
  auto rows = table.List();
  return rows.ok() ? *std::move(rows) : std::vector<kv::Row<Message>>();
}

}  // namespace

FleetJudge::FleetJudge(kv::Store* disk, Judge* judge, const SimAgents* agents,
                       const SimEngines* engines)
    : tables_(disk), judge_(judge), agents_(agents), engines_(engines) {
  watch_ = *disk->WatchPrefix("/", disk->Revision(),
                              [this](const std::vector<kv::Event>& events) { OnEvents(events); });
}

void FleetJudge::BeforeEffect(const std::string& host, const v1::EnsureActionRequest& request,
                              const std::string& kind) {
  const TenantView view = engines_->View(host, request.tenant());
  const bool starts = request.has_start() || request.has_restart();
  if (starts && !view.container) {
    judge_->Violation(absl::StrCat(request.key(), " starts what is not there"));
  }
  // Archives are of removals only.
  const bool still = request.has_backup() || (request.has_snapshot() && kind == "remove") ||
                     (request.has_snapshot() && absl::EndsWith(request.key(), "/final-backup"));
  if (still && (!view.container || view.Runs())) {
    judge_->Violation(absl::StrCat(request.key(), " backs up a tenant that is not stopped"));
  }
  if (request.has_snapshot() && !view.data) {
    judge_->Violation(absl::StrCat(request.key(), " backs up a tenant that is not there"));
  }
  if (request.has_remove()) CheckRemoval(request);
  if (request.action_case() == v1::EnsureActionRequest::ACTION_NOT_SET) {
    judge_->Violation(absl::StrCat(request.key(), " asks for nothing"));
  }
}

void FleetJudge::CheckRemoval(const v1::EnsureActionRequest& request) {
  const size_t at = request.key().find("/remove-from-host");
  if (at == std::string::npos) return;
  const std::string id = request.key().substr(0, at);
  if (agents_->effects().count(id + "/backup") == 0) {
    judge_->Violation(absl::StrCat(request.key(), " removes without a backup"));
  }
  if (has_repository_ && !tables_.backups.Get(id).ok()) {
    judge_->Violation(absl::StrCat(request.key(), " removes before its backup is recorded"));
  }
}

void FleetJudge::AfterEffect(const std::string&, const v1::EnsureActionRequest& request) {
  if (!request.tenant().empty()) CheckRunning(request.tenant());
}

void FleetJudge::CheckRunning(const std::string& tenant) {
  int copies = 0;
  std::map<std::string, int> pollers;
  for (const auto& [host, engine] : engines_->containers()) {
    for (const auto& [name, container] : engine) {
      if (!container.running) continue;
      if (name == tenant) ++copies;
      if (++pollers[container.bot_token.substr(0, container.bot_token.find(':'))] > 1) {
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
    // A sandbox publishes none.
    if (allocation.port() == 0) continue;
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
    // Only on an operator's word: whether it is meant to run, its memory, its image, its
    // environment.
    v1::TenantSpec was = before->second.spec();
    was.set_run_policy(record.spec().run_policy());
    if (IsHeldBy(name, "set")) {
      was.set_memory_reservation_mib(record.spec().memory_reservation_mib());
      was.set_memory_limit_mib(record.spec().memory_limit_mib());
    }
    if (IsHeldBy(name, "update")) was.set_image(record.spec().image());
    if (IsHeldBy(name, "reconfigure")) {
      *was.mutable_environment() = record.spec().environment();
    }
    if (!google::protobuf::util::MessageDifferencer::Equals(was, record.spec())) {
      judge_->Violation(absl::StrCat("the spec of ", name, " was rewritten"));
    }
    if (record.epoch() < before->second.epoch()) {
      judge_->Violation(absl::StrCat("the epoch of ", name, " went back"));
    }
  }
  const auto allocations = tables_.allocations.Get(record.host());
  int64_t reserved_mib = -1;
  if (allocations.ok()) {
    for (const auto& allocation : allocations->value.allocations()) {
      if (allocation.tenant() == name) reserved_mib = allocation.memory_mib();
    }
  }
  if (reserved_mib < record.resolved().memory_reservation_mib()) {
    judge_->Violation(absl::StrCat(name, " is promised ",
                                   record.resolved().memory_reservation_mib(), " MiB and has ",
                                   reserved_mib, " reserved"));
  }
  tenants_[name] = record;
}

bool FleetJudge::IsHeldBy(const std::string& tenant, const std::string& kind) const {
  const auto lock = tables_.locks.Get(absl::StrCat("tenants/", tenant));
  if (!lock.ok()) return false;
  const auto holder = tables_.operations.Get(lock->value.operation());
  return holder.ok() && holder->value.operation().kind() == kind;
}

void FleetJudge::Conclude() {
  ConcludeTenants();
  ConcludeClaims();
  ConcludeRunning();
  ConcludeRepositories(tables_, *engines_, judge_);
}

void FleetJudge::ConcludeTenants() {
  for (const auto& row : Rows(tables_.tenants)) {
    if (!row.value.provisioned()) {
      judge_->Violation(absl::StrCat(row.id, " is in the store and was never provisioned"));
    }
    ConcludeContainer(row.id, row.value);
  }
  for (const auto& [host, engine] : engines_->containers()) {
    for (const auto& [tenant, container] : engine) {
      const auto row = tables_.tenants.Get(tenant);
      if (!row.ok() || row->value.host() != host) {
        judge_->Violation(absl::StrCat("the container of ", tenant, " on ", host, " is an orphan"));
      }
    }
  }
}

void FleetJudge::ConcludeContainer(const std::string& tenant,
                                   const state::v1::TenantRecord& record) {
  const TenantView view = engines_->View(record.host(), tenant);
  if (!view.container || !view.data) {
    judge_->Violation(absl::StrCat(tenant, " has no container on ", record.host()));
    return;
  }
  const int image = engines_->Meaning(record.host(), record.resolved().image());
  if (image != view.container->image) {
    judge_->Violation(
        absl::StrCat(tenant, " has image ", view.container->image, " and its record says ", image));
  }
  if (view.container->limit_mib != record.resolved().memory_limit_mib()) {
    judge_->Violation(absl::StrCat(tenant, " is limited to ", view.container->limit_mib,
                                   " MiB and its record says ",
                                   record.resolved().memory_limit_mib()));
  }
  ConcludeSecrets(tenant, *view.container);
  if (view.container->image < view.data->format) {
    judge_->Violation(absl::StrCat(tenant, " has an image that is older than its state"));
  }
  if (engines_->FlawOf(view.container->image) != Flaw::kNone) {
    judge_->Violation(absl::StrCat(tenant, " has a bad image"));
  }
}

// The container has the present ones, whatever was begun and undone meanwhile.
void FleetJudge::ConcludeSecrets(const std::string& tenant, const Container& container) {
  const auto row = tables_.secrets.Get(tenant);
  if (!row.ok()) return;  // missing among the claims
  const auto secrets = OpenTenantSecrets(*box_, row->value.sealed(), tables_.secrets.Key(tenant));
  if (!secrets.ok() || secrets->telegram_token() != container.bot_token) {
    judge_->Violation(absl::StrCat(tenant, " runs with another bot token than it is to have"));
  }
}

void FleetJudge::ConcludeClaims() {
  std::set<std::string> expected;
  for (const auto& row : Rows(tables_.tenants)) {
    const std::string prefix = TenantName::Parse(row.id)->EnvPrefixKey();
    expected.insert(
        {absl::StrCat("bot ", row.value.bot_fingerprint(), " ", row.id),
         absl::StrCat("prefix ", prefix, " ", row.id), absl::StrCat("secrets ", row.id),
         absl::StrCat("allocation ", row.value.host(), " ", row.id, " ", row.value.port(), " ",
                      row.value.resolved().memory_reservation_mib())});
  }
  std::set<std::string> actual;
  for (const auto& row : Rows(tables_.bots)) {
    actual.insert(absl::StrCat("bot ", row.id, " ", row.value.tenant()));
  }
  for (const auto& row : Rows(tables_.env_prefixes)) {
    actual.insert(absl::StrCat("prefix ", row.id, " ", row.value.tenant()));
  }
  for (const auto& row : Rows(tables_.secrets)) actual.insert(absl::StrCat("secrets ", row.id));
  for (const auto& row : Rows(tables_.next_secrets)) {
    actual.insert(absl::StrCat("next secrets ", row.id));
  }
  for (const auto& row : Rows(tables_.allocations)) {
    for (const auto& allocation : row.value.allocations()) {
      actual.insert(absl::StrCat("allocation ", row.id, " ", allocation.tenant(), " ",
                                 allocation.port(), " ", allocation.memory_mib()));
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
  static const auto* const kinds = new std::set<std::string>{
      "provision", "remove", "start", "stop", "restart", "restore", "update"};
  // By tenant, the operation that ended last in the store's order of revisions.
  std::map<std::string, kv::Row<state::v1::OperationRecord>> last;
  for (auto& row : Rows(tables_.operations)) {
    if (kinds->count(row.value.operation().kind()) == 0) continue;
    const std::string& target = row.value.operation().target();
    const auto found = last.find(target);
    if (found == last.end() || found->second.revision < row.revision)
      last.insert_or_assign(target, row);
  }
  for (const auto& [target, row] : last) {
    const v1::Operation& operation = row.value.operation();
    // A restore leaves a stopped tenant stopped; its own judge looks at that.
    if (operation.state() != v1::OPERATION_STATE_SUCCEEDED || operation.kind() == "remove" ||
        operation.kind() == "restore")
      continue;
    const std::string tenant = target.substr(sizeof("tenants/") - 1);
    const auto record = tables_.tenants.Get(tenant);
    if (!record.ok()) continue;
    const bool runs = engines_->View(record->value.host(), tenant).Runs();
    if (runs != (operation.kind() != "stop")) {
      judge_->Violation(absl::StrCat(tenant, runs ? " runs" : " does not run", " after a ",
                                     operation.kind(), " that succeeded"));
    }
  }
}

void ConcludeRepositories(const Tables& tables, const SimEngines& engines, Judge* judge) {
  for (const auto& [id, snapshot] : engines.repository()) {
    if (!tables.backups.Get(id).ok() && !tables.left_snapshots.Get(id).ok()) {
      judge->Violation(
          absl::StrCat("snapshot ", id, " of ", snapshot.tenant, " is in no catalogue"));
    }
  }
}

}  // namespace mtp::simulation
