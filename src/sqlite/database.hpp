#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "connection.hpp"
#include "side_file.hpp"

namespace microbatch::inline v0_1::sqlite {

/// A file's connections: one that writes, one that reads.
class Database::Impl {
 public:
  Impl(const std::string& path, FileOptions options);
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl();

  /// One transaction: f(connection), then the commit, as safe as that.
  template <class F>
  decltype(auto) write(Safety safety, F&& f) {
    const SideFile::Writing writing(side_, options_.busy_timeout);
    check_usable();
    write_->set_sync(safety == Safety::synced);
    Rollback rollback(*this);
    write_->execute("BEGIN IMMEDIATE");
    if constexpr (std::is_void_v<decltype(f(*write_))>) {
      f(*write_);
      rollback.commit();
    } else {
      auto result = f(*write_);
      rollback.commit();
      return result;
    }
  }

  /// Whatever is committed now survives a power cut. Beside a write, which it does not hold up.
  void sync();

  /// A snapshot. Short, because a reader keeps the log from being reset.
  template <class F>
  decltype(auto) read(F&& f) {
    std::lock_guard lock(reading_);
    check_usable();
    return f(*read_);
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const std::string& boot() const noexcept { return boot_; }
  [[nodiscard]] SideFile& side() noexcept { return side_; }

 private:
  /// Commits, or leaves no transaction open.
  class Rollback {
   public:
    explicit Rollback(Impl& impl) noexcept : impl_(impl) {}
    Rollback(const Rollback&) = delete;
    Rollback& operator=(const Rollback&) = delete;
    ~Rollback();
    void commit();

   private:
    Impl& impl_;
    bool done_ = false;
  };

  void check_usable() const;
  /// An fsync has failed, so nothing is certain, and a second one would say that all is well:
  /// nothing more is written.
  void give_up(const StorageError& error) noexcept;
  void make_schema();

  const std::string path_;
  const FileOptions options_;
  const std::string boot_;
  const int process_;
  SideFile side_;
  std::optional<Connection> write_;
  std::optional<LogFile> log_;
  std::mutex reading_;
  std::optional<Connection> read_;
  std::mutex syncing_;
  std::once_flag giving_up_;
  std::optional<StorageError> failure_;  // written once, before failed_
  std::atomic<bool> failed_{false};
};

}  // namespace microbatch::inline v0_1::sqlite
