// What an action of a simulated engine does: nothing, for a while, in a few phases that tell of
// their progress as the real ones do; then it has the real one's results.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <memory>
#include <string>

#include "agent/tenants/action_script.h"

namespace mtp::load {

// What a simulated engine holds changes when an action is done. Whether the tenant runs then.
using OnDone = std::function<bool(const v1::EnsureActionRequest&)>;

// `work` is the time that it takes in all.
std::unique_ptr<ActionScript> NewSimScript(const v1::EnsureActionRequest& request,
                                           absl::Duration work, OnDone on_done);

// The image's id, and a reference that means it for ever.
std::string ImageId(const std::string& image);
std::string Pinned(const std::string& image);

}  // namespace mtp::load
