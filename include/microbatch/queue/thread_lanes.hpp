#pragma once

#include <array>
#include <cstdint>
#include <memory>

namespace microbatch::inline v0_1::detail {

/// A stream's core, as a thread that holds lanes of it sees it.
class LaneHome {
 public:
  virtual ~LaneHome() = default;
  [[nodiscard]] virtual void* acquire_lane() = 0;
  virtual void release_lane(void* lane) noexcept = 0;
  /// The stream is gone: there is no point in keeping a lane of it.
  [[nodiscard]] virtual bool is_over() const noexcept = 0;
};

/// Finds the calling thread's lane of a stream: a small direct-mapped cache without constructors in
/// front of a table that the thread's end gives back. Ids are never reused, so a stale entry of a
/// stream that is gone matches nothing.
class ThreadLanes {
 public:
  /// Null when there is no such stream, and when the thread's own table is gone already (a
  /// thread-local destructor appends).
  template <class Home>
  [[nodiscard]] static void* find(std::uint64_t id, const std::shared_ptr<Home>& home) {
    const Cached& cached = cache_[id % cache_.size()];
    if (cached.id == id) [[likely]]
      return cached.lane;
    return find_at_length(id, home);
  }

  [[nodiscard]] static std::uint64_t next_id() noexcept;

 private:
  template <class Home>
  [[nodiscard, gnu::noinline]] static void* find_at_length(std::uint64_t id,
                                                           const std::shared_ptr<Home>& home) {
    return home == nullptr ? nullptr : find_slowly(id, home);
  }

  friend class ThreadLaneTable;
  struct Cached {
    std::uint64_t id;
    void* lane;
  };
  [[nodiscard]] static void* find_slowly(std::uint64_t id, const std::shared_ptr<LaneHome>& home);

  inline static constinit thread_local std::array<Cached, 8> cache_{};
};

}  // namespace microbatch::inline v0_1::detail
