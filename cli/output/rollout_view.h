// Rollouts as JSON, as tables, and while one waits for them. Pure but for RolloutProgress.
#pragma once

#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/output/progress.h"
#include "mtp/v1/rollout.pb.h"

namespace mtp::cli {

nlohmann::ordered_json RolloutJson(const v1::Rollout& rollout);

// One line a rollout, newest first as they come.
std::string RolloutsTable(const std::vector<v1::Rollout>& rollouts, absl::Time now, int width,
                          bool colour);

// Its tenants by wave.
std::string RolloutTenantsTable(const v1::Rollout& rollout, int width, bool colour);

// The rollout's facts and its tenants.
std::string RolloutDetails(const v1::Rollout& rollout, absl::Time now, int width, bool colour);

// How long it took, or takes until `now`.
absl::Duration Elapsed(const v1::Rollout& rollout, absl::Time now);

// The first 12 digits of an image that is named by a digest, whatever stands before it; else as it
// is.
std::string ShortImage(absl::string_view image);

// What RolloutProgress draws on a terminal: a line about the whole, its tenants (at most `rows`
// lines in all; those that something happens to come first), and how to go on without it.
std::string RolloutFrame(const v1::Rollout& rollout, absl::string_view note, absl::Time now,
                         int width, int rows, bool colour);

// Progress of a rollout while a person, or a log, waits for it. Not thread-safe.
class RolloutProgress {
 public:
  virtual ~RolloutProgress() = default;
  virtual void Update(const v1::Rollout& rollout, absl::Time now) = 0;
  virtual void Tick(absl::Time now) = 0;
  virtual void Note(absl::string_view text) = 0;
};

// RolloutFrame, drawn again in place.
class LiveRolloutProgress final : public RolloutProgress {
 public:
  LiveRolloutProgress(std::ostream& out, std::function<int()> columns, std::function<int()> rows,
                      bool colour)
      : place_(out), columns_(std::move(columns)), rows_(std::move(rows)), colour_(colour) {}
  void Update(const v1::Rollout& rollout, absl::Time now) override;
  void Tick(absl::Time now) override;
  void Note(absl::string_view text) override { note_ = std::string(text); }

 private:
  InPlace place_;
  const std::function<int()> columns_;
  const std::function<int()> rows_;
  const bool colour_;
  v1::Rollout rollout_;
  std::string note_;
};

// A line whenever the rollout or a tenant of it has news: `12s acme: updating: backup`.
class PlainRolloutProgress final : public RolloutProgress {
 public:
  explicit PlainRolloutProgress(std::ostream& out) : out_(out) {}
  void Update(const v1::Rollout& rollout, absl::Time now) override;
  void Tick(absl::Time) override {}
  void Note(absl::string_view text) override;

 private:
  void Say(const std::string& who, const std::string& line, const v1::Rollout& rollout,
           absl::Time now);

  std::ostream& out_;
  std::map<std::string, std::string> said_;  // who -> the last line
};

// Shows nothing.
class NoRolloutProgress final : public RolloutProgress {
 public:
  void Update(const v1::Rollout&, absl::Time) override {}
  void Tick(absl::Time) override {}
  void Note(absl::string_view) override {}
};

}  // namespace mtp::cli
