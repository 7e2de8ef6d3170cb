// Contexts: which controllers the user knows, and with which identity. One file,
// `~/.config/mtp/config.yaml`, mode 0600:
//
//   current: production
//   contexts:
//     production:
//       controller: 203.0.113.7:7443
//       identity: /home/alice/.config/mtp/identities/production
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <map>
#include <string>

#include "cli/commands/environment.h"

namespace mtp::cli {

struct ContextFile {
  std::string current;  // may be empty
  std::map<std::string, Endpoint> contexts;
};

// $MTP_CONFIG, else `~/.config/mtp/config.yaml`. INVALID_ARGUMENT without a home folder.
absl::StatusOr<std::string> ContextFilePath(const Environment& environment);

// An absent file is an empty one. INVALID_ARGUMENT for a file that is not of the form above. A
// relative identity folder is relative to the file's folder.
absl::StatusOr<ContextFile> ReadContextFile(const std::string& path);

// Atomically, mode 0600. INVALID_ARGUMENT when a name, controller or identity is not one line of
// UTF-8. Its folder is there.
absl::Status WriteContextFile(const std::string& path, const ContextFile& file);

// Reads the file, has it changed and writes it; of several commands at once each finds what the one
// before it has written. Nothing is written when `change` fails.
absl::Status ChangeContextFile(const std::string& path,
                               absl::FunctionRef<absl::Status(ContextFile&)> change);

// What the global flags say about the connection; empty means: not given.
struct EndpointFlags {
  std::string context;
  std::string controller;
  std::string identity;
};

// Flags first, then $MTP_CONTEXT, then the current context. INVALID_ARGUMENT with a hint when none
// says it.
absl::StatusOr<Endpoint> ResolveEndpoint(const Environment& environment,
                                         const EndpointFlags& flags);

}  // namespace mtp::cli
