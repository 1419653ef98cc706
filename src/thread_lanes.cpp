#include <microbatch/queue/thread_lanes.hpp>

#include <algorithm>
#include <atomic>
#include <vector>

namespace microbatch::inline v0_1::detail {

/// One thread's lanes. It keeps their streams' cores alive, so that a lane found in the cache is
/// always there; cores whose stream is gone are let go when the thread meets its next stream.
class ThreadLaneTable {
 public:
  ThreadLaneTable() = default;
  ThreadLaneTable(const ThreadLaneTable&) = delete;
  ThreadLaneTable& operator=(const ThreadLaneTable&) = delete;
  ~ThreadLaneTable() {
    gone_ = true;
    ThreadLanes::cache_ = {};
    for (auto& entry : entries_) entry.home->release_lane(entry.lane);
  }

  [[nodiscard]] static bool gone() noexcept { return gone_; }

  void* find(std::uint64_t id, const std::shared_ptr<LaneHome>& home) {
    const auto known =
        std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.id == id; });
    if (known != entries_.end()) return known->lane;
    forget_those_that_are_over();
    entries_.reserve(entries_.size() + 1);
    void* lane = home->acquire_lane();
    entries_.push_back({id, lane, home});
    return lane;
  }

 private:
  struct Entry {
    std::uint64_t id;
    void* lane;
    std::shared_ptr<LaneHome> home;
  };

  void forget_those_that_are_over() {
    std::erase_if(entries_, [](const Entry& entry) {
      if (!entry.home->is_over()) return false;
      auto& cached = ThreadLanes::cache_[entry.id % ThreadLanes::cache_.size()];
      if (cached.id == entry.id) cached = {};
      entry.home->release_lane(entry.lane);
      return true;
    });
  }

  std::vector<Entry> entries_;
  inline static constinit thread_local bool gone_ = false;
};

std::uint64_t ThreadLanes::next_id() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;  // 0 is the empty cache entry
}

void* ThreadLanes::find_slowly(std::uint64_t id, const std::shared_ptr<LaneHome>& home) {
  if (ThreadLaneTable::gone()) return nullptr;
  thread_local ThreadLaneTable table;
  void* lane = table.find(id, home);
  cache_[id % cache_.size()] = {id, lane};
  return lane;
}

}  // namespace microbatch::inline v0_1::detail
