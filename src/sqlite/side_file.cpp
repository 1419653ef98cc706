#include "side_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/futex.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <ctime>
#include <microbatch/durable/checksum.hpp>
#include <thread>

namespace microbatch::inline v0_1::sqlite {

namespace {

using namespace std::chrono_literals;

std::int64_t steady_now() { return steady_clock().now().time_since_epoch().count(); }

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw StorageError(fmt::format("{}: {}: {}", path, what, std::strerror(errno)),
                     errno == ENOSPC || errno == EMFILE || errno == ENFILE);
}

}  // namespace

SideFile::SideFile(const std::string& database, unsigned mode, const std::string& boot)
    : path_(database + "-lock") {
  static_assert(std::atomic<std::uint32_t>::is_always_lock_free &&
                std::atomic<std::int64_t>::is_always_lock_free);
  file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
  if (file_ < 0) fail(path_, "cannot be opened");
  struct stat status {};
  if (fstat(file_, &status) != 0 || (static_cast<std::size_t>(status.st_size) < sizeof(Shared) &&
                                     posix_fallocate(file_, 0, sizeof(Shared)) != 0)) {
    close(file_);
    errno = ENOSPC;
    fail(path_, "cannot be filled");
  }
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (memory == MAP_FAILED) {
    close(file_);
    fail(path_, "cannot be mapped");
  }
  shared_ = static_cast<Shared*>(memory);
  begin_boot(microbatch::detail::Checksum::of(boot));
}

void SideFile::begin_boot(std::uint64_t boot) noexcept {
  if (shared_->boot.load() == boot) return;
  while (flock(file_, LOCK_EX) != 0 && errno == EINTR) {
  }
  if (shared_->boot.load() != boot) {
    shared_->wanted_at = 0;
    for (auto& asked_at : shared_->asked_at) asked_at = 0;
    forget_marks();
    shared_->boot = boot;
  }
  flock(file_, LOCK_UN);
}

SideFile::~SideFile() {
  munmap(shared_, sizeof(Shared));
  close(file_);
}

bool SideFile::hold(TimePoint until) {
  std::unique_lock lock(mutex_);
  if (!free_.wait_until(lock, until, [&] { return !held_; })) return false;
  held_ = true;
  return true;
}
void SideFile::let_go() noexcept {
  {
    std::lock_guard lock(mutex_);
    held_ = false;
  }
  free_.notify_one();
}

SideFile::Writing::Writing(SideFile& file, Duration timeout) : file_(file) {
  const TimePoint begun = steady_clock().now();
  const TimePoint until = detail::later(begun, timeout);
  const auto too_late = [&] {
    return StorageError(
        fmt::format("{}: locked by another writer for more than {} ms", file.path_,
                    std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count()),
        true);
  };
  if (!file.hold(until)) throw too_late();
  try {
    // Somebody in another process waits: it looks every 100 us, so let it have a look first.
    if (steady_now() - file.shared_->wanted_at.load(std::memory_order_relaxed) < 2'000'000)
      std::this_thread::sleep_for(300us);
    for (Duration wait = 100us; flock(file.file_, LOCK_EX | LOCK_NB) != 0;) {
      if (errno != EWOULDBLOCK && errno != EINTR) fail(file.path_, "cannot be locked");
      const TimePoint now = steady_clock().now();
      if (now >= until) throw too_late();
      file.shared_->wanted_at.store(now.time_since_epoch().count(), std::memory_order_relaxed);
      std::this_thread::sleep_for(wait);
      if (now - begun > 20ms) wait = std::min<Duration>(wait * 2, 1ms);
    }
  } catch (...) {
    file.let_go();
    throw;
  }
  // We have it; others that wait say so again.
  file.shared_->wanted_at.store(0, std::memory_order_relaxed);
}

SideFile::Writing::~Writing() {
  flock(file_.file_, LOCK_UN);
  file_.let_go();
}

