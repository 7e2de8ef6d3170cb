#include "controller/hosts/agent_channels.h"

#include <grpcpp/grpcpp.h>

#include "common/base/status.h"
#include "common/tls/credentials.h"
#include "controller/pki/host_certificate.h"

namespace mtp {

std::shared_ptr<grpc::Channel> AgentChannels::To(const std::string& host,
                                                 const std::string& address) const {
  const tls::Identity agent{tls::Identity::Kind::kAgent, fleet_, host};
  const auto accept = [this, host](const std::string& serial) {
    const auto row = tables_.hosts.Get(host);
    return row.ok() && MayUse(row->value, serial);
  };
  return grpc::CreateCustomChannel(address, identity_->CredentialsFor(agent, accept),
                                   tls::PeerArguments(agent));
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> AgentChannels::New(const std::string& host,
                                                                  const std::string& serial) const {
  MTP_ASSIGN_OR_RETURN(const auto row, tables_.hosts.Get(host));
  const tls::Identity agent{tls::Identity::Kind::kAgent, fleet_, host};
  const auto accept = [serial](const std::string& shown) { return shown == serial; };
  grpc::ChannelArguments arguments = tls::PeerArguments(agent);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(row.value.agent_address(),
                                   identity_->CredentialsFor(agent, accept), arguments);
}

}  // namespace mtp
