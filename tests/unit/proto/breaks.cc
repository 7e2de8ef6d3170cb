#include "tests/unit/proto/breaks.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

namespace mtp {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

// Which of a group is set says what a message is about; empty outside of one.
std::string GroupOf(const FieldDescriptor& field) {
  const auto* group = field.real_containing_oneof();
  return group == nullptr ? "" : group->name();
}

std::string SignatureOf(const MethodDescriptor& method) {
  return absl::StrCat(method.client_streaming() ? "stream " : "", method.input_type()->full_name(),
                      " -> ", method.server_streaming() ? "stream " : "",
                      method.output_type()->full_name());
}

class Comparison {
 public:
  explicit Comparison(const DescriptorPool& newer) : newer_(newer) {}

  void File(const FileDescriptor& file) {
    for (int i = 0; i < file.message_type_count(); ++i) Message(*file.message_type(i));
    for (int i = 0; i < file.enum_type_count(); ++i) Enum(*file.enum_type(i));
    for (int i = 0; i < file.service_count(); ++i) Service(*file.service(i));
  }

  std::vector<std::string> Found() { return std::move(found_); }

 private:
  void Message(const Descriptor& older) {
    const Descriptor* newer = newer_.FindMessageTypeByName(older.full_name());
    if (newer == nullptr) return Removed(older.full_name());
    int highest = 0;
    for (int i = 0; i < older.field_count(); ++i) {
      const FieldDescriptor& field = *older.field(i);
      highest = std::max(highest, field.number());
      const FieldDescriptor* now = newer->FindFieldByName(field.name());
      if (now == nullptr) {
        Removed(field.full_name());
      } else {
        Same(field.full_name(), "number", field.number(), now->number());
        Same(field.full_name(), "type", TypeOf(field), TypeOf(*now));
        Same(field.full_name(), "oneof", GroupOf(field), GroupOf(*now));
      }
    }
    for (int i = 0; i < newer->field_count(); ++i) {
      const FieldDescriptor& field = *newer->field(i);
      if (older.FindFieldByName(field.name()) == nullptr && field.number() < highest) {
        found_.push_back(absl::StrCat(field.full_name(), " is new with number ", field.number(),
                                      ", which is not above ", highest));
      }
    }
    for (int i = 0; i < older.nested_type_count(); ++i) Message(*older.nested_type(i));
    for (int i = 0; i < older.enum_type_count(); ++i) Enum(*older.enum_type(i));
  }

  void Enum(const EnumDescriptor& older) {
    const EnumDescriptor* newer = newer_.FindEnumTypeByName(older.full_name());
    if (newer == nullptr) return Removed(older.full_name());
    for (int i = 0; i < older.value_count(); ++i) {
      const auto& value = *older.value(i);
      const auto* now = newer->FindValueByName(value.name());
      if (now == nullptr) {
        Removed(value.full_name());
      } else {
        Same(value.full_name(), "number", value.number(), now->number());
      }
    }
  }

  void Service(const ServiceDescriptor& older) {
    const ServiceDescriptor* newer = newer_.FindServiceByName(older.full_name());
    if (newer == nullptr) return Removed(older.full_name());
    for (int i = 0; i < older.method_count(); ++i) {
      const MethodDescriptor& method = *older.method(i);
      const MethodDescriptor* now = newer->FindMethodByName(method.name());
      if (now == nullptr) {
        Removed(method.full_name());
      } else {
        Same(method.full_name(), "signature", SignatureOf(method), SignatureOf(*now));
      }
    }
  }

  void Removed(const std::string& name) {
    found_.push_back(absl::StrCat(name, " is not there any more"));
  }

  template <typename Value>
  void Same(const std::string& name, const char* what, const Value& before, const Value& now) {
    if (before == now) return;
    found_.push_back(
        absl::StrCat(name, " had the ", what, " \"", before, "\" and has \"", now, "\""));
  }

  const DescriptorPool& newer_;
  std::vector<std::string> found_;
};

}  // namespace

std::string TypeOf(const FieldDescriptor& field) {
  std::string type = field.is_repeated() ? "repeated " : "";
  if (field.has_optional_keyword()) type += "optional ";
  if (field.message_type() != nullptr) return type + field.message_type()->full_name();
  if (field.enum_type() != nullptr) return type + field.enum_type()->full_name();
  return type + field.type_name();
}

std::vector<std::string> BreaksOf(const std::vector<const FileDescriptor*>& older,
                                  const DescriptorPool& newer) {
  Comparison comparison(newer);
  for (const FileDescriptor* file : older) comparison.File(*file);
  return comparison.Found();
}

}  // namespace mtp
