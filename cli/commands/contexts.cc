#include "cli/commands/contexts.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <fcntl.h>
#include <sys/file.h>
#include <yaml-cpp/yaml.h>

#include "cli/output/failure.h"
#include "common/base/atomic_file.h"
#include "common/base/file_descriptor.h"
#include "common/base/status.h"
#include "common/base/utf8.h"

namespace mtp::cli {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;

std::string Text(const YAML::Node& node, const char* key) {
  const YAML::Node value = node[key];
  return value && value.IsScalar() ? value.as<std::string>() : "";
}

// What the file would not give back as it was.
absl::Status CheckOneLine(const ContextFile& file, const std::string& path) {
  bool good = IsLine(file.current);
  for (const auto& [name, endpoint] : file.contexts) {
    good = good && IsLine(name) && IsLine(endpoint.controller) && IsLine(endpoint.identity_folder);
  }
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a context's name, controller and identity are one line of UTF-8 each: ", path));
}

// yaml-cpp throws on anything unexpected; nothing of it leaves this function.
absl::StatusOr<ContextFile> Parse(const std::string& text, const std::string& path) {
  MTP_RETURN_IF_ERROR(CheckTextFile(text, path));
  try {
    const YAML::Node root = YAML::Load(text);
    ContextFile file;
    if (root.IsNull()) return file;
    file.current = Text(root, "current");
    for (const auto& entry : root["contexts"]) {
      Endpoint endpoint{Text(entry.second, "controller"), Text(entry.second, "identity")};
      if (!endpoint.identity_folder.empty() && endpoint.identity_folder.front() != '/') {
        endpoint.identity_folder = absl::StrCat(FolderOf(path), "/", endpoint.identity_folder);
      }
      file.contexts.emplace(entry.first.as<std::string>(), std::move(endpoint));
    }
    MTP_RETURN_IF_ERROR(CheckOneLine(file, path));
    return file;
  } catch (const YAML::Exception& exception) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is not a valid context file (line ", exception.mark.line + 1, ")"));
  }
}

std::string Known(const ContextFile& file) {
  if (file.contexts.empty())
    return "there is none; add one with `mtp-cli context add NAME --controller ADDRESS --identity "
           "FOLDER`";
  return absl::StrCat("there are: ",
                      absl::StrJoin(file.contexts, ", ", [](std::string* out, const auto& entry) {
                        absl::StrAppend(out, entry.first);
                      }));
}

}  // namespace

absl::StatusOr<std::string> ContextFilePath(const Environment& environment) {
  if (auto path = environment.variable("MTP_CONFIG")) return *path;
  if (auto home = environment.variable("HOME")) return *home + "/.config/mtp/config.yaml";
  return absl::InvalidArgumentError("neither MTP_CONFIG nor HOME says where the context file is");
}

absl::StatusOr<ContextFile> ReadContextFile(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path, kMaxFileBytes);
  if (absl::IsNotFound(text.status())) return ContextFile{};
  if (!text.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read the context file: ", text.status().message()));
  }
  return Parse(*text, path);
}

absl::Status WriteContextFile(const std::string& path, const ContextFile& file) {
  MTP_RETURN_IF_ERROR(CheckOneLine(file, path));
  YAML::Emitter yaml;
  yaml << YAML::BeginMap;
  if (!file.current.empty()) yaml << YAML::Key << "current" << YAML::Value << file.current;
  yaml << YAML::Key << "contexts" << YAML::Value << YAML::BeginMap;
  for (const auto& [name, endpoint] : file.contexts) {
    yaml << YAML::Key << name << YAML::Value << YAML::BeginMap;
    yaml << YAML::Key << "controller" << YAML::Value << endpoint.controller;
    yaml << YAML::Key << "identity" << YAML::Value << endpoint.identity_folder;
    yaml << YAML::EndMap;
  }
  yaml << YAML::EndMap << YAML::EndMap;
  return WriteFileAtomically(path, absl::StrCat(yaml.c_str(), "\n"), 0600);
}

absl::Status ChangeContextFile(const std::string& path,
                               absl::FunctionRef<absl::Status(ContextFile&)> change) {
  const std::string folder = FolderOf(path);
  MTP_RETURN_IF_ERROR(MakeFolders(folder, 0700));
  // The file itself is replaced, and a lock file would be left behind.
  const FileDescriptor lock(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock.valid() || flock(lock.get(), LOCK_EX) != 0) return ErrnoStatus(errno, folder);
  MTP_ASSIGN_OR_RETURN(ContextFile file, ReadContextFile(path));
  MTP_RETURN_IF_ERROR(change(file));
  return WriteContextFile(path, file);
}

absl::StatusOr<Endpoint> ResolveEndpoint(const Environment& environment,
                                         const EndpointFlags& flags) {
  Endpoint endpoint{flags.controller, flags.identity};
  if (!endpoint.controller.empty() && !endpoint.identity_folder.empty()) return endpoint;

  MTP_ASSIGN_OR_RETURN(const std::string path, ContextFilePath(environment));
  MTP_ASSIGN_OR_RETURN(const ContextFile file, ReadContextFile(path));
  const std::string name = !flags.context.empty()
                               ? flags.context
                               : environment.variable("MTP_CONTEXT").value_or(file.current);
  if (name.empty()) {
    return WithHint(absl::InvalidArgumentError("no context says where the controller is"),
                    "`mtp-cli context add NAME --controller ADDRESS --identity FOLDER`, or give "
                    "--controller and --identity");
  }
  const auto found = file.contexts.find(name);
  if (found == file.contexts.end()) {
    return WithHint(
        absl::InvalidArgumentError(absl::StrCat("there is no context ", name, " in ", path)),
        Known(file));
  }
  if (endpoint.controller.empty()) endpoint.controller = found->second.controller;
  if (endpoint.identity_folder.empty()) endpoint.identity_folder = found->second.identity_folder;
  if (endpoint.controller.empty() || endpoint.identity_folder.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the context ", name, " in ", path, " lacks its controller or identity"));
  }
  return endpoint;
}

}  // namespace mtp::cli
