#include "controller/rollouts/waves.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <tuple>

#include "common/base/utf8.h"
#include "common/base/words.h"
#include "controller/backups/kinds.h"

namespace mtp {
namespace {

constexpr size_t kFailuresInWords = 3;
constexpr size_t kMaxMessageBytes = 2000;

bool IsGood(const v1::RolloutTenant& tenant) {
  return tenant.state() == v1::ROLLOUT_TENANT_STATE_UPDATED ||
         tenant.state() == v1::ROLLOUT_TENANT_STATE_SKIPPED;
}

int Count(const v1::Rollout& rollout, v1::RolloutTenantState state) {
  return static_cast<int>(
      std::count_if(rollout.tenants().begin(), rollout.tenants().end(),
                    [state](const v1::RolloutTenant& tenant) { return tenant.state() == state; }));
}

void End(v1::RolloutTenant& tenant, v1::RolloutTenantState state, const std::string& message) {
  tenant.set_state(state);
  tenant.set_message(ValidUtf8(message, kMaxMessageBytes));
}

// The child's reason, and what became of the tenant. A failure of undoing is in the reason, and
// then nothing is promised here.
std::string Failure(const v1::Operation& child) {
  const std::string& reason = child.error().message();
  if (absl::StrContains(reason, "; undoing ")) {
    return absl::StrCat(reason, "; look at it with `mtp-cli status`");
  }
  return absl::StrContains(reason, kIsBack) ? reason : absl::StrCat(reason, "; it was not touched");
}

// The first wave with a tenant that is not good yet.
int WaveInTurn(const v1::Rollout& rollout) {
  int wave = -1;
  for (const v1::RolloutTenant& tenant : rollout.tenants()) {
    if (!IsGood(tenant) && (wave < 0 || tenant.wave() < wave)) wave = tenant.wave();
  }
  return wave;
}

void FollowChild(const v1::Operation& child, v1::RolloutTenant& tenant) {
  tenant.set_operation(child.name());
  switch (child.state()) {
    case v1::OPERATION_STATE_SUCCEEDED:
      return End(tenant, v1::ROLLOUT_TENANT_STATE_UPDATED, "");
    case v1::OPERATION_STATE_FAILED:
    case v1::OPERATION_STATE_CANCELLED:
      return End(tenant, v1::ROLLOUT_TENANT_STATE_FAILED, Failure(child));
    case v1::OPERATION_STATE_COMPENSATING:
      return End(tenant, v1::ROLLOUT_TENANT_STATE_UPDATING,
                 absl::StrCat("is brought back: ", child.message()));
    case v1::OPERATION_STATE_UNSPECIFIED:
    case v1::OPERATION_STATE_PENDING:
    case v1::OPERATION_STATE_RUNNING:
    case v1::OperationState_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::OperationState_INT_MAX_SENTINEL_DO_NOT_USE_:
      return End(tenant, v1::ROLLOUT_TENANT_STATE_UPDATING, StepInTurn(child));
  }
}

// A canary of whom all were left alone has tried nothing: as many of the next wave take its place,
// and the rest of that wave comes after them.
void ReplaceCanary(v1::Rollout& rollout) {
  const int wave = WaveInTurn(rollout);
  const bool tried = std::any_of(rollout.tenants().begin(), rollout.tenants().end(),
                                 [](const v1::RolloutTenant& tenant) {
                                   return tenant.state() != v1::ROLLOUT_TENANT_STATE_PENDING &&
                                          tenant.state() != v1::ROLLOUT_TENANT_STATE_SKIPPED;
                                 });
  if (wave <= 0 || tried) return;
  int left = std::max(rollout.settings().canary(), 1);
  std::vector<v1::RolloutTenant*> others;
  for (v1::RolloutTenant& tenant : *rollout.mutable_tenants()) {
    if (tenant.state() != v1::ROLLOUT_TENANT_STATE_PENDING) continue;
    if (tenant.wave() == wave && left-- > 0) continue;
    others.push_back(&tenant);
  }
  const bool too_many = std::any_of(others.begin(), others.end(),
                                    [wave](const auto* tenant) { return tenant->wave() == wave; });
  if (!too_many) return;
  for (v1::RolloutTenant* tenant : others) tenant->set_wave(tenant->wave() + 1);
}

// Takes tenants of the wave in turn as far as they may begin; those that are to be left alone are
// skipped on the way.
void Take(const Surroundings& around, Move& move) {
  v1::Rollout& rollout = move.rollout;
  const int limit = MostAtOnce(rollout.settings(), around.meant_to_run);
  int at_once = Count(rollout, v1::ROLLOUT_TENANT_STATE_UPDATING);
  for (int wave = WaveInTurn(rollout); wave >= 0;) {
    ReplaceCanary(rollout);
    for (v1::RolloutTenant& tenant : *rollout.mutable_tenants()) {
      if (tenant.wave() != wave || tenant.state() != v1::ROLLOUT_TENANT_STATE_PENDING) continue;
      if (const auto why = around.skips.find(tenant.tenant()); why != around.skips.end()) {
        End(tenant, v1::ROLLOUT_TENANT_STATE_SKIPPED, why->second);
      } else if (const auto busy = around.busy.find(tenant.tenant()); busy != around.busy.end()) {
        tenant.set_message(absl::StrCat("waiting: ", busy->second));
      } else if (at_once < limit) {
        End(tenant, v1::ROLLOUT_TENANT_STATE_UPDATING, "begins");
        move.begin.push_back(tenant.tenant());
        ++at_once;
      }
    }
    const int next = WaveInTurn(rollout);
    if (next == wave) return;
    wave = next;
  }
}

}  // namespace

bool HasEnded(const v1::Operation& operation) {
  return operation.state() == v1::OPERATION_STATE_SUCCEEDED ||
         operation.state() == v1::OPERATION_STATE_FAILED ||
         operation.state() == v1::OPERATION_STATE_CANCELLED;
}

bool HasEnded(const v1::Rollout& rollout) {
  return rollout.state() == v1::ROLLOUT_STATE_SUCCEEDED ||
         rollout.state() == v1::ROLLOUT_STATE_FAILED ||
         rollout.state() == v1::ROLLOUT_STATE_ABORTED;
}

int MostAtOnce(const v1::RolloutSettings& settings, int meant_to_run) {
  return std::max(1, std::min(settings.max_unavailable(), meant_to_run - 1));
}

std::vector<std::vector<std::string>> PlanWaves(std::vector<Candidate> candidates,
                                                const v1::RolloutSettings& settings,
                                                int meant_to_run) {
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.canary != b.canary ? a.canary : a.tenant < b.tenant;
  });
  const size_t first = std::min<size_t>(std::max(settings.canary(), 1), candidates.size());
  // How many of its host come before it among those after the canary.
  std::map<std::string, int> of_host;
  std::vector<std::pair<int, std::string>> others;
  for (size_t i = first; i < candidates.size(); ++i) {
    others.emplace_back(of_host[candidates[i].host]++, candidates[i].tenant);
  }
  std::stable_sort(others.begin(), others.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::vector<std::string>> waves;
  const auto size = static_cast<size_t>(MostAtOnce(settings, meant_to_run));
  for (size_t i = 0; i < first; ++i) {
    if (i == 0) waves.emplace_back();
    waves.back().push_back(candidates[i].tenant);
  }
  for (size_t i = 0; i < others.size(); ++i) {
    if (i % size == 0) waves.emplace_back();
    waves.back().push_back(others[i].second);
  }
  return waves;
}

