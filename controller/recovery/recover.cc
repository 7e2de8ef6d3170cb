#include "controller/recovery/recover.h"

#include <absl/cleanup/cleanup.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include "common/base/atomic_file.h"
#include "common/base/secret_box.h"
#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/base/ulid.h"
#include "common/kv/sqlite_store.h"
#include "controller/recovery/collect.h"
#include "controller/recovery/copy_pack.h"
#include "controller/recovery/copy_seal.h"
#include "controller/recovery/data_folder.h"

namespace mtp {
namespace {

constexpr size_t kSealedBytesMax = 512 << 20;

void Count(const state::v1::StateCopy& copy, Recovered* recovered) {
  for (const auto& record : copy.records()) {
    absl::string_view key = record.key();
    if (absl::StartsWith(key, "/tenants/")) ++recovered->tenants;
    if (absl::StartsWith(key, "/hosts/")) ++recovered->hosts;
    if (absl::StartsWith(key, "/backups/")) ++recovered->backups;
    if (absl::ConsumePrefix(&key, "/operators/")) recovered->operators.emplace_back(key);
  }
}

absl::StatusOr<Recovered> Recover(const SecretString& packed, const std::string& fleet,
                                  const std::string& data_dir, const Clock& clock) {
  MTP_ASSIGN_OR_RETURN(state::v1::StateCopy copy, UnpackCopy(packed.Reveal()));
  const auto wipe = absl::MakeCleanup([&copy] { WipeCopy(&copy); });
  if (!fleet.empty() && copy.fleet() != fleet) {
    return absl::DataLossError(absl::StrCat("the copy is of the fleet \"", copy.fleet(),
                                            "\", the kit of \"", fleet, "\""));
  }
  Recovered recovered;
  MTP_ASSIGN_OR_RETURN(recovered.interrupted, WriteDataFolder(&copy, data_dir, clock.Now()));
  recovered.fleet = copy.fleet();
  recovered.copy_id = copy.copy_id();
  recovered.time = FromTimestamp(copy.create_time());
  recovered.backups_left_out = copy.backups_left_out();
  Count(copy, &recovered);
  return recovered;
}

}  // namespace

absl::StatusOr<Recovered> RecoverFromKit(const v1::RecoveryKit& kit, const FetchRequest& request,
                                         const OpenPart& open, const std::string& data_dir,
                                         const Clock& clock) {
  MTP_RETURN_IF_ERROR(CheckDataFolder(data_dir));
  MTP_ASSIGN_OR_RETURN(const FetchedCopy fetched, FetchCopy(kit, request, open));
  const std::string what =
      absl::StrCat("copy ", fetched.copy_id, " in repository ", fetched.repository);
  for (const v1::RecoveryKit::Entry& entry : kit.repositories()) {
    if (entry.repository().name() != "repositories/" + fetched.repository) continue;
    const auto packed = OpenCopy(fetched.sealed, CopyKey(entry.secrets().root_key(), kit.fleet()));
    if (!packed.ok()) return Annotate(packed.status(), what);
    auto recovered = Recover(*packed, kit.fleet(), data_dir, clock);
    if (!recovered.ok()) return Annotate(recovered.status(), what);
    recovered->from = absl::StrCat("repository ", fetched.repository);
    recovered->unread = fetched.unread;
    return recovered;
  }
  return absl::InternalError("the kit has changed meanwhile");
}

absl::StatusOr<Recovered> RecoverFromFile(const std::string& file, const SecretString& passphrase,
                                          const std::string& data_dir, const Clock& clock) {
  MTP_RETURN_IF_ERROR(CheckDataFolder(data_dir));
  MTP_ASSIGN_OR_RETURN(const std::string sealed, ReadFile(file, kSealedBytesMax));
  const auto packed = OpenCopyWithPassphrase(sealed, passphrase);
  if (!packed.ok()) return Annotate(packed.status(), file);
  auto recovered = Recover(*packed, "", data_dir, clock);
  if (!recovered.ok()) return Annotate(recovered.status(), file);
  recovered->from = file;
  return recovered;
}

absl::StatusOr<std::string> BackUpToFile(const std::string& data_dir, const std::string& fleet,
                                         const std::string& file, const SecretString& passphrase,
                                         const Clock& clock, Random& random) {
  CopySource source{.data_dir = data_dir, .fleet = fleet, .time = clock.Now()};
  MTP_ASSIGN_OR_RETURN(const SecretBox box, SecretBox::OpenExisting(data_dir + "/master.key"));
  source.box = &box;
  source.copy_id = NewUlid(clock, random);
  MTP_ASSIGN_OR_RETURN(source.records, kv::ReadSqliteStore(data_dir + "/state.db"));
  MTP_ASSIGN_OR_RETURN(const SecretString packed, PackState(source, kSealedBytesMax));
  MTP_ASSIGN_OR_RETURN(const std::string sealed,
                       SealCopyWithPassphrase(packed.Reveal(), passphrase));
  MTP_RETURN_IF_ERROR(WriteFileAtomically(file, sealed, 0600));
  return source.copy_id;
}

}  // namespace mtp
