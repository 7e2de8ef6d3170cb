#include "controller/daemon/listener.h"

#include <absl/strings/str_cat.h>

#include "common/base/status.h"
#include "common/tls/credentials.h"

namespace mtp {

absl::Status Listener::Open(const Options& options, const std::vector<grpc::Service*>& services) {
  grpc::ServerBuilder builder;
  tls::SetServerDefaults(builder);
  builder.SetMaxReceiveMessageSize(options.max_request_bytes);
  MTP_ASSIGN_OR_RETURN(door_, tls::Doorman::Open(builder, options.address, options.credentials,
                                                 {.log = options.log}));
  for (grpc::Service* service : services) builder.RegisterService(service);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) return absl::InternalError("the server of the API cannot be started");
  door_->Start();
  address_ =
      absl::StrCat(options.address.substr(0, options.address.rfind(':')), ":", door_->port());
  return absl::OkStatus();
}

void Listener::Close() {
  if (door_) door_->Stop();
}

void Listener::Shutdown(absl::Time deadline) {
  if (server_) server_->Shutdown(absl::ToChronoTime(deadline));
}

}  // namespace mtp
