#pragma once

#include <atomic>
#include <functional>
#include <microbatch/core/clock.hpp>
#include <microbatch/io/position_file.hpp>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace microbatch::inline v0_1::detail {

/// Saves a source's position now and then while the source runs, and at once when it does not.
///
/// Threads: any. Errors: what PositionFile throws; a position that could not be saved stays to be
/// saved.
class PositionKeeper {
 public:
  /// An empty path: it keeps nothing. `position` tells the position whenever it is to be saved, on
  /// the thread that saves.
  PositionKeeper(const std::filesystem::path& file, Duration save_every,
                 std::function<std::string()> position)
      : save_every_(save_every), position_(std::move(position)) {
    if (!file.empty()) file_.emplace(file);
  }

  [[nodiscard]] std::optional<std::string> load() const {
    return file_ ? file_->load() : std::nullopt;
  }
  /// There is another position than the one that was saved last.
  void moved() {
    moved_ = true;
    save_if_due();
  }
  void set_running(bool running) {
    running_ = running;
    save_if_due();
  }
  void save_if_due() {
    if (!due()) return;
    const std::lock_guard one(saving_);
    if (!due()) return;
    moved_ = false;  // before we ask: what moves meanwhile is saved the next time
    saved_at_ = steady_clock().now();
    try {
      file_->save(position_());
    } catch (...) {
      moved_ = true;
      throw;
    }
  }

 private:
  [[nodiscard]] bool due() const {
    return file_ && moved_ && (!running_ || steady_clock().now() >= later(saved_at_, save_every_));
  }

  std::optional<PositionFile> file_;
  const Duration save_every_;
  const std::function<std::string()> position_;
  std::mutex saving_;
  // Written and read by any thread; the position itself is guarded by its owner. Sequentially
  // consistent, as nothing here is in a hurry.
  std::atomic<TimePoint> saved_at_{TimePoint::min()};
  std::atomic<bool> moved_{false};
  std::atomic<bool> running_{false};
};

}  // namespace microbatch::inline v0_1::detail
