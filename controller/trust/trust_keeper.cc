#include "controller/trust/trust_keeper.h"

#include <absl/strings/str_cat.h>

#include "common/base/status.h"
#include "common/base/timestamps.h"
#include "common/tls/keys.h"
#include "common/tls/renewal.h"
#include "controller/pki/host_certificate.h"

namespace mtp {
namespace {

constexpr absl::Duration kInterval = absl::Minutes(1);
// While there are two authorities each host has something to take up, more than once.
constexpr absl::Duration kIntervalOfRotation = absl::Seconds(10);
constexpr int kTimesUntilTold = 3;

// Fingerprint of the authority that signed it; empty when none of them did.
std::string IssuerOf(const std::string& certificate_pem, const TrustedAuthorities& authorities) {
  for (const auto& member : authorities.members) {
    if (tls::CheckIssuer(certificate_pem, member.pem).ok()) return member.fingerprint;
  }
  return "";
}

// Puts what the host says that it has into its record; whether that is something new.
bool Note(const v1::HostTrust& has, const TrustedAuthorities& authorities,
          state::v1::HostRecord* record) {
  const std::string before = record->SerializeAsString();
  *record->mutable_certificate_expire_time() = has.certificate_expire_time();
  record->set_ca_sha256(has.ca_sha256());
  // One that joined before this was kept has a certificate of the only authority that there was.
  if (record->authority().empty() && authorities.members.size() == 1) {
    record->set_authority(authorities.issuer().fingerprint);
  }
  return record->SerializeAsString() != before;
}

}  // namespace

TrustKeeper::TrustKeeper(kv::Store* store, const Authority* authority,
                         const Observations* observations, const Clock* clock, Executor* executor,
                         Edges edges, Log log)
    : store_(store),
      tables_(store),
      authority_(authority),
      observations_(observations),
      clock_(clock),
      executor_(executor),
      edges_(std::move(edges)),
      log_(std::move(log)) {}

TrustKeeper::~TrustKeeper() { Stop(); }

void TrustKeeper::Start() { RunAgain(); }

void TrustKeeper::Stop() {
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
  mutex_.Await(absl::Condition(
      +[](bool* looking) { return !*looking; }, &looking_));
}

void TrustKeeper::RunAgain() {
  const auto authorities = authority_->Now();
  const bool rotating = authorities.ok() && authorities->members.size() > 1;
  executor_->PostAfter(rotating ? kIntervalOfRotation : kInterval, [self = weak_from_this()] {
    const auto alive = self.lock();
    if (alive == nullptr) return;
    alive->Look();
    alive->RunAgain();
  });
}

void TrustKeeper::Look() {
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_ || looking_) return;
    looking_ = true;
  }
  Tell("the controller's own certificate", edges_.renew_own());
  // Once for all hosts: it opens the authorities' sealed keys.
  const auto authorities = authority_->Now();
  for (const auto& entry : store_->List(tables_.hosts.prefix())) {
    {
      absl::MutexLock lock(&mutex_);
      if (stopped_) break;
    }
    const std::string host = entry.key.substr(tables_.hosts.prefix().size());
    // A host that is away is told of in `status`, and is renewed once it is back.
    if (observations_->GetHost(host).connected) {
      Tell(absl::StrCat("the certificate of host ", host), RenewIfDue(host, authorities));
    }
  }
  absl::MutexLock lock(&mutex_);
  looking_ = false;
}

absl::Status TrustKeeper::RenewIfDue(const std::string& host,
                                     const absl::StatusOr<TrustedAuthorities>& authorities) {
  MTP_RETURN_IF_ERROR(authorities.status());
  MTP_ASSIGN_OR_RETURN(const HostRow row, tables_.hosts.Get(host));
  if (!NeedsRenewal(row.value, *authorities, clock_->Now())) return absl::OkStatus();
  return Renew(host);
}

