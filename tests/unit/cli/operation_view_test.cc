#include "cli/output/operation_view.h"

#include <gtest/gtest.h>

namespace mtp::cli {
namespace {

TEST(OperationView, ResultsForPeopleLeaveOutWhatProgramsTellOneAnother) {
  v1::Operation operation;
  auto& result = *operation.mutable_result();
  result["container"] = "mtp-acme";
  result["container_id"] = "cc7614c983a4";
  result["damaged_databases"] = "[]";
  result["note"] = "";
  result["previous_data"] = ".quarantine/acme-20261126T215934.513Z";
  result["unpacked"] = "65024:1565300";
  EXPECT_EQ(ResultLines(operation),
            "  container mtp-acme\n"
            "  previous data .quarantine/acme-20261126T215934.513Z\n");
}

}  // namespace
}  // namespace mtp::cli
