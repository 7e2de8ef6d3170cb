// The targets' functions; what each holds is said where it is defined.
#pragma once

#include <absl/strings/string_view.h>

namespace mtp::fuzz {

// compose.cc
void EnvFile(absl::string_view input);
void Project(absl::string_view input);
void ConfigTemplate(absl::string_view input);
void ComposeWords(absl::string_view input);
// tenant_request.cc
void TenantRequest(absl::string_view input);
// settings.cc
void AgentSettings(absl::string_view input);
void ControllerSettings(absl::string_view input);
void CliContexts(absl::string_view input);
void RecoveryKit(absl::string_view input);
// names.cc
void Names(absl::string_view input);
void References(absl::string_view input);
void Identities(absl::string_view input);
void Durations(absl::string_view input);
// tokens.cc
void JoinTokens(absl::string_view input);
void PageTokens(absl::string_view input);
// engine_answers.cc
void EngineAnswers(absl::string_view input);
void EngineOutput(absl::string_view input);
// read_only.cc
void ReadOnlyRequests(absl::string_view input);
void ReadOnlyAnswers(absl::string_view input);
// engine_http.cc
void EngineHttp(absl::string_view input);
// filtered_socket.cc
void FilteredSocket(absl::string_view input);
// gateway.cc
void GatewayFrames(absl::string_view input);
void GatewayConnection(absl::string_view input);
void Channels(absl::string_view input);
void Probe(absl::string_view input);
// restic.cc
void ResticOutput(absl::string_view input);
void RepositoryUrls(absl::string_view input);
// backup.cc
void BackupManifest(absl::string_view input);
void DatabaseLines(absl::string_view input);
void BackupArchive(absl::string_view input);
// recovery.cc
void RecoveryCopy(absl::string_view input);
void RecoveryFolder(absl::string_view input);
// certificates.cc
void Certificates(absl::string_view input);
void CertificateRequests(absl::string_view input);
// text.cc
void Redaction(absl::string_view input);
void ShownText(absl::string_view input);
void YamlOutput(absl::string_view input);
void CrashHistories(absl::string_view input);

}  // namespace mtp::fuzz
