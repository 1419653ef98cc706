#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

#include <microbatch/core/clock.hpp>

namespace microbatch::sqlite {

/// The little file beside a database file, FILE-lock: who may write, and the bell that appends ring
/// for consumers in other processes. It holds nothing that matters when nobody has it open.
///
/// Threads: any.
class SideFile {
 public:
  SideFile(const std::string& database, unsigned mode);
  SideFile(const SideFile&) = delete;
  SideFile& operator=(const SideFile&) = delete;
  ~SideFile();

  /// The right to write to the database: one connection at a time, of all processes, so that no two
  /// ever write and checkpoint at the same instant. StorageError after `timeout`.
  class Writing {
   public:
    Writing(SideFile& file, Duration timeout);
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    ~Writing();

   private:
    SideFile& file_;
  };

  [[nodiscard]] std::uint32_t bell(std::uint64_t stream) const noexcept;
  void ring(std::uint64_t stream) noexcept;
  /// Returns when the bell is not `seen` any more, or at that time.
  void wait(std::uint64_t stream, std::uint32_t seen, TimePoint until) noexcept;

 private:
  /// False after that time.
  [[nodiscard]] bool hold(TimePoint until);
  void let_go() noexcept;

  static constexpr std::size_t bells = 1000;  // streams share them by their number
  struct Shared {
    std::atomic<std::int64_t> wanted_at;  // steady ns: somebody waited for the lock in vain then
    std::atomic<std::uint32_t> bell[bells];
  };

  std::string path_;
  int file_ = -1;
  Shared* shared_ = nullptr;
  std::mutex mutex_;
  std::condition_variable free_;
  bool held_ = false;  // by a thread of this object
};

}  // namespace microbatch::sqlite
