// One run of the CLI: its environment, the flags that every command knows, and the connection.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/commands/contexts.h"
#include "cli/commands/environment.h"
#include "cli/output/progress.h"

namespace mtp::cli {

enum class Format { kTable, kJson, kYaml };

struct Invocation {
  Environment& environment;
  EndpointFlags endpoint;
  Format format = Format::kTable;
  // What stood behind `--`.
  std::vector<std::string> trailing;
  bool has_trailing = false;
  std::shared_ptr<grpc::Channel> channel;  // see Connected
  std::string controller;                  // where it leads
  std::string identity_folder;             // of the caller, once connected
  bool renews = true;                      // the identity, when it is due; not in a completion

  bool colour() const;      // of standard output
  bool err_colour() const;  // of standard error
  int columns() const { return environment.columns(); }
  absl::Time now() const { return environment.clock.Now(); }

  // Prints the value in the chosen format; `table` is called for tables only.
  void Print(const nlohmann::ordered_json& json, const std::function<std::string()>& table);
  // As Print, for one of many values: JSON in one line, YAML as a document.
  void PrintNext(const nlohmann::ordered_json& json, const std::function<std::string()>& table);
  // One line on standard error that begins with `warning:`.
  void Warn(absl::string_view text);
  // For a wait: live on a terminal, plain lines in a pipe, nothing beside JSON and YAML in a pipe.
  std::unique_ptr<Progress> NewProgress();

  // Connects once, and renews the identity by the way when it is due. INVALID_ARGUMENT when no
  // context, or no usable identity, is there.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Connected();
};

}  // namespace mtp::cli
