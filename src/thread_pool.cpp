#include <microbatch/executors/thread_pool.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <microbatch/core/errors.hpp>
#include <microbatch/core/fork.hpp>
#include "pool_queues.hpp"
#ifdef __linux__
#include <pthread.h>
#endif

namespace microbatch::inline v0_1 {

namespace {

/// What top, gdb and perf show: the pool's name, cut so that the number fits (Linux: 15 bytes).
void name_this_thread([[maybe_unused]] const std::string& pool, [[maybe_unused]] std::size_t i) {
#ifdef __linux__
  const std::string number = fmt::format("-{}", i);
  const std::string name = (pool.empty() ? "microbatch" : pool).substr(0, 15 - number.size());
  (void)pthread_setname_np(pthread_self(), (name + number).c_str());
#endif
}

}  // namespace

/// What the workers share; each of them keeps it alive.
class ThreadPool::State : public std::enable_shared_from_this<ThreadPool::State> {
 public:
  explicit State(ThreadPoolOptions options) : options_(std::move(options)) {
    threads_.size = options_.workers;
  }

  [[nodiscard]] bool forked() const noexcept { return mark_.forked(); }
  void require_workers(const char* what) const {
    if (forked())
      throw ExecutorError(
          fmt::format("{}: called in a forked child, where the pool has no workers", what));
  }

  void start();
  void execute(Task task);
  std::shared_ptr<Attachment> attach(std::shared_ptr<Steppable> engine);
  void stop() noexcept;
  void join() noexcept;
  void abandon() noexcept;
  detail::HostThreads& threads() noexcept { return threads_; }

 private:
  /// An engine's place in the pool.
  struct Place final : Attachment, std::enable_shared_from_this<Place> {
    Place(std::shared_ptr<State> p, std::shared_ptr<Steppable> e)
        : pool(std::move(p)), engine(std::move(e)) {}
    void notify() noexcept override { pool->notify(*this); }
    void detach() noexcept override { pool->detach(*this); }
    std::shared_ptr<Steppable> engine_now() const {
      std::lock_guard lock(pool->mutex_);
      return engine;
    }

    const std::shared_ptr<State> pool;
    std::shared_ptr<Steppable> engine;  // null once detached
    TimePoint next = never;             // with heap_index, in timers_
    std::size_t heap_index = detail::TimerHeap<Place>::none;
    bool ready = false;  // with next_ready, in ready_
    Place* next_ready = nullptr;
    bool turning = false;  // a worker takes its turn right now
    std::thread::id turner{};
    bool again = false;  // notified meanwhile
  };

  void work(std::size_t number);
  void take_turn(std::unique_lock<std::mutex>& lock, std::shared_ptr<Place> place);
  void notify(Place& place) noexcept;
  void detach(Place& place) noexcept;
  void make_ready(Place& place);
  std::shared_ptr<Place> pop_ready();
  void wake_one() noexcept {
    if (idle_ > 0) wake_.notify_one();
  }

  void schedule(Place& place, TimePoint next);

  const detail::ForkMark mark_;
  ThreadPoolOptions options_;
  detail::HostThreads threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable turned_;
  std::deque<Task> tasks_;
  std::deque<Task> unrun_;  // of the first stop(); here, because an empty deque takes memory
  detail::ReadyQueue<Place> ready_;
  detail::TimerHeap<Place> timers_;
  std::vector<std::weak_ptr<Place>> places_;
  std::vector<std::thread> workers_;
  std::size_t idle_ = 0;
  bool stopped_ = false;
};

void ThreadPool::State::start() {
  std::mutex start_mutex;
  std::condition_variable started;
  std::size_t running = 0;
  std::exception_ptr failure;
  try {
    for (std::size_t i = 0; i < options_.workers; ++i) {
      workers_.emplace_back([&, self = shared_from_this(), i] {
        std::exception_ptr hook_failure;
        name_this_thread(options_.name, i);
        try {
          if (options_.on_thread_start) options_.on_thread_start(i);
        } catch (...) {
          hook_failure = std::current_exception();
        }
        const bool go_on = hook_failure == nullptr;
        {
          std::lock_guard lock(start_mutex);
          if (hook_failure) failure = hook_failure;
          ++running;
          started.notify_all();
        }
        // Nothing of start()'s frame is touched from here on.
        if (go_on) self->work(i);
      });
    }
  } catch (...) {
    failure = std::current_exception();
  }
  {
    std::unique_lock lock(start_mutex);
    started.wait(lock, [&] { return running == workers_.size(); });
  }
  if (failure) {
    stop();
    join();
    std::rethrow_exception(failure);
  }
}

void ThreadPool::State::execute(Task task) {
  std::lock_guard lock(mutex_);
  if (stopped_) throw ExecutorError("ThreadPool::execute: the pool has been stopped");
  tasks_.push_back(std::move(task));
  wake_one();
}

std::shared_ptr<Attachment> ThreadPool::State::attach(std::shared_ptr<Steppable> engine) {
  auto place = std::make_shared<Place>(shared_from_this(), std::move(engine));
  std::lock_guard lock(mutex_);
  if (stopped_) throw ExecutorError("ThreadPool::attach: the pool has been stopped");
  std::erase_if(places_, [](const auto& old) { return old.expired(); });
  places_.push_back(place);
  timers_.reserve(places_.size());  // so that schedule() allocates nothing
  make_ready(*place);
  return place;
}

void ThreadPool::State::notify(Place& place) noexcept {
  std::lock_guard lock(mutex_);
  if (!place.engine || stopped_) return;
  make_ready(place);
}

void ThreadPool::State::make_ready(Place& place) {
  if (place.turning) {
    place.again = true;
  } else if (!place.ready) {
    ready_.push(place);
    wake_one();
  }
}

void ThreadPool::State::detach(Place& place) noexcept {
  std::shared_ptr<Steppable> engine;  // let go without the lock
  std::unique_lock lock(mutex_);
  engine = std::move(place.engine);
  timers_.unschedule(place);
  ready_.remove(place);
  // (From inside its own turn there is nobody to wait for.)
  turned_.wait(lock, [&] { return !place.turning || place.turner == std::this_thread::get_id(); });
}

void ThreadPool::State::work(std::size_t) {
  detail::this_thread_role().host = &threads_;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (stopped_) return;
    if (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      try {
        task();
      } catch (...) {  // a task's own business; a pool has nobody to tell
      }
      task = Task();
      lock.lock();
    } else if (auto place = pop_ready()) {
      take_turn(lock, std::move(place));
    } else {
      ++idle_;
      if (const Place* first = timers_.first(); first == nullptr) {
        wake_.wait(lock);
      } else {
        const TimePoint until = first->next;  // its place may be gone when we wake up
        wake_.wait_until(lock, until);
      }
      --idle_;
    }
  }
}

