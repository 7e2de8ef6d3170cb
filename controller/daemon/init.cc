#include "controller/daemon/init.h"

#include <absl/strings/str_cat.h>

#include "common/base/atomic_file.h"
#include "common/base/clock.h"
#include "common/base/names.h"
#include "common/base/secret_box.h"
#include "common/base/service.h"
#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/kv/sqlite_store.h"
#include "common/kv/table.h"
#include "common/tls/credentials.h"
#include "controller/pki/authority.h"
#include "controller/pki/operators.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp {
namespace {

constexpr char kFleetKey[] = "/meta/fleet";

absl::Status RecordFleet(kv::Store* store, const std::string& fleet, const Clock& clock) {
  auto entry = store->Get(kFleetKey);
  if (entry.ok()) {
    state::v1::FleetRecord record;
    if (!record.ParseFromString(entry->value))
      return absl::DataLossError("the fleet's record cannot be read");
    if (record.fleet() == fleet) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat("this folder holds the fleet \"",
                                                      record.fleet(), "\", not \"", fleet,
                                                      "\"; choose another --data-dir"));
  }
  if (!absl::IsNotFound(entry.status())) return entry.status();
  state::v1::FleetRecord record;
  record.set_fleet(fleet);
  *record.mutable_create_time() = ToTimestamp(clock.Now());
  kv::Txn txn;
  txn.RequireAbsent(kFleetKey);
  txn.Put(kFleetKey, record.SerializeAsString());
  return store->Commit(txn).status();
}

// An operator whose certificate is in the folder and in use stays as it is.
bool HasIdentity(const kv::Store* store, const OperatorName& name, const std::string& folder) {
  const auto present = tls::ReadIdentity(folder);
  auto record = kv::Table<state::v1::OperatorRecord>(store, "/operators/").Get(name.value());
  if (!present.ok() || !record.ok()) return false;
  for (const std::string& serial : record->value.certificate_serials()) {
    if (serial == present->facts.serial) return true;
  }
  return false;
}

}  // namespace

std::string StartController(const std::string& data_dir) {
  return StartCommand("mtp-controller", absl::StrCat("mtp-controller run --data-dir ", data_dir),
                      data_dir, kDefaultDataDir);
}

absl::Status InitFleet(const std::string& data_dir, const ControllerSettings& settings,
                       const std::string& operator_name, const std::string& operator_folder) {
  MTP_RETURN_IF_ERROR(CheckSettings(settings));
  MTP_ASSIGN_OR_RETURN(const OperatorName name, OperatorName::Parse(operator_name));
  const SystemClock clock;
  MTP_RETURN_IF_ERROR(MakeFolders(data_dir, 0700));
  MTP_ASSIGN_OR_RETURN(const SecretBox box, SecretBox::Open(data_dir + "/master.key"));
  MTP_ASSIGN_OR_RETURN(const auto store, kv::OpenSqliteStore(data_dir + "/state.db"));
  MTP_RETURN_IF_ERROR(RecordFleet(store.get(), settings.fleet, clock));
  MTP_ASSIGN_OR_RETURN(Authority authority,
                       Authority::OpenOrCreate(data_dir + "/pki", settings.fleet, box, clock));
  authority.Follow(store.get(), &box);
  const tls::Identity controller{tls::Identity::Kind::kController, settings.fleet, ""};
  MTP_RETURN_IF_ERROR(
      authority.EnsureIdentity(data_dir + "/identity", controller, clock.Now()).status());
  if (!HasIdentity(store.get(), name, operator_folder)) {
    Operators operators(store.get(), &authority, &clock);
    MTP_ASSIGN_OR_RETURN(const SecretString key, tls::NewPrivateKey());
    MTP_ASSIGN_OR_RETURN(const std::string request,
                         tls::NewRequest(key, "operator/" + name.value()));
    MTP_ASSIGN_OR_RETURN(const v1::AddOperatorResponse added,
                         operators.Add(name, v1::ROLE_ADMIN, request));
    MTP_RETURN_IF_ERROR(
        tls::WriteIdentity(operator_folder, key, added.certificate_pem(), added.ca_pem()));
  }
  // Last: a folder with settings is whole.
  return WriteSettings(data_dir, settings);
}

}  // namespace mtp
