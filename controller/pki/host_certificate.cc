#include "controller/pki/host_certificate.h"

#include <absl/strings/str_cat.h>

#include "common/base/timestamps.h"
#include "common/tls/keys.h"
#include "common/tls/renewal.h"

namespace mtp {
namespace {

absl::Time End(const state::v1::HostRecord& host) {
  return FromTimestamp(host.certificate_expire_time());
}

std::string Day(absl::Time time) { return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone()); }

}  // namespace

bool MayUse(const state::v1::HostRecord& host, const std::string& serial) {
  return !serial.empty() && (serial == host.certificate_serial() || serial == NextSerial(host));
}

std::string NextSerial(const state::v1::HostRecord& host) {
  if (host.next_certificate_pem().empty()) return "";
  const auto facts = tls::ReadCertificate(host.next_certificate_pem());
  return facts.ok() ? facts->serial : "";
}

bool NeedsCertificate(const state::v1::HostRecord& host, const TrustedAuthorities& authorities,
                      absl::Time now) {
  const absl::Time begin = End(host) - kCertificateLifetime;
  return !host.next_certificate_pem().empty() ||
         host.authority() != authorities.issuer().fingerprint ||
         now >= tls::RenewalTime(begin, End(host), host.name());
}

bool TrustsAll(const state::v1::HostRecord& host, const TrustedAuthorities& authorities) {
  return host.ca_sha256() == tls::Sha256Hex(authorities.Bundle());
}

bool NeedsRenewal(const state::v1::HostRecord& host, const TrustedAuthorities& authorities,
                  absl::Time now) {
  return !host.has_certificate_expire_time() || !TrustsAll(host, authorities) ||
         NeedsCertificate(host, authorities, now);
}

std::string CertificateWarning(const state::v1::HostRecord& host, absl::Time now) {
  if (!host.has_certificate_expire_time()) return "";
  if (now >= End(host)) {
    return absl::StrCat("its certificate ended on ", Day(End(host)),
                        "; let it join again: `mtp-cli ", "host token ", host.name(),
                        " --rejoin`, then `mtp-agent join` there");
  }
  if (now < tls::OverdueTime(End(host) - kCertificateLifetime, End(host))) return "";
  return absl::StrCat("its certificate ends on ", Day(End(host)),
                      " and could not be renewed so far; the controller's log says why");
}

}  // namespace mtp
