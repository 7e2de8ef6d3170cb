// The comments of the API are its reference: nothing goes without one.
#include "tests/unit/proto/descriptors.h"

namespace mtp {
namespace {

template <typename Descriptor>
void ExpectComment(const Descriptor* descriptor) {
  google::protobuf::SourceLocation location;
  ASSERT_TRUE(descriptor->GetSourceLocation(&location)) << descriptor->full_name();
  EXPECT_FALSE(location.leading_comments.empty())
      << descriptor->full_name() << " has no comment in front of it";
}

TEST_F(Descriptors, EveryMessageAndFieldHasAComment) {
  for (const auto* message : Messages()) {
    ExpectComment(message);
    for (int i = 0; i < message->field_count(); ++i) ExpectComment(message->field(i));
  }
}

TEST_F(Descriptors, EveryEnumAndValueHasAComment) {
  for (const auto* type : Enums()) {
    ExpectComment(type);
    for (int i = 0; i < type->value_count(); ++i) ExpectComment(type->value(i));
  }
}

TEST_F(Descriptors, EveryServiceAndCallHasAComment) {
  for (const auto* service : Services()) ExpectComment(service);
  for (const auto* method : Methods()) ExpectComment(method);
}

// Units stand at the end of names, and never as floating point but for shares.
TEST_F(Descriptors, NumbersWithAUnitAreNumbers) {
  using Field = google::protobuf::FieldDescriptor;
  for (const auto* message : Messages()) {
    for (int i = 0; i < message->field_count(); ++i) {
      const Field* field = message->field(i);
      for (const char* unit : {"_mib", "_bytes", "_s", "_ms", "_percent"}) {
        const std::string& name = field->name();
        const std::string suffix = unit;
        if (name.size() <= suffix.size() ||
            name.compare(name.size() - suffix.size(), suffix.size(), suffix) != 0) {
          continue;
        }
        EXPECT_NE(field->cpp_type(), Field::CPPTYPE_STRING) << field->full_name();
        EXPECT_NE(field->cpp_type(), Field::CPPTYPE_MESSAGE) << field->full_name();
        EXPECT_NE(field->cpp_type(), Field::CPPTYPE_BOOL) << field->full_name();
      }
    }
  }
}

TEST_F(Descriptors, EveryEnumBeginsWithAnUnspecifiedValue) {
  for (const auto* type : Enums()) {
    const std::string& first = type->value(0)->name();
    EXPECT_EQ(type->value(0)->number(), 0) << type->full_name();
    EXPECT_NE(first.find("UNSPECIFIED"), std::string::npos) << type->full_name() << ": " << first;
  }
}

}  // namespace
}  // namespace mtp
