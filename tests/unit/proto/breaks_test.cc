// The comparison itself: each planted change is found, and additions are not.
#include "tests/unit/proto/breaks.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/text_format.h>

#include <functional>

namespace mtp {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptorProto;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kProtocol[] = R"(
  name: "mtp/thing.proto" package: "mtp" syntax: "proto3"
  message_type {
    name: "Thing"
    field { name: "size" number: 1 type: TYPE_INT64 label: LABEL_OPTIONAL }
    field { name: "names" number: 2 type: TYPE_STRING label: LABEL_REPEATED }
    field { name: "color" number: 3 type: TYPE_ENUM type_name: ".mtp.Color" label: LABEL_OPTIONAL }
    field { name: "left" number: 5 type: TYPE_BOOL label: LABEL_OPTIONAL oneof_index: 0 }
    field { name: "right" number: 6 type: TYPE_BOOL label: LABEL_OPTIONAL oneof_index: 0 }
    oneof_decl { name: "side" }
    nested_type {
      name: "Part"
      field { name: "weight" number: 1 type: TYPE_INT32 label: LABEL_OPTIONAL }
    }
  }
  message_type { name: "Other" }
  enum_type {
    name: "Color"
    value { name: "COLOR_UNSPECIFIED" number: 0 }
    value { name: "COLOR_RED" number: 1 }
  }
  service {
    name: "Things"
    method { name: "Get" input_type: ".mtp.Thing" output_type: ".mtp.Other" }
    method { name: "Watch" input_type: ".mtp.Thing" output_type: ".mtp.Other" server_streaming: true }
  })";

using Change = std::function<void(FileDescriptorProto&)>;

std::vector<std::string> BreaksAfter(const Change& change) {
  FileDescriptorProto file;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(kProtocol, &file));
  DescriptorPool older;
  const auto* before = older.BuildFile(file);
  change(file);
  DescriptorPool newer;
  if (before == nullptr || newer.BuildFile(file) == nullptr) return {"the files are none"};
  return BreaksOf({before}, newer);
}

FieldDescriptorProto& AddField(FileDescriptorProto& file, const std::string& name, int number) {
  FieldDescriptorProto& field = *file.mutable_message_type(0)->add_field();
  field.set_name(name);
  field.set_number(number);
  field.set_type(FieldDescriptorProto::TYPE_STRING);
  field.set_label(FieldDescriptorProto::LABEL_OPTIONAL);
  return field;
}

TEST(Breaks, AreNoneWhereNothingChanged) {
  EXPECT_THAT(BreaksAfter([](auto&) {}), IsEmpty());
}

TEST(Breaks, AreNoneWhereSomethingIsAdded) {
  EXPECT_THAT(BreaksAfter([](FileDescriptorProto& file) {
                AddField(file, "above", 8).set_oneof_index(0);
                AddField(file, "note", 7);
                file.add_message_type()->set_name("New");
                auto& value = *file.mutable_enum_type(0)->add_value();
                value.set_name("COLOR_BLUE");
                value.set_number(2);
                auto& method = *file.mutable_service(0)->add_method();
                method.set_name("Put");
                method.set_input_type(".mtp.New");
                method.set_output_type(".mtp.Other");
              }),
              IsEmpty());
}

struct Planted {
  const char* sentence;
  Change change;
};

std::vector<Planted> AllPlanted() {
  return {
      {"mtp.Thing.size is not there any more",
       [](FileDescriptorProto& file) {
         file.mutable_message_type(0)->mutable_field()->DeleteSubrange(0, 1);
       }},
      {"mtp.Thing.size is not there any more",
       [](FileDescriptorProto& file) {
         file.mutable_message_type(0)->mutable_field(0)->set_name("length");
         file.mutable_message_type(0)->mutable_field(0)->set_number(9);
       }},
      {"mtp.Thing.size had the number \"1\" and has \"9\"",
       [](FileDescriptorProto& file) {
         file.mutable_message_type(0)->mutable_field(0)->set_number(9);
       }},
      {"mtp.Thing.size had the type \"int64\" and has \"sint64\"",
       [](FileDescriptorProto& file) {
         file.mutable_message_type(0)->mutable_field(0)->set_type(
             FieldDescriptorProto::TYPE_SINT64);
       }},
      {"mtp.Thing.names had the type \"repeated string\" and has \"string\"",
       [](FileDescriptorProto& file) {
         file.mutable_message_type(0)->mutable_field(1)->set_label(
             FieldDescriptorProto::LABEL_OPTIONAL);
       }},
      {"mtp.Thing.color had the type \"mtp.Color\" and has \"int32\"",
       [](FileDescriptorProto& file) {
         auto& field = *file.mutable_message_type(0)->mutable_field(2);
         field.clear_type_name();
         field.set_type(FieldDescriptorProto::TYPE_INT32);
       }},
      {"mtp.Thing.color had the oneof \"\" and has \"side\"",
       [](FileDescriptorProto& file) {
         file.mutable_message_type(0)->mutable_field(2)->set_oneof_index(0);
       }},
      {"mtp.Thing.right had the oneof \"side\" and has \"\"",
       [](FileDescriptorProto& file) {
         file.mutable_message_type(0)->mutable_field(4)->clear_oneof_index();
       }},
      {"mtp.Thing.note is new with number 4, which is not above 6",
       [](FileDescriptorProto& file) { AddField(file, "note", 4); }},
      {"mtp.Thing.Part is not there any more",
       [](FileDescriptorProto& file) { file.mutable_message_type(0)->clear_nested_type(); }},
      {"mtp.Thing.Part.weight had the number \"1\" and has \"2\"",
       [](FileDescriptorProto& file) {
         file.mutable_message_type(0)->mutable_nested_type(0)->mutable_field(0)->set_number(2);
       }},
      {"mtp.COLOR_RED is not there any more",
       [](FileDescriptorProto& file) {
         file.mutable_enum_type(0)->mutable_value()->DeleteSubrange(1, 1);
       }},
      {"mtp.COLOR_RED had the number \"1\" and has \"2\"",
       [](FileDescriptorProto& file) {
         file.mutable_enum_type(0)->mutable_value(1)->set_number(2);
       }},
      {"mtp.Things is not there any more", [](FileDescriptorProto& file) { file.clear_service(); }},
      {"mtp.Things.Get is not there any more",
       [](FileDescriptorProto& file) {
         file.mutable_service(0)->mutable_method()->DeleteSubrange(0, 1);
       }},
      {"mtp.Things.Get had the signature \"mtp.Thing -> mtp.Other\" and has \"mtp.Other -> "
       "mtp.Other\"",
       [](FileDescriptorProto& file) {
         file.mutable_service(0)->mutable_method(0)->set_input_type(".mtp.Other");
       }},
      {"mtp.Things.Watch had the signature \"mtp.Thing -> stream mtp.Other\" and has \"mtp.Thing "
       "-> mtp.Other\"",
       [](FileDescriptorProto& file) {
         file.mutable_service(0)->mutable_method(1)->set_server_streaming(false);
       }},
  };
}

TEST(Breaks, AreFoundWhereverOneIsPlanted) {
  for (const Planted& planted : AllPlanted()) {
    EXPECT_THAT(BreaksAfter(planted.change), ElementsAre(HasSubstr(planted.sentence)));
  }
}

}  // namespace
}  // namespace mtp
