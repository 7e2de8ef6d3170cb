// Kinds whose steps have at times something else to answer than what their work gives.
#pragma once

#include <functional>
#include <optional>

#include "controller/operations/engine.h"

namespace mtp::operations {

// What a step answers without doing its work; nothing when it is to do it.
using Look = std::function<std::optional<StepResult>(StepContext&)>;

// The same kind, with one look ahead of each step's run and another ahead of each compensation.
Kind LookFirst(Kind kind, const Look& before_run, const Look& before_compensate);

}  // namespace mtp::operations
