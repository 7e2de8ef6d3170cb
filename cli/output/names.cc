#include "cli/output/names.h"

namespace mtp::cli {

absl::string_view StateName(v1::TenantState state) {
  switch (state) {
    case v1::TENANT_STATE_RUNNING:
      return "running";
    case v1::TENANT_STATE_STOPPED:
      return "stopped";
    case v1::TENANT_STATE_STARTING:
      return "starting";
    case v1::TENANT_STATE_UPDATING:
      return "updating";
    case v1::TENANT_STATE_MOVING:
      return "moving";
    case v1::TENANT_STATE_FAILED:
      return "failed";
    case v1::TENANT_STATE_UNSPECIFIED:
    case v1::TenantState_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::TenantState_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "unknown";
}

absl::string_view StateName(v1::HostState state) {
  switch (state) {
    case v1::HOST_STATE_READY:
      return "ready";
    case v1::HOST_STATE_UNREACHABLE:
      return "unreachable";
    case v1::HOST_STATE_ENGINE_DOWN:
      return "engine-down";
    case v1::HOST_STATE_JOINING:
      return "joining";
    case v1::HOST_STATE_UNSPECIFIED:
    case v1::HostState_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::HostState_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "unknown";
}

absl::string_view StateName(v1::OperationState state) {
  switch (state) {
    case v1::OPERATION_STATE_PENDING:
      return "pending";
    case v1::OPERATION_STATE_RUNNING:
      return "running";
    case v1::OPERATION_STATE_COMPENSATING:
      return "undoing";
    case v1::OPERATION_STATE_SUCCEEDED:
      return "succeeded";
    case v1::OPERATION_STATE_FAILED:
      return "failed";
    case v1::OPERATION_STATE_CANCELLED:
      return "cancelled";
    case v1::OPERATION_STATE_UNSPECIFIED:
    case v1::OperationState_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::OperationState_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "unknown";
}

absl::string_view StateName(v1::StepState state) {
  switch (state) {
    case v1::STEP_STATE_PENDING:
      return "pending";
    case v1::STEP_STATE_RUNNING:
      return "running";
    case v1::STEP_STATE_DONE:
      return "done";
    case v1::STEP_STATE_FAILED:
      return "failed";
    case v1::STEP_STATE_UNDONE:
      return "undone";
    case v1::STEP_STATE_UNSPECIFIED:
    case v1::StepState_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::StepState_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "unknown";
}

absl::string_view StateName(v1::RolloutState state) {
  switch (state) {
    case v1::ROLLOUT_STATE_RUNNING:
      return "running";
    case v1::ROLLOUT_STATE_PAUSED:
      return "paused";
    case v1::ROLLOUT_STATE_ABORTING:
      return "aborting";
    case v1::ROLLOUT_STATE_SUCCEEDED:
      return "succeeded";
    case v1::ROLLOUT_STATE_FAILED:
      return "failed";
    case v1::ROLLOUT_STATE_ABORTED:
      return "aborted";
    case v1::ROLLOUT_STATE_UNSPECIFIED:
    case v1::RolloutState_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::RolloutState_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "unknown";
}

absl::string_view StateName(v1::RolloutTenantState state) {
  switch (state) {
    case v1::ROLLOUT_TENANT_STATE_PENDING:
      return "pending";
    case v1::ROLLOUT_TENANT_STATE_UPDATING:
      return "updating";
    case v1::ROLLOUT_TENANT_STATE_UPDATED:
      return "updated";
    case v1::ROLLOUT_TENANT_STATE_SKIPPED:
      return "skipped";
    case v1::ROLLOUT_TENANT_STATE_FAILED:
      return "failed";
    case v1::ROLLOUT_TENANT_STATE_UNSPECIFIED:
    case v1::RolloutTenantState_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::RolloutTenantState_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "unknown";
}

Tone ToneOf(absl::string_view state) {
  if (state == "ready" || state == "running" || state == "succeeded" || state == "done" ||
      state == "updated") {
    return Tone::kGood;
  }
  if (state == "failed" || state == "down" || state == "unreachable" || state == "engine-down") {
    return Tone::kBad;
  }
  if (state == "stopped" || state == "pending" || state == "cancelled" || state == "undone" ||
      state == "skipped" || state == "aborted") {
    return Tone::kDim;
  }
  return Tone::kWarning;
}

bool HasEnded(v1::OperationState state) {
  return state == v1::OPERATION_STATE_SUCCEEDED || state == v1::OPERATION_STATE_FAILED ||
         state == v1::OPERATION_STATE_CANCELLED;
}

bool HasEnded(v1::RolloutState state) {
  return state == v1::ROLLOUT_STATE_SUCCEEDED || state == v1::ROLLOUT_STATE_FAILED ||
         state == v1::ROLLOUT_STATE_ABORTED;
}

}  // namespace mtp::cli
