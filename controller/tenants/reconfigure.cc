// Tenants::TryReconfigure: from a request to its operation. The tenant's record and its secrets
// stay as they are until the operation has succeeded; what it shall have lies beside them, sealed.
// Only a new bot is claimed at once, so that nobody else takes it meanwhile.
#include "controller/tenants/reconfigure.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>

#include <algorithm>

#include "common/base/durations.h"
#include "common/base/environment.h"
#include "common/base/status.h"
#include "common/base/words.h"
#include "controller/tenants/agent_steps.h"
#include "controller/tenants/claims.h"
#include "controller/tenants/kinds.h"
#include "controller/tenants/secrets.h"
#include "controller/tenants/tenants.h"
#include "controller/tenants/validation.h"

namespace mtp {
namespace {

constexpr absl::string_view kSecrets = "secrets.";
constexpr absl::string_view kEnvironment = "environment";
constexpr absl::string_view kPort = "port_unpublished";
constexpr absl::string_view kGatewayToken = "gateway_token";
constexpr absl::Duration kDefaultSoak = absl::Seconds(30);
constexpr absl::Duration kMaxSoak = absl::Hours(1);
// The secrets of all of them are replaced in one transaction (kv::kMaxChanges).
constexpr int kMaxBackups = 400;

// What a container is made of, as far as it can be changed here.
struct Making {
  v1::TenantSpec spec;
  v1::TenantSecrets secrets;
};

const google::protobuf::FieldDescriptor* SecretField(absl::string_view path) {
  if (!absl::ConsumePrefix(&path, kSecrets)) return nullptr;
  return v1::TenantSecrets::descriptor()->FindFieldByName(std::string(path));
}

absl::Status ChangeSecret(const google::protobuf::FieldDescriptor* field,
                          const v1::TenantSecrets& asked, Random& random,
                          v1::TenantSecrets* secrets) {
  if (field->name() == kGatewayToken) {
    secrets->set_gateway_token(absl::BytesToHexString(random.Bytes(32)));
    return absl::OkStatus();
  }
  const auto* reflection = asked.GetReflection();
  reflection->SetString(secrets, field, reflection->GetString(asked, field));
  if (!secrets->telegram_token().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("Telegram token: is missing; there is no tenant without a bot");
}

// `making` with what is asked for.
absl::Status Change(const v1::UpdateTenantRequest& request, Random& random, Making* making) {
  for (const std::string& path : request.update_mask().paths()) {
    if (const auto* field = SecretField(path)) {
      MTP_RETURN_IF_ERROR(ChangeSecret(field, request.secrets(), random, &making->secrets));
    } else if (path == kEnvironment) {
      *making->spec.mutable_environment() = request.spec().environment();
    } else if (path == kPort) {
      making->spec.set_port_unpublished(request.spec().port_unpublished());
    }
  }
  return absl::OkStatus();
}

// `telegram_token,environment`; empty when nothing differs.
std::string Differences(const Making& before, const Making& after) {
  std::string changed = ChangedSecrets(before.secrets, after.secrets);
  const auto add = [&changed](absl::string_view what) {
    absl::StrAppend(&changed, changed.empty() ? "" : ",", what);
  };
  if (!SameEnvironment(before.spec.environment(), after.spec.environment())) add(kEnvironment);
  if (before.spec.port_unpublished() != after.spec.port_unpublished()) add(kPort);
  return changed;
}

std::string Preview(const state::v1::TenantRecord& record, absl::string_view changed) {
  if (changed.empty()) return "it has these settings already; nothing would be done";
  const auto add_words = [](std::string* out, absl::string_view field) {
    absl::StrAppend(out, SettingName(field));
  };
  return absl::StrCat(record.spec().run_policy() == v1::RUN_POLICY_STOP
                          ? "it would have it at its next start on "
                          : "it would be started anew on ",
                      "host ", record.host(), " with another ",
                      absl::StrJoin(absl::StrSplit(changed, ','), ", another ", add_words));
}

absl::StatusOr<int64_t> SoakSeconds(const v1::UpdateTenantRequest& request) {
  const absl::Duration soak = request.has_soak() ? FromDuration(request.soak()) : kDefaultSoak;
  if (soak < absl::ZeroDuration() || soak > kMaxSoak) {
    return absl::InvalidArgumentError(
        absl::StrCat("the soak must be from 0 to ", absl::FormatDuration(kMaxSoak)));
  }
  return absl::ToInt64Seconds(absl::Ceil(soak, absl::Seconds(1)));
}

absl::Status CheckBackups(const Tables& tables, const std::string& tenant) {
  MTP_ASSIGN_OR_RETURN(const auto rows, tables.backups.List());
  const auto held = std::count_if(rows.begin(), rows.end(), [&](const auto& row) {
    return row.value.backup().tenant() == tenant;
  });
  if (held <= kMaxBackups) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(tenant, " has ", held, " backups, and a change of its secrets reaches at most ",
                   kMaxBackups, "; `mtp-cli backup prune ", tenant, "` removes old ones"));
}

}  // namespace

bool TakesNewContainer(absl::string_view path) {
  return path == kEnvironment || path == kPort || SecretField(path) != nullptr;
}

absl::StatusOr<v1::Operation> Tenants::TryReconfigure(const std::string& caller,
                                                      const kv::Row<state::v1::TenantRecord>& row,
                                                      const v1::UpdateTenantRequest& request,
                                                      const std::string& request_hash) {
  MTP_RETURN_IF_ERROR(CheckSecrets(request.secrets(), /*required=*/false));
  MTP_ASSIGN_OR_RETURN(const int64_t soak_s, SoakSeconds(request));
  MTP_ASSIGN_OR_RETURN(const auto sealed, tables_.secrets.Get(row.id));
  Making before{row.value.spec(), {}};
  MTP_ASSIGN_OR_RETURN(
      before.secrets, OpenTenantSecrets(*box_, sealed.value.sealed(), tables_.secrets.Key(row.id)));
  Making after = before;
  MTP_RETURN_IF_ERROR(Change(request, *random_, &after));
  MTP_RETURN_IF_ERROR(CheckSpec(after.spec));
  MTP_RETURN_IF_ERROR(CheckAllowedEnvironment(after.spec, before.spec, options_.environment_names));
  MTP_ASSIGN_OR_RETURN(const std::string key, FleetKey());
  const std::string bot = BotFingerprint(key, after.secrets.telegram_token());
  MTP_RETURN_IF_ERROR(CheckBotFree(tables_, row.id, bot));
  const std::string changed = Differences(before, after);
  if (!ChangedSecrets(before.secrets, after.secrets).empty()) {
    MTP_RETURN_IF_ERROR(CheckBackups(tables_, row.id));
  }

  operations::NewOperation operation;
  operation.kind = "reconfigure";
  operation.target = request.name();
  operation.host = row.value.host();
  if (request.validate_only()) {
    v1::Operation preview;
    preview.set_kind(operation.kind);
    preview.set_target(operation.target);
    preview.set_host(operation.host);
    preview.set_message(Preview(row.value, changed));
    return preview;
  }
  operation.input = after.spec.SerializeAsString();
  operation.created_by = caller;
  operation.request_id = request.request_id();
  operation.request_hash = request_hash;
  operation.facts[kChangedFact] = changed;
  operation.facts[kKeepFact] = request.keep_on_failure() ? "true" : "false";
  operation.facts[kSettledAfterFact] = absl::StrCat(soak_s);
  operation.facts[kPlacementFact] = absl::StrCat(row.value.epoch());
  operation.locks.push_back(TenantLock(row.id));
  kv::Txn txn;
  txn.RequireRevision(tables_.tenants.Key(row.id), row.revision);
  txn.RequireRevision(tables_.secrets.Key(row.id), sealed.revision);
  if (!changed.empty()) {
    state::v1::SecretsRecord next;
    next.set_sealed(SealTenantSecrets(*box_, after.secrets, tables_.next_secrets.Key(row.id)));
    tables_.next_secrets.Put(txn, row.id, next);
  }
  if (bot != row.value.bot_fingerprint()) {
    operation.facts[kNewBotFact] = bot;
    MTP_RETURN_IF_ERROR(TakeBot(tables_, row.id, bot, txn));
  }
  return engine_->Create(operation, std::move(txn));
}

}  // namespace mtp