std::uint32_t SideFile::bell(std::int64_t stream, Bell which) const noexcept {
  // acquire: with ring(). What is looked at after this is at least what was there before the ring.
  return bell_of(stream, which).load(std::memory_order_acquire);
}

void SideFile::ring(std::int64_t stream, Bell which) noexcept {
  auto& bell = bell_of(stream, which);
  bell.fetch_add(1, std::memory_order_release);  // release: with bell()
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&bell), FUTEX_WAKE, INT_MAX, nullptr, nullptr,
          0);
}

void SideFile::wait(std::int64_t stream, Bell which, std::uint32_t seen, TimePoint until) noexcept {
  auto& bell = bell_of(stream, which);
  while (bell.load(std::memory_order_acquire) == seen) {
    const Duration left = until - steady_clock().now();
    if (left <= Duration::zero()) return;
    const std::int64_t ns = std::min<std::int64_t>(left.count(), 3'600'000'000'000);
    timespec time{};
    time.tv_sec = ns / 1'000'000'000;
    time.tv_nsec = ns % 1'000'000'000;
    syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&bell), FUTEX_WAIT, seen, &time, nullptr,
            0);
  }
}

void SideFile::ask_for_loans(std::int64_t stream) noexcept {
  shared_->asked_at[static_cast<std::size_t>(stream) % bells].store(steady_now(),
                                                                    std::memory_order_relaxed);
}

bool SideFile::loans_wanted(std::int64_t stream) const noexcept {
  // relaxed: an offer that nobody takes is taken back.
  const std::int64_t asked_at =
      shared_->asked_at[static_cast<std::size_t>(stream) % bells].load(std::memory_order_relaxed);
  return asked_at != 0 && steady_now() - asked_at < 1'000'000'000;
}

std::uint32_t SideFile::mark(std::int64_t stream, std::uint64_t token,
                             std::span<const ItemRun> runs) noexcept {
  for (std::uint32_t i = 0; i < most_marks; ++i) {
    Mark& mark = shared_->marks[i];
    std::int64_t nobody = 0;
    // acquire: with the release of whoever had it before.
    if (!mark.stream.compare_exchange_strong(nobody, stream, std::memory_order_acquire,
                                             std::memory_order_relaxed))
      continue;
    // Of a window in too many pieces the first ones are told: enough to blame it.
    mark.runs = static_cast<std::uint32_t>(std::min(runs.size(), most_runs));
    std::copy_n(runs.begin(), mark.runs, mark.run);
    mark.token.store(token, std::memory_order_release);  // with take_marks()
    return i;
  }
  return no_mark;
}

void SideFile::unmark(std::uint64_t token, std::uint32_t number) noexcept {
  if (number >= most_marks) return;
  Mark& mark = shared_->marks[number];
  if (mark.token.compare_exchange_strong(token, 0, std::memory_order_acq_rel))
    mark.stream.store(0, std::memory_order_release);
}

std::vector<ItemRun> SideFile::take_marks(std::int64_t stream, std::uint64_t below) {
  std::vector<ItemRun> found;
  for (Mark& mark : shared_->marks) {
    if (mark.stream.load(std::memory_order_acquire) != stream) continue;
    std::uint64_t theirs = mark.token.load(std::memory_order_relaxed);
    // 0: somebody is in the midst of it; or died there, and this mark is of no use any more.
    if (theirs == 0 || theirs >= below) continue;
    // acquire: with the release in mark(). From here on it is ours.
    if (!mark.token.compare_exchange_strong(theirs, 0, std::memory_order_acquire)) continue;
    found.insert(found.end(), mark.run, mark.run + std::min<std::size_t>(mark.runs, most_runs));
    mark.stream.store(0, std::memory_order_release);
  }
  return found;
}

void SideFile::forget_marks() noexcept {
  for (Mark& mark : shared_->marks) {
    mark.token = 0;
    mark.stream = 0;
  }
}

}  // namespace microbatch::inline v0_1::sqlite
