#include "tests/simulation/sim_engines.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <tuple>

namespace mtp::simulation {
namespace {

constexpr std::string_view kDigest = "sha256:";
constexpr std::string_view kTag = ":v";

auto AsTuple(const Container& container) {
  return std::tie(container.running, container.bot_token, container.image, container.limit_mib);
}

}  // namespace

std::string ImageId(int number) { return absl::StrFormat("sha256:%064d", number); }
std::string PinnedImage(int number) {
  return absl::StrCat("ghcr.io/openclaw/openclaw@", ImageId(number));
}
std::string TaggedImage(int number) { return absl::StrCat("ghcr.io/openclaw/openclaw:v", number); }

int ImageNumber(const std::string& image) {
  size_t at = image.find(kDigest);
  if (at != std::string::npos) {
    at += kDigest.size();
  } else if (at = image.rfind(kTag); at != std::string::npos) {
    at += kTag.size();
  } else {
    return 0;
  }
  int number = 0;
  return absl::SimpleAtoi(image.substr(at), &number) ? number : 0;
}

bool SameButWords(const TenantView& a, const TenantView& b) {
  if (a.container.has_value() != b.container.has_value()) return false;
  if (a.data.has_value() != b.data.has_value()) return false;
  if (a.container.has_value() && AsTuple(*a.container) != AsTuple(*b.container)) return false;
  return !a.data.has_value() || (a.data->born == b.data->born && a.data->format == b.data->format);
}

SimEngines::SimEngines(const testing::SimClock* clock, testing::SeededRandom* random, Plant plant)
    : clock_(clock), random_(random), plant_(plant) {
  const bool all_good = random_->Chance(300);
  for (Flaw& flaw : flaws_) {
    const uint64_t choice = random_->Below(6);
    flaw = all_good || choice > 3 ? Flaw::kNone : static_cast<Flaw>(choice);
  }
  flaws_[0] = Flaw::kNone;
}

TenantView SimEngines::View(const std::string& host, const std::string& tenant) const {
  TenantView view;
  if (const auto engine = containers_.find(host); engine != containers_.end()) {
    const auto found = engine->second.find(tenant);
    if (found != engine->second.end()) view.container = found->second;
  }
  if (const auto folders = data_.find(host); folders != data_.end()) {
    const auto found = folders->second.find(tenant);
    if (found != folders->second.end()) view.data = found->second;
  }
  return view;
}

int SimEngines::Meaning(const std::string& host, const std::string& image) const {
  if (const int number = ImageNumber(image); number != 0) return number;
  const auto tag = tags_.find(host);
  return tag == tags_.end() ? newest_ : tag->second;
}

absl::Status SimEngines::RunsBadly(int image, const TenantData& data) const {
  if (image < data.format) return absl::InternalError("the state is of a newer version");
  const Flaw flaw = FlawOf(image);
  if (flaw != Flaw::kInSandbox && flaw != Flaw::kAtStart) return absl::OkStatus();
  return absl::DeadlineExceededError("it does not get ready");
}

absl::Status SimEngines::Refusal(const std::string& host,
                                 const v1::EnsureActionRequest& request) const {
  const TenantView view = View(host, request.tenant());
  if (request.has_apply()) {
    const int image = Meaning(host, request.apply().spec().image());
    return RunsBadly(image, view.data.value_or(TenantData()));
  }
  if (request.has_reconfigure() &&
      request.reconfigure().spec().run_policy() != v1::RUN_POLICY_STOP) {
    if (absl::EndsWith(request.reconfigure().secrets().telegram_token(), kBadSecret)) {
      return absl::DeadlineExceededError("it does not get ready: 401 Unauthorized");
    }
    const int image = Meaning(host, request.reconfigure().spec().image());
    return RunsBadly(image, view.data.value_or(TenantData()));
  }
  if ((request.has_start() || request.has_restart()) && view.container && view.data) {
    return RunsBadly(view.container->image, *view.data);
  }
  if (request.has_soak() && request.soak().duration().seconds() > 0) {
    if (!view.Runs()) return absl::InternalError("the container has ended");
    if (FlawOf(view.container->image) == Flaw::kInSoak) {
      return absl::InternalError("it does not stay ready");
    }
  }
  if (request.has_drill()) {
    const auto backup = repository_.find(request.drill().backup().backup_id());
    const int image = ImageNumber(request.drill().spec().image());
    if (backup == repository_.end()) return absl::NotFoundError("no such backup");
    if (image == 0) return absl::OkStatus();
    if (image < backup->second.data.format) {
      return absl::InternalError("the state is of a newer version");
    }
    if (FlawOf(image) == Flaw::kInSandbox) return absl::InternalError("it does not start");
  }
  if (request.has_restore() && repository_.count(request.restore().backup().backup_id()) == 0) {
    return absl::NotFoundError("no such backup");
  }
  return absl::OkStatus();
}

// What an image makes of the data when it runs.
void SimEngines::Boot(const std::string& host, const std::string& tenant) {
  Container& container = containers_[host][tenant];
  TenantData& data = data_[host][tenant];
  if (data.born == 0) data.born = ++born_;
  container.running = container.image >= data.format;
  data.format = std::max(data.format, container.image);
}

void SimEngines::Speak() {
  for (auto& [host, engine] : containers_) {
    for (auto& [tenant, container] : engine) {
      if (container.running) ++data_[host][tenant].said;
    }
  }
}

void SimEngines::Affect(const std::string& host, const v1::EnsureActionRequest& request,
                        v1::ActionState state, v1::Action& action) {
  // Its first act, whatever comes of it.
  if (request.has_apply()) known_[host].insert(request.tenant());
  if (state == v1::ACTION_STATE_FAILED || state == v1::ACTION_STATE_CANCELLED) return;
  Speak();
  const bool done = state == v1::ACTION_STATE_DONE;
  std::map<std::string, Container>& engine = containers_[host];
  const std::string& tenant = request.tenant();
  const auto found = engine.find(tenant);
  const bool present = found != engine.end();
  switch (request.action_case()) {
    case v1::EnsureActionRequest::kApply: {
      // A start brings only an image that the host does not have: what a name means stays.
      const v1::TenantSpec& spec = request.apply().spec();
      if (ImageNumber(spec.image()) == 0) tags_.emplace(host, newest_);
      engine[tenant] = {true, request.apply().secrets().telegram_token(),
                        Meaning(host, spec.image()), spec.memory_limit_mib()};
      Boot(host, tenant);
      break;
    }
    case v1::EnsureActionRequest::kStart:
    case v1::EnsureActionRequest::kRestart:
      if (!present) break;
      found->second.running = false;
      if (done || request.has_start()) Boot(host, tenant);
      break;
    case v1::EnsureActionRequest::kStop:
      if (present) found->second.running = false;
      (*action.mutable_result())["stopping"] = "true";
      break;
    case v1::EnsureActionRequest::kReconfigure:
      if (present) Reconfigure(host, request, action);
      break;
    case v1::EnsureActionRequest::kSnapshot:
      if (done) Snapshot(host, request, action);
      break;
    case v1::EnsureActionRequest::kRestore:
      Restore(host, request, done);
      break;
    case v1::EnsureActionRequest::kRemove:
      Remove(host, request, done);
      break;
    case v1::EnsureActionRequest::kPull:
      if (done) Pull(request.pull(), action);
      break;
    case v1::EnsureActionRequest::kLimit:
      if (done && present) found->second.limit_mib = request.limit().memory_limit_mib();
      break;
    case v1::EnsureActionRequest::kForget:
      if (!done) break;
      for (const std::string& id : request.forget().backup_ids()) repository_.erase(id);
      break;
    case v1::EnsureActionRequest::kCheck:
      (*action.mutable_result())["snapshots"] = "1";
      break;
    case v1::EnsureActionRequest::kSetFailover:
      if (done && request.set_failover().policy() == v1::FAILOVER_POLICY_FAILOVER) {
        (*action.mutable_result())["lease"] = "bound";
      }
      break;
    case v1::EnsureActionRequest::kBackup:
    case v1::EnsureActionRequest::kVerify:
    case v1::EnsureActionRequest::kDrill:
    case v1::EnsureActionRequest::kSoak:
    case v1::EnsureActionRequest::ACTION_NOT_SET:
      break;
  }
}

// One that is not meant to run is made anew at its next start.
void SimEngines::Reconfigure(const std::string& host, const v1::EnsureActionRequest& request,
                             v1::Action& action) {
  const v1::ReconfigureTenantAction& asked = request.reconfigure();
  Container& container = containers_[host][request.tenant()];
  container = {false, asked.secrets().telegram_token(), Meaning(host, asked.spec().image()),
               asked.spec().memory_limit_mib()};
  (*action.mutable_result())["container_before"] = "1";
  (*action.mutable_result())["taken_in"] = "true";
  if (asked.spec().run_policy() != v1::RUN_POLICY_STOP) Boot(host, request.tenant());
}

void SimEngines::Snapshot(const std::string& host, const v1::EnsureActionRequest& request,
                          v1::Action& action) {
  const TenantView view = View(host, request.tenant());
  const std::string& id = request.snapshot().backup_id();
  repository_[id] = {request.tenant(), host, view.data.value_or(TenantData())};
  auto& result = *action.mutable_result();
  result["snapshot"] = id;
  result["manifest_sha256"] = "00";
  result["start_time"] = absl::FormatTime(absl::RFC3339_full, clock_->Now(), absl::UTCTimeZone());
  if (view.Runs()) result["image_digest"] = ImageId(view.container->image);
}

void SimEngines::Restore(const std::string& host, const v1::EnsureActionRequest& request,
                         bool done) {
  std::map<std::string, Container>& engine = containers_[host];
  if (const auto found = engine.find(request.tenant()); found != engine.end()) {
    found->second.running = false;
  }
  auto backup = repository_.find(request.restore().backup().backup_id());
  if (plant_ == Plant::kRestoreOfAnother && !repository_.empty()) {
    backup = std::prev(repository_.end());
  }
  if (done && backup != repository_.end()) data_[host][request.tenant()] = backup->second.data;
}

void SimEngines::Remove(const std::string& host, const v1::EnsureActionRequest& request,
                        bool done) {
  std::map<std::string, Container>& engine = containers_[host];
  if (const auto found = engine.find(request.tenant()); found != engine.end()) {
    found->second.running = false;
  }
  if (!done || plant_ == Plant::kRemoveIgnored) return;
  engine.erase(request.tenant());
  // Data of a tenant that it was never told of is none of its business.
  if (known_[host].erase(request.tenant()) > 0 && !request.remove().keep_data()) {
    data_[host].erase(request.tenant());
  }
}

void SimEngines::Pull(const v1::PullImageAction& pull, v1::Action& action) {
  // The name moves on now and then, to an image that is good.
  if (newest_ < kImages && FlawOf(newest_ + 1) == Flaw::kNone && random_->Chance(100)) ++newest_;
  const int known = ImageNumber(pull.image());
  const int number = known != 0 ? known : newest_;
  const bool exact = pull.image().find(kDigest) != std::string::npos;
  (*action.mutable_result())["image_id"] = ImageId(number);
  (*action.mutable_result())["pinned"] = exact ? pull.image() : PinnedImage(number);
}

}  // namespace mtp::simulation
