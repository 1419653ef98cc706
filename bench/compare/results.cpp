#include "results.hpp"

#include <algorithm>

namespace contest {

Spread spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  const double median = n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
  return {values.front(), median, values.back()};
}

const Results::Row* Results::find(const Cell& cell) const {
  const auto row =
      std::find_if(rows_.begin(), rows_.end(), [&](const Row& r) { return r.cell == cell; });
  return row == rows_.end() ? nullptr : &*row;
}

void Results::add(const Cell& cell, double value, const std::string& unit) {
  auto row = std::find_if(rows_.begin(), rows_.end(), [&](const Row& r) { return r.cell == cell; });
  if (row == rows_.end()) row = rows_.insert(rows_.end(), {cell, unit, {}});
  row->rounds.push_back(value);
}

std::optional<Spread> Results::of(const Cell& cell) const {
  const Row* row = find(cell);
  if (row == nullptr) return std::nullopt;
  return spread(row->rounds);
}

std::optional<Spread> Results::ratio(const Cell& cell, const Cell& base) const {
  const Row* a = find(cell);
  const Row* b = find(base);
  if (a == nullptr || b == nullptr || a->rounds.size() != b->rounds.size()) return std::nullopt;
  std::vector<double> ratios;
  for (std::size_t i = 0; i < a->rounds.size(); ++i) ratios.push_back(a->rounds[i] / b->rounds[i]);
  return spread(std::move(ratios));
}

}  // namespace contest
