#include "agent/tenants/board.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/util/message_differencer.h>

#include <vector>

namespace mtp {
namespace {

// Ended actions beyond so many are dropped from the board; the journal has them all.
constexpr size_t kMaxEndedActions = 200;

// Keys, in the order in which a listener hears what changed: what is observed comes before the
// action whose end tells of it.
constexpr char kHostKey[] = "1/host";
constexpr char kTenantKey[] = "2/tenant/";
constexpr char kKeptDataKey[] = "3/kept-data";
constexpr char kActionKey[] = "4/action/";

bool IsEndedAction(const v1::AgentEvent& event) {
  return event.has_action() && event.action().state() != v1::ACTION_STATE_RUNNING;
}

}  // namespace

void Board::Publish(const std::string& key, v1::AgentEvent event) {
  std::vector<std::function<void()>> calls;
  {
    absl::MutexLock lock(&mutex_);
    auto found = latest_.find(key);
    if (found != latest_.end() &&
        google::protobuf::util::MessageDifferencer::Equals(found->second, event)) {
      return;
    }
    if (IsEndedAction(event)) {
      // Keys hold ULIDs, so the first in order is the oldest.
      size_t ended = 0;
      auto oldest = latest_.end();
      for (auto it = latest_.begin(); it != latest_.end(); ++it) {
        if (!IsEndedAction(it->second)) continue;
        if (ended++ == 0) oldest = it;
      }
      if (ended >= kMaxEndedActions) latest_.erase(oldest);
    }
    latest_[key] = std::move(event);
    for (Listener* listener : listeners_) {
      listener->changed_.insert(key);
      if (listener->changed_.size() > listener->max_changes_) listener->overrun_ = true;
      calls.push_back(listener->on_change_);
    }
  }
  for (const auto& call : calls) call();
}

void Board::SetHost(const v1::HostStatus& host) {
  v1::AgentEvent event;
  *event.mutable_host() = host;
  Publish(kHostKey, std::move(event));
}

void Board::SetTenant(const v1::TenantObservation& tenant) {
  v1::AgentEvent event;
  *event.mutable_tenant() = tenant;
  Publish(absl::StrCat(kTenantKey, tenant.tenant()), std::move(event));
}

void Board::SetTenantGone(const std::string& tenant) {
  v1::AgentEvent event;
  event.set_tenant_gone(tenant);
  Publish(absl::StrCat(kTenantKey, tenant), std::move(event));
}

void Board::SetAction(const v1::Action& action) {
  v1::AgentEvent event;
  *event.mutable_action() = action;
  Publish(absl::StrCat(kActionKey, action.key()), std::move(event));
}

void Board::SetKeptData(const v1::KeptDataList& kept) {
  v1::AgentEvent event;
  *event.mutable_kept_data() = kept;
  Publish(kKeptDataKey, std::move(event));
}

v1::HostStatus Board::Host() const {
  absl::MutexLock lock(&mutex_);
  auto found = latest_.find(kHostKey);
  return found == latest_.end() ? v1::HostStatus() : found->second.host();
}

std::optional<v1::TenantObservation> Board::Tenant(const std::string& tenant) const {
  absl::MutexLock lock(&mutex_);
  auto found = latest_.find(absl::StrCat(kTenantKey, tenant));
  if (found == latest_.end() || !found->second.has_tenant()) return std::nullopt;
  return found->second.tenant();
}

std::shared_ptr<Board::Listener> Board::Listen(size_t max_changes,
                                               std::function<void()> on_change) {
  std::shared_ptr<Listener> listener(new Listener(this, max_changes, std::move(on_change)));
  absl::MutexLock lock(&mutex_);
  for (const auto& [key, event] : latest_) listener->changed_.insert(key);
  listeners_.insert(listener.get());
  return listener;
}

Board::Listener::~Listener() {
  absl::MutexLock lock(&board_->mutex_);
  board_->listeners_.erase(this);
}

std::optional<v1::AgentEvent> Board::Listener::Take() {
  absl::MutexLock lock(&board_->mutex_);
  while (!changed_.empty()) {
    const std::string key = *changed_.begin();
    changed_.erase(changed_.begin());
    auto found = board_->latest_.find(key);
    if (found != board_->latest_.end()) return found->second;
  }
  if (snapshot_sent_) return std::nullopt;
  snapshot_sent_ = true;
  v1::AgentEvent event;
  event.set_snapshot_complete(true);
  return event;
}

bool Board::Listener::overrun() const {
  absl::MutexLock lock(&board_->mutex_);
  return overrun_;
}

}  // namespace mtp
