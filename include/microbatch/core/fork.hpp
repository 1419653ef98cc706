#pragma once

#include <cstdint>
#include <memory>

namespace microbatch::inline v0_1::detail {

/// How many forks lie between this process and the one that loaded the library.
[[nodiscard]] std::uint32_t fork_generation() noexcept;

/// Tells a copy in a forked child from the original: the copy's threads do not exist, and its locks
/// may be held for ever.
class ForkMark {
 public:
  [[nodiscard]] bool forked() const noexcept { return born_in_ != fork_generation(); }

 private:
  const std::uint32_t born_in_ = fork_generation();
};

/// Keeps a copy in a forked child that must not be destroyed: its locks and threads are not what
/// they seem.
void leave_behind(std::shared_ptr<void> copy);

[[noreturn]] void throw_forked(const char* what);
/// UsageError for a copy in a forked child.
inline void require_not_forked(const ForkMark& mark, const char* what) {
  if (mark.forked()) [[unlikely]]
    throw_forked(what);
}

/// What has something to do around a fork, on the thread that forks.
///
/// Threads: made and destroyed by any.
class ForkAware : public ForkMark {
 public:
  ForkAware(const ForkAware&) = delete;
  ForkAware& operator=(const ForkAware&) = delete;

 protected:
  ForkAware() noexcept = default;
  virtual ~ForkAware() = default;

  /// Between them the two functions below are called: last in the constructor, first in the
  /// destructor of the one class that has them.
  void watch_forks();
  void unwatch_forks() noexcept;

  /// Takes the locks that after_fork() needs.
  virtual void before_fork() noexcept = 0;
  /// Gives them back, and in the child shuts what must not be used there.
  virtual void after_fork(bool in_child) noexcept = 0;

 private:
  friend struct ForkList;
  ForkAware* previous_ = nullptr;
  ForkAware* next_ = nullptr;
};

}  // namespace microbatch::inline v0_1::detail
