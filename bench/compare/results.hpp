#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace contest {

/// What was measured of whom.
struct Cell {
  std::string metric;
  std::string contender;
  std::size_t producers = 1;
  std::size_t item_bytes = 8;
  std::size_t window = 1024;

  bool operator==(const Cell&) const = default;
};

struct Spread {
  double low = 0;
  double median = 0;
  double high = 0;
};

/// Every round's value of every cell, in the order in which the cells came.
class Results {
 public:
  void add(const Cell& cell, double value, const std::string& unit);
  [[nodiscard]] std::optional<Spread> of(const Cell& cell) const;
  /// Each round's value of `cell` divided by that round's value of `base`.
  [[nodiscard]] std::optional<Spread> ratio(const Cell& cell, const Cell& base) const;

  struct Row {
    Cell cell;
    std::string unit;
    std::vector<double> rounds;
  };
  [[nodiscard]] const std::vector<Row>& rows() const noexcept { return rows_; }

 private:
  [[nodiscard]] const Row* find(const Cell& cell) const;
  std::vector<Row> rows_;
};

[[nodiscard]] Spread spread(std::vector<double> values);

}  // namespace contest