std::shared_ptr<ThreadPool::State::Place> ThreadPool::State::pop_ready() {
  if (Place* place = ready_.pop()) return place->shared_from_this();
  if (Place* first = timers_.first(); first != nullptr && first->next <= first->engine->now())
    return first->shared_from_this();
  return nullptr;
}

void ThreadPool::State::take_turn(std::unique_lock<std::mutex>& lock,
                                  std::shared_ptr<Place> place) {
  const auto engine = place->engine;
  if (!engine || place->turning) {
    if (engine) place->again = true;
    return;
  }
  timers_.unschedule(*place);
  for (;;) {
    const bool may_spin = ready_.empty() && tasks_.empty();
    place->turning = true;
    place->turner = std::this_thread::get_id();
    place->again = false;
    lock.unlock();
    const Steppable::Turn turn = engine->turn(may_spin);
    lock.lock();
    place->turning = false;
    turned_.notify_all();
    if (place->engine && !stopped_) {
      if (turn.job == nullptr && !place->again && engine->runs_by_itself())
        schedule(*place, turn.next);
      // Another worker goes on while this one runs the job.
      if (place->again || (turn.job != nullptr && turn.more)) make_ready(*place);
    }
    if (turn.job == nullptr) return;
    lock.unlock();
    engine->perform(turn.job);
    lock.lock();
    // The job's end is a reason for a turn: take it, unless it is another's or others are waiting.
    if (!place->engine || stopped_) return;
    if (place->turning || place->ready || !ready_.empty() || !tasks_.empty())
      return make_ready(*place);
    timers_.unschedule(*place);
  }
}

void ThreadPool::State::stop() noexcept {
  std::vector<std::weak_ptr<Place>> places;
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    first = !std::exchange(stopped_, true);
    if (first) unrun_.swap(tasks_);
    places.swap(places_);
    ready_.clear();
    timers_.clear();
  }
  wake_.notify_all();
  for (const auto& weak : places) {
    if (const auto place = weak.lock())
      if (const auto engine = place->engine_now()) engine->host_gone();
  }
  if (first) unrun_.clear();  // without the lock: tasks say that they were not run
}

void ThreadPool::State::join() noexcept {
  for (auto& worker : workers_) {
    if (!worker.joinable()) continue;
    if (worker.get_id() == std::this_thread::get_id())
      worker.detach();  // destroyed by its own task
    else
      worker.join();
  }
}

void ThreadPool::State::abandon() noexcept {
  for (auto& worker : workers_)
    if (worker.joinable()) worker.detach();
}

void ThreadPool::State::schedule(Place& place, TimePoint next) {
  timers_.schedule(place, next);
  if (timers_.first() == &place) wake_one();  // a sleeper may sleep too long
}

ThreadPool::ThreadPool(ThreadPoolOptions options) {
  constexpr std::size_t most = 1024;
  if (options.workers < 1 || options.workers > most)
    throw ConfigError(
        fmt::format("ThreadPool: workers must be from 1 to {}, got {}", most, options.workers));
  state_ = std::make_shared<State>(std::move(options));
  state_->start();
}

ThreadPool::~ThreadPool() {
  if (state_->forked()) {  // the workers are not here, and the lock may be held for ever
    detail::leave_behind(std::move(state_));
    return;
  }
  state_->stop();
  state_->join();
}

void ThreadPool::execute(Task task) {
  state_->require_workers("ThreadPool::execute");
  state_->execute(std::move(task));
}
std::shared_ptr<Attachment> ThreadPool::attach(std::shared_ptr<Steppable> engine) {
  state_->require_workers("ThreadPool::attach");
  return state_->attach(std::move(engine));
}
void ThreadPool::stop() noexcept { state_->stop(); }
void ThreadPool::abandon() noexcept { state_->abandon(); }
std::size_t ThreadPool::workers() const noexcept { return state_->threads().size; }
detail::HostThreads& ThreadPool::threads() const noexcept { return state_->threads(); }

}  // namespace microbatch::inline v0_1
