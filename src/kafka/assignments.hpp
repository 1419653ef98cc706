#pragma once

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include <microbatch/core/clock.hpp>
#include <microbatch/kafka/topic.hpp>

namespace microbatch::inline v0_1::kafka::detail {

/// One assignment of a partition to this member, from being assigned to being revoked or lost. It
/// has a number of its own, so that what settles after the partition has gone, and perhaps come
/// again, is not taken for what is new.
struct Assignment {
  std::uint32_t id = 0;
  Topic topic{};
  std::int32_t partition = 0;
  bool waits = false;  ///< where it begins is not known yet (the source's thread alone)

  std::int64_t position = -1;  ///< behind the last record that was appended
  std::int64_t settled = -1;   ///< everything below it has ended
  std::int64_t told = -1;      ///< of that, what the broker was asked to keep
  std::deque<std::pair<std::int64_t, TimePoint>> marks{};  ///< position, and when it was there

  /// The first offset that is of interest.
  void begin(std::int64_t offset) { position = settled = told = offset; }
  /// Everything below this has been appended; some of it may have ended already. A mark now and
  /// then, so that the age of what has not ended is known well enough.
  void advance(std::int64_t to, TimePoint now) {
    constexpr auto apart = std::chrono::milliseconds(50);
    if (settled < to && (marks.empty() || now - marks.back().second >= apart))
      marks.emplace_back(position, now);
    position = to;
  }
  void settle(std::int64_t up_to) {
    settled = std::max(settled, up_to);
    while (marks.size() > 1 && marks[1].first <= settled) marks.pop_front();
    if (settled >= position) marks.clear();
  }
  [[nodiscard]] Duration oldest_unsettled(TimePoint now) const {
    return marks.empty() ? Duration::zero() : now - marks.front().second;
  }
};

/// The partitions that are assigned to this member now.
///
/// Threads: any, under `mutex`; only the source's thread adds and removes.
class Assignments {
 public:
  std::mutex mutex;

  Assignment& add(const Topic& topic, std::int32_t partition) {
    auto made = std::make_unique<Assignment>();
    made->id = next_id_++;
    made->topic = topic;
    made->partition = partition;
    return *all_.emplace_back(std::move(made));
  }
  void remove(std::uint32_t id) {
    std::erase_if(all_, [&](const auto& assignment) { return assignment->id == id; });
  }
  [[nodiscard]] Assignment* find(std::uint32_t id) noexcept {
    for (const auto& assignment : all_)
      if (assignment->id == id) return assignment.get();
    return nullptr;
  }
  [[nodiscard]] Assignment* find(std::string_view topic, std::int32_t partition) noexcept {
    for (const auto& assignment : all_)
      if (assignment->partition == partition && assignment->topic == topic) return assignment.get();
    return nullptr;
  }
  [[nodiscard]] const std::vector<std::unique_ptr<Assignment>>& all() const noexcept {
    return all_;
  }

 private:
  std::vector<std::unique_ptr<Assignment>> all_;
  std::uint32_t next_id_ = 1;
};

}  // namespace microbatch::inline v0_1::kafka::detail
