// Tables that fit the terminal: when it is narrow, columns of little importance are shortened, then
// dropped.
#pragma once

#include <absl/strings/string_view.h>

#include <string>
#include <vector>

namespace mtp::cli {

// Colours by meaning; shown only when the caller says that the output may have colours.
enum class Tone { kPlain, kGood, kWarning, kBad, kDim, kStrong };

// The text in the tone's colour, or as it is when `colour` is false.
std::string Paint(absl::string_view text, Tone tone, bool colour);

// Appends details of one thing to `text`, a line each: a dim title, padded, and its value.
struct DetailLines {
  std::string* text;
  int title_width;
  bool colour;

  // Nothing for an empty value.
  void operator()(absl::string_view title, absl::string_view value, Tone tone = Tone::kPlain) const;
};

struct Cell {
  Cell(std::string text, Tone tone = Tone::kPlain)  // NOLINT: a cell is mostly written as its text
      : text(std::move(text)), tone(tone) {}
  std::string text;  // made visible by the table
  Tone tone;
};

struct Column {
  std::string title;
  // 0 is never dropped; a column with a higher number goes before one with a lower.
  int rank = 0;
  // Narrowest useful width; texts are shortened down to it. 0 means: whole or not at all.
  int min_width = 0;
  bool right = false;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns.
  void Add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }

  // Lines, each ended by a newline and at most `width` columns wide (at least 20 is assumed).
  // Columns in which every cell is empty are left out.
  std::string Render(int width, bool colour) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace mtp::cli
