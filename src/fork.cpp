#include <microbatch/core/fork.hpp>

#include <atomic>
#include <microbatch/core/errors.hpp>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define MICROBATCH_CAN_FORK 1
#endif

namespace microbatch::inline v0_1::detail {

namespace {

// Written by the one thread that a forked child has; relaxed: it publishes nothing.
std::atomic<std::uint32_t> generation{0};

}  // namespace

std::uint32_t fork_generation() noexcept { return generation.load(std::memory_order_relaxed); }

void throw_forked(const char* what) {
  throw UsageError(std::string(what) +
                   ": called in a forked child, whose copy of the stream has no threads; make a "
                   "new stream and consumer there");
}

void leave_behind(std::shared_ptr<void> copy) {
  static std::mutex mutex;
  static auto& copies = *new std::vector<std::shared_ptr<void>>;  // never destroyed
  std::lock_guard lock(mutex);
  copies.push_back(std::move(copy));
}

/// All that are aware of forks in this process; never destroyed: streams may outlive main.
struct ForkList {
  std::mutex mutex;
  ForkAware* first = nullptr;

  static ForkList& instance() {
    static ForkList& list = *new ForkList;
    return list;
  }

  ForkList() {
#ifdef MICROBATCH_CAN_FORK
    pthread_atfork(
        [] {
          instance().mutex.lock();
          for (ForkAware* f = instance().first; f != nullptr; f = f->next_) f->before_fork();
        },
        [] { end(false); },
        [] {
          generation.fetch_add(1, std::memory_order_relaxed);
          end(true);
        });
#endif
  }

  static void end(bool in_child) {
    for (ForkAware* f = instance().first; f != nullptr; f = f->next_) f->after_fork(in_child);
    instance().mutex.unlock();
  }
};

void ForkAware::watch_forks() {
  ForkList& list = ForkList::instance();
  std::lock_guard lock(list.mutex);
  next_ = list.first;
  if (next_ != nullptr) next_->previous_ = this;
  list.first = this;
}

void ForkAware::unwatch_forks() noexcept {
  ForkList& list = ForkList::instance();
  std::lock_guard lock(list.mutex);
  (previous_ != nullptr ? previous_->next_ : list.first) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

}  // namespace microbatch::inline v0_1::detail
