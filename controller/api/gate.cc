#include "controller/api/gate.h"

#include "controller/api/roles.h"

namespace mtp {

absl::StatusOr<Caller> Gate::Admit(grpc::CallbackServerContext* context,
                                   absl::string_view method) const {
  const tls::Peer peer = tls::ReadPeer(*context->auth_context());
  auto caller = authorizer_->Authorize(peer, method);
  if (caller.ok()) return caller;
  v1::AuditEntry entry;
  entry.set_actor(peer.identity.ToString());
  entry.set_method(std::string(method));
  entry.set_code(static_cast<int>(caller.status().code()));
  entry.set_message(std::string(caller.status().message()));
  entry.set_peer(tls::PeerAddress(context->peer()));
  // The refusal stands whether or not it could be written down.
  (void)audit_->Record(std::move(entry));
  return caller;
}

absl::StatusOr<AdmittedStream> Gate::AdmitStream(grpc::CallbackServerContext* context,
                                                 absl::string_view method) const {
  AdmittedStream stream;
  MTP_ASSIGN_OR_RETURN(stream.caller, Admit(context, method));
  MTP_ASSIGN_OR_RETURN(stream.place, streams_.Take(stream.caller.Name()));
  return stream;
}

absl::Status Gate::CarryOut(
    grpc::CallbackServerContext* context, absl::string_view method,
    const std::function<absl::Status(const Caller&, AuditNote&)>& handle) const {
  MTP_ASSIGN_OR_RETURN(const Caller caller, Admit(context, method));
  AuditNote note;
  const absl::Status outcome = handle(caller, note);
  return Close(context, caller, method, note, outcome);
}

absl::Status Gate::Close(grpc::CallbackServerContext* context, const Caller& caller,
                         absl::string_view method, const AuditNote& note,
                         const absl::Status& outcome) const {
  const auto rule = FindRule(method);
  if (!rule || !rule->mutates) return outcome;
  v1::AuditEntry entry;
  entry.set_actor(caller.Name());
  entry.set_method(std::string(method));
  entry.set_target(note.target);
  entry.set_operation(note.operation);
  entry.set_code(static_cast<int>(outcome.code()));
  entry.set_message(note.message.empty() ? std::string(outcome.message()) : note.message);
  entry.set_peer(tls::PeerAddress(context->peer()));
  const absl::Status audited = audit_->Record(std::move(entry));
  if (outcome.ok() && !audited.ok())
    return Annotate(audited, "it was done, but could not be written to the audit log");
  return outcome;
}

}  // namespace mtp
