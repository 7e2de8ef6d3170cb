#include "cli/output/rollout_view.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>

#include "cli/output/names.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/timestamps.h"

namespace mtp::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr absl::string_view kDigest = "sha256:";
constexpr size_t kDigestDigits = 12;
// Lines of a frame beside those of tenants: the whole, the table's head, what is left out, a note,
// the way on, and the cursor's own.
constexpr int kOtherRows = 6;

Json TenantJson(const v1::RolloutTenant& tenant) {
  return {
      {"name", tenant.tenant()},         {"host", tenant.host()},
      {"wave", tenant.wave()},           {"state", StateName(tenant.state())},
      {"operation", tenant.operation()}, {"from_image", tenant.from_image()},
      {"to_image", tenant.to_image()},   {"message", tenant.message()},
  };
}

std::string WaveText(const v1::RolloutTenant& tenant) {
  if (tenant.state() == v1::ROLLOUT_TENANT_STATE_SKIPPED) return "-";
  return tenant.wave() == 0 ? "canary" : absl::StrCat(tenant.wave());
}

std::string TenantsTable(const std::vector<const v1::RolloutTenant*>& tenants, int width,
                         bool colour) {
  Table table({{"WAVE"},
               {"TENANT", 0, 8},
               {"HOST", 3, 4},
               {"STATE"},
               {"FROM", 5, 12},
               {"TO", 4, 12},
               {"MESSAGE", 1, 20}});
  for (const v1::RolloutTenant* tenant : tenants) {
    const std::string state(StateName(tenant->state()));
    table.Add({{WaveText(*tenant)},
               {tenant->tenant(), Tone::kStrong},
               {tenant->host()},
               {state, ToneOf(state)},
               {ShortImage(tenant->from_image())},
               {ShortImage(tenant->to_image())},
               {tenant->message(), Tone::kDim}});
  }
  return table.Render(width, colour);
}

// Whom something happens to, then who is next, then who is done with.
int Interest(const v1::RolloutTenant& tenant) {
  switch (tenant.state()) {
    case v1::ROLLOUT_TENANT_STATE_UPDATING:
    case v1::ROLLOUT_TENANT_STATE_FAILED:
      return 0;
    case v1::ROLLOUT_TENANT_STATE_PENDING:
      return 1;
    case v1::ROLLOUT_TENANT_STATE_UPDATED:
    case v1::ROLLOUT_TENANT_STATE_SKIPPED:
    case v1::ROLLOUT_TENANT_STATE_UNSPECIFIED:
    case v1::RolloutTenantState_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::RolloutTenantState_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return 2;
}

// At most `count` of them, in their order.
std::vector<const v1::RolloutTenant*> MostInteresting(const v1::Rollout& rollout, size_t count) {
  std::vector<const v1::RolloutTenant*> chosen;
  for (int interest = 0; interest <= 2; ++interest) {
    for (const v1::RolloutTenant& tenant : rollout.tenants()) {
      if (Interest(tenant) == interest && chosen.size() < count) chosen.push_back(&tenant);
    }
  }
  std::sort(chosen.begin(), chosen.end(),
            [](const v1::RolloutTenant* a, const v1::RolloutTenant* b) {
              return a->wave() != b->wave() ? a->wave() < b->wave() : a->tenant() < b->tenant();
            });
  return chosen;
}

std::string Age(const v1::Rollout& rollout, absl::Time now) {
  if (!rollout.has_create_time()) return "-";
  return absl::StrCat(HumanDuration(now - FromTimestamp(rollout.create_time())), " ago");
}

std::string SettingsText(const v1::RolloutSettings& settings) {
  return absl::StrCat("canary ", settings.canary(), ", at once ", settings.max_unavailable(),
                      ", soak ", HumanDuration(absl::Seconds(settings.soak().seconds())),
                      settings.no_rehearsal() ? ", no rehearsal" : "",
                      settings.no_pull() ? ", no pull" : "");
}

}  // namespace

std::string ShortImage(absl::string_view image) {
  const size_t digest = image.find(kDigest);
  if (digest == absl::string_view::npos) return std::string(image);
  return std::string(image.substr(digest + kDigest.size(), kDigestDigits));
}

absl::Duration Elapsed(const v1::Rollout& rollout, absl::Time now) {
  return TimeTaken(rollout, now);
}

Json RolloutJson(const v1::Rollout& rollout) {
  Json tenants = Json::array();
  for (const v1::RolloutTenant& tenant : rollout.tenants()) tenants.push_back(TenantJson(tenant));
  return {
      {"id", ShortName(rollout.name())},
      {"state", StateName(rollout.state())},
      {"image", rollout.settings().image()},
      {"tenants", std::move(tenants)},
      {"created_at", TimeJson(rollout.has_create_time(), rollout.create_time())},
      {"ended_at", TimeJson(rollout.has_end_time(), rollout.end_time())},
      {"message", rollout.message()},
      {"error", ErrorJson(rollout)},
      {"created_by", rollout.created_by()},
      {"operation", rollout.operation()},
  };
}

