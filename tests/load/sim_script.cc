#include "tests/load/sim_script.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <utility>

#include "common/tls/keys.h"

namespace mtp::load {
namespace {

constexpr int kPhases = 4;

using Results = google::protobuf::Map<std::string, std::string>;

void SnapshotResults(const v1::SnapshotTenantAction& snapshot, bool runs, Results& results) {
  results["snapshot"] = tls::Sha256Hex("snapshot " + snapshot.backup_id());
  results["manifest_sha256"] = tls::Sha256Hex("manifest " + snapshot.backup_id());
  results["pause_us"] = "18000";
  results["bytes_scanned"] = "268435456";
  results["bytes_added"] = "1310720";
  results["files"] = "4096";
  results["skipped"] = "0";
  results["databases"] = "3";
  results["damaged_databases"] = "[]";
  // Of a tenant that is stopped there is no image that runs.
  results["image_digest"] = runs ? ImageId("openclaw") : "";
  results["start_time"] = absl::FormatTime(absl::RFC3339_full, absl::Now(), absl::UTCTimeZone());
  results["duration_ms"] = "2400";
}

void ResultsOf(const v1::EnsureActionRequest& request, bool runs, Results& results) {
  if (request.has_snapshot()) SnapshotResults(request.snapshot(), runs, results);
  if (request.has_apply()) results["image_id"] = ImageId(request.apply().spec().image());
  if (request.has_pull()) {
    results["image_id"] = ImageId(request.pull().image());
    results["pinned"] = Pinned(request.pull().image());
  }
  if (request.has_drill()) {
    results["ready_ms"] = "9100";
    results["databases"] = "3";
    results["image_id"] = ImageId(request.drill().spec().image());
  }
  if (request.has_forget()) {
    results["removed"] = absl::StrCat(request.forget().backup_ids_size());
    results["freed_bytes"] = "1310720";
  }
  if (request.has_check()) results["snapshots"] = "7";
}

class SimScript final : public ActionScript {
 public:
  SimScript(v1::EnsureActionRequest request, absl::Duration work, OnDone on_done)
      : request_(std::move(request)), on_done_(std::move(on_done)) {
    for (int phase = 1; phase <= kPhases; ++phase) {
      Add([this, phase, slice = work / kPhases](PhaseContext& context) {
        return Wait(phase, slice, context);
      });
    }
    Add([this](PhaseContext& context) {
      ResultsOf(request_, on_done_(request_), *context.result);
      return PhaseResult::Done();
    });
  }
  std::string DoneMessage() const override { return "done"; }

 private:
  PhaseResult Wait(int phase, absl::Duration slice, PhaseContext& context) {
    if (std::exchange(begun_, phase) == phase) return PhaseResult::Done();
    context.progress(absl::StrCat("phase ", phase, " of ", kPhases, " of what takes long"));
    return PhaseResult::Again(slice);
  }

  const v1::EnsureActionRequest request_;
  const OnDone on_done_;
  int begun_ = 0;
};

}  // namespace

std::string ImageId(const std::string& image) {
  const size_t digest = image.find("@sha256:");
  if (digest != std::string::npos) return image.substr(digest + 1);
  return "sha256:" + tls::Sha256Hex(image);
}

std::string Pinned(const std::string& image) {
  if (absl::StrContains(image, "@sha256:")) return image;
  return absl::StrCat(image.substr(0, image.rfind(':')), "@", ImageId(image));
}

std::unique_ptr<ActionScript> NewSimScript(const v1::EnsureActionRequest& request,
                                           absl::Duration work, OnDone on_done) {
  return std::make_unique<SimScript>(request, work, std::move(on_done));
}

}  // namespace mtp::load
