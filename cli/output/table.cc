#include "cli/output/table.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>

#include "cli/output/text.h"

namespace mtp::cli {
namespace {

constexpr int kGap = 2;

// What a column needs, and what it gets.
struct Layout {
  size_t index;
  int rank;
  int natural;
  int least;
  int width = 0;
};

int Total(const std::vector<Layout>& layouts, int Layout::*width) {
  int total = layouts.empty() ? 0 : kGap * static_cast<int>(layouts.size() - 1);
  for (const Layout& layout : layouts) total += layout.*width;
  return total;
}

// Drops what does not fit even when shortened, the least important first.
void DropUntilFitting(std::vector<Layout>& layouts, int width) {
  while (Total(layouts, &Layout::least) > width) {
    auto last = std::max_element(layouts.begin(), layouts.end(),
                                 [](auto& a, auto& b) { return a.rank < b.rank; });
    if (last->rank == 0) return;
    layouts.erase(last);
  }
}

// Every column gets its least, and what is left goes to the most important first.
void ShareSpace(std::vector<Layout>& layouts, int width) {
  int spare = width - Total(layouts, &Layout::least);
  std::vector<Layout*> by_rank;
  for (Layout& layout : layouts) {
    layout.width = layout.least;
    by_rank.push_back(&layout);
  }
  std::stable_sort(by_rank.begin(), by_rank.end(),
                   [](auto* a, auto* b) { return a->rank < b->rank; });
  for (Layout* layout : by_rank) {
    const int more = std::clamp(layout->natural - layout->width, 0, std::max(spare, 0));
    layout->width += more;
    spare -= more;
  }
  // Not even the undroppable ones fit: the widest give way.
  while (Total(layouts, &Layout::width) > width) {
    auto widest = std::max_element(layouts.begin(), layouts.end(),
                                   [](auto& a, auto& b) { return a.width < b.width; });
    if (widest->width <= 1) return;
    --widest->width;
  }
}

std::string Line(const std::vector<Layout>& layouts, const std::vector<Column>& columns,
                 const std::vector<Cell>& cells, bool colour) {
  std::string line;
  std::string gap;  // kept back, so that no line ends in spaces
  for (const Layout& layout : layouts) {
    const Cell& cell = cells[layout.index];
    const std::string text = Shorten(Visible(cell.text), layout.width);
    const std::string padding(std::max(0, layout.width - Width(text)), ' ');
    if (columns[layout.index].right) gap += padding;
    if (!text.empty()) {
      absl::StrAppend(&line, gap, Paint(text, cell.tone, colour));
      gap.clear();
    }
    if (!columns[layout.index].right) gap += padding;
    gap.append(kGap, ' ');
  }
  return line + "\n";
}

}  // namespace

std::string Paint(absl::string_view text, Tone tone, bool colour) {
  if (!colour || text.empty()) return std::string(text);
  absl::string_view code;
  switch (tone) {
    case Tone::kPlain:
      return std::string(text);
    case Tone::kGood:
      code = "32";
      break;
    case Tone::kWarning:
      code = "33";
      break;
    case Tone::kBad:
      code = "31";
      break;
    case Tone::kDim:
      code = "2";
      break;
    case Tone::kStrong:
      code = "1";
      break;
  }
  return absl::StrCat("\x1b[", code, "m", text, "\x1b[0m");
}

void DetailLines::operator()(absl::string_view title, absl::string_view value, Tone tone) const {
  if (value.empty()) return;
  absl::StrAppend(text, Paint(absl::StrFormat("%-*s", title_width, title), Tone::kDim, colour),
                  Paint(Visible(value), tone, colour), "\n");
}

void Table::Add(std::vector<Cell> row) {
  row.resize(columns_.size(), Cell(""));
  rows_.push_back(std::move(row));
}

std::string Table::Render(int width, bool colour) const {
  width = std::max(width, 20);
  std::vector<Layout> layouts;
  for (size_t i = 0; i < columns_.size(); ++i) {
    int natural = 0;
    for (const auto& row : rows_) natural = std::max(natural, Width(Visible(row[i].text)));
    if (natural == 0 && !rows_.empty()) continue;
    natural = std::max(natural, Width(columns_[i].title));
    const int least =
        columns_[i].min_width == 0 ? natural : std::min(natural, columns_[i].min_width);
    layouts.push_back({i, columns_[i].rank, natural, least});
  }
  DropUntilFitting(layouts, width);
  ShareSpace(layouts, width);

  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.emplace_back(column.title, Tone::kDim);
  std::string text = Line(layouts, columns_, titles, colour);
  for (const auto& row : rows_) absl::StrAppend(&text, Line(layouts, columns_, row, colour));
  return text;
}

}  // namespace mtp::cli
