#include "controller/rollouts/rollouts.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/base/ulid.h"
#include "common/kv/while_aborted.h"
#include "controller/operations/keys.h"
#include "controller/rollouts/request.h"
#include "controller/rollouts/resolve.h"
#include "controller/rollouts/rollout_kind.h"
#include "controller/rollouts/waves.h"
#include "controller/state/fleet.h"
#include "controller/tenants/request_hash.h"
#include "controller/tenants/validation.h"

namespace mtp {
namespace {

using google::protobuf::util::MessageDifferencer;

constexpr size_t kMaxEnded = 1000;
// One of a thousand tenants has some hundred KiB.
constexpr size_t kMaxEndedBytes = 16 << 20;
constexpr size_t kMaxDropped = 100;  // in one transaction
constexpr absl::string_view kPrefix = "rollouts/";
constexpr absl::string_view kRequests = "/requests/";

absl::StatusOr<std::string> ParseName(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, kPrefix) || !IsUlid(name)) {
    return absl::InvalidArgumentError(
        "a rollout is named rollouts/ and 26 letters and digits; see `mtp-cli rollout list`");
  }
  return std::string(name);
}

bool IsThatOne(const v1::Rollout& rollout, const std::vector<std::string>& tenants,
               const v1::RolloutSettings& settings) {
  std::set<std::string> names;
  for (const v1::RolloutTenant& tenant : rollout.tenants()) names.insert(tenant.tenant());
  return std::equal(names.begin(), names.end(), tenants.begin(), tenants.end()) &&
         MessageDifferencer::Equals(rollout.settings(), settings);
}

v1::Rollout Shown(const kv::Row<state::v1::RolloutRecord>& row) {
  v1::Rollout rollout = row.value.rollout();
  rollout.set_etag(Etag(row.revision));
  return rollout;
}

absl::Status HasEndedAlready(const v1::Rollout& rollout) {
  return absl::FailedPreconditionError(absl::StrCat(
      rollout.name(), " has ended already: ", rollout.message(), "; nothing is left to change"));
}

}  // namespace

absl::StatusOr<std::optional<Rollouts::Row>> Rollouts::Running() const {
  const auto lock = store_->Get(kRolloutLock);
  if (!lock.ok()) return std::optional<Row>();
  state::v1::LockRecord record;
  if (!record.ParseFromString(lock->value)) {
    return absl::DataLossError(absl::StrCat("the state of ", kRolloutLock, " cannot be read"));
  }
  auto row = tables_.rollouts.Get(record.operation());
  if (row.ok()) return std::optional<Row>(*std::move(row));
  if (!absl::IsNotFound(row.status())) return row.status();
  return absl::FailedPreconditionError(
      absl::StrCat("a rollout is going on as operation ", record.operation(),
                   "; wait for it or cancel it with `mtp-cli op cancel`"));
}

absl::StatusOr<v1::Rollout> Rollouts::Plan(const std::vector<std::string>& tenants,
                                           const v1::RolloutSettings& settings) const {
  v1::Rollout rollout;
  *rollout.mutable_settings() = settings;
  rollout.set_state(v1::ROLLOUT_STATE_RUNNING);
  rollout.set_message("images are brought onto the hosts");
  const v1::RolloutTenant* left_alone = nullptr;
  bool any = false;
  for (const std::string& name : tenants) {
    const auto row = tables_.tenants.Get(name);
    if (absl::IsNotFound(row.status())) return NoSuchTenant(name);
    if (!row.ok()) return row.status();
    v1::RolloutTenant& tenant = *rollout.add_tenants();
    tenant.set_tenant(name);
    tenant.set_host(row->value.host());
    tenant.set_from_image(row->value.resolved().image());
    tenant.set_message(WhyLeftAlone(tables_, name, ""));
    tenant.set_state(tenant.message().empty() ? v1::ROLLOUT_TENANT_STATE_PENDING
                                              : v1::ROLLOUT_TENANT_STATE_SKIPPED);
    any = any || tenant.message().empty();
    if (!tenant.message().empty()) left_alone = &tenant;
  }
  if (!any) {
    return absl::FailedPreconditionError(absl::StrCat(
        "no tenant is to be updated; ", left_alone->tenant(), ": ", left_alone->message()));
  }
  Arrange(LabelledCanaries(tables_, rollout), MeantToRun(tables_), rollout);
  return rollout;
}

