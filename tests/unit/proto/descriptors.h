// The API as protoc described it, with its comments.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/support/paths.h"

namespace mtp {

class Descriptors : public ::testing::Test {
 protected:
  void SetUp() override {
    Read(testing::BuiltPath("proto/gen/mtp.binpb"), &pool_, &files_);
    ASSERT_FALSE(files_.empty()) << "build the target mtp_descriptors first";
  }

  // What protoc described there: all of it into the pool, and the files that are ours.
  static void Read(const std::string& path, google::protobuf::DescriptorPool* pool,
                   std::vector<const google::protobuf::FileDescriptor*>* ours) {
    std::ifstream file(path, std::ios::binary);
    google::protobuf::FileDescriptorSet set;
    ASSERT_TRUE(set.ParseFromIstream(&file)) << path;
    for (const auto& proto : set.file()) {
      const auto* built = pool->BuildFile(proto);
      ASSERT_NE(built, nullptr) << proto.name();
      if (proto.name().rfind("mtp/", 0) == 0) ours->push_back(built);
    }
  }

  // Every message of ours, nested ones too, but for the entries of maps.
  std::vector<const google::protobuf::Descriptor*> Messages() const {
    std::vector<const google::protobuf::Descriptor*> all;
    for (const auto* file : files_) {
      for (int i = 0; i < file->message_type_count(); ++i) Add(file->message_type(i), &all);
    }
    return all;
  }
  std::vector<const google::protobuf::EnumDescriptor*> Enums() const {
    std::vector<const google::protobuf::EnumDescriptor*> all;
    for (const auto* file : files_) {
      for (int i = 0; i < file->enum_type_count(); ++i) all.push_back(file->enum_type(i));
    }
    for (const auto* message : Messages()) {
      for (int i = 0; i < message->enum_type_count(); ++i) all.push_back(message->enum_type(i));
    }
    return all;
  }
  std::vector<const google::protobuf::MethodDescriptor*> Methods() const {
    std::vector<const google::protobuf::MethodDescriptor*> all;
    for (const auto* service : Services()) {
      for (int i = 0; i < service->method_count(); ++i) all.push_back(service->method(i));
    }
    return all;
  }
  std::vector<const google::protobuf::ServiceDescriptor*> Services() const {
    std::vector<const google::protobuf::ServiceDescriptor*> all;
    for (const auto* file : files_) {
      for (int i = 0; i < file->service_count(); ++i) all.push_back(file->service(i));
    }
    return all;
  }

  google::protobuf::DescriptorPool pool_;

 private:
  static void Add(const google::protobuf::Descriptor* message,
                  std::vector<const google::protobuf::Descriptor*>* all) {
    if (message->options().map_entry()) return;
    all->push_back(message);
    for (int i = 0; i < message->nested_type_count(); ++i) Add(message->nested_type(i), all);
  }

  std::vector<const google::protobuf::FileDescriptor*> files_;
};

}  // namespace mtp
