#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/docker/read_only_routes.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<ReadOnlyRequest> Parse(const std::string& method, const std::string& target) {
  return ParseReadOnlyRequest(method, target, "mtp");
}

constexpr char kFilters[] = "%7B%22label%22%3A%5B%22com.docker.compose.project%3Dmtp%22%5D%7D";

TEST(SocketRoutes, PassReadingWithAndWithoutAVersion) {
  for (const std::string version : {"", "/v1.24", "/v1.41", "/v1.45"}) {
    for (const std::string path :
         {"/_ping", "/version", "/info", "/containers/json", "/containers/mtp-acme/json",
          "/containers/mtp-acme/logs?follow=1&stdout=1&stderr=1&tail=100", "/events",
          "/containers/0123456789ab/stats?stream=0", "/containers/mtp-acme/top", "/images/json",
          "/images/mtp/openclaw:2026.9.6/json", "/images/sha256:0123/json", "/networks",
          "/networks/mtp_acme"}) {
      EXPECT_TRUE(Parse("GET", version + path).ok())
          << version + path << ": " << Parse("GET", version + path).status();
    }
  }
  EXPECT_TRUE(Parse("HEAD", "/_ping").ok());
}

TEST(SocketRoutes, NarrowListsAndEventsToTheProject) {
  EXPECT_EQ(Parse("GET", "/containers/json")->EngineTarget(""),
            std::string("/containers/json?filters=") + kFilters);
  EXPECT_EQ(Parse("GET", "/v1.45/networks")->EngineTarget(""),
            std::string("/v1.45/networks?filters=") + kFilters);
  // A caller that names another project gets both labels, which no container has.
  const auto other =
      Parse("GET",
            "/containers/"
            "json?all=1&filters=%7B%22label%22%3A%5B%22com.docker.compose.project%3Dx%22%5D%7D");
  ASSERT_TRUE(other.ok());
  EXPECT_THAT(other->EngineTarget(""), HasSubstr("project%3Dx%22%2C%22com.docker"));
  EXPECT_THAT(other->EngineTarget(""), HasSubstr("project%3Dmtp"));
  // The older form of filters.
  const auto old = Parse("GET", R"(/events?filters={"label":{"a":true},"type":{"image":true}})");
  ASSERT_TRUE(old.ok());
  EXPECT_THAT(old->query, HasSubstr("%22type%22%3A%5B%22container%22%5D"));
  EXPECT_THAT(old->query, HasSubstr("project%3Dmtp"));
}

TEST(SocketRoutes, PutTheIdInTheNamesPlace) {
  const auto logs = Parse("GET", "/v1.45/containers/mtp-acme/logs?tail=5&follow=1");
  ASSERT_TRUE(logs.ok());
  EXPECT_TRUE(logs->NamesProjectObject());
  EXPECT_EQ(logs->object, "mtp-acme");
  EXPECT_EQ(logs->EngineTarget("ID"), "/v1.45/containers/ID/logs?follow=1&tail=5");
}

