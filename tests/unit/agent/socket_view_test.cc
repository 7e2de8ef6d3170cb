#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "agent/docker/read_only_view.h"

namespace mtp {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// An answer of the engine with SECRET in every place that can hold one.
constexpr char kContainer[] = R"({
  "Id":"0123","Created":"2026-01-01T00:00:00Z","Path":"SECRET","Args":["SECRET"],
  "State":{"Status":"running","Running":true,"Pid":42,"Error":"SECRET",
           "Health":{"Status":"healthy","FailingStreak":0,"Log":[{"Output":"SECRET"}]}},
  "Image":"sha256:1","Name":"/mtp-acme","RestartCount":1,"ExecIDs":["SECRET"],
  "HostConfig":{"Memory":1073741824,"LogConfig":{"Type":"splunk","Config":{"splunk-token":"SECRET"}},
                "Env":["SECRET"],"Sysctls":{"a":"SECRET"},"Annotations":{"a":"SECRET"}},
  "Mounts":[{"Type":"bind","Source":"/data/acme","Destination":"/x","RW":true,"Options":"SECRET"}],
  "Config":{"Env":["TOKEN=SECRET"],"Cmd":["SECRET"],"Entrypoint":["SECRET"],"Image":"openclaw",
            "Healthcheck":{"Test":["SECRET"]},"Tty":false,
            "Labels":{"com.docker.compose.project":"mtp","com.docker.compose.service":"acme",
                      "traefik.basicauth":"SECRET"}},
  "NetworkSettings":{"Ports":{},"Networks":{"mtp_acme":{"IPAddress":"10.0.0.2","NetworkID":"n",
                      "DriverOpts":{"a":"SECRET"},"Links":["SECRET"]}}}})";

TEST(SocketView, ShowsAContainerWithoutItsSecrets) {
  const auto view = ReadOnlyView(ReadOnlyCall::kInspectContainer, kContainer, "mtp");
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_THAT(*view, Not(HasSubstr("SECRET")));
  const auto json = nlohmann::json::parse(*view);
  EXPECT_EQ(json["State"]["Health"]["Status"], "healthy");
  EXPECT_EQ(json["State"]["Pid"], 42);
  EXPECT_EQ(json["HostConfig"]["Memory"], 1073741824);
  EXPECT_EQ(json["HostConfig"]["LogConfig"]["Type"], "splunk");
  EXPECT_EQ(json["Config"]["Labels"]["com.docker.compose.service"], "acme");
  EXPECT_EQ(json["NetworkSettings"]["Networks"]["mtp_acme"]["IPAddress"], "10.0.0.2");
}

TEST(SocketView, ListsOnlyTheProjectsContainers) {
  const auto view = ReadOnlyView(ReadOnlyCall::kListContainers, R"([
    {"Id":"1","Names":["/mtp-acme"],"Command":"run SECRET","Labels":
       {"com.docker.compose.project":"mtp","token":"SECRET"}},
    {"Id":"2","Names":["/SECRET"],"Labels":{"com.docker.compose.project":"mtp2"}},
    {"Id":"3","Names":["/SECRET"],"Labels":{}}, {"Id":"4","Names":["/SECRET"]}, 7, null])",
                                 "mtp");
  ASSERT_TRUE(view.ok());
  EXPECT_THAT(*view, Not(HasSubstr("SECRET")));
  EXPECT_EQ(nlohmann::json::parse(*view).size(), 1u);
}

TEST(SocketView, ShowsOfACommandLineOnlyTheProgram) {
  const auto view = ReadOnlyView(
      ReadOnlyCall::kContainerTop,
      R"({"Titles":["PID","CMD"],"Processes":[["1","curl -H SECRET"],["2","node"],["3"],7]})",
      "mtp");
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(*view, R"({"Processes":[["1","curl"],["2","node"],["3"],7],"Titles":["PID","CMD"]})");
}

TEST(SocketView, HidesProxiesRegistriesAndImageEnvironments) {
  EXPECT_THAT(*ReadOnlyView(ReadOnlyCall::kInfo,
                            R"({"NCPU":2,"HttpProxy":"http://SECRET@x","Labels":["SECRET"],
                                "RegistryConfig":{"Mirrors":["SECRET"]},"Swarm":{"x":"SECRET"}})",
                            "mtp"),
              Not(HasSubstr("SECRET")));
  EXPECT_THAT(*ReadOnlyView(ReadOnlyCall::kInspectImage,
                            R"({"Id":"1","Config":{"Env":["SECRET"],"Cmd":["SECRET"]},
                                "Comment":"SECRET","ContainerConfig":{"Env":["SECRET"]}})",
                            "mtp"),
              Not(HasSubstr("SECRET")));
}

TEST(SocketView, ShowsOnlyTheProjectsEventsAndNotWhatRan) {
  const std::string event = ReadOnlyEvent(
      R"({"status":"exec_create: sh -c SECRET","id":"1","Type":"container",
          "Action":"exec_create: sh -c SECRET","Actor":{"ID":"1","Attributes":{"name":"mtp-acme",
          "com.docker.compose.project":"mtp","token":"SECRET"}},"timeNano":5})",
      "mtp");
  EXPECT_THAT(event, Not(HasSubstr("SECRET")));
  EXPECT_THAT(event, HasSubstr("exec_create"));
  EXPECT_EQ(ReadOnlyEvent(R"({"Type":"container","Action":"start","Actor":{"Attributes":
      {"com.docker.compose.project":"other"}}})",
                          "mtp"),
            "");
  EXPECT_EQ(ReadOnlyEvent(R"({"Type":"image","Action":"pull","Actor":{"Attributes":
      {"com.docker.compose.project":"mtp"}}})",
                          "mtp"),
            "");
  EXPECT_EQ(ReadOnlyEvent("not json", "mtp"), "");
}

TEST(SocketView, FindsWhetherAnObjectIsTheProjects) {
  EXPECT_EQ(ProjectObjectId(kContainer, "mtp"), "0123");
  EXPECT_EQ(ProjectObjectId(kContainer, "mt"), "");
  EXPECT_EQ(ProjectObjectId(kContainer, ""), "");
  EXPECT_EQ(ProjectObjectId(R"({"Id":"n","Labels":{"com.docker.compose.project":"mtp"}})", "mtp"),
            "n");
  EXPECT_EQ(ProjectObjectId(R"({"Id":"n","Labels":null})", "mtp"), "");
  // A label beside the configuration is no label of a container.
  EXPECT_EQ(ProjectObjectId(
                R"({"Id":"n","Config":{},"Labels":{"com.docker.compose.project":"mtp"}})", "mtp"),
            "");
}

TEST(SocketView, SurvivesGarbledAnswers) {
  for (const std::string text : {"", "null", "[]", "{}", "7", "[[[[", "{\"State\":7}", "[7]",
                                 "{\"Config\":[]}", "{\"Processes\":{},\"Titles\":[\"CMD\"]}"}) {
    for (int call = 0; call <= static_cast<int>(ReadOnlyCall::kInspectNetwork); ++call) {
      ReadOnlyView(static_cast<ReadOnlyCall>(call), text, "mtp").status().IgnoreError();
    }
    ReadOnlyEvent(text, "mtp");
    EXPECT_EQ(ProjectObjectId(text, "mtp"), "");
  }
}

}  // namespace
}  // namespace mtp
