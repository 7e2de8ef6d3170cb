#include "controller/recovery/adjust.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <limits>
#include <map>

#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "controller/state/tables.h"

namespace mtp {
namespace {

constexpr char kWhy[] =
    "the controller was lost while this went on and was recovered from a copy of its state; see "
    "what became of it with `mtp-cli status`, and ask for it again if it is still wanted";

absl::Status Lost() { return absl::AbortedError(kWhy); }

int64_t Raised(int64_t epoch, absl::Time now) {
  const bool at_its_end = epoch == std::numeric_limits<int64_t>::max();
  return std::max(at_its_end ? epoch : epoch + 1, absl::ToUnixSeconds(now));
}

bool EndOperation(state::v1::OperationRecord* record, absl::Time now) {
  v1::Operation& operation = *record->mutable_operation();
  if (operation.has_end_time()) return false;
  operation.set_state(v1::OPERATION_STATE_FAILED);
  *operation.mutable_error() = ToError(Lost());
  operation.set_message(kWhy);
  *operation.mutable_end_time() = ToTimestamp(now);
  *operation.mutable_update_time() = ToTimestamp(now);
  for (v1::OperationStep& step : *operation.mutable_steps()) {
    if (step.state() != v1::STEP_STATE_RUNNING) continue;
    step.set_state(v1::STEP_STATE_FAILED);
    *step.mutable_end_time() = ToTimestamp(now);
  }
  // They were released with the copy: locks are in none.
  record->clear_locks();
  return true;
}

bool EndRollout(state::v1::RolloutRecord* record, absl::Time now) {
  v1::Rollout& rollout = *record->mutable_rollout();
  if (rollout.has_end_time()) return false;
  rollout.set_state(v1::ROLLOUT_STATE_FAILED);
  *rollout.mutable_error() = ToError(Lost());
  rollout.set_message(kWhy);
  *rollout.mutable_end_time() = ToTimestamp(now);
  for (v1::RolloutTenant& tenant : *rollout.mutable_tenants()) {
    if (tenant.state() == v1::ROLLOUT_TENANT_STATE_UPDATING) {
      tenant.set_state(v1::ROLLOUT_TENANT_STATE_FAILED);
      tenant.set_message(kWhy);
    }
  }
  return true;
}

// Names that the copy does not know may have been used since: no new epoch is below this one.
void RaiseEveryName(state::v1::StateCopy* copy, absl::Time now) {
  const std::string key = absl::StrCat("/epochs/", kEveryName);
  for (const auto& record : copy->records()) {
    if (record.key() == key) return;  // of an earlier recovery, raised with the others
  }
  state::v1::EpochRecord epoch;
  epoch.set_epoch(Raised(0, now));
  auto* record = copy->add_records();
  record->set_key(key);
  record->set_value(epoch.SerializeAsString());
}

// Of operations that are no more: a drill's sandbox, the old place of a tenant that failed over.
bool ReleaseOrphans(state::v1::AllocationsRecord* record, absl::string_view host,
                    const std::map<std::string, std::string>& tenants) {
  auto* list = record->mutable_allocations();
  const int before = list->size();
  for (int i = before - 1; i >= 0; --i) {
    const auto tenant = tenants.find(list->Get(i).tenant());
    if (tenant == tenants.end() || tenant->second != host) list->DeleteSubrange(i, 1);
  }
  return list->size() != before;
}

// Each with its host.
std::map<std::string, std::string> TenantsOf(const state::v1::StateCopy& copy) {
  std::map<std::string, std::string> tenants;
  for (const auto& record : copy.records()) {
    absl::string_view key = record.key();
    state::v1::TenantRecord tenant;
    if (absl::ConsumePrefix(&key, "/tenants/") && tenant.ParseFromString(record.value())) {
      tenants.emplace(key, tenant.host());
    }
  }
  return tenants;
}

// Changes the record's message by `change` when that says that it did.
template <typename Message, typename Change>
void Adjust(state::v1::StateCopy::Record* record, Change change) {
  Message message;
  if (!message.ParseFromString(record->value())) return;
  if (change(message)) record->set_value(message.SerializeAsString());
}

}  // namespace

std::vector<Interrupted> AdjustState(state::v1::StateCopy* copy, const SecretBox& box,
                                     absl::Time now) {
  const std::map<std::string, std::string> tenants = TenantsOf(*copy);
  std::vector<Interrupted> interrupted;
  for (auto& record : *copy->mutable_records()) {
    const std::string& key = record.key();
    if (absl::StartsWith(key, "/operations/")) {
      Adjust<state::v1::OperationRecord>(&record, [&](state::v1::OperationRecord& operation) {
        if (!EndOperation(&operation, now)) return false;
        interrupted.push_back({std::string(absl::StripPrefix(key, "/operations/")),
                               operation.operation().kind(), operation.operation().target()});
        return true;
      });
    } else if (absl::StartsWith(key, "/rollouts/")) {
      Adjust<state::v1::RolloutRecord>(
          &record, [&](state::v1::RolloutRecord& rollout) { return EndRollout(&rollout, now); });
    } else if (absl::StartsWith(key, "/allocations/")) {
      Adjust<state::v1::AllocationsRecord>(&record, [&](state::v1::AllocationsRecord& reserved) {
        return ReleaseOrphans(&reserved, absl::StripPrefix(key, "/allocations/"), tenants);
      });
    } else if (absl::StartsWith(key, "/tenants/")) {
      Adjust<state::v1::TenantRecord>(&record, [&](state::v1::TenantRecord& tenant) {
        tenant.set_epoch(Raised(tenant.epoch(), now));
        return true;
      });
    } else if (absl::StartsWith(key, "/epochs/")) {
      Adjust<state::v1::EpochRecord>(&record, [&](state::v1::EpochRecord& epoch) {
        epoch.set_epoch(Raised(epoch.epoch(), now));
        return true;
      });
    } else if (record.secrets() > 0 && record.secrets() <= copy->secrets_size()) {
      Adjust<state::v1::BackupRecord>(&record, [&](state::v1::BackupRecord& backup) {
        backup.set_sealed_secrets(box.Seal(copy->secrets(record.secrets() - 1), key));
        return true;
      });
    }
  }
  RaiseEveryName(copy, now);
  return interrupted;
}

}  // namespace mtp