// Every call of the Engine API 1.45 that is not plainly reading.
TEST(SocketRoutes, RefuseEveryWritingCallInEveryMethod) {
  const std::vector<std::string> paths = {"/auth",
                                          "/build",
                                          "/build/prune",
                                          "/build/cancel",
                                          "/commit",
                                          "/configs",
                                          "/configs/create",
                                          "/configs/x",
                                          "/configs/x/update",
                                          "/containers/create",
                                          "/containers/prune",
                                          "/containers/mtp-acme",
                                          "/containers/mtp-acme/archive",
                                          "/containers/mtp-acme/attach",
                                          "/containers/mtp-acme/attach/ws",
                                          "/containers/mtp-acme/changes",
                                          "/containers/mtp-acme/exec",
                                          "/containers/mtp-acme/export",
                                          "/containers/mtp-acme/kill",
                                          "/containers/mtp-acme/pause",
                                          "/containers/mtp-acme/rename",
                                          "/containers/mtp-acme/resize",
                                          "/containers/mtp-acme/restart",
                                          "/containers/mtp-acme/start",
                                          "/containers/mtp-acme/stop",
                                          "/containers/mtp-acme/unpause",
                                          "/containers/mtp-acme/update",
                                          "/containers/mtp-acme/wait",
                                          "/distribution/x/json",
                                          "/exec/x/json",
                                          "/exec/x/resize",
                                          "/exec/x/start",
                                          "/grpc",
                                          "/images/create",
                                          "/images/get",
                                          "/images/load",
                                          "/images/prune",
                                          "/images/search",
                                          "/images/x",
                                          "/images/x/get",
                                          "/images/x/history",
                                          "/images/x/push",
                                          "/images/x/tag",
                                          "/networks/create",
                                          "/networks/prune",
                                          "/networks/x/connect",
                                          "/networks/x/disconnect",
                                          "/nodes",
                                          "/nodes/x",
                                          "/nodes/x/update",
                                          "/plugins",
                                          "/plugins/pull",
                                          "/plugins/x/json",
                                          "/plugins/x/enable",
                                          "/plugins/privileges",
                                          "/secrets",
                                          "/secrets/create",
                                          "/secrets/x",
                                          "/services",
                                          "/services/create",
                                          "/services/x",
                                          "/services/x/logs",
                                          "/services/x/update",
                                          "/session",
                                          "/swarm",
                                          "/swarm/init",
                                          "/swarm/join",
                                          "/swarm/leave",
                                          "/swarm/unlock",
                                          "/swarm/unlockkey",
                                          "/swarm/update",
                                          "/system/df",
                                          "/tasks",
                                          "/tasks/x",
                                          "/tasks/x/logs",
                                          "/volumes",
                                          "/volumes/create",
                                          "/volumes/prune",
                                          "/volumes/x",
                                          "/debug/vars",
                                          "/debug/pprof/",
                                          "/metrics"};
  int refused = 0;
  for (const std::string method :
       {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"}) {
    for (const std::string version : {"", "/v1.24", "/v1.45"}) {
      for (const std::string& path : paths) {
        // These two name a thing called `create`; a GET of it only reads.
        if (method == "GET" && (path == "/networks/create" || path == "/networks/prune")) continue;
        EXPECT_TRUE(absl::IsPermissionDenied(Parse(method, version + path).status()))
            << method << " " << version + path;
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 2000);
}

TEST(SocketRoutes, RefuseEveryOtherMethodOnWhatMayBeRead) {
  for (const std::string method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT",
                                   "get", "Get", "GET ", "", "PRI", "HEAD"}) {
    for (const std::string path :
         {"/version", "/info", "/containers/json", "/containers/mtp-acme/json", "/events",
          "/containers/mtp-acme/logs", "/images/json", "/networks/x"}) {
      EXPECT_FALSE(Parse(method, path).ok()) << method << " " << path;
    }
  }
}

TEST(SocketRoutes, RefuseOddSpellings) {
  for (const std::string target : {"",
                                   "*",
                                   "version",
                                   "//version",
                                   "/version/",
                                   "/./version",
                                   "/../version",
                                   "/v1.45/../version",
                                   "/v1.45//version",
                                   "/v1.45/v1.45/version",
                                   "/v1.45",
                                   "/v1.45/",
                                   "/v1/version",
                                   "/v2.0/version",
                                   "/v1.4500/version",
                                   "/v1.x/version",
                                   "/V1.45/version",
                                   "/v1.45/VERSION",
                                   "/%76ersion",
                                   "/version%00",
                                   "/version%2f",
                                   "/version%20",
                                   "/version;x",
                                   "/version\\",
                                   "/version\t",
                                   "/version#x",
                                   "/version\x80",
                                   "http://docker/version",
                                   "https://docker/version",
                                   "unix:///version",
                                   "docker:2375",
                                   "/containers//json",
                                   "/containers/./json",
                                   "/containers/../json",
                                   "/containers/../containers/x/json",
                                   "/containers/a/b/json",
                                   "/containers/a%2fb/json",
                                   "/containers/x/json/",
                                   "/containers/x//json",
                                   "/containers/x/../exec",
                                   "/containers/x/%6bill",
                                   "/containers/x/logs/../kill",
                                   "/containers/-x/json",
                                   "/containers/.x/json",
                                   "/containers/x?y/json",
                                   "/containers/x y/json",
                                   "/containers/json/json/json",
                                   "/images//json",
                                   "/images/../containers/x/json",
                                   "/images/x/../../containers/x/json",
                                   "/images/./json",
                                   "/images/x//y/json",
                                   "/images/%2e%2e/json",
                                   "/networks//x",
                                   "/networks/",
                                   "/networks/../info",
                                   "/networks/a/b",
                                   "/_ping/",
                                   "/_ping/../info",
                                   "/_PING"}) {
    EXPECT_TRUE(absl::IsPermissionDenied(Parse("GET", target).status())) << target;
  }
  EXPECT_FALSE(Parse("GET", "/containers/" + std::string(129, 'a') + "/json").ok());
  EXPECT_FALSE(Parse("GET", "/containers/json?limit=" + std::string(7000, '1')).ok());
}

TEST(SocketRoutes, RefuseParametersThatTheyDoNotKnow) {
  for (const std::string target :
       {// ps on the host with arguments of the caller's: `e` prints environments.
        "/containers/x/top?ps_args=axe", "/containers/x/top?ps_args=",
        // Environment variables that the log driver was told to add.
        "/containers/x/logs?details=1", "/containers/x/json?size=1", "/containers/json?size=1",
        "/containers/json?all=2", "/containers/json?all=1&all=0", "/containers/json?limit=-1",
        "/containers/json?limit=1;x", "/containers/json?ALL=1", "/containers/json?%61ll=1",
        "/containers/json?filters=x", "/containers/json?filters=[]",
        "/containers/json?filters={\"volume\":[\"x\"]}",
        "/containers/json?filters={\"label\":\"x\"}", "/containers/json?filters={\"label\":[1]}",
        "/containers/json?filters={\"label!\":[\"com.docker.compose.project=mtp\"]}",
        "/containers/json?filters={\"label\":{\"a\":false}}",
        "/containers/json?filters=%7B%22label%22%3A", "/containers/json?filters=%",
        "/containers/json?filters=%zz", "/containers/json?filters=%00",
        "/containers/x/logs?tail=-1", "/containers/x/logs?tail=1%0d%0aX:y",
        "/containers/x/logs?since=1%20HTTP/1.1", "/containers/x/stats?stream=x", "/info?x",
        "/_ping?x=1", "/events?filters={\"plugin\":[\"x\"]}", "/networks/x?verbose=true"}) {
    EXPECT_TRUE(absl::IsPermissionDenied(Parse("GET", target).status())) << target;
  }
}

}  // namespace
}  // namespace mtp