void Arrange(const std::set<std::string>& canaries, int meant_to_run, v1::Rollout& rollout) {
  std::vector<Candidate> candidates;
  for (const v1::RolloutTenant& tenant : rollout.tenants()) {
    if (tenant.state() != v1::ROLLOUT_TENANT_STATE_PENDING) continue;
    candidates.push_back({tenant.tenant(), tenant.host(), canaries.count(tenant.tenant()) > 0});
  }
  const auto waves = PlanWaves(std::move(candidates), rollout.settings(), meant_to_run);
  std::map<std::string, int> wave_of;
  for (size_t wave = 0; wave < waves.size(); ++wave) {
    for (const std::string& tenant : waves[wave]) wave_of[tenant] = static_cast<int>(wave);
  }
  const int last = std::max(static_cast<int>(waves.size()) - 1, 0);
  for (v1::RolloutTenant& tenant : *rollout.mutable_tenants()) {
    const auto found = wave_of.find(tenant.tenant());
    tenant.set_wave(found == wave_of.end() ? last : found->second);
  }
  std::sort(rollout.mutable_tenants()->begin(), rollout.mutable_tenants()->end(),
            [](const v1::RolloutTenant& a, const v1::RolloutTenant& b) {
              return std::make_tuple(a.wave(), a.tenant()) < std::make_tuple(b.wave(), b.tenant());
            });
}

