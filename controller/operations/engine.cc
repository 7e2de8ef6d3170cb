#include "controller/operations/engine.h"

#include <utility>

#include "controller/operations/core.h"

namespace mtp::operations {

std::string StepContext::Fact(const std::string& name) const {
  if (const auto fresh = new_facts_.find(name); fresh != new_facts_.end()) return fresh->second;
  const auto found = record_.facts().find(name);
  return found == record_.facts().end() ? "" : found->second;
}

StepResult StepResult::Done(std::string message) {
  return {Kind::kDone, absl::ZeroDuration(), absl::OkStatus(), std::move(message)};
}

StepResult StepResult::Wait(absl::Duration recheck, std::string message) {
  return {Kind::kWait, recheck, absl::OkStatus(), std::move(message)};
}

StepResult StepResult::Retry(absl::Status status) {
  return {Kind::kRetry, absl::ZeroDuration(), std::move(status), ""};
}

StepResult StepResult::Fail(absl::Status status) {
  return {Kind::kFail, absl::ZeroDuration(), std::move(status), ""};
}

Engine::Engine(kv::Store* store, const Clock* clock, Random* random, Executor* executor,
               Options options)
    : core_(std::make_shared<Core>(store, clock, random, executor, std::move(options))) {}

Engine::~Engine() { core_->Stop(); }

void Engine::Register(Kind kind) { core_->Register(std::move(kind)); }

absl::Status Engine::Start() { return core_->Start(); }

void Engine::Stop() { core_->Stop(); }

absl::StatusOr<v1::Operation> Engine::FindRequest(const std::string& caller,
                                                  const std::string& request_id,
                                                  const std::string& request_hash) const {
  return core_->FindRequest(caller, request_id, request_hash);
}

absl::StatusOr<v1::Operation> Engine::Create(const NewOperation& request, kv::Txn txn) {
  return core_->Create(request, std::move(txn));
}

absl::StatusOr<v1::Operation> Engine::Cancel(const std::string& id) { return core_->Cancel(id); }

absl::StatusOr<v1::Operation> Engine::Get(const std::string& id) const { return core_->Get(id); }

void Engine::Wake(const std::string& id) { core_->Wake(id); }

int Engine::Active() const { return core_->Active(); }

}  // namespace mtp::operations
