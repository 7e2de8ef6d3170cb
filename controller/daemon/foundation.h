// What all parts of the running controller stand on: its state, keys, time and threads.
#pragma once

#include <absl/status/status.h>

#include <memory>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "common/base/secret_box.h"
#include "common/base/thread_pool.h"
#include "common/kv/store.h"
#include "common/tls/client_identity.h"
#include "controller/daemon/settings.h"
#include "controller/hosts/agent_channels.h"
#include "controller/pki/authority.h"
#include "controller/state/observations.h"

namespace mtp {

struct Foundation {
  Foundation(std::string data_dir, ControllerSettings settings, Log log);

  // Opens state and keys and starts the threads. Once, before anything else uses it; errors as
  // StartDaemon.
  absl::Status Open();
  // Waits for what is under way; nothing is done after it returns. Twice changes nothing.
  void StopThreads();

  // Makes or renews the controller's own certificate when it is due. Thread-safe.
  absl::Status EnsureOwnIdentity() const;
  std::string IdentityFolder() const;

  const Log log;
  const std::string data_dir;
  const ControllerSettings settings;
  SystemClock clock;
  SystemRandom random;
  ThreadPool step_pool;
  ThreadPool api_pool;
  ThreadPool gateway_pool;  // for calls that wait for a tenant
  Observations observations;
  std::optional<SecretBox> box;
  std::optional<Authority> authority;
  std::optional<tls::ClientIdentity> identity;
  std::unique_ptr<kv::Store> store;
  std::optional<AgentChannels> channels;
};

}  // namespace mtp
