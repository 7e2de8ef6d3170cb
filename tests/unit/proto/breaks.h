// What of an older protocol a newer one has broken for a program that is one version behind.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

namespace mtp {

// `optional string`, `repeated mtp.v1.Tenant`: what a field holds.
std::string TypeOf(const google::protobuf::FieldDescriptor& field);

// One sentence for each message, field, enum, value, service and call of the older files that
// `newer` does not have as it was, under the same name: names are part of field masks and of the
// CLI's JSON. New ones are fine, but a new field's number must be above the older ones of its
// message: a program that does not know it puts it last when it gives the message back, and a
// request's hash (agent/tenants/journal.h) must not change by that.
std::vector<std::string> BreaksOf(const std::vector<const google::protobuf::FileDescriptor*>& older,
                                  const google::protobuf::DescriptorPool& newer);

}  // namespace mtp