absl::Status TrustKeeper::Renew(const std::string& host) {
  MTP_ASSIGN_OR_RETURN(HostRow row, tables_.hosts.Get(host));
  MTP_ASSIGN_OR_RETURN(const TrustedAuthorities authorities, authority_->Now());
  if (!NeedsRenewal(row.value, authorities, clock_->Now())) return absl::OkStatus();
  v1::ReplaceTrustRequest request;
  request.set_wants_request(true);
  MTP_ASSIGN_OR_RETURN(v1::HostTrust has, edges_.replace(host, request));
  if (has.certificate_serial() == row.value.certificate_serial()) {
    if (Note(has, authorities, &row.value)) MTP_RETURN_IF_ERROR(Commit(&row));
    request.Clear();
    if (NeedsCertificate(row.value, authorities, clock_->Now())) {
      MTP_RETURN_IF_ERROR(Prepare(&row, has.csr_pem(), authorities));
      request.set_certificate_pem(row.value.next_certificate_pem());
    } else if (TrustsAll(row.value, authorities)) {
      return absl::OkStatus();
    }
    request.set_ca_pem(authorities.Bundle());
    MTP_ASSIGN_OR_RETURN(has, edges_.replace(host, request));
    if (request.certificate_pem().empty()) {
      return Note(has, authorities, &row.value) ? Commit(&row) : absl::OkStatus();
    }
  }
  const std::string next = NextSerial(row.value);
  if (has.certificate_serial() != next) {
    return absl::FailedPreconditionError(
        absl::StrCat("the host has a certificate that this controller did not give it; let it join "
                     "again: `mtp-cli host token ",
                     host, " --rejoin`"));
  }
  MTP_RETURN_IF_ERROR(edges_.shows(host, next));
  // Seen in a handshake: from here on the host may use this one alone.
  row.value.set_certificate_serial(next);
  row.value.set_authority(IssuerOf(row.value.next_certificate_pem(), authorities));
  row.value.clear_next_certificate_pem();
  Note(has, authorities, &row.value);
  MTP_RETURN_IF_ERROR(Commit(&row));
  log_.Info(absl::StrCat("host ", host, " has a new certificate, good until ",
                         absl::FormatTime("%Y-%m-%d", FromTimestamp(has.certificate_expire_time()),
                                          absl::UTCTimeZone())));
  return absl::OkStatus();
}

absl::Status TrustKeeper::Prepare(HostRow* row, const std::string& csr_pem,
                                  const TrustedAuthorities& authorities) {
  const absl::Time now = clock_->Now();
  MTP_ASSIGN_OR_RETURN(const std::string key, tls::RequestKeyFingerprint(csr_pem));
  // The one of an earlier try is sent again: if that one arrives late, it is no other one.
  const auto begun = tls::ReadCertificate(row->value.next_certificate_pem());
  if (begun.ok() && begun->key == key &&
      now < tls::RenewalTime(begun->not_before, begun->not_after, row->id)) {
    return absl::OkStatus();
  }
  const tls::Identity identity{tls::Identity::Kind::kAgent, authority_->fleet(), row->id};
  MTP_ASSIGN_OR_RETURN(const tls::IssuedCertificate issued,
                       authorities.Issue(csr_pem, identity, now));
  row->value.set_next_certificate_pem(issued.pem);
  return Commit(row);
}

absl::Status TrustKeeper::Commit(HostRow* row) {
  kv::Txn txn;
  txn.RequireRevision(tables_.hosts.Key(row->id), row->revision);
  tables_.hosts.Put(txn, row->id, row->value);
  MTP_ASSIGN_OR_RETURN(row->revision, store_->Commit(txn));
  return absl::OkStatus();
}

void TrustKeeper::Tell(const std::string& what, const absl::Status& status) {
  if (status.ok()) {
    failures_.erase(what);
    return;
  }
  Failure& failure = failures_[what];
  if (failure.why != status.message()) failure = {std::string(status.message())};
  if (++failure.times != kTimesUntilTold) return;
  log_.Warning(absl::StrCat(what, " could not be renewed, will be tried again: ", failure.why));
}

}  // namespace mtp
