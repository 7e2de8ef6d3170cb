#include "agent/compose/project_folder.h"

#include <absl/strings/str_cat.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "agent/compose/config_template.h"
#include "agent/compose/env_file.h"
#include "common/base/atomic_file.h"
#include "common/base/status.h"

namespace mtp {
namespace {

constexpr size_t kMaxFileBytes = 4 << 20;
constexpr char kTemplateFile[] = "config/tenant-template.json5";
constexpr char kAdminEnvFile[] = "admin.env";
constexpr char kAdminEnvText[] =
    "# Secrets of this host's admin instance, all optional. Edit, then restart the agent.\n"
    "# ADMIN_TELEGRAM_TOKEN=\"\"\n"
    "# ADMIN_ANTHROPIC_KEY=\"\"\n"
    "# ADMIN_OPENAI_KEY=\"\"\n"
    "# ADMIN_OPENROUTER_KEY=\"\"\n";

absl::Status WriteWhenAbsent(const std::string& path, absl::string_view content, mode_t mode) {
  struct stat info;
  if (lstat(path.c_str(), &info) == 0) return absl::OkStatus();
  if (errno != ENOENT) return ErrnoStatus(errno, path);
  return WriteFileAtomically(path, content, mode);
}

bool IsWritten(const std::string& path, const RenderedFile& file) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  if ((info.st_mode & 07777) != file.mode) return false;
  auto content = ReadFile(path, kMaxFileBytes);
  return content.ok() && *content == file.content;
}

}  // namespace

std::string ProjectFolder::AdminSocketPath() const {
  return absl::StrCat(path_, "/", kAdminSocketFolder, "/docker.sock");
}

absl::Status ProjectFolder::Prepare() const {
  MTP_RETURN_IF_ERROR(MakeFolders(path_, 0755));
  // An `.env` that was not finished holds every secret of its time.
  MTP_RETURN_IF_ERROR(RemoveUnfinishedFiles(path_));
  MTP_RETURN_IF_ERROR(MakeFolders(path_ + "/config", 0755));
  MTP_RETURN_IF_ERROR(MakeFolders(DataPath(), 0711));
  MTP_RETURN_IF_ERROR(MakeFolders(BackupsPath(), 0700));
  MTP_RETURN_IF_ERROR(MakeFolders(absl::StrCat(path_, "/", kAdminSocketFolder), 0755));
  MTP_RETURN_IF_ERROR(
      WriteWhenAbsent(absl::StrCat(path_, "/", kTemplateFile), DefaultConfigTemplate(), 0644));
  return WriteWhenAbsent(absl::StrCat(path_, "/", kAdminEnvFile), kAdminEnvText, 0600);
}

absl::Status ProjectFolder::Write(const std::vector<RenderedFile>& files) const {
  for (const RenderedFile& file : files) {
    const std::string path = absl::StrCat(path_, "/", file.path);
    if (IsWritten(path, file)) continue;
    MTP_RETURN_IF_ERROR(WriteFileAtomically(path, file.content, file.mode));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ProjectFolder::ConfigTemplate() const {
  return ReadFile(absl::StrCat(path_, "/", kTemplateFile), kMaxFileBytes);
}

absl::StatusOr<v1::TenantSecrets> ProjectFolder::AdminSecrets() const {
  v1::TenantSecrets secrets;
  auto text = ReadFile(absl::StrCat(path_, "/", kAdminEnvFile), kMaxFileBytes);
  if (absl::IsNotFound(text.status())) return secrets;
  if (!text.ok()) return text.status();
  auto variables = ParseEnvFile(*text);
  if (!variables.ok()) return Annotate(variables.status(), kAdminEnvFile);
  secrets.set_telegram_token((*variables)["ADMIN_TELEGRAM_TOKEN"]);
  secrets.set_anthropic_key((*variables)["ADMIN_ANTHROPIC_KEY"]);
  secrets.set_openai_key((*variables)["ADMIN_OPENAI_KEY"]);
  secrets.set_openrouter_key((*variables)["ADMIN_OPENROUTER_KEY"]);
  return secrets;
}

}  // namespace mtp
