// How restic is called: pure functions from a repository's access to arguments and variables.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <map>
#include <string>
#include <vector>

#include "common/restic/repository.h"
#include "common/restic/repository_place.h"

namespace mtp {

using RepositoryKind = RepositoryPlace::Kind;

struct RepositoryAddress {
  RepositoryKind kind = RepositoryKind::kFolder;
  std::string restic_url;  // as restic writes it
  std::string user;        // of SFTP
  // Of SFTP and S3; an IPv6 address is in brackets.
  std::string host;
  int port = 0;
};

// INVALID_ARGUMENT as RepositoryPlace::Parse; a tenant's part of a repository may be longer.
absl::StatusOr<RepositoryAddress> ParseRepositoryUrl(absl::string_view url);

// INVALID_ARGUMENT unless the url is well-formed and what its kind needs is given.
absl::Status CheckAccess(const RepositoryAccess& access);

absl::Status CheckIdentity(const BackupIdentity& identity);

// A full snapshot id, 64 hexadecimal digits in lowercase.
absl::Status CheckSnapshotId(absl::string_view id);

// `fleet=f,tenant=acme,backup=01`: empty parts are left out.
std::string TagsOf(const BackupIdentity& identity);

// Files of one call, in its private folder.
struct CallFiles {
  std::string folder;
  std::string cache_folder;
  std::string PrivateKey() const { return folder + "/key"; }
  std::string KnownHosts() const { return folder + "/known_hosts"; }
  std::string Certificates() const { return folder + "/ca.pem"; }
};

// Arguments in front of the subcommand's own. The password is expected on standard input. A cache
// is used only with `use_cache`, and never for a local folder.
std::vector<std::string> ResticArguments(const std::string& program,
                                         const RepositoryAddress& address,
                                         const RepositoryAccess& access, const CallFiles& files,
                                         bool use_cache);

// All of the child's variables.
std::map<std::string, std::string> ResticEnvironment(const RepositoryAddress& address,
                                                     const RepositoryAccess& access,
                                                     const CallFiles& files);

}  // namespace mtp