absl::Status Rollouts::DropOldest(kv::Txn& txn) const {
  MTP_ASSIGN_OR_RETURN(const auto rows, tables_.rollouts.List());
  std::vector<std::pair<std::string, size_t>> ended;  // oldest first, with their bytes
  size_t bytes = 0;
  for (const auto& row : rows) {
    if (!HasEnded(row.value.rollout())) continue;
    ended.emplace_back(row.id, row.value.ByteSizeLong());
    bytes += ended.back().second;
  }
  size_t left = ended.size();
  for (const auto& [id, size] : ended) {
    if (txn.deletes.size() == kMaxDropped || (left < kMaxEnded && bytes <= kMaxEndedBytes)) break;
    txn.Delete(tables_.rollouts.Key(id));
    --left;
    bytes -= size;
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Rollout> Rollouts::Join(const std::string& caller, const std::string& request_id,
                                           const std::string& request_hash, const Row& running) {
  if (request_id.empty()) return Shown(running);
  // A retry has to get it when it has ended, too.
  state::v1::RequestRecord request;
  request.set_operation(running.id);
  request.set_request_hash(request_hash);
  const std::string key = operations::RequestKey(caller, request_id);
  kv::Txn txn;
  txn.RequireAbsent(key).Put(key, request.SerializeAsString());
  txn.RequireRevision(tables_.rollouts.Key(running.id), running.revision);
  MTP_RETURN_IF_ERROR(store_->Commit(txn).status());
  return Shown(running);
}

absl::Status Rollouts::ForgetOldJoins() {
  // The engine forgets the request that has made an operation, with it; the joined ones are ours.
  kv::Txn txn;
  for (const kv::Entry& entry : store_->List(kRequests)) {
    state::v1::RequestRecord request;
    if (!request.ParseFromString(entry.value) || engine_->Get(request.operation()).ok()) continue;
    txn.RequireRevision(entry.key, entry.mod_revision).Delete(entry.key);
    if (txn.deletes.size() == kMaxDropped) break;
  }
  return txn.deletes.empty() ? absl::OkStatus() : store_->Commit(txn).status();
}

absl::StatusOr<v1::Rollout> Rollouts::TryCreate(const std::string& caller,
                                                const v1::CreateRolloutRequest& request,
                                                const std::string& request_hash) {
  MTP_ASSIGN_OR_RETURN(const std::vector<std::string> tenants, WantedTenants(tables_, request));
  MTP_ASSIGN_OR_RETURN(const v1::RolloutSettings settings,
                       CompleteSettings(request.settings(), *repositories_));
  MTP_ASSIGN_OR_RETURN(const std::optional<Row> running, Running());
  if (running.has_value()) {
    const v1::Rollout& rollout = running->value.rollout();
    if (!IsThatOne(rollout, tenants, settings)) {
      return absl::FailedPreconditionError(
          absl::StrCat(rollout.name(),
                       " is going on, and there is one rollout at a time; wait for "
                       "it or abort it: `mtp-cli rollout watch latest`"));
    }
    if (HasEnded(rollout)) return absl::AbortedError("it has ended this very moment");
    if (!request.validate_only()) {
      return Join(caller, request.request_id(), request_hash, *running);
    }
  }
  MTP_ASSIGN_OR_RETURN(v1::Rollout rollout, Plan(tenants, settings));
  if (request.validate_only()) return rollout;
  MTP_RETURN_IF_ERROR(ForgetOldJoins());
  operations::NewOperation operation;
  operation.id = NewUlid(*clock_, *random_);
  operation.kind = "rollout";
  operation.target = absl::StrCat(kPrefix, operation.id);
  operation.created_by = caller;
  operation.request_id = request.request_id();
  operation.request_hash = request_hash;
  operation.locks.emplace_back(kRolloutLock);
  rollout.set_name(operation.target);
  rollout.set_operation(absl::StrCat("operations/", operation.id));
  rollout.set_created_by(caller);
  *rollout.mutable_create_time() = ToTimestamp(clock_->Now());
  state::v1::RolloutRecord record;
  *record.mutable_rollout() = rollout;
  kv::Txn txn;
  txn.RequireAbsent(tables_.rollouts.Key(operation.id));
  tables_.rollouts.Put(txn, operation.id, record);
  MTP_RETURN_IF_ERROR(DropOldest(txn));
  const auto created = engine_->Create(operation, std::move(txn));
  // Another one was faster: it may be the very same.
  if (absl::IsFailedPrecondition(created.status())) {
    return absl::AbortedError(created.status().message());
  }
  if (!created.ok()) return created.status();
  return Get(absl::StrCat(kPrefix, absl::StripPrefix(created->name(), "operations/")));
}

absl::StatusOr<v1::Rollout> Rollouts::Create(const std::string& caller,
                                             const v1::CreateRolloutRequest& request) {
  MTP_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  const std::string hash = RequestHash(request);
  return kv::WhileAborted([&]() -> absl::StatusOr<v1::Rollout> {
    const auto earlier = engine_->FindRequest(caller, request.request_id(), hash);
    if (earlier.ok()) {
      return Get(absl::StrCat(kPrefix, absl::StripPrefix(earlier->name(), "operations/")));
    }
    if (!absl::IsNotFound(earlier.status())) return earlier.status();
    return TryCreate(caller, request, hash);
  });
}

absl::StatusOr<Rollouts::Row> Rollouts::Find(const std::string& name) const {
  MTP_ASSIGN_OR_RETURN(const std::string id, ParseName(name));
  auto row = tables_.rollouts.Get(id);
  if (absl::IsNotFound(row.status())) {
    return absl::NotFoundError(absl::StrCat("there is no rollout ", id,
                                            ", or it ended too long ago to be kept; `mtp-cli "
                                            "rollout list` shows all"));
  }
  return row;
}

absl::StatusOr<v1::Rollout> Rollouts::Get(const std::string& name) const {
  MTP_ASSIGN_OR_RETURN(const Row row, Find(name));
  return Shown(row);
}

absl::StatusOr<std::vector<v1::Rollout>> Rollouts::List() const {
  MTP_ASSIGN_OR_RETURN(const auto rows, tables_.rollouts.List());
  std::vector<v1::Rollout> rollouts;
  rollouts.reserve(rows.size());
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) rollouts.push_back(Shown(*row));
  return rollouts;
}

absl::StatusOr<v1::Rollout> Rollouts::SetState(
    const std::string& name,
    const std::function<absl::StatusOr<v1::RolloutState>(const v1::Rollout&)>& next) {
  return kv::WhileAborted([&]() -> absl::StatusOr<v1::Rollout> {
    MTP_ASSIGN_OR_RETURN(const Row row, Find(name));
    MTP_ASSIGN_OR_RETURN(const v1::RolloutState state, next(row.value.rollout()));
    if (state == row.value.rollout().state()) return Shown(row);
    state::v1::RolloutRecord record = row.value;
    record.mutable_rollout()->set_state(state);
    if (state == v1::ROLLOUT_STATE_ABORTED) {
      *record.mutable_rollout()->mutable_end_time() = ToTimestamp(clock_->Now());
    }
    kv::Txn txn;
    txn.RequireRevision(tables_.rollouts.Key(row.id), row.revision);
    tables_.rollouts.Put(txn, row.id, record);
    MTP_RETURN_IF_ERROR(store_->Commit(txn).status());
    engine_->Wake(row.id);
    return Get(name);
  });
}

absl::StatusOr<v1::Rollout> Rollouts::Pause(const std::string& name) {
  return SetState(name, [](const v1::Rollout& rollout) -> absl::StatusOr<v1::RolloutState> {
    if (HasEnded(rollout)) return HasEndedAlready(rollout);
    if (rollout.state() == v1::ROLLOUT_STATE_ABORTING) return v1::ROLLOUT_STATE_ABORTING;
    return v1::ROLLOUT_STATE_PAUSED;
  });
}

absl::StatusOr<v1::Rollout> Rollouts::Resume(const std::string& name) {
  return SetState(name, [](const v1::Rollout& rollout) -> absl::StatusOr<v1::RolloutState> {
    if (HasEnded(rollout)) return HasEndedAlready(rollout);
    if (rollout.state() == v1::ROLLOUT_STATE_ABORTING) {
      return absl::FailedPreconditionError(
          absl::StrCat(rollout.name(), " is being aborted; begin a new one when it has ended"));
    }
    return v1::ROLLOUT_STATE_RUNNING;
  });
}

absl::StatusOr<v1::Rollout> Rollouts::Abort(const std::string& name) {
  MTP_ASSIGN_OR_RETURN(
      v1::Rollout rollout,
      SetState(name, [](const v1::Rollout& now) -> absl::StatusOr<v1::RolloutState> {
        return HasEnded(now) ? now.state() : v1::ROLLOUT_STATE_ABORTING;
      }));
  if (HasEnded(rollout)) return rollout;
  const std::string id(absl::StripPrefix(name, kPrefix));
  const absl::Status asked = engine_->Cancel(id).status();
  if (!absl::IsNotFound(asked)) {
    MTP_RETURN_IF_ERROR(asked);
    return Get(name);
  }
  // Nobody carries it out any more: the state was put back from a backup.
  return SetState(name, [](const v1::Rollout& now) -> absl::StatusOr<v1::RolloutState> {
    return HasEnded(now) ? now.state() : v1::ROLLOUT_STATE_ABORTED;
  });
}

absl::StatusOr<std::unique_ptr<kv::Watch>> Rollouts::Watch(
    const std::string& name, int64_t after_revision, std::function<void(v1::Rollout)> show) const {
  MTP_ASSIGN_OR_RETURN(const std::string id, ParseName(name));
  return store_->WatchPrefix(
      tables_.rollouts.Key(id), after_revision,
      [show = std::move(show), table = tables_.rollouts](const std::vector<kv::Event>& events) {
        for (const kv::Event& event : events) {
          if (event.kind != kv::Event::Kind::kPut) continue;
          if (const auto row = table.Parse(event.entry); row.ok()) show(Shown(*row));
        }
      });
}

}  // namespace mtp
