// Progress of one operation while a person, or a log, waits for it.
#pragma once

#include <absl/strings/string_view.h>
#include <absl/time/time.h>

#include <functional>
#include <map>
#include <ostream>
#include <string>

#include "mtp/v1/operation.pb.h"

namespace mtp::cli {

// Text on a terminal that is drawn again in its own place.
class InPlace {
 public:
  explicit InPlace(std::ostream& out) : out_(out) {}
  // Lines, each ended by a newline and no wider than the terminal.
  void Draw(absl::string_view text);

 private:
  std::ostream& out_;
  int drawn_lines_ = 0;
};

// Shows what it is told. Not thread-safe.
class Progress {
 public:
  virtual ~Progress() = default;
  // The operation as it is now.
  virtual void Update(const v1::Operation& operation, absl::Time now) = 0;
  // Time passed, nothing else.
  virtual void Tick(absl::Time now) = 0;
  // One line about the waiting itself: the connection is lost, it is back. Empty takes it away.
  virtual void Note(absl::string_view text) = 0;
};

// All steps with their times, drawn again in place. `columns` is asked at each drawing.
class LiveProgress final : public Progress {
 public:
  LiveProgress(std::ostream& out, std::function<int()> columns, bool colour)
      : place_(out), columns_(std::move(columns)), colour_(colour) {}
  void Update(const v1::Operation& operation, absl::Time now) override;
  void Tick(absl::Time now) override;
  void Note(absl::string_view text) override { note_ = std::string(text); }

 private:
  InPlace place_;
  const std::function<int()> columns_;
  const bool colour_;
  v1::Operation operation_;
  std::string note_;
  int frame_ = 0;
};

// The frame that LiveProgress draws, for itself: lines without the movements of the cursor.
std::string ProgressFrame(const v1::Operation& operation, absl::string_view note, absl::Time now,
                          int frame, int width, bool colour);

// A line whenever a step begins, says something new, or ends: `12s start-container: waiting for
// /readyz`.
class PlainProgress final : public Progress {
 public:
  explicit PlainProgress(std::ostream& out) : out_(out) {}
  void Update(const v1::Operation& operation, absl::Time now) override;
  void Tick(absl::Time) override {}
  void Note(absl::string_view text) override;

 private:
  std::ostream& out_;
  std::map<std::string, std::string> said_;  // step -> its last line
};

// Shows nothing.
class NoProgress final : public Progress {
 public:
  void Update(const v1::Operation&, absl::Time) override {}
  void Tick(absl::Time) override {}
  void Note(absl::string_view) override {}
};

}  // namespace mtp::cli
