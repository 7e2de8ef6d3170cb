// All targets. What reads foreign bytes and has none here, and why:
//
//   common/kv, journals, RPC messages   protobuf's own parser; what is in a message is checked by
//                                       the targets of its fields (tenant_request, names, …)
//   command lines                       CLI11, of whoever may run the programs anyway
//   agent/memory, /proc, /sys           written by the kernel, read with unit tests of each form
//   agent/join/fetch_authority, peers   OpenSSL's and gRPC's own parsing of TLS
//   agent/backup's databases            SQLite in a child without privileges (database_child.h);
//   what
//                                       that says is the target database_lines
//   archives that restic unpacks        restic; what came out is held to the manifest
//   (tree_manifest) OpenClaw's configuration            OpenClaw itself, in `check` and drills; the
//   agent renders it as
//                                       text (config_template)
//   copies under a passphrase           one key takes 256 MiB (copy_seal.h); behind it
//   recovery_copy
#include <algorithm>

#include "tests/fuzz/functions.h"
#include "tests/fuzz/target.h"

namespace mtp::fuzz {

const std::vector<Target>& Targets() {
  static const std::vector<Target> targets = {
      {"env_file", EnvFile, 2048},
      {"project", Project, 2048},
      {"config_template", ConfigTemplate, 2048},
      {"compose_words", ComposeWords, 1024},
      {"tenant_request", TenantRequest, 2048},
      {"agent_settings", AgentSettings, 1024},
      {"controller_settings", ControllerSettings, 1024},
      {"cli_contexts", CliContexts, 1024},
      {"recovery_kit", RecoveryKit, 2048},
      {"names", Names, 256},
      {"references", References, 512},
      {"identities", Identities, 256},
      {"durations", Durations, 128},
      {"join_tokens", JoinTokens, 1024},
      {"page_tokens", PageTokens, 512},
      {"engine_answers", EngineAnswers, 4096},
      {"engine_output", EngineOutput, 4096},
      {"engine_http", EngineHttp, 4096},
      {"read_only_requests", ReadOnlyRequests, 1024},
      {"read_only_answers", ReadOnlyAnswers, 4096},
      {"filtered_socket", FilteredSocket, 1024},
      {"gateway_frames", GatewayFrames, 2048},
      {"gateway_connection", GatewayConnection, 2048},
      {"channels", Channels, 2048},
      {"probe", Probe, 1024},
      {"restic_output", ResticOutput, 4096},
      {"repository_urls", RepositoryUrls, 640},
      {"backup_manifest", BackupManifest, 2048},
      {"database_lines", DatabaseLines, 1024},
      {"backup_archive", BackupArchive, 8192},
      {"recovery_copy", RecoveryCopy, 2048},
      {"recovery_folder", RecoveryFolder, 1024},
      {"certificates", Certificates, 2048},
      {"certificate_requests", CertificateRequests, 2048},
      {"redaction", Redaction, 1024},
      {"shown_text", ShownText, 256},
      {"yaml_output", YamlOutput, 1024},
      {"crash_histories", CrashHistories, 512},
  };
  return targets;
}

const Target* FindTarget(absl::string_view name) {
  const auto found = std::find_if(Targets().begin(), Targets().end(),
                                  [name](const Target& target) { return name == target.name; });
  return found == Targets().end() ? nullptr : &*found;
}

void Broken(const char* promise, const char* file, int line) {
  throw BrokenPromise(std::string(file) + ":" + std::to_string(line) +
                      ": does not hold: " + promise);
}

}  // namespace mtp::fuzz
