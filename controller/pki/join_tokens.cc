#include "controller/pki/join_tokens.h"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <openssl/crypto.h>

#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/base/ulid.h"
#include "common/kv/table.h"
#include "mtp/state/v1/state.pb.h"

namespace mtp {
namespace {

constexpr int kMaxOpenTokens = 1000;
constexpr int kMaxAttempts = 8;
constexpr absl::Duration kMaxLifetime = absl::Hours(24 * 7);
// A used token stays this much longer, so that its host may repeat the request.
constexpr absl::Duration kRepeatTime = absl::Hours(24);
constexpr size_t kMaxAddressBytes = 256;

using TokenTable = kv::Table<state::v1::JoinTokenRecord>;
using HostTable = kv::Table<state::v1::HostRecord>;

TokenTable Tokens(const kv::Store* store) { return {store, "/join-tokens/"}; }
HostTable Hosts(const kv::Store* store) { return {store, "/hosts/"}; }

// `name:port`, `10.0.0.1:7444` or `[::1]:7444`, and nothing that gRPC would take for another kind
// of target: the controller connects to this later.
bool IsAddress(absl::string_view text) {
  const size_t colon = text.rfind(':');
  if (text.size() > kMaxAddressBytes || colon == absl::string_view::npos || colon == 0)
    return false;
  const absl::string_view host = text.substr(0, colon);
  const bool bracketed = host.front() == '[' && host.back() == ']';
  for (char c : bracketed ? host.substr(1, host.size() - 2) : host) {
    const bool allowed = absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' ||
                         c == '-' || (bracketed && c == ':');
    if (!allowed) return false;
  }
  int port = 0;
  return absl::SimpleAtoi(text.substr(colon + 1), &port) && port > 0 && port < 65536;
}

bool EqualHashes(const std::string& a, const std::string& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

JoinTokens::JoinTokens(kv::Store* store, const Authority* authority, const Clock* clock,
                       Random* random, std::string enrollment_address)
    : store_(store),
      authority_(authority),
      clock_(clock),
      random_(random),
      enrollment_address_(std::move(enrollment_address)) {}

absl::Status JoinTokens::DropExpired() {
  const TokenTable tokens = Tokens(store_);
  MTP_ASSIGN_OR_RETURN(const auto rows, tokens.List());
  kv::Txn txn;
  int open = 0;
  for (const auto& row : rows) {
    const absl::Time expires = FromTimestamp(row.value.expire_time());
    if (expires + kRepeatTime < clock_->Now() && txn.deletes.size() < kv::kMaxChanges) {
      txn.Delete(tokens.Key(row.id));
    } else {
      ++open;
    }
  }
  if (open >= kMaxOpenTokens) {
    return absl::ResourceExhaustedError(
        "there are 1000 open join tokens; wait until some have expired");
  }
  return txn.deletes.empty() ? absl::OkStatus() : store_->Commit(txn).status();
}

absl::Status JoinTokens::DropOthers(const kv::Row<state::v1::JoinTokenRecord>& token,
                                    const HostName& host, kv::Txn& txn) const {
  const TokenTable tokens = Tokens(store_);
  MTP_ASSIGN_OR_RETURN(const auto rows, tokens.List());
  for (const auto& row : rows) {
    if (txn.deletes.size() + txn.puts.size() == kv::kMaxChanges) break;
    if (row.id != token.id && row.value.host() == host.value()) txn.Delete(tokens.Key(row.id));
  }
  return absl::OkStatus();
}

absl::StatusOr<tls::JoinToken> JoinTokens::Create(const HostName& host, absl::Duration lifetime,
                                                  bool rejoin) {
  if (lifetime <= absl::ZeroDuration() || lifetime > kMaxLifetime) {
    return absl::InvalidArgumentError("a join token lives at least a moment and at most 7 days");
  }
  if (!rejoin && Hosts(store_).Get(host.value()).ok()) {
    return absl::AlreadyExistsError(absl::StrCat(
        "host ", host.value(),
        " has joined already; add --rejoin if its machine or its certificate was replaced"));
  }
  MTP_RETURN_IF_ERROR(DropExpired());
  tls::JoinToken token;
  token.id = NewUlid(*clock_, *random_);
  token.host = host.value();
  token.address = enrollment_address_;
  MTP_ASSIGN_OR_RETURN(const TrustedAuthorities authorities, authority_->Now());
  token.authority_fingerprint = authorities.server().fingerprint;
  token.secret = SecretString(absl::BytesToHexString(random_->Bytes(32)));
  state::v1::JoinTokenRecord record;
  record.set_secret_hash(tls::Sha256Hex(token.secret.Reveal()));
  record.set_host(host.value());
  *record.mutable_expire_time() = ToTimestamp(clock_->Now() + lifetime);
  kv::Txn txn;
  Tokens(store_).Put(txn, token.id, record);
  MTP_RETURN_IF_ERROR(store_->Commit(txn).status());
  return token;
}

absl::StatusOr<v1::JoinResponse> JoinTokens::Redeem(const v1::JoinRequest& request) {
  MTP_ASSIGN_OR_RETURN(const HostName host, HostName::Parse(request.host_id()));
  if (!IsAddress(request.agent_address())) {
    return absl::InvalidArgumentError("the agent's address must look like 10.0.0.1:7444");
  }
  MTP_ASSIGN_OR_RETURN(const std::string key_fingerprint,
                       tls::RequestKeyFingerprint(request.csr_pem()));
  absl::StatusOr<v1::JoinResponse> response;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    response = TryRedeem(request, host, key_fingerprint);
    if (!absl::IsAborted(response.status())) break;
  }
  return response;
}

absl::StatusOr<v1::JoinResponse> JoinTokens::TryRedeem(const v1::JoinRequest& request,
                                                       const HostName& host,
                                                       const std::string& key_fingerprint) {
  const TokenTable tokens = Tokens(store_);
  if (!IsUlid(request.token_id())) return absl::PermissionDeniedError("malformed token id");
  auto token = tokens.Get(request.token_id());
  if (absl::IsNotFound(token.status())) return absl::PermissionDeniedError("unknown token");
  if (!token.ok()) return token.status();
  if (!EqualHashes(token->value.secret_hash(), tls::Sha256Hex(request.token_secret()))) {
    return absl::PermissionDeniedError("wrong secret for the token");
  }
  if (token->value.host() != host.value()) {
    return absl::PermissionDeniedError(
        absl::StrCat("token is for host ", token->value.host(), ", not ", host.value()));
  }
  const bool repeated = token->value.has_use_time();
  if (repeated && token->value.used_for_key() != key_fingerprint)
    return absl::PermissionDeniedError("token was used already");
  const absl::Time end = FromTimestamp(token->value.expire_time());
  if (clock_->Now() > (repeated ? end + kRepeatTime : end))
    return absl::PermissionDeniedError("token has expired");
  const HostTable hosts = Hosts(store_);
  auto record = hosts.Get(host.value());
  if (!record.ok() && !absl::IsNotFound(record.status())) return record.status();
  if (repeated && !record.ok())
    return absl::PermissionDeniedError("token was used already, and its host was removed since");
  const tls::Identity identity{tls::Identity::Kind::kAgent, authority_->fleet(), host.value()};
  MTP_ASSIGN_OR_RETURN(const TrustedAuthorities authorities, authority_->Now());
  MTP_ASSIGN_OR_RETURN(const tls::IssuedCertificate issued,
                       authorities.Issue(request.csr_pem(), identity, clock_->Now()));
  *token->value.mutable_use_time() = ToTimestamp(clock_->Now());
  token->value.set_used_for_key(key_fingerprint);

  state::v1::HostRecord value = record.ok() ? record->value : state::v1::HostRecord();
  if (!record.ok()) *value.mutable_create_time() = ToTimestamp(clock_->Now());
  value.set_name(host.value());
  value.set_agent_address(request.agent_address());
  value.set_certificate_serial(issued.serial);
  *value.mutable_certificate_expire_time() = ToTimestamp(clock_->Now() + kCertificateLifetime);
  value.clear_next_certificate_pem();
  value.set_ca_sha256(tls::Sha256Hex(authorities.Bundle()));
  value.set_authority(authorities.issuer().fingerprint);
  kv::Txn txn;
  // A rotation that goes on meanwhile must see this host with what it gets.
  txn.RequireRevision(kAuthoritiesKey, authorities.revision);
  txn.RequireRevision(tokens.Key(token->id), token->revision);
  txn.RequireRevision(hosts.Key(host.value()), record.ok() ? record->revision : 0);
  tokens.Put(txn, token->id, token->value);
  hosts.Put(txn, host.value(), value);
  if (!repeated) MTP_RETURN_IF_ERROR(DropOthers(*token, host, txn));
  MTP_RETURN_IF_ERROR(store_->Commit(txn).status());

  v1::JoinResponse response;
  response.set_certificate_pem(issued.pem);
  response.set_ca_pem(authorities.Bundle());
  response.set_fleet(authority_->fleet());
  return response;
}

}  // namespace mtp
