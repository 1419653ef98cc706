#pragma once

#include <microbatch/core/clock.hpp>
#include <microbatch/io/position_file.hpp>
#include <mutex>
#include <optional>
#include <string>

namespace microbatch::detail {

/// Saves a source's position now and then while the source runs, and at once when it does not.
///
/// Threads: any. Errors: what PositionFile::save throws; then it stays to be saved.
class PositionKeeper {
 public:
  /// An empty path: it keeps nothing.
  PositionKeeper(const std::filesystem::path& file, Duration save_every) : save_every_(save_every) {
    if (!file.empty()) file_.emplace(file);
  }

  [[nodiscard]] std::optional<std::string> load() const {
    return file_ ? file_->load() : std::nullopt;
  }
  void set(std::string text) {
    {
      const std::lock_guard lock(mutex_);
      text_ = std::move(text);
      dirty_ = true;
    }
    save_if_due();
  }
  void set_running(bool running) {
    {
      const std::lock_guard lock(mutex_);
      running_ = running;
    }
    save_if_due();
  }
  void save_if_due() {
    const std::lock_guard one(saving_);
    std::string text;
    {
      const std::lock_guard lock(mutex_);
      const bool due = !running_ || steady_clock().now() >= later(saved_at_, save_every_);
      if (!file_ || !dirty_ || !due) return;
      text = text_;
      dirty_ = false;
      saved_at_ = steady_clock().now();
    }
    try {
      file_->save(text);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      dirty_ = true;
      throw;
    }
  }

 private:
  std::optional<PositionFile> file_;
  const Duration save_every_;
  std::mutex saving_;
  std::mutex mutex_;
  std::string text_;
  TimePoint saved_at_ = TimePoint::min();
  bool dirty_ = false;
  bool running_ = false;
};

}  // namespace microbatch::detail
