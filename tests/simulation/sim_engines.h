// What the engines, folders and repositories of all hosts hold. A tenant's data is a value that an
// image changes for good when it runs on it: an older image refuses it from then on.
#pragma once

#include <absl/status/status.h>

#include <map>
#include <optional>
#include <set>
#include <string>

#include "mtp/v1/agent.pb.h"
#include "tests/simulation/plants.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_clock.h"

namespace mtp::simulation {

// Images have numbers; a higher one is a newer program. The first is good.
inline constexpr int kImages = 8;

// Where an image that is bad by construction shows it, at the latest.
enum class Flaw {
  kNone,
  kInSandbox,  // it does not even start on a copy of the state
  kAtStart,    // it changes the state, and does not get ready
  kInSoak,     // it gets ready, and does not stay it
};

// Name of an image that means it for ever, as a registry and as an engine tell it.
std::string PinnedImage(int number);
std::string ImageId(int number);
// A name that happens to mean it.
std::string TaggedImage(int number);
// 0 for a name that means another image as time goes by.
int ImageNumber(const std::string& image);

struct TenantData {
  int born = 0;      // no two folders have the same
  int format = 0;    // the newest image that ran on it
  int64_t said = 0;  // grows while the tenant runs
};

// A bot token that Telegram refuses ends with it.
inline constexpr char kBadSecret[] = ":bad";

struct Container {
  bool running = false;
  std::string bot_token;
  int image = 0;
  int64_t limit_mib = 0;
};

// A tenant on one host.
struct TenantView {
  std::optional<Container> container;
  std::optional<TenantData> data;

  bool Runs() const { return container.has_value() && container->running; }
};

// Whether all is the same but what clients have said meanwhile.
bool SameButWords(const TenantView& a, const TenantView& b);

class SimEngines {
 public:
  SimEngines(const testing::SimClock* clock, testing::SeededRandom* random, Plant plant);

  // Why the action cannot end well; OK when it can.
  absl::Status Refusal(const std::string& host, const v1::EnsureActionRequest& request) const;
  // What it does when it ends in `state`, or, RUNNING, half-way. Adds to the action's results.
  void Affect(const std::string& host, const v1::EnsureActionRequest& request,
              v1::ActionState state, v1::Action& action);

  // A container's process is killed, or is started again by its agent.
  void End(const std::string& host, const std::string& tenant) {
    containers_[host][tenant].running = false;
  }
  void Begin(const std::string& host, const std::string& tenant) { Boot(host, tenant); }

  Flaw FlawOf(int image) const { return flaws_[image - 1]; }
  TenantView View(const std::string& host, const std::string& tenant) const;
  const std::map<std::string, std::map<std::string, Container>>& containers() const {
    return containers_;
  }
  // The image that the name means on that host.
  int Meaning(const std::string& host, const std::string& image) const;
  struct Backup {
    std::string tenant;
    std::string host;  // that wrote it
    TenantData data;
  };
  // By ULID.
  const std::map<std::string, Backup>& repository() const { return repository_; }

 private:
  absl::Status RunsBadly(int image, const TenantData& data) const;
  void Boot(const std::string& host, const std::string& tenant);
  void Reconfigure(const std::string& host, const v1::EnsureActionRequest& request,
                   v1::Action& action);
  void Speak();
  void Snapshot(const std::string& host, const v1::EnsureActionRequest& request,
                v1::Action& action);
  void Restore(const std::string& host, const v1::EnsureActionRequest& request, bool done);
  void Remove(const std::string& host, const v1::EnsureActionRequest& request, bool done);
  void Pull(const v1::PullImageAction& pull, v1::Action& action);

  const testing::SimClock* const clock_;
  testing::SeededRandom* const random_;
  const Plant plant_;
  Flaw flaws_[kImages];
  int newest_ = 1;  // what the moving name means in the registry
  int born_ = 0;
  std::map<std::string, int> tags_;  // host to what that name means there
  std::map<std::string, std::map<std::string, Container>> containers_;  // host, tenant
  std::map<std::string, std::map<std::string, TenantData>> data_;       // host, tenant
  std::map<std::string, std::set<std::string>> known_;  // host to tenants in its agent's journal
  std::map<std::string, Backup> repository_;
};

}  // namespace mtp::simulation
