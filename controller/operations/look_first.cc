#include "controller/operations/look_first.h"

#include <utility>

namespace mtp::operations {
namespace {

using Work = std::function<StepResult(StepContext&)>;

Work Behind(const Look& look, Work work) {
  return [look, work = std::move(work)](StepContext& context) {
    auto answer = look(context);
    return answer ? *std::move(answer) : work(context);
  };
}

}  // namespace

Kind LookFirst(Kind kind, const Look& before_run, const Look& before_compensate) {
  for (Step& step : kind.steps) {
    step.run = Behind(before_run, std::move(step.run));
    if (step.compensate) step.compensate = Behind(before_compensate, std::move(step.compensate));
  }
  return kind;
}

}  // namespace mtp::operations