std::string RolloutsTable(const std::vector<v1::Rollout>& rollouts, absl::Time now, int width,
                          bool colour) {
  if (rollouts.empty()) return "No rollouts.\n";
  Table table({{"ROLLOUT", 0},
               {"STATE"},
               {"IMAGE", 4, 12},
               {"TOOK", 2, 0, true},
               {"STARTED", 1, 0, true},
               {"BY", 5, 8},
               {"MESSAGE", 3, 20}});
  for (const v1::Rollout& rollout : rollouts) {
    const std::string state(StateName(rollout.state()));
    table.Add({{ShortName(rollout.name()), Tone::kStrong},
               {state, ToneOf(state)},
               {rollout.settings().image().empty() ? "each its own"
                                                   : ShortImage(rollout.settings().image())},
               {HumanDuration(Elapsed(rollout, now))},
               {Age(rollout, now)},
               {rollout.created_by()},
               {rollout.message(), Tone::kDim}});
  }
  return table.Render(width, colour);
}

std::string RolloutTenantsTable(const v1::Rollout& rollout, int width, bool colour) {
  return TenantsTable(MostInteresting(rollout, static_cast<size_t>(rollout.tenants_size())), width,
                      colour);
}

std::string RolloutDetails(const v1::Rollout& rollout, absl::Time now, int width, bool colour) {
  const std::string state(StateName(rollout.state()));
  std::string text;
  const DetailLines line{&text, 11, colour};
  line("rollout", rollout.name(), Tone::kStrong);
  line("state", state, ToneOf(state));
  line("image",
       rollout.settings().image().empty() ? "each tenant's own" : rollout.settings().image());
  line("settings", SettingsText(rollout.settings()));
  line("started", absl::StrCat(Age(rollout, now), " by ", rollout.created_by()));
  line("took", HumanDuration(Elapsed(rollout, now)));
  line("message", rollout.message());
  if (rollout.has_error()) line("error", rollout.error().message(), Tone::kBad);
  return absl::StrCat(text, "\n", RolloutTenantsTable(rollout, width, colour));
}

std::string RolloutFrame(const v1::Rollout& rollout, absl::string_view note, absl::Time now,
                         int width, int rows, bool colour) {
  const std::string id = ShortName(rollout.name());
  const std::string state(StateName(rollout.state()));
  const std::string elapsed = HumanDuration(Elapsed(rollout, now));
  const int taken = 8 + Width(id) + 2 + Width(elapsed) + 2 + Width(state) + 2;
  std::string text = absl::StrCat(
      Paint(absl::StrCat("rollout ", Visible(id)), Tone::kStrong, colour), "  ", elapsed, "  ",
      Paint(state, ToneOf(state), colour), "  ",
      Paint(Shorten(Visible(rollout.message()), std::max(0, width - taken)), Tone::kDim, colour),
      "\n");
  const auto most = static_cast<size_t>(std::max(1, rows - kOtherRows));
  const auto shown = MostInteresting(rollout, most);
  absl::StrAppend(&text, TenantsTable(shown, width, colour));
  const auto add = [&](const std::string& line, Tone tone) {
    absl::StrAppend(&text, Paint(Shorten(Visible(line), width), tone, colour), "\n");
  };
  if (const size_t all = static_cast<size_t>(rollout.tenants_size()); shown.size() < all) {
    add(absl::StrCat("and ", all - shown.size(), " more: mtp-cli rollout show ", id), Tone::kDim);
  }
  if (!note.empty()) add(std::string(note), Tone::kWarning);
  if (!HasEnded(rollout.state())) {
    add(absl::StrCat("Goes on after Ctrl-C; mtp-cli rollout watch|abort ", id), Tone::kDim);
  }
  return text;
}

void LiveRolloutProgress::Update(const v1::Rollout& rollout, absl::Time now) {
  rollout_ = rollout;
  Tick(now);
}

void LiveRolloutProgress::Tick(absl::Time now) {
  if (rollout_.name().empty()) return;
  place_.Draw(RolloutFrame(rollout_, note_, now, columns_(), rows_(), colour_));
}

void PlainRolloutProgress::Say(const std::string& who, const std::string& line,
                               const v1::Rollout& rollout, absl::Time now) {
  std::string& said = said_[who];
  if (said == line) return;
  said = line;
  out_ << HumanDuration(Elapsed(rollout, now)) << " " << Visible(who) << ": " << Visible(line)
       << std::endl;
}

void PlainRolloutProgress::Update(const v1::Rollout& rollout, absl::Time now) {
  for (const v1::RolloutTenant& tenant : rollout.tenants()) {
    if (tenant.state() == v1::ROLLOUT_TENANT_STATE_PENDING && tenant.message().empty()) continue;
    const std::string state(StateName(tenant.state()));
    Say(tenant.tenant(),
        tenant.message().empty() ? state : absl::StrCat(state, ": ", tenant.message()), rollout,
        now);
  }
  // Its message sums up what the tenants' lines say.
  Say(absl::StrCat("rollout ", ShortName(rollout.name())), std::string(StateName(rollout.state())),
      rollout, now);
}

void PlainRolloutProgress::Note(absl::string_view text) {
  if (!text.empty()) out_ << Visible(text) << std::endl;
}

}  // namespace mtp::cli