void Follow(const Surroundings& around, v1::Rollout& rollout) {
  for (v1::RolloutTenant& tenant : *rollout.mutable_tenants()) {
    if (IsGood(tenant) || tenant.state() == v1::ROLLOUT_TENANT_STATE_FAILED) continue;
    if (const auto child = around.children.find(tenant.tenant()); child != around.children.end()) {
      FollowChild(child->second, tenant);
    } else if (const auto why = around.refused.find(tenant.tenant()); why != around.refused.end()) {
      End(tenant, v1::ROLLOUT_TENANT_STATE_FAILED, why->second);
    } else {
      // Its begin was meant, and did not come about.
      End(tenant, v1::ROLLOUT_TENANT_STATE_PENDING, "");
    }
  }
}

std::string DescribeFailures(const v1::Rollout& rollout) {
  std::vector<std::string> failures;
  for (const v1::RolloutTenant& tenant : rollout.tenants()) {
    if (tenant.state() != v1::ROLLOUT_TENANT_STATE_FAILED) continue;
    failures.push_back(absl::StrCat("tenant ", tenant.tenant(), " on host ", tenant.host(), ": ",
                                    tenant.message()));
  }
  const size_t more = failures.size() - std::min(failures.size(), kFailuresInWords);
  failures.resize(failures.size() - more);
  if (more > 0) failures.push_back(absl::StrCat(more, " more"));
  return absl::StrJoin(failures, "; ");
}

std::string DescribeProgress(const v1::Rollout& rollout) {
  std::string text =
      absl::StrCat(Count(rollout, v1::ROLLOUT_TENANT_STATE_UPDATED), " of ", rollout.tenants_size(),
                   rollout.tenants_size() == 1 ? " tenant" : " tenants", " updated");
  const auto add = [&](v1::RolloutTenantState state, const char* words) {
    if (const int count = Count(rollout, state); count > 0) {
      absl::StrAppend(&text, ", ", count, " ", words);
    }
  };
  add(v1::ROLLOUT_TENANT_STATE_SKIPPED, "left alone");
  add(v1::ROLLOUT_TENANT_STATE_UPDATING, "being updated");
  add(v1::ROLLOUT_TENANT_STATE_FAILED, "failed");
  return text;
}

Move NextMove(const v1::Rollout& rollout, const Surroundings& around) {
  Move move;
  move.rollout = rollout;
  Follow(around, move.rollout);
  const bool failed = Count(move.rollout, v1::ROLLOUT_TENANT_STATE_FAILED) > 0;
  if (!failed && move.rollout.state() == v1::ROLLOUT_STATE_RUNNING) Take(around, move);
  const bool goes_on = Count(move.rollout, v1::ROLLOUT_TENANT_STATE_UPDATING) > 0;
  if (failed && !goes_on) {
    move.kind = Move::Kind::kFail;
  } else if (WaveInTurn(move.rollout) < 0) {
    move.kind = Move::Kind::kDone;
  }
  move.rollout.set_message(DescribeProgress(move.rollout));
  return move;
}

}  // namespace mtp
