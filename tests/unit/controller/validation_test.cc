#include "controller/tenants/validation.h"

#include <gtest/gtest.h>

namespace mtp {
namespace {

v1::TenantSpec WithImage(const std::string& image) {
  v1::TenantSpec spec;
  spec.set_image(image);
  return spec;
}

TEST(CheckSpec, TakesImagesThatAgentsTake) {
  EXPECT_TRUE(CheckSpec(WithImage("ghcr.io/openclaw/openclaw:2026.9.6")).ok());
  EXPECT_TRUE(CheckSpec(WithImage("")).ok());
  EXPECT_EQ(CheckSpec(WithImage("-v")).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CheckSpec(WithImage("a b")).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace mtp
