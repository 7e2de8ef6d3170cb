// The project folder on the disk: what is rendered is written atomically and only when it differs.
#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "agent/compose/render.h"

namespace mtp {

// Thread-safe for reading; callers serialise writes.
class ProjectFolder {
 public:
  // `path`: absolute.
  explicit ProjectFolder(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string DataPath() const { return path_ + "/data"; }
  std::string BackupsPath() const { return path_ + "/backups"; }
  std::string AdminSocketPath() const;

  // Makes the folder tree, installs the config template and an `admin.env` to fill in where there
  // is none. What exists is left as it is. Idempotent.
  absl::Status Prepare() const;

  // Writes those files whose content or mode differs, in the order given.
  absl::Status Write(const std::vector<RenderedFile>& files) const;

  // The operator's config template. NOT_FOUND when it was deleted.
  absl::StatusOr<std::string> ConfigTemplate() const;

  // The admin instance's optional secrets from `admin.env`: ADMIN_TELEGRAM_TOKEN,
  // ADMIN_ANTHROPIC_KEY, ADMIN_OPENAI_KEY, ADMIN_OPENROUTER_KEY. INVALID_ARGUMENT names a line that
  // cannot be read.
  absl::StatusOr<v1::TenantSecrets> AdminSecrets() const;

 private:
  std::string path_;
};

}  // namespace mtp
