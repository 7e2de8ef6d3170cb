#include "controller/daemon/foundation.h"

#include <utility>

#include "common/base/status.h"
#include "common/kv/sqlite_store.h"

namespace mtp {
namespace {

// Steps and handlers wait for agents and for the disk, not for the processor.
constexpr int kStepThreads = 16;
constexpr int kApiThreads = 8;
constexpr int kGatewayThreads = 16;

}  // namespace

Foundation::Foundation(std::string data_dir_of, ControllerSettings settings_of, Log log_of)
    : log(std::move(log_of)),
      data_dir(std::move(data_dir_of)),
      settings(std::move(settings_of)),
      step_pool(kStepThreads),
      api_pool(kApiThreads),
      gateway_pool(kGatewayThreads) {}

absl::Status Foundation::Open() {
  MTP_ASSIGN_OR_RETURN(SecretBox opened_box, SecretBox::OpenExisting(data_dir + "/master.key"));
  box.emplace(std::move(opened_box));
  MTP_ASSIGN_OR_RETURN(store, kv::OpenSqliteStore(data_dir + "/state.db"));
  MTP_ASSIGN_OR_RETURN(Authority opened_authority,
                       Authority::Open(data_dir + "/pki", settings.fleet, *box));
  authority.emplace(std::move(opened_authority));
  authority->Follow(store.get(), &*box);
  MTP_RETURN_IF_ERROR(EnsureOwnIdentity());
  identity.emplace(IdentityFolder());
  channels.emplace(store.get(), &*identity, settings.fleet);
  step_pool.Start();
  api_pool.Start();
  gateway_pool.Start();
  return absl::OkStatus();
}

void Foundation::StopThreads() {
  gateway_pool.Stop();
  api_pool.Stop();
  step_pool.Stop();
}

absl::Status Foundation::EnsureOwnIdentity() const {
  const tls::Identity self{tls::Identity::Kind::kController, settings.fleet, ""};
  return authority->EnsureIdentity(IdentityFolder(), self, clock.Now()).status();
}

std::string Foundation::IdentityFolder() const { return data_dir + "/identity"; }

}  // namespace mtp
