#include "cli/output/tenant_view.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "cli/output/backup_tables.h"
#include "cli/output/fleet_view.h"
#include "cli/output/names.h"
#include "cli/output/table.h"
#include "cli/output/text.h"
#include "cli/output/values.h"
#include "common/base/timestamps.h"

namespace mtp::cli {
namespace {

Json SpecJson(const v1::TenantSpec& spec) {
  const auto asked = [](int64_t mib) { return mib == 0 ? Json(nullptr) : Json(mib); };
  const auto text = [](const std::string& value) {
    return value.empty() ? Json(nullptr) : Json(value);
  };
  return {
      {"memory_reservation_mib", asked(spec.memory_reservation_mib())},
      {"memory_limit_mib", asked(spec.memory_limit_mib())},
      {"image", text(spec.image())},
      {"labels", LabelsJson(spec.labels())},
      {"host", text(spec.host())},
      {"host_labels", LabelsJson(spec.host_labels())},
      {"anti_affinity_label", text(spec.anti_affinity_label())},
      {"environment", LabelsJson(spec.environment())},
      {"port_published", !spec.port_unpublished()},
      {"telegram_api_root", text(spec.telegram_api_root())},
      {"anthropic_api_root", text(spec.anthropic_api_root())},
      {"run_policy", spec.run_policy() == v1::RUN_POLICY_STOP ? "stop" : "run"},
      {"failover_policy", FailoverName(spec.failover_policy())},
  };
}

// `1.0G (asked for: 1024 MiB)`, `2.0G (the default)`.
std::string WithAsked(int64_t in_force_mib, int64_t asked_mib) {
  return absl::StrCat(
      HumanMib(in_force_mib),
      asked_mib == 0 ? " (the default)" : absl::StrCat(" (asked for: ", asked_mib, " MiB)"));
}

std::string ContainerText(const v1::TenantStatus& status, absl::Time now) {
  std::string text = status.container();
  if (status.has_start_time()) {
    absl::StrAppend(&text, ", up ", HumanDuration(now - FromTimestamp(status.start_time())));
  }
  if (status.restart_count() > 0) {
    absl::StrAppend(&text, ", restarted by the engine ", status.restart_count(),
                    status.restart_count() == 1 ? " time" : " times");
  }
  return text;
}

std::string When(bool set, const google::protobuf::Timestamp& time, absl::Time now) {
  const std::string ago = Ago(set, time, now);
  return set ? absl::StrCat(Rfc3339(FromTimestamp(time)), ", ", ago) : ago;
}

}  // namespace

Json TenantDetailsJson(const v1::Tenant& tenant, absl::Time now) {
  Json json = TenantJson(tenant, now);
  json["spec"] = SpecJson(tenant.spec());
  json["last_log_lines"] = Json::array();
  for (const std::string& line : tenant.status().last_log_lines()) {
    json["last_log_lines"].push_back(line);
  }
  json["secrets_changed_at"] =
      TimeJson(tenant.status().has_secret_change_time(), tenant.status().secret_change_time());
  json["etag"] = tenant.etag();
  return json;
}

std::string TenantDetails(const v1::Tenant& tenant, absl::Time now, bool colour) {
  const v1::TenantStatus& status = tenant.status();
  const v1::TenantSpec& spec = tenant.spec();
  std::string text;
  const DetailLines line{&text, 14, colour};
  const std::string health(HealthName(status.health()));
  line("tenant", ShortName(tenant.name()), Tone::kStrong);
  line("status", absl::StrCat(StateName(status.state()), ", ", health), ToneOf(health));
  line("message", status.message(), Tone::kWarning);
  line("host", absl::StrCat(status.host(), ", epoch ", status.epoch(),
                            spec.host().empty() ? "" : " (asked for)"));
  line("gateway", spec.port_unpublished()
                      ? absl::StrCat("not published (port ", status.port(), " is kept for it)")
                      : absl::StrCat("127.0.0.1:", status.port(), " on ", status.host()));
  line("container", ContainerText(status, now));
  line("image", absl::StrCat(status.image(), spec.image().empty() ? " (the default)" : ""));
  line("pinned image", status.pinned_image());
  line("image id", status.image_id());
  line("memory in use", status.has_start_time() ? HumanMib(status.memory_mib()) : "none");
  line("reserved", WithAsked(status.memory_reservation_mib(), spec.memory_reservation_mib()));
  line("memory limit", WithAsked(status.memory_limit_mib(), spec.memory_limit_mib()));
  line("oom kills", absl::StrCat(status.oom_kills()),
       status.oom_kills() > 0 ? Tone::kWarning : Tone::kPlain);
  line("on host loss", FailoverName(spec.failover_policy()));
  line("labels", LabelsText(spec.labels()));
  line("host labels", LabelsText(spec.host_labels()));
  line("anti-affinity", spec.anti_affinity_label());
  line("environment", LabelsText(spec.environment()));
  line("Telegram API", spec.telegram_api_root());
  line("Anthropic API", spec.anthropic_api_root());
  line("created", When(tenant.has_create_time(), tenant.create_time(), now));
  line("secrets", tenant.status().has_secret_change_time()
                      ? absl::StrCat("changed ", When(true, status.secret_change_time(), now))
                      : "");
  line("backup", When(status.has_last_backup_time(), status.last_backup_time(), now));
  line("proven", When(status.has_last_proven_backup_time(), status.last_proven_backup_time(), now));
  line("backup failed", status.backup_failure(), Tone::kBad);
  if (status.last_log_lines().empty()) return text;
  absl::StrAppend(&text, Paint("its last log lines", Tone::kDim, colour), "\n");
  for (const std::string& log : status.last_log_lines()) {
    absl::StrAppend(&text, "  ", Visible(log), "\n");
  }
  return text;
}

}  // namespace mtp::cli
