#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <microbatch/concepts/storage.hpp>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace microbatch::inline v0_1::sqlite {

/// The little file beside a database file, FILE-lock: who may write, the bells that appends and
/// commits ring for other processes, and what is with a callback at the moment. It survives a
/// process, not a reboot, and holds nothing that somebody misses after one.
///
/// Threads: any.
class SideFile {
 public:
  /// `boot`: what another boot has left is wiped out.
  SideFile(const std::string& database, unsigned mode, const std::string& boot);
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

  [[nodiscard]] std::uint32_t bell(std::int64_t stream, Bell which) const noexcept;
  void ring(std::int64_t stream, Bell which) noexcept;
  /// Returns when the bell is not `seen` any more, or at that time.
  void wait(std::int64_t stream, Bell which, std::uint32_t seen, TimePoint until) noexcept;

  /// Somebody would borrow windows of the stream; whether somebody has said so lately.
  void ask_for_loans(std::int64_t stream) noexcept;
  [[nodiscard]] bool loans_wanted(std::int64_t stream) const noexcept;

  static constexpr std::uint32_t no_mark = 0xFFFFFFFF;

  /// These items are with a callback now. no_mark where there is no room for it.
  std::uint32_t mark(std::int64_t stream, std::uint64_t token,
                     std::span<const ItemRun> runs) noexcept;
  /// Does nothing where take_marks() was faster.
  void unmark(std::uint64_t token, std::uint32_t mark) noexcept;
  /// What holders of tokens below this one have left behind; it is theirs no more.
  std::vector<ItemRun> take_marks(std::int64_t stream, std::uint64_t below);
  /// For a new database beside an old file.
  void forget_marks() noexcept;

 private:
  /// False after that time.
  [[nodiscard]] bool hold(TimePoint until);
  void let_go() noexcept;

  static constexpr std::size_t bells = 1000;  // streams share them by their number
  static constexpr std::size_t most_marks = 256;
  static constexpr std::size_t most_runs = 16;

  /// Whoever turns `stream` from 0 to its own owns the rest of it.
  struct Mark {
    std::atomic<std::int64_t> stream;
    std::atomic<std::uint64_t> token;  // 0: being written
    std::uint32_t runs;
    ItemRun run[most_runs];
  };
  struct Shared {
    std::atomic<std::uint64_t> boot;      // a checksum of its id
    std::atomic<std::int64_t> wanted_at;  // steady ns: somebody waited for the lock in vain then
    std::atomic<std::uint32_t> bell[bell_count][bells];
    std::atomic<std::int64_t> asked_at[bells];  // steady ns: somebody would borrow a window
    Mark marks[most_marks];
  };

  [[nodiscard]] std::atomic<std::uint32_t>& bell_of(std::int64_t stream,
                                                    Bell which) const noexcept {
    return shared_->bell[static_cast<std::size_t>(which)][static_cast<std::size_t>(stream) % bells];
  }
  void begin_boot(std::uint64_t boot) noexcept;

  std::string path_;
  int file_ = -1;
  Shared* shared_ = nullptr;
  std::mutex mutex_;
  std::condition_variable free_;
  bool held_ = false;  // by a thread of this object
};

}  // namespace microbatch::inline v0_1::sqlite
