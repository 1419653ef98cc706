#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <span>
#include <utility>
#include <vector>

#include "../concepts/sink.hpp"
#include "../core/errors.hpp"
#include "../core/window.hpp"

namespace microbatch::inline v0_1::detail {

/// What of an attempt's results is still to be put, and which items the failed ones belong to. It
/// knows nothing of the results themselves.
class PutPlan {
 public:
  struct Run {
    std::size_t from;
    std::size_t n;
  };

  /// So many results came of so many items, some of which the callback rejected.
  void start(std::size_t results, std::size_t items, std::span<const Rejection> rejected) {
    runs_.assign(1, {0, results});
    failed_.clear();
    rejected_.clear();
    for (const Rejection& rejection : rejected) rejected_.push_back(rejection.index);
    std::sort(rejected_.begin(), rejected_.end());
    rejected_.erase(std::unique(rejected_.begin(), rejected_.end()), rejected_.end());
    per_item_ = results == items || results + rejected_.size() == items;
    skips_rejected_ = results != items;
  }

  /// put(run) for each run that is left, until one throws; what it returned is kept in failed().
  template <class Put>
  void put(Put&& put) {
    while (!runs_.empty()) {
      const Run run = runs_.front();
      PutErrors errors = put(run);
      for (PutError& error : errors) {
        if (error.index >= run.n)
          throw UsageError(
              fmt::format("Sink::put returned an error for result {} of {}", error.index, run.n));
        error.index += run.from;
        failed_.push_back(std::move(error));
      }
      runs_.erase(runs_.begin());
    }
  }
  [[nodiscard]] const PutErrors& failed() const noexcept { return failed_; }

  /// The failed results are put again where `again(error)` says so, or no item is to blame; the
  /// others' items go to `rejected`. Returns an error of those that are put again, or null.
  template <class Again>
  std::exception_ptr sort_out(Again&& again, std::vector<Rejection>& rejected) {
    std::exception_ptr first;
    std::sort(failed_.begin(), failed_.end(),
              [](const PutError& a, const PutError& b) { return a.index < b.index; });
    for (PutError& failed : failed_) {
      if (per_item_ && !again(failed.error)) {
        rejected.push_back({.index = item_of(failed.index), .error = std::move(failed.error)});
        continue;
      }
      if (!first) first = failed.error;
      if (!runs_.empty() && runs_.back().from + runs_.back().n > failed.index) continue;  // twice
      if (!runs_.empty() && runs_.back().from + runs_.back().n == failed.index)
        ++runs_.back().n;
      else
        runs_.push_back({failed.index, 1});
    }
    failed_.clear();
    return first;
  }

  /// Gives up: each(item) for the items of what has not been put, or false where there are none.
  template <class Each>
  bool give_up(Each&& each) {
    if (!per_item_) return false;
    for (const Run& run : std::exchange(runs_, {}))
      for (std::size_t i = run.from; i < run.from + run.n; ++i) each(item_of(i));
    return true;
  }

 private:
  /// Of the items that were not rejected, the one that this result came of.
  [[nodiscard]] std::size_t item_of(std::size_t result) const noexcept {
    if (!skips_rejected_) return result;
    for (const std::size_t rejected : rejected_)
      if (rejected <= result) ++result;
    return result;
  }

  std::vector<Run> runs_;
  PutErrors failed_;
  std::vector<std::size_t> rejected_;  // by the callback: they have no result
  bool per_item_ = false;
  bool skips_rejected_ = false;
};

}  // namespace microbatch::inline v0_1::detail
