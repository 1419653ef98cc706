#pragma once

#include <cstdint>
#include <mutex>
#include <stop_token>
#include <utility>
#include <vector>

#include "../pipeline.hpp"

namespace microbatch::inline v0_1::testing {

/// A source of given items, in one partition with offsets from 0; remembers what was committed.
template <class T>
class VectorSource {
 public:
  using value_type = T;

  explicit VectorSource(std::vector<T> items) : items_(std::move(items)) {}

  void run(Feed<T>& feed, std::stop_token stop) {
    for (std::size_t i = 0; i < items_.size() && !stop.stop_requested(); ++i)
      if (feed.append(std::move(items_[i]),
                      {.partition = 0, .offset = static_cast<std::int64_t>(i)}) !=
          AppendResult::accepted)
        return;
  }
  void commit(Origin last) {
    std::lock_guard lock(mutex_);
    commits_.push_back(last);
  }
  /// Every commit, in the order in which it came.
  [[nodiscard]] std::vector<Origin> commits() const {
    std::lock_guard lock(mutex_);
    return commits_;
  }

 private:
  std::vector<T> items_;
  mutable std::mutex mutex_;
  std::vector<Origin> commits_;
};

}  // namespace microbatch::inline v0_1::testing
